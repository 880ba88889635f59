#include "os/process.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "os/file.h"
#include "os/process_stat.h"

enum {
    BOOT_ID_BYTES = 36,
    NONCE_BYTES = 16,
    PROC_FILE_MAX = 4096,
    ENVIRON_MAX = 16 * 1024 * 1024,
    PROC_PATH_BYTES = 48
};
enum { EXEC_ROUNDS = 10, EXEC_PAUSE_MS = 1, KILLED_LOOK_MS = 1000 };

#define NONCE_VARIABLE "HOLDFAST_NONCE="

/* What was found out about a pid: the identity, and what the match needs besides. */
struct sighting {
    struct process_identity identity;
    int has_ended; /* a zombie: it holds the pid until it is reaped, and does nothing any more */
};

int process_boot_id(const struct os *os, char ret_boot_id[40], struct hf_error *error) {
    struct buf BUF_AUTO text;
    buf_init(&text);
    int result = file_read(os, AT_FDCWD, "/proc/sys/kernel/random/boot_id", PROC_FILE_MAX, &text, error);
    if (result != 0)
        return error_wrap(error, result, "find the boot id");
    if (text.size < BOOT_ID_BYTES)
        return error_set(error, HF_ERR_IO, "find the boot id: '%s' is too short", buf_text(&text));
    memcpy(ret_boot_id, text.data, BOOT_ID_BYTES);
    ret_boot_id[BOOT_ID_BYTES] = '\0';
    return 0;
}

int process_make_nonce(const struct os *os, char ret_nonce[33], struct hf_error *error) {
    uint8_t random[NONCE_BYTES];
    int result = os_random(os, random, sizeof random);
    if (result != 0)
        return error_set_errno(error, result, "make a nonce");
    text_hex(random, sizeof random, ret_nonce);
    return 0;
}

/* Fields are counted from behind the last ')': the name in front of it may hold anything. */
static int parse_stat(const char *text, struct process_stat *ret_stat) {
    const char *at = strrchr(text, ')');
    if (at == NULL || at[1] != ' ')
        return -1;
    at += 2;
    struct process_stat stat = {.state = *at};
    for (int field = 3; field < 22; field++) {
        if (field == 4)
            stat.parent = (pid_t)strtol(at, NULL, 10);
        if (field == 20)
            stat.threads = strtoll(at, NULL, 10);
        at = strchr(at, ' ');
        if (at == NULL)
            return -1;
        at++;
    }
    char *end;
    stat.start_ticks = strtoull(at, &end, 10);
    if (end == at)
        return -1;
    *ret_stat = stat;
    return 0;
}

int process_stat_read(const struct os *os, pid_t pid, struct process_stat *ret_stat, struct hf_error *error) {
    char path[PROC_PATH_BYTES];
    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    struct buf BUF_AUTO text;
    buf_init(&text);
    int result = file_read(os, AT_FDCWD, path, PROC_FILE_MAX, &text, error);
    if (result != 0)
        return result;
    return parse_stat(buf_text(&text), ret_stat) == 0 ? 0 : error_set(error, HF_ERR_IO, "'%s' is not understood", path);
}

/* A dead leader whose other threads live on is a living process. */
int process_stat_has_ended(const struct process_stat *stat) {
    return (stat->state == 'Z' || stat->state == 'X') && stat->threads <= 1;
}

/* The value of HOLDFAST_NONCE in a process's environment, NULL when it is not there. */
static const char *find_nonce(const struct buf *environment) {
    const char *at = environment->data, *end = at + environment->size;
    while (at != NULL && at < end) {
        if (strncmp(at, NONCE_VARIABLE, strlen(NONCE_VARIABLE)) == 0)
            return at + strlen(NONCE_VARIABLE);
        at += strlen(at) + 1;
    }
    return NULL;
}

