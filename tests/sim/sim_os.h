/* Between the parts of the table of a simulated disk. */
#ifndef HF_SIM_SIM_OS_H
#define HF_SIM_SIM_OS_H

#include "sim/sim_disk_inside.h"

/* Where a path ends: the folder, the last name in it, and what that names now (0: nothing). */
struct sim_place {
    uint32_t folder, inode;
    char name[256];
};

/* Every call begins and ends with these: they hold the disk's mutex in between. */
struct sim_process *sim_os_enter(const struct os *os);
int sim_os_leave(struct sim_process *process, int result);         /* gives result */
struct sim_file *sim_os_file(struct sim_process *process, int fd); /* NULL: not open */
mode_t sim_os_mode(struct sim_disk *disk, uint32_t inode);
int sim_os_walk(struct sim_process *process, int dir_fd, const char *path, struct sim_place *ret_place);
void sim_os_note_entry(struct sim_disk *disk, const struct sim_place *place, uint32_t inode, mode_t new_mode);
char *sim_os_path(const struct sim_disk *disk, const struct sim_place *place); /* from the root */
void sim_os_drop(struct sim_disk *disk, uint32_t inode); /* a name of it is going: with the last, its room is free */
int sim_os_create(struct sim_disk *disk, struct sim_place *place, mode_t mode);

/* sim_os_folder.c */
int sim_os_rename(const struct os *os, int from_dir, const char *from, int to_dir, const char *to, unsigned flags);
int sim_os_link(const struct os *os, int from_dir, const char *from, int to_dir, const char *to);
int sim_os_unlink(const struct os *os, int dir_fd, const char *path, int flags);
int sim_os_mkdir(const struct os *os, int dir_fd, const char *path, mode_t mode);
int sim_os_list(const struct os *os, int fd, os_entry_visit visit, void *arg);

/* sim_os_lock.c */
int sim_os_lock_range(const struct os *os, int fd, enum os_lock kind, off_t offset, off_t bytes);
int sim_os_lock_probe(const struct os *os, int fd, enum os_lock kind, off_t offset, off_t bytes);
int sim_os_map(const struct os *os, int fd, off_t offset, size_t bytes, int writable, void **ret_address);
void sim_os_unmap(const struct os *os, void *address, size_t bytes);

#endif
