#include "scratch.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

/* No child, living or dead, is left. */
static void assert_no_child(void) {
    siginfo_t info;
    assert_int_equal(waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT), -1);
    assert_int_equal(errno, ECHILD);
}

static void tells_why_a_program_does_not_start(void **state) {
    (void)state;
    struct scratch scratch = scratch_make();
    char path[128], folder[128];
    static char huge[4 * 1024 * 1024];
    memset(huge, 'x', sizeof huge - 1);
    scratch_write(&scratch, "plain", "#!/bin/sh\n", 0600);
    scratch_write(&scratch, "noshebang", "exit 0\n", 0700);
    scratch_write(&scratch, "badshebang", "#!/nowhere/sh\n", 0700);
    (void)snprintf(folder, sizeof folder, "PATH=%s", scratch.path);
    const char *const there[] = {folder, NULL}, *const nothing[] = {NULL};
    const struct {
        const char *program, *file, *argument, *folder;
        const char *const *environment;
        int error;
    } cases[] = {
        {"no-such-program", NULL, NULL, NULL, plain_environment, ENOENT},
        {"no-such-program", NULL, NULL, NULL, nothing, ENOENT},
        {"", NULL, NULL, NULL, plain_environment, ENOENT},
        {"/no/such/program", NULL, NULL, NULL, plain_environment, ENOENT},
        {"plain", NULL, NULL, NULL, there, EACCES},
        {NULL, "plain", NULL, NULL, plain_environment, EACCES},
        {NULL, "", NULL, NULL, plain_environment, EACCES}, /* a folder */
        {NULL, "noshebang", NULL, NULL, plain_environment, ENOEXEC},
        {"noshebang", NULL, NULL, NULL, there, ENOEXEC},
        {NULL, "badshebang", NULL, NULL, plain_environment, ENOENT},
        {NULL, "plain/x", NULL, NULL, plain_environment, ENOTDIR},
        {"true", NULL, huge, NULL, plain_environment, E2BIG},
        {"true", NULL, NULL, "/no/such/folder", plain_environment, ENOENT},
        {"true", NULL, NULL, "/etc/passwd", plain_environment, ENOTDIR},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", scratch.path, cases[i].file != NULL ? cases[i].file : "");
        struct os_spawn spawn =
            plain_spawn(ARGV(cases[i].program != NULL ? cases[i].program : path, cases[i].argument));
        spawn.environment = cases[i].environment;
        spawn.folder = cases[i].folder;
        struct os_child child = {.pid = -7, .pidfd = -7};
        int fds = count_open_fds();
        assert_int_equal(os_spawn(os_real(), &spawn, &child), -cases[i].error);
        assert_int_equal(child.pid, -7);
        assert_int_equal(child.pidfd, -7);
        assert_int_equal(count_open_fds(), fds);
        assert_no_child();
    }
    scratch_remove(&scratch);
}

static void looks_programs_up_in_the_childs_path(void **state) {
    (void)state;
    struct scratch scratch = scratch_make();
    char path[256];
    scratch_write(&scratch, "prog", "#!/bin/sh\necho found\n", 0700);
    assert_int_equal(mkdirat(scratch.fd, "first", 0700), 0);
    assert_int_equal(mkdirat(scratch.fd, "first/prog", 0700), 0); /* a folder of that name is passed over */
    (void)snprintf(path, sizeof path, "PATH=/nowhere::relative:%s/first:%s", scratch.path, scratch.path);
    struct os_spawn spawn = plain_spawn(ARGV("prog"));
    spawn.environment = ARGV("X=1", path);
    struct buf BUF_AUTO buf;
    buf_init(&buf);
    int status;
    assert_string_equal(output_of(&spawn, &buf, &status), "found\n");
    spawn.environment = ARGV("X=1"); /* no PATH: the usual places */
    spawn.argv = ARGV("echo", "hello");
    assert_string_equal(output_of(&spawn, &buf, &status), "hello\n");
    spawn.argv = ARGV("./prog"); /* seen from the child's folder */
    spawn.folder = scratch.path;
    assert_string_equal(output_of(&spawn, &buf, &status), "found\n");
    scratch_remove(&scratch);
}

#define LIST_FDS "for i in 0 1 2 3 4 5 6 7 8 9 10 11 50 200 900; do [ -e /proc/self/fd/$i ] && echo $i; done; true"

