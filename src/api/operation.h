/* Operations: one table that HTTP, the command line, /openapi.json and --help read. */
#ifndef HF_API_OPERATION_H
#define HF_API_OPERATION_H

#include "base/buf.h"
#include "base/error.h"
#include "base/json.h"
#include "base/mem.h"
#include "holdfast.h"
#include "os/os.h"

enum api_scope { API_SCOPE_NONE, API_SCOPE_READ, API_SCOPE_OPERATE, API_SCOPE_EDIT, API_SCOPE_REPAIR, API_SCOPE_ADMIN };

enum parameter_place {
    PLACE_PATH,      /* {name} in the path; positional on the command line */
    PLACE_QUERY,     /* ?name=; --name on the command line */
    PLACE_FIELD,     /* a member of the JSON body; --name on the command line */
    PLACE_NAME,      /* a member of the JSON body; positional on the command line */
    PLACE_FILE_TEXT, /* a member of the JSON body; --name FILE on the command line: the file's text ("-": stdin) */
    PLACE_ARGV,      /* a member of the JSON body, array of strings; everything behind "--" on the command line */
    PLACE_BODY,      /* the body as it is; positional FILE or "-" on the command line */
    PLACE_HEADER,    /* an HTTP header (If-Match …); --name on the command line */
    PLACE_LOCAL,     /* of the command alone, never sent: --name */
    PLACE_WORD,      /* of the command alone, never sent: positional */
};
/* PAIRS: NAME=VALUE, repeated; an object in JSON. JSON: any value, written as JSON on the command line too. */
enum parameter_type { TYPE_TEXT, TYPE_NUMBER, TYPE_DURATION, TYPE_BOOL, TYPE_LIST, TYPE_PAIRS, TYPE_JSON };

struct api_parameter {
    const char *name; /* as on the command line: "code", "if-version"; in JSON and queries '-' becomes '_'; durations
                         get "_ms" in JSON */
    enum parameter_place place;
    enum parameter_type type;
    int required;
    const char *metavar; /* "FILE", "DURATION" */
    const char *help;
};

struct api_call;
typedef void (*api_handler)(struct api_call *call);

enum {
    OPERATION_BLOCKS = 1,      /* runs on the pool: it waits for a child or reads much */
    OPERATION_DAEMON_ONLY = 2, /* has no sense without a daemon: `token link` */
    OPERATION_DESTROYS = 4,    /* the command asks on a terminal unless -y */
    OPERATION_ANY_KIND = 8,    /* the command may leave out KIND, the last part of the path */
    OPERATION_TEXT = 16,       /* the reply is text, not JSON */
    OPERATION_LARGE_BODY = 32, /* carries a whole state: BODY_LARGE_BYTES, not the daemon's usual limit */
};

struct api_operation {
    const char *noun, *verb;   /* verb NULL: `holdfast NOUN` */
    const char *method, *path; /* "GET", "/api/v1/sources/{name}"; path NULL: of the command alone */
    enum api_scope scope;
    unsigned flags;
    const struct api_parameter *parameters; /* ends with name NULL */
    const char *summary;                    /* one line, begins with a verb */
    const char *description;                /* more, may be NULL */
    const char *example;                    /* a command line that works */
    const char *columns; /* of the table output: "name status run_count"; NULL: the document as it is */
    int success_status;  /* 200, 201 … */
    api_handler handler; /* NULL when path is */
};

extern const struct api_operation api_operations[]; /* ends with noun NULL */

enum { BODY_LARGE_BYTES = 96 << 20 };

/* What handlers work with; the same with and without a daemon. */
struct api_context {
    struct hf_store *store;
    struct unsaved *unsaved;    /* results that the supervisor has not saved yet; NULL without a daemon */
    struct hf_auditor *auditor; /* NULL: none runs */
    /* How the supervisor's savers are, all together; NULL: there are none. */
    void (*health)(void *arg, struct hf_health *ret_health);
    void *health_arg;
    const struct os *os;
    const char *data_dir;
    int has_supervisor;  /* 0: the command works on the store itself */
    int64_t started_ms;  /* of the daemon */
    const char *address; /* "http://127.0.0.1:7420"; NULL without a daemon */
    struct http_server
        *server; /* for `token link`: POST /api/v1/tokens/link {"scope"} → {"link","valid_ms"}; NULL without a daemon */
};

/* One request and its reply. Lives until the reply was given; everything in it is from its arena. */
struct api_call {
    struct api_context *context;
    const struct api_operation *operation;
    struct arena arena;
    const char *who;      /* "token:ID", "uid:1000", "local" */
    enum api_scope scope; /* what the caller may do */
    int64_t peer_uid;     /* of the process that asks; -1: not known, it came over TCP */
    int64_t peer_pid;     /* 0: not known */
    /* request */
    const char *body;
    size_t body_bytes;
    const char *(*parameter)(const struct api_call *call,
                             const char *name); /* path, query and header values; decoded; NULL if not given */
    void *parameter_context;
    /* reply */
    int status;               /* HTTP; 0 until it is known */
    const char *content_type; /* NULL: application/json */
    struct buf reply;
    struct api_header {
        const char *name, *value;
    } headers[8];
    int header_count;
    struct hf_error error;
    /* Gives the reply; exactly once, from any thread; the call may be gone when it returns. */
    void (*finish)(struct api_call *call);
    void *finish_context;
    /* Long polls: instead of finish, asks that the handler be called again when the store is past `revision`, or after
     * wait_ms with waited 1. NULL where nothing can be waited for. */
    void (*wait)(struct api_call *call, uint64_t revision, int64_t wait_ms);
    int waited;
    /* Told of how far it is by what lasts, in the handler's thread; NULL where nobody looks. */
    hf_progress progress;
    void *progress_arg;
};

const struct api_operation *api_find(const char *noun, const char *verb);
/* code 0: sends call->reply with the operation's success status unless call->status is set; otherwise a problem
 * document from call->error. */
void api_reply(struct api_call *call, int code);
void api_add_header(struct api_call *call, const char *name, const char *value);
/* RFC 9457 document of an error; for every reply that is not a success, and for `-o json` errors of the command. */
void api_problem(const struct hf_error *error, struct buf *out);
/* Whether a parameter is a bare word on the command line, and whether it is of the command alone. */
static inline int api_is_positional(const struct api_parameter *parameter) {
    return parameter->place == PLACE_PATH || parameter->place == PLACE_NAME || parameter->place == PLACE_BODY ||
           parameter->place == PLACE_WORD;
}
static inline int api_is_local(const struct api_parameter *parameter) {
    return parameter->place == PLACE_LOCAL || parameter->place == PLACE_WORD;
}
const char *api_scope_name(enum api_scope scope);
enum api_scope api_scope_from_name(const char *name); /* API_SCOPE_NONE when it is none */

#endif
