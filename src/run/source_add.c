#include <string.h>

#include "data/ids.h"
#include "run/code_check.h"
#include "run/source_store.h"
#include "store/store.h"

static const char *const OTHER_FIELDS[] = {"name", "kind", "code", "note", "start", NULL};

struct add_request {
    struct json_doc doc;
    struct arena arena;
    const char *name, *code, *note;
    size_t code_bytes;
    struct source_spec *spec;
};

static int read_start(struct add_request *request, struct hf_error *error) {
    uint32_t start = json_member(&request->doc, 0, "start");
    int value = json_to_bool(&request->doc, start, -1);
    if (start != JSON_NONE && value < 0)
        return error_set(error, HF_ERR_INVALID, "field 'start' must be true or false");
    request->spec->wanted_running = value == 1;
    return 0;
}

/* A text that may be left out. */
static int read_optional(struct add_request *request, const char *field, size_t *ret_bytes, const char **ret_text,
                         struct hf_error *error) {
    uint32_t node = json_member(&request->doc, 0, field);
    if (node == JSON_NONE || json_type_of(&request->doc, node) == JSON_NULL)
        return 0;
    *ret_text = json_to_text(&request->doc, node, &request->arena, ret_bytes);
    return *ret_text ? 0 : error_set(error, HF_ERR_INVALID, "field '%s' must be text", field);
}

static int read_request(struct add_request *request, const char *body, size_t body_bytes, struct hf_error *error) {
    enum source_kind kind = SOURCE_COMMAND;
    int code = source_body_read(&request->doc, body, body_bytes, error);
    if (code < 0)
        return code;
    request->name = json_member_text(&request->doc, 0, "name", &request->arena);
    if (!request->name)
        return error_set(error, HF_ERR_INVALID, "field 'name' is missing or not text");
    code = ids_check_name(request->name, error);
    const char *its_kind = json_member_text(&request->doc, 0, "kind", &request->arena);
    if (code == 0 && source_kind_from_name(its_kind, &kind) < 0)
        code = error_set(error, HF_ERR_INVALID, "field 'kind' must be \"python\" or \"command\", not '%s'",
                         its_kind ? its_kind : "");
    if (code == 0)
        code = source_spec_new(request->name, kind, &request->spec, error);
    if (code == 0)
        code = source_spec_change(request->spec, &request->doc, OTHER_FIELDS, error);
    if (code == 0)
        code = read_start(request, error);
    if (code == 0)
        code = read_optional(request, "code", &request->code_bytes, &request->code, error);
    if (code == 0)
        code = read_optional(request, "note", NULL, &request->note, error);
    return code;
}

static int check_code(struct hf_store *store, const struct add_request *request, struct hf_error *error) {
    if (request->spec->kind == SOURCE_COMMAND)
        return request->code ? error_set(error, HF_ERR_INVALID, "field 'code' is for the kind 'python' only") : 0;
    if (!request->code)
        return error_set(error, HF_ERR_INVALID, "field 'code' is missing: a python source needs its fetch_data");
    return code_check_python(store_os(store), NULL, request->code, request->code_bytes, error);
}

/* Before the code is checked, which takes a while; the commit asks again. */
static int check_absent(struct hf_store *store, const char *name, struct hf_error *error) {
    struct hf_record *record = NULL;
    int code = hf_store_get(store, "source", name, &record, error);
    hf_record_free(&record);
    if (code == 0)
        return error_set(error, HF_ERR_EXISTS, "a source of this name is there already");
    return code == HF_ERR_NOT_FOUND ? 0 : code;
}

static int put_state(struct hf_batch *batch, const char *name, const struct source_state *state,
                     struct hf_error *error) {
    BUF_AUTO struct buf json;
    buf_init(&json);
    struct json_writer writer;
    json_writer_init(&writer, &json, 0);
    json_begin_object(&writer);
    json_put_string(&writer, "name", name);
    source_state_write(state, &writer);
    json_end_object(&writer);
    if (json.failed)
        return error_set(error, HF_ERR_NO_MEMORY, "save source '%s'", name);
    return hf_batch_put(batch, "source_state", name, json.data, json.size, NULL, error);
}

int source_commit_new(struct hf_store *store, const char *who, struct source_spec *spec,
                      const struct source_state *state, const struct source_code *newest, struct hf_error *error) {
    struct hf_batch *batch = NULL;
    struct source_code version = {.version = 0};
    int code = hf_batch_new(who, &batch, error);
    if (code == 0 && newest) {
        version = *newest;
        code = source_code_last_version(store, spec->name, &version.version, error);
        spec->code_version = ++version.version;
    }
    spec->created_ms = spec->updated_ms = os_wall_ms(store_os(store));
    if (code == 0)
        code = source_spec_put(batch, spec, &(struct hf_change_options){.condition = HF_IF_ABSENT}, error);
    if (code == 0)
        code = put_state(batch, spec->name, state, error);
    if (code == 0 && newest)
        code = source_code_put(batch, spec->name, &version, spec->created_ms, error);
    if (code == 0)
        code = hf_store_commit(store, &batch, NULL, error);
    hf_batch_free(&batch);
    if (code == HF_ERR_EXISTS)
        return error_set(error, code, "a source of this name is there already");
    return code;
}

static int commit_request(struct hf_store *store, const char *who, struct add_request *request,
                          struct hf_error *error) {
    struct source_state state;
    struct source_code code = {.text = request->code,
                               .bytes = request->code_bytes,
                               .author = who,
                               .note = request->note};
    source_state_init(&state);
    return source_commit_new(store, who, request->spec, &state, request->code ? &code : NULL, error);
}

int source_add(struct hf_store *store, const char *who, const char *body, size_t body_bytes, struct buf *ret_json,
               struct hf_error *error) {
    struct add_request request = {.name = NULL};
    json_init(&request.doc);
    arena_init(&request.arena);
    int code = read_request(&request, body, body_bytes, error);
    if (code == 0)
        code = check_absent(store, request.name, error);
    if (code == 0)
        code = check_code(store, &request, error);
    if (code == 0)
        code = commit_request(store, who, &request, error);
    if (code < 0)
        error_wrap(error, code, "add source '%s'", request.name ? request.name : "");
    else
        code = source_show(store, NULL, request.name, ret_json, error);
    source_spec_free(&request.spec);
    arena_fini(&request.arena);
    json_fini(&request.doc);
    return code;
}
