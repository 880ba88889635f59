/* What a save is based on, what goes with it, and who comes between. */
#include "unit/keep/state_stage.h"

static int save_if(struct stage *stage, const char *text, uint64_t if_version, struct hf_batch *with,
                   uint64_t *ret_version) {
    const struct hf_state_save_options options = {
        .struct_bytes = sizeof options,
        .basis = HF_STATE_IF_VERSION,
        .if_version = if_version,
        .code_version = "c1",
        .note = "why",
        .who = "tester",
        .with = with,
    };
    return hf_state_save(stage->store, "x", text, strlen(text), &options, ret_version, &stage->error);
}

static void test_nothing_saved_and_defaults(void **state) {
    struct stage *stage = *state;
    struct hf_state_value *value = NULL;
    assert_code(stage, HF_ERR_NOT_FOUND, hf_state_load(stage->store, "x", &value, &stage->error));
    assert_says(stage, "nothing was ever saved");
    assert_null(value);
    assert_code(stage, 0, hf_state_default(stage->store, "x", "{\"n\":0}", 7, &value, &stage->error));
    assert_int_equal(value->version, 0);
    assert_int_equal(value->is_json, 1);
    assert_string_equal(value->bytes, "{\"n\":0}");
    hf_state_value_free(&value);
    assert_int_equal(hf_store_revision(stage->store), 0);
    stage_save_text(stage, "x", "17");
    assert_code(stage, 0, hf_state_default(stage->store, "x", "{}", 2, &value, &stage->error));
    assert_string_equal(value->bytes, "17");
    hf_state_value_free(&value);
    hf_state_value_free(&value);
    assert_code(stage, HF_ERR_NOT_FOUND, hf_state_load_version(stage->store, "x", 2, &value, &stage->error));
    assert_code(stage, HF_ERR_INVALID, hf_state_load_version(stage->store, "x", 0, &value, &stage->error));
}

static void test_each_save_is_a_version(void **state) {
    struct stage *stage = *state;
    uint64_t version = 0;
    assert_code(stage, 0, save_if(stage, "1", 0, NULL, &version));
    assert_int_equal(version, 1);
    stage->wall_ms += 5000;
    assert_code(stage, 0, save_if(stage, "2", 1, NULL, &version));
    assert_int_equal(version, 2);
    struct hf_state_value *value = NULL;
    assert_code(stage, 0, hf_state_load(stage->store, "x", &value, &stage->error));
    assert_string_equal(value->bytes, "2");
    assert_int_equal(value->at_ms, stage->wall_ms);
    assert_string_equal(value->code_version, "c1");
    assert_string_equal(value->note, "why");
    assert_string_equal(value->who, "tester");
    assert_string_equal(value->run, "");
    hf_state_value_free(&value);
    assert_code(stage, 0, hf_state_load_version(stage->store, "x", 1, &value, &stage->error));
    assert_string_equal(value->bytes, "1");
    assert_int_equal(value->at_ms, stage->wall_ms - 5000);
    hf_state_value_free(&value);
}

static void test_basis(void **state) {
    struct stage *stage = *state;
    struct hf_state_save_options options = {.struct_bytes = sizeof options};
    assert_code(stage, HF_ERR_NO_BASIS, hf_state_save(stage->store, "x", "1", 1, NULL, NULL, &stage->error));
    assert_code(stage, HF_ERR_NO_BASIS, hf_state_save(stage->store, "x", "1", 1, &options, NULL, &stage->error));
    options.basis = (enum hf_state_basis)7;
    assert_code(stage, HF_ERR_INVALID, hf_state_save(stage->store, "x", "1", 1, &options, NULL, &stage->error));
    options.struct_bytes = sizeof options + 8;
    assert_code(stage, HF_ERR_INVALID, hf_state_save(stage->store, "x", "1", 1, &options, NULL, &stage->error));
    assert_code(stage, HF_ERR_PRECONDITION, save_if(stage, "1", 3, NULL, NULL));
    assert_code(stage, 0, save_if(stage, "1", 0, NULL, NULL));
    assert_code(stage, HF_ERR_PRECONDITION, save_if(stage, "2", 0, NULL, NULL));
    assert_says(stage, "it is at version 1, not 0");
    stage_expect_text(stage, "x", "1", 1);
}

