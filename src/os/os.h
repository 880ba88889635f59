/* The one seam: every effect on the world passes through a struct os. The real one, the one that fails the n-th call,
 * and the simulated disk of the tests stand behind the same table.
 *
 * Functions return a value >= 0, or a negative errno. They do not loop: short reads and writes and EINTR come through
 * as they are; os/file.h loops. (list begins again by itself: its visits could not be undone.) All are thread-safe in
 * the real one. Paths are relative to a folder's fd (or AT_FDCWD).
 */
#ifndef HF_OS_OS_H
#define HF_OS_OS_H

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

struct os;
struct os_spawn;
struct os_child;

enum os_clock { OS_CLOCK_WALL, OS_CLOCK_MONOTONIC, OS_CLOCK_BOOT }; /* BOOT goes on while the machine sleeps */
enum os_lock { OS_LOCK_NONE, OS_LOCK_SHARED, OS_LOCK_EXCLUSIVE };

/* Called per folder entry ("." and ".." are left out). Not 0 stops the walk. */
typedef int (*os_entry_visit)(void *arg, const char *name, unsigned char d_type);

struct os_ops {
    /* files */
    int (*open)(const struct os *os, int dir_fd, const char *path, int flags, mode_t mode);
    int (*open_beneath)(const struct os *os, int dir_fd, const char *path, int flags,
                        mode_t mode); /* openat2: RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS */
    int (*close)(const struct os *os, int fd);
    ssize_t (*pread)(const struct os *os, int fd, void *to, size_t bytes, off_t offset);
    ssize_t (*pwrite)(const struct os *os, int fd, const void *from, size_t bytes, off_t offset);
    ssize_t (*read)(const struct os *os, int fd, void *to, size_t bytes); /* pipes and the like */
    ssize_t (*write)(const struct os *os, int fd, const void *from, size_t bytes);
    int (*fsync)(const struct os *os, int fd);
    int (*fdatasync)(const struct os *os, int fd);
    int (*syncfs)(const struct os *os, int fd);
    int (*truncate)(const struct os *os, int fd, off_t size);
    int (*chmod)(const struct os *os, int fd, mode_t mode);                  /* fchmod */
    int (*allocate)(const struct os *os, int fd, off_t offset, off_t bytes); /* posix_fallocate */
    int (*fstat)(const struct os *os, int fd, struct stat *ret_stat);
    int (*stat_at)(const struct os *os, int dir_fd, const char *path, struct stat *ret_stat); /* follows no link */
    int (*rename)(const struct os *os, int from_dir, const char *from, int to_dir, const char *to,
                  unsigned flags); /* flags of renameat2 */
    int (*link)(const struct os *os, int from_dir, const char *from, int to_dir, const char *to);
    int (*unlink)(const struct os *os, int dir_fd, const char *path, int flags);
    int (*mkdir)(const struct os *os, int dir_fd, const char *path, mode_t mode);
    int (*list)(const struct os *os, int dir_fd, os_entry_visit visit, void *arg); /* the visit's value if not 0 */
    /* A lock on a byte range that the kernel releases with the open file (F_OFD_SETLK, never waits; -EAGAIN). */
    int (*lock_range)(const struct os *os, int fd, enum os_lock lock, off_t offset, off_t bytes);
    /* 1 when lock_range would be refused now, 0 when not. Takes nothing. */
    int (*lock_probe)(const struct os *os, int fd, enum os_lock lock, off_t offset, off_t bytes);
    /* Shared memory over a file: SQLite's -shm. */
    int (*map)(const struct os *os, int fd, off_t offset, size_t bytes, int writable, void **ret_address);
    void (*unmap)(const struct os *os, void *address, size_t bytes);

    /* time and chance */
    int64_t (*now_ns)(const struct os *os, enum os_clock clock);
    void (*sleep_ms)(const struct os *os, int64_t ms);
    int (*random)(const struct os *os, void *to, size_t bytes);

    /* processes */
    int (*spawn)(const struct os *os, const struct os_spawn *spawn, struct os_child *ret_child);
    int (*pidfd_open)(const struct os *os, pid_t pid);
    int (*pidfd_signal)(const struct os *os, int pidfd, int signal);
    int (*group_signal)(const struct os *os, pid_t group, int signal);
    int (*reap)(const struct os *os, int pidfd, int *ret_wait_status); /* 1 reaped, 0 still runs; never waits */
};

struct os {
    const struct os_ops *ops;
    void *context;
};

/* The real thing. */
const struct os *os_real(void);

