#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "os/file.h"

int file_sync_folder(const struct os *os, int dir_fd, struct hf_error *error) {
    int result = OS_AGAIN(os_fsync(os, dir_fd));
    if (file_is_lacking(result))
        return error_wrap(error, file_lacks(error, "sync a folder"), "sync folder");
    return result == 0 ? 0 : error_set_errno(error, result, "sync folder");
}

/* The kernel says ENOTDIR for a link that is not followed and for a file alike: tell them apart. */
static int explain_no_folder(const struct os *os, int dir_fd, const char *path, int result, struct hf_error *error) {
    struct stat stat;
    if (result == -ENOTDIR && OS_AGAIN(os_stat_at(os, dir_fd, path, &stat)) == 0 && S_ISLNK(stat.st_mode)) {
        (void)error_set(error, HF_ERR_UNSAFE_PATH, "'%s' is a symbolic link", path);
        (void)error_hint(error, "name the folder that the link points to");
        return HF_ERR_UNSAFE_PATH;
    }
    return error_set_errno(error, result, "'%s'", path);
}

static int open_folder(const struct os *os, int dir_fd, const char *path) {
    return OS_AGAIN(os_open(os, dir_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0));
}

int file_open_folder(const struct os *os, int dir_fd, const char *path, int *ret_fd, struct hf_error *error) {
    int fd = open_folder(os, dir_fd, path);
    if (fd < 0)
        return error_wrap(error, explain_no_folder(os, dir_fd, path, fd, error), "open folder");
    *ret_fd = fd;
    return 0;
}

static int sync_parent(const struct os *os, char *path) {
    char *slash = strrchr(path, '/');
    const char *parent = slash == NULL ? "." : slash == path ? "/" : path;
    if (slash != NULL && slash != path)
        *slash = '\0';
    int fd = OS_AGAIN(os_open(os, AT_FDCWD, parent, O_RDONLY | O_DIRECTORY, 0));
    if (slash != NULL && slash != path)
        *slash = '/';
    if (fd < 0)
        return fd;
    int result = OS_AGAIN(os_fsync(os, fd));
    (void)os_close(os, fd);
    return file_is_lacking(result) ? -EOPNOTSUPP : result;
}

/* Makes `path`, whose parent is there. What could not be synced goes again: a later try must not take it for safe. */
static int make_one(const struct os *os, char *path, mode_t mode) {
    int result = OS_AGAIN(os_mkdir(os, AT_FDCWD, path, mode));
    if (result != 0)
        return result;
    result = sync_parent(os, path);
    if (result != 0)
        (void)OS_AGAIN(os_unlink(os, AT_FDCWD, path, AT_REMOVEDIR));
    return result;
}

/* `path` up to each slash in turn, then whole. Parents may be links: /var/run is one on every machine. */
static int make_all(const struct os *os, char *path, mode_t mode) {
    int result = 0;
    for (char *end = path + 1; result == 0; end++) {
        if (*end != '/' && *end != '\0')
            continue;
        char at_end = *end;
        *end = '\0';
        result = make_one(os, path, mode);
        if (result == -EEXIST)
            result = 0; /* what it is shows when it is used as a folder */
        *end = at_end;
        if (at_end == '\0')
            break;
    }
    return result;
}

int file_make_folders(const struct os *os, const char *path, mode_t mode, struct hf_error *error) {
    if (path[0] == '\0')
        return error_set(error, HF_ERR_INVALID, "make folder: its path is empty");
    MEM_AUTO char *copy = mem_strdup(path);
    if (copy == NULL)
        return error_set(error, HF_ERR_NO_MEMORY, "make folder '%s': memory is used up", path);
    for (size_t last = strlen(copy) - 1; last > 0 && copy[last] == '/'; last--)
        copy[last] = '\0';
    int fd = open_folder(os, AT_FDCWD, copy);
    if (fd == -ENOENT) {
        int result = make_all(os, copy, mode);
        if (result == -EOPNOTSUPP)
            return error_wrap(error, file_lacks(error, "sync a folder"), "make folder '%s'", path);
        if (result != 0)
            return error_set_errno(error, result, "make folder '%s'", path);
        fd = open_folder(os, AT_FDCWD, copy);
    }
    if (fd < 0)
        return error_wrap(error, explain_no_folder(os, AT_FDCWD, copy, fd, error), "make folder");
    (void)os_close(os, fd);
    return 0;
}
