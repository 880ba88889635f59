/* The table of a simulated disk. Invariants:
 * 1. Every change of disk->image is noted as one operation, in the order in which it happened.
 * 2. A lock belongs to one open file and goes with it. */
#include "sim/sim_disk_inside.h"

#include "base/mem.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

enum { FIRST_FD = 3 };

static struct sim_process *enter(const struct os *os) {
    struct sim_process *process = os->context;
    pthread_mutex_lock(&process->disk->mutex);
    if (process->disk->record)
        sim_disk_notice_maps(process->disk, 0);
    process->disk->now_ns += 1000;
    return process;
}

static int leave(struct sim_process *process, int result) {
    pthread_mutex_unlock(&process->disk->mutex);
    return result;
}

static struct sim_file *file_of(struct sim_process *process, int fd) {
    return fd >= 0 && (size_t)fd < process->file_count ? process->files[fd] : NULL;
}

static mode_t mode_of(struct sim_disk *disk, uint32_t inode) {
    return sim_image_inode(&disk->image, inode)->mode;
}

/* ---- paths ------------------------------------------------------------------------------------------------------- */

/* Where a path ends: the folder, the last name in it, and what that names now (0: nothing). */
struct place {
    uint32_t folder, inode;
    char name[256];
};

/* Takes the next component off *path into name; 0 at the end. */
static int next_name(const char **path, char name[256]) {
    while (**path == '/')
        (*path)++;
    size_t bytes = strcspn(*path, "/");
    if (bytes > 255)
        return -ENAMETOOLONG;
    memcpy(name, *path, bytes);
    name[bytes] = '\0';
    *path += bytes;
    return bytes != 0;
}

static int walk_start(struct sim_process *process, int dir_fd, const char *path, uint32_t *ret_folder) {
    *ret_folder = SIM_ROOT;
    if (path[0] == '/' || dir_fd == AT_FDCWD)
        return 0;
    const struct sim_file *folder = file_of(process, dir_fd);
    if (!folder)
        return -EBADF;
    *ret_folder = folder->inode;
    return S_ISDIR(mode_of(process->disk, folder->inode)) ? 0 : -ENOTDIR;
}

static int walk(struct sim_process *process, int dir_fd, const char *path, struct place *ret_place) {
    struct place place = {0};
    struct sim_disk *disk = process->disk;
    if (process->killed)
        return -EIO;
    if (!path[0])
        return -ENOENT;
    int got = walk_start(process, dir_fd, path, &place.folder);
    if (got < 0)
        return got;
    place.inode = place.folder;
    char name[256];
    while ((got = next_name(&path, name)) > 0) {
        if (strcmp(name, ".") == 0)
            continue;
        if (strcmp(name, "..") == 0)
            return -ENOTSUP;
        if (!place.inode)
            return -ENOENT;
        if (!S_ISDIR(mode_of(disk, place.inode)))
            return -ENOTDIR;
        place.folder = place.inode;
        memcpy(place.name, name, sizeof name);
        place.inode = sim_image_find(&disk->image, place.folder, name);
    }
    if (got == 0)
        *ret_place = place;
    return got;
}

/* ---- files ------------------------------------------------------------------------------------------------------- */

static int new_fd(struct sim_process *process, uint32_t inode, int flags, const char *path) {
    size_t fd = FIRST_FD;
    while (fd < process->file_count && process->files[fd])
        fd++;
    if (fd >= process->file_count) {
        process->files = sim_grow(process->files, fd + 8, sizeof(struct sim_file *));
        memset(process->files + process->file_count, 0, (fd + 8 - process->file_count) * sizeof(struct sim_file *));
        process->file_count = fd + 8;
    }
    struct sim_file *file = sim_alloc(sizeof *file);
    file->inode = inode;
    file->flags = flags;
    file->path = sim_strdup(path);
    process->files[fd] = file;
    return (int)fd;
}

static void note_entry(struct sim_disk *disk, const struct place *place, uint32_t inode, mode_t new_mode) {
    sim_image_set_entry(&disk->image, place->folder, place->name, inode);
    struct sim_op *op = sim_disk_note(disk, SIM_SET_ENTRY, place->folder, place->name);
    if (!op)
        return;
    op->target = inode;
    op->name = sim_strdup(place->name);
    op->new_mode = new_mode;
}

static int create(struct sim_disk *disk, struct place *place, mode_t mode) {
    if (disk->read_only)
        return -EROFS;
    place->inode = sim_image_new_inode(&disk->image, mode);
    note_entry(disk, place, place->inode, mode);
    return 0;
}

