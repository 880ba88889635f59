#include "scratch.h"

#include <errno.h>
#include <pthread.h>

struct bench {
    struct scratch scratch;
    struct os_fault *fault;
    const struct os *os;
};

static struct bench bench_make(void) {
    struct bench bench = {.scratch = scratch_make()};
    assert_int_equal(os_fault_new(os_real(), &bench.fault), 0);
    bench.os = os_fault_os(bench.fault);
    return bench;
}

static void bench_end(struct bench *bench) {
    os_fault_free(&bench->fault);
    assert_null(bench->fault);
    os_fault_free(&bench->fault);
    scratch_remove(&bench->scratch);
}

static void without_a_plan_everything_passes(void **state) {
    (void)state;
    struct bench bench = bench_make();
    int fd = os_open(bench.os, bench.scratch.fd, "f", O_RDWR | O_CREAT, 0600);
    assert_true(fd >= 0);
    assert_int_equal(os_pwrite(bench.os, fd, "abc", 3, 0), 3);
    assert_int_equal(os_close(bench.os, fd), 0);
    assert_int_equal(os_fault_calls(bench.fault), 3);
    assert_int_equal(os_fault_failed(bench.fault), 0);
    bench_end(&bench);
}

static void fails_the_nth_call_once_or_for_ever(void **state) {
    (void)state;
    struct bench bench = bench_make();
    struct stat stat;
    for (int once = 0; once <= 1; once++) {
        os_fault_set(bench.fault, &(struct os_fault_plan){.fail_at = 3, .once = once, .error = EIO});
        for (int i = 1; i <= 5; i++) {
            int fails = once ? i == 3 : i >= 3;
            assert_int_equal(os_fstat(bench.os, bench.scratch.fd, &stat), fails ? -EIO : 0);
        }
        assert_int_equal(os_fault_calls(bench.fault), 5);
        assert_int_equal(os_fault_failed(bench.fault), once ? 1 : 3);
    }
    bench_end(&bench);
}

static void counts_only_the_kinds_it_is_told(void **state) {
    (void)state;
    struct bench bench = bench_make();
    struct stat stat;
    os_fault_set(bench.fault, &(struct os_fault_plan){.fail_at = 1, .error = ENOSPC, .call_mask = 1U << OS_CALL_MKDIR});
    assert_int_equal(os_fstat(bench.os, bench.scratch.fd, &stat), 0);
    assert_int_equal(os_mkdir(bench.os, bench.scratch.fd, "d", 0700), -ENOSPC);
    assert_int_equal(os_stat_at(bench.os, bench.scratch.fd, "d", &stat), -ENOENT);
    assert_int_equal(os_fault_calls(bench.fault), 1);
    bench_end(&bench);
}

static void error_0_cuts_reads_and_writes_and_nothing_else(void **state) {
    (void)state;
    struct bench bench = bench_make();
    char bytes[8];
    os_fault_set(bench.fault, &(struct os_fault_plan){.fail_at = 1, .error = 0});
    int fd = os_open(bench.os, bench.scratch.fd, "f", O_RDWR | O_CREAT, 0600);
    assert_true(fd >= 0);
    assert_int_equal(os_pwrite(bench.os, fd, "12345678", 8, 0), 4);
    assert_int_equal(os_pwrite(bench.os, fd, "1", 1, 0), 1);
    assert_int_equal(os_pwrite(bench.os, fd, "", 0, 0), 0);
    assert_int_equal(os_pread(bench.os, fd, bytes, 3, 0), 1);
    assert_int_equal(os_fault_failed(bench.fault), 4);
    assert_int_equal(os_close(bench.os, fd), 0);
    bench_end(&bench);
}

static void close_that_fails_has_closed(void **state) {
    (void)state;
    struct bench bench = bench_make();
    int fd = os_open(bench.os, bench.scratch.fd, "f", O_RDWR | O_CREAT, 0600);
    int fds = count_open_fds();
    os_fault_set(bench.fault, &(struct os_fault_plan){.fail_at = 1, .error = EIO});
    assert_int_equal(os_close(bench.os, fd), -EIO);
    assert_int_equal(count_open_fds(), fds - 1);
    bench_end(&bench);
}

