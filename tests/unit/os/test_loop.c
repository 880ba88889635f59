#include "scratch.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/mem.h"
#include "os/loop.h"

struct bench {
    struct loop *loop;
    struct buf log;
    struct loop_timer *timer, *other;
    struct loop_watch *watch;
    struct loop_signal *signal;
    int ends[2], count;
};

static struct bench bench_make(void) {
    struct bench bench = {.ends = {-1, -1}};
    buf_init(&bench.log);
    assert_int_equal(loop_new(os_real(), &bench.loop, NULL), 0);
    return bench;
}

static void bench_end(struct bench *bench) {
    int fds = count_open_fds();
    loop_free(&bench->loop);
    assert_null(bench->loop);
    assert_true(count_open_fds() < fds);
    buf_fini(&bench->log);
    for (int i = 0; i < 2; i++)
        if (bench->ends[i] >= 0)
            (void)close(bench->ends[i]);
}

static void stop(void *arg) {
    struct bench *bench = arg;
    loop_stop(bench->loop);
}

struct alarm {
    struct bench *bench;
    struct loop_timer *timer;
    int64_t due_ms;
};

static int64_t last_due_ms;

static void set_alarm(struct alarm *alarm, int64_t delay_ms) {
    alarm->due_ms = os_monotonic_ms(os_real()) + delay_ms;
    loop_timer_set(alarm->timer, delay_ms);
}

/* However slow the machine is: none before its time, and none before one that was due earlier. */
static void ring(void *arg) {
    const struct alarm *alarm = arg;
    assert_true(os_monotonic_ms(os_real()) >= alarm->due_ms - 1);
    assert_true(alarm->due_ms >= last_due_ms - 1);
    last_due_ms = alarm->due_ms;
    if (--alarm->bench->count == 0)
        loop_stop(alarm->bench->loop);
}

static void timers_fire_in_the_order_of_their_times(void **state) {
    (void)state;
    enum { ALARMS = 200 };
    struct bench bench = bench_make();
    struct alarm alarms[ALARMS];
    last_due_ms = 0;
    for (int i = 0; i < ALARMS; i++) {
        alarms[i].bench = &bench;
        assert_int_equal(loop_timer_new(bench.loop, ring, &alarms[i], &alarms[i].timer), 0);
        set_alarm(&alarms[i], i * 7919 % 97);
    }
    for (int i = 0; i < ALARMS; i += 3)
        set_alarm(&alarms[i], i * 104729 % 131); /* set again: only the new time counts */
    for (int i = 0; i < ALARMS; i += 5)
        loop_timer_clear(alarms[i].timer);
    bench.count = ALARMS - ALARMS / 5;
    assert_int_equal(loop_run(bench.loop), 0);
    set_alarm(&alarms[0], 1);
    bench.count = 1;
    assert_int_equal(loop_run(bench.loop), 0); /* a cleared one can be set again; of the others none comes twice */
    for (int i = 0; i < ALARMS; i++)
        loop_timer_free(&alarms[i].timer);
    assert_null(alarms[0].timer);
    loop_timer_free(&alarms[0].timer);
    bench_end(&bench);
}

static void hog(void *arg) {
    struct bench *bench = arg;
    bench->count++;
    loop_timer_set(bench->timer, 0);
}

static void a_timer_at_0_fires_once_a_turn(void **state) {
    (void)state;
    struct bench bench = bench_make();
    assert_int_equal(loop_timer_new(bench.loop, hog, &bench, &bench.timer), 0);
    assert_int_equal(loop_timer_new(bench.loop, stop, &bench, &bench.other), 0);
    int64_t began_ms = loop_now_ms(bench.loop);
    loop_timer_set(bench.timer, -1);
    loop_timer_set(bench.other, 50);
    assert_int_equal(loop_run(bench.loop), 0);
    assert_true(bench.count >= 2);
    assert_true(bench.count <= loop_now_ms(bench.loop) - began_ms + 1);
    bench_end(&bench);
}

static int64_t set_at_ms;

static void note_and_stop(void *arg) {
    struct bench *bench = arg;
    bench->count = (int)(os_monotonic_ms(os_real()) - set_at_ms);
    loop_stop(bench->loop);
}

static void do_nothing(void *arg) {
    (void)arg;
}

static void work_long_then_set(void *arg) {
    struct bench *bench = arg;
    os_sleep_ms(os_real(), 60);
    set_at_ms = os_monotonic_ms(os_real());
    loop_timer_set(bench->other, 40);
    assert_int_equal(loop_post(bench->loop, do_nothing, NULL), 0); /* the next turn comes at once */
}

