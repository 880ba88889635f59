/* The public functions of the store: they check what they are given, and hand on to the committer or the backend. */
#include "store/store.h"

#include <semaphore.h>
#include <string.h>
#include <unistd.h>

#include "store/key.h"
#include "store/store_inside.h"
#include "store/options.h"

enum {
    MAX_DOCUMENT_BYTES = 10 << 20,
    MAX_DOCUMENT_BYTES_MAX = 900000000 /* a row of SQLite */,
    MAX_DOCUMENT_DEPTH = 128,
    EVENTS_KEEP = 100000,
};

/* ---- opening ---- */

static const struct store_backend_ops *const backends[] = {&store_memory_ops, &store_sqlite_ops, &store_tree_ops};

static int take_options(const struct hf_store_options *options, struct hf_store_options *ret_options,
                        struct hf_error *error) {
    struct hf_store_options filled = {0};
    int code = options_take(options, &filled, sizeof filled, error);
    if (code != 0)
        return code;
    if (filled.max_document_bytes > MAX_DOCUMENT_BYTES_MAX)
        return error_set(error, HF_ERR_INVALID, "max_document_bytes is %u, and at most %u are possible",
                         filled.max_document_bytes, MAX_DOCUMENT_BYTES_MAX);
    if (filled.max_document_bytes == 0)
        filled.max_document_bytes = MAX_DOCUMENT_BYTES;
    if (filled.max_document_depth == 0)
        filled.max_document_depth = MAX_DOCUMENT_DEPTH;
    if (filled.events_keep == 0)
        filled.events_keep = EVENTS_KEEP;
    *ret_options = filled;
    return 0;
}

static int open_backend(struct hf_store *store, const char *url, uint64_t *ret_revision, struct hf_error *error) {
    for (size_t i = 0; url && i < sizeof backends / sizeof backends[0]; i++) {
        size_t bytes = strlen(backends[i]->name);
        if (strncmp(url, backends[i]->name, bytes) == 0 && url[bytes] == ':')
            return backends[i]->open(store->os, url + bytes + 1, &store->options, &store->backend, ret_revision, error);
    }
    error_set(error, HF_ERR_INVALID, "no kind of store has such a URL");
    error_hint(error, "write sqlite:FILE, tree:DIR or memory:");
    return HF_ERR_INVALID;
}

static int start_committer(struct hf_store *store, const struct store_setup *setup, uint64_t revision,
                           struct hf_error *error);

static int open_parts(struct hf_store *store, const char *url, const struct hf_store_options *options,
                      const struct store_setup *setup, struct hf_error *error) {
    uint64_t revision = setup->backend_revision;
    int code = take_options(options, &store->options, error);
    if (code == 0 && !store->backend)
        code = open_backend(store, url, &revision, error);
    store->limits.max_bytes = store->options.max_document_bytes;
    store->limits.max_depth = store->options.max_document_depth;
    return code == 0 ? start_committer(store, setup, revision, error) : code;
}

int store_open(const char *url, const struct hf_store_options *options, const struct store_setup *setup,
               struct hf_store **ret_store, struct hf_error *error) {
    static const struct store_setup usual = {0};
    struct store_backend *taken = setup ? setup->backend : NULL;
    struct hf_store *store = MEM_NEW(struct hf_store);
    if (!setup)
        setup = &usual;
    if (!store) {
        if (taken)
            taken->ops->close(&taken);
        return error_set(error, HF_ERR_NO_MEMORY, "open store: memory is used up");
    }
    store->os = setup->os ? setup->os : os_real();
    store->opened_by = getpid();
    store->backend = taken;
    store->without_thread = setup->without_thread;
    history_rules_init(&store->history);
    watch_list_init(&store->watches);
    int code = open_parts(store, url, options, setup, error);
    if (code != 0) {
        hf_store_close(&store);
        return error_wrap(error, code, "open store '%s'", url ? url : "");
    }
    *ret_store = store;
    return 0;
}

int hf_store_open(const char *url, const struct hf_store_options *options, struct hf_store **ret_store,
                  struct hf_error *error) {
    return store_open(url, options, NULL, ret_store, error);
}

void hf_store_close(struct hf_store **store) {
    struct hf_store *self = store ? *store : NULL;
    if (!self)
        return;
    committer_free(&self->committer);
    if (self->backend)
        self->backend->ops->close(&self->backend);
    watch_list_fini(&self->watches);
    history_rules_fini(&self->history);
    mem_free(self);
    *store = NULL;
}

/* ---- committing ---- */

static void call_watches(void *arg, uint64_t revision) {
    struct hf_store *store = arg;
    watch_list_call(&store->watches, revision);
}

static int start_committer(struct hf_store *store, const struct store_setup *setup, uint64_t revision,
                           struct hf_error *error) {
    const struct committer_setup committer = {
        .os = store->os,
        .backend = store->backend,
        .history = &store->history,
        .revision = revision,
        .events_keep = store->options.events_keep,
        .max_group = setup->max_group,
        .max_group_bytes = setup->max_group_bytes,
        .max_queue_bytes = setup->max_queue_bytes ? setup->max_queue_bytes : store->options.max_queue_bytes,
        .without_thread = setup->without_thread,
        .committed = call_watches,
        .arg = store,
    };
    return committer_new(&committer, &store->committer, error);
}

/* What can be refused before the batch waits. */
static int prepare(struct hf_store *store, struct hf_batch *batch, struct hf_error *error) {
    if (!batch)
        return error_set(error, HF_ERR_INVALID, "commit: the batch is NULL");
    if (store->options.read_only)
        return error_set(error, HF_ERR_READ_ONLY, "commit: the store was opened to be read only");
    if (store->opened_by != getpid()) {
        error_set(error, HF_ERR_INVALID, "commit: the store was opened by process %d, before a fork",
                  (int)store->opened_by);
        error_hint(error, "open it in the child, when the parent has closed it");
        return HF_ERR_INVALID;
    }
    int code = batch_prepare(batch, &store->limits, error);
    return code == 0 ? 0 : error_wrap(error, code, "commit");
}

