#include "cmd/state_value.h"

#include <stdio.h>

#include "base/base64.h"
#include "cmd/run.h"

static const struct json_limits deep = {.max_depth = JSON_DEPTH_MAX}; /* a value stands inside of other members */

static void take_json(const struct json_doc *doc, uint32_t value, struct buf *out) {
    struct arena arena;
    size_t before_bytes = 0, behind_bytes = 0, bytes = 0;
    arena_init(&arena);
    uint32_t space = json_member(doc, 0, "space");
    uint32_t first = json_first(doc, space);
    const char *before = json_to_text(doc, first, &arena, &before_bytes);
    const char *behind = json_to_text(doc, json_after(doc, space, first), &arena, &behind_bytes);
    const char *text = json_span(doc, value, &bytes);
    if (before)
        buf_add(out, before, before_bytes);
    buf_add(out, text, bytes);
    if (behind)
        buf_add(out, behind, behind_bytes);
    arena_fini(&arena);
}

int state_value_take(const struct json_doc *doc, struct buf *out, struct hf_error *error) {
    uint32_t value = json_member(doc, 0, "value");
    uint32_t base64 = json_member(doc, 0, "base64");
    size_t bytes = 0;
    int failed = 0;
    if (value != JSON_NONE) {
        take_json(doc, value, out);
    } else {
        const char *text = json_span(doc, base64, &bytes);
        int is_text = json_type_of(doc, base64) == JSON_STRING;
        failed = !is_text || base64_decode(text + 1, bytes - 2, out) != 0;
    }
    if (out->failed)
        return error_set(error, HF_ERR_NO_MEMORY, "take the value of the state");
    return failed ? error_set(error, HF_ERR_BAD_DATA, "take the value of the state: there is none in the reply") : 0;
}

void state_before_init(struct state_before *before) {
    *before = (struct state_before){.version = 0};
    buf_init(&before->bytes);
}

void state_before_fini(struct state_before *before) {
    buf_fini(&before->bytes);
}

static int take_before(const struct command_reply *reply, struct state_before *before, struct hf_error *error) {
    JSON_AUTO struct json_doc doc;
    json_init(&doc);
    int code = json_read(&doc, buf_text(&reply->body), reply->body.size, &deep, error);
    if (code == 0)
        code = state_value_take(&doc, &before->bytes, error);
    if (code != 0)
        return code;
    before->version = (uint64_t)json_member_i64(&doc, 0, "version", 0);
    before->is_json = json_member(&doc, 0, "value") != JSON_NONE;
    return 0;
}

int state_before_get(struct command_way *way, const char *name, struct state_before *before, struct hf_error *error) {
    const struct command_argument arguments[] = {{"name", name}, {NULL, NULL}};
    struct command_reply reply = {0};
    int code = command_ask(way, "state", "get", arguments, NULL, &reply, error);
    if (code == HF_ERR_NOT_FOUND) {
        error_clear(error);
        return 0;
    }
    if (code == 0)
        code = take_before(&reply, before, error);
    buf_fini(&reply.body);
    return code;
}

int state_before_check(const struct state_before *before, const struct buf *bytes, struct hf_error *error) {
    if (bytes->size == 0 && before->version == 0)
        return 0;
    return run_check_state(before->version ? &before->bytes : NULL, bytes, error);
}

void state_body_open(struct command_request *request) {
    struct buf *body = &request->body;
    if (!request->has_body) {
        buf_clear(body);
        buf_add_char(body, '{');
    } else if (body->size > 0) {
        body->size--; /* its closing bracket */
    }
    request->has_body = 1;
}

void state_body_add(struct buf *body, const char *key, const char *json, size_t bytes) {
    if (body->size > 0 && body->data[body->size - 1] != '{')
        buf_add_char(body, ',');
    buf_printf(body, "\"%s\":", key);
    buf_add(body, json, bytes);
}

void state_body_add_number(struct buf *body, const char *key, uint64_t number) {
    char text[24];
    int bytes = snprintf(text, sizeof text, "%llu", (unsigned long long)number);
    state_body_add(body, key, text, (size_t)bytes);
}

void state_body_add_bytes(struct buf *body, const struct buf *bytes) {
    state_body_add(body, "base64", "\"", 1);
    base64_add(body, bytes->data, bytes->size);
    buf_add_char(body, '"');
}

int state_body_close(struct buf *body, struct hf_error *error) {
    buf_add_char(body, '}');
    return body->failed ? error_set(error, HF_ERR_NO_MEMORY, "put the request together") : 0;
}
