/* The file before SQLite sees it.
 *
 * Invariants
 *  1. What is not ours, newer than us, or cut short is told from the header alone; not one byte of it changes. What is
 *     cut short is opened to be read only: what is there can be salvaged.
 *  2. A new store begins as one page that is written here, in WAL mode already, with our application id: there is no
 *     moment at which it is a SQLite file that is not ours, and never a rollback journal.
 *  3. All that is not zero in that page lies in one sector. So a cut leaves no file, an empty one, one of zeros, or the
 *     whole page; the first three count as new, while there is no WAL: that comes after the page was synced. */
#include "store/sqlite_backend.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { HEADER_BYTES = 100, FILE_MODE = 0600, TAG_FIRST = 2000, TAG_COUNT = 16384, FORMAT_WAL = 2 };
enum {
    AT_PAGE_BYTES = 16,
    AT_WRITE_FORMAT = 18,
    AT_READ_FORMAT = 19,
    AT_COUNTER = 24,
    AT_PAGES = 28,
    AT_TAG = 48, /* "suggested cache size": VACUUM keeps it, and as a cache's size the values below do no harm */
    AT_USER_VERSION = 60,
    AT_APPLICATION_ID = 68,
    AT_VALID_FOR = 92,
    AT_WRITER_VERSION = 96
};
static const char magic[16] = "SQLite format 3";

static uint32_t get32(const uint8_t *at) {
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void put32(uint8_t *at, uint32_t value) {
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> (24 - 8 * i));
}

static int is_zero(const uint8_t *bytes, size_t size) {
    for (size_t i = 0; i < size; i++)
        if (bytes[i])
            return 0;
    return 1;
}

/* File format 4 of sqlite.org/fileformat2.html: an empty schema table in page 1. */
static void make_first_page(uint8_t page[SQLITE_PAGE_BYTES], uint32_t tag) {
    memset(page, 0, SQLITE_PAGE_BYTES);
    memcpy(page, magic, sizeof magic);
    page[AT_PAGE_BYTES] = SQLITE_PAGE_BYTES >> 8;
    page[AT_WRITE_FORMAT] = page[AT_READ_FORMAT] = FORMAT_WAL;
    page[21] = 64, page[22] = 32, page[23] = 32; /* payload fractions: fixed by the format */
    put32(page + AT_COUNTER, 1);
    put32(page + AT_PAGES, 1);
    put32(page + 44, 4); /* schema format */
    put32(page + AT_TAG, tag);
    put32(page + 56, 1); /* UTF-8 */
    put32(page + AT_APPLICATION_ID, SQLITE_APPLICATION_ID);
    put32(page + AT_VALID_FOR, 1);
    put32(page + AT_WRITER_VERSION, SQLITE_VERSION_NUMBER);
    page[HEADER_BYTES] = 13;                         /* a leaf of a table, with no cells */
    page[HEADER_BYTES + 5] = SQLITE_PAGE_BYTES >> 8; /* where its content begins: at the end */
}

/* The zeros are synced before the page: its size never has to follow. */
static int write_first_page(struct sqlite_backend *self, int fd) {
    uint8_t page[SQLITE_PAGE_BYTES];
    uint16_t chance;
    int rc = OS_AGAIN(os_random(self->os, &chance, sizeof chance));
    if (rc < 0)
        return rc;
    self->tag = TAG_FIRST + chance % TAG_COUNT;
    make_first_page(page, self->tag);
    rc = OS_AGAIN(os_truncate(self->os, fd, SQLITE_PAGE_BYTES));
    if (rc == 0)
        rc = OS_AGAIN(os_fsync(self->os, fd));
    if (rc == 0)
        rc = OS_AGAIN(os_fsync(self->os, self->dir_fd));
    if (rc == 0)
        rc = file_pwrite_full(self->os, fd, page, sizeof page, 0);
    return rc == 0 ? OS_AGAIN(os_fsync(self->os, fd)) : rc;
}

/* Its size; -1 when it is not there. */
static off_t wal_size(struct sqlite_backend *self) {
    char name[512];
    struct stat stat;
    snprintf(name, sizeof name, "%s-wal", self->name);
    return OS_AGAIN(os_stat_at(self->os, self->dir_fd, name, &stat)) == 0 ? stat.st_size : -1;
}

static int not_ours(struct hf_error *error, const char *why) {
    error_set(error, HF_ERR_NOT_OURS, "%s", why);
    error_hint(error, "name another file; this one was left as it is");
    return HF_ERR_NOT_OURS;
}

int sqlite_header_refuse_older(long long version, struct hf_error *error) {
    error_set(error, HF_ERR_UNSUPPORTED,
              "it has schema %lld, of an older holdfast that was never released; this program knows %d", version,
              SQLITE_SCHEMA_VERSION);
    error_hint(error, "copy it to a new store with the build that wrote it; nothing was changed");
    return HF_ERR_UNSUPPORTED;
}

