/* Out as a document and in again; removal, and the way back from it. */
#include "unit/keep/state_talk.h"

/* A copy of the last answer, which the next one does not overwrite. */
static char *keep_answer(void) {
    char *copy = strdup(buf_text(&answer));
    assert_non_null(copy);
    return copy;
}

static void import_text(struct stage *stage, int code, const char *name, const char *text, int replace) {
    VERB(stage, code, state_import, &ME, name, text, strlen(text), replace);
}

/* The text with its first `from` replaced. */
static char *changed(const char *text, const char *from, const char *to) {
    const char *at = strstr(text, body_of(from));
    if (!at)
        fail_msg("<%s> is not in: %s", from, text);
    BUF_AUTO struct buf copy;
    buf_init(&copy);
    buf_add(&copy, text, (size_t)(at - text));
    buf_add_text(&copy, body_of(to));
    buf_add_text(&copy, at + strlen(from));
    assert_non_null(buf_text(&copy));
    return strdup(buf_text(&copy));
}

/* Three versions, of both forms and with white space, and an ended run. */
static char *export_sample(struct stage *stage) {
    talk_begin(stage, "x", "{'reason':'nightly','command':['sh','-c','true']}");
    VERB(stage, 0, state_set, &ME, "x", BODY("{'base64':'IHsibiI6MS4wMH0K','fence':1,'note':'first'}"));
    VERB(stage, 0, state_set, &ME, "x", BODY("{'base64':'gAJOLg==','fence':1}"));
    VERB(stage, 0, state_run_end, &ME, "x", BODY("{'fence':1,'value':{'n':3},'exit_code':0}"));
    VERB(stage, 0, state_keep, &ME, "x", BODY("{'versions':7,'max_age_ms':5000}"));
    VERB(stage, 0, state_export, "x", 0);
    return keep_answer();
}

static void test_round_trip(void **state) {
    struct stage *stage = *state;
    VERB(stage, HF_ERR_NOT_FOUND, state_export, "x", 0);
    char *text = export_sample(stage);
    assert_has("{'holdfast_state':1,'name':'x','keep':{'versions':7,'max_age_ms':5000},'versions':[{'version':1,");
    assert_has("'space':[' ','\\n'],'value':{'n':1.00}},{'version':2,");
    assert_has("'runs':[{'name':'x','run':'x@1',");
    assert_has("'damaged':0}");
    import_text(stage, 0, "y", text, 0);
    assert_has("{'name':'y','version':3,");
    assert_has("'run':'y@1','fence':1,");
    assert_has("'keep':{'versions':7,'max_age_ms':5000},'lease':null,'versions_kept':3,'changed':true}");
    VERB(stage, 0, state_export, "y", 0);
    char *again = keep_answer(), *renamed;
    while (strstr(again, "\"y\"") || strstr(again, "\"y@1\"")) {
        renamed = changed(again, strstr(again, "\"y\"") ? "'y'" : "'y@1'", strstr(again, "\"y\"") ? "'x'" : "'x@1'");
        free(again);
        again = renamed;
    }
    assert_string_equal(again, text);
    stage_expect_text(stage, "y", "{\"n\":3}", 3);
    VERB(stage, 0, state_get, "y", 2, 0);
    assert_has("'base64':'gAJOLg=='");
    assert_int_equal(talk_begin(stage, "y", "{}"), 2);
    free(text);
    free(again);
}

static void test_newest_only(void **state) {
    struct stage *stage = *state;
    free(export_sample(stage));
    VERB(stage, 0, state_export, "x", 1);
    assert_has("'versions':[{'version':3,");
    assert_lacks("'version':2");
    assert_has("'runs':[],");
    char *text = keep_answer();
    import_text(stage, 0, "y", text, 0);
    stage_expect_text(stage, "y", "{\"n\":3}", 3);
    assert_has("'versions_kept':1,");
    assert_int_equal(talk_begin(stage, "y", "{}"), 2); /* its run is not there, but its fence was given */
    free(text);
    talk_damage_version(stage, "x", 3);
    VERB(stage, HF_ERR_CORRUPT, state_export, "x", 1);
    assert_says(stage, "rollback 'x' --to 2");
    VERB(stage, 0, state_export, "x", 0);
    assert_has("'damaged':1}");
    talk_damage(stage, STATE_KIND, "x");
    VERB(stage, 0, state_export, "x", 0);
    assert_has("'versions':[{'version':1,");
}

