/* The locks of the database file, as SQLite's file format names their bytes, so that other programs' SQLite agrees.
 *
 * Invariants
 *  1. The kernel's lock is of the process (one open file for all connections); vfs->level is what it holds.
 *  2. vfs->shared counts the connections at SHARED or above; the kernel's SHARED goes only with the last.
 *  3. At most one connection is above SHARED, and then its level is vfs->level. */
#include "store/sqlite_file.h"
#include <errno.h>

enum { PENDING_BYTE = 0x40000000, RESERVED_BYTE, SHARED_FIRST, SHARED_BYTES = 510 };

static int range(struct sqlite_file *file, enum os_lock lock, off_t first, off_t bytes) {
    int rc = OS_AGAIN(os_lock_range(file->vfs->os, file->fd, lock, first, bytes));
    if (rc == 0)
        return SQLITE_OK;
    if (rc == -EAGAIN || rc == -EACCES)
        return SQLITE_BUSY;
    return sqlite_file_fail(file, rc, lock == OS_LOCK_NONE ? SQLITE_IOERR_UNLOCK : SQLITE_IOERR_LOCK);
}

static int take_shared(struct sqlite_file *file) {
    int rc = range(file, OS_LOCK_SHARED, PENDING_BYTE, 1); /* a waiting writer keeps new readers out */
    if (rc)
        return rc;
    rc = range(file, OS_LOCK_SHARED, SHARED_FIRST, SHARED_BYTES);
    int released = range(file, OS_LOCK_NONE, PENDING_BYTE, 1);
    if (rc || released) {
        if (!rc)
            range(file, OS_LOCK_NONE, SHARED_FIRST, SHARED_BYTES);
        return rc ? rc : released;
    }
    file->level = file->vfs->level = SQLITE_LOCK_SHARED;
    file->vfs->shared = 1;
    return SQLITE_OK;
}

static int take_exclusive(struct sqlite_file *file) {
    struct sqlite_vfs *vfs = file->vfs;
    if (file->level < SQLITE_LOCK_PENDING) {
        int rc = range(file, OS_LOCK_EXCLUSIVE, PENDING_BYTE, 1);
        if (rc)
            return rc;
        file->level = vfs->level = SQLITE_LOCK_PENDING;
    }
    if (vfs->shared > 1)
        return SQLITE_BUSY;
    int rc = range(file, OS_LOCK_EXCLUSIVE, SHARED_FIRST, SHARED_BYTES);
    if (rc == 0)
        file->level = vfs->level = SQLITE_LOCK_EXCLUSIVE;
    return rc;
}

static int take(struct sqlite_file *file, int level) {
    struct sqlite_vfs *vfs = file->vfs;
    if (file->level != vfs->level && (vfs->level >= SQLITE_LOCK_PENDING || level > SQLITE_LOCK_SHARED))
        return SQLITE_BUSY;
    if (level == SQLITE_LOCK_SHARED) {
        if (vfs->level == SQLITE_LOCK_NONE)
            return take_shared(file);
        vfs->shared++;
        file->level = SQLITE_LOCK_SHARED;
        return SQLITE_OK;
    }
    if (level == SQLITE_LOCK_EXCLUSIVE)
        return take_exclusive(file);
    int rc = range(file, OS_LOCK_EXCLUSIVE, RESERVED_BYTE, 1);
    if (rc == 0)
        file->level = vfs->level = level;
    return rc;
}

int sqlite_file_lock(sqlite3_file *base, int level) {
    struct sqlite_file *file = (struct sqlite_file *)base;
    if (file->level >= level)
        return SQLITE_OK;
    pthread_mutex_lock(&file->vfs->mutex);
    int rc = take(file, level);
    pthread_mutex_unlock(&file->vfs->mutex);
    return rc;
}

static int release(struct sqlite_file *file, int level) {
    struct sqlite_vfs *vfs = file->vfs;
    int rc = SQLITE_OK;
    if (file->level > SQLITE_LOCK_SHARED) {
        if (level == SQLITE_LOCK_SHARED && range(file, OS_LOCK_SHARED, SHARED_FIRST, SHARED_BYTES))
            return SQLITE_IOERR_RDLOCK;
        rc = range(file, OS_LOCK_NONE, PENDING_BYTE, 2);
        if (rc)
            return SQLITE_IOERR_UNLOCK;
        vfs->level = SQLITE_LOCK_SHARED;
    }
    if (level == SQLITE_LOCK_NONE && --vfs->shared == 0) {
        vfs->level = SQLITE_LOCK_NONE;
        rc = range(file, OS_LOCK_NONE, PENDING_BYTE, 2 + SHARED_BYTES);
    }
    file->level = level;
    return rc;
}

int sqlite_file_unlock(sqlite3_file *base, int level) {
    struct sqlite_file *file = (struct sqlite_file *)base;
    if (file->level <= level)
        return SQLITE_OK;
    pthread_mutex_lock(&file->vfs->mutex);
    int rc = release(file, level);
    pthread_mutex_unlock(&file->vfs->mutex);
    return rc;
}

int sqlite_file_check_reserved(sqlite3_file *base, int *ret_reserved) {
    struct sqlite_file *file = (struct sqlite_file *)base;
    pthread_mutex_lock(&file->vfs->mutex);
    int rc = SQLITE_OK, reserved = file->vfs->level > SQLITE_LOCK_SHARED;
    if (!reserved) {
        rc = range(file, OS_LOCK_EXCLUSIVE, RESERVED_BYTE, 1);
        if (rc == SQLITE_OK)
            rc = range(file, OS_LOCK_NONE, RESERVED_BYTE, 1);
        else if (rc == SQLITE_BUSY)
            reserved = 1, rc = SQLITE_OK;
    }
    pthread_mutex_unlock(&file->vfs->mutex);
    if (rc == SQLITE_OK)
        *ret_reserved = reserved;
    return rc;
}
