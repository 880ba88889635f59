/* States: everything is done by keep/state; here it gets a path, a status and headers. */
#include "api/handlers_state.h"

#include <string.h>

#include "api/internal_kind.h"
#include "base/text.h"

static const struct json_limits deep = {.max_depth = JSON_DEPTH_MAX}; /* a value stands inside of other members */

static const char *name_of(const struct api_call *call) {
    return call->parameter(call, "name");
}

struct state_caller state_caller_of(const struct api_call *call) {
    return (struct state_caller){.who = call->who, .pid = call->peer_pid};
}

void state_reply(struct api_call *call, int code) {
    JSON_AUTO struct json_doc doc;
    json_init(&doc);
    if (code == 0 && json_read(&doc, buf_text(&call->reply), call->reply.size, &deep, NULL) == 0) {
        const char *digest = json_member_text(&doc, 0, "digest", &call->arena);
        const char *etag = digest && digest[0] ? arena_printf(&call->arena, "\"%s\"", digest) : NULL;
        api_add_header(call, "ETag", etag);
        int is_get = text_is_equal(call->operation->method, "GET");
        if (etag && is_get && handler_is_etag_known(call->parameter(call, "if-none-match"), etag)) {
            call->status = 304;
            buf_clear(&call->reply);
        }
    }
    handler_reply(call, code);
}

int state_read_members(struct api_call *call, struct json_doc *doc, const char *const *known) {
    int code = json_read(doc, call->body ? call->body : "", call->body_bytes, NULL, &call->error);
    if (code != 0)
        return error_wrap(&call->error, code, "read the body");
    if (json_type_of(doc, 0) != JSON_OBJECT)
        return error_set(&call->error, HF_ERR_INVALID, "read the body: an object is needed");
    for (uint32_t key = json_first(doc, 0); key != JSON_NONE; key = json_after(doc, 0, key)) {
        const char *const *name = known;
        while (*name && !json_is_string(doc, key, *name))
            name++;
        if (!*name)
            return error_set(&call->error, HF_ERR_INVALID, "read the body: there is no member '%.60s' here",
                             json_to_text(doc, key, &call->arena, NULL));
    }
    return 0;
}

int state_read_moment(struct api_call *call, const char *text, int64_t *ret_ms) {
    int64_t ago_ms = 0;
    *ret_ms = 0;
    if (!text || text_to_time(text, ret_ms) == 0)
        return 0;
    if (text_to_duration_ms(text, &ago_ms) == 0) {
        *ret_ms = os_wall_ms(call->context->os) - ago_ms;
        return 0;
    }
    error_set(&call->error, HF_ERR_INVALID, "read the time '%.60s': it is none", text);
    return error_hint(&call->error, "2026-11-22T16:00:00Z, or how long ago: 90m, 2d");
}

/* ---- reading ---- */

void state_list_handler(struct api_call *call) {
    uint64_t limit = 0;
    int code = handler_number(call, "limit", UINT32_MAX, 0, &limit);
    if (code == 0)
        code = state_list(call->context->store, call->parameter(call, "after"), limit, &call->reply, &call->error);
    if (code == 0)
        handler_add_next_name(call, limit);
    handler_reply(call, code);
}

void state_show_handler(struct api_call *call) {
    handler_reply(call, state_show(call->context->store, name_of(call), &call->reply, &call->error));
}

void state_get_handler(struct api_call *call) {
    uint64_t version = 0;
    int64_t before_ms = 0;
    int code = handler_number(call, "version", INT64_MAX, 0, &version);
    if (code == 0)
        code = state_read_moment(call, call->parameter(call, "before"), &before_ms);
    if (code == 0 && version && before_ms)
        code = error_set(&call->error, HF_ERR_INVALID, "get '%s': a version and a time are both given", name_of(call));
    if (code == 0)
        code = state_get(call->context->store, name_of(call), version, before_ms, &call->reply, &call->error);
    state_reply(call, code);
}

