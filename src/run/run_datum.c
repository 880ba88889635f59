/* How a datum is made of what a command wrote or a worker replied. */
#include <stdio.h>
#include <string.h>

#include "base/base64.h"
#include "base/json.h"
#include "base/text.h"
#include "run/run_result.h"

static const struct json_limits DATA_LIMITS = {.max_depth = RUN_DEPTH_MAX};

static void set_type(struct run_result *result, const char *type) {
    snprintf(result->type, sizeof result->type, "%s", type);
    result->outcome = RUN_OK;
}

static int is_blank(const char *bytes, size_t size) {
    for (size_t i = 0; i < size; i++) {
        if (!memchr(" \t\r\n", bytes[i], 4))
            return 0;
    }
    return 1;
}

/* 1 when every line that is not blank is a JSON value; they are the items of the array in `out` then. */
static int join_lines(struct json_doc *doc, const char *bytes, size_t size, struct buf *out) {
    int count = 0;
    buf_add_char(out, '[');
    for (const char *end = bytes + size; bytes < end;) {
        const char *newline = memchr(bytes, '\n', (size_t)(end - bytes));
        size_t length = (size_t)((newline ? newline : end) - bytes);
        if (!is_blank(bytes, length)) {
            if (json_read(doc, bytes, length, &DATA_LIMITS, NULL) < 0)
                return 0;
            if (count++ > 0)
                buf_add_char(out, ',');
            buf_add(out, bytes, length);
        }
        bytes += length + 1;
    }
    buf_add_char(out, ']');
    return count > 0;
}

static void add_text(struct buf *out, const char *bytes, size_t size) {
    struct json_writer writer;
    json_writer_init(&writer, out, 0);
    json_string_bytes(&writer, bytes, bytes[size - 1] == '\n' ? size - 1 : size);
}

static void read_output(struct run_result *result, struct json_doc *doc, const char *bytes, size_t size) {
    if (!text_is_utf8(bytes, size)) {
        buf_add_text(&result->data, "{\"base64\":\"");
        base64_add(&result->data, bytes, size);
        buf_add_text(&result->data, "\"}");
        set_type(result, "bytes");
    } else if (json_read(doc, bytes, size, &DATA_LIMITS, NULL) == 0) {
        size_t span_bytes;
        const char *span = json_span(doc, 0, &span_bytes);
        buf_add(&result->data, span, span_bytes);
        set_type(result, "json");
    } else if (join_lines(doc, bytes, size, &result->data)) {
        set_type(result, "jsonl");
    } else {
        buf_clear(&result->data);
        add_text(&result->data, bytes, size);
        set_type(result, "text");
    }
}

/* The hash for change detection is that of the canonical form, so that key order and white space do not matter. */
static int hash_data(struct run_result *result, const struct json_doc *doc, uint32_t node) {
    BUF_AUTO struct buf canonical;
    buf_init(&canonical);
    int code = json_canonical(doc, node, &canonical);
    if (code == 0)
        hash_bytes(buf_text(&canonical), canonical.size, result->data_hash);
    return code;
}

int run_result_from_output(struct run_result *result, const char *bytes, size_t size) {
    if (is_blank(bytes, size)) {
        result->outcome = RUN_NONE;
        return 0;
    }
    JSON_AUTO struct json_doc doc;
    json_init(&doc);
    read_output(result, &doc, bytes, size);
    if (result->data.failed || json_read(&doc, result->data.data, result->data.size, NULL, NULL) < 0)
        return -1;
    return hash_data(result, &doc, 0);
}

static void copy_span(const struct json_doc *doc, uint32_t node, struct buf *out) {
    size_t bytes;
    const char *span = json_span(doc, node, &bytes);
    buf_add(out, span, bytes);
}

static void copy_text(const struct json_doc *doc, const char *key, struct arena *arena, char *to, size_t room) {
    const char *text = json_member_text(doc, 0, key, arena);
    snprintf(to, room, "%s", text ? text : "");
}

static int read_reply_error(struct run_result *result, const struct json_doc *doc, struct arena *arena) {
    result->outcome = RUN_ERROR;
    copy_text(doc, "error", arena, result->error, sizeof result->error);
    const char *traceback = json_member_text(doc, 0, "traceback", arena);
    if (traceback)
        buf_add_text(&result->traceback, traceback);
    return 0;
}

static int read_reply_data(struct run_result *result, const struct json_doc *doc, struct arena *arena,
                           struct hf_error *error) {
    uint32_t data = json_member(doc, 0, "data");
    if (data == JSON_NONE)
        return error_set(error, HF_ERR_INVALID, "the reply has no data");
    copy_text(doc, "type", arena, result->type, sizeof result->type);
    copy_span(doc, data, &result->data);
    if (json_member(doc, 0, "columns") != JSON_NONE)
        copy_span(doc, json_member(doc, 0, "columns"), &result->columns);
    if (json_member(doc, 0, "notes") != JSON_NONE)
        copy_span(doc, json_member(doc, 0, "notes"), &result->notes);
    if (result->data.failed || hash_data(result, doc, data) < 0)
        return error_set(error, HF_ERR_NO_MEMORY, "read the reply: memory is used up");
    result->outcome = RUN_OK;
    return 0;
}

int run_result_from_reply(struct run_result *result, const char *line, size_t size, struct hf_error *error) {
    JSON_AUTO struct json_doc doc;
    json_init(&doc);
    struct arena arena;
    arena_init(&arena);
    int code = json_read(&doc, line, size, &(struct json_limits){.max_depth = RUN_DEPTH_MAX + 1}, error);
    if (code == 0) {
        uint32_t outcome = json_member(&doc, 0, "outcome");
        if (json_member_i64(&doc, 0, "run", -1) != result->number)
            code = error_set(error, HF_ERR_INVALID, "the reply is not for run %lld", (long long)result->number);
        else if (json_is_string(&doc, outcome, "none"))
            result->outcome = RUN_NONE;
        else if (json_is_string(&doc, outcome, "error"))
            code = read_reply_error(result, &doc, &arena);
        else if (json_is_string(&doc, outcome, "ok"))
            code = read_reply_data(result, &doc, &arena, error);
        else
            code = error_set(error, HF_ERR_INVALID, "the reply has no outcome");
    }
    arena_fini(&arena);
    return code;
}
