/* What fails while files are written: the error names it, nothing is half there, and it works again afterwards. */
#include "tree_fixture.h"

enum { MANY = 150 };

static int put_many(struct tree_fixture *f, int from, int to, int n, struct hf_error *error) {
    struct hf_batch *batch = NULL;
    assert_int_equal(hf_batch_new(NULL, &batch, NULL), 0);
    for (int i = from; i < to; i++) {
        char id[16], json[32];
        snprintf(id, sizeof id, "id%03d", i);
        snprintf(json, sizeof json, "{\"n\":%d}", n);
        assert_int_equal(hf_batch_put(batch, "watch", id, json, strlen(json), NULL, NULL), 0);
    }
    return hf_store_commit(f->store, &batch, NULL, error);
}

static void expect_many(struct tree_fixture *f, int count, int n) {
    for (int i = 0; i < count; i++) {
        char id[16], path[32], json[32], text[32];
        snprintf(id, sizeof id, "id%03d", i);
        snprintf(path, sizeof path, "id%03d/watch.json", i);
        snprintf(json, sizeof json, "{\"n\":%d}", n);
        snprintf(text, sizeof text, "{\n  \"n\": %d\n}", n);
        tree_expect(f, "watch", id, n ? json : NULL);
        tree_expect_file(f, path, n ? text : NULL);
    }
}

/* ---- a disk that is full in the middle of a batch, and its kin ---- */

static struct os_fault *fault;

static void open_with_fault(struct tree_fixture *f) {
    assert_int_equal(os_fault_new(tree_os(), &fault), 0);
    f->os = os_fault_os(fault);
    tree_open(f);
}

static int fault_teardown(void **state) {
    int result = tree_teardown(state);
    os_fault_free(&fault);
    return result;
}

static void test_no_space_while_files_are_written(void **state) {
    struct tree_fixture *f = *state;
    static const struct {
        int error, code;
    } cases[] = {{ENOSPC, HF_ERR_NO_SPACE},   {EDQUOT, HF_ERR_QUOTA},          {EROFS, HF_ERR_READ_ONLY},
                 {EACCES, HF_ERR_PERMISSION}, {EMFILE, HF_ERR_TOO_MANY_FILES}, {ENOMEM, HF_ERR_NO_MEMORY}};
    static const struct os_fault_plan none = {0};
    open_with_fault(f);
    assert_int_equal(put_many(f, 0, MANY, 1, NULL), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct hf_error error = {0};
        struct os_fault_plan plan = {.fail_at = MANY / 2,
                                     .error = cases[i].error,
                                     .call_mask = 1U << (i < 3 ? OS_CALL_WRITE : OS_CALL_OPEN)};
        os_fault_set(fault, &plan);
        assert_int_equal(put_many(f, 0, MANY, 2 + (int)i, &error), cases[i].code);
        assert_true(os_fault_failed(fault) > 0);
        assert_non_null(strstr(error.message, "file 'id"));
        os_fault_set(fault, &none);
        assert_int_equal(tree_count(f, ".holdfast/staged"), 0);
        expect_many(f, MANY, 1 + (i ? 100 * (int)i : 0));
        assert_int_equal(put_many(f, 0, MANY, 1 + 100 * (int)(i + 1), &error), 0);
        store_pump(f->store);
        expect_many(f, MANY, 1 + 100 * (int)(i + 1));
    }
    tree_check(f, "");
}

static void test_a_folder_that_may_not_be_entered(void **state) {
    struct tree_fixture *f = *state;
    tree_open(f);
    tree_put(f, "watch", "good", "{\"n\":1}");
    tree_put(f, "watch", "shut", "{\"n\":1}");
    tree_calls.refused = "shut";
    tree_calls.refused_errno = EACCES;
    tree_put(f, "watch", "shut", "{\"n\":2}");
    tree_put(f, "watch", "good", "{\"n\":2}");
    tree_expect(f, "watch", "shut", "{\"n\":2}");
    tree_check(f, "pending_file shut/watch.json reported; unreadable_file shut reported; ");
    tree_open(f); /* still */
    tree_expect(f, "watch", "good", "{\"n\":2}");
    tree_expect(f, "watch", "shut", "{\"n\":2}");
    tree_check(f, "pending_file shut/watch.json reported; unreadable_file shut reported; ");
    tree_calls.refused = NULL;
    store_pump(f->store); /* at rest it is tried again */
    tree_check(f, "");
    tree_expect_file(f, "shut/watch.json", "{\n  \"n\": 2\n}");
}

static void remove_our_folder(struct tree_fixture *f, const char *path) {
    char below[64];
    snprintf(below, sizeof below, "t/.holdfast/%s", path);
    assert_int_equal(unlinkat(f->scratch.fd, below, AT_REMOVEDIR), 0);
}

