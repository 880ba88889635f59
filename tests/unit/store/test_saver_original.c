/* The weaknesses of the program whose saving this one takes over: each is a test that its saver fails. */
#include "saver_fixture.h"

/* 1. Loading throws members of the document away, and the next save makes that permanent. */
static char loaded[200];
static int take(void *arg, const struct hf_record *record, int code) {
    (void)arg;
    assert_int_equal(code, 0);
    snprintf(loaded, sizeof loaded, "%s", record->json);
    return 0;
}

static void test_load_gives_every_byte(void **state) {
    static const char *const text = "{\"time_between_check\": {\"hours\":3},\"time_schedule_limit\":{\"on\":true}}";
    (void)state;
    change("w", text);
    flush();
    open_again();
    assert_int_equal(hf_saver_load(world.saver, "thing", take, NULL, NULL), 0);
    assert_string_equal(loaded, text);
    mark("w");
    flush();
    expect_stored("w", text);
    assert_int_equal(health().total_saves, 0);
}

/* 2. A mark made while a cycle runs is not saved until somebody marks again. */
static void mark_others(struct thing *thing) {
    world.while_giving = NULL;
    hold("late", "1");
    mark("late");
    hold(thing->id, "2");
    mark(thing->id);
}

static void test_mark_during_a_cycle(void **state) {
    (void)state;
    change("w", "1");
    pass(INTERVAL);
    world.while_giving = mark_others;
    saver_step(world.saver);
    assert_int_equal(health().dirty, 2);
    pass(INTERVAL);
    saver_step(world.saver);
    expect_stored("late", "1");
    expect_stored("w", "2");
}

/* 3. A save that failed is never tried again by itself. */
static void test_failed_save_is_tried_again(void **state) {
    (void)state;
    change("w", "1");
    world.begin_code = HF_ERR_NO_SPACE;
    pass(INTERVAL);
    saver_step(world.saver);
    world.begin_code = 0;
    pass(1000);
    assert_int_equal(saver_step(world.saver), 1);
    expect_stored("w", "1");
}

/* 4. Settings that are only said to be urgent are not written, not audited, and keep the thread spinning. */
static void ignore_finding(void *arg, const struct hf_finding *finding) {
    assert_string_equal(finding->kind, "settings");
    ++*(unsigned *)arg;
}

static void test_settings_are_documents(void **state) {
    unsigned findings = 0;
    uint64_t audited, count;
    (void)state;
    world.options.each = each;
    open_again();
    hold("settings", "{\"password\":1}")->kind = "settings";
    mark_as("settings", HF_URGENT); /* nothing else is needed */
    assert_int_equal(saver_step(world.saver), 1);
    expect_stored("settings", "{\"password\":1}");
    assert_int_equal(saver_due_in_ms(world.saver), -1);
    hold("settings", "{\"password\":2}"); /* and not marked at all: the audit finds it */
    assert_int_equal(saver_audit(world.saver, 0, 1, ignore_finding, &findings, &audited, &count, NULL), 0);
    assert_int_equal(findings, 1);
    assert_int_equal(health().dirty_settings, 1);
    pass(INTERVAL);
    saver_step(world.saver);
    expect_stored("settings", "{\"password\":2}");
}

/* 5. What was changed within the interval before a kill is lost, and there is no way to ask for more. */
static void test_no_window_with_commit(void **state) {
    (void)state;
    world.options.durability = HF_COMMIT;
    open_again();
    hold("w", "1");
    assert_int_equal(hf_saver_mark(world.saver, "thing", "w", NULL, HF_STANDARD, NULL), 0);
    hf_saver_abandon(&world.saver); /* as if killed */
    expect_stored("w", "1");
}

/* 6. The audit fails on a document that was never saved, and leaves it marked where no save finds it. */
static void test_audit_of_a_new_document(void **state) {
    uint64_t audited, findings;
    (void)state;
    world.options.each = each;
    open_again();
    hold("w", "1");
    assert_int_equal(saver_audit(world.saver, 0, 1, NULL, NULL, &audited, &findings, NULL), 0);
    assert_int_equal(findings, 1);
    pass(INTERVAL);
    assert_int_equal(saver_step(world.saver), 1);
    expect_stored("w", "1");
}

/* 7. A damaged document is dropped with a line in the log, and all is called healthy. */
static unsigned good, bad;
static int count(void *arg, const struct hf_record *record, int code) {
    (void)arg, (void)record;
    *(code == 0 ? &good : &bad) += 1;
    return 0;
}

static void test_damaged_documents_are_told_of(void **state) {
    (void)state;
    change("a", "1");
    change("b", "1");
    change("c", "1");
    flush();
    open_again();
    good = bad = 0;
    world.damaged = "b";
    assert_int_equal(hf_saver_load(world.saver, "thing", count, NULL, NULL), 0);
    assert_int_equal(good, 2);
    assert_int_equal(bad, 1); /* the owner is told which, and why there is nothing to read */
    assert_int_equal(count_notices("1 records are damaged"), 1);
    assert_int_equal(world.notices[0].level, HF_CRITICAL);
}

/* 8. Having nothing to save for five minutes is a warning. */
static void test_idle_is_healthy(void **state) {
    (void)state;
    change("w", "1");
    flush();
    pass(3600 * 1000);
    assert_int_equal(health().status, HF_HEALTHY);
}

/* 9. A deletion that fails is forgotten, and the document is back after a restart. */
static void test_failed_deletion_is_tried_again(void **state) {
    (void)state;
    change("w", "1");
    flush();
    change("w", NULL);
    world.begin_code = HF_ERR_READ_ONLY;
    flush_fails(HF_ERR_READ_ONLY);
    assert_int_equal(health().dirty, 1);
    assert_int_equal(health().status, HF_HEALTH_WARNING);
    world.begin_code = 0;
    pass(1000);
    saver_step(world.saver);
    expect_stored("w", NULL);
}

/* 10. Two savers of a process share what is dirty and what was saved. */
static void test_two_savers(void **state) {
    struct saver_setup setup = {.without_thread = 1};
    struct hf_saver *other = NULL;
    struct hf_health its;
    (void)state;
    assert_int_equal(saver_open_with(world.store, &world.options, &setup, &other, NULL), 0);
    change("w", "1");
    hf_saver_health(other, &its);
    assert_int_equal(its.dirty, 0);
    flush();
    hf_saver_health(other, &its);
    assert_int_equal(its.total_saves, 0);
    assert_int_equal(hf_saver_close(&other, NULL), 0);
}

/* Back-pressure is told of with each further mark; the loop wakes twice a second for nothing. */
static void test_quiet(void **state) {
    (void)state;
    change_many(1900, 1);
    assert_int_equal(world.notice_count, 2);
    flush();
    assert_int_equal(saver_due_in_ms(world.saver), -1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(load_gives_every_byte),
        TEST(mark_during_a_cycle),
        TEST(failed_save_is_tried_again),
        TEST(settings_are_documents),
        TEST(no_window_with_commit),
        TEST(audit_of_a_new_document),
        TEST(damaged_documents_are_told_of),
        TEST(idle_is_healthy),
        TEST(failed_deletion_is_tried_again),
        TEST(two_savers),
        TEST(quiet),
    };
    return cmocka_run_group_tests_name("what the original saver gets wrong", tests, NULL, NULL);
}
