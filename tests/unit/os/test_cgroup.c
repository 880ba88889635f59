#include "scratch.h"

#include <errno.h>
#include <signal.h>

static struct cgroup_root *root_open_or_skip(const struct os *os) {
    char instance[32];
    struct cgroup_root *root = NULL;
    struct hf_error error;
    (void)snprintf(instance, sizeof instance, "test-%d", (int)getpid());
    int result = cgroup_root_open(os, instance, &root, &error);
    if (result == HF_ERR_UNSUPPORTED) {
        print_message("no cgroup here: %s\n", error.message);
        skip();
    }
    assert_int_equal(result, 0);
    return root;
}

static struct os_child start_in(struct cgroup_root *root, const char *name, const char *script) {
    char procs[4096];
    struct os_child child;
    struct hf_error error;
    assert_int_equal(cgroup_make(root, name, procs, sizeof procs, &error), 0);
    struct os_spawn spawn = plain_spawn(ARGV("sh", "-c", script));
    spawn.cgroup_procs = procs;
    assert_int_equal(os_spawn(os_real(), &spawn, &child), 0);
    return child;
}

static int processes_in(struct cgroup_root *root, const char *name) {
    char procs[4096];
    struct buf BUF_AUTO buf;
    buf_init(&buf);
    assert_int_equal(cgroup_make(root, name, procs, sizeof procs, NULL), 0); /* is there: gives the path */
    assert_int_equal(file_read(os_real(), AT_FDCWD, procs, 1024 * 1024, &buf, NULL), 0);
    int count = 0;
    for (const char *at = buf_text(&buf); *at != '\0'; at++)
        count += *at == '\n';
    return count;
}

static void await_processes(struct cgroup_root *root, const char *name, int count) {
    while (processes_in(root, name) < count)
        os_sleep_ms(os_real(), 1);
}

#define STUBBORN                                                                                                       \
    "trap '' TERM HUP INT; for i in 1 2 3; do setsid sh -c \"trap '' TERM; sleep 1000 & wait\" & done; sleep 1000; "   \
    "true"

/* A shell, its sleep, and three shells with a sleep each that have left its group and ignore SIGTERM. */
static void check_kills_the_whole_tree(const struct os *os) {
    struct cgroup_root *root = root_open_or_skip(os);
    struct os_child child = start_in(root, "tree", STUBBORN), other = start_in(root, "other", "exec sleep 1000");
    await_processes(root, "tree", 8);
    assert_int_equal(cgroup_is_empty(root, "tree"), 0);
    cgroup_remove(root, "tree"); /* somebody is in it: it stays */
    assert_int_equal(cgroup_is_empty(root, "tree"), 0);
    assert_int_equal(cgroup_kill(root, "tree", NULL), 0);
    assert_int_equal(wait_for(&child), SIGKILL);
    while (!cgroup_is_empty(root, "tree"))
        os_sleep_ms(os_real(), 1);
    assert_int_equal(cgroup_is_empty(root, "other"), 0);
    assert_int_equal(processes_in(root, "other"), 1);
    cgroup_remove(root, "tree");
    assert_int_equal(cgroup_kill(root, "tree", NULL), 0); /* nobody is in it */
    assert_int_equal(cgroup_is_empty(root, "tree"), 1);
    assert_int_equal(cgroup_kill(root, "other", NULL), 0);
    assert_int_equal(wait_for(&other), SIGKILL);
    cgroup_root_close(&root);
    assert_null(root);
    cgroup_root_close(&root);
}

static void kills_the_whole_tree(void **state) {
    (void)state;
    check_kills_the_whole_tree(os_real());
}

static int open_without_kill(const struct os *os, int dir_fd, const char *path, int flags, mode_t mode) {
    if (strstr(path, "cgroup.kill") != NULL)
        return -ENOENT;
    return os_real()->ops->open(os, dir_fd, path, flags, mode);
}

static void kills_the_whole_tree_on_kernels_without_cgroup_kill(void **state) {
    (void)state;
    struct os_ops ops = *os_real()->ops;
    ops.open = open_without_kill;
    struct os os = {.ops = &ops};
    check_kills_the_whole_tree(&os);
}

