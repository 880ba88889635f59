#include <errno.h>
#include <pthread.h>

#include "base/mem.h"
#include "os/os.h"

struct os_fault {
    struct os os; /* its context leads back here */
    const struct os *inner;
    pthread_mutex_t mutex; /* over what follows */
    struct os_fault_plan plan;
    uint64_t calls, failed;
};

enum verdict { GO_ON, FAIL, CUT_SHORT };

static const struct os *inner_of(const struct os *os) {
    return ((struct os_fault *)os->context)->inner;
}

static int is_counted(const struct os_fault_plan *plan, enum os_call call) {
    return plan->call_mask == 0 || (plan->call_mask & 1U << call) != 0;
}

static enum verdict judge_locked(struct os_fault *fault, enum os_call call) {
    const struct os_fault_plan *plan = &fault->plan;
    if (!is_counted(plan, call))
        return GO_ON;
    uint64_t n = ++fault->calls;
    if (plan->fail_at == 0 || n < plan->fail_at || (plan->once && n > plan->fail_at))
        return GO_ON;
    if (plan->error == 0 && call != OS_CALL_READ && call != OS_CALL_WRITE)
        return GO_ON; /* only these can be short */
    if (plan->error == EINTR && call == OS_CALL_LIST)
        return GO_ON; /* see os.h */
    fault->failed++;
    return plan->error == 0 ? CUT_SHORT : FAIL;
}

/* *ret_error: what to return when the verdict is FAIL. */
static enum verdict judge(const struct os *os, enum os_call call, int *ret_error) {
    struct os_fault *fault = os->context;
    (void)pthread_mutex_lock(&fault->mutex);
    enum verdict verdict = judge_locked(fault, call);
    *ret_error = -fault->plan.error;
    (void)pthread_mutex_unlock(&fault->mutex);
    return verdict;
}

/* 0 to go on, or the negative errno. */
static int fails(const struct os *os, enum os_call call) {
    int error;
    return judge(os, call, &error) == FAIL ? error : 0;
}

/* The same for reads and writes; makes *bytes smaller when they are to be cut short. */
static int fails_or_cuts(const struct os *os, enum os_call call, size_t *bytes) {
    int error;
    enum verdict verdict = judge(os, call, &error);
    if (verdict == CUT_SHORT && *bytes > 1)
        *bytes /= 2;
    return verdict == FAIL ? error : 0;
}

#define FAIL_OR(call, what)                                                                                            \
    do {                                                                                                               \
        int error_ = fails(os, (call));                                                                                \
        return error_ != 0 ? error_ : (what);                                                                          \
    } while (0)

static int fault_open(const struct os *os, int dir_fd, const char *path, int flags, mode_t mode) {
    FAIL_OR(OS_CALL_OPEN, os_open(inner_of(os), dir_fd, path, flags, mode));
}

static int fault_open_beneath(const struct os *os, int dir_fd, const char *path, int flags, mode_t mode) {
    FAIL_OR(OS_CALL_OPEN, os_open_beneath(inner_of(os), dir_fd, path, flags, mode));
}

static int fault_close(const struct os *os, int fd) {
    int error = fails(os, OS_CALL_CLOSE);
    int result = os_close(inner_of(os), fd); /* a close that fails has closed all the same */
    return error != 0 ? error : result;
}

static ssize_t fault_pread(const struct os *os, int fd, void *to, size_t bytes, off_t offset) {
    int error = fails_or_cuts(os, OS_CALL_READ, &bytes);
    return error != 0 ? error : os_pread(inner_of(os), fd, to, bytes, offset);
}

static ssize_t fault_pwrite(const struct os *os, int fd, const void *from, size_t bytes, off_t offset) {
    int error = fails_or_cuts(os, OS_CALL_WRITE, &bytes);
    return error != 0 ? error : os_pwrite(inner_of(os), fd, from, bytes, offset);
}