static void child_has_no_fd_but_those_it_is_given(void **state) {
    (void)state;
    static const int leaks[] = {5, 7, 50, 200, 900};
    for (size_t i = 0; i < sizeof leaks / sizeof leaks[0]; i++)
        assert_int_equal(dup2(STDIN_FILENO, leaks[i]), leaks[i]); /* not CLOEXEC */
    struct buf BUF_AUTO buf;
    buf_init(&buf);
    int status;
    struct os_spawn spawn = plain_spawn(ARGV("sh", "-c", LIST_FDS));
    assert_string_equal(output_of(&spawn, &buf, &status), "0\n1\n2\n");
    spawn.extra_fd = 50;
    assert_string_equal(output_of(&spawn, &buf, &status), "0\n1\n2\n3\n");
    spawn.argv = ARGV("sh", "-c", "readlink /proc/$$/fd/0 /proc/$$/fd/2");
    assert_string_equal(output_of(&spawn, &buf, &status), "/dev/null\n/dev/null\n");
    for (size_t i = 0; i < sizeof leaks / sizeof leaks[0]; i++)
        (void)close(leaks[i]);
}

/* In a process of its own, whose fds 0 to 3 are files A to D: each way of handing them on. */
static int try_all_overlaps(const struct scratch *scratch) {
    static const char *const names[] = {"A", "B", "C", "D"};
    ino_t inodes[4];
    int high[4];
    for (int i = 0; i < 4; i++) {
        struct stat stat;
        int fd = openat(scratch->fd, names[i], O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        high[i] = fcntl(fd, F_DUPFD_CLOEXEC, 20);
        (void)fstat(high[i], &stat);
        inodes[i] = stat.st_ino;
    }
    struct scratch moved = *scratch; /* its own fd may be one of these four */
    moved.fd = fcntl(scratch->fd, F_DUPFD_CLOEXEC, 20);
    for (int i = 0; i < 4; i++)
        (void)dup2(high[i], i);
    char script[256];
    (void)snprintf(script, sizeof script, "cd /proc/$$/fd; (stat -L -c %%i 0 1 2 3 >%s/out); exit", scratch->path);
    struct buf BUF_AUTO buf, expected;
    buf_init(&buf);
    buf_init(&expected);
    for (int way = 0; way < 256; way++) {
        int fds[4] = {way & 3, way >> 2 & 3, way >> 4 & 3, way >> 6};
        struct os_spawn spawn = plain_spawn(ARGV("sh", "-c", script));
        spawn.stdin_fd = fds[0];
        spawn.stdout_fd = fds[1];
        spawn.stderr_fd = fds[2];
        spawn.extra_fd = fds[3];
        struct os_child child;
        if (os_spawn(os_real(), &spawn, &child) != 0)
            return 1;
        int status;
        while (os_reap(os_real(), child.pidfd, &status) == 0)
            os_sleep_ms(os_real(), 1);
        (void)close(child.pidfd);
        buf_clear(&expected);
        for (int i = 0; i < 4; i++)
            buf_printf(&expected, "%llu\n", (unsigned long long)inodes[fds[i]]);
        if (strcmp(scratch_read(&moved, "out", &buf), buf_text(&expected)) != 0)
            return 2;
    }
    return 0;
}

static void fds_may_overlap_in_every_way(void **state) {
    (void)state;
    struct scratch scratch = scratch_make();
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(try_all_overlaps(&scratch));
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    scratch_remove(&scratch);
}

/* A daemon whose own 0, 1, 2 are closed: /dev/null itself gets such a number. */
static void works_without_standard_fds(void **state) {
    (void)state;
    struct scratch scratch = scratch_make();
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)close(0), (void)close(1), (void)close(2);
        struct os_spawn spawn = plain_spawn(ARGV("sh", "-c", "exec >list; " LIST_FDS));
        spawn.folder = scratch.path;
        struct os_child child;
        int status = 1;
        if (os_spawn(os_real(), &spawn, &child) != 0)
            _exit(1);
        while (os_reap(os_real(), child.pidfd, &status) == 0)
            os_sleep_ms(os_real(), 1);
        _exit(status != 0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    struct buf BUF_AUTO buf;
    buf_init(&buf);
    assert_string_equal(scratch_read(&scratch, "list", &buf), "0\n1\n2\n");
    scratch_remove(&scratch);
}

static void on_signal(int number) {
    (void)number;
}

static void child_starts_with_default_signals(void **state) {
    (void)state;
    sigset_t blocked, before, after;
    (void)sigemptyset(&blocked);
    (void)sigaddset(&blocked, SIGTERM);
    (void)sigaddset(&blocked, SIGRTMIN + 3);
    (void)pthread_sigmask(SIG_BLOCK, &blocked, &before);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGHUP, SIG_IGN);
    (void)signal(SIGUSR1, on_signal);
    struct buf BUF_AUTO buf;
    buf_init(&buf);
    int status;
    struct os_spawn spawn = plain_spawn(ARGV("cat", "/proc/self/status"));
    assert_non_null(strstr(output_of(&spawn, &buf, &status), "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n"
                                                             "SigCgt:\t0000000000000000\n"));
    (void)pthread_sigmask(SIG_SETMASK, &before, &after);
    assert_true(sigismember(&after, SIGTERM) && sigismember(&after, SIGRTMIN + 3)); /* ours is as it was */
    assert_false(sigismember(&after, SIGUSR2));
    assert_ptr_equal(signal(SIGHUP, SIG_DFL), SIG_IGN);
    assert_ptr_equal(signal(SIGUSR1, SIG_DFL), on_signal);
    (void)signal(SIGPIPE, SIG_DFL);
}

