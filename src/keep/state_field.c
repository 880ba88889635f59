#include "keep/state_field.h"

#include "base/text.h"

static void refuse(struct state_fields *fields, const char *key) {
    if (!fields->wrong)
        fields->wrong = key;
}

/* The member, or JSON_NONE when it is null. One that is not there is wrong. */
static uint32_t find(struct state_fields *fields, const char *key) {
    uint32_t node = json_member(fields->doc, fields->object, key);
    if (node == JSON_NONE)
        refuse(fields, key);
    return node != JSON_NONE && json_type_of(fields->doc, node) == JSON_NULL ? JSON_NONE : node;
}

int64_t state_field_signed(struct state_fields *fields, const char *key, int64_t when_null) {
    int64_t value = when_null;
    uint32_t node = find(fields, key);
    if (node != JSON_NONE && json_to_i64(fields->doc, node, &value) < 0)
        refuse(fields, key);
    return value;
}

/* Numbers stay below 2^63: they begin at 1 and count what was saved. */
uint64_t state_field_number(struct state_fields *fields, const char *key) {
    int64_t value = state_field_signed(fields, key, -1);
    if (value < 0)
        refuse(fields, key);
    return value < 0 ? 0 : (uint64_t)value;
}

int state_field_bool(struct state_fields *fields, const char *key) {
    int value = json_to_bool(fields->doc, find(fields, key), -1);
    if (value < 0)
        refuse(fields, key);
    return value > 0;
}

const char *state_field_text(struct state_fields *fields, const char *key) {
    uint32_t node = find(fields, key);
    if (node == JSON_NONE)
        return "";
    if (json_type_of(fields->doc, node) != JSON_STRING) {
        refuse(fields, key);
        return "";
    }
    const char *text = json_to_text(fields->doc, node, fields->arena, NULL);
    fields->no_memory |= text == NULL;
    return text ? text : "";
}

int64_t state_field_time(struct state_fields *fields, const char *key) {
    const char *text = state_field_text(fields, key);
    int64_t ms = 0;
    if (text[0] && text_to_time(text, &ms) < 0)
        refuse(fields, key);
    return ms;
}

void state_field_hex(struct state_fields *fields, const char *key, uint8_t *ret_bytes, size_t size) {
    if (text_unhex(state_field_text(fields, key), size, ret_bytes) < 0)
        refuse(fields, key);
}

const char *state_field_json(struct state_fields *fields, const char *key) {
    uint32_t node = find(fields, key);
    if (node == JSON_NONE)
        return NULL;
    size_t bytes;
    const char *span = json_span(fields->doc, node, &bytes);
    const char *copy = arena_strndup(fields->arena, span, bytes);
    fields->no_memory |= copy == NULL;
    return copy;
}

int state_field_object(struct state_fields *fields, const char *key, struct state_fields *ret_inside) {
    uint32_t node = find(fields, key);
    *ret_inside = (struct state_fields){.doc = fields->doc, .object = node, .arena = fields->arena};
    if (node == JSON_NONE)
        return 0;
    if (json_type_of(fields->doc, node) == JSON_OBJECT)
        return 1;
    refuse(fields, key);
    return 0;
}

int state_field_end(const struct state_fields *fields, struct hf_error *error) {
    if (fields->no_memory)
        return error_no_memory(error);
    return fields->wrong ? error_set(error, HF_ERR_CORRUPT, "member '%s' is not what it should be", fields->wrong) : 0;
}
