/* The check of a tree, in slices: the index's own first, then the file of each record, in the order of keys, then the
 * files that no record has.
 *
 * Invariants
 *  1. Nothing is changed.
 *  2. A file is told of only when it is not what the index has while nothing can be under way: what looks wrong is
 *     looked at once more under the lock. */
#include <string.h>

#include "store/tree_backend.h"

enum { PART_FILES = 1000, PART_NAMES = 1001, SLICE_MAX = 4096, FEW = 16 };

struct file {
    char *key; /* "KIND/ID" */
    uint8_t hash[HF_HASH_BYTES];
    int is_bad;
};

struct checking {
    struct tree_backend *self;
    struct hf_check_cursor *cursor;
    hf_finding_visit visit;
    void *arg;
    struct hf_check_result *result;
    struct tree_worker *workers;
    unsigned threads;
    struct file *files;
    size_t count, room;
};

/* ---- telling ---- */

static void find(void *arg, const struct hf_finding *finding) {
    struct checking *checking = arg;
    checking->result->findings++;
    if (checking->visit)
        checking->visit(checking->arg, finding);
}

static void tell(struct checking *checking, const char *kind, const char *id, const char *what, const char *text) {
    struct tree_path path;
    char name[TREE_PATH_BYTES];
    tree_path_of(checking->self->options.layout, kind, id, &path);
    tree_path_text(&path, name);
    const struct hf_finding finding = {
        .kind = kind, .id = id, .what = what, .text = text, .path = name, .action = "reported"};
    find(checking, &finding);
}

/* ---- one file, under the lock ---- */

static int look(struct checking *checking, const char *kind, const char *id, enum tree_layout layout,
                struct tree_look *ret_look, struct hf_error *error) {
    struct tree_reader *reader = &checking->workers[0].reader;
    struct tree_path path;
    tree_path_of(checking->self->options.layout, kind, id, &path);
    reader->layout = layout;
    int code = tree_look(reader, &path, ret_look, error);
    reader->layout = TREE_LAYOUT_KIND;
    return code;
}

static int tell_known(struct checking *checking, const struct hf_record *head, struct hf_error *error) {
    struct tree_look seen;
    int code = look(checking, head->kind, head->id, TREE_LAYOUT_KIND, &seen, error);
    if (code || (seen.code == 0 && memcmp(seen.hash, head->hash, HF_HASH_BYTES) == 0))
        return code;
    MEM_AUTO char *pending = tree_pending_text(checking->self, head->kind, head->id);
    if (seen.code == 0 && !pending && checking->self->options.layout == TREE_LAYOUT_WATCH)
        code = look(checking, head->kind, head->id, TREE_LAYOUT_WATCH, &seen, error);
    if (code)
        return code;
    if (pending)
        tell(checking, head->kind, head->id, "pending_file", pending);
    else if (seen.code)
        tell(checking, head->kind, head->id, seen.what, seen.text);
    else
        tell(checking, head->kind, head->id, "foreign_edit", "was changed by another program");
    return 0;
}

static int tell_unknown(struct checking *checking, const char *kind, const char *id, struct hf_error *error) {
    struct tree_look seen;
    int code = look(checking, kind, id, checking->self->options.layout, &seen, error);
    if (code || seen.code == HF_ERR_NOT_FOUND)
        return code;
    MEM_AUTO char *pending = tree_pending_text(checking->self, kind, id);
    if (pending)
        tell(checking, kind, id, "pending_file", pending);
    else if (seen.code)
        tell(checking, kind, id, seen.what, seen.text);
    else
        tell(checking, kind, id, "foreign_file", "was added by another program");
    return 0;
}

static int look_again(struct checking *checking, const char *kind, const char *id, struct hf_error *error) {
    struct tree_backend *self = checking->self;
    struct hf_record *head = NULL;
    pthread_mutex_lock(&self->lock);
    int code = self->inner->ops->get(self->inner, STORE_COMMITTED, kind, id, 1, &head, error);
    if (code == 0) {
        code = tell_known(checking, head, error);
    } else if (code == HF_ERR_NOT_FOUND) {
        error_clear(error);
        code = tell_unknown(checking, kind, id, error);
    } else if (code == HF_ERR_CORRUPT) { /* told of by the index's own check */
        error_clear(error);
        code = 0;
    }
    pthread_mutex_unlock(&self->lock);
    hf_record_free(&head);
    return code;
}

