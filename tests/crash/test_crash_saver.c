/* The saver over SQLite and over a tree of files, against every state that a power cut could leave; and the saver of
 * the second original, which must fail in most of them. sim/crash_suite.h tells of the environment. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sim/naive_saver.h"
#include "sim/saver_work.h"

#include <inttypes.h>
#include <stdio.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { STATES_BY_DEFAULT = 2000 };
#else
enum { STATES_BY_DEFAULT = 40000 };
#endif

enum { LYING_STATES_MOST = 300, BACKINGS_MOST = 8 };

static size_t all_subjects(struct crash_subject subjects[BACKINGS_MOST * SAVER_SUBJECTS_MOST]) {
    size_t count = saver_work_subjects(&store_backing_sqlite, subjects);
    for (const struct store_backing *backing = store_backings_tree; backing->name; backing++)
        count += saver_work_subjects(backing, subjects + count);
    return count;
}

static void test_nothing_saved_is_lost(void **state) {
    (void)state;
    struct crash_subject subjects[BACKINGS_MOST * SAVER_SUBJECTS_MOST];
    struct crash_result result;
    uint64_t wanted = crash_suite_states(STATES_BY_DEFAULT);
    crash_suite_run(subjects, all_subjects(subjects), wanted, &result);
    assert_int_equal(result.failures, 0);
    assert_true(result.total >= wanted);
}

static void test_missing_syncs_are_caught(void **state) {
    (void)state;
    struct crash_subject subjects[BACKINGS_MOST * SAVER_SUBJECTS_MOST];
    assert_int_equal(crash_suite_not_caught(subjects, all_subjects(subjects), LYING_STATES_MOST), 0);
}

/* The known-bad saver. */
static void test_naive_saver_loses_most(void **state) {
    (void)state;
    for (int with_fsync = 0; with_fsync <= 1; with_fsync++) {
        for (int order = CRASH_STRICT; order <= CRASH_EXT4; order++) {
            struct sim_record *record = naive_saver_record(1, with_fsync);
            struct crash_options options;
            struct crash_result result = {0};
            crash_options_default(&options);
            options.order = (enum crash_order)order;
            crash_run(record, &options, naive_saver_verify, NULL, &result);
            printf("# naive saver %s fsync, %-6s: %" PRIu64 " of %" PRIu64 " states lost something: %.0f %%\n",
                   with_fsync ? "with   " : "without", order == CRASH_STRICT ? "strict" : "ext4", result.failures,
                   result.total, 100 * (double)result.failures / (double)result.total);
            assert_true(result.failures * (with_fsync ? 8 : 2) > result.total);
            sim_record_free(&record);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_naive_saver_loses_most),
        cmocka_unit_test(test_missing_syncs_are_caught),
        cmocka_unit_test(test_nothing_saved_is_lost),
    };
    crash_suite_init();
    return cmocka_run_group_tests_name("crash states of the saver", tests, NULL, NULL);
}
