#include "scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>

#include "os/channel.h"

static void assert_waits(int fd, int waits) {
    assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, waits ? 0 : O_NONBLOCK);
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
}

static int is_readable(int fd) {
    struct pollfd look = {.fd = fd, .events = POLLIN};
    return poll(&look, 1, 0) == 1;
}

static void close_all(int a, int b) {
    assert_int_equal(close(a), 0);
    assert_int_equal(close(b), 0);
}

static void only_the_childs_end_of_a_pipe_waits(void **state) {
    (void)state;
    int own = -1, childs = -1;
    char got[8];
    assert_int_equal(channel_make_pipe(&own, &childs), 0);
    assert_waits(own, 0);
    assert_waits(childs, 1);
    assert_int_equal(os_read(os_real(), own, got, sizeof got), -EAGAIN);
    assert_int_equal(write(childs, "said", 4), 4);
    assert_int_equal(os_read(os_real(), own, got, sizeof got), 4);
    assert_memory_equal(got, "said", 4);
    close_all(own, childs);
}

static void only_the_childs_end_of_a_pair_waits(void **state) {
    (void)state;
    int own = -1, childs = -1;
    char got[8];
    assert_int_equal(channel_make_pair(&own, &childs), 0);
    assert_waits(own, 0);
    assert_waits(childs, 1);
    assert_int_equal(os_read(os_real(), own, got, sizeof got), -EAGAIN);
    assert_int_equal(write(childs, "said", 4), 4);
    assert_int_equal(os_read(os_real(), own, got, sizeof got), 4);
    assert_int_equal(channel_send(own, "heard", 5), 0);
    assert_int_equal(read(childs, got, sizeof got), 5);
    assert_memory_equal(got, "heard", 5);
    close_all(own, childs);
}

/* SIGPIPE has its default here: it would end this program. */
static void sending_to_nobody_raises_no_signal(void **state) {
    (void)state;
    int own, childs;
    assert_int_equal(channel_make_pair(&own, &childs), 0);
    void (*before)(int) = signal(SIGPIPE, SIG_DFL);
    assert_int_equal(close(childs), 0);
    assert_int_equal(channel_send(own, "x", 1), -EPIPE);
    (void)signal(SIGPIPE, before);
    assert_int_equal(close(own), 0);
}

/* From the end that waits as well: the promise is the call's. */
static void sending_to_who_does_not_read_never_waits(void **state) {
    (void)state;
    static const char bytes[64 * 1024];
    int own, childs, sent = 0, result;
    assert_int_equal(channel_make_pair(&own, &childs), 0);
    while ((result = channel_send(childs, bytes, sizeof bytes)) == 0)
        sent++;
    assert_int_equal(result, -EAGAIN);
    assert_true(sent > 0);
    assert_int_equal(channel_send(childs, bytes, sizeof bytes), -EAGAIN);
    close_all(own, childs);
}

/* More than the socket holds goes in part, and that is no success. */
static void sent_in_part_is_not_sent(void **state) {
    (void)state;
    static const char bytes[16 * 1024 * 1024];
    int own, childs;
    char got;
    assert_int_equal(channel_make_pair(&own, &childs), 0);
    assert_int_equal(channel_send(own, bytes, sizeof bytes), -EAGAIN);
    assert_int_equal(read(childs, &got, 1), 1); /* a part went */
    close_all(own, childs);
}

static void file_is_read_from_its_beginning(void **state) {
    (void)state;
    int fd = -1;
    char got[8];
    assert_int_equal(channel_make_file(os_real(), "code", "print", 5, &fd), 0);
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    assert_int_equal(read(fd, got, sizeof got), 5);
    assert_memory_equal(got, "print", 5);
    assert_int_equal(read(fd, got, sizeof got), 0);
    assert_int_equal(close(fd), 0);
}

static void empty_file_can_be_written(void **state) {
    (void)state;
    int fd = -1;
    char got[8];
    assert_int_equal(channel_make_file(os_real(), "answer", NULL, 0, &fd), 0);
    assert_int_equal(write(fd, "yes", 3), 3);
    assert_int_equal(os_pread(os_real(), fd, got, sizeof got, 0), 3);
    assert_memory_equal(got, "yes", 3);
    assert_int_equal(close(fd), 0);
}

static void file_that_cannot_be_filled_is_closed(void **state) {
    (void)state;
    struct os_fault *fault;
    struct os_fault_plan plan = {.fail_at = 1, .error = ENOSPC, .call_mask = 1U << OS_CALL_WRITE};
    int fds = count_open_fds(), fd = -7;
    assert_int_equal(os_fault_new(os_real(), &fault), 0);
    os_fault_set(fault, &plan);
    assert_int_equal(channel_make_file(os_fault_os(fault), "code", "print", 5, &fd), -ENOSPC);
    assert_int_equal(fd, -7);
    assert_int_equal(count_open_fds(), fds);
    os_fault_free(&fault);
}

