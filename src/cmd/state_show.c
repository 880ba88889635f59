/* state get: the bytes as they were saved. state diff: a table of what differs. */
#include <stdio.h>

#include "cmd/state_value.h"
#include "cmd/talk.h"

static const struct json_limits deep = {.max_depth = JSON_DEPTH_MAX};

static int print_value(const struct json_doc *doc, struct hf_error *error) {
    BUF_AUTO struct buf bytes;
    buf_init(&bytes);
    int code = state_value_take(doc, &bytes, error);
    if (code == 0)
        fwrite(buf_text(&bytes), 1, bytes.size, stdout);
    return code;
}

static int print_diff(const struct command_invocation *invocation, const struct json_doc *doc, struct hf_error *error) {
    JSON_AUTO struct json_doc changes;
    struct arena arena;
    size_t bytes = 0;
    json_init(&changes);
    const char *text = json_span(doc, json_member(doc, 0, "changes"), &bytes);
    int code = json_read(&changes, text, bytes, &deep, error);
    if (code != 0)
        return code;
    arena_init(&arena);
    if (changes.nodes[0].count > 0)
        command_print_table(&changes, "what path from to", 1, &arena);
    else
        talk_say(invocation, "no difference");
    arena_fini(&arena);
    return 0;
}

static int show(const struct command_invocation *invocation, const struct command_reply *reply, int is_value,
                struct hf_error *error) {
    JSON_AUTO struct json_doc doc;
    json_init(&doc);
    int code = json_read(&doc, buf_text(&reply->body), reply->body.size, &deep, error);
    if (code != 0)
        return error_wrap(error, code, "read the reply");
    if (invocation->globals.format == OUTPUT_TABLE && is_value)
        return print_value(&doc, error);
    if (invocation->globals.format == OUTPUT_TABLE && json_type_of(&doc, json_member(&doc, 0, "changes")) == JSON_ARRAY)
        return print_diff(invocation, &doc, error);
    command_render(invocation, reply);
    return 0;
}

int state_ask_and_show(const struct command_invocation *invocation, const struct command_request *request, int is_value,
                       struct hf_error *error) {
    struct command_reply reply = {0};
    struct command_way way;
    int code = command_way_open(invocation, &way, error);
    if (code == 0)
        code = command_call(&way, request, &reply, error);
    command_way_close(&way);
    if (code == 0)
        code = show(invocation, &reply, is_value, error);
    buf_fini(&reply.body);
    return code;
}

int command_state_get(const struct command_invocation *invocation, struct hf_error *error) {
    return state_ask_and_show(invocation, &(struct command_request){0}, 1, error);
}

int command_state_diff(const struct command_invocation *invocation, struct hf_error *error) {
    return state_ask_and_show(invocation, &(struct command_request){0}, 0, error);
}
