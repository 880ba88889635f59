/* The WAL's index in shared memory, and its locks.
 *
 * Invariants
 *  1. A region is mapped only when all of its bytes were written to the file: a full disk is an error, not a signal.
 *  2. Byte 128 is held shared by everyone who has the -shm open. Who finds it free empties the file first: what a crash
 *     left in it is not believed.
 *  3. The owner holds bytes 120 (writer) and 121 (checkpointer) from before its first connection to after its last.
 * Between its own connections those two are counted in memory only.
 *  4. For the other locks the kernel's lock is held exactly while a connection of this process holds it. */
#include "base/mem.h"
#include "os/file.h"
#include "store/sqlite_file.h"
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { LOCK_FIRST = 120, LOCK_WRITER = 0, LOCK_CHECKPOINT = 1, DEAD_MAN_BYTE = 128, OWNED_LOCKS = 2 };
enum { OWNER_WAIT_MS = 5000, OWNER_STEP_MS = 10 };

static int is_kept(const struct sqlite_vfs *vfs, int lock) {
    return vfs->role == SQLITE_ROLE_PRIVATE || (vfs->role == SQLITE_ROLE_OWNER && lock < OWNED_LOCKS);
}

static int kernel_lock(struct sqlite_file *file, enum os_lock lock, int byte) {
    int rc = OS_AGAIN(os_lock_range(file->vfs->os, file->vfs->shm.fd, lock, byte, 1));
    if (rc == 0)
        return SQLITE_OK;
    if (rc == -EAGAIN) /* EACCES would be the system's no, not another program's lock */
        return SQLITE_BUSY;
    return sqlite_file_fail(file, rc, SQLITE_IOERR_SHMLOCK);
}

/* For somebody's moment: a shell that has just ended its last transaction. *waited_ms is what is used up already. */
static int kernel_lock_patiently(struct sqlite_file *file, enum os_lock lock, int byte, int *waited_ms) {
    int rc;
    while ((rc = kernel_lock(file, lock, byte)) == SQLITE_BUSY && *waited_ms < OWNER_WAIT_MS) {
        os_sleep_ms(file->vfs->os, OWNER_STEP_MS);
        *waited_ms += OWNER_STEP_MS;
    }
    return rc;
}

static int take_owned(struct sqlite_file *file, int *waited_ms) {
    int rc = SQLITE_OK;
    for (int lock = 0; rc == SQLITE_OK && lock < OWNED_LOCKS; lock++)
        rc = kernel_lock_patiently(file, OS_LOCK_EXCLUSIVE, LOCK_FIRST + lock, waited_ms);
    return rc;
}

static int dead_man(struct sqlite_file *file, int *waited_ms) {
    int rc = kernel_lock(file, OS_LOCK_EXCLUSIVE, DEAD_MAN_BYTE);
    if (rc == SQLITE_OK) {
        int failed = OS_AGAIN(os_truncate(file->vfs->os, file->vfs->shm.fd, 0));
        if (failed)
            return sqlite_file_fail(file, failed, SQLITE_IOERR_SHMOPEN);
    } else if (rc != SQLITE_BUSY) {
        return rc;
    }
    return kernel_lock_patiently(file, OS_LOCK_SHARED, DEAD_MAN_BYTE, waited_ms);
}

static int write_zeros_to(struct sqlite_file *file, off_t wanted_bytes) {
    static const char zeros[SHM_REGION_BYTES];
    struct stat stat;
    int rc = OS_AGAIN(os_fstat(file->vfs->os, file->vfs->shm.fd, &stat));
    if (rc)
        return sqlite_file_fail(file, rc, SQLITE_IOERR_SHMSIZE);
    for (off_t at = stat.st_size; at < wanted_bytes;) {
        size_t bytes = (size_t)(wanted_bytes - at) < sizeof zeros ? (size_t)(wanted_bytes - at) : sizeof zeros;
        rc = file_pwrite_full(file->vfs->os, file->vfs->shm.fd, zeros, bytes, at);
        if (rc)
            return sqlite_file_fail(file, rc, rc == -ENOSPC || rc == -EDQUOT ? SQLITE_FULL : SQLITE_IOERR_SHMSIZE);
        at += (off_t)bytes;
    }
    return SQLITE_OK;
}

