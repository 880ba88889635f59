/* The child shares our memory until it has called exec, while this thread waits (clone with VM and VFORK). Therefore
 *  1. it makes raw system calls only: no locks, no allocation, nothing that a sanitizer watches;
 *  2. it has a stack of its own, and every signal stays blocked until no handler of ours is installed in it any more;
 *  3. whatever needs memory or look-ups is done before the clone. */
#include "os/spawn.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STACK_BYTES = 64 * 1024, CHILD_FDS = 4, SIGNALS = 64 };

#define IN_CHILD __attribute__((noinline, no_sanitize("address", "undefined", "thread")))

#ifdef __SANITIZE_THREAD__
/* Its wrapper of clone takes every clone for a fork and notes so in memory that here is the parent's too. */
int __clone(int (*run)(void *arg), void *stack, int flags, void *arg, ...);
#define clone __clone
#endif

struct plan {
    const struct os_spawn *spawn;
    const char *program;
    int fds[CHILD_FDS]; /* what becomes 0, 1, 2, 3; -1: closed */
    uint64_t kept;      /* signals whose disposition stays: those that are ignored; bit 0 is signal 1 */
    pid_t caller;
    volatile int error; /* the child's errno when it could not exec */
};

struct kernel_sigaction { /* as large as any machine's; zeros are SIG_DFL without flags */
    unsigned long words[8];
};

IN_CHILD static void reset_signals(uint64_t kept) {
    struct kernel_sigaction by_default = {{0}};
    for (int i = 1; i <= SIGNALS; i++)
        if (!(kept >> (i - 1) & 1))
            (void)syscall(SYS_rt_sigaction, i, &by_default, NULL, SIGNALS / 8);
}

IN_CHILD static void unblock_signals(void) {
    uint64_t none = 0;
    (void)syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, sizeof none);
}

IN_CHILD static void enter_cgroup(const char *procs) {
    long fd = syscall(SYS_openat, AT_FDCWD, procs, O_WRONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return;
    (void)syscall(SYS_write, fd, "0", 1);
    (void)syscall(SYS_close, fd);
}

/* First all of them out of the way of the targets, then each to its place: right for every overlap. */
IN_CHILD static int place_fds(int fds[CHILD_FDS]) {
    for (int i = 0; i < CHILD_FDS; i++) {
        if (fds[i] < 0 || fds[i] >= CHILD_FDS)
            continue;
        long moved = syscall(SYS_fcntl, fds[i], F_DUPFD_CLOEXEC, CHILD_FDS);
        if (moved < 0)
            return -1;
        fds[i] = (int)moved;
    }
    for (int i = 0; i < CHILD_FDS; i++)
        if (fds[i] >= 0 && syscall(SYS_dup3, fds[i], i, 0) < 0)
            return -1;
    return 0;
}

IN_CHILD static void close_from(unsigned first) {
    if (syscall(SYS_close_range, first, ~0U, 0) == 0)
        return;
    struct rlimit64 limit = {0, 0};
    (void)syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, &limit);
    for (uint64_t fd = first; fd < limit.rlim_cur && fd < INT_MAX; fd++)
        (void)syscall(SYS_close, (int)fd);
}

IN_CHILD static int set_limit(int which, uint64_t value) {
    struct rlimit64 limit = {0, 0};
    if (value == UINT64_MAX)
        return 0;
    if (syscall(SYS_prlimit64, 0, which, NULL, &limit) != 0)
        return -1;
    if (value < limit.rlim_max)
        limit.rlim_max = value;
    limit.rlim_cur = limit.rlim_max;
    return (int)syscall(SYS_prlimit64, 0, which, &limit, NULL);
}

/* A caller that ended before the kernel knew what we wish is somebody else's child's parent by now. */
IN_CHILD static int die_with(pid_t caller) {
    if (syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0)
        return -1;
    if (syscall(SYS_getppid) == caller)
        return 0;
    errno = ESRCH;
    return -1;
}

IN_CHILD static int enter_folder(const struct os_spawn *spawn) {
    if (spawn->folder == NULL && spawn->stays_in_place)
        return 0;
    return (int)syscall(SYS_chdir, spawn->folder != NULL ? spawn->folder : "/");
}

IN_CHILD static int become_program(struct plan *plan) {
    const struct os_spawn *spawn = plan->spawn;
    reset_signals(plan->kept);
    if (spawn->dies_with_caller && die_with(plan->caller) != 0)
        return -1;
    if (spawn->cgroup_procs != NULL)
        enter_cgroup(spawn->cgroup_procs);
    if ((!spawn->stays_in_place && syscall(SYS_setsid) < 0) || place_fds(plan->fds) != 0)
        return -1;
    if (!spawn->stays_in_place)
        close_from(plan->fds[CHILD_FDS - 1] < 0 ? CHILD_FDS - 1 : CHILD_FDS);
    if (set_limit(RLIMIT_NOFILE, spawn->max_open_files) != 0 || set_limit(RLIMIT_CORE, spawn->max_core_bytes) != 0)
        return -1;
    if (spawn->umask >= 0)
        (void)syscall(SYS_umask, spawn->umask);
    if (enter_folder(spawn) != 0)
        return -1;
    unblock_signals();
    return (int)syscall(SYS_execve, plan->program, spawn->argv, spawn->environment);
}

