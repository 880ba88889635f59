#include <errno.h>
#include <stdio.h>

#include "os/file.h"

/* Told apart from the names that file_replace makes by nothing: file_remove_leftovers takes both. */
enum { LEFTOVER_AGE_MS = 60 * 1000 };

int file_is_lacking(int negative_errno) {
    return negative_errno == -EINVAL || negative_errno == -ENOSYS || negative_errno == -EOPNOTSUPP ||
           negative_errno == -ENOLCK || negative_errno == -ENODEV;
}

int file_lacks(struct hf_error *error, const char *what) {
    (void)error_set(error, HF_ERR_UNSUPPORTED, "the file system cannot %s", what);
    (void)error_hint(error, "put the folder on a local file system such as ext4, xfs or btrfs");
    return HF_ERR_UNSUPPORTED;
}

/* `first` and `second` are there. What they are called afterwards is the caller's to find out. */
static int try_renames(const struct os *os, int dir_fd, const char *first, const char *second, struct hf_error *error) {
    int result = OS_AGAIN(os_rename(os, dir_fd, first, dir_fd, second, RENAME_NOREPLACE));
    if (result == 0)
        return file_lacks(error, "keep a file that a rename must not replace");
    if (result != -EEXIST && result != -EINVAL && result != -ENOSYS) /* file_rename_new knows a way round these two */
        return error_set_errno(error, result, "rename to a name that is taken");
    result = OS_AGAIN(os_rename(os, dir_fd, first, dir_fd, second, 0));
    if (file_is_lacking(result) || result == -EEXIST)
        return file_lacks(error, "replace a file by a rename");
    return result == 0 ? 0 : error_set_errno(error, result, "rename");
}

static int make_empty(const struct os *os, int dir_fd, const char *name, struct hf_error *error) {
    int fd = OS_AGAIN(os_open(os, dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
    if (fd < 0)
        return error_set_errno(error, fd, "create temporary file '%s'", name);
    (void)os_close(os, fd);
    return 0;
}

static int try_names(const struct os *os, int dir_fd, struct hf_error *error) {
    char first[FILE_TEMPORARY_BYTES + 1], second[FILE_TEMPORARY_BYTES + 1];
    int result = file_temporary_name(os, first);
    if (result == 0)
        result = file_temporary_name(os, second);
    if (result != 0)
        return error_set_errno(error, result, "get random bytes");
    result = make_empty(os, dir_fd, first, error);
    if (result == 0)
        result = make_empty(os, dir_fd, second, error);
    if (result == 0)
        result = try_renames(os, dir_fd, first, second, error);
    (void)OS_AGAIN(os_unlink(os, dir_fd, first, 0)); /* of these, one at least is not there */
    (void)OS_AGAIN(os_unlink(os, dir_fd, second, 0));
    return result;
}

int file_probe(const struct os *os, int dir_fd, struct hf_error *error) {
    int result = file_remove_leftovers(os, dir_fd, LEFTOVER_AGE_MS, error);
    if (result == 0)
        result = try_names(os, dir_fd, error);
    if (result == 0)
        result = file_sync_folder(os, dir_fd, error);
    return result == 0 ? 0 : error_wrap(error, result, "try the file system");
}