static void close_shm(struct sqlite_vfs *vfs) {
    struct sqlite_shm *shm = &vfs->shm;
    for (unsigned i = 0; i < shm->region_count; i++) {
        if (vfs->role == SQLITE_ROLE_PRIVATE)
            mem_free(shm->regions[i]);
        else
            os_unmap(vfs->os, shm->regions[i], SHM_REGION_BYTES);
    }
    if (shm->fd >= 0)
        os_close(vfs->os, shm->fd); /* and the kernel's locks with it */
    memset(shm, 0, sizeof *shm);
    shm->fd = -1;
}

static int open_shm(struct sqlite_file *file, const char *database) {
    struct sqlite_vfs *vfs = file->vfs;
    vfs->shm.is_open = 1;
    if (vfs->role == SQLITE_ROLE_PRIVATE)
        return SQLITE_OK;
    char name[512];
    if (snprintf(name, sizeof name, "%s-shm", database) >= (int)sizeof name)
        return SQLITE_CANTOPEN;
    vfs->shm.fd = OS_AGAIN(os_open(vfs->os, vfs->dir_fd, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (vfs->shm.fd < 0)
        return sqlite_file_fail(file, vfs->shm.fd, SQLITE_CANTOPEN);
    int waited_ms = vfs->role == SQLITE_ROLE_OWNER ? 0 : OWNER_WAIT_MS; /* SQLite has its own patience for readers */
    int rc = dead_man(file, &waited_ms);
    if (rc == SQLITE_OK && vfs->role == SQLITE_ROLE_OWNER)
        rc = take_owned(file, &waited_ms);
    if (rc == SQLITE_OK && vfs->role == SQLITE_ROLE_OWNER)
        rc = write_zeros_to(file, SHM_REGIONS_AHEAD * SHM_REGION_BYTES);
    return rc;
}

static int join(struct sqlite_file *file, const char *database) {
    struct sqlite_vfs *vfs = file->vfs;
    int rc = vfs->shm.is_open ? SQLITE_OK : open_shm(file, database);
    if (rc)
        close_shm(vfs);
    vfs->shm.users += rc == SQLITE_OK;
    return rc;
}

static void leave(struct sqlite_vfs *vfs) {
    if (--vfs->shm.users == 0)
        close_shm(vfs);
}

static int map_next(struct sqlite_file *file, int extend, int *ret_is_there) {
    struct sqlite_vfs *vfs = file->vfs;
    struct sqlite_shm *shm = &vfs->shm;
    void *address = NULL;
    if (vfs->role == SQLITE_ROLE_PRIVATE) {
        address = mem_zalloc(1, SHM_REGION_BYTES);
        if (!address)
            return SQLITE_IOERR_NOMEM;
    } else {
        off_t end = ((off_t)shm->region_count + 1) * SHM_REGION_BYTES;
        struct stat stat;
        int rc = OS_AGAIN(os_fstat(vfs->os, shm->fd, &stat));
        if (rc)
            return sqlite_file_fail(file, rc, SQLITE_IOERR_SHMSIZE);
        if (stat.st_size < end && !extend) {
            *ret_is_there = 0;
            return SQLITE_OK;
        }
        rc = write_zeros_to(file, end);
        if (rc)
            return rc;
        rc = OS_AGAIN(os_map(vfs->os, shm->fd, end - SHM_REGION_BYTES, SHM_REGION_BYTES, 1, &address));
        if (rc)
            return sqlite_file_fail(file, rc, SQLITE_IOERR_SHMMAP);
    }
    shm->regions[shm->region_count++] = address;
    return SQLITE_OK;
}

int sqlite_shm_map(sqlite3_file *base, int region, int region_bytes, int extend, void volatile **ret_address) {
    struct sqlite_file *file = (struct sqlite_file *)base;
    struct sqlite_vfs *vfs = file->vfs;
    *ret_address = NULL;
    if (region_bytes != SHM_REGION_BYTES || region >= SHM_REGIONS_MAX)
        return SQLITE_IOERR_SHMMAP;
    pthread_mutex_lock(&vfs->mutex);
    int rc = file->has_shm ? SQLITE_OK : join(file, file->name), is_there = 1;
    file->has_shm |= rc == SQLITE_OK;
    while (rc == SQLITE_OK && is_there && vfs->shm.region_count <= (unsigned)region)
        rc = map_next(file, extend, &is_there);
    if (rc == SQLITE_OK && is_there)
        *ret_address = vfs->shm.regions[region];
    pthread_mutex_unlock(&vfs->mutex);
    return rc;
}

static int lock_one(struct sqlite_file *file, int lock, int is_shared) {
    struct sqlite_shm *shm = &file->vfs->shm;
    unsigned bit = 1u << lock;
    if ((file->shm_shared | file->shm_exclusive) & bit)
        return SQLITE_OK;
    if (shm->exclusive[lock] || (!is_shared && shm->shared[lock]))
        return SQLITE_BUSY;
    if (!is_kept(file->vfs, lock) && !(is_shared && shm->shared[lock])) {
        int rc = kernel_lock(file, is_shared ? OS_LOCK_SHARED : OS_LOCK_EXCLUSIVE, LOCK_FIRST + lock);
        if (rc)
            return rc;
    }
    if (is_shared) {
        shm->shared[lock]++;
        file->shm_shared |= bit;
    } else {
        shm->exclusive[lock] = 1;
        file->shm_exclusive |= bit;
    }
    return SQLITE_OK;
}

static int unlock_one(struct sqlite_file *file, int lock) {
    struct sqlite_shm *shm = &file->vfs->shm;
    unsigned bit = 1u << lock;
    if (!((file->shm_shared | file->shm_exclusive) & bit))
        return SQLITE_OK;
    int is_last = (file->shm_exclusive & bit) || shm->shared[lock] == 1;
    int rc = SQLITE_OK;
    if (is_last && !is_kept(file->vfs, lock))
        rc = kernel_lock(file, OS_LOCK_NONE, LOCK_FIRST + lock);
    if (file->shm_exclusive & bit)
        shm->exclusive[lock] = 0;
    else
        shm->shared[lock]--;
    file->shm_shared &= ~bit;
    file->shm_exclusive &= ~bit;
    return rc;
}

int sqlite_shm_lock(sqlite3_file *base, int first, int count, int flags) {
    struct sqlite_file *file = (struct sqlite_file *)base;
    int rc = SQLITE_OK, done = 0;
    pthread_mutex_lock(&file->vfs->mutex);
    if (flags & SQLITE_SHM_UNLOCK) {
        for (int i = first; i < first + count; i++) {
            int failed = unlock_one(file, i);
            rc = rc ? rc : failed;
        }
    } else {
        while (rc == SQLITE_OK && done < count) {
            rc = lock_one(file, first + done, flags & SQLITE_SHM_SHARED);
            done += rc == SQLITE_OK;
        }
        while (rc != SQLITE_OK && done > 0)
            unlock_one(file, first + --done);
    }
    pthread_mutex_unlock(&file->vfs->mutex);
    return rc;
}

void sqlite_shm_barrier(sqlite3_file *base) {
    struct sqlite_file *file = (struct sqlite_file *)base;
    atomic_thread_fence(memory_order_seq_cst);
    pthread_mutex_lock(&file->vfs->mutex);
    pthread_mutex_unlock(&file->vfs->mutex);
}

int sqlite_shm_unmap(sqlite3_file *base, int delete_it) {
    struct sqlite_file *file = (struct sqlite_file *)base;
    (void)delete_it; /* the owner's locks make sure that nobody asks for it while it matters */
    if (!file->has_shm)
        return SQLITE_OK;
    sqlite_shm_lock(base, 0, SQLITE_SHM_NLOCK, SQLITE_SHM_UNLOCK);
    pthread_mutex_lock(&file->vfs->mutex);
    file->has_shm = 0;
    leave(file->vfs);
    pthread_mutex_unlock(&file->vfs->mutex);
    return SQLITE_OK;
}

static int cannot_own(int rc, int negative_errno, struct hf_error *error) {
    if (rc == SQLITE_BUSY) {
        error_set(error, HF_ERR_LOCKED, "another program has the database open and is writing to it");
        error_hint(error, "close it (a SQLite shell in a transaction, or a holdfast whose file 'lock' was removed)");
        return HF_ERR_LOCKED;
    }
    if (negative_errno)
        return error_set_errno(error, negative_errno, "open the database's -shm");
    return error_set(error, HF_ERR_IO, "open the database's -shm: %s", sqlite3_errstr(rc));
}

int sqlite_vfs_own(struct sqlite_vfs *vfs, const char *database, struct hf_error *error) {
    struct sqlite_file file = {.vfs = vfs, .fd = -1}; /* no file of its own: where an errno is kept */
    file.main = &file;
    pthread_mutex_lock(&vfs->mutex);
    int rc = join(&file, database);
    vfs->is_owned = rc == SQLITE_OK;
    pthread_mutex_unlock(&vfs->mutex);
    return rc ? cannot_own(rc, file.last_errno, error) : 0;
}

void sqlite_shm_disown(struct sqlite_vfs *vfs) {
    if (vfs->is_owned)
        leave(vfs);
    vfs->is_owned = 0;
}
