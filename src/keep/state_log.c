/* What was: the versions that are kept, and the ledger of runs. Newest first. */
#include <string.h>

#include "keep/state_verb.h"

/* ---- versions ---- */

/* Entries as they come, oldest first, and where each of them ends. */
struct log {
    struct buf text, ends;
};

static int add_entry(void *arg, const struct state_meta *meta, int code) {
    struct log *log = arg;
    struct json_writer json;
    json_writer_init(&json, &log->text, 0);
    json_begin_object(&json);
    if (code == 0) {
        state_meta_write(&json, meta);
    } else {
        json_put_i64(&json, "version", (int64_t)meta->version);
        json_put_string(&json, "error", "it is damaged");
    }
    json_end_object(&json);
    uint64_t end = log->text.size;
    buf_add(&log->ends, &end, sizeof end);
    return 0;
}

static void write_backwards(const struct log *log, uint64_t count, struct json_writer *json) {
    json_begin_array(json);
    size_t entries = state_numbers_count(&log->ends);
    for (size_t i = entries; i > 0 && (count == 0 || entries - i < count); i--) {
        size_t start = i > 1 ? state_numbers_at(&log->ends, i - 2) : 0;
        json_raw(json, log->text.data + start, state_numbers_at(&log->ends, i - 1) - start);
    }
    json_end_array(json);
}

/* A damaged head does not hide its versions: they are the way back. */
static int check_there(struct hf_store *store, const char *name, struct hf_error *error) {
    struct state_head head;
    int code = state_head_find(store, name, 1, &head, error);
    if (code == 0)
        state_head_fini(&head);
    return code;
}

int state_log(struct hf_store *store, const char *name, uint64_t count, struct buf *ret_json, struct hf_error *error) {
    struct log log;
    struct json_writer json;
    buf_init(&log.text);
    buf_init(&log.ends);
    json_writer_init(&json, ret_json, 0);
    int code = check_there(store, name, error);
    if (code == 0)
        code = state_version_each(store, name, add_entry, &log, error);
    if (code == 0 && (log.text.failed || log.ends.failed))
        code = error_no_memory(error);
    if (code == 0)
        write_backwards(&log, count, &json);
    buf_fini(&log.text);
    buf_fini(&log.ends);
    if (code == 0 && ret_json->failed)
        code = error_no_memory(error);
    return code < 0 ? error_wrap(error, code, "list versions") : 0;
}

/* ---- runs ---- */

static void write_unreadable(struct json_writer *json, uint64_t number) {
    json_begin_object(json);
    json_put_i64(json, "number", (int64_t)number);
    json_put_string(json, "error", "it is damaged");
    json_end_object(json);
}

/* 1: it is entered as running, but nobody runs it any more. */
static int is_lost(struct hf_store *store, const struct state_head *head, const struct json_doc *doc) {
    enum state_owner owner = state_lease_owner(store, &head->lease);
    int is_its_lease = json_member_i64(doc, 0, "number", 0) == (int64_t)head->lease.fence;
    return json_is_string(doc, json_member(doc, 0, "outcome"), "running") &&
           (!is_its_lease || owner == STATE_OWNER_DEAD || owner == STATE_OWNER_NONE);
}

static void write_run(struct hf_store *store, const struct state_head *head, const struct json_doc *doc,
                      struct json_writer *json) {
    int is_shown_lost = is_lost(store, head, doc);
    struct arena arena;
    arena_init(&arena);
    json_begin_object(json);
    for (uint32_t key = json_first(doc, 0); key != JSON_NONE; key = json_after(doc, 0, key)) {
        size_t bytes;
        const char *name = json_to_text(doc, key, &arena, NULL);
        const char *span = json_span(doc, json_value_of_key(key), &bytes);
        if (is_shown_lost && json_is_string(doc, key, "outcome"))
            json_put_string(json, "outcome", "lost");
        else if (name)
            json_put_raw(json, name, span, bytes);
    }
    json_end_object(json);
    arena_fini(&arena);
}

static int write_run_of(struct hf_store *store, const struct state_head *head, uint64_t number, struct json_doc *doc,
                        struct json_writer *json, struct hf_error *error) {
    char id[HF_ID_MAX + 1];
    struct hf_record *record = NULL;
    state_number_id(head->name, number, id);
    int code = hf_store_get(store, STATE_RUN_KIND, id, &record, error);
    if (code == 0)
        code = json_read(doc, record->json, record->json_bytes, NULL, error);
    if (code == 0)
        write_run(store, head, doc, json);
    else if (code == HF_ERR_CORRUPT || code == HF_ERR_BAD_JSON)
        write_unreadable(json, number);
    hf_record_free(&record);
    /* NOT_FOUND: it was dropped since it was listed */
    return code == HF_ERR_NO_MEMORY || code == HF_ERR_IO ? code : 0;
}

int state_runs(struct hf_store *store, const char *name, uint64_t count, struct buf *ret_json, struct hf_error *error) {
    struct state_head head;
    struct json_writer json;
    JSON_AUTO struct json_doc doc;
    BUF_AUTO struct buf numbers;
    json_init(&doc);
    buf_init(&numbers);
    int code = state_head_find(store, name, 1, &head, error);
    if (code < 0)
        return error_wrap(error, code, "list runs");
    code = state_numbers_of_runs(store, name, &numbers, error);
    json_writer_init(&json, ret_json, 0);
    json_begin_array(&json);
    size_t runs = state_numbers_count(&numbers);
    for (size_t i = runs; code == 0 && i > 0 && (count == 0 || runs - i < count); i--)
        code = write_run_of(store, &head, state_numbers_at(&numbers, i - 1), &doc, &json, error);
    json_end_array(&json);
    state_head_fini(&head);
    if (code == 0 && ret_json->failed)
        code = error_no_memory(error);
    return code < 0 ? error_wrap(error, code, "list runs") : 0;
}
