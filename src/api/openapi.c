#include "api/openapi.h"

#include <stdio.h>
#include <string.h>

#include "api/http_inside.h"
#include "base/text.h"

static const char problem_schema[] =
    "{\"type\":\"object\",\"required\":[\"code\",\"title\",\"status\",\"detail\",\"retryable\"],\"properties\":{"
    "\"code\":{\"type\":\"string\",\"description\":\"a fixed word for programs\"},"
    "\"title\":{\"type\":\"string\"},\"status\":{\"type\":\"integer\"},"
    "\"detail\":{\"type\":\"string\",\"description\":\"what went wrong, for people\"},"
    "\"hint\":{\"type\":\"string\",\"description\":\"what to do\"},"
    "\"retryable\":{\"type\":\"boolean\",\"description\":\"the same request may work later\"}}}";
static const char security_schemes[] =
    "{\"token\":{\"type\":\"http\",\"scheme\":\"bearer\",\"description\":\"holdfast token create --scope read\"},"
    "\"session\":{\"type\":\"apiKey\",\"in\":\"cookie\",\"name\":\"holdfast_session\","
    "\"description\":\"holdfast token link\"}}";

static const char *schema_of(const struct api_parameter *parameter) {
    int is_member = parameter->place != PLACE_QUERY && parameter->place != PLACE_HEADER;
    switch (parameter->type) {
    case TYPE_NUMBER:
        return "{\"type\":\"integer\",\"minimum\":0}";
    case TYPE_DURATION:
        return is_member ? "{\"type\":\"integer\",\"minimum\":0}"
                         : "{\"type\":\"string\",\"pattern\":\"^[0-9.]+(ms|s|m|h|d)?$\"}";
    case TYPE_BOOL:
        return "{\"type\":\"boolean\"}";
    case TYPE_LIST:
        return "{\"type\":\"array\",\"items\":{\"type\":\"string\"}}";
    case TYPE_PAIRS:
        return "{\"type\":\"object\",\"additionalProperties\":{\"type\":\"string\"}}";
    case TYPE_JSON:
        return "{}";
    default:
        return "{\"type\":\"string\"}";
    }
}

/* The name over HTTP: '-' becomes '_' in queries and members, members that are durations end in _ms. */
static const char *http_name(const struct api_parameter *parameter, char *out, size_t room) {
    int is_header = parameter->place == PLACE_HEADER;
    int is_member = !is_header && parameter->place != PLACE_QUERY && parameter->place != PLACE_PATH;
    snprintf(out, room, "%s%s", parameter->name, is_member && parameter->type == TYPE_DURATION ? "_ms" : "");
    for (char *c = out; *c && !is_header; c++)
        *c = *c == '-' ? '_' : *c;
    return out;
}

static void put_schema(struct json_writer *json, const char *schema) {
    json_put_raw(json, "schema", schema, strlen(schema));
}

static int is_outside_body(const struct api_parameter *parameter) {
    return parameter->place == PLACE_PATH || parameter->place == PLACE_QUERY || parameter->place == PLACE_HEADER ||
           api_is_local(parameter);
}

static void write_parameters(struct json_writer *json, const struct api_parameter *parameters) {
    static const char *const places[] = {[PLACE_PATH] = "path", [PLACE_QUERY] = "query", [PLACE_HEADER] = "header"};
    char name[64];
    json_key(json, "parameters");
    json_begin_array(json);
    for (const struct api_parameter *p = parameters; p->name; p++) {
        if (!is_outside_body(p) || api_is_local(p))
            continue;
        json_begin_object(json);
        json_put_string(json, "name", http_name(p, name, sizeof name));
        json_put_string(json, "in", places[p->place]);
        json_put_bool(json, "required", p->required);
        json_put_string(json, "description", p->help);
        put_schema(json, schema_of(p));
        json_end_object(json);
    }
    json_end_array(json);
}

static void write_members(struct json_writer *json, const struct api_parameter *parameters) {
    char name[64];
    json_begin_object(json);
    json_put_string(json, "type", "object");
    json_key(json, "properties");
    json_begin_object(json);
    for (const struct api_parameter *p = parameters; p->name; p++) {
        if (is_outside_body(p))
            continue;
        json_key(json, http_name(p, name, sizeof name));
        json_begin_object(json);
        json_put_string(json, "description", p->help);
        const char *schema = schema_of(p);
        json_key(json, "allOf");
        json_begin_array(json);
        json_raw(json, schema, strlen(schema));
        json_end_array(json);
        json_end_object(json);
    }
    json_end_object(json);
    json_key(json, "required");
    json_begin_array(json);
    for (const struct api_parameter *p = parameters; p->name; p++) {
        if (!is_outside_body(p) && p->required)
            json_string(json, http_name(p, name, sizeof name));
    }
    json_end_array(json);
    json_end_object(json);
}

