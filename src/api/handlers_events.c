/* Events: what changed since a revision. The stream of the same events is in http_stream.c. */
#include <string.h>

#include "api/event.h"
#include "api/handlers.h"
#include "base/text.h"

enum { WAIT_MAX_MS = 30000, ENOUGH = 1 };

struct event_listing {
    struct json_writer json;
    uint64_t limit, count, last_revision;
};

void event_write(struct json_writer *json, const struct hf_event *event) {
    char hash[2 * HF_HASH_BYTES + 1];
    text_hex(event->hash, HF_HASH_BYTES, hash);
    json_begin_object(json);
    json_put_i64(json, "revision", (int64_t)event->revision);
    json_put_string(json, "what", event->what == HF_PUT ? "put" : "delete");
    json_put_string(json, "kind", event->kind);
    json_put_string(json, "id", event->id);
    json_put_string(json, "hash", event->what == HF_PUT ? hash : NULL);
    json_put_time(json, "at", event->at_ms);
    json_put_string(json, "who", event->who);
    json_end_object(json);
}

/* The changes of one revision stay together: who goes on from the last revision must not miss the rest of it. */
static int visit_event(void *arg, const struct hf_event *event) {
    struct event_listing *listing = arg;
    if (listing->limit && listing->count >= listing->limit && event->revision != listing->last_revision)
        return ENOUGH;
    if (listing->json.out->failed || listing->json.out->size > REPLY_MAX_BYTES)
        return ENOUGH;
    event_write(&listing->json, event);
    listing->last_revision = event->revision;
    listing->count++;
    return 0;
}

static int read_wait(struct api_call *call, int64_t *ret_wait_ms) {
    const char *text = call->parameter(call, "wait");
    int64_t wait_ms = 0;
    if (text && (text_to_duration_ms(text, &wait_ms) != 0 || wait_ms > WAIT_MAX_MS))
        return error_set(&call->error, HF_ERR_INVALID, "read 'wait=%s': a duration of at most 30s is needed", text);
    *ret_wait_ms = wait_ms;
    return 0;
}

void store_events_handler(struct api_call *call) {
    struct event_listing listing = {0};
    uint64_t since = 0, revision = hf_store_revision(call->context->store);
    int64_t wait_ms = 0;
    int code = handler_number(call, "since", INT64_MAX, 0, &since);
    if (code == 0)
        code = handler_number(call, "limit", UINT32_MAX, 0, &listing.limit);
    if (code == 0)
        code = read_wait(call, &wait_ms);
    if (code == 0 && since >= revision && wait_ms > 0 && call->wait && !call->waited) {
        call->wait(call, since > revision ? since : revision, wait_ms);
        return;
    }
    if (code == 0) {
        json_writer_init(&listing.json, &call->reply, 0);
        json_begin_array(&listing.json);
        code = hf_store_events(call->context->store, since, 0, visit_event, &listing, &call->error);
        json_end_array(&listing.json);
    }
    if (code >= 0) {
        uint64_t seen = listing.count ? listing.last_revision : since;
        handler_add_revision(call, seen);
        code = 0;
    }
    handler_reply(call, code);
}
