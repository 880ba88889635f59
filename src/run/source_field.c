/* The fields of a source that can be set, as a table, and how each type of them is read. */
#include "run/source_field.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

#define FIELD(text, kind, member, low, high, limit)                                                                    \
    {                                                                                                                  \
        .name = (text), .type = (kind), .offset = offsetof(struct source_spec, member), .min = (low), .max = (high),   \
        .is_limit = (limit)                                                                                            \
    }

enum { SECOND = 1000 };
#define DAY ((int64_t)24 * 3600 * SECOND)

const struct source_field SOURCE_FIELDS[] = {
    FIELD("description", FIELD_TEXT, description, 0, 4096, 0),
    FIELD("interval", FIELD_DURATION, interval_ms, 10, 366 * DAY, 0),
    FIELD("timeout", FIELD_DURATION, timeout_ms, 10, 30 * DAY, 0),
    FIELD("stop_timeout", FIELD_DURATION, stop_timeout_ms, 0, 3600 * SECOND, 0),
    FIELD("backoff_min", FIELD_DURATION, backoff_min_ms, 10, DAY, 0),
    FIELD("backoff_max", FIELD_DURATION, backoff_max_ms, 10, DAY, 0),
    FIELD("save_interval", FIELD_DURATION, save_interval_ms, 0, DAY, 0),
    FIELD("argv", FIELD_LIST, argv, 1, 1024, 0),
    FIELD("env", FIELD_ENVIRONMENT, env, 0, 1024, 0),
    FIELD("cwd", FIELD_FOLDER, cwd, 1, 4095, 0),
    FIELD("tags", FIELD_LIST, tags, 0, 64, 0),
    FIELD("output_bytes", FIELD_NUMBER, output_bytes, 0, 1024 * 1024, 1),
    FIELD("data_bytes", FIELD_NUMBER, data_bytes, 1, SOURCE_DATA_MAX, 1),
};
const size_t SOURCE_FIELD_COUNT = sizeof SOURCE_FIELDS / sizeof SOURCE_FIELDS[0];

static void *place_of(struct source_spec *spec, const struct source_field *field) {
    return (char *)spec + field->offset;
}

/* A text without NUL: it goes to execve. */
static int read_text(struct source_spec *spec, const struct json_doc *doc, uint32_t node, const char *name,
                     const char **ret_text, struct hf_error *error) {
    if (json_type_of(doc, node) != JSON_STRING)
        return error_set(error, HF_ERR_INVALID, "field '%s' must be text", name);
    size_t bytes;
    char *text = json_to_text(doc, node, &spec->arena, &bytes);
    if (!text)
        return error_set(error, HF_ERR_NO_MEMORY, "read field '%s'", name);
    if (strlen(text) != bytes)
        return error_set(error, HF_ERR_INVALID, "field '%s' has a NUL in it", name);
    *ret_text = text;
    return 0;
}

static int read_whole_text(struct source_spec *spec, const struct source_field *field, const struct json_doc *doc,
                           uint32_t node, struct hf_error *error) {
    const char *text;
    int code = read_text(spec, doc, node, field->name, &text, error);
    if (code < 0)
        return code;
    if ((int64_t)strlen(text) > field->max)
        return error_set(error, HF_ERR_INVALID, "field '%s' has more than %lld bytes", field->name,
                         (long long)field->max);
    if (field->type == FIELD_FOLDER && text[0] != '/')
        return error_set(error, HF_ERR_INVALID, "field '%s' must be a path that begins with '/', not '%s'", field->name,
                         text);
    *(const char **)place_of(spec, field) = text;
    return 0;
}

static int store_number(struct source_spec *spec, const struct source_field *field, const char *name, int64_t value,
                        struct hf_error *error) {
    if (value < field->min || value > field->max)
        return error_set(error, HF_ERR_INVALID, "field '%s' must be from %lld to %lld, not %lld", name,
                         (long long)field->min, (long long)field->max, (long long)value);
    *(int64_t *)place_of(spec, field) = value;
    return 0;
}

static int read_number(struct source_spec *spec, const struct source_field *field, const char *name,
                       const struct json_doc *doc, uint32_t node, struct hf_error *error) {
    int64_t value;
    if (json_to_i64(doc, node, &value) < 0)
        return error_set(error, HF_ERR_INVALID, "field '%s' must be a whole number", name);
    return store_number(spec, field, name, value, error);
}

static int read_duration(struct source_spec *spec, const struct source_field *field, const struct json_doc *doc,
                         uint32_t node, struct hf_error *error) {
    const char *text;
    int64_t ms;
    if (json_type_of(doc, node) != JSON_STRING)
        return error_set(error, HF_ERR_INVALID, "field '%s' must be text such as \"5s\"; '%s_ms' takes a number",
                         field->name, field->name);
    int code = read_text(spec, doc, node, field->name, &text, error);
    if (code < 0)
        return code;
    if (text_to_duration_ms(text, &ms) < 0)
        return error_set(error, HF_ERR_INVALID, "field '%s' must be a duration such as \"500ms\" or \"5s\", not '%s'",
                         field->name, text);
    return store_number(spec, field, field->name, ms, error);
}

