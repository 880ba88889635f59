/* The simulated disk behaves as a file system does, and loses what one can lose. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "os/file.h"
#include "sim/crash_states.h"

#include <errno.h>
#include <string.h>

enum { TEXT_BYTES = 3000 };

static int replace(const struct os *os, int folder, const char *text, size_t bytes) {
    return file_replace(os, folder, "state", text, bytes, 0600, NULL);
}

/* ---- moves between folders --------------------------------------------------------------------------------------- */

enum seen { SEEN_NEITHER = 1, SEEN_OLD = 2, SEEN_NEW = 4, SEEN_BOTH = 8 };

static int is_there(const struct os *os, const char *path) {
    struct stat stat;
    return os_stat_at(os, AT_FDCWD, path, &stat) == 0;
}

/* Notes in arg which names there are. Found is 1 when the new one is. */
static int64_t see_names(void *arg, struct sim_disk *disk, char text[CRASH_TEXT]) {
    (void)text;
    struct sim_process *process = sim_process_new(disk);
    const struct os *os = sim_process_os(process);
    int old = is_there(os, "/data/from/file"), new = is_there(os, "/data/to/file");
    *(unsigned *)arg |= old && new ? SEEN_BOTH : old ? SEEN_OLD : new ? SEEN_NEW : SEEN_NEITHER;
    sim_process_free(&process);
    return new;
}

static int make_folder(const struct os *os, const char *path) {
    assert_int_equal(os_mkdir(os, AT_FDCWD, path, 0700), 0);
    int fd = os_open(os, AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0);
    assert_true(fd >= 0);
    return fd;
}

/* Moves a file that is safe, syncs one of the folders or none, and then says that it is done. */
static unsigned names_after_move(enum crash_order order, const char *synced, uint64_t *ret_failures) {
    struct sim_disk *disk = sim_disk_new(1);
    struct sim_process *process = sim_process_new(disk);
    const struct os *os = sim_process_os(process);
    int from = make_folder(os, "/data/from"), to = make_folder(os, "/data/to");
    assert_true(os_open(os, from, "file", O_WRONLY | O_CREAT, 0600) >= 0);
    sim_disk_record(disk);
    assert_int_equal(os_rename(os, from, "file", to, "file", 0), 0);
    if (*synced)
        assert_int_equal(os_fsync(os, strcmp(synced, "to") == 0 ? to : from), 0);
    sim_mark_ack(disk, 1);
    struct sim_record *record = sim_disk_take_record(disk);
    struct crash_options options;
    struct crash_result result = {0};
    unsigned seen = 0;
    crash_options_default(&options);
    options.order = order;
    crash_run(record, &options, see_names, &seen, &result);
    sim_record_free(&record);
    sim_process_free(&process);
    sim_disk_free(&disk);
    *ret_failures = result.failures;
    return seen;
}

static void test_move_between_folders(void **state) {
    (void)state;
    uint64_t failures;
    unsigned all = SEEN_NEITHER | SEEN_OLD | SEEN_NEW | SEEN_BOTH;
    assert_int_equal(names_after_move(CRASH_STRICT, "", &failures), all);
    assert_true(failures > 0);
    assert_int_equal(names_after_move(CRASH_STRICT, "from", &failures), all);
    assert_true(failures > 0); /* the new name was not synced */
    names_after_move(CRASH_STRICT, "to", &failures);
    assert_int_equal(failures, 0);
    assert_int_equal(names_after_move(CRASH_EXT4, "", &failures), SEEN_OLD | SEEN_NEW); /* one transaction */
    assert_true(failures > 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(names_after_move(CRASH_EXT4, i ? "from" : "to", &failures), SEEN_OLD | SEEN_NEW);
        assert_int_equal(failures, 0);
    }
}

/* ---- the disk ---------------------------------------------------------------------------------------------------- */

static int count_entry(void *arg, const char *name, unsigned char type) {
    (void)name, (void)type;
    ++*(unsigned *)arg;
    return 0;
}

static int64_t changed_ms(const struct stat *stat) {
    return (int64_t)stat->st_ctim.tv_sec * 1000 + stat->st_ctim.tv_nsec / 1000000;
}

static int64_t modified_ms(const struct stat *stat) {
    return (int64_t)stat->st_mtim.tv_sec * 1000 + stat->st_mtim.tv_nsec / 1000000;
}

