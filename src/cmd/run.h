/* `holdfast run NAME -- COMMAND …`: the lease, the state in a file, the command, and what became of it.
 *
 * Invariants
 *  1. The command runs only while the lease of NAME is this process's, taken and on disk.
 *  2. No store is open and no connection held while the command runs: begin and end are requests of their own, each by
 *     the way that is there at that moment.
 *  3. A new state is taken only from a command that ended with 0 (--singer: from a target that says it has the data),
 *     and only whole: what is not acceptable leaves the state as it is.
 *  4. What could not be taken is moved to DATA/runs/rejected and told of before the state file is removed.
 *  5. When this process ends, however that comes about, its command is killed, and with it the lease is free. */
#ifndef HF_CMD_RUN_H
#define HF_CMD_RUN_H

#include "cmd/command.h"
#include "os/process.h"

enum run_overlap { RUN_OVERLAP_FAIL, RUN_OVERLAP_SKIP, RUN_OVERLAP_WAIT, RUN_OVERLAP_KILL };
enum {
    RUN_END_PATIENCE_MS = 30000,  /* for a save or an end that may still succeed */
    RUN_BEGIN_PATIENCE_MS = 5000, /* for a daemon that goes away within the request */
    RUN_GRACE_MS = 10000,         /* from TERM to KILL */
    RUN_EXIT_TIMEOUT = 124,       /* as timeout(1) */
    RUN_EXIT_SIGNAL = 128,        /* and the signal's number, as shells say it */
};

struct run {
    const struct command_invocation *invocation;
    const struct os *os;
    struct arena arena;
    /* what was asked for */
    const char *name, *named_file, *reason, *scheduled_at;
    int64_t timeout_ms; /* 0: none */
    int64_t wait_ms;    /* -1: for as long as it takes */
    enum run_overlap overlap;
    int is_singer;
    /* what begin gave */
    const char *id; /* "NAME@7" */
    uint64_t fence, version;
    int has_state;
    struct buf state; /* its bytes, as they were saved */
    int64_t began_ms; /* monotonic */
    /* the state file */
    const char *folder, *path;
    int was_there;       /* a file that --state-file names held a first state already */
    const char *kept_at; /* where a state that was not taken is; NULL: nowhere */
    int kept_count;      /* of what was put into DATA/runs/rejected */
    /* how it ended */
    const char *outcome; /* NULL: not yet */
    int exit_code, signal;
    int was_told;    /* a signal came for the command */
    int64_t records; /* that passed by; -1: not counted */
    struct buf why;  /* for the ledger; empty: nothing to say */
    int has_new;     /* the state that is to be saved at the end */
    struct buf fresh;
    struct hf_error error; /* why the outcome is not of the command's making */
};

