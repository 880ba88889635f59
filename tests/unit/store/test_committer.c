/* The committer and its groups: what shares a transaction, and what one batch does to the others. */
#include "committer_fixture.h"

static void test_what_waits_shares_a_transaction(void **state) {
    (void)state;
    struct hf_store *store = open_pumped();
    put_later(store, 0, "a", "1", NULL);
    put_later(store, 1, "b", "2", NULL);
    put_later(store, 2, "c", "3", NULL);
    assert_int_equal(got.count, 0);
    assert_false(is_there(store, "a"));
    assert_int_equal(store_pump(store), 3);
    assert_int_equal(script.begins, 1);
    assert_int_equal(script.commits, 1);
    for (int i = 0; i < 3; i++)
        expect(i, i, 0, (uint64_t)i + 1);
    assert_int_equal(hf_store_revision(store), 3);
    hf_store_close(&store);
}

static void test_a_group_has_at_most_max_group_batches(void **state) {
    (void)state;
    struct hf_store *store = open_store((struct store_setup){.without_thread = 1, .max_group = 2}, NULL);
    for (int i = 0; i < 5; i++)
        put_later(store, i, (char[]){(char)('a' + i), 0}, "1", NULL);
    assert_int_equal(store_pump(store), 2);
    assert_int_equal(store_pump(store), 2);
    assert_int_equal(store_pump(store), 1);
    assert_int_equal(store_pump(store), 0);
    assert_int_equal(script.commits, 3);
    hf_store_close(&store);
}

static void test_a_group_has_at_most_max_group_bytes_but_one_batch_always(void **state) {
    (void)state;
    struct hf_store *store = open_store((struct store_setup){.without_thread = 1, .max_group_bytes = 10}, NULL);
    put_later(store, 0, "a", "\"12345678901234567890\"", NULL);
    put_later(store, 1, "b", "12345", NULL);
    put_later(store, 2, "c", "12345", NULL);
    put_later(store, 3, "d", "1", NULL);
    assert_int_equal(store_pump(store), 1);
    assert_int_equal(store_pump(store), 2);
    assert_int_equal(store_pump(store), 1);
    hf_store_close(&store);
}

static void test_a_refused_batch_leaves_the_others_alone(void **state) {
    (void)state;
    struct hf_store *store = open_pumped();
    const struct hf_change_options absent = {.condition = HF_IF_ABSENT};
    put_later(store, 0, "a", "1", NULL);
    put_later(store, 1, "a", "2", &absent); /* sees what the group did before it */
    put_later(store, 2, "b", "3", &absent);
    store_pump(store);
    expect(0, 0, 0, 1);
    expect(1, 1, HF_ERR_EXISTS, 0);
    expect(2, 2, 0, 2);
    assert_int_equal(script.commits, 1);
    assert_int_equal(script.puts, 2);
    assert_non_null(strstr(got.list[1].message, "commit: put 'thing/a': "));
    hf_store_close(&store);
}

static void test_nothing_to_write_makes_no_commit(void **state) {
    (void)state;
    struct hf_store *store = open_pumped();
    put_later(store, 0, "a", "{\"x\":1}", NULL);
    store_pump(store);
    put_later(store, 1, "a", "{ \"x\" : 1 }", NULL);
    store_pump(store);
    expect(1, 1, 0, 1);
    assert_int_equal(got.list[1].result.changed, 0);
    assert_int_equal(script.commits, 1);
    assert_int_equal(script.aborts, 1);
    hf_store_close(&store);
}

/* A batch that the backend cannot take, and why is its own affair. */
static void check_one_refused(int code) {
    begin_answers(NULL);
    struct hf_store *store = open_pumped();
    script.put_fails_for = "b";
    script.put_code = code;
    script.put_fails_times = 2; /* in the group, and alone */
    put_later(store, 0, "a", "1", NULL);
    put_later(store, 1, "b", "2", NULL);
    put_later(store, 2, "c", "3", NULL);
    store_pump(store);
    expect(0, 0, 0, 1);
    expect(1, 1, code, 0);
    expect(2, 2, 0, 2);
    assert_true(is_there(store, "a") && !is_there(store, "b") && is_there(store, "c"));
    assert_int_equal(store_health(store, NULL), 0);
    put_later(store, 3, "b", "2", NULL);
    store_pump(store);
    expect(3, 3, 0, 3);
    hf_store_close(&store);
}

