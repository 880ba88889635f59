#include "cmd/output.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { ENOUGH_BYTES = 1 << 20, FILE_MODE = 0600 };

static const char *name_in(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static int open_folder_of(const char *path, int *ret_fd, struct hf_error *error) {
    BUF_AUTO struct buf folder;
    buf_init(&folder);
    buf_add(&folder, path, (size_t)(name_in(path) - path));
    if (folder.failed)
        return error_set(error, HF_ERR_NO_MEMORY, "open the folder of '%s'", path);
    int fd = os_open(os_real(), AT_FDCWD, folder.size ? buf_text(&folder) : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    if (fd < 0)
        return error_set_errno(error, fd, "open the folder of '%s'", path);
    *ret_fd = fd;
    return 0;
}

static int check_target(const struct output *output, struct hf_error *error) {
    struct stat stat;
    const char *name = name_in(output->path);
    if (!name[0])
        return error_set(error, HF_ERR_INVALID, "write '%s': it names a folder", output->path);
    int result = os_stat_at(os_real(), output->folder_fd, name, &stat);
    if (result == -ENOENT || (result == 0 && S_ISREG(stat.st_mode)))
        return 0;
    if (result != 0)
        return error_set_errno(error, result, "look at '%s'", output->path);
    error_set(error, HF_ERR_UNSAFE_PATH, "write '%s': it is there and not a regular file", output->path);
    return error_hint(error, "name another file, or '-' and send standard output there");
}

int output_open(const char *path, struct output *ret_output, struct hf_error *error) {
    struct output output = {.fd = STDOUT_FILENO, .folder_fd = -1, .path = path};
    buf_init(&output.bytes);
    if (strcmp(path, "-") == 0) {
        *ret_output = output;
        return 0;
    }
    int code = open_folder_of(path, &output.folder_fd, error);
    if (code != 0)
        return code;
    code = check_target(&output, error);
    int result = code == 0 ? file_temporary_name(os_real(), output.temporary) : 0;
    if (code == 0 && result == 0) {
        result = output.fd = os_open(os_real(), output.folder_fd, output.temporary,
                                     O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, FILE_MODE);
    }
    if (code == 0 && result < 0)
        code = error_set_errno(error, result, "create a temporary file beside '%s'", path);
    if (code == 0)
        *ret_output = output;
    else
        os_close(os_real(), output.folder_fd);
    return code;
}

static int write_all(struct output *output, struct hf_error *error) {
    const char *bytes = output->bytes.data;
    size_t left = output->bytes.size;
    while (left > 0) {
        ssize_t written = os_write(os_real(), output->fd, bytes, left);
        if (written < 0 && written != -EINTR)
            return error_set_errno(error, (int)written, "write '%s'", output->path);
        if (written > 0) {
            bytes += written;
            left -= (size_t)written;
        }
    }
    buf_clear(&output->bytes);
    return 0;
}

int output_step(struct output *output, struct hf_error *error) {
    if (output->bytes.failed)
        return error_set(error, HF_ERR_NO_MEMORY, "write '%s'", output->path);
    return output->bytes.size >= ENOUGH_BYTES ? write_all(output, error) : 0;
}

int output_commit(struct output *output, struct hf_error *error) {
    const struct os *os = os_real();
    int code = write_all(output, error);
    if (code != 0 || output->folder_fd < 0)
        return code;
    int result = os_fsync(os, output->fd);
    if (result == 0) {
        result = os_close(os, output->fd);
        output->fd = -1;
    }
    if (result == 0)
        result = os_rename(os, output->folder_fd, output->temporary, output->folder_fd, name_in(output->path), 0);
    if (result != 0)
        return error_set_errno(error, result, "put '%s' in its place", output->path);
    output->temporary[0] = '\0';
    return file_sync_folder(os, output->folder_fd, error);
}

void output_close(struct output *output) {
    const struct os *os = os_real();
    buf_fini(&output->bytes);
    if (output->folder_fd < 0)
        return;
    if (output->fd >= 0)
        os_close(os, output->fd);
    if (output->temporary[0])
        os_unlink(os, output->folder_fd, output->temporary, 0);
    os_close(os, output->folder_fd);
}

int output_write(const char *path, const struct buf *bytes, struct hf_error *error) {
    struct output output;
    if (bytes->failed)
        return error_no_memory(error);
    int code = output_open(path ? path : "-", &output, error);
    if (code != 0)
        return code;
    buf_add(&output.bytes, bytes->data, bytes->size);
    code = output_step(&output, error);
    if (code == 0)
        code = output_commit(&output, error);
    output_close(&output);
    return code;
}
