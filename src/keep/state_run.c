/* The begin of a run: it takes the lease, and gets the state. */
#include <string.h>

#include "keep/state_verb.h"
#include "store/store.h"

enum { COMMAND_MAX = 64 << 10 }; /* bytes of JSON */

struct beginning {
    struct hf_store *store;
    struct state_claim claim;
    struct arena arena;
    int enters_skipped;            /* in the ledger, when it cannot begin */
    struct state_version *version; /* what the run begins with; NULL: nothing was saved */
};

static int read_overlap(struct beginning *beginning, const struct json_doc *doc, struct hf_error *error) {
    const char *on_overlap = "fail", *overlap = "";
    int code = state_body_text(doc, 0, "on_overlap", &beginning->arena, &on_overlap, error);
    if (code == 0)
        code = state_body_text(doc, 0, "overlap", &beginning->arena, &overlap, error);
    if (code < 0)
        return code;
    beginning->claim.steal = strcmp(on_overlap, "steal") == 0;
    beginning->enters_skipped = strcmp(overlap, "skip") == 0;
    if (!beginning->claim.steal && strcmp(on_overlap, "fail") != 0)
        return error_set(error, HF_ERR_INVALID, "field 'on_overlap' must be fail or steal, not '%.40s'", on_overlap);
    if (!beginning->enters_skipped && overlap[0])
        return error_set(error, HF_ERR_INVALID, "field 'overlap' must be skip, not '%.40s'", overlap);
    return 0;
}

static int read_command(struct beginning *beginning, const struct json_doc *doc, struct hf_error *error) {
    uint32_t command = json_member(doc, 0, "command");
    size_t bytes;
    const char *span = json_span(doc, command, &bytes);
    if (json_type_of(doc, command) == JSON_NULL)
        return 0;
    int is_list = json_type_of(doc, command) == JSON_ARRAY && bytes <= COMMAND_MAX;
    for (uint32_t word = json_first(doc, command); is_list && word != JSON_NONE; word = json_after(doc, command, word))
        is_list = json_type_of(doc, word) == JSON_STRING;
    if (!is_list)
        return error_set(error, HF_ERR_INVALID, "field 'command' must be a list of texts, of at most %d bytes",
                         COMMAND_MAX);
    beginning->claim.command_json = arena_strndup(&beginning->arena, span, bytes);
    return beginning->claim.command_json ? 0 : error_no_memory(error);
}

static int read_beginning(struct beginning *beginning, const char *body, size_t body_bytes, struct hf_error *error) {
    static const char *const KNOWN[] = {"on_overlap",   "overlap", "ttl_ms", "pid",
                                        "scheduled_at", "command", "reason", NULL};
    struct state_claim *claim = &beginning->claim;
    JSON_AUTO struct json_doc doc;
    json_init(&doc);
    int code = state_body_read_plain(&doc, body, body_bytes, KNOWN, error);
    if (code == 0)
        code = read_overlap(beginning, &doc, error);
    if (code == 0)
        code = state_body_number(&doc, 0, "ttl_ms", 0, &claim->ttl_ms, error);
    if (code == 0)
        code = state_body_number(&doc, 0, "pid", 0, &claim->pid, error);
    if (code == 0)
        code = state_body_time(&doc, 0, "scheduled_at", &claim->scheduled_at_ms, error);
    if (code == 0)
        code = state_body_text(&doc, 0, "reason", &beginning->arena, &claim->reason, error);
    return code == 0 ? read_command(beginning, &doc, error) : code;
}

/* A state that is damaged is not begun with: nothing is taken then. */
static int begin(void *arg, struct state_head *head, struct hf_batch *batch, struct hf_error *error) {
    struct beginning *beginning = arg;
    int code = 0;
    state_version_free(&beginning->version);
    if (head->newest.version > 0)
        code = state_read_newest(beginning->store, head, &beginning->version, error);
    if (code == STATE_OVERTAKEN)
        return 0; /* the commit fails, and all begins again */
    return code == 0 ? state_lease_take(beginning->store, head, batch, &beginning->claim, error) : code;
}

static int skip(void *arg, struct state_head *head, struct hf_batch *batch, struct hf_error *error) {
    struct beginning *beginning = arg;
    const struct state_claim *claim = &beginning->claim;
    struct state_run run;
    state_run_init(&run);
    run.outcome = "skipped";
    run.reason = claim->reason ? claim->reason : "";
    run.who = claim->who ? claim->who : "";
    run.host = claim->host;
    run.command_json = claim->command_json;
    run.pid = claim->pid;
    run.scheduled_at_ms = claim->scheduled_at_ms;
    run.started_at_ms = run.ended_at_ms = os_wall_ms(store_os(beginning->store));
    run.version_before = run.version_after = head->newest.version;
    return state_run_enter(beginning->store, head, batch, &run, error);
}

static int write_beginning(const struct beginning *beginning, const struct state_head *head, struct buf *ret_json,
                           struct hf_error *error) {
    const struct state_version *version = beginning->version;
    struct json_writer json;
    json_writer_init(&json, ret_json, 0);
    json_begin_object(&json);
    json_put_string(&json, "name", head->name);
    json_put_string(&json, "run", head->lease.run);
    json_put_i64(&json, "number", (int64_t)head->lease.fence);
    json_put_i64(&json, "fence", (int64_t)head->lease.fence);
    if (version) {
        json_put_i64(&json, "version", (int64_t)version->meta.version);
        json_put_string(&json, "form", version->meta.is_json ? "json" : "bytes");
        state_value_write(&json, version->bytes, version->meta.size, version->meta.is_json);
    }
    json_end_object(&json);
    return ret_json->failed ? error_no_memory(error) : 0;
}

/* What keeps the run from beginning stays the error, unless it cannot be entered that it was skipped. */
static int begin_or_skip(struct beginning *beginning, const char *name, struct buf *ret_json, struct hf_error *error) {
    struct state_head head;
    struct hf_error why = {0};
    struct state_change change = {
        .store = beginning->store, .name = name, .who = beginning->claim.who, .change = begin, .arg = beginning};
    int code = state_change_commit(&change, &head, &why);
    if (code == 0) {
        code = write_beginning(beginning, &head, ret_json, error);
        state_head_fini(&head);
        return code;
    }
    if (code == HF_ERR_CONFLICT && beginning->enters_skipped) {
        change.change = skip;
        int skipped = state_change_commit(&change, NULL, error);
        if (skipped < 0)
            return skipped;
    }
    error_copy(error, &why);
    return code;
}

int state_run_begin(struct hf_store *store, const struct state_caller *caller, const char *name, const char *body,
                    size_t body_bytes, struct buf *ret_json, struct hf_error *error) {
    struct beginning beginning = {.store = store, .claim = {.who = caller->who, .pid = caller->pid}};
    arena_init(&beginning.arena);
    int code = read_beginning(&beginning, body, body_bytes, error);
    if (code == 0)
        code = state_claim_identify(store, &beginning.claim, error);
    if (code == 0)
        code = begin_or_skip(&beginning, name, ret_json, error);
    state_version_free(&beginning.version);
    arena_fini(&beginning.arena);
    return code < 0 ? error_wrap(error, code, "begin run of state '%s'", name) : 0;
}