IN_CHILD static int child_main(void *arg) {
    struct plan *plan = arg;
    (void)become_program(plan);
    plan->error = errno; /* this thread's errno: the parent waits */
    (void)syscall(SYS_exit_group, 127);
    return 127;
}

static const char *variable(const char *const *environment, const char *name) {
    size_t bytes = strlen(name);
    for (; environment != NULL && *environment != NULL; environment++)
        if (strncmp(*environment, name, bytes) == 0 && (*environment)[bytes] == '=')
            return *environment + bytes + 1;
    return NULL;
}

/* 0: this one; else the negative errno that rules it out. */
static int try_candidate(const char *path) {
    struct stat stat;
    if (fstatat(AT_FDCWD, path, &stat, 0) != 0)
        return -errno;
    if (!S_ISREG(stat.st_mode))
        return -EACCES;
    return faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0 ? 0 : -errno;
}

int spawn_look_up(const struct os_spawn *spawn, char *ret_path, size_t room) {
    const char *name = spawn->argv[0];
    if (name[0] == '\0')
        return -ENOENT;
    if (strchr(name, '/') != NULL)
        return (size_t)snprintf(ret_path, room, "%s", name) < room ? 0 : -ENAMETOOLONG;
    const char *folders = variable(spawn->environment, "PATH");
    if (folders == NULL)
        folders = "/usr/local/bin:/usr/bin:/bin";
    int result = -ENOENT;
    char candidate[PATH_MAX];
    while (*folders != '\0') {
        int bytes = (int)strcspn(folders, ":");
        int size = snprintf(candidate, sizeof candidate, "%.*s/%s", bytes, folders, name);
        if (folders[0] == '/' && size > 0 && (size_t)size < sizeof candidate && (size_t)size < room) {
            int tried = try_candidate(candidate);
            if (tried == 0) {
                memcpy(ret_path, candidate, (size_t)size + 1);
                return 0;
            }
            if (tried == -EACCES)
                result = -EACCES;
        }
        folders += bytes + (folders[bytes] == ':');
    }
    return result;
}

static uint64_t ignored_signals(void) {
    uint64_t ignored = 0;
    struct sigaction action;
    for (int i = 1; i <= SIGNALS; i++) /* glibc refuses to speak of its own, which are never ignored */
        if (sigaction(i, NULL, &action) == 0 && action.sa_handler == SIG_IGN)
            ignored |= UINT64_C(1) << (i - 1);
    return ignored;
}

/* The stack's lowest page stays closed, so that running over it is a fault and not damage. */
static char *new_stack(size_t page) {
    char *stack =
        mmap(NULL, STACK_BYTES + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (stack == MAP_FAILED)
        return NULL;
    (void)mprotect(stack, page, PROT_NONE);
    return stack;
}

static int clone_child(struct plan *plan, struct os_child *ret_child) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *stack = new_stack(page);
    if (stack == NULL)
        return -ENOMEM;
    uint64_t all = UINT64_MAX, before = 0; /* raw: glibc leaves its own signals open */
    (void)syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, sizeof all);
    int pidfd = -1;
    pid_t pid =
        clone(child_main, stack + page + STACK_BYTES, CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, plan, &pidfd);
    int error = pid < 0 ? errno : 0;
    (void)syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, sizeof before);
    (void)munmap(stack, STACK_BYTES + page);
    if (error != 0)
        return -error;
    *ret_child = (struct os_child){.pid = pid, .pidfd = pidfd};
    return 0;
}

static void reap_failed(const struct os_child *child) {
    siginfo_t info;
    while (waitid(P_PIDFD, (id_t)child->pidfd, &info, WEXITED) != 0 && errno == EINTR)
        continue;
    (void)close(child->pidfd);
}

int spawn_child(const struct os_spawn *spawn, struct os_child *ret_child) {
    char program[PATH_MAX];
    int result = spawn_look_up(spawn, program, sizeof program);
    if (result != 0)
        return result;
    struct plan plan = {
        .spawn = spawn,
        .program = program,
        .fds = {spawn->stdin_fd, spawn->stdout_fd, spawn->stderr_fd, spawn->extra_fd},
        .kept = spawn->stays_in_place ? ignored_signals() : 0,
        .caller = getpid(),
    };
    int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null_fd < 0)
        return -errno;
    for (int i = 0; i <= STDERR_FILENO; i++)
        if (plan.fds[i] < 0)
            plan.fds[i] = null_fd;
    struct os_child child;
    result = clone_child(&plan, &child);
    (void)close(null_fd);
    if (result != 0)
        return result;
    if (plan.error != 0) {
        reap_failed(&child);
        return -plan.error;
    }
    *ret_child = child;
    return 0;
}
