#include "run/source_store.h"

#include <string.h>

#include "base/hash.h"
#include "store/store.h"

int source_declare_kinds(struct hf_store *store, struct hf_error *error) {
    static const struct {
        const char *kind;
        uint32_t keep;
    } KINDS[] = {{"source", 20}, {"source_data", 100}, {"source_run", 100}, {"source_code", UINT32_MAX}};
    for (size_t i = 0; i < sizeof KINDS / sizeof KINDS[0]; i++) {
        int code = hf_store_keep_history(store, KINDS[i].kind, KINDS[i].keep, error);
        if (code < 0)
            return code;
    }
    return 0;
}

int source_entry_read(struct hf_store *store, const char *name, struct source_entry *ret_entry,
                      struct hf_error *error) {
    struct hf_record *record = NULL;
    int code = hf_store_get(store, "source", name, &record, error);
    if (code == HF_ERR_NOT_FOUND)
        return error_set(error, code, "there is no source '%s'", name);
    if (code < 0)
        return code;
    struct source_entry entry = {NULL, record->revision};
    code = source_spec_read(name, record->json, record->json_bytes, &entry.spec, error);
    hf_record_free(&record);
    if (code == 0)
        *ret_entry = entry;
    return code;
}

void source_entry_fini(struct source_entry *entry) {
    source_spec_free(&entry->spec);
}

int source_state_get(struct hf_store *store, const char *name, struct source_state *ret_state, uint64_t *ret_revision,
                     struct hf_error *error) {
    struct hf_record *record = NULL;
    int code = hf_store_get(store, "source_state", name, &record, error);
    if (code < 0)
        return code;
    code = source_state_read(name, record->json, record->json_bytes, ret_state, error);
    if (ret_revision)
        *ret_revision = record->revision;
    hf_record_free(&record);
    return code;
}

/* ---- code ------------------------------------------------------------------------------------------------------- */

struct code_search {
    int64_t wanted; /* 0: the first one found */
    int64_t found;
    char *text; /* NULL unless want_text */
    size_t bytes;
    int want_text, code;
};

static int look_at_version(void *arg, const struct hf_record *record, int code) {
    struct code_search *search = arg;
    if (code < 0 || !record->json) /* a damaged one; the end of an earlier source */
        return 0;
    JSON_AUTO struct json_doc doc;
    json_init(&doc);
    if (json_read(&doc, record->json, record->json_bytes, NULL, NULL) < 0)
        return 0;
    int64_t version = json_member_i64(&doc, 0, "version", 0);
    if (search->wanted != 0 && version != search->wanted)
        return version < search->wanted; /* older ones only: it is not there */
    search->found = version;
    if (search->want_text) {
        struct arena arena;
        arena_init(&arena);
        const char *text = json_to_text(&doc, json_member(&doc, 0, "code"), &arena, &search->bytes);
        search->text = text ? mem_dup(text, search->bytes) : NULL;
        search->code = search->text ? 0 : HF_ERR_NO_MEMORY;
        arena_fini(&arena);
    }
    return 1;
}

static int search_versions(struct hf_store *store, const char *name, struct code_search *search,
                           struct hf_error *error) {
    int code = hf_store_history(store, "source_code", name, 0, look_at_version, search, error);
    if (code < 0 && code != HF_ERR_NOT_FOUND)
        return code;
    return search->code < 0 ? error_set(error, search->code, "read the code of '%s'", name) : 0;
}

int source_code_last_version(struct hf_store *store, const char *name, int64_t *ret_version, struct hf_error *error) {
    struct code_search search = {.wanted = 0};
    int code = search_versions(store, name, &search, error);
    if (code == 0)
        *ret_version = search.found;
    return code;
}

int source_code_get(struct hf_store *store, const char *name, int64_t version, char **ret_text, size_t *ret_bytes,
                    int64_t *ret_version, struct hf_error *error) {
    struct code_search search = {.wanted = version, .want_text = 1};
    int code = search_versions(store, name, &search, error);
    if (code < 0)
        return code;
    if (!search.text)
        return error_set(error, HF_ERR_NOT_FOUND, "source '%s' has no code version %lld", name, (long long)version);
    *ret_text = search.text;
    *ret_bytes = search.bytes;
    *ret_version = search.found;
    return 0;
}

int source_code_put(struct hf_batch *batch, const char *name, const struct source_code *code, int64_t at_ms,
                    struct hf_error *error) {
    BUF_AUTO struct buf json;
    buf_init(&json);
    struct json_writer writer;
    char digest[DIGEST_HEX];
    digest_hex(code->text, code->bytes, digest);
    json_writer_init(&writer, &json, 0);
    json_begin_object(&writer);
    json_put_string(&writer, "name", name);
    json_put_i64(&writer, "version", code->version);
    json_put_string(&writer, "digest", digest);
    json_put_i64(&writer, "bytes", (int64_t)code->bytes);
    json_put_string(&writer, "author", code->author);
    json_put_string(&writer, "note", code->note);
    json_put_time(&writer, "at", at_ms);
    json_key(&writer, "code");
    json_string_bytes(&writer, code->text, code->bytes);
    json_end_object(&writer);
    if (json.failed)
        return error_set(error, HF_ERR_NO_MEMORY, "save the code of '%s'", name);
    return hf_batch_put(batch, "source_code", name, json.data, json.size, NULL, error);
}

int source_spec_put(struct hf_batch *batch, const struct source_spec *spec, const struct hf_change_options *options,
                    struct hf_error *error) {
    BUF_AUTO struct buf json;
    buf_init(&json);
    struct json_writer writer;
    json_writer_init(&writer, &json, 0);
    json_begin_object(&writer);
    source_spec_write(spec, &writer);
    json_end_object(&writer);
    if (json.failed)
        return error_set(error, HF_ERR_NO_MEMORY, "save source '%s'", spec->name);
    return hf_batch_put(batch, "source", spec->name, json.data, json.size, options, error);
}

int source_body_read(struct json_doc *doc, const char *body, size_t body_bytes, struct hf_error *error) {
    int code = json_read(doc, body, body_bytes, NULL, error);
    if (code == 0 && json_type_of(doc, 0) != JSON_OBJECT)
        code = error_set(error, HF_ERR_INVALID, "the body must be an object");
    return code;
}
