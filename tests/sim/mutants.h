/* Are the barriers needed, and are they where they must be? Every kind of sync that recorded programs made is left out,
 * and, when that is caught, put behind the next acknowledgement, swapped with the step behind it, and swapped with the
 * write before it. A barrier whose loss the simulator does not catch is superfluous: then a reason must be given, and
 * one that is caught after all makes the reason wrong. Where a barrier is needed but a swap is not caught, that step
 * does not rely on it. */
#ifndef HF_SIM_MUTANTS_H
#define HF_SIM_MUTANTS_H

#include "sim/crash_states.h"

struct mutant_subject {
    const struct sim_record *record;
    crash_verify verify;
    void *arg;
    struct crash_table *known;
};

struct mutant_reason {
    const char *label; /* which barriers: a pattern as of fnmatch */
    const char *reason;
};

struct mutant_result {
    unsigned mutants, caught, free, excused, missed; /* free: a swap with a step that does not rely on the barrier */
    unsigned wrong_reasons;                          /* excused, but caught */
    unsigned failing;                                /* subjects that fail as they are */
};

/* Prints one line per mutant. reasons end with label NULL. Returns 0 when none is missed; -1 too when a subject fails
 * without any mutation: then being caught says nothing. */
int mutants_run(const struct mutant_subject *subjects, size_t count, uint64_t most_states,
                const struct mutant_reason *reasons, struct mutant_result *ret_result);

#endif
