/* Sources as documents for people and programs: what was asked for and how it is, in one. */
#include <string.h>

#include "base/map.h"
#include "run/source_store.h"
#include "run/unsaved.h"

static void write_unsaved(struct unsaved *unsaved, const char *name, struct json_writer *writer) {
    struct unsaved_runs runs = {0};
    if (unsaved)
        unsaved_get(unsaved, name, &runs);
    json_put_i64(writer, "unsaved_runs", runs.runs);
    json_put_time(writer, "unsaved_since", runs.since_ms);
}

static int show(struct hf_store *store, struct unsaved *unsaved, const char *name, struct json_writer *writer,
                struct hf_error *error) {
    struct source_entry entry = {.spec = NULL};
    struct source_state state;
    int code = source_entry_read(store, name, &entry, error);
    if (code == 0)
        code = source_state_get(store, name, &state, NULL, error);
    if (code == 0) {
        json_begin_object(writer);
        source_spec_write(entry.spec, writer);
        source_state_write(&state, writer);
        write_unsaved(unsaved, name, writer);
        json_end_object(writer);
    }
    source_entry_fini(&entry);
    return code;
}

static int check_memory(const struct buf *json, struct hf_error *error) {
    return json->failed ? error_set(error, HF_ERR_NO_MEMORY, "write the reply: memory is used up") : 0;
}

int source_show(struct hf_store *store, struct unsaved *unsaved, const char *name, struct buf *ret_json,
                struct hf_error *error) {
    struct json_writer writer;
    json_writer_init(&writer, ret_json, 0);
    int code = show(store, unsaved, name, &writer, error);
    return code < 0 ? error_wrap(error, code, "show source '%s'", name) : check_memory(ret_json, error);
}

/* ---- texts collected in a walk ---------------------------------------------------------------------------------- */

struct collection {
    struct vec texts; /* own copies */
    int code;
    int beyond_deletions; /* also of earlier sources of that name */
    int with_code;
    uint64_t count; /* most; 0: all */
};

static void collection_fini(struct collection *collection) {
    for (size_t i = 0; i < collection->texts.count; i++)
        mem_free(collection->texts.items[i]);
    vec_fini(&collection->texts);
}

static int keep(struct collection *collection, char *text) {
    if (text && vec_push(&collection->texts, text) == 0)
        return collection->count > 0 && collection->texts.count >= collection->count;
    mem_free(text);
    collection->code = HF_ERR_NO_MEMORY;
    return 1;
}

static int keep_name(void *arg, const struct hf_record *record, int code) {
    (void)code;
    return keep(arg, mem_strdup(record->id));
}

static int keep_json(void *arg, const struct hf_record *record, int code) {
    struct collection *collection = arg;
    if (code < 0) /* a damaged one is left out; check tells of it */
        return 0;
    if (!record->json)
        return !collection->beyond_deletions;
    return keep(collection, mem_dup(record->json, record->json_bytes));
}

/* The document of a code version without the code itself. */
static char *without_code(const char *json, size_t bytes) {
    JSON_AUTO struct json_doc doc;
    json_init(&doc);
    if (json_read(&doc, json, bytes, NULL, NULL) < 0)
        return NULL;
    struct buf out;
    buf_init(&out);
    struct json_writer writer;
    json_writer_init(&writer, &out, 0);
    json_begin_object(&writer);
    for (uint32_t key = json_first(&doc, 0); key != JSON_NONE; key = json_after(&doc, 0, key)) {
        static const char *const KEYS[] = {"name", "version", "digest", "bytes", "author", "note", "at"};
        for (size_t i = 0; i < sizeof KEYS / sizeof KEYS[0]; i++) {
            size_t size;
            const char *span = json_span(&doc, json_value_of_key(key), &size);
            if (json_is_string(&doc, key, KEYS[i]))
                json_put_raw(&writer, KEYS[i], span, size);
        }
    }
    json_end_object(&writer);
    return buf_take(&out);
}

