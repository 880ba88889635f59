/* Processes, paths and names on a simulated disk. */
#include "sim/sim_os.h"

#include "base/mem.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
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

static const struct sim_entry *entry_of(const struct sim_inode *folder, uint32_t inode) {
    for (size_t i = 0; folder && i < folder->entry_count; i++)
        if (folder->entries[i].inode == inode)
            return &folder->entries[i];
    return NULL;
}

static char *joined(char *front, const char *name, const char *back) {
    size_t front_bytes = strlen(front), bytes = front_bytes + strlen(name) + strlen(back) + 1;
    char *path = sim_grow(front, bytes, 1);
    snprintf(path + front_bytes, bytes - front_bytes, "%s%s", name, back);
    return path;
}

/* A folder's path, found upwards from it; "?/" when it was removed. */
static char *folder_path(const struct sim_image *image, uint32_t folder) {
    if (folder == SIM_ROOT)
        return sim_strdup("/");
    for (uint32_t i = 1; i < image->count; i++) {
        const struct sim_inode *inode = sim_image_inode(image, i);
        const struct sim_entry *entry = inode && S_ISDIR(inode->mode) ? entry_of(inode, folder) : NULL;
        if (entry)
            return joined(folder_path(image, i), entry->name, "/");
    }
    return sim_strdup("?/");
}

char *sim_os_path(const struct sim_disk *disk, const struct sim_place *place) {
    if (S_ISDIR(sim_image_inode(&disk->image, place->inode)->mode))
        return folder_path(&disk->image, place->inode);
    return joined(folder_path(&disk->image, place->folder), place->name, "");
}

/* ---- names ------------------------------------------------------------------------------------------------------- */

void sim_os_note_entry(struct sim_disk *disk, const struct sim_place *place, uint32_t inode, mode_t new_mode) {
    sim_image_set_entry(&disk->image, place->folder, place->name, inode);
    sim_image_touch(&disk->image, place->folder, SIM_MODIFIED, disk->now_ns);
    sim_image_touch(&disk->image, inode, new_mode ? SIM_MODIFIED : SIM_CHANGED, disk->now_ns);
    struct sim_op *op = sim_disk_note(disk, SIM_SET_ENTRY, place->folder, place->name);
    if (!op)
        return;
    op->target = inode;
    op->name = sim_strdup(place->name);
    op->new_mode = new_mode;
}

void sim_os_drop(struct sim_disk *disk, uint32_t inode) {
    if (sim_image_names(&disk->image, inode) == 1)
        disk->used_bytes -= sim_image_inode(&disk->image, inode)->size;
}

int sim_os_create(struct sim_disk *disk, struct sim_place *place, mode_t mode) {
    if (disk->read_only)
        return -EROFS;
    place->inode = sim_image_new_inode(&disk->image, mode);
    sim_os_note_entry(disk, place, place->inode, mode);
    return 0;
}
