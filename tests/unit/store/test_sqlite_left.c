/* What an earlier owner left in the page cache. It reads as if it were on disk, and a power cut takes it away.
 *
 * Beside the live store stands the disk as a cut would leave it: bytes come there by syncs that succeeded. A sync that
 * fails makes the pages clean without writing them, as the kernel does. */
#include "store/sqlite_fixture.h"

#include <errno.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/mman.h>

#include "store/store.h"

enum file { FILE_OTHER, FILE_DATABASE, FILE_WAL, FILES };
enum { PAGE_BYTES = 4096, PAGES = 4096, FDS = 1024 };

static const char *const suffixes[FILES] = {[FILE_DATABASE] = "", [FILE_WAL] = "-wal"};

struct disk {
    struct os_ops ops;
    struct os os;
    struct fixture live, cut;
    enum file file_of[FDS];
    uint8_t is_dirty[FILES][PAGES];
    enum file killed_in_sync_of, failing_sync_of;
    int is_off; /* the power was cut: nothing comes to the disk any more */
};

/* ---- the os that keeps the disk ---- */

static int disk_open(const struct os *os, int dir_fd, const char *path, int flags, mode_t mode) {
    struct disk *disk = os->context;
    int fd = os_open(os_real(), dir_fd, path, flags, mode);
    if (fd < 0)
        return fd;
    assert_true(fd < FDS);
    disk->file_of[fd] = strcmp(path, "./store.db") == 0       ? FILE_DATABASE
                        : strcmp(path, "./store.db-wal") == 0 ? FILE_WAL
                                                              : FILE_OTHER;
    return fd;
}

static ssize_t disk_pwrite(const struct os *os, int fd, const void *from, size_t bytes, off_t offset) {
    struct disk *disk = os->context;
    ssize_t written = os_pwrite(os_real(), fd, from, bytes, offset);
    for (off_t page = offset / PAGE_BYTES; written > 0 && page * PAGE_BYTES < offset + written; page++) {
        assert_true(page < PAGES);
        disk->is_dirty[disk->file_of[fd]][page] = 1;
    }
    return written;
}

/* The writer did its duty: the dirty pages of the file, and its size. */
static void write_back(struct disk *disk, enum file file, int fd) {
    char path[128], bytes[PAGE_BYTES];
    struct stat found;
    snprintf(path, sizeof path, "%s%s", disk->cut.file, suffixes[file]);
    int to = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(to >= 0);
    for (off_t page = 0; page < PAGES; page++) {
        ssize_t got = disk->is_dirty[file][page] ? pread(fd, bytes, sizeof bytes, page * PAGE_BYTES) : 0;
        assert_int_equal(pwrite(to, bytes, (size_t)got, page * PAGE_BYTES), got);
    }
    assert_int_equal(fstat(fd, &found), 0);
    assert_int_equal(ftruncate(to, found.st_size), 0);
    close(to);
}

static int disk_sync(const struct os *os, int fd) {
    struct disk *disk = os->context;
    enum file file = disk->file_of[fd];
    if (file == FILE_OTHER || disk->is_off)
        return 0;
    if (file == disk->killed_in_sync_of && disk->is_dirty[file][1]) /* in a WAL: more than its header */
        raise(SIGKILL);
    int fails = file == disk->failing_sync_of;
    if (!fails)
        write_back(disk, file, fd);
    memset(disk->is_dirty[file], 0, sizeof disk->is_dirty[file]);
    return fails ? -EIO : 0;
}

