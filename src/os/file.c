/* Invariants of file_replace
 *  1. Until the rename, `name` is the old file, whole; from then on the new one, whole. No other state is ever to be
 * seen.
 *  2. The new bytes are synced before the rename: the name never leads to bytes that a power cut can take.
 *  3. 0 is returned only when the rename itself is synced.
 *  4. A sync that failed is not tried again: the kernel may have dropped the bytes and would say that all is well.
 *  5. The temporary file is ours alone (random name, O_EXCL) and no link is followed, whoever else writes in the
 * folder. */
#include "os/file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"

/* ".hf-" 32 hex digits ".tmp": short, so that every name that the file system allows can be replaced. */
#define TEMPORARY_FRONT ".hf-"
#define TEMPORARY_BACK  ".tmp"
enum { RANDOM_BYTES = (FILE_TEMPORARY_BYTES - 4 - 4) / 2 };

enum { READ_STEP = 64 * 1024 };

ssize_t file_pread_full(const struct os *os, int fd, void *to, size_t bytes, off_t offset) {
    size_t done = 0;
    while (done < bytes) {
        ssize_t got = os_pread(os, fd, (char *)to + done, bytes - done, offset + (off_t)done);
        if (got == -EINTR)
            continue;
        if (got < 0)
            return got;
        if (got == 0)
            break;
        done += (size_t)got;
    }
    return (ssize_t)done;
}

int file_pwrite_full(const struct os *os, int fd, const void *from, size_t bytes, off_t offset) {
    size_t done = 0;
    while (done < bytes) {
        ssize_t put = os_pwrite(os, fd, (const char *)from + done, bytes - done, offset + (off_t)done);
        if (put == -EINTR)
            continue;
        if (put < 0)
            return (int)put;
        if (put == 0)
            return -EIO; /* would never end */
        done += (size_t)put;
    }
    return 0;
}

static int check_name(const char *name, struct hf_error *error) {
    if (name[0] != '\0' && strchr(name, '/') == NULL && strcmp(name, ".") != 0 && strcmp(name, "..") != 0)
        return 0;
    (void)error_set(error, HF_ERR_BAD_ID, "file name '%s' is not acceptable", name);
    (void)error_hint(error, "give one name without '/', other than '.' and '..'");
    return HF_ERR_BAD_ID;
}

static int refuse_link(const char *path, struct hf_error *error) {
    (void)error_set(error, HF_ERR_UNSAFE_PATH, "'%s' is a symbolic link", path);
    (void)error_hint(error, "name what the link points to, or remove the link");
    return HF_ERR_UNSAFE_PATH;
}

static int read_to_end(const struct os *os, int fd, size_t max_bytes, struct buf *bytes, struct hf_error *error) {
    for (;;) {
        /* Files of /proc have no size: ask until nothing comes. One byte over the limit tells that there is more. */
        char *to = buf_reserve(bytes, READ_STEP);
        if (to == NULL)
            return error_no_memory(error);
        size_t want = max_bytes - bytes->size < READ_STEP ? max_bytes - bytes->size + 1 : READ_STEP;
        ssize_t got = file_pread_full(os, fd, to, want, (off_t)bytes->size);
        if (got < 0)
            return error_set_errno(error, (int)got, "read");
        if ((size_t)got > max_bytes - bytes->size)
            return error_set(error, HF_ERR_TOO_LARGE, "it has over %zu bytes", max_bytes);
        bytes->size += (size_t)got;
        to[got] = '\0';
        if ((size_t)got < want)
            return 0;
    }
}

int file_read(const struct os *os, int dir_fd, const char *path, size_t max_bytes, struct buf *ret_bytes,
              struct hf_error *error) {
    /* O_NONBLOCK: a pipe of that name must not hold us up. */
    int fd = OS_AGAIN(os_open(os, dir_fd, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0));
    if (fd == -ELOOP)
        return error_wrap(error, refuse_link(path, error), "read file");
    if (fd < 0)
        return error_set_errno(error, fd, "read file '%s'", path);
    struct buf BUF_AUTO bytes;
    buf_init(&bytes);
    struct stat stat;
    int result = OS_AGAIN(os_fstat(os, fd, &stat));
    if (result != 0)
        result = error_set_errno(error, result, "stat");
    else if (!S_ISREG(stat.st_mode))
        result = error_set(error, HF_ERR_BAD_DATA, "it is not a regular file");
    else
        result = read_to_end(os, fd, max_bytes, &bytes, error);
    (void)os_close(os, fd); /* nothing was written: its error means nothing */
    if (result != 0)
        return error_wrap(error, result, "read file '%s'", path);
    struct buf old = *ret_bytes;
    *ret_bytes = bytes;
    bytes = old;
    return 0;
}

int file_temporary_name(const struct os *os, char name[FILE_TEMPORARY_BYTES + 1]) {
    uint8_t random[RANDOM_BYTES];
    int result = OS_AGAIN(os_random(os, random, sizeof random));
    if (result < 0)
        return result;
    memcpy(name, TEMPORARY_FRONT, sizeof TEMPORARY_FRONT);
    text_hex(random, sizeof random, name + strlen(TEMPORARY_FRONT));
    memcpy(name + FILE_TEMPORARY_BYTES - strlen(TEMPORARY_BACK), TEMPORARY_BACK, sizeof TEMPORARY_BACK);
    return 0;
}