static void note_truncate(struct sim_disk *disk, uint32_t inode, off_t size, const char *path) {
    sim_disk_notice_maps(disk, inode);
    off_t old = sim_image_inode(&disk->image, inode)->size;
    if (old == size)
        return;
    disk->used_bytes += size - old;
    sim_image_truncate(&disk->image, inode, size);
    sim_disk_file_changed(disk, inode);
    struct sim_op *op = sim_disk_note(disk, SIM_TRUNCATE, inode, path);
    if (op)
        op->offset = size;
}

static int open_place(struct sim_process *process, struct place *place, int flags, mode_t mode, const char *path) {
    struct sim_disk *disk = process->disk;
    int writes = (flags & O_ACCMODE) != O_RDONLY;
    if (place->inode && (flags & O_CREAT) && (flags & O_EXCL))
        return -EEXIST;
    if (!place->inode) {
        int code = flags & O_CREAT ? create(disk, place, S_IFREG | (mode & 07777)) : -ENOENT;
        if (code != 0)
            return code;
    }
    int is_folder = S_ISDIR(mode_of(disk, place->inode));
    if ((flags & O_DIRECTORY) && !is_folder)
        return -ENOTDIR;
    if (writes && is_folder)
        return -EISDIR;
    if (writes && disk->read_only)
        return -EROFS;
    if ((flags & O_TRUNC) && writes)
        note_truncate(disk, place->inode, 0, path);
    return new_fd(process, place->inode, flags, is_folder ? "folder" : path);
}

static int os_sim_open(const struct os *os, int dir_fd, const char *path, int flags, mode_t mode) {
    struct sim_process *process = enter(os);
    struct place place;
    int code = walk(process, dir_fd, path, &place);
    return leave(process, code == 0 ? open_place(process, &place, flags, mode, path) : code);
}

static int os_sim_close(const struct os *os, int fd) {
    struct sim_process *process = enter(os);
    int code = file_of(process, fd) ? 0 : -EBADF;
    if (code == 0)
        sim_process_forget(process, fd);
    return leave(process, code);
}

static ssize_t file_pread(struct sim_process *process, struct sim_file *file, void *to, size_t bytes, off_t offset) {
    if (!file)
        return process->killed ? -EIO : -EBADF;
    if (S_ISDIR(mode_of(process->disk, file->inode)))
        return -EISDIR;
    sim_disk_notice_maps(process->disk, file->inode);
    return (ssize_t)sim_image_read(&process->disk->image, file->inode, to, bytes, offset);
}

static ssize_t os_sim_pread(const struct os *os, int fd, void *to, size_t bytes, off_t offset) {
    struct sim_process *process = enter(os);
    ssize_t got = file_pread(process, file_of(process, fd), to, bytes, offset);
    leave(process, 0);
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
    struct sim_process *process = enter(os);
    ssize_t put = file_pwrite(process, file_of(process, fd), from, bytes, offset);
    leave(process, 0);
    return put;
}

static ssize_t os_sim_read(const struct os *os, int fd, void *to, size_t bytes) {
    struct sim_process *process = enter(os);
    struct sim_file *file = file_of(process, fd);
    ssize_t got = file_pread(process, file, to, bytes, file ? file->position : 0);
    if (got > 0)
        file->position += got;
    leave(process, 0);
    return got;
}

static ssize_t os_sim_write(const struct os *os, int fd, const void *from, size_t bytes) {
    struct sim_process *process = enter(os);
    struct sim_file *file = file_of(process, fd);
    if (file && (file->flags & O_APPEND))
        file->position = sim_image_inode(&process->disk->image, file->inode)->size;
    ssize_t put = file_pwrite(process, file, from, bytes, file ? file->position : 0);
    if (put > 0)
        file->position += put;
    leave(process, 0);
    return put;
}

static int sync_file(const struct os *os, int fd, enum sim_op_kind kind) {
    struct sim_process *process = enter(os);
    struct sim_file *file = file_of(process, fd);
    if (!file)
        return leave(process, process->killed ? -EIO : -EBADF);
    if (!process->lying)
        sim_disk_note(process->disk, kind, file->inode, file->path);
    return leave(process, 0);
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
    struct sim_file *file = file_of(process, fd);
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
    struct sim_process *process = enter(os);
    return leave(process, change_size(process, fd, size, 0));
}

