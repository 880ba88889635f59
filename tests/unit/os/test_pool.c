#include "scratch.h"

#include <pthread.h>
#include <signal.h>

#include "os/pool.h"

struct counter {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    int running, done, most, gate_open;
};

static void counter_init(struct counter *counter) {
    *counter = (struct counter){.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
}

static void count_job(void *arg) {
    struct counter *counter = arg;
    (void)pthread_mutex_lock(&counter->mutex);
    counter->done++;
    (void)pthread_mutex_unlock(&counter->mutex);
}

/* Waits until the gate is open. */
static void gate_job(void *arg) {
    struct counter *counter = arg;
    (void)pthread_mutex_lock(&counter->mutex);
    if (++counter->running > counter->most)
        counter->most = counter->running;
    (void)pthread_cond_broadcast(&counter->changed);
    while (!counter->gate_open)
        (void)pthread_cond_wait(&counter->changed, &counter->mutex);
    counter->running--;
    counter->done++;
    (void)pthread_mutex_unlock(&counter->mutex);
}

static void await_running(struct counter *counter, int count) {
    (void)pthread_mutex_lock(&counter->mutex);
    while (counter->running < count)
        (void)pthread_cond_wait(&counter->changed, &counter->mutex);
    (void)pthread_mutex_unlock(&counter->mutex);
}

static void open_gate(struct counter *counter) {
    (void)pthread_mutex_lock(&counter->mutex);
    counter->gate_open = 1;
    (void)pthread_cond_broadcast(&counter->changed);
    (void)pthread_mutex_unlock(&counter->mutex);
}

static void freeing_finishes_what_was_added(void **state) {
    (void)state;
    struct counter counter;
    counter_init(&counter);
    struct pool *pool;
    assert_int_equal(pool_new(3, 1000, &pool, NULL), 0);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(pool_add(pool, count_job, &counter), 0);
    pool_free(&pool);
    assert_null(pool);
    assert_int_equal(counter.done, 1000);
    pool_free(&pool);
    pool_free(NULL);
}

static void full_says_so_and_takes_again_later(void **state) {
    (void)state;
    struct counter counter;
    counter_init(&counter);
    struct pool *pool;
    assert_int_equal(pool_new(2, 3, &pool, NULL), 0);
    assert_int_equal(pool_add(pool, gate_job, &counter), 0);
    assert_int_equal(pool_add(pool, gate_job, &counter), 0);
    await_running(&counter, 2); /* both threads are busy: what comes now waits */
    for (int i = 0; i < 3; i++)
        assert_int_equal(pool_add(pool, count_job, &counter), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pool_add(pool, count_job, &counter), -1);
    open_gate(&counter);
    while (pool_add(pool, count_job, &counter) != 0)
        os_sleep_ms(os_real(), 1);
    pool_free(&pool);
    assert_int_equal(counter.done, 6);
    assert_int_equal(counter.most, 2);
}

struct order {
    int next, wrong;
};
struct place {
    struct order *order;
    int number;
};

static void check_place(void *arg) {
    const struct place *place = arg;
    place->order->wrong += place->order->next++ != place->number;
}

static void keeps_the_order_with_one_thread(void **state) {
    (void)state;
    struct order order = {0};
    struct place places[100];
    struct pool *pool;
    assert_int_equal(pool_new(1, 7, &pool, NULL), 0); /* the ring goes round many times */
    for (int i = 0; i < 100; i++) {
        places[i] = (struct place){&order, i};
        while (pool_add(pool, check_place, &places[i]) != 0)
            os_sleep_ms(os_real(), 1);
    }
    pool_free(&pool);
    assert_int_equal(order.next, 100);
    assert_int_equal(order.wrong, 0);
}

static void note_mask(void *arg) {
    (void)pthread_sigmask(SIG_SETMASK, NULL, arg);
}

static void threads_take_no_signals(void **state) {
    (void)state;
    sigset_t mask, ours;
    struct pool *pool;
    (void)sigemptyset(&mask);
    assert_int_equal(pool_new(1, 1, &pool, NULL), 0);
    assert_int_equal(pool_add(pool, note_mask, &mask), 0);
    pool_free(&pool);
    (void)pthread_sigmask(SIG_SETMASK, NULL, &ours);
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGCHLD, SIGUSR1, SIGPIPE};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        assert_int_equal(sigismember(&mask, signals[i]), 1);
        assert_int_equal(sigismember(&ours, signals[i]), 0);
    }
}

static void senseless_sizes_are_refused(void **state) {
    (void)state;
    struct pool *pool = NULL;
    struct hf_error error;
    assert_int_equal(pool_new(0, 5, &pool, &error), HF_ERR_INVALID);
    assert_int_equal(pool_new(5, 0, &pool, &error), HF_ERR_INVALID);
    assert_null(pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(freeing_finishes_what_was_added), cmocka_unit_test(full_says_so_and_takes_again_later),
        cmocka_unit_test(keeps_the_order_with_one_thread), cmocka_unit_test(threads_take_no_signals),
        cmocka_unit_test(senseless_sizes_are_refused),
    };
    return cmocka_run_group_tests_name("os/pool", tests, NULL, NULL);
}
