/* The catalogue of faults of the store: one test per row, over each kind of store. What needs a real machine is in
 * tests/e2e/test_limits_*.py and tests/power. */
#include "fault/catalogue.h"

#include <stdio.h>

static const char *const urls[] = {"sqlite:/data/store.db", "tree:/data/tree?layout=watch&threads=1",
                                   "tree:/data/tree?layout=kind&threads=1"};

static int is_there(const char *url) {
    struct world world;
    world_init(&world, url);
    int code = world_open(&world);
    world_fini(&world);
    return code != HF_ERR_INVALID;
}

#define ROW(name)                                                                                                      \
    { #name, name, NULL, NULL, NULL }

int main(void) {
    static const struct CMUnitTest rows[] = {
        ROW(S1_power_cut_at_any_op),
        ROW(S2_power_cut_in_recovery_three_deep),
        ROW(S3_short_write_and_interrupt_at_each_call),
        ROW(S4_no_space_and_quota_at_each_write_of_a_thousand),
        ROW(S5_sync_that_fails_is_not_asked_again),
        ROW(S6_close_that_fails_after_a_good_sync),
        ROW(S7_read_only_in_the_middle),
        ROW(S8_no_descriptor_is_free),
        ROW(S9_no_permission_for_one_file),
        ROW(S10_documents_that_are_none),
        ROW(S11_wal_damaged_or_of_another_database),
        ROW(S11_pages_damaged_and_the_rest_salvaged),
        ROW(S11_database_cut_replaced_or_removed_while_it_is_open),
        ROW(S12_bit_flip_in_a_value),
        ROW(S13_two_owners),
        ROW(S14_stale_lock_whose_pid_is_another_process_now),
        ROW(S15_file_system_that_cannot),
        ROW(S16_rename_that_knows_no_flags),
        ROW(S17_marked_while_a_save_runs_and_fails),
        ROW(S18_every_save_fails),
        ROW(S19_schema_of_a_newer_version),
        ROW(S20_interrupted_creation_for_want_of_an_older_schema),
        ROW(S21_ids_that_are_no_names),
        ROW(S22_values_at_the_limit),
        ROW(S23_clock_that_jumps),
        ROW(S24_memory_used_up_at_each_allocation),
    };
    enum { ROWS = sizeof rows / sizeof *rows, URLS = sizeof urls / sizeof *urls };
    static struct CMUnitTest tests[ROWS * URLS];
    static char names[ROWS * URLS][160];
    size_t count = 0;
    for (size_t i = 0; i < ROWS * URLS; i++) {
        const char *url = urls[i % URLS];
        if (!is_there(url))
            continue;
        snprintf(names[count], sizeof names[count], "%s, %s", rows[i / URLS].name, url);
        tests[count] = rows[i / URLS];
        tests[count].name = names[count];
        tests[count].initial_state = (void *)(uintptr_t)url;
        count++;
    }
    return _cmocka_run_group_tests("catalogue of the store", tests, count, NULL, NULL);
}
