/* Shared by sim_disk.c (the disk, its record) and sim_os.c (the table). */
#ifndef HF_SIM_SIM_DISK_INSIDE_H
#define HF_SIM_SIM_DISK_INSIDE_H

#include "sim/sim_disk.h"

#include <pthread.h>

struct sim_file {
    uint32_t inode;
    int flags;
    off_t position;
    char *path;
};

struct sim_lock {
    const struct sim_file *owner;
    uint32_t inode;
    enum os_lock kind;
    off_t start, end; /* end is behind the last byte */
};

struct sim_map {
    uint32_t inode;
    off_t offset;
    size_t bytes;
    uint8_t *memory;
    unsigned uses;
};

struct sim_disk {
    pthread_mutex_t mutex;
    struct sim_image image;
    struct sim_lock *locks;
    size_t lock_count, lock_room;
    struct sim_map **maps;
    size_t map_count;
    struct sim_record *record; /* NULL: not recording */
    const char *phase;
    uint64_t seed;
    int64_t now_ns;
    int64_t room_bytes, used_bytes;
    int read_only;
    uid_t user;
};

struct sim_process {
    struct os os;
    struct sim_disk *disk;
    struct sim_file **files; /* by fd */
    size_t file_count;
    int killed, lying;
    unsigned syncs_to_live; /* 0: it is not to be killed */
};

extern const struct os_ops sim_os_ops;

/* Notes an operation (when recording). The caller fills the rest. Locked. */
struct sim_op *sim_disk_note(struct sim_disk *disk, enum sim_op_kind kind, uint32_t inode, const char *path);
uint64_t sim_disk_random(struct sim_disk *disk);
/* Writes through maps of the file (0: of all files) become operations. */
void sim_disk_notice_maps(struct sim_disk *disk, uint32_t inode);
void sim_disk_file_changed(struct sim_disk *disk, uint32_t inode); /* maps follow the file */
void sim_process_die(struct sim_process *process);                 /* locked */
void sim_process_forget(struct sim_process *process, int fd);

#endif