static void test_same_bytes_make_no_version(void **state) {
    struct stage *stage = *state;
    uint64_t version = 0;
    assert_code(stage, 0, save_if(stage, "{\"a\":1}", 0, NULL, &version));
    uint64_t revision = hf_store_revision(stage->store);
    stage->wall_ms += 1000;
    assert_code(stage, 0, save_if(stage, "{\"a\":1}", 1, NULL, &version));
    assert_int_equal(version, 1);
    assert_int_equal(hf_store_revision(stage->store), revision);
    assert_code(stage, 0, save_if(stage, "{\"a\": 1}", 1, NULL, &version)); /* the same value, other bytes */
    assert_int_equal(version, 2);
    stage_expect_text(stage, "x", "{\"a\": 1}", 2);
}

/* ---- records in the same commit ---- */

static struct hf_batch *batch_of(const char *id, const char *json, const struct hf_change_options *options) {
    struct hf_batch *batch = NULL;
    assert_int_equal(hf_batch_new("collector", &batch, NULL), 0);
    assert_int_equal(hf_batch_put(batch, "item", id, json, strlen(json), options, NULL), 0);
    return batch;
}

static void expect_item(struct stage *stage, const char *id, const char *json) {
    struct hf_record *record = NULL;
    int code = hf_store_get(stage->store, "item", id, &record, NULL);
    assert_int_equal(code, json ? 0 : HF_ERR_NOT_FOUND);
    if (json)
        assert_string_equal(record->json, json);
    hf_record_free(&record);
}

static void test_records_go_with_the_state(void **state) {
    struct stage *stage = *state;
    const struct hf_change_options absent = {.condition = HF_IF_ABSENT};
    uint64_t revision = hf_store_revision(stage->store);
    assert_code(stage, 0, save_if(stage, "1", 0, batch_of("a", "1", &absent), NULL));
    assert_int_equal(hf_store_revision(stage->store), revision + 1);
    expect_item(stage, "a", "1");
    /* The same state: the records are committed all the same. */
    assert_code(stage, 0, save_if(stage, "1", 1, batch_of("b", "2", NULL), NULL));
    expect_item(stage, "b", "2");
    stage_expect_text(stage, "x", "1", 1);
    /* A save that is refused takes no records. */
    assert_code(stage, HF_ERR_PRECONDITION, save_if(stage, "2", 7, batch_of("c", "3", NULL), NULL));
    expect_item(stage, "c", NULL);
    /* Records that are refused: no state. Their condition is not tried again and again. */
    assert_code(stage, HF_ERR_EXISTS, save_if(stage, "2", 1, batch_of("a", "9", &absent), NULL));
    assert_says(stage, "item/a");
    const struct hf_change_options other = {.condition = HF_IF_REVISION, .if_revision = 99};
    assert_code(stage, HF_ERR_PRECONDITION, save_if(stage, "2", 1, batch_of("a", "9", &other), NULL));
    assert_says(stage, "item/a");
    assert_code(stage, HF_ERR_BAD_JSON, save_if(stage, "2", 1, batch_of("a", "{", NULL), NULL));
    expect_item(stage, "a", "1");
    stage_expect_text(stage, "x", "1", 1);
    struct hf_batch *deletion = NULL;
    assert_int_equal(hf_batch_new(NULL, &deletion, NULL), 0);
    assert_int_equal(hf_batch_delete(deletion, "item", "none", NULL, NULL), 0);
    assert_code(stage, HF_ERR_NOT_FOUND, save_if(stage, "2", 1, deletion, NULL));
    stage_expect_text(stage, "x", "1", 1);
}

