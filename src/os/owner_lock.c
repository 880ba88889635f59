/* Invariants
 *  1. Who owns the folder is decided by the kernel's lock alone. It goes with the open file, however the process ends.
 *  2. What stands in the file is for people. It may be old, torn or empty: nothing is decided by it, so it is not
 * synced either; a lock that a power cut could undo has gone with the power anyway.
 *  3. The file is never removed or renamed: two processes always lock the same one.
 *  4. It is overwritten in place, so that the name of a holder still fits on a full disk. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"
#include "os/file.h"
#include "os/process.h"

#define LOCK_NAME "lock"
enum { HOLDER_MAX_BYTES = 4096 };

struct owner_lock {
    const struct os *os;
    int fd;
};

struct holder {
    pid_t pid; /* 0: not known */
    char started_at[TEXT_TIME_BYTES];
    char boot_id[40];
};

static void copy_text(char *to, size_t room, const char *from) {
    if (from != NULL)
        (void)snprintf(to, room, "%s", from);
}

static void read_holder(const struct os *os, int dir_fd, struct holder *ret_holder) {
    *ret_holder = (struct holder){0};
    struct buf BUF_AUTO text;
    struct json_doc JSON_AUTO doc;
    struct arena arena;
    buf_init(&text);
    json_init(&doc);
    arena_init(&arena);
    if (file_read(os, dir_fd, LOCK_NAME, HOLDER_MAX_BYTES, &text, NULL) == 0 &&
        json_read(&doc, buf_text(&text), text.size, NULL, NULL) == 0) {
        int64_t pid = json_member_i64(&doc, 0, "pid", 0);
        ret_holder->pid = pid > 0 && pid <= INT32_MAX ? (pid_t)pid : 0;
        copy_text(ret_holder->started_at, sizeof ret_holder->started_at,
                  json_member_text(&doc, 0, "started_at", &arena));
        copy_text(ret_holder->boot_id, sizeof ret_holder->boot_id, json_member_text(&doc, 0, "boot_id", &arena));
    }
    arena_fini(&arena);
}

static int say_who_holds(const struct os *os, int dir_fd, int fd, struct hf_error *error) {
    struct holder holder;
    if (OS_AGAIN(os_lock_probe(os, fd, OS_LOCK_SHARED, 0, 0)) == 0) {
        (void)error_set(error, HF_ERR_LOCKED, "another process reads it");
        (void)error_hint(error, "try again when it has finished");
        return HF_ERR_LOCKED;
    }
    read_holder(os, dir_fd, &holder);
    if (holder.pid == 0) {
        (void)error_set(error, HF_ERR_LOCKED, "another process owns it");
        (void)error_hint(error, "find it with 'fuser' on the file '" LOCK_NAME "' and stop it");
        return HF_ERR_LOCKED;
    }
    (void)error_set(error, HF_ERR_LOCKED, "process %d owns it (started %s, boot %s)", (int)holder.pid,
                    holder.started_at, holder.boot_id);
    (void)error_hint(error, "stop process %d or use its socket; the lock ends with the process, never remove the file",
                     (int)holder.pid);
    return HF_ERR_LOCKED;
}

/* What cannot be found out is left empty: it is for people (invariant 2). */
static void describe_self(const struct os *os, struct buf *text) {
    struct process_identity self = {.pid = getpid()};
    (void)process_boot_id(os, self.boot_id, NULL); /* known even where the rest is not */
    (void)process_identify(os, getpid(), &self, NULL);
    struct json_writer json;
    json_writer_init(&json, text, 0);
    json_begin_object(&json);
    json_put_i64(&json, "pid", self.pid);
    json_put_i64(&json, "start_ticks", (int64_t)self.start_ticks);
    json_put_string(&json, "boot_id", self.boot_id);
    json_put_time(&json, "started_at", os_wall_ms(os));
    json_end_object(&json);
    buf_add_char(text, '\n');
}

static int write_holder(const struct os *os, int fd, struct hf_error *error) {
    struct buf BUF_AUTO text;
    buf_init(&text);
    describe_self(os, &text);
    if (text.failed)
        return error_no_memory(error);
    int result = file_pwrite_full(os, fd, text.data, text.size, 0);
    if (result == 0)
        result = OS_AGAIN(os_truncate(os, fd, (off_t)text.size));
    return result == 0 ? 0 : error_set_errno(error, result, "write the holder");
}

