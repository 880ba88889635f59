/* Whatever is saved comes back byte for byte: from memory, from SQLite, from a tree of files. */
#include "unit/keep/state_stage.h"

#include "store/store.h"

static const char *const SCHEMES[] = {"memory", "sqlite", "tree"};
enum { SCHEME_COUNT = sizeof SCHEMES / sizeof SCHEMES[0] };

struct sample {
    const char *bytes;
    size_t size;
    int is_json;
};
#define SAMPLE(text, is_json)                                                                                          \
    { (text), sizeof(text) - 1, (is_json) }

static const struct sample SAMPLES[] = {
    SAMPLE("{\"a\":1}", 1),
    SAMPLE("{ \"b\" : [ 1.50, 2e3, \"\\u00e9\\n\" ],\n \"a\":null }", 1),
    SAMPLE(" \n\t{\"a\":1}\r\n", 1),
    SAMPLE("\n\n17", 1),
    SAMPLE("\"text\" ", 1),
    SAMPLE("null", 1),
    SAMPLE("[]", 1),
    SAMPLE("", 0),
    SAMPLE(" \n", 0),
    SAMPLE("\0", 0),
    SAMPLE("{\"a\":1}\0", 0),
    SAMPLE("{\"a\":1,\"a\":2}", 0),
    SAMPLE("{\"a\":NaN}", 0),
    SAMPLE("\xff\xfe", 0),
    SAMPLE("\"\xc3\"", 0),
    SAMPLE("\x80\x04\x95\x05\0\0\0\0\0\0\0}\x94.", 0),
    SAMPLE("\xef\xbb\xbf{}", 0),
};
enum { SAMPLE_COUNT = sizeof SAMPLES / sizeof SAMPLES[0] };

static void expect_form(struct stage *stage, const char *name, int is_json) {
    struct hf_state_value *value = NULL;
    assert_code(stage, 0, hf_state_load(stage->store, name, &value, &stage->error));
    assert_int_equal(value->is_json, is_json);
    hf_state_value_free(&value);
}

static void test_bytes_come_back(void **state) {
    (void)state;
    for (size_t i = 0; i < SCHEME_COUNT; i++) {
        struct stage *stage = stage_new(SCHEMES[i]);
        stage_open(stage);
        for (size_t j = 0; j < SAMPLE_COUNT; j++)
            assert_code(stage, 0, stage_save(stage, "x", SAMPLES[j].bytes, SAMPLES[j].size, NULL));
        for (int round = 0; round < 2; round++) {
            stage_expect(stage, "x", SAMPLES[SAMPLE_COUNT - 1].bytes, SAMPLES[SAMPLE_COUNT - 1].size, SAMPLE_COUNT);
            for (size_t j = 0; j < SAMPLE_COUNT; j++) {
                struct hf_state_value *value = NULL;
                assert_code(stage, 0, hf_state_load_version(stage->store, "x", j + 1, &value, &stage->error));
                assert_int_equal(value->size, SAMPLES[j].size);
                assert_memory_equal(value->bytes, SAMPLES[j].bytes, value->size);
                assert_int_equal(value->is_json, SAMPLES[j].is_json);
                hf_state_value_free(&value);
            }
            if (i > 0)
                stage_reopen(stage);
            else
                break;
        }
        stage_free(&stage);
    }
}

static void test_deep_json_is_kept_as_bytes(void **state) {
    struct stage *stage = *state;
    static const int DEPTHS[] = {127, 128, 2000};
    for (size_t i = 0; i < sizeof DEPTHS / sizeof DEPTHS[0]; i++) {
        BUF_AUTO struct buf deep;
        buf_init(&deep);
        for (int j = 0; j < DEPTHS[i]; j++)
            buf_add_char(&deep, '[');
        for (int j = 0; j < DEPTHS[i]; j++)
            buf_add_char(&deep, ']');
        assert_code(stage, 0, stage_save(stage, "deep", deep.data, deep.size, NULL));
        stage_expect(stage, "deep", deep.data, deep.size, i + 1);
        expect_form(stage, "deep", DEPTHS[i] <= 127);
    }
}

static void test_much_white_space_is_kept_as_bytes(void **state) {
    struct stage *stage = *state;
    static char text[100000];
    memset(text, '\n', sizeof text);
    memcpy(text + 50000, "{}", 2);
    assert_code(stage, 0, stage_save(stage, "x", text, sizeof text, NULL));
    stage_expect(stage, "x", text, sizeof text, 1);
    expect_form(stage, "x", 0);
}

static void test_flat_store_takes_deep_json(void **state) {
    (void)state;
    struct stage *stage = stage_new("memory");
    const struct hf_store_options options = {.struct_bytes = sizeof options, .max_document_depth = 4};
    stage_open_with(stage, &options);
    static const char FITS[] = "[[[1]]]", DEEP[] = "[[[[1]]]]";
    stage_save_text(stage, "x", FITS);
    expect_form(stage, "x", 1);
    stage_save_text(stage, "x", DEEP);
    expect_form(stage, "x", 0);
    stage_expect_text(stage, "x", DEEP, 2);
    stage_free(&stage);
}

