/* The settled mark: up to which revision the files are known to be on disk; and what is done about the rest.
 *
 * Invariants
 *  1. The mark is moved to a revision only when no file is pending, and behind a sync of the whole file system that
 *     worked and began after the last rename.
 *  2. After a sync that failed it is not moved any more while the store is open: a later one would say yes for what
 *     the earlier one lost.
 *  3. Opening writes the files of every event behind the mark anew, right or not: what the page cache shows may never
 *     have reached the disk.
 *  4. The mark is replaced whole; one that is torn or not ours is none. Without a mark every record is behind it. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "store/tree_backend.h"

#define MARK_NAME   "settled"
#define MARK_FORMAT "holdfast tree 1 revision %" PRIu64 " at_ns %" PRId64 " taking %d layout %s"
enum { MARK_BYTES = 256, MARK_MODE = 0600 };

/* ---- the mark ---- */

static const char *const layouts[] = {[TREE_LAYOUT_KIND] = "kind", [TREE_LAYOUT_WATCH] = "watch"};

static size_t write_text(const struct tree_mark *mark, char ret_text[MARK_BYTES]) {
    int bytes = snprintf(ret_text, MARK_BYTES, MARK_FORMAT, mark->revision, mark->at_ns, mark->is_taking,
                         layouts[mark->layout]);
    uint64_t sum = hash64(ret_text, (size_t)bytes, 0);
    return (size_t)(bytes + snprintf(ret_text + bytes, MARK_BYTES - (size_t)bytes, " sum %016" PRIx64 "\n", sum));
}

/* Read, then written again: only the same text is believed, its sum with it. */
static int read_text(const char *text, struct tree_mark *ret_mark) {
    struct tree_mark mark = {.is_there = 1};
    char layout[8], again[MARK_BYTES];
    if (sscanf(text, "holdfast tree 1 revision %" SCNu64 " at_ns %" SCNd64 " taking %d layout %7s", &mark.revision,
               &mark.at_ns, &mark.is_taking, layout) != 4)
        return -1;
    mark.layout = strcmp(layout, layouts[TREE_LAYOUT_WATCH]) == 0 ? TREE_LAYOUT_WATCH : TREE_LAYOUT_KIND;
    write_text(&mark, again);
    if (strcmp(text, again) != 0)
        return -1;
    *ret_mark = mark;
    return 0;
}

int tree_mark_read(struct tree_backend *self, struct tree_mark *ret_mark, struct hf_error *error) {
    struct buf text BUF_AUTO;
    buf_init(&text);
    *ret_mark = (struct tree_mark){.layout = self->options.layout};
    int code = file_read(self->os, self->own_fd, MARK_NAME, MARK_BYTES, &text, error);
    if (code == HF_ERR_NOT_FOUND || code == HF_ERR_TOO_LARGE) {
        error_clear(error);
        return 0;
    }
    if (code == 0)
        (void)read_text(buf_text(&text), ret_mark);
    return code;
}

static int make_mark_file(struct tree_backend *self, const char *name) {
    return OS_AGAIN(os_open(self->os, self->staged_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, MARK_MODE));
}

int64_t tree_clock_ns(struct tree_backend *self, int64_t fallback_ns) {
    struct stat stat;
    char name[TREE_TEMPORARY_BYTES];
    tree_temporary_name(self, tree_temporary_number(self), name);
    int fd = make_mark_file(self, name);
    if (fd < 0)
        return fallback_ns;
    int result = OS_AGAIN(os_fstat(self->os, fd, &stat));
    (void)os_close(self->os, fd);
    (void)OS_AGAIN(os_unlink(self->os, self->staged_fd, name, 0));
    return result == 0 ? tree_ctime_ns(&stat) : fallback_ns;
}

static int fill_mark_file(struct tree_backend *self, int fd, const struct tree_mark *mark) {
    char text[MARK_BYTES];
    size_t bytes = write_text(mark, text);
    int result = file_pwrite_full(self->os, fd, text, bytes, 0);
    return result == 0 ? OS_AGAIN(os_fsync(self->os, fd)) : result;
}

