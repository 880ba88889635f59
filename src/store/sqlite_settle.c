/* Making durable what an earlier owner left.
 *
 * Invariants
 *  1. After sqlite_settle returned 0, every byte of the database's first page and of the WAL that a reader can see is
 * on disk. Only then may a commit build on them, or a put of what is there already be acknowledged.
 *  2. Nothing that is seen changes: the same bytes are written to the same places.
 *  3. An empty WAL beside a database that has pages says that all of it is on disk: a WAL is cut only behind a sync of
 * the database, by whoever owned it.
 *
 * Why: an owner that was killed between a write and its sync leaves frames that the next owner reads from the page
 * cache as if they were committed. And after a sync that failed, the kernel holds such pages as clean: a later sync
 * says yes without writing them. Writing them again makes them dirty, so the sync means it. */
#include "store/sqlite_backend.h"
#include "base/mem.h"
#include <errno.h>
#include <stdio.h>

enum { BLOCK_BYTES = 256 * 1024 };

static int rewrite(const struct os *os, int fd, off_t limit, char *block) {
    for (off_t at = 0; at < limit;) {
        size_t wanted = limit - at < BLOCK_BYTES ? (size_t)(limit - at) : BLOCK_BYTES;
        ssize_t got = file_pread_full(os, fd, block, wanted, at);
        if (got <= 0)
            return (int)got;
        int rc = file_pwrite_full(os, fd, block, (size_t)got, at);
        if (rc)
            return rc;
        at += got;
    }
    return 0;
}

/* Writes the file's first `limit` bytes again and syncs it. A file that is not there is fine. */
static int settle_file(struct sqlite_backend *self, const char *name, off_t limit, char *block) {
    struct stat stat;
    int fd = OS_AGAIN(os_open(self->os, self->dir_fd, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC, 0));
    if (fd == -ENOENT)
        return 0;
    if (fd < 0)
        return fd;
    int rc = OS_AGAIN(os_fstat(self->os, fd, &stat));
    if (rc == 0)
        rc = rewrite(self->os, fd, stat.st_size < limit ? stat.st_size : limit, block);
    if (rc == 0)
        rc = OS_AGAIN(os_fsync(self->os, fd));
    os_close(self->os, fd);
    return rc;
}

/* Only an owner that closed in order, or wrote all of it back, leaves an empty WAL: it cuts it when the database is
 * synced (invariant 3). */
static int is_left_in_order(struct sqlite_backend *self, const char *wal) {
    struct stat of_wal, of_database;
    return OS_AGAIN(os_stat_at(self->os, self->dir_fd, wal, &of_wal)) == 0 && S_ISREG(of_wal.st_mode) &&
           of_wal.st_size == 0 && OS_AGAIN(os_stat_at(self->os, self->dir_fd, self->name, &of_database)) == 0 &&
           of_database.st_size > 0;
}

int sqlite_settle(struct sqlite_backend *self, struct hf_error *error) {
    char wal[512];
    snprintf(wal, sizeof wal, "%s-wal", self->name);
    if (is_left_in_order(self, wal))
        return 0;
    MEM_AUTO char *block = mem_alloc(BLOCK_BYTES);
    if (!block)
        return error_set(error, HF_ERR_NO_MEMORY, "sync what an earlier owner left: memory is used up");
    int rc = settle_file(self, self->name, SQLITE_PAGE_BYTES, block);
    if (rc == 0)
        rc = settle_file(self, wal, INT64_MAX, block);
    if (rc == 0)
        rc = OS_AGAIN(os_fsync(self->os, self->dir_fd));
    return rc == 0 ? 0 : error_set_errno(error, rc, "sync what an earlier owner left");
}
