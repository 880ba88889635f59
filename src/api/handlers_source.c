/* Sources: everything is done by run/source; here it gets a path, a status and headers. */
#include "api/handlers.h"
#include "run/source.h"

static const char *name_of(const struct api_call *call) {
    return call->parameter(call, "name");
}

static void add_location(struct api_call *call) {
    JSON_AUTO struct json_doc doc;
    BUF_AUTO struct buf location;
    json_init(&doc);
    buf_init(&location);
    if (json_read(&doc, buf_text(&call->reply), call->reply.size, NULL, NULL) != 0)
        return;
    const char *name = json_member_text(&doc, 0, "name", &call->arena);
    if (!name)
        return;
    buf_add_text(&location, "/api/v1/sources/");
    handler_add_encoded(&location, name);
    if (!location.failed)
        api_add_header(call, "Location", arena_strdup(&call->arena, buf_text(&location)));
}

void source_add_handler(struct api_call *call) {
    int code = source_add(call->context->store, call->who, call->body, call->body_bytes, &call->reply, &call->error);
    if (code == 0)
        add_location(call);
    handler_reply(call, code);
}

void source_list_handler(struct api_call *call) {
    uint64_t limit = 0;
    int code = handler_number(call, "limit", UINT32_MAX, 0, &limit);
    if (code == 0)
        code = source_list(call->context->store, call->context->unsaved, call->parameter(call, "after"), limit,
                           &call->reply, &call->error);
    if (code == 0)
        handler_add_next_name(call, limit);
    handler_reply(call, code);
}

void source_show_handler(struct api_call *call) {
    handler_reply(call,
                  source_show(call->context->store, call->context->unsaved, name_of(call), &call->reply, &call->error));
}

void source_start_handler(struct api_call *call) {
    handler_reply(call, source_want(call->context->store, call->who, name_of(call), 1, &call->reply, &call->error));
}

void source_stop_handler(struct api_call *call) {
    handler_reply(call, source_want(call->context->store, call->who, name_of(call), 0, &call->reply, &call->error));
}

void source_run_handler(struct api_call *call) {
    handler_reply(call, source_request_run(call->context->store, call->who, name_of(call), &call->reply, &call->error));
}

void source_tail_handler(struct api_call *call) {
    uint64_t count = 0;
    int code = handler_number(call, "n", UINT32_MAX, 10, &count);
    if (code == 0)
        code = source_tail(call->context->store, name_of(call), count, &call->reply, &call->error);
    handler_reply(call, code);
}

void source_runs_handler(struct api_call *call) {
    uint64_t count = 0;
    int code = handler_number(call, "n", UINT32_MAX, 10, &count);
    if (code == 0)
        code = source_runs(call->context->store, name_of(call), count, &call->reply, &call->error);
    handler_reply(call, code);
}

void source_edit_handler(struct api_call *call) {
    handler_reply(call, source_edit(call->context->store, call->who, name_of(call), call->body, call->body_bytes,
                                    &call->reply, &call->error));
}

void source_versions_handler(struct api_call *call) {
    uint64_t count = 0;
    int with_code = 0;
    int code = handler_number(call, "n", UINT32_MAX, 0, &count);
    if (code == 0)
        code = handler_bool(call, "with-code", &with_code);
    if (code == 0)
        code = source_versions(call->context->store, name_of(call), count, with_code, &call->reply, &call->error);
    handler_reply(call, code);
}

void source_rollback_handler(struct api_call *call) {
    JSON_AUTO struct json_doc doc;
    json_init(&doc);
    int code = json_read(&doc, call->body ? call->body : "", call->body_bytes, NULL, &call->error);
    int64_t version = code == 0 ? json_member_i64(&doc, 0, "version", -1) : -1;
    if (code == 0 && version < 1)
        code = error_set(&call->error, HF_ERR_INVALID, "roll back '%s': \"version\" must be a whole number from 1",
                         name_of(call));
    if (code == 0)
        code = source_rollback(call->context->store, call->who, name_of(call), version, &call->reply, &call->error);
    handler_reply(call, code);
}

void source_rm_handler(struct api_call *call) {
    handler_reply(call, source_remove(call->context->store, call->who, name_of(call), &call->reply, &call->error));
}

void source_summary_handler(struct api_call *call) {
    handler_reply(call, source_summary(call->context->store, call->context->unsaved, name_of(call), &call->reply,
                                       &call->error));
}

void source_export_handler(struct api_call *call) {
    uint64_t data = 0;
    int without_code = 0;
    int code = handler_number(call, "data", UINT32_MAX, 0, &data);
    if (code == 0)
        code = handler_bool(call, "without-code", &without_code);
    if (code == 0)
        code = source_export(call->context->store, name_of(call), !without_code, data, &call->reply, &call->error);
    handler_reply(call, code);
}

void source_import_handler(struct api_call *call) {
    int merge = 0;
    int code = handler_bool(call, "merge", &merge);
    if (code == 0)
        code = source_import(call->context->store, call->who, name_of(call), call->body ? call->body : "",
                             call->body_bytes, merge, &call->reply, &call->error);
    handler_reply(call, code);
}
