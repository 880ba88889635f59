/* What a tree writes where, who may open it, and what is there after it was opened again. */
#include "tree_fixture.h"

static void test_files_follow_records(void **state) {
    struct tree_fixture *f = *state;
    tree_open(f);
    tree_put(f, "watch", "a", "{\"url\":\"https://x/\",\"n\":1.0,\"s\":\"\\u00e9\"}");
    tree_put(f, "settings", "changedetection", "{}");
    tree_put(f, "tag", "a", "[]");
    tree_expect_file(f, "a/watch.json", "{\n  \"url\": \"https://x/\",\n  \"n\": 1.0,\n  \"s\": \"\xc3\xa9\"\n}");
    tree_expect_file(f, "changedetection.json", "{}");
    tree_expect_file(f, "a/tag.json", "[]");
    tree_put(f, "watch", "a", "{\"n\":2}");
    tree_expect_file(f, "a/watch.json", "{\n  \"n\": 2\n}");
    tree_expect(f, "watch", "a", "{\"n\":2}");
    tree_open(f);
    tree_expect_found(f, "");
    tree_expect(f, "watch", "a", "{\"n\":2}");
    assert_int_equal(tree_count(f, ".holdfast/staged"), 0);
    assert_int_equal(tree_count(f, ".holdfast/aside"), 0);
}

static void test_the_kind_layout(void **state) {
    struct tree_fixture *f = *state;
    tree_url(f, "threads=1");
    tree_open(f);
    tree_put(f, "watch", "a", "1");
    tree_expect_file(f, "watch/a.json", "1");
    tree_delete(f, "watch", "a");
    tree_expect_file(f, "watch", NULL);
    tree_put(f, "watch", "a", "2"); /* the folder is made again */
    tree_expect_file(f, "watch/a.json", "2");
}

static void test_a_deletion_removes_the_file_and_an_empty_folder(void **state) {
    struct tree_fixture *f = *state;
    tree_open(f);
    tree_put(f, "watch", "a", "1");
    tree_put(f, "watch", "b", "1");
    tree_write_file(f, "b/history.txt", "x");
    tree_delete(f, "watch", "a");
    tree_delete(f, "watch", "b");
    tree_expect_file(f, "a", NULL);
    tree_expect_file(f, "b/watch.json", NULL);
    tree_expect_file(f, "b/history.txt", "x");
    tree_open(f);
    tree_expect_found(f, "");
    tree_expect(f, "watch", "a", NULL);
}

static mode_t mode_of(struct tree_fixture *f, const char *path) {
    struct stat stat;
    assert_int_equal(fstatat(f->scratch.fd, path, &stat, 0), 0);
    return stat.st_mode & 0777;
}

static void test_modes(void **state) {
    struct tree_fixture *f = *state;
    mode_t before = umask(027);
    tree_open(f);
    tree_put(f, "watch", "a", "1");
    assert_int_equal(mode_of(f, "t/a/watch.json"), 0640);
    assert_int_equal(mode_of(f, "t/a"), 0750);
    assert_int_equal(mode_of(f, "t/.holdfast"), 0700);
    assert_int_equal(fchmodat(f->scratch.fd, "t/a/watch.json", 0666, 0), 0);
    tree_put(f, "watch", "a", "2");
    assert_int_equal(mode_of(f, "t/a/watch.json"), 0666);
    assert_int_equal(fchmodat(f->scratch.fd, "t/a/watch.json", 0400, 0), 0);
    tree_put(f, "watch", "a", "3");
    assert_int_equal(mode_of(f, "t/a/watch.json"), 0400);
    umask(before);
}

