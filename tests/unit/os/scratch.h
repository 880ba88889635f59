/* What the tests of this floor share: a folder that goes away, children, and an os of which one call is replaced. */
#ifndef HF_TEST_SCRATCH_H
#define HF_TEST_SCRATCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "os/file.h"
#include "os/process.h"

struct scratch {
    char path[64];
    int fd;
};

static inline struct scratch scratch_make(void) {
    struct scratch scratch = {.path = "/tmp/holdfast-test-XXXXXX"};
    assert_non_null(mkdtemp(scratch.path));
    scratch.fd = open(scratch.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(scratch.fd >= 0);
    return scratch;
}

static inline int scratch_remove_entry(void *arg, int dir_fd, const char *name, const char *path,
                                       const struct stat *stat) {
    (void)arg;
    (void)path;
    return unlinkat(dir_fd, name, S_ISDIR(stat->st_mode) ? AT_REMOVEDIR : 0);
}

static inline void scratch_remove(struct scratch *scratch) {
    assert_int_equal(file_walk(os_real(), scratch->fd, scratch_remove_entry, NULL, NULL), 0);
    assert_int_equal(close(scratch->fd), 0);
    assert_int_equal(rmdir(scratch->path), 0);
}

static inline void scratch_write(const struct scratch *scratch, const char *name, const char *text, mode_t mode) {
    int fd = openat(scratch->fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    assert_int_equal(close(fd), 0);
}

/* The content of a file; "" when there is none. */
static inline const char *scratch_read(const struct scratch *scratch, const char *name, struct buf *buf) {
    buf_clear(buf);
    (void)file_read(os_real(), scratch->fd, name, 1024 * 1024, buf, NULL);
    return buf_text(buf);
}

static inline int count_one(void *arg, const char *name, unsigned char d_type) {
    (void)name;
    (void)d_type;
    ++*(int *)arg;
    return 0;
}

static inline int count_entries(int dir_fd) {
    int count = 0;
    assert_int_equal(os_list(os_real(), dir_fd, count_one, &count), 0);
    return count;
}

static inline int count_open_fds(void) {
    int fd = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    int count = count_entries(fd);
    assert_int_equal(close(fd), 0);
    return count;
}

static const char *const plain_environment[] = {"PATH=/usr/bin:/bin", NULL};

static inline struct os_spawn plain_spawn(const char *const *argv) {
    return (struct os_spawn){
        .argv = argv,
        .environment = plain_environment,
        .stdin_fd = -1,
        .stdout_fd = -1,
        .stderr_fd = -1,
        .extra_fd = -1,
        .max_open_files = UINT64_MAX,
        .max_core_bytes = UINT64_MAX,
        .umask = -1,
    };
}

/* Waits for the end of a child; its wait status. */
static inline int wait_for(struct os_child *child) {
    int status = -1, reaped;
    while ((reaped = os_reap(os_real(), child->pidfd, &status)) == 0)
        os_sleep_ms(os_real(), 1);
    assert_int_equal(reaped, 1);
    assert_int_equal(close(child->pidfd), 0);
    child->pidfd = -1;
    return status;
}

/* What a child prints until everybody has closed its output. */
static inline const char *output_of(struct os_spawn *spawn, struct buf *buf, int *ret_status) {
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    spawn->stdout_fd = ends[1];
    struct os_child child;
    assert_int_equal(os_spawn(os_real(), spawn, &child), 0);
    assert_int_equal(close(ends[1]), 0);
    buf_clear(buf);
    char bytes[4096];
    for (ssize_t got; (got = read(ends[0], bytes, sizeof bytes)) > 0;)
        buf_add(buf, bytes, (size_t)got);
    assert_int_equal(close(ends[0]), 0);
    *ret_status = wait_for(&child);
    return buf_text(buf);
}

#define ARGV(...) ((const char *const[]){__VA_ARGS__, NULL})

#endif
