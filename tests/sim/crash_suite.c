#include "sim/crash_suite.h"

#include "sim/quick_memory.h"
#include "sim/share.h"

#include <inttypes.h>
#include <malloc.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { SANITIZED_ONE_IN = 150, SANITIZED_LIARS_ONE_IN = 8 };

void crash_suite_init(void) {
    sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    if (share_is_whole()) /* a sanitizer is to see each block */
        quick_memory_take_sqlite();
    mallopt(M_MMAP_THRESHOLD, 64 << 20); /* stores are opened and closed by the thousand: keep the memory */
    mallopt(M_TRIM_THRESHOLD, 256 << 20);
}

uint64_t crash_suite_states(uint64_t all) {
    return share_number("HOLDFAST_CRASH_STATES", share_of(all, SANITIZED_ONE_IN));
}

static double cpu_seconds(void) {
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void cut_one(const struct crash_subject *subject, enum crash_order order, uint64_t seed, uint64_t share,
                    struct crash_result *result) {
    void *work = NULL;
    struct sim_record *record = subject->record(subject, seed, 0, &work);
    struct crash_options options;
    crash_options_default(&options);
    options.order = order;
    options.seed = seed;
    options.failure_folder = getenv("HOLDFAST_CRASH_FOLDER");
    options.keep_one_in = crash_count(record, &options) / share + 1;
    if (crash_run(record, &options, subject->verify, work, result) != 0)
        printf("# seed %" PRIu64 ", %s: %s\n", seed, subject->name, result->first_failure);
    sim_record_free(&record);
    subject->fini(&work);
}

static void print_row(const char *name, enum crash_order order, uint64_t seeds, const struct crash_result *result,
                      double seconds) {
    printf("# %-36s %-6s %4" PRIu64 " seeds %9" PRIu64 " states %8" PRIu64 " distinct %8" PRIu64
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

static void cut_subject(const struct crash_subject *subject, enum crash_order order, uint64_t share,
                        struct crash_result *sum) {
    uint64_t first = share_number("HOLDFAST_CRASH_SEED", share_seed()), seed = first;
    struct crash_result result = {0};
    double started = cpu_seconds();
    for (; result.total < share && result.failures == 0; seed++)
        cut_one(subject, order, seed, share - result.total, &result);
    print_row(subject->name, order, seed - first, &result, cpu_seconds() - started);
    add(sum, &result);
}

void crash_suite_run(const struct crash_subject *subjects, size_t count, uint64_t states,
                     struct crash_result *ret_result) {
    uint64_t weights = 0;
    struct crash_result sum = {0};
    double started = cpu_seconds();
    for (size_t i = 0; i < count; i++)
        weights += 2 * subjects[i].weight; /* both orders */
    for (size_t i = 0; i < count; i++)
        for (int order = CRASH_STRICT; order <= CRASH_EXT4; order++)
            cut_subject(&subjects[i], (enum crash_order)order, states * subjects[i].weight / weights + 1, &sum);
    double seconds = cpu_seconds() - started;
    printf("# %" PRIu64 " states, %" PRIu64 " distinct, %" PRIu64 " within recovery, %" PRIu64
           " failed, %.0f s of CPU, %.0f states/s, %.0f distinct/s\n",
           sum.total, sum.distinct, sum.deeper, sum.failures, seconds, (double)sum.total / seconds,
           (double)sum.distinct / seconds);
    *ret_result = sum;
}

static int is_caught(const struct crash_subject *subject, enum crash_order order, uint64_t most_states) {
    void *work = NULL;
    struct sim_record *record = subject->record(subject, 1, 1, &work);
    struct crash_options options;
    struct crash_result result = {0};
    crash_options_default(&options);
    options.order = order;
    options.keep_one_in = crash_count(record, &options) / most_states + 1;
    options.stop_at_failure = 1;
    options.deeper_one_in = 0;
    crash_run(record, &options, subject->verify, work, &result);
    printf("# %-36s %-6s %s after %" PRIu64 " states\n", subject->name, order == CRASH_STRICT ? "strict" : "ext4",
           result.failures ? "caught" : "not caught", result.total);
    sim_record_free(&record);
    subject->fini(&work);
    return result.failures != 0;
}

unsigned crash_suite_not_caught(const struct crash_subject *subjects, size_t count, uint64_t most_states) {
    unsigned missed = 0;
    uint64_t one_in = share_is_whole() ? 1 : SANITIZED_LIARS_ONE_IN, turn = share_seed();
    for (size_t i = 0; i < count; i++)
        for (int order = CRASH_STRICT; order <= CRASH_EXT4; order++)
            if (turn++ % one_in == 0)
                missed += !is_caught(&subjects[i], (enum crash_order)order, most_states);
    return missed;
}