static int is_temporary_name(const char *name) {
    return strlen(name) == FILE_TEMPORARY_BYTES && memcmp(name, TEMPORARY_FRONT, strlen(TEMPORARY_FRONT)) == 0 &&
           strspn(name + strlen(TEMPORARY_FRONT), "0123456789abcdef") == (size_t)RANDOM_BYTES * 2 &&
           strcmp(name + FILE_TEMPORARY_BYTES - strlen(TEMPORARY_BACK), TEMPORARY_BACK) == 0;
}

/* Leaves a whole and synced file of that name, or none. */
static int write_temporary(const struct os *os, int dir_fd, const char *name, const void *bytes, size_t size,
                           mode_t mode, struct hf_error *error) {
    int fd = OS_AGAIN(os_open(os, dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode));
    if (fd < 0)
        return error_set_errno(error, fd, "create temporary file '%s'", name);
    const char *step = "write";
    int result = file_pwrite_full(os, fd, bytes, size, 0);
    if (result == 0) {
        step = "sync";
        result = OS_AGAIN(os_fsync(os, fd));
    }
    (void)os_close(os, fd); /* after a good sync the bytes are there, whatever close says */
    if (result == 0)
        return 0;
    (void)OS_AGAIN(os_unlink(os, dir_fd, name, 0));
    return error_set_errno(error, result, "%s temporary file '%s'", step, name);
}

static int replace(const struct os *os, int dir_fd, const char *name, const void *bytes, size_t size, mode_t mode,
                   struct hf_error *error) {
    struct stat stat;
    int result = OS_AGAIN(os_stat_at(os, dir_fd, name, &stat));
    if (result != 0 && result != -ENOENT)
        return error_set_errno(error, result, "stat");
    if (result == 0 && S_ISLNK(stat.st_mode))
        return refuse_link(name, error);
    char temporary[FILE_TEMPORARY_BYTES + 1];
    result = file_temporary_name(os, temporary);
    if (result != 0)
        return error_set_errno(error, result, "get random bytes");
    result = write_temporary(os, dir_fd, temporary, bytes, size, mode, error);
    if (result != 0)
        return result;
    result = OS_AGAIN(os_rename(os, dir_fd, temporary, dir_fd, name, 0));
    if (result != 0) {
        (void)OS_AGAIN(os_unlink(os, dir_fd, temporary, 0));
        return error_set_errno(error, result, "rename temporary file '%s'", temporary);
    }
    return file_sync_folder(os, dir_fd, error);
}

int file_replace(const struct os *os, int dir_fd, const char *name, const void *bytes, size_t size, mode_t mode,
                 struct hf_error *error) {
    int result = check_name(name, error);
    if (result == 0)
        result = replace(os, dir_fd, name, bytes, size, mode, error);
    return result == 0 ? 0 : error_wrap(error, result, "replace file '%s'", name);
}

struct leftovers {
    const struct os *os;
    int dir_fd;
    int64_t older_than_ms; /* unix time */
};

static int remove_leftover(void *arg, const char *name, unsigned char d_type) {
    (void)d_type;
    const struct leftovers *leftovers = arg;
    struct stat stat;
    if (!is_temporary_name(name) || OS_AGAIN(os_stat_at(leftovers->os, leftovers->dir_fd, name, &stat)) != 0)
        return 0;
    int64_t changed_ms = (int64_t)stat.st_mtim.tv_sec * 1000 + stat.st_mtim.tv_nsec / 1000000;
    if (!S_ISREG(stat.st_mode) || stat.st_uid != geteuid() || changed_ms > leftovers->older_than_ms)
        return 0;
    int result = OS_AGAIN(os_unlink(leftovers->os, leftovers->dir_fd, name, 0));
    return result == -ENOENT ? 0 : result;
}

int file_remove_leftovers(const struct os *os, int dir_fd, int64_t min_age_ms, struct hf_error *error) {
    struct leftovers leftovers = {.os = os, .dir_fd = dir_fd, .older_than_ms = os_wall_ms(os) - min_age_ms};
    int result = os_list(os, dir_fd, remove_leftover, &leftovers);
    return result == 0 ? 0 : error_set_errno(error, result, "remove leftover temporary files");
}

static int rename_by_link(const struct os *os, int from_dir, const char *from, int to_dir, const char *to) {
    int result = OS_AGAIN(os_link(os, from_dir, from, to_dir, to));
    return result != 0 ? result : OS_AGAIN(os_unlink(os, from_dir, from, 0));
}

/* rename replaces an empty folder only: what somebody else puts in between makes it fail, and nothing is lost. */
static int rename_over_empty_folder(const struct os *os, int from_dir, const char *from, int to_dir, const char *to) {
    int result = OS_AGAIN(os_mkdir(os, to_dir, to, 0700));
    if (result != 0)
        return result;
    result = OS_AGAIN(os_rename(os, from_dir, from, to_dir, to, 0));
    if (result != 0)
        (void)OS_AGAIN(os_unlink(os, to_dir, to, AT_REMOVEDIR));
    return result;
}

int file_rename_new(const struct os *os, int from_dir, const char *from, int to_dir, const char *to,
                    struct hf_error *error) {
    int result = OS_AGAIN(os_rename(os, from_dir, from, to_dir, to, RENAME_NOREPLACE));
    if (result == -EINVAL || result == -ENOSYS) {
        struct stat stat;
        result = OS_AGAIN(os_stat_at(os, from_dir, from, &stat));
        if (result == 0 && S_ISDIR(stat.st_mode))
            result = rename_over_empty_folder(os, from_dir, from, to_dir, to);
        else if (result == 0)
            result = rename_by_link(os, from_dir, from, to_dir, to);
    }
    return result == 0 ? 0 : error_set_errno(error, result, "rename '%s' to the new name '%s'", from, to);
}
