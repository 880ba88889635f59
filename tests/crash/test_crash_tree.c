/* The same programs over a tree of files, in both layouts and every way of being durable: the records are as they are
 * in SQLite; what another program finds after the cut, before anyone re-opened the store, is whole; with durable=file
 * it is every acknowledged record; and when the store is open again each file is its record. sim/crash_suite.h tells of
 * the environment. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sim/store_work.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { STATES_BY_DEFAULT = 3000 };
#else
enum { STATES_BY_DEFAULT = 90000 };
#endif

enum { LYING_STATES_MOST = 300, BACKINGS_MOST = 8 };

static size_t all_subjects(struct crash_subject subjects[BACKINGS_MOST * STORE_SUBJECTS_MOST]) {
    size_t count = 0;
    for (const struct store_backing *backing = store_backings_tree; backing->name; backing++)
        count += store_work_subjects(backing, subjects + count);
    return count;
}

static void test_nothing_acknowledged_is_lost(void **state) {
    (void)state;
    struct crash_subject subjects[BACKINGS_MOST * STORE_SUBJECTS_MOST];
    struct crash_result result;
    uint64_t wanted = crash_suite_states(STATES_BY_DEFAULT);
    crash_suite_run(subjects, all_subjects(subjects), wanted, &result);
    assert_int_equal(result.failures, 0);
    assert_true(result.total >= wanted);
}

/* The known-bad variant: a machine whose syncs do nothing. */
static void test_missing_syncs_are_caught(void **state) {
    (void)state;
    struct crash_subject subjects[BACKINGS_MOST * STORE_SUBJECTS_MOST];
    assert_int_equal(crash_suite_not_caught(subjects, all_subjects(subjects), LYING_STATES_MOST), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_missing_syncs_are_caught),
        cmocka_unit_test(test_nothing_acknowledged_is_lost),
    };
    crash_suite_init();
    return cmocka_run_group_tests_name("crash states of a tree", tests, NULL, NULL);
}