static void test_replace(void **state) {
    struct stage *stage = *state;
    char *text = export_sample(stage);
    talk_save(stage, "x", "4");
    import_text(stage, HF_ERR_EXISTS, "x", text, 0);
    assert_says(stage, "--replace");
    import_text(stage, 0, "x", text, 1);
    assert_has("'version':5,");
    assert_has("'note':'import of version 3','who':'me'");
    stage_expect_text(stage, "x", "{\"n\":3}", 5);
    assert_true(stage_has(stage, "x", 4));
    import_text(stage, 0, "x", text, 1);
    assert_has("'version':5,");
    assert_has("'changed':false");
    talk_begin(stage, "x", "{}");
    import_text(stage, HF_ERR_CONFLICT, "x", text, 1);
    import_text(stage, 0, "new", text, 1);
    assert_has("'version':3,");
    free(text);
}

static void test_replace_of_what_is_damaged(void **state) {
    struct stage *stage = *state;
    char *text = export_sample(stage);
    for (uint64_t i = 1; i <= 3; i++)
        talk_damage_version(stage, "x", i);
    talk_damage(stage, STATE_KIND, "x");
    VERB(stage, HF_ERR_CORRUPT, state_get, "x", 0, 0);
    assert_says(stage, "no version is whole");
    import_text(stage, 0, "x", text, 1);
    stage_expect_text(stage, "x", "{\"n\":3}", 4);
    free(text);
}

/* Whatever is wrong with it, nothing of it is taken. */
static void test_refused(void **state) {
    struct stage *stage = *state;
    char *text = export_sample(stage);
    static const struct {
        const char *from, *to;
        int code;
        const char *said;
    } CHANGES[] = {
        {"'holdfast_state':1", "'holdfast_state':2", HF_ERR_SCHEMA_NEWER, "it has format 2, and at most 1 is known"},
        {"'holdfast_state':1", "'holdfast_state':'1'", HF_ERR_BAD_DATA, "it is not an exported state"},
        {"'damaged':0", "'damagde':0", HF_ERR_INVALID, "field \"damagde\" is unknown"},
        {"'n':1.00", "'n':1.01", HF_ERR_CORRUPT, "version 1: its bytes do not fit their digest"},
        {"'n':1.00", "'n':1.0", HF_ERR_CORRUPT, "version 1: "},
        {"'gAJOLg=='", "'gAJPLg=='", HF_ERR_CORRUPT, "version 2: its bytes do not fit"},
        {"'version':2", "'version':1", HF_ERR_BAD_DATA, "numbers that grow"},
        {"'form':'bytes'", "'form':'bites'", HF_ERR_CORRUPT, "version 2: member 'form'"},
        {"'number':1", "'number':'1'", HF_ERR_BAD_DATA, "runs must have numbers"},
        {"'outcome':'ok'", "'outcome':7", HF_ERR_CORRUPT, "run 1: "},
        {"'versions':[", "'versions':7,'runs':[", HF_ERR_BAD_JSON, ""},
        {"'keep':{'versions':7", "'keep':{'versions':-7", HF_ERR_INVALID, "field 'versions'"},
    };
    for (size_t i = 0; i < sizeof CHANGES / sizeof CHANGES[0]; i++) {
        char *wrong = changed(text, CHANGES[i].from, CHANGES[i].to);
        import_text(stage, CHANGES[i].code, "y", wrong, 0);
        assert_says(stage, CHANGES[i].said);
        free(wrong);
    }
    import_text(stage, HF_ERR_BAD_DATA, "y", "{\"holdfast_state\":1,\"name\":\"x\",\"versions\":[],\"runs\":[]}", 0);
    import_text(stage, HF_ERR_BAD_DATA, "y", "[]", 0);
    VERB(stage, HF_ERR_NOT_FOUND, state_show, "y");
    assert_int_equal(talk_count(stage, STATE_KIND), 1);
    free(text);
}

