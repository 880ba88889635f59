/* The rows of the catalogue of faults, each a test over the URL of a store; tests/fault/test_catalogue_store.c runs
 * them. */
#ifndef HF_FAULT_CATALOGUE_H
#define HF_FAULT_CATALOGUE_H

#include "fault/catalogue_world.h"

/* Of many calls that could fail, how many are tried. */
#if defined(__SANITIZE_ADDRESS__)
enum { SAMPLES = 12 };
#else
enum { SAMPLES = 60 };
#endif

#define BEGIN(name)                                                                                                    \
    struct world name;                                                                                                 \
    world_init(&name, *state)
#define END(name) world_fini(&name)

/* catalogue_power.c */
void S1_power_cut_at_any_op(void **state);
void S2_power_cut_in_recovery_three_deep(void **state);
void S20_interrupted_creation_for_want_of_an_older_schema(void **state);

/* catalogue_disk.c */
void S3_short_write_and_interrupt_at_each_call(void **state);
void S4_no_space_and_quota_at_each_write_of_a_thousand(void **state);
void S5_sync_that_fails_is_not_asked_again(void **state);
void S6_close_that_fails_after_a_good_sync(void **state);
void S7_read_only_in_the_middle(void **state);
void S8_no_descriptor_is_free(void **state);

/* catalogue_files.c */
void S9_no_permission_for_one_file(void **state);
void S10_documents_that_are_none(void **state);
void S12_bit_flip_in_a_value(void **state);

/* catalogue_database.c */
void S11_wal_damaged_or_of_another_database(void **state);
void S11_pages_damaged_and_the_rest_salvaged(void **state);
void S11_database_cut_replaced_or_removed_while_it_is_open(void **state);
void S19_schema_of_a_newer_version(void **state);

/* catalogue_system.c */
void S13_two_owners(void **state);
void S14_stale_lock_whose_pid_is_another_process_now(void **state);
void S15_file_system_that_cannot(void **state);
void S16_rename_that_knows_no_flags(void **state);

/* catalogue_saver.c */
void S17_marked_while_a_save_runs_and_fails(void **state);
void S18_every_save_fails(void **state);

/* catalogue_input.c */
void S21_ids_that_are_no_names(void **state);
void S22_values_at_the_limit(void **state);

/* catalogue_clock.c */
void S23_clock_that_jumps(void **state);

/* catalogue_memory.c */
void S24_memory_used_up_at_each_allocation(void **state);

#endif