static void a_long_turn_does_not_shorten_a_timer(void **state) {
    (void)state;
    struct bench bench = bench_make();
    assert_int_equal(loop_timer_new(bench.loop, work_long_then_set, &bench, &bench.timer), 0);
    assert_int_equal(loop_timer_new(bench.loop, note_and_stop, &bench, &bench.other), 0);
    loop_timer_set(bench.timer, 1);
    assert_int_equal(loop_run(bench.loop), 0);
    assert_true(bench.count >= 39);
    bench_end(&bench);
}

static void free_own_timer(void *arg) {
    struct bench *bench = arg;
    loop_timer_free(&bench->timer);
    loop_stop(bench->loop);
}

static void timer_may_free_itself(void **state) {
    (void)state;
    struct bench bench = bench_make();
    assert_int_equal(loop_timer_new(bench.loop, free_own_timer, &bench, &bench.timer), 0);
    loop_timer_set(bench.timer, 1);
    assert_int_equal(loop_run(bench.loop), 0);
    assert_null(bench.timer);
    bench_end(&bench);
}

enum { THREADS = 4, MESSAGES = 2000 };

struct message {
    struct bench *bench;
    int thread, number;
};

struct inbox {
    int next[THREADS], in_order, count;
    pthread_t loop_thread;
};

static struct inbox inbox;

static void receive(void *arg) {
    struct message *message = arg;
    inbox.in_order &= inbox.next[message->thread]++ == message->number;
    inbox.in_order &= pthread_equal(pthread_self(), inbox.loop_thread) != 0;
    if (++inbox.count == THREADS * MESSAGES)
        loop_stop(message->bench->loop);
    mem_free(message);
}

static void *post_many(void *arg) {
    struct message first = *(struct message *)arg;
    for (int i = 0; i < MESSAGES; i++) {
        struct message *message = MEM_NEW(struct message);
        *message = first;
        message->number = i;
        if (loop_post(first.bench->loop, receive, message) != 0)
            return "could not post";
    }
    return NULL;
}

static void messages_of_threads_come_once_and_in_order(void **state) {
    (void)state;
    struct bench bench = bench_make();
    pthread_t threads[THREADS];
    struct message first[THREADS];
    inbox = (struct inbox){.in_order = 1, .loop_thread = pthread_self()};
    for (int i = 0; i < THREADS; i++) {
        first[i] = (struct message){.bench = &bench, .thread = i};
        assert_int_equal(pthread_create(&threads[i], NULL, post_many, &first[i]), 0);
    }
    assert_int_equal(loop_run(bench.loop), 0);
    for (int i = 0; i < THREADS; i++) {
        void *wrong;
        assert_int_equal(pthread_join(threads[i], &wrong), 0);
        assert_null(wrong);
    }
    assert_int_equal(inbox.count, THREADS * MESSAGES);
    assert_int_equal(inbox.in_order, 1);
    bench_end(&bench);
}

static void post_again(void *arg) {
    struct bench *bench = arg;
    if (++bench->count < 1000)
        assert_int_equal(loop_post(bench->loop, post_again, bench), 0);
}

static void a_message_that_posts_itself_lets_others_in(void **state) {
    (void)state;
    struct bench bench = bench_make();
    assert_int_equal(loop_post(bench.loop, post_again, &bench), 0);
    assert_int_equal(loop_timer_new(bench.loop, stop, &bench, &bench.timer), 0);
    loop_timer_set(bench.timer, 50);
    assert_int_equal(loop_run(bench.loop), 0);
    assert_true(bench.count > 0);
    bench_end(&bench);
}

static void read_some(void *arg) {
    struct bench *bench = arg;
    char bytes[4];
    ssize_t got = read(bench->ends[0], bytes, sizeof bytes);
    if (got > 0)
        buf_add(&bench->log, bytes, (size_t)got);
    if (got == 0) {
        loop_watch_free(&bench->watch);
        loop_stop(bench->loop);
    }
}

static void watch_tells_of_bytes_and_of_the_end(void **state) {
    (void)state;
    struct bench bench = bench_make();
    assert_int_equal(pipe2(bench.ends, O_CLOEXEC | O_NONBLOCK), 0);
    assert_int_equal(loop_watch_new(bench.loop, bench.ends[0], read_some, &bench, &bench.watch), 0);
    assert_int_equal(write(bench.ends[1], "0123456789", 10), 10);
    assert_int_equal(close(bench.ends[1]), 0);
    bench.ends[1] = -1;
    assert_int_equal(loop_run(bench.loop), 0);
    assert_string_equal(buf_text(&bench.log), "0123456789");
    assert_null(bench.watch);
    bench_end(&bench);
}

