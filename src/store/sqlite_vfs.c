#include "store/sqlite_vfs.h"
#include "base/mem.h"
#include "os/file.h"
#include "store/sqlite_file.h"
#include <stdio.h>
#include <string.h>

static struct sqlite_vfs *of(sqlite3_vfs *base) {
    return base->pAppData;
}

static int open_fd(struct sqlite_file *file, const char *name, int flags) {
    struct sqlite_vfs *vfs = file->vfs;
    int is_private = vfs->role == SQLITE_ROLE_PRIVATE;
    int open_flags = O_NOFOLLOW | O_CLOEXEC | (is_private ? O_RDONLY : O_RDWR);
    if (!is_private && (flags & SQLITE_OPEN_CREATE) && file->type != SQLITE_OPEN_MAIN_DB)
        open_flags |= O_CREAT;
    return OS_AGAIN(os_open(vfs->os, vfs->dir_fd, name, open_flags, 0600));
}

static void note_place(struct sqlite_file *file) {
    struct stat stat;
    if (OS_AGAIN(os_fstat(file->vfs->os, file->fd, &stat)) != 0)
        return;
    file->size_bytes = stat.st_size;
    file->device = stat.st_dev;
    file->inode = stat.st_ino;
}

static int open_database(struct sqlite_file *file, const char *name, int flags) {
    struct sqlite_vfs *vfs = file->vfs;
    int rc = SQLITE_OK;
    pthread_mutex_lock(&vfs->mutex);
    if (vfs->db_users == 0) {
        int fd = open_fd(file, name, flags);
        if (fd < 0)
            rc = sqlite_file_fail(file, fd, SQLITE_CANTOPEN);
        else
            vfs->db_fd = fd;
    }
    if (rc == SQLITE_OK) {
        vfs->db_users++;
        file->fd = vfs->db_fd;
        file->folder_sync = 1;
        note_place(file);
    }
    pthread_mutex_unlock(&vfs->mutex);
    return rc;
}

static int open_other(struct sqlite_file *file, const char *name, int flags) {
    file->fd = open_fd(file, name, flags);
    if (file->fd < 0 && file->vfs->role == SQLITE_ROLE_PRIVATE && file->fd == -ENOENT) {
        file->fd = -1;
        return SQLITE_OK;
    }
    if (file->fd < 0)
        return sqlite_file_fail(file, file->fd, SQLITE_CANTOPEN);
    file->folder_sync = 1;
    if (file->type == SQLITE_OPEN_WAL)
        note_place(file);
    return SQLITE_OK;
}

/* What VACUUM builds up: a file that has lost its name at once. The folder's owner alone comes here. */
static int open_temporary(struct sqlite_file *file, int *ret_flags) {
    static const char name[] = "./.holdfast-temporary";
    struct sqlite_vfs *vfs = file->vfs;
    int flags = O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC;
    if (vfs->role != SQLITE_ROLE_OWNER)
        return SQLITE_CANTOPEN;
    file->fd = OS_AGAIN(os_open(vfs->os, vfs->dir_fd, name, flags, 0600));
    if (file->fd < 0) {
        sqlite_vfs_note_errno(vfs, file->fd);
        return SQLITE_CANTOPEN;
    }
    (void)OS_AGAIN(os_unlink(vfs->os, vfs->dir_fd, name, 0));
    file->base.pMethods = &sqlite_io_plain;
    if (ret_flags)
        *ret_flags = SQLITE_OPEN_READWRITE;
    return SQLITE_OK;
}

static int vfs_open(sqlite3_vfs *base, const char *name, sqlite3_file *to, int flags, int *ret_flags) {
    struct sqlite_file *file = (struct sqlite_file *)to;
    int type = flags & (SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL);
    memset(file, 0, sizeof *file);
    file->vfs = of(base);
    file->type = type;
    file->name = name;
    file->size_bytes = -1;
    file->main = file;
    if (!name)
        return open_temporary(file, ret_flags);
    if (type == 0)
        return SQLITE_CANTOPEN;
    if (type != SQLITE_OPEN_MAIN_DB)
        file->main = (struct sqlite_file *)sqlite3_database_file_object(name);
    int rc = type == SQLITE_OPEN_MAIN_DB ? open_database(file, name, flags) : open_other(file, name, flags);
    if (rc) {
        sqlite_vfs_note_errno(file->vfs, file->main->last_errno);
        return rc;
    }
    file->base.pMethods = type == SQLITE_OPEN_MAIN_DB ? &sqlite_io_database : &sqlite_io_plain;
    if (ret_flags)
        *ret_flags = flags;
    return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *base, const char *name, int sync_folder) {
    struct sqlite_vfs *vfs = of(base);
    int rc = OS_AGAIN(os_unlink(vfs->os, vfs->dir_fd, name, 0));
    if (rc)
        return rc == -ENOENT ? SQLITE_IOERR_DELETE_NOENT : SQLITE_IOERR_DELETE;
    if (sync_folder && OS_AGAIN(os_fsync(vfs->os, vfs->dir_fd)))
        return SQLITE_IOERR_DIR_FSYNC;
    return SQLITE_OK;
}