static int replace_mark(struct tree_backend *self, const char *name, const struct tree_mark *mark, int with_sync) {
    int fd = make_mark_file(self, name), result = fd < 0 ? fd : 0;
    if (result == 0 && with_sync) {
        result = OS_AGAIN(os_syncfs(self->os, self->own_fd));
        if (result != 0)
            atomic_store(&self->cannot_settle, 1);
    }
    if (result == 0)
        result = fill_mark_file(self, fd, mark);
    if (fd >= 0)
        (void)os_close(self->os, fd);
    if (result == 0)
        result = OS_AGAIN(os_rename(self->os, self->staged_fd, name, self->own_fd, MARK_NAME, 0));
    if (result != 0 && fd >= 0)
        (void)OS_AGAIN(os_unlink(self->os, self->staged_fd, name, 0));
    return result == 0 ? OS_AGAIN(os_fsync(self->os, self->own_fd)) : result;
}

int tree_mark_write(struct tree_backend *self, const struct tree_mark *mark, int with_sync, struct hf_error *error) {
    char name[TREE_TEMPORARY_BYTES];
    struct tree_mark written = *mark;
    written.at_ns = self->looked_ns;
    tree_temporary_name(self, tree_temporary_number(self), name);
    int result = replace_mark(self, name, &written, with_sync);
    return result == 0 ? 0 : error_set_errno(error, result, "write '" TREE_OWN_FOLDER "/" MARK_NAME "'");
}

/* ---- files of given keys ---- */

/* What the index has of a key: a record, nothing (the file is to go), or damage (left alone). */
static int stage_key(struct tree_backend *self, struct tree_stage *stage, const char *key, size_t *bytes,
                     struct hf_error *error) {
    char copy[TREE_KEY_BYTES];
    const char *kind, *id;
    struct hf_record *record = NULL;
    memcpy(copy, key, strlen(key) + 1);
    tree_key_split(copy, &kind, &id);
    int code = self->inner->ops->get(self->inner, STORE_COMMITTED, kind, id, 0, &record, error);
    if (code == HF_ERR_CORRUPT) {
        error_clear(error);
        return 0;
    }
    if (code == HF_ERR_NOT_FOUND) {
        const struct hf_record gone = {.kind = kind, .id = id, .who = ""};
        error_clear(error);
        code = store_record_copy(&gone, &record, error);
    }
    if (code)
        return code;
    struct tree_entry entry = {.kind = record->kind,
                               .id = record->id,
                               .json = record->json,
                               .json_bytes = record->json_bytes,
                               .owned = record};
    memcpy(entry.hash, record->hash, sizeof entry.hash);
    *bytes += record->json_bytes;
    code = tree_stage_add(stage, &entry, error);
    if (code)
        hf_record_free(&record);
    return code;
}

static int write_staged(struct tree_backend *self, struct tree_stage *stage, struct hf_error *error) {
    int code = tree_stage_write(self, stage, error);
    if (code)
        return code;
    self->unsettled += stage->count;
    pthread_mutex_lock(&self->lock);
    tree_place(self, stage);
    pthread_mutex_unlock(&self->lock);
    tree_stage_clear(self, stage);
    return 0;
}

/* What cannot be written now is written when there is room again: the index has it. */
static void put_off(struct tree_backend *self, const struct vec *keys, size_t first, size_t end,
                    const struct hf_error *why) {
    for (size_t i = first; i < end; i++) {
        char copy[TREE_KEY_BYTES];
        const char *kind, *id, *key = keys->items[i];
        memcpy(copy, key, strlen(key) + 1);
        tree_key_split(copy, &kind, &id);
        tree_pending_set(self, kind, id, why->message);
    }
}

