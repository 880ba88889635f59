/* Compacting: VACUUM through the WAL, then the WAL into the database, and both files cut.
 *
 * Invariants
 *  1. VACUUM is one transaction: its frames stand in the WAL behind what was committed, and count only with the last of
 * them. A power cut, or a disk that fills up, before its sync leaves the store as it was.
 *  2. The database is overwritten only by a checkpoint, from a synced WAL: one that is cut short is repeated by the
 * next.
 *  3. What VACUUM builds up goes to a file without a name, not to memory: it is as large as the store. */
#include <stdio.h>

#include "store/sqlite_backend.h"

enum { WAIT_FOR_READERS_MS = 1000 }; /* when they stay longer, a later checkpoint makes the file smaller */

static uint64_t size_of(const struct sqlite_backend *self, const char *suffix) {
    char name[512];
    struct stat stat;
    snprintf(name, sizeof name, "%s%s", self->name, suffix);
    return OS_AGAIN(os_stat_at(self->os, self->dir_fd, name, &stat)) == 0 ? (uint64_t)stat.st_size : 0;
}

static uint64_t size_of_files(const struct sqlite_backend *self) {
    return size_of(self, "") + size_of(self, "-wal");
}

/* Whether a failed VACUUM left everything as it was: it did not get so far as to sync its frames, and no sync failed.
 */
static int left_nothing(struct sqlite_backend *self, int rc, int code, uint64_t syncs) {
    if (sqlite_vfs_wal_syncs(self->writer->db) != syncs)
        return 0;
    return store_code_is_soft(code) || code == HF_ERR_CORRUPT || rc == SQLITE_IOERR_READ;
}

static int vacuum(struct sqlite_backend *self, struct hf_error *error) {
    sqlite3 *db = self->writer->db;
    uint64_t syncs = sqlite_vfs_wal_syncs(db);
    int rc = sqlite3_exec(db, "PRAGMA temp_store=FILE;VACUUM", NULL, NULL, NULL);
    int code = rc ? sqlite_conn_error(self->writer, rc, error) : 0;
    (void)sqlite3_exec(db, "PRAGMA temp_store=MEMORY", NULL, NULL, NULL);
    if (code == 0 || left_nothing(self, rc, code, syncs))
        return code;
    self->is_broken = 1;
    if (error)
        error->code = HF_ERR_FAILED;
    return HF_ERR_FAILED;
}

int sqlite_compact(struct store_backend *backend, struct hf_compact_result *ret_result, struct hf_error *error) {
    struct sqlite_backend *self = (struct sqlite_backend *)backend;
    struct hf_compact_result result = {.bytes_before = size_of_files(self)};
    if (!self->writer)
        return error_set(error, HF_ERR_READ_ONLY, "the store was opened read-only");
    /* First, so that the WAL need not hold both. */
    int code = sqlite_checkpoint(self, SQLITE_CHECKPOINT_PASSIVE, 0, error);
    if (code == 0)
        code = vacuum(self, error);
    if (code == 0)
        code = sqlite_checkpoint(self, SQLITE_CHECKPOINT_TRUNCATE, WAIT_FOR_READERS_MS, error);
    int is_over = self->checkpoint_failed || self->is_broken;
    if (code && is_over && error)
        error->code = HF_ERR_FAILED;
    if (code)
        return is_over ? HF_ERR_FAILED : code;
    result.bytes_after = size_of_files(self);
    *ret_result = result;
    return 0;
}
