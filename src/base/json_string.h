/* The inside of JSON strings that the reader has already accepted, and the scan for their end. */
#ifndef HF_BASE_JSON_STRING_H
#define HF_BASE_JSON_STRING_H

#include "base/json.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/* The bytes between two quotes, as they stand in a text. */
struct json_chars {
    const char *at, *end;
    int has_escape;
};

static inline struct json_chars json_chars_of(const struct json_doc *doc, uint32_t string) {
    const struct json_node *node = &doc->nodes[string];
    const char *at = doc->text + node->start;
    return (struct json_chars){at, at + node->bytes, node->has_escape};
}

static inline int json_byte_is_plain(char c) {
    uint8_t byte = (uint8_t)c;
    return byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
}

/* The first byte that is not plain: a quote, a backslash, a control character, or part of a longer character. */
static inline const char *json_skip_plain(const char *at, const char *end) {
#if defined(__SSE2__)
    const __m128i quote = _mm_set1_epi8('"'), backslash = _mm_set1_epi8('\\'), space = _mm_set1_epi8(' ');
    for (; end - at >= 16; at += 16) {
        __m128i bytes = _mm_loadu_si128((const void *)at);
        __m128i special = _mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, backslash));
        special = _mm_or_si128(special, _mm_cmplt_epi8(bytes, space)); /* signed: from 0x80 on they are below zero */
        int mask = _mm_movemask_epi8(special);
        if (mask)
            return at + __builtin_ctz((unsigned)mask);
    }
#endif
    while (at < end && json_byte_is_plain(*at))
        at++;
    return at;
}

int json_hex4(const char *at); /* the value of four hex digits, or -1 */

/* Decodes the escape at `at` into 1 to 4 bytes, and moves `at` behind it. */
size_t json_unescape(const char **at, char out[4]);

/* Writes the shortest escape for a control character, a quote or a backslash; returns its length. */
size_t json_escape_byte(uint8_t byte, char out[6]);

/* Decodes all of it; out has room for as many bytes as there are. Returns how many were written. */
size_t json_chars_decode(struct json_chars chars, char *out);

/* Below, at or above zero, by decoded bytes. */
int json_chars_compare(struct json_chars a, struct json_chars b);

/* The first eight decoded bytes, the first one highest, filled up with zeros. */
uint64_t json_chars_prefix(struct json_chars chars);

/* Brings the keys of a complete object into the order of their decoded bytes: the `count` of the i-th key becomes the
 * index of the key that is i-th in that order. BAD_JSON: a key is there twice, *ret_twice is its later place. */
int json_sort_keys(struct json_doc *doc, uint32_t object, uint32_t *ret_twice);

#endif
