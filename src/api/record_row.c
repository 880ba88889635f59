#include "api/record_row.h"

#include <string.h>

#include "base/text.h"
#include "store/key.h"

enum { DOCUMENT_BYTES_MAX = 10 << 20 }; /* of a store that is opened without options */

static void put_head(struct json_writer *json, const struct hf_record *record) {
    json_put_string(json, "kind", record->kind);
    json_put_string(json, "id", record->id);
}

static void put_tail(struct json_writer *json, const struct hf_record *record) {
    json_put_time(json, "created_at", record->created_ms);
    json_put_time(json, "updated_at", record->updated_ms);
    json_put_string(json, "who", record->who);
}

void record_row_write(struct json_writer *json, const struct hf_record *record, const char *problem) {
    char hash[2 * HF_HASH_BYTES + 1];
    text_hex(record->hash, HF_HASH_BYTES, hash);
    json_begin_object(json);
    put_head(json, record);
    json_put_i64(json, "revision", (int64_t)record->revision);
    json_put_string(json, "hash", record->json || problem ? hash : NULL);
    put_tail(json, record);
    if (problem) {
        json_put_bool(json, "damaged", 1);
        json_put_string(json, "problem", problem);
    }
    json_key(json, "doc");
    if (record->json && !problem)
        json_raw(json, record->json, record->json_bytes);
    else
        json_null(json);
    json_end_object(json);
}

int record_line_write(struct json_doc *scratch, const struct hf_record *record, struct buf *out,
                      struct hf_error *error) {
    static const struct json_limits limits = {.max_depth = JSON_DEPTH_MAX};
    struct json_writer json;
    char hash[2 * HF_HASH_BYTES + 1];
    int code = json_read(scratch, record->json, record->json_bytes, &limits, error);
    if (code != 0)
        return error_wrap(error, code, "write '%s/%s'", record->kind, record->id);
    text_hex(record->hash, HF_HASH_BYTES, hash);
    json_writer_init(&json, out, 0);
    json_begin_object(&json);
    put_head(&json, record);
    put_tail(&json, record);
    json_put_string(&json, "hash", hash);
    json_key(&json, "doc");
    json_pretty(scratch, 0, 0, out);
    buf_add_text(out, "}\n");
    return out->failed ? error_set(error, HF_ERR_NO_MEMORY, "write '%s/%s'", record->kind, record->id) : 0;
}

/* ---- reading ---- */

static int wrong(const char *name, const char *what, struct hf_error *error) {
    return error_set(error, HF_ERR_BAD_DATA, "the member '%s' %s", name, what);
}

static int take_text(const struct json_doc *doc, uint32_t value, const char *name, struct arena *arena,
                     const char **ret_text, struct hf_error *error) {
    size_t bytes = 0;
    if (json_type_of(doc, value) != JSON_STRING)
        return wrong(name, "is not text", error);
    char *text = json_to_text(doc, value, arena, &bytes);
    if (!text)
        return error_set(error, HF_ERR_NO_MEMORY, "read the member '%s'", name);
    if (strlen(text) != bytes)
        return wrong(name, "holds a zero byte", error);
    *ret_text = text;
    return 0;
}

static int take_time(const struct json_doc *doc, uint32_t value, const char *name, struct arena *arena, int64_t *ret_ms,
                     struct hf_error *error) {
    const char *text = NULL;
    if (json_type_of(doc, value) == JSON_NULL)
        return 0;
    int code = take_text(doc, value, name, arena, &text, error);
    if (code == 0 && text_to_time(text, ret_ms) != 0)
        return wrong(name, "is not a time such as 2026-11-22T16:00:00.123Z", error);
    return code;
}

static int take_hash(const struct json_doc *doc, uint32_t value, struct arena *arena, struct record_row *row,
                     struct hf_error *error) {
    const char *text = NULL;
    if (json_type_of(doc, value) == JSON_NULL)
        return 0;
    int code = take_text(doc, value, "hash", arena, &text, error);
    if (code == 0 && (strlen(text) != 2 * HF_HASH_BYTES || text_unhex(text, HF_HASH_BYTES, row->record.hash) != 0))
        return wrong("hash", "is not one of 32 hex digits", error);
    row->has_hash = 1;
    return code;
}