static void child_leads_a_session_and_a_group(void **state) {
    (void)state;
    struct buf BUF_AUTO buf;
    buf_init(&buf);
    struct os_spawn spawn = plain_spawn(ARGV("cat", "/proc/self/stat"));
    int status, pid, group, session;
    assert_int_equal(sscanf(output_of(&spawn, &buf, &status), "%d (cat) R %*d %d %d", &pid, &group, &session), 3);
    assert_int_equal(group, pid);
    assert_int_equal(session, pid);
}

static void child_gets_limits_umask_folder_and_environment(void **state) {
    (void)state;
    struct buf BUF_AUTO buf;
    buf_init(&buf);
    int status;
    struct os_spawn spawn = plain_spawn(ARGV("sh", "-c", "ulimit -Sn; ulimit -Hn; ulimit -Hc; umask; pwd"));
    spawn.max_open_files = 77;
    spawn.max_core_bytes = 0;
    spawn.umask = 027;
    assert_string_equal(output_of(&spawn, &buf, &status), "77\n77\n0\n0027\n/\n");
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    spawn = plain_spawn(ARGV("sh", "-c", "ulimit -Sn; pwd"));
    spawn.folder = "/etc";
    char expected[64];
    (void)snprintf(expected, sizeof expected, "%llu\n/etc\n", (unsigned long long)limit.rlim_cur);
    assert_string_equal(output_of(&spawn, &buf, &status), expected);
    spawn = plain_spawn(ARGV("env"));
    spawn.environment = ARGV("A=1", "B=two words");
    assert_string_equal(output_of(&spawn, &buf, &status), "A=1\nB=two words\n");
}

static void a_cgroup_that_cannot_be_entered_is_no_error(void **state) {
    (void)state;
    struct buf BUF_AUTO buf;
    buf_init(&buf);
    int status;
    struct os_spawn spawn = plain_spawn(ARGV("echo", "ran"));
    spawn.cgroup_procs = "/no/such/cgroup.procs";
    assert_string_equal(output_of(&spawn, &buf, &status), "ran\n");
    assert_int_equal(status, 0);
}

static void wait_status_says_how_it_ended(void **state) {
    (void)state;
    static const struct {
        const char *script;
        int code, signal;
    } ways[] = {{"exit 0", 0, 0}, {"exit 255", 255, 0}, {"kill -9 $$", 0, SIGKILL}, {"kill -15 $$", 0, SIGTERM}};
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        struct os_spawn spawn = plain_spawn(ARGV("sh", "-c", ways[i].script));
        struct os_child child;
        assert_int_equal(os_spawn(os_real(), &spawn, &child), 0);
        int status = wait_for(&child);
        assert_int_equal(WIFSIGNALED(status) ? WTERMSIG(status) : 0, ways[i].signal);
        assert_int_equal(WIFEXITED(status) ? WEXITSTATUS(status) : 0, ways[i].code);
    }
    assert_no_child();
}

/* All of them wait for one pipe to be closed, and then end at once. */
static void reaps_2000_that_end_at_once(void **state) {
    (void)state;
    enum { STORM = 500, STORMS = 4 };
    static struct os_child children[STORM];
    int fds = count_open_fds();
    for (int storm = 0; storm < STORMS; storm++) {
        int gate[2];
        assert_int_equal(pipe2(gate, O_CLOEXEC), 0);
        for (int i = 0; i < STORM; i++) {
            char script[64];
            (void)snprintf(script, sizeof script, i % 10 == 0 ? "read x; kill -9 $$" : "read x; exit %d", i % 256);
            struct os_spawn spawn = plain_spawn(ARGV("sh", "-c", script));
            spawn.stdin_fd = gate[0];
            assert_int_equal(os_spawn(os_real(), &spawn, &children[i]), 0);
        }
        int status = -1;
        assert_int_equal(os_reap(os_real(), children[0].pidfd, &status), 0);
        assert_int_equal(status, -1);
        (void)close(gate[0]);
        (void)close(gate[1]);
        for (int i = 0; i < STORM; i++)
            assert_int_equal(wait_for(&children[i]), i % 10 == 0 ? SIGKILL : W_EXITCODE(i % 256, 0));
        assert_no_child();
    }
    assert_int_equal(count_open_fds(), fds);
}