static int open_lock_file(const struct os *os, int dir_fd, int *ret_fd, struct hf_error *error) {
    int fd = OS_AGAIN(os_open(os, dir_fd, LOCK_NAME, O_RDWR | O_CREAT | O_NOFOLLOW | O_NOCTTY, 0600));
    if (fd == -ELOOP) {
        (void)error_set(error, HF_ERR_UNSAFE_PATH, "'" LOCK_NAME "' is a symbolic link");
        (void)error_hint(error, "remove the link: holdfast did not make it");
        return HF_ERR_UNSAFE_PATH;
    }
    if (fd < 0)
        return error_set_errno(error, fd, "open '" LOCK_NAME "'");
    struct stat stat;
    int result = OS_AGAIN(os_fstat(os, fd, &stat));
    if (result != 0)
        result = error_set_errno(error, result, "stat '" LOCK_NAME "'");
    else if (!S_ISREG(stat.st_mode))
        result = error_set(error, HF_ERR_UNSAFE_PATH, "'" LOCK_NAME "' is not a regular file");
    if (result != 0) {
        (void)os_close(os, fd);
        return result;
    }
    *ret_fd = fd;
    return 0;
}

/* Some network and user-space file systems say yes to everybody: a second opening must see the lock. */
static int check_lock_holds(const struct os *os, int dir_fd, struct hf_error *error) {
    int held = owner_lock_is_held(os, dir_fd, NULL);
    if (held == 1)
        return 0;
    return held == 0 ? file_lacks(error, "keep a lock") : error_set_errno(error, held, "look at '" LOCK_NAME "'");
}

static int lock_and_write(const struct os *os, int dir_fd, int fd, struct hf_error *error) {
    int result = OS_AGAIN(os_lock_range(os, fd, OS_LOCK_EXCLUSIVE, 0, 0));
    if (result == -EAGAIN)
        return say_who_holds(os, dir_fd, fd, error);
    if (file_is_lacking(result))
        return file_lacks(error, "lock a file");
    if (result != 0)
        return error_set_errno(error, result, "lock '" LOCK_NAME "'");
    result = check_lock_holds(os, dir_fd, error);
    return result == 0 ? write_holder(os, fd, error) : result;
}

int owner_lock_take(const struct os *os, int dir_fd, struct owner_lock **ret_lock, struct hf_error *error) {
    struct owner_lock *lock = MEM_NEW(struct owner_lock);
    if (lock == NULL)
        return error_set(error, HF_ERR_NO_MEMORY, "take the owner's lock: memory is used up");
    lock->os = os;
    int result = open_lock_file(os, dir_fd, &lock->fd, error);
    if (result == 0) {
        result = lock_and_write(os, dir_fd, lock->fd, error);
        if (result != 0)
            (void)os_close(os, lock->fd);
    }
    if (result != 0) {
        mem_free(lock);
        return error_wrap(error, result, "take the owner's lock");
    }
    *ret_lock = lock;
    return 0;
}

int owner_lock_share(const struct os *os, int dir_fd, struct owner_lock **ret_lock, struct hf_error *error) {
    int fd = OS_AGAIN(os_open(os, dir_fd, LOCK_NAME, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0));
    if (fd == -ENOENT || fd == -EACCES)
        return 0;
    if (fd < 0)
        return error_set_errno(error, fd, "open '" LOCK_NAME "'");
    int result = OS_AGAIN(os_lock_range(os, fd, OS_LOCK_SHARED, 0, 0));
    struct owner_lock *lock = result == 0 ? MEM_NEW(struct owner_lock) : NULL;
    if (lock != NULL) {
        *lock = (struct owner_lock){os, fd};
        *ret_lock = lock;
        return 0;
    }
    (void)os_close(os, fd);
    if (result == -EAGAIN)
        return error_set(error, HF_ERR_LOCKED, "another process owns it");
    return result == 0 ? error_set(error, HF_ERR_NO_MEMORY, "share the owner's lock: memory is used up")
                       : error_set_errno(error, result, "share the owner's lock");
}

void owner_lock_release(struct owner_lock **lock) {
    if (lock == NULL || *lock == NULL)
        return;
    (void)os_close((*lock)->os, (*lock)->fd); /* the kernel's lock goes with it */
    mem_free(*lock);
    *lock = NULL;
}

int owner_lock_is_held(const struct os *os, int dir_fd, pid_t *ret_pid) {
    int fd = OS_AGAIN(os_open(os, dir_fd, LOCK_NAME, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0));
    if (fd == -ENOENT)
        return 0;
    if (fd < 0)
        return fd;
    int held = OS_AGAIN(os_lock_probe(os, fd, OS_LOCK_EXCLUSIVE, 0, 0));
    (void)os_close(os, fd);
    if (held != 1 || ret_pid == NULL)
        return held;
    struct holder holder;
    read_holder(os, dir_fd, &holder);
    *ret_pid = holder.pid;
    return held;
}
