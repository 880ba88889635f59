/* Saves that fail: nothing is forgotten, one document does not hold up the others, trying again is neither busy nor
 * forgotten, and what is said is said once. On a clock that the test moves. */
#include "saver_fixture.h"

/* ---- the store says no for a while ---- */

static void test_retried_with_back_off(void **state) {
    static const int64_t waits[] = {1000, 2000, 4000, 8000, 10000, 10000};
    (void)state;
    change("a", "1");
    world.begin_code = HF_ERR_NO_SPACE;
    pass(INTERVAL);
    assert_int_equal(saver_step(world.saver), 1);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(saver_due_in_ms(world.saver), waits[i]);
        pass(waits[i] - 1);
        assert_int_equal(saver_step(world.saver), 0);
        pass(1);
        if (i == 5)
            world.begin_code = 0;
        assert_int_equal(saver_step(world.saver), 1);
    }
    expect_stored("a", "1");
    assert_int_equal(saver_due_in_ms(world.saver), -1);
    assert_int_equal(health().total_errors, 6);
    assert_int_equal(health().last_error.code, 0);
    assert_int_equal(world.notice_count, 2); /* when it began, and when it ended */
    assert_int_equal(count_notices("saving fails: save 'thing/a'"), 1);
    assert_int_equal(count_notices("saving works again"), 1);
}

static void test_urgent_tries_at_once(void **state) {
    (void)state;
    change("a", "1");
    world.begin_code = HF_ERR_NO_SPACE;
    pass(INTERVAL);
    saver_step(world.saver);
    pass(600);
    hold("b", "1");
    mark_as("b", HF_URGENT);
    assert_int_equal(saver_due_in_ms(world.saver), 0);
    assert_int_equal(saver_step(world.saver), 1);
    assert_int_equal(saver_due_in_ms(world.saver), 400); /* the others' turn has not moved */
    mark_as("b", HF_URGENT);
    world.begin_code = 0;
    assert_int_equal(saver_step(world.saver), 1);
    assert_int_equal(saver_step(world.saver), 0);
    expect_stored("b", "1");
    expect_stored("a", "1");
    assert_int_equal(health().dirty, 0);
}

static void test_full_disk_costs_few_tries(void **state) {
    (void)state;
    change_many(2000, 1);
    world.begin_code = HF_ERR_NO_SPACE;
    world.begins = 0;
    flush_fails(HF_ERR_NO_SPACE);
    assert_true(world.begins < 10);
    assert_int_equal(health().dirty, 2000);
    world.begin_code = 0;
    flush();
    assert_int_equal(health().dirty, 0);
    assert_int_equal(health().total_saves, 2000);
}

/* ---- one document that cannot be saved ---- */

static void hold_fifty(void) {
    char id[40];
    for (unsigned i = 0; i < 50; i++) {
        snprintf(id, sizeof id, "%02u", i);
        change(id, "[1]");
    }
}

static void expect_one_held_back(const char *part) {
    struct hf_error error = {0};
    assert_int_not_equal(hf_saver_flush(world.saver, &error), 0);
    assert_non_null(strstr(error.message, "'thing/25'"));
    assert_non_null(strstr(error.message, part));
    expect_stored("24", "[1]");
    expect_stored("25", NULL);
    expect_stored("26", "[1]");
    assert_int_equal(health().dirty, 1);
    assert_int_equal(health().total_saves, 49);
    assert_int_equal(health().total_errors, 1);
    assert_int_equal(count_notices("'thing/25'"), 1);
}

/* Not at once, and not again and again in the log; a save of others in between says nothing of it. */
static void expect_mended_later(void) {
    assert_int_equal(saver_due_in_ms(world.saver), INTERVAL);
    change("00", "[2]");
    pass(INTERVAL);
    assert_int_equal(saver_step(world.saver), 1);
    expect_stored("00", "[2]");
    assert_int_equal(health().total_errors, 2);
    assert_int_equal(health().status, HF_HEALTH_WARNING);
    assert_int_equal(world.notice_count, 1);
    thing_of("25")->code = 0;
    hold("25", "[1]"); /* mended, and not marked */
    pass(INTERVAL);
    assert_int_equal(saver_step(world.saver), 1);
    expect_stored("25", "[1]");
    assert_int_equal(health().dirty, 0);
    assert_int_equal(health().last_error.code, 0);
}

static void test_bad_json(void **state) {
    (void)state;
    hold_fifty();
    hold("25", "[1");
    expect_one_held_back("line 1");
    expect_mended_later();
}

static void test_too_large(void **state) {
    char *large = malloc((11 << 20) + 1);
    (void)state;
    memset(large, '1', 11 << 20);
    large[11 << 20] = '\0';
    hold_fifty();
    hold("25", large);
    expect_one_held_back("");
    expect_mended_later();
    hold("26", large)->is_lent = 1;
    mark("26");
    flush_fails(HF_ERR_TOO_LARGE);
    free(large);
}