static int read_list(struct source_spec *spec, const struct source_field *field, const struct json_doc *doc,
                     uint32_t node, struct hf_error *error) {
    if (json_type_of(doc, node) != JSON_ARRAY)
        return error_set(error, HF_ERR_INVALID, "field '%s' must be an array of texts", field->name);
    uint32_t count = doc->nodes[node].count;
    if (count < field->min || count > field->max)
        return error_set(error, HF_ERR_INVALID, "field '%s' must have from %lld to %lld texts, not %u", field->name,
                         (long long)field->min, (long long)field->max, count);
    const char **list = arena_zalloc(&spec->arena, count + 1u, sizeof *list);
    if (!list)
        return error_set(error, HF_ERR_NO_MEMORY, "read field '%s'", field->name);
    uint32_t i = 0;
    for (uint32_t item = json_first(doc, node); item != JSON_NONE; item = json_after(doc, node, item)) {
        int code = read_text(spec, doc, item, field->name, &list[i++], error);
        if (code < 0)
            return code;
    }
    if (field->min > 0 && list[0][0] == '\0')
        return error_set(error, HF_ERR_INVALID, "field '%s' begins with an empty text", field->name);
    *(const char *const **)place_of(spec, field) = list;
    return 0;
}

static int environment_name_is_good(const char *name) {
    if (name[0] == '\0' || strlen(name) > 255 || strchr("0123456789", name[0]) || strncmp(name, "HOLDFAST_", 9) == 0)
        return 0;
    return strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") == strlen(name);
}

static int read_environment(struct source_spec *spec, const struct source_field *field, const struct json_doc *doc,
                            uint32_t node, struct hf_error *error) {
    if (json_type_of(doc, node) != JSON_OBJECT || doc->nodes[node].count > field->max)
        return error_set(error, HF_ERR_INVALID, "field '%s' must be an object of at most %lld texts", field->name,
                         (long long)field->max);
    const char **list = arena_zalloc(&spec->arena, doc->nodes[node].count + 1u, sizeof *list);
    if (!list)
        return error_set(error, HF_ERR_NO_MEMORY, "read field '%s'", field->name);
    uint32_t i = 0;
    for (uint32_t key = json_first(doc, node); key != JSON_NONE; key = json_after(doc, node, key)) {
        const char *name, *value;
        int code = read_text(spec, doc, key, field->name, &name, error);
        if (code == 0 && !environment_name_is_good(name))
            code = error_set(error, HF_ERR_INVALID, "field '%s': '%s' cannot be the name of a variable", field->name,
                             name);
        if (code == 0)
            code = read_text(spec, doc, json_value_of_key(key), field->name, &value, error);
        if (code < 0)
            return code;
        list[i] = arena_printf(&spec->arena, "%s=%s", name, value);
        if (!list[i++])
            return error_set(error, HF_ERR_NO_MEMORY, "read field '%s'", field->name);
    }
    *(const char *const **)place_of(spec, field) = list;
    return 0;
}

int source_field_read(struct source_spec *spec, const struct source_field *field, int as_ms, const struct json_doc *doc,
                      uint32_t node, struct hf_error *error) {
    char name[64];
    switch (field->type) {
    case FIELD_TEXT:
    case FIELD_FOLDER:
        return read_whole_text(spec, field, doc, node, error);
    case FIELD_NUMBER:
        return read_number(spec, field, field->name, doc, node, error);
    case FIELD_DURATION:
        snprintf(name, sizeof name, "%s_ms", field->name);
        return as_ms ? read_number(spec, field, name, doc, node, error) : read_duration(spec, field, doc, node, error);
    case FIELD_LIST:
        return read_list(spec, field, doc, node, error);
    case FIELD_ENVIRONMENT:
        return read_environment(spec, field, doc, node, error);
    }
    return 0;
}

const struct source_field *source_field_find(const char *name, int *ret_as_ms) {
    size_t bytes = strlen(name);
    for (size_t i = 0; i < SOURCE_FIELD_COUNT; i++) {
        const struct source_field *field = &SOURCE_FIELDS[i];
        size_t own = strlen(field->name);
        int as_ms = field->type == FIELD_DURATION && bytes == own + 3 && strcmp(name + own, "_ms") == 0;
        if (strncmp(name, field->name, own) == 0 && (bytes == own || as_ms)) {
            *ret_as_ms = as_ms;
            return field;
        }
    }
    return NULL;
}

static void write_environment(const char *const *env, struct json_writer *writer) {
    json_begin_object(writer);
    for (; *env; env++) {
        char name[256];
        size_t bytes = strcspn(*env, "=");
        snprintf(name, sizeof name, "%.*s", (int)bytes, *env);
        json_put_string(writer, name, *env + bytes + 1);
    }
    json_end_object(writer);
}

static void write_list(const char *const *list, struct json_writer *writer) {
    json_begin_array(writer);
    for (; *list; list++)
        json_string(writer, *list);
    json_end_array(writer);
}

void source_field_write(const struct source_spec *spec, const struct source_field *field, struct json_writer *writer) {
    const void *place = (const char *)spec + field->offset;
    char name[64];
    snprintf(name, sizeof name, "%s%s", field->name, field->type == FIELD_DURATION ? "_ms" : "");
    json_key(writer, name);
    switch (field->type) {
    case FIELD_TEXT:
    case FIELD_FOLDER:
        json_string(writer, *(const char *const *)place);
        break;
    case FIELD_NUMBER:
    case FIELD_DURATION:
        json_i64(writer, *(const int64_t *)place);
        break;
    case FIELD_LIST:
        write_list(*(const char *const *const *)place, writer);
        break;
    case FIELD_ENVIRONMENT:
        write_environment(*(const char *const *const *)place, writer);
        break;
    }
}
