/* Reading a tree: the index, and in their places the damaged files that no record stands for. */
#include <string.h>

#include "store/tree_backend.h"

enum { SETTLED_MS = 2000 }; /* behind its last change a file's times tell the next change from this one */

static int is_long_ago(const struct tree_backend *self, const struct stat *stat) {
    return os_wall_ms(self->os) - tree_ctime_ns(stat) / 1000000 > SETTLED_MS;
}

/* The committer asks whether a document that is put is there already. It is not when its file was changed, damaged or
 * removed by another program: then it is written again, and what stands there goes aside. That costs one stat, or one
 * look at the file when this process has not written it. */
static int check_file(struct tree_backend *self, const struct hf_record *record, struct hf_error *error) {
    struct tree_path path;
    struct tree_look look;
    struct stat stat;
    char text[TREE_PATH_BYTES];
    MEM_AUTO char *pending = tree_pending_text(self, record->kind, record->id);
    if (pending || tree_stage_has(&self->stage, record->kind, record->id))
        return 0; /* it will be written anyway */
    tree_path_of(self->options.layout, record->kind, record->id, &path);
    tree_path_text(&path, text);
    int result = OS_AGAIN(os_stat_at(self->os, self->root_fd, text, &stat));
    if (result == 0 && tree_seen_is(self, record->kind, record->id, &stat))
        return 0;
    int code = tree_look(&self->workers[0].reader, &path, &look, error);
    if (code)
        return code;
    if (look.code == 0 && memcmp(look.hash, record->hash, HF_HASH_BYTES) == 0) {
        if (is_long_ago(self, &look.stat))
            tree_seen_set(self, record->kind, record->id, &look.stat);
        return 0;
    }
    int is_replaceable = look.code == 0 || look.code == HF_ERR_NOT_FOUND || look.code == HF_ERR_CORRUPT;
    return is_replaceable ? error_set(error, HF_ERR_CORRUPT, "file '%s' is not what was stored", text) : 0;
}

static int get_there(struct tree_backend *self, const char *kind, const char *id, struct hf_record **ret_record,
                     struct hf_error *error) {
    struct hf_record *record = NULL;
    int code = self->inner->ops->get(self->inner, STORE_IN_TRANSACTION, kind, id, 0, &record, error);
    if (code == 0)
        code = check_file(self, record, error);
    if (code == 0)
        *ret_record = record;
    else
        hf_record_free(&record);
    return code;
}

int tree_get(struct store_backend *backend, enum store_view view, const char *kind, const char *id, int head_only,
             struct hf_record **ret_record, struct hf_error *error) {
    struct tree_backend *self = (struct tree_backend *)backend;
    int in_transaction = view == STORE_IN_TRANSACTION;
    int code = in_transaction && !head_only
                   ? get_there(self, kind, id, ret_record, error)
                   : self->inner->ops->get(self->inner, view, kind, id, head_only, ret_record, error);
    if (code != HF_ERR_NOT_FOUND)
        return code;
    if (in_transaction && tree_stage_has(&self->stage, kind, id))
        return code; /* it was deleted a moment ago */
    struct hf_error found = {0};
    int damage = tree_damage_find(self, kind, id, &found);
    if (!damage)
        return code;
    error_copy(error, &found);
    return in_transaction ? HF_ERR_CORRUPT : damage; /* that is what a record is which can only be replaced */
}

struct merge {
    hf_record_visit visit;
    void *arg;
    struct vec keys; /* of damaged files, in order */
    size_t next;
    uint64_t left; /* of the limit */
    int value;     /* what stopped it */
    int is_full;
};

static int give(struct merge *merge, const struct hf_record *record, int code) {
    merge->value = merge->visit(merge->arg, record, code);
    merge->left--;
    merge->is_full = merge->value == 0 && merge->left == 0;
    return merge->value != 0 || merge->is_full;
}

static int give_damaged(struct merge *merge) {
    struct hf_record record = {.who = ""};
    tree_key_split(merge->keys.items[merge->next++], &record.kind, &record.id);
    return give(merge, &record, HF_ERR_CORRUPT);
}

static int merge_record(void *arg, const struct hf_record *record, int code) {
    struct merge *merge = arg;
    char key[TREE_KEY_BYTES];
    tree_key(record->kind, record->id, key);
    while (merge->next < merge->keys.count) {
        int order = strcmp(merge->keys.items[merge->next], key);
        if (order > 0)
            break;
        if (order == 0)
            merge->next++; /* it was put meanwhile */
        else if (give_damaged(merge))
            return 1;
    }
    return give(merge, record, code);
}

/* Leaves the keys that are in the range. */
static void skip_before(struct merge *merge, const struct store_range *range) {
    char after[TREE_KEY_BYTES] = "";
    if (range->after_id)
        tree_key(range->kind ? range->kind : range->after_kind, range->after_id, after);
    else if (range->kind)
        tree_key(range->kind, "", after);
    while (merge->next < merge->keys.count && strcmp(merge->keys.items[merge->next], after) <= 0)
        merge->next++;
    size_t bytes = range->kind ? strlen(range->kind) : 0;
    while (range->kind && merge->keys.count > merge->next) {
        const char *last = merge->keys.items[merge->keys.count - 1];
        if (strncmp(last, range->kind, bytes) == 0 && last[bytes] == '/')
            break;
        mem_free(merge->keys.items[--merge->keys.count]);
    }
}

static int scan_merged(struct tree_backend *self, const struct store_range *range, struct merge *merge,
                       struct hf_error *error) {
    skip_before(merge, range);
    int code = self->inner->ops->scan(self->inner, range, merge_record, merge, error);
    if (merge->value != 0 || merge->is_full)
        return merge->value;
    while (code == 0 && merge->next < merge->keys.count)
        if (give_damaged(merge))
            return merge->value;
    return code;
}

int tree_scan(struct store_backend *backend, const struct store_range *range, hf_record_visit visit, void *arg,
              struct hf_error *error) {
    struct tree_backend *self = (struct tree_backend *)backend;
    struct merge merge = {.visit = visit, .arg = arg, .left = range->limit ? range->limit : UINT64_MAX};
    vec_init(&merge.keys);
    int code = tree_damage_keys(self, &merge.keys, error);
    if (code == 0 && merge.keys.count == 0)
        code = self->inner->ops->scan(self->inner, range, visit, arg, error);
    else if (code == 0)
        code = scan_merged(self, range, &merge, error);
    tree_key_vec_fini(&merge.keys);
    return code;
}
