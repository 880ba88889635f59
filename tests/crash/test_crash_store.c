/* Every commit path of the store in SQLite against every state that a power cut could leave. sim/crash_suite.h tells of
 * the environment. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "crash/crash_checks.h"
#include "sim/store_work.h"

int main(void) {
    static struct crash_checks checks = {.states = 740000, .lying_states_most = 2000};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(test_missing_syncs_are_caught, &checks),
        cmocka_unit_test_prestate(test_nothing_acknowledged_is_lost, &checks),
    };
    crash_suite_init();
    checks.count = store_work_subjects(&store_backing_sqlite, checks.subjects);
    return cmocka_run_group_tests_name("crash states of the store", tests, NULL, NULL);
}
