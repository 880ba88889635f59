/* The same programs over a tree of files, in both layouts and every way of being durable: the records are as they are
 * in SQLite; what another program finds after the cut, before anyone re-opened the store, is whole; with durable=file
 * it is every acknowledged record; and when the store is open again each file is its record. sim/crash_suite.h tells of
 * the environment. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "crash/crash_checks.h"
#include "sim/store_work.h"

int main(void) {
    static struct crash_checks checks = {.states = 90000, .lying_states_most = 300};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(test_missing_syncs_are_caught, &checks),
        cmocka_unit_test_prestate(test_nothing_acknowledged_is_lost, &checks),
    };
    crash_suite_init();
    for (const struct store_backing *backing = store_backings_tree; backing->name; backing++)
        checks.count += store_work_subjects(backing, checks.subjects + checks.count);
    return cmocka_run_group_tests_name("crash states of a tree", tests, NULL, NULL);
}
