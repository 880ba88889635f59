/* How the daemon, its store and its sources are. */
#include <string.h>
#include <unistd.h>

#include "api/handlers.h"
#include "store/store.h"

enum { STATUS_KINDS = 7 };
static const char *const statuses[STATUS_KINDS] = {"running", "starting", "backoff", "stopping",
                                                   "stopped", "exited",   "fatal"};

struct census {
    uint64_t total;
    uint64_t by_status[STATUS_KINDS];
    struct json_doc doc;
};

static int count_source(void *arg, const struct hf_record *record, int code) {
    struct census *census = arg;
    (void)record;
    (void)code;
    census->total++;
    return 0;
}

static int count_status(void *arg, const struct hf_record *record, int code) {
    struct census *census = arg;
    if (code != 0 || json_read(&census->doc, record->json, record->json_bytes, NULL, NULL) != 0)
        return 0;
    uint32_t status = json_member(&census->doc, 0, "status");
    for (int i = 0; i < STATUS_KINDS; i++)
        census->by_status[i] += json_is_string(&census->doc, status, statuses[i]);
    return 0;
}

static int take_census(struct api_call *call, struct census *census) {
    int code = hf_store_scan(call->context->store, "source", NULL, 0, count_source, census, &call->error);
    if (code == 0)
        code = hf_store_scan(call->context->store, "source_state", NULL, 0, count_status, census, &call->error);
    return code;
}

static void write_sources(struct json_writer *json, const struct census *census) {
    json_key(json, "sources");
    json_begin_object(json);
    json_put_i64(json, "total", (int64_t)census->total);
    for (int i = 0; i < STATUS_KINDS; i++) {
        if (census->by_status[i])
            json_put_i64(json, statuses[i], (int64_t)census->by_status[i]);
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

void status_handler(struct api_call *call) {
    const struct api_context *context = call->context;
    struct census census = {0};
    struct json_writer json;
    json_init(&census.doc);
    int code = take_census(call, &census);
    if (code == 0) {
        json_writer_init(&json, &call->reply, 0);
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
        write_sources(&json, &census);
        json_end_object(&json);
    }
    json_fini(&census.doc);
    handler_reply(call, code);
}
