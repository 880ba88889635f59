/* The `holdfast` command: what was asked for, and the parts that carry it out. Thin: every operation's sense is in
 * api/. */
#ifndef HF_CMD_COMMAND_H
#define HF_CMD_COMMAND_H

#include "api/operation.h"
#include "base/buf.h"
#include "base/map.h"
#include "base/mem.h"

enum output_format { OUTPUT_TABLE, OUTPUT_JSON, OUTPUT_JSONL };

/* What holds for every operation. */
struct command_globals {
    const char *data_dir;    /* --data, $HOLDFAST_DATA, or the user's place */
    const char *socket_path; /* --socket, or DATA/holdfast.sock */
    enum output_format format;
    int quiet, yes, help;
};

/* One value from the command line; a list parameter has one per time it was given. */
struct command_value {
    const struct api_parameter *parameter;
    const char *text;
};

struct command_invocation {
    struct command_globals globals;
    const struct api_operation *operation; /* NULL for serve, help and version */
    const char *noun, *verb;
    struct arena arena;
    struct command_value *values;
    int value_count;
    const char *const *child_argv; /* behind "--"; NULL when there is none */
    int child_argc;
    const char *listen; /* serve */
    int signin;         /* serve */
};

/* A request that both ways (socket, store) understand, and what came back. */
struct command_request {
    struct buf body;
    int has_body;
};
struct command_reply {
    int status;
    struct buf body;
    char content_type[96];
};

/* args.c: fills what main gave it. Errors: INVALID with what to write instead. */
int command_parse(int argc, char **argv, struct command_invocation *invocation, struct hf_error *error);
const char *command_value_of(const struct command_invocation *invocation, const char *name);

/* paths.c */
int command_find_paths(struct command_invocation *invocation, struct hf_error *error);

/* request.c: files are read and members put together here. */
int command_build_body(const struct command_invocation *invocation, struct command_request *request,
                       struct hf_error *error);
int command_build_target(const struct command_invocation *invocation, struct buf *target, struct hf_error *error);

/* client.c: UNAVAILABLE when no daemon listens. */
int command_send(const struct command_invocation *invocation, const struct command_request *request,
                 struct command_reply *reply, struct hf_error *error);
/* local.c: the same on the store itself. LOCKED when another process owns it. */
int command_run_locally(const struct command_invocation *invocation, const struct command_request *request,
                        struct command_reply *reply, struct hf_error *error);

/* render.c */
void command_render(const struct command_invocation *invocation, const struct command_reply *reply);
void command_print_error(const struct command_invocation *invocation, const struct hf_error *error);
/* Text for a terminal: control characters shown as \xNN. */
void command_print_safely(const char *text, size_t bytes, void *stream);

/* help.c */
void command_help(const struct command_invocation *invocation, void *stream);

/* serve.c: the exit status. */
int command_serve(const struct command_invocation *invocation);

#endif
