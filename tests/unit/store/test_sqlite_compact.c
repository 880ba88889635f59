/* Compacting a database: what it gives back, and that nothing is lost whatever fails meanwhile. */
#include "store/sqlite_fixture.h"

#include <dirent.h>
#include <errno.h>

enum { LARGE = 8000, REMOVED = 150, KEPT = 20 };

static const char *large(void) {
    static char json[LARGE + 1];
    memset(json, 'x', LARGE);
    json[0] = json[LARGE - 1] = '"';
    return json;
}

/* A store of which most was removed again. */
static void fill(struct fixture *fixture, int removed, int kept) {
    char id[16];
    fixture_open(fixture);
    assert_int_equal(store_sqlite_ops.begin(fixture->backend, NULL), 0);
    for (int i = 0; i < removed + kept; i++) {
        snprintf(id, sizeof id, "%04d", i);
        struct store_change change = fixture_change("thing", id, large(), 1);
        assert_int_equal(store_sqlite_ops.put(fixture->backend, &change, NULL), 0);
    }
    for (int i = 0; i < removed; i++) {
        snprintf(id, sizeof id, "%04d", i);
        struct store_change change = fixture_change("thing", id, NULL, 1);
        assert_int_equal(store_sqlite_ops.remove(fixture->backend, &change, NULL), 0);
    }
    assert_int_equal(store_sqlite_ops.commit(fixture->backend, NULL), 0);
    fixture->revision = 1;
    fixture_close(fixture);
}

static int count(void *arg, const struct hf_record *record, int code) {
    assert_int_equal(code, 0);
    assert_string_equal(record->json, large());
    ++*(int *)arg;
    return 0;
}

static void expect_all(struct fixture *fixture, int kept) {
    int found = 0;
    assert_int_equal(fixture_scan(fixture, "thing", NULL, 0, count, &found), 0);
    assert_int_equal(found, kept);
    assert_int_equal(fixture_findings(fixture), 0);
}

static int compact(struct fixture *fixture, struct hf_compact_result *ret_result, struct hf_error *error) {
    return store_sqlite_ops.compact(fixture->backend, ret_result, error);
}

static int count_files(struct fixture *fixture) {
    int files = 0;
    DIR *folder = opendir(fixture->folder);
    while (readdir(folder))
        files++;
    closedir(folder);
    return files - 2;
}

static void the_file_becomes_smaller(void **state) {
    struct fixture *fixture = *state;
    struct hf_compact_result result;
    fill(fixture, REMOVED, KEPT);
    fixture_open(fixture);
    long before = fixture_size(fixture, "");
    int files = count_files(fixture);
    assert_int_equal(compact(fixture, &result, NULL), 0);
    assert_true(fixture_size(fixture, "") < before / 4);
    assert_int_equal(fixture_size(fixture, "-wal"), 0);
    assert_int_equal(result.bytes_after, fixture_size(fixture, ""));
    assert_true(result.bytes_before >= (uint64_t)before);
    assert_int_equal(count_files(fixture), files);
    expect_all(fixture, KEPT);
    fixture_put(fixture, "other", "after", "1");
    fixture_close(fixture);
    fixture_open(fixture);
    fixture_expect(fixture, "other", "after", "1");
    expect_all(fixture, KEPT);
}

static int compact_beneath(void *arg, const struct hf_record *record, int code) {
    struct hf_compact_result result;
    (void)record;
    assert_int_equal(code, 0);
    assert_int_equal(compact(arg, &result, NULL), 0);
    return -1;
}

/* What a reader still sees stays where it is; the file becomes smaller when it is gone. */
static void a_reader_does_not_stand_in_the_way(void **state) {
    struct fixture *fixture = *state;
    struct hf_compact_result result;
    fill(fixture, REMOVED, KEPT);
    fixture_open(fixture);
    long before = fixture_size(fixture, "");
    assert_int_equal(fixture_scan(fixture, "thing", NULL, 0, compact_beneath, fixture), -1);
    expect_all(fixture, KEPT);
    assert_int_equal(compact(fixture, &result, NULL), 0);
    assert_true(fixture_size(fixture, "") < before / 4);
    expect_all(fixture, KEPT);
}

/* Returns whether the fault was met. */
static int try_one(struct os_fault *fault, const struct os_fault_plan *plan) {
    struct fixture fixture;
    struct hf_compact_result result;
    struct hf_error error = {0};
    fixture_make(&fixture, access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    fill(&fixture, 12, 3);
    os_fault_set(fault, &(struct os_fault_plan){0});
    assert_int_equal(fixture_try_open(&fixture, os_fault_os(fault), NULL), 0);
    os_fault_set(fault, plan);
    int code = compact(&fixture, &result, &error);
    int was_met = os_fault_failed(fault) > 0;
    os_fault_set(fault, &(struct os_fault_plan){0});
    if (code != HF_ERR_FAILED) {
        expect_all(&fixture, 3);
        fixture_put(&fixture, "other", "after", "1"); /* the store works on */
    }
    if (plan->error == ENOSPC && plan->call_mask == 1u << OS_CALL_WRITE)
        assert_true(code == 0 || code == HF_ERR_NO_SPACE);
    if (code != 0)
        assert_true(error.code == code && error.message[0] != '\0');
    fixture_close(&fixture);
    fixture_open(&fixture);
    expect_all(&fixture, 3);
    fixture_expect(&fixture, "other", "after", code == HF_ERR_FAILED ? NULL : "1");
    fixture_close(&fixture);
    fixture_remove(&fixture);
    return was_met;
}

static void sweep(int error, int once, unsigned call_mask) {
    struct os_fault *fault = NULL;
    uint64_t n = 1;
    assert_int_equal(os_fault_new(os_real(), &fault), 0);
    while (try_one(fault, &(struct os_fault_plan){.fail_at = n, .once = once, .error = error, .call_mask = call_mask}))
        n++;
    assert_true(n > 5);
    os_fault_free(&fault);
}

static void a_full_disk_leaves_it_as_it_was(void **state) {
    (void)state;
    sweep(ENOSPC, 1, 1u << OS_CALL_WRITE);
    sweep(ENOSPC, 0, 1u << OS_CALL_WRITE);
}

static void whatever_fails_nothing_is_lost(void **state) {
    (void)state;
    sweep(EIO, 1, 0);
    sweep(EIO, 0, 0);
    sweep(EMFILE, 1, 0);
    sweep(0, 0, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_file_becomes_smaller, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_reader_does_not_stand_in_the_way, fixture_setup, fixture_teardown),
        cmocka_unit_test(a_full_disk_leaves_it_as_it_was),
        cmocka_unit_test(whatever_fails_nothing_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