/* By a cleaner of temporary files, or by hand. */
static void test_our_folders_are_made_again(void **state) {
    struct tree_fixture *f = *state;
    tree_open(f);
    tree_put(f, "watch", "a", "{\"n\":1}");
    store_pump(f->store); /* what was replaced is removed */
    remove_our_folder(f, "staged");
    tree_put(f, "watch", "a", "{\"n\":2}");
    tree_expect_file(f, "a/watch.json", "{\n  \"n\": 2\n}");
    tree_check(f, "");
    remove_our_folder(f, "aside");
    tree_write_file(f, "a/watch.json", "{\"edit\":1}");
    tree_put(f, "watch", "a", "{\"n\":3}");
    tree_expect(f, "watch", "a", "{\"n\":3}");
    tree_expect_file(f, "a/watch.json", "{\"edit\":1}"); /* there was no place to keep it */
    tree_check(f, "pending_file a/watch.json reported; ");
    store_pump(f->store);
    tree_expect_file(f, "a/watch.json", "{\n  \"n\": 3\n}");
    tree_expect_aside(f, "a_watch.json", "{\"edit\":1}");
    tree_check(f, "");
}

/* The index is gone and its WAL is not: the files have everything. */
static void test_without_its_index_the_way_out_is_said(void **state) {
    struct tree_fixture *f = *state;
    struct hf_error error = {0};
    tree_open(f);
    tree_put(f, "watch", "a", "{\"n\":1}");
    hf_store_close(&f->store);
    tree_remove_file(f, ".holdfast/index.db");
    assert_int_equal(tree_try_open(f, 0, &error), HF_ERR_CORRUPT);
    assert_non_null(strstr(error.message, "open the index"));
    assert_non_null(strstr(error.hint, "move '.holdfast' away, and all of them are taken in again"));
    assert_int_equal(renameat(f->scratch.fd, "t/.holdfast", f->scratch.fd, "old"), 0);
    tree_open(f);
    tree_expect(f, "watch", "a", "{\n  \"n\": 1\n}");
}

static void test_a_shut_folder_of_somebody_else(void **state) {
    struct tree_fixture *f = *state;
    struct hf_record *record = NULL;
    struct hf_error error = {0};
    tree_make_folder(f, "");
    tree_make_folder(f, "shut");
    tree_make_folder(f, "good");
    tree_write_file(f, "shut/watch.json", "{\"n\":1}");
    tree_write_file(f, "good/watch.json", "{\"n\":1}");
    tree_calls.refused = "shut/";
    tree_calls.refused_errno = EACCES;
    tree_open(f);
    tree_expect_found(f, "unreadable_file shut/watch.json reported; ");
    tree_expect(f, "watch", "good", "{\"n\":1}");
    assert_int_equal(hf_store_get(f->store, "watch", "shut", &record, &error), HF_ERR_PERMISSION);
    assert_non_null(strstr(error.message, "shut/watch.json"));
    tree_calls.refused = NULL;
    tree_put(f, "watch", "shut", "{\"n\":2}");
    tree_expect_file(f, "shut/watch.json", "{\n  \"n\": 2\n}");
    tree_expect_aside(f, "shut_watch.json", "{\"n\":1}");
}

/* ---- syncs that fail ---- */

static void expect_stopped(struct tree_fixture *f, int code, int before) {
    assert_int_equal(code, HF_ERR_FAILED);
    assert_int_equal(hf_store_put(f->store, "watch", "x", "1", 1, NULL, NULL), HF_ERR_FAILED);
    assert_int_equal(tree_count(f, ".holdfast/staged"), 0);
    tree_open(f);
    expect_many(f, MANY, before);
    tree_check(f, "");
}

static void test_a_sync_of_many_that_fails_stops_the_store(void **state) {
    struct tree_fixture *f = *state;
    tree_open(f);
    assert_int_equal(put_many(f, 0, MANY, 1, NULL), 0);
    int syncs = tree_calls.syncfs;
    tree_calls.fail_syncfs = 1;
    int code = put_many(f, 0, MANY, 2, NULL);
    assert_int_equal(tree_calls.syncfs, syncs + 1); /* not tried again */
    expect_stopped(f, code, 1);
}

static void test_a_sync_of_one_that_fails_stops_the_store(void **state) {
    struct tree_fixture *f = *state;
    tree_open(f);
    assert_int_equal(put_many(f, 0, MANY, 1, NULL), 0);
    tree_calls.fail_fsync = 1;
    expect_stopped(f, put_many(f, 0, 1, 2, NULL), 1);
}

static ino_t inode_of(struct tree_fixture *f, const char *path) {
    struct stat stat;
    assert_int_equal(fstatat(f->scratch.fd, path, &stat, 0), 0);
    return stat.st_ino;
}

/* The next sync would say yes for what this one lost. */
static void test_a_mark_does_not_pass_a_sync_that_failed(void **state) {
    struct tree_fixture *f = *state;
    tree_open(f);
    tree_put(f, "watch", "a", "{\"n\":1}");
    tree_open(f); /* settled */
    tree_put(f, "watch", "b", "{\"n\":1}");
    tree_calls.fail_syncfs = 1;
    struct hf_compact_result compacted;
    assert_int_equal(hf_store_compact(f->store, &compacted, NULL), 0); /* settles first */
    assert_int_equal(tree_calls.fail_syncfs, 0);
    hf_store_close(&f->store); /* a sync would work now */
    ino_t a = inode_of(f, "t/a/watch.json"), b = inode_of(f, "t/b/watch.json");
    tree_open(f);
    assert_int_equal(inode_of(f, "t/a/watch.json"), a);
    assert_true(inode_of(f, "t/b/watch.json") != b); /* written anew, though it looks right */
    tree_check(f, "");
    assert_int_equal(tree_count(f, ".holdfast/aside"), 0);
}

