#include <dirent.h>
#include <errno.h>
#include <linux/openat2.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "os/os.h"
#include "os/spawn.h"

/* The value of a call, or the negative errno. */
#define OR_ERRNO(call)                                                                                                 \
    (__extension__({                                                                                                   \
        __typeof__(call) value_ = (call);                                                                              \
        value_ < 0 ? -errno : value_;                                                                                  \
    }))

static int real_open(const struct os *os, int dir_fd, const char *path, int flags, mode_t mode) {
    (void)os;
    return OR_ERRNO(openat(dir_fd, path, flags | O_CLOEXEC, mode));
}

static int real_open_beneath(const struct os *os, int dir_fd, const char *path, int flags, mode_t mode) {
    (void)os;
    int creates = (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE;
    struct open_how how = {
        .flags = (uint64_t)(unsigned)(flags | O_CLOEXEC),
        .mode = creates ? mode : 0, /* openat2 refuses a mode that means nothing */
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
    };
    return (int)OR_ERRNO(syscall(SYS_openat2, dir_fd, path, &how, sizeof how));
}

static int real_close(const struct os *os, int fd) {
    (void)os;
    return OR_ERRNO(close(fd));
}

static ssize_t real_pread(const struct os *os, int fd, void *to, size_t bytes, off_t offset) {
    (void)os;
    return OR_ERRNO(pread(fd, to, bytes, offset));
}

static ssize_t real_pwrite(const struct os *os, int fd, const void *from, size_t bytes, off_t offset) {
    (void)os;
    return OR_ERRNO(pwrite(fd, from, bytes, offset));
}

static ssize_t real_read(const struct os *os, int fd, void *to, size_t bytes) {
    (void)os;
    return OR_ERRNO(read(fd, to, bytes));
}

static ssize_t real_write(const struct os *os, int fd, const void *from, size_t bytes) {
    (void)os;
    return OR_ERRNO(write(fd, from, bytes));
}

static int real_fsync(const struct os *os, int fd) {
    (void)os;
    return OR_ERRNO(fsync(fd));
}

static int real_fdatasync(const struct os *os, int fd) {
    (void)os;
    return OR_ERRNO(fdatasync(fd));
}

static int real_syncfs(const struct os *os, int fd) {
    (void)os;
    return OR_ERRNO(syncfs(fd));
}

static int real_truncate(const struct os *os, int fd, off_t size) {
    (void)os;
    return OR_ERRNO(ftruncate(fd, size));
}

static int real_chmod(const struct os *os, int fd, mode_t mode) {
    (void)os;
    return OR_ERRNO(fchmod(fd, mode));
}

static int real_allocate(const struct os *os, int fd, off_t offset, off_t bytes) {
    (void)os;
    return -posix_fallocate(fd, offset, bytes);
}

static int real_fstat(const struct os *os, int fd, struct stat *ret_stat) {
    (void)os;
    return OR_ERRNO(fstat(fd, ret_stat));
}

static int real_stat_at(const struct os *os, int dir_fd, const char *path, struct stat *ret_stat) {
    (void)os;
    return OR_ERRNO(fstatat(dir_fd, path, ret_stat, AT_SYMLINK_NOFOLLOW));
}

static int real_rename(const struct os *os, int from_dir, const char *from, int to_dir, const char *to,
                       unsigned flags) {
    (void)os;
    if (flags == 0)
        return OR_ERRNO(renameat(from_dir, from, to_dir, to));
    return OR_ERRNO(renameat2(from_dir, from, to_dir, to, flags));
}

static int real_link(const struct os *os, int from_dir, const char *from, int to_dir, const char *to) {
    (void)os;
    return OR_ERRNO(linkat(from_dir, from, to_dir, to, 0));
}

static int real_unlink(const struct os *os, int dir_fd, const char *path, int flags) {
    (void)os;
    return OR_ERRNO(unlinkat(dir_fd, path, flags));
}

static int real_mkdir(const struct os *os, int dir_fd, const char *path, mode_t mode) {
    (void)os;
    return OR_ERRNO(mkdirat(dir_fd, path, mode));
}

static int real_list(const struct os *os, int dir_fd, os_entry_visit visit, void *arg) {
    (void)os;
    /* A descriptor of its own: the place in the folder belongs to the open file. */
    int fd;
    do
        fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return -errno;
    DIR *folder = fdopendir(fd);
    if (folder == NULL) {
        int error = errno;
        (void)close(fd);
        return -error;
    }
    int result = 0;
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(folder);
        if (entry == NULL) {
            result = -errno;
            break;
        }
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        result = visit(arg, entry->d_name, entry->d_type);
        if (result != 0)
            break;
    }
    (void)closedir(folder);
    return result;
}

static struct flock range_of(enum os_lock lock, off_t offset, off_t bytes) {
    short type = F_UNLCK;
    if (lock == OS_LOCK_SHARED)
        type = F_RDLCK;
    if (lock == OS_LOCK_EXCLUSIVE)
        type = F_WRLCK;
    return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = offset, .l_len = bytes};
}

