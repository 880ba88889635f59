/* Every barrier of the store, left out or moved: each must be missed, or it is superfluous and says why. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "sim/mutants.h"
#include "sim/store_work.h"

#include <malloc.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Under a sanitizer only that it runs: the verdicts take too many states. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { STATES_MOST = 1000, WORKLOADS_MOST = 1, IS_WHOLE = 0 };
#else
enum { STATES_MOST = 10000, WORKLOADS_MOST = 16, IS_WHOLE = 1 };
#endif

static const struct mutant_reason reasons[] = {
    {"*, nothing new", "nothing waits for it"},
    {"*: fsync lock, *", "what the file says is for people, the kernel's lock decides"},
    {"create: f*sync store.db-wal, *", "an empty store; the first commit's sync of the same file carries it"},
    {"open: fsync store.db, from the front",
     "here on disk since the creation; store/test_sqlite_left kills within that"},
    {"open: fsync store.db-wal, size only", "what was cut is in the database; the sync of the next header carries it"},
    {NULL, NULL},
};

static void test_every_barrier_is_needed(void **state) {
    (void)state;
    struct store_work work[WORKLOADS_MOST];
    struct mutant_subject subjects[WORKLOADS_MOST] = {0};
    struct crash_table known[WORKLOADS_MOST];
    struct mutant_result result;
    size_t count = 0;
    for (; store_workloads[count].name && count < WORKLOADS_MOST; count++) {
        crash_table_init(&known[count]);
        subjects[count].record = store_work_record(&work[count], &store_workloads[count], 1, 0);
        subjects[count].verify = store_work_verify;
        subjects[count].arg = &work[count];
        subjects[count].known = &known[count];
    }
    mutants_run(subjects, count, STATES_MOST, reasons, &result);
    printf("# %u mutants: %u caught, %u free, %u excused, %u missed\n", result.mutants, result.caught, result.free,
           result.excused, result.missed);
    for (size_t i = 0; i < count; i++) {
        struct sim_record *record = (struct sim_record *)(uintptr_t)subjects[i].record;
        sim_record_free(&record);
        crash_table_fini(&known[i]);
        store_work_fini(&work[i]);
    }
    assert_int_equal(result.failing, 0);
    assert_int_equal(result.wrong_reasons, 0);
    assert_true(result.caught > 0);
    if (IS_WHOLE)
        assert_int_equal(result.missed, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_barrier_is_needed)};
    sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    mallopt(M_MMAP_THRESHOLD, 64 << 20);
    mallopt(M_TRIM_THRESHOLD, 256 << 20);
    return cmocka_run_group_tests_name("barriers of the store", tests, NULL, NULL);
}
