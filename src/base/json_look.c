#include "base/json_string.h"

#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct json_node *node_at(const struct json_doc *doc, uint32_t node) {
    return node < doc->count ? &doc->nodes[node] : NULL;
}

static const struct json_node *node_of_type(const struct json_doc *doc, uint32_t node, enum json_type type) {
    const struct json_node *found = node_at(doc, node);
    return found && found->type == type ? found : NULL;
}

enum json_type json_type_of(const struct json_doc *doc, uint32_t node) {
    const struct json_node *found = node_at(doc, node);
    return found ? (enum json_type)found->type : JSON_NULL;
}

uint32_t json_first(const struct json_doc *doc, uint32_t container) {
    const struct json_node *node = node_at(doc, container);
    return node && node->type >= JSON_ARRAY && node->count > 0 ? container + 1 : JSON_NONE;
}

uint32_t json_after(const struct json_doc *doc, uint32_t container, uint32_t child) {
    const struct json_node *around = node_at(doc, container), *node = node_at(doc, child);
    if (!around || !node)
        return JSON_NONE;
    uint32_t next = node->is_key ? doc->nodes[child + 1].next : node->next;
    return next < around->next ? next : JSON_NONE;
}

uint32_t json_value_of_key(uint32_t key) {
    return key == JSON_NONE ? JSON_NONE : key + 1;
}

static int is_same(const struct json_doc *doc, uint32_t string, const char *text, size_t bytes) {
    struct json_chars chars = json_chars_of(doc, string);
    if (!chars.has_escape && (size_t)(chars.end - chars.at) != bytes)
        return 0;
    return json_chars_compare(chars, (struct json_chars){text, text + bytes, 0}) == 0;
}

int json_is_string(const struct json_doc *doc, uint32_t node, const char *text) {
    return node_of_type(doc, node, JSON_STRING) && is_same(doc, node, text, strlen(text));
}

uint32_t json_member(const struct json_doc *doc, uint32_t object, const char *key) {
    if (!node_of_type(doc, object, JSON_OBJECT))
        return JSON_NONE;
    size_t bytes = strlen(key);
    for (uint32_t at = json_first(doc, object); at != JSON_NONE; at = json_after(doc, object, at))
        if (is_same(doc, at, key, bytes))
            return at + 1;
    return JSON_NONE;
}

int json_to_i64(const struct json_doc *doc, uint32_t node, int64_t *ret_value) {
    const struct json_node *number = node_of_type(doc, node, JSON_NUMBER);
    if (!number)
        return -1;
    const char *at = doc->text + number->start, *end = at + number->bytes;
    int is_negative = *at == '-';
    int64_t value = 0;
    for (at += is_negative; at < end; at++) {
        if (*at < '0' || *at > '9')
            return -1;
        int digit = *at - '0';
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, is_negative ? -digit : digit, &value))
            return -1;
    }
    *ret_value = value;
    return 0;
}

/* The "C" locale is named, because the program may have set one with a decimal comma. */
int json_to_double(const struct json_doc *doc, uint32_t node, double *ret_value) {
    const struct json_node *number = node_of_type(doc, node, JSON_NUMBER);
    if (!number)
        return -1;
    char small[64];
    MEM_AUTO char *large = NULL;
    char *text = small;
    if (number->bytes >= sizeof small)
        text = large = mem_alloc((size_t)number->bytes + 1);
    locale_t locale = text ? newlocale(LC_ALL_MASK, "C", (locale_t)0) : (locale_t)0;
    if (!locale)
        return -1;
    memcpy(text, doc->text + number->start, number->bytes);
    text[number->bytes] = '\0';
    double value = strtod_l(text, NULL, locale);
    freelocale(locale);
    if (!isfinite(value))
        return -1;
    *ret_value = value;
    return 0;
}

int json_to_bool(const struct json_doc *doc, uint32_t node, int fallback) {
    enum json_type type = json_type_of(doc, node);
    return type == JSON_TRUE ? 1 : type == JSON_FALSE ? 0 : fallback;
}

char *json_to_text(const struct json_doc *doc, uint32_t node, struct arena *arena, size_t *ret_bytes) {
    const struct json_node *string = node_of_type(doc, node, JSON_STRING);
    char *text = string ? arena_alloc(arena, (size_t)string->bytes + 1) : NULL;
    if (!text)
        return NULL;
    size_t bytes = json_chars_decode(json_chars_of(doc, node), text);
    text[bytes] = '\0';
    if (ret_bytes)
        *ret_bytes = bytes;
    return text;
}

char *json_member_text(const struct json_doc *doc, uint32_t object, const char *key, struct arena *arena) {
    return json_to_text(doc, json_member(doc, object, key), arena, NULL);
}

int64_t json_member_i64(const struct json_doc *doc, uint32_t object, const char *key, int64_t fallback) {
    int64_t value = fallback;
    return json_to_i64(doc, json_member(doc, object, key), &value) < 0 ? fallback : value;
}

int json_member_bool(const struct json_doc *doc, uint32_t object, const char *key, int fallback) {
    return json_to_bool(doc, json_member(doc, object, key), fallback);
}

const char *json_span(const struct json_doc *doc, uint32_t node, size_t *ret_bytes) {
    const struct json_node *found = node_at(doc, node);
    uint32_t quote = found && found->type == JSON_STRING;
    *ret_bytes = found ? found->bytes + (size_t)2 * quote : 0;
    return found ? doc->text + found->start - quote : NULL;
}
