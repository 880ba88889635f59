/* The committer's queue: order, idle work, the end, and what happens when it is full. */
#include "committer_fixture.h"

#include <stdio.h>

/* ---- order, idle work, the end ---- */

static void note_watch(void *arg, uint64_t revision) {
    struct answers *answers = arg;
    struct answer *answer = &answers->list[answers->count++];
    memset(answer, 0, sizeof *answer);
    answer->number = -1;
    answer->result.revision = revision;
}

static void test_batches_are_answered_in_order_and_then_the_watches(void **state) {
    (void)state;
    struct hf_store *store = open_pumped();
    struct hf_watch *watch = NULL;
    const struct hf_change_options absent = {.condition = HF_IF_ABSENT};
    assert_int_equal(hf_store_watch(store, note_watch, &got, &watch, NULL), 0);
    put_later(store, 0, "a", "1", NULL);
    put_later(store, 1, "b", "1", NULL);
    store_pump(store);
    put_later(store, 2, "a", "1", &absent);
    store_pump(store);
    expect(0, 0, 0, 1);
    expect(1, 1, 0, 2);
    expect(2, -1, 0, 2);
    expect(3, 2, HF_ERR_EXISTS, 0);
    assert_int_equal(got.count, 4); /* no watch for a group that changed nothing */
    hf_watch_close(&watch);
    hf_store_close(&store);
}

static void test_a_bad_document_is_refused_at_once(void **state) {
    (void)state;
    struct hf_store *store = open_pumped();
    put_later(store, 0, "a", "{", NULL);
    expect(0, 0, HF_ERR_BAD_JSON, 0);
    assert_int_equal(store_pump(store), 0);
    hf_store_close(&store);
}

static void test_events_are_trimmed_every_1024_commits(void **state) {
    (void)state;
    struct hf_store_options options = {.struct_bytes = sizeof options, .events_keep = 77};
    struct hf_store *store = open_store((struct store_setup){.without_thread = 1}, &options);
    char json[16];
    for (int i = 1; i <= 1024; i++) {
        assert_int_equal(script.trims, 0);
        int bytes = snprintf(json, sizeof json, "%d", i);
        assert_int_equal(hf_store_put(store, "thing", "a", json, (size_t)bytes, NULL, NULL), 0);
    }
    assert_int_equal(script.trims, 1);
    assert_int_equal(script.trim_keep, 77);
    script.trim_code = HF_ERR_NO_SPACE; /* put off, and nobody's failure */
    for (int i = 1; i <= 1024; i++) {
        int bytes = snprintf(json, sizeof json, "%d", i);
        assert_int_equal(hf_store_put(store, "thing", "a", json, (size_t)bytes, NULL, NULL), 0);
    }
    assert_int_equal(script.trims, 2);
    assert_int_equal(script.begins, 2048 + 2);
    assert_int_equal(script.commits + script.aborts, 2048 + 2);
    assert_int_equal(store_health(store, NULL), 0);
    hf_store_close(&store);
}

/* Otherwise a store that is never open for 1,024 commits would keep all events. */
static void test_short_lives_count_together_for_trimming(void **state) {
    (void)state;
    enum { COMMITS = 600 };
    char json[16];
    for (uint64_t life = 0; life < 4; life++) {
        struct store_setup setup = {.without_thread = 1};
        struct hf_store *store = NULL;
        assert_int_equal(store_memory_ops.open(os_real(), "", NULL, &setup.backend, &setup.backend_revision, NULL), 0);
        setup.backend->ops = &scripted_ops;
        setup.backend_revision = life * COMMITS;
        assert_int_equal(store_open(NULL, NULL, &setup, &store, NULL), 0);
        for (int i = 0; i < COMMITS; i++) {
            int bytes = snprintf(json, sizeof json, "%d", i);
            assert_int_equal(hf_store_put(store, "thing", "a", json, (size_t)bytes, NULL, NULL), 0);
        }
        hf_store_close(&store);
    }
    assert_int_equal(script.trims, 2); /* at 1,024 and at 2,048 */
}

static void test_the_backend_rests_when_nothing_waits(void **state) {
    (void)state;
    struct hf_store *store = open_pumped();
    assert_int_equal(hf_store_put(store, "thing", "a", "1", 1, NULL, NULL), 0);
    assert_int_equal(sem_trywait(&script.rests), -1);
    assert_int_equal(store_pump(store), 0);
    assert_int_equal(sem_trywait(&script.rests), 0);
    script.rest_code = HF_ERR_NO_SPACE;
    store_pump(store);
    assert_int_equal(store_health(store, NULL), 0);
    script.rest_code = HF_ERR_IO;
    store_pump(store);
    assert_int_equal(store_health(store, NULL), HF_ERR_FAILED);
    hf_store_close(&store);
}

