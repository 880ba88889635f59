/* Retention: by number, by age, with gaps, and when clocks jump. */
#include "unit/keep/state_stage.h"

#define DAY_MS INT64_C(86400000)

static void keep(struct stage *stage, uint32_t versions, int64_t max_age_ms) {
    assert_code(stage, 0, hf_state_keep(stage->store, "x", versions, max_age_ms, &stage->error));
}

static void save_number(struct stage *stage, int number) {
    char text[32];
    snprintf(text, sizeof text, "%d", number);
    stage_save_text(stage, "x", text);
}

static void save_numbers(struct stage *stage, int from, int to, int64_t step_ms) {
    for (int i = from; i <= to; i++, stage->wall_ms += step_ms)
        save_number(stage, i);
}

static int note_version(void *arg, const struct state_meta *meta, int code) {
    char *text = arg;
    size_t size = strlen(text);
    snprintf(text + size, 256 - size, "%s%s%llu", size ? " " : "", code ? "!" : "", (unsigned long long)meta->version);
    return 0;
}

static void expect_versions(struct stage *stage, const char *expected) {
    char text[256] = "";
    struct state_head head;
    assert_code(stage, 0, state_version_each(stage->store, "x", note_version, text, &stage->error));
    assert_string_equal(text, expected);
    uint64_t count = 1;
    for (const char *at = text; *at; at++)
        count += *at == ' ';
    assert_code(stage, 0, state_head_read(stage->store, "x", 0, &head, &stage->error));
    assert_int_equal(state_head_kept(&head), count);
    state_head_fini(&head);
}

static void test_by_number(void **state) {
    struct stage *stage = *state;
    keep(stage, 3, 0);
    save_numbers(stage, 1, 3, 1000);
    expect_versions(stage, "1 2 3");
    save_numbers(stage, 4, 7, 1000);
    expect_versions(stage, "5 6 7");
    keep(stage, 1, 0);
    expect_versions(stage, "5 6 7"); /* the next save goes by it */
    save_number(stage, 8);
    expect_versions(stage, "8");
    save_number(stage, 9);
    stage_expect_text(stage, "x", "9", 9);
    expect_versions(stage, "9");
}

static void test_default_number(void **state) {
    struct stage *stage = *state;
    save_numbers(stage, 1, STATE_KEEP_DEFAULT + 2, 1000);
    assert_int_equal(stage_has(stage, "x", 2), 0);
    assert_int_equal(stage_has(stage, "x", 3), 1);
}

static void test_by_age_too(void **state) {
    struct stage *stage = *state;
    keep(stage, 2, 10 * DAY_MS);
    save_numbers(stage, 1, 5, DAY_MS); /* days 0 to 4 */
    expect_versions(stage, "1 2 3 4 5");
    stage->wall_ms += 8 * DAY_MS; /* day 13 */
    save_number(stage, 6);
    expect_versions(stage, "4 5 6"); /* those of days 0 to 2 are older than ten days */
    stage->wall_ms += 100 * DAY_MS;
    save_number(stage, 7);
    expect_versions(stage, "6 7"); /* all are old, and two are kept */
}

static void test_clock_jumps_ahead(void **state) {
    struct stage *stage = *state;
    keep(stage, 3, 10 * DAY_MS);
    save_numbers(stage, 1, 4, 1000);
    stage->wall_ms += 4000 * DAY_MS;
    save_number(stage, 5);
    expect_versions(stage, "3 4 5"); /* never fewer than the number */
    stage->wall_ms -= 4000 * DAY_MS;
    save_numbers(stage, 6, 8, 1000);
    expect_versions(stage, "3 4 5 6 7 8"); /* young again */
}

/* A version with a time in the future is as old as the one behind it. */
static void test_times_in_the_future(void **state) {
    struct stage *stage = *state;
    keep(stage, 2, 10 * DAY_MS);
    stage->wall_ms += 4000 * DAY_MS;
    save_numbers(stage, 1, 2, 1000);
    stage->wall_ms -= 4000 * DAY_MS;
    save_numbers(stage, 3, 4, 1000);
    expect_versions(stage, "1 2 3 4"); /* how old they are is not known */
    stage->wall_ms += 20 * DAY_MS;
    save_number(stage, 5);
    expect_versions(stage, "4 5"); /* 3 is old, so those before it are */
}

