#include "run/source_spec.h"

#include <string.h>

#include "base/text.h"
#include "run/source_field.h"

static const char *const NOTHING[] = {NULL};
static const char *const KIND_NAMES[] = {[SOURCE_COMMAND] = "command", [SOURCE_PYTHON] = "python"};

const char *source_kind_name(enum source_kind kind) {
    return KIND_NAMES[kind];
}

int source_kind_from_name(const char *name, enum source_kind *ret_kind) {
    for (int i = 0; name && i < 2; i++) {
        if (strcmp(KIND_NAMES[i], name) == 0) {
            *ret_kind = (enum source_kind)i;
            return 0;
        }
    }
    return -1;
}

int source_spec_new(const char *name, enum source_kind kind, struct source_spec **ret_spec, struct hf_error *error) {
    struct source_spec *spec = MEM_NEW(struct source_spec);
    if (!spec)
        return error_set(error, HF_ERR_NO_MEMORY, "read source '%s'", name);
    arena_init(&spec->arena);
    *spec = (struct source_spec){
        .arena = spec->arena,
        .description = "",
        .cwd = "/",
        .kind = kind,
        .argv = NOTHING,
        .env = NOTHING,
        .tags = NOTHING,
        .interval_ms = 5000,
        .timeout_ms = 60000,
        .stop_timeout_ms = 5000,
        .backoff_min_ms = 1000,
        .backoff_max_ms = 60000,
        .output_bytes = 64 * 1024,
        .data_bytes = 8 * 1024 * 1024,
    };
    spec->name = arena_strdup(&spec->arena, name);
    if (!spec->name) {
        source_spec_free(&spec);
        return error_set(error, HF_ERR_NO_MEMORY, "read source '%s'", name);
    }
    *ret_spec = spec;
    return 0;
}

void source_spec_free(struct source_spec **spec) {
    if (!*spec)
        return;
    arena_fini(&(*spec)->arena);
    mem_free(*spec);
    *spec = NULL;
}

static int is_in(const char *const *list, const char *name) {
    for (; *list; list++) {
        if (strcmp(*list, name) == 0)
            return 1;
    }
    return 0;
}

/* One object of fields; the request itself, or its "limits". */
static int change_fields(struct source_spec *spec, const struct json_doc *doc, uint32_t object, int limits_only,
                         const char *const *others, struct hf_error *error) {
    for (uint32_t key = json_first(doc, object); key != JSON_NONE; key = json_after(doc, object, key)) {
        const char *name = json_to_text(doc, key, &spec->arena, NULL);
        if (!name)
            return error_set(error, HF_ERR_NO_MEMORY, "read source '%s'", spec->name);
        uint32_t value = json_value_of_key(key);
        int as_ms = 0, code = 0;
        const struct source_field *field = source_field_find(name, &as_ms);
        if (field && (!limits_only || field->is_limit))
            code = source_field_read(spec, field, as_ms, doc, value, error);
        else if (!limits_only && strcmp(name, "limits") == 0 && json_type_of(doc, value) == JSON_OBJECT)
            code = change_fields(spec, doc, value, 1, others, error);
        else if (!is_in(others, name))
            code = error_set(error, HF_ERR_INVALID, "field '%s%s' is not known", limits_only ? "limits." : "", name);
        if (code < 0)
            return code;
    }
    return 0;
}

int source_spec_change(struct source_spec *spec, const struct json_doc *doc, const char *const *others,
                       struct hf_error *error) {
    int code = change_fields(spec, doc, 0, 0, others, error);
    if (code < 0)
        return code;
    if (spec->kind == SOURCE_COMMAND && !spec->argv[0])
        return error_set(error, HF_ERR_INVALID, "field 'argv' is missing: a command needs its program and arguments");
    if (spec->kind == SOURCE_PYTHON && spec->argv[0])
        return error_set(error, HF_ERR_INVALID, "field 'argv' is for the kind 'command' only");
    if (spec->backoff_max_ms < spec->backoff_min_ms)
        return error_set(error, HF_ERR_INVALID, "field 'backoff_max' must not be less than 'backoff_min'");
    return 0;
}

