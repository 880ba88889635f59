/* What those ask who keep the daemon running: does it live, is it ready, how is it; and its numbers. */
#include "api/handlers.h"
#include "api/health.h"
#include "api/http_inside.h"
#include "api/metrics.h"
#include "store/store.h"

void live_handler(struct api_call *call) {
    call->content_type = "text/plain; charset=utf-8";
    buf_add_text(&call->reply, "ok\n");
    api_reply(call, 0);
}

void ready_handler(struct api_call *call) {
    struct json_writer json;
    int code = store_health(call->context->store, NULL);
    if (code == 0) {
        json_writer_init(&json, &call->reply, 0);
        json_begin_object(&json);
        json_put_string(&json, "status", "ok");
        json_put_string(&json, "version", hf_version());
        json_end_object(&json);
    } else {
        error_set(&call->error, code, "%s", hf_code_text(code)); /* everybody may ask: the cause is in the status */
    }
    handler_reply(call, code);
}

void health_handler(struct api_call *call) {
    struct health_report report;
    struct json_writer json;
    health_look(call->context, &report);
    json_writer_init(&json, &call->reply, 0);
    json_begin_object(&json);
    json_put_string(&json, "status", health_word(report.status));
    json_put_string(&json, "message", report.message);
    json_end_object(&json);
    if (report.status == HF_HEALTH_CRITICAL)
        call->status = 503;
    handler_reply(call, 0);
}

void metrics_handler(struct api_call *call) {
    const struct api_context *context = call->context;
    struct metrics_facts facts = {.started_ms = context->started_ms, .revision = hf_store_revision(context->store)};
    int code = census_take(context->store, &facts.census, &call->error);
    if (code == 0) {
        health_look(context, &facts.health);
        metrics_look_at_process(context->os, &facts);
        for (int i = 0; i < METRICS_REPLY_CLASSES; i++)
            facts.replies[i] = atomic_load_explicit(&context->server->replies[i], memory_order_relaxed);
        metrics_write(&facts, &call->reply);
        call->content_type = metrics_content_type;
    }
    handler_reply(call, code);
}
