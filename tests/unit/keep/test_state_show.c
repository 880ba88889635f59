/* Reading: one state, all of them, a version, what was, what differs. */
#include "unit/keep/state_talk.h"

static void test_show(void **state) {
    struct stage *stage = *state;
    VERB(stage, HF_ERR_NOT_FOUND, state_show, "x");
    assert_says(stage, "there is no state 'x'");
    assert_says(stage, "holdfast state list");
    talk_save(stage, "x", "{'a':1}");
    VERB(stage, 0, state_show, "x");
    assert_has("{'name':'x','version':1,'form':'json','bytes':7,'digest':'");
    assert_has("'keep':{'versions':50,'max_age_ms':0},'lease':null,'versions_kept':1}");
    assert_lacks("changed");
    talk_begin(stage, "x", "{'reason':'nightly'}");
    VERB(stage, 0, state_show, "x");
    assert_has("'lease':{'run':'x@1','fence':1,");
    assert_has("'reason':'nightly','alive':true}");
}

static void test_list(void **state) {
    struct stage *stage = *state;
    VERB(stage, 0, state_list, NULL, 0);
    assert_answer("[]");
    talk_save(stage, "b", "1");
    talk_save(stage, "a", "1");
    talk_save(stage, "c", "1");
    talk_damage(stage, STATE_KIND, "b");
    VERB(stage, 0, state_list, NULL, 0);
    assert_has("[{'name':'a',");
    assert_has(",{'name':'b','error':'state ");
    assert_has("its head is damaged; version 1 is the newest that is whole'},{'name':'c',");
    VERB(stage, 0, state_list, "b", 0);
    assert_has("[{'name':'c',");
    VERB(stage, 0, state_list, NULL, 2);
    assert_has("'b'");
    assert_lacks("{'name':'c'");
}

/* What was cleared, or lost its lease before it saved, is no entry, and takes no place of the limit. */
static void test_list_leaves_out_what_is_gone(void **state) {
    struct stage *stage = *state;
    uint64_t fence = talk_begin(stage, "a", "{}");
    talk_save(stage, "b", "1");
    VERB(stage, 0, state_list, NULL, 0);
    assert_has("{'name':'a','version':0,");
    char body[64];
    sprintf(body, "{'fence':%d}", (int)fence);
    VERB(stage, 0, state_run_end, &ME, "a", BODY(body));
    VERB(stage, 0, state_clear, &ME, "a", 0, 0);
    VERB(stage, 0, state_list, NULL, 1);
    assert_has("[{'name':'b',");
    VERB(stage, HF_ERR_NOT_FOUND, state_show, "a");
    VERB(stage, HF_ERR_NOT_FOUND, state_runs, "a", 0);
    VERB(stage, HF_ERR_NOT_FOUND, state_log, "a", 0);
    VERB(stage, HF_ERR_NOT_FOUND, state_get, "a", 0, 0);
}

static void test_get(void **state) {
    struct stage *stage = *state;
    VERB(stage, HF_ERR_NOT_FOUND, state_get, "x", 0, 0);
    assert_says(stage, "get state 'x': nothing was ever saved under 'x'");
    talk_save(stage, "x", " {'a' : 1.0}\n");
    VERB(stage, 0, state_get, "x", 0, 0);
    assert_has("{'name':'x','version':1,");
    assert_has("'space':[' ','\\n'],'value':{'a' : 1.0}}");
    assert_code(stage, 0, stage_save(stage, "x", "\x80\x02N.", 4, NULL));
    VERB(stage, 0, state_get, "x", 0, 0);
    assert_has("'form':'bytes',");
    assert_has("'base64':'gAJOLg=='}");
    VERB(stage, 0, state_get, "x", 1, 0);
    assert_has("'version':1,");
    VERB(stage, HF_ERR_NOT_FOUND, state_get, "x", 3, 0);
    assert_says(stage, "there is no version 3");
    assert_says(stage, "state log 'x'");
    VERB(stage, HF_ERR_INVALID, state_get, "x", 1, 1);
    VERB(stage, HF_ERR_BAD_ID, state_get, "-x", 1, 0);
}

static void test_get_damaged(void **state) {
    struct stage *stage = *state;
    talk_save(stage, "x", "1");
    talk_save(stage, "x", "2");
    talk_save(stage, "x", "3");
    talk_damage_version(stage, "x", 3);
    VERB(stage, HF_ERR_CORRUPT, state_get, "x", 0, 0);
    assert_says(stage, "version 3, the newest, is damaged; version 2 is the newest that is whole");
    assert_says(stage, "holdfast state rollback 'x' --to 2");
    VERB(stage, HF_ERR_CORRUPT, state_get, "x", 3, 0);
    talk_damage(stage, STATE_KIND, "x");
    VERB(stage, HF_ERR_CORRUPT, state_get, "x", 0, 0);
    VERB(stage, HF_ERR_CORRUPT, state_show, "x");
    assert_says(stage, "rollback 'x' --to 2");
    /* versions can be read without their head */
    VERB(stage, 0, state_get, "x", 2, 0);
    VERB(stage, 0, state_log, "x", 0);
    assert_has("[{'version':3,'error':'it is damaged'},{'version':2,");
}