static ssize_t fault_read(const struct os *os, int fd, void *to, size_t bytes) {
    int error = fails_or_cuts(os, OS_CALL_READ, &bytes);
    return error != 0 ? error : os_read(inner_of(os), fd, to, bytes);
}

static ssize_t fault_write(const struct os *os, int fd, const void *from, size_t bytes) {
    int error = fails_or_cuts(os, OS_CALL_WRITE, &bytes);
    return error != 0 ? error : os_write(inner_of(os), fd, from, bytes);
}

static int fault_fsync(const struct os *os, int fd) {
    FAIL_OR(OS_CALL_SYNC, os_fsync(inner_of(os), fd));
}

static int fault_fdatasync(const struct os *os, int fd) {
    FAIL_OR(OS_CALL_SYNC, os_fdatasync(inner_of(os), fd));
}

static int fault_syncfs(const struct os *os, int fd) {
    FAIL_OR(OS_CALL_SYNC, os_syncfs(inner_of(os), fd));
}

static int fault_truncate(const struct os *os, int fd, off_t size) {
    FAIL_OR(OS_CALL_TRUNCATE, os_truncate(inner_of(os), fd, size));
}

static int fault_chmod(const struct os *os, int fd, mode_t mode) {
    FAIL_OR(OS_CALL_CHMOD, os_chmod(inner_of(os), fd, mode));
}

static int fault_allocate(const struct os *os, int fd, off_t offset, off_t bytes) {
    FAIL_OR(OS_CALL_TRUNCATE, os_allocate(inner_of(os), fd, offset, bytes));
}

static int fault_fstat(const struct os *os, int fd, struct stat *ret_stat) {
    FAIL_OR(OS_CALL_STAT, os_fstat(inner_of(os), fd, ret_stat));
}

static int fault_stat_at(const struct os *os, int dir_fd, const char *path, struct stat *ret_stat) {
    FAIL_OR(OS_CALL_STAT, os_stat_at(inner_of(os), dir_fd, path, ret_stat));
}

static int fault_rename(const struct os *os, int from_dir, const char *from, int to_dir, const char *to,
                        unsigned flags) {
    FAIL_OR(OS_CALL_RENAME, os_rename(inner_of(os), from_dir, from, to_dir, to, flags));
}

static int fault_link(const struct os *os, int from_dir, const char *from, int to_dir, const char *to) {
    FAIL_OR(OS_CALL_RENAME, os_link(inner_of(os), from_dir, from, to_dir, to));
}

static int fault_unlink(const struct os *os, int dir_fd, const char *path, int flags) {
    FAIL_OR(OS_CALL_UNLINK, os_unlink(inner_of(os), dir_fd, path, flags));
}

static int fault_mkdir(const struct os *os, int dir_fd, const char *path, mode_t mode) {
    FAIL_OR(OS_CALL_MKDIR, os_mkdir(inner_of(os), dir_fd, path, mode));
}

static int fault_list(const struct os *os, int dir_fd, os_entry_visit visit, void *arg) {
    FAIL_OR(OS_CALL_LIST, os_list(inner_of(os), dir_fd, visit, arg));
}

static int fault_lock_range(const struct os *os, int fd, enum os_lock lock, off_t offset, off_t bytes) {
    FAIL_OR(OS_CALL_LOCK, os_lock_range(inner_of(os), fd, lock, offset, bytes));
}

static int fault_lock_probe(const struct os *os, int fd, enum os_lock lock, off_t offset, off_t bytes) {
    FAIL_OR(OS_CALL_LOCK, os_lock_probe(inner_of(os), fd, lock, offset, bytes));
}

static int fault_map(const struct os *os, int fd, off_t offset, size_t bytes, int writable, void **ret_address) {
    FAIL_OR(OS_CALL_MAP, os_map(inner_of(os), fd, offset, bytes, writable, ret_address));
}

static void fault_unmap(const struct os *os, void *address, size_t bytes) {
    os_unmap(inner_of(os), address, bytes);
}

static int64_t fault_now_ns(const struct os *os, enum os_clock clock) {
    return os_now_ns(inner_of(os), clock);
}