static int real_lock_range(const struct os *os, int fd, enum os_lock lock, off_t offset, off_t bytes) {
    (void)os;
    struct flock range = range_of(lock, offset, bytes);
    int result = OR_ERRNO(fcntl(fd, F_OFD_SETLK, &range));
    return result == -EACCES ? -EAGAIN : result; /* POSIX allows either for "somebody has it" */
}

static int real_lock_probe(const struct os *os, int fd, enum os_lock lock, off_t offset, off_t bytes) {
    (void)os;
    struct flock range = range_of(lock, offset, bytes);
    if (fcntl(fd, F_OFD_GETLK, &range) != 0)
        return -errno;
    return range.l_type != F_UNLCK;
}

static int real_map(const struct os *os, int fd, off_t offset, size_t bytes, int writable, void **ret_address) {
    (void)os;
    int protection = writable ? PROT_READ | PROT_WRITE : PROT_READ;
    void *address = mmap(NULL, bytes, protection, MAP_SHARED, fd, offset);
    if (address == MAP_FAILED)
        return -errno;
    *ret_address = address;
    return 0;
}

static void real_unmap(const struct os *os, void *address, size_t bytes) {
    (void)os;
    (void)munmap(address, bytes);
}

static int64_t real_now_ns(const struct os *os, enum os_clock which) {
    (void)os;
    clockid_t clock = CLOCK_MONOTONIC;
    if (which == OS_CLOCK_WALL)
        clock = CLOCK_REALTIME;
    if (which == OS_CLOCK_BOOT)
        clock = CLOCK_BOOTTIME;
    struct timespec now = {0};
    (void)clock_gettime(clock, &now); /* cannot fail for these clocks */
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void real_sleep_ms(const struct os *os, int64_t ms) {
    int64_t until_ns = real_now_ns(os, OS_CLOCK_MONOTONIC) + ms * 1000000;
    struct timespec until = {.tv_sec = until_ns / 1000000000, .tv_nsec = until_ns % 1000000000};
    while (ms > 0 && clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
        continue;
}

static int real_random(const struct os *os, void *to, size_t bytes) {
    (void)os;
    for (size_t done = 0; done < bytes;) {
        ssize_t got = getrandom((char *)to + done, bytes - done, 0);
        if (got < 0 && errno != EINTR)
            return -errno;
        if (got > 0)
            done += (size_t)got;
    }
    return 0;
}

static int real_spawn(const struct os *os, const struct os_spawn *spawn, struct os_child *ret_child) {
    (void)os;
    return spawn_child(spawn, ret_child);
}

static int real_pidfd_open(const struct os *os, pid_t pid) {
    (void)os;
    return OR_ERRNO(pidfd_open(pid, 0));
}

static int real_pidfd_signal(const struct os *os, int pidfd, int signal) {
    (void)os;
    return OR_ERRNO(pidfd_send_signal(pidfd, signal, NULL, 0));
}

static int real_group_signal(const struct os *os, pid_t group, int signal) {
    (void)os;
    if (group <= 1)
        return -EINVAL; /* kill(-1) is everything, kill(0) is us */
    return OR_ERRNO(kill(-group, signal));
}

static int real_reap(const struct os *os, int pidfd, int *ret_wait_status) {
    (void)os;
    siginfo_t info = {0};
    if (waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG) != 0)
        return -errno;
    if (info.si_pid == 0)
        return 0;
    if (info.si_code == CLD_EXITED)
        *ret_wait_status = W_EXITCODE(info.si_status & 0xff, 0);
    else
        *ret_wait_status = W_EXITCODE(0, info.si_status) | (info.si_code == CLD_DUMPED ? WCOREFLAG : 0);
    return 1;
}

static const struct os_ops real_ops = {
    .open = real_open,
    .open_beneath = real_open_beneath,
    .close = real_close,
    .pread = real_pread,
    .pwrite = real_pwrite,
    .read = real_read,
    .write = real_write,
    .fsync = real_fsync,
    .fdatasync = real_fdatasync,
    .syncfs = real_syncfs,
    .truncate = real_truncate,
    .chmod = real_chmod,
    .allocate = real_allocate,
    .fstat = real_fstat,
    .stat_at = real_stat_at,
    .rename = real_rename,
    .link = real_link,
    .unlink = real_unlink,
    .mkdir = real_mkdir,
    .list = real_list,
    .lock_range = real_lock_range,
    .lock_probe = real_lock_probe,
    .map = real_map,
    .unmap = real_unmap,
    .now_ns = real_now_ns,
    .sleep_ms = real_sleep_ms,
    .random = real_random,
    .spawn = real_spawn,
    .pidfd_open = real_pidfd_open,
    .pidfd_signal = real_pidfd_signal,
    .group_signal = real_group_signal,
    .reap = real_reap,
};

const struct os *os_real(void) {
    static const struct os real = {.ops = &real_ops};
    return &real;
}

int64_t os_wall_ms(const struct os *os) {
    return os_now_ns(os, OS_CLOCK_WALL) / 1000000;
}

int64_t os_monotonic_ms(const struct os *os) {
    return os_now_ns(os, OS_CLOCK_MONOTONIC) / 1000000;
}
