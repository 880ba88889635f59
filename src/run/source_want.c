#include <string.h>

#include "run/source_store.h"
#include "store/store.h"

/* 0: changed, commit it; 1: it is so already; negative: why not. */
typedef int (*source_change)(struct hf_store *store, struct source_spec *spec, struct hf_error *error);

static int try_change(struct hf_store *store, const char *who, const char *name, source_change change,
                      struct hf_error *error) {
    struct source_entry entry = {.spec = NULL};
    int code = source_entry_read(store, name, &entry, error);
    if (code < 0)
        return code;
    struct hf_batch *batch = NULL;
    struct hf_change_options options = {.condition = HF_IF_REVISION, .if_revision = entry.revision};
    code = change(store, entry.spec, error);
    if (code == 0) {
        entry.spec->updated_ms = os_wall_ms(store_os(store));
        code = hf_batch_new(who, &batch, error);
        if (code == 0)
            code = source_spec_put(batch, entry.spec, &options, error);
        if (code == 0)
            code = hf_store_commit(store, &batch, NULL, error);
        hf_batch_free(&batch);
    }
    source_entry_fini(&entry);
    return code < 0 ? code : 0;
}

static int change_source(struct hf_store *store, const char *who, const char *name, source_change change,
                         struct buf *ret_json, struct hf_error *error) {
    int code = HF_ERR_PRECONDITION;
    for (int i = 0; i < SOURCE_TRIES && code == HF_ERR_PRECONDITION; i++)
        code = try_change(store, who, name, change, error);
    return code < 0 ? code : source_show(store, NULL, name, ret_json, error);
}

static int want_running(struct hf_store *store, struct source_spec *spec, struct hf_error *error) {
    struct source_state state;
    if (!spec->wanted_running) {
        spec->wanted_running = 1;
        return 0;
    }
    int code = source_state_get(store, spec->name, &state, NULL, error);
    if (code < 0)
        return code;
    if (state.status != STATUS_FATAL && state.status != STATUS_BACKOFF)
        return 1;
    spec->start_request++; /* "try again now" */
    return 0;
}

static int want_stopped(struct hf_store *store, struct source_spec *spec, struct hf_error *error) {
    (void)store;
    (void)error;
    if (!spec->wanted_running && spec->run_cancelled == spec->run_request)
        return 1;
    spec->wanted_running = 0;
    spec->run_cancelled = spec->run_request;
    return 0;
}

static int request_run(struct hf_store *store, struct source_spec *spec, struct hf_error *error) {
    (void)store;
    (void)error;
    spec->run_request++;
    return 0;
}

int source_want(struct hf_store *store, const char *who, const char *name, int running, struct buf *ret_json,
                struct hf_error *error) {
    int code = change_source(store, who, name, running ? want_running : want_stopped, ret_json, error);
    return code < 0 ? error_wrap(error, code, "%s source '%s'", running ? "start" : "stop", name) : 0;
}

int source_request_run(struct hf_store *store, const char *who, const char *name, struct buf *ret_json,
                       struct hf_error *error) {
    int code = change_source(store, who, name, request_run, ret_json, error);
    return code < 0 ? error_wrap(error, code, "run source '%s'", name) : 0;
}

/* ---- remove ----------------------------------------------------------------------------------------------------- */

static int check_idle(const struct source_spec *spec, const struct source_state *state, struct hf_error *error) {
    int is_asked = spec->run_request > state->run_request_done && spec->run_request > spec->run_cancelled;
    if (!spec->wanted_running && !is_asked && !source_state_has_child(state) && !state_has_child(state->status) &&
        state->status != STATUS_STARTING)
        return 0;
    error_set(error, HF_ERR_CONFLICT, "it is %s", spec->wanted_running ? "wanted running" : "still running");
    error_hint(error, "stop it first: holdfast source stop %s", spec->name);
    return HF_ERR_CONFLICT;
}

static int delete_if_there(struct hf_store *store, struct hf_batch *batch, const char *kind, const char *name,
                           struct hf_error *error) {
    struct hf_record *record = NULL;
    int code = hf_store_get(store, kind, name, &record, error);
    hf_record_free(&record);
    if (code == HF_ERR_NOT_FOUND)
        return 0;
    return hf_batch_delete(batch, kind, name, NULL, error); /* a damaged one, too */
}

static int commit_removal(struct hf_store *store, const char *who, const struct source_entry *entry,
                          uint64_t state_revision, struct hf_error *error) {
    static const char *const OTHERS[] = {"source_code", "source_data", "source_run"};
    struct hf_batch *batch = NULL;
    const char *name = entry->spec->name;
    struct hf_change_options source = {.condition = HF_IF_REVISION, .if_revision = entry->revision};
    struct hf_change_options state = {.condition = HF_IF_REVISION, .if_revision = state_revision};
    int code = hf_batch_new(who, &batch, error);
    if (code == 0)
        code = hf_batch_delete(batch, "source", name, &source, error);
    if (code == 0)
        code = hf_batch_delete(batch, "source_state", name, &state, error);
    for (size_t i = 0; code == 0 && i < sizeof OTHERS / sizeof OTHERS[0]; i++)
        code = delete_if_there(store, batch, OTHERS[i], name, error);
    if (code == 0)
        code = hf_store_commit(store, &batch, NULL, error);
    hf_batch_free(&batch);
    return code;
}

static int try_remove(struct hf_store *store, const char *who, const char *name, struct hf_error *error) {
    struct source_entry entry = {.spec = NULL};
    struct source_state state;
    uint64_t state_revision;
    int code = source_entry_read(store, name, &entry, error);
    if (code < 0)
        return code;
    code = source_state_get(store, name, &state, &state_revision, error);
    if (code == 0)
        code = check_idle(entry.spec, &state, error);
    if (code == 0)
        code = commit_removal(store, who, &entry, state_revision, error);
    source_entry_fini(&entry);
    return code;
}

int source_remove(struct hf_store *store, const char *who, const char *name, struct buf *ret_json,
                  struct hf_error *error) {
    int code = HF_ERR_PRECONDITION;
    for (int i = 0; i < SOURCE_TRIES && code == HF_ERR_PRECONDITION; i++)
        code = try_remove(store, who, name, error);
    if (code < 0)
        return error_wrap(error, code, "remove source '%s'", name);
    struct json_writer writer;
    json_writer_init(&writer, ret_json, 0);
    json_begin_object(&writer);
    json_put_string(&writer, "name", name);
    json_put_bool(&writer, "removed", 1);
    json_end_object(&writer);
    return ret_json->failed ? error_set(error, HF_ERR_NO_MEMORY, "remove source '%s'", name) : 0;
}
