/* A tree of files as it is read without an index. */
#include "tree_raw_fixture.h"

static void get(void **state) {
    (void)state;
    make_some();
    struct timespec times[2] = {{1700000000, 250000000}, {1700000000, 250000000}};
    assert_int_equal(utimensat(scratch.fd, "state/a.json", times, 0), 0);
    struct store_backend *raw = open_raw("d", &plain);
    struct hf_record *record = NULL;
    struct hf_error error = {0};
    assert_int_equal(raw->ops->get(raw, STORE_COMMITTED, "state", "a", 0, &record, &error), 0);
    assert_string_equal(record->json, "{\"x\": 1}");
    assert_int_equal(record->json_bytes, 8);
    assert_int_equal(record->revision, 0);
    assert_int_equal(record->updated_ms, 1700000000250);
    struct json_doc doc;
    struct buf scratch_buf;
    uint8_t hash[HF_HASH_BYTES];
    json_init(&doc);
    buf_init(&scratch_buf);
    assert_int_equal(json_hash(&doc, &scratch_buf, "{\"x\":1}", 7, NULL, hash, NULL), 0);
    assert_memory_equal(record->hash, hash, sizeof hash);
    json_fini(&doc);
    buf_fini(&scratch_buf);
    hf_record_free(&record);
    assert_int_equal(raw->ops->get(raw, STORE_COMMITTED, "state", "a", 1, &record, &error), 0);
    assert_null(record->json);
    assert_memory_equal(record->hash, hash, sizeof hash);
    hf_record_free(&record);
    raw->ops->close(&raw);
    assert_null(raw);
}

static void assert_get_fails(struct store_backend *raw, const char *id, int code, const char *text) {
    struct hf_record *record = NULL;
    struct hf_error error = {0};
    assert_int_equal(raw->ops->get(raw, STORE_COMMITTED, "run", id, 0, &record, &error), code);
    if (!strstr(error.message, text))
        fail_msg("'%s' is not in '%s'", text, error.message);
    assert_null(record);
}

static void get_what_is_not_good(void **state) {
    (void)state;
    make_some();
    struct buf large;
    buf_init(&large);
    buf_printf(&large, "\"%01000d\"", 1);
    make("run/large.json", large.data);
    buf_fini(&large);
    assert_int_equal(symlinkat("a.json", scratch.fd, "run/link.json"), 0);
    struct store_backend *raw = open_raw("d", &plain);
    assert_get_fails(raw, "none", HF_ERR_NOT_FOUND, "there is no record 'run/none'");
    assert_get_fails(raw, "bad", HF_ERR_CORRUPT, "file 'run/bad.json' is not JSON: line 1, column 2 (byte 1)");
    assert_get_fails(raw, "large", HF_ERR_CORRUPT, "file 'run/large.json' has 1002 bytes");
    assert_get_fails(raw, "link", HF_ERR_CORRUPT, "file 'run/link.json' is a symbolic link");
    raw->ops->close(&raw);
}

static void scans(void **state) {
    (void)state;
    make_some();
    static const char all[] = "run/a=1 run/b=2 run/bad=corrupt state/a={\"x\": 1} state/e f=5";
    for (int threads = 1; threads <= 8; threads += 7) {
        char url[32];
        snprintf(url, sizeof url, "d?threads=%d", threads);
        struct store_backend *raw = open_raw(url, &plain);
        assert_string_equal(scan(raw, NULL, NULL, NULL, 0), all);
        assert_string_equal(scan(raw, "run", "run", NULL, 0), "run/a=1 run/b=2 run/bad=corrupt");
        assert_string_equal(scan(raw, "run", "run", "a", 0), "run/b=2 run/bad=corrupt");
        assert_string_equal(scan(raw, "run", "run", "a", 1), "run/b=2");
        assert_string_equal(scan(raw, "run", "run", "aa", 1), "run/b=2");
        assert_string_equal(scan(raw, "run", "run", "z", 0), "");
        assert_string_equal(scan(raw, "none", "none", NULL, 0), "");
        assert_string_equal(scan(raw, NULL, "run", "b", 2), "run/bad=corrupt state/a={\"x\": 1}");
        assert_string_equal(scan(raw, NULL, "state", "e f", 0), "");
        assert_string_equal(scan(raw, NULL, NULL, NULL, 100), all);
        raw->ops->close(&raw);
    }
}

