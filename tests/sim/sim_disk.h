/* A simulated disk: a struct os over a file system in memory, with a virtual clock and seeded chance, that can record
 * everything which changes it. From a record, sim/crash_states.h makes the states that a power cut could leave.
 *
 *   struct sim_disk *disk = sim_disk_new(seed);
 *   struct sim_process *process = sim_process_new(disk);     // a program that runs on it: its files, locks, maps
 *   sim_disk_record(disk);
 *   store_open("sqlite:/data/store.db", …, {.os = sim_process_os(process)}, …);
 *   … work; after each acknowledgement: sim_mark_ack(disk, revision) …
 *   struct sim_record *record = sim_disk_take_record(disk);
 *
 * Paths are absolute or relative to a folder's fd. "/data" is there at first; "/proc" holds what the owner's lock
 * reads. There are no symbolic links, owners or permissions. Mapped files (SQLite's -shm) are plain memory shared by
 * all who map them; what is written there is noticed before the next recorded operation. Processes are not simulated:
 * spawn and its kin give -ENOSYS. A test that needs them copies *sim_process_os(process)->ops into a table of its own,
 * puts other functions there, and keeps the context.
 *
 * Every function of the table takes the disk's mutex, so threads may share a disk. */
#ifndef HF_SIM_SIM_DISK_H
#define HF_SIM_SIM_DISK_H

#include "os/os.h"
#include "sim/sim_image.h"

enum sim_op_kind {
    SIM_WRITE,     /* inode, offset, bytes, data (NULL: zeros) */
    SIM_TRUNCATE,  /* inode, offset = the new size */
    SIM_SET_ENTRY, /* inode = the folder, name, target: created (new_mode not 0), linked or made a folder */
    SIM_REMOVE_ENTRY,
    SIM_RENAME, /* inode/name to to_folder/to_name; `replaced` is what was there, or 0 */
    SIM_EXCHANGE,
    SIM_FSYNC,
    SIM_FDATASYNC,
    SIM_SYNCFS,
    SIM_ACK, /* the program told someone that everything up to `ack` is safe */
};

struct sim_op {
    enum sim_op_kind kind;
    int mapped; /* a write that went through a map */
    uint32_t inode, target, to_folder, replaced;
    mode_t new_mode;
    off_t offset;
    size_t bytes;
    uint8_t *data;
    char *name, *to_name;
    char *path;        /* of the file from the root when it was opened, of a folder with '/' at its end: for tables */
    const char *phase; /* what the program was doing: sim_mark_phase */
    int64_t ack;
    int64_t at_ns; /* the time that the file has from it */
};

struct sim_record {
    struct sim_image start; /* all of it durable */
    int64_t start_ack;
    struct sim_op *ops;
    size_t count, room;
};
void sim_record_free(struct sim_record **record);

struct sim_disk;
struct sim_process;

struct sim_disk *sim_disk_new(uint64_t seed);
/* Copies. Its clock is an hour later than the newest file; for one seed in eight an hour earlier, as that of a machine
 * that lost its time with its power. */
struct sim_disk *sim_disk_from(const struct sim_image *image, uint64_t seed);
void sim_disk_free(struct sim_disk **disk); /* its processes first */

struct sim_process *sim_process_new(struct sim_disk *disk);
const struct os *sim_process_os(struct sim_process *process);
/* As kill -9: its locks and files are gone, every later call of it fails with EIO and has no effect. The disk goes on:
 * what it wrote is there, and what it did not sync can still be lost. */
void sim_process_kill(struct sim_process *process);
/* It is killed so when it calls fsync, fdatasync or syncfs for the n-th time from now on, before anything is synced. */
void sim_process_kill_at_sync(struct sim_process *process, unsigned n);
int sim_process_is_killed(struct sim_process *process);
void sim_process_free(struct sim_process **process);
unsigned sim_process_open_files(struct sim_process *process);
/* 1: fsync, fdatasync and syncfs say OK and do nothing (the known-bad variant). */
void sim_process_set_lying(struct sim_process *process, int lying);

void sim_disk_record(struct sim_disk *disk); /* what is there now is taken as durable */
struct sim_record *sim_disk_take_record(struct sim_disk *disk);
void sim_mark_ack(struct sim_disk *disk, int64_t ack);                   /* never goes down */
void sim_mark_phase(struct sim_disk *disk, const char *phase);           /* a literal */
void sim_disk_image(struct sim_disk *disk, struct sim_image *ret_image); /* as it runs: everything written is in it */
void sim_disk_advance_ms(struct sim_disk *disk, int64_t ms);             /* all clocks */
/* At most this many bytes in files; more gives -ENOSPC. 0: no limit. */
void sim_disk_set_room(struct sim_disk *disk, int64_t bytes);
/* 1: what would change it gives -EROFS. */
void sim_disk_set_read_only(struct sim_disk *disk, int read_only);

#endif
