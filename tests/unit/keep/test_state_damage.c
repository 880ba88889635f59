/* Damage: of a version, of the head, of both. It is told of, never taken for a state that was not saved, and there is a
 * way out. */
#include "unit/keep/state_stage.h"

static void overwrite(struct stage *stage, const char *kind, const char *id, const char *json) {
    assert_code(stage, 0, hf_store_put(stage->store, kind, id, json, strlen(json), NULL, &stage->error));
}

static void version_id(uint64_t version, char id[HF_ID_MAX + 1]) {
    state_number_id("x", version, id);
}

static void overwrite_version(struct stage *stage, uint64_t version, const char *json) {
    char id[HF_ID_MAX + 1];
    version_id(version, id);
    overwrite(stage, STATE_VERSION_KIND, id, json);
}

/* Changes a part of a stored version's text. */
static void alter_version(struct stage *stage, uint64_t version, const char *from, const char *to) {
    char id[HF_ID_MAX + 1], json[2048];
    struct hf_record *record = NULL;
    version_id(version, id);
    assert_code(stage, 0, hf_store_get(stage->store, STATE_VERSION_KIND, id, &record, &stage->error));
    const char *at = strstr(record->json, from);
    assert_non_null(at);
    snprintf(json, sizeof json, "%.*s%s%s", (int)(at - record->json), record->json, to, at + strlen(from));
    hf_record_free(&record);
    overwrite_version(stage, version, json);
}

static void save_versions(struct stage *stage, int count) {
    for (int i = 1; i <= count; i++) {
        char text[32];
        snprintf(text, sizeof text, "{\"value\":\"v%d\"}", i);
        stage_save_text(stage, "x", text);
    }
}

static void expect_corrupt(struct stage *stage, const char *text, const char *way_out) {
    struct hf_state_value *value = NULL;
    assert_code(stage, HF_ERR_CORRUPT, hf_state_load(stage->store, "x", &value, &stage->error));
    assert_null(value);
    assert_says(stage, text);
    assert_says(stage, way_out);
    assert_code(stage, HF_ERR_CORRUPT, hf_state_default(stage->store, "x", "{}", 2, &value, &stage->error));
    assert_null(value);
}

static void test_damaged_version(void **state) {
    struct stage *stage = *state;
    uint64_t whole = 0;
    save_versions(stage, 3);
    assert_code(stage, 0, state_version_newest_whole(stage->store, "x", 2, &whole, &stage->error));
    assert_int_equal(whole, 2);
    alter_version(stage, 3, "v3", "v4"); /* well formed, but not what was saved */
    expect_corrupt(stage, "version 3 is damaged; version 2 is the newest that is whole", "rollback 'x' --to 2");
    overwrite_version(stage, 2, "{}");
    expect_corrupt(stage, "version 1 is the newest that is whole", "rollback 'x' --to 1");
    overwrite_version(stage, 1, "[\"no\"]");
    expect_corrupt(stage, "no version is whole", "state clear 'x'");
    struct hf_state_value *value = NULL;
    assert_code(stage, HF_ERR_CORRUPT, hf_state_load_version(stage->store, "x", 1, &value, &stage->error));
}

static void test_each_member_is_looked_at(void **state) {
    struct stage *stage = *state;
    static const char *const CHANGES[][2] = {
        {"\"version\":1", "\"version\":2"},
        {"\"form\":\"json\"", "\"form\":\"other\""},
        {"\"form\":\"json\"", "\"form\":\"bytes\""},
        {"\"bytes\":", "\"byte\":"},
        {"\"digest\":\"", "\"digest\":\"0"},
        {"\"forced\":true", "\"forced\":1"},
        {"\"at\":\"2", "\"at\":\"x"},
        {"\"value\":{", "\"values\":{"},
        {"\"note\":\"\"", "\"note\":[]"},
        {"\"fence\":0", "\"fence\":-1"},
    };
    for (size_t i = 0; i < sizeof CHANGES / sizeof CHANGES[0]; i++) {
        char id[HF_ID_MAX + 1];
        struct hf_record *record = NULL;
        struct hf_state_value *value = NULL;
        stage_save_text(stage, "x", "{\"value\":\"v1\"}");
        version_id(1, id);
        assert_code(stage, 0, hf_store_get(stage->store, STATE_VERSION_KIND, id, &record, &stage->error));
        alter_version(stage, 1, CHANGES[i][0], CHANGES[i][1]);
        if (hf_state_load(stage->store, "x", &value, &stage->error) != HF_ERR_CORRUPT)
            fail_msg("'%s' for '%s' is not seen", CHANGES[i][1], CHANGES[i][0]);
        overwrite(stage, STATE_VERSION_KIND, id, record->json);
        hf_record_free(&record);
        stage_expect_text(stage, "x", "{\"value\":\"v1\"}", 1);
    }
}