/* Other programs write the same document in other ways: '/' escaped, and white space. */
static void test_written_by_others(void **state) {
    struct stage *stage = *state;
    assert_code(stage, 0, stage_save(stage, "x", "\xff\xff", 2, NULL));
    VERB(stage, 0, state_export, "x", 0);
    char *text = keep_answer(), *other = changed(text, "'//8='", " '\\/\\/8=' ");
    import_text(stage, 0, "y", other, 0);
    stage_expect(stage, "y", "\xff\xff", 2, 1);
    free(other);
    free(text);
}

/* The digest is of the bytes alone: what is JSON is looked at, not believed. */
static void test_form_is_looked_at(void **state) {
    struct stage *stage = *state;
    char *text = export_sample(stage), *wrong = changed(text, "'form':'bytes'", "'form':'json'");
    import_text(stage, 0, "y", wrong, 0);
    VERB(stage, 0, state_get, "y", 2, 0);
    assert_has("'form':'bytes','bytes':4,");
    assert_has("'base64':'gAJOLg=='");
    free(wrong);
    free(text);
}

static void test_cut_short(void **state) {
    struct stage *stage = *state;
    char *text = export_sample(stage);
    for (size_t cut = 0; cut < strlen(text); cut++)
        VERB(stage, HF_ERR_BAD_JSON, state_import, &ME, "y", text, cut, 0);
    assert_int_equal(talk_count(stage, STATE_KIND), 1);
    free(text);
}

/* ---- clear ---- */

static void test_clear_and_back(void **state) {
    struct stage *stage = *state;
    VERB(stage, HF_ERR_NOT_FOUND, state_clear, &ME, "x", 0, 0);
    free(export_sample(stage));
    VERB(stage, 0, state_clear, &ME, "x", 0, 0);
    assert_answer(
        "{'name':'x','removed':true,'versions':3,'runs':1,'trash':'x@2023-11-14T22:13:20.000Z','changed':true}");
    VERB(stage, HF_ERR_NOT_FOUND, state_get, "x", 0, 0);
    VERB(stage, HF_ERR_NOT_FOUND, state_clear, &ME, "x", 0, 0);
    assert_int_equal(talk_count(stage, STATE_VERSION_KIND) + talk_count(stage, STATE_RUN_KIND), 0);
    struct hf_record *record = NULL;
    assert_code(stage, 0,
                hf_store_get(stage->store, STATE_TRASH_KIND, "x@2023-11-14T22:13:20.000Z", &record, &stage->error));
    import_text(stage, 0, "x", record->json, 0);
    stage_expect_text(stage, "x", "{\"n\":3}", 3);
    VERB(stage, 0, state_runs, "x", 0);
    assert_has("'run':'x@1'");
    /* within the same millisecond */
    VERB(stage, 0, state_clear, &ME, "x", 0, 0);
    assert_has("'trash':'x@2023-11-14T22:13:20.001Z'");
    hf_record_free(&record);
}

static void test_purge(void **state) {
    struct stage *stage = *state;
    talk_save(stage, "x", "1");
    VERB(stage, 0, state_clear, &ME, "x", 0, 1);
    assert_has("'trash':null");
    assert_int_equal(talk_count(stage, NULL), 0);
}

/* A run that was under way when its state was removed can never write again, whatever began since. */
static void test_clear_beside_a_lease(void **state) {
    struct stage *stage = *state;
    talk_begin(stage, "x", "{}");
    VERB(stage, 0, state_set, &ME, "x", BODY("{'value':1,'fence':1}"));
    VERB(stage, HF_ERR_CONFLICT, state_clear, &ME, "x", 0, 0);
    VERB(stage, 0, state_clear, &ME, "x", 1, 1);
    VERB(stage, HF_ERR_CONFLICT, state_set, &ME, "x", BODY("{'value':2,'fence':1}"));
    VERB(stage, HF_ERR_CONFLICT, state_run_end, &ME, "x", BODY("{'fence':1,'value':2}"));
    assert_int_equal(talk_begin(stage, "x", "{}"), 2);
    VERB(stage, HF_ERR_CONFLICT, state_run_end, &ME, "x", BODY("{'fence':1,'value':2}"));
    VERB(stage, 0, state_run_end, &ME, "x", BODY("{'fence':2,'value':3}"));
    stage_expect_text(stage, "x", "3", 1);
}