static void test_folders_and_times(void **state) {
    (void)state;
    struct sim_disk *disk = sim_disk_new(1);
    struct sim_process *process = sim_process_new(disk);
    const struct os *os = sim_process_os(process);
    struct stat before, after;
    unsigned entries = 0;
    int a = make_folder(os, "/data/a"), b = make_folder(os, "/data/b");
    int fd = os_open(os, a, "file", O_RDWR | O_CREAT, 0600), other = os_open(os, b, "file", O_RDWR | O_CREAT, 0600);
    assert_int_equal(os_pwrite(os, fd, "holdfast", 8, 0), 8);
    assert_int_equal(os_fstat(os, fd, &before), 0);
    assert_int_equal(changed_ms(&before), modified_ms(&before));
    sim_disk_advance_ms(disk, 5000);
    assert_int_equal(os_rename(os, a, "file", b, "file", 0), 0);
    assert_int_equal(os_stat_at(os, b, "file", &after), 0);
    assert_int_equal(after.st_ino, before.st_ino);
    assert_int_equal(modified_ms(&after), modified_ms(&before));
    assert_true(changed_ms(&after) >= changed_ms(&before) + 5000);
    assert_int_equal(os_fstat(os, other, &after), 0); /* open, and nameless */
    assert_int_equal(after.st_nlink, 0);
    assert_int_equal(os_pwrite(os, other, "x", 1, 0), 1);
    assert_int_equal(os_unlink(os, AT_FDCWD, "/data/b", AT_REMOVEDIR), -ENOTEMPTY);
    assert_int_equal(os_rename(os, AT_FDCWD, "/data/a", AT_FDCWD, "/data/b", 0), -ENOTEMPTY);
    assert_int_equal(os_rename(os, b, "file", AT_FDCWD, "/data/a", 0), -EISDIR);
    assert_int_equal(os_rename(os, AT_FDCWD, "/data/a", b, "file", 0), -ENOTDIR);
    assert_int_equal(os_unlink(os, b, "file", 0), 0);
    assert_int_equal(os_rename(os, AT_FDCWD, "/data/a", AT_FDCWD, "/data/b", 0), 0);
    assert_int_equal(os_list(os, a, count_entry, &entries), 0);
    assert_int_equal(entries, 0);
    sim_process_free(&process);
    sim_disk_free(&disk);
}

/* What is renamed over gives its room back. */
static void test_room_comes_back(void **state) {
    (void)state;
    struct sim_disk *disk = sim_disk_new(1);
    struct sim_process *process = sim_process_new(disk);
    const struct os *os = sim_process_os(process);
    char text[TEXT_BYTES];
    memset(text, 'a', sizeof text);
    int folder = os_open(os, AT_FDCWD, "/data", O_RDONLY | O_DIRECTORY, 0);
    assert_int_equal(replace(os, folder, text, sizeof text), 0);
    sim_disk_set_room(disk, 3 * TEXT_BYTES);
    for (int i = 0; i < 10; i++)
        assert_int_equal(replace(os, folder, text, sizeof text), 0);
    sim_disk_set_room(disk, 1);
    assert_int_equal(replace(os, folder, text, sizeof text), HF_ERR_NO_SPACE);
    sim_process_free(&process);
    sim_disk_free(&disk);
}

/* Times reach the disk with what they are the times of. */
static int64_t see_time(void *arg, struct sim_disk *disk, char text[CRASH_TEXT]) {
    (void)text;
    struct sim_process *process = sim_process_new(disk);
    struct stat stat;
    int64_t found = 0;
    assert_int_equal(os_stat_at(sim_process_os(process), AT_FDCWD, "/data/state", &stat), 0);
    if (changed_ms(&stat) >= *(int64_t *)arg)
        found = 1;
    assert_int_equal(found, stat.st_size == TEXT_BYTES);
    sim_process_free(&process);
    return found;
}