static void test_owner_fails(void **state) {
    (void)state;
    hold_fifty();
    thing_of("25")->code = HF_ERR_FAILED; /* his, not the store's */
    expect_one_held_back("the owner could not give it");
    expect_mended_later();
}

static void test_owner_fails_in_his_own_words(void **state) {
    (void)state;
    hold_fifty();
    thing_of("25")->code = 42;
    expect_one_held_back("the owner could not give it (42)");
}

static void test_urgent_mark_of_a_bad_document(void **state) {
    (void)state;
    hold_fifty();
    hold("25", "[1");
    expect_one_held_back("");
    hold("25", "[1]");
    mark_as("25", HF_URGENT);
    assert_int_equal(saver_due_in_ms(world.saver), 0);
    saver_step(world.saver);
    expect_stored("25", "[1]");
}

static void test_many_bad_documents(void **state) {
    char id[40];
    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        snprintf(id, sizeof id, "%u", i);
        change(id, "?");
    }
    flush_fails(HF_ERR_BAD_JSON);
    assert_true(world.notice_count <= 11);
    assert_int_equal(count_notices("90 more"), 1);
    flush_fails(HF_ERR_BAD_JSON);
    assert_true(world.notice_count <= 11);
}

/* The batch as a whole is refused, because of one of its documents. */
static void test_refused_batch_is_tried_singly(void **state) {
    struct hf_error error = {0};
    (void)state;
    hold_fifty();
    world.put_fails_for = "25";
    world.put_code = HF_ERR_NO_SPACE; /* the others are small enough */
    assert_int_equal(hf_saver_flush(world.saver, &error), HF_ERR_NO_SPACE);
    assert_non_null(strstr(error.message, "'thing/25'"));
    assert_int_equal(health().total_saves, 49);
    assert_int_equal(health().dirty, 1);
    world.put_code = 0;
    assert_int_equal(saver_due_in_ms(world.saver), 1000);
    pass(1000);
    assert_int_equal(saver_step(world.saver), 1);
    expect_stored("25", "[1]");
}

/* ---- the store stops ---- */

static void test_store_stopped(void **state) {
    struct hf_error error = {0};
    (void)state;
    change_many(200, 1);
    world.commit_code = HF_ERR_IO;
    assert_int_equal(hf_saver_flush(world.saver, &error), HF_ERR_FAILED);
    assert_int_equal(health().status, HF_HEALTH_CRITICAL);
    assert_int_equal(health().dirty, 200);
    assert_int_equal(health().total_saves, 0);
    assert_int_equal(saver_due_in_ms(world.saver), -1); /* nothing is tried any more */
    world.asked = 0;
    assert_int_equal(hf_saver_flush(world.saver, &error), HF_ERR_FAILED);
    assert_non_null(strstr(error.message, "the store stopped"));
    assert_int_equal(world.asked, 0);
    change("new", "1"); /* remembered all the same */
    assert_int_equal(health().dirty, 201);
    assert_int_equal(saver_due_in_ms(world.saver), -1);
    assert_int_equal(hf_saver_close(&world.saver, &error), HF_ERR_FAILED);
    assert_non_null(world.saver);
    assert_int_equal(count_notices("saving fails"), 1);
    assert_int_equal(world.notices[0].level, HF_CRITICAL);
}

static void test_store_stops_under_a_waiting_mark(void **state) {
    struct hf_error error = {0};
    (void)state;
    world.options.durability = HF_COMMIT;
    open_again();
    world.commit_code = HF_ERR_IO;
    hold("a", "1");
    assert_int_equal(hf_saver_mark(world.saver, "thing", "a", NULL, HF_STANDARD, &error), HF_ERR_FAILED);
    assert_int_equal(hf_saver_mark(world.saver, "thing", "a", NULL, HF_STANDARD, &error), HF_ERR_FAILED);
    assert_non_null(strstr(error.message, "the store stopped"));
}

/* ---- the end ---- */

static void test_close_fails_and_then_works(void **state) {
    struct hf_error error = {0};
    (void)state;
    change("a", "1");
    world.begin_code = HF_ERR_QUOTA;
    assert_int_equal(hf_saver_close(&world.saver, &error), HF_ERR_QUOTA);
    assert_non_null(world.saver);
    assert_non_null(strstr(error.message, "close saver"));
    change("b", "1"); /* it is as usable as before */
    world.begin_code = 0;
    assert_int_equal(hf_saver_close(&world.saver, &error), 0);
    assert_null(world.saver);
    expect_stored("a", "1");
    expect_stored("b", "1");
}

static void test_abandon(void **state) {
    (void)state;
    change("a", "1");
    hf_saver_abandon(&world.saver);
    assert_null(world.saver);
    expect_stored("a", NULL);
}

/* ---- back-pressure ---- */

