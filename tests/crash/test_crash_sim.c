/* The simulator itself: it must catch savers that are known to lose data, and find no fault with one that does not. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "os/file.h"
#include "sim/crash_states.h"
#include "sim/mutants.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { SAVES = 4, TEXT_BYTES = 3000 };

typedef int (*saver)(const struct os *os, int folder, const char *text, size_t bytes);

static void make_text(int64_t number, char text[TEXT_BYTES]) {
    memset(text, 'a' + (int)(number % 26), TEXT_BYTES);
    int used = snprintf(text, TEXT_BYTES, "%" PRId64 "\n", number);
    text[used] = '\n';
}

/* The saver of many a program: a temporary file, and no thought of the power. */
static int save_naively(const struct os *os, int folder, const char *text, size_t bytes) {
    int fd = os_open(os, folder, "state.tmp", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0)
        return fd;
    int code = file_pwrite_full(os, fd, text, bytes, 0);
    os_close(os, fd);
    return code ? code : os_rename(os, folder, "state.tmp", folder, "state", 0);
}

/* Better: the bytes are safe, but the name is not. */
static int save_without_folder(const struct os *os, int folder, const char *text, size_t bytes) {
    int fd = os_open(os, folder, "state.tmp", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0)
        return fd;
    int code = file_pwrite_full(os, fd, text, bytes, 0);
    code = code ? code : os_fsync(os, fd);
    os_close(os, fd);
    return code ? code : os_rename(os, folder, "state.tmp", folder, "state", 0);
}

static int save_in_place(const struct os *os, int folder, const char *text, size_t bytes) {
    int fd = os_open(os, folder, "state", O_WRONLY | O_CREAT, 0600);
    if (fd < 0)
        return fd;
    int code = file_pwrite_full(os, fd, text, bytes, 0);
    code = code ? code : os_fsync(os, fd);
    os_close(os, fd);
    return code ? code : os_fsync(os, folder);
}

static int save_well(const struct os *os, int folder, const char *text, size_t bytes) {
    return file_replace(os, folder, "state", text, bytes, 0600, NULL);
}

/* As for many files at once: the whole file system is synced before and after the renames. */
static int save_with_syncfs(const struct os *os, int folder, const char *text, size_t bytes) {
    int fd = os_open(os, folder, "state.tmp", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0)
        return fd;
    int code = file_pwrite_full(os, fd, text, bytes, 0);
    os_close(os, fd);
    code = code ? code : os_syncfs(os, folder);
    code = code ? code : os_rename(os, folder, "state.tmp", folder, "state", 0);
    return code ? code : os_syncfs(os, folder);
}

static struct sim_record *record_saver(saver save, uint64_t seed, int lying) {
    struct sim_disk *disk = sim_disk_new(seed);
    struct sim_process *process = sim_process_new(disk);
    const struct os *os = sim_process_os(process);
    char text[TEXT_BYTES];
    sim_process_set_lying(process, lying);
    int folder = os_open(os, AT_FDCWD, "/data", O_RDONLY | O_DIRECTORY, 0);
    assert_true(folder >= 0);
    sim_disk_record(disk);
    sim_mark_phase(disk, "save");
    for (int64_t i = 1; i <= SAVES; i++) {
        make_text(i, text);
        assert_int_equal(save(os, folder, text, sizeof text), 0);
        sim_mark_ack(disk, i);
    }
    struct sim_record *record = sim_disk_take_record(disk);
    sim_process_free(&process);
    sim_disk_free(&disk);
    return record;
}

static int64_t verify_state(void *arg, struct sim_disk *disk, char text[CRASH_TEXT]) {
    (void)arg;
    struct sim_process *process = sim_process_new(disk);
    const struct os *os = sim_process_os(process);
    struct buf BUF_AUTO bytes;
    struct hf_error error = {0};
    buf_init(&bytes);
    int64_t found = 0;
    int code = file_read(os, AT_FDCWD, "/data/state", 1 << 20, &bytes, &error);
    if (code == 0) {
        char expected[TEXT_BYTES];
        int is_number = bytes.size == TEXT_BYTES && sscanf(bytes.data, "%" SCNd64, &found) == 1;
        make_text(found, expected);
        if (!is_number || memcmp(bytes.data, expected, TEXT_BYTES) != 0) {
            snprintf(text, CRASH_TEXT, "the file is torn");
            found = -1;
        }
    } else if (error.system_errno != ENOENT) {
        snprintf(text, CRASH_TEXT, "%s", error.message);
        found = -1;
    }
    sim_process_free(&process);
    return found;
}

static void cut(saver save, enum crash_order order, int lying, struct crash_result *ret_result) {
    struct sim_record *record = record_saver(save, 7, lying);
    struct crash_options options;
    crash_options_default(&options);
    options.order = order;
    memset(ret_result, 0, sizeof *ret_result);
    crash_run(record, &options, verify_state, NULL, ret_result);
    printf("  %" PRIu64 " states, %" PRIu64 " distinct, %" PRIu64 " failed: %s\n", ret_result->total,
           ret_result->distinct, ret_result->failures, ret_result->first_failure);
    sim_record_free(&record);
}

static void test_replace_survives(void **state) {
    (void)state;
    struct crash_result result;
    for (int order = CRASH_STRICT; order <= CRASH_EXT4; order++) {
        cut(save_well, (enum crash_order)order, 0, &result);
        assert_true(result.total > 100);
        assert_int_equal(result.failures, 0);
    }
}

static void test_syncfs_survives(void **state) {
    (void)state;
    struct crash_result result;
    for (int order = CRASH_STRICT; order <= CRASH_EXT4; order++) {
        cut(save_with_syncfs, (enum crash_order)order, 0, &result);
        assert_true(result.total > 100);
        assert_int_equal(result.failures, 0);
    }
}

static void must_fail(saver save, int lying) {
    struct crash_result result;
    for (int order = CRASH_STRICT; order <= CRASH_EXT4; order++) {
        cut(save, (enum crash_order)order, lying, &result);
        assert_true(result.failures > 0);
    }
}

static void test_naive_saver_is_caught(void **state) {
    (void)state;
    must_fail(save_naively, 0);
}

static void test_unsynced_name_is_caught(void **state) {
    (void)state;
    must_fail(save_without_folder, 0);
}

static void test_torn_file_is_caught(void **state) {
    (void)state;
    must_fail(save_in_place, 0);
}

static void test_lying_sync_is_caught(void **state) {
    (void)state;
    must_fail(save_well, 1);
}

static void test_barriers_of_replace(void **state) {
    (void)state;
    struct crash_table known;
    crash_table_init(&known);
    struct sim_record *record = record_saver(save_well, 7, 0);
    struct mutant_subject subject = {record, verify_state, NULL, &known};
    struct mutant_result result;
    assert_int_equal(mutants_run(&subject, 1, 100000, NULL, &result), 0);
    assert_int_equal(result.mutants, 8); /* two barriers, four ways */
    assert_int_equal(result.caught, 8);
    sim_record_free(&record);
    crash_table_fini(&known);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replace_survives),      cmocka_unit_test(test_syncfs_survives),
        cmocka_unit_test(test_naive_saver_is_caught), cmocka_unit_test(test_unsynced_name_is_caught),
        cmocka_unit_test(test_torn_file_is_caught),   cmocka_unit_test(test_lying_sync_is_caught),
        cmocka_unit_test(test_barriers_of_replace),
    };
    return cmocka_run_group_tests_name("crash simulator", tests, NULL, NULL);
}
