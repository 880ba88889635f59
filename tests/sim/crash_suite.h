/* What the tests of crash states share: many recorded programs, each cut in both orders with its share of the states.
 * HOLDFAST_CRASH_STATES says how many states; HOLDFAST_CRASH_SEED where to begin; HOLDFAST_CRASH_FOLDER an existing
 * folder for the first state that fails. */
#ifndef HF_SIM_CRASH_SUITE_H
#define HF_SIM_CRASH_SUITE_H

#include "sim/crash_states.h"

struct crash_subject {
    char name[64];
    unsigned weight;                /* of the states: less where coming back takes long */
    const void *backing, *workload; /* record's */
    /* What the program did, from a seed; lying: its syncs are no-ops. *ret_work is for verify and fini. */
    struct sim_record *(*record)(const struct crash_subject *subject, uint64_t seed, int lying, void **ret_work);
    crash_verify verify;
    void (*fini)(void **work);
};

void crash_suite_init(void); /* first thing in main: SQLite without threads and without statistics, memory kept */
uint64_t crash_suite_states(uint64_t all); /* that this build looks at */

/* Prints a row for each subject and order. */
void crash_suite_run(const struct crash_subject *subjects, size_t count, uint64_t states,
                     struct crash_result *ret_result);

/* The known-bad variant: a machine whose syncs do nothing. Returns in how many of the runs nobody noticed, in about so
 * many states of each. */
unsigned crash_suite_not_caught(const struct crash_subject *subjects, size_t count, uint64_t most_states);

#endif
