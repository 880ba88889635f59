/* The two tests that every suite of crash states has; *state is a struct crash_checks. */
#ifndef HF_CRASH_CRASH_CHECKS_H
#define HF_CRASH_CRASH_CHECKS_H

#include "sim/crash_suite.h"

enum { CRASH_SUBJECTS_MOST = 96 };

struct crash_checks {
    struct crash_subject subjects[CRASH_SUBJECTS_MOST];
    size_t count;
    uint64_t states, lying_states_most;
};

void test_nothing_acknowledged_is_lost(void **state);
void test_missing_syncs_are_caught(void **state); /* the known-bad variant: a machine whose syncs do nothing */

#endif
