/* Stored bytes that rot: pages flipped, zeroed, cut, swapped, taken from elsewhere. Opening, scanning, getting and
 * checking each: no crash; what is read as good is what was committed under that key; what is not read good is told of.
 * HOLDFAST_CORRUPTIONS says how many variants, HOLDFAST_CORRUPTION_SEED where to begin. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fault/damage.h"
#include "sim/crash_suite.h"
#include "sim/share.h"

#include <inttypes.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { VARIANTS = 40000, SANITIZED_ONE_IN = 40, COMPLAINTS_SHOWN = 8, PATIENCE_S = 60 };

static double cpu_seconds(void) {
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void print_tally(const char *name, const struct damage_tally *tally, double seconds) {
    printf("# %-24s %6" PRIu64 " variants: %6" PRIu64 " refused, %6" PRIu64 " told of, %6" PRIu64
           " at an earlier commit, %6" PRIu64 " unharmed; %" PRIu64 " bad; %.0f/s of CPU\n",
           name, tally->variants, tally->refused, tally->told, tally->earlier, tally->unharmed, tally->complaints,
           seconds > 0 ? (double)tally->variants / seconds : 0);
    fflush(stdout);
}

static void add(struct damage_tally *sum, const struct damage_tally *tally) {
    sum->variants += tally->variants;
    sum->refused += tally->refused;
    sum->told += tally->told;
    sum->earlier += tally->earlier;
    sum->unharmed += tally->unharmed;
    sum->complaints += tally->complaints;
}

/* A variant that hangs is named, and ends the run. */
static volatile uint64_t seed_at_work;

static void say_hang(int signal) {
    (void)signal;
    fprintf(stderr, "# seed %" PRIu64 " hangs\n", seed_at_work);
    abort();
}

static void spoil(const struct damage_base *base, uint64_t count, uint64_t seed, struct damage_tally *sum) {
    struct damage_tally tally = {0};
    double started = cpu_seconds();
    for (uint64_t i = 0; i < count; i++) {
        struct damage_verdict verdict;
        seed_at_work = seed + i;
        alarm(PATIENCE_S);
        damage_try(base, seed + i, &verdict);
        damage_count(&tally, &verdict);
        if (verdict.complaint[0] && tally.complaints <= COMPLAINTS_SHOWN)
            printf("#   %s, seed %" PRIu64 ", %s: %s\n", base->name, seed + i, verdict.what, verdict.complaint);
    }
    alarm(0);
    print_tally(base->name, &tally, cpu_seconds() - started);
    add(sum, &tally);
}

static void test_no_damage_goes_unnoticed(void **state) {
    (void)state;
    uint64_t seed = share_number("HOLDFAST_CORRUPTION_SEED", share_seed());
    uint64_t wanted = share_number("HOLDFAST_CORRUPTIONS", share_of(VARIANTS, SANITIZED_ONE_IN)), shares = 0;
    struct damage_tally sum = {0};
    double started = cpu_seconds();
    for (const struct damage_shape *shape = damage_shapes; shape->name; shape++)
        shares += damage_shape_is_possible(shape) ? shape->share : 0;
    for (const struct damage_shape *shape = damage_shapes; shape->name; shape++) {
        if (!damage_shape_is_possible(shape))
            continue;
        struct damage_base base;
        damage_base_init(&base, shape);
        spoil(&base, wanted * shape->share / shares + 1, seed, &sum);
        damage_base_fini(&base);
    }
    print_tally("all", &sum, cpu_seconds() - started);
    assert_int_equal(sum.complaints, 0);
    assert_true(sum.variants >= wanted);
    assert_true(sum.told > wanted / 20 && sum.refused > wanted / 50);
}

/* The known-bad variant: a reader that compares no checksums. */
static uint64_t wrong_values_without_checksums(const struct damage_base *base, uint64_t seed) {
    sqlite3 *db = NULL;
    sqlite3_stmt *rows = NULL;
    uint64_t wrong = 0;
    size_t size = 0;
    unsigned char *bytes = damage_database(base, seed, &size);
    if (sqlite3_open(":memory:", &db) == SQLITE_OK &&
        sqlite3_deserialize(db, "main", bytes, (sqlite3_int64)size, (sqlite3_int64)size, SQLITE_DESERIALIZE_READONLY) ==
            SQLITE_OK &&
        sqlite3_prepare_v2(db, "SELECT id,doc FROM record", -1, &rows, NULL) == SQLITE_OK) {
        while (sqlite3_step(rows) == SQLITE_ROW) {
            const char *id = (const char *)sqlite3_column_text(rows, 0),
                       *json = (const char *)sqlite3_column_text(rows, 1);
            wrong += !id || !json || !damage_was_committed(base, id, json, (size_t)sqlite3_column_bytes(rows, 1));
        }
    }
    sqlite3_finalize(rows);
    sqlite3_close(db);
    free(bytes);
    return wrong;
}

static void test_missing_checksums_are_caught(void **state) {
    (void)state;
    uint64_t wrong = 0;
    struct damage_base base;
    damage_base_init(&base, &damage_shapes[0]);
    for (uint64_t seed = 1; seed <= 1000; seed++)
        wrong += wrong_values_without_checksums(&base, seed) > 0;
    damage_base_fini(&base);
    printf("# without checksums: wrong values in %" PRIu64 " of 1000 variants\n", wrong);
    assert_true(wrong > 50);
}

int main(void) {
    crash_suite_init();
    signal(SIGALRM, say_hang);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_missing_checksums_are_caught),
        cmocka_unit_test(test_no_damage_goes_unnoticed),
    };
    return cmocka_run_group_tests_name("corruption", tests, NULL, NULL);
}
