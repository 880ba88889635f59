/* The real world: struct run_world over the loop, processes and the store. */
#ifndef HF_RUN_WORLD_REAL_H
#define HF_RUN_WORLD_REAL_H

#include "os/loop.h"
#include "run/mailbox.h"

enum { WORLD_SLICE_BYTES = 65536, WORLD_SLICES_PER_TURN = 4 }; /* of a pipe, so that a flood does not block others */

struct world_real {
    struct run_world world; /* first: the ops are given this */
    const struct os *os;
    struct loop *loop;
    struct mailbox *mailbox;
    struct cgroup_root *cgroups; /* NULL: the system has none for us */
    char *data_dir, *python;
    void (*log)(void *arg, const char *line);
    void *log_arg;
    char slice[WORLD_SLICE_BYTES];
};

struct world_options {
    const struct os *os;
    struct loop *loop;
    struct hf_store *store;
    const char *data_dir, *python;
    void (*log)(void *arg, const char *line);
    void *log_arg;
};
int world_real_new(const struct world_options *options, struct world_real **ret_world, struct hf_error *error);
void world_real_free(struct world_real **world);

/* world_child.c */
int world_spawn(struct run_world *world, const struct run_spawn *spawn, struct run_child **ret_child,
                struct process_identity *ret_identity, struct hf_error *error);
int world_send(struct run_world *world, struct run_child *child, const char *line, size_t bytes);
void world_terminate(struct run_world *world, struct run_child *child);
void world_kill_tree(struct run_world *world, struct run_child *child);
void world_take_printed(struct run_world *world, struct run_child *child, struct run_printed *ret_printed);
void world_child_free(struct run_world *world, struct run_child **child);

/* world_tree.c: processes that are known by the nonce in their environment. */
/* SIGKILL to each; returns how many were found alive. */
int world_kill_by_nonce(struct world_real *world, const char *nonce);
enum process_match world_end_left(struct run_world *world, const struct process_identity *then);

#endif
