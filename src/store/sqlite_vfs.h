/* SQLite's way to the disk: a VFS of our own, one per open store, with every effect through struct os. */
#ifndef HF_STORE_SQLITE_VFS_H
#define HF_STORE_SQLITE_VFS_H

#include "base/error.h"
#include "os/os.h"
#include <sqlite3.h>

enum sqlite_role {
    SQLITE_ROLE_OWNER,   /* keeps WAL's writer and checkpointer locks against other processes for its whole life */
    SQLITE_ROLE_READER,  /* reads beside the owner, through the shared -shm */
    SQLITE_ROLE_PRIVATE, /* reads where nobody owns: the WAL's index is in memory, nothing is written at all */
};

struct sqlite_vfs;

/* dir_fd: the folder of the database; borrowed. Databases are named relative to it. Registers the VFS under a name of
 * its own; every connection over it must name the same file. Errors: NO_MEMORY. */
int sqlite_vfs_new(const struct os *os, int dir_fd, enum sqlite_role role, struct sqlite_vfs **ret_vfs,
                   struct hf_error *error);
/* SQLITE_ROLE_OWNER, before anything looks into the WAL: takes the owner's locks of the -shm, until sqlite_vfs_free.
 * SQLite asks again without end for a -shm that is busy, so it never sees one. Errors: LOCKED after five seconds. */
int sqlite_vfs_own(struct sqlite_vfs *vfs, const char *database, struct hf_error *error);
/* Before the first connection: a database that is shorter reads as if zeros stood behind its end. To SQLite those are
 * damaged pages; a file without them it would not open at all. */
void sqlite_vfs_pad(struct sqlite_vfs *vfs, sqlite3_int64 database_bytes);
void sqlite_vfs_free(struct sqlite_vfs **vfs); /* after the last connection was closed */
const char *sqlite_vfs_name(const struct sqlite_vfs *vfs);

/* What a connection's files met last: negative errno, 0 when nothing failed since sqlite_vfs_forget. */
int sqlite_vfs_errno(sqlite3 *db);
void sqlite_vfs_forget(sqlite3 *db);
/* The same for what no connection can be asked for: opening, and looking whether a file is there. */
int sqlite_vfs_open_errno(struct sqlite_vfs *vfs);
void sqlite_vfs_note_errno(struct sqlite_vfs *vfs, int negative_errno);

/* How often this connection began to sync frames of its WAL: a failed COMMIT that did not get so far left nothing
 * behind. */
uint64_t sqlite_vfs_wal_syncs(sqlite3 *db);

/* sqlite_place.c: whether the database and its WAL are still, under their names, the files that this connection (the
 * one that writes) has open, and none was cut short: else CORRUPT. */
int sqlite_vfs_check_place(sqlite3 *db, struct hf_error *error);

#endif