static int vfs_access(sqlite3_vfs *base, const char *name, int flags, int *ret_can) {
    struct sqlite_vfs *vfs = of(base);
    struct stat stat;
    int rc = OS_AGAIN(os_stat_at(vfs->os, vfs->dir_fd, name, &stat));
    if (rc && rc != -ENOENT) {
        sqlite_vfs_note_errno(vfs, rc);
        return SQLITE_IOERR_ACCESS; /* "cannot tell" must not count as "no journal" */
    }
    /* An empty journal or WAL is none. */
    *ret_can = rc == 0 && (flags != SQLITE_ACCESS_EXISTS || !S_ISREG(stat.st_mode) || stat.st_size > 0);
    return SQLITE_OK;
}

static int vfs_full_path(sqlite3_vfs *base, const char *name, int room, char *to) {
    (void)base;
    return snprintf(to, (size_t)room, "%s", name) < room ? SQLITE_OK : SQLITE_CANTOPEN;
}

static int vfs_randomness(sqlite3_vfs *base, int bytes, char *to) {
    if (OS_AGAIN(os_random(of(base)->os, to, (size_t)bytes)) < 0)
        memset(to, 0, (size_t)bytes);
    return bytes;
}

static int vfs_sleep(sqlite3_vfs *base, int microseconds) {
    os_sleep_ms(of(base)->os, (microseconds + 999) / 1000);
    return microseconds;
}

static int vfs_time(sqlite3_vfs *base, sqlite3_int64 *ret_julian_ms) {
    static const sqlite3_int64 unix_epoch_julian_ms = 24405875 * (sqlite3_int64)8640000;
    *ret_julian_ms = unix_epoch_julian_ms + os_wall_ms(of(base)->os);
    return SQLITE_OK;
}

static int vfs_time_days(sqlite3_vfs *base, double *ret_julian_days) {
    sqlite3_int64 julian_ms = 0;
    vfs_time(base, &julian_ms);
    *ret_julian_days = (double)julian_ms / 86400000.0;
    return SQLITE_OK;
}

static int vfs_last_error(sqlite3_vfs *base, int room, char *to) {
    (void)base, (void)room, (void)to;
    return 0;
}

int sqlite_vfs_new(const struct os *os, int dir_fd, enum sqlite_role role, struct sqlite_vfs **ret_vfs,
                   struct hf_error *error) {
    struct sqlite_vfs *vfs = MEM_NEW(struct sqlite_vfs);
    if (!vfs)
        return error_set(error, HF_ERR_NO_MEMORY, "register the file layer: memory is used up");
    vfs->os = os;
    vfs->dir_fd = dir_fd;
    vfs->role = role;
    vfs->db_fd = vfs->shm.fd = -1;
    snprintf(vfs->name, sizeof vfs->name, "holdfast-%p", (void *)vfs);
    pthread_mutex_init(&vfs->mutex, NULL);
    vfs->base = (sqlite3_vfs){.iVersion = 2,
                              .szOsFile = (int)sizeof(struct sqlite_file),
                              .mxPathname = 400,
                              .zName = vfs->name,
                              .pAppData = vfs,
                              .xOpen = vfs_open,
                              .xDelete = vfs_delete,
                              .xAccess = vfs_access,
                              .xFullPathname = vfs_full_path,
                              .xRandomness = vfs_randomness,
                              .xSleep = vfs_sleep,
                              .xCurrentTime = vfs_time_days,
                              .xGetLastError = vfs_last_error,
                              .xCurrentTimeInt64 = vfs_time};
    int rc = sqlite3_vfs_register(&vfs->base, 0);
    if (rc) {
        pthread_mutex_destroy(&vfs->mutex);
        mem_free(vfs);
        return error_set(error, HF_ERR_NO_MEMORY, "register the file layer: %s", sqlite3_errstr(rc));
    }
    *ret_vfs = vfs;
    return 0;
}

void sqlite_vfs_pad(struct sqlite_vfs *vfs, sqlite3_int64 database_bytes) {
    vfs->padded_bytes = database_bytes;
}

void sqlite_vfs_free(struct sqlite_vfs **vfs) {
    if (!vfs || !*vfs)
        return;
    sqlite_shm_disown(*vfs);
    sqlite3_vfs_unregister(&(*vfs)->base);
    pthread_mutex_destroy(&(*vfs)->mutex);
    mem_free(*vfs);
    *vfs = NULL;
}

const char *sqlite_vfs_name(const struct sqlite_vfs *vfs) {
    return vfs->name;
}

static struct sqlite_file *main_file(sqlite3 *db) {
    struct sqlite_file *file = NULL;
    sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &file);
    return file && file->base.pMethods ? file : NULL;
}

int sqlite_vfs_errno(sqlite3 *db) {
    struct sqlite_file *file = main_file(db);
    if (file && sqlite3_extended_errcode(db) == SQLITE_IOERR_ACCESS)
        return sqlite_vfs_open_errno(file->vfs);
    return file ? file->last_errno : 0;
}

void sqlite_vfs_forget(sqlite3 *db) {
    struct sqlite_file *file = main_file(db);
    if (file)
        file->last_errno = 0;
}

void sqlite_vfs_note_errno(struct sqlite_vfs *vfs, int negative_errno) {
    pthread_mutex_lock(&vfs->mutex);
    vfs->open_errno = negative_errno;
    pthread_mutex_unlock(&vfs->mutex);
}

int sqlite_vfs_open_errno(struct sqlite_vfs *vfs) {
    pthread_mutex_lock(&vfs->mutex);
    int negative_errno = vfs->open_errno;
    pthread_mutex_unlock(&vfs->mutex);
    return negative_errno;
}

uint64_t sqlite_vfs_wal_syncs(sqlite3 *db) {
    struct sqlite_file *file = main_file(db);
    return file ? file->wal_syncs : 0;
}