static void test_lost_version(void **state) {
    struct stage *stage = *state;
    char id[HF_ID_MAX + 1];
    save_versions(stage, 2);
    version_id(2, id);
    assert_code(stage, 0, hf_store_delete(stage->store, STATE_VERSION_KIND, id, NULL, &stage->error));
    expect_corrupt(stage, "version 2 is lost; version 1 is the newest that is whole", "--to 1");
}

/* The same bytes as a damaged newest version have to be written again. */
static void test_same_bytes_over_a_damaged_version(void **state) {
    struct stage *stage = *state;
    save_versions(stage, 2);
    alter_version(stage, 2, "v2", "vX");
    stage_save_text(stage, "x", "{\"value\":\"v2\"}");
    stage_expect_text(stage, "x", "{\"value\":\"v2\"}", 3);
}

static void test_damaged_head(void **state) {
    struct stage *stage = *state;
    static const char *const HEADS[] = {"{}", "[]", "{\"version\":3}", "7"};
    save_versions(stage, 3);
    for (size_t i = 0; i < sizeof HEADS / sizeof HEADS[0]; i++) {
        overwrite(stage, STATE_KIND, "x", HEADS[i]);
        expect_corrupt(stage, "its head is damaged; version 3 is the newest that is whole", "rollback 'x' --to 3");
        assert_code(stage, HF_ERR_CORRUPT, stage_save(stage, "x", "1", 1, NULL));
        assert_says(stage, "rollback 'x' --to 3");
        struct hf_state_lease *lease = NULL;
        assert_code(stage, HF_ERR_CORRUPT, hf_state_lease_take(stage->store, "x", NULL, &lease, &stage->error));
        assert_int_equal(stage_has(stage, "x", 3), 1);
    }
    overwrite_version(stage, 3, "{}");
    expect_corrupt(stage, "version 2 is the newest that is whole", "--to 2");
}

static void test_lost_head(void **state) {
    struct stage *stage = *state;
    save_versions(stage, 2);
    assert_code(stage, 0, hf_store_delete(stage->store, STATE_KIND, "x", NULL, &stage->error));
    expect_corrupt(stage, "its head is lost; version 2 is the newest that is whole", "--to 2");
    assert_code(stage, HF_ERR_CORRUPT, stage_save(stage, "x", "1", 1, NULL));
}

/* ---- the way out ---- */

static int go_back(void *arg, struct state_head *head, struct hf_batch *batch, struct hf_error *error) {
    struct stage *stage = arg;
    struct state_version *version = NULL;
    struct state_bytes bytes;
    const struct state_meta meta = {.note = "rollback"};
    int code = state_version_read(stage->store, "x", 2, &version, error);
    if (code == 0)
        code = state_bytes_look(version->bytes, version->meta.size, &bytes, error);
    if (code == 0)
        code = state_change_save(stage->store, head, batch, &bytes, &meta, error);
    state_version_free(&version);
    return code;
}

static void repair(struct stage *stage, struct state_head *ret_head) {
    const struct state_change change = {
        .store = stage->store, .name = "x", .repair = 1, .change = go_back, .arg = stage};
    assert_code(stage, 0, state_change_commit(&change, ret_head, &stage->error));
}

