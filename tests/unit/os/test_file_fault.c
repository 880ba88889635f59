/* Fails each call of each function that keeps files, in every way, once and for ever. */
#include "scratch.h"

#include <errno.h>

#include "os/file.h"

#define OLD_TEXT "the old content"
#define NEW_TEXT "the new content, which is longer"

/* 0: short reads and writes */
static const int errors[] = {ENOSPC, EIO, EDQUOT, EROFS, EACCES, EMFILE, 0};

struct attempt {
    struct scratch scratch;
    struct os_fault *fault;
    const struct os *os;
    struct os_fault_plan plan;
    struct hf_error error;
};

static struct attempt attempt_make(void) {
    struct attempt attempt = {.scratch = scratch_make()};
    assert_int_equal(os_fault_new(os_real(), &attempt.fault), 0);
    attempt.os = os_fault_os(attempt.fault);
    return attempt;
}

static void attempt_end(struct attempt *attempt) {
    os_fault_free(&attempt->fault);
    scratch_remove(&attempt->scratch);
}

/* Runs body for every n until no call is left to fail, with every errno, once and for ever. */
static void sweep(void (*body)(struct attempt *attempt)) {
    struct attempt attempt = attempt_make();
    int made_to_fail = 0;
    for (size_t e = 0; e < sizeof errors / sizeof errors[0]; e++) {
        for (int once = 0; once <= 1; once++) {
            for (uint64_t n = 1, failed = 1; failed > 0; n++) {
                attempt.plan = (struct os_fault_plan){.fail_at = n, .once = once, .error = errors[e]};
                memset(&attempt.error, 0, sizeof attempt.error);
                int fds = count_open_fds();
                body(&attempt);
                assert_int_equal(count_open_fds(), fds);
                failed = os_fault_calls(attempt.fault) >= n;
                made_to_fail += (int)failed;
            }
        }
    }
    assert_true(made_to_fail > 20);
    attempt_end(&attempt);
}

static int counts_as_cause(int code, int error) {
    return code == error_code_of_errno(-error);
}

static void replace_leaves_old_or_new(struct attempt *attempt) {
    struct buf BUF_AUTO buf;
    buf_init(&buf);
    scratch_write(&attempt->scratch, "f", OLD_TEXT, 0600);
    os_fault_set(attempt->fault, &attempt->plan);
    int result = file_replace(attempt->os, attempt->scratch.fd, "f", NEW_TEXT, strlen(NEW_TEXT), 0600, &attempt->error);
    const char *now = scratch_read(&attempt->scratch, "f", &buf);
    if (result == 0) {
        assert_string_equal(now, NEW_TEXT);
    } else {
        assert_true(strcmp(now, OLD_TEXT) == 0 || strcmp(now, NEW_TEXT) == 0);
        assert_true(counts_as_cause(result, attempt->plan.error));
        assert_int_equal(attempt->error.code, result);
        assert_int_equal(attempt->error.system_errno, attempt->plan.error);
        assert_non_null(strstr(attempt->error.message, "replace file 'f': "));
    }
    if (attempt->plan.error == 0)
        assert_int_equal(result, 0); /* short writes are nobody's business */
    /* When failing goes on for ever, removing the temporary file failed as well. */
    int may_be_left = result != 0 && !attempt->plan.once;
    int entries = count_entries(attempt->scratch.fd);
    assert_true(entries == 1 || (may_be_left && entries == 2));
    assert_int_equal(file_remove_leftovers(os_real(), attempt->scratch.fd, -1000, NULL), 0);
    assert_int_equal(count_entries(attempt->scratch.fd), 1);
    assert_int_equal(file_replace(os_real(), attempt->scratch.fd, "f", NEW_TEXT, strlen(NEW_TEXT), 0600, NULL), 0);
}

static void replacing_is_whole_whatever_fails(void **state) {
    (void)state;
    sweep(replace_leaves_old_or_new);
}

/* The same with everything but the unlink failing for ever: nothing may be left over. */
static void temporary_files_go_when_they_can(void **state) {
    (void)state;
    struct attempt attempt = attempt_make();
    for (uint64_t n = 1, failed = 1; failed > 0; n++) {
        attempt.plan =
            (struct os_fault_plan){.fail_at = n, .error = EIO, .call_mask = ~(1U << OS_CALL_UNLINK) & 0xffffU};
        os_fault_set(attempt.fault, &attempt.plan);
        (void)file_replace(attempt.os, attempt.scratch.fd, "f", "x", 1, 0600, NULL);
        failed = os_fault_failed(attempt.fault);
        assert_true(count_entries(attempt.scratch.fd) <= 1);
    }
    attempt_end(&attempt);
}

static void sync_is_asked_once(void **state) {
    (void)state;
    struct attempt attempt = attempt_make();
    attempt.plan = (struct os_fault_plan){.fail_at = 1, .once = 1, .error = ENOSPC, .call_mask = 1U << OS_CALL_SYNC};
    os_fault_set(attempt.fault, &attempt.plan);
    assert_int_equal(file_replace(attempt.os, attempt.scratch.fd, "f", "x", 1, 0600, NULL), HF_ERR_NO_SPACE);
    assert_int_equal(os_fault_calls(attempt.fault), 1);
    assert_int_equal(count_entries(attempt.scratch.fd), 0);
    attempt_end(&attempt);
}