/* Shorthands: os_pread(os, fd, …) and so on. */
#define os_open(os, ...)         ((os)->ops->open((os), __VA_ARGS__))
#define os_open_beneath(os, ...) ((os)->ops->open_beneath((os), __VA_ARGS__))
#define os_close(os, ...)        ((os)->ops->close((os), __VA_ARGS__))
#define os_pread(os, ...)        ((os)->ops->pread((os), __VA_ARGS__))
#define os_pwrite(os, ...)       ((os)->ops->pwrite((os), __VA_ARGS__))
#define os_read(os, ...)         ((os)->ops->read((os), __VA_ARGS__))
#define os_write(os, ...)        ((os)->ops->write((os), __VA_ARGS__))
#define os_fsync(os, ...)        ((os)->ops->fsync((os), __VA_ARGS__))
#define os_fdatasync(os, ...)    ((os)->ops->fdatasync((os), __VA_ARGS__))
#define os_syncfs(os, ...)       ((os)->ops->syncfs((os), __VA_ARGS__))
#define os_truncate(os, ...)     ((os)->ops->truncate((os), __VA_ARGS__))
#define os_chmod(os, ...)        ((os)->ops->chmod((os), __VA_ARGS__))
#define os_allocate(os, ...)     ((os)->ops->allocate((os), __VA_ARGS__))
#define os_fstat(os, ...)        ((os)->ops->fstat((os), __VA_ARGS__))
#define os_stat_at(os, ...)      ((os)->ops->stat_at((os), __VA_ARGS__))
#define os_rename(os, ...)       ((os)->ops->rename((os), __VA_ARGS__))
#define os_link(os, ...)         ((os)->ops->link((os), __VA_ARGS__))
#define os_unlink(os, ...)       ((os)->ops->unlink((os), __VA_ARGS__))
#define os_mkdir(os, ...)        ((os)->ops->mkdir((os), __VA_ARGS__))
#define os_list(os, ...)         ((os)->ops->list((os), __VA_ARGS__))
#define os_lock_range(os, ...)   ((os)->ops->lock_range((os), __VA_ARGS__))
#define os_lock_probe(os, ...)   ((os)->ops->lock_probe((os), __VA_ARGS__))
#define os_map(os, ...)          ((os)->ops->map((os), __VA_ARGS__))
#define os_unmap(os, ...)        ((os)->ops->unmap((os), __VA_ARGS__))
#define os_now_ns(os, clock)     ((os)->ops->now_ns((os), (clock)))
#define os_sleep_ms(os, ms)      ((os)->ops->sleep_ms((os), (ms)))
#define os_random(os, ...)       ((os)->ops->random((os), __VA_ARGS__))
#define os_spawn(os, ...)        ((os)->ops->spawn((os), __VA_ARGS__))
#define os_pidfd_open(os, ...)   ((os)->ops->pidfd_open((os), __VA_ARGS__))
#define os_pidfd_signal(os, ...) ((os)->ops->pidfd_signal((os), __VA_ARGS__))
#define os_group_signal(os, ...) ((os)->ops->group_signal((os), __VA_ARGS__))
#define os_reap(os, ...)         ((os)->ops->reap((os), __VA_ARGS__))

/* Makes the call again while signals interrupt it. Not for close: the descriptor is gone all the same. A sync that was
 * interrupted has not failed: nothing was dropped by it. */
#define OS_AGAIN(call)                                                                                                 \
    (__extension__({                                                                                                   \
        __typeof__(call) again_;                                                                                       \
        do                                                                                                             \
            again_ = (call);                                                                                           \
        while (again_ == -EINTR);                                                                                      \
        again_;                                                                                                        \
    }))

int64_t os_wall_ms(const struct os *os);
int64_t os_monotonic_ms(const struct os *os);

/* ---- the wrapper that fails ------------------------------------------------------------------------------------- *
 * Counts the calls that can fail and makes chosen ones fail; everything else goes to the wrapped os. */
struct os_fault_plan {
    uint64_t fail_at;   /* the n-th call that can fail (1, 2, …); 0: never */
    int once;           /* 1: that call only; 0: from there on for ever */
    int error;          /* the errno; 0 means a short read or write of half the bytes (at least one) */
    unsigned call_mask; /* which kinds count, bits of enum os_call; 0: all that can fail */
};
enum os_call {
    OS_CALL_OPEN,
    OS_CALL_CLOSE,
    OS_CALL_READ,
    OS_CALL_WRITE,
    OS_CALL_SYNC,
    OS_CALL_TRUNCATE,
    OS_CALL_STAT,
    OS_CALL_RENAME,
    OS_CALL_UNLINK,
    OS_CALL_MKDIR,
    OS_CALL_LIST,
    OS_CALL_LOCK,
    OS_CALL_MAP,
    OS_CALL_RANDOM,
    OS_CALL_SPAWN,
    OS_CALL_SIGNAL,
    OS_CALL_CHMOD,
};
struct os_fault; /* holds a struct os that may be handed on */
int os_fault_new(const struct os *inner, struct os_fault **ret_fault);
void os_fault_free(struct os_fault **fault);
const struct os *os_fault_os(struct os_fault *fault);
void os_fault_set(struct os_fault *fault, const struct os_fault_plan *plan); /* counts from 0 again */
uint64_t os_fault_calls(struct os_fault *fault);                             /* counted since set */
uint64_t os_fault_failed(struct os_fault *fault);                            /* made to fail since set */

#endif
