/* What is one request and its reply: most verbs. */
#include <string.h>

#include "base/text.h"
#include "cmd/talk.h"

int command_is_check(const struct api_operation *operation) {
    return text_is_equal(operation->noun, "store") && text_is_equal(operation->verb, "check");
}

/* `check` has codes of its own: 0 clean, 1 findings, 2 could not check. */
static int check_status(const struct command_reply *reply) {
    JSON_AUTO struct json_doc doc;
    json_init(&doc);
    if (json_read(&doc, buf_text(&reply->body), reply->body.size, NULL, NULL) != 0)
        return 2;
    return json_member_bool(&doc, 0, "clean", 0) ? 0 : 1;
}

int command_carry_out(const struct command_invocation *invocation, const struct command_request *request,
                      struct hf_error *error) {
    struct command_reply reply = {0};
    struct command_way way = {.fd = -1};
    struct progress *progress = &invocation->talk->progress;
    int status = 0;
    int code = command_way_open(invocation, &way, error);
    progress_begin(progress, invocation->verb ? invocation->verb : invocation->noun, "rows", invocation->globals.quiet);
    if (code == 0)
        code = command_call(&way, request, &reply, error);
    progress_clear(progress);
    if (code == 0) {
        command_render(invocation, &reply);
        status = command_is_check(invocation->operation) ? check_status(&reply) : 0;
        if (command_has(invocation, "dry-run"))
            talk_say(invocation, "a rehearsal: nothing was changed");
    }
    command_way_close(&way);
    buf_fini(&reply.body);
    return code == 0 ? status : code;
}

int command_ask(struct command_way *way, const char *noun, const char *verb, const struct command_argument *arguments,
                const struct buf *body, struct command_reply *ret_reply, struct hf_error *error) {
    enum { MOST_ARGUMENTS = 8 };
    const struct command_invocation *typed = way->invocation;
    struct command_value values[MOST_ARGUMENTS];
    struct command_invocation asked = {.globals = typed->globals,
                                       .operation = api_find(noun, verb),
                                       .noun = noun,
                                       .verb = verb,
                                       .values = values,
                                       .talk = typed->talk};
    struct command_request request = {0};
    for (; arguments && arguments->name && asked.value_count < MOST_ARGUMENTS; arguments++) {
        const struct api_parameter *parameter = asked.operation->parameters;
        while (parameter->name && !text_is_equal(parameter->name, arguments->name))
            parameter++;
        values[asked.value_count++] = (struct command_value){parameter, arguments->text};
    }
    if (body) {
        request.body = *body;
        request.has_body = 1;
    }
    way->invocation = &asked;
    int code = command_call(way, &request, ret_reply, error);
    way->invocation = typed;
    return code;
}