static int os_sim_allocate(const struct os *os, int fd, off_t offset, off_t bytes) {
    struct sim_process *process = enter(os);
    return leave(process, change_size(process, fd, offset + bytes, 1));
}

static void fill_stat(struct sim_disk *disk, uint32_t number, struct stat *ret_stat) {
    const struct sim_inode *inode = sim_image_inode(&disk->image, number);
    struct stat stat = {.st_dev = 77, .st_ino = number, .st_mode = inode->mode, .st_size = inode->size};
    stat.st_nlink = 1;
    stat.st_uid = disk->user;
    stat.st_blksize = SIM_PAGE;
    stat.st_blocks = (inode->size + SIM_SECTOR - 1) / SIM_SECTOR;
    *ret_stat = stat;
}

static int os_sim_fstat(const struct os *os, int fd, struct stat *ret_stat) {
    struct sim_process *process = enter(os);
    struct sim_file *file = file_of(process, fd);
    if (file)
        fill_stat(process->disk, file->inode, ret_stat);
    return leave(process, file ? 0 : process->killed ? -EIO : -EBADF);
}

static int os_sim_stat_at(const struct os *os, int dir_fd, const char *path, struct stat *ret_stat) {
    struct sim_process *process = enter(os);
    struct place place;
    int code = walk(process, dir_fd, path, &place);
    if (code == 0 && !place.inode)
        code = -ENOENT;
    if (code == 0)
        fill_stat(process->disk, place.inode, ret_stat);
    return leave(process, code);
}

/* ---- folders ----------------------------------------------------------------------------------------------------- */

static int rename_places(struct sim_disk *disk, const struct place *from, const struct place *to, unsigned flags) {
    int exchange = (flags & 2) != 0; /* RENAME_EXCHANGE; 1 is RENAME_NOREPLACE */
    if (!from->inode || (exchange && !to->inode))
        return -ENOENT;
    if ((flags & 1) && to->inode)
        return -EEXIST;
    if (disk->read_only)
        return -EROFS;
    if (from->inode == to->inode)
        return 0;
    sim_image_set_entry(&disk->image, to->folder, to->name, from->inode);
    if (exchange)
        sim_image_set_entry(&disk->image, from->folder, from->name, to->inode);
    else
        sim_image_remove_entry(&disk->image, from->folder, from->name);
    struct sim_op *op = sim_disk_note(disk, exchange ? SIM_EXCHANGE : SIM_RENAME, from->folder, to->name);
    if (!op)
        return 0;
    op->target = from->inode;
    op->replaced = to->inode;
    op->to_folder = to->folder;
    op->name = sim_strdup(from->name);
    op->to_name = sim_strdup(to->name);
    return 0;
}

static int os_sim_rename(const struct os *os, int from_dir, const char *from, int to_dir, const char *to,
                         unsigned flags) {
    struct sim_process *process = enter(os);
    struct place a, b;
    int code = walk(process, from_dir, from, &a);
    if (code == 0)
        code = walk(process, to_dir, to, &b);
    return leave(process, code == 0 ? rename_places(process->disk, &a, &b, flags) : code);
}

static int os_sim_link(const struct os *os, int from_dir, const char *from, int to_dir, const char *to) {
    struct sim_process *process = enter(os);
    struct place a, b;
    int code = walk(process, from_dir, from, &a);
    if (code == 0)
        code = walk(process, to_dir, to, &b);
    if (code == 0)
        code = !a.inode ? -ENOENT : b.inode ? -EEXIST : process->disk->read_only ? -EROFS : 0;
    if (code == 0)
        note_entry(process->disk, &b, a.inode, 0);
    return leave(process, code);
}

static int unlink_place(struct sim_disk *disk, const struct place *place, int flags) {
    if (!place->inode)
        return -ENOENT;
    if (disk->read_only)
        return -EROFS;
    const struct sim_inode *inode = sim_image_inode(&disk->image, place->inode);
    int is_folder = S_ISDIR(inode->mode), wants_folder = (flags & AT_REMOVEDIR) != 0;
    if (is_folder != wants_folder)
        return is_folder ? -EISDIR : -ENOTDIR;
    if (is_folder && inode->entry_count)
        return -ENOTEMPTY;
    disk->used_bytes -= inode->size;
    sim_image_remove_entry(&disk->image, place->folder, place->name);
    struct sim_op *op = sim_disk_note(disk, SIM_REMOVE_ENTRY, place->folder, place->name);
    if (op) {
        op->target = place->inode;
        op->name = sim_strdup(place->name);
    }
    return 0;
}

