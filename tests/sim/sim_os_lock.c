/* Locks and maps of a simulated disk. A lock belongs to one open file and goes with it. */
#include "sim/sim_os.h"

#include "base/mem.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

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

int sim_os_lock_range(const struct os *os, int fd, enum os_lock kind, off_t offset, off_t bytes) {
    struct sim_process *process = sim_os_enter(os);
    struct sim_file *file = sim_os_file(process, fd);
    if (!file)
        return sim_os_leave(process, process->killed ? -EIO : -EBADF);
    struct sim_lock lock = {.owner = file, .inode = file->inode, .kind = kind, .start = offset};
    lock.end = bytes ? offset + bytes : INT64_MAX;
    if (kind != OS_LOCK_NONE && conflicts(process->disk, &lock))
        return sim_os_leave(process, -EAGAIN);
    carve(process->disk, &lock);
    if (kind != OS_LOCK_NONE)
        add_lock(process->disk, lock);
    return sim_os_leave(process, 0);
}

int sim_os_lock_probe(const struct os *os, int fd, enum os_lock kind, off_t offset, off_t bytes) {
    struct sim_process *process = sim_os_enter(os);
    struct sim_file *file = sim_os_file(process, fd);
    if (!file)
        return sim_os_leave(process, process->killed ? -EIO : -EBADF);
    struct sim_lock lock = {.owner = file, .inode = file->inode, .kind = kind, .start = offset};
    lock.end = bytes ? offset + bytes : INT64_MAX;
    return sim_os_leave(process, conflicts(process->disk, &lock));
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

int sim_os_map(const struct os *os, int fd, off_t offset, size_t bytes, int writable, void **ret_address) {
    (void)writable;
    struct sim_process *process = sim_os_enter(os);
    struct sim_file *file = sim_os_file(process, fd);
    if (!file)
        return sim_os_leave(process, process->killed ? -EIO : -EBADF);
    sim_disk_notice_maps(process->disk, file->inode);
    struct sim_map *map = map_find(process->disk, file->inode, offset, bytes);
    map->uses++;
    *ret_address = map->memory;
    return sim_os_leave(process, 0);
}

void sim_os_unmap(const struct os *os, void *address, size_t bytes) {
    (void)bytes;
    struct sim_process *process = sim_os_enter(os);
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
    sim_os_leave(process, 0);
}