/* ---- the files of records ---- */

static int add_file(void *arg, const struct hf_record *record, int code) {
    struct checking *checking = arg;
    char key[TREE_KEY_BYTES];
    if (checking->count == checking->room) {
        size_t room = checking->room ? checking->room * 2 : 64;
        struct file *files = mem_realloc(checking->files, room, sizeof *files);
        if (!files)
            return HF_ERR_NO_MEMORY;
        checking->files = files;
        checking->room = room;
    }
    struct file *file = &checking->files[checking->count];
    tree_key(record->kind, record->id, key);
    *file = (struct file){.key = mem_strdup(key), .is_bad = code};
    memcpy(file->hash, record->hash, sizeof file->hash);
    checking->count += file->key != NULL;
    return file->key ? 0 : HF_ERR_NO_MEMORY;
}

static int compare_file(void *arg, unsigned worker, size_t index) {
    struct checking *checking = arg;
    struct file *file = &checking->files[index];
    char key[TREE_KEY_BYTES];
    const char *kind, *id;
    struct tree_path path;
    struct tree_look seen;
    memcpy(key, file->key, strlen(file->key) + 1);
    tree_key_split(key, &kind, &id);
    tree_path_of(checking->self->options.layout, kind, id, &path);
    struct tree_worker *own = &checking->workers[worker];
    int code = tree_look(&own->reader, &path, &seen, &own->error);
    file->is_bad = !file->is_bad && (seen.code || memcmp(seen.hash, file->hash, HF_HASH_BYTES) != 0);
    return code;
}

static int compare_files(struct checking *checking, struct hf_error *error) {
    const struct tree_crew crew = {.threads = checking->count < FEW ? 1 : checking->threads,
                                   .ahead = SLICE_MAX,
                                   .work = compare_file,
                                   .arg = checking};
    int code = tree_crew_run(&crew, checking->count, error);
    for (unsigned i = 0; i < checking->threads && code; i++)
        if (checking->workers[i].error.code == code)
            error_copy(error, &checking->workers[i].error);
    return code;
}

static void range_behind(const char *cursor_key, char key[TREE_KEY_BYTES], struct store_range *ret_range) {
    if (cursor_key[0]) {
        memcpy(key, cursor_key, strlen(cursor_key) + 1);
        tree_key_split(key, &ret_range->after_kind, &ret_range->after_id);
    }
}

static int check_files(struct checking *checking, uint64_t max_rows, struct hf_error *error) {
    struct tree_backend *self = checking->self;
    struct hf_check_cursor *cursor = checking->cursor;
    struct store_range range = {.limit = max_rows};
    char after[TREE_KEY_BYTES], key[TREE_KEY_BYTES];
    const char *kind, *id;
    range_behind(cursor->key, after, &range);
    int code = self->inner->ops->scan(self->inner, &range, add_file, checking, error);
    if (code == HF_ERR_NO_MEMORY && error && error->code == 0)
        code = error_no_memory(error);
    if (code == 0)
        code = compare_files(checking, error);
    for (size_t i = 0; i < checking->count && code == 0; i++) {
        if (!checking->files[i].is_bad)
            continue;
        memcpy(key, checking->files[i].key, strlen(checking->files[i].key) + 1);
        tree_key_split(key, &kind, &id);
        code = look_again(checking, kind, id, error);
    }
    if (code)
        return code;
    cursor->done += checking->count;
    if (checking->count < range.limit) {
        cursor->stage = PART_NAMES;
        cursor->key[0] = '\0';
        cursor->at = 0;
    } else {
        const char *last = checking->files[checking->count - 1].key;
        memcpy(cursor->key, last, strlen(last) + 1);
    }
    return 0;
}

/* ---- the files that no record has ---- */

static int list_names(struct checking *checking, struct hf_error *error) {
    struct tree_backend *self = checking->self;
    if (self->is_listed && checking->cursor->at > 0)
        return 0;
    tree_keys_fini(&self->listed);
    self->listed = (struct tree_keys){0};
    self->is_listed = 0;
    int is_first = checking->cursor->at == 0;
    int code = tree_names_list(self, is_first ? find : NULL, checking, &self->listed, error);
    self->is_listed = code == 0;
    return code;
}