struct waiter {
    sem_t answered;
    int is_answered; /* for who pumps himself */
};

static void wake_waiter(struct hf_batch *batch) {
    struct waiter *waiter = batch->commit.arg;
    waiter->is_answered = 1;
    sem_post(&waiter->answered);
}

static void commit_and_wait(struct hf_store *store, struct hf_batch *batch) {
    struct waiter waiter = {.is_answered = 0};
    sem_init(&waiter.answered, 0, 0);
    batch->commit.answered = wake_waiter;
    batch->commit.arg = &waiter;
    committer_add(store->committer, batch);
    while (store->without_thread && !waiter.is_answered)
        committer_pump(store->committer);
    while (sem_wait(&waiter.answered) != 0)
        continue; /* a signal handler ran */
    sem_destroy(&waiter.answered);
}

int hf_store_commit(struct hf_store *store, struct hf_batch **batch, struct hf_commit_result *ret_result,
                    struct hf_error *error) {
    int code = prepare(store, *batch, error);
    if (code == 0) {
        commit_and_wait(store, *batch);
        code = (*batch)->commit.code;
        if (code != 0)
            error_copy(error, &(*batch)->commit.error);
        else if (ret_result)
            *ret_result = (*batch)->commit.result;
    }
    hf_batch_free(batch);
    return code;
}

static void call_done(struct hf_batch *batch) {
    const struct commit *commit = &batch->commit;
    if (commit->code == 0)
        commit->done(commit->arg, 0, &commit->result, NULL);
    else
        commit->done(commit->arg, commit->code, NULL, &commit->error);
    hf_batch_free(&batch);
}

void hf_store_commit_async(struct hf_store *store, struct hf_batch **batch, hf_commit_done done, void *arg) {
    struct hf_batch *taken = *batch;
    struct hf_error error = {0};
    *batch = NULL;
    int code = prepare(store, taken, &error);
    if (code != 0) {
        done(arg, code, NULL, &error);
        hf_batch_free(&taken);
        return;
    }
    taken->commit.answered = call_done;
    taken->commit.done = done;
    taken->commit.arg = arg;
    committer_add(store->committer, taken);
}

int hf_store_put(struct hf_store *store, const char *kind, const char *id, const char *json, size_t json_bytes,
                 struct hf_commit_result *ret_result, struct hf_error *error) {
    struct hf_batch *batch = NULL;
    int code = hf_batch_new(NULL, &batch, error);
    if (code == 0)
        code = hf_batch_put(batch, kind, id, json, json_bytes, NULL, error);
    if (code == 0)
        code = hf_store_commit(store, &batch, ret_result, error);
    hf_batch_free(&batch);
    return code;
}

int hf_store_delete(struct hf_store *store, const char *kind, const char *id, struct hf_commit_result *ret_result,
                    struct hf_error *error) {
    struct hf_batch *batch = NULL;
    int code = hf_batch_new(NULL, &batch, error);
    if (code == 0)
        code = hf_batch_delete(batch, kind, id, NULL, error);
    if (code == 0)
        code = hf_store_commit(store, &batch, ret_result, error);
    hf_batch_free(&batch);
    return code;
}

int hf_store_compact(struct hf_store *store, struct hf_compact_result *ret_result, struct hf_error *error) {
    if (store->options.read_only)
        return error_set(error, HF_ERR_READ_ONLY, "compact store: it was opened to be read only");
    int code = committer_compact(store->committer, ret_result, error);
    return code == 0 ? 0 : error_wrap(error, code, "compact store");
}

int store_pump(struct hf_store *store) {
    return committer_pump(store->committer);
}

int store_is_pumped(struct hf_store *store) {
    return store->without_thread;
}

void store_stats(struct hf_store *store, struct store_stats *ret_stats) {
    committer_stats(store->committer, ret_stats);
}

int store_mend(struct hf_store *store, const char *kind, const char *id, enum store_mend *ret_mend,
               struct buf *ret_json, uint8_t ret_if_hash[HF_HASH_BYTES], struct hf_error *error) {
    const struct store_backend_ops *ops = store->backend->ops;
    memset(ret_if_hash, 0, HF_HASH_BYTES);
    if (!ops->mend)
        return error_set(error, HF_ERR_UNSUPPORTED, "mend '%s/%s': a store of this kind keeps no files", kind, id);
    int code = ops->mend(store->backend, kind, id, ret_mend, ret_json, ret_if_hash, error);
    return code == 0 ? 0 : error_wrap(error, code, "mend '%s/%s'", kind, id);
}

int store_health(struct hf_store *store, struct hf_error *error) {
    return committer_health(store->committer, error);
}

const struct os *store_os(struct hf_store *store) {
    return store->os;
}

const struct json_limits *store_limits(struct hf_store *store) {
    return &store->limits;
}

int hf_store_keep_history(struct hf_store *store, const char *kind, uint32_t keep, struct hf_error *error) {
    int code = key_check_kind(kind, error);
    return code == 0 ? history_rules_set(&store->history, kind, keep, error) : code;
}

uint64_t hf_store_revision(struct hf_store *store) {
    return committer_revision(store->committer);
}

int hf_store_watch(struct hf_store *store, hf_store_changed changed, void *arg, struct hf_watch **ret_watch,
                   struct hf_error *error) {
    return watch_list_add(&store->watches, changed, arg, ret_watch, error);
}