void source_spec_write(const struct source_spec *spec, struct json_writer *writer) {
    json_put_string(writer, "name", spec->name);
    json_put_string(writer, "kind", source_kind_name(spec->kind));
    for (size_t i = 0; i < SOURCE_FIELD_COUNT; i++) {
        int is_argv = strcmp(SOURCE_FIELDS[i].name, "argv") == 0;
        if (!SOURCE_FIELDS[i].is_limit && (!is_argv || spec->kind == SOURCE_COMMAND))
            source_field_write(spec, &SOURCE_FIELDS[i], writer);
    }
    json_key(writer, "limits");
    json_begin_object(writer);
    for (size_t i = 0; i < SOURCE_FIELD_COUNT; i++) {
        if (SOURCE_FIELDS[i].is_limit)
            source_field_write(spec, &SOURCE_FIELDS[i], writer);
    }
    json_end_object(writer);
    json_put_string(writer, "wanted", spec->wanted_running ? "running" : "stopped");
    json_put_i64(writer, "code_version", spec->code_version);
    json_put_i64(writer, "run_request", spec->run_request);
    json_put_i64(writer, "run_cancelled", spec->run_cancelled);
    json_put_i64(writer, "start_request", spec->start_request);
    json_put_time(writer, "created_at", spec->created_ms);
    json_put_time(writer, "updated_at", spec->updated_ms);
}

static int64_t member_time(const struct json_doc *doc, const char *key, struct arena *arena) {
    const char *text = json_member_text(doc, 0, key, arena);
    int64_t ms;
    return text && text_to_time(text, &ms) == 0 ? ms : 0;
}

static const char *const OWN_FIELDS[] = {"name",          "kind",          "wanted",     "code_version", "run_request",
                                         "run_cancelled", "start_request", "created_at", "updated_at",   NULL};

int source_spec_read(const char *name, const char *json, size_t bytes, struct source_spec **ret_spec,
                     struct hf_error *error) {
    JSON_AUTO struct json_doc doc;
    json_init(&doc);
    struct source_spec *spec = NULL;
    enum source_kind kind = SOURCE_COMMAND;
    struct arena scratch;
    arena_init(&scratch);
    int code = json_read(&doc, json, bytes, NULL, error);
    if (code == 0 && source_kind_from_name(json_member_text(&doc, 0, "kind", &scratch), &kind) < 0)
        code = error_set(error, HF_ERR_INVALID, "field 'kind' is not known");
    if (code == 0)
        code = source_spec_new(name, kind, &spec, error);
    if (code == 0)
        code = source_spec_change(spec, &doc, OWN_FIELDS, error);
    arena_fini(&scratch);
    if (code < 0) {
        source_spec_free(&spec);
        if (error && code != HF_ERR_NO_MEMORY)
            error->code = HF_ERR_CORRUPT;
        return error_wrap(error, code == HF_ERR_NO_MEMORY ? code : HF_ERR_CORRUPT, "read source '%s'", name);
    }
    spec->code_version = json_member_i64(&doc, 0, "code_version", 0);
    spec->run_request = json_member_i64(&doc, 0, "run_request", 0);
    spec->run_cancelled = json_member_i64(&doc, 0, "run_cancelled", 0);
    spec->start_request = json_member_i64(&doc, 0, "start_request", 0);
    spec->wanted_running = json_is_string(&doc, json_member(&doc, 0, "wanted"), "running");
    spec->created_ms = member_time(&doc, "created_at", &spec->arena);
    spec->updated_ms = member_time(&doc, "updated_at", &spec->arena);
    *ret_spec = spec;
    return 0;
}

static int lists_are_equal(const char *const *a, const char *const *b) {
    for (; *a && *b; a++, b++) {
        if (strcmp(*a, *b) != 0)
            return 0;
    }
    return *a == *b;
}

int source_spec_same_child(const struct source_spec *a, const struct source_spec *b) {
    return a->kind == b->kind && a->code_version == b->code_version && strcmp(a->cwd, b->cwd) == 0 &&
           a->data_bytes == b->data_bytes && a->output_bytes == b->output_bytes && lists_are_equal(a->argv, b->argv) &&
           lists_are_equal(a->env, b->env);
}