static void test_pressure_is_told_of_once(void **state) {
    (void)state;
    change_many(500, 1);
    assert_int_equal(world.notice_count, 0);
    change_many(1000, 1);
    assert_int_equal(world.notice_count, 1);
    assert_int_equal(world.notices[0].level, HF_WARNING);
    change_many(1500, 1);
    assert_int_equal(world.notice_count, 2);
    assert_int_equal(world.notices[1].level, HF_CRITICAL);
    assert_int_equal(health().status, HF_HEALTH_WARNING);
    flush();
    assert_int_equal(world.notice_count, 3);
    assert_int_equal(world.notices[2].level, HF_NOTICE);
    change_many(501, 2);
    assert_int_equal(world.notice_count, 4); /* again, since it had fallen */
}

static void test_save_all_is_no_pressure(void **state) {
    (void)state;
    change_many(2000, 1);
    flush();
    world.notice_count = 0;
    assert_int_equal(hf_saver_save_all(world.saver, NULL), 0);
    assert_int_equal(world.notice_count, 0);
}

/* ---- health ---- */

static void test_health(void **state) {
    (void)state;
    struct hf_health idle = health();
    assert_int_equal(idle.status, HF_HEALTHY);
    assert_int_equal(idle.thread_alive, 1);
    assert_int_equal(idle.last_save_ms, -1);
    assert_int_equal(idle.oldest_unsaved_ms, 0);
    change("a", "1");
    hold("s", "{}")->kind = "settings";
    mark("s");
    pass(1500);
    change("b", "1");
    assert_int_equal(health().dirty, 3);
    assert_int_equal(health().dirty_settings, 1);
    assert_int_equal(health().oldest_unsaved_ms, 1500);
    flush();
    pass(250);
    assert_int_equal(health().last_save_ms, 250);
    assert_int_equal(health().dirty_settings, 0);
    assert_int_equal(health().oldest_unsaved_ms, 0);
    assert_int_equal(health().status, HF_HEALTHY);
}

static void test_failing_saves_show(void **state) {
    (void)state;
    change_many(300, 1);
    flush();
    change("a", "1");
    world.begin_code = HF_ERR_NO_SPACE;
    flush_fails(HF_ERR_NO_SPACE);
    assert_int_equal(health().status, HF_HEALTH_WARNING);
    assert_int_equal(health().last_error.code, HF_ERR_NO_SPACE);
    pass(60000);
    saver_step(world.saver);
    assert_int_equal(health().last_save_ms, 60000); /* it does not advance while all saves fail */
    assert_int_equal(health().oldest_unsaved_ms, 60000);
    pass(240000);
    assert_int_equal(health().status, HF_HEALTH_WARNING);
    pass(1); /* five minutes */
    assert_int_equal(health().status, HF_HEALTH_CRITICAL);
    world.begin_code = 0;
    flush();
    assert_int_equal(health().status, HF_HEALTHY); /* 2 of 303 */
    assert_true(health().error_rate_percent > 0.6 && health().error_rate_percent < 0.7);
}

static void test_error_rate_shows(void **state) {
    (void)state;
    change("a", "[");
    flush_fails(HF_ERR_BAD_JSON);
    change("a", "[]");
    flush();
    assert_int_equal(health().status, HF_HEALTH_WARNING);
    assert_non_null(strstr(health().message, "50.00 %"));
    change_many(100, 1);
    flush();
    assert_int_equal(health().status, HF_HEALTHY);
}

static void test_old_changes_show(void **state) {
    (void)state;
    world.options.interval_ms = 60000;
    open_again();
    change("a", "1");
    pass(300001); /* nobody steps: as if the thread hung */
    assert_int_equal(health().status, HF_HEALTH_WARNING);
    pass(300000);
    assert_int_equal(health().status, HF_HEALTH_CRITICAL);
}

static struct hf_health seen;
static void look(struct thing *thing) {
    (void)thing;
    seen = health();
}

static void test_health_while_saving(void **state) {
    (void)state;
    change("a", "1");
    pass(700);
    world.while_giving = look;
    flush();
    assert_int_equal(seen.oldest_unsaved_ms, 700);
    assert_int_equal(seen.dirty, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(retried_with_back_off),
        TEST(urgent_tries_at_once),
        TEST(full_disk_costs_few_tries),
        TEST(bad_json),
        TEST(too_large),
        TEST(owner_fails),
        TEST(owner_fails_in_his_own_words),
        TEST(urgent_mark_of_a_bad_document),
        TEST(many_bad_documents),
        TEST(refused_batch_is_tried_singly),
        TEST(store_stopped),
        TEST(store_stops_under_a_waiting_mark),
        TEST(close_fails_and_then_works),
        TEST(abandon),
        TEST(pressure_is_told_of_once),
        TEST(save_all_is_no_pressure),
        TEST(health),
        TEST(failing_saves_show),
        TEST(error_rate_shows),
        TEST(old_changes_show),
        TEST(health_while_saving),
    };
    return cmocka_run_group_tests_name("saves that fail", tests, NULL, NULL);
}