static void forget(struct stage *stage, uint64_t version) {
    char id[HF_ID_MAX + 1];
    state_number_id("x", version, id);
    assert_code(stage, 0, hf_store_delete(stage->store, STATE_VERSION_KIND, id, NULL, &stage->error));
}

static int set_gaps(void *arg, struct state_head *head, struct hf_batch *batch, struct hf_error *error) {
    (void)batch, (void)error;
    head->gaps = *(const uint64_t *)arg;
    return 0;
}

/* Gaps count as nothing: as many versions are kept as there should be. */
static void test_gaps(void **state) {
    struct stage *stage = *state;
    uint64_t gaps = 5;
    keep(stage, 3, 0);
    save_numbers(stage, 1, 1, 1000);
    keep(stage, 100, 0);
    save_numbers(stage, 2, 8, 1000);
    for (uint64_t version = 2; version <= 6; version++)
        forget(stage, version);
    keep(stage, 3, 0);
    const struct state_change change = {.store = stage->store, .name = "x", .change = set_gaps, .arg = &gaps};
    assert_code(stage, 0, state_change_commit(&change, NULL, &stage->error));
    expect_versions(stage, "1 7 8");
    save_number(stage, 9);
    expect_versions(stage, "7 8 9");
    save_number(stage, 10);
    expect_versions(stage, "8 9 10");
}

/* Versions that somebody lost without a word: what is there is dropped later rather than too early. */
static void test_lost_versions(void **state) {
    struct stage *stage = *state;
    keep(stage, 3, 0);
    save_numbers(stage, 1, 3, 1000);
    forget(stage, 2);
    save_numbers(stage, 4, 6, 1000);
    stage_expect_text(stage, "x", "6", 6);
    assert_int_equal(stage_has(stage, "x", 5), 1);
    assert_int_equal(stage_has(stage, "x", 1), 0);
}

static void test_damaged_versions_are_dropped(void **state) {
    struct stage *stage = *state;
    char id[HF_ID_MAX + 1];
    keep(stage, 2, 0);
    save_numbers(stage, 1, 2, 1000);
    state_number_id("x", 1, id);
    assert_code(stage, 0, hf_store_put(stage->store, STATE_VERSION_KIND, id, "{}", 2, NULL, &stage->error));
    expect_versions(stage, "!1 2");
    save_number(stage, 3);
    expect_versions(stage, "2 3");
}

static void test_many_go_in_several_commits(void **state) {
    struct stage *stage = *state;
    keep(stage, 1000, 0);
    save_numbers(stage, 1, 250, 1000);
    keep(stage, 2, 0);
    save_number(stage, 251);
    assert_int_equal(stage_has(stage, "x", STATE_DROP_AT_ONCE), 0);
    assert_int_equal(stage_has(stage, "x", STATE_DROP_AT_ONCE + 1), 1);
    save_numbers(stage, 252, 253, 1000);
    expect_versions(stage, "252 253");
}

static void test_wrong_values(void **state) {
    struct stage *stage = *state;
    assert_code(stage, HF_ERR_INVALID, hf_state_keep(stage->store, "x", 1, -1, &stage->error));
    assert_code(stage, HF_ERR_BAD_ID, hf_state_keep(stage->store, "-x", 1, 0, &stage->error));
    keep(stage, UINT32_MAX, INT64_MAX);
    save_numbers(stage, 1, 3, 1000);
    expect_versions(stage, "1 2 3");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_by_number, stage_sqlite, stage_teardown),
        cmocka_unit_test_setup_teardown(test_default_number, stage_memory, stage_teardown),
        cmocka_unit_test_setup_teardown(test_by_age_too, stage_memory, stage_teardown),
        cmocka_unit_test_setup_teardown(test_clock_jumps_ahead, stage_memory, stage_teardown),
        cmocka_unit_test_setup_teardown(test_times_in_the_future, stage_memory, stage_teardown),
        cmocka_unit_test_setup_teardown(test_gaps, stage_memory, stage_teardown),
        cmocka_unit_test_setup_teardown(test_lost_versions, stage_memory, stage_teardown),
        cmocka_unit_test_setup_teardown(test_damaged_versions_are_dropped, stage_memory, stage_teardown),
        cmocka_unit_test_setup_teardown(test_many_go_in_several_commits, stage_memory, stage_teardown),
        cmocka_unit_test_setup_teardown(test_wrong_values, stage_memory, stage_teardown),
    };
    return cmocka_run_group_tests_name("retention of states", tests, NULL, NULL);
}
