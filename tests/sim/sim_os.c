/* The table of a simulated disk, and its files.
 * Invariant: every change of disk->image is noted as one operation, in the order in which it happened. */
#include "sim/sim_os.h"

#include "base/mem.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

enum { FIRST_FD = 3 };

/* ---- files ------------------------------------------------------------------------------------------------------- */

static int new_fd(struct sim_process *process, const struct sim_place *place, int flags) {
    size_t fd = FIRST_FD;
    while (fd < process->file_count && process->files[fd])
        fd++;
    if (fd >= process->file_count) {
        process->files = sim_grow(process->files, fd + 8, sizeof(struct sim_file *));
        memset(process->files + process->file_count, 0, (fd + 8 - process->file_count) * sizeof(struct sim_file *));
        process->file_count = fd + 8;
    }
    struct sim_file *file = sim_alloc(sizeof *file);
    file->inode = place->inode;
    file->flags = flags;
    file->path = sim_os_path(process->disk, place);
    process->files[fd] = file;
    return (int)fd;
}

static void note_truncate(struct sim_disk *disk, uint32_t inode, off_t size, const char *path) {
    sim_disk_notice_maps(disk, inode);
    off_t old = sim_image_inode(&disk->image, inode)->size;
    if (old == size)
        return;
    disk->used_bytes += size - old;
    sim_image_truncate(&disk->image, inode, size);
    sim_image_touch(&disk->image, inode, SIM_MODIFIED, disk->now_ns);
    sim_disk_file_changed(disk, inode);
    struct sim_op *op = sim_disk_note(disk, SIM_TRUNCATE, inode, path);
    if (op)
        op->offset = size;
}

static int open_place(struct sim_process *process, struct sim_place *place, int flags, mode_t mode, const char *path) {
    struct sim_disk *disk = process->disk;
    int writes = (flags & O_ACCMODE) != O_RDONLY;
    if (place->inode && (flags & O_CREAT) && (flags & O_EXCL))
        return -EEXIST;
    if (!place->inode) {
        int code = flags & O_CREAT ? sim_os_create(disk, place, S_IFREG | (mode & 07777)) : -ENOENT;
        if (code != 0)
            return code;
    }
    int is_folder = S_ISDIR(sim_os_mode(disk, place->inode));
    if ((flags & O_DIRECTORY) && !is_folder)
        return -ENOTDIR;
    if (writes && is_folder)
        return -EISDIR;
    if (writes && disk->read_only)
        return -EROFS;
    if ((flags & O_TRUNC) && writes)
        note_truncate(disk, place->inode, 0, path);
    return new_fd(process, place, flags);
}

static int os_sim_open(const struct os *os, int dir_fd, const char *path, int flags, mode_t mode) {
    struct sim_process *process = sim_os_enter(os);
    struct sim_place place;
    int code = sim_os_walk(process, dir_fd, path, &place);
    return sim_os_leave(process, code == 0 ? open_place(process, &place, flags, mode, path) : code);
}

static int os_sim_close(const struct os *os, int fd) {
    struct sim_process *process = sim_os_enter(os);
    int code = sim_os_file(process, fd) ? 0 : -EBADF;
    if (code == 0)
        sim_process_forget(process, fd);
    return sim_os_leave(process, code);
}

static ssize_t file_pread(struct sim_process *process, struct sim_file *file, void *to, size_t bytes, off_t offset) {
    if (!file)
        return process->killed ? -EIO : -EBADF;
    if (S_ISDIR(sim_os_mode(process->disk, file->inode)))
        return -EISDIR;
    sim_disk_notice_maps(process->disk, file->inode);
    return (ssize_t)sim_image_read(&process->disk->image, file->inode, to, bytes, offset);
}

static ssize_t os_sim_pread(const struct os *os, int fd, void *to, size_t bytes, off_t offset) {
    struct sim_process *process = sim_os_enter(os);
    ssize_t got = file_pread(process, sim_os_file(process, fd), to, bytes, offset);
    sim_os_leave(process, 0);
    return got;
}

static int is_zeros(const void *bytes, size_t count) {
    const uint8_t *at = bytes;
    return count == 0 || (at[0] == 0 && memcmp(at, at + 1, count - 1) == 0);
}