/* The first name behind the cursor's. */
static size_t find_place(const struct tree_keys *keys, const char *behind) {
    size_t low = 0, high = keys->count;
    char key[TREE_KEY_BYTES];
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        tree_key(keys->items[middle].kind, keys->items[middle].id, key);
        if (strcmp(key, behind) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int check_name(struct checking *checking, const struct tree_key *name, struct hf_error *error) {
    struct store_backend *inner = checking->self->inner;
    struct hf_record *head = NULL;
    int code = inner->ops->get(inner, STORE_COMMITTED, name->kind, name->id, 1, &head, error);
    hf_record_free(&head);
    if (code == HF_ERR_CORRUPT || code == HF_ERR_NOT_FOUND)
        error_clear(error);
    if (code == HF_ERR_NOT_FOUND)
        return look_again(checking, name->kind, name->id, error);
    return code == HF_ERR_CORRUPT ? 0 : code;
}

static int check_names_locked(struct checking *checking, uint64_t max_rows, struct hf_error *error) {
    struct tree_keys *listed = &checking->self->listed;
    struct hf_check_cursor *cursor = checking->cursor;
    int code = list_names(checking, error);
    size_t at = find_place(listed, cursor->key);
    for (uint64_t rows = 0; code == 0 && at < listed->count && rows < max_rows; rows++, at++) {
        code = check_name(checking, &listed->items[at], error);
        tree_key(listed->items[at].kind, listed->items[at].id, cursor->key);
        cursor->done++;
        cursor->at++;
    }
    if (code || at < listed->count)
        return code;
    cursor->is_done = 1;
    tree_keys_fini(listed);
    *listed = (struct tree_keys){0};
    checking->self->is_listed = 0;
    return 0;
}

static int check_names(struct checking *checking, uint64_t max_rows, struct hf_error *error) {
    pthread_mutex_lock(&checking->self->check_lock);
    int code = check_names_locked(checking, max_rows, error);
    pthread_mutex_unlock(&checking->self->check_lock);
    return code;
}

/* ---- slices ---- */

static int check_index(struct checking *checking, uint64_t max_rows, struct hf_error *error) {
    struct tree_backend *self = checking->self;
    struct hf_check_cursor *cursor = checking->cursor;
    uint64_t files = 2 * atomic_load(&self->record_count);
    int is_first = cursor->total == 0;
    int code =
        self->inner->ops->check(self->inner, cursor, max_rows, checking->visit, checking->arg, checking->result, error);
    if (code || (!is_first && !cursor->is_done))
        return code;
    cursor->total += files;
    if (cursor->is_done) {
        cursor->is_done = 0;
        cursor->total = cursor->done + files;
        cursor->stage = PART_FILES;
        cursor->key[0] = '\0';
    }
    return 0;
}

static int check_slice(struct checking *checking, uint64_t max_rows, struct hf_error *error) {
    struct hf_check_cursor *cursor = checking->cursor;
    if (cursor->stage < PART_FILES)
        return check_index(checking, max_rows, error);
    struct tree_backend *self = checking->self;
    max_rows = max_rows == 0 ? 1 : max_rows < SLICE_MAX ? max_rows : SLICE_MAX;
    checking->threads = max_rows < FEW ? 1 : self->options.threads;
    int code = tree_workers_new(self, checking->threads, &checking->workers, error);
    if (code)
        return code;
    code =
        cursor->stage == PART_FILES ? check_files(checking, max_rows, error) : check_names(checking, max_rows, error);
    if (cursor->is_done || cursor->done > cursor->total)
        cursor->total = cursor->done;
    tree_workers_free(&checking->workers, checking->threads);
    return code;
}

int tree_check(struct store_backend *backend, struct hf_check_cursor *cursor, uint64_t max_rows, hf_finding_visit visit,
               void *arg, struct hf_check_result *result, struct hf_error *error) {
    struct hf_check_cursor next = *cursor;
    struct hf_check_result sum = *result;
    struct checking checking = {
        .self = (struct tree_backend *)backend, .cursor = &next, .visit = visit, .arg = arg, .result = &sum};
    int code = check_slice(&checking, max_rows, error);
    for (size_t i = 0; i < checking.count; i++)
        mem_free(checking.files[i].key);
    mem_free(checking.files);
    if (code)
        return code;
    *cursor = next;
    *result = sum;
    return 0;
}
