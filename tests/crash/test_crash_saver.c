/* The saver over SQLite and over a tree of files, against every state that a power cut could leave; and the saver of
 * the second original, which must fail in most of them. sim/crash_suite.h tells of the environment. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "crash/crash_checks.h"
#include "sim/naive_saver.h"
#include "sim/saver_work.h"

#include <inttypes.h>
#include <stdio.h>

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
    static struct crash_checks checks = {.states = 40000, .lying_states_most = 300};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_naive_saver_loses_most),
        cmocka_unit_test_prestate(test_missing_syncs_are_caught, &checks),
        cmocka_unit_test_prestate(test_nothing_acknowledged_is_lost, &checks),
    };
    crash_suite_init();
    checks.count = saver_work_subjects(&store_backing_sqlite, checks.subjects);
    for (const struct store_backing *backing = store_backings_tree; backing->name; backing++)
        checks.count += saver_work_subjects(backing, checks.subjects + checks.count);
    return cmocka_run_group_tests_name("crash states of the saver", tests, NULL, NULL);
}
