#include "data/json_keys.h"

#include <string.h>

#include "base/json_string.h"

int json_keys_of(const struct json_doc *doc, uint32_t container, struct arena *arena, struct json_keys *ret_keys) {
    struct json_keys keys = {.doc = doc};
    uint32_t child = json_first(doc, container);
    int is_object = json_type_of(doc, container) == JSON_OBJECT;
    if (child != JSON_NONE) {
        keys.nodes = arena_zalloc(arena, doc->nodes[container].count, sizeof *keys.nodes);
        if (!keys.nodes)
            return HF_ERR_NO_MEMORY;
    }
    /* The reader left in the i-th key which one is i-th in the order. */
    for (; child != JSON_NONE; child = json_after(doc, container, child))
        keys.nodes[keys.count++] = is_object ? doc->nodes[child].count : child;
    *ret_keys = keys;
    return 0;
}

uint32_t json_keys_find(const struct json_keys *keys, const struct json_doc *other, uint32_t other_key) {
    struct json_chars wanted = json_chars_of(other, other_key);
    for (uint32_t low = 0, high = keys->count; low < high;) {
        uint32_t middle = low + (high - low) / 2;
        int order = json_chars_compare(json_chars_of(keys->doc, keys->nodes[middle]), wanted);
        if (order == 0)
            return json_value_of_key(keys->nodes[middle]);
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return JSON_NONE;
}

static int is_same_string(const struct json_doc *a, uint32_t a_node, const struct json_doc *b, uint32_t b_node) {
    return json_chars_compare(json_chars_of(a, a_node), json_chars_of(b, b_node)) == 0;
}

static int is_same_object(const struct json_doc *a, uint32_t a_node, const struct json_doc *b, uint32_t b_node) {
    uint32_t a_at = json_first(a, a_node), b_at = json_first(b, b_node);
    for (; a_at != JSON_NONE; a_at = json_after(a, a_node, a_at), b_at = json_after(b, b_node, b_at)) {
        uint32_t a_key = a->nodes[a_at].count, b_key = b->nodes[b_at].count;
        if (!is_same_string(a, a_key, b, b_key) ||
            !json_is_same(a, json_value_of_key(a_key), b, json_value_of_key(b_key)))
            return 0;
    }
    return 1;
}

static int is_same_array(const struct json_doc *a, uint32_t a_node, const struct json_doc *b, uint32_t b_node) {
    uint32_t a_at = json_first(a, a_node), b_at = json_first(b, b_node);
    for (; a_at != JSON_NONE; a_at = json_after(a, a_node, a_at), b_at = json_after(b, b_node, b_at))
        if (!json_is_same(a, a_at, b, b_at))
            return 0;
    return 1;
}

/* Recursion goes as deep as the reader lets documents be: JSON_DEPTH_MAX. */
int json_is_same(const struct json_doc *a, uint32_t a_node, const struct json_doc *b, uint32_t b_node) {
    enum json_type type = json_type_of(a, a_node);
    if (type != json_type_of(b, b_node))
        return 0;
    if (type == JSON_STRING)
        return is_same_string(a, a_node, b, b_node);
    if (type >= JSON_ARRAY && a->nodes[a_node].count != b->nodes[b_node].count)
        return 0;
    if (type >= JSON_ARRAY)
        return type == JSON_OBJECT ? is_same_object(a, a_node, b, b_node) : is_same_array(a, a_node, b, b_node);
    size_t a_bytes, b_bytes;
    const char *a_text = json_span(a, a_node, &a_bytes), *b_text = json_span(b, b_node, &b_bytes);
    return a_bytes == b_bytes && memcmp(a_text, b_text, a_bytes) == 0;
}
