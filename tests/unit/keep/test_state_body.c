/* What is acceptable as a request, and how it is told when it is not. */
#include "unit/keep/state_talk.h"

static void assert_refused(struct stage *stage, const char *body, const char *text) {
    VERB(stage, HF_ERR_INVALID, state_set, &ME, "x", BODY(body));
    assert_says(stage, text);
    assert_int_equal(answer.size, 0);
}

static void test_strict(void **state) {
    struct stage *stage = *state;
    assert_refused(stage, "[1]", "the body must be a JSON object");
    assert_refused(stage, "{'value':1,'forse':true}", "field \"forse\" is unknown");
    assert_says(stage, "value, base64");
    assert_refused(stage, "{'value':1,'if_version':'3'}", "field 'if_version' must be a whole number from 0 on");
    assert_refused(stage, "{'value':1,'if_version':-1}", "field 'if_version'");
    assert_refused(stage, "{'value':1,'fence':0}", "field 'fence' must be a whole number from 1 on");
    assert_refused(stage, "{'value':1,'force':1}", "field 'force' must be true or false");
    assert_refused(stage, "{'value':1,'force':true,'fence':1}", "'fence' cannot stand beside it");
    assert_refused(stage, "{'value':1,'force':true,'if_version':1}", "'if_version' cannot stand beside it");
    assert_refused(stage, "{'value':1,'base64':'','force':true}", "only one of the fields 'value' and 'base64'");
    assert_refused(stage, "{'force':true}", "one of the fields 'value' and 'base64' must be there");
    assert_refused(stage, "{'base64':'a','force':true}", "field 'base64' is not base64");
    assert_refused(stage, "{'base64':7,'force':true}", "field 'base64' is not base64");
    assert_refused(stage, "{'value':1,'note':7,'force':true}", "field 'note' must be text");
    assert_refused(stage, "{'value':1,'note':'a\\u0000b','force':true}", "field 'note' has a NUL in it");
    VERB(stage, HF_ERR_BAD_JSON, state_set, &ME, "x", BODY("{'value':1"));
    VERB(stage, HF_ERR_BAD_ID, state_set, &ME, "a/b", BODY("{'value':1,'force':true}"));
    assert_int_equal(talk_count(stage, STATE_KIND), 0);
}

static void test_long_note(void **state) {
    struct stage *stage = *state;
    char body[STATE_TEXT_MAX + 100];
    int bytes = sprintf(body, "{'value':1,'force':true,'note':'%0*d'}", STATE_TEXT_MAX + 1, 7);
    assert_true(bytes > STATE_TEXT_MAX);
    assert_refused(stage, body, "has more than 4096 bytes");
}

/* A null is a member that is not there; force that is false asks for nothing. */
static void test_no_basis(void **state) {
    struct stage *stage = *state;
    VERB(stage, HF_ERR_NO_BASIS, state_set, &ME, "x", BODY("{'value':1}"));
    assert_says(stage, "nothing was saved yet: give if_version 0");
    talk_save(stage, "x", "1");
    talk_save(stage, "x", "2");
    VERB(stage, HF_ERR_NO_BASIS, state_set, &ME, "x", BODY("{'value':1,'if_version':null,'force':false}"));
    assert_says(stage, "the newest version is 2");
    assert_says(stage, "give if_version 2");
}

static void test_basis(void **state) {
    struct stage *stage = *state;
    VERB(stage, HF_ERR_PRECONDITION, state_set, &ME, "x", BODY("{'value':1,'if_version':1}"));
    assert_says(stage, "nothing was saved yet");
    VERB(stage, 0, state_set, &ME, "x", BODY("{'value':1,'if_version':0}"));
    VERB(stage, HF_ERR_PRECONDITION, state_set, &ME, "x", BODY("{'value':2,'if_version':0}"));
    assert_says(stage, "the newest version is 1, not 0");
    assert_says(stage, "state get 'x'");
    VERB(stage, HF_ERR_CONFLICT, state_set, &ME, "x", BODY("{'value':2,'fence':7}"));
    uint64_t fence = talk_begin(stage, "x", "{}");
    char body[128];
    VERB(stage, HF_ERR_CONFLICT, state_set, &ME, "x", BODY("{'value':2,'if_version':1}"));
    assert_says(stage, "run x@1");
    sprintf(body, "{'value':2,'fence':%d,'if_version':2}", (int)fence);
    VERB(stage, HF_ERR_PRECONDITION, state_set, &ME, "x", BODY(body));
    sprintf(body, "{'value':2,'fence':%d,'if_version':1}", (int)fence);
    VERB(stage, 0, state_set, &ME, "x", BODY(body));
    assert_has("'version':2,");
    assert_has("'run':'x@1','fence':1,");
    VERB(stage, 0, state_set, &ME, "x", BODY("{'value':3,'force':true,'note':'by hand','code_version':'c1'}"));
    assert_has("'run':'','fence':0,'code_version':'c1','note':'by hand','who':'me','forced':true");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TALK_TEST(test_strict),
        TALK_TEST(test_long_note),
        TALK_TEST(test_no_basis),
        TALK_TEST(test_basis),
    };
    return cmocka_run_group_tests_name("keep/state_body", tests, NULL, NULL);
}