static void a_visit_ends_a_scan(void **state) {
    (void)state;
    make_some();
    struct store_backend *raw = open_raw("d", &plain);
    struct seen seen = {.stop_at = 2, .value = 42};
    assert_string_equal(scan_to(raw, &(struct store_range){.limit = 4}, &seen, 42), "run/a=1 run/b=2");
    seen.value = HF_ERR_CORRUPT;
    assert_string_equal(scan_to(raw, &(struct store_range){.limit = 2}, &seen, HF_ERR_CORRUPT), "run/a=1 run/b=2");
    seen.value = 0;
    seen.stop_at = 0;
    assert_string_equal(scan_to(raw, &(struct store_range){.limit = 2}, &seen, 0), "run/a=1 run/b=2");
    buf_fini(&seen.text);
    raw->ops->close(&raw);
}

static void the_watch_layout(void **state) {
    (void)state;
    make("changedetection.json", "{\"note\": 1}");
    make("aa/watch.json", "{\"uuid\": \"aa\"}");
    make("bb/watch.json", "{\"uuid\": \"aa\"}");
    make("bb/history.txt", "1,2");
    make("bb/tag.json", "{}");
    struct store_backend *raw = open_raw("d?layout=watch", &plain);
    assert_string_equal(
        scan(raw, NULL, NULL, NULL, 0),
        "settings/changedetection={\"note\": 1} tag/bb={} watch/aa={\"uuid\": \"aa\"} watch/bb=corrupt");
    struct hf_record *record = NULL;
    assert_int_equal(raw->ops->get(raw, STORE_COMMITTED, "watch", "bb", 0, &record, NULL), HF_ERR_CORRUPT);
    raw->ops->close(&raw);
}

static void many_are_in_order(void **state) {
    (void)state;
    enum { COUNT = 600 };
    struct buf expected;
    char path[64], json[32];
    buf_init(&expected);
    for (int i = 0; i < COUNT; i++) {
        snprintf(path, sizeof path, "k/id%04d.json", i * 7 % COUNT);
        snprintf(json, sizeof json, "%d", i * 7 % COUNT);
        make(path, json);
        buf_printf(&expected, "%sk/id%04d=%d", i ? " " : "", i, i);
    }
    struct store_backend *raw = open_raw("d?threads=4", &plain);
    assert_string_equal(scan(raw, NULL, NULL, NULL, 0), buf_text(&expected));
    raw->ops->close(&raw);
    buf_fini(&expected);
}

static void history_is_what_is_there(void **state) {
    (void)state;
    make_some();
    struct store_backend *raw = open_raw("d", &plain);
    struct seen seen = {.stop_at = 0};
    assert_int_equal(raw->ops->history(raw, "run", "a", 1, see, &seen, NULL), 0);
    assert_int_equal(raw->ops->history(raw, "run", "none", 0, see, &seen, NULL), 0);
    assert_int_equal(raw->ops->history(raw, "run", "bad", 0, see, &seen, NULL), 0);
    assert_string_equal(buf_text(&seen.text), "run/a=1 run/bad=corrupt");
    seen.stop_at = seen.count + 1;
    seen.value = 5;
    assert_int_equal(raw->ops->history(raw, "run", "a", 1, see, &seen, NULL), 5);
    assert_int_equal(raw->ops->events(raw, 0, 0, NULL, NULL, NULL), 0);
    buf_fini(&seen.text);
    raw->ops->close(&raw);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        RAW_TEST(get),
        RAW_TEST(get_what_is_not_good),
        RAW_TEST(scans),
        RAW_TEST(a_visit_ends_a_scan),
        RAW_TEST(the_watch_layout),
        RAW_TEST(many_are_in_order),
        RAW_TEST(history_is_what_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
