/* A tree that is only read, from its files alone: what there is when nobody has opened it to write. Every read looks at
 * the files as they are then: there is no snapshot, no revision and no past. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "store/tree_raw.h"

/* ---- one file ---- */

static int refuse(const struct tree_path *path, const struct tree_look *look, struct hf_error *error) {
    int code = look->code;
    if (code != HF_ERR_PERMISSION && code != HF_ERR_IO)
        code = HF_ERR_CORRUPT;
    error_set(error, code, "file '%s%s%s' %s", path->folder, path->folder[0] ? "/" : "", path->name, look->text);
    error_hint(error, "mend the file, or put a copy of it from a backup in its place");
    return code;
}

static void make_record(const struct tree_key *key, const struct tree_look *look, const struct buf *json,
                        struct hf_record *ret_record) {
    int64_t changed_ms = (int64_t)look->stat.st_mtim.tv_sec * 1000 + look->stat.st_mtim.tv_nsec / 1000000;
    *ret_record = (struct hf_record){
        .kind = key->kind,
        .id = key->id,
        .created_ms = changed_ms,
        .updated_ms = changed_ms,
        .who = "",
    };
    if (look->code != 0)
        return;
    memcpy(ret_record->hash, look->hash, sizeof ret_record->hash);
    ret_record->json = json->data;
    ret_record->json_bytes = json->size;
}

static int raw_get(struct store_backend *backend, enum store_view view, const char *kind, const char *id, int head_only,
                   struct hf_record **ret_record, struct hf_error *error) {
    (void)view;
    const struct tree_raw *self = (const struct tree_raw *)backend;
    struct tree_key key = {(char *)kind, (char *)id};
    struct tree_reader reader;
    struct tree_path path;
    struct tree_look look;
    struct hf_record record;
    tree_reader_init(&reader, self->os, self->root_fd, &self->limits);
    reader.layout = self->layout;
    tree_path_of(self->layout, kind, id, &path);
    int code = tree_look(&reader, &path, &look, error);
    if (code == 0 && look.code == HF_ERR_NOT_FOUND)
        code = error_set(error, HF_ERR_NOT_FOUND, "there is no record '%s/%s'", kind, id);
    else if (code == 0 && look.code != 0)
        code = refuse(&path, &look, error);
    if (code == 0) {
        make_record(&key, &look, &reader.bytes, &record);
        if (head_only)
            record.json = NULL;
        code = store_record_copy(&record, ret_record, error);
    }
    tree_reader_fini(&reader);
    return code;
}

/* ---- many files ---- */

int tree_raw_walk(const struct tree_raw *self, const struct tree_key *keys, size_t count, tree_tell tell, void *arg,
                  struct hf_error *error) {
    struct tree_walk walk = {
        .os = self->os,
        .root_fd = self->root_fd,
        .layout = self->layout,
        .threads = self->threads,
        .limits = self->limits,
        .tell = tell,
        .arg = arg,
    };
    return tree_walk_files(&walk, keys, count, error);
}

static int compare(const struct tree_key *key, const char *kind, const char *id) {
    int order = strcmp(key->kind, kind);
    return order ? order : strcmp(key->id, id);
}

