/* A state as one document, which can be imported again: here or in another store. */
#include "keep/state_verb.h"

struct export {
    struct hf_store *store;
    const struct state_head *head;
    int as_base64;
    uint64_t damaged;
    struct json_writer json;
};

static void write_version(struct export *export, const struct state_version *version) {
    struct json_writer *json = &export->json;
    json_begin_object(json);
    state_meta_write(json, &version->meta);
    state_value_write(json, version->bytes, version->meta.size, version->meta.is_json && !export->as_base64);
    json_end_object(json);
}

static int export_version(struct export *export, uint64_t number, struct hf_error *error) {
    struct state_version *version = NULL;
    struct hf_error why = {0};
    int code = state_version_read(export->store, export->head->name, number, &version, &why);
    if (code == 0)
        write_version(export, version);
    else if (code == HF_ERR_CORRUPT)
        export->damaged++;
    else if (code != HF_ERR_NOT_FOUND) /* retention took it meanwhile */
        error_copy(error, &why);
    state_version_free(&version);
    return code == HF_ERR_CORRUPT || code == HF_ERR_NOT_FOUND ? 0 : code;
}

static int export_versions(struct export *export, struct hf_error *error) {
    BUF_AUTO struct buf numbers;
    buf_init(&numbers);
    int code = state_numbers_of_versions(export->store, export->head->name, &numbers, error);
    for (size_t i = 0; code == 0 && i < state_numbers_count(&numbers); i++)
        code = export_version(export, state_numbers_at(&numbers, i), error);
    return code;
}

static int export_newest(struct export *export, struct hf_error *error) {
    struct state_version *version = NULL;
    if (export->head->newest.version == 0)
        return 0;
    int code = state_read_newest(export->store, export->head, &version, error);
    if (code == 0)
        write_version(export, version);
    state_version_free(&version);
    return code;
}

/* Runs as they are stored; of one that cannot be read nothing is left to tell. */
static int export_run(struct export *export, uint64_t number, struct hf_error *error) {
    char id[HF_ID_MAX + 1];
    struct hf_record *record = NULL;
    struct hf_error why = {0};
    state_number_id(export->head->name, number, id);
    int code = hf_store_get(export->store, STATE_RUN_KIND, id, &record, &why);
    if (code == 0)
        json_raw(&export->json, record->json, record->json_bytes);
    hf_record_free(&record);
    if (code == 0 || code == HF_ERR_CORRUPT || code == HF_ERR_NOT_FOUND)
        return 0;
    error_copy(error, &why);
    return code;
}

static int export_runs(struct export *export, struct hf_error *error) {
    BUF_AUTO struct buf numbers;
    buf_init(&numbers);
    int code = state_numbers_of_runs(export->store, export->head->name, &numbers, error);
    for (size_t i = 0; code == 0 && i < state_numbers_count(&numbers); i++)
        code = export_run(export, state_numbers_at(&numbers, i), error);
    return code;
}

static void write_keep(struct export *export) {
    json_key(&export->json, "keep");
    json_begin_object(&export->json);
    json_put_i64(&export->json, "versions", export->head->keep_versions);
    json_put_i64(&export->json, "max_age_ms", export->head->keep_age_ms);
    json_end_object(&export->json);
}

int state_export_write(struct hf_store *store, const struct state_head *head, int only_newest, int as_base64,
                       struct buf *out, struct hf_error *error) {
    struct export export = {.store = store, .head = head, .as_base64 = as_base64};
    struct json_writer *json = &export.json;
    json_writer_init(json, out, 0);
    json_begin_object(json);
    json_put_i64(json, "holdfast_state", STATE_EXPORT_FORMAT);
    json_put_string(json, "name", head->name);
    write_keep(&export);
    json_key(json, "versions");
    json_begin_array(json);
    int code = only_newest ? export_newest(&export, error) : export_versions(&export, error);
    json_end_array(json);
    json_key(json, "runs");
    json_begin_array(json);
    if (code == 0 && !only_newest)
        code = export_runs(&export, error);
    json_end_array(json);
    json_put_i64(json, "damaged", (int64_t) export.damaged);
    json_end_object(json);
    return code == 0 && out->failed ? error_no_memory(error) : code;
}

struct request {
    struct hf_store *store;
    const char *name;
    int only_newest;
    struct buf *ret_json;
};

static int try_export(void *arg, int number, struct hf_error *error) {
    struct request *request = arg;
    struct state_head head;
    (void)number;
    buf_clear(request->ret_json);
    int code = state_head_find(request->store, request->name, 1, &head, error);
    if (code < 0)
        return code;
    code = state_export_write(request->store, &head, request->only_newest, 0, request->ret_json, error);
    state_head_fini(&head);
    return code;
}

int state_export(struct hf_store *store, const char *name, int only_newest, struct buf *ret_json,
                 struct hf_error *error) {
    struct request request = {.store = store, .name = name, .only_newest = only_newest, .ret_json = ret_json};
    int code = state_attempt_until_done(try_export, &request, error);
    return code < 0 ? error_wrap(error, code, "export state '%s'", name) : 0;
}
