/* Reading records. */
#include <stdio.h>
#include <string.h>

#include "api/handlers.h"
#include "api/internal_kind.h"
#include "api/record_row.h"
#include "base/text.h"

enum {
    LIST_STOPPED = 1,
    PAGE_BYTES = 8 << 20, /* a page that is so large ends, however few records it has */
};

static int reply_document(struct api_call *call, const struct hf_record *record) {
    handler_add_etag(call, record->hash);
    handler_add_revision(call, record->revision);
    if (handler_is_etag_known(call->parameter(call, "if-none-match"), call->headers[0].value))
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

/* ---- lists ---- */

struct listing {
    struct api_call *call;
    const char *kind; /* NULL: all that may be read */
    struct json_writer json;
    uint64_t limit, count; /* limit 0: all */
    int is_history, has_more;
    char last[HF_KIND_MAX + HF_ID_MAX + 2]; /* what the next page begins behind */
};

const char *store_explain_damage(struct hf_store *store, const struct hf_record *record, int code,
                                 struct hf_error *scratch) {
    struct hf_record *again = NULL;
    char front[HF_KIND_MAX + HF_ID_MAX + 16];
    snprintf(front, sizeof front, "get '%s/%s': ", record->kind, record->id);
    error_clear(scratch);
    if (hf_store_get(store, record->kind, record->id, &again, scratch) == 0) {
        hf_record_free(&again);
        return hf_code_text(code);
    }
    size_t bytes = strlen(front);
    return strncmp(scratch->message, front, bytes) == 0 ? scratch->message + bytes : scratch->message;
}

static int is_page_full(const struct listing *listing) {
    return listing->limit && !listing->is_history &&
           (listing->count == listing->limit || listing->call->reply.size > PAGE_BYTES);
}

static void write_damaged(struct listing *listing, const struct hf_record *record, int code) {
    struct hf_error error = {0};
    const char *problem = hf_code_text(code);
    if (!listing->is_history)
        problem = store_explain_damage(listing->call->context->store, record, code, &error);
    record_row_write(&listing->json, record, problem);
}

static int visit_record(void *arg, const struct hf_record *record, int code) {
    struct listing *listing = arg;
    if (!listing->kind && internal_kind_check_read(record->kind, NULL) != 0)
        return 0;
    if (is_page_full(listing)) {
        listing->has_more = 1;
        return LIST_STOPPED;
    }
    if (listing->call->reply.failed || listing->call->reply.size > REPLY_MAX_BYTES)
        return LIST_STOPPED;
    if (code == 0)
        record_row_write(&listing->json, record, NULL);
    else
        write_damaged(listing, record, code);
    snprintf(listing->last, sizeof listing->last, "%s%s%s", listing->kind ? "" : record->kind, listing->kind ? "" : "/",
             record->id);
    listing->count++;
    return 0;
}

static int begin_listing(struct api_call *call, int is_history, struct listing *ret_listing) {
    const char *kind = call->parameter(call, "kind");
    *ret_listing = (struct listing){.call = call, .kind = kind, .is_history = is_history};
    int code = kind ? internal_kind_check_read(kind, &call->error) : 0;
    if (code == 0)
        code = handler_number(call, "limit", UINT32_MAX, 0, &ret_listing->limit);
    if (code == 0) {
        json_writer_init(&ret_listing->json, &call->reply, 0);
        json_begin_array(&ret_listing->json);
    }
    return code;
}

static void end_listing(struct listing *listing, int code) {
    struct api_call *call = listing->call;
    if (code >= 0) {
        const char *kind = listing->kind;
        json_end_array(&listing->json);
        if (listing->has_more)
            handler_add_next(call, arena_printf(&call->arena, "/api/v1/records%s%s", kind ? "/" : "", kind ? kind : ""),
                             listing->last, listing->limit);
    }
    handler_reply(call, code < 0 ? code : 0);
}

/* Of all kinds the visit alone knows which rows may be shown: the scan cannot count them. */
void store_list_handler(struct api_call *call) {
    struct listing listing;
    int code = begin_listing(call, 0, &listing);
    if (code == 0)
        code =
            hf_store_scan(call->context->store, listing.kind, call->parameter(call, "after"),
                          listing.kind && listing.limit ? listing.limit + 1 : 0, visit_record, &listing, &call->error);
    end_listing(&listing, code);
}

void store_history_handler(struct api_call *call) {
    struct listing listing;
    int code = begin_listing(call, 1, &listing);
    if (code == 0)
        code = hf_store_history(call->context->store, listing.kind, call->parameter(call, "id"), listing.limit,
                                visit_record, &listing, &call->error);
    end_listing(&listing, code);
}