size_t tree_raw_behind(const struct tree_keys *keys, const char *kind, const char *id) {
    size_t low = 0, high = keys->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare(&keys->items[middle], kind, id) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct scan {
    hf_record_visit visit;
    void *arg;
    uint64_t left; /* how many may still be given */
    int is_full;
};

static int give_record(void *arg, const struct tree_key *key, const struct tree_look *look, const struct buf *json) {
    struct scan *scan = arg;
    struct hf_record record;
    if (look->code == HF_ERR_NOT_FOUND)
        return 0; /* it went since it was listed */
    make_record(key, look, json, &record);
    int code = scan->visit(scan->arg, &record, look->code ? HF_ERR_CORRUPT : 0);
    scan->is_full = code == 0 && --scan->left == 0;
    return scan->is_full ? 1 : code;
}

/* A folder that cannot be listed hides records: a scan that should have given them must not end as if all were well. */
struct hidden {
    enum tree_layout layout;
    const char *kind; /* the scan's; NULL: all */
    char text[TREE_PATH_BYTES];
};

static void note_hidden(void *arg, const struct hf_finding *finding) {
    struct hidden *hidden = arg;
    int is_wanted = hidden->layout == TREE_LAYOUT_WATCH || !hidden->kind || strcmp(finding->path, hidden->kind) == 0;
    if (strcmp(finding->what, "unreadable_file") == 0 && is_wanted && hidden->text[0] == '\0')
        snprintf(hidden->text, sizeof hidden->text, "folder '%s' %s", finding->path, finding->text);
}

static int scan_keys(const struct tree_raw *self, const struct tree_keys *keys, const struct store_range *range,
                     struct scan *scan, struct hf_error *error) {
    const char *kind = range->after_id ? range->after_kind : range->kind ? range->kind : "";
    size_t first = tree_raw_behind(keys, kind, range->after_id ? range->after_id : ""), end = first;
    while (end < keys->count && (!range->kind || strcmp(keys->items[end].kind, range->kind) == 0))
        end++;
    return tree_raw_walk(self, keys->items + first, end - first, give_record, scan, error);
}

static int raw_scan(struct store_backend *backend, const struct store_range *range, hf_record_visit visit, void *arg,
                    struct hf_error *error) {
    const struct tree_raw *self = (const struct tree_raw *)backend;
    struct scan scan = {.visit = visit, .arg = arg, .left = range->limit ? range->limit : UINT64_MAX};
    struct hidden hidden = {.layout = self->layout, .kind = range->kind};
    struct tree_keys keys = {0};
    int code = tree_keys_list(self->os, self->root_fd, self->layout, note_hidden, &hidden, &keys, error);
    if (code != 0)
        return code;
    code = scan_keys(self, &keys, range, &scan, error);
    tree_keys_fini(&keys);
    if (scan.is_full)
        return 0;
    if (code == 0 && hidden.text[0])
        code = error_set(error, HF_ERR_IO, "%s: what is in it was left out", hidden.text);
    return code;
}

/* The record as it is, as its only version. */
static int raw_history(struct store_backend *backend, const char *kind, const char *id, uint64_t limit,
                       hf_record_visit visit, void *arg, struct hf_error *error) {
    struct tree_key key = {(char *)kind, (char *)id};
    struct scan scan = {.visit = visit, .arg = arg, .left = UINT64_MAX};
    (void)limit;
    return tree_raw_walk((const struct tree_raw *)backend, &key, 1, give_record, &scan, error);
}

/* Nothing is told of changes that nobody wrote down. */
static int raw_events(struct store_backend *backend, uint64_t since, uint64_t limit, hf_event_visit visit, void *arg,
                      struct hf_error *error) {
    (void)backend, (void)since, (void)limit, (void)visit, (void)arg, (void)error;
    return 0;
}

/* ---- what is not possible ---- */

static int refuse_to_write(struct hf_error *error) {
    error_set(error, HF_ERR_READ_ONLY, "the tree was opened to be read only");
    error_hint(error, "open it without read_only: an index is then made beside the files");
    return HF_ERR_READ_ONLY;
}

static int raw_begin(struct store_backend *backend, struct hf_error *error) {
    (void)backend;
    return refuse_to_write(error);
}

static int raw_change(struct store_backend *backend, const struct store_change *change, struct hf_error *error) {
    (void)backend, (void)change;
    return refuse_to_write(error);
}

static void raw_abort(struct store_backend *backend) {
    (void)backend;
}

/* ---- life ---- */

static void raw_close(struct store_backend **backend) {
    struct tree_raw *self = backend ? (struct tree_raw *)*backend : NULL;
    if (!self)
        return;
    (void)os_close(self->os, self->root_fd);
    tree_keys_fini(&self->checked);
    (void)pthread_mutex_destroy(&self->check_lock);
    mem_free(self);
    *backend = NULL;
}

static const struct store_backend_ops raw_ops = {
    .name = "tree",
    .close = raw_close,
    .begin = raw_begin,
    .put = raw_change,
    .remove = raw_change,
    .commit = raw_begin,
    .abort = raw_abort,
    .get = raw_get,
    .scan = raw_scan,
    .history = raw_history,
    .events = raw_events,
    .check = tree_raw_check,
};

int tree_raw_open(const struct os *os, int take_root_fd, const struct tree_options *options,
                  const struct hf_store_options *store_options, struct store_backend **ret_backend,
                  struct hf_error *error) {
    struct tree_raw *self = MEM_NEW(struct tree_raw);
    if (!self) {
        (void)os_close(os, take_root_fd);
        return error_no_memory(error);
    }
    self->base.ops = &raw_ops;
    self->os = os;
    self->root_fd = take_root_fd;
    self->layout = options->layout;
    self->threads = options->threads;
    self->limits.max_bytes = store_options->max_document_bytes;
    self->limits.max_depth = store_options->max_document_depth;
    (void)pthread_mutex_init(&self->check_lock, NULL);
    struct store_backend *backend = &self->base;
    int code = store_options->found ? tree_raw_look_at_all(self, store_options, error) : 0;
    if (code == 0)
        *ret_backend = backend;
    else
        raw_close(&backend);
    return code;
}
