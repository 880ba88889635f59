/* A source as one document: to be taken along, and to be looked at. */
#include <string.h>

#include "run/source_store.h"
#include "store/store.h"

/* ---- what history holds, as members ---- */

struct walk {
    struct json_writer *writer;
    uint64_t count;
    int beyond_deletions; /* also of earlier sources of that name */
};

static int write_record(void *arg, const struct hf_record *record, int code) {
    struct walk *walk = arg;
    if (code < 0) /* a damaged one is left out; check tells of it */
        return 0;
    if (!record->json)
        return !walk->beyond_deletions;
    json_raw(walk->writer, record->json, record->json_bytes);
    walk->count++;
    return 0;
}

/* An array, newest first. */
static int write_history(struct hf_store *store, const char *kind, const char *name, uint64_t limit, struct walk *walk,
                         struct hf_error *error) {
    json_begin_array(walk->writer);
    int code = hf_store_history(store, kind, name, limit, write_record, walk, error);
    json_end_array(walk->writer);
    return code < 0 && code != HF_ERR_NOT_FOUND ? code : 0;
}

static int write_source(struct hf_store *store, struct unsaved *unsaved, const char *name, struct json_writer *writer,
                        struct hf_error *error) {
    BUF_AUTO struct buf json;
    buf_init(&json);
    int code = source_show(store, unsaved, name, &json, error);
    if (code == 0)
        json_put_raw(writer, "source", json.data, json.size);
    return code;
}

static int check_memory(const struct buf *json, struct hf_error *error) {
    return json->failed ? error_no_memory(error) : 0;
}

int source_export(struct hf_store *store, const char *name, int with_code, uint64_t data, struct buf *ret_json,
                  struct hf_error *error) {
    struct json_writer writer;
    struct walk code_walk = {.writer = &writer}, data_walk = {.writer = &writer};
    json_writer_init(&writer, ret_json, 0);
    json_begin_object(&writer);
    json_put_i64(&writer, "holdfast_source", SOURCE_EXPORT_FORMAT);
    json_put_time(&writer, "exported_at", os_wall_ms(store_os(store)));
    int code = write_source(store, NULL, name, &writer, error);
    if (code == 0 && with_code) {
        json_key(&writer, "code_versions");
        code = write_history(store, "source_code", name, 0, &code_walk, error);
    }
    if (code == 0 && data > 0) {
        json_key(&writer, "data");
        code = write_history(store, "source_data", name, data, &data_walk, error);
    }
    if (code != 0)
        return error_wrap(error, code, "export source '%s'", name);
    json_end_object(&writer);
    return check_memory(ret_json, error);
}

/* ---- summary ---- */

static void copy_members(const struct json_doc *doc, uint32_t object, const char *const *names,
                         struct json_writer *writer) {
    for (; *names; names++) {
        size_t bytes;
        const char *span = json_span(doc, json_member(doc, object, *names), &bytes);
        if (span)
            json_put_raw(writer, *names, span, bytes);
        else
            json_put_string(writer, *names, NULL);
    }
}

struct newest {
    struct json_writer *writer;
    const char *const *names;
    uint64_t count;
    int beyond_deletions; /* also of earlier sources of that name */
};

/* Of the newest record only some members; the others are counted. */
static int look_at_newest(void *arg, const struct hf_record *record, int code) {
    struct newest *newest = arg;
    if (code < 0)
        return 0;
    if (!record->json)
        return !newest->beyond_deletions;
    if (newest->count++ > 0)
        return 0;
    JSON_AUTO struct json_doc doc;
    json_init(&doc);
    if (json_read(&doc, record->json, record->json_bytes, NULL, NULL) == 0)
        copy_members(&doc, 0, newest->names, newest->writer);
    return 0;
}

static int write_newest(struct hf_store *store, const char *kind, const char *name, struct newest *newest,
                        struct hf_error *error) {
    json_begin_object(newest->writer);
    int code = hf_store_history(store, kind, name, 0, look_at_newest, newest, error);
    json_key(newest->writer, "kept");
    json_u64(newest->writer, newest->count);
    json_end_object(newest->writer);
    return code < 0 && code != HF_ERR_NOT_FOUND ? code : 0;
}

int source_summary(struct hf_store *store, struct unsaved *unsaved, const char *name, struct buf *ret_json,
                   struct hf_error *error) {
    static const char *const DATUM[] = {"at", "run", "type", "size", "hash", NULL};
    static const char *const RUN[] = {"run", "started_at", "duration_ms", "outcome", "error", NULL};
    static const char *const CODE[] = {"version", "at", "author", "note", "digest", "bytes", NULL};
    struct json_writer writer;
    static const struct {
        const char *member, *kind;
        const char *const *names;
        int beyond_deletions;
    } PARTS[] = {{"data", "source_data", DATUM, 0}, {"runs", "source_run", RUN, 0}, {"code", "source_code", CODE, 1}};
    json_writer_init(&writer, ret_json, 0);
    json_begin_object(&writer);
    int code = write_source(store, unsaved, name, &writer, error);
    for (size_t i = 0; code == 0 && i < sizeof PARTS / sizeof PARTS[0]; i++) {
        struct newest newest = {.writer = &writer,
                                .names = PARTS[i].names,
                                .beyond_deletions = PARTS[i].beyond_deletions};
        json_key(&writer, PARTS[i].member);
        code = write_newest(store, PARTS[i].kind, name, &newest, error);
    }
    if (code != 0)
        return error_wrap(error, code, "summarise source '%s'", name);
    json_end_object(&writer);
    return check_memory(ret_json, error);
}