/* The same for callers of the library. */
static void test_rollback_is_the_way_out(void **state) {
    struct stage *stage = *state;
    uint64_t version = 0;
    save_versions(stage, 3);
    overwrite_version(stage, 3, "{}");
    assert_code(stage, 0, hf_state_rollback(stage->store, "x", 2, 0, NULL, &version, &stage->error));
    assert_int_equal(version, 4);
    overwrite(stage, STATE_KIND, "x", "7");
    assert_code(stage, HF_ERR_CORRUPT, hf_state_rollback(stage->store, "x", 3, 0, NULL, &version, &stage->error));
    assert_code(stage, HF_ERR_NOT_FOUND, hf_state_rollback(stage->store, "x", 9, 0, NULL, &version, &stage->error));
    assert_code(stage, HF_ERR_NOT_FOUND, hf_state_rollback(stage->store, "y", 1, 0, NULL, &version, &stage->error));
    assert_code(stage, HF_ERR_INVALID, hf_state_rollback(stage->store, "x", 0, 0, NULL, &version, &stage->error));
    assert_code(stage, HF_ERR_BAD_ID, hf_state_rollback(stage->store, "-x", 1, 0, NULL, &version, &stage->error));
    assert_int_equal(version, 4);
    assert_code(stage, 0, hf_state_rollback(stage->store, "x", 1, 0, "me", &version, &stage->error));
    assert_int_equal(version, 5);
    stage_expect_text(stage, "x", "{\"value\":\"v1\"}", 5);
}

static void take_lease(struct stage *stage, int times) {
    const struct hf_state_lease_options options = {.struct_bytes = sizeof options, .steal = 1};
    for (int i = 0; i < times; i++) {
        struct hf_state_lease *lease = NULL;
        assert_code(stage, 0, hf_state_lease_take(stage->store, "x", &options, &lease, &stage->error));
        hf_state_lease_free(&lease);
    }
}

static void test_repair_goes_on_behind_every_number(void **state) {
    struct stage *stage = *state;
    struct state_head head;
    take_lease(stage, 5);
    save_versions(stage, 4);
    overwrite(stage, STATE_KIND, "x", "{}");
    overwrite_version(stage, 4, "{}"); /* its number is not given again */
    assert_code(stage, 0, state_head_read(stage->store, "x", 1, &head, &stage->error));
    assert_int_equal(head.is_damaged, 1);
    assert_int_equal(head.newest.version, 4);
    assert_int_equal(head.fence, 5);
    assert_int_equal(head.last_run, 5);
    assert_int_equal(head.lease.fence, 0);
    state_head_fini(&head);
    repair(stage, &head);
    assert_int_equal(head.is_damaged, 0);
    assert_int_equal(head.newest.version, 5);
    assert_int_equal(state_head_kept(&head), 5);
    state_head_fini(&head);
    stage_expect_text(stage, "x", "{\"value\":\"v2\"}", 5);
    /* The owner of before cannot write. */
    struct hf_state_lease *lease = NULL;
    assert_code(stage, 0, hf_state_lease_of_fence("x", 5, &lease, &stage->error));
    const struct hf_state_save_options options = {.struct_bytes = sizeof options, .lease = lease};
    assert_code(stage, HF_ERR_CONFLICT, hf_state_save(stage->store, "x", "1", 1, &options, NULL, &stage->error));
    hf_state_lease_free(&lease);
    struct hf_state_lease *next = NULL;
    assert_code(stage, 0, hf_state_lease_take(stage->store, "x", NULL, &next, &stage->error));
    assert_int_equal(hf_state_lease_fence(next), 6);
    hf_state_lease_free(&next);
}

static void test_repair_of_a_lost_head(void **state) {
    struct stage *stage = *state;
    struct state_head head;
    save_versions(stage, 2);
    assert_code(stage, 0, hf_store_delete(stage->store, STATE_KIND, "x", NULL, &stage->error));
    repair(stage, &head);
    state_head_fini(&head);
    stage_expect_text(stage, "x", "{\"value\":\"v2\"}", 2); /* the newest says so already */
}

/* How many were to be kept is lost with the head: none is dropped because of that. */
static void test_repair_drops_nothing(void **state) {
    struct stage *stage = *state;
    struct state_head head;
    assert_code(stage, 0, hf_state_keep(stage->store, "x", 200, 0, &stage->error));
    save_versions(stage, 120);
    overwrite(stage, STATE_KIND, "x", "{}");
    repair(stage, &head);
    assert_int_equal(state_head_kept(&head), 121);
    state_head_fini(&head);
    assert_int_equal(stage_has(stage, "x", 1), 1);
}

/* ---- damage below the records ---- */

static void damage_file(struct stage *stage, const char *marker) {
    char path[128];
    snprintf(path, sizeof path, "%s/store.db", stage->folder);
    FILE *file = fopen(path, "r+");
    static char bytes[1 << 20];
    size_t size = fread(bytes, 1, sizeof bytes, file);
    int found = 0;
    for (size_t at = 0; at + strlen(marker) <= size; at++) {
        if (memcmp(bytes + at, marker, strlen(marker)) == 0) {
            fseek(file, (long)at, SEEK_SET);
            fputc('#', file);
            found = 1;
        }
    }
    fclose(file);
    assert_true(found);
}