static void test_clear_of_what_is_damaged(void **state) {
    struct stage *stage = *state;
    talk_save(stage, "x", "1");
    talk_save(stage, "x", "2");
    talk_damage_version(stage, "x", 2);
    talk_damage(stage, STATE_KIND, "x");
    VERB(stage, 0, state_clear, &ME, "x", 0, 0);
    assert_has("'versions':2,");
    VERB(stage, HF_ERR_NOT_FOUND, state_get, "x", 0, 0);
    talk_save(stage, "x", "3");
    stage_expect_text(stage, "x", "3", 1);
}

/* A damaged head without anything beside it is there, and can be removed: no name is lost for ever. */
static void test_clear_of_a_damaged_head_alone(void **state) {
    struct stage *stage = *state;
    talk_begin(stage, "x", "{}");
    VERB(stage, 0, state_clear, &ME, "x", 1, 0);
    talk_damage(stage, STATE_KIND, "x");
    VERB(stage, HF_ERR_CORRUPT, state_set, &ME, "x", BODY("{'value':1,'force':true}"));
    assert_says(stage, "holdfast state clear 'x'");
    VERB(stage, 0, state_clear, &ME, "x", 0, 0);
    VERB(stage, 0, state_set, &ME, "x", BODY("{'value':1,'if_version':0}"));
}

/* As deep as a version may be: the record of what was removed nests two levels more, so it has them as base64. */
static void test_clear_of_what_is_deep(void **state) {
    struct stage *stage = *state;
    enum { DEPTH = 127 };
    char text[2 * DEPTH + 1];
    memset(text, '[', DEPTH);
    memset(text + DEPTH, ']', DEPTH);
    text[2 * DEPTH] = '\0';
    talk_save(stage, "x", text);
    VERB(stage, 0, state_show, "x");
    assert_has("'form':'json'");
    VERB(stage, 0, state_clear, &ME, "x", 0, 0);
    struct hf_record *record = NULL;
    assert_code(stage, 0,
                hf_store_get(stage->store, STATE_TRASH_KIND, "x@2023-11-14T22:13:20.000Z", &record, &stage->error));
    assert_non_null(strstr(record->json, "\"base64\":\"W1tb"));
    import_text(stage, 0, "x", record->json, 0);
    assert_has("'form':'json'");
    stage_expect_text(stage, "x", text, 1);
    hf_record_free(&record);
}

static void test_clear_of_too_much(void **state) {
    struct stage *stage = *state;
    static const struct hf_store_options SMALL = {.struct_bytes = sizeof SMALL, .max_document_bytes = 3000};
    hf_store_close(&stage->store);
    stage_open_with(stage, &SMALL);
    for (int i = 1; i <= 3; i++) {
        char text[2000];
        sprintf(text, "%d%01200d", i, 7);
        talk_save(stage, "x", text);
    }
    VERB(stage, HF_ERR_TOO_LARGE, state_clear, &ME, "x", 0, 0);
    assert_says(stage, "holdfast state export 'x'");
    assert_int_equal(talk_count(stage, STATE_VERSION_KIND), 3);
    VERB(stage, 0, state_clear, &ME, "x", 0, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TALK_TEST(test_round_trip),
        TALK_TEST(test_newest_only),
        TALK_TEST(test_replace),
        TALK_TEST(test_replace_of_what_is_damaged),
        TALK_TEST(test_refused),
        TALK_TEST(test_written_by_others),
        TALK_TEST(test_form_is_looked_at),
        TALK_TEST(test_cut_short),
        TALK_TEST(test_clear_and_back),
        TALK_TEST(test_purge),
        TALK_TEST(test_clear_beside_a_lease),
        TALK_TEST(test_clear_of_what_is_damaged),
        TALK_TEST(test_clear_of_a_damaged_head_alone),
        TALK_TEST(test_clear_of_what_is_deep),
        TALK_TEST(test_clear_of_too_much),
    };
    return cmocka_run_group_tests_name("keep/state_export", tests, NULL, NULL);
}
