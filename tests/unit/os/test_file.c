#include "scratch.h"

#include <errno.h>
#include <time.h>

#include "os/file.h"

static int calls;

/* Gives at most three bytes, and EINTR every other time. */
static ssize_t stingy_pwrite(const struct os *os, int fd, const void *from, size_t bytes, off_t offset) {
    (void)os;
    if (calls++ % 2 == 0)
        return -EINTR;
    return pwrite(fd, from, bytes < 3 ? bytes : 3, offset);
}

static ssize_t stingy_pread(const struct os *os, int fd, void *to, size_t bytes, off_t offset) {
    (void)os;
    if (calls++ % 2 == 0)
        return -EINTR;
    return pread(fd, to, bytes < 3 ? bytes : 3, offset);
}

static ssize_t full_pwrite(const struct os *os, int fd, const void *from, size_t bytes, off_t offset) {
    (void)os, (void)fd, (void)from, (void)bytes, (void)offset;
    return 0;
}

static void reads_and_writes_go_on_after_short_counts_and_signals(void **state) {
    (void)state;
    struct os_ops ops = *os_real()->ops;
    struct os os = {.ops = &ops};
    ops.pwrite = stingy_pwrite;
    ops.pread = stingy_pread;
    struct scratch scratch = scratch_make();
    int fd = openat(scratch.fd, "f", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    char back[16] = "";
    assert_int_equal(file_pwrite_full(&os, fd, "0123456789", 10, 2), 0);
    assert_int_equal(file_pread_full(&os, fd, back, 4, 5), 4);
    assert_memory_equal(back, "3456", 4);
    assert_int_equal(file_pread_full(&os, fd, back, sizeof back, 5), 7);
    assert_int_equal(file_pread_full(&os, fd, back, sizeof back, 100), 0);
    ops.pwrite = full_pwrite;
    assert_int_equal(file_pwrite_full(&os, fd, "x", 1, 0), -EIO);
    assert_int_equal(file_pwrite_full(&os, 1000000, "", 0, 0), 0);
    assert_int_equal(file_pwrite_full(os_real(), 1000000, "x", 1, 0), -EBADF);
    (void)close(fd);
    scratch_remove(&scratch);
}

static void reads_whole_files(void **state) {
    (void)state;
    struct scratch scratch = scratch_make();
    struct buf BUF_AUTO buf;
    buf_init(&buf);
    buf_add_text(&buf, "what was there before");
    struct hf_error error;
    scratch_write(&scratch, "empty", "", 0600);
    assert_int_equal(file_read(os_real(), scratch.fd, "empty", 0, &buf, &error), 0);
    assert_int_equal(buf.size, 0);
    static char big[200001];
    memset(big, 'x', 200000);
    scratch_write(&scratch, "big", big, 0600);
    assert_int_equal(file_read(os_real(), scratch.fd, "big", 200000, &buf, &error), 0);
    assert_int_equal(buf.size, 200000);
    assert_string_equal(buf_text(&buf), big);
    for (size_t limit = 0; limit < 200000; limit += 7919) {
        assert_int_equal(file_read(os_real(), scratch.fd, "big", limit, &buf, &error), HF_ERR_TOO_LARGE);
        assert_int_equal(buf.size, 200000); /* untouched */
    }
    assert_string_equal(error.message, "read file 'big': it has over 197975 bytes");
    assert_int_equal(file_read(os_real(), AT_FDCWD, "/proc/self/stat", 4096, &buf, &error), 0);
    assert_true(buf.size > 20); /* a file that says it has no bytes */
    scratch_remove(&scratch);
}

static void refuses_to_read_what_is_no_file(void **state) {
    (void)state;
    struct scratch scratch = scratch_make();
    struct buf BUF_AUTO buf;
    buf_init(&buf);
    struct hf_error error;
    int fds = count_open_fds();
    scratch_write(&scratch, "real", "secret", 0600);
    assert_int_equal(symlinkat("real", scratch.fd, "link"), 0);
    assert_int_equal(mkfifoat(scratch.fd, "pipe", 0600), 0);
    assert_int_equal(mkdirat(scratch.fd, "folder", 0700), 0);
    assert_int_equal(file_read(os_real(), scratch.fd, "link", 100, &buf, &error), HF_ERR_UNSAFE_PATH);
    assert_string_equal(error.message, "read file: 'link' is a symbolic link");
    assert_int_equal(file_read(os_real(), scratch.fd, "pipe", 100, &buf, &error), HF_ERR_BAD_DATA);
    assert_int_equal(file_read(os_real(), scratch.fd, "folder", 100, &buf, &error), HF_ERR_BAD_DATA);
    assert_int_equal(file_read(os_real(), scratch.fd, "none", 100, &buf, &error), HF_ERR_NOT_FOUND);
    assert_int_equal(error.system_errno, ENOENT);
    assert_int_equal(buf.size, 0);
    assert_int_equal(count_open_fds(), fds);
    scratch_remove(&scratch);
}

static void replaces_files(void **state) {
    (void)state;
    struct scratch scratch = scratch_make();
    struct buf BUF_AUTO buf;
    buf_init(&buf);
    int fds = count_open_fds();
    assert_int_equal(file_replace(os_real(), scratch.fd, "f", "one", 3, 0600, NULL), 0);
    assert_string_equal(scratch_read(&scratch, "f", &buf), "one");
    assert_int_equal(file_replace(os_real(), scratch.fd, "f", "", 0, 0640, NULL), 0);
    assert_string_equal(scratch_read(&scratch, "f", &buf), "");
    struct stat stat;
    assert_int_equal(fstatat(scratch.fd, "f", &stat, 0), 0);
    assert_int_equal(stat.st_mode & 07777, 0640);
    char longest[256];
    memset(longest, 'n', 255);
    longest[255] = '\0';
    assert_int_equal(file_replace(os_real(), scratch.fd, longest, "long", 4, 0600, NULL), 0);
    assert_string_equal(scratch_read(&scratch, longest, &buf), "long");
    assert_int_equal(count_entries(scratch.fd), 2);
    assert_int_equal(count_open_fds(), fds);
    scratch_remove(&scratch);
}

static void refuses_names_that_lead_elsewhere(void **state) {
    (void)state;
    struct scratch scratch = scratch_make();
    struct hf_error error;
    static const char *const names[] = {"", ".", "..", "a/b", "/tmp/x", "../x", "a/"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_int_equal(file_replace(os_real(), scratch.fd, names[i], "x", 1, 0600, &error), HF_ERR_BAD_ID);
    scratch_write(&scratch, "target", "old", 0600);
    assert_int_equal(symlinkat("target", scratch.fd, "link"), 0);
    assert_int_equal(file_replace(os_real(), scratch.fd, "link", "x", 1, 0600, &error), HF_ERR_UNSAFE_PATH);
    assert_string_equal(error.message, "replace file 'link': 'link' is a symbolic link");
    assert_true(error.hint[0] != '\0');
    struct buf BUF_AUTO buf;
    buf_init(&buf);
    assert_string_equal(scratch_read(&scratch, "target", &buf), "old");
    assert_int_equal(mkdirat(scratch.fd, "folder", 0700), 0);
    assert_true(file_replace(os_real(), scratch.fd, "folder", "x", 1, 0600, &error) < 0);
    assert_int_equal(count_entries(scratch.fd), 3);
    scratch_remove(&scratch);
}

static void make_old(const struct scratch *scratch, const char *name, time_t age_s) {
    scratch_write(scratch, name, "left", 0600);
    struct timespec times[2] = {{.tv_sec = time(NULL) - age_s}, {.tv_sec = time(NULL) - age_s}};
    assert_int_equal(utimensat(scratch->fd, name, times, 0), 0);
}

static void removes_only_leftovers_that_are_ours_and_old(void **state) {
    (void)state;
    struct scratch scratch = scratch_make();
    make_old(&scratch, ".hf-0123456789abcdef0123456789abcdef.tmp", 1000); /* the only one that goes */
    make_old(&scratch, ".hf-0123456789abcdef0123456789abcde0.tmp", 10);
    make_old(&scratch, ".hf-0123456789abcdef0123456789abcdeg.tmp", 1000);
    make_old(&scratch, ".hf-0123456789abcdef0123456789abcdef.tmp2", 1000);
    make_old(&scratch, "other.tmp", 1000);
    assert_int_equal(symlinkat("other.tmp", scratch.fd, ".hf-0123456789abcdef0123456789abcde1.tmp"), 0);
    int expected = 5;
    if (geteuid() == 0) {
        make_old(&scratch, ".hf-0123456789abcdef0123456789abcde2.tmp", 1000);
        assert_int_equal(fchownat(scratch.fd, ".hf-0123456789abcdef0123456789abcde2.tmp", 12345, 12345, 0), 0);
        expected++;
    }
    assert_int_equal(file_remove_leftovers(os_real(), scratch.fd, 100 * 1000, NULL), 0);
    assert_int_equal(count_entries(scratch.fd), expected);
    assert_int_equal(faccessat(scratch.fd, ".hf-0123456789abcdef0123456789abcdef.tmp", F_OK, 0), -1);
    scratch_remove(&scratch);
}

static int old_fashioned_rename(const struct os *os, int from_dir, const char *from, int to_dir, const char *to,
                                unsigned flags) {
    (void)os;
    if (flags != 0)
        return -EINVAL;
    return renameat(from_dir, from, to_dir, to) == 0 ? 0 : -errno;
}

static void check_rename_new(const struct os *os) {
    struct scratch scratch = scratch_make();
    struct buf BUF_AUTO buf;
    buf_init(&buf);
    struct hf_error error;
    scratch_write(&scratch, "a", "A", 0600);
    scratch_write(&scratch, "b", "B", 0600);
    assert_int_equal(file_rename_new(os, scratch.fd, "a", scratch.fd, "b", &error), HF_ERR_EXISTS);
    assert_string_equal(scratch_read(&scratch, "a", &buf), "A");
    assert_string_equal(scratch_read(&scratch, "b", &buf), "B");
    assert_int_equal(file_rename_new(os, scratch.fd, "a", scratch.fd, "c", &error), 0);
    assert_string_equal(scratch_read(&scratch, "c", &buf), "A");
    assert_int_equal(count_entries(scratch.fd), 2);
    assert_int_equal(file_rename_new(os, scratch.fd, "none", scratch.fd, "d", &error), HF_ERR_NOT_FOUND);

    assert_int_equal(mkdirat(scratch.fd, "from", 0700), 0);
    scratch_write(&scratch, "from/x", "X", 0600);
    assert_int_equal(mkdirat(scratch.fd, "taken", 0700), 0);
    assert_int_equal(file_rename_new(os, scratch.fd, "from", scratch.fd, "taken", &error), HF_ERR_EXISTS);
    assert_int_equal(file_rename_new(os, scratch.fd, "from", scratch.fd, "c", &error), HF_ERR_EXISTS);
    assert_int_equal(file_rename_new(os, scratch.fd, "from", scratch.fd, "to", &error), 0);
    assert_string_equal(scratch_read(&scratch, "to/x", &buf), "X");
    assert_string_equal(scratch_read(&scratch, "c", &buf), "A");
    assert_int_equal(count_entries(scratch.fd), 4);
    scratch_remove(&scratch);
}

static void renames_to_free_names_only(void **state) {
    (void)state;
    check_rename_new(os_real());
    struct os_ops ops = *os_real()->ops;
    ops.rename = old_fashioned_rename;
    struct os os = {.ops = &ops};
    check_rename_new(&os);
}

static void makes_folders(void **state) {
    (void)state;
    struct scratch scratch = scratch_make();
    struct hf_error error;
    char path[128];
    struct stat stat;
    static const char *const good[] = {"a/b/c", "a/b/c", "a//b/d//", "e", "link-to-e/f"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        if (i == 4)
            assert_int_equal(symlinkat("e", scratch.fd, "link-to-e"), 0);
        (void)snprintf(path, sizeof path, "%s/%s", scratch.path, good[i]);
        assert_int_equal(file_make_folders(os_real(), path, 0700, &error), 0);
        assert_int_equal(fstatat(scratch.fd, good[i], &stat, 0), 0);
        assert_true(S_ISDIR(stat.st_mode));
    }
    assert_int_equal(fstatat(scratch.fd, "e/f", &stat, 0), 0);
    assert_int_equal(file_make_folders(os_real(), "/", 0700, &error), 0);
    assert_int_equal(file_make_folders(os_real(), "", 0700, &error), HF_ERR_INVALID);
    scratch_write(&scratch, "file", "", 0600);
    assert_int_equal(symlinkat("nowhere", scratch.fd, "dangling"), 0);
    static const struct {
        const char *name;
        int code;
    } bad[] = {{"file", HF_ERR_IO},
               {"file/x", HF_ERR_IO},
               {"link-to-e", HF_ERR_UNSAFE_PATH},
               {"link-to-e/", HF_ERR_UNSAFE_PATH},
               {"dangling", HF_ERR_UNSAFE_PATH}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", scratch.path, bad[i].name);
        assert_int_equal(file_make_folders(os_real(), path, 0700, &error), bad[i].code);
        assert_non_null(strstr(error.message, scratch.path));
    }
    scratch_remove(&scratch);
}

static void opens_folders(void **state) {
    (void)state;
    struct scratch scratch = scratch_make();
    struct hf_error error;
    int fd = -7;
    assert_int_equal(mkdirat(scratch.fd, "folder", 0700), 0);
    scratch_write(&scratch, "file", "", 0600);
    assert_int_equal(symlinkat("folder", scratch.fd, "link"), 0);
    assert_int_equal(file_open_folder(os_real(), scratch.fd, "link", &fd, &error), HF_ERR_UNSAFE_PATH);
    assert_int_equal(file_open_folder(os_real(), scratch.fd, "none", &fd, &error), HF_ERR_NOT_FOUND);
    assert_int_equal(file_open_folder(os_real(), scratch.fd, "file", &fd, &error), HF_ERR_IO);
    assert_int_equal(error.system_errno, ENOTDIR);
    assert_int_equal(fd, -7);
    assert_int_equal(file_open_folder(os_real(), scratch.fd, "folder", &fd, &error), 0);
    assert_int_equal(file_sync_folder(os_real(), fd, &error), 0);
    (void)close(fd);
    assert_int_equal(file_sync_folder(os_real(), fd, &error), HF_ERR_IO);
    scratch_remove(&scratch);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_and_writes_go_on_after_short_counts_and_signals),
        cmocka_unit_test(reads_whole_files),
        cmocka_unit_test(refuses_to_read_what_is_no_file),
        cmocka_unit_test(replaces_files),
        cmocka_unit_test(refuses_names_that_lead_elsewhere),
        cmocka_unit_test(removes_only_leftovers_that_are_ours_and_old),
        cmocka_unit_test(renames_to_free_names_only),
        cmocka_unit_test(makes_folders),
        cmocka_unit_test(opens_folders),
    };
    return cmocka_run_group_tests_name("os/file", tests, NULL, NULL);
}
