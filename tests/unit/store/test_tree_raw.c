#include "../os/scratch.h"

#include "base/json.h"
#include "store/backend.h"
#include "store/tree_files.h"

static struct scratch scratch;
static const struct hf_store_options plain = {.max_document_bytes = 1000, .max_document_depth = 8};

struct told {
    int count;
    char last[4][400]; /* "what path text" */
};

static void tell(void *arg, const struct hf_finding *finding) {
    struct told *told = arg;
    assert_string_equal(finding->action, "reported");
    if (told->count < 4)
        snprintf(told->last[told->count], sizeof told->last[0], "%s %s %s %s", finding->what,
                 finding->id ? finding->id : "-", finding->path, finding->text);
    told->count++;
}

static void make(const char *path, const char *text) {
    char folder[300];
    snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    if (slash) {
        *slash = '\0';
        assert_true(mkdirat(scratch.fd, folder, 0700) == 0 || errno == EEXIST);
    }
    scratch_write(&scratch, path, text, 0600);
}

static struct store_backend *open_raw(const char *url, const struct hf_store_options *store_options) {
    struct tree_options options;
    struct store_backend *backend = NULL;
    struct hf_error error = {0};
    assert_int_equal(tree_options_parse(url, &options, NULL), 0);
    int root_fd = openat(scratch.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (tree_raw_open(os_real(), root_fd, &options, store_options, &backend, &error) != 0)
        fail_msg("%s", error.message);
    tree_options_fini(&options);
    return backend;
}

struct seen {
    struct buf text;
    int stop_at, count, value;
};

static int see(void *arg, const struct hf_record *record, int code) {
    struct seen *seen = arg;
    buf_printf(&seen->text, "%s%s/%s=%s", seen->count ? " " : "", record->kind, record->id,
               record->json ? record->json : hf_code_word(code));
    assert_true((record->json == NULL) == (code != 0));
    assert_int_equal(record->revision, 0);
    assert_string_equal(record->who, "");
    assert_true(record->updated_ms > 0 && record->created_ms == record->updated_ms);
    return ++seen->count == seen->stop_at ? seen->value : 0;
}

static const char *scan_to(struct store_backend *backend, const struct store_range *range, struct seen *seen,
                           int value) {
    struct hf_error error = {0};
    buf_fini(&seen->text);
    seen->count = 0;
    assert_int_equal(backend->ops->scan(backend, range, see, seen, &error), value);
    assert_int_equal(error.code, 0);
    return buf_text(&seen->text);
}

static const char *scan(struct store_backend *backend, const char *kind, const char *after_kind, const char *after_id,
                        uint64_t limit) {
    static struct seen seen;
    struct store_range range = {kind, after_kind, after_id, limit};
    return scan_to(backend, &range, &seen, 0);
}

static void make_some(void) {
    make("run/b.json", "2");
    make("run/a.json", "1");
    make("run/bad.json", "{");
    make("state/a.json", "{\"x\": 1}");
    make("state/c d.json", "4");
    make("state/e%20f.json", "5");
}

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

static struct hf_check_result check(struct store_backend *raw, uint64_t max_rows, struct told *told, int *ret_slices) {
    struct hf_check_cursor cursor = {0};
    struct hf_check_result result = {0};
    *told = (struct told){0};
    *ret_slices = 0;
    uint64_t done = 0;
    while (!cursor.is_done) {
        assert_int_equal(raw->ops->check(raw, &cursor, max_rows, tell, told, &result, NULL), 0);
        assert_true(cursor.done <= cursor.total && (cursor.done > done || cursor.is_done));
        done = cursor.done;
        ++*ret_slices;
    }
    assert_int_equal(cursor.done, cursor.total);
    return result;
}

static void checks(void **state) {
    (void)state;
    make_some();
    struct store_backend *raw = open_raw("d", &plain);
    for (uint64_t max_rows = 1; max_rows <= 6; max_rows++) {
        struct told told;
        int slices;
        struct hf_check_result result = check(raw, max_rows, &told, &slices);
        assert_int_equal(slices, (5 + max_rows - 1) / max_rows);
        assert_int_equal(result.records, 5);
        assert_int_equal(result.findings, 2);
        assert_int_equal(told.count, 2);
        assert_string_equal(told.last[0], "bad_name - state/c d.json no id has a file of this name");
        assert_non_null(strstr(told.last[1], "damaged_file bad run/bad.json is not JSON: "));
    }
    raw->ops->close(&raw);
}

/* A slice goes on behind its key, whatever came or went, and whoever began another check. */
static void checks_at_once(void **state) {
    (void)state;
    make_some();
    struct store_backend *raw = open_raw("d", &plain);
    struct hf_check_cursor first = {0}, second = {0};
    struct hf_check_result result = {0}, other = {0};
    struct told told;
    int slices;
    assert_int_equal(raw->ops->check(raw, &first, 2, NULL, NULL, &result, NULL), 0);
    assert_int_equal(raw->ops->check(raw, &second, 1, NULL, NULL, &other, NULL), 0);
    (void)check(raw, 100, &told, &slices);
    assert_int_equal(unlinkat(scratch.fd, "run/bad.json", 0), 0);
    make("state/zz.json", "1");
    while (!first.is_done)
        assert_int_equal(raw->ops->check(raw, &first, 1, NULL, NULL, &result, NULL), 0);
    assert_int_equal(result.records, 4); /* as listed, without the one that went */
    raw->ops->close(&raw);
}

static void an_empty_tree(void **state) {
    (void)state;
    struct store_backend *raw = open_raw("d", &plain);
    struct told told;
    int slices;
    assert_int_equal(check(raw, 10, &told, &slices).records, 0);
    assert_int_equal(slices, 1);
    assert_string_equal(scan(raw, NULL, NULL, NULL, 0), "");
    raw->ops->close(&raw);
}

static void opening_tells_of_what_is_wrong(void **state) {
    (void)state;
    make_some();
    struct told told = {0};
    struct hf_store_options options = plain;
    options.found = tell;
    options.found_arg = &told;
    struct store_backend *raw = open_raw("d", &options);
    assert_int_equal(told.count, 2);
    assert_string_equal(scan(raw, "run", "run", "b", 0), "run/bad=corrupt");
    assert_int_equal(told.count, 2);
    raw->ops->close(&raw);
}

static int give_up(void *arg, uint64_t done, uint64_t total) {
    assert_int_equal(done, 100);
    assert_int_equal(total, 150);
    return *(int *)arg;
}

static void opening_tells_how_far_it_is(void **state) {
    (void)state;
    char path[64];
    for (int i = 0; i < 150; i++) {
        snprintf(path, sizeof path, "k/%d.json", i);
        make(path, "1");
    }
    struct told told = {0};
    int gives_up = 0;
    struct hf_store_options options = plain;
    options.found = tell;
    options.found_arg = &told;
    options.progress = give_up;
    options.progress_arg = &gives_up;
    struct store_backend *raw = open_raw("d", &options);
    raw->ops->close(&raw);
    gives_up = 1;
    struct tree_options tree = {.layout = TREE_LAYOUT_KIND};
    struct hf_error error = {0};
    int fds = count_open_fds();
    int root_fd = openat(scratch.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(tree_raw_open(os_real(), root_fd, &tree, &options, &raw, &error), HF_ERR_CANCELLED);
    assert_int_equal(error.code, HF_ERR_CANCELLED);
    assert_null(raw);
    assert_int_equal(count_open_fds(), fds); /* the folder was taken, and closed */
}

static void nothing_is_written(void **state) {
    (void)state;
    make_some();
    struct store_backend *raw = open_raw("d", &plain);
    struct store_change change = {.what = HF_PUT, .kind = "run", .id = "a", .json = "2", .json_bytes = 1};
    struct hf_error error = {0};
    assert_int_equal(raw->ops->begin(raw, &error), HF_ERR_READ_ONLY);
    assert_true(error.hint[0]);
    assert_int_equal(raw->ops->put(raw, &change, &error), HF_ERR_READ_ONLY);
    assert_int_equal(raw->ops->remove(raw, &change, &error), HF_ERR_READ_ONLY);
    assert_int_equal(raw->ops->commit(raw, &error), HF_ERR_READ_ONLY);
    raw->ops->abort(raw);
    raw->ops->close(&raw);
    assert_null(raw);
}

/* ---- calls that fail ---- */

/* Rows are what was written, or damaged; never other bytes. */
static int see_good(void *arg, const struct hf_record *record, int code) {
    static const char *const good[] = {"run/a=1", "run/b=2", "state/a={\"x\": 1}", "state/e f=5"};
    char row[128];
    ++*(int *)arg;
    if (code != 0)
        return record->json ? 1 : 0;
    snprintf(row, sizeof row, "%s/%s=%s", record->kind, record->id, record->json);
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        if (strcmp(row, good[i]) == 0)
            return 0;
    fail_msg("the scan gave '%s'", row);
    return 1;
}

static int open_and_read(const struct os *os, struct hf_error *error, int *ret_rows) {
    struct tree_options options = {.threads = 1};
    struct told told = {0};
    struct hf_store_options store_options = plain;
    store_options.found = tell;
    store_options.found_arg = &told;
    struct store_backend *raw = NULL;
    struct hf_record *record = NULL;
    int root_fd = openat(scratch.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int code = tree_raw_open(os, root_fd, &options, &store_options, &raw, error);
    if (code != 0)
        return code;
    code = raw->ops->get(raw, STORE_COMMITTED, "state", "a", 0, &record, error);
    if (code == 0)
        assert_string_equal(record->json, "{\"x\": 1}");
    hf_record_free(&record);
    if (code == 0)
        code = raw->ops->scan(raw, &(struct store_range){.limit = 0}, see_good, ret_rows, error);
    raw->ops->close(&raw);
    return code;
}

static void sweep(struct os_fault *fault, const struct os_fault_plan *plan, int must_work) {
    struct os_fault_plan at = *plan;
    uint64_t failed = 1;
    for (at.fail_at = 1; failed > 0; at.fail_at++) {
        struct hf_error error = {0};
        int rows = 0, fds = count_open_fds();
        os_fault_set(fault, &at);
        int code = open_and_read(os_fault_os(fault), &error, &rows);
        failed = os_fault_failed(fault);
        assert_int_equal(count_open_fds(), fds);
        assert_int_equal(error.code, code);
        if (must_work || failed == 0)
            assert_int_equal(code, 0);
        if (code == 0)
            assert_int_equal(rows, 5); /* a scan that lacks something says so */
    }
}

static void every_call_may_fail(void **state) {
    (void)state;
    static const int errors[] = {EIO, EACCES, EMFILE, ENOMEM};
    struct os_fault *fault;
    make_some();
    assert_int_equal(os_fault_new(os_real(), &fault), 0);
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++)
        for (int once = 0; once < 2; once++)
            sweep(fault, &(struct os_fault_plan){.error = errors[i], .once = once, .call_mask = ~(1U << OS_CALL_CLOSE)},
                  0);
    sweep(fault, &(struct os_fault_plan){.error = EIO, .call_mask = 1U << OS_CALL_CLOSE}, 1);
    sweep(fault, &(struct os_fault_plan){.error = 0, .call_mask = 1U << OS_CALL_READ}, 1);
    sweep(fault,
          &(struct os_fault_plan){.error = EINTR, .once = 1, .call_mask = 1U << OS_CALL_READ | 1U << OS_CALL_OPEN}, 1);
    os_fault_free(&fault);
}

static void a_scan_tells_of_a_folder_that_hides_records(void **state) {
    (void)state;
    struct os_fault *fault;
    struct hf_error error = {0};
    int rows = 0;
    make_some();
    assert_int_equal(os_fault_new(os_real(), &fault), 0);
    struct tree_options options = {.threads = 1};
    struct store_backend *raw = NULL;
    int root_fd = openat(scratch.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(tree_raw_open(os_fault_os(fault), root_fd, &options, &plain, &raw, &error), 0);
    struct os_fault_plan plan = {.fail_at = 1, .once = 1, .error = EACCES, .call_mask = 1U << OS_CALL_OPEN};
    os_fault_set(fault, &plan);
    assert_int_equal(raw->ops->scan(raw, &(struct store_range){.limit = 0}, see_good, &rows, &error), HF_ERR_IO);
    assert_true(rows == 2 || rows == 3); /* the other folder's, in full */
    assert_non_null(strstr(error.message, "' cannot be listed: Permission denied: what is in it was left out"));
    raw->ops->close(&raw);
    os_fault_free(&fault);
}

static int setup(void **state) {
    (void)state;
    scratch = scratch_make();
    return 0;
}

static int teardown(void **state) {
    (void)state;
    scratch_remove(&scratch);
    return 0;
}

#define RAW_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        RAW_TEST(get),
        RAW_TEST(get_what_is_not_good),
        RAW_TEST(scans),
        RAW_TEST(a_visit_ends_a_scan),
        RAW_TEST(the_watch_layout),
        RAW_TEST(many_are_in_order),
        RAW_TEST(history_is_what_is_there),
        RAW_TEST(checks),
        RAW_TEST(checks_at_once),
        RAW_TEST(an_empty_tree),
        RAW_TEST(opening_tells_of_what_is_wrong),
        RAW_TEST(opening_tells_how_far_it_is),
        RAW_TEST(nothing_is_written),
        RAW_TEST(every_call_may_fail),
        RAW_TEST(a_scan_tells_of_a_folder_that_hides_records),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
