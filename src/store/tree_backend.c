/* The tree backend: a readable file for each record, beside an index that holds every record whole.
 *
 * Invariants
 *  1. What was acknowledged is in the index, durably. A file is a copy that follows: nothing rests on it.
 *  2. A name in the tree leads to a whole file, old or new: what is written goes to a temporary file first, under
 *     .holdfast/staged, and is renamed. A user's folder never holds a temporary file.
 *  3. What stands in a file's place and is not what the index had is kept aside before it is overwritten or removed.
 *  4. No file behind the commit point makes a commit fail: it is pending, tried again, and told of by check.
 *  5. Every event whose file may not be on disk is behind the settled mark, and is not trimmed before the mark passed
 *     it: opening writes those files again.
 *  6. No link is followed or replaced, in any folder. */
#include "store/tree_backend.h"

#include <string.h>

#include "base/hash.h"

enum { SETTLE_AFTER = 1000 };

static struct tree_backend *self_of(struct store_backend *backend) {
    return (struct tree_backend *)backend;
}

/* ---- the writer's calls ---- */

static void count_records(struct tree_backend *self) {
    int64_t more = 0;
    for (size_t i = 0; i < self->stage.count; i++) {
        const struct tree_entry *entry = &self->stage.items[i];
        more += entry->json ? !entry->is_there : -1;
    }
    atomic_fetch_add(&self->record_count, (uint64_t)more);
}

static int tree_begin(struct store_backend *backend, struct hf_error *error) {
    struct tree_backend *self = self_of(backend);
    if (self->store_options.read_only)
        return error_set(error, HF_ERR_READ_ONLY, "the store was opened read-only");
    tree_stage_clear(self, &self->stage);
    tree_trash_empty(self, TREE_TRASH_MAX);
    self->begun_revision = self->revision;
    return self->inner->ops->begin(self->inner, error);
}

static struct tree_entry entry_of(const struct store_change *change) {
    struct tree_entry entry = {
        .kind = change->kind,
        .id = change->id,
        .json = change->what == HF_PUT ? change->json : NULL,
        .json_bytes = change->what == HF_PUT ? change->json_bytes : 0,
    };
    memcpy(entry.hash, change->hash, sizeof entry.hash);
    return entry;
}

static int stage(struct tree_backend *self, const struct store_change *change, struct hf_error *error) {
    struct tree_entry entry = entry_of(change);
    if (change->revision > self->begun_revision)
        self->begun_revision = change->revision;
    return tree_stage_add(&self->stage, &entry, error);
}

static int tree_put(struct store_backend *backend, const struct store_change *change, struct hf_error *error) {
    struct tree_backend *self = self_of(backend);
    int code = self->inner->ops->put(self->inner, change, error);
    return code ? code : stage(self, change, error);
}

/* The index has no record of a damaged file. Its deletion is to be an event like any other, so there is one for a
 * moment. */
static int remove_damaged(struct tree_backend *self, const struct store_change *change, struct hf_error *error) {
    struct store_change placeholder = *change;
    placeholder.what = HF_PUT;
    placeholder.json = "null";
    placeholder.json_bytes = 4;
    placeholder.history_keep = 0;
    hash_bytes("null", 4, placeholder.hash);
    int code = self->inner->ops->put(self->inner, &placeholder, error);
    return code ? code : self->inner->ops->remove(self->inner, change, error);
}

static int tree_remove(struct store_backend *backend, const struct store_change *change, struct hf_error *error) {
    struct tree_backend *self = self_of(backend);
    int code = self->inner->ops->remove(self->inner, change, error);
    if (code == HF_ERR_NOT_FOUND && !tree_stage_has(&self->stage, change->kind, change->id) &&
        tree_damage_find(self, change->kind, change->id, NULL))
        code = remove_damaged(self, change, error);
    return code ? code : stage(self, change, error);
}

static int tree_commit(struct store_backend *backend, struct hf_error *error) {
    struct tree_backend *self = self_of(backend);
    int code = tree_stage_write(self, &self->stage, error);
    if (code)
        return error_wrap(error, code, "write files");
    pthread_mutex_lock(&self->lock);
    code = self->inner->ops->commit(self->inner, error);
    if (code == 0) {
        self->revision = self->begun_revision;
        self->unsettled += self->stage.count;
        count_records(self);
        tree_place(self, &self->stage);
    }
    pthread_mutex_unlock(&self->lock);
    tree_stage_clear(self, &self->stage);
    return code;
}