static void bell_rings_until_it_is_hushed(void **state) {
    (void)state;
    int fd = -1;
    assert_int_equal(channel_make_bell(&fd), 0);
    assert_waits(fd, 0);
    assert_false(is_readable(fd));
    channel_ring_bell(fd);
    channel_ring_bell(fd);
    assert_true(is_readable(fd));
    channel_hush_bell(fd); /* of both */
    assert_false(is_readable(fd));
    channel_hush_bell(fd); /* of none: does not wait */
    channel_ring_bell(fd);
    assert_true(is_readable(fd));
    assert_int_equal(close(fd), 0);
}

static void bell_that_is_full_still_rings(void **state) {
    (void)state;
    int fd;
    uint64_t most = UINT64_MAX - 1;
    assert_int_equal(channel_make_bell(&fd), 0);
    assert_int_equal(write(fd, &most, sizeof most), sizeof most);
    channel_ring_bell(fd); /* does not wait */
    assert_true(is_readable(fd));
    channel_hush_bell(fd);
    assert_false(is_readable(fd));
    assert_int_equal(close(fd), 0);
}

static void *ring(void *arg) {
    channel_ring_bell(*(const int *)arg);
    return NULL;
}

static void bell_wakes_who_waits_for_another_thread(void **state) {
    (void)state;
    int fd;
    pthread_t thread;
    assert_int_equal(channel_make_bell(&fd), 0);
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    assert_int_equal(pthread_create(&thread, NULL, ring, &fd), 0);
    assert_int_equal(poll(&wait, 1, -1), 1);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(close(fd), 0);
}

static void the_last_descriptors_are_kept_back(void **state) {
    static const struct {
        rlim_t limit;
        int first_refused;
    } cases[] = {{1024, 992}, {128, 96}, {64, 48}, {256, 224}};
    struct rlimit old;
    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rlimit limit = {.rlim_cur = cases[i].limit, .rlim_max = old.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
        int last = channel_leaves_reserve(cases[i].first_refused - 1);
        int refused = channel_leaves_reserve(cases[i].first_refused);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
        assert_true(last);
        assert_false(refused);
    }
}

/* With no descriptor, and with one too few, nothing is given out and nothing stays open. */
static void too_many_open_files_is_said_and_leaves_nothing(void **state) {
    (void)state;
    int before = count_open_fds(), a = -7, b = -7;
    int next = dup(0);
    assert_true(next >= 0);
    assert_int_equal(close(next), 0);
    struct rlimit old, few;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    for (int room = 0; room < 2; room++) {
        few = (struct rlimit){.rlim_cur = (rlim_t)(next + room), .rlim_max = old.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
        int of_pipe = channel_make_pipe(&a, &b), of_pair = channel_make_pair(&a, &b);
        int of_file = room == 0 ? channel_make_file(os_real(), "code", "x", 1, &a) : -EMFILE;
        int of_bell = room == 0 ? channel_make_bell(&a) : -EMFILE;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
        assert_int_equal(of_pipe, -EMFILE);
        assert_int_equal(of_pair, -EMFILE);
        assert_int_equal(of_file, -EMFILE);
        assert_int_equal(of_bell, -EMFILE);
        assert_int_equal(a, -7);
        assert_int_equal(b, -7);
        assert_int_equal(count_open_fds(), before);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_childs_end_of_a_pipe_waits),
        cmocka_unit_test(only_the_childs_end_of_a_pair_waits),
        cmocka_unit_test(sending_to_nobody_raises_no_signal),
        cmocka_unit_test(sending_to_who_does_not_read_never_waits),
        cmocka_unit_test(sent_in_part_is_not_sent),
        cmocka_unit_test(file_is_read_from_its_beginning),
        cmocka_unit_test(empty_file_can_be_written),
        cmocka_unit_test(file_that_cannot_be_filled_is_closed),
        cmocka_unit_test(bell_rings_until_it_is_hushed),
        cmocka_unit_test(bell_that_is_full_still_rings),
        cmocka_unit_test(bell_wakes_who_waits_for_another_thread),
        cmocka_unit_test(the_last_descriptors_are_kept_back),
        cmocka_unit_test(too_many_open_files_is_said_and_leaves_nothing),
    };
    return cmocka_run_group_tests_name("os/channel", tests, NULL, NULL);
}