int tree_write_keys(struct tree_backend *self, const struct vec *keys, int is_anew, struct hf_error *error) {
    struct tree_stage stage;
    size_t bytes = 0, first = 0;
    int code = 0;
    tree_stage_init(&stage, self, self->workers, self->options.threads);
    stage.is_anew = is_anew;
    for (size_t i = 0; i < keys->count && code == 0; i++) {
        code = stage_key(self, &stage, keys->items[i], &bytes, error);
        if (code == 0 && (bytes >= TREE_BATCH_BYTES || stage.count >= TREE_BATCH_COUNT || i + 1 == keys->count)) {
            struct hf_error why = {0};
            code = write_staged(self, &stage, &why);
            if (store_code_is_soft(code) && code != HF_ERR_NO_MEMORY) {
                put_off(self, keys, first, i + 1, &why);
                code = 0;
            }
            if (code)
                error_copy(error, &why);
            self->is_anew |= is_anew && tree_pending_count(self);
            bytes = 0;
            first = i + 1;
        }
    }
    tree_stage_fini(self, &stage);
    return code;
}

/* ---- settling ---- */

static void retry_pending(struct tree_backend *self) {
    struct vec keys;
    vec_init(&keys);
    (void)tree_folders_again(self, NULL);
    if (tree_pending_keys(self, &keys, NULL) == 0)
        (void)tree_write_keys(self, &keys, self->is_anew, NULL);
    tree_key_vec_fini(&keys);
    self->is_anew = self->is_anew && tree_pending_count(self);
}

void tree_settle(struct tree_backend *self) {
    if (tree_pending_count(self))
        retry_pending(self);
    if (self->settled_revision == self->revision && self->unsettled == 0)
        return;
    if (tree_pending_count(self) || atomic_load(&self->cannot_settle))
        return;
    const struct tree_mark mark = {.revision = self->revision, .layout = self->options.layout};
    if (tree_mark_write(self, &mark, 1, NULL) != 0)
        return;
    self->settled_revision = self->revision;
    self->unsettled = 0;
}

/* ---- recovery ---- */

struct behind {
    struct map keys;
    int is_full; /* of memory */
};

static int add_behind(struct behind *behind, const char *kind, const char *id) {
    char key[TREE_KEY_BYTES];
    tree_key(kind, id, key);
    behind->is_full = map_set(&behind->keys, key, strlen(key), behind, NULL) != 0;
    return behind->is_full;
}

static int add_event(void *arg, const struct hf_event *event) {
    return add_behind(arg, event->kind, event->id);
}

static int add_record(void *arg, const struct hf_record *record, int code) {
    return code ? 0 : add_behind(arg, record->kind, record->id);
}

/* What was committed behind the mark: by the events when they go back so far, else everything. */
static int list_behind(struct tree_backend *self, const struct tree_mark *mark, struct behind *behind,
                       struct hf_error *error) {
    const struct store_range all = {.kind = NULL};
    struct store_backend *inner = self->inner;
    int code = HF_ERR_COMPACTED;
    if (mark->is_there)
        code = inner->ops->events(inner, mark->revision, 0, add_event, behind, error);
    if (code == HF_ERR_COMPACTED || code == HF_ERR_CORRUPT) {
        error_clear(error);
        code = inner->ops->scan(inner, &all, add_record, behind, error);
    }
    return behind->is_full ? error_no_memory(error) : code;
}

static int write_behind(struct tree_backend *self, const struct behind *behind, struct hf_error *error) {
    struct map_entry *entry;
    struct vec keys;
    size_t position = 0;
    int code = 0;
    vec_init(&keys);
    while (code == 0 && (entry = map_next(&behind->keys, &position)) != NULL)
        if (vec_push(&keys, entry->key) != 0)
            code = error_no_memory(error);
    if (code == 0)
        code = tree_write_keys(self, &keys, 1, error);
    vec_fini(&keys);
    return code;
}

int tree_recover(struct tree_backend *self, const struct tree_mark *mark, struct hf_error *error) {
    struct behind behind = {.is_full = 0};
    if (mark->is_there && mark->revision >= self->revision)
        return 0;
    map_init(&behind.keys);
    int code = list_behind(self, mark, &behind, error);
    if (code == 0 && behind.keys.count)
        code = write_behind(self, &behind, error);
    map_fini(&behind.keys);
    return code ? error_wrap(error, code, "write files that were committed before") : 0;
}