static void go_on(void *arg) {
    struct bench *bench = arg;
    buf_add_char(&bench->log, '|');
    loop_watch_pause(bench->watch, 0);
    loop_watch_pause(bench->watch, 0);
}

static void read_and_pause(void *arg) {
    struct bench *bench = arg;
    loop_watch_pause(bench->watch, 1);
    loop_watch_pause(bench->watch, 1);
    loop_timer_set(bench->timer, 5);
    read_some(bench);
}

static void a_paused_watch_waits_for_its_turn(void **state) {
    (void)state;
    struct bench bench = bench_make();
    assert_int_equal(pipe2(bench.ends, O_CLOEXEC | O_NONBLOCK), 0);
    assert_int_equal(loop_timer_new(bench.loop, go_on, &bench, &bench.timer), 0);
    assert_int_equal(loop_watch_new(bench.loop, bench.ends[0], read_and_pause, &bench, &bench.watch), 0);
    assert_int_equal(write(bench.ends[1], "0123456789", 10), 10);
    assert_int_equal(close(bench.ends[1]), 0);
    bench.ends[1] = -1;
    assert_int_equal(loop_run(bench.loop), 0);
    assert_string_equal(buf_text(&bench.log), "0123|4567|89|");
    bench_end(&bench);
}

static void bad_fds_are_refused(void **state) {
    (void)state;
    struct bench bench = bench_make();
    struct scratch scratch = scratch_make();
    struct loop_watch *watch = NULL;
    scratch_write(&scratch, "f", "", 0600);
    int file = openat(scratch.fd, "f", O_RDONLY | O_CLOEXEC);
    assert_true(loop_watch_new(bench.loop, file, stop, &bench, &watch) < 0); /* cannot be waited for */
    assert_true(loop_watch_new(bench.loop, 999999, stop, &bench, &watch) < 0);
    assert_int_equal(pipe2(bench.ends, O_CLOEXEC | O_NONBLOCK), 0);
    assert_int_equal(loop_watch_new(bench.loop, bench.ends[0], stop, &bench, &bench.watch), 0);
    assert_true(loop_watch_new(bench.loop, bench.ends[0], stop, &bench, &watch) < 0); /* is watched already */
    assert_null(watch);
    (void)close(file);
    scratch_remove(&scratch);
    bench_end(&bench);
}

static void an_fd_number_can_be_watched_again_at_once(void **state) {
    (void)state;
    struct bench bench = bench_make();
    for (int i = 0; i < 50; i++) {
        assert_int_equal(pipe2(bench.ends, O_CLOEXEC | O_NONBLOCK), 0);
        assert_int_equal(loop_watch_new(bench.loop, bench.ends[0], stop, &bench, &bench.watch), 0);
        assert_int_equal(write(bench.ends[1], "x", 1), 1);
        assert_int_equal(loop_run(bench.loop), 0);
        loop_watch_free(&bench.watch);
        (void)close(bench.ends[0]);
        (void)close(bench.ends[1]);
    }
    bench.ends[0] = bench.ends[1] = -1;
    bench_end(&bench);
}

static struct os_child child;

static void reap_and_stop(void *arg) {
    struct bench *bench = arg;
    assert_int_equal(os_reap(os_real(), child.pidfd, &bench->count), 1);
    loop_stop(bench->loop);
}

static void watch_of_a_pidfd_tells_of_the_exit(void **state) {
    (void)state;
    struct bench bench = bench_make();
    assert_int_equal(pipe2(bench.ends, O_CLOEXEC), 0);
    struct os_spawn spawn = plain_spawn(ARGV("sh", "-c", "sleep 1000 & exit 9"));
    spawn.stdout_fd = bench.ends[1];
    assert_int_equal(os_spawn(os_real(), &spawn, &child), 0);
    assert_int_equal(loop_watch_new(bench.loop, child.pidfd, reap_and_stop, &bench, &bench.watch), 0);
    assert_int_equal(loop_run(bench.loop), 0);
    assert_int_equal(WEXITSTATUS(bench.count), 9);
    loop_watch_free(&bench.watch);
    (void)close(child.pidfd);
    assert_int_equal(os_group_signal(os_real(), child.pid, SIGKILL), 0);
    bench_end(&bench);
}