/* "" when it has none or may not be read. *ret_is_blank: there was no environment at all. */
static int read_nonce(const struct os *os, pid_t pid, char ret_nonce[33], int *ret_is_blank, struct hf_error *error) {
    char path[PROC_PATH_BYTES];
    (void)snprintf(path, sizeof path, "/proc/%d/environ", (int)pid);
    struct buf BUF_AUTO environment;
    buf_init(&environment);
    struct hf_error why = {0};
    ret_nonce[0] = '\0';
    int result = file_read(os, AT_FDCWD, path, ENVIRON_MAX, &environment, &why);
    if (result == HF_ERR_NO_MEMORY || result == HF_ERR_TOO_MANY_FILES) {
        error_copy(error, &why);
        return result; /* our lack, which says nothing about the process */
    }
    *ret_is_blank = result == 0 && environment.size == 0;
    const char *nonce = result == 0 ? find_nonce(&environment) : NULL;
    if (nonce != NULL && strlen(nonce) == 2 * NONCE_BYTES)
        memcpy(ret_nonce, nonce, 2 * NONCE_BYTES + 1);
    return 0;
}

/* Within exec a process has no environment for a moment. */
static int read_nonce_patiently(const struct os *os, pid_t pid, char ret_nonce[33], struct hf_error *error) {
    int is_blank = 0;
    for (int i = 0; i < EXEC_ROUNDS; i++) {
        int result = read_nonce(os, pid, ret_nonce, &is_blank, error);
        if (result != 0 || !is_blank)
            return result;
        os_sleep_ms(os, EXEC_PAUSE_MS);
    }
    return 0;
}

static uint64_t inode_of_pid(const struct os *os, pid_t pid) {
    int fd = os_pidfd_open(os, pid);
    if (fd < 0)
        return 0;
    struct stat stat;
    uint64_t inode = os_fstat(os, fd, &stat) == 0 ? stat.st_ino : 0;
    (void)os_close(os, fd);
    return inode;
}

/* Before pidfs all pidfds have one inode number, which says nothing: it must differ from another process's. */
static uint64_t unique_inode(const struct os *os, pid_t pid, int pidfd) {
    struct stat stat;
    if (os_fstat(os, pidfd, &stat) != 0)
        return 0;
    pid_t other = pid != getpid() ? getpid() : 1;
    uint64_t of_other = other != pid ? inode_of_pid(os, other) : 0;
    return of_other != 0 && of_other != stat.st_ino ? stat.st_ino : 0;
}

static int sight_through(const struct os *os, pid_t pid, int pidfd, struct sighting *sighting, struct hf_error *error) {
    struct process_identity *identity = &sighting->identity;
    struct process_stat stat = {0};
    int result = process_boot_id(os, identity->boot_id, error);
    if (result == 0)
        result = process_stat_read(os, pid, &stat, error);
    sighting->has_ended = process_stat_has_ended(&stat);
    if (result == 0 && !sighting->has_ended)
        result = read_nonce_patiently(os, pid, identity->nonce, error);
    if (result != 0)
        return result;
    identity->pid = pid;
    identity->start_ticks = stat.start_ticks;
    identity->pidfd_inode = unique_inode(os, pid, pidfd);
    return 0;
}

/* The pidfd is opened first and asked last: what was read in between by number was this process's. */
static int sight(const struct os *os, pid_t pid, struct sighting *ret_sighting, struct hf_error *error) {
    int pidfd = pid > 0 ? os_pidfd_open(os, pid) : -ESRCH;
    if (pidfd == -ESRCH || pidfd == -EINVAL || pidfd == -ENOENT) /* EINVAL, ENOENT: the number is a thread's */
        return error_set(error, HF_ERR_NOT_FOUND, "there is no process %d", (int)pid);
    if (pidfd < 0)
        return error_set_errno(error, pidfd, "open process %d", (int)pid);
    struct sighting sighting = {0};
    int result = sight_through(os, pid, pidfd, &sighting, error);
    if (os_pidfd_signal(os, pidfd, 0) == -ESRCH)
        result = error_set(error, HF_ERR_NOT_FOUND, "process %d has ended", (int)pid);
    (void)os_close(os, pidfd);
    if (result == 0)
        *ret_sighting = sighting;
    return result;
}

