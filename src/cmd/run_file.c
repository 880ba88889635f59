/* The state as a file for the command: DATA/runs/NAME@FENCE/state, or the file that --state-file names.
 *
 * Invariants
 *  1. The file is a copy: what counts is the state in the store. So it is not synced, and what a run left that was
 *     killed is removed by the next one.
 *  2. A file that a person named is never written over while it holds something that neither the store nor
 *     DATA/runs/rejected has. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/text.h"
#include "cmd/run.h"
#include "cmd/talk.h"
#include "os/file.h"

enum { FOLDER_MODE = 0700, FILE_MODE = 0600 };

static const char *name_in(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static const char *folder_of(struct run *run, const char *path) {
    size_t bytes = (size_t)(name_in(path) - path);
    return bytes ? arena_strndup(&run->arena, path, bytes) : "./";
}

/* ---- out ---- */

static int remove_entry(void *arg, int dir_fd, const char *name, const char *path, const struct stat *stat) {
    (void)path;
    const struct os *const *os = arg;
    (void)os_unlink(*os, dir_fd, name, S_ISDIR(stat->st_mode) ? AT_REMOVEDIR : 0);
    return 0;
}

void run_remove_tree(const struct os *os, int dir_fd, const char *name) {
    int fd;
    if (file_open_folder(os, dir_fd, name, &fd, NULL) != 0)
        return;
    (void)file_walk(os, fd, remove_entry, &os, NULL);
    (void)os_close(os, fd);
    (void)os_unlink(os, dir_fd, name, AT_REMOVEDIR);
}

struct sweep {
    const struct run *run;
    int fd;
};

int run_number_of(const char *id, const char *name, uint64_t *ret_number) {
    size_t bytes = strlen(name);
    return strncmp(id, name, bytes) == 0 && id[bytes] == '@' ? text_to_u64(id + bytes + 1, ret_number) : -1;
}

/* One below ours is of a run that has no lease any more. */
static int sweep_entry(void *arg, const char *name, unsigned char d_type) {
    const struct sweep *sweep = arg;
    uint64_t number;
    (void)d_type;
    if (run_number_of(name, sweep->run->name, &number) == 0 && number < sweep->run->fence)
        run_remove_tree(sweep->run->os, sweep->fd, name);
    return 0;
}

static int make_folder(struct run *run, struct hf_error *error) {
    const char *runs = arena_printf(&run->arena, "%s/runs", run->invocation->globals.data_dir);
    run->folder = arena_printf(&run->arena, "%s/%s", runs ? runs : "", run->id);
    run->path = arena_printf(&run->arena, "%s/state", run->folder ? run->folder : "");
    if (!runs || !run->folder || !run->path)
        return error_no_memory(error);
    struct sweep sweep = {.run = run};
    int code = file_make_folders(run->os, runs, FOLDER_MODE, error);
    if (code == 0)
        code = file_open_folder(run->os, AT_FDCWD, runs, &sweep.fd, error);
    if (code != 0)
        return code;
    (void)os_list(run->os, sweep.fd, sweep_entry, &sweep);
    int result = os_mkdir(run->os, sweep.fd, run->id, FOLDER_MODE);
    (void)os_close(run->os, sweep.fd);
    return result == 0 ? 0 : error_set_errno(error, result, "make folder '%s'", run->folder);
}

static int write_file(struct run *run, struct hf_error *error) {
    int fd = os_open(run->os, AT_FDCWD, run->path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, FILE_MODE);
    int result = fd < 0 ? fd : file_pwrite_full(run->os, fd, run->state.data, run->state.size, 0);
    if (fd >= 0)
        (void)os_close(run->os, fd);
    return result == 0 ? 0 : error_set_errno(error, result, "write '%s'", run->path);
}

/* What holdfast keeps there itself is no state: a store would be put aside as one that is not the run's. */
static int check_place(struct run *run, struct hf_error *error) {
    struct stat named, data;
    const char *folder = folder_of(run, run->path);
    const char *data_dir = arena_printf(&run->arena, "%s/", run->invocation->globals.data_dir); /* follows a link */
    if (!folder || !data_dir)
        return error_no_memory(error);
    if (os_stat_at(run->os, AT_FDCWD, folder, &named) != 0 || os_stat_at(run->os, AT_FDCWD, data_dir, &data) != 0 ||
        named.st_dev != data.st_dev || named.st_ino != data.st_ino)
        return 0;
    error_set(error, HF_ERR_INVALID, "'%s' lies in the data directory", run->path);
    error_hint(error, "put the state file elsewhere; without --state-file it is a private one");
    return HF_ERR_INVALID;
}

