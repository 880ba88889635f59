/* Retention by request: applied at once, however much there is. */
#include "unit/keep/state_talk.h"

static void test_at_once(void **state) {
    struct stage *stage = *state;
    enum { MANY = 3 * STATE_DROP_AT_ONCE };
    VERB(stage, 0, state_keep, &ME, "x", BODY("{'versions':1000}"));
    for (int i = 1; i <= MANY; i++) {
        char text[16];
        sprintf(text, "%d", i);
        talk_save(stage, "x", text);
    }
    assert_int_equal(talk_count(stage, STATE_VERSION_KIND), MANY);
    VERB(stage, 0, state_keep, &ME, "x", BODY("{'versions':3}"));
    assert_has("'keep':{'versions':3,'max_age_ms':0}");
    assert_has("'versions_kept':3,'changed':true");
    assert_int_equal(talk_count(stage, STATE_VERSION_KIND), 3);
    stage_expect_text(stage, "x", "300", MANY);
    VERB(stage, 0, state_keep, &ME, "x", BODY("{'versions':3}"));
    assert_has("'changed':false");
}

static void test_one_alone(void **state) {
    struct stage *stage = *state;
    talk_save(stage, "x", "1");
    VERB(stage, 0, state_keep, &ME, "x", BODY("{'versions':7}"));
    VERB(stage, 0, state_keep, &ME, "x", BODY("{'max_age_ms':86400000}"));
    assert_has("'keep':{'versions':7,'max_age_ms':86400000}");
    VERB(stage, 0, state_keep, &ME, "x", BODY("{'versions':0,'max_age_ms':0}"));
    assert_has("'keep':{'versions':50,'max_age_ms':0}");
}

static void test_refused(void **state) {
    struct stage *stage = *state;
    talk_save(stage, "x", "1");
    VERB(stage, HF_ERR_INVALID, state_keep, &ME, "x", BODY("{}"));
    VERB(stage, HF_ERR_INVALID, state_keep, &ME, "x", BODY("{'versions':-1}"));
    VERB(stage, HF_ERR_INVALID, state_keep, &ME, "x", BODY("{'versions':4294967296}"));
    VERB(stage, HF_ERR_INVALID, state_keep, &ME, "x", BODY("{'versions':2,'force':true}"));
    assert_says(stage, "field \"force\" is unknown");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TALK_TEST(test_at_once),
        TALK_TEST(test_one_alone),
        TALK_TEST(test_refused),
    };
    return cmocka_run_group_tests_name("keep/state_retention", tests, NULL, NULL);
}
