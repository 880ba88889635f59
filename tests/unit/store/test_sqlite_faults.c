/* Every call of opening a new store and twenty commits, failing: once, and from there on for ever. Whatever was
 * acknowledged is there afterwards; what was not is there whole or not at all. */
#include "store/sqlite_fixture.h"

#include <errno.h>

#include "sim/share.h"

enum { COMMITS = 20 };

enum outcome { NOT_TRIED, ACKNOWLEDGED, REFUSED, NOT_KNOWN };

struct run {
    enum outcome outcomes[COMMITS];
    int open_code;
};

/* Two records each, so that half a commit would show. Stops as the store does when a failure is not soft. */
static void write_all(struct fixture *fixture, struct run *run) {
    for (int i = 0; i < COMMITS; i++) {
        char a[16], b[16], json[32];
        snprintf(a, sizeof a, "a%d", i);
        snprintf(b, sizeof b, "b%d", i);
        snprintf(json, sizeof json, "{\"n\":%d}", i);
        struct store_change changes[] = {fixture_change("thing", a, json, fixture->revision + 1),
                                         fixture_change("thing", b, json, fixture->revision + 1)};
        changes[0].history_keep = 2;
        int code = fixture_apply(fixture, changes, 2, NULL);
        run->outcomes[i] = code == 0 ? ACKNOWLEDGED : store_code_is_soft(code) ? REFUSED : NOT_KNOWN;
        if (code == 0)
            fixture->revision++;
        else if (!store_code_is_soft(code))
            return;
        if (i % 5 == 4)
            fixture->backend->ops->rest_now(fixture->backend, NULL);
    }
}

static uint64_t run_once(struct fixture *fixture, struct os_fault *fault, const struct os_fault_plan *plan,
                         struct run *ret_run) {
    memset(ret_run, 0, sizeof *ret_run);
    os_fault_set(fault, plan);
    struct hf_error error = {0};
    ret_run->open_code = fixture_try_open(fixture, os_fault_os(fault), &error);
    if (ret_run->open_code == 0)
        write_all(fixture, ret_run);
    else
        assert_true(error.message[0] != '\0');
    fixture_close(fixture);
    return os_fault_calls(fault);
}

static int is_there(struct fixture *fixture, char which, int n) {
    char id[16], json[32];
    struct hf_record *record = NULL;
    snprintf(id, sizeof id, "%c%d", which, n);
    snprintf(json, sizeof json, "{\"n\":%d}", n);
    int code = fixture_get(fixture, "thing", id, &record);
    if (code == 0)
        assert_string_equal(record->json, json);
    else
        assert_int_equal(code, HF_ERR_NOT_FOUND);
    hf_record_free(&record);
    return code == 0;
}

static const char *wrong(struct fixture *fixture, const struct run *run) {
    for (int i = 0; i < COMMITS; i++) {
        int a = is_there(fixture, 'a', i), b = is_there(fixture, 'b', i);
        if (a != b)
            return "half a commit is there";
        if (run->outcomes[i] == ACKNOWLEDGED && !a)
            return "an acknowledged commit is lost";
        if ((run->outcomes[i] == REFUSED || run->outcomes[i] == NOT_TRIED) && a)
            return "a refused commit is there";
    }
    return fixture_findings(fixture) ? "check finds something" : NULL;
}

static void try_one(struct os_fault *fault, const struct os_fault_plan *plan) {
    struct fixture fixture;
    struct hf_error error = {0};
    struct run run;
    fixture_make(&fixture, access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    run_once(&fixture, fault, plan, &run);
    int code = fixture_try_open(&fixture, os_real(), &error);
    if (code)
        fail_msg("call %d, errno %d, once %d: open again: %s", (int)plan->fail_at, plan->error, plan->once,
                 error.message);
    const char *what = wrong(&fixture, &run);
    if (what)
        fail_msg("call %d, errno %d, once %d: %s", (int)plan->fail_at, plan->error, plan->once, what);
    fixture_put(&fixture, "thing", "after", "1");
    fixture_close(&fixture);
    fixture_remove(&fixture);
}

static void sweep(int error, int once) {
    struct fixture fixture;
    struct os_fault *fault = NULL;
    struct run run;
    assert_int_equal(os_fault_new(os_real(), &fault), 0);
    fixture_make(&fixture, "/tmp");
    uint64_t calls = run_once(&fixture, fault, &(struct os_fault_plan){0}, &run);
    fixture_remove(&fixture);
    assert_true(calls > COMMITS);
    for (int i = 0; i < COMMITS; i++)
        assert_int_equal(run.outcomes[i], ACKNOWLEDGED);
    for (uint64_t n = share_first(); n <= calls; n += share_step())
        try_one(fault, &(struct os_fault_plan){.fail_at = n, .once = once, .error = error});
    os_fault_free(&fault);
}

#define SWEEP(name, error)                                                                                             \
    static void name##_once(void **state) {                                                                            \
        (void)state;                                                                                                   \
        sweep((error), 1);                                                                                             \
    }                                                                                                                  \
    static void name##_for_ever(void **state) {                                                                        \
        (void)state;                                                                                                   \
        sweep((error), 0);                                                                                             \
    }
