/* How the daemon, its store and its sources are. */
#include <unistd.h>

#include "api/census.h"
#include "api/handlers.h"
#include "api/health.h"
#include "store/store.h"

static void write_sources(struct json_writer *json, const struct census *census) {
    json_key(json, "sources");
    json_begin_object(json);
    json_put_i64(json, "total", (int64_t)census->total);
    for (int i = 0; i < CENSUS_STATUSES; i++) {
        if (census->by_status[i])
            json_put_i64(json, census_statuses[i], (int64_t)census->by_status[i]);
    }
    json_end_object(json);
}

static void write_store(struct json_writer *json, struct hf_store *store) {
    struct hf_error failure = {0};
    json_key(json, "store");
    json_begin_object(json);
    json_put_string(json, "status", store_health(store, &failure) == 0 ? "ok" : "failed");
    json_put_string(json, "error", failure.code ? failure.message : NULL);
    json_put_i64(json, "revision", (int64_t)hf_store_revision(store));
    json_end_object(json);
}

static void write_status(const struct api_context *context, const struct census *census, struct buf *out) {
    struct json_writer json;
    struct health_report health;
    health_look(context, &health);
    json_writer_init(&json, out, 0);
    json_begin_object(&json);
    json_put_string(&json, "version", hf_version());
    json_put_bool(&json, "daemon", context->has_supervisor);
    if (context->has_supervisor) {
        json_put_i64(&json, "pid", getpid());
        json_put_string(&json, "address", context->address);
        json_put_time(&json, "started_at", context->started_ms);
        json_put_i64(&json, "uptime_ms", os_wall_ms(context->os) - context->started_ms);
    }
    json_put_string(&json, "data", context->data_dir);
    json_put_i64(&json, "revision", (int64_t)hf_store_revision(context->store));
    write_store(&json, context->store);
    health_write(&health, &json);
    write_sources(&json, census);
    json_end_object(&json);
}

void status_handler(struct api_call *call) {
    struct census census;
    int code = census_take(call->context->store, &census, &call->error);
    if (code == 0)
        write_status(call->context, &census, &call->reply);
    handler_reply(call, code);
}
