/* Taking a source from the document that source_export wrote.
 *
 * Invariants
 *  1. Everything is checked before anything is written.
 *  2. A new source is seen when it is whole: its earlier code versions and its data are written first, where nobody
 * looks while there is no source of that name; the commit that makes the source is the last. */
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/text.h"
#include "data/ids.h"
#include "run/code_check.h"
#include "run/source_field.h"
#include "run/source_store.h"
#include "store/store.h"

struct dated_code {
    struct source_code code;
    int64_t at_ms;
};

struct import {
    struct hf_store *store;
    const char *name, *who;
    struct json_doc doc;  /* the whole document */
    struct json_doc spec; /* its "source" alone */
    struct buf fields;    /* an object of those members that can be asked for */
    struct arena arena;
    enum source_kind kind;
    struct dated_code *codes; /* newest first */
    size_t code_count;
};

/* ---- reading and checking ---- */

static int read_format(const struct import *import, struct hf_error *error) {
    int64_t format = json_member_i64(&import->doc, 0, "holdfast_source", 0);
    if (format == SOURCE_EXPORT_FORMAT)
        return 0;
    if (format < 1)
        return error_set(error, HF_ERR_INVALID, "it is not the document of a source: \"holdfast_source\" is missing");
    error_set(error, HF_ERR_SCHEMA_NEWER, "the document has the format %lld, and %d is known", (long long)format,
              SOURCE_EXPORT_FORMAT);
    error_hint(error, "import it with the holdfast that wrote it, or a newer one");
    return HF_ERR_SCHEMA_NEWER;
}

/* The members of "source" that a request may have; how the source was is left out. */
static int collect_fields(struct import *import, struct hf_error *error) {
    struct json_writer writer;
    json_writer_init(&writer, &import->fields, 0);
    json_begin_object(&writer);
    for (uint32_t key = json_first(&import->spec, 0); key != JSON_NONE; key = json_after(&import->spec, 0, key)) {
        int as_ms;
        size_t bytes;
        const char *name = json_to_text(&import->spec, key, &import->arena, NULL);
        const char *span = json_span(&import->spec, json_value_of_key(key), &bytes);
        if (!name)
            return error_no_memory(error);
        if (source_field_find(name, &as_ms) || strcmp(name, "limits") == 0)
            json_put_raw(&writer, name, span, bytes);
    }
    json_end_object(&writer);
    return import->fields.failed ? error_no_memory(error) : 0;
}

static int read_code(struct import *import, uint32_t node, struct dated_code *ret_code, struct hf_error *error) {
    struct source_code code = {.version = json_member_i64(&import->doc, node, "version", 0)};
    char digest[DIGEST_HEX];
    code.text = json_to_text(&import->doc, json_member(&import->doc, node, "code"), &import->arena, &code.bytes);
    const char *said = json_member_text(&import->doc, node, "digest", &import->arena);
    if (!code.text || !said)
        return error_set(error, HF_ERR_INVALID, "a code version lacks \"code\" or \"digest\"");
    digest_hex(code.text, code.bytes, digest);
    if (strcmp(digest, said) != 0)
        return error_set(error, HF_ERR_CORRUPT, "code version %lld does not fit its digest", (long long)code.version);
    if (code.bytes > SOURCE_CODE_MAX)
        return error_set(error, HF_ERR_TOO_LARGE, "code version %lld is over %d bytes", (long long)code.version,
                         SOURCE_CODE_MAX);
    code.author = json_member_text(&import->doc, node, "author", &import->arena);
    code.note = json_member_text(&import->doc, node, "note", &import->arena);
    const char *at = json_member_text(&import->doc, node, "at", &import->arena);
    *ret_code = (struct dated_code){.code = code};
    if (at && text_to_time(at, &ret_code->at_ms) != 0)
        ret_code->at_ms = 0;
    return 0;
}

static int read_codes(struct import *import, struct hf_error *error) {
    uint32_t array = json_member(&import->doc, 0, "code_versions");
    if (array == JSON_NONE)
        return 0;
    if (json_type_of(&import->doc, array) != JSON_ARRAY)
        return error_set(error, HF_ERR_INVALID, "\"code_versions\" must be an array");
    import->codes = arena_alloc(&import->arena, (import->doc.nodes[array].count + 1) * sizeof *import->codes);
    if (!import->codes)
        return error_no_memory(error);
    for (uint32_t node = json_first(&import->doc, array); node != JSON_NONE;
         node = json_after(&import->doc, array, node)) {
        int code = read_code(import, node, &import->codes[import->code_count], error);
        if (code != 0)
            return code;
        import->code_count++;
    }
    return 0;
}