static void test_hostile_ids(void **state) {
    struct tree_fixture *f = *state;
    static const char *const ids[] = {"..a",       ".holdfast", "%2e%2e",    "a b",    "\xc3\xa9", "CON",
                                      "x.json",    "trailing.", "trailing ", "a\\b",   "A",        "a",
                                      "e\xcc\x81", "-rf",       "$(id)",     "a'b\"c", "%",        "*"};
    char longest[HF_ID_MAX + 1], twin[HF_ID_MAX + 1];
    memset(longest, '\xff', sizeof longest);
    for (int i = 0; i < HF_ID_MAX; i++)
        longest[i] = i % 2 ? '\xa9' : '\xc3';
    longest[HF_ID_MAX - 1] = 'x';
    longest[HF_ID_MAX] = '\0';
    memcpy(twin, longest, sizeof twin);
    twin[HF_ID_MAX - 1] = 'y';
    for (int layout = 0; layout < 2; layout++) {
        struct stat stat;
        tree_url(f, layout ? "layout=kind&threads=1" : "layout=watch&threads=1");
        tree_open(f);
        for (size_t i = 0; i < sizeof ids / sizeof *ids; i++)
            tree_put(f, "watch", ids[i], "{\"n\":1}");
        tree_put(f, "watch", longest, "{\"n\":1}");
        tree_put(f, "watch", twin, "{\"n\":2}");
        tree_check(f, "");
        assert_int_equal(count_entries(f->scratch.fd), 1); /* nothing beside the tree */
        tree_open(f);
        tree_expect_found(f, "");
        for (size_t i = 0; i < sizeof ids / sizeof *ids; i++)
            tree_expect(f, "watch", ids[i], "{\"n\":1}");
        tree_expect(f, "watch", twin, "{\"n\":2}");
        for (size_t i = 0; i < sizeof ids / sizeof *ids; i++)
            tree_delete(f, "watch", ids[i]);
        tree_delete(f, "watch", longest);
        tree_delete(f, "watch", twin);
        assert_int_equal(tree_count(f, ""), 1);
        hf_store_close(&f->store);
        assert_int_equal(fstatat(f->scratch.fd, "t/.holdfast", &stat, 0), 0);
        scratch_remove(&f->scratch);
        f->scratch = scratch_make();
    }
}

static void test_a_tree_has_one_owner(void **state) {
    struct tree_fixture *f = *state;
    struct hf_store *second = NULL;
    struct hf_error error = {0};
    tree_open(f);
    tree_put(f, "watch", "a", "1");
    tree_write_file(f, ".holdfast/staged/other", "x"); /* as one that is being written */
    assert_int_equal(hf_store_open(f->url, NULL, &second, &error), HF_ERR_LOCKED);
    assert_null(second);
    tree_expect_file(f, ".holdfast/staged/other", "x");
    struct hf_store_options reader = {.struct_bytes = sizeof reader, .read_only = 1};
    assert_int_equal(hf_store_open(f->url, &reader, &second, &error), 0);
    struct hf_record *record = NULL;
    assert_int_equal(hf_store_get(second, "watch", "a", &record, NULL), 0);
    hf_record_free(&record);
    hf_store_close(&second);
}

static void test_read_only_with_an_index(void **state) {
    struct tree_fixture *f = *state;
    struct hf_error error = {0};
    tree_open(f);
    tree_put(f, "watch", "a", "1");
    hf_store_close(&f->store);
    tree_write_file(f, "a/watch.json", "2");
    assert_int_equal(tree_try_open(f, 1, &error), 0);
    tree_expect(f, "watch", "a", "1");
    tree_check(f, "foreign_edit a/watch.json reported; ");
    assert_int_equal(hf_store_put(f->store, "watch", "a", "3", 1, NULL, NULL), HF_ERR_READ_ONLY);
    enum store_mend mend;
    uint8_t hash[HF_HASH_BYTES];
    assert_int_equal(store_mend(f->store, "watch", "a", &mend, &f->text, hash, NULL), HF_ERR_READ_ONLY);
    tree_expect_file(f, "a/watch.json", "2");
}

static void test_read_only_without_an_index(void **state) {
    struct tree_fixture *f = *state;
    struct hf_error error = {0};
    assert_int_equal(tree_try_open(f, 1, &error), HF_ERR_NOT_FOUND);
    assert_null(f->store);
    assert_int_equal(count_entries(f->scratch.fd), 0); /* nothing was made */
    tree_make_folder(f, "a");
    tree_write_file(f, "a/watch.json", "2");
    assert_int_equal(tree_try_open(f, 1, &error), 0);
    tree_expect(f, "watch", "a", "2");
    assert_int_equal(tree_count(f, ""), 1);
}

static void test_a_layout_is_for_good(void **state) {
    struct tree_fixture *f = *state;
    struct hf_error error = {0};
    tree_open(f);
    tree_put(f, "watch", "a", "1");
    hf_store_close(&f->store);
    tree_url(f, "layout=kind&threads=1");
    assert_int_equal(tree_try_open(f, 0, &error), HF_ERR_INVALID);
    assert_non_null(strstr(error.hint, "layout=watch"));
    tree_expect_file(f, "a/watch.json", "1");
    tree_expect_file(f, "watch", NULL);
}

