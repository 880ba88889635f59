/* Whether the files are still where this process put them.
 *
 * SQLite answers from its cache, so it works on over a database that somebody cut short, replaced or removed, and what
 * it then acknowledges is gone with the process. One look at each file before a commit group and before a checkpoint
 * (which would write what is missing over with holes, and so hide it) costs some microseconds.
 *
 * A file is only ever made shorter by this connection: so its own writes and cuts say how long it is. */
#include "os/file.h"
#include "store/sqlite_file.h"

static int lost(struct hf_error *error, const char *name, const char *what) {
    error_set(error, HF_ERR_CORRUPT, "file '%s' %s", name, what);
    error_hint(error, "another program did that: end the daemon, keep what is left as it is, then restore a backup");
    return HF_ERR_CORRUPT;
}

static int check(struct sqlite_file *file, struct hf_error *error) {
    struct stat stat;
    const char *name = file->name + 2; /* "./…" */
    if (file->fd < 0 || file->size_bytes < 0 || file->inode == 0)
        return 0;
    int rc = OS_AGAIN(os_stat_at(file->vfs->os, file->vfs->dir_fd, file->name, &stat));
    if (rc == -ENOENT)
        return lost(error, name, "was removed or renamed");
    if (rc)
        return error_set_errno(error, rc, "look at '%s'", name);
    if (stat.st_ino != file->inode || stat.st_dev != file->device)
        return lost(error, name, "is another one now");
    return stat.st_size < file->size_bytes ? lost(error, name, "was cut short") : 0;
}

int sqlite_vfs_check_place(sqlite3 *db, struct hf_error *error) {
    struct sqlite_file *database = NULL, *wal = NULL;
    sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &database);
    sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &wal);
    int code = database && database->base.pMethods ? check(database, error) : 0;
    return code == 0 && wal && wal->base.pMethods ? check(wal, error) : code;
}