/* NULL: none, or a command. */
static const struct source_code *newest_code(const struct import *import) {
    return import->kind == SOURCE_PYTHON && import->code_count > 0 ? &import->codes[0].code : NULL;
}

static int check_code(const struct import *import, struct hf_error *error) {
    const struct source_code *newest = newest_code(import);
    return newest ? code_check_python(store_os(import->store), NULL, newest->text, newest->bytes, error) : 0;
}

static int read_import(struct import *import, const char *body, size_t body_bytes, struct hf_error *error) {
    int code = source_body_read(&import->doc, body, body_bytes, error);
    if (code == 0)
        code = read_format(import, error);
    if (code != 0)
        return code;
    uint32_t source = json_member(&import->doc, 0, "source");
    size_t bytes;
    const char *span = json_span(&import->doc, source, &bytes);
    if (json_type_of(&import->doc, source) != JSON_OBJECT)
        return error_set(error, HF_ERR_INVALID, "\"source\" must be an object");
    code = json_read(&import->spec, span, bytes, NULL, error);
    const char *kind = json_member_text(&import->spec, 0, "kind", &import->arena);
    if (code == 0 && source_kind_from_name(kind, &import->kind) < 0)
        code = error_set(error, HF_ERR_INVALID, "\"source\" is of the kind '%s', which is not known", kind ? kind : "");
    if (code == 0)
        code = collect_fields(import, error);
    if (code == 0)
        code = read_codes(import, error);
    return code == 0 ? check_code(import, error) : code;
}

/* ---- a source that is not there ---- */

/* One version of a record whose past is kept. */
static int commit_one(struct import *import, struct hf_batch **batch, int code, struct hf_error *error) {
    if (code == 0)
        code = hf_store_commit(import->store, batch, NULL, error);
    hf_batch_free(batch);
    return code;
}

static int write_earlier_code(struct import *import, struct hf_error *error) {
    for (size_t i = import->code_count; i-- > 1;) {
        struct hf_batch *batch = NULL;
        struct source_code code = import->codes[i].code;
        int64_t last = 0;
        int result = source_code_last_version(import->store, import->name, &last, error);
        code.version = last + 1;
        if (result == 0)
            result = hf_batch_new(import->who, &batch, error);
        if (result == 0)
            result = source_code_put(batch, import->name, &code, import->codes[i].at_ms, error);
        result = commit_one(import, &batch, result, error);
        if (result != 0)
            return result;
    }
    return 0;
}

static int write_datum(struct import *import, uint32_t node, struct hf_error *error) {
    struct hf_batch *batch = NULL;
    size_t bytes;
    const char *span = json_span(&import->doc, node, &bytes);
    int code = hf_batch_new(import->who, &batch, error);
    if (code == 0)
        code = hf_batch_put(batch, "source_data", import->name, span, bytes, NULL, error);
    return commit_one(import, &batch, code, error);
}

/* The document has them newest first. */
static int write_data(struct import *import, struct hf_error *error) {
    uint32_t array = json_member(&import->doc, 0, "data");
    uint32_t count = json_type_of(&import->doc, array) == JSON_ARRAY ? import->doc.nodes[array].count : 0, i = count;
    uint32_t *nodes = arena_alloc(&import->arena, (count + 1) * sizeof *nodes);
    int code = nodes ? 0 : error_no_memory(error);
    for (uint32_t node = json_first(&import->doc, array); code == 0 && i > 0;
         node = json_after(&import->doc, array, node))
        nodes[--i] = node;
    for (i = 0; i < count && code == 0; i++)
        code = write_datum(import, nodes[i], error);
    return code;
}

/* Counters and the last error go on; a child, a wish and a back-off do not. */
static int read_state(const struct import *import, struct source_state *ret_state, struct hf_error *error) {
    struct source_state state;
    size_t bytes;
    const char *span = json_span(&import->spec, 0, &bytes);
    int code = source_state_read(import->name, span, bytes, &state, error);
    if (code != 0)
        return code;
    state.status = STATUS_STOPPED;
    memset(&state.child, 0, sizeof state.child);
    state.run_request_done = state.open_run = state.open_run_at = state.started_at = state.retry_at = 0;
    state.restore_result[0] = '\0';
    *ret_state = state;
    return 0;
}