static void what_an_earlier_daemon_left_can_be_killed(void **state) {
    (void)state;
    struct cgroup_root *root = root_open_or_skip(os_real());
    struct os_child child = start_in(root, "left", "exec sleep 1000");
    cgroup_root_close(&root); /* somebody is in it: it stays */
    root = root_open_or_skip(os_real());
    assert_int_equal(cgroup_is_empty(root, "left"), 0);
    assert_int_equal(cgroup_kill(root, "left", NULL), 0);
    assert_int_equal(wait_for(&child), SIGKILL);
    while (!cgroup_is_empty(root, "left"))
        os_sleep_ms(os_real(), 1);
    cgroup_root_close(&root);
}

static void closing_removes_what_is_empty(void **state) {
    (void)state;
    struct cgroup_root *root = root_open_or_skip(os_real());
    char procs[4096], inner[4200];
    struct stat stat;
    assert_int_equal(cgroup_make(root, "a", procs, sizeof procs, NULL), 0);
    assert_int_equal(cgroup_make(root, "a", procs, sizeof procs, NULL), 0); /* again is fine */
    *strrchr(procs, '/') = '\0';
    (void)snprintf(inner, sizeof inner, "%s/of-the-child", procs);
    assert_int_equal(mkdir(inner, 0755), 0);
    cgroup_remove(root, "a");
    assert_int_equal(os_stat_at(os_real(), AT_FDCWD, procs, &stat), -ENOENT);
    assert_int_equal(cgroup_make(root, "b", procs, sizeof procs, NULL), 0);
    cgroup_root_close(&root);
    *strrchr(procs, '/') = '\0';
    *strrchr(procs, '/') = '\0';
    assert_int_equal(os_stat_at(os_real(), AT_FDCWD, procs, &stat), -ENOENT);
}

static void names_cannot_lead_elsewhere(void **state) {
    (void)state;
    struct cgroup_root *root = root_open_or_skip(os_real()), *none = NULL;
    static const char *const names[] = {"", ".", "..", "../x", "a/b", ".hidden"};
    char procs[4096];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_int_equal(cgroup_make(root, names[i], procs, sizeof procs, NULL), HF_ERR_BAD_ID);
        assert_int_equal(cgroup_kill(root, names[i], NULL), HF_ERR_BAD_ID);
        assert_int_equal(cgroup_root_open(os_real(), names[i], &none, NULL), HF_ERR_BAD_ID);
    }
    assert_int_equal(cgroup_make(root, "a", procs, 10, NULL), HF_ERR_TOO_LARGE);
    cgroup_root_close(&root);
}

static int refuse_mkdir(const struct os *os, int dir_fd, const char *path, mode_t mode) {
    (void)os, (void)dir_fd, (void)path, (void)mode;
    return -EACCES;
}

static int hide_groups(const struct os *os, int dir_fd, const char *path, struct stat *ret_stat) {
    (void)os, (void)dir_fd, (void)path, (void)ret_stat;
    return -ENOENT;
}

static void says_so_where_there_are_none(void **state) {
    (void)state;
    struct os_ops ops = *os_real()->ops;
    struct os os = {.ops = &ops};
    struct cgroup_root *root = NULL;
    struct hf_error error;
    int fds = count_open_fds();
    ops.mkdir = refuse_mkdir;
    assert_int_equal(cgroup_root_open(&os, "test-refused", &root, &error), HF_ERR_UNSUPPORTED);
    ops.stat_at = hide_groups;
    assert_int_equal(cgroup_root_open(&os, "test-refused", &root, &error), HF_ERR_UNSUPPORTED);
    assert_string_equal(error.message, "open cgroup: no cgroup version 2 is mounted");
    assert_null(root);
    assert_int_equal(count_open_fds(), fds);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kills_the_whole_tree),
        cmocka_unit_test(kills_the_whole_tree_on_kernels_without_cgroup_kill),
        cmocka_unit_test(what_an_earlier_daemon_left_can_be_killed),
        cmocka_unit_test(closing_removes_what_is_empty),
        cmocka_unit_test(names_cannot_lead_elsewhere),
        cmocka_unit_test(says_so_where_there_are_none),
    };
    return cmocka_run_group_tests_name("os/cgroup", tests, NULL, NULL);
}
