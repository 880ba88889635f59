/* set, merge and commit: what is saved, and that all of it is, or nothing. */
#include "unit/keep/state_talk.h"

static void test_set(void **state) {
    struct stage *stage = *state;
    VERB(stage, 0, state_set, &ME, "x", BODY("{'value':{ 'a' : 1.00 },'if_version':0}"));
    assert_has("'name':'x','version':1,'form':'json','bytes':14,");
    assert_has("'changed':true");
    talk_expect(stage, "x", "{ 'a' : 1.00 }", 1);
    VERB(stage, 0, state_set, &ME, "x", BODY("{'value':{ 'a' : 1.00 },'if_version':1}"));
    assert_has("'version':1,");
    assert_has("'changed':false");
    VERB(stage, 0, state_set, &ME, "x", BODY("{'base64':'gAJOLg==','if_version':1}"));
    assert_has("'version':2,'form':'bytes','bytes':4,");
    stage_expect(stage, "x", "\x80\x02N.", 4, 2);
    /* JSON that comes as base64 is JSON, with its white space; and so does '/' written as \/ */
    VERB(stage, 0, state_set, &ME, "x", BODY("{'base64':'IHsgfQo=','if_version':2}"));
    assert_has("'version':3,'form':'json','bytes':5,");
    stage_expect_text(stage, "x", " { }\n", 3);
    VERB(stage, 0, state_set, &ME, "x", BODY("{'base64':'\\/\\/8=','if_version':3}"));
    stage_expect(stage, "x", "\xff\xff", 2, 4);
    VERB(stage, 0, state_set, &ME, "x", BODY("{'base64':'','if_version':4}"));
    stage_expect(stage, "x", "", 0, 5);
}

static void test_too_large(void **state) {
    struct stage *stage = *state;
    static const struct hf_store_options SMALL = {.struct_bytes = sizeof SMALL, .max_document_bytes = 2000};
    hf_store_close(&stage->store);
    stage_open_with(stage, &SMALL);
    talk_save(stage, "x", "1");
    char body[4096];
    sprintf(body, "{'value':'%03000d','if_version':1}", 7);
    VERB(stage, HF_ERR_TOO_LARGE, state_set, &ME, "x", BODY(body));
    stage_expect_text(stage, "x", "1", 1);
}

static void test_merge(void **state) {
    struct stage *stage = *state;
    VERB(stage, HF_ERR_INVALID, state_merge, &ME, "x", BODY("{'if_version':0}"));
    VERB(stage, 0, state_merge, &ME, "x", BODY("{'patch':{'a':{'b':null,'c':1}},'if_version':0}"));
    talk_expect(stage, "x", "{'a':{'c':1}}", 1);
    VERB(stage, 0, state_merge, &ME, "x", BODY("{'patch':{'a':{'c':null},'n':2},'if_version':1}"));
    talk_expect(stage, "x", "{'a':{},'n':2}", 2);
    assert_has("'changed':true");
    VERB(stage, HF_ERR_PRECONDITION, state_merge, &ME, "x", BODY("{'patch':{'n':3},'if_version':1}"));
    talk_expect(stage, "x", "{'a':{},'n':2}", 2);
}

static void test_merge_of_nothing_new(void **state) {
    struct stage *stage = *state;
    talk_save(stage, "x", "{ 'n' : 2,\n 'm' : [ ] }\n");
    VERB(stage, 0, state_merge, &ME, "x", BODY("{'patch':{'n':2,'q':null},'if_version':1}"));
    assert_has("'version':1,");
    assert_has("'changed':false");
    talk_expect(stage, "x", "{ 'n' : 2,\n 'm' : [ ] }\n", 1);
}

static void test_merge_refused(void **state) {
    struct stage *stage = *state;
    assert_code(stage, 0, stage_save(stage, "x", "\x80\x02N.", 4, NULL));
    VERB(stage, HF_ERR_BAD_DATA, state_merge, &ME, "x", BODY("{'patch':{'n':3},'force':true}"));
    assert_says(stage, "version 1 is not JSON");
    talk_save(stage, "x", "{}");
    talk_damage_version(stage, "x", 2);
    VERB(stage, HF_ERR_CORRUPT, state_merge, &ME, "x", BODY("{'patch':{'n':3},'force':true}"));
    assert_says(stage, "rollback 'x' --to 1");
    assert_true(!stage_has(stage, "x", 3));
}

/* One level less than a document may have is what a version takes. */
static void test_merge_too_deep(void **state) {
    struct stage *stage = *state;
    char body[1024] = "{'force':true,'patch':{'a':";
    enum { DEPTH = 127 };
    for (int i = 0; i < DEPTH; i++)
        strcat(body, "[");
    for (int i = 0; i < DEPTH; i++)
        strcat(body, "]");
    strcat(body, "}}");
    talk_save(stage, "x", "{}");
    VERB(stage, HF_ERR_TOO_LARGE, state_merge, &ME, "x", BODY(body));
    assert_says(stage, "nests deeper than 127 levels");
    talk_expect(stage, "x", "{}", 1);
}

