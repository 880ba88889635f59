/* A program over the store on a simulated disk: commits from a seed, notes what was acknowledged, and is brought up
 * again from crash states. */
#ifndef HF_SIM_STORE_WORK_H
#define HF_SIM_STORE_WORK_H

#include "sim/crash_suite.h"
#include "sim/oracle.h"
#include "store/store.h"

/* What the store is kept in. */
struct store_backing {
    const char *name, *url;
    int is_tree;
};
extern const struct store_backing store_backing_sqlite;
extern const struct store_backing store_backings_tree[]; /* both layouts, every way of being durable; ended by NULL */

struct store_work {
    const struct store_backing *backing;
    struct sim_disk *disk;
    struct sim_process *process;
    struct hf_store *store;
    struct oracle oracle;
    uint64_t random;
    uint64_t counter; /* makes every document another one */
    uint64_t verified;
    struct store_waiting *unanswered;     /* the batch at which the program was killed: it may be there or not */
    int lying;                            /* syncs are no-ops: sim_process_set_lying */
    int was_opened;                       /* once at least: then it is no creation any more */
    unsigned check_one_in, reopen_one_in; /* of the states that are verified */
    /* What the program does when it is back; oracle_commit_after when NULL. */
    int (*go_on)(struct store_work *work, struct hf_store *store, uint64_t revision, char text[CRASH_TEXT]);
};

struct store_workload {
    const char *name;
    void (*run)(struct store_work *work);
    unsigned weight, tree_weight; /* of the states that a test spends: less where coming back takes long */
    int makes_store;              /* it opens the store itself */
};
extern const struct store_workload store_workloads[]; /* ended by name NULL */

/* The workloads over one backing, for crash_suite_run. Returns how many. */
enum { STORE_SUBJECTS_MOST = 16 };
size_t store_work_subjects(const struct store_backing *backing, struct crash_subject ret_subjects[STORE_SUBJECTS_MOST]);

void store_work_init(struct store_work *work, const struct store_backing *backing, uint64_t seed, int lying);
void store_work_fini(struct store_work *work);

/* A crash_verify; arg is the struct store_work. */
int64_t store_work_verify(void *arg, struct sim_disk *disk, char text[CRASH_TEXT]);

/* ---- for workloads ---- */
void store_work_must(int code, const struct hf_error *error); /* aborts */
uint64_t store_work_below(struct store_work *work, uint64_t limit);
char *store_work_json(struct store_work *work, size_t bytes, size_t *ret_bytes);
void store_work_open(struct store_work *work);
void store_work_close(struct store_work *work);
void store_work_kill(struct store_work *work);
/* A batch of so many changes waits; and what waits is committed, with a moment of time before it. */
void store_work_queue(struct store_work *work, size_t changes, int deletes, size_t bytes, int is_killed);
void store_work_queue_one(struct store_work *work, const char *kind, const char *id, size_t bytes);
void store_work_commit(struct store_work *work, size_t changes, int deletes, size_t bytes);
void store_work_rest(struct store_work *work);
void store_work_ack(struct store_work *work); /* what is there now is taken as promised */

#endif
