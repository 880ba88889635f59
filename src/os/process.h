/* Processes: spawn with a group of its own and without a shell, and identity that a re-used pid cannot fake. */
#ifndef HF_OS_PROCESS_H
#define HF_OS_PROCESS_H

#include "base/error.h"
#include "os/os.h"

/* What a child gets. Nothing is inherited but what is named: fds 0-2 and extra_fd as 3; default signals; this
 * environment. It leads a new session and process group. */
struct os_spawn {
    const char *const *argv; /* argv[0] is looked up in PATH of `environment` when it has no '/' */
    const char *const *environment;
    const char *folder;                 /* working directory; NULL: "/" */
    int stdin_fd, stdout_fd, stderr_fd; /* -1: /dev/null */
    int extra_fd;                       /* becomes fd 3; -1: none */
    const char
        *cgroup_procs; /* path of a cgroup.procs to enter before exec; NULL: none; failing to enter is not an error */
    uint64_t max_open_files, max_core_bytes; /* RLIMIT_*; UINT64_MAX: as it is */
    int umask;                               /* -1: as it is */
    /* 1: all else is as exec would leave it, as `env` or `nice` do: the caller's session and process group (so that it
     * can read from the terminal, and Ctrl-C reaches it), its folder when that is NULL, descriptors that are not closed
     * on exec, and the signals that the caller ignores. */
    int stays_in_place;
    int dies_with_caller; /* 1: SIGKILL when the calling thread ends, however that comes about */
};

/* exec's own errno is returned by os_spawn (ENOENT, EACCES, ENOEXEC, E2BIG, ENOTDIR for the folder …). Uses
 * clone(CLONE_VM|CLONE_VFORK|CLONE_PIDFD): the cost does not grow with the daemon's memory. */
struct os_child {
    pid_t pid;
    int pidfd; /* CLOEXEC; the caller's */
};

/* Whole identity of a process: pid alone is re-used, pid and start time are re-used within a tick. */
struct process_identity {
    char boot_id[40];
    pid_t pid;
    uint64_t start_ticks; /* field 22 of /proc/PID/stat */
    uint64_t pidfd_inode; /* unique per process where the kernel has pidfs (6.9+); compared only when both are not 0 */
    char nonce[33];       /* given in the child's environment as HOLDFAST_NONCE */
};

/* Reads what the kernel says of a process now (nonce left empty unless it can be read from its environment). NOT_FOUND
 * if none. */
int process_identify(const struct os *os, pid_t pid, struct process_identity *ret_identity, struct hf_error *error);
int process_boot_id(const struct os *os, char ret_boot_id[40], struct hf_error *error);
int process_make_nonce(const struct os *os, char ret_nonce[33], struct hf_error *error);

enum process_match {
    PROCESS_GONE,    /* no such process, or another boot */
    PROCESS_OTHER,   /* the pid is somebody else's now */
    PROCESS_SAME,    /* every field that both have agrees, the nonce among them */
    PROCESS_UNKNOWN, /* could not be read: not to be signalled */
};
enum process_match process_compare(const struct os *os, const struct process_identity *then);

/* Finds every process whose environment carries HOLDFAST_NONCE=nonce: children that left their group, and those whose
 * pid was never saved. Calls visit for each pid. Looks at processes that this user may read. */
int process_find_by_nonce(const struct os *os, const char *nonce, int (*visit)(void *arg, pid_t pid), void *arg,
                          struct hf_error *error);

/* Every process below this one: its children, theirs, and so on, each with a pidfd that is visit's for the call; a
 * process that ended meanwhile is left out, so that no signal can reach a stranger. Parents come before children. */
int process_each_below(const struct os *os, pid_t pid, void (*visit)(void *arg, int pidfd), void *arg,
                       struct hf_error *error);
/* From now on, what children leave behind becomes ours and not init's: it stays below us. */
void process_adopt_orphans(void);
/* Reaps children that have ended, but none of `own`, which ends with 0. */
void process_reap_orphans(const pid_t *own);

/* Waits for a child's end and reaps it. One that takes longer is killed. A negative errno when that cannot be done. */
enum process_end { PROCESS_ENDED, PROCESS_LATE };
int process_wait(const struct os *os, int pidfd, int64_t patience_ms, int *ret_wait_status);

/* A cgroup (v2) per child where the system allows it: stopping kills the whole tree at once, whatever it did.
 * `available` is found once at open. Names are made file-name-safe by the caller. */
struct cgroup_root;
int cgroup_root_open(const struct os *os, const char *instance, struct cgroup_root **ret_root,
                     struct hf_error *error);      /* UNSUPPORTED: go on without */
void cgroup_root_close(struct cgroup_root **root); /* removes what is empty */
int cgroup_make(struct cgroup_root *root, const char *name, char *ret_procs_path, size_t room, struct hf_error *error);
int cgroup_kill(struct cgroup_root *root, const char *name,
                struct hf_error *error); /* cgroup.kill; also what an earlier daemon left */
int cgroup_is_empty(struct cgroup_root *root, const char *name);
void cgroup_remove(struct cgroup_root *root, const char *name);

#endif