static void test_get_before(void **state) {
    struct stage *stage = *state;
    int64_t times[4];
    for (int i = 0; i < 4; i++) {
        times[i] = stage->wall_ms += 1000;
        talk_save(stage, "x", (const char *[]){"1", "2", "3", "4"}[i]);
    }
    VERB(stage, HF_ERR_NOT_FOUND, state_get, "x", 0, times[0]);
    assert_says(stage, "no version from before 2023-11-14T");
    VERB(stage, 0, state_get, "x", 0, times[0] + 1);
    assert_has("'version':1,");
    VERB(stage, 0, state_get, "x", 0, times[3]);
    assert_has("'version':3,");
    VERB(stage, 0, state_get, "x", 0, times[3] + 99999);
    assert_has("'version':4,");
    /* its time is not known, so it may be the one: no other is given for it */
    talk_damage_version(stage, "x", 3);
    VERB(stage, HF_ERR_CORRUPT, state_get, "x", 0, times[3]);
    assert_says(stage, "version 3 is damaged, and may be the one that is meant");
    assert_says(stage, "--version 2");
    VERB(stage, 0, state_get, "x", 0, times[3] + 1);
    assert_has("'version':4,");
}

static void test_log(void **state) {
    struct stage *stage = *state;
    VERB(stage, HF_ERR_NOT_FOUND, state_log, "x", 0);
    talk_save(stage, "x", "1");
    talk_save(stage, "x@0000000000000001", "'another'");
    talk_save(stage, "x", "'two'");
    talk_save(stage, "x", "3");
    talk_damage_version(stage, "x", 2);
    VERB(stage, 0, state_log, "x", 0);
    assert_has("[{'version':3,'form':'json','bytes':1,");
    assert_has("'forced':true},{'version':2,'error':'it is damaged'},{'version':1,");
    assert_lacks("value");
    assert_lacks("'bytes':9");
    VERB(stage, 0, state_log, "x", 2);
    assert_has("{'version':3,");
    assert_has("{'version':2,");
    assert_lacks("{'version':1,");
}

static void test_diff(void **state) {
    struct stage *stage = *state;
    VERB(stage, HF_ERR_NOT_FOUND, state_diff, "x", 0, 0);
    talk_save(stage, "x", "{'cursor':1,'seen':['a']}");
    VERB(stage, HF_ERR_NOT_FOUND, state_diff, "x", 0, 0);
    assert_says(stage, "no version before 1 is kept");
    talk_save(stage, "x", "{'cursor':2,'seen':['a']}");
    talk_save(stage, "x", "{'cursor':2,'seen':['a','b']}");
    VERB(stage, 0, state_diff, "x", 0, 0);
    assert_answer("{'name':'x','from':2,'to':3,'changes':[{'path':'/seen/1','what':'added','to':'b'}]}");
    VERB(stage, 0, state_diff, "x", 0, 2);
    assert_has("'from':1,'to':2,'changes':[{'path':'/cursor','what':'changed','from':1,'to':2}]");
    VERB(stage, 0, state_diff, "x", 3, 1);
    assert_has("'what':'removed','from':'b'");
    VERB(stage, 0, state_diff, "x", 1, 1);
    assert_has("'changes':[]");
    assert_code(stage, 0, stage_save(stage, "x", "\x80\x02N.", 4, NULL));
    VERB(stage, 0, state_diff, "x", 0, 0);
    assert_has("{'name':'x','from':3,'to':4,'bytes_from':29,'digest_from':'");
    assert_has("'bytes_to':4,'digest_to':'");
    VERB(stage, HF_ERR_NOT_FOUND, state_diff, "x", 9, 1);
    assert_says(stage, "state log 'x'");
    talk_damage_version(stage, "x", 2);
    VERB(stage, HF_ERR_CORRUPT, state_diff, "x", 2, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TALK_TEST(test_show), TALK_TEST(test_list),        TALK_TEST(test_list_leaves_out_what_is_gone),
        TALK_TEST(test_get),  TALK_TEST(test_get_damaged), TALK_TEST(test_get_before),
        TALK_TEST(test_log),  TALK_TEST(test_diff),
    };
    return cmocka_run_group_tests_name("keep/state_show", tests, NULL, NULL);
}