SWEEP(io_error, EIO)
SWEEP(no_space, ENOSPC)
SWEEP(read_only, EROFS)
SWEEP(too_many_files, EMFILE)
SWEEP(short_count, 0)

/* For ever would have no end: it is the one error that is always tried again. */
static void interrupted_once(void **state) {
    (void)state;
    sweep(EINTR, 1);
}

/* Short counts and interruptions of reads, writes and syncs are nobody's business. */
static void interruptions_are_not_seen(void **state) {
    (void)state;
    struct fixture fixture;
    struct os_fault *fault = NULL;
    struct run run;
    unsigned calls = 1u << OS_CALL_READ | 1u << OS_CALL_WRITE;
    assert_int_equal(os_fault_new(os_real(), &fault), 0);
    for (uint64_t n = 1; n <= 100; n++) {
        for (int error = 0; error <= EINTR; error += EINTR) {
            fixture_make(&fixture, "/dev/shm");
            run_once(&fixture, fault,
                     &(struct os_fault_plan){.fail_at = n, .once = error != 0, .error = error, .call_mask = calls},
                     &run);
            assert_int_equal(run.open_code, 0);
            for (int i = 0; i < COMMITS; i++)
                assert_int_equal(run.outcomes[i], ACKNOWLEDGED);
            fixture_remove(&fixture);
        }
    }
    os_fault_free(&fault);
}

/* The second try begins the WAL anew, over the frames of the first: a failure stays one that can be tried again. */
static void no_space_twice_in_a_new_wal_stays_soft(void **state) {
    (void)state;
    enum { LARGE = 600 * 1024, TRIES = 3 };
    static char json[LARGE + 1];
    struct os_fault *fault = NULL;
    int refused = 0;
    assert_int_equal(os_fault_new(os_real(), &fault), 0);
    memset(json, 'x', LARGE);
    json[0] = json[LARGE - 1] = '"';
    for (uint64_t n = 1; n <= 8; n++) {
        struct fixture fixture;
        struct hf_error error = {0};
        struct os_fault_plan plan = {.fail_at = n, .error = ENOSPC, .call_mask = 1u << OS_CALL_WRITE};
        fixture_make(&fixture, "/tmp");
        fixture_open(&fixture);
        fixture_close(&fixture); /* the WAL is empty now */
        assert_int_equal(fixture_try_open(&fixture, os_fault_os(fault), &error), 0);
        for (int i = 0; i < TRIES; i++) {
            struct store_change change = fixture_change("thing", "large", json, fixture.revision + 1);
            os_fault_set(fault, &plan);
            int code = fixture_apply(&fixture, &change, 1, &error);
            if (code && code != HF_ERR_NO_SPACE)
                fail_msg("write %d, try %d: %s", (int)n, i + 1, error.message);
            refused += code != 0;
            fixture.revision += code == 0;
        }
        os_fault_set(fault, &(struct os_fault_plan){0});
        fixture_put(&fixture, "thing", "after", "1");
        fixture_close(&fixture);
        fixture_open(&fixture);
        fixture_expect(&fixture, "thing", "after", "1");
        assert_int_equal(fixture_findings(&fixture), 0);
        fixture_close(&fixture);
        fixture_remove(&fixture);
    }
    assert_true(refused >= 2 * TRIES);
    os_fault_free(&fault);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(io_error_once),
        cmocka_unit_test(io_error_for_ever),
        cmocka_unit_test(no_space_once),
        cmocka_unit_test(no_space_for_ever),
        cmocka_unit_test(read_only_once),
        cmocka_unit_test(read_only_for_ever),
        cmocka_unit_test(too_many_files_once),
        cmocka_unit_test(too_many_files_for_ever),
        cmocka_unit_test(short_count_once),
        cmocka_unit_test(short_count_for_ever),
        cmocka_unit_test(interrupted_once),
        cmocka_unit_test(interruptions_are_not_seen),
        cmocka_unit_test(no_space_twice_in_a_new_wal_stays_soft),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