static ssize_t file_pwrite(struct sim_process *process, struct sim_file *file, const void *from, size_t bytes,
                           off_t offset) {
    struct sim_disk *disk = process->disk;
    if (!file || (file->flags & O_ACCMODE) == O_RDONLY)
        return process->killed ? -EIO : -EBADF;
    if (disk->read_only)
        return -EROFS;
    sim_disk_notice_maps(disk, file->inode);
    off_t more = offset + (off_t)bytes - sim_image_inode(&disk->image, file->inode)->size;
    if (more > 0 && disk->room_bytes && disk->used_bytes + more > disk->room_bytes)
        return -ENOSPC;
    disk->used_bytes += more > 0 ? more : 0;
    if (is_zeros(from, bytes))
        from = NULL;
    sim_image_write(&disk->image, file->inode, from, bytes, offset);
    sim_image_touch(&disk->image, file->inode, SIM_MODIFIED, disk->now_ns);
    sim_disk_file_changed(disk, file->inode);
    struct sim_op *op = sim_disk_note(disk, SIM_WRITE, file->inode, file->path);
    if (!op)
        return (ssize_t)bytes;
    op->offset = offset;
    op->bytes = bytes;
    if (from) {
        op->data = sim_grow(NULL, bytes, 1);
        memcpy(op->data, from, bytes);
    }
    return (ssize_t)bytes;
}

static ssize_t os_sim_pwrite(const struct os *os, int fd, const void *from, size_t bytes, off_t offset) {
    struct sim_process *process = sim_os_enter(os);
    ssize_t put = file_pwrite(process, sim_os_file(process, fd), from, bytes, offset);
    sim_os_leave(process, 0);
    return put;
}

static ssize_t os_sim_read(const struct os *os, int fd, void *to, size_t bytes) {
    struct sim_process *process = sim_os_enter(os);
    struct sim_file *file = sim_os_file(process, fd);
    ssize_t got = file_pread(process, file, to, bytes, file ? file->position : 0);
    if (got > 0)
        file->position += got;
    sim_os_leave(process, 0);
    return got;
}

static ssize_t os_sim_write(const struct os *os, int fd, const void *from, size_t bytes) {
    struct sim_process *process = sim_os_enter(os);
    struct sim_file *file = sim_os_file(process, fd);
    if (file && (file->flags & O_APPEND))
        file->position = sim_image_inode(&process->disk->image, file->inode)->size;
    ssize_t put = file_pwrite(process, file, from, bytes, file ? file->position : 0);
    if (put > 0)
        file->position += put;
    sim_os_leave(process, 0);
    return put;
}

static int sync_file(const struct os *os, int fd, enum sim_op_kind kind) {
    struct sim_process *process = sim_os_enter(os);
    struct sim_file *file = sim_os_file(process, fd);
    if (!file)
        return sim_os_leave(process, process->killed ? -EIO : -EBADF);
    if (process->syncs_to_live && --process->syncs_to_live == 0) {
        sim_process_die(process);
        return sim_os_leave(process, -EIO);
    }
    if (!process->lying)
        sim_disk_note(process->disk, kind, file->inode, file->path);
    return sim_os_leave(process, 0);
}

static int os_sim_fsync(const struct os *os, int fd) {
    return sync_file(os, fd, SIM_FSYNC);
}

static int os_sim_fdatasync(const struct os *os, int fd) {
    return sync_file(os, fd, SIM_FDATASYNC);
}

static int os_sim_syncfs(const struct os *os, int fd) {
    return sync_file(os, fd, SIM_SYNCFS);
}

static int change_size(struct sim_process *process, int fd, off_t size, int only_grow) {
    struct sim_disk *disk = process->disk;
    struct sim_file *file = sim_os_file(process, fd);
    if (!file || (file->flags & O_ACCMODE) == O_RDONLY)
        return process->killed ? -EIO : -EBADF;
    if (disk->read_only)
        return -EROFS;
    off_t old = sim_image_inode(&disk->image, file->inode)->size;
    if (only_grow && size <= old)
        return 0;
    if (only_grow && disk->room_bytes && disk->used_bytes + size - old > disk->room_bytes)
        return -ENOSPC;
    note_truncate(disk, file->inode, size, file->path);
    return 0;
}

static int os_sim_truncate(const struct os *os, int fd, off_t size) {
    struct sim_process *process = sim_os_enter(os);
    return sim_os_leave(process, change_size(process, fd, size, 0));
}

/* Permissions are not simulated. */
static int os_sim_chmod(const struct os *os, int fd, mode_t mode) {
    struct sim_process *process = sim_os_enter(os);
    (void)mode;
    return sim_os_leave(process, sim_os_file(process, fd) ? 0 : process->killed ? -EIO : -EBADF);
}

static int os_sim_allocate(const struct os *os, int fd, off_t offset, off_t bytes) {
    struct sim_process *process = sim_os_enter(os);
    return sim_os_leave(process, change_size(process, fd, offset + bytes, 1));
}