static void expect_record(struct stage *stage, const char *kind, const char *id, const char *json) {
    struct hf_record *record = NULL;
    assert_code(stage, json ? 0 : HF_ERR_NOT_FOUND, hf_store_get(stage->store, kind, id, &record, &stage->error));
    if (json)
        assert_string_equal(record->json, body_of(json));
    hf_record_free(&record);
}

static void test_commit(void **state) {
    struct stage *stage = *state;
    VERB(stage, 0, state_commit, &ME, "x",
         BODY("{'value':{'cursor':2},'if_version':0,'records':[{'kind':'item','id':'1','doc':{'n':1}},"
              "{'kind':'item','id':'2','doc':[2]}]}"));
    assert_has("'version':1,");
    assert_has("'changed':true,'records':2}");
    expect_record(stage, "item", "1", "{'n':1}");
    expect_record(stage, "item", "2", "[2]");
    VERB(stage, 0, state_commit, &ME, "x",
         BODY("{'value':{'cursor':3},'if_version':1,'records':[{'kind':'item','id':'1','delete':true}]}"));
    expect_record(stage, "item", "1", NULL);
    talk_expect(stage, "x", "{'cursor':3}", 2);
    VERB(stage, 0, state_commit, &ME, "x", BODY("{'if_version':2,'records':[{'kind':'item','id':'3','doc':{'n':3}}]}"));
    assert_has("'version':2,");
    expect_record(stage, "item", "3", "{'n':3}");
    VERB(stage, 0, state_commit, &ME, "x", BODY("{'value':{'cursor':3},'if_version':2}"));
    assert_has("'changed':false,'records':0}");
}

static void test_commit_all_or_nothing(void **state) {
    struct stage *stage = *state;
    talk_save(stage, "x", "1");
    VERB(stage, HF_ERR_PRECONDITION, state_commit, &ME, "x",
         BODY("{'value':2,'if_version':0,'records':[{'kind':'item','id':'1','doc':1}]}"));
    VERB(stage, HF_ERR_PRECONDITION, state_commit, &ME, "x",
         BODY("{'if_version':0,'records':[{'kind':'item','id':'1','doc':1}]}"));
    VERB(stage, HF_ERR_NOT_FOUND, state_commit, &ME, "x",
         BODY("{'value':2,'if_version':1,'records':[{'kind':'item','id':'1','doc':1},"
              "{'kind':'item','id':'none','delete':true}]}"));
    expect_record(stage, "item", "1", NULL);
    stage_expect_text(stage, "x", "1", 1);
}

static void test_commit_refused(void **state) {
    struct stage *stage = *state;
    static const char *const RECORDS[][2] = {
        {"7", "field 'records' must be an array"},
        {"[7]", "records[0]: it must be an object"},
        {"[{'kind':'item','id':'1','doc':1},{'kind':'item','id':'2'}]", "records[1]: 'kind', 'id', and either"},
        {"[{'kind':'item','id':'2','doc':1,'delete':true}]", "'kind', 'id', and either"},
        {"[{'kind':'item','doc':1}]", "'kind', 'id', and either"},
        {"[{'kind':'item','id':'2','dok':1}]", "field \"dok\" is unknown"},
        {"[{'kind':'item','id':'2','doc':1},{'kind':'item','id':'2','doc':2}]", "it is in the batch already"},
        {"[]", "neither a value nor a record"},
    };
    for (size_t i = 0; i < sizeof RECORDS / sizeof RECORDS[0]; i++) {
        char body[256];
        sprintf(body, "{'force':true,'records':%s}", RECORDS[i][0]);
        VERB(stage, HF_ERR_INVALID, state_commit, &ME, "x", BODY(body));
        assert_says(stage, RECORDS[i][1]);
    }
    VERB(stage, HF_ERR_BAD_ID, state_commit, &ME, "x",
         BODY("{'force':true,'records':[{'kind':'Item','id':'2','doc':1}]}"));
    assert_int_equal(talk_count(stage, NULL), 0);
}

/* A run whose lease was taken over commits nothing, neither state nor records. */
static void test_commit_of_the_past(void **state) {
    struct stage *stage = *state;
    assert_int_equal(talk_begin(stage, "x", "{}"), 1);
    assert_int_equal(talk_begin(stage, "x", "{'on_overlap':'steal'}"), 2);
    VERB(stage, HF_ERR_CONFLICT, state_commit, &ME, "x",
         BODY("{'value':1,'fence':1,'records':[{'kind':'item','id':'1','doc':1}]}"));
    assert_says(stage, "taken over by run x@2");
    expect_record(stage, "item", "1", NULL);
    VERB(stage, 0, state_commit, &ME, "x", BODY("{'fence':2,'records':[{'kind':'item','id':'1','doc':1}]}"));
    expect_record(stage, "item", "1", "1");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TALK_TEST(test_set),
        TALK_TEST(test_too_large),
        TALK_TEST(test_merge),
        TALK_TEST(test_merge_of_nothing_new),
        TALK_TEST(test_merge_refused),
        TALK_TEST(test_merge_too_deep),
        TALK_TEST(test_commit),
        TALK_TEST(test_commit_all_or_nothing),
        TALK_TEST(test_commit_refused),
        TALK_TEST(test_commit_of_the_past),
    };
    return cmocka_run_group_tests_name("keep/state_set", tests, NULL, NULL);
}