static int read_theirs(const struct import *import, struct source_spec **ret_spec, struct hf_error *error) {
    static const char *const NO_OTHERS[] = {NULL};
    JSON_AUTO struct json_doc fields;
    struct source_spec *spec = NULL;
    json_init(&fields);
    int code = json_read(&fields, buf_text(&import->fields), import->fields.size, NULL, error);
    if (code == 0)
        code = source_spec_new(import->name, import->kind, &spec, error);
    if (code == 0)
        code = source_spec_change(spec, &fields, NO_OTHERS, error);
    if (code == 0)
        *ret_spec = spec;
    else
        source_spec_free(&spec);
    return code;
}

static int make_new(struct import *import, struct hf_error *error) {
    const struct source_code *newest = newest_code(import);
    struct source_spec *spec = NULL;
    struct source_state state;
    if (import->kind == SOURCE_PYTHON && !newest)
        return error_set(error, HF_ERR_INVALID, "the document has no code, and there is no such source yet");
    int code = read_state(import, &state, error);
    if (code == 0)
        code = read_theirs(import, &spec, error);
    if (code == 0)
        code = write_earlier_code(import, error);
    if (code == 0)
        code = write_data(import, error);
    if (code == 0)
        code = source_commit_new(import->store, import->who, spec, &state, newest, error);
    source_spec_free(&spec);
    return code;
}

/* ---- a source that is there ---- */

static void write_replacement(const struct import *import, const struct source_spec *theirs,
                              struct json_writer *writer) {
    for (size_t i = 0; i < SOURCE_FIELD_COUNT; i++) {
        if (strcmp(SOURCE_FIELDS[i].name, "argv") != 0 || theirs->kind == SOURCE_COMMAND)
            source_field_write(theirs, &SOURCE_FIELDS[i], writer);
    }
    const struct source_code *newest = newest_code(import);
    if (!newest)
        return;
    json_key(writer, "code");
    json_string_bytes(writer, newest->text, newest->bytes);
    json_put_string(writer, "note", newest->note ? newest->note : "imported");
}

static int change_old(struct import *import, struct source_entry *entry, int merge, struct hf_error *error) {
    BUF_AUTO struct buf body;
    BUF_AUTO struct buf reply;
    struct source_spec *theirs = NULL;
    struct json_writer writer;
    buf_init(&body);
    buf_init(&reply);
    json_writer_init(&writer, &body, 0);
    if (entry->spec->kind != import->kind) {
        error_set(error, HF_ERR_CONFLICT, "the source that is there is of the kind '%s', the document's is '%s'",
                  source_kind_name(entry->spec->kind), source_kind_name(import->kind));
        error_hint(error, "import it under another name, or remove the source first");
        return HF_ERR_CONFLICT;
    }
    int code = read_theirs(import, &theirs, error);
    json_begin_object(&writer);
    if (code == 0 && merge)
        code = source_merge_write(entry->spec, theirs, &writer, error);
    else if (code == 0)
        write_replacement(import, theirs, &writer);
    json_end_object(&writer);
    if (code == 0 && body.failed)
        code = error_no_memory(error);
    if (code == 0)
        code = source_edit(import->store, import->who, import->name, body.data, body.size, &reply, error);
    source_spec_free(&theirs);
    return code;
}

static int take(struct import *import, int merge, struct hf_error *error) {
    struct source_entry entry = {.spec = NULL};
    int code = source_entry_read(import->store, import->name, &entry, error);
    if (code == HF_ERR_NOT_FOUND)
        code = make_new(import, error);
    else if (code == 0)
        code = change_old(import, &entry, merge, error);
    source_entry_fini(&entry);
    return code;
}

int source_import(struct hf_store *store, const char *who, const char *name, const char *body, size_t body_bytes,
                  int merge, struct buf *ret_json, struct hf_error *error) {
    struct import import = {.store = store, .name = name, .who = who};
    json_init(&import.doc);
    json_init(&import.spec);
    buf_init(&import.fields);
    arena_init(&import.arena);
    int code = ids_check_name(name, error);
    if (code == 0)
        code = read_import(&import, body, body_bytes, error);
    if (code == 0)
        code = take(&import, merge, error);
    arena_fini(&import.arena);
    buf_fini(&import.fields);
    json_fini(&import.spec);
    json_fini(&import.doc);
    if (code != 0)
        return error_wrap(error, code, "import source '%s'", name);
    return source_show(store, NULL, name, ret_json, error);
}
