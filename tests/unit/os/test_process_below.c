/* What a process has started, and signals as something to be read. */
#include "scratch.h"

#include "os/signals.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

static void count_it(void *arg, int pidfd) {
    (void)pidfd;
    ++*(int *)arg;
}

static void kill_it(void *arg, int pidfd) {
    assert_int_equal(os_pidfd_signal(os_real(), pidfd, SIGKILL), 0);
    ++*(int *)arg;
}

static int count_below(pid_t pid) {
    int count = 0;
    assert_int_equal(process_each_below(os_real(), pid, count_it, &count, NULL), 0);
    return count;
}

/* A child with a child in a session of its own, whose parent is gone, and one more. */
static struct os_child start_family(int *ret_pipe) {
    int ends[2];
    char line[8];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    struct os_spawn spawn = plain_spawn(
        ARGV("sh", "-c",
             "(setsid sh -c 'echo; exec sleep 1000' &); sleep 1000 & sh -c 'echo; exec sleep 1000' & wait"));
    spawn.stdout_fd = ends[1];
    struct os_child child;
    assert_int_equal(os_spawn(os_real(), &spawn, &child), 0);
    (void)close(ends[1]);
    for (int lines = 0; lines < 2;)
        lines += (int)read(ends[0], line, 1);
    *ret_pipe = ends[0];
    return child;
}

static void finds_children_and_orphans_of_ours(void **state) {
    (void)state;
    int pipe;
    process_adopt_orphans();
    assert_int_equal(count_below(getpid()), 0);
    struct os_child child = start_family(&pipe);
    int below = count_below(getpid());
    for (int i = 0; i < 6000 && below != 4; i++) { /* the orphan's parent is about to end */
        os_sleep_ms(os_real(), 10);
        below = count_below(getpid());
    }
    assert_int_equal(below, 4);
    assert_int_equal(count_below(child.pid), 2);
    int killed = 0;
    assert_int_equal(process_each_below(os_real(), getpid(), kill_it, &killed, NULL), 0);
    assert_int_equal(killed, 4);
    struct pollfd end = {.fd = pipe, .events = POLLIN};
    assert_int_equal(poll(&end, 1, 60 * 1000), 1);
    const pid_t own[] = {child.pid, 0};
    assert_int_equal(WTERMSIG(wait_for(&child)), SIGKILL);
    while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
        process_reap_orphans(own);
    assert_int_equal(count_below(getpid()), 0);
    (void)close(pipe);
}

static void orphans_are_reaped_and_own_children_are_left(void **state) {
    (void)state;
    struct os_spawn spawn = plain_spawn(ARGV("true"));
    struct os_child own, other;
    assert_int_equal(os_spawn(os_real(), &spawn, &own), 0);
    struct pollfd ended = {.fd = own.pidfd, .events = POLLIN};
    assert_int_equal(poll(&ended, 1, 60 * 1000), 1);
    const pid_t pids[] = {own.pid, 0}, none[] = {0};
    process_reap_orphans(pids);
    assert_int_equal(wait_for(&own), 0);
    assert_int_equal(os_spawn(os_real(), &spawn, &other), 0);
    ended.fd = other.pidfd;
    assert_int_equal(poll(&ended, 1, 60 * 1000), 1);
    process_reap_orphans(none);
    assert_int_equal(waitpid(other.pid, NULL, WNOHANG), -1);
    (void)close(other.pidfd);
}

static void held_signals_are_read(void **state) {
    (void)state;
    static const int held[] = {SIGUSR1, SIGUSR2, SIGCHLD, 0};
    struct signals_one one = {.number = 0};
    int fd = -1;
    (void)signal(SIGUSR2, SIG_IGN);
    (void)signal(SIGCHLD, SIG_IGN);
    assert_int_equal(signals_hold(held, &fd), 0);
    assert_int_equal(signals_next(fd, &one), 0);
    assert_int_equal(raise(SIGUSR1), 0);
    assert_int_equal(raise(SIGUSR2), 0); /* was ignored before, and is still */
    assert_int_equal(signals_next(fd, &one), 1);
    assert_int_equal(one.number, SIGUSR1);
    assert_int_equal(one.from, getpid());
    assert_false(one.is_from_terminal);
    assert_int_equal(signals_next(fd, &one), 0);
    struct os_spawn spawn = plain_spawn(ARGV("true"));
    struct os_child child;
    assert_int_equal(os_spawn(os_real(), &spawn, &child), 0);
    assert_int_equal(wait_for(&child), 0); /* ours to reap, though SIGCHLD was ignored */
    assert_int_equal(signals_next(fd, &one), 1);
    assert_int_equal(one.number, SIGCHLD);
    (void)close(fd);
    (void)signal(SIGUSR2, SIG_DFL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_children_and_orphans_of_ours),
        cmocka_unit_test(orphans_are_reaped_and_own_children_are_left),
        cmocka_unit_test(held_signals_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