/* Shared with children: the pages that one of them made dirty stay so when it is killed. */
static int setup(void **state) {
    struct disk *disk = mmap(NULL, sizeof *disk, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (disk == MAP_FAILED)
        return -1;
    disk->ops = *os_real()->ops;
    disk->ops.open = disk_open;
    disk->ops.pwrite = disk_pwrite;
    disk->ops.fsync = disk_sync;
    disk->ops.fdatasync = disk_sync;
    disk->os = (struct os){.ops = &disk->ops, .context = disk};
    fixture_make(&disk->live, "/tmp");
    fixture_make(&disk->cut, "/tmp");
    *state = disk;
    return 0;
}

static int teardown(void **state) {
    struct disk *disk = *state;
    fixture_remove(&disk->live);
    fixture_remove(&disk->cut);
    return munmap(disk, sizeof *disk);
}

/* ---- owners ---- */

static struct hf_store *open_store(const struct fixture *fixture, const struct os *os) {
    struct store_setup setup = {.os = os, .without_thread = 1};
    struct hf_store *store = NULL;
    struct hf_error error = {0};
    char url[128];
    snprintf(url, sizeof url, "sqlite:%s", fixture->file);
    if (store_open(url, NULL, &setup, &store, &error))
        fail_msg("%s", error.message);
    return store;
}

static int put(struct hf_store *store, const char *id) {
    return hf_store_put(store, "thing", id, "{\"a\":1}", 7, NULL, NULL);
}

static void expect_there(struct hf_store *store, const char *id) {
    struct hf_record *record = NULL;
    struct hf_error error = {0};
    if (hf_store_get(store, "thing", id, &record, &error))
        fail_msg("after the cut: %s", error.message);
    assert_string_equal(record->json, "{\"a\":1}");
    hf_record_free(&record);
}

/* The power is cut while `store` is open. Gives what the next start finds. */
static struct hf_store *cut_power(struct disk *disk, struct hf_store **store) {
    disk->is_off = 1;
    hf_store_close(store);
    return open_store(&disk->cut, os_real());
}

/* An owner that is killed inside the sync of `file`; it puts `id` when it comes that far. */
static void kill_owner(struct disk *disk, enum file file, const char *id) {
    int status;
    disk->killed_in_sync_of = file;
    pid_t child = fork();
    if (child == 0) {
        struct hf_store *store = open_store(&disk->live, &disk->os);
        _exit(put(store, id));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGKILL);
    disk->killed_in_sync_of = FILE_OTHER;
}

/* ---- what the next owner builds on ---- */

/* The same document is there already, so the second put writes nothing. */
static void a_put_that_was_killed_before_its_sync_may_be_put_again(void **state) {
    struct disk *disk = *state;
    struct hf_store *store = open_store(&disk->live, &disk->os);
    assert_int_equal(put(store, "one"), 0);
    hf_store_close(&store);
    kill_owner(disk, FILE_WAL, "two");
    store = open_store(&disk->live, &disk->os);
    assert_int_equal(put(store, "two"), 0);
    store = cut_power(disk, &store);
    expect_there(store, "one");
    expect_there(store, "two");
    hf_store_close(&store);
}

static void commits_behind_a_failed_sync_do_not_stand_behind_a_hole(void **state) {
    struct disk *disk = *state;
    struct hf_store *store = open_store(&disk->live, &disk->os);
    assert_int_equal(put(store, "one"), 0);
    disk->failing_sync_of = FILE_WAL;
    assert_int_not_equal(put(store, "two"), 0);
    hf_store_close(&store);
    disk->failing_sync_of = FILE_OTHER;
    store = open_store(&disk->live, &disk->os);
    assert_int_equal(put(store, "three"), 0);
    assert_int_equal(put(store, "two"), 0);
    store = cut_power(disk, &store);
    expect_there(store, "one");
    expect_there(store, "two");
    expect_there(store, "three");
    hf_store_close(&store);
}

static void a_first_page_that_was_not_synced_is_synced_before_a_commit(void **state) {
    struct disk *disk = *state;
    kill_owner(disk, FILE_DATABASE, "never");
    assert_int_equal(fixture_size(&disk->live, ""), 8192);
    struct hf_store *store = open_store(&disk->live, &disk->os);
    assert_int_equal(put(store, "one"), 0);
    store = cut_power(disk, &store);
    expect_there(store, "one");
    hf_store_close(&store);
}

/* ---- an open that fails ---- */

/* As a newer program that was killed: its schema stands in the WAL only. */
static void leave_a_newer_schema_in_the_wal(const struct fixture *fixture) {
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(fixture->file, &db), SQLITE_OK);
    sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    assert_int_equal(sqlite3_exec(db, "PRAGMA user_version=3", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static size_t read_whole(const struct fixture *fixture, const char *suffix, char *bytes, size_t room) {
    char path[128];
    snprintf(path, sizeof path, "%s%s", fixture->file, suffix);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t size = fread(bytes, 1, room, file);
    assert_true(size < room);
    fclose(file);
    return size;
}

static void an_open_that_fails_changes_no_byte(void **state) {
    struct disk *disk = *state;
    enum { ROOM = 1 << 20 };
    static char before[FILES][ROOM], after[ROOM];
    size_t sizes[FILES];
    struct hf_store *store = open_store(&disk->live, os_real());
    assert_int_equal(put(store, "one"), 0);
    hf_store_close(&store);
    leave_a_newer_schema_in_the_wal(&disk->live);
    for (enum file file = FILE_DATABASE; file < FILES; file++)
        sizes[file] = read_whole(&disk->live, suffixes[file], before[file], ROOM);
    assert_true(sizes[FILE_WAL] > 0);
    assert_int_equal(fixture_try_open(&disk->live, os_real(), NULL), HF_ERR_SCHEMA_NEWER);
    for (enum file file = FILE_DATABASE; file < FILES; file++) {
        assert_int_equal(read_whole(&disk->live, suffixes[file], after, ROOM), sizes[file]);
        assert_memory_equal(after, before[file], sizes[file]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_put_that_was_killed_before_its_sync_may_be_put_again, setup, teardown),
        cmocka_unit_test_setup_teardown(commits_behind_a_failed_sync_do_not_stand_behind_a_hole, setup, teardown),
        cmocka_unit_test_setup_teardown(a_first_page_that_was_not_synced_is_synced_before_a_commit, setup, teardown),
        cmocka_unit_test_setup_teardown(an_open_that_fails_changes_no_byte, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