static void got_signal(void *arg, int signal) {
    struct bench *bench = arg;
    bench->count = signal;
    loop_stop(bench->loop);
}

static void signals_come_in_the_loop(void **state) {
    (void)state;
    struct bench bench = bench_make();
    assert_int_equal(loop_signal_new(bench.loop, SIGUSR1, got_signal, &bench, &bench.signal), 0);
    assert_int_equal(kill(getpid(), SIGUSR1), 0);
    assert_int_equal(loop_run(bench.loop), 0);
    assert_int_equal(bench.count, SIGUSR1);
    loop_signal_free(&bench.signal);
    assert_null(bench.signal);
    assert_true(loop_signal_new(bench.loop, SIGKILL, got_signal, &bench, &bench.signal) < 0);
    bench_end(&bench);
}

static void count_message(void *arg) {
    ++*(int *)arg;
}

static void free_closes_what_is_open(void **state) {
    (void)state;
    struct bench bench = bench_make();
    assert_int_equal(pipe2(bench.ends, O_CLOEXEC | O_NONBLOCK), 0);
    assert_int_equal(loop_timer_new(bench.loop, stop, &bench, &bench.timer), 0);
    loop_timer_set(bench.timer, 1000000);
    assert_int_equal(loop_timer_new(bench.loop, stop, &bench, &bench.other), 0); /* never set */
    assert_int_equal(loop_watch_new(bench.loop, bench.ends[0], stop, &bench, &bench.watch), 0);
    assert_int_equal(loop_signal_new(bench.loop, SIGUSR2, got_signal, &bench, &bench.signal), 0);
    assert_int_equal(loop_post(bench.loop, count_message, &bench.count), 0);
    loop_stop(bench.loop); /* a stop that nobody waited for must not end the closing early */
    bench_end(&bench);
    assert_int_equal(bench.count, 0); /* what was not delivered is dropped */
    loop_free(NULL);
}

static int64_t wall_shift_ns;

static int64_t shifted_now_ns(const struct os *os, enum os_clock clock) {
    int64_t now = os_real()->ops->now_ns(os, clock);
    return clock == OS_CLOCK_WALL ? now + wall_shift_ns : now;
}

static void note_jump(void *arg, int64_t by_ms) {
    struct bench *bench = arg;
    bench->count = (int)by_ms;
    loop_stop(bench->loop);
}

static void clock_jumps_are_told(void **state) {
    (void)state;
    struct os_ops ops = *os_real()->ops;
    ops.now_ns = shifted_now_ns;
    struct os os = {.ops = &ops};
    struct bench bench = {.ends = {-1, -1}};
    buf_init(&bench.log);
    assert_int_equal(loop_new(&os, &bench.loop, NULL), 0);
    loop_on_clock_jump(bench.loop, note_jump, &bench);
    static const int64_t jumps_s[] = {3600, -7200};
    for (size_t i = 0; i < 2; i++) {
        wall_shift_ns += jumps_s[i] * 1000000000;
        assert_int_equal(loop_run(bench.loop), 0);
        assert_true(llabs(bench.count - jumps_s[i] * 1000) < 500);
    }
    bench.count = 0;
    assert_int_equal(loop_timer_new(bench.loop, stop, &bench, &bench.timer), 0);
    loop_timer_set(bench.timer, 1300); /* a check in which nothing has jumped */
    assert_int_equal(loop_run(bench.loop), 0);
    assert_int_equal(bench.count, 0);
    bench_end(&bench);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers_fire_in_the_order_of_their_times),
        cmocka_unit_test(a_timer_at_0_fires_once_a_turn),
        cmocka_unit_test(a_long_turn_does_not_shorten_a_timer),
        cmocka_unit_test(timer_may_free_itself),
        cmocka_unit_test(messages_of_threads_come_once_and_in_order),
        cmocka_unit_test(a_message_that_posts_itself_lets_others_in),
        cmocka_unit_test(watch_tells_of_bytes_and_of_the_end),
        cmocka_unit_test(a_paused_watch_waits_for_its_turn),
        cmocka_unit_test(bad_fds_are_refused),
        cmocka_unit_test(an_fd_number_can_be_watched_again_at_once),
        cmocka_unit_test(watch_of_a_pidfd_tells_of_the_exit),
        cmocka_unit_test(signals_come_in_the_loop),
        cmocka_unit_test(free_closes_what_is_open),
        cmocka_unit_test(clock_jumps_are_told),
    };
    return cmocka_run_group_tests_name("os/loop", tests, NULL, NULL);
}
