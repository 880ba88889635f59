/* The committer when an outcome is not known, and when a record is damaged. */
#include "committer_fixture.h"

/* ---- the store stops ---- */

static void check_stopped(struct hf_store *store) {
    struct hf_error error = {0};
    int begins = script.begins, commits = script.commits, aborts = script.aborts, puts = script.puts;
    assert_int_equal(store_health(store, &error), HF_ERR_FAILED);
    assert_string_equal(error.message, "the store stopped: as the script says");
    assert_non_null(strstr(error.hint, "restart the daemon"));
    assert_int_equal(hf_store_put(store, "thing", "later", "1", 1, NULL, &error), HF_ERR_FAILED);
    assert_string_equal(error.message, "commit: the store stopped: as the script says");
    assert_non_null(strstr(error.hint, "restart the daemon"));
    store_pump(store);
    assert_int_equal(sem_trywait(&script.rests), -1);
    assert_true(begins == script.begins && commits == script.commits && aborts == script.aborts && puts == script.puts);
    assert_true(is_there(store, "before"));
}

static void test_an_unknown_outcome_of_commit_stops_the_store(void **state) {
    (void)state;
    struct hf_store *store = open_pumped();
    assert_int_equal(hf_store_put(store, "thing", "before", "1", 1, NULL, NULL), 0);
    script.commit_code = HF_ERR_IO;
    put_later(store, 0, "a", "1", NULL);
    put_later(store, 1, "b", "1", NULL);
    store_pump(store);
    expect(0, 0, HF_ERR_FAILED, 0);
    expect(1, 1, HF_ERR_FAILED, 0);
    assert_string_equal(got.list[0].message, "commit: the store stopped: as the script says");
    assert_int_equal(script.aborts, 0);
    assert_int_equal(hf_store_revision(store), 1);
    script.commit_code = 0;
    check_stopped(store);
    hf_store_close(&store);
}

static void test_what_waits_when_the_store_stops_is_answered_failed(void **state) {
    (void)state;
    struct hf_store *store = open_store((struct store_setup){.without_thread = 1, .max_group = 1}, NULL);
    script.commit_code = HF_ERR_IO;
    put_later(store, 0, "a", "1", NULL);
    put_later(store, 1, "b", "1", NULL);
    store_pump(store);
    script.commit_code = 0;
    store_pump(store);
    expect(0, 0, HF_ERR_FAILED, 0);
    expect(1, 1, HF_ERR_FAILED, 0);
    assert_int_equal(script.commits, 1);
    hf_store_close(&store);
}

static void test_an_io_error_before_commit_stops_the_store_after_an_abort(void **state) {
    (void)state;
    struct hf_store *store = open_pumped();
    assert_int_equal(hf_store_put(store, "thing", "before", "1", 1, NULL, NULL), 0);
    script.put_fails_for = "b";
    script.put_code = HF_ERR_IO;
    script.put_fails_times = 1;
    put_later(store, 0, "a", "1", NULL);
    put_later(store, 1, "b", "1", NULL);
    store_pump(store);
    expect(0, 0, HF_ERR_FAILED, 0);
    expect(1, 1, HF_ERR_FAILED, 0);
    assert_int_equal(script.aborts, 1);
    assert_false(is_there(store, "a"));
    assert_int_equal(hf_store_put(store, "thing", "later", "1", 1, NULL, NULL), HF_ERR_FAILED);
    hf_store_close(&store);
}

/* The group meets a put without room; then each is on its own, and the third one's commit has an unknown outcome. */
static int commit_until_third(struct store_backend *backend, struct hf_error *error) {
    if (++script.commits == 3)
        return scripted(HF_ERR_IO, error);
    return store_memory_ops.commit(backend, error);
}

static void test_what_went_through_before_the_store_stopped_stays_acknowledged(void **state) {
    (void)state;
    struct hf_store *store = open_pumped();
    scripted_ops.commit = commit_until_third;
    script.put_fails_for = "b";
    script.put_code = HF_ERR_NO_SPACE;
    script.put_fails_times = 1;
    for (int i = 0; i < 4; i++)
        put_later(store, i, (char[]){(char)('a' + i), 0}, "1", NULL);
    store_pump(store);
    expect(0, 0, 0, 1);
    expect(1, 1, 0, 2);
    expect(2, 2, HF_ERR_FAILED, 0);
    expect(3, 3, HF_ERR_FAILED, 0);
    assert_true(is_there(store, "a") && is_there(store, "b") && !is_there(store, "d"));
    assert_int_equal(hf_store_revision(store), 2);
    hf_store_close(&store);
}

static void test_a_read_error_inside_a_transaction_stops_the_store(void **state) {
    (void)state;
    struct hf_store *store = open_pumped();
    script.get_code = HF_ERR_IO;
    assert_int_equal(hf_store_put(store, "thing", "a", "1", 1, NULL, NULL), HF_ERR_FAILED);
    assert_int_equal(script.puts, 0);
    assert_int_equal(script.aborts, 1);
    hf_store_close(&store);
}

/* ---- damaged records ---- */

static void test_a_damaged_record_is_mended_by_putting_it_again(void **state) {
    (void)state;
    struct hf_store *store = open_pumped();
    struct hf_commit_result result;
    assert_int_equal(hf_store_put(store, "thing", "a", "1", 1, NULL, NULL), 0);
    script.damaged = "a";
    assert_int_equal(hf_store_put(store, "thing", "a", "1", 1, &result, NULL), 0);
    assert_int_equal(result.changed, 1);
    assert_int_equal(result.revision, 2);
    script.damaged = NULL;
    assert_true(is_there(store, "a"));
    hf_store_close(&store);
}

static void test_a_record_without_a_readable_head_meets_no_revision(void **state) {
    (void)state;
    struct hf_store *store = open_pumped();
    struct hf_batch *batch = NULL;
    struct hf_change_options at_1 = {.condition = HF_IF_REVISION, .if_revision = 1};
    assert_int_equal(hf_store_put(store, "thing", "a", "1", 1, NULL, NULL), 0);
    script.get_code = HF_ERR_CORRUPT;
    assert_int_equal(hf_batch_new(NULL, &batch, NULL), 0);
    assert_int_equal(hf_batch_put(batch, "thing", "a", "2", 1, &at_1, NULL), 0);
    assert_int_equal(hf_store_commit(store, &batch, NULL, NULL), HF_ERR_CORRUPT);
    assert_int_equal(hf_store_put(store, "thing", "a", "2", 1, NULL, NULL), 0);
    assert_int_equal(store_health(store, NULL), 0);
    hf_store_close(&store);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        T(test_an_unknown_outcome_of_commit_stops_the_store),
        T(test_what_waits_when_the_store_stops_is_answered_failed),
        T(test_an_io_error_before_commit_stops_the_store_after_an_abort),
        T(test_what_went_through_before_the_store_stopped_stays_acknowledged),
        T(test_a_read_error_inside_a_transaction_stops_the_store),
        T(test_a_damaged_record_is_mended_by_putting_it_again),
        T(test_a_record_without_a_readable_head_meets_no_revision),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
