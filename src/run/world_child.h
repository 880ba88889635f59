/* A child of the real world, and the three pipes of it. */
#ifndef HF_RUN_WORLD_CHILD_H
#define HF_RUN_WORLD_CHILD_H

#include "run/output.h"
#include "run/world_real.h"

struct child_pipe {
    int fd; /* -1: closed */
    struct loop_watch *watch;
};

struct run_child {
    struct world_real *world;
    void (*replied)(void *arg, const char *line, size_t bytes);
    void (*exited)(void *arg, const struct run_exit *exit);
    void *arg;
    char nonce[33];
    pid_t pid;
    int pidfd;
    struct loop_watch *exit_watch;
    struct loop_timer *look_timer; /* for what is left of the tree */
    int looks;
    int is_reaped, wait_status;

    struct child_pipe out;     /* a command's stdout; a worker's stdout and stderr */
    struct child_pipe err;     /* a command's stderr */
    struct child_pipe channel; /* a worker's replies */
    int is_worker, is_too_large;
    size_t datum_limit, line_limit;
    struct output tail;
    struct buf datum, line;
};

/* world_pipes.c */
int child_watch(struct run_child *child, struct child_pipe *pipe, void (*ready)(void *arg));
void child_pipe_close(struct run_child *child, struct child_pipe *pipe);
void child_out_ready(void *arg);
void child_err_ready(void *arg);
void child_channel_ready(void *arg);
/* Reads what is in the pipes now, within bounds; no callback. */
void child_drain(struct run_child *child);

#endif
