/* One version as a record: the bytes exactly as they were saved, and what is said of them.
 *
 * Invariants
 *  1. What state_version_read gives has the digest that was taken when it was saved; anything else is CORRUPT.
 *  2. JSON is kept as its span and the white space around it, other bytes as base64: both give the same bytes back. */
#include <string.h>

#include "base/base64.h"
#include "base/text.h"
#include "keep/state_field.h"
#include "keep/state_inside.h"
#include "store/store.h"

/* ---- writing ---- */

void state_meta_write(struct json_writer *json, const struct state_meta *meta) {
    char digest[DIGEST_HEX];
    text_hex(meta->digest, DIGEST_BYTES, digest);
    json_put_i64(json, "version", (int64_t)meta->version);
    json_put_string(json, "form", meta->is_json ? "json" : "bytes");
    json_put_i64(json, "bytes", (int64_t)meta->size);
    json_put_string(json, "digest", digest);
    json_put_time(json, "at", meta->at_ms);
    json_put_string(json, "run", meta->run);
    json_put_i64(json, "fence", (int64_t)meta->fence);
    json_put_string(json, "code_version", meta->code_version);
    json_put_string(json, "note", meta->note);
    json_put_string(json, "who", meta->who);
    json_put_bool(json, "forced", meta->is_forced);
}

