/* The verbs by many threads at once, with a retention that takes each version away as soon as there is a newer one:
 * nobody is told of damage or loss, and nothing that was merged is missing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "keep/state.h"

enum { THREADS = 4, STEPS = 60 };

struct crew {
    struct hf_store *store;
    atomic_int next, done, wrong;
};

static const struct state_caller ME = {.who = "me"};

static void judge(struct crew *crew, int code, const struct hf_error *error) {
    if (code == 0)
        return;
    print_error("%s\n", error->message);
    atomic_fetch_add(&crew->wrong, 1);
}

static void *merge(void *arg) {
    struct crew *crew = arg;
    int number = atomic_fetch_add(&crew->next, 1);
    for (int i = 1; i <= STEPS; i++) {
        char body[64];
        struct buf answer;
        struct hf_error error = {0};
        buf_init(&answer);
        int bytes = sprintf(body, "{\"patch\":{\"thread %d\":%d},\"force\":true}", number, i);
        judge(crew, state_merge(crew->store, &ME, "x", body, (size_t)bytes, &answer, &error), &error);
        buf_fini(&answer);
    }
    atomic_fetch_add(&crew->done, 1);
    return NULL;
}

/* Runs that begin and end again, with what is there then. */
static void *run(void *arg) {
    struct crew *crew = arg;
    struct state_caller owner = {.who = "me", .pid = getpid()};
    while (atomic_load(&crew->done) < THREADS) {
        char body[64];
        struct buf answer;
        struct hf_error error = {0};
        buf_init(&answer);
        judge(crew, state_run_begin(crew->store, &owner, "x", "{\"on_overlap\":\"steal\"}", 22, &answer, &error),
              &error);
        const char *fence = answer.data ? strstr(answer.data, "\"fence\":") : NULL;
        int bytes = sprintf(body, "{\"fence\":%llu}", fence ? strtoull(fence + 8, NULL, 10) : 1);
        judge(crew, state_run_end(crew->store, &ME, "x", body, (size_t)bytes, &answer, &error), &error);
        buf_fini(&answer);
    }
    return NULL;
}

/* Until the others have ended: loads, exports, lists. */
static void *look(void *arg) {
    struct crew *crew = arg;
    while (atomic_load(&crew->done) < THREADS) {
        struct buf answer;
        struct hf_error error = {0};
        buf_init(&answer);
        judge(crew, state_get(crew->store, "x", 0, 0, &answer, &error), &error);
        judge(crew, state_export(crew->store, "x", 1, &answer, &error), &error);
        judge(crew, state_log(crew->store, "x", 0, &answer, &error), &error);
        judge(crew, state_list(crew->store, NULL, 0, &answer, &error), &error);
        buf_fini(&answer);
    }
    return NULL;
}

static void test_merges(void **state) {
    (void)state;
    struct crew crew = {0};
    struct hf_error error;
    struct buf answer;
    pthread_t threads[THREADS], looking, running;
    buf_init(&answer);
    assert_int_equal(hf_store_open("memory:", NULL, &crew.store, &error), 0);
    assert_int_equal(state_declare_kinds(crew.store, &error), 0);
    assert_int_equal(hf_state_keep(crew.store, "x", 1, 0, &error), 0);
    assert_int_equal(state_set(crew.store, &ME, "x", "{\"value\":{},\"force\":true}", 25, &answer, &error), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, merge, &crew), 0);
    assert_int_equal(pthread_create(&looking, NULL, look, &crew), 0);
    assert_int_equal(pthread_create(&running, NULL, run, &crew), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    pthread_join(looking, NULL);
    pthread_join(running, NULL);
    assert_int_equal(atomic_load(&crew.wrong), 0);
    buf_clear(&answer);
    assert_int_equal(state_get(crew.store, "x", 0, 0, &answer, &error), 0);
    for (int i = 0; i < THREADS; i++) {
        char member[64];
        sprintf(member, "\"thread %d\":%d", i, STEPS);
        assert_non_null(strstr(answer.data, member));
    }
    char version[64];
    sprintf(version, "\"version\":%d,", 1 + THREADS * STEPS);
    assert_non_null(strstr(answer.data, version));
    buf_fini(&answer);
    hf_store_close(&crew.store);
}

/* Of those who begin at once exactly one gets the lease; the others are entered as skipped. */
static void *begin(void *arg) {
    struct crew *crew = arg;
    struct state_caller owner = {.who = "me", .pid = getpid()};
    struct hf_error error = {0};
    struct buf answer;
    buf_init(&answer);
    int code = state_run_begin(crew->store, &owner, "x", "{\"overlap\":\"skip\"}", 18, &answer, &error);
    atomic_fetch_add(&crew->done, code == 0);
    if (code != HF_ERR_CONFLICT)
        judge(crew, code, &error);
    buf_fini(&answer);
    return NULL;
}

static void test_begin(void **state) {
    (void)state;
    struct crew crew = {0};
    struct hf_error error;
    struct buf answer;
    pthread_t threads[THREADS];
    buf_init(&answer);
    assert_int_equal(hf_store_open("memory:", NULL, &crew.store, &error), 0);
    assert_int_equal(state_declare_kinds(crew.store, &error), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, begin, &crew), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&crew.wrong), 0);
    assert_int_equal(atomic_load(&crew.done), 1);
    assert_int_equal(state_runs(crew.store, "x", 0, &answer, &error), 0);
    int skipped = 0;
    for (const char *at = answer.data; (at = strstr(at, "\"skipped\"")); at++)
        skipped++;
    assert_int_equal(skipped, THREADS - 1);
    buf_fini(&answer);
    hf_store_close(&crew.store);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_merges),
        cmocka_unit_test(test_begin),
    };
    return cmocka_run_group_tests_name("keep/state_crowd", tests, NULL, NULL);
}