static void test_flipped_byte_of_a_version(void **state) {
    struct stage *stage = *state;
    stage_save_text(stage, "x", "\"the first\"");
    stage_save_text(stage, "x", "\"the second\"");
    hf_store_close(&stage->store);
    damage_file(stage, "the second");
    stage_open(stage);
    expect_corrupt(stage, "version 2 is damaged; version 1 is the newest that is whole", "--to 1");
    stage_save_text(stage, "x", "\"the third\"");
    stage_expect_text(stage, "x", "\"the third\"", 3);
}

static void test_flipped_byte_of_a_head(void **state) {
    struct stage *stage = *state;
    struct state_head head;
    stage_save_text(stage, "x", "1");
    stage_save_text(stage, "x", "2");
    hf_store_close(&stage->store);
    damage_file(stage, "\"gaps\":");
    stage_open(stage);
    expect_corrupt(stage, "its head is damaged; version 2 is the newest that is whole", "--to 2");
    assert_code(stage, HF_ERR_CORRUPT, stage_save(stage, "x", "3", 1, NULL));
    repair(stage, &head);
    state_head_fini(&head);
    stage_expect_text(stage, "x", "2", 2);
    stage_save_text(stage, "x", "3");
    stage_expect_text(stage, "x", "3", 3);
}

struct slow_repair {
    struct stage *stage;
    int calls;
};

/* While it works, another repairs the head, and a run takes the lease. */
static int go_back_slowly(void *arg, struct state_head *head, struct hf_batch *batch, struct hf_error *error) {
    struct slow_repair *slow = arg;
    if (slow->calls++ == 0) {
        struct state_head other;
        repair(slow->stage, &other);
        state_head_fini(&other);
        take_lease(slow->stage, 1);
    }
    return go_back(slow->stage, head, batch, error);
}

static void test_two_repairs_at_once(void **state) {
    struct stage *stage = *state;
    struct slow_repair slow = {.stage = stage};
    struct state_head head;
    save_versions(stage, 2); /* what is gone back to is the newest: no new version keeps them apart */
    hf_store_close(&stage->store);
    damage_file(stage, "\"gaps\":");
    stage_open(stage);
    const struct state_change change = {
        .store = stage->store, .name = "x", .repair = 1, .change = go_back_slowly, .arg = &slow};
    assert_code(stage, 0, state_change_commit(&change, &head, &stage->error));
    assert_int_equal(slow.calls, 2);
    assert_true(head.lease.fence > 0); /* the run that came between has its lease still */
    assert_int_equal(head.fence, head.lease.fence);
    state_head_fini(&head);
    stage_expect_text(stage, "x", "{\"value\":\"v2\"}", 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_damaged_version, stage_memory, stage_teardown),
        cmocka_unit_test_setup_teardown(test_each_member_is_looked_at, stage_memory, stage_teardown),
        cmocka_unit_test_setup_teardown(test_lost_version, stage_memory, stage_teardown),
        cmocka_unit_test_setup_teardown(test_same_bytes_over_a_damaged_version, stage_memory, stage_teardown),
        cmocka_unit_test_setup_teardown(test_damaged_head, stage_memory, stage_teardown),
        cmocka_unit_test_setup_teardown(test_rollback_is_the_way_out, stage_memory, stage_teardown),
        cmocka_unit_test_setup_teardown(test_lost_head, stage_memory, stage_teardown),
        cmocka_unit_test_setup_teardown(test_repair_goes_on_behind_every_number, stage_memory, stage_teardown),
        cmocka_unit_test_setup_teardown(test_repair_of_a_lost_head, stage_memory, stage_teardown),
        cmocka_unit_test_setup_teardown(test_repair_drops_nothing, stage_memory, stage_teardown),
        cmocka_unit_test_setup_teardown(test_flipped_byte_of_a_version, stage_sqlite, stage_teardown),
        cmocka_unit_test_setup_teardown(test_flipped_byte_of_a_head, stage_sqlite, stage_teardown),
        cmocka_unit_test_setup_teardown(test_two_repairs_at_once, stage_sqlite, stage_teardown),
    };
    return cmocka_run_group_tests_name("damaged states", tests, NULL, NULL);
}
