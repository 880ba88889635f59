/* Every barrier of the store, left out or moved: each must be missed, or it is superfluous and says why. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sim/mutants.h"
#include "sim/saver_work.h"

#include <stdio.h>
#include <string.h>

enum { SUBJECTS_MOST = 32 };

/* Under a sanitizer only that it runs: the verdicts take too many states. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { STATES_MOST = 100, TREE_STATES_MOST = 10, WORKLOADS_MOST = 1, IS_WHOLE = 0 };
#else
enum { STATES_MOST = 10000, TREE_STATES_MOST = 400, WORKLOADS_MOST = SUBJECTS_MOST, IS_WHOLE = 1 };
#endif

static const struct mutant_reason sqlite_reasons[] = {
    {"*, nothing new", "nothing waits for it"},
    {"*: fsync lock, *", "what the file says is for people, the kernel's lock decides"},
    {"create: fdatasync store.db-wal, behind the front",
     "an empty store; the first commit's sync of the file carries it"},
    {"create: fsync store.db-wal, *", "an empty store; the first commit's sync of the same file carries it"},
    {"open: fsync store.db, from the front",
     "here on disk since the creation; store/test_sqlite_left kills within that"},
    {"open: fsync store.db-wal, size only", "what was cut is in the database; the sync of the next header carries it"},
    {NULL, NULL},
};

/* clang-format off */
#define TREE_REASONS \
    {"*, nothing new", "nothing waits for it"}, \
    {"*: fsync lock, *", "what the file says is for people, the kernel's lock decides"}, \
    {"create: fsync folder data, *", "the sync of the whole file system that ends the creation carries it"}, \
    {"create: fsync folder tree, *", "the sync of the whole file system that ends the creation carries it"}, \
    {"create: fdatasync index.db-wal, behind the front", \
     "an empty store; the first commit's sync of the file carries it"}, \
    {"create: fsync index.db-wal, *", "an empty store; the first commit's sync of the same file carries it"}, \
    {"close: fsync temporary file, *", "the mark has a checksum; without it every file is looked at"}, \
    {"close: fsync folder .holdfast, *", "an older mark only means that more files are looked at"}, \
    {"open: fsync folder .holdfast, *", "an older mark only means that more files are looked at"}, \
    {"open: fsync index.db, from the front", \
     "here on disk since the creation; store/test_sqlite_left kills within that"}, \
    {"open: fsync index.db-wal, size only", "the sync of the whole file system that ends the opening carries it"}, \
    {"open: fsync folder aside, *", "what is kept aside is of others: no record is missed"},
/* clang-format on */
static const struct mutant_reason batch_reasons[] = {
    TREE_REASONS{NULL, NULL},
};
static const struct mutant_reason file_reasons[] = {
    TREE_REASONS{"close: syncfs folder .holdfast, *", "every file and its folder were synced on the way"},
    {"open: fsync folder id*, *", "the sync of the whole file system that ends the opening carries it"},
    {"open: syncfs folder .holdfast, *", "every file and its folder were synced on the way, or written again"},
    {NULL, NULL},
};

static void check_barriers(const struct crash_subject *programs, size_t count, uint64_t most_states,
                           const struct mutant_reason *reasons) {
    void *work[SUBJECTS_MOST] = {NULL};
    struct mutant_subject subjects[SUBJECTS_MOST] = {0};
    struct sim_record *records[SUBJECTS_MOST];
    struct crash_table known[SUBJECTS_MOST];
    struct mutant_result result;
    count = count < WORKLOADS_MOST ? count : WORKLOADS_MOST;
    for (size_t i = 0; i < count; i++) {
        crash_table_init(&known[i]);
        records[i] = programs[i].record(&programs[i], 1, 0, &work[i]);
        subjects[i] = (struct mutant_subject){records[i], programs[i].verify, work[i], &known[i]};
    }
    mutants_run(subjects, count, most_states, reasons, &result);
    printf("# %u mutants: %u caught, %u free, %u excused, %u missed\n", result.mutants, result.caught, result.free,
           result.excused, result.missed);
    for (size_t i = 0; i < count; i++) {
        sim_record_free(&records[i]);
        crash_table_fini(&known[i]);
        programs[i].fini(&work[i]);
    }
    assert_int_equal(result.failing, 0);
    assert_int_equal(result.wrong_reasons, 0);
    assert_true(result.caught > 0);
    if (IS_WHOLE)
        assert_int_equal(result.missed, 0);
}

static void test_barriers_of_sqlite(void **state) {
    (void)state;
    struct crash_subject subjects[SUBJECTS_MOST];
    size_t count = store_work_subjects(&store_backing_sqlite, subjects);
    check_barriers(subjects, count, STATES_MOST, sqlite_reasons);
}

static int is_one_of(const struct crash_subject *subject, const char *const *names) {
    for (; *names; names++)
        if (strstr(subject->name, *names))
            return 1;
    return 0;
}

/* Those that go every way to disk between them. */
static size_t tree_subjects(const struct store_backing *backing, struct crash_subject subjects[SUBJECTS_MOST]) {
    static const char *const names[] = {"creation", "deletions", "many", "closing", "kill -9, then", "cycles", NULL};
    size_t count = store_work_subjects(backing, subjects), kept = 0;
    count += saver_work_subjects(backing, subjects + count);
    for (size_t i = 0; i < count; i++)
        if (is_one_of(&subjects[i], names))
            subjects[kept++] = subjects[i];
    return kept;
}

/* The way to disk does not depend on the layout, but for the folders. */
static void check_tree(const char *options, const struct mutant_reason *reasons) {
    struct crash_subject subjects[SUBJECTS_MOST];
    for (const struct store_backing *backing = store_backings_tree; backing->name; backing++)
        if (strcmp(backing->name, options) == 0)
            check_barriers(subjects, tree_subjects(backing, subjects), TREE_STATES_MOST, reasons);
}

static void test_barriers_of_tree_in_batches(void **state) {
    (void)state;
    check_tree("tree by id, batch", batch_reasons);
}

static void test_barriers_of_tree_by_file(void **state) {
    (void)state;
    check_tree("tree by id, file", file_reasons);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_barriers_of_sqlite),
        cmocka_unit_test(test_barriers_of_tree_in_batches),
        cmocka_unit_test(test_barriers_of_tree_by_file),
    };
    crash_suite_init();
    return cmocka_run_group_tests_name("barriers of the store", tests, NULL, NULL);
}