static int is_space(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void write_json_value(struct json_writer *json, const char *bytes, size_t size) {
    size_t before = 0, behind = size;
    while (before < size && is_space(bytes[before]))
        before++;
    while (behind > before && is_space(bytes[behind - 1]))
        behind--;
    if (behind - before < size) {
        json_key(json, "space");
        json_begin_array(json);
        json_string_bytes(json, bytes, before);
        json_string_bytes(json, bytes + behind, size - behind);
        json_end_array(json);
    }
    json_put_raw(json, "value", bytes + before, behind - before);
}

/* Straight into the document: a string of 90 MB is not written twice. */
static void write_base64(struct json_writer *json, const char *bytes, size_t size) {
    json_key(json, "base64");
    json_raw(json, "\"", 1);
    base64_add(json->out, bytes, size);
    buf_add_char(json->out, '"');
}

void state_value_write(struct json_writer *json, const char *bytes, size_t size, int is_json) {
    if (is_json)
        write_json_value(json, bytes, size);
    else
        write_base64(json, bytes, size);
}

int state_version_put(struct hf_batch *batch, const char *name, const struct state_meta *meta, const void *bytes,
                      struct hf_error *error) {
    static const struct hf_change_options NEW = {.condition = HF_IF_ABSENT};
    char id[HF_ID_MAX + 1];
    state_number_id(name, meta->version, id);
    BUF_AUTO struct buf text;
    buf_init(&text);
    struct json_writer json;
    json_writer_init(&json, &text, 0);
    json_begin_object(&json);
    json_put_string(&json, "name", name);
    state_meta_write(&json, meta);
    state_value_write(&json, bytes, meta->size, meta->is_json);
    json_end_object(&json);
    if (text.failed)
        return error_no_memory(error);
    return hf_batch_put(batch, STATE_VERSION_KIND, id, text.data, text.size, &NEW, error);
}

/* ---- reading ---- */

void state_meta_read(struct state_fields *fields, struct state_meta *ret_meta) {
    const char *form = state_field_text(fields, "form");
    struct state_meta meta = {
        .version = state_field_number(fields, "version"),
        .fence = state_field_number(fields, "fence"),
        .at_ms = state_field_time(fields, "at"),
        .is_json = strcmp(form, "json") == 0,
        .is_forced = state_field_bool(fields, "forced"),
        .size = state_field_number(fields, "bytes"),
        .run = state_field_text(fields, "run"),
        .code_version = state_field_text(fields, "code_version"),
        .note = state_field_text(fields, "note"),
        .who = state_field_text(fields, "who"),
    };
    state_field_hex(fields, "digest", meta.digest, DIGEST_BYTES);
    if (!meta.is_json && strcmp(form, "bytes") != 0 && !fields->wrong)
        fields->wrong = "form";
    *ret_meta = meta;
}

static void add_space(const struct json_doc *doc, int which, struct arena *arena, struct buf *out) {
    uint32_t space = json_member(doc, 0, "space");
    uint32_t part = json_first(doc, space);
    if (which == 1)
        part = json_after(doc, space, part);
    size_t bytes = 0;
    const char *text = json_to_text(doc, part, arena, &bytes);
    out->failed |= json_type_of(doc, part) == JSON_STRING && !text;
    buf_add(out, text ? text : "", bytes);
}

/* JSON may stand as base64 too: in an export that must not nest deeply. */
static void add_bytes(const struct json_doc *doc, struct arena *arena, struct buf *out) {
    size_t size = 0;
    uint32_t value = json_member(doc, 0, "value");
    if (value != JSON_NONE) {
        const char *span = json_span(doc, value, &size);
        add_space(doc, 0, arena, out);
        buf_add(out, span, size);
        add_space(doc, 1, arena, out);
        return;
    }
    uint32_t base64 = json_member(doc, 0, "base64");
    const char *text = json_span(doc, base64, &size);
    if (json_type_of(doc, base64) == JSON_STRING && !doc->nodes[base64].has_escape)
        (void)base64_decode(text + 1, size - 2, out); /* if it fails, the digest does not fit */
    else if ((text = json_to_text(doc, base64, arena, &size)))
        (void)base64_decode(text, size, out); /* another program wrote '/' as "\/" */
}

/* Whether the bytes are what was saved. */
static int check(const struct state_meta *meta, const struct buf *bytes, struct hf_error *error) {
    uint8_t digest[DIGEST_BYTES];
    if (bytes->failed)
        return error_no_memory(error);
    digest_bytes(buf_text(bytes), bytes->size, digest);
    if (bytes->size != meta->size || !digest_is_equal(digest, meta->digest))
        return error_set(error, HF_ERR_CORRUPT, "its bytes do not fit their digest");
    return 0;
}

static int take(const struct json_doc *doc, uint64_t number, struct state_version *version, struct hf_error *error) {
    struct state_fields fields = {.doc = doc, .object = 0, .arena = &version->arena};
    state_meta_read(&fields, &version->meta);
    if (version->meta.version != number && !fields.wrong)
        fields.wrong = "version";
    if (!version->meta.is_json && json_member(doc, 0, "value") != JSON_NONE && !fields.wrong)
        fields.wrong = "form";
    int code = state_field_end(&fields, error);
    if (code < 0)
        return code;
    BUF_AUTO struct buf bytes;
    buf_init(&bytes);
    add_bytes(doc, &version->arena, &bytes);
    code = check(&version->meta, &bytes, error);
    if (code == 0 && !(version->text = buf_take(&bytes)))
        code = error_no_memory(error);
    version->bytes = version->text;
    return code;
}

int state_version_parse(const char *json, size_t json_bytes, const struct json_limits *limits, uint64_t number,
                        struct state_version **ret_version, struct hf_error *error) {
    JSON_AUTO struct json_doc doc;
    json_init(&doc);
    struct state_version *version = MEM_NEW(struct state_version);
    if (!version)
        return error_no_memory(error);
    arena_init(&version->arena);
    int code = json_read(&doc, json, json_bytes, limits, error);
    if (code < 0 && code != HF_ERR_NO_MEMORY)
        code = error_set(error, HF_ERR_CORRUPT, "its record is not read");
    if (code == 0)
        code = take(&doc, number, version, error);
    if (code == 0)
        *ret_version = version;
    else
        state_version_free(&version);
    return code;
}

int state_version_read(struct hf_store *store, const char *name, uint64_t version, struct state_version **ret_version,
                       struct hf_error *error) {
    char id[HF_ID_MAX + 1];
    state_number_id(name, version, id);
    struct hf_record *record = NULL;
    int code = hf_store_get(store, STATE_VERSION_KIND, id, &record, error);
    if (code == HF_ERR_NOT_FOUND)
        return error_set(error, code, "there is no version %llu of state '%s'", (unsigned long long)version, name);
    if (code == 0)
        code = state_version_parse(record->json, record->json_bytes, store_limits(store), version, ret_version, error);
    hf_record_free(&record);
    return code == 0 ? 0
                     : error_wrap(error, code, "read version %llu of state '%s'", (unsigned long long)version, name);
}

void state_version_free(struct state_version **version) {
    if (!version || !*version)
        return;
    arena_fini(&(*version)->arena);
    mem_free((*version)->text);
    mem_free(*version);
    *version = NULL;
}
