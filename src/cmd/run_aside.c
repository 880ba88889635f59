/* States that were not taken, in DATA/runs/rejected/NAME@FENCE, the newest of each name.
 *
 * Invariants
 *  1. What is kept is renamed or written whole, and synced, before it is told of.
 *  2. A state that was just refused is never the one that has to go. */
#include <errno.h>
#include <fcntl.h>

#include "cmd/run.h"
#include "os/file.h"

enum { FOLDER_MODE = 0700, FILE_MODE = 0600, KEPT_MAX = 20 };
#define REJECTED "rejected"

static int open_rejected(struct run *run, int *ret_fd, struct hf_error *error) {
    const char *path = arena_printf(&run->arena, "%s/runs/" REJECTED, run->invocation->globals.data_dir);
    if (!path)
        return error_no_memory(error);
    int code = file_make_folders(run->os, path, FOLDER_MODE, error);
    return code == 0 ? file_open_folder(run->os, AT_FDCWD, path, ret_fd, error) : code;
}

/* ---- not for ever ---- */

struct oldest {
    const char *name;
    uint64_t number; /* of the oldest; UINT64_MAX: none */
    int count;
};

static int look_at_entry(void *arg, const char *name, unsigned char d_type) {
    struct oldest *oldest = arg;
    uint64_t number;
    (void)d_type;
    if (run_number_of(name, oldest->name, &number) != 0)
        return 0;
    oldest->count++;
    if (number < oldest->number)
        oldest->number = number;
    return 0;
}

/* A command that goes wrong each minute must not fill the disk. */
static void remove_oldest(struct run *run, int fd) {
    struct oldest oldest = {.name = run->name, .number = UINT64_MAX};
    if (os_list(run->os, fd, look_at_entry, &oldest) != 0 || oldest.count <= KEPT_MAX)
        return;
    const char *name = arena_printf(&run->arena, "%s@%llu", run->name, (unsigned long long)oldest.number);
    if (name)
        (void)os_unlink(run->os, fd, name, 0);
}

/* ---- keeping ---- */

static void was_kept(struct run *run, int fd) {
    remove_oldest(run, fd);
    run->kept_at = arena_printf(&run->arena, "%s/runs/" REJECTED "/%s", run->invocation->globals.data_dir, run->id);
}

void run_keep_aside(struct run *run, const void *bytes, size_t size) {
    int fd;
    if (open_rejected(run, &fd, NULL) != 0)
        return;
    if (file_replace(run->os, fd, run->id, bytes, size, FILE_MODE, NULL) == 0)
        was_kept(run, fd);
    (void)os_close(run->os, fd);
}

/* The run's own file needs no room on the disk to be kept: it is renamed, whatever it has become. */
static void move_aside(struct run *run) {
    int rejected, file;
    if (open_rejected(run, &rejected, NULL) != 0)
        return;
    file = os_open(run->os, AT_FDCWD, run->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
    if (file >= 0) {
        (void)OS_AGAIN(os_fsync(run->os, file));
        (void)os_close(run->os, file);
    }
    int result = os_rename(run->os, AT_FDCWD, run->path, rejected, run->id, 0);
    if (result == 0) {
        (void)file_sync_folder(run->os, rejected, NULL);
        was_kept(run, rejected);
    }
    (void)os_close(run->os, rejected);
}

static void copy_aside(struct run *run) {
    BUF_AUTO struct buf bytes;
    buf_init(&bytes);
    if (file_read(run->os, AT_FDCWD, run->path, SIZE_MAX / 2, &bytes, NULL) == 0)
        run_keep_aside(run, bytes.data, bytes.size);
    if (!run->kept_at)
        run->kept_at = run->path; /* it stays where it is */
}

void run_file_reject(struct run *run) {
    struct stat stat;
    if (!run->path || os_stat_at(run->os, AT_FDCWD, run->path, &stat) != 0)
        return;
    if (run->named_file)
        copy_aside(run);
    else
        move_aside(run);
}