static void exit_shows_though_a_grandchild_holds_the_pipe(void **state) {
    (void)state;
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    struct os_spawn spawn = plain_spawn(ARGV("sh", "-c", "sleep 1000 & exit 7"));
    spawn.stdout_fd = ends[1];
    struct os_child child;
    assert_int_equal(os_spawn(os_real(), &spawn, &child), 0);
    (void)close(ends[1]);
    struct pollfd exit_poll = {.fd = child.pidfd, .events = POLLIN}, pipe_poll = {.fd = ends[0], .events = POLLIN};
    assert_int_equal(poll(&exit_poll, 1, 60 * 1000), 1);
    assert_int_equal(poll(&pipe_poll, 1, 0), 0); /* no end of file: somebody has it open */
    pid_t group = child.pid;
    assert_int_equal(WEXITSTATUS(wait_for(&child)), 7);
    assert_int_equal(os_group_signal(os_real(), group, SIGKILL), 0);
    assert_int_equal(poll(&pipe_poll, 1, 60 * 1000), 1);
    assert_int_equal(pipe_poll.revents & POLLHUP, POLLHUP);
    (void)close(ends[0]);
}

static void signals_reach_only_whom_they_are_meant_for(void **state) {
    (void)state;
    assert_int_equal(os_group_signal(os_real(), -1, 0), -EINVAL);
    assert_int_equal(os_group_signal(os_real(), 0, 0), -EINVAL);
    assert_int_equal(os_group_signal(os_real(), 1, 0), -EINVAL);
    struct os_spawn spawn = plain_spawn(ARGV("true"));
    struct os_child child;
    assert_int_equal(os_spawn(os_real(), &spawn, &child), 0);
    int pidfd = os_pidfd_open(os_real(), child.pid);
    assert_true(pidfd >= 0);
    (void)wait_for(&child);
    assert_int_equal(os_pidfd_signal(os_real(), pidfd, SIGKILL), -ESRCH);
    int status;
    assert_int_equal(os_reap(os_real(), pidfd, &status), -ECHILD);
    (void)close(pidfd);
    assert_int_equal(os_pidfd_open(os_real(), child.pid), -ESRCH);
}

static void *spawn_many(void *arg) {
    (void)arg;
    for (int i = 0; i < 50; i++) {
        struct os_child child;
        struct os_spawn bad = plain_spawn(ARGV("/no/such/program"));
        if (os_spawn(os_real(), &bad, &child) != -ENOENT)
            return "started what is not there";
        char script[32];
        (void)snprintf(script, sizeof script, "exit %d", i);
        struct os_spawn spawn = plain_spawn(ARGV("sh", "-c", script));
        if (os_spawn(os_real(), &spawn, &child) != 0)
            return "did not start";
        int status;
        while (os_reap(os_real(), child.pidfd, &status) == 0)
            os_sleep_ms(os_real(), 1);
        (void)close(child.pidfd);
        if (WEXITSTATUS(status) != i)
            return "wrong code";
    }
    return NULL;
}

static void threads_may_spawn_at_the_same_time(void **state) {
    (void)state;
    int fds = count_open_fds();
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, spawn_many, NULL), 0);
    for (int i = 0; i < 4; i++) {
        void *wrong;
        assert_int_equal(pthread_join(threads[i], &wrong), 0);
        assert_null(wrong);
    }
    assert_int_equal(count_open_fds(), fds);
    assert_no_child();
}

static void no_free_fd_is_an_error_and_no_child(void **state) {
    (void)state;
    struct rlimit before, few;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = before;
    few.rlim_cur = 3;
    struct os_spawn spawn = plain_spawn(ARGV("true"));
    struct os_child child;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    int result = os_spawn(os_real(), &spawn, &child);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(result, -EMFILE);
    assert_no_child();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_why_a_program_does_not_start),
        cmocka_unit_test(looks_programs_up_in_the_childs_path),
        cmocka_unit_test(child_has_no_fd_but_those_it_is_given),
        cmocka_unit_test(fds_may_overlap_in_every_way),
        cmocka_unit_test(works_without_standard_fds),
        cmocka_unit_test(child_starts_with_default_signals),
        cmocka_unit_test(child_leads_a_session_and_a_group),
        cmocka_unit_test(child_gets_limits_umask_folder_and_environment),
        cmocka_unit_test(a_cgroup_that_cannot_be_entered_is_no_error),
        cmocka_unit_test(wait_status_says_how_it_ended),
        cmocka_unit_test(reaps_2000_that_end_at_once),
        cmocka_unit_test(exit_shows_though_a_grandchild_holds_the_pipe),
        cmocka_unit_test(signals_reach_only_whom_they_are_meant_for),
        cmocka_unit_test(threads_may_spawn_at_the_same_time),
        cmocka_unit_test(no_free_fd_is_an_error_and_no_child),
    };
    return cmocka_run_group_tests_name("os/spawn", tests, NULL, NULL);
}