/* Each entry of the table fails when it is told to, and reaches the real one when not. */
static void every_call_can_fail(void **state) {
    (void)state;
    struct bench bench = bench_make();
    const struct os *os = bench.os;
    int dir = bench.scratch.fd, count = 0, status, ends[2];
    char byte[1];
    void *address = NULL;
    struct stat stat;
    struct os_child child;
    struct os_spawn spawn = plain_spawn(ARGV("true"));
    scratch_write(&bench.scratch, "f", "x", 0600);
    int fd = openat(dir, "f", O_RDWR | O_CLOEXEC);
    os_fault_set(bench.fault, &(struct os_fault_plan){.fail_at = 1, .error = EDOM});
    assert_int_equal(os_open(os, dir, "f", O_RDONLY, 0), -EDOM);
    assert_int_equal(os_open_beneath(os, dir, "f", O_RDONLY, 0), -EDOM);
    assert_int_equal(os_pread(os, fd, byte, 1, 0), -EDOM);
    assert_int_equal(os_pwrite(os, fd, "y", 1, 0), -EDOM);
    assert_int_equal(os_read(os, fd, byte, 1), -EDOM);
    assert_int_equal(os_write(os, fd, "y", 1), -EDOM);
    assert_int_equal(os_fsync(os, fd), -EDOM);
    assert_int_equal(os_fdatasync(os, fd), -EDOM);
    assert_int_equal(os_syncfs(os, fd), -EDOM);
    assert_int_equal(os_truncate(os, fd, 0), -EDOM);
    assert_int_equal(os_allocate(os, fd, 0, 1), -EDOM);
    assert_int_equal(os_fstat(os, fd, &stat), -EDOM);
    assert_int_equal(os_stat_at(os, dir, "f", &stat), -EDOM);
    assert_int_equal(os_rename(os, dir, "f", dir, "g", 0), -EDOM);
    assert_int_equal(os_link(os, dir, "f", dir, "g"), -EDOM);
    assert_int_equal(os_unlink(os, dir, "f", 0), -EDOM);
    assert_int_equal(os_mkdir(os, dir, "d", 0700), -EDOM);
    assert_int_equal(os_list(os, dir, count_one, &count), -EDOM);
    assert_int_equal(os_lock_range(os, fd, OS_LOCK_SHARED, 0, 1), -EDOM);
    assert_int_equal(os_lock_probe(os, fd, OS_LOCK_SHARED, 0, 1), -EDOM);
    assert_int_equal(os_map(os, fd, 0, 1, 0, &address), -EDOM);
    assert_int_equal(os_random(os, byte, 1), -EDOM);
    assert_int_equal(os_spawn(os, &spawn, &child), -EDOM);
    assert_int_equal(os_pidfd_open(os, getpid()), -EDOM);
    assert_int_equal(os_pidfd_signal(os, fd, 0), -EDOM);
    assert_int_equal(os_group_signal(os, getpgrp(), 0), -EDOM);
    assert_int_equal(os_fault_failed(bench.fault), 26);
    assert_int_equal(count_entries(dir), 1);
    assert_int_equal(count + (address != NULL), 0);

    os_fault_set(bench.fault, &(struct os_fault_plan){0});
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(os_write(os, ends[1], "y", 1), 1);
    assert_int_equal(os_read(os, ends[0], byte, 1), 1);
    assert_int_equal(os_allocate(os, fd, 0, 4096), 0);
    assert_int_equal(os_map(os, fd, 0, 4096, 1, &address), 0);
    ((char *)address)[1] = 'm';
    assert_int_equal(os_pread(os, fd, byte, 1, 1), 1);
    assert_int_equal(byte[0], 'm');
    os_unmap(os, address, 4096);
    assert_int_equal(os_truncate(os, fd, 1), 0);
    assert_int_equal(os_fsync(os, fd) + os_fdatasync(os, fd) + os_syncfs(os, fd), 0);
    assert_int_equal(os_link(os, dir, "f", dir, "g"), 0);
    assert_int_equal(os_rename(os, dir, "g", dir, "h", 0), 0);
    assert_int_equal(os_mkdir(os, dir, "d", 0700), 0);
    assert_int_equal(os_list(os, dir, count_one, &count), 0);
    assert_int_equal(count, 3);
    assert_int_equal(os_unlink(os, dir, "d", AT_REMOVEDIR), 0);
    assert_int_equal(os_lock_range(os, fd, OS_LOCK_EXCLUSIVE, 0, 1), 0);
    int other = os_open_beneath(os, dir, "f", O_RDWR, 0);
    assert_int_equal(os_lock_probe(os, other, OS_LOCK_SHARED, 0, 1), 1);
    assert_int_equal(os_lock_probe(os, other, OS_LOCK_SHARED, 1, 1), 0);
    assert_int_equal(os_close(os, other), 0);
    assert_int_equal(os_spawn(os, &spawn, &child), 0);
    while (os_reap(os, child.pidfd, &status) == 0)
        os_sleep_ms(os, 1);
    assert_int_equal(status, 0);
    assert_true(os_now_ns(os, OS_CLOCK_WALL) > 0 && os_random(os, byte, 1) == 0);
    assert_int_equal(os_group_signal(os, child.pid, 0), -ESRCH);
    (void)close(child.pidfd), (void)close(fd), (void)close(ends[0]), (void)close(ends[1]);
    bench_end(&bench);
}

enum { THREADS = 4, CALLS = 2000 };

static void *call_often(void *arg) {
    const struct bench *bench = arg;
    struct stat stat;
    uintptr_t failed = 0;
    for (int i = 0; i < CALLS; i++)
        failed += os_fstat(bench->os, bench->scratch.fd, &stat) != 0;
    return (void *)failed;
}

static void threads_share_one_count(void **state) {
    (void)state;
    struct bench bench = bench_make();
    pthread_t threads[THREADS];
    os_fault_set(bench.fault, &(struct os_fault_plan){.fail_at = 5000, .once = 1, .error = EIO});
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, call_often, &bench), 0);
    uintptr_t failed = 0;
    for (int i = 0; i < THREADS; i++) {
        void *result;
        assert_int_equal(pthread_join(threads[i], &result), 0);
        failed += (uintptr_t)result;
    }
    assert_int_equal(failed, 1);
    assert_int_equal(os_fault_calls(bench.fault), THREADS * CALLS);
    bench_end(&bench);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_plan_everything_passes),
        cmocka_unit_test(fails_the_nth_call_once_or_for_ever),
        cmocka_unit_test(counts_only_the_kinds_it_is_told),
        cmocka_unit_test(error_0_cuts_reads_and_writes_and_nothing_else),
        cmocka_unit_test(close_that_fails_has_closed),
        cmocka_unit_test(every_call_can_fail),
        cmocka_unit_test(threads_share_one_count),
    };
    return cmocka_run_group_tests_name("os/fault", tests, NULL, NULL);
}
