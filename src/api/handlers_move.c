/* Looking after a store as a whole: check, compact, and taking records in. */
#include <string.h>

#include "api/handlers.h"
#include "api/internal_kind.h"
#include "api/record_row.h"
#include "store/batch.h"

enum { FINDINGS_SHOWN = 1000, SLICE_ROWS = 1000 };

/* ---- check ---- */

struct finding_list {
    struct json_writer json;
    uint64_t count;
};

static void visit_finding(void *arg, const struct hf_finding *finding) {
    struct finding_list *list = arg;
    if (list->count++ >= FINDINGS_SHOWN)
        return;
    json_begin_object(&list->json);
    json_put_string(&list->json, "kind", finding->kind);
    json_put_string(&list->json, "id", finding->id);
    json_put_string(&list->json, "what", finding->what);
    json_put_string(&list->json, "text", finding->text);
    json_put_string(&list->json, "path", finding->path);
    json_put_string(&list->json, "action", finding->action);
    json_end_object(&list->json);
}

/* Slice by slice: others read and commit in between. */
static int check_all(struct api_call *call, struct finding_list *list, struct hf_check_result *result) {
    struct hf_check_cursor cursor = {0};
    int code = 0;
    while (code == 0 && !cursor.is_done) {
        code =
            hf_store_check_slice(call->context->store, &cursor, SLICE_ROWS, visit_finding, list, result, &call->error);
        if (code == 0 && call->progress && call->progress(call->progress_arg, cursor.done, cursor.total) != 0)
            code = error_set(&call->error, HF_ERR_CANCELLED, "check the store: given up");
    }
    return code;
}