static void test_a_link_for_the_own_folder_is_refused(void **state) {
    struct tree_fixture *f = *state;
    struct hf_error error = {0};
    tree_make_folder(f, "");
    assert_int_equal(mkdirat(f->scratch.fd, "outside", 0755), 0);
    assert_int_equal(symlinkat("../outside", f->scratch.fd, "t/.holdfast"), 0);
    assert_int_equal(tree_try_open(f, 0, &error), HF_ERR_UNSAFE_PATH);
    assert_int_equal(unlinkat(f->scratch.fd, "t/.holdfast", 0), 0);
    tree_make_folder(f, ".holdfast");
    assert_int_equal(symlinkat("../../outside", f->scratch.fd, "t/.holdfast/staged"), 0);
    scratch_write(&f->scratch, "outside/precious", "x", 0600);
    assert_int_equal(tree_try_open(f, 0, &error), HF_ERR_UNSAFE_PATH);
    assert_string_equal(scratch_read(&f->scratch, "outside/precious", &f->text), "x");
}

/* A crash in the middle of writing left them, or somebody planted them. */
static void test_what_is_left_in_staged_is_swept(void **state) {
    struct tree_fixture *f = *state;
    tree_open(f);
    hf_store_close(&f->store);
    tree_write_file(f, ".holdfast/staged/0123-1", "half");
    tree_make_folder(f, ".holdfast/staged/sub");
    tree_write_file(f, ".holdfast/staged/sub/x", "half");
    scratch_write(&f->scratch, "precious", "x", 0600);
    assert_int_equal(symlinkat("../../../precious", f->scratch.fd, "t/.holdfast/staged/link"), 0);
    tree_open(f);
    assert_int_equal(tree_count(f, ".holdfast/staged"), 0);
    assert_string_equal(scratch_read(&f->scratch, "precious", &f->text), "x");
}

static void test_a_mark_that_is_damaged_is_none(void **state) {
    struct tree_fixture *f = *state;
    static const char *const bad[] = {"",
                                      "holdfast tree 1 revision 9 at_ns 1 taking 0 layout kind sum 0000000000000000\n",
                                      "nonsense"};
    tree_open(f);
    tree_put(f, "watch", "a", "{\"n\":1}");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        hf_store_close(&f->store);
        tree_write_file(f, ".holdfast/settled", bad[i]);
        tree_write_file(f, "a/watch.json", "{\"n\":2}");
        tree_open(f); /* which is newer is not known: ours, and nothing is lost */
        tree_expect(f, "watch", "a", "{\"n\":1}");
        tree_expect_file(f, "a/watch.json", "{\n  \"n\": 1\n}");
        assert_int_equal(tree_count(f, ".holdfast/aside"), i + 1);
    }
}

static int count_event(void *arg, const struct hf_event *event) {
    (void)event;
    ++*(int *)arg;
    return 0;
}

static void test_events_wait_for_the_mark(void **state) {
    struct tree_fixture *f = *state;
    struct hf_error error = {0};
    const struct store_setup setup = {.os = f->os, .without_thread = 1};
    const struct hf_store_options options = {.struct_bytes = sizeof options, .events_keep = 10};
    assert_int_equal(store_open(f->url, &options, &setup, &f->store, &error), 0);
    for (int i = 0; i < 1100; i++) {
        char json[16];
        snprintf(json, sizeof json, "%d", i);
        if (i == 1000)
            tree_calls.fail_syncfs = 1000; /* the mark can no longer be moved */
        tree_put(f, "watch", "a", json);
    }
    tree_calls.fail_syncfs = 0;
    int events = 0;
    assert_int_equal(hf_store_events(f->store, 0, 0, count_event, &events, NULL), 0);
    assert_int_equal(events, 1100);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, tree_setup, tree_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(files_follow_records),
        TEST(the_kind_layout),
        TEST(a_deletion_removes_the_file_and_an_empty_folder),
        TEST(modes),
        TEST(hostile_ids),
        TEST(a_tree_has_one_owner),
        TEST(read_only_with_an_index),
        TEST(read_only_without_an_index),
        TEST(a_layout_is_for_good),
        TEST(a_link_for_the_own_folder_is_refused),
        TEST(what_is_left_in_staged_is_swept),
        TEST(a_mark_that_is_damaged_is_none),
        TEST(events_wait_for_the_mark),
    };
    return cmocka_run_group_tests_name("a tree", tests, NULL, NULL);
}
