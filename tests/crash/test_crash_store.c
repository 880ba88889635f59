/* Every commit path of the store in SQLite against every state that a power cut could leave. sim/crash_suite.h tells of
 * the environment. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sim/store_work.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { STATES_BY_DEFAULT = 50000 };
#else
enum { STATES_BY_DEFAULT = 740000 };
#endif

enum { LYING_STATES_MOST = 2000 };

static void test_nothing_acknowledged_is_lost(void **state) {
    (void)state;
    struct crash_subject subjects[STORE_SUBJECTS_MOST];
    struct crash_result result;
    uint64_t wanted = crash_suite_states(STATES_BY_DEFAULT);
    crash_suite_run(subjects, store_work_subjects(&store_backing_sqlite, subjects), wanted, &result);
    assert_int_equal(result.failures, 0);
    assert_true(result.total >= wanted);
}

/* The known-bad variant: a machine whose syncs do nothing, as with synchronous=OFF. */
static void test_missing_syncs_are_caught(void **state) {
    (void)state;
    struct crash_subject subjects[STORE_SUBJECTS_MOST];
    size_t count = store_work_subjects(&store_backing_sqlite, subjects);
    assert_int_equal(crash_suite_not_caught(subjects, count, LYING_STATES_MOST), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_missing_syncs_are_caught),
        cmocka_unit_test(test_nothing_acknowledged_is_lost),
    };
    crash_suite_init();
    return cmocka_run_group_tests_name("crash states of the store", tests, NULL, NULL);
}