void store_check_handler(struct api_call *call) {
    BUF_AUTO struct buf findings;
    struct finding_list list = {.count = 0};
    struct hf_check_result result = {0};
    struct json_writer json;
    buf_init(&findings);
    json_writer_init(&list.json, &findings, 0);
    json_begin_array(&list.json);
    int code = check_all(call, &list, &result);
    json_end_array(&list.json);
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

/* ---- compact ---- */

void store_compact_handler(struct api_call *call) {
    struct hf_compact_result result = {0};
    struct json_writer json;
    int is_rehearsal = 0;
    int code = handler_bool(call, "dry-run", &is_rehearsal);
    if (code == 0 && !is_rehearsal)
        code = hf_store_compact(call->context->store, &result, &call->error);
    if (code == 0) {
        json_writer_init(&json, &call->reply, 0);
        json_begin_object(&json);
        json_put_bool(&json, "compacted", !is_rehearsal);
        if (!is_rehearsal) {
            json_put_i64(&json, "bytes_before", (int64_t)result.bytes_before);
            json_put_i64(&json, "bytes_after", (int64_t)result.bytes_after);
        }
        json_end_object(&json);
    }
    handler_reply(call, code);
}

/* ---- import ---- */

struct import {
    struct api_call *call;
    int overwrite, is_rehearsal;
    struct hf_batch *batch;
    struct json_doc scratch;
    struct buf canonical;
    uint64_t written, same;
};

/* A daemon's own records are its supervisor's. Where none runs they are taken too, as they are copied; secrets never.
 */
static int check_kind(const struct import *import, const char *kind, struct hf_error *error) {
    return import->call->context->has_supervisor ? internal_kind_check_write(kind, error)
                                                 : internal_kind_check_read(kind, error);
}

/* What is there under the key decides: nothing, the same document, or another one. */
static int compare(const struct import *import, const struct hf_record *record, struct hf_change_options *ret_options,
                   int *ret_same) {
    struct hf_error *error = &import->call->error;
    struct hf_record *old = NULL;
    int code = hf_store_get(import->call->context->store, record->kind, record->id, &old, error);
    *ret_options = (struct hf_change_options){.condition = HF_IF_ABSENT};
    *ret_same = code == 0 && memcmp(old->hash, record->hash, HF_HASH_BYTES) == 0;
    if (code == HF_ERR_NOT_FOUND || (code == HF_ERR_CORRUPT && import->overwrite)) {
        if (code == HF_ERR_CORRUPT)
            ret_options->condition = HF_ALWAYS;
        error_clear(error);
        code = 0;
    } else if (code == 0 && !*ret_same && !import->overwrite) {
        code = error_set(error, HF_ERR_CONFLICT, "there is another document under '%s/%s'", record->kind, record->id);
        error_hint(error, "--overwrite replaces documents that differ");
    } else if (code == 0) {
        ret_options->condition = HF_IF_HASH;
        memcpy(ret_options->if_hash, old->hash, HF_HASH_BYTES);
    }
    hf_record_free(&old);
    return code;
}

/* With its times, and who changed it; what the row leaves out is now, and the caller. */
static int put(struct import *import, struct hf_record *record, const struct hf_change_options *options) {
    int64_t now_ms = os_wall_ms(import->call->context->os);
    if (!record->who)
        record->who = import->call->who;
    if (record->updated_ms == 0)
        record->updated_ms = now_ms;
    if (record->created_ms == 0)
        record->created_ms = record->updated_ms;
    int code = batch_copy(import->batch, record, 0, options, &import->call->error);
    if (code == 0 && batch_change_at(import->batch, import->batch->changes.count - 1)->copied.is_later)
        return error_set(&import->call->error, HF_ERR_BAD_DATA, "'%s/%s' comes twice", record->kind, record->id);
    return code;
}

static int add_record(struct import *import, const struct json_doc *doc, uint32_t item) {
    struct hf_error *error = &import->call->error;
    struct hf_change_options options;
    struct record_row row;
    int is_same = 0;
    int code = record_row_read(doc, item, &import->call->arena, &row, error);
    if (code == 0)
        code = check_kind(import, row.record.kind, error);
    if (code == 0 && internal_kind_check_write(row.record.kind, NULL) == 0)
        code = handler_check_document(import->call, row.record.json_bytes);
    if (code == 0)
        code = record_row_check(&row, &import->scratch, &import->canonical, error);
    if (code == 0)
        code = compare(import, &row.record, &options, &is_same);
    if (code != 0)
        return code;
    if (is_same) {
        import->same++;
        return 0;
    }
    import->written++;
    return put(import, &row.record, &options);
}

static int add_records(struct import *import) {
    static const struct json_limits limits = {.max_depth = JSON_DEPTH_MAX};
    struct api_call *call = import->call;
    JSON_AUTO struct json_doc doc;
    uint64_t number = 0;
    json_init(&doc);
    int code = json_read(&doc, call->body, call->body_bytes, &limits, &call->error);
    if (code != 0)
        return error_wrap(&call->error, code, "read the body");
    if (json_type_of(&doc, 0) != JSON_ARRAY)
        return error_set(&call->error, HF_ERR_BAD_DATA, "read the body: an array of records is needed");
    for (uint32_t item = json_first(&doc, 0); item != JSON_NONE; item = json_after(&doc, 0, item)) {
        number++;
        code = add_record(import, &doc, item);
        if (code != 0)
            return error_wrap(&call->error, code, "import record %llu", (unsigned long long)number);
    }
    return 0;
}

static void write_import(struct api_call *call, uint64_t written, uint64_t same) {
    struct json_writer json;
    json_writer_init(&json, &call->reply, 0);
    json_begin_object(&json);
    json_put_i64(&json, "records", (int64_t)(written + same));
    json_put_i64(&json, "written", (int64_t)written);
    json_put_i64(&json, "same", (int64_t)same);
    json_end_object(&json);
}

/* In the store's writer thread; the reply was written before. */
static void imported(void *arg, int code, const struct hf_commit_result *result, const struct hf_error *error) {
    struct api_call *call = arg;
    if (code == 0)
        handler_add_revision(call, result->revision);
    else
        error_copy(&call->error, error);
    handler_reply(call, code);
}

void store_import_handler(struct api_call *call) {
    struct import import = {.call = call};
    json_init(&import.scratch);
    buf_init(&import.canonical);
    int code = handler_bool(call, "overwrite", &import.overwrite);
    if (code == 0)
        code = handler_bool(call, "dry-run", &import.is_rehearsal);
    if (code == 0)
        code = hf_batch_new(call->who, &import.batch, &call->error);
    if (code == 0)
        code = add_records(&import);
    if (code == 0)
        write_import(call, import.written, import.same);
    json_fini(&import.scratch);
    buf_fini(&import.canonical);
    if (code == 0 && import.written > 0 && !import.is_rehearsal) {
        hf_store_commit_async(call->context->store, &import.batch, imported, call);
        return;
    }
    hf_batch_free(&import.batch);
    handler_reply(call, code);
}
