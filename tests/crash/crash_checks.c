#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "crash/crash_checks.h"

void test_nothing_acknowledged_is_lost(void **state) {
    const struct crash_checks *checks = *state;
    struct crash_result result;
    uint64_t wanted = crash_suite_states(checks->states);
    crash_suite_run(checks->subjects, checks->count, wanted, &result);
    assert_int_equal(result.failures, 0);
    assert_true(result.total >= wanted);
}

void test_missing_syncs_are_caught(void **state) {
    const struct crash_checks *checks = *state;
    assert_int_equal(crash_suite_not_caught(checks->subjects, checks->count, checks->lying_states_most), 0);
}
