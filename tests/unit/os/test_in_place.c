/* Children that stand where their parent stands, and end when it ends. */
#include "scratch.h"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

static struct os_spawn in_place(const char *const *argv) {
    struct os_spawn spawn = plain_spawn(argv);
    spawn.stays_in_place = 1;
    return spawn;
}

static void it_keeps_session_group_and_folder(void **state) {
    (void)state;
    struct buf BUF_AUTO buf;
    buf_init(&buf);
    struct os_spawn spawn = in_place(ARGV("cat", "/proc/self/stat"));
    int status, pid, group, session;
    char here[4096], expected[4100];
    assert_int_equal(sscanf(output_of(&spawn, &buf, &status), "%d (cat) R %*d %d %d", &pid, &group, &session), 3);
    assert_int_equal(group, getpgrp());
    assert_int_equal(session, getsid(0));
    spawn = in_place(ARGV("pwd"));
    (void)snprintf(expected, sizeof expected, "%s\n", getcwd(here, sizeof here));
    assert_string_equal(output_of(&spawn, &buf, &status), expected);
    spawn.folder = "/etc";
    assert_string_equal(output_of(&spawn, &buf, &status), "/etc\n");
}

static void it_keeps_what_is_ignored_and_nothing_else_of_signals(void **state) {
    (void)state;
    struct buf BUF_AUTO buf;
    buf_init(&buf);
    int status;
    sigset_t blocked, before;
    (void)sigemptyset(&blocked);
    (void)sigaddset(&blocked, SIGTERM);
    (void)pthread_sigmask(SIG_BLOCK, &blocked, &before);
    (void)signal(SIGHUP, SIG_IGN);
    struct os_spawn spawn = in_place(ARGV("cat", "/proc/self/status"));
    assert_non_null(strstr(output_of(&spawn, &buf, &status), "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000001\n"
                                                             "SigCgt:\t0000000000000000\n"));
    (void)signal(SIGHUP, SIG_DFL);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void it_keeps_descriptors_that_stay_open_on_exec(void **state) {
    (void)state;
    struct buf BUF_AUTO buf;
    buf_init(&buf);
    int status, kept[2], closed[2];
    char script[128];
    assert_int_equal(pipe2(kept, 0), 0);
    assert_int_equal(pipe2(closed, O_CLOEXEC), 0);
    (void)snprintf(script, sizeof script, "test -e /proc/self/fd/%d && ! test -e /proc/self/fd/%d && echo yes", kept[0],
                   closed[0]);
    struct os_spawn spawn = in_place(ARGV("sh", "-c", script));
    assert_string_equal(output_of(&spawn, &buf, &status), "yes\n");
    for (int i = 0; i < 2; i++) {
        (void)close(kept[i]);
        (void)close(closed[i]);
    }
}

/* The pipe is at its end when nobody has its writing end any more. */
static void it_dies_with_its_caller(void **state) {
    (void)state;
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid_t parent = fork();
    assert_true(parent >= 0);
    if (parent == 0) {
        struct os_child child;
        struct os_spawn spawn = in_place(ARGV("sh", "-c", "echo began; exec sleep 1000"));
        spawn.stdout_fd = ends[1];
        spawn.dies_with_caller = 1;
        if (os_spawn(os_real(), &spawn, &child) != 0)
            _exit(1);
        (void)close(ends[1]);
        for (;;)
            (void)pause();
    }
    (void)close(ends[1]);
    char text[16];
    assert_int_equal(read(ends[0], text, sizeof text), 6);
    struct pollfd end = {.fd = ends[0], .events = POLLIN};
    assert_int_equal(poll(&end, 1, 0), 0);
    assert_int_equal(kill(parent, SIGKILL), 0);
    assert_int_equal(waitpid(parent, NULL, 0), parent);
    assert_int_equal(poll(&end, 1, 60 * 1000), 1);
    assert_int_equal(read(ends[0], text, sizeof text), 0);
    (void)close(ends[0]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_keeps_session_group_and_folder),
        cmocka_unit_test(it_keeps_what_is_ignored_and_nothing_else_of_signals),
        cmocka_unit_test(it_keeps_descriptors_that_stay_open_on_exec),
        cmocka_unit_test(it_dies_with_its_caller),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