static int os_sim_unlink(const struct os *os, int dir_fd, const char *path, int flags) {
    struct sim_process *process = enter(os);
    struct place place;
    int code = walk(process, dir_fd, path, &place);
    return leave(process, code == 0 ? unlink_place(process->disk, &place, flags) : code);
}

static int os_sim_mkdir(const struct os *os, int dir_fd, const char *path, mode_t mode) {
    struct sim_process *process = enter(os);
    struct place place;
    int code = walk(process, dir_fd, path, &place);
    if (code == 0)
        code = place.inode ? -EEXIST : create(process->disk, &place, S_IFDIR | (mode & 07777));
    return leave(process, code);
}

struct listing {
    char *name;
    unsigned char type;
};

static int copy_listing(struct sim_process *process, int fd, struct listing **ret_list, size_t *ret_count) {
    struct sim_file *file = file_of(process, fd);
    if (!file)
        return process->killed ? -EIO : -EBADF;
    const struct sim_inode *folder = sim_image_inode(&process->disk->image, file->inode);
    if (!S_ISDIR(folder->mode))
        return -ENOTDIR;
    struct listing *list = sim_alloc((folder->entry_count + 1) * sizeof *list);
    for (size_t i = 0; i < folder->entry_count; i++) {
        list[i].name = sim_strdup(folder->entries[i].name);
        list[i].type = S_ISDIR(mode_of(process->disk, folder->entries[i].inode)) ? 4 : 8; /* DT_DIR, DT_REG */
    }
    *ret_list = list;
    *ret_count = folder->entry_count;
    return 0;
}

static int os_sim_list(const struct os *os, int fd, os_entry_visit visit, void *arg) {
    struct listing *list = NULL;
    size_t count = 0;
    struct sim_process *process = enter(os);
    int code = leave(process, copy_listing(process, fd, &list, &count));
    for (size_t i = 0; i < count; i++) { /* the visit may call us */
        if (code == 0)
            code = visit(arg, list[i].name, list[i].type);
        mem_free(list[i].name);
    }
    mem_free(list);
    return code;
}

/* ---- locks and maps ---------------------------------------------------------------------------------------------- */

static void add_lock(struct sim_disk *disk, struct sim_lock lock) {
    if (lock.start >= lock.end)
        return;
    if (disk->lock_count == disk->lock_room) {
        disk->lock_room = disk->lock_room ? disk->lock_room * 2 : 16;
        disk->locks = sim_grow(disk->locks, disk->lock_room, sizeof(struct sim_lock));
    }
    disk->locks[disk->lock_count++] = lock;
}

static int conflicts(const struct sim_disk *disk, const struct sim_lock *wanted) {
    for (size_t i = 0; i < disk->lock_count; i++) {
        const struct sim_lock *lock = &disk->locks[i];
        if (lock->inode == wanted->inode && lock->owner != wanted->owner && lock->start < wanted->end &&
            wanted->start < lock->end && (lock->kind == OS_LOCK_EXCLUSIVE || wanted->kind == OS_LOCK_EXCLUSIVE))
            return 1;
    }
    return 0;
}

/* What the owner held in the range goes; what stands out of it on either side stays. */
static void carve(struct sim_disk *disk, const struct sim_lock *range) {
    size_t count = disk->lock_count;
    for (size_t i = 0; i < count; i++) {
        struct sim_lock lock = disk->locks[i];
        if (lock.owner != range->owner || lock.inode != range->inode || lock.end <= range->start ||
            range->end <= lock.start)
            continue;
        struct sim_lock left = lock, right = lock;
        left.end = range->start;
        right.start = range->end;
        disk->locks[i].end = disk->locks[i].start = 0;
        add_lock(disk, left);
        add_lock(disk, right);
    }
    size_t kept = 0;
    for (size_t i = 0; i < disk->lock_count; i++)
        if (disk->locks[i].end > disk->locks[i].start)
            disk->locks[kept++] = disk->locks[i];
    disk->lock_count = kept;
}

