/* Everything that the supervisor does to the world, as a table: the real one is over loop, processes and store; the one
 * of the tests has a clock and children of its own. All calls and callbacks are in one thread. No callback is made from
 * inside a call. */
#ifndef HF_RUN_RUN_WORLD_H
#define HF_RUN_RUN_WORLD_H

#include "base/buf.h"
#include "base/error.h"
#include "os/process.h"
#include "run/source_spec.h"

struct run_child;
struct run_timer;
struct run_world;

struct run_exit {
    int exit_code; /* when signal is 0 */
    int signal;
    int tree_left; /* processes of its tree could not be ended */
};

/* What a child printed. */
struct run_printed {
    struct buf datum; /* a command's stdout, at most data_bytes of it */
    int is_too_large; /* stdout had more; datum is empty then */
    struct buf tail;  /* the tail of what people read: a worker's stdout and stderr, a command's stderr */
    uint64_t dropped_bytes;
};

struct run_spawn {
    const struct source_spec *spec; /* argv of a command; cwd, env, limits; borrowed for the call */
    const char *nonce;
    const char *code; /* python: what the worker runs; NULL for a command */
    size_t code_bytes;
    void (*replied)(void *arg, const char *line, size_t bytes); /* a worker's line; NULL: it sent what is too long */
    void (*exited)(void *arg,
                   const struct run_exit *exit); /* the child and its whole tree are gone; the last callback */
    void *arg;
};

/* Answers a commit. code as of hf_store_commit; revision at which the batch stands. */
typedef void (*run_commit_done)(void *arg, int code, uint64_t revision, const struct hf_error *error);

struct run_world_ops {
    int64_t (*now_ms)(struct run_world *world); /* monotonic */
    int64_t (*wall_ms)(struct run_world *world);
    int (*random)(struct run_world *world, void *to, size_t bytes);

    int (*timer_new)(struct run_world *world, void (*fire)(void *arg), void *arg, struct run_timer **ret_timer);
    void (*timer_set)(struct run_world *world, struct run_timer *timer, int64_t delay_ms); /* one shot */
    void (*timer_clear)(struct run_world *world, struct run_timer *timer);
    void (*timer_free)(struct run_world *world, struct run_timer **timer);

    void (*commit)(struct run_world *world, struct hf_batch **take_batch, run_commit_done done, void *arg);

    /* Codes: NOT_FOUND, PERMISSION, EXEC … when trying again cannot help; NO_MEMORY, TOO_MANY_FILES, IO when it may. */
    int (*spawn)(struct run_world *world, const struct run_spawn *spawn, struct run_child **ret_child,
                 struct process_identity *ret_identity, struct hf_error *error);
    int (*send)(struct run_world *world, struct run_child *child, const char *line, size_t bytes); /* whole, or -1 */
    void (*terminate)(struct run_world *world, struct run_child *child); /* SIGTERM to the group */
    void (*kill_tree)(struct run_world *world, struct run_child *child); /* SIGKILL to all of it */
    void (*take_printed)(struct run_world *world, struct run_child *child,
                         struct run_printed *ret_printed);                 /* and clears */
    void (*child_free)(struct run_world *world, struct run_child **child); /* ends what still lives, without waiting */

    /* Ends what an earlier daemon left of this child. GONE or OTHER: nothing of it lives (any more). */
    enum process_match (*end_left)(struct run_world *world, const struct process_identity *then);

    void (*log)(struct run_world *world, const char *line);
};

struct run_world {
    const struct run_world_ops *ops;
};

void run_printed_init(struct run_printed *printed);
void run_printed_fini(struct run_printed *printed);

#endif