static int judge(struct sqlite_backend *self, const uint8_t *header, size_t bytes, off_t size, struct hf_error *error) {
    if (memcmp(header, magic, bytes < sizeof magic ? bytes : sizeof magic) != 0)
        return not_ours(error, "the file is not a SQLite database");
    if (bytes < HEADER_BYTES)
        return error_set(error, HF_ERR_CORRUPT, "file is cut short: %d bytes of the header", (int)bytes);
    if (get32(header + AT_APPLICATION_ID) != SQLITE_APPLICATION_ID)
        return not_ours(error, "the database was made by another program");
    uint32_t version = get32(header + AT_USER_VERSION);
    if (version > SQLITE_SCHEMA_VERSION) {
        error_set(error, HF_ERR_SCHEMA_NEWER, "it has schema %u, this program knows %d", version,
                  SQLITE_SCHEMA_VERSION);
        error_hint(error, "use the newer holdfast; nothing was changed");
        return HF_ERR_SCHEMA_NEWER;
    }
    if (version && version < SQLITE_SCHEMA_VERSION)
        return sqlite_header_refuse_older(version, error);
    if (header[AT_WRITE_FORMAT] > FORMAT_WAL || header[AT_READ_FORMAT] > FORMAT_WAL)
        return error_set(error, HF_ERR_CORRUPT, "header is damaged: file format %d", header[AT_WRITE_FORMAT]);
    self->tag = get32(header + AT_TAG);
    long long page_bytes = header[AT_PAGE_BYTES] << 8 | header[AT_PAGE_BYTES + 1];
    page_bytes = page_bytes == 1 ? 65536 : page_bytes;
    if (page_bytes < 512 || page_bytes & (page_bytes - 1))
        return error_set(error, HF_ERR_CORRUPT, "header is damaged: pages of %lld bytes", page_bytes);
    int count_is_valid = get32(header + AT_COUNTER) == get32(header + AT_VALID_FOR);
    long long pages = get32(header + AT_PAGES);
    if (!count_is_valid || size >= pages * page_bytes || wal_size(self) > 0)
        return 0;
    self->cut = (struct sqlite_cut){size / page_bytes, pages, pages * page_bytes};
    if (self->read_only)
        return 0;
    error_set(error, HF_ERR_CORRUPT, "file is cut short: %lld of %lld pages", self->cut.pages, pages);
    error_hint(error, "restore a backup; what can still be read is saved by: holdfast store copy --salvage FROM-URL "
                      "TO-URL");
    return HF_ERR_CORRUPT;
}

static int refuse_emptied(struct sqlite_backend *self, struct hf_error *error) {
    error_set(error, HF_ERR_CORRUPT, "the database is empty, but its '%s-wal' is there", self->name + 2);
    error_hint(error, "restore a backup; to begin with an empty store instead, remove that file");
    return HF_ERR_CORRUPT;
}

static int is_new(const uint8_t *start, size_t bytes, off_t size) {
    return size <= SQLITE_PAGE_BYTES && is_zero(start, bytes);
}

static int look(struct sqlite_backend *self, int fd, struct hf_error *error) {
    uint8_t start[SQLITE_PAGE_BYTES];
    struct stat stat;
    int rc = OS_AGAIN(os_fstat(self->os, fd, &stat));
    if (rc)
        return error_set_errno(error, rc, "read header");
    if (!S_ISREG(stat.st_mode))
        return not_ours(error, "it is not a regular file");
    ssize_t got = file_pread_full(self->os, fd, start, sizeof start, 0);
    if (got < 0)
        return error_set_errno(error, (int)got, "read header");
    if (!is_new(start, (size_t)got, stat.st_size)) {
        int code = judge(self, start, (size_t)got < HEADER_BYTES ? (size_t)got : HEADER_BYTES, stat.st_size, error);
        return code ? error_wrap(error, code, "read header") : 0;
    }
    if (wal_size(self) >= 0) /* there was a first page on disk before there was a WAL */
        return refuse_emptied(self, error);
    if (self->read_only)
        return error_set(error, HF_ERR_NOT_FOUND, "the store is empty: nothing was ever written to it");
    int code = file_probe(self->os, self->dir_fd, error);
    if (code)
        return code;
    rc = write_first_page(self, fd);
    return rc ? error_set_errno(error, rc, "write header") : 0;
}

static int cannot_open(struct sqlite_backend *self, int rc, struct hf_error *error) {
    int code = error_set_errno(error, rc, "open '%s'", self->name + 2);
    if (code == HF_ERR_READ_ONLY || code == HF_ERR_PERMISSION)
        error_hint(error, "make it writable for this user, or open the store read-only");
    return code;
}

int sqlite_header_check(struct sqlite_backend *self, struct hf_error *error) {
    int flags = O_NOFOLLOW | O_CLOEXEC | (self->read_only ? O_RDONLY : O_RDWR | O_CREAT);
    int fd = OS_AGAIN(os_open(self->os, self->dir_fd, self->name, flags, FILE_MODE));
    if (fd < 0)
        return cannot_open(self, fd, error);
    int code = look(self, fd, error);
    os_close(self->os, fd);
    return code;
}
