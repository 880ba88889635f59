/* source export: the document into a file, whole or not at all. */
#include "cmd/command.h"
#include "cmd/output.h"

static int write_document(const char *path, const struct command_reply *reply, struct hf_error *error) {
    struct output output;
    int code = output_open(path ? path : "-", &output, error);
    if (code != 0)
        return code;
    buf_add(&output.bytes, reply->body.data, reply->body.size);
    buf_add_char(&output.bytes, '\n');
    code = output_step(&output, error);
    if (code == 0)
        code = output_commit(&output, error);
    output_close(&output);
    return code;
}

int command_source_export(const struct command_invocation *invocation, struct hf_error *error) {
    struct command_request request = {0};
    struct command_reply reply = {0};
    struct command_way way = {.fd = -1};
    int code = command_way_open(invocation, &way, error);
    if (code == 0)
        code = command_call(&way, &request, &reply, error);
    command_way_close(&way);
    if (code == 0)
        code = write_document(command_value_of(invocation, "file"), &reply, error);
    buf_fini(&reply.body);
    return code;
}
