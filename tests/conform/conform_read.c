/* Reading: scan, history, check. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "conform.h"

static void a_scan_goes_by_the_bytes_of_the_ids(struct conform *c) {
    static const char *const ids[] = {"b", "a",  "aa", "B", "\xc3\xa9", "\xf0\x9f\x98\x80", "a b", "\xef\xbf\xbd",
                                      "~", "10", "9"};
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++)
        put(c, "thing", ids[i], "1");
    put(c, "thin", "z", "1");
    put(c, "things", "z", "1");
    expect_scan(c, "thing", NULL, 0,
                "thing/10=1 thing/9=1 thing/B=1 thing/a=1 thing/a b=1 thing/aa=1 thing/b=1 thing/~=1 "
                "thing/\xc3\xa9=1 thing/\xef\xbf\xbd=1 thing/\xf0\x9f\x98\x80=1 ");
}

static void a_scan_has_a_beginning_and_a_limit(struct conform *c) {
    const struct change changes[] = {
        {HF_PUT, "thing", "a", "1", ALWAYS},
        {HF_PUT, "thing", "b", "2", ALWAYS},
        {HF_PUT, "thing", "c", "3", ALWAYS},
        {HF_PUT, "zoo", "a", "4", ALWAYS},
    };
    assert_int_equal(commit_changes(c, changes, 4, NULL, NULL), 0);
    expect_scan(c, "thing", NULL, 2, "thing/a=1 thing/b=2 ");
    expect_scan(c, "thing", "a", 0, "thing/b=2 thing/c=3 ");
    expect_scan(c, "thing", "a", 1, "thing/b=2 ");
    expect_scan(c, "thing", "aa", 0, "thing/b=2 thing/c=3 "); /* 'after' need not be there */
    expect_scan(c, "thing", "", 0, "thing/a=1 thing/b=2 thing/c=3 ");
    expect_scan(c, "thing", "c", 0, "");
    expect_scan(c, "thing", NULL, 99, "thing/a=1 thing/b=2 thing/c=3 ");
    expect_scan(c, "other", NULL, 0, "");
}

static void a_scan_of_all_kinds_goes_by_kind_and_id(struct conform *c) {
    put(c, "b", "1", "1");
    put(c, "a", "2", "1");
    put(c, "a_b", "0", "1");
    put(c, "a", "1", "1");
    expect_scan(c, NULL, NULL, 0, "a/1=1 a/2=1 a_b/0=1 b/1=1 ");
    expect_scan(c, NULL, NULL, 3, "a/1=1 a/2=1 a_b/0=1 ");
    assert_int_equal(hf_store_scan(c->store, NULL, "a", 0, NULL, NULL, NULL), HF_ERR_INVALID);
}

static void a_scan_of_all_kinds_begins_behind_a_key(struct conform *c) {
    put(c, "b", "1", "1");
    put(c, "a", "2", "1");
    put(c, "a_b", "0", "1");
    put(c, "a", "1", "1");
    expect_scan(c, NULL, "a/1", 0, "a/2=1 a_b/0=1 b/1=1 ");
    expect_scan(c, NULL, "a/", 1, "a/1=1 ");
    expect_scan(c, NULL, "a/15", 2, "a/2=1 a_b/0=1 "); /* it need not be there */
    expect_scan(c, NULL, "a/9", 0, "a_b/0=1 b/1=1 ");
    expect_scan(c, NULL, "aa/0", 0, "b/1=1 ");
    expect_scan(c, NULL, "b/1", 0, "");
    assert_int_equal(hf_store_scan(c->store, NULL, "/a", 0, NULL, NULL, NULL), HF_ERR_INVALID);
}

static int stop_at_once(void *arg, const struct hf_record *record, int code) {
    (void)record, (void)code;
    ++*(int *)arg;
    return -4711;
}

static int stop_at_second(void *arg, const struct hf_event *event) {
    (void)event;
    return ++*(int *)arg == 2 ? 4712 : 0;
}

static void a_visit_can_stop_a_walk(struct conform *c) {
    struct hf_error error = {0};
    int count = 0, code;
    assert_int_equal(hf_store_keep_history(c->store, "thing", 9, NULL), 0);
    put(c, "thing", "a", "1");
    put(c, "thing", "a", "2");
    put(c, "thing", "b", "1");
    assert_int_equal(scan(c, "thing", NULL, 0, stop_at_once, &count), -4711);
    assert_int_equal(count, 1);
    do
        code = hf_store_history(c->store, "thing", "a", 0, stop_at_once, &count, &error);
    while (conform_is_flake(c, code));
    assert_int_equal(code, -4711);
    assert_int_equal(count, 2);
    count = 0;
    assert_int_equal(events(c, 0, 0, stop_at_second, &count), 4712);
    assert_int_equal(count, 2);
}