static void fault_sleep_ms(const struct os *os, int64_t ms) {
    os_sleep_ms(inner_of(os), ms);
}

static int fault_random(const struct os *os, void *to, size_t bytes) {
    FAIL_OR(OS_CALL_RANDOM, os_random(inner_of(os), to, bytes));
}

static int fault_spawn(const struct os *os, const struct os_spawn *spawn, struct os_child *ret_child) {
    FAIL_OR(OS_CALL_SPAWN, os_spawn(inner_of(os), spawn, ret_child));
}

static int fault_pidfd_open(const struct os *os, pid_t pid) {
    FAIL_OR(OS_CALL_SPAWN, os_pidfd_open(inner_of(os), pid));
}

static int fault_pidfd_signal(const struct os *os, int pidfd, int signal) {
    FAIL_OR(OS_CALL_SIGNAL, os_pidfd_signal(inner_of(os), pidfd, signal));
}

static int fault_group_signal(const struct os *os, pid_t group, int signal) {
    FAIL_OR(OS_CALL_SIGNAL, os_group_signal(inner_of(os), group, signal));
}

static int fault_reap(const struct os *os, int pidfd, int *ret_wait_status) {
    return os_reap(inner_of(os), pidfd, ret_wait_status);
}

static const struct os_ops fault_ops = {
    .open = fault_open,
    .open_beneath = fault_open_beneath,
    .close = fault_close,
    .pread = fault_pread,
    .pwrite = fault_pwrite,
    .read = fault_read,
    .write = fault_write,
    .fsync = fault_fsync,
    .fdatasync = fault_fdatasync,
    .syncfs = fault_syncfs,
    .truncate = fault_truncate,
    .chmod = fault_chmod,
    .allocate = fault_allocate,
    .fstat = fault_fstat,
    .stat_at = fault_stat_at,
    .rename = fault_rename,
    .link = fault_link,
    .unlink = fault_unlink,
    .mkdir = fault_mkdir,
    .list = fault_list,
    .lock_range = fault_lock_range,
    .lock_probe = fault_lock_probe,
    .map = fault_map,
    .unmap = fault_unmap,
    .now_ns = fault_now_ns,
    .sleep_ms = fault_sleep_ms,
    .random = fault_random,
    .spawn = fault_spawn,
    .pidfd_open = fault_pidfd_open,
    .pidfd_signal = fault_pidfd_signal,
    .group_signal = fault_group_signal,
    .reap = fault_reap,
};

int os_fault_new(const struct os *inner, struct os_fault **ret_fault) {
    struct os_fault *fault = MEM_NEW(struct os_fault);
    if (fault == NULL)
        return -ENOMEM;
    fault->inner = inner;
    fault->os = (struct os){.ops = &fault_ops, .context = fault};
    (void)pthread_mutex_init(&fault->mutex, NULL);
    *ret_fault = fault;
    return 0;
}

void os_fault_free(struct os_fault **fault) {
    if (fault == NULL || *fault == NULL)
        return;
    (void)pthread_mutex_destroy(&(*fault)->mutex);
    mem_free(*fault);
    *fault = NULL;
}

const struct os *os_fault_os(struct os_fault *fault) {
    return &fault->os;
}

void os_fault_set(struct os_fault *fault, const struct os_fault_plan *plan) {
    (void)pthread_mutex_lock(&fault->mutex);
    fault->plan = *plan;
    fault->calls = 0;
    fault->failed = 0;
    (void)pthread_mutex_unlock(&fault->mutex);
}

uint64_t os_fault_calls(struct os_fault *fault) {
    (void)pthread_mutex_lock(&fault->mutex);
    uint64_t calls = fault->calls;
    (void)pthread_mutex_unlock(&fault->mutex);
    return calls;
}

uint64_t os_fault_failed(struct os_fault *fault) {
    (void)pthread_mutex_lock(&fault->mutex);
    uint64_t failed = fault->failed;
    (void)pthread_mutex_unlock(&fault->mutex);
    return failed;
}
