/* Bytes that rotted on disk, under the verbs that lead out of it: the rows themselves are damaged here, not only what
 * they say. */
#include "unit/keep/state_talk.h"

static int rot_setup(void **state) {
    buf_init(&answer);
    return stage_sqlite(state);
}

/* Changes one letter of each place where the text stands in the database file, and opens it again. */
static void rot(struct stage *stage, const char *text) {
    char path[128];
    hf_store_close(&stage->store);
    snprintf(path, sizeof path, "%s/store.db", stage->folder);
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    static char bytes[1 << 20];
    size_t size = fread(bytes, 1, sizeof bytes, file);
    int places = 0;
    for (char *at = bytes; (at = memmem(at, size - (size_t)(at - bytes), text, strlen(text))); at++, places++)
        *at ^= 1;
    assert_true(places > 0);
    rewind(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    fclose(file);
    stage_open(stage);
}

static void save_three(struct stage *stage) {
    talk_save(stage, "x", "'value one'");
    talk_save(stage, "x", "'value two'");
    talk_save(stage, "x", "'value three'");
}

static void test_newest(void **state) {
    struct stage *stage = *state;
    save_three(stage);
    rot(stage, "value three");
    VERB(stage, HF_ERR_CORRUPT, state_get, "x", 0, 0);
    assert_says(stage, "version 2 is the newest that is whole");
    VERB(stage, 0, state_log, "x", 0);
    assert_has("{'version':3,'error':'it is damaged'}");
    VERB(stage, 0, state_export, "x", 0);
    assert_has("'damaged':1}");
    VERB(stage, 0, state_rollback, &ME, "x", 2, 0, 0);
    talk_expect(stage, "x", "'value two'", 4);
    VERB(stage, 0, state_keep, &ME, "x", BODY("{'versions':1}"));
    assert_has("'versions_kept':1,");
    assert_int_equal(talk_count(stage, STATE_VERSION_KIND), 1);
}

static void test_head(void **state) {
    struct stage *stage = *state;
    talk_begin(stage, "x", "{}");
    save_three(stage);
    rot(stage, "\"last_run\":");
    VERB(stage, HF_ERR_CORRUPT, state_get, "x", 0, 0);
    VERB(stage, 0, state_list, NULL, 0);
    assert_has("[{'name':'x','error':");
    VERB(stage, 0, state_rollback, &ME, "x", 3, 0, 0);
    talk_expect(stage, "x", "'value three'", 3);
    VERB(stage, HF_ERR_CONFLICT, state_set, &ME, "x", BODY("{'value':1,'fence':1}"));
    assert_true(talk_begin(stage, "x", "{}") > 1);
}

static void test_clear(void **state) {
    struct stage *stage = *state;
    talk_begin(stage, "x", "{}");
    save_three(stage);
    rot(stage, "\"last_run\":");
    rot(stage, "value two");
    rot(stage, "\"output_tail\":");
    VERB(stage, 0, state_runs, "x", 0);
    assert_answer("[{'number':1,'error':'it is damaged'}]");
    VERB(stage, 0, state_clear, &ME, "x", 0, 0);
    assert_has("'versions':3,'runs':1,'trash':'x@");
    VERB(stage, HF_ERR_NOT_FOUND, state_get, "x", 0, 0);
    assert_int_equal(talk_count(stage, STATE_VERSION_KIND) + talk_count(stage, STATE_RUN_KIND), 0);
    assert_true(talk_begin(stage, "x", "{}") > 1);
}

#define ROT_TEST(test) cmocka_unit_test_setup_teardown(test, rot_setup, talk_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        ROT_TEST(test_newest),
        ROT_TEST(test_head),
        ROT_TEST(test_clear),
    };
    return cmocka_run_group_tests_name("keep/state_rot", tests, NULL, NULL);
}
