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
    int rehearse; /* -n: becomes the value of the operation's --dry-run */
};

/* One value from the command line; a list parameter has one per time it was given. */
struct command_value {
    const struct api_parameter *parameter;
    const char *text;
};

struct command_talk;
struct command_invocation {
    struct command_globals globals;
    const struct api_operation *operation; /* NULL for serve, help and version */
    const char *noun, *verb;
    struct arena arena;
    struct command_value *values;
    int value_count;
    const char *const *child_argv; /* behind "--"; NULL when there is none */
    int child_argc;
    const char *listen;                        /* serve */
    int signin;                                /* serve */
    const char *audit_interval, *audit_shards; /* serve; NULL: as the environment says */
    struct command_talk *talk;                 /* what goes to standard error meanwhile */
};

/* args.c: fills what main gave it. Errors: INVALID with what to write instead. */
int command_parse(int argc, char **argv, struct command_invocation *invocation, struct hf_error *error);
const char *command_value_of(const struct command_invocation *invocation, const char *name);
static inline int command_has(const struct command_invocation *invocation, const char *name) {
    return command_value_of(invocation, name) != NULL;
}

/* paths.c */
int command_find_paths(struct command_invocation *invocation, struct hf_error *error);

/* request.c: a request that both ways understand. Files are read and members put together here. */
struct command_request {
    const char *target; /* path and query; NULL: as the invocation's values say */
    struct buf body;
    int has_body;
    int is_rehearsal; /* as if --dry-run had been given */
};
int command_build_body(const struct command_invocation *invocation, struct command_request *request,
                       struct hf_error *error);
int command_build_target(const struct command_invocation *invocation, const struct command_request *request,
                         struct buf *target, struct hf_error *error);
void command_add_encoded(struct buf *out, const char *text);
/* A file, a pipe or standard input ("-"), to its end. Errors: TOO_LARGE over max_bytes, NOT_FOUND, PERMISSION, IO. */
int command_read_input(const char *path, size_t max_bytes, struct buf *out, struct hf_error *error);

struct command_reply {
    int status;
    struct buf body;
    char content_type[96];
    char next[1280]; /* the target of the next page; "" when there is none */
};
/* The error that a problem document says. */
int command_reply_error(const struct command_reply *reply, struct hf_error *error);

/* way.c: where the work is done: by the daemon when one listens, on the store itself when none does, and on the store
 * that --url names in any case. Errors: LOCKED when another process owns the store. */
struct command_way {
    const struct command_invocation *invocation;
    struct hf_store *store; /* NULL: by the daemon */
    int fd;                 /* a connection that no request has taken yet; -1 */
};
int command_way_open(const struct command_invocation *invocation, struct command_way *ret_way, struct hf_error *error);
void command_way_close(struct command_way *way);

/* A request on its way. Every call that was begun is ended. The request lives until then. */
struct command_call {
    struct command_way *way;
    int fd;                           /* by the daemon */
    struct command_local_call *local; /* on the store itself */
};
int command_call_begin(struct command_way *way, const struct command_request *request, struct command_call *ret_call,
                       struct hf_error *error);
/* A reply that is a problem is an error here. */
int command_call_end(struct command_call *call, struct command_reply *ret_reply, struct hf_error *error);
int command_call(struct command_way *way, const struct command_request *request, struct command_reply *ret_reply,
                 struct hf_error *error);

/* carry.c: a request sent, and its reply shown: the exit status, or a negative code. */
int command_carry_out(const struct command_invocation *invocation, const struct command_request *request,
                      struct hf_error *error);
int command_is_check(const struct api_operation *operation); /* store check, whose exit codes are its own */
/* Another operation than the one that was typed, the same way. arguments: of its path and query, ended by a name NULL;
 * body: JSON, or NULL. */
struct command_argument {
    const char *name, *text;
};
int command_ask(struct command_way *way, const char *noun, const char *verb, const struct command_argument *arguments,
                const struct buf *body, struct command_reply *ret_reply, struct hf_error *error);

