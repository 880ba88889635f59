#include "base/json_string.h"
#include "base/text.h"
#include "base/utf8.h"

#include <assert.h>
#include <float.h>
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void json_writer_init(struct json_writer *writer, struct buf *out, int indent) {
    *writer = (struct json_writer){.out = out, .indent = indent};
}

static void new_line(struct json_writer *writer) {
    if (writer->indent > 0)
        buf_printf(writer->out, "\n%*s", writer->depth * writer->indent, "");
}

/* What must stand in front of a key, an item, or the value behind a key. */
static void begin_item(struct json_writer *writer) {
    if (writer->after_key) {
        writer->after_key = 0;
        return;
    }
    uint8_t *has_items = &writer->has_items[writer->depth];
    if (*has_items && writer->depth > 0)
        buf_add_char(writer->out, ',');
    assert(writer->depth > 0 || !*has_items);
    *has_items = 1;
    if (writer->depth > 0)
        new_line(writer);
}

static void begin(struct json_writer *writer, char bracket) {
    begin_item(writer);
    buf_add_char(writer->out, bracket);
    writer->depth++;
    assert(writer->depth < JSON_WRITE_DEPTH);
    writer->has_items[writer->depth] = 0;
}

static void end(struct json_writer *writer, char bracket) {
    assert(writer->depth > 0 && !writer->after_key);
    int has_items = writer->has_items[writer->depth];
    writer->depth--;
    if (has_items)
        new_line(writer);
    buf_add_char(writer->out, bracket);
}

void json_begin_object(struct json_writer *writer) {
    begin(writer, '{');
}

void json_end_object(struct json_writer *writer) {
    end(writer, '}');
}

void json_begin_array(struct json_writer *writer) {
    begin(writer, '[');
}

void json_end_array(struct json_writer *writer) {
    end(writer, ']');
}

static void add_special(struct buf *out, const char **at, const char *end_of_text) {
    char bytes[6];
    uint8_t byte = (uint8_t) * *at;
    if (byte < 0x80) {
        buf_add(out, bytes, json_escape_byte(byte, bytes));
        ++*at;
        return;
    }
    size_t length = utf8_length(*at, end_of_text);
    if (length)
        buf_add(out, *at, length);
    else
        buf_add_text(out, "\xEF\xBF\xBD");
    *at += length ? length : 1;
}

static void add_quoted(struct buf *out, const char *text, size_t bytes) {
    const char *at = text, *end_of_text = text + bytes;
    buf_add_char(out, '"');
    while (at < end_of_text) {
        const char *special = json_skip_plain(at, end_of_text);
        buf_add(out, at, (size_t)(special - at));
        at = special;
        if (at < end_of_text)
            add_special(out, &at, end_of_text);
    }
    buf_add_char(out, '"');
}

void json_key(struct json_writer *writer, const char *key) {
    assert(writer->depth > 0 && !writer->after_key);
    begin_item(writer);
    add_quoted(writer->out, key, strlen(key));
    buf_add_text(writer->out, writer->indent > 0 ? ": " : ":");
    writer->after_key = 1;
}

void json_string(struct json_writer *writer, const char *text) {
    if (text)
        json_string_bytes(writer, text, strlen(text));
    else
        json_null(writer);
}

void json_string_bytes(struct json_writer *writer, const char *text, size_t bytes) {
    begin_item(writer);
    add_quoted(writer->out, text, bytes);
}

void json_i64(struct json_writer *writer, int64_t value) {
    begin_item(writer);
    buf_printf(writer->out, "%" PRId64, value);
}

void json_u64(struct json_writer *writer, uint64_t value) {
    begin_item(writer);
    buf_printf(writer->out, "%" PRIu64, value);
}

/* Fifteen digits are exact for every normal number that has so few; only subnormal ones need a try with less. The "C"
 * locale is set for this thread, because the program may have one with a decimal comma. */
void json_double(struct json_writer *writer, double value) {
    locale_t locale = isfinite(value) ? newlocale(LC_ALL_MASK, "C", (locale_t)0) : (locale_t)0;
    if (!locale) {
        json_null(writer);
        return;
    }
    locale_t before = uselocale(locale);
    char text[32];
    for (int digits = fabs(value) < DBL_MIN ? 1 : DBL_DIG; digits <= DBL_DECIMAL_DIG; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    uselocale(before);
    freelocale(locale);
    json_raw(writer, text, strlen(text));
}

void json_bool(struct json_writer *writer, int value) {
    begin_item(writer);
    buf_add_text(writer->out, value ? "true" : "false");
}

void json_null(struct json_writer *writer) {
    begin_item(writer);
    buf_add_text(writer->out, "null");
}

void json_raw(struct json_writer *writer, const char *json, size_t bytes) {
    begin_item(writer);
    buf_add(writer->out, json, bytes);
}

void json_put_string(struct json_writer *writer, const char *key, const char *text) {
    json_key(writer, key);
    json_string(writer, text);
}

void json_put_i64(struct json_writer *writer, const char *key, int64_t value) {
    json_key(writer, key);
    json_i64(writer, value);
}

void json_put_bool(struct json_writer *writer, const char *key, int value) {
    json_key(writer, key);
    json_bool(writer, value);
}

void json_put_time(struct json_writer *writer, const char *key, int64_t unix_ms) {
    char text[TEXT_TIME_BYTES];
    text_time(unix_ms, text);
    json_put_string(writer, key, unix_ms ? text : NULL);
}

void json_put_raw(struct json_writer *writer, const char *key, const char *json, size_t bytes) {
    json_key(writer, key);
    json_raw(writer, json, bytes);
}
