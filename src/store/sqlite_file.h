/* Between the parts of the VFS: the open file, and what all connections of this process share. */
#ifndef HF_STORE_SQLITE_FILE_H
#define HF_STORE_SQLITE_FILE_H

#include "store/sqlite_vfs.h"
#include <errno.h>
#include <pthread.h>

enum {
    SHM_REGION_BYTES = 32768,
    SHM_REGIONS_MAX = 4096, /* a WAL of 128 GiB */
    SHM_REGIONS_AHEAD = 4,  /* made at once: a commit that is on disk must not fail for want of room in -shm */
};

/* The -shm as this process has it. Counts are of this process's connections; the kernel's locks of all processes. */
struct sqlite_shm {
    int fd; /* -1: none yet, or in memory */
    int is_open;
    unsigned users;
    unsigned region_count;
    void *regions[SHM_REGIONS_MAX];
    unsigned shared[SQLITE_SHM_NLOCK];
    unsigned char exclusive[SQLITE_SHM_NLOCK];
};

struct sqlite_vfs {
    sqlite3_vfs base;
    const struct os *os;
    int dir_fd;
    enum sqlite_role role;
    char name[48];
    pthread_mutex_t mutex; /* guards all below */
    int db_fd;             /* one for all connections: OFD locks belong to the open file */
    unsigned db_users;
    int db_sync_failed;
    int open_errno;  /* of what failed last before there was a connection to keep it */
    int level;       /* SQLITE_LOCK_*: what the process holds */
    unsigned shared; /* connections at SHARED or above */
    struct sqlite_shm shm;
    sqlite3_int64 padded_bytes; /* what the database is at least said to be long */
    int is_owned;               /* the vfs itself is one of shm.users */
};

struct sqlite_file {
    sqlite3_file base;
    struct sqlite_vfs *vfs;
    struct sqlite_file *main; /* the database's, of the same connection; itself for the database */
    int fd;                   /* -1: an empty file that is not there (SQLITE_ROLE_PRIVATE) */
    int type;                 /* SQLITE_OPEN_MAIN_DB, _WAL or _MAIN_JOURNAL */
    int sync_failed;          /* sticky: fsync is not asked again after it failed once */
    int folder_sync;          /* the folder must be synced with the file's first sync */
    int last_errno;
    uint64_t wal_syncs;
    int level;
    /* WAL: frames gathered to be written at once. */
    char *gathered;
    size_t gathered_bytes;
    sqlite3_int64 gathered_at;
    int has_frames; /* were written since the last sync */
    /* Database and WAL: what was opened, and how long it is when nobody else cuts it. */
    sqlite3_int64 size_bytes; /* -1: not known */
    dev_t device;
    ino_t inode;
    /* Database: which WAL locks this connection has; bit i is lock i. */
    unsigned shm_shared, shm_exclusive;
    int has_shm;
    const char *name; /* SQLite keeps it for as long as the file is open */
};

static inline int sqlite_file_fail(struct sqlite_file *file, int negative_errno, int code) {
    file->main->last_errno = negative_errno;
    return negative_errno == -ENOMEM ? SQLITE_IOERR_NOMEM : code;
}

/* sqlite_lock.c */
int sqlite_file_lock(sqlite3_file *base, int level);
int sqlite_file_unlock(sqlite3_file *base, int level);
int sqlite_file_check_reserved(sqlite3_file *base, int *ret_reserved);

/* sqlite_shm.c */
int sqlite_shm_map(sqlite3_file *base, int region, int region_bytes, int extend, void volatile **ret_address);
int sqlite_shm_lock(sqlite3_file *base, int first, int count, int flags);
void sqlite_shm_barrier(sqlite3_file *base);
int sqlite_shm_unmap(sqlite3_file *base, int delete_it);
void sqlite_shm_disown(struct sqlite_vfs *vfs);

/* sqlite_io.c */
extern const sqlite3_io_methods sqlite_io_database, sqlite_io_plain;

#endif
