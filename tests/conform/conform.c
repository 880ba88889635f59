#include "conform.h"

#include <ftw.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { USUAL_ONE_IN = 20, TRIES = 2000, CASES = 200 };

/* ---- the store under test ---- */

static int remove_entry(const char *path, const struct stat *stat, int type, struct FTW *ftw) {
    (void)stat, (void)type, (void)ftw;
    return remove(path);
}

/* The wall clock moves by a second each time somebody looks: what is written later has a later time. */
static int64_t moving_clock(const struct os *os, enum os_clock which) {
    static atomic_int_fast64_t looks;
    int64_t now_ns = os_now_ns(os_real(), which);
    (void)os;
    return which == OS_CLOCK_WALL ? now_ns + atomic_fetch_add(&looks, 1) * INT64_C(1000000000) : now_ns;
}

static const struct os *conform_os(void) {
    static struct os_ops ops;
    static struct os os;
    ops = *os_real()->ops;
    ops.now_ns = moving_clock;
    os = *os_real();
    os.ops = &ops;
    return &os;
}

static void open_store(struct conform *c, const struct hf_store_options *options) {
    char rest[128] = "";
    struct hf_error error = {0};
    struct store_setup setup = {.os = conform_os(), .without_thread = c->without_thread};
    if (c->is_durable)
        snprintf(rest, sizeof rest, "%s%s", c->folder, c->place ? c->place : "/store.db");
    struct hf_store_options filled = {.struct_bytes = sizeof filled};
    int code =
        c->ops->open(setup.os, rest, options ? options : &filled, &setup.backend, &setup.backend_revision, &error);
    if (code == 0 && c->is_failing)
        code = store_failing_new(&setup.backend, c->seed, c->one_in, &setup.backend, &error);
    if (code == 0)
        code = store_open(NULL, options, &setup, &c->store, &error);
    if (code != 0)
        fail_msg("open the store: %s", error.message);
}

static void begin_test(struct conform *c) {
    c->without_thread = 0;
    snprintf(c->folder, sizeof c->folder, "/tmp/holdfast-conform-XXXXXX");
    assert_non_null(mkdtemp(c->folder));
    open_store(c, NULL);
}