static void tree_abort(struct store_backend *backend) {
    struct tree_backend *self = self_of(backend);
    tree_stage_clear(self, &self->stage);
    self->inner->ops->abort(self->inner);
}

/* While files are unsettled, their events are what leads back to them. */
static int tree_trim_events(struct store_backend *backend, uint64_t keep, struct hf_error *error) {
    struct tree_backend *self = self_of(backend);
    tree_settle(self);
    if (self->settled_revision != self->revision || !self->inner->ops->trim_events)
        return 0;
    return self->inner->ops->trim_events(self->inner, keep, error);
}

/* A sync of the whole file system is not worth a few files: opening writes those again in no time. */
static int tree_rest_now(struct store_backend *backend, struct hf_error *error) {
    struct tree_backend *self = self_of(backend);
    if (self->store_options.read_only)
        return 0;
    tree_trash_empty(self, 0);
    if (self->unsettled >= SETTLE_AFTER || self->pending.count)
        tree_settle(self);
    return self->inner->ops->rest_now ? self->inner->ops->rest_now(self->inner, error) : 0;
}

static int tree_compact(struct store_backend *backend, struct hf_compact_result *ret_result, struct hf_error *error) {
    struct tree_backend *self = self_of(backend);
    if (self->store_options.read_only)
        return error_set(error, HF_ERR_READ_ONLY, "the store was opened read-only");
    tree_settle(self);
    if (self->inner->ops->compact)
        return self->inner->ops->compact(self->inner, ret_result, error);
    *ret_result = (struct hf_compact_result){0};
    return 0;
}

/* ---- reading that needs no file ---- */

static int tree_history(struct store_backend *backend, const char *kind, const char *id, uint64_t limit,
                        hf_record_visit visit, void *arg, struct hf_error *error) {
    struct store_backend *inner = self_of(backend)->inner;
    return inner->ops->history(inner, kind, id, limit, visit, arg, error);
}

static int tree_events(struct store_backend *backend, uint64_t since, uint64_t limit, hf_event_visit visit, void *arg,
                       struct hf_error *error) {
    struct store_backend *inner = self_of(backend)->inner;
    return inner->ops->events(inner, since, limit, visit, arg, error);
}

/* ---- closing ---- */

static void close_fd(struct tree_backend *self, int *fd) {
    if (*fd >= 0)
        (void)os_close(self->os, *fd);
    *fd = -1;
}

static void free_backend(struct tree_backend *self) {
    tree_stage_fini(self, &self->stage);
    mem_free(self->trash.numbers);
    mem_free(self->seen);
    tree_workers_free(&self->workers, self->options.threads);
    tree_keys_fini(&self->listed);
    tree_maps_fini(self);
    close_fd(self, &self->aside_fd);
    close_fd(self, &self->staged_fd);
    close_fd(self, &self->own_fd);
    close_fd(self, &self->root_fd);
    pthread_mutex_destroy(&self->lock);
    pthread_mutex_destroy(&self->maps);
    pthread_mutex_destroy(&self->check_lock);
    tree_options_fini(&self->options);
    mem_free(self);
}

void tree_close(struct store_backend **backend) {
    struct tree_backend *self = backend ? self_of(*backend) : NULL;
    if (!self)
        return;
    if (self->inner && self->is_open && !self->store_options.read_only)
        tree_settle(self);
    tree_trash_empty(self, 0);
    if (self->inner)
        self->inner->ops->close(&self->inner);
    free_backend(self);
    *backend = NULL;
}

const struct store_backend_ops store_tree_ops = {
    .name = "tree",
    .open = tree_open,
    .close = tree_close,
    .begin = tree_begin,
    .put = tree_put,
    .remove = tree_remove,
    .commit = tree_commit,
    .abort = tree_abort,
    .get = tree_get,
    .scan = tree_scan,
    .history = tree_history,
    .events = tree_events,
    .check = tree_check,
    .trim_events = tree_trim_events,
    .rest_now = tree_rest_now,
    .compact = tree_compact,
    .mend = tree_mend,
};