static void closing_badly_after_a_good_sync_loses_nothing(void **state) {
    (void)state;
    struct attempt attempt = attempt_make();
    attempt.plan = (struct os_fault_plan){.fail_at = 1, .error = EIO, .call_mask = 1U << OS_CALL_CLOSE};
    os_fault_set(attempt.fault, &attempt.plan);
    assert_int_equal(file_replace(attempt.os, attempt.scratch.fd, "f", "x", 1, 0600, NULL), 0);
    assert_int_equal(os_fault_failed(attempt.fault), 1);
    attempt_end(&attempt);
}

static void make_folders_then_again(struct attempt *attempt) {
    char path[128];
    struct stat stat;
    (void)snprintf(path, sizeof path, "%s/a/b", attempt->scratch.path);
    os_fault_set(attempt->fault, &attempt->plan);
    int result = file_make_folders(attempt->os, path, 0700, &attempt->error);
    if (result == 0)
        assert_int_equal(fstatat(attempt->scratch.fd, "a/b", &stat, 0), 0);
    else
        assert_true(counts_as_cause(result, attempt->plan.error));
    assert_int_equal(file_make_folders(os_real(), path, 0700, NULL), 0);
    assert_int_equal(unlinkat(attempt->scratch.fd, "a/b", AT_REMOVEDIR), 0);
    assert_int_equal(unlinkat(attempt->scratch.fd, "a", AT_REMOVEDIR), 0);
}

static void making_folders_can_be_tried_again(void **state) {
    (void)state;
    sweep(make_folders_then_again);
}

/* A later try takes what is there for safe. */
static void folders_that_are_not_synced_do_not_stay(void **state) {
    (void)state;
    struct attempt attempt = attempt_make();
    char path[128];
    struct stat stat;
    (void)snprintf(path, sizeof path, "%s/a/b", attempt.scratch.path);
    for (uint64_t n = 1; n <= 2; n++) {
        attempt.plan = (struct os_fault_plan){.fail_at = n, .once = 1, .error = EIO, .call_mask = 1U << OS_CALL_SYNC};
        os_fault_set(attempt.fault, &attempt.plan);
        assert_int_equal(file_make_folders(attempt.os, path, 0700, &attempt.error), HF_ERR_IO);
        assert_int_equal(fstatat(attempt.scratch.fd, "a", &stat, 0), n == 1 ? -1 : 0);
        assert_int_equal(fstatat(attempt.scratch.fd, "a/b", &stat, 0), -1);
    }
    attempt_end(&attempt);
}

static void read_or_nothing(struct attempt *attempt) {
    struct buf BUF_AUTO buf;
    buf_init(&buf);
    scratch_write(&attempt->scratch, "f", OLD_TEXT, 0600);
    os_fault_set(attempt->fault, &attempt->plan);
    int result = file_read(attempt->os, attempt->scratch.fd, "f", 100, &buf, &attempt->error);
    if (result == 0)
        assert_string_equal(buf_text(&buf), OLD_TEXT);
    else
        assert_int_equal(buf.size, 0);
    assert_true(result == 0 || counts_as_cause(result, attempt->plan.error));
}

static void reading_is_whole_or_fails(void **state) {
    (void)state;
    sweep(read_or_nothing);
}

static void take_lock_or_not(struct attempt *attempt) {
    struct owner_lock *lock = NULL;
    os_fault_set(attempt->fault, &attempt->plan);
    int result = owner_lock_take(attempt->os, attempt->scratch.fd, &lock, &attempt->error);
    assert_true((result == 0) == (lock != NULL));
    assert_int_equal(owner_lock_is_held(os_real(), attempt->scratch.fd, NULL), result == 0);
    assert_true(result == 0 || counts_as_cause(result, attempt->plan.error));
    owner_lock_release(&lock);
    assert_int_equal(owner_lock_take(os_real(), attempt->scratch.fd, &lock, NULL), 0);
    owner_lock_release(&lock);
}

static void lock_is_held_exactly_when_it_was_taken(void **state) {
    (void)state;
    sweep(take_lock_or_not);
}

static int visit_nothing(void *arg, int dir_fd, const char *name, const char *path, const struct stat *stat) {
    (void)dir_fd, (void)name, (void)path, (void)stat;
    ++*(int *)arg;
    return 0;
}

static void walk_all_or_fail(struct attempt *attempt) {
    (void)mkdirat(attempt->scratch.fd, "a", 0700);
    (void)mkdirat(attempt->scratch.fd, "a/b", 0700);
    scratch_write(&attempt->scratch, "a/b/f", "", 0600);
    os_fault_set(attempt->fault, &attempt->plan);
    int visits = 0;
    int result = file_walk(attempt->os, attempt->scratch.fd, visit_nothing, &visits, &attempt->error);
    assert_true(result == 0 ? visits == 3 : counts_as_cause(result, attempt->plan.error));
}

static void walking_is_whole_or_fails(void **state) {
    (void)state;
    sweep(walk_all_or_fail);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replacing_is_whole_whatever_fails),
        cmocka_unit_test(temporary_files_go_when_they_can),
        cmocka_unit_test(sync_is_asked_once),
        cmocka_unit_test(closing_badly_after_a_good_sync_loses_nothing),
        cmocka_unit_test(making_folders_can_be_tried_again),
        cmocka_unit_test(folders_that_are_not_synced_do_not_stay),
        cmocka_unit_test(reading_is_whole_or_fails),
        cmocka_unit_test(lock_is_held_exactly_when_it_was_taken),
        cmocka_unit_test(walking_is_whole_or_fails),
    };
    return cmocka_run_group_tests_name("os/file under faults", tests, NULL, NULL);
}
