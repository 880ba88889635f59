/* A program over the store on a simulated disk: commits from a seed, notes what was acknowledged, and is brought up
 * again from crash states. */
#ifndef HF_SIM_STORE_WORK_H
#define HF_SIM_STORE_WORK_H

#include "sim/crash_states.h"
#include "sim/oracle.h"
#include "store/store.h"

#define STORE_WORK_URL "sqlite:/data/store.db"

struct store_work {
    struct sim_disk *disk;
    struct sim_process *process;
    struct hf_store *store;
    struct oracle oracle;
    uint64_t random;
    uint64_t counter; /* makes every document another one */
    uint64_t verified;
    struct store_waiting *unanswered;     /* the batch at which the program was killed: it may be there or not */
    int lying;                            /* syncs are no-ops: sim_process_set_lying */
    unsigned check_one_in, reopen_one_in; /* of the states that are verified */
};

struct store_workload {
    const char *name;
    void (*run)(struct store_work *work);
    unsigned weight; /* of the states that a test spends: less where coming back takes long */
    int makes_store; /* it opens the store itself */
};
extern const struct store_workload store_workloads[]; /* ended by name NULL */

/* Runs the workload on a new disk; what it did. *work is for store_work_verify, and for store_work_fini. */
struct sim_record *store_work_record(struct store_work *work, const struct store_workload *workload, uint64_t seed,
                                     int lying);
void store_work_fini(struct store_work *work);

/* A crash_verify; arg is the struct store_work. */
int64_t store_work_verify(void *arg, struct sim_disk *disk, char text[CRASH_TEXT]);

#endif