static int take_revision(const struct json_doc *doc, uint32_t value, struct record_row *row, struct hf_error *error) {
    int64_t revision = 0;
    if (json_to_i64(doc, value, &revision) != 0 || revision < 0)
        return wrong("revision", "is not a whole number", error);
    row->record.revision = (uint64_t)revision;
    return 0;
}

static int take_member(const struct json_doc *doc, const char *name, uint32_t value, struct arena *arena,
                       struct record_row *row, struct hf_error *error) {
    struct hf_record *record = &row->record;
    if (strcmp(name, "kind") == 0)
        return take_text(doc, value, name, arena, &record->kind, error);
    if (strcmp(name, "id") == 0)
        return take_text(doc, value, name, arena, &record->id, error);
    if (strcmp(name, "who") == 0)
        return take_text(doc, value, name, arena, &record->who, error);
    if (strcmp(name, "created_at") == 0)
        return take_time(doc, value, name, arena, &record->created_ms, error);
    if (strcmp(name, "updated_at") == 0)
        return take_time(doc, value, name, arena, &record->updated_ms, error);
    if (strcmp(name, "hash") == 0)
        return take_hash(doc, value, arena, row, error);
    if (strcmp(name, "revision") == 0)
        return take_revision(doc, value, row, error);
    if (strcmp(name, "problem") == 0)
        return take_text(doc, value, name, arena, &row->problem, error);
    if (strcmp(name, "doc") == 0)
        record->json = json_span(doc, value, &record->json_bytes);
    else if (strcmp(name, "damaged") != 0)
        return wrong(name, "is not known", error);
    else if (json_to_bool(doc, value, 0) && !row->problem)
        row->problem = "it is damaged";
    return 0;
}

int record_row_read(const struct json_doc *doc, uint32_t node, struct arena *arena, struct record_row *ret_row,
                    struct hf_error *error) {
    struct record_row row = {0};
    if (json_type_of(doc, node) != JSON_OBJECT)
        return error_set(error, HF_ERR_BAD_DATA, "it is not an object");
    for (uint32_t key = json_first(doc, node); key != JSON_NONE; key = json_after(doc, node, key)) {
        const char *name = json_to_text(doc, key, arena, NULL);
        if (!name)
            return error_set(error, HF_ERR_NO_MEMORY, "read a record");
        int code = take_member(doc, name, json_value_of_key(key), arena, &row, error);
        if (code != 0)
            return code;
    }
    if (!row.record.kind || !row.record.id || !row.record.json)
        return wrong(!row.record.kind ? "kind" : !row.record.id ? "id" : "doc", "is missing", error);
    int code = key_check(row.record.kind, row.record.id, error);
    if (code != 0)
        return code;
    if (row.problem)
        row.record.json = NULL;
    *ret_row = row;
    return 0;
}

int record_row_check(struct record_row *row, struct json_doc *scratch, struct buf *canonical, struct hf_error *error) {
    static const struct json_limits limits = {.max_bytes = DOCUMENT_BYTES_MAX};
    uint8_t hash[HF_HASH_BYTES];
    const struct hf_record *record = &row->record;
    if (!record->json)
        return error_set(error, HF_ERR_BAD_DATA, "'%s/%s' is damaged: it has no document", record->kind, record->id);
    int code = json_hash(scratch, canonical, record->json, record->json_bytes, &limits, hash, error);
    if (code != 0)
        return error_wrap(error, code, "read the document of '%s/%s'", record->kind, record->id);
    if (row->has_hash && memcmp(hash, record->hash, sizeof hash) != 0)
        return error_set(error, HF_ERR_BAD_DATA, "the hash is not that of the document of '%s/%s'", record->kind,
                         record->id);
    memcpy(row->record.hash, hash, sizeof hash);
    return 0;
}
