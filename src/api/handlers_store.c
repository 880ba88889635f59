/* Reading records. */
#include <string.h>

#include "api/handlers.h"
#include "api/internal_kind.h"
#include "base/text.h"

enum { LIST_STOPPED = 1, FINDINGS_SHOWN = 1000 };

static int is_etag_known(const char *etags, const char *etag) {
    if (!etags)
        return 0;
    if (strcmp(etags, "*") == 0)
        return 1;
    const char *found = strstr(etags, etag);
    return found != NULL && (found == etags || strchr(" ,/", found[-1]) != NULL);
}

static int reply_document(struct api_call *call, const struct hf_record *record) {
    handler_add_etag(call, record->hash);
    handler_add_revision(call, record->revision);
    if (is_etag_known(call->parameter(call, "if-none-match"), call->headers[0].value))
        call->status = 304;
    else
        buf_add(&call->reply, record->json, record->json_bytes);
    return 0;
}

struct version_search {
    struct api_call *call;
    uint64_t revision;
    int code; /* HF_ERR_NOT_FOUND until it was found */
};

static int visit_version(void *arg, const struct hf_record *record, int code) {
    struct version_search *search = arg;
    if (record->revision != search->revision)
        return 0;
    if (code != 0)
        search->code = error_set(&search->call->error, code, "read revision %llu of '%s': it is damaged",
                                 (unsigned long long)record->revision, record->id);
    else if (record->json)
        search->code = reply_document(search->call, record);
    return LIST_STOPPED;
}

static int get_version(struct api_call *call, const char *kind, const char *id, uint64_t revision) {
    struct version_search search = {call, revision, HF_ERR_NOT_FOUND};
    int code = hf_store_history(call->context->store, kind, id, 0, visit_version, &search, &call->error);
    if (code < 0)
        return code;
    if (search.code == HF_ERR_NOT_FOUND) {
        error_set(&call->error, HF_ERR_NOT_FOUND, "get '%s/%s': revision %llu is not kept", kind, id,
                  (unsigned long long)revision);
        error_hint(&call->error, "store history lists what is kept");
    }
    return search.code;
}

static int get_newest(struct api_call *call, const char *kind, const char *id) {
    struct hf_record *record = NULL;
    int code = hf_store_get(call->context->store, kind, id, &record, &call->error);
    if (code == 0)
        code = reply_document(call, record);
    hf_record_free(&record);
    return code;
}

void store_get_handler(struct api_call *call) {
    const char *kind = call->parameter(call, "kind");
    const char *id = call->parameter(call, "id");
    uint64_t revision = 0;
    int code = internal_kind_check_read(kind, &call->error);
    if (code == 0)
        code = handler_number(call, "revision", INT64_MAX, 0, &revision);
    if (code == 0)
        code = revision ? get_version(call, kind, id, revision) : get_newest(call, kind, id);
    handler_reply(call, code);
}

struct listing {
    struct api_call *call;
    struct json_writer json;
    uint64_t limit, count; /* limit 0: all */
    char last[HF_ID_MAX + 1];
    int has_more;
};

static void write_record(struct json_writer *json, const struct hf_record *record, int code) {
    char hash[2 * HF_HASH_BYTES + 1];
    text_hex(record->hash, HF_HASH_BYTES, hash);
    json_begin_object(json);
    json_put_string(json, "kind", record->kind);
    json_put_string(json, "id", record->id);
    json_put_i64(json, "revision", (int64_t)record->revision);
    json_put_string(json, "hash", record->json || code != 0 ? hash : NULL);
    json_put_time(json, "created_at", record->created_ms);
    json_put_time(json, "updated_at", record->updated_ms);
    json_put_string(json, "who", record->who);
    if (code != 0)
        json_put_bool(json, "damaged", 1);
    json_key(json, "doc");
    if (record->json && code == 0)
        json_raw(json, record->json, record->json_bytes);
    else
        json_null(json);
    json_end_object(json);
}

static int visit_record(void *arg, const struct hf_record *record, int code) {
    struct listing *listing = arg;
    if (listing->limit && listing->count == listing->limit) {
        listing->has_more = 1;
        return LIST_STOPPED;
    }
    if (listing->call->reply.failed || listing->call->reply.size > REPLY_MAX_BYTES)
        return LIST_STOPPED;
    write_record(&listing->json, record, code);
    strncpy(listing->last, record->id, HF_ID_MAX);
    listing->count++;
    return 0;
}

void store_list_handler(struct api_call *call) {
    const char *kind = call->parameter(call, "kind");
    struct listing listing = {.call = call};
    int code = internal_kind_check_read(kind, &call->error);
    if (code == 0)
        code = handler_number(call, "limit", UINT32_MAX, 0, &listing.limit);
    if (code == 0) {
        json_writer_init(&listing.json, &call->reply, 0);
        json_begin_array(&listing.json);
        code = hf_store_scan(call->context->store, kind, call->parameter(call, "after"),
                             listing.limit ? listing.limit + 1 : 0, visit_record, &listing, &call->error);
        json_end_array(&listing.json);
    }
    if (code >= 0 && listing.has_more)
        handler_add_next(call, arena_printf(&call->arena, "/api/v1/records/%s", kind), listing.last, listing.limit);
    handler_reply(call, code < 0 ? code : 0);
}

void store_history_handler(struct api_call *call) {
    const char *kind = call->parameter(call, "kind");
    struct listing listing = {.call = call};
    int code = internal_kind_check_read(kind, &call->error);
    if (code == 0)
        code = handler_number(call, "limit", UINT32_MAX, 0, &listing.limit);
    if (code == 0) {
        json_writer_init(&listing.json, &call->reply, 0);
        json_begin_array(&listing.json);
        code = hf_store_history(call->context->store, kind, call->parameter(call, "id"), listing.limit, visit_record,
                                &listing, &call->error);
        json_end_array(&listing.json);
    }
    handler_reply(call, code < 0 ? code : 0);
}

static void visit_finding(void *arg, const struct hf_finding *finding) {
    struct listing *listing = arg;
    if (listing->count++ >= FINDINGS_SHOWN)
        return;
    json_begin_object(&listing->json);
    json_put_string(&listing->json, "kind", finding->kind);
    json_put_string(&listing->json, "id", finding->id);
    json_put_string(&listing->json, "what", finding->what);
    json_put_string(&listing->json, "text", finding->text);
    json_end_object(&listing->json);
}

void store_check_handler(struct api_call *call) {
    BUF_AUTO struct buf findings;
    struct listing listing = {.call = call};
    struct hf_check_result result = {0};
    struct json_writer json;
    buf_init(&findings);
    json_writer_init(&listing.json, &findings, 0);
    json_begin_array(&listing.json);
    int code = hf_store_check(call->context->store, visit_finding, &listing, &result, &call->error);
    json_end_array(&listing.json);
    if (code == 0 && findings.failed)
        code = error_set(&call->error, HF_ERR_NO_MEMORY, "check the store: list what was found");
    if (code == 0) {
        json_writer_init(&json, &call->reply, 0);
        json_begin_object(&json);
        json_put_bool(&json, "clean", result.findings == 0);
        json_put_i64(&json, "records", (int64_t)result.records);
        json_put_i64(&json, "history", (int64_t)result.history);
        json_put_i64(&json, "events", (int64_t)result.events);
        json_put_i64(&json, "finding_count", (int64_t)result.findings);
        json_put_raw(&json, "findings", buf_text(&findings), findings.size);
        json_end_object(&json);
    }
    handler_reply(call, code);
}