static void test_the_thread_rests_once_after_work(void **state) {
    (void)state;
    struct hf_store *store = open_store((struct store_setup){.without_thread = 0}, NULL);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(hf_store_put(store, "thing", "a", i ? "1" : "2", 1, NULL, NULL), 0);
        while (sem_wait(&script.rests) != 0)
            continue;
    }
    hf_store_close(&store);
    assert_int_equal(sem_trywait(&script.rests), -1);
}

static void close_finishes(struct store_setup setup) {
    struct hf_store *store = open_store(setup, NULL);
    for (int i = 0; i < 50; i++)
        put_later(store, i, (char[]){(char)('A' + i), 0}, "1", NULL);
    hf_store_close(&store);
    assert_int_equal(got.count, 50);
    for (int i = 0; i < 50; i++)
        expect(i, i, 0, (uint64_t)i + 1);
}

static void test_close_finishes_what_waits(void **state) {
    close_finishes((struct store_setup){.without_thread = 1, .max_group = 3});
    begin_answers(state);
    close_finishes((struct store_setup){.max_group = 3});
}

static void test_a_watch_may_be_closed_after_its_store(void **state) {
    (void)state;
    struct hf_store *store = open_pumped();
    struct hf_watch *watch = NULL;
    assert_int_equal(hf_store_watch(store, note_watch, &got, &watch, NULL), 0);
    hf_store_close(&store);
    hf_watch_close(&watch);
    assert_null(watch);
}

/* ---- a queue that is full ---- */

static void test_a_full_queue_is_pumped_by_who_adds_to_it(void **state) {
    (void)state;
    struct hf_store *store = open_store((struct store_setup){.without_thread = 1, .max_queue_bytes = 1}, NULL);
    put_later(store, 0, "a", "1", NULL); /* alone, whatever its size */
    assert_int_equal(got.count, 0);
    put_later(store, 1, "b", "1", NULL);
    assert_int_equal(got.count, 1);
    expect(0, 0, 0, 1);
    hf_store_close(&store);
    expect(1, 1, 0, 2);
}

static struct hf_store *watched;
static uint64_t most_queued;

static int commit_and_look(struct store_backend *backend, struct hf_error *error) {
    struct store_stats stats;
    store_stats(watched, &stats);
    most_queued = stats.queued > most_queued ? stats.queued : most_queued;
    return store_memory_ops.commit(backend, error);
}

static void count_done(void *arg, int code, const struct hf_commit_result *result, const struct hf_error *error) {
    (void)result, (void)error;
    assert_int_equal(code, 0);
    ++*(int *)arg;
}

static void test_who_adds_to_a_full_queue_waits_for_the_writer(void **state) {
    (void)state;
    enum { BATCHES = 500, LARGE = 10000 };
    static char json[LARGE];
    int done = 0;
    memset(json, '1', sizeof json);
    scripted_ops.commit = commit_and_look;
    watched = open_store((struct store_setup){.max_queue_bytes = 4 * LARGE, .max_group = 1}, NULL);
    most_queued = 0;
    for (int i = 0; i < BATCHES; i++) {
        struct hf_batch *batch = NULL;
        char id[16];
        snprintf(id, sizeof id, "%d", i);
        assert_int_equal(hf_batch_new(NULL, &batch, NULL), 0);
        assert_int_equal(hf_batch_put(batch, "thing", id, json, sizeof json, NULL, NULL), 0);
        hf_store_commit_async(watched, &batch, count_done, &done);
    }
    hf_store_close(&watched);
    assert_int_equal(done, BATCHES);
    assert_true(most_queued <= 4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        T(test_batches_are_answered_in_order_and_then_the_watches),
        T(test_a_bad_document_is_refused_at_once),
        T(test_events_are_trimmed_every_1024_commits),
        T(test_short_lives_count_together_for_trimming),
        T(test_the_backend_rests_when_nothing_waits),
        T(test_the_thread_rests_once_after_work),
        T(test_close_finishes_what_waits),
        T(test_a_watch_may_be_closed_after_its_store),
        T(test_a_full_queue_is_pumped_by_who_adds_to_it),
        T(test_who_adds_to_a_full_queue_waits_for_the_writer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