/* The largest there may be, as JSON and as bytes that are none. */
static void test_largest(void **state) {
    struct stage *stage = *state;
    size_t size = HF_STATE_BYTES_MAX;
    char *bytes = malloc(size + 1);
    memset(bytes, 'x', size + 1);
    bytes[0] = bytes[size - 1] = '"';
    assert_code(stage, 0, stage_save(stage, "large", bytes, size, NULL));
    stage_expect(stage, "large", bytes, size, 1);
    expect_form(stage, "large", 1);
    bytes[1] = '\0';
    assert_code(stage, 0, stage_save(stage, "large", bytes, size, NULL));
    stage_expect(stage, "large", bytes, size, 2);
    uint64_t revision = hf_store_revision(stage->store);
    assert_code(stage, HF_ERR_TOO_LARGE, stage_save(stage, "large", bytes, size + 1, NULL));
    assert_int_equal(hf_store_revision(stage->store), revision);
    free(bytes);
}

static void test_larger_than_the_store_takes(void **state) {
    (void)state;
    struct stage *stage = stage_new("sqlite");
    stage_open_with(stage, NULL);
    size_t size = 9 << 20; /* as base64 it is more than the 10 MiB that a store takes by itself */
    char *bytes = calloc(1, size);
    uint64_t revision = hf_store_revision(stage->store);
    assert_code(stage, HF_ERR_TOO_LARGE, stage_save(stage, "x", bytes, size, NULL));
    assert_says(stage, "max_document_bytes");
    assert_int_equal(hf_store_revision(stage->store), revision);
    struct hf_state_value *value = NULL;
    assert_code(stage, HF_ERR_NOT_FOUND, hf_state_load(stage->store, "x", &value, &stage->error));
    free(bytes);
    stage_free(&stage);
}

static void test_names(void **state) {
    struct stage *stage = *state;
    char name[HF_STATE_NAME_MAX + 2];
    memset(name, 'n', sizeof name - 1);
    name[HF_STATE_NAME_MAX] = '\0';
    stage_save_text(stage, name, "1");
    stage_expect_text(stage, name, "1", 1);
    name[HF_STATE_NAME_MAX] = 'n';
    name[HF_STATE_NAME_MAX + 1] = '\0';
    static const char *const WRONG[] = {"", "-x", "a/b", "..", "a\nb", "\xff"};
    assert_code(stage, HF_ERR_BAD_ID, stage_save(stage, name, "1", 1, NULL));
    for (size_t i = 0; i < sizeof WRONG / sizeof WRONG[0]; i++)
        assert_code(stage, HF_ERR_BAD_ID, stage_save(stage, WRONG[i], "1", 1, NULL));
    assert_code(stage, HF_ERR_BAD_ID, stage_save(stage, NULL, "1", 1, NULL));
}

/* "a@0000000000000001" is a name, and the id of a version of "a" too. */
static void test_names_that_look_like_versions(void **state) {
    struct stage *stage = *state;
    static const char *const NAMES[] = {"a", "a@0000000000000001", "a@", "a@b", "ab"};
    enum { COUNT = sizeof NAMES / sizeof NAMES[0] };
    assert_code(stage, 0, hf_state_keep(stage->store, "a", 2, 0, &stage->error));
    for (int round = 0; round < 4; round++) {
        for (size_t i = 0; i < COUNT; i++) {
            char text[64];
            snprintf(text, sizeof text, "\"%s %d\"", NAMES[i], round);
            stage_save_text(stage, NAMES[i], text);
        }
    }
    for (size_t i = 0; i < COUNT; i++) {
        char text[64];
        snprintf(text, sizeof text, "\"%s %d\"", NAMES[i], 3);
        stage_expect_text(stage, NAMES[i], text, 4);
        assert_int_equal(stage_has(stage, NAMES[i], 2), i > 0);
        assert_int_equal(stage_has(stage, NAMES[i], 3), 1);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_come_back),
        cmocka_unit_test_setup_teardown(test_deep_json_is_kept_as_bytes, stage_memory, stage_teardown),
        cmocka_unit_test_setup_teardown(test_much_white_space_is_kept_as_bytes, stage_memory, stage_teardown),
        cmocka_unit_test(test_flat_store_takes_deep_json),
        cmocka_unit_test_setup_teardown(test_largest, stage_sqlite, stage_teardown),
        cmocka_unit_test(test_larger_than_the_store_takes),
        cmocka_unit_test_setup_teardown(test_names, stage_memory, stage_teardown),
        cmocka_unit_test_setup_teardown(test_names_that_look_like_versions, stage_sqlite, stage_teardown),
    };
    return cmocka_run_group_tests_name("bytes of states", tests, NULL, NULL);
}
