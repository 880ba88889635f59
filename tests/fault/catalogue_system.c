/* S13 to S16: locks, and file systems that lack something. */
#include "fault/catalogue.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "os/file.h"

static const struct os_ops *plain_ops; /* of the simulated disk: what the functions below hand on to */

void S13_two_owners(void **state) {
    BEGIN(world);
    struct sim_process *second = sim_process_new(world.disk);
    struct store_setup setup = {.os = sim_process_os(second), .without_thread = 1};
    struct hf_store *store = NULL;
    struct hf_error error = {0};
    char pid[32];
    world_must_open(&world);
    world_must_put(&world, "watch", "a", "{\"n\":1}");
    assert_int_equal(store_open(world.url, NULL, &setup, &store, &error), HF_ERR_LOCKED);
    snprintf(pid, sizeof pid, "process %d owns it", (int)getpid());
    assert_non_null(strstr(error.message, pid));
    assert_non_null(strstr(error.message, "started 20"));
    assert_non_null(strstr(error.message, "boot 5d9c8b1e"));
    assert_string_equal(hf_code_word(error.code), "store_locked");
    assert_int_equal(hf_code_exit_status(error.code), 75);
    assert_int_equal(sim_process_open_files(second), 0);
    sim_process_kill(world.process); /* the kernel lets go of it */
    assert_int_equal(store_open(world.url, NULL, &setup, &store, &error), 0);
    hf_store_close(&store);
    sim_process_free(&second);
    END(world);
}

void S14_stale_lock_whose_pid_is_another_process_now(void **state) {
    static const char holder[] = "{\"pid\":1,\"start_ticks\":7,\"boot_id\":\"00000000-dead-beef-0000-000000000000\","
                                 "\"started_at\":\"2020-01-01T00:00:00.000Z\"}\n";
    BEGIN(world);
    char lock[64];
    snprintf(lock, sizeof lock, world.is_tree ? "/data/tree/.holdfast/lock" : "/data/lock");
    world_must_open(&world);
    world_must_put(&world, "watch", "a", "{\"n\":1}");
    world_kill(&world);
    world_write_file(&world, lock, holder, sizeof holder - 1);
    world_must_open(&world);
    world_expect(&world, "watch", "a", "{\"n\":1}");
    world_must_put(&world, "watch", "a", "{\"n\":2}");
    END(world);
}

static int lock_refused(const struct os *os, int fd, enum os_lock lock, off_t offset, off_t bytes) {
    (void)os, (void)fd, (void)lock, (void)offset, (void)bytes;
    return -ENOLCK;
}

static int probe_sees_nothing(const struct os *os, int fd, enum os_lock lock, off_t offset, off_t bytes) {
    (void)os, (void)fd, (void)lock, (void)offset, (void)bytes;
    return 0;
}

static int sync_files_only(const struct os *os, int fd) {
    struct stat stat;
    if (os_fstat(os, fd, &stat) == 0 && S_ISDIR(stat.st_mode))
        return -EINVAL;
    return plain_ops->fsync(os, fd);
}

static int map_refused(const struct os *os, int fd, off_t offset, size_t bytes, int writable, void **ret_address) {
    (void)os, (void)fd, (void)offset, (void)bytes, (void)writable, (void)ret_address;
    return -ENODEV;
}

static int rename_blindly(const struct os *os, int from_dir, const char *from, int to_dir, const char *to,
                          unsigned flags) {
    return plain_ops->rename(os, from_dir, from, to_dir, to, flags & ~(unsigned)RENAME_NOREPLACE);
}

static int rename_refused(const struct os *os, int from_dir, const char *from, int to_dir, const char *to,
                          unsigned flags) {
    (void)os, (void)from_dir, (void)from, (void)to_dir, (void)to, (void)flags;
    return -EINVAL;
}

static int rename_without_flags(const struct os *os, int from_dir, const char *from, int to_dir, const char *to,
                                unsigned flags) {
    return flags ? -EINVAL : plain_ops->rename(os, from_dir, from, to_dir, to, 0);
}

#define LACKS(function, put_there, reason)                                                                             \
    do {                                                                                                               \
        BEGIN(world);                                                                                                  \
        plain_ops = sim_process_os(world.process)->ops;                                                                \
        world.ops.function = put_there;                                                                                \
        world_expect_error(&world, world_open(&world), HF_ERR_UNSUPPORTED, reason);                                    \
        assert_true(world.error.hint[0] != '\0');                                                                      \
        assert_int_equal(sim_process_open_files(world.process), 0);                                                    \
        world.ops.function = plain_ops->function;                                                                      \
        world_must_open(&world); /* nothing in the way was left behind */                                              \
        world_must_put(&world, "watch", "a", "{\"n\":1}");                                                             \
        END(world);                                                                                                    \
    } while (0)

void S15_file_system_that_cannot(void **state) {
    LACKS(lock_range, lock_refused, "the file system cannot lock a file");
    LACKS(lock_probe, probe_sees_nothing, "the file system cannot keep a lock");
    LACKS(fsync, sync_files_only, "the file system cannot sync a folder");
    LACKS(map, map_refused, "");
    LACKS(rename, rename_blindly, "the file system cannot keep a file that a rename must not replace");
    LACKS(rename, rename_refused, "the file system cannot replace a file by a rename");
}

void S16_rename_that_knows_no_flags(void **state) {
    BEGIN(world);
    char path[128];
    plain_ops = sim_process_os(world.process)->ops;
    world.ops.rename = rename_without_flags;
    world_live(&world);
    const struct os *os = os_fault_os(world.fault);
    int fd = -1;
    assert_int_equal(file_open_folder(os, AT_FDCWD, "/data", &fd, NULL), 0);
    world_write_file(&world, "/data/one", "1", 1);
    world_write_file(&world, "/data/two", "2", 1);
    world_make_folder(&world, "/data/folder");
    world_make_folder(&world, "/data/taken");
    assert_int_equal(file_rename_new(os, fd, "one", fd, "two", NULL), HF_ERR_EXISTS);
    assert_int_equal(file_rename_new(os, fd, "folder", fd, "taken", NULL), HF_ERR_EXISTS);
    assert_int_equal(file_rename_new(os, fd, "one", fd, "three", NULL), 0);
    assert_int_equal(file_rename_new(os, fd, "folder", fd, "new", NULL), 0);
    assert_true(!world_has_file(&world, "/data/one") && world_has_file(&world, "/data/three"));
    assert_true(!world_has_file(&world, "/data/folder") && world_has_file(&world, "/data/new"));
    os_close(os, fd);
    if (world.is_tree) { /* what another program wrote is kept aside all the same */
        sim_disk_advance_ms(world.disk, 60000);
        hf_store_close(&world.store);
        world_write_file(&world, world_file_of(&world, "a", path), "{", 1);
        world_must_open(&world);
        world_expect(&world, "watch", "a", "{\"n\":2}");
        assert_int_equal(world_count_files(&world, "/aside/"), 1);
    }
    END(world);
}
