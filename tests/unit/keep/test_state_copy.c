/* Copies and renames: what goes along, what stays, and what is refused. */
#include "unit/keep/state_talk.h"

static void test_copy(void **state) {
    struct stage *stage = *state;
    VERB(stage, HF_ERR_NOT_FOUND, state_copy, &ME, "a", "b", 0);
    assert_says(stage, "there is no state 'a'");
    talk_save(stage, "a", "1");
    talk_save(stage, "a", " 2\n");
    VERB(stage, 0, state_keep, &ME, "a", BODY("{'versions':7}"));
    VERB(stage, 0, state_copy, &ME, "a", "b", 0);
    assert_has("{'name':'b','version':1,'form':'json','bytes':3,");
    assert_has("version 2','who':'me','forced':false,'keep':{'versions':7,");
    assert_has("'versions_kept':1,'changed':true,'left_out':0}");
    stage_expect_text(stage, "b", " 2\n", 1);
    stage_expect_text(stage, "a", " 2\n", 2);
    VERB(stage, HF_ERR_EXISTS, state_copy, &ME, "a", "b", 0);
    assert_says(stage, "there is a state 'b' already");
    VERB(stage, HF_ERR_EXISTS, state_copy, &ME, "a", "a", 0);
    VERB(stage, HF_ERR_BAD_ID, state_copy, &ME, "a", "-b", 0);
}

static void test_copy_with_history(void **state) {
    struct stage *stage = *state;
    talk_begin(stage, "a", "{}");
    VERB(stage, 0, state_set, &ME, "a", BODY("{'value':1,'fence':1,'note':'first','code_version':'c1'}"));
    VERB(stage, 0, state_set, &ME, "a", BODY("{'value':2,'fence':1}"));
    VERB(stage, 0, state_set, &ME, "a", BODY("{'base64':'gAJOLg==','fence':1}"));
    talk_damage_version(stage, "a", 2);
    VERB(stage, 0, state_copy, &ME, "a", "b", 1); /* also while a run is under way */
    assert_has("{'name':'b','version':3,'form':'bytes',");
    assert_has("'lease':null,'versions_kept':2,'changed':true,'left_out':1}");
    stage_expect(stage, "b", "\x80\x02N.", 4, 3);
    VERB(stage, 0, state_get, "b", 1, 0);
    assert_has("'run':'a@1','fence':0,'code_version':'c1','note':'first'");
    VERB(stage, 0, state_runs, "b", 0);
    assert_answer("[]");
    talk_damage_version(stage, "a", 3);
    VERB(stage, HF_ERR_CORRUPT, state_copy, &ME, "a", "c", 1);
    VERB(stage, HF_ERR_CORRUPT, state_copy, &ME, "a", "c", 0);
    assert_says(stage, "rollback 'a' --to 1");
    VERB(stage, HF_ERR_NOT_FOUND, state_show, "c");
}

static void test_move(void **state) {
    struct stage *stage = *state;
    VERB(stage, HF_ERR_NOT_FOUND, state_move, &ME, "a", "b");
    talk_begin(stage, "a", "{'reason':'nightly'}");
    VERB(stage, 0, state_set, &ME, "a", BODY("{'value':1,'fence':1}"));
    VERB(stage, HF_ERR_CONFLICT, state_move, &ME, "a", "b");
    assert_says(stage, "run a@1");
    VERB(stage, 0, state_run_end, &ME, "a", BODY("{'fence':1,'value':2}"));
    talk_save(stage, "c", "3");
    VERB(stage, HF_ERR_EXISTS, state_move, &ME, "a", "c");
    VERB(stage, HF_ERR_EXISTS, state_move, &ME, "a", "a");
    assert_says(stage, "its name already"); /* and no hint to remove it */
    VERB(stage, HF_ERR_EXISTS, state_copy, &ME, "a", "a", 0);
    assert_says(stage, "its name already");
    VERB(stage, 0, state_keep, &ME, "a", BODY("{'versions':7}"));
    VERB(stage, 0, state_move, &ME, "a", "b");
    assert_has("{'name':'b','version':2,");
    assert_has("'run':'b@1','fence':1,");
    assert_has("'keep':{'versions':7,");
    stage_expect_text(stage, "b", "2", 2);
    VERB(stage, 0, state_get, "b", 1, 0);
    assert_has("'run':'b@1'");
    VERB(stage, 0, state_runs, "b", 0);
    assert_has("[{'name':'b','run':'b@1','number':1,'fence':1,'outcome':'ok','reason':'nightly',");
    VERB(stage, HF_ERR_NOT_FOUND, state_show, "a");
    assert_int_equal(talk_count(stage, STATE_VERSION_KIND), 3);
    assert_int_equal(talk_count(stage, STATE_RUN_KIND), 1);
    assert_int_equal(talk_begin(stage, "b", "{}"), 2);
    assert_int_equal(talk_begin(stage, "a", "{}"), 2); /* a@1 was given already */
}

