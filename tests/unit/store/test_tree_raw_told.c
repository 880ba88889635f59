/* What is wrong with a tree, or fails while it is read without an index, is told of. */
#include "tree_raw_fixture.h"

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

int main(void) {
    const struct CMUnitTest tests[] = {
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