static void write_body(struct json_writer *json, const struct api_parameter *parameters) {
    const struct api_parameter *first = parameters;
    while (first->name && is_outside_body(first))
        first++;
    if (!first->name)
        return;
    json_key(json, "requestBody");
    json_begin_object(json);
    json_put_bool(json, "required", 1);
    json_key(json, "content");
    json_begin_object(json);
    json_key(json, "application/json");
    json_begin_object(json);
    json_key(json, "schema");
    if (first->place == PLACE_BODY)
        json_bool(json, 1);
    else
        write_members(json, parameters);
    json_end_object(json);
    json_end_object(json);
    json_end_object(json);
}

static void write_responses(struct json_writer *json, const struct api_operation *operation) {
    static const char document[] = "{\"application/json\":{\"schema\":true}}";
    static const char text[] = "{\"text/plain\":{\"schema\":{\"type\":\"string\"}}}";
    const char *content = operation->flags & OPERATION_TEXT ? text : document;
    char status[16];
    snprintf(status, sizeof status, "%d", operation->success_status);
    json_key(json, "responses");
    json_begin_object(json);
    json_key(json, status);
    json_begin_object(json);
    json_put_string(json, "description", "done");
    json_put_raw(json, "content", content, strlen(content));
    json_end_object(json);
    json_key(json, "default");
    json_begin_object(json);
    json_put_string(json, "$ref", "#/components/responses/problem");
    json_end_object(json);
    json_end_object(json);
}

static void write_operation(struct json_writer *json, const struct api_operation *operation) {
    char name[64];
    size_t bytes = 0;
    for (const char *c = operation->method; *c; c++)
        name[bytes++] = (char)(*c | 0x20);
    name[bytes] = '\0';
    json_key(json, name);
    json_begin_object(json);
    snprintf(name, sizeof name, "%s%s%s", operation->noun, operation->verb ? "_" : "",
             operation->verb ? operation->verb : "");
    json_put_string(json, "operationId", name);
    json_put_string(json, "summary", operation->summary);
    if (operation->description)
        json_put_string(json, "description", operation->description);
    json_put_string(json, "x-scope", api_scope_name(operation->scope));
    if (operation->example)
        json_put_string(json, "x-command", operation->example);
    if (operation->scope == API_SCOPE_NONE)
        json_put_raw(json, "security", "[]", 2);
    json_key(json, "tags");
    json_begin_array(json);
    json_string(json, operation->noun);
    json_end_array(json);
    write_parameters(json, operation->parameters);
    write_body(json, operation->parameters);
    write_responses(json, operation);
    json_end_object(json);
}

static int is_first_of_path(const struct api_operation *table, const struct api_operation *operation) {
    for (const struct api_operation *before = table; before < operation; before++) {
        if (text_is_equal(before->path, operation->path))
            return 0;
    }
    return operation->path != NULL;
}

/* Without a summary it is a page for people. */
static void write_table(struct json_writer *json, const struct api_operation *table) {
    for (const struct api_operation *first = table; first->noun; first++) {
        if (!first->summary || !is_first_of_path(table, first))
            continue;
        json_key(json, first->path);
        json_begin_object(json);
        for (const struct api_operation *operation = first; operation->noun; operation++) {
            if (text_is_equal(operation->path, first->path))
                write_operation(json, operation);
        }
        json_end_object(json);
    }
}

static void write_paths(struct json_writer *json) {
    json_key(json, "paths");
    json_begin_object(json);
    write_table(json, api_operations);
    write_table(json, http_pages);
    json_end_object(json);
}

static void write_components(struct json_writer *json) {
    static const char content[] =
        "{\"application/problem+json\":{\"schema\":{\"$ref\":\"#/components/schemas/problem\"}}}";
    json_key(json, "components");
    json_begin_object(json);
    json_put_raw(json, "securitySchemes", security_schemes, sizeof security_schemes - 1);
    json_key(json, "schemas");
    json_begin_object(json);
    json_put_raw(json, "problem", problem_schema, sizeof problem_schema - 1);
    json_end_object(json);
    json_key(json, "responses");
    json_begin_object(json);
    json_key(json, "problem");
    json_begin_object(json);
    json_put_string(json, "description", "it was not done; code says why");
    json_put_raw(json, "content", content, sizeof content - 1);
    json_end_object(json);
    json_end_object(json);
    json_end_object(json);
}

void openapi_write(struct buf *out) {
    static const char security[] = "[{\"token\":[]},{\"session\":[]}]";
    struct json_writer json;
    json_writer_init(&json, out, 0);
    json_begin_object(&json);
    json_put_string(&json, "openapi", "3.1.0");
    json_key(&json, "info");
    json_begin_object(&json);
    json_put_string(&json, "title", "holdfast");
    json_put_string(&json, "version", hf_version());
    json_put_string(&json, "description", "Durable state for data collectors.");
    json_end_object(&json);
    json_put_raw(&json, "security", security, sizeof security - 1);
    write_paths(&json);
    write_components(&json);
    json_end_object(&json);
}
