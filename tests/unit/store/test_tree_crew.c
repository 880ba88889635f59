#include "../os/scratch.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/mem.h"
#include "store/tree_files.h"

enum { COUNT = 5000 };

struct job {
    atomic_int worked[COUNT];
    atomic_int max_worker, under_way, most_under_way;
    size_t told;
    size_t fail_work_at, fail_work_too, fail_done_at; /* COUNT: never */
    size_t ahead, most_ahead;
    atomic_size_t highest;
    pthread_t caller;
    int is_alone;
    unsigned slow; /* one in so many takes longer; 0: none */
};

static void raise_to(atomic_int *most, int value) {
    int old = atomic_load(most);
    while (old < value && !atomic_compare_exchange_weak(most, &old, value))
        continue;
}

/* How many threads that worked have not ended: a key's destructor runs before the thread can be joined. */
static atomic_int living;
static pthread_key_t life;

static void end_life(void *value) {
    (void)value;
    atomic_fetch_sub(&living, 1);
}

static void begin_life(const struct job *job) {
    if (pthread_equal(pthread_self(), job->caller) || pthread_getspecific(life))
        return;
    assert_int_equal(pthread_setspecific(life, job), 0);
    atomic_fetch_add(&living, 1);
}

static int work(void *arg, unsigned worker, size_t index) {
    struct job *job = arg;
    begin_life(job);
    assert_int_equal(atomic_fetch_add(&job->worked[index], 1), 0);
    raise_to(&job->max_worker, (int)worker);
    raise_to(&job->most_under_way, atomic_fetch_add(&job->under_way, 1) + 1);
    if (job->is_alone)
        assert_true(pthread_equal(pthread_self(), job->caller));
    if (job->slow && index % job->slow == 0)
        for (volatile int i = 0; i < 20000; i++)
            continue;
    size_t highest = atomic_load(&job->highest);
    while (highest < index && !atomic_compare_exchange_weak(&job->highest, &highest, index))
        continue;
    atomic_fetch_sub(&job->under_way, 1);
    return index == job->fail_work_at ? -7 : index == job->fail_work_too ? -8 : 0;
}

static int done(void *arg, size_t index) {
    struct job *job = arg;
    assert_true(pthread_equal(pthread_self(), job->caller));
    assert_int_equal(index, job->told);
    assert_int_equal(atomic_load(&job->worked[index]), 1);
    size_t highest = atomic_load(&job->highest);
    assert_true(highest < index + job->ahead || job->ahead == 0);
    job->told++;
    return index == job->fail_done_at ? 9 : 0;
}

static struct job *job_new(size_t ahead) {
    struct job *job = calloc(1, sizeof *job);
    assert_non_null(job);
    job->fail_work_at = job->fail_work_too = job->fail_done_at = COUNT;
    job->ahead = ahead;
    job->caller = pthread_self();
    return job;
}

static int run(struct job *job, unsigned threads, size_t count) {
    struct tree_crew crew = {.threads = threads, .ahead = job->ahead, .work = work, .done = done, .arg = job};
    struct hf_error error = {0};
    return tree_crew_run(&crew, count, &error);
}

static void everything_is_done_in_order(void **state) {
    (void)state;
    static const unsigned threads[] = {0, 1, 2, 3, 8, 20};
    static const size_t ahead[] = {1, 2, 7, 64, 100000};
    for (size_t i = 0; i < sizeof threads / sizeof threads[0]; i++)
        for (size_t j = 0; j < sizeof ahead / sizeof ahead[0]; j++) {
            struct job *job = job_new(ahead[j]);
            job->slow = 97;
            assert_int_equal(run(job, threads[i], COUNT), 0);
            assert_int_equal(job->told, COUNT);
            assert_true((unsigned)atomic_load(&job->max_worker) < tree_crew_threads(threads[i]));
            assert_true((size_t)atomic_load(&job->most_under_way) <= ahead[j]);
            free(job);
        }
}

static void nothing_to_do(void **state) {
    (void)state;
    struct job *job = job_new(4);
    assert_int_equal(run(job, 4, 0), 0);
    assert_int_equal(job->told, 0);
    assert_int_equal(run(job, 4, 1), 0);
    assert_int_equal(job->told, 1);
    free(job);
}

static void one_thread_is_the_callers(void **state) {
    (void)state;
    struct job *job = job_new(4);
    job->is_alone = 1;
    assert_int_equal(run(job, 1, COUNT), 0);
    assert_int_equal(job->told, COUNT);
    free(job);
}

/* As if one thread had done it: all before the failure are told of, none behind it. */
static void it_stops_at_the_first_failure(void **state) {
    (void)state;
    for (unsigned threads = 1; threads <= 8; threads++)
        for (size_t at = 0; at < 200; at += 13) {
            struct job *job = job_new(16);
            job->slow = 5;
            job->fail_work_at = at;
            job->fail_work_too = at + 3; /* may be worked on earlier, and is not the first */
            assert_int_equal(run(job, threads, COUNT), -7);
            assert_int_equal(job->told, at);
            assert_true(atomic_load(&job->highest) < at + 16);
            free(job);
            job = job_new(16);
            job->fail_done_at = at;
            assert_int_equal(run(job, threads, COUNT), 9);
            assert_int_equal(job->told, at + 1);
            free(job);
        }
}

static void no_thread_is_left_behind(void **state) {
    (void)state;
    for (int i = 0; i < 50; i++) {
        struct job *job = job_new(8);
        job->fail_work_at = i % 2 ? 50 : COUNT;
        (void)run(job, 8, 1000);
        assert_int_equal(atomic_load(&living), 0);
        free(job);
    }
}

static void done_may_be_missing(void **state) {
    (void)state;
    struct job *job = job_new(0);
    struct tree_crew crew = {.threads = 4, .ahead = 8, .work = work, .arg = job};
    assert_int_equal(tree_crew_run(&crew, COUNT, NULL), 0);
    for (size_t i = 0; i < COUNT; i++)
        assert_int_equal(atomic_load(&job->worked[i]), 1);
    free(job);
}

static void zero_threads_are_some(void **state) {
    (void)state;
    assert_true(tree_crew_threads(0) >= 1);
    assert_int_equal(tree_crew_threads(1), 1);
    assert_int_equal(tree_crew_threads(20), 20);
}

int main(void) {
    if (pthread_key_create(&life, end_life) != 0)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_is_done_in_order), cmocka_unit_test(nothing_to_do),
        cmocka_unit_test(one_thread_is_the_callers),   cmocka_unit_test(it_stops_at_the_first_failure),
        cmocka_unit_test(no_thread_is_left_behind),    cmocka_unit_test(done_may_be_missing),
        cmocka_unit_test(zero_threads_are_some),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
