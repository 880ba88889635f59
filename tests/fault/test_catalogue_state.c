/* The catalogue of faults of collectors' states: one test per row that lives in the library. */
#include "fault/catalogue_state.h"

int main(void) {
    const struct CMUnitTest rows[] = {
        cmocka_unit_test(C1_crash_before_within_and_after_a_save),
        cmocka_unit_test(C2_state_damaged_foreign_empty_or_newer),
        cmocka_unit_test(C5_run_that_was_frozen_past_its_lease),
        cmocka_unit_test(C7_save_of_an_older_cursor),
        cmocka_unit_test(C8_log_torn_at_every_byte_of_the_last_save),
        cmocka_unit_test(C9_log_after_an_append_that_failed),
        cmocka_unit_test(C10_sizes_and_bytes_of_a_state),
        cmocka_unit_test(C12_callers_that_fork_thread_catch_signals_and_exit),
    };
    return cmocka_run_group_tests_name("catalogue of states", rows, NULL, NULL);
}
