/* When the saver saves, what it leaves out, and what it says: exactly, on a clock that the test moves. */
#include "saver_fixture.h"

/* ---- when ---- */

static void test_standard_within_interval(void **state) {
    (void)state;
    assert_int_equal(saver_due_in_ms(world.saver), -1);
    change("a", "{\"n\":1}");
    assert_int_equal(saver_due_in_ms(world.saver), INTERVAL);
    pass(INTERVAL - 1);
    change("b", "{\"n\":2}"); /* the interval begins with the first mark */
    assert_int_equal(saver_due_in_ms(world.saver), 1);
    assert_int_equal(saver_step(world.saver), 0);
    pass(1);
    assert_int_equal(saver_step(world.saver), 1);
    expect_stored("a", "{\"n\":1}");
    expect_stored("b", "{\"n\":2}");
    assert_int_equal(saver_due_in_ms(world.saver), -1); /* idle: nothing wakes it */
    assert_int_equal(health().dirty, 0);
    assert_int_equal(health().save_cycles, 1);
}

static void test_urgent_goes_first(void **state) {
    (void)state;
    change("a", "{\"n\":1}");
    hold("b", "{\"n\":2}");
    mark_as("b", HF_URGENT);
    assert_int_equal(saver_step(world.saver), 1);
    expect_stored("a", NULL); /* waits for its time */
    expect_stored("b", "{\"n\":2}");
    assert_int_equal(saver_due_in_ms(world.saver), INTERVAL);
    mark_as("a", HF_URGENT); /* marked already */
    assert_int_equal(saver_step(world.saver), 1);
    expect_stored("a", "{\"n\":1}");
    assert_int_equal(saver_due_in_ms(world.saver), -1);
}

static int collect_id(void *arg, const struct hf_event *event) {
    char(*last)[40] = arg;
    assert_true(strcmp(*last, event->id) < 0);
    snprintf(*last, sizeof *last, "%s", event->id);
    assert_string_equal(event->who, "tester");
    return 0;
}

static void test_batches_in_key_order(void **state) {
    char last[40] = "";
    (void)state;
    change_many(120, 1);
    flush();
    assert_int_equal(hf_store_revision(world.store), 3); /* 50, 50, 20 */
    assert_int_equal(hf_store_events(world.store, 0, 0, collect_id, &last, NULL), 0);
    assert_string_equal(last, "0119");
    assert_int_equal(health().total_saves, 120);
}

static void test_long_keys_in_order(void **state) {
    char last[40] = "";
    (void)state;
    change("a-long-beginning-that-is-shared-2", "2");
    change("a-long-beginning-that-is-shared-10", "1");
    change("a", "0");
    flush();
    assert_int_equal(hf_store_events(world.store, 0, 0, collect_id, &last, NULL), 0);
}

/* ---- what ---- */

static void test_unchanged_is_not_written(void **state) {
    (void)state;
    change("a", "{\"n\":1,\"m\":[true]}");
    flush();
    mark("a");
    flush();
    change("a", " {\"m\" : [true], \"n\":1}\n"); /* the same document, written anew */
    flush();
    assert_int_equal(hf_store_revision(world.store), 1);
    assert_int_equal(health().total_saves, 1);
    assert_int_equal(health().total_unchanged, 2);
    expect_stored("a", "{\"n\":1,\"m\":[true]}");
    change("a", "{\"n\":1.0,\"m\":[true]}");
    flush();
    assert_int_equal(health().total_saves, 2);
}

static void test_loaded_is_not_written(void **state) {
    (void)state;
    change_many(70, 1);
    flush();
    open_again();
    assert_int_equal(hf_saver_load(world.saver, "thing", NULL, NULL, NULL), 0);
    uint64_t revision = hf_store_revision(world.store);
    world.options.each = NULL;
    assert_int_equal(hf_saver_save_all(world.saver, NULL), 0); /* without a list: what was loaded */
    assert_int_equal(health().total_unchanged, 70);
    assert_int_equal(hf_store_revision(world.store), revision);
}

static void save_and_delete(void) {
    world.after_snapshot = NULL;
    change("a", "2");
    change("b", NULL);
    flush();
}

/* What is saved or deleted while a walk is under way is newer than what it visits. */
static void test_load_does_not_overwrite(void **state) {
    (void)state;
    change("a", "1");
    change("b", "1");
    flush();
    world.after_snapshot = save_and_delete;
    assert_int_equal(hf_saver_load(world.saver, "thing", NULL, NULL, NULL), 0);
    change("a", "1");
    change("b", "1");
    flush();
    expect_stored("a", "1");
    expect_stored("b", "1");
}

static int stop_walk(void *arg, const struct hf_record *record, int code) {
    (void)arg, (void)record, (void)code;
    return 7;
}

