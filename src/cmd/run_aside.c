/* States that were not taken, in DATA/runs/rejected/NAME@FENCE (a second one: NAME@FENCE.2), the newest of each name.
 *
 * Invariants
 *  1. What is kept is renamed or written whole, and synced, before it is told of.
 *  2. A state that was just refused is never the one that has to go. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

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
    char entry[NAME_MAX + 1];
    int count;
};

/* NAME@7, or NAME@7.2. */
static int number_of_entry(const char *entry, const char *name, uint64_t *ret_number) {
    char id[NAME_MAX + 1];
    size_t bytes = strlen(name);
    snprintf(id, sizeof id, "%s", entry);
    if (strncmp(id, name, bytes) == 0)
        id[bytes + strcspn(id + bytes, ".")] = '\0';
    return run_number_of(id, name, ret_number);
}

static int look_at_entry(void *arg, const char *name, unsigned char d_type) {
    struct oldest *oldest = arg;
    uint64_t number;
    (void)d_type;
    if (number_of_entry(name, oldest->name, &number) != 0)
        return 0;
    oldest->count++;
    if (number < oldest->number) {
        oldest->number = number;
        snprintf(oldest->entry, sizeof oldest->entry, "%s", name);
    }
    return 0;
}

/* A command that goes wrong each minute must not fill the disk. */
static void remove_oldest(struct run *run, int fd) {
    struct oldest oldest = {.name = run->name, .number = UINT64_MAX};
    if (os_list(run->os, fd, look_at_entry, &oldest) != 0 || oldest.count <= KEPT_MAX)
        return;
    if (os_unlink(run->os, fd, oldest.entry, 0) == -EISDIR)
        run_remove_tree(run->os, fd, oldest.entry);
}

/* ---- keeping ---- */

/* A run may keep what stood in a named file, and then what its command left: neither goes for the other. */
static const char *next_name(struct run *run) {
    return run->kept_count == 0 ? run->id : arena_printf(&run->arena, "%s.%d", run->id, run->kept_count + 1);
}

static void was_kept(struct run *run, int fd, const char *name) {
    run->kept_count++;
    remove_oldest(run, fd);
    run->kept_at = arena_printf(&run->arena, "%s/runs/" REJECTED "/%s", run->invocation->globals.data_dir, name);
}

void run_keep_aside(struct run *run, const void *bytes, size_t size) {
    int fd;
    const char *name = next_name(run);
    if (!name || open_rejected(run, &fd, NULL) != 0)
        return;
    if (file_replace(run->os, fd, name, bytes, size, FILE_MODE, NULL) == 0)
        was_kept(run, fd, name);
    (void)os_close(run->os, fd);
}

/* The run's own file needs no room on the disk to be kept: it is renamed, whatever it has become. */
static void move_aside(struct run *run) {
    int rejected, file;
    const char *name = next_name(run);
    if (!name || open_rejected(run, &rejected, NULL) != 0)
        return;
    file = os_open(run->os, AT_FDCWD, run->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
    if (file >= 0) {
        (void)OS_AGAIN(os_fsync(run->os, file));
        (void)os_close(run->os, file);
    }
    int result = os_rename(run->os, AT_FDCWD, run->path, rejected, name, 0);
    if (result == 0) {
        (void)file_sync_folder(run->os, rejected, NULL);
        was_kept(run, rejected, name);
    }
    (void)os_close(run->os, rejected);
}

/* A file that a person named stays where it is, but one that is too large for a copy, and for the next run. */
static void copy_aside(struct run *run) {
    BUF_AUTO struct buf bytes;
    buf_init(&bytes);
    int code = file_read(run->os, AT_FDCWD, run->path, HF_STATE_BYTES_MAX, &bytes, NULL);
    if (code == 0)
        run_keep_aside(run, bytes.data, bytes.size);
    else if (code == HF_ERR_TOO_LARGE)
        move_aside(run);
    if (!run->kept_at)
        run->kept_at = run->path; /* it stays where it is */
}

/* It can be moved nowhere: then its folder stays, under a name that the next run does not clear away. */
static void keep_in_place(struct run *run) {
    const char *folder = arena_printf(&run->arena, "%s.kept", run->folder);
    const char *path = arena_printf(&run->arena, "%s/state", folder ? folder : "");
    int is_renamed = folder && path && os_rename(run->os, AT_FDCWD, run->folder, AT_FDCWD, folder, 0) == 0;
    run->kept_at = is_renamed ? path : run->path;
}

void run_file_reject(struct run *run) {
    struct stat stat;
    if (!run->path || os_stat_at(run->os, AT_FDCWD, run->path, &stat) == -ENOENT)
        return;
    if (run->named_file)
        copy_aside(run);
    else
        move_aside(run);
    if (!run->kept_at)
        keep_in_place(run);
}