static struct timespec time_of(int64_t ns) {
    return (struct timespec){.tv_sec = ns / 1000000000, .tv_nsec = (long)(ns % 1000000000)};
}

static void fill_stat(struct sim_disk *disk, uint32_t number, struct stat *ret_stat) {
    const struct sim_inode *inode = sim_image_inode(&disk->image, number);
    struct stat stat = {.st_dev = 77, .st_ino = number, .st_mode = inode->mode, .st_size = inode->size};
    stat.st_nlink = S_ISDIR(inode->mode) ? 2 : sim_image_names(&disk->image, number);
    stat.st_mtim = stat.st_atim = time_of(inode->modified_ns);
    stat.st_ctim = time_of(inode->changed_ns);
    stat.st_uid = disk->user;
    stat.st_blksize = SIM_PAGE;
    stat.st_blocks = (inode->size + SIM_SECTOR - 1) / SIM_SECTOR;
    *ret_stat = stat;
}

static int os_sim_fstat(const struct os *os, int fd, struct stat *ret_stat) {
    struct sim_process *process = sim_os_enter(os);
    struct sim_file *file = sim_os_file(process, fd);
    if (file)
        fill_stat(process->disk, file->inode, ret_stat);
    return sim_os_leave(process, file ? 0 : process->killed ? -EIO : -EBADF);
}

static int os_sim_stat_at(const struct os *os, int dir_fd, const char *path, struct stat *ret_stat) {
    struct sim_process *process = sim_os_enter(os);
    struct sim_place place;
    int code = sim_os_walk(process, dir_fd, path, &place);
    if (code == 0 && !place.inode)
        code = -ENOENT;
    if (code == 0)
        fill_stat(process->disk, place.inode, ret_stat);
    return sim_os_leave(process, code);
}

/* ---- the rest ---------------------------------------------------------------------------------------------------- */

static int64_t os_sim_now_ns(const struct os *os, enum os_clock clock) {
    (void)clock;
    struct sim_process *process = sim_os_enter(os);
    int64_t now_ns = process->disk->now_ns;
    sim_os_leave(process, 0);
    return now_ns;
}

static void os_sim_sleep_ms(const struct os *os, int64_t ms) {
    struct sim_process *process = sim_os_enter(os);
    process->disk->now_ns += ms * 1000000;
    sim_os_leave(process, 0);
}

static int os_sim_random(const struct os *os, void *to, size_t bytes) {
    struct sim_process *process = sim_os_enter(os);
    for (size_t i = 0; i < bytes; i++)
        ((uint8_t *)to)[i] = (uint8_t)sim_disk_random(process->disk);
    return sim_os_leave(process, 0);
}

static int os_sim_spawn(const struct os *os, const struct os_spawn *spawn, struct os_child *ret_child) {
    (void)os, (void)spawn, (void)ret_child;
    return -ENOSYS;
}

static int os_sim_pidfd_open(const struct os *os, pid_t pid) {
    (void)os, (void)pid;
    return -ENOSYS;
}

static int os_sim_signal(const struct os *os, int target, int signal) {
    (void)os, (void)target, (void)signal;
    return -ENOSYS;
}

static int os_sim_reap(const struct os *os, int pidfd, int *ret_wait_status) {
    (void)os, (void)pidfd, (void)ret_wait_status;
    return -ENOSYS;
}

const struct os_ops sim_os_ops = {
    .open = os_sim_open,
    .open_beneath = os_sim_open, /* ".." is refused, and there are no links */
    .close = os_sim_close,
    .pread = os_sim_pread,
    .pwrite = os_sim_pwrite,
    .read = os_sim_read,
    .write = os_sim_write,
    .fsync = os_sim_fsync,
    .fdatasync = os_sim_fdatasync,
    .syncfs = os_sim_syncfs,
    .truncate = os_sim_truncate,
    .chmod = os_sim_chmod,
    .allocate = os_sim_allocate,
    .fstat = os_sim_fstat,
    .stat_at = os_sim_stat_at,
    .rename = sim_os_rename,
    .link = sim_os_link,
    .unlink = sim_os_unlink,
    .mkdir = sim_os_mkdir,
    .list = sim_os_list,
    .lock_range = sim_os_lock_range,
    .lock_probe = sim_os_lock_probe,
    .map = sim_os_map,
    .unmap = sim_os_unmap,
    .now_ns = os_sim_now_ns,
    .sleep_ms = os_sim_sleep_ms,
    .random = os_sim_random,
    .spawn = os_sim_spawn,
    .pidfd_open = os_sim_pidfd_open,
    .pidfd_signal = os_sim_signal,
    .group_signal = os_sim_signal,
    .reap = os_sim_reap,
};
