/* Reading, writing and syncing of SQLite's files.
 *
 * Invariants
 *  1. What xWrite gathered of a WAL is in the file before it is synced, read, measured, cut or closed. Other
 * connections are told of frames only after xSync (synchronous=FULL), so they never look for gathered ones.
 *  2. Frames go out in the order of xWrite, so a commit frame never stands behind a gap that a failed write left.
 *  3. A file whose sync failed once is never synced again: the kernel may say yes with the bytes gone.
 *  4. A new file's name is on disk before its first sync returns.
 *  5. Nothing is written behind a WAL's new header before that is synced: a cut of the WAL (or the header) that a power
 *     cut takes back would leave old frames, valid up to where the new bytes stand, over a newer database. */
#include "base/mem.h"
#include "os/file.h"
#include "store/sqlite_file.h"
#include <string.h>

enum {
    GATHER_BYTES = 256 * 1024,
    WAL_STEP_BYTES = 1024 * 1024, /* the WAL grows by zeros that are written: later commits need not change its size */
    WAL_FEW_BYTES = 128 * 1024,
    WAL_HEADER_BYTES = 32,
    SECTOR_BYTES = 4096,
};

static int *sync_failed(struct sqlite_file *file) {
    return file->type == SQLITE_OPEN_MAIN_DB ? &file->vfs->db_sync_failed : &file->sync_failed;
}

static int write_failed(struct sqlite_file *file, int negative_errno) {
    int is_full = negative_errno == -ENOSPC || negative_errno == -EDQUOT;
    return sqlite_file_fail(file, negative_errno, is_full ? SQLITE_FULL : SQLITE_IOERR_WRITE);
}

/* Only to spare later commits time: when it fails, nothing is lost. */
static void grow_ahead(struct sqlite_file *file, sqlite3_int64 end) {
    static const char zeros[64 * 1024];
    sqlite3_int64 wanted = (end / WAL_STEP_BYTES + 1) * WAL_STEP_BYTES;
    while (end < wanted) {
        size_t bytes = wanted - end < (sqlite3_int64)sizeof zeros ? (size_t)(wanted - end) : sizeof zeros;
        if (file_pwrite_full(file->vfs->os, file->fd, zeros, bytes, end))
            break;
        end += (sqlite3_int64)bytes;
        file->size_bytes = end;
    }
}

static int flush(struct sqlite_file *file) {
    if (file->gathered_bytes == 0)
        return SQLITE_OK;
    int is_in_bulk = file->gathered_bytes > GATHER_BYTES / 2;
    int rc = file_pwrite_full(file->vfs->os, file->fd, file->gathered, file->gathered_bytes, file->gathered_at);
    sqlite3_int64 end = file->gathered_at + (sqlite3_int64)file->gathered_bytes;
    if (file->gathered_at == 0)
        file->has_frames = 0; /* a new header voids the frames of an attempt that was given up */
    file->has_frames |= end > WAL_HEADER_BYTES;
    file->gathered_bytes = 0; /* after a failure SQLite gives the transaction up and writes these frames anew */
    if (rc)
        return write_failed(file, rc);
    if (file->size_bytes >= 0 && end > file->size_bytes) {
        file->size_bytes = end;
        /* Not behind a new header (see invariant 5), nor for an owner who only came for a commit or two, nor where the
         * zeros would be written over at once. */
        if (file->gathered_at > 0 && end > WAL_FEW_BYTES && !is_in_bulk)
            grow_ahead(file, end);
    }
    return SQLITE_OK;
}

static int io_close(sqlite3_file *base) {
    struct sqlite_file *file = (struct sqlite_file *)base;
    struct sqlite_vfs *vfs = file->vfs;
    flush(file);
    mem_free(file->gathered);
    if (file->type != SQLITE_OPEN_MAIN_DB) {
        if (file->fd >= 0)
            os_close(vfs->os, file->fd);
        return SQLITE_OK;
    }
    sqlite_file_unlock(base, SQLITE_LOCK_NONE);
    pthread_mutex_lock(&vfs->mutex);
    if (--vfs->db_users == 0) {
        os_close(vfs->os, vfs->db_fd);
        vfs->db_fd = -1;
    }
    pthread_mutex_unlock(&vfs->mutex);
    return SQLITE_OK;
}

static int io_read(sqlite3_file *base, void *to, int bytes, sqlite3_int64 at) {
    struct sqlite_file *file = (struct sqlite_file *)base;
    int rc = flush(file);
    if (rc)
        return rc;
    ssize_t got = file->fd < 0 ? 0 : file_pread_full(file->vfs->os, file->fd, to, (size_t)bytes, at);
    if (got < 0) {
        sqlite_vfs_note_errno(file->vfs, (int)got); /* the header is read before there is a connection */
        return sqlite_file_fail(file, (int)got, SQLITE_IOERR_READ);
    }
    if (got == bytes)
        return SQLITE_OK;
    memset((char *)to + got, 0, (size_t)(bytes - got));
    return SQLITE_IOERR_SHORT_READ;
}

