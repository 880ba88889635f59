/* Processes, paths and names on a simulated disk. */
#include "sim/sim_os.h"

#include "base/mem.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

struct sim_process *sim_os_enter(const struct os *os) {
    struct sim_process *process = os->context;
    pthread_mutex_lock(&process->disk->mutex);
    if (process->disk->record)
        sim_disk_notice_maps(process->disk, 0);
    process->disk->now_ns += 1000;
    return process;
}

int sim_os_leave(struct sim_process *process, int result) {
    pthread_mutex_unlock(&process->disk->mutex);
    return result;
}

struct sim_file *sim_os_file(struct sim_process *process, int fd) {
    return fd >= 0 && (size_t)fd < process->file_count ? process->files[fd] : NULL;
}

mode_t sim_os_mode(struct sim_disk *disk, uint32_t inode) {
    return sim_image_inode(&disk->image, inode)->mode;
}

/* ---- paths ------------------------------------------------------------------------------------------------------- */

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
    const struct sim_file *folder = sim_os_file(process, dir_fd);
    if (!folder)
        return -EBADF;
    *ret_folder = folder->inode;
    return S_ISDIR(sim_os_mode(process->disk, folder->inode)) ? 0 : -ENOTDIR;
}

int sim_os_walk(struct sim_process *process, int dir_fd, const char *path, struct sim_place *ret_place) {
    struct sim_place place = {0};
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
        if (!S_ISDIR(sim_os_mode(disk, place.inode)))
            return -ENOTDIR;
        place.folder = place.inode;
        memcpy(place.name, name, sizeof name);
        place.inode = sim_image_find(&disk->image, place.folder, name);
    }
    if (got == 0)
        *ret_place = place;
    return got;
}

/* ---- names --- */

void sim_os_note_entry(struct sim_disk *disk, const struct sim_place *place, uint32_t inode, mode_t new_mode) {
    sim_image_set_entry(&disk->image, place->folder, place->name, inode);
    struct sim_op *op = sim_disk_note(disk, SIM_SET_ENTRY, place->folder, place->name);
    if (!op)
        return;
    op->target = inode;
    op->name = sim_strdup(place->name);
    op->new_mode = new_mode;
}

int sim_os_create(struct sim_disk *disk, struct sim_place *place, mode_t mode) {
    if (disk->read_only)
        return -EROFS;
    place->inode = sim_image_new_inode(&disk->image, mode);
    sim_os_note_entry(disk, place, place->inode, mode);
    return 0;
}
