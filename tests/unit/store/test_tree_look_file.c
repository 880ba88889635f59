/* Files of a tree that cannot be read, are none, or change meanwhile. */
#include "tree_look_fixture.h"

static void links_are_not_followed(void **state) {
    (void)state;
    write_bytes("k/good.json", "{}", 2);
    assert_int_equal(symlinkat("good.json", scratch.fd, "k/link.json"), 0);
    assert_int_equal(symlinkat("/etc/hostname", scratch.fd, "k/out.json"), 0);
    assert_int_equal(symlinkat("none", scratch.fd, "k/dangling.json"), 0);
    assert_int_equal(symlinkat("k", scratch.fd, "folder"), 0);
    assert_unreadable(look_at("k", "link.json"), HF_ERR_UNSAFE_PATH, "symbolic link");
    assert_unreadable(look_at("k", "out.json"), HF_ERR_UNSAFE_PATH, "symbolic link");
    assert_unreadable(look_at("k", "dangling.json"), HF_ERR_UNSAFE_PATH, "symbolic link");
    assert_unreadable(look_at("folder", "good.json"), HF_ERR_UNSAFE_PATH, "symbolic link");
    assert_true(S_ISLNK(look_at("k", "link.json").stat.st_mode));
}

static void only_regular_files_are_read(void **state) {
    (void)state;
    assert_int_equal(mkfifoat(scratch.fd, "k/pipe.json", 0600), 0);
    assert_int_equal(mkdirat(scratch.fd, "k/folder.json", 0700), 0);
    assert_unreadable(look_at("k", "pipe.json"), HF_ERR_UNSAFE_PATH, "not a regular file"); /* and it does not wait */
    assert_unreadable(look_at("k", "folder.json"), HF_ERR_UNSAFE_PATH, "not a regular file");
}

/* ---- an os that does something else ---- */

static int open_error, read_error, stat_error, interruptions, is_short;

static int other_open(const struct os *os, int dir_fd, const char *path, int flags, mode_t mode) {
    if (interruptions > 0 && interruptions--)
        return -EINTR;
    return open_error ? open_error : os_real()->ops->open_beneath(os, dir_fd, path, flags, mode);
}

static int (*while_reading)(void);

static ssize_t other_pread(const struct os *os, int fd, void *to, size_t bytes, off_t offset) {
    if (interruptions > 0 && interruptions--)
        return -EINTR;
    if (read_error)
        return read_error;
    if (while_reading)
        (void)while_reading();
    return os_real()->ops->pread(os, fd, to, is_short && bytes > 3 ? 3 : bytes, offset);
}

static int other_fstat(const struct os *os, int fd, struct stat *ret_stat) {
    return stat_error ? stat_error : os_real()->ops->fstat(os, fd, ret_stat);
}

static struct tree_reader other_reader(struct os_ops *ops, struct os *os) {
    struct tree_reader with;
    *ops = *os_real()->ops;
    ops->open_beneath = other_open;
    ops->pread = other_pread;
    ops->fstat = other_fstat;
    *os = (struct os){.ops = ops};
    tree_reader_init(&with, os, scratch.fd, &limits);
    return with;
}

static void failures_of_the_file_are_told_of(void **state) {
    (void)state;
    struct os_ops ops;
    struct os os;
    struct tree_reader with = other_reader(&ops, &os);
    write_bytes("k/x.json", watch, strlen(watch));
    open_error = -EACCES;
    struct tree_look look = look_with(&with, "k", "x.json");
    assert_unreadable(look, HF_ERR_PERMISSION, "cannot be read: open: Permission denied");
    assert_int_equal(look.stat.st_size, strlen(watch));
    open_error = 0;
    read_error = -EIO;
    assert_unreadable(look_with(&with, "k", "x.json"), HF_ERR_IO, "cannot be read: read: Input/output error");
    read_error = 0;
    stat_error = -EIO;
    assert_unreadable(look_with(&with, "k", "x.json"), HF_ERR_IO, "cannot be read: stat: Input/output error");
    stat_error = 0;
    is_short = 1;
    interruptions = 5;
    assert_int_equal(look_with(&with, "k", "x.json").code, 0);
    assert_string_equal(buf_text(&with.bytes), watch);
    is_short = 0;
    tree_reader_fini(&with);
}

static void what_we_lack_is_our_error(void **state) {
    (void)state;
    static const struct {
        int *where, error, code;
    } lacks[] = {
        {&open_error, -EMFILE, HF_ERR_TOO_MANY_FILES},
        {&open_error, -ENFILE, HF_ERR_TOO_MANY_FILES},
        {&open_error, -ENOMEM, HF_ERR_NO_MEMORY},
        {&read_error, -ENOMEM, HF_ERR_NO_MEMORY},
    };
    struct os_ops ops;
    struct os os;
    struct tree_reader with = other_reader(&ops, &os);
    struct tree_path path = {.folder = "k", .name = "x.json"};
    struct tree_look look = {.code = 77};
    write_bytes("k/x.json", "{}", 2);
    for (size_t i = 0; i < sizeof lacks / sizeof lacks[0]; i++) {
        struct hf_error error = {0};
        int fds = count_open_fds();
        *lacks[i].where = lacks[i].error;
        assert_int_equal(tree_look(&with, &path, &look, &error), lacks[i].code);
        assert_int_equal(error.code, lacks[i].code);
        assert_int_equal(look.code, 77);
        assert_int_equal(count_open_fds(), fds);
        *lacks[i].where = 0;
    }
    tree_reader_fini(&with);
}

static int growths;

static int grow(void) {
    int fd = openat(scratch.fd, "k/x.json", O_WRONLY | O_APPEND | O_CLOEXEC);
    assert_int_equal(write(fd, "          ", 10), 10);
    growths++;
    return close(fd);
}

static int finish(void) {
    while_reading = NULL;
    write_bytes("k/x.json", watch, strlen(watch));
    return 0;
}

/* A file that never stops growing is read three times at most, and never beyond what it was. */
static void a_file_that_is_being_written(void **state) {
    (void)state;
    struct os_ops ops;
    struct os os;
    struct tree_reader with = other_reader(&ops, &os);
    write_bytes("k/x.json", "{}", 2);
    while_reading = grow;
    growths = 0;
    assert_damaged(look_with(&with, "k", "x.json"), "is being written by another program");
    assert_true(growths <= 6);
    assert_true(with.bytes.room <= 64);
    while_reading = finish;
    write_bytes("k/x.json", watch, 10);
    assert_int_equal(look_with(&with, "k", "x.json").code, 0);
    assert_string_equal(buf_text(&with.bytes), watch);
    while_reading = NULL;
    tree_reader_fini(&with);
}

static void a_file_that_may_not_be_read(void **state) {
    (void)state;
    write_bytes("k/x.json", "{}", 2);
    assert_int_equal(fchmodat(scratch.fd, "k/x.json", 0, 0), 0);
    if (geteuid() != 0)
        assert_unreadable(look_at("k", "x.json"), HF_ERR_PERMISSION, "Permission denied");
    else
        assert_int_equal(look_at("k", "x.json").code, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        LOOK_TEST(links_are_not_followed),           LOOK_TEST(only_regular_files_are_read),
        LOOK_TEST(failures_of_the_file_are_told_of), LOOK_TEST(what_we_lack_is_our_error),
        LOOK_TEST(a_file_that_is_being_written),     LOOK_TEST(a_file_that_may_not_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
