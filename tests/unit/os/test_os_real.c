#include "scratch.h"

#include <errno.h>

static void opens_are_never_inherited(void **state) {
    (void)state;
    struct scratch scratch = scratch_make();
    int fd = os_open(os_real(), scratch.fd, "f", O_RDWR | O_CREAT, 0600);
    int beneath = os_open_beneath(os_real(), scratch.fd, "f", O_RDWR, 0600);
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    assert_int_equal(fcntl(beneath, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    assert_int_equal(os_close(os_real(), fd), 0);
    assert_int_equal(os_close(os_real(), beneath), 0);
    assert_int_equal(os_close(os_real(), 1000000), -EBADF);
    scratch_remove(&scratch);
}

static void beneath_neither_leaves_nor_follows(void **state) {
    (void)state;
    struct scratch scratch = scratch_make();
    assert_int_equal(mkdirat(scratch.fd, "d", 0700), 0);
    scratch_write(&scratch, "d/f", "x", 0600);
    assert_int_equal(symlinkat("/etc", scratch.fd, "out"), 0);
    assert_int_equal(symlinkat("d", scratch.fd, "in"), 0);
    static const struct {
        const char *path;
        int error;
    } cases[] = {{"../x", EXDEV}, {"/etc/passwd", EXDEV}, {"d/../../x", EXDEV}, {"out/passwd", ELOOP},
                 {"in/f", ELOOP}, {"out", ELOOP},         {"d/none", ENOENT}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(os_open_beneath(os_real(), scratch.fd, cases[i].path, O_RDONLY, 0), -cases[i].error);
    int fd = os_open_beneath(os_real(), scratch.fd, "d/new", O_WRONLY | O_CREAT | O_EXCL, 0640);
    assert_true(fd >= 0);
    (void)close(fd);
    scratch_remove(&scratch);
}

static int stop_at_second(void *arg, const char *name, unsigned char d_type) {
    (void)name;
    (void)d_type;
    return ++*(int *)arg == 2 ? 9 : 0;
}

static void lists_again_and_again(void **state) {
    (void)state;
    struct scratch scratch = scratch_make();
    scratch_write(&scratch, "a", "", 0600);
    scratch_write(&scratch, "b", "", 0600);
    scratch_write(&scratch, ".hidden", "", 0600);
    assert_int_equal(count_entries(scratch.fd), 3);
    assert_int_equal(count_entries(scratch.fd), 3); /* from the beginning each time */
    int count = 0;
    assert_int_equal(os_list(os_real(), scratch.fd, stop_at_second, &count), 9);
    assert_int_equal(count, 2);
    int fd = openat(scratch.fd, "a", O_RDONLY | O_CLOEXEC);
    assert_int_equal(os_list(os_real(), fd, count_one, &count), -ENOTDIR);
    (void)close(fd);
    scratch_remove(&scratch);
}

static void locks_belong_to_the_open_file(void **state) {
    (void)state;
    struct scratch scratch = scratch_make();
    const struct os *os = os_real();
    scratch_write(&scratch, "f", "", 0600);
    int a = openat(scratch.fd, "f", O_RDWR | O_CLOEXEC), b = openat(scratch.fd, "f", O_RDWR | O_CLOEXEC);
    assert_int_equal(os_lock_range(os, a, OS_LOCK_SHARED, 0, 10), 0);
    assert_int_equal(os_lock_range(os, b, OS_LOCK_SHARED, 0, 10), 0);
    assert_int_equal(os_lock_range(os, b, OS_LOCK_EXCLUSIVE, 5, 1), -EAGAIN);
    assert_int_equal(os_lock_probe(os, b, OS_LOCK_EXCLUSIVE, 5, 1), 1);
    assert_int_equal(os_lock_probe(os, b, OS_LOCK_SHARED, 5, 1), 0);
    assert_int_equal(os_lock_range(os, b, OS_LOCK_EXCLUSIVE, 10, 1), 0);
    assert_int_equal(os_lock_probe(os, a, OS_LOCK_SHARED, 10, 1), 1);
    assert_int_equal(os_lock_range(os, a, OS_LOCK_NONE, 0, 10), 0);
    assert_int_equal(os_lock_range(os, b, OS_LOCK_EXCLUSIVE, 5, 1), 0);
    (void)close(b);
    assert_int_equal(os_lock_range(os, a, OS_LOCK_EXCLUSIVE, 0, 0), 0);
    int c = openat(scratch.fd, "f", O_RDONLY | O_CLOEXEC);
    assert_int_equal(os_lock_probe(os, c, OS_LOCK_EXCLUSIVE, 0, 0), 1);
    assert_int_equal(os_lock_range(os, a, OS_LOCK_NONE, 0, 0), 0);
    assert_int_equal(os_lock_probe(os, c, OS_LOCK_EXCLUSIVE, 0, 0), 0); /* through a file opened for reading */
    assert_int_equal(os_lock_range(os, a, OS_LOCK_EXCLUSIVE, 0, 0), 0); /* asking took nothing */
    (void)close(c); /* closing another open file of it frees nothing */
    c = openat(scratch.fd, "f", O_RDWR | O_CLOEXEC);
    assert_int_equal(os_lock_range(os, c, OS_LOCK_SHARED, 0, 0), -EAGAIN);
    (void)close(a);
    (void)close(c);
    scratch_remove(&scratch);
}

static void clocks_go_on(void **state) {
    (void)state;
    const struct os *os = os_real();
    int64_t monotonic = os_now_ns(os, OS_CLOCK_MONOTONIC), boot = os_now_ns(os, OS_CLOCK_BOOT);
    assert_true(os_now_ns(os, OS_CLOCK_WALL) > INT64_C(1700000000) * 1000000000);
    assert_true(boot >= monotonic);
    os_sleep_ms(os, 20);
    assert_true(os_now_ns(os, OS_CLOCK_MONOTONIC) - monotonic >= 20 * 1000000);
    int64_t before_ms = os_monotonic_ms(os);
    os_sleep_ms(os, 0);
    os_sleep_ms(os, -5);
    assert_true(os_monotonic_ms(os) >= before_ms);
    assert_true(os_wall_ms(os) - os_now_ns(os, OS_CLOCK_WALL) / 1000000 <= 0);
}

static void random_bytes_differ(void **state) {
    (void)state;
    static uint8_t a[100000], b[100000];
    assert_int_equal(os_random(os_real(), a, sizeof a), 0);
    assert_int_equal(os_random(os_real(), b, sizeof b), 0);
    assert_memory_not_equal(a, b, sizeof a);
    assert_memory_not_equal(a + sizeof a - 64, b + sizeof b - 64, 64);
}

static void errors_come_as_negative_errnos(void **state) {
    (void)state;
    struct scratch scratch = scratch_make();
    const struct os *os = os_real();
    struct stat stat;
    void *address = NULL;
    assert_int_equal(os_open(os, scratch.fd, "none", O_RDONLY, 0), -ENOENT);
    assert_int_equal(os_stat_at(os, scratch.fd, "none", &stat), -ENOENT);
    assert_int_equal(os_mkdir(os, scratch.fd, "d", 0700), 0);
    assert_int_equal(os_mkdir(os, scratch.fd, "d", 0700), -EEXIST);
    assert_int_equal(os_mkdir(os, scratch.fd, "e", 0700), 0);
    assert_int_equal(os_rename(os, scratch.fd, "d", scratch.fd, "e", RENAME_NOREPLACE), -EEXIST);
    assert_int_equal(os_rename(os, scratch.fd, "d", scratch.fd, "e", 0), 0);
    assert_int_equal(os_unlink(os, scratch.fd, "e", 0), -EISDIR);
    assert_int_equal(os_allocate(os, scratch.fd, 0, 1), -EBADF);
    assert_int_equal(os_map(os, scratch.fd, 0, 4096, 1, &address) < 0, 1);
    assert_null(address);
    assert_int_equal(os_fsync(os, 1000000), -EBADF);
    scratch_remove(&scratch);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opens_are_never_inherited),
        cmocka_unit_test(beneath_neither_leaves_nor_follows),
        cmocka_unit_test(lists_again_and_again),
        cmocka_unit_test(locks_belong_to_the_open_file),
        cmocka_unit_test(clocks_go_on),
        cmocka_unit_test(random_bytes_differ),
        cmocka_unit_test(errors_come_as_negative_errnos),
    };
    return cmocka_run_group_tests_name("os/real", tests, NULL, NULL);
}
