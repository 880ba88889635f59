/* What the committer counts, over a memory backend whose disk is full at times. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "store/store.h"

static int commit_code;
static int64_t virtual_ns;
static struct store_backend_ops scripted_ops;
static struct os_ops virtual_ops;
static struct os virtual_os = {.ops = &virtual_ops};

static int scripted_commit(struct store_backend *backend, struct hf_error *error) {
    return commit_code ? error_set(error, commit_code, "as the script says") : store_memory_ops.commit(backend, error);
}

static int64_t virtual_now(const struct os *os, enum os_clock clock) {
    (void)os;
    (void)clock;
    return virtual_ns;
}

static void pass_ms(int64_t ms) {
    virtual_ns += ms * 1000000;
}

static int open_store(void **state) {
    struct store_setup setup = {.os = &virtual_os, .without_thread = 1};
    struct hf_store *store = NULL;
    commit_code = 0;
    virtual_ns = 1000000000;
    virtual_ops = *os_real()->ops;
    virtual_ops.now_ns = virtual_now;
    scripted_ops = store_memory_ops;
    scripted_ops.commit = scripted_commit;
    assert_int_equal(store_memory_ops.open(os_real(), "", NULL, &setup.backend, &setup.backend_revision, NULL), 0);
    setup.backend->ops = &scripted_ops;
    assert_int_equal(store_open(NULL, NULL, &setup, &store, NULL), 0);
    *state = store;
    return 0;
}

static int close_store(void **state) {
    struct hf_store *store = *state;
    hf_store_close(&store);
    return 0;
}

static struct store_stats look(struct hf_store *store) {
    struct store_stats stats;
    store_stats(store, &stats);
    return stats;
}

static int put(struct hf_store *store, const char *json) {
    return hf_store_put(store, "page", "home", json, strlen(json), NULL, NULL);
}

static void test_a_new_store_has_done_nothing(void **state) {
    struct store_stats stats = look(*state);
    assert_int_equal(stats.commits + stats.batches + stats.refused + stats.failures + stats.queued + stats.bytes, 0);
    assert_int_equal(stats.oldest_ms, 0);
    assert_int_equal(stats.last_commit_ms, -1);
    assert_int_equal(stats.failing_ms, -1);
    assert_int_equal(stats.last_failure_ms, -1);
}

static void test_what_changes_nothing_is_no_commit(void **state) {
    assert_int_equal(put(*state, "1"), 0);
    pass_ms(500);
    assert_int_equal(put(*state, "1"), 0);
    assert_int_equal(put(*state, "{"), HF_ERR_BAD_JSON);
    struct store_stats stats = look(*state);
    assert_int_equal(stats.commits, 1);
    assert_int_equal(stats.batches, 2);
    assert_int_equal(stats.last_commit_ms, 500);
    assert_int_equal(stats.failures, 0);
    assert_true(stats.bytes >= 2);
}

static void test_a_refused_condition_is_no_failure(void **state) {
    const struct hf_change_options absent = {.condition = HF_IF_ABSENT};
    struct hf_batch *batch = NULL;
    assert_int_equal(put(*state, "1"), 0);
    assert_int_equal(hf_batch_new(NULL, &batch, NULL), 0);
    assert_int_equal(hf_batch_put(batch, "page", "home", "2", 1, &absent, NULL), 0);
    assert_int_equal(hf_store_commit(*state, &batch, NULL, NULL), HF_ERR_EXISTS);
    assert_int_equal(look(*state).refused, 1);
    assert_int_equal(look(*state).failing_ms, -1);
}

static void test_a_full_disk_lasts_until_a_commit_works(void **state) {
    assert_int_equal(put(*state, "1"), 0);
    commit_code = HF_ERR_NO_SPACE;
    pass_ms(100);
    assert_int_equal(put(*state, "2"), HF_ERR_NO_SPACE);
    pass_ms(100);
    assert_int_equal(put(*state, "2"), HF_ERR_NO_SPACE);
    assert_int_equal(put(*state, "1"), 0); /* acknowledged without the disk: says nothing about it */
    pass_ms(50);
    struct store_stats stats = look(*state);
    assert_int_equal(stats.failures, 2);
    assert_int_equal(stats.last_commit_ms, 250);
    assert_int_equal(stats.failing_ms, 150);
    assert_int_equal(stats.last_failure_ms, 50);
    assert_int_equal(stats.last_error.code, HF_ERR_NO_SPACE);
    commit_code = 0;
    assert_int_equal(put(*state, "2"), 0);
    stats = look(*state);
    assert_int_equal(stats.failing_ms, -1);
    assert_int_equal(stats.last_error.code, 0);
    assert_int_equal(stats.last_commit_ms, 0);
    assert_int_equal(stats.commits, 2);
    assert_int_equal(stats.failures, 2);
}

static void test_what_a_failed_store_refuses_is_counted(void **state) {
    commit_code = HF_ERR_IO;
    for (int i = 1; i <= 3; i++) {
        assert_int_equal(put(*state, "1"), HF_ERR_FAILED);
        assert_int_equal(look(*state).failures, i);
    }
    assert_int_equal(look(*state).queued, 0);
}

static void ignore_answer(void *arg, int code, const struct hf_commit_result *result, const struct hf_error *error) {
    (void)result;
    (void)error;
    *(int *)arg += code == 0;
}

static void test_the_age_of_what_waits(void **state) {
    static const char *const ids[] = {"a", "b", "c"};
    int answered = 0;
    for (int i = 0; i < 3; i++) {
        struct hf_batch *batch = NULL;
        assert_int_equal(hf_batch_new(NULL, &batch, NULL), 0);
        assert_int_equal(hf_batch_put(batch, "page", ids[i], "1", 1, NULL, NULL), 0);
        hf_store_commit_async(*state, &batch, ignore_answer, &answered);
        pass_ms(10);
    }
    assert_int_equal(look(*state).queued, 3);
    assert_int_equal(look(*state).oldest_ms, 30);
    assert_int_equal(store_pump(*state), 3);
    assert_int_equal(answered, 3);
    assert_int_equal(look(*state).queued, 0);
    assert_int_equal(look(*state).oldest_ms, 0);
    assert_int_equal(look(*state).commits, 1);
    assert_int_equal(look(*state).batches, 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_new_store_has_done_nothing, open_store, close_store),
        cmocka_unit_test_setup_teardown(test_what_changes_nothing_is_no_commit, open_store, close_store),
        cmocka_unit_test_setup_teardown(test_a_refused_condition_is_no_failure, open_store, close_store),
        cmocka_unit_test_setup_teardown(test_a_full_disk_lasts_until_a_commit_works, open_store, close_store),
        cmocka_unit_test_setup_teardown(test_what_a_failed_store_refuses_is_counted, open_store, close_store),
        cmocka_unit_test_setup_teardown(test_the_age_of_what_waits, open_store, close_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
