#include "scratch.h"

#include <errno.h>

struct seen {
    struct buf list; /* "path type" lines */
    int stop_after, count;
};

static int see(void *arg, int dir_fd, const char *name, const char *path, const struct stat *stat) {
    struct seen *seen = arg;
    struct stat again;
    assert_int_equal(fstatat(dir_fd, name, &again, AT_SYMLINK_NOFOLLOW), 0);
    assert_int_equal(again.st_ino, stat->st_ino);
    const char *slash = strrchr(path, '/');
    assert_string_equal(slash != NULL ? slash + 1 : path, name);
    char type = S_ISDIR(stat->st_mode) ? 'd' : S_ISLNK(stat->st_mode) ? 'l' : 'f';
    buf_printf(&seen->list, "<%s %c>", path, type);
    return ++seen->count == seen->stop_after ? 77 : 0;
}

static void fill(const struct scratch *scratch) {
    assert_int_equal(mkdirat(scratch->fd, "a", 0700), 0);
    assert_int_equal(mkdirat(scratch->fd, "a/b", 0700), 0);
    assert_int_equal(mkdirat(scratch->fd, "empty", 0700), 0);
    scratch_write(scratch, "top", "", 0600);
    scratch_write(scratch, "a/b/deep", "", 0600);
    assert_int_equal(symlinkat("/etc", scratch->fd, "out"), 0);
    assert_int_equal(symlinkat("..", scratch->fd, "a/up"), 0);
    assert_int_equal(symlinkat("a", scratch->fd, "in"), 0);
    assert_int_equal(symlinkat("nowhere", scratch->fd, "dangling"), 0);
}

static void visits_everything_once_and_follows_no_link(void **state) {
    (void)state;
    struct scratch scratch = scratch_make();
    fill(&scratch);
    struct seen seen = {0};
    buf_init(&seen.list);
    int fds = count_open_fds();
    assert_int_equal(file_walk(os_real(), scratch.fd, see, &seen, NULL), 0);
    assert_int_equal(count_open_fds(), fds);
    static const char *const expected[] = {"<a d>",   "<a/b d>", "<a/b/deep f>", "<a/up l>",    "<empty d>",
                                           "<top f>", "<out l>", "<in l>",       "<dangling l>"};
    assert_int_equal(seen.count, sizeof expected / sizeof expected[0]);
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
        assert_non_null(strstr(buf_text(&seen.list), expected[i]));
    const char *text = buf_text(&seen.list);
    assert_true(strstr(text, "<a/b/deep f>") < strstr(text, "<a/b d>")); /* a folder behind what is in it */
    assert_true(strstr(text, "<a/b d>") < strstr(text, "<a d>"));
    assert_true(strstr(text, "<a/up l>") < strstr(text, "<a d>"));
    buf_fini(&seen.list);
    scratch_remove(&scratch);
}

static void stops_when_the_visit_says_so(void **state) {
    (void)state;
    struct scratch scratch = scratch_make();
    fill(&scratch);
    for (int n = 1; n <= 9; n++) {
        struct seen seen = {.stop_after = n};
        buf_init(&seen.list);
        int fds = count_open_fds();
        assert_int_equal(file_walk(os_real(), scratch.fd, see, &seen, NULL), 77);
        assert_int_equal(seen.count, n);
        assert_int_equal(count_open_fds(), fds);
        buf_fini(&seen.list);
    }
    scratch_remove(&scratch);
}

static void refuses_what_is_nested_too_deep(void **state) {
    (void)state;
    struct scratch scratch = scratch_make();
    struct seen seen = {0};
    struct hf_error error;
    buf_init(&seen.list);
    int fd = dup(scratch.fd);
    for (int depth = 1; depth <= FILE_WALK_DEPTH + 1; depth++) {
        assert_int_equal(mkdirat(fd, "d", 0700), 0);
        if (depth == FILE_WALK_DEPTH) {
            assert_int_equal(file_walk(os_real(), scratch.fd, see, &seen, &error), 0);
            assert_int_equal(seen.count, FILE_WALK_DEPTH);
        }
        int next = openat(fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        (void)close(fd);
        fd = next;
    }
    assert_int_equal(file_walk(os_real(), scratch.fd, see, &seen, &error), HF_ERR_TOO_LARGE);
    (void)close(fd);
    buf_fini(&seen.list);
    struct os_spawn spawn = plain_spawn(ARGV("rm", "-r", "--", scratch.path)); /* deeper than we walk */
    struct os_child child;
    assert_int_equal(os_spawn(os_real(), &spawn, &child), 0);
    assert_int_equal(wait_for(&child), 0);
    (void)close(scratch.fd);
}

static int swap_dir;

/* Between the look and the opening, somebody puts a link to a folder outside in the folder's place. */
static int swapped_open(const struct os *os, int dir_fd, const char *path, int flags, mode_t mode) {
    if (strcmp(path, "a") == 0) {
        assert_int_equal(renameat(swap_dir, "a", swap_dir, "was-a"), 0);
        assert_int_equal(symlinkat("/etc", swap_dir, "a"), 0);
    }
    return os_real()->ops->open(os, dir_fd, path, flags, mode);
}

static void is_not_led_outside_by_a_swap(void **state) {
    (void)state;
    struct scratch scratch = scratch_make();
    assert_int_equal(mkdirat(scratch.fd, "a", 0700), 0);
    struct os_ops ops = *os_real()->ops;
    ops.open = swapped_open;
    struct os os = {.ops = &ops};
    swap_dir = scratch.fd;
    struct os_fault *fault; /* counts how many folders are listed */
    assert_int_equal(os_fault_new(&os, &fault), 0);
    os_fault_set(fault, &(struct os_fault_plan){.call_mask = 1U << OS_CALL_LIST});
    struct seen seen = {0};
    buf_init(&seen.list);
    assert_int_equal(file_walk(os_fault_os(fault), scratch.fd, see, &seen, NULL), 0);
    assert_int_equal(os_fault_calls(fault), 1);
    assert_int_equal(seen.count, 0);
    buf_fini(&seen.list);
    os_fault_free(&fault);
    scratch_remove(&scratch);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(visits_everything_once_and_follows_no_link),
        cmocka_unit_test(stops_when_the_visit_says_so),
        cmocka_unit_test(refuses_what_is_nested_too_deep),
        cmocka_unit_test(is_not_led_outside_by_a_swap),
    };
    return cmocka_run_group_tests_name("os/walk", tests, NULL, NULL);
}