static void test_how_much_is_synced(void **state) {
    struct tree_fixture *f = *state;
    static const char *const options[] = {"durable=batch", "durable=file", "durable=none"};
    for (int i = 0; i < 3; i++) {
        char text[64];
        snprintf(text, sizeof text, "layout=kind&threads=1&%s", options[i]);
        tree_url(f, text);
        tree_open(f);
        tree_put(f, "watch", "first", "1"); /* the folder is there */
        tree_calls.syncs = tree_calls.syncfs = 0;
        assert_int_equal(put_many(f, 0, 10, 1, NULL), 0);
        assert_int_equal(tree_calls.syncs, i == 0 ? 10 : i == 1 ? 11 : 0);
        assert_int_equal(tree_calls.syncfs, 0);
        tree_calls.syncs = tree_calls.syncfs = 0;
        assert_int_equal(put_many(f, 10, 10 + MANY, 1, NULL), 0);
        assert_int_equal(tree_calls.syncs, i == 1 ? MANY + 1 : 0);
        assert_int_equal(tree_calls.syncfs, i == 0 ? 1 : 0);
        hf_store_close(&f->store);
        scratch_remove(&f->scratch);
        f->scratch = scratch_make();
    }
}

/* ---- a process that ends at any call ---- */

static int scenario(struct tree_fixture *f) {
    int acked = 0;
    for (int n = 1; n <= 3 && f->store; n++) {
        if (put_many(f, 0, 3, n, NULL) != 0)
            break;
        acked = n;
    }
    if (f->store && acked == 3 && hf_store_delete(f->store, "watch", "id001", NULL, NULL) == 0)
        acked = 4;
    hf_store_close(&f->store);
    return acked;
}

/* As a new process finds it: a whole batch, the files alike, nothing left. */
static void expect_whole(struct tree_fixture *f, uint64_t call, int acked) {
    struct hf_record *record = NULL;
    int n[3] = {0};
    f->os = tree_os();
    tree_open(f);
    for (int i = 0; i < 3; i++) {
        char id[16];
        snprintf(id, sizeof id, "id%03d", i);
        if (hf_store_get(f->store, "watch", id, &record, NULL) == 0)
            assert_int_equal(sscanf(record->json, "{\"n\":%d}", &n[i]), 1);
        hf_record_free(&record);
    }
    int is_deleted = n[1] == 0 && n[0] == 3;
    if (n[0] != n[2] || (n[1] != n[0] && !is_deleted) || n[0] + is_deleted < acked || n[0] + is_deleted > acked + 1)
        fail_msg("ended at call %d: %d %d %d, acknowledged %d", (int)call, n[0], n[1], n[2], acked);
    tree_check(f, "");
    assert_int_equal(tree_count(f, ".holdfast/staged"), 0);
}

static uint64_t end_at(struct tree_fixture *f, uint64_t call) {
    static const struct os_fault_plan none = {0};
    const struct os_fault_plan plan = {.fail_at = call, .error = EIO};
    struct hf_error error = {0};
    assert_int_equal(os_fault_new(tree_os(), &fault), 0);
    f->os = os_fault_os(fault);
    os_fault_set(fault, call ? &plan : &none);
    int acked = tree_try_open(f, 0, &error) == 0 ? scenario(f) : 0;
    uint64_t calls = os_fault_calls(fault);
    expect_whole(f, call, acked);
    hf_store_close(&f->store);
    os_fault_free(&fault);
    scratch_remove(&f->scratch);
    f->scratch = scratch_make();
    tree_url(f, "layout=watch&threads=1");
    return calls;
}

static void test_ended_at_every_call(void **state) {
    struct tree_fixture *f = *state;
    uint64_t calls = end_at(f, 0);
    assert_true(calls > 100);
    for (uint64_t call = 1; call <= calls; call++)
        end_at(f, call);
    printf("# ended at %d calls\n", (int)calls);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, tree_setup, fault_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(no_space_while_files_are_written),
        TEST(a_folder_that_may_not_be_entered),
        TEST(our_folders_are_made_again),
        TEST(without_its_index_the_way_out_is_said),
        TEST(a_shut_folder_of_somebody_else),
        TEST(a_sync_of_many_that_fails_stops_the_store),
        TEST(a_sync_of_one_that_fails_stops_the_store),
        TEST(a_mark_does_not_pass_a_sync_that_failed),
        TEST(how_much_is_synced),
        TEST(ended_at_every_call),
    };
    return cmocka_run_group_tests_name("a tree and failing calls", tests, NULL, NULL);
}
