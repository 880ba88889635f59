/* Going back: by number, by time, over damage, and beside a lease. */
#include "unit/keep/state_talk.h"

static void test_by_version(void **state) {
    struct stage *stage = *state;
    VERB(stage, HF_ERR_NOT_FOUND, state_rollback, &ME, "x", 1, 0, 0);
    talk_save(stage, "x", "{'n':1}");
    talk_save(stage, "x", "{'n':2}");
    VERB(stage, 0, state_rollback, &ME, "x", 1, 0, 0);
    assert_has("'version':3,");
    assert_has("'note':'rollback to 1','who':'me','forced':false");
    assert_has("'changed':true");
    talk_expect(stage, "x", "{'n':1}", 3);
    assert_true(stage_has(stage, "x", 2));
    VERB(stage, 0, state_rollback, &ME, "x", 3, 0, 0);
    assert_has("'version':3,");
    assert_has("'changed':false");
    VERB(stage, HF_ERR_NOT_FOUND, state_rollback, &ME, "x", 9, 0, 0);
    assert_says(stage, "there is no version 9");
    assert_says(stage, "state log 'x'");
    VERB(stage, HF_ERR_INVALID, state_rollback, &ME, "x", 0, 0, 0);
    VERB(stage, HF_ERR_INVALID, state_rollback, &ME, "x", 1, 1, 0);
}

static void test_by_time(void **state) {
    struct stage *stage = *state;
    int64_t start_ms = stage->wall_ms;
    talk_save(stage, "x", "1");
    stage->wall_ms += 1000;
    talk_save(stage, "x", "2");
    stage->wall_ms += 1000;
    talk_save(stage, "x", "3");
    VERB(stage, HF_ERR_NOT_FOUND, state_rollback, &ME, "x", 0, start_ms, 0);
    VERB(stage, 0, state_rollback, &ME, "x", 0, start_ms + 2000, 0);
    talk_expect(stage, "x", "2", 4);
    talk_damage_version(stage, "x", 2); /* the one before it is the newest of that time that can be had */
    VERB(stage, 0, state_rollback, &ME, "x", 0, start_ms + 2000, 0);
    talk_expect(stage, "x", "1", 5);
}

static void test_over_damage(void **state) {
    struct stage *stage = *state;
    talk_save(stage, "x", "1");
    talk_save(stage, "x", "2");
    talk_save(stage, "x", "1");
    talk_damage_version(stage, "x", 3);
    VERB(stage, HF_ERR_CORRUPT, state_rollback, &ME, "x", 3, 0, 0);
    VERB(stage, 0, state_rollback, &ME, "x", 1, 0, 0); /* the same bytes as the damaged one */
    talk_expect(stage, "x", "1", 4);
    assert_has("'changed':true");
}

/* The fence that was given last is never given again, whoever still has it. */
static void test_over_a_damaged_head(void **state) {
    struct stage *stage = *state;
    talk_begin(stage, "x", "{}");
    VERB(stage, 0, state_set, &ME, "x", BODY("{'value':1,'fence':1}"));
    talk_damage(stage, STATE_KIND, "x");
    VERB(stage, HF_ERR_CORRUPT, state_set, &ME, "x", BODY("{'value':2,'fence':1}"));
    VERB(stage, HF_ERR_CORRUPT, state_set, &ME, "x", BODY("{'value':2,'force':true}"));
    VERB(stage, 0, state_rollback, &ME, "x", 1, 0, 0);
    assert_has("'changed':true");
    talk_expect(stage, "x", "1", 1);
    VERB(stage, HF_ERR_CONFLICT, state_set, &ME, "x", BODY("{'value':2,'fence':1}"));
    assert_true(talk_begin(stage, "x", "{}") > 1);
    assert_has("'version':1,'form':'json','value':1}");
}

static void test_over_damage_of_both(void **state) {
    struct stage *stage = *state;
    talk_save(stage, "x", "1");
    talk_save(stage, "x", "2");
    talk_damage_version(stage, "x", 2);
    talk_damage(stage, STATE_KIND, "x");
    VERB(stage, 0, state_rollback, &ME, "x", 1, 0, 0);
    talk_expect(stage, "x", "1", 3);
}

static void test_beside_a_lease(void **state) {
    struct stage *stage = *state;
    talk_save(stage, "x", "1");
    talk_save(stage, "x", "2");
    talk_begin(stage, "x", "{}");
    VERB(stage, HF_ERR_CONFLICT, state_rollback, &ME, "x", 1, 0, 0);
    assert_says(stage, "run x@1");
    VERB(stage, 0, state_rollback, &ME, "x", 1, 0, 1);
    assert_has("'forced':true");
    talk_expect(stage, "x", "1", 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TALK_TEST(test_by_version),          TALK_TEST(test_by_time),
        TALK_TEST(test_over_damage),         TALK_TEST(test_over_a_damaged_head),
        TALK_TEST(test_over_damage_of_both), TALK_TEST(test_beside_a_lease),
    };
    return cmocka_run_group_tests_name("keep/state_rollback", tests, NULL, NULL);
}