static void test_move_of_hundreds(void **state) {
    struct stage *stage = *state;
    enum { MANY = 400 };
    VERB(stage, 0, state_keep, &ME, "a", BODY("{'versions':1000}"));
    for (int i = 1; i <= MANY; i++) {
        char text[16];
        sprintf(text, "%d", i);
        talk_save(stage, "a", text);
    }
    uint64_t before = hf_store_revision(stage->store);
    VERB(stage, 0, state_move, &ME, "a", "b");
    assert_int_equal(hf_store_revision(stage->store), before + 1);
    assert_has("'versions_kept':400,");
    assert_int_equal(talk_count(stage, STATE_VERSION_KIND), MANY);
    stage_expect_text(stage, "b", "400", MANY);
    before = hf_store_revision(stage->store);
    VERB(stage, 0, state_clear, &ME, "b", 0, 0);
    assert_int_equal(hf_store_revision(stage->store), before + 1);
    assert_has("'versions':400,");
    assert_int_equal(talk_count(stage, STATE_VERSION_KIND), 0);
}

static void test_move_of_what_is_damaged(void **state) {
    struct stage *stage = *state;
    talk_save(stage, "a", "1");
    talk_save(stage, "a", "2");
    talk_save(stage, "a", "3");
    talk_damage_version(stage, "a", 2);
    VERB(stage, HF_ERR_CORRUPT, state_move, &ME, "a", "b");
    assert_says(stage, "holdfast state copy 'a' 'b' --history (version 2 is left out)");
    talk_damage_version(stage, "a", 3);
    VERB(stage, HF_ERR_CORRUPT, state_move, &ME, "a", "b");
    talk_damage(stage, STATE_KIND, "a");
    VERB(stage, HF_ERR_CORRUPT, state_move, &ME, "a", "b");
    assert_says(stage, "rollback 'a' --to 1");
    VERB(stage, HF_ERR_NOT_FOUND, state_show, "b");
    assert_true(stage_has(stage, "a", 1));
}

/* A run that nobody runs any more does not hold the name, and is told of as what it is. */
static void test_move_after_a_lost_run(void **state) {
    struct stage *stage = *state;
    talk_begin(stage, "a", "{}");
    VERB(stage, 0, state_set, &ME, "a", BODY("{'value':1,'fence':1}"));
    stage->is_rebooted = 1;
    VERB(stage, 0, state_move, &ME, "a", "b");
    assert_has("'lease':null,");
    char word[64];
    assert_string_equal(stage_outcome(stage, "b", 1, word), "lost");
    VERB(stage, HF_ERR_CONFLICT, state_set, &ME, "a", BODY("{'value':2,'fence':1}"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TALK_TEST(test_copy),
        TALK_TEST(test_copy_with_history),
        TALK_TEST(test_move),
        TALK_TEST(test_move_of_hundreds),
        TALK_TEST(test_move_of_what_is_damaged),
        TALK_TEST(test_move_after_a_lost_run),
    };
    return cmocka_run_group_tests_name("keep/state_copy", tests, NULL, NULL);
}