void state_log_handler(struct api_call *call) {
    uint64_t count = 0;
    int code = handler_number(call, "n", UINT32_MAX, 0, &count);
    if (code == 0)
        code = state_log(call->context->store, name_of(call), count, &call->reply, &call->error);
    handler_reply(call, code);
}

void state_runs_handler(struct api_call *call) {
    uint64_t count = 0;
    int code = handler_number(call, "n", UINT32_MAX, 0, &count);
    if (code == 0)
        code = state_runs(call->context->store, name_of(call), count, &call->reply, &call->error);
    handler_reply(call, code);
}

void state_diff_handler(struct api_call *call) {
    uint64_t from = 0, to = 0;
    int code = handler_number(call, "from", INT64_MAX, 0, &from);
    if (code == 0)
        code = handler_number(call, "to", INT64_MAX, 0, &to);
    if (code == 0)
        code = state_diff(call->context->store, name_of(call), from, to, &call->reply, &call->error);
    handler_reply(call, code);
}

void state_export_handler(struct api_call *call) {
    int only_newest = 0;
    int code = handler_bool(call, "newest", &only_newest);
    if (code == 0)
        code = state_export(call->context->store, name_of(call), only_newest, &call->reply, &call->error);
    handler_reply(call, code);
}

/* ---- saving ---- */

typedef int (*state_verb)(struct hf_store *store, const struct state_caller *caller, const char *name, const char *body,
                          size_t body_bytes, struct buf *ret_json, struct hf_error *error);

static void save(struct api_call *call, state_verb verb) {
    struct state_caller caller = state_caller_of(call);
    struct state_body body = {.text = NULL};
    buf_init(&body.own);
    int code = state_body_of(call, &body);
    if (code == 0)
        code = verb(call->context->store, &caller, name_of(call), body.text, body.bytes, &call->reply, &call->error);
    buf_fini(&body.own);
    state_reply(call, code);
}

void state_set_handler(struct api_call *call) {
    save(call, state_set);
}

void state_merge_handler(struct api_call *call) {
    save(call, state_merge);
}

/* What is wrong otherwise with a record, state_commit says. */
static int check_record(struct api_call *call, const struct json_doc *doc, uint32_t item) {
    size_t bytes = 0;
    const char *kind = json_member_text(doc, item, "kind", &call->arena);
    int code = kind ? internal_kind_check_write(kind, &call->error) : 0;
    json_span(doc, json_member(doc, item, "doc"), &bytes);
    return code == 0 ? handler_check_document(call, bytes) : code;
}

void state_commit_handler(struct api_call *call) {
    JSON_AUTO struct json_doc doc;
    json_init(&doc);
    int code = json_read(&doc, call->body ? call->body : "", call->body_bytes, &deep, &call->error);
    if (code != 0)
        error_wrap(&call->error, code, "read the body");
    uint32_t records = code == 0 ? json_member(&doc, 0, "records") : JSON_NONE;
    if (json_type_of(&doc, records) == JSON_ARRAY) {
        uint32_t item = json_first(&doc, records);
        for (; code == 0 && item != JSON_NONE; item = json_after(&doc, records, item))
            code = check_record(call, &doc, item);
    }
    if (code == 0)
        save(call, state_commit);
    else
        handler_reply(call, code);
}

void state_import_handler(struct api_call *call) {
    struct state_caller caller = state_caller_of(call);
    int replace = 0;
    int code = handler_bool(call, "replace", &replace);
    if (code == 0)
        code = state_import(call->context->store, &caller, name_of(call), call->body ? call->body : "",
                            call->body_bytes, replace, &call->reply, &call->error);
    state_reply(call, code);
}

void state_keep_handler(struct api_call *call) {
    struct state_caller caller = state_caller_of(call);
    handler_reply(call, state_keep(call->context->store, &caller, name_of(call), call->body ? call->body : "",
                                   call->body_bytes, &call->reply, &call->error));
}