static int gather(struct sqlite_file *file, const void *from, size_t bytes, sqlite3_int64 at) {
    int follows = at == file->gathered_at + (sqlite3_int64)file->gathered_bytes;
    if (file->gathered_bytes && (!follows || file->gathered_bytes + bytes > GATHER_BYTES)) {
        int rc = flush(file);
        if (rc)
            return rc;
    }
    if (!file->gathered)
        file->gathered = mem_alloc(GATHER_BYTES);
    if (!file->gathered)
        return sqlite_file_fail(file, -ENOMEM, SQLITE_IOERR_NOMEM);
    if (file->gathered_bytes == 0)
        file->gathered_at = at;
    memcpy(file->gathered + file->gathered_bytes, from, bytes);
    file->gathered_bytes += bytes;
    return SQLITE_OK;
}

static int io_write(sqlite3_file *base, const void *from, int bytes, sqlite3_int64 at) {
    struct sqlite_file *file = (struct sqlite_file *)base;
    if (file->fd < 0)
        return sqlite_file_fail(file, -EROFS, SQLITE_IOERR_WRITE);
    if (file->type == SQLITE_OPEN_WAL && bytes <= GATHER_BYTES)
        return gather(file, from, (size_t)bytes, at);
    int rc = file_pwrite_full(file->vfs->os, file->fd, from, (size_t)bytes, at);
    if (rc)
        return write_failed(file, rc);
    if (file->size_bytes >= 0 && at + bytes > file->size_bytes)
        file->size_bytes = at + bytes;
    return SQLITE_OK;
}

static int io_truncate(sqlite3_file *base, sqlite3_int64 size_bytes) {
    struct sqlite_file *file = (struct sqlite_file *)base;
    int rc = flush(file);
    if (rc)
        return rc;
    rc = file->fd < 0 ? -EROFS : OS_AGAIN(os_truncate(file->vfs->os, file->fd, size_bytes));
    if (rc)
        return sqlite_file_fail(file, rc, SQLITE_IOERR_TRUNCATE);
    if (file->size_bytes >= 0)
        file->size_bytes = size_bytes;
    return SQLITE_OK;
}

/* fdatasync keeps a changed size too; the file's times are of no use to anyone here. */
static int io_sync(sqlite3_file *base, int flags) {
    struct sqlite_file *file = (struct sqlite_file *)base;
    const struct os *os = file->vfs->os;
    (void)flags;
    if (*sync_failed(file))
        return sqlite_file_fail(file, -EIO, SQLITE_IOERR_FSYNC);
    int rc = flush(file);
    if (rc)
        return rc;
    if (file->has_frames)
        file->main->wal_syncs++;
    file->has_frames = 0;
    int failed = OS_AGAIN(os_fdatasync(os, file->fd));
    if (failed == 0 && file->folder_sync) {
        failed = OS_AGAIN(os_fsync(os, file->vfs->dir_fd));
        file->folder_sync = failed != 0;
    }
    if (failed == 0)
        return SQLITE_OK;
    *sync_failed(file) = 1;
    file->main->last_errno = failed;
    return SQLITE_IOERR_FSYNC; /* ENOMEM too: this file is not written again, so nothing here works on */
}

static int io_size(sqlite3_file *base, sqlite3_int64 *ret_size_bytes) {
    struct sqlite_file *file = (struct sqlite_file *)base;
    struct stat stat = {0};
    int rc = flush(file);
    if (rc)
        return rc;
    rc = file->fd < 0 ? 0 : OS_AGAIN(os_fstat(file->vfs->os, file->fd, &stat));
    if (rc)
        return sqlite_file_fail(file, rc, SQLITE_IOERR_FSTAT);
    *ret_size_bytes = stat.st_size;
    if (file->type == SQLITE_OPEN_MAIN_DB && file->vfs->padded_bytes > stat.st_size)
        *ret_size_bytes = file->vfs->padded_bytes;
    return SQLITE_OK;
}

static int io_control(sqlite3_file *base, int operation, void *arg) {
    struct sqlite_file *file = (struct sqlite_file *)base;
    switch (operation) {
    case SQLITE_FCNTL_LOCKSTATE:
        *(int *)arg = file->level;
        return SQLITE_OK;
    case SQLITE_FCNTL_PERSIST_WAL:
    case SQLITE_FCNTL_POWERSAFE_OVERWRITE:
        *(int *)arg = 1;
        return SQLITE_OK;
    case SQLITE_FCNTL_HAS_MOVED:
        *(int *)arg = 0; /* the owner's lock keeps the file where it is */
        return SQLITE_OK;
    default:
        return SQLITE_NOTFOUND;
    }
}

static int io_sector_size(sqlite3_file *base) {
    (void)base;
    return SECTOR_BYTES;
}

static int io_characteristics(sqlite3_file *base) {
    (void)base;
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

#define IO_COMMON(methods_version)                                                                                     \
    .iVersion = (methods_version), .xClose = io_close, .xRead = io_read, .xWrite = io_write, .xTruncate = io_truncate, \
    .xSync = io_sync, .xFileSize = io_size, .xLock = sqlite_file_lock, .xUnlock = sqlite_file_unlock,                  \
    .xCheckReservedLock = sqlite_file_check_reserved, .xFileControl = io_control, .xSectorSize = io_sector_size,       \
    .xDeviceCharacteristics = io_characteristics

const sqlite3_io_methods sqlite_io_plain = {IO_COMMON(1)};
const sqlite3_io_methods sqlite_io_database = {IO_COMMON(2), .xShmMap = sqlite_shm_map, .xShmLock = sqlite_shm_lock,
                                               .xShmBarrier = sqlite_shm_barrier, .xShmUnmap = sqlite_shm_unmap};
