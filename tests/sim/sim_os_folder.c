/* Folders of a simulated disk. */
#include "sim/sim_os.h"

#include "base/mem.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

/* What may not take the place of what. */
static int may_replace(const struct sim_disk *disk, uint32_t from, uint32_t to) {
    const struct sim_inode *target = to ? sim_image_inode(&disk->image, to) : NULL;
    int is_folder = S_ISDIR(sim_image_inode(&disk->image, from)->mode);
    if (!target || (is_folder && S_ISDIR(target->mode) && !target->entry_count))
        return 0;
    if (S_ISDIR(target->mode))
        return is_folder ? -ENOTEMPTY : -EISDIR;
    return is_folder ? -ENOTDIR : 0;
}

static void rename_now(struct sim_disk *disk, const struct sim_place *from, const struct sim_place *to, int exchange) {
    struct sim_image *image = &disk->image;
    if (to->inode && !exchange)
        sim_os_drop(disk, to->inode);
    sim_image_set_entry(image, to->folder, to->name, from->inode);
    if (exchange)
        sim_image_set_entry(image, from->folder, from->name, to->inode);
    else
        sim_image_remove_entry(image, from->folder, from->name);
    sim_image_touch(image, from->folder, SIM_MODIFIED, disk->now_ns);
    sim_image_touch(image, to->folder, SIM_MODIFIED, disk->now_ns);
    sim_image_touch(image, from->inode, SIM_CHANGED, disk->now_ns);
    if (to->inode)
        sim_image_touch(image, to->inode, SIM_CHANGED, disk->now_ns);
}

static int rename_places(struct sim_disk *disk, const struct sim_place *from, const struct sim_place *to,
                         unsigned flags) {
    int exchange = (flags & 2) != 0; /* RENAME_EXCHANGE; 1 is RENAME_NOREPLACE */
    if (!from->inode || (exchange && !to->inode))
        return -ENOENT;
    if ((flags & 1) && to->inode)
        return -EEXIST;
    if (disk->read_only)
        return -EROFS;
    if (from->inode == to->inode)
        return 0;
    int code = exchange ? 0 : may_replace(disk, from->inode, to->inode);
    if (code != 0)
        return code;
    rename_now(disk, from, to, exchange);
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

int sim_os_rename(const struct os *os, int from_dir, const char *from, int to_dir, const char *to, unsigned flags) {
    struct sim_process *process = sim_os_enter(os);
    struct sim_place a, b;
    int code = sim_os_walk(process, from_dir, from, &a);
    if (code == 0)
        code = sim_os_walk(process, to_dir, to, &b);
    return sim_os_leave(process, code == 0 ? rename_places(process->disk, &a, &b, flags) : code);
}

int sim_os_link(const struct os *os, int from_dir, const char *from, int to_dir, const char *to) {
    struct sim_process *process = sim_os_enter(os);
    struct sim_place a, b;
    int code = sim_os_walk(process, from_dir, from, &a);
    if (code == 0)
        code = sim_os_walk(process, to_dir, to, &b);
    if (code == 0)
        code = !a.inode ? -ENOENT : b.inode ? -EEXIST : process->disk->read_only ? -EROFS : 0;
    if (code == 0)
        sim_os_note_entry(process->disk, &b, a.inode, 0);
    return sim_os_leave(process, code);
}

static int unlink_place(struct sim_disk *disk, const struct sim_place *place, int flags) {
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
    sim_os_drop(disk, place->inode);
    sim_image_remove_entry(&disk->image, place->folder, place->name);
    sim_image_touch(&disk->image, place->folder, SIM_MODIFIED, disk->now_ns);
    sim_image_touch(&disk->image, place->inode, SIM_CHANGED, disk->now_ns);
    struct sim_op *op = sim_disk_note(disk, SIM_REMOVE_ENTRY, place->folder, place->name);
    if (op) {
        op->target = place->inode;
        op->name = sim_strdup(place->name);
    }
    return 0;
}

int sim_os_unlink(const struct os *os, int dir_fd, const char *path, int flags) {
    struct sim_process *process = sim_os_enter(os);
    struct sim_place place;
    int code = sim_os_walk(process, dir_fd, path, &place);
    return sim_os_leave(process, code == 0 ? unlink_place(process->disk, &place, flags) : code);
}

int sim_os_mkdir(const struct os *os, int dir_fd, const char *path, mode_t mode) {
    struct sim_process *process = sim_os_enter(os);
    struct sim_place place;
    int code = sim_os_walk(process, dir_fd, path, &place);
    if (code == 0)
        code = place.inode ? -EEXIST : sim_os_create(process->disk, &place, S_IFDIR | (mode & 07777));
    return sim_os_leave(process, code);
}

struct listing {
    char *name;
    unsigned char type;
};

static int copy_listing(struct sim_process *process, int fd, struct listing **ret_list, size_t *ret_count) {
    struct sim_file *file = sim_os_file(process, fd);
    if (!file)
        return process->killed ? -EIO : -EBADF;
    const struct sim_inode *folder = sim_image_inode(&process->disk->image, file->inode);
    if (!S_ISDIR(folder->mode))
        return -ENOTDIR;
    struct listing *list = sim_alloc((folder->entry_count + 1) * sizeof *list);
    for (size_t i = 0; i < folder->entry_count; i++) {
        list[i].name = sim_strdup(folder->entries[i].name);
        list[i].type = S_ISDIR(sim_os_mode(process->disk, folder->entries[i].inode)) ? 4 : 8; /* DT_DIR, DT_REG */
    }
    *ret_list = list;
    *ret_count = folder->entry_count;
    return 0;
}

int sim_os_list(const struct os *os, int fd, os_entry_visit visit, void *arg) {
    struct listing *list = NULL;
    size_t count = 0;
    struct sim_process *process = sim_os_enter(os);
    int code = sim_os_leave(process, copy_listing(process, fd, &list, &count));
    for (size_t i = 0; i < count; i++) { /* the visit may call us */
        if (code == 0)
            code = visit(arg, list[i].name, list[i].type);
        mem_free(list[i].name);
    }
    mem_free(list);
    return code;
}
