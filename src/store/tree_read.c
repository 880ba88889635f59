/* Reading a tree: the index, and in their places the damaged files that no record stands for. */
#include <string.h>

#include "store/tree_backend.h"

int tree_get(struct store_backend *backend, enum store_view view, const char *kind, const char *id, int head_only,
             struct hf_record **ret_record, struct hf_error *error) {
    struct tree_backend *self = (struct tree_backend *)backend;
    int code = self->inner->ops->get(self->inner, view, kind, id, head_only, ret_record, error);
    if (code != HF_ERR_NOT_FOUND)
        return code;
    int in_transaction = view == STORE_IN_TRANSACTION;
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
