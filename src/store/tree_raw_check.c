/* The check of a tree that is only read, slice by slice in the order of the keys. */
#include <stdio.h>
#include <string.h>

#include "store/key.h"
#include "store/tree_raw.h"

enum { PROGRESS_STEP = 100 };

struct checking {
    enum tree_layout layout;
    hf_finding_visit found;
    void *found_arg;
    uint64_t records, findings;
    hf_progress progress; /* NULL: nobody is told how far it is */
    void *progress_arg;
    uint64_t total;
};

static void count_finding(void *arg, const struct hf_finding *finding) {
    struct checking *checking = arg;
    checking->findings++;
    if (checking->found)
        checking->found(checking->found_arg, finding);
}

static int check_file(void *arg, const struct tree_key *key, const struct tree_look *look, const struct buf *json) {
    (void)json;
    struct checking *checking = arg;
    if (look->code != 0 && look->code != HF_ERR_NOT_FOUND) {
        char text[TREE_PATH_BYTES];
        struct tree_path path;
        tree_path_of(checking->layout, key->kind, key->id, &path);
        snprintf(text, sizeof text, "%s%s%s", path.folder, path.folder[0] ? "/" : "", path.name);
        struct hf_finding finding = {
            .kind = key->kind,
            .id = key->id,
            .what = look->what,
            .text = look->text,
            .path = text,
            .action = "reported",
        };
        count_finding(checking, &finding);
    }
    checking->records += look->code != HF_ERR_NOT_FOUND;
    if (checking->progress && checking->records % PROGRESS_STEP == 0 &&
        checking->progress(checking->progress_arg, checking->records, checking->total) != 0)
        return HF_ERR_CANCELLED;
    return 0;
}

/* A check begins with the names: they are listed once, and gone through slice by slice. */
static int begin_check(struct tree_raw *self, struct checking *checking, struct hf_error *error) {
    struct tree_keys keys = {0};
    int code = tree_keys_list(self->os, self->root_fd, self->layout, count_finding, checking, &keys, error);
    if (code != 0)
        return code;
    tree_keys_fini(&self->checked);
    self->checked = keys;
    return 0;
}

static int check_slice(struct tree_raw *self, struct checking *checking, struct hf_check_cursor *cursor,
                       uint64_t max_rows, struct hf_error *error) {
    char kind[HF_KIND_MAX + 1] = "";
    const char *id = "";
    int code = 0;
    if (cursor->stage == 0)
        code = begin_check(self, checking, error);
    if (code == 0 && cursor->key[0])
        (void)key_split(cursor->key, kind, &id);
    size_t first = tree_raw_behind(&self->checked, kind, id), count = self->checked.count - first;
    if (count > max_rows)
        count = (size_t)max_rows;
    if (code == 0 && count > 0)
        code = tree_raw_walk(self, self->checked.items + first, count, check_file, checking, error);
    if (code != 0)
        return code;
    cursor->stage = 1;
    cursor->done += count;
    cursor->is_done = first + count == self->checked.count;
    cursor->total = cursor->is_done ? cursor->done : self->checked.count;
    if (count > 0)
        snprintf(cursor->key, sizeof cursor->key, "%s/%s", self->checked.items[first + count - 1].kind,
                 self->checked.items[first + count - 1].id);
    return 0;
}

int tree_raw_check(struct store_backend *backend, struct hf_check_cursor *cursor, uint64_t max_rows,
                   hf_finding_visit visit, void *arg, struct hf_check_result *result, struct hf_error *error) {
    struct tree_raw *self = (struct tree_raw *)backend;
    struct checking checking = {.layout = self->layout, .found = visit, .found_arg = arg};
    (void)pthread_mutex_lock(&self->check_lock);
    int code = check_slice(self, &checking, cursor, max_rows, error);
    (void)pthread_mutex_unlock(&self->check_lock);
    if (code == 0) {
        result->records += checking.records;
        result->findings += checking.findings;
    }
    return code;
}

int tree_raw_look_at_all(struct tree_raw *self, const struct hf_store_options *options, struct hf_error *error) {
    struct checking checking = {
        .layout = self->layout,
        .found = options->found,
        .found_arg = options->found_arg,
        .progress = options->progress,
        .progress_arg = options->progress_arg,
    };
    struct tree_keys keys = {0};
    int code = tree_keys_list(self->os, self->root_fd, self->layout, count_finding, &checking, &keys, error);
    checking.total = keys.count;
    if (code == 0)
        code = tree_raw_walk(self, keys.items, keys.count, check_file, &checking, error);
    if (code == HF_ERR_CANCELLED)
        error_set(error, code, "read the files: it was given up");
    tree_keys_fini(&keys);
    return code;
}
