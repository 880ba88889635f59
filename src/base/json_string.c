#include "base/json_string.h"

#include "base/utf8.h"

#include <string.h>

int json_hex4(const char *at) {
    int value = 0;
    for (int i = 0; i < 4; i++) {
        char c = at[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            return -1;
        value = value << 4 | digit;
    }
    return value;
}

static char plain_escape(char c) {
    switch (c) {
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default:
        return c;
    }
}

size_t json_unescape(const char **at, char out[4]) {
    const char *in = *at + 1;
    if (*in != 'u') {
        *at = in + 1;
        out[0] = plain_escape(*in);
        return 1;
    }
    uint32_t point = (uint32_t)json_hex4(in + 1);
    in += 5;
    if (point >= 0xD800 && point < 0xDC00) {
        point = 0x10000 + ((point - 0xD800) << 10) + ((uint32_t)json_hex4(in + 2) - 0xDC00);
        in += 6;
    }
    *at = in;
    return utf8_encode(point, out);
}

size_t json_escape_byte(uint8_t byte, char out[6]) {
    static const char short_forms[] = {'\b', 'b', '\f', 'f', '\n', 'n', '\r', 'r', '\t', 't', 0};
    static const char digits[] = "0123456789abcdef";
    char short_form = 0;
    if (byte == '"' || byte == '\\')
        short_form = (char)byte;
    for (const char *pair = short_forms; *pair && !short_form; pair += 2)
        if ((uint8_t)pair[0] == byte)
            short_form = pair[1];
    out[0] = '\\';
    if (short_form) {
        out[1] = short_form;
        return 2;
    }
    memcpy(out + 1, "u00", 3);
    out[4] = digits[byte >> 4];
    out[5] = digits[byte & 15];
    return 6;
}

size_t json_chars_decode(struct json_chars chars, char *out) {
    char *to = out;
    while (chars.at < chars.end) {
        const char *escape = memchr(chars.at, '\\', (size_t)(chars.end - chars.at));
        size_t plain = (size_t)((escape ? escape : chars.end) - chars.at);
        memcpy(to, chars.at, plain);
        to += plain;
        chars.at += plain;
        if (escape) {
            char bytes[4];
            size_t size = json_unescape(&chars.at, bytes);
            memcpy(to, bytes, size);
            to += size;
        }
    }
    return (size_t)(to - out);
}

/* Gives decoded bytes one by one, for strings that may have escapes. */
struct cursor {
    struct json_chars left;
    char held[4];
    size_t held_at, held_size;
};

static int next_byte(struct cursor *cursor) {
    if (cursor->held_at < cursor->held_size)
        return (uint8_t)cursor->held[cursor->held_at++];
    if (cursor->left.at == cursor->left.end)
        return -1;
    if (*cursor->left.at != '\\' || !cursor->left.has_escape)
        return (uint8_t)*cursor->left.at++;
    cursor->held_size = json_unescape(&cursor->left.at, cursor->held);
    cursor->held_at = 1;
    return (uint8_t)cursor->held[0];
}

int json_chars_compare(struct json_chars a, struct json_chars b) {
    if (!a.has_escape && !b.has_escape) {
        size_t a_bytes = (size_t)(a.end - a.at), b_bytes = (size_t)(b.end - b.at);
        int order = memcmp(a.at, b.at, a_bytes < b_bytes ? a_bytes : b_bytes);
        return order ? order : (a_bytes > b_bytes) - (a_bytes < b_bytes);
    }
    struct cursor in_a = {.left = a}, in_b = {.left = b};
    for (;;) {
        int from_a = next_byte(&in_a), from_b = next_byte(&in_b);
        if (from_a != from_b)
            return from_a - from_b;
        if (from_a < 0)
            return 0;
    }
}

uint64_t json_chars_prefix(struct json_chars chars) {
    struct cursor cursor = {.left = chars};
    uint64_t prefix = 0;
    for (int i = 0; i < 8; i++) {
        int byte = next_byte(&cursor);
        prefix = prefix << 8 | (byte < 0 ? 0 : (uint64_t)byte);
    }
    return prefix;
}