static int keep_version(void *arg, const struct hf_record *record, int code) {
    struct collection *collection = arg;
    if (code < 0 || !record->json || collection->with_code)
        return keep_json(arg, record, code);
    return keep(collection, without_code(record->json, record->json_bytes));
}

static void write_array(const struct collection *collection, int backwards, struct buf *out) {
    size_t count = collection->texts.count;
    buf_add_char(out, '[');
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buf_add_char(out, ',');
        buf_add_text(out, collection->texts.items[backwards ? count - 1 - i : i]);
    }
    buf_add_char(out, ']');
}

/* ---- lists ------------------------------------------------------------------------------------------------------ */

static int show_all(struct hf_store *store, struct unsaved *unsaved, const struct vec *names, size_t count,
                    struct buf *out, struct hf_error *error) {
    struct json_writer writer;
    json_writer_init(&writer, out, 0);
    json_begin_array(&writer);
    for (size_t i = 0; i < count; i++) {
        int code = show(store, unsaved, names->items[i], &writer, error);
        if (code == HF_ERR_NOT_FOUND)
            continue; /* removed since */
        if (code == HF_ERR_CORRUPT) {
            json_begin_object(&writer);
            json_put_string(&writer, "name", names->items[i]);
            json_put_string(&writer, "status", "damaged");
            json_end_object(&writer);
        } else if (code < 0) {
            return code;
        }
    }
    json_end_array(&writer);
    return check_memory(out, error);
}

int source_list(struct hf_store *store, struct unsaved *unsaved, const char *after, uint64_t limit,
                struct buf *ret_json, struct hf_error *error) {
    struct collection names = {.count = 0};
    vec_init(&names.texts);
    int code = hf_store_scan(store, "source", after, limit, keep_name, &names, error);
    if (code >= 0 && names.code < 0)
        code = error_set(error, names.code, "memory is used up");
    if (code >= 0)
        code = show_all(store, unsaved, &names.texts, names.texts.count, ret_json, error);
    collection_fini(&names);
    return code < 0 ? error_wrap(error, code, "list sources") : 0;
}

struct history_view {
    const char *kind;
    hf_record_visit visit;
    int backwards;
};

static int write_history(struct hf_store *store, const char *name, const struct history_view *view,
                         struct collection *collection, struct buf *out, struct hf_error *error) {
    struct source_entry entry = {.spec = NULL};
    vec_init(&collection->texts);
    int code = source_entry_read(store, name, &entry, error);
    source_entry_fini(&entry);
    if (code == 0)
        code = hf_store_history(store, view->kind, name, 0, view->visit, collection, error);
    if (code >= 0 && collection->code < 0)
        code = error_set(error, collection->code, "memory is used up");
    if (code >= 0) {
        write_array(collection, view->backwards, out);
        code = check_memory(out, error);
    }
    collection_fini(collection);
    return code;
}

int source_tail(struct hf_store *store, const char *name, uint64_t count, struct buf *ret_json,
                struct hf_error *error) {
    struct collection data = {.count = count};
    int code = write_history(store, name, &(struct history_view){"source_data", keep_json, 1}, &data, ret_json, error);
    return code < 0 ? error_wrap(error, code, "tail source '%s'", name) : 0;
}

int source_runs(struct hf_store *store, const char *name, uint64_t count, struct buf *ret_json,
                struct hf_error *error) {
    struct collection runs = {.count = count};
    int code = write_history(store, name, &(struct history_view){"source_run", keep_json, 0}, &runs, ret_json, error);
    return code < 0 ? error_wrap(error, code, "list runs of source '%s'", name) : 0;
}

int source_versions(struct hf_store *store, const char *name, uint64_t count, int with_code, struct buf *ret_json,
                    struct hf_error *error) {
    struct collection versions = {.count = count, .with_code = with_code, .beyond_deletions = 1};
    int code =
        write_history(store, name, &(struct history_view){"source_code", keep_version, 0}, &versions, ret_json, error);
    return code < 0 ? error_wrap(error, code, "list versions of source '%s'", name) : 0;
}