/* Commits from another thread while a walk is in the middle, and waits for the answer. */
struct intruder {
    struct conform *c;
    int rows, code;
};

static void *intrude(void *arg) {
    struct intruder *intruder = arg;
    struct hf_batch *batch = NULL;
    if (hf_batch_new(NULL, &batch, NULL) != 0 || hf_batch_put(batch, "thing", "c", "9", 1, NULL, NULL) != 0 ||
        hf_batch_put(batch, "thing", "bb", "9", 1, NULL, NULL) != 0 ||
        hf_batch_delete(batch, "thing", "d", NULL, NULL) != 0)
        return NULL;
    intruder->code = hf_store_commit(intruder->c->store, &batch, NULL, NULL);
    return NULL;
}

static int visit_with_intruder(void *arg, const struct hf_record *record, int code) {
    static const char *const expected[] = {"a", "b", "c", "d"};
    struct intruder *intruder = arg;
    pthread_t thread;
    assert_int_equal(code, 0);
    assert_true(intruder->rows < 4);
    assert_string_equal(record->id, expected[intruder->rows]);
    assert_string_equal(record->json, "1");
    if (intruder->rows++ == 1) {
        assert_int_equal(pthread_create(&thread, NULL, intrude, intruder), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
    }
    return 0;
}

static void a_scan_is_one_snapshot(struct conform *c) {
    struct intruder intruder = {.c = c, .code = 1};
    const struct change changes[] = {
        {HF_PUT, "thing", "a", "1", ALWAYS},
        {HF_PUT, "thing", "b", "1", ALWAYS},
        {HF_PUT, "thing", "c", "1", ALWAYS},
        {HF_PUT, "thing", "d", "1", ALWAYS},
    };
    assert_int_equal(commit_changes(c, changes, 4, NULL, NULL), 0);
    assert_int_equal(scan(c, "thing", NULL, 0, visit_with_intruder, &intruder), 0);
    assert_int_equal(intruder.rows, 4);
    if (intruder.code != 0)
        conform_start_again(c);
    expect_scan(c, "thing", NULL, 0, "thing/a=1 thing/b=1 thing/bb=9 thing/c=9 ");
}

static int read_inside(void *arg, const struct hf_record *record, int code) {
    struct hf_record *again = NULL;
    assert_int_equal(code, 0);
    assert_int_equal(get(arg, record->kind, record->id, &again), 0);
    assert_string_equal(again->json, record->json);
    hf_record_free(&again);
    return 0;
}

static void a_visit_may_read_the_store(struct conform *c) {
    put(c, "thing", "a", "1");
    put(c, "thing", "b", "2");
    assert_int_equal(scan(c, NULL, NULL, 0, read_inside, c), 0);
}

static void kinds_have_no_history_unless_asked(struct conform *c) {
    put(c, "thing", "a", "1");
    put(c, "thing", "a", "2");
    expect_history(c, "thing", "a", 0, "");
}

static void history_is_newest_first_and_bounded(struct conform *c) {
    assert_int_equal(hf_store_keep_history(c->store, "thing", 3, NULL), 0);
    for (char digit = '1'; digit <= '5'; digit++) {
        char json[2] = {digit, 0};
        put(c, "thing", "a", json);
        put(c, "other", "a", json);
    }
    put(c, "thing", "b", "7");
    put(c, "thing", "a", " 5 "); /* unchanged: no version */
    expect_history(c, "thing", "a", 0, "thing/a=5 thing/a=4 thing/a=3 ");
    expect_history(c, "thing", "a", 2, "thing/a=5 thing/a=4 ");
    expect_history(c, "thing", "a", 99, "thing/a=5 thing/a=4 thing/a=3 ");
    expect_history(c, "thing", "b", 0, "thing/b=7 ");
    expect_history(c, "other", "a", 0, "");
    expect_history(c, "thing", "never", 0, "");
}

static void history_has_deletions(struct conform *c) {
    assert_int_equal(hf_store_keep_history(c->store, "thing", 3, NULL), 0);
    put(c, "thing", "a", "1");
    put(c, "thing", "a", "2");
    removed(c, "thing", "a");
    expect_history(c, "thing", "a", 0, "thing/a=- thing/a=2 thing/a=1 ");
    expect_scan(c, "thing", NULL, 0, "");
    put(c, "thing", "a", "2");
    expect_history(c, "thing", "a", 0, "thing/a=2 thing/a=- thing/a=2 ");
}

static void all_history_can_be_kept(struct conform *c) {
    char json[16], expected[2000] = "", line[32];
    assert_int_equal(hf_store_keep_history(c->store, "thing", UINT32_MAX, NULL), 0);
    for (int i = 40; i > 0; i--) {
        snprintf(line, sizeof line, "thing/a=%d ", i);
        strcat(expected, line);
    }
    for (int i = 1; i <= 40; i++) {
        snprintf(json, sizeof json, "%d", i);
        put(c, "thing", "a", json);
    }
    expect_history(c, "thing", "a", 0, expected);
    assert_int_equal(hf_store_keep_history(c->store, "thing", 1, NULL), 0);
    put(c, "thing", "a", "41");
    expect_history(c, "thing", "a", 0, "thing/a=41 ");
}

struct versions {
    uint64_t revisions[4];
    int64_t created_ms[4], updated_ms[4];
    char who[4][16];
    int count;
};

static int note_version(void *arg, const struct hf_record *record, int code) {
    struct versions *versions = arg;
    assert_int_equal(code, 0);
    assert_true(versions->count < 4);
    versions->revisions[versions->count] = record->revision;
    versions->created_ms[versions->count] = record->created_ms;
    versions->updated_ms[versions->count] = record->updated_ms;
    snprintf(versions->who[versions->count], sizeof versions->who[0], "%s", record->who);
    versions->count++;
    return 0;
}

static void a_version_is_the_record_as_it_was(struct conform *c) {
    struct versions versions = {0};
    struct hf_record *record = NULL;
    int code;
    assert_int_equal(hf_store_keep_history(c->store, "thing", 9, NULL), 0);
    put(c, "thing", "a", "1");
    put(c, "thing", "b", "1");
    put(c, "thing", "a", "2");
    assert_int_equal(get(c, "thing", "a", &record), 0);
    do
        code = hf_store_history(c->store, "thing", "a", 0, note_version, &versions, NULL);
    while (conform_is_flake(c, code));
    assert_int_equal(versions.count, 2);
    assert_int_equal(versions.revisions[0], 3);
    assert_int_equal(versions.revisions[1], 1);
    assert_int_equal(versions.updated_ms[0], record->updated_ms);
    assert_int_equal(versions.updated_ms[1], record->created_ms);
    assert_int_equal(versions.created_ms[0], record->created_ms);
    assert_string_equal(versions.who[1], "tester");
    hf_record_free(&record);
}

static void count_finding(void *arg, const struct hf_finding *finding) {
    (void)finding;
    ++*(int *)arg;
}

static void check_reads_everything(struct conform *c) {
    struct hf_check_result result = {0};
    int findings = 0, code;
    assert_int_equal(hf_store_keep_history(c->store, "thing", 9, NULL), 0);
    put(c, "thing", "a", "1");
    put(c, "thing", "a", "2");
    put(c, "other", "a", "{\"b\":1,\"a\":[1.0]}");
    put(c, "other", "b", "1");
    removed(c, "other", "b");
    do
        code = hf_store_check(c->store, count_finding, &findings, &result, NULL);
    while (conform_is_flake(c, code));
    assert_int_equal(code, 0);
    assert_int_equal(findings, 0);
    assert_int_equal(result.findings, 0);
    assert_int_equal(result.records, 2);
    assert_int_equal(result.history, 2);
    assert_int_equal(result.events, 5);
    do
        code = hf_store_check(c->store, NULL, NULL, &result, NULL);
    while (conform_is_flake(c, code));
    assert_int_equal(code, 0);
}

const struct conform_case conform_read_cases[] = {
    {"a scan goes by the bytes of the ids", a_scan_goes_by_the_bytes_of_the_ids, 0},
    {"a scan has a beginning and a limit", a_scan_has_a_beginning_and_a_limit, 0},
    {"a scan of all kinds goes by kind and id", a_scan_of_all_kinds_goes_by_kind_and_id, 0},
    {"a scan of all kinds begins behind a key", a_scan_of_all_kinds_begins_behind_a_key, 0},
    {"a visit can stop a walk", a_visit_can_stop_a_walk, 0},
    {"a scan is one snapshot", a_scan_is_one_snapshot, 0},
    {"a visit may read the store", a_visit_may_read_the_store, 0},
    {"kinds have no history unless asked", kinds_have_no_history_unless_asked, 0},
    {"history is newest first and bounded", history_is_newest_first_and_bounded, 0},
    {"history has deletions", history_has_deletions, 0},
    {"all history can be kept", all_history_can_be_kept, 0},
    {"a version is the record as it was", a_version_is_the_record_as_it_was, 0},
    {"check reads everything", check_reads_everything, 0},
    {NULL, NULL, 0},
};
