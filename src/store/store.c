/* The public functions of the store: they check what they are given, and hand on to the committer or the backend. */
#include "store/store.h"

#include <semaphore.h>
#include <string.h>

#include "store/committer.h"
#include "store/key.h"
#include "store/watch.h"

enum {
    MAX_DOCUMENT_BYTES = 10 << 20,
    MAX_DOCUMENT_BYTES_MAX = 900000000 /* a row of SQLite */,
    MAX_DOCUMENT_DEPTH = 128,
    EVENTS_KEEP = 100000
};

struct hf_store {
    const struct os *os;
    struct hf_store_options options; /* with the defaults filled in */
    struct json_limits limits;
    int without_thread;
    struct store_backend *backend;
    struct history_rules history;
    struct watch_list watches;
    struct committer *committer;
};

/* ---- opening ---- */

static const struct store_backend_ops *const backends[] = {&store_memory_ops, &store_sqlite_ops};

static int take_options(const struct hf_store_options *options, struct hf_store_options *ret_options,
                        struct hf_error *error) {
    struct hf_store_options filled = {0};
    if (options && (options->struct_bytes < sizeof options->struct_bytes || options->struct_bytes > sizeof filled))
        return error_set(error, HF_ERR_INVALID, "struct_bytes of the options is %u, and at most %zu are known",
                         options->struct_bytes, sizeof filled);
    if (options)
        memcpy(&filled, options, options->struct_bytes);
    filled.struct_bytes = sizeof filled;
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
    error_hint(error, "write sqlite:FILE or memory:");
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

int store_pump(struct hf_store *store) {
    return committer_pump(store->committer);
}

int store_health(struct hf_store *store, struct hf_error *error) {
    return committer_health(store->committer, error);
}

const struct os *store_os(struct hf_store *store) {
    return store->os;
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

/* ---- reading ---- */

int hf_store_get(struct hf_store *store, const char *kind, const char *id, struct hf_record **ret_record,
                 struct hf_error *error) {
    int code = key_check(kind, id, error);
    if (code != 0)
        return code;
    code = store->backend->ops->get(store->backend, STORE_COMMITTED, kind, id, 0, ret_record, error);
    return code == 0 ? 0 : error_wrap(error, code, "get '%s/%s'", kind, id);
}

/* A walk ends with an error of the backend, or with what the caller's visit returned: only the first is told of. */
static int end_walk(int code, struct hf_error *found, const char *what, struct hf_error *error) {
    if (found->code != 0) {
        error_wrap(found, found->code, "%s", what);
        error_copy(error, found);
    }
    return code;
}

int hf_store_scan(struct hf_store *store, const char *kind, const char *after, uint64_t limit, hf_record_visit visit,
                  void *arg, struct hf_error *error) {
    struct hf_error found = {0};
    if (!kind && after)
        return error_set(error, HF_ERR_INVALID, "scan: 'after' needs a kind");
    int code = kind ? key_check_kind(kind, error) : 0;
    if (code != 0)
        return code;
    code = store->backend->ops->scan(store->backend, kind, after, limit, visit, arg, &found);
    return end_walk(code, &found, "scan", error);
}

int hf_store_history(struct hf_store *store, const char *kind, const char *id, uint64_t limit, hf_record_visit visit,
                     void *arg, struct hf_error *error) {
    struct hf_error found = {0};
    int code = key_check(kind, id, error);
    if (code != 0)
        return code;
    code = store->backend->ops->history(store->backend, kind, id, limit, visit, arg, &found);
    return end_walk(code, &found, "read history", error);
}

int hf_store_events(struct hf_store *store, uint64_t since, uint64_t limit, hf_event_visit visit, void *arg,
                    struct hf_error *error) {
    struct hf_error found = {0};
    int code = store->backend->ops->events(store->backend, since, limit, visit, arg, &found);
    return end_walk(code, &found, "read events", error);
}

int hf_store_check(struct hf_store *store, hf_finding_visit visit, void *arg, struct hf_check_result *ret_result,
                   struct hf_error *error) {
    struct hf_error found = {0};
    int code = store->backend->ops->check(store->backend, visit, arg, ret_result, &found);
    return end_walk(code, &found, "check store", error);
}