static int os_sim_lock_range(const struct os *os, int fd, enum os_lock kind, off_t offset, off_t bytes) {
    struct sim_process *process = enter(os);
    struct sim_file *file = file_of(process, fd);
    if (!file)
        return leave(process, process->killed ? -EIO : -EBADF);
    struct sim_lock lock = {.owner = file, .inode = file->inode, .kind = kind, .start = offset};
    lock.end = bytes ? offset + bytes : INT64_MAX;
    if (kind != OS_LOCK_NONE && conflicts(process->disk, &lock))
        return leave(process, -EAGAIN);
    carve(process->disk, &lock);
    if (kind != OS_LOCK_NONE)
        add_lock(process->disk, lock);
    return leave(process, 0);
}

static int os_sim_lock_probe(const struct os *os, int fd, enum os_lock kind, off_t offset, off_t bytes) {
    struct sim_process *process = enter(os);
    struct sim_file *file = file_of(process, fd);
    if (!file)
        return leave(process, process->killed ? -EIO : -EBADF);
    struct sim_lock lock = {.owner = file, .inode = file->inode, .kind = kind, .start = offset};
    lock.end = bytes ? offset + bytes : INT64_MAX;
    return leave(process, conflicts(process->disk, &lock));
}

static struct sim_map *map_find(struct sim_disk *disk, uint32_t inode, off_t offset, size_t bytes) {
    for (size_t i = 0; i < disk->map_count; i++)
        if (disk->maps[i]->inode == inode && disk->maps[i]->offset == offset && disk->maps[i]->bytes == bytes)
            return disk->maps[i];
    struct sim_map *map = sim_alloc(sizeof *map);
    map->inode = inode;
    map->offset = offset;
    map->bytes = bytes;
    map->memory = sim_alloc(bytes);
    sim_image_read(&disk->image, inode, map->memory, bytes, offset);
    disk->maps = sim_grow(disk->maps, disk->map_count + 1, sizeof(struct sim_map *));
    disk->maps[disk->map_count++] = map;
    return map;
}

static int os_sim_map(const struct os *os, int fd, off_t offset, size_t bytes, int writable, void **ret_address) {
    (void)writable;
    struct sim_process *process = enter(os);
    struct sim_file *file = file_of(process, fd);
    if (!file)
        return leave(process, process->killed ? -EIO : -EBADF);
    sim_disk_notice_maps(process->disk, file->inode);
    struct sim_map *map = map_find(process->disk, file->inode, offset, bytes);
    map->uses++;
    *ret_address = map->memory;
    return leave(process, 0);
}

static void os_sim_unmap(const struct os *os, void *address, size_t bytes) {
    (void)bytes;
    struct sim_process *process = enter(os);
    struct sim_disk *disk = process->disk;
    for (size_t i = 0; i < disk->map_count; i++) {
        struct sim_map *map = disk->maps[i];
        if (map->memory != address || --map->uses)
            continue;
        sim_disk_notice_maps(disk, map->inode);
        mem_free(map->memory);
        mem_free(map);
        disk->maps[i] = disk->maps[--disk->map_count];
        break;
    }
    leave(process, 0);
}

/* ---- the rest ---------------------------------------------------------------------------------------------------- */

static int64_t os_sim_now_ns(const struct os *os, enum os_clock clock) {
    (void)clock;
    struct sim_process *process = enter(os);
    int64_t now_ns = process->disk->now_ns;
    leave(process, 0);
    return now_ns;
}

static void os_sim_sleep_ms(const struct os *os, int64_t ms) {
    struct sim_process *process = enter(os);
    process->disk->now_ns += ms * 1000000;
    leave(process, 0);
}

static int os_sim_random(const struct os *os, void *to, size_t bytes) {
    struct sim_process *process = enter(os);
    for (size_t i = 0; i < bytes; i++)
        ((uint8_t *)to)[i] = (uint8_t)sim_disk_random(process->disk);
    return leave(process, 0);
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
    .allocate = os_sim_allocate,
    .fstat = os_sim_fstat,
    .stat_at = os_sim_stat_at,
    .rename = os_sim_rename,
    .link = os_sim_link,
    .unlink = os_sim_unlink,
    .mkdir = os_sim_mkdir,
    .list = os_sim_list,
    .lock_range = os_sim_lock_range,
    .lock_probe = os_sim_lock_probe,
    .map = os_sim_map,
    .unmap = os_sim_unmap,
    .now_ns = os_sim_now_ns,
    .sleep_ms = os_sim_sleep_ms,
    .random = os_sim_random,
    .spawn = os_sim_spawn,
    .pidfd_open = os_sim_pidfd_open,
    .pidfd_signal = os_sim_signal,
    .group_signal = os_sim_signal,
    .reap = os_sim_reap,
};
