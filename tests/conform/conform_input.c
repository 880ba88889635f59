/* Keys and documents: which are taken as they are, and which are refused before anything is written. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "conform.h"

static void expect_bad_key(struct conform *c, const char *kind, const char *id) {
    struct hf_batch *batch = NULL;
    struct hf_record *record = NULL;
    struct hf_error error = {0};
    assert_int_equal(hf_batch_new(NULL, &batch, NULL), 0);
    assert_int_equal(hf_batch_put(batch, kind, id, "1", 1, NULL, &error), HF_ERR_BAD_ID);
    assert_true(error.message[0] && error.hint[0]);
    assert_int_equal(hf_batch_delete(batch, kind, id, NULL, NULL), HF_ERR_BAD_ID);
    hf_batch_free(&batch);
    assert_int_equal(hf_store_get(c->store, kind, id, &record, NULL), HF_ERR_BAD_ID);
    assert_int_equal(hf_store_history(c->store, kind, id, 0, NULL, NULL, NULL), HF_ERR_BAD_ID);
    assert_int_equal(hf_store_put(c->store, kind, id, "1", 1, NULL, NULL), HF_ERR_BAD_ID);
    assert_int_equal(hf_store_delete(c->store, kind, id, NULL, NULL), HF_ERR_BAD_ID);
}

static void bad_keys_are_refused(struct conform *c) {
    static const char *const kinds[] = {NULL,     "",       "Thing",  "1thing",      "_thing",
                                        "th-ing", "th ing", "th/ing", "th\xc3\xafng"};
    static const char *const ids[] = {NULL,   "",         ".",        "..",   "a/b",      "../x",
                                      "a\nb", "\x01",     "a\x7f",    "\x80", "\xc2\x85", "\xed\xa0\x80",
                                      "\xff", "\xc0\xaf", "\xe2\x82", "a\tb"};
    char long_kind[HF_KIND_MAX + 2], long_id[HF_ID_MAX + 2];
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        expect_bad_key(c, kinds[i], "a");
        assert_int_equal(hf_store_keep_history(c->store, kinds[i], 1, NULL), HF_ERR_BAD_ID);
        if (kinds[i])
            assert_int_equal(hf_store_scan(c->store, kinds[i], NULL, 0, NULL, NULL, NULL), HF_ERR_BAD_ID);
    }
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++)
        expect_bad_key(c, "thing", ids[i]);
    memset(long_kind, 'k', sizeof long_kind);
    memset(long_id, 'i', sizeof long_id);
    long_kind[HF_KIND_MAX + 1] = long_id[HF_ID_MAX + 1] = '\0';
    expect_bad_key(c, long_kind, "a");
    expect_bad_key(c, "thing", long_id);
    assert_int_equal(hf_store_revision(c->store), 0);
}

static void every_good_key_is_kept(struct conform *c) {
    char id[HF_ID_MAX + 1], kind[HF_KIND_MAX + 1];
    for (int byte = 0x20; byte < 0x7f; byte++) {
        snprintf(id, sizeof id, "%c", byte);
        if (byte != '/' && byte != '.')
            put(c, "thing", id, "1");
    }
    static const char *const ids[] = {
        "\xc2\xa0",
        "\xdf\xbf",
        "\xe0\xa0\x80",
        "\xef\xbf\xbf",
        "\xf0\x90\x80\x80",
        "\xf4\x8f\xbf\xbf",
        "...",
        ".a",
        "a.",
        "CON",
        "%2e%2e%2f",
        "caf\xc3\xa9",
        "cafe\xcc\x81",
        "A",
        "a",
        "a b ",
        "-",
    };
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        snprintf(id, sizeof id, "[%zu]", i);
        put(c, "twins", ids[i], id);
    }
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        snprintf(id, sizeof id, "[%zu]", i);
        expect_json(c, "twins", ids[i], id);
    }
    memset(id, 'i', HF_ID_MAX);
    memset(kind, 'k', HF_KIND_MAX);
    id[HF_ID_MAX] = kind[HF_KIND_MAX] = '\0';
    put(c, kind, id, "\"long\"");
    expect_json(c, kind, id, "\"long\"");
}

static void what_is_not_json_is_refused(struct conform *c) {
    static const char *const texts[] = {"",
                                        " ",
                                        "{",
                                        "{\"a\":1,\"a\":2}",
                                        "NaN",
                                        "[1,]",
                                        "\"\xff\"",
                                        "\"\\ud800\"",
                                        "{\"a\":1,\"\\u0061\":2}",
                                        "1 2",
                                        "\"a\nb\"",
                                        "01",
                                        "\xef\xbb\xbf"
                                        "1"};
    struct hf_error error = {0};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_int_equal(put_bytes(c, "a", texts[i], strlen(texts[i]), &error), HF_ERR_BAD_JSON);
        assert_non_null(strstr(error.message, "thing/a"));
    }
    assert_int_equal(put_bytes(c, "a", "1\0", 2, NULL), HF_ERR_BAD_JSON);
    assert_int_equal(hf_store_put(c->store, "thing", "a", NULL, 1, NULL, NULL), HF_ERR_INVALID);
    expect_scan(c, NULL, NULL, 0, "");
    assert_int_equal(hf_store_revision(c->store), 0);
}

static void sizes_over_the_limit_are_refused(struct conform *c) {
    const struct hf_store_options options = {.struct_bytes = sizeof options,
                                             .max_document_bytes = 1000,
                                             .max_document_depth = 3};
    struct hf_error error = {0};
    char text[1002];
    conform_open_with(c, &options);
    memset(text, 'x', sizeof text);
    text[0] = text[999] = text[1000] = '"';
    assert_int_equal(put_bytes(c, "a", text, 1000, NULL), 0);
    text[999] = 'x';
    assert_int_equal(put_bytes(c, "a", text, 1001, &error), HF_ERR_TOO_LARGE);
    assert_int_equal(put_bytes(c, "a", "[[[]]]", 6, NULL), 0);
    assert_int_equal(put_bytes(c, "a", "[[[[]]]]", 8, NULL), HF_ERR_TOO_LARGE);
    expect_json(c, "thing", "a", "[[[]]]");
    assert_int_equal(hf_store_revision(c->store), 2);
}

static void ten_mebibytes_are_the_usual_limit(struct conform *c) {
    size_t limit = 10 << 20;
    char *text = mem_alloc(limit + 1);
    struct hf_record *record = NULL;
    assert_non_null(text);
    memset(text, ' ', limit + 1);
    text[0] = '1';
    assert_int_equal(put_bytes(c, "a", text, limit + 1, NULL), HF_ERR_TOO_LARGE);
    expect_json(c, "thing", "a", NULL);
    int code = put_bytes(c, "a", text, limit, NULL);
    assert_int_equal(code, 0);
    assert_int_equal(get(c, "thing", "a", &record), 0);
    assert_int_equal(record->json_bytes, limit);
    assert_memory_equal(record->json, text, limit);
    hf_record_free(&record);
    mem_free(text);
}

const struct conform_case conform_input_cases[] = {
    {"bad keys are refused", bad_keys_are_refused, UINT32_MAX},
    {"every good key is kept", every_good_key_is_kept, 100},
    {"what is not JSON is refused", what_is_not_json_is_refused, 0},
    {"sizes over the limit are refused", sizes_over_the_limit_are_refused, 0},
    {"ten mebibytes are the usual limit", ten_mebibytes_are_the_usual_limit, UINT32_MAX},
    {NULL, NULL, 0},
};