static void test_times_are_lost_too(void **state) {
    (void)state;
    struct sim_disk *disk = sim_disk_new(1);
    struct sim_process *process = sim_process_new(disk);
    const struct os *os = sim_process_os(process);
    char text[TEXT_BYTES];
    memset(text, 'a', sizeof text);
    int folder = os_open(os, AT_FDCWD, "/data", O_RDONLY | O_DIRECTORY, 0);
    assert_int_equal(replace(os, folder, "1", 1), 0);
    sim_disk_advance_ms(disk, 10000);
    int64_t then_ms = os_wall_ms(os) - 100;
    sim_disk_record(disk);
    assert_int_equal(replace(os, folder, text, sizeof text), 0);
    sim_mark_ack(disk, 1);
    struct sim_record *record = sim_disk_take_record(disk);
    struct crash_options options;
    struct crash_result result = {0};
    crash_options_default(&options);
    crash_run(record, &options, see_time, &then_ms, &result);
    assert_int_equal(result.failures, 0);
    sim_record_free(&record);
    sim_process_free(&process);
    sim_disk_free(&disk);
}

/* The disk behaves as a file system does. */
static void test_disk_keeps_files(void **state) {
    (void)state;
    struct sim_disk *disk = sim_disk_new(1);
    struct sim_process *process = sim_process_new(disk), *other = sim_process_new(disk);
    const struct os *os = sim_process_os(process);
    char bytes[16] = {0};
    int fd = os_open(os, AT_FDCWD, "/data/a", O_RDWR | O_CREAT | O_EXCL, 0600);
    assert_true(fd >= 0);
    assert_int_equal(os_open(os, AT_FDCWD, "/data/a", O_RDWR | O_CREAT | O_EXCL, 0600), -EEXIST);
    assert_int_equal(os_pwrite(os, fd, "holdfast", 8, 4094), 8);
    assert_int_equal(os_pread(os, fd, bytes, sizeof bytes, 4092), 10);
    assert_memory_equal(bytes, "\0\0holdfast", 10);
    assert_int_equal(os_truncate(os, fd, 4096), 0);
    assert_int_equal(os_truncate(os, fd, 5000), 0);
    assert_int_equal(os_pread(os, fd, bytes, 8, 4094), 8);
    assert_memory_equal(bytes, "ho\0\0\0\0\0\0", 8);
    int foreign = os_open(sim_process_os(other), AT_FDCWD, "/data/a", O_RDWR, 0);
    assert_int_equal(os_lock_range(os, fd, OS_LOCK_EXCLUSIVE, 10, 10), 0);
    assert_int_equal(os_lock_range(os, fd, OS_LOCK_NONE, 14, 2), 0);
    assert_int_equal(os_lock_range(sim_process_os(other), foreign, OS_LOCK_SHARED, 14, 2), 0);
    assert_int_equal(os_lock_range(sim_process_os(other), foreign, OS_LOCK_SHARED, 13, 2), -EAGAIN);
    assert_int_equal(os_lock_probe(sim_process_os(other), foreign, OS_LOCK_SHARED, 19, 1), 1);
    sim_process_kill(process);
    assert_int_equal(os_lock_range(sim_process_os(other), foreign, OS_LOCK_EXCLUSIVE, 0, 0), 0);
    assert_int_equal(os_pwrite(os, fd, "x", 1, 0), -EIO);
    sim_process_free(&process);
    sim_process_free(&other);
    sim_disk_free(&disk);
}

static void test_maps_are_shared(void **state) {
    (void)state;
    struct sim_disk *disk = sim_disk_new(1);
    struct sim_process *process = sim_process_new(disk);
    const struct os *os = sim_process_os(process);
    void *one = NULL, *two = NULL;
    char byte = 0;
    int fd = os_open(os, AT_FDCWD, "/data/shm", O_RDWR | O_CREAT, 0600);
    int again = os_open(os, AT_FDCWD, "/data/shm", O_RDWR, 0);
    assert_int_equal(os_truncate(os, fd, 4096), 0);
    assert_int_equal(os_map(os, fd, 0, 4096, 1, &one), 0);
    assert_int_equal(os_map(os, again, 0, 4096, 1, &two), 0);
    assert_ptr_equal(one, two);
    ((char *)one)[100] = 'x';
    assert_int_equal(os_pread(os, again, &byte, 1, 100), 1);
    assert_int_equal(byte, 'x');
    os_unmap(os, one, 4096);
    os_unmap(os, two, 4096);
    sim_process_free(&process);
    sim_disk_free(&disk);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_disk_keeps_files),   cmocka_unit_test(test_maps_are_shared),
        cmocka_unit_test(test_folders_and_times),  cmocka_unit_test(test_room_comes_back),
        cmocka_unit_test(test_times_are_lost_too), cmocka_unit_test(test_move_between_folders),
    };
    return cmocka_run_group_tests_name("simulated disk", tests, NULL, NULL);
}
