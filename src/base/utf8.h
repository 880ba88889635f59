/* UTF-8, one character at a time. Inline, because it is in the innermost loops of the reader. */
#ifndef HF_BASE_UTF8_H
#define HF_BASE_UTF8_H

#include <stddef.h>
#include <stdint.h>

static inline int utf8_is_tail(uint8_t byte) {
    return (byte & 0xC0) == 0x80;
}

/* How many bytes the character at `at` has, 1 to 4; 0 when it is not UTF-8: an overlong form, a surrogate, more than
 * U+10FFFF, a stray or missing continuation byte. `at` must be before `end`. */
static inline size_t utf8_length(const char *at, const char *end) {
    const uint8_t *b = (const uint8_t *)at;
    size_t left = (size_t)(end - at);
    if (b[0] < 0x80)
        return 1;
    if (b[0] < 0xC2)
        return 0;
    if (b[0] < 0xE0)
        return left >= 2 && utf8_is_tail(b[1]) ? 2 : 0;
    if (b[0] < 0xF0) {
        if (left < 3 || !utf8_is_tail(b[1]) || !utf8_is_tail(b[2]))
            return 0;
        if ((b[0] == 0xE0 && b[1] < 0xA0) || (b[0] == 0xED && b[1] > 0x9F))
            return 0;
        return 3;
    }
    if (b[0] > 0xF4 || left < 4 || !utf8_is_tail(b[1]) || !utf8_is_tail(b[2]) || !utf8_is_tail(b[3]))
        return 0;
    if ((b[0] == 0xF0 && b[1] < 0x90) || (b[0] == 0xF4 && b[1] > 0x8F))
        return 0;
    return 4;
}

/* The code point of a character whose utf8_length is `length`. */
static inline uint32_t utf8_decode(const char *at, size_t length) {
    const uint8_t *b = (const uint8_t *)at;
    switch (length) {
    case 1:
        return b[0];
    case 2:
        return (uint32_t)(b[0] & 0x1F) << 6 | (b[1] & 0x3F);
    case 3:
        return (uint32_t)(b[0] & 0x0F) << 12 | (uint32_t)(b[1] & 0x3F) << 6 | (b[2] & 0x3F);
    default:
        return (uint32_t)(b[0] & 0x07) << 18 | (uint32_t)(b[1] & 0x3F) << 12 | (uint32_t)(b[2] & 0x3F) << 6 |
               (b[3] & 0x3F);
    }
}

/* Writes a code point (at most U+10FFFF) as 1 to 4 bytes and returns how many. */
static inline size_t utf8_encode(uint32_t point, char out[4]) {
    if (point < 0x80) {
        out[0] = (char)point;
        return 1;
    }
    if (point < 0x800) {
        out[0] = (char)(0xC0 | point >> 6);
        out[1] = (char)(0x80 | (point & 0x3F));
        return 2;
    }
    if (point < 0x10000) {
        out[0] = (char)(0xE0 | point >> 12);
        out[1] = (char)(0x80 | (point >> 6 & 0x3F));
        out[2] = (char)(0x80 | (point & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | point >> 18);
    out[1] = (char)(0x80 | (point >> 12 & 0x3F));
    out[2] = (char)(0x80 | (point >> 6 & 0x3F));
    out[3] = (char)(0x80 | (point & 0x3F));
    return 4;
}

#endif
