/* source export: the document into a file, whole or not at all. */
#include "cmd/command.h"
#include "cmd/output.h"

int command_source_export(const struct command_invocation *invocation, struct hf_error *error) {
    struct command_request request = {0};
    struct command_reply reply = {0};
    struct command_way way = {.fd = -1};
    int code = command_way_open(invocation, &way, error);
    if (code == 0)
        code = command_call(&way, &request, &reply, error);
    command_way_close(&way);
    buf_add_char(&reply.body, '\n');
    if (code == 0)
        code = output_write(command_value_of(invocation, "file"), &reply.body, error);
    buf_fini(&reply.body);
    return code;
}