static void end_test(struct conform *c) {
    hf_store_close(&c->store);
    if (c->folder[0])
        nftw(c->folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    c->folder[0] = '\0';
}

void conform_reopen(struct conform *c, const struct hf_store_options *options) {
    hf_store_close(&c->store);
    c->seed++;
    open_store(c, options);
}

void conform_open_with(struct conform *c, const struct hf_store_options *options) {
    end_test(c);
    snprintf(c->folder, sizeof c->folder, "/tmp/holdfast-conform-XXXXXX");
    assert_non_null(mkdtemp(c->folder));
    open_store(c, options);
}

void conform_open_without_thread(struct conform *c, const struct hf_store_options *options) {
    c->without_thread = 1;
    conform_open_with(c, options);
}

int conform_is_flake(struct conform *c, int code) {
    return c->is_failing && (store_code_is_soft(code) || code == HF_ERR_IO);
}

void conform_start_again(struct conform *c) {
    assert_true(c->is_failing);
    longjmp(c->again, 1);
}

/* ---- running ---- */

struct run {
    struct conform *c;
    const struct conform_case *test;
    int number;
    uint64_t seed;
};

static void run_case(void **state) {
    const struct run *run = *state;
    struct conform *c = run->c;
    c->one_in = run->test->one_in ? run->test->one_in : USUAL_ONE_IN;
    for (volatile int try = 0; try < TRIES; try++) {
        c->seed = run->seed + (uint64_t)run->number * 1000003 + (uint64_t)try * 7919;
        begin_test(c);
        if (setjmp(c->again) == 0) {
            run->test->body(c);
            end_test(c);
            return;
        }
        end_test(c);
    }
    fail_msg("in %d tries, some commit's outcome was always unknown", TRIES);
}

/* After a failure too. */
static int clean_up(void **state) {
    end_test(((const struct run *)*state)->c);
    return 0;
}

int conform_run(struct conform *target) {
    static const struct conform_case *const parts[] = {conform_commit_cases,    conform_input_cases,
                                                       conform_condition_cases, conform_read_cases,
                                                       conform_event_cases,     conform_thread_cases,
                                                       conform_whole_cases};
    static struct CMUnitTest tests[CASES];
    static struct run runs[CASES];
    size_t count = 0;
    const char *seed = getenv("HF_TEST_SEED");
    target->seed = seed ? strtoull(seed, NULL, 10) : (uint64_t)time(NULL);
    printf("HF_TEST_SEED=%llu\n", (unsigned long long)target->seed);
    for (size_t part = 0; part < sizeof parts / sizeof parts[0]; part++)
        for (const struct conform_case *test = parts[part]; test->name && count < CASES; test++, count++) {
            runs[count] = (struct run){.c = target, .test = test, .number = (int)count, .seed = target->seed};
            tests[count] = (struct CMUnitTest){test->name, run_case, NULL, clean_up, &runs[count]};
        }
    return _cmocka_run_group_tests(target->ops->name, tests, count, NULL, NULL);
}

/* ---- helpers ---- */

static struct hf_batch *build(const struct change *changes, size_t count) {
    struct hf_batch *batch = NULL;
    struct hf_error error = {0};
    assert_int_equal(hf_batch_new("tester", &batch, NULL), 0);
    for (size_t i = 0; i < count; i++) {
        const struct change *change = &changes[i];
        int code = change->what == HF_DELETE
                       ? hf_batch_delete(batch, change->kind, change->id, &change->options, &error)
                       : hf_batch_put(batch, change->kind, change->id, change->json, strlen(change->json),
                                      &change->options, &error);
        if (code != 0)
            fail_msg("%s", error.message);
    }
    return batch;
}

static int refuse_event(void *arg, const struct hf_event *event) {
    (void)arg;
    fail_msg("revision %llu was answered with a failure", (unsigned long long)event->revision);
    return 0;
}

/* What failed left nothing: no revision, no event. */
static void expect_no_trace(struct conform *c, uint64_t before) {
    assert_int_equal(hf_store_revision(c->store), before);
    assert_int_equal(events(c, before, 0, refuse_event, NULL), 0);
}

int commit_changes(struct conform *c, const struct change *changes, size_t count, struct hf_commit_result *ret_result,
                   struct hf_error *error) {
    for (;;) {
        uint64_t before = hf_store_revision(c->store);
        struct hf_batch *batch = build(changes, count);
        int code = hf_store_commit(c->store, &batch, ret_result, error);
        assert_null(batch);
        if (code == HF_ERR_FAILED)
            conform_start_again(c);
        if (code != 0)
            expect_no_trace(c, before);
        if (!conform_is_flake(c, code))
            return code;
    }
}

int commit_one(struct conform *c, struct change change, struct hf_commit_result *ret_result) {
    return commit_changes(c, &change, 1, ret_result, NULL);
}

struct hf_commit_result put(struct conform *c, const char *kind, const char *id, const char *json) {
    struct hf_commit_result result;
    struct hf_error error = {0};
    const struct change change = {HF_PUT, kind, id, json, ALWAYS};
    if (commit_changes(c, &change, 1, &result, &error) != 0)
        fail_msg("%s", error.message);
    return result;
}

struct hf_commit_result removed(struct conform *c, const char *kind, const char *id) {
    struct hf_commit_result result;
    struct hf_error error = {0};
    const struct change change = {HF_DELETE, kind, id, NULL, ALWAYS};
    if (commit_changes(c, &change, 1, &result, &error) != 0)
        fail_msg("%s", error.message);
    return result;
}

int put_bytes(struct conform *c, const char *id, const char *json, size_t bytes, struct hf_error *error) {
    int code;
    do
        code = hf_store_put(c->store, "thing", id, json, bytes, NULL, error);
    while (conform_is_flake(c, code));
    if (code == HF_ERR_FAILED)
        conform_start_again(c);
    return code;
}

int get(struct conform *c, const char *kind, const char *id, struct hf_record **ret_record) {
    int code;
    do
        code = hf_store_get(c->store, kind, id, ret_record, NULL);
    while (conform_is_flake(c, code));
    return code;
}

void expect_json(struct conform *c, const char *kind, const char *id, const char *json) {
    struct hf_record *record = NULL;
    assert_int_equal(get(c, kind, id, &record), json ? 0 : HF_ERR_NOT_FOUND);
    if (!json) {
        assert_null(record);
        return;
    }
    assert_string_equal(record->kind, kind);
    assert_string_equal(record->id, id);
    assert_int_equal(record->json_bytes, strlen(json));
    assert_string_equal(record->json, json);
    hf_record_free(&record);
}

static int add_record(void *arg, const struct hf_record *record, int code) {
    assert_int_equal(code, 0);
    buf_printf(arg, "%s/%s=%s ", record->kind, record->id, record->json ? record->json : "-");
    if (record->json)
        assert_int_equal(strlen(record->json), record->json_bytes);
    return 0;
}

int scan(struct conform *c, const char *kind, const char *after, uint64_t limit, hf_record_visit visit, void *arg) {
    int code;
    do
        code = hf_store_scan(c->store, kind, after, limit, visit, arg, NULL);
    while (conform_is_flake(c, code));
    return code;
}

void expect_scan(struct conform *c, const char *kind, const char *after, uint64_t limit, const char *text) {
    struct buf rows BUF_AUTO;
    buf_init(&rows);
    assert_int_equal(scan(c, kind, after, limit, add_record, &rows), 0);
    assert_string_equal(buf_text(&rows), text);
}

void expect_history(struct conform *c, const char *kind, const char *id, uint64_t limit, const char *text) {
    struct buf rows BUF_AUTO;
    int code;
    buf_init(&rows);
    do
        code = hf_store_history(c->store, kind, id, limit, add_record, &rows, NULL);
    while (conform_is_flake(c, code));
    assert_int_equal(code, 0);
    assert_string_equal(buf_text(&rows), text);
}

static int add_event(void *arg, const struct hf_event *event) {
    static const uint8_t zero[HF_HASH_BYTES];
    assert_true(event->what == HF_PUT || event->what == HF_DELETE);
    assert_int_equal(memcmp(event->hash, zero, sizeof zero) == 0, event->what == HF_DELETE);
    buf_printf(arg, "%llu%c%s/%s ", (unsigned long long)event->revision, event->what == HF_PUT ? '+' : '-', event->kind,
               event->id);
    return 0;
}

int events(struct conform *c, uint64_t since, uint64_t limit, hf_event_visit visit, void *arg) {
    int code;
    do
        code = hf_store_events(c->store, since, limit, visit, arg, NULL);
    while (conform_is_flake(c, code));
    return code;
}

void expect_events(struct conform *c, uint64_t since, uint64_t limit, const char *text) {
    struct buf rows BUF_AUTO;
    buf_init(&rows);
    assert_int_equal(events(c, since, limit, add_event, &rows), 0);
    assert_string_equal(buf_text(&rows), text);
}