static int replace_named(struct run *run, struct hf_error *error) {
    const char *folder = folder_of(run, run->path);
    int fd = folder ? os_open(run->os, AT_FDCWD, folder, O_RDONLY | O_DIRECTORY, 0) : -ENOMEM;
    if (fd < 0)
        return error_set_errno(error, fd, "open the folder of '%s'", run->path);
    int code = file_replace(run->os, fd, name_in(run->path), run->state.data, run->state.size, FILE_MODE, error);
    (void)os_close(run->os, fd);
    return code;
}

/* A file of that name from before: the first state when none was saved yet, else put aside if it is not the state. */
static int put_named(struct run *run, struct hf_error *error) {
    BUF_AUTO struct buf there;
    buf_init(&there);
    run->path = run->named_file;
    int code = check_place(run, error);
    if (code != 0)
        return code;
    code = file_read(run->os, AT_FDCWD, run->path, HF_STATE_BYTES_MAX, &there, error);
    run->was_there = code == 0;
    if (code == HF_ERR_NOT_FOUND)
        error_clear(error);
    else if (code != 0)
        return code;
    if (!run->has_state)
        return 0;
    if (run->was_there && there.size == run->state.size && memcmp(there.data, run->state.data, there.size) == 0)
        return 0;
    if (run->was_there) {
        run_keep_aside(run, there.data, there.size);
        if (!run->kept_at)
            return error_set(error, HF_ERR_CANNOT_CREATE, "keep '%s', which is not the state, aside", run->path);
        talk_say(run->invocation, "'%s' was not the state of '%s': kept as '%s'", run->path, run->name, run->kept_at);
        run->kept_at = NULL;
    }
    return replace_named(run, error);
}

int run_file_put(struct run *run, struct hf_error *error) {
    int code = run->named_file ? put_named(run, error) : make_folder(run, error);
    if (code == 0 && !run->named_file && run->has_state)
        code = write_file(run, error);
    if (code == 0)
        return 0;
    if (run->named_file)
        run->path = NULL; /* whatever it is, it is not ours to put back or to keep aside */
    return error_wrap(error, code, "give '%s' its state file", run->id);
}

/* ---- in ---- */

int run_file_take(struct run *run, struct buf *ret_state, int *ret_changed, struct hf_error *error) {
    BUF_AUTO struct buf bytes;
    buf_init(&bytes);
    int code = file_read(run->os, AT_FDCWD, run->path, HF_STATE_BYTES_MAX, &bytes, error);
    if (code == HF_ERR_NOT_FOUND && !run->has_state) {
        error_clear(error);
        *ret_changed = 0;
        return 0;
    }
    if (code == HF_ERR_NOT_FOUND) {
        error_set(error, HF_ERR_BAD_DATA, "the command removed its state file");
        return error_hint(error, "to begin anew: holdfast state clear %s", run->name);
    }
    if (code == 0 && run->has_state && bytes.size == run->state.size &&
        memcmp(buf_text(&bytes), buf_text(&run->state), bytes.size) == 0) {
        *ret_changed = 0;
        return 0;
    }
    if (code == 0)
        code = run_check_state(run->has_state ? &run->state : NULL, &bytes, error);
    if (code != 0)
        return code;
    *ret_changed = 1;
    buf_fini(ret_state);
    *ret_state = bytes;
    buf_init(&bytes);
    return 0;
}

/* A file that a person named stays, and is then the state. */
void run_file_remove(struct run *run, int is_taken) {
    int stays = run->path && run->kept_at && strcmp(run->kept_at, run->path) == 0;
    if (run->folder && !stays)
        run_remove_tree(run->os, AT_FDCWD, run->folder);
    if (!run->named_file || !run->path || is_taken || stays)
        return;
    if (run->has_state)
        (void)replace_named(run, NULL);
    else if (!run->was_there)
        (void)os_unlink(run->os, AT_FDCWD, run->path, 0);
}
