/* The rows C1 to C12 that live in the library, each a test; tests/fault/test_catalogue_state.c runs them. C3, C4, C6,
 * C11 and C13, and what of C12 is of processes, are in tests/e2e/test_catalogue_state.py. */
#ifndef HF_FAULT_CATALOGUE_STATE_H
#define HF_FAULT_CATALOGUE_STATE_H

#include "fault/catalogue_world.h"
#include "keep/state_inside.h"

#include <stdio.h>
#include <string.h>

#define STATE_URL "sqlite:/data/store.db"
#define FEED      "feed"

/* catalogue_state.c: a state on a simulated disk */
void feed_begin(struct world *world);
void feed_open(struct world *world);
void feed_reopen(struct world *world);
int feed_save(struct world *world, const char *text); /* by force; the code */
void feed_must_save(struct world *world, const char *text);
/* text NULL: nothing was ever saved. */
void feed_expect(struct world *world, const char *text, uint64_t version);
/* Loading it, with a default or without, has this code and says this; and the code's exit status is 65. */
void feed_expect_corrupt(struct world *world, const char *text);
void feed_expect_error(struct world *world, int code, int code_wanted, const char *text);

/* catalogue_state_log.c */
void C1_crash_before_within_and_after_a_save(void **state);
void C8_log_torn_at_every_byte_of_the_last_save(void **state);
void C9_log_after_an_append_that_failed(void **state);

/* catalogue_state_value.c */
void C2_state_damaged_foreign_empty_or_newer(void **state);
void C10_sizes_and_bytes_of_a_state(void **state);

/* catalogue_state_rivals.c */
void C5_run_that_was_frozen_past_its_lease(void **state);
void C7_save_of_an_older_cursor(void **state);
void C12_callers_that_fork_thread_catch_signals_and_exit(void **state);

#endif