static void test_one_batch_that_finds_no_room_does_not_fail_the_others(void **state) {
    static const int codes[] = {HF_ERR_NO_SPACE, HF_ERR_PERMISSION, HF_ERR_TOO_MANY_FILES, HF_ERR_CORRUPT};
    (void)state;
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        check_one_refused(codes[i]);
}

static void test_a_batch_that_fails_in_the_middle_leaves_no_trace(void **state) {
    (void)state;
    struct hf_store *store = open_pumped();
    struct hf_batch *batch = NULL;
    struct hf_error error = {0};
    script.put_fails_for = "b";
    script.put_code = HF_ERR_NO_MEMORY;
    script.put_fails_times = 1;
    assert_int_equal(hf_batch_new(NULL, &batch, NULL), 0);
    assert_int_equal(hf_batch_put(batch, "thing", "a", "1", 1, NULL, NULL), 0);
    assert_int_equal(hf_batch_put(batch, "thing", "b", "1", 1, NULL, NULL), 0);
    assert_int_equal(hf_store_commit(store, &batch, NULL, &error), HF_ERR_NO_MEMORY);
    assert_string_equal(error.message, "commit: put 'thing/b': as the script says");
    assert_false(is_there(store, "a"));
    assert_int_equal(hf_store_revision(store), 0);
    hf_store_close(&store);
}

static void test_a_commit_without_room_fails_the_whole_group_and_the_store_works_on(void **state) {
    (void)state;
    static const int codes[] = {HF_ERR_NO_SPACE,  HF_ERR_QUOTA,      HF_ERR_READ_ONLY,
                                HF_ERR_NO_MEMORY, HF_ERR_PERMISSION, HF_ERR_TOO_MANY_FILES};
    const struct hf_change_options absent = {.condition = HF_IF_ABSENT};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        begin_answers(NULL);
        struct hf_store *store = open_pumped();
        script.commit_code = codes[i];
        put_later(store, 0, "a", "1", NULL);
        put_later(store, 1, "a", "2", &absent); /* would be EXISTS, had the first come about */
        put_later(store, 2, "a", "1", NULL);    /* would be unchanged */
        store_pump(store);
        for (int k = 0; k < 3; k++)
            expect(k, k, codes[i], 0);
        assert_int_equal(script.commits, 1);
        assert_int_equal(script.aborts, 1);
        assert_int_equal(hf_store_revision(store), 0);
        script.commit_code = 0;
        put_later(store, 3, "a", "1", NULL);
        store_pump(store);
        expect(3, 3, 0, 1);
        hf_store_close(&store);
    }
}

static void test_a_begin_without_room_is_tried_for_each(void **state) {
    (void)state;
    struct hf_store *store = open_pumped();
    script.begin_code = HF_ERR_READ_ONLY;
    put_later(store, 0, "a", "1", NULL);
    put_later(store, 1, "b", "1", NULL);
    store_pump(store);
    expect(0, 0, HF_ERR_READ_ONLY, 0);
    expect(1, 1, HF_ERR_READ_ONLY, 0);
    assert_int_equal(script.aborts, 0);
    assert_int_equal(store_health(store, NULL), 0);
    hf_store_close(&store);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        T(test_what_waits_shares_a_transaction),
        T(test_a_group_has_at_most_max_group_batches),
        T(test_a_group_has_at_most_max_group_bytes_but_one_batch_always),
        T(test_a_refused_batch_leaves_the_others_alone),
        T(test_nothing_to_write_makes_no_commit),
        T(test_one_batch_that_finds_no_room_does_not_fail_the_others),
        T(test_a_batch_that_fails_in_the_middle_leaves_no_trace),
        T(test_a_commit_without_room_fails_the_whole_group_and_the_store_works_on),
        T(test_a_begin_without_room_is_tried_for_each),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