/* client.c: UNAVAILABLE when no daemon listens. */
int command_connect(const char *socket_path, int *ret_fd, struct hf_error *error);
int command_send(const struct command_invocation *invocation, int fd, const struct command_request *request,
                 struct hf_error *error);
int command_receive(const struct command_invocation *invocation, int fd, struct command_reply *reply,
                    struct hf_error *error);

/* local.c: the operation's handler, in this process. */
int command_local_begin(struct command_way *way, const struct command_request *request,
                        struct command_local_call **ret_call, struct hf_error *error);
void command_local_end(struct command_local_call **call, struct command_reply *reply);

/* open.c: opens the store that a URL names. To read it makes nothing, and falls back to reading beside an owner, or
 * where it may not write. url NULL: that of the data directory. */
enum command_access { ACCESS_READ, ACCESS_REHEARSE, ACCESS_WRITE };
int command_open_store(const struct command_invocation *invocation, const char *url, enum command_access access,
                       struct hf_store **ret_store, struct hf_error *error);

/* Whether two URLs name one place, however they are spelled, by a hard link or through links to folders. Of a URL that
 * cannot be looked at nothing is said: opening it tells. */
int command_is_same_place(const char *url, const char *other);

/* records.c: the records of a kind (NULL: of all that may be read) one by one, from --after on, at most --limit of
 * them. problem: why it is damaged; NULL when it is whole. A visit that is not 0 ends it, and is returned; it has then
 * filled the error itself. */
typedef int (*command_record_visit)(void *arg, const struct hf_record *record, const char *problem);
int command_each_record(struct command_way *way, const char *kind, command_record_visit visit, void *arg,
                        struct hf_error *error);

/* Verbs that are more than one request: the exit status, or a negative code with the error. */
int command_list(const struct command_invocation *invocation, struct hf_error *error);          /* list.c */
int command_export(const struct command_invocation *invocation, struct hf_error *error);        /* export.c */
int command_import(const struct command_invocation *invocation, struct hf_error *error);        /* import.c */
int command_copy(const struct command_invocation *invocation, struct hf_error *error);          /* copy.c */
int command_source_export(const struct command_invocation *invocation, struct hf_error *error); /* source_export.c */
int command_run(const struct command_invocation *invocation, struct hf_error *error);           /* run.c */
/* state_show.c, state_save.c, state_edit.c, state_move.c */
int command_state_get(const struct command_invocation *invocation, struct hf_error *error);
int command_state_diff(const struct command_invocation *invocation, struct hf_error *error);
int command_state_save(const struct command_invocation *invocation, struct hf_error *error); /* set merge commit end */
int command_state_rollback(const struct command_invocation *invocation, struct hf_error *error);
int command_state_begin(const struct command_invocation *invocation, struct hf_error *error);
int command_state_edit(const struct command_invocation *invocation, struct hf_error *error);
int command_state_export(const struct command_invocation *invocation, struct hf_error *error);
int command_state_import(const struct command_invocation *invocation, struct hf_error *error);

/* render.c */
void command_render(const struct command_invocation *invocation, const struct command_reply *reply);
void command_print_table(const struct json_doc *doc, const char *columns, int with_header, struct arena *arena);
void command_print_error(const struct command_invocation *invocation, const struct hf_error *error);
/* Text for a terminal: control characters shown as \xNN. */
void command_print_safely(const char *text, size_t bytes, void *stream);

/* help.c */
void command_help(const struct command_invocation *invocation, void *stream);

/* serve_audit.c: looks after the store in the background. *ret_auditor is NULL when the options turn it off. What is
 * found is logged. Errors: INVALID (an option), and those of hf_auditor_open. */
struct command_audit {
    struct hf_auditor_options options;
    int is_off;
    void (*log)(void *arg, const char *line);
};
int command_read_audit(const struct command_invocation *invocation, struct command_audit *ret_audit,
                       struct hf_error *error);
int command_open_auditor(struct command_audit *audit, struct hf_store *store, struct hf_auditor **ret_auditor,
                         struct hf_error *error);

/* serve.c: the exit status. */
int command_serve(const struct command_invocation *invocation);

#endif
