#include "base/base64.h"

static const char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_add(struct buf *out, const void *bytes, size_t size) {
    const uint8_t *in = bytes;
    char *to = buf_reserve(out, size / 3 * 4 + 4);
    if (!to || size == 0)
        return;
    for (size_t i = 0; i < size; i += 3, to += 4) {
        size_t left = size - i;
        uint32_t group = (uint32_t)in[i] << 16 | (left > 1 ? (uint32_t)in[i + 1] << 8 : 0) | (left > 2 ? in[i + 2] : 0);
        to[0] = DIGITS[group >> 18];
        to[1] = DIGITS[group >> 12 & 63];
        to[2] = left > 1 ? DIGITS[group >> 6 & 63] : '=';
        to[3] = left > 2 ? DIGITS[group & 63] : '=';
    }
    out->size = (size_t)(to - out->data);
    *to = '\0';
}

static int digit_value(char c) {
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Four characters of which the last `padding` are '='. -1, or the group of 24 bits. */
static int32_t read_group(const char *text, int padding) {
    int32_t group = 0;
    for (int i = 0; i < 4 - padding; i++) {
        int value = digit_value(text[i]);
        if (value < 0)
            return -1;
        group |= value << (18 - 6 * i);
    }
    int32_t behind_the_end = (1 << (8 * padding)) - 1;
    return (group & behind_the_end) == 0 || padding == 0 ? group : -1;
}

int base64_decode(const char *text, size_t size, struct buf *out) {
    if (size % 4 != 0)
        return -1;
    char *to = buf_reserve(out, size / 4 * 3);
    if (!to)
        return 0; /* out->failed says so */
    for (size_t i = 0; i < size; i += 4) {
        int is_last = i + 4 == size;
        int padding = is_last && text[i + 3] == '=' ? 1 + (text[i + 2] == '=') : 0;
        int32_t group = read_group(text + i, padding);
        if (group < 0)
            return -1;
        for (int byte = 0; byte < 3 - padding; byte++)
            *to++ = (char)(group >> (16 - 8 * byte));
    }
    out->size = (size_t)(to - out->data);
    *to = '\0';
    return 0;
}