static void test_load_can_be_stopped(void **state) {
    struct hf_error error = {0};
    (void)state;
    change("a", "1");
    flush();
    assert_int_equal(hf_saver_load(world.saver, "thing", stop_walk, NULL, &error), 7);
    assert_int_equal(hf_saver_load(world.saver, "Thing", NULL, NULL, &error), HF_ERR_BAD_ID);
}

static void test_save_all(void **state) {
    struct hf_error error = {0};
    (void)state;
    world.options.each = each;
    open_again();
    for (int i = 0; i < 3; i++)
        hold((const char *[]){"a", "b", "c"}[i], "[]");
    assert_int_equal(hf_saver_save_all(world.saver, &error), 0);
    assert_int_equal(health().total_saves, 3);
    assert_int_equal(hf_saver_save_all(world.saver, &error), 0);
    assert_int_equal(health().total_unchanged, 3);
    hold("d", "[]");
    world.each_code = 9; /* the list came to no end: what was listed is saved, and that is said */
    assert_int_equal(hf_saver_save_all(world.saver, &error), HF_ERR_BAD_DATA);
    assert_non_null(strstr(error.message, "could not list"));
    expect_stored("d", "[]");
    world.each_code = 0;
    hold("e/f", "[]");
    assert_int_equal(hf_saver_save_all(world.saver, &error), HF_ERR_BAD_ID);
}

static void test_deletions(void **state) {
    (void)state;
    change("a", "1");
    change("b", "1");
    flush();
    change("a", NULL);
    change("never", NULL); /* deleted before it was ever saved */
    assert_int_equal(hf_store_delete(world.store, "thing", "b", NULL, NULL), 0);
    change("b", NULL); /* somebody else was faster */
    flush();
    expect_stored("a", NULL);
    assert_int_equal(health().total_deleted, 1);
    assert_int_equal(health().total_errors, 0);
    assert_int_equal(health().dirty, 0);
    assert_int_equal(world.notice_count, 0);
    change("a", "1"); /* the same text again: it is not stored any more */
    flush();
    expect_stored("a", "1");
}

static void test_deletion_of_what_an_earlier_run_stored(void **state) {
    (void)state;
    change("a", "1");
    flush();
    open_again(); /* and nothing is loaded */
    change("a", NULL);
    flush();
    expect_stored("a", NULL);
}

static void test_deleted_while_dirty(void **state) {
    (void)state;
    change("a", "1");
    flush();
    change("a", "2");
    change("a", NULL);
    flush();
    expect_stored("a", NULL);
    change("b", "1");
    change("b", NULL);
    change("b", "3");
    flush();
    expect_stored("b", "3");
}

/* ---- options ---- */

static void test_options(void **state) {
    struct hf_saver *saver = NULL;
    struct hf_error error = {0};
    struct hf_saver_options options = world.options;
    (void)state;
    options.struct_bytes = 4096;
    assert_int_equal(hf_saver_open(world.store, &options, &saver, &error), HF_ERR_INVALID);
    options = world.options;
    options.give = NULL;
    assert_int_equal(hf_saver_open(world.store, &options, &saver, &error), HF_ERR_INVALID);
    assert_non_null(strstr(error.message, "open saver"));
    options = world.options;
    options.durability = 5;
    assert_int_equal(hf_saver_open(world.store, &options, &saver, &error), HF_ERR_INVALID);
    options = world.options;
    options.batch = 1000000;
    assert_int_equal(hf_saver_open(world.store, &options, &saver, &error), HF_ERR_INVALID);
    assert_int_equal(hf_saver_open(world.store, NULL, &saver, &error), HF_ERR_INVALID);
    assert_string_equal(error.message, "open saver: there are no options");
    assert_int_equal(hf_saver_open(NULL, &world.options, &saver, &error), HF_ERR_INVALID);
    assert_null(saver);
    assert_int_equal(hf_saver_mark(world.saver, "thing", "a/b", NULL, HF_STANDARD, &error), HF_ERR_BAD_ID);
    assert_int_equal(hf_saver_mark(world.saver, NULL, NULL, NULL, HF_STANDARD, &error), HF_ERR_BAD_ID);
    assert_int_equal(hf_saver_close(&saver, &error), 0);
    hf_saver_abandon(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(standard_within_interval),
        TEST(urgent_goes_first),
        TEST(batches_in_key_order),
        TEST(long_keys_in_order),
        TEST(unchanged_is_not_written),
        TEST(loaded_is_not_written),
        TEST(load_does_not_overwrite),
        TEST(load_can_be_stopped),
        TEST(save_all),
        TEST(deletions),
        TEST(deletion_of_what_an_earlier_run_stored),
        TEST(deleted_while_dirty),
        TEST(options),
    };
    return cmocka_run_group_tests_name("the saver", tests, NULL, NULL);
}