/* ---- run.c ---- */
/* Says how it ended (NULL: not yet), and why (NULL: nothing to say); what was said first stands. */
void run_decide(struct run *run, const char *outcome, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* ---- run_call.c: requests ---- */
/* A state operation on NAME; again and again for patience_ms while it fails for a reason that may pass. body may be
 * NULL. *ret_doubtful (may be NULL): a try that failed may have been done all the same. */
int run_call(struct run *run, const char *verb, const struct buf *body, int64_t patience_ms, struct buf *ret_reply,
             int *ret_doubtful, struct hf_error *error);
/* CONFLICT: somebody else holds the lease. skip: enter that as a run that was skipped. */
int run_begin(struct run *run, int skip, struct hf_error *error);
/* state: the new one; NULL: it stays. CONFLICT: the lease was taken over. PRECONDITION: the command saved by itself. */
int run_end(struct run *run, const struct buf *state, struct hf_error *error);
/* A save in between, of JSON. */
int run_save(struct run *run, const char *json, size_t bytes, struct hf_error *error);

struct run_holder {
    int64_t pid;
    uint64_t start_ticks;
    char boot_id[40];
    int is_alive;
};
/* Who holds the lease; NOT_FOUND: nobody. */
int run_find_holder(struct run *run, struct run_holder *ret_holder, struct hf_error *error);

/* ---- run_overlap.c ---- */
/* Begins, as --on-overlap says. *ret_skipped: it was entered as skipped, and that is all. */
int run_take(struct run *run, int *ret_skipped, struct hf_error *error);

/* ---- run_file.c ---- */
int run_file_put(struct run *run, struct hf_error *error);
/* *ret_changed: the file holds a new state, now in *ret_state. Errors: why it is not acceptable. */
int run_file_take(struct run *run, struct buf *ret_state, int *ret_changed, struct hf_error *error);
void run_file_remove(struct run *run, int is_taken);
/* A folder with all that is in it, as far as that can be done. */
void run_remove_tree(const struct os *os, int dir_fd, const char *name);
/* The number in "NAME@7"; -1: it is not of this name. */
int run_number_of(const char *id, const char *name, uint64_t *ret_number);

/* ---- run_aside.c: what was not taken. kept_at says where it is then ---- */
void run_file_reject(struct run *run);
/* The same for a state that never was in the file. */
void run_keep_aside(struct run *run, const void *bytes, size_t size);

/* ---- run_check.c ---- */
/* Whether bytes may follow those that there were (NULL: nothing was saved yet): a file that a crash left empty, cut
 * short or full of zeros may not. Errors: BAD_DATA, BAD_JSON, SCHEMA_NEWER, TOO_LARGE. */
int run_check_state(const struct buf *before, const struct buf *state, struct hf_error *error);

/* ---- run_spawn.c, run_child.c ---- */
struct run_stream;
enum { RUN_COMMANDS_MAX = 16 };
struct run_crew {
    struct run *run;
    struct run_stream *stream;
    struct os_child children[RUN_COMMANDS_MAX];
    pid_t pids[RUN_COMMANDS_MAX + 1]; /* of those that live; ends with 0 */
    int statuses[RUN_COMMANDS_MAX];   /* as waitid gave them */
    size_t count, ended;
    int signal_fd;
    int64_t timeout_at_ms, kill_at_ms; /* monotonic; 0: not set */
};
/* Starts the commands (each an argv), each one's output the next one's input; the last one's goes to the stream, when
 * there is one. Those that were started before one that could not be are in the crew. EXEC, NO_MEMORY, … */
int run_spawn(struct run_crew *crew, const char *const *const *commands, size_t count, struct hf_error *error);

/* Starts them and waits for their end. Fills exit_code and signal, and decides when a time-out or a signal ended them.
 */
int run_commands(struct run *run, const char *const *const *commands, size_t count, struct run_stream *stream,
                 struct hf_error *error);

/* ---- run_tree.c: everything that a process has started ---- */
void run_tree_signal(const struct os *os, pid_t pid, int signal);
int run_tree_is_gone(const struct os *os, pid_t pid);
void run_tree_kill(const struct os *os, pid_t pid); /* until nothing is left */

/* ---- run_singer.c ---- */
int run_singer(struct run *run, struct hf_error *error);

/* ---- run_stream.c: a command's output on its way to ours, looked at line by line ---- */
struct run_stream {
    const struct os *os;
    int in_fd, out_fd;    /* -1: closed */
    struct buf line, out; /* a line that is not whole yet; what goes to our output */
    size_t out_sent;      /* of out */
    int is_over_long;     /* the line is too long to be looked at */
    /* A whole line, with its line feed when it has one. 1: it goes on to our output, 0: it does not. */
    int (*look)(void *arg, const char *line, size_t bytes);
    void *arg;
};
enum { RUN_LINE_BYTES_MAX = 64 << 20 };
void run_stream_init(struct run_stream *stream, const struct os *os, int in_fd, int out_fd);
void run_stream_read(struct run_stream *stream);            /* when in_fd can be read: a part of what is there */
void run_stream_write(struct run_stream *stream);           /* when out_fd takes something */
size_t run_stream_waiting(const struct run_stream *stream); /* bytes that are still to be written */
void run_stream_end(struct run_stream *stream); /* what is in the pipe yet, when all that could write has ended */
void run_stream_fini(struct run_stream *stream);

#endif
