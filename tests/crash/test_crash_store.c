/* Every commit path of the store against every state that a power cut could leave. HOLDFAST_CRASH_STATES says how many
 * states; HOLDFAST_CRASH_SEED where to begin; HOLDFAST_CRASH_FOLDER an existing folder for the first state that fails.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sim/store_work.h"

#include <inttypes.h>
#include <malloc.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { STATES_BY_DEFAULT = 50000 };
#else
enum { STATES_BY_DEFAULT = 1000000 };
#endif

enum { LYING_STATES_MOST = 20000 };

static uint64_t number_from(const char *name, uint64_t otherwise) {
    const char *text = getenv(name);
    return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

static double cpu_seconds(void) {
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void cut_one(const struct store_workload *workload, enum crash_order order, uint64_t seed, uint64_t share,
                    struct crash_result *result) {
    struct store_work work;
    struct sim_record *record = store_work_record(&work, workload, seed, 0);
    struct crash_options options;
    crash_options_default(&options);
    options.order = order;
    options.seed = seed;
    options.failure_folder = getenv("HOLDFAST_CRASH_FOLDER");
    options.keep_one_in = crash_count(record, &options) / share + 1;
    if (crash_run(record, &options, store_work_verify, &work, result) != 0)
        printf("# seed %" PRIu64 ", %s: %s\n", seed, workload->name, result->first_failure);
    sim_record_free(&record);
    store_work_fini(&work);
}

static void print_row(const char *name, enum crash_order order, uint64_t seeds, const struct crash_result *result,
                      double seconds) {
    printf("# %-20s %-6s %4" PRIu64 " seeds %9" PRIu64 " states %8" PRIu64 " distinct %8" PRIu64
           " within recovery %6" PRIu64 " failed %7.0f states/s of CPU\n",
           name, order == CRASH_STRICT ? "strict" : "ext4", seeds, result->total, result->distinct, result->deeper,
           result->failures, seconds > 0 ? (double)result->total / seconds : 0);
    fflush(stdout);
}

static void add(struct crash_result *sum, const struct crash_result *result) {
    sum->total += result->total;
    sum->distinct += result->distinct;
    sum->deeper += result->deeper;
    sum->failures += result->failures;
}

static void cut_workload(const struct store_workload *workload, enum crash_order order, uint64_t share,
                         struct crash_result *sum) {
    uint64_t first = number_from("HOLDFAST_CRASH_SEED", 1), seed = first;
    struct crash_result result = {0};
    double started = cpu_seconds();
    for (; result.total < share && result.failures == 0; seed++)
        cut_one(workload, order, seed, share - result.total, &result);
    print_row(workload->name, order, seed - first, &result, cpu_seconds() - started);
    add(sum, &result);
}

static void test_nothing_acknowledged_is_lost(void **state) {
    (void)state;
    uint64_t weights = 0, wanted = number_from("HOLDFAST_CRASH_STATES", STATES_BY_DEFAULT);
    struct crash_result sum = {0};
    double started = cpu_seconds();
    for (const struct store_workload *workload = store_workloads; workload->name; workload++)
        weights += 2 * workload->weight; /* both orders */
    for (const struct store_workload *workload = store_workloads; workload->name; workload++)
        for (int order = CRASH_STRICT; order <= CRASH_EXT4; order++)
            cut_workload(workload, (enum crash_order)order, wanted * workload->weight / weights + 1, &sum);
    double seconds = cpu_seconds() - started;
    printf("# %" PRIu64 " states, %" PRIu64 " distinct, %" PRIu64 " within recovery, %" PRIu64
           " failed, %.0f s of CPU, %.0f states/s, %.0f distinct/s\n",
           sum.total, sum.distinct, sum.deeper, sum.failures, seconds, (double)sum.total / seconds,
           (double)sum.distinct / seconds);
    assert_int_equal(sum.failures, 0);
    assert_true(sum.total >= wanted);
}

/* The known-bad variant: a machine whose syncs do nothing, as with synchronous=OFF. */
static void test_missing_syncs_are_caught(void **state) {
    (void)state;
    for (const struct store_workload *workload = store_workloads; workload->name; workload++) {
        for (int order = CRASH_STRICT; order <= CRASH_EXT4; order++) {
            struct store_work work;
            struct sim_record *record = store_work_record(&work, workload, 1, 1);
            struct crash_options options;
            struct crash_result result = {0};
            crash_options_default(&options);
            options.order = (enum crash_order)order;
            options.most_states = LYING_STATES_MOST;
            options.stop_at_failure = 1;
            options.deeper_one_in = 0;
            crash_run(record, &options, store_work_verify, &work, &result);
            printf("# %-20s %-6s caught after %" PRIu64 " states\n", workload->name, order ? "ext4" : "strict",
                   result.total);
            assert_true(result.failures > 0);
            sim_record_free(&record);
            store_work_fini(&work);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_missing_syncs_are_caught),
        cmocka_unit_test(test_nothing_acknowledged_is_lost),
    };
    sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    mallopt(M_MMAP_THRESHOLD, 64 << 20); /* stores are opened and closed by the thousand: keep the memory */
    mallopt(M_TRIM_THRESHOLD, 256 << 20);
    return cmocka_run_group_tests_name("crash states of the store", tests, NULL, NULL);
}