int process_identify(const struct os *os, pid_t pid, struct process_identity *ret_identity, struct hf_error *error) {
    struct sighting sighting;
    int result = sight(os, pid, &sighting, error);
    if (result != 0)
        return error_wrap(error, result, "identify process %d", (int)pid);
    *ret_identity = sighting.identity;
    return 0;
}

/* A pair of pid and start time is re-used within a tick: only what is unique, inode or nonce, says "the same". */
static enum process_match match(const struct process_identity *then, const struct process_identity *now) {
    if (then->start_ticks != now->start_ticks)
        return PROCESS_OTHER;
    int both_nonces = then->nonce[0] != '\0' && now->nonce[0] != '\0';
    if (both_nonces && strcmp(then->nonce, now->nonce) != 0)
        return PROCESS_OTHER;
    int both_inodes = then->pidfd_inode != 0 && now->pidfd_inode != 0;
    if (both_inodes && then->pidfd_inode != now->pidfd_inode)
        return PROCESS_OTHER;
    return both_nonces || both_inodes ? PROCESS_SAME : PROCESS_UNKNOWN;
}

enum process_match process_compare(const struct os *os, const struct process_identity *then) {
    char boot_id[40];
    if (process_boot_id(os, boot_id, NULL) != 0)
        return PROCESS_UNKNOWN;
    if (strcmp(boot_id, then->boot_id) != 0)
        return PROCESS_GONE;
    struct sighting now;
    int result = sight(os, then->pid, &now, NULL);
    if (result == HF_ERR_NOT_FOUND)
        return PROCESS_GONE;
    if (result != 0)
        return PROCESS_UNKNOWN;
    enum process_match matched = match(then, &now.identity);
    return matched != PROCESS_OTHER && now.has_ended ? PROCESS_GONE : matched;
}

struct nonce_search {
    const struct os *os;
    const char *nonce;
    int (*visit)(void *arg, pid_t pid);
    void *arg;
    struct hf_error *error;
};

static int search_entry(void *arg, const char *name, unsigned char d_type) {
    (void)d_type;
    const struct nonce_search *search = arg;
    uint64_t pid;
    if (text_to_u64(name, &pid) != 0 || pid == 0 || pid > INT32_MAX)
        return 0;
    char nonce[33];
    int is_blank;
    int result = read_nonce(search->os, (pid_t)pid, nonce, &is_blank, search->error);
    if (result != 0 || strcmp(nonce, search->nonce) != 0)
        return result;
    return search->visit(search->arg, (pid_t)pid);
}

int process_find_by_nonce(const struct os *os, const char *nonce, int (*visit)(void *arg, pid_t pid), void *arg,
                          struct hf_error *error) {
    if (nonce[0] == '\0')
        return error_set(error, HF_ERR_INVALID, "find processes by nonce: it is empty");
    struct nonce_search search = {.os = os, .nonce = nonce, .visit = visit, .arg = arg, .error = error};
    int fd;
    int result = file_open_folder(os, AT_FDCWD, "/proc", &fd, error);
    if (result != 0)
        return error_wrap(error, result, "find processes by nonce");
    result = os_list(os, fd, search_entry, &search);
    (void)os_close(os, fd);
    return result;
}

int process_wait(const struct os *os, int pidfd, int64_t patience_ms, int *ret_wait_status) {
    struct pollfd end = {.fd = pidfd, .events = POLLIN};
    int64_t until_ms = os_monotonic_ms(os) + patience_ms;
    int how = PROCESS_ENDED, result;
    while ((result = os_reap(os, pidfd, ret_wait_status)) == 0) {
        int64_t left_ms = until_ms - os_monotonic_ms(os);
        if (left_ms <= 0) {
            how = PROCESS_LATE;
            (void)os_pidfd_signal(os, pidfd, SIGKILL);
            left_ms = KILLED_LOOK_MS;
        }
        (void)poll(&end, 1, left_ms < INT_MAX ? (int)left_ms : INT_MAX); /* woken early it looks again */
    }
    return result < 0 ? result : how;
}