static void test_records_that_are_the_state(void **state) {
    struct stage *stage = *state;
    struct hf_batch *batch = NULL;
    assert_int_equal(hf_batch_new(NULL, &batch, NULL), 0);
    assert_int_equal(hf_batch_put(batch, STATE_KIND, "x", "{}", 2, NULL, NULL), 0);
    assert_code(stage, HF_ERR_INVALID, save_if(stage, "1", 0, batch, NULL));
    assert_int_equal(hf_store_revision(stage->store), 0);
}

/* ---- others come between ---- */

struct rival {
    struct stage *stage;
    int times; /* that another save comes between reading and committing */
    int calls;
    struct state_bytes bytes;
};

static int save_behind_rival(void *arg, struct state_head *head, struct hf_batch *batch, struct hf_error *error) {
    struct rival *rival = arg;
    char text[32];
    rival->calls++;
    if (rival->times-- > 0) {
        snprintf(text, sizeof text, "\"rival %d\"", rival->calls);
        stage_save_text(rival->stage, "x", text);
    }
    const struct state_meta meta = {.version = 0};
    return state_change_save(rival->stage->store, head, batch, &rival->bytes, &meta, error);
}

static int change_with_rival(struct stage *stage, int times, const struct hf_batch *with, struct rival *rival) {
    *rival = (struct rival){.stage = stage, .times = times};
    assert_int_equal(state_bytes_look("\"mine\"", 6, &rival->bytes, NULL), 0);
    const struct state_change change = {
        .store = stage->store, .name = "x", .with = with, .change = save_behind_rival, .arg = rival};
    return state_change_commit(&change, NULL, &stage->error);
}

static void test_who_is_overtaken_begins_again(void **state) {
    struct stage *stage = *state;
    struct rival rival;
    assert_code(stage, 0, change_with_rival(stage, 3, NULL, &rival));
    assert_int_equal(rival.calls, 4);
    stage_expect_text(stage, "x", "\"mine\"", 4);
    for (uint64_t version = 1; version <= 4; version++)
        assert_int_equal(stage_has(stage, "x", version), 1);
    assert_code(stage, HF_ERR_CONFLICT, change_with_rival(stage, 1000, NULL, &rival));
    assert_int_equal(rival.calls, STATE_TRIES);
}

static void test_refused_records_behind_a_rival(void **state) {
    struct stage *stage = *state;
    struct rival rival;
    const struct hf_change_options absent = {.condition = HF_IF_ABSENT};
    struct hf_batch *with = batch_of("a", "1", &absent);
    assert_code(stage, 0, change_with_rival(stage, 2, with, &rival));
    expect_item(stage, "a", "1");
    assert_code(stage, HF_ERR_EXISTS, change_with_rival(stage, 2, with, &rival));
    assert_int_equal(rival.calls, 3); /* again while the head moved, then it is the caller's answer */
    assert_says(stage, "item/a");
    hf_batch_free(&with);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_nothing_saved_and_defaults, stage_memory, stage_teardown),
        cmocka_unit_test_setup_teardown(test_each_save_is_a_version, stage_sqlite, stage_teardown),
        cmocka_unit_test_setup_teardown(test_basis, stage_memory, stage_teardown),
        cmocka_unit_test_setup_teardown(test_same_bytes_make_no_version, stage_memory, stage_teardown),
        cmocka_unit_test_setup_teardown(test_records_go_with_the_state, stage_sqlite, stage_teardown),
        cmocka_unit_test_setup_teardown(test_records_that_are_the_state, stage_memory, stage_teardown),
        cmocka_unit_test_setup_teardown(test_who_is_overtaken_begins_again, stage_memory, stage_teardown),
        cmocka_unit_test_setup_teardown(test_refused_records_behind_a_rival, stage_memory, stage_teardown),
    };
    return cmocka_run_group_tests_name("saving states", tests, NULL, NULL);
}
