/* What other programs do to the files: before the store was first opened, while it is closed, while it is open. */
#include "tree_fixture.h"

/* A datastore as changedetection.io keeps it. */
static void make_datastore(struct tree_fixture *f) {
    tree_make_folder(f, "");
    tree_write_file(f, "changedetection.json",
                    "{\n  \"note\": \"Hello!\",\n  \"app_guid\": \"g\",\n  \"settings\": {}\n}");
    tree_write_file(f, "secret.txt", "s");
    tree_make_folder(f, "aaaa");
    tree_write_file(f, "aaaa/watch.json",
                    "{\n  \"uuid\": \"aaaa\",\n  \"time_between_check\": {\n    \"hours\": 3\n  },\n"
                    "  \"time_schedule_limit\": {\n    \"enabled\": true\n  }\n}");
    tree_write_file(f, "aaaa/history.txt", "1,x\n");
    tree_make_folder(f, "bbbb");
    tree_write_file(f, "bbbb/watch.json", "{\"uuid\": \"bbbb\", \"t");
    tree_make_folder(f, "cccc");
    tree_write_file(f, "cccc/watch.json", "{\"uuid\": \"cccc\"}\n");
    tree_write_file(f, "cccc/tag.json", "{\"title\": \"t\"}");
}

static void test_a_datastore_opens_as_it_is(void **state) {
    struct tree_fixture *f = *state;
    struct stat before, after;
    make_datastore(f);
    assert_int_equal(fstatat(f->scratch.fd, "t/aaaa/watch.json", &before, 0), 0);
    tree_open(f);
    tree_expect_found(f, "damaged_file bbbb/watch.json reported; ");
    tree_expect(f, "settings", "changedetection",
                "{\n  \"note\": \"Hello!\",\n  \"app_guid\": \"g\",\n  \"settings\": {}\n}");
    tree_expect(f, "watch", "aaaa",
                "{\n  \"uuid\": \"aaaa\",\n  \"time_between_check\": {\n    \"hours\": 3\n  },\n"
                "  \"time_schedule_limit\": {\n    \"enabled\": true\n  }\n}");
    tree_expect(f, "watch", "cccc", "{\"uuid\": \"cccc\"}\n");
    tree_expect(f, "tag", "cccc", "{\"title\": \"t\"}");
    tree_check(f, "damaged_file bbbb/watch.json reported; ");
    hf_store_close(&f->store);
    assert_int_equal(fstatat(f->scratch.fd, "t/aaaa/watch.json", &after, 0), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    assert_int_equal(before.st_ctim.tv_nsec, after.st_ctim.tv_nsec);
    tree_expect_file(f, "cccc/watch.json", "{\"uuid\": \"cccc\"}\n");
    tree_expect_file(f, "bbbb/watch.json", "{\"uuid\": \"bbbb\", \"t");
    tree_expect_file(f, "aaaa/history.txt", "1,x\n");
    assert_int_equal(tree_count(f, ".holdfast/aside"), 0);
}

static int add_row(void *arg, const struct hf_record *record, int code) {
    if (code)
        assert_null(record->json);
    buf_printf(arg, "%s/%s=%s ", record->kind, record->id, code ? hf_code_word(code) : "good");
    return 0;
}

static void expect_rows(struct tree_fixture *f, const char *kind, const char *after, uint64_t limit, const char *text) {
    buf_clear(&f->text);
    assert_int_equal(hf_store_scan(f->store, kind, after, limit, add_row, &f->text, NULL), 0);
    assert_string_equal(buf_text(&f->text), text);
}

static void test_damaged_files_have_their_place(void **state) {
    struct tree_fixture *f = *state;
    struct hf_record *record = NULL;
    struct hf_error error = {0};
    make_datastore(f);
    tree_open(f);
    expect_rows(f, "watch", NULL, 0, "watch/aaaa=good watch/bbbb=corrupt watch/cccc=good ");
    expect_rows(f, NULL, NULL, 0,
                "settings/changedetection=good tag/cccc=good watch/aaaa=good watch/bbbb=corrupt watch/cccc=good ");
    expect_rows(f, "watch", "aaaa", 1, "watch/bbbb=corrupt ");
    expect_rows(f, "watch", "bbbb", 0, "watch/cccc=good ");
    expect_rows(f, "watch", NULL, 2, "watch/aaaa=good watch/bbbb=corrupt ");
    expect_rows(f, "tag", NULL, 0, "tag/cccc=good ");
    assert_int_equal(hf_store_get(f->store, "watch", "bbbb", &record, &error), HF_ERR_CORRUPT);
    assert_non_null(strstr(error.message, "bbbb/watch.json"));
    assert_non_null(strstr(error.message, "byte"));
    assert_null(record);
}

static int count_event(void *arg, const struct hf_event *event) {
    (void)event;
    ++*(int *)arg;
    return 0;
}

static void test_a_put_keeps_the_damaged_file_aside(void **state) {
    struct tree_fixture *f = *state;
    make_datastore(f);
    tree_open(f);
    tree_put(f, "watch", "bbbb", "{\"uuid\":\"bbbb\"}");
    tree_expect(f, "watch", "bbbb", "{\"uuid\":\"bbbb\"}");
    tree_expect_file(f, "bbbb/watch.json", "{\n  \"uuid\": \"bbbb\"\n}");
    tree_expect_aside(f, "bbbb_watch.json", "{\"uuid\": \"bbbb\", \"t");
    expect_rows(f, "watch", NULL, 0, "watch/aaaa=good watch/bbbb=good watch/cccc=good ");
    tree_check(f, "");
}

static void test_a_damaged_file_can_be_deleted(void **state) {
    struct tree_fixture *f = *state;
    int events = 0;
    make_datastore(f);
    tree_open(f);
    uint64_t before = hf_store_revision(f->store);
    tree_delete(f, "watch", "bbbb");
    tree_expect(f, "watch", "bbbb", NULL);
    tree_expect_file(f, "bbbb/watch.json", NULL);
    tree_expect_aside(f, "bbbb_watch.json", "{\"uuid\": \"bbbb\", \"t");
    assert_int_equal(hf_store_events(f->store, before, 0, count_event, &events, NULL), 0);
    assert_true(events >= 1);
    assert_int_equal(hf_store_delete(f->store, "watch", "bbbb", NULL, NULL), HF_ERR_NOT_FOUND);
    tree_check(f, "");
}

static void test_an_edit_while_closed_is_taken(void **state) {
    struct tree_fixture *f = *state;
    tree_open(f);
    tree_put(f, "watch", "a", "{\"n\":1}");
    tree_put(f, "watch", "b", "{\"n\":1}");
    hf_store_close(&f->store);
    tree_write_file(f, "a/watch.json", "{\"n\":2}");
    tree_open(f);
    tree_expect_found(f, "foreign_edit a/watch.json taken; ");
    tree_expect(f, "watch", "a", "{\"n\":2}");
    tree_expect(f, "watch", "b", "{\"n\":1}");
    assert_int_equal(hf_store_revision(f->store), 3);
    tree_expect_file(f, "a/watch.json", "{\"n\":2}");
    assert_int_equal(tree_count(f, ".holdfast/aside"), 0);
    tree_open(f);
    tree_expect_found(f, "");
    tree_check(f, "");
}

static struct hf_commit_result put_again(struct tree_fixture *f, const char *id, const char *json) {
    struct hf_commit_result result = {0};
    assert_int_equal(hf_store_put(f->store, "watch", id, json, strlen(json), &result, NULL), 0);
    return result;
}

/* Nobody has seen the edit yet, and the put is the newer one: it wins as a put of another document would. */
static void test_a_put_of_the_same_wins_over_an_edit(void **state) {
    static const char *const edits[] = {"{\"n\":2}", "{\"n", NULL};
    struct tree_fixture *f = *state;
    for (size_t i = 0; i < 3; i++) {
        const char *id = i == 0 ? "a" : i == 1 ? "b" : "c";
        char path[32];
        snprintf(path, sizeof path, "%s/watch.json", id);
        tree_open(f);
        tree_put(f, "watch", id, "{\"n\":1}");
        int opens = tree_calls.opens;
        assert_false(put_again(f, id, "{\"n\":1}").changed);
        assert_int_equal(tree_calls.opens, opens); /* it costs no look at the file */
        if (edits[i])
            tree_write_file(f, path, edits[i]);
        else
            tree_remove_file(f, path);
        assert_true(put_again(f, id, "{\"n\":1}").changed);
        tree_expect_file(f, path, "{\n  \"n\": 1\n}");
        assert_int_equal(tree_count(f, ".holdfast/aside"), i == 0 ? 1 : 2);
        tree_open(f);
        tree_expect_found(f, "");
        tree_expect(f, "watch", id, "{\"n\":1}");
        assert_false(put_again(f, id, "{\"n\":1}").changed);
        tree_check(f, "");
    }
}

static void test_a_rewritten_file_of_the_same_document_is_no_edit(void **state) {
    struct tree_fixture *f = *state;
    tree_open(f);
    tree_put(f, "watch", "a", "{\"n\":1,\"m\":2}");
    hf_store_close(&f->store);
    tree_write_file(f, "a/watch.json", "{ \"m\" : 2, \"n\": 1 }\n");
    tree_open(f);
    tree_expect_found(f, "");
    tree_check(f, "");
    tree_expect(f, "watch", "a", "{\"n\":1,\"m\":2}");
}

static void test_an_edit_of_ours_is_put_back(void **state) {
    struct tree_fixture *f = *state;
    tree_url(f, "layout=watch&threads=1&ours=watch");
    tree_open(f);
    tree_put(f, "watch", "a", "{\"n\":1}");
    hf_store_close(&f->store);
    tree_write_file(f, "a/watch.json", "{\"n\":2}");
    tree_open(f);
    tree_expect_found(f, "foreign_edit a/watch.json put_back; ");
    tree_expect(f, "watch", "a", "{\"n\":1}");
    tree_expect_file(f, "a/watch.json", "{\n  \"n\": 1\n}");
    tree_expect_aside(f, "a_watch.json", "{\"n\":2}");
    tree_check(f, "");
}

static void test_an_added_file_is_taken_or_moved_aside(void **state) {
    struct tree_fixture *f = *state;
    tree_url(f, "layout=watch&threads=1&ours=tag");
    tree_open(f);
    tree_put(f, "watch", "a", "{\"n\":1}");
    hf_store_close(&f->store);
    tree_write_file(f, "a/tag.json", "[1]");
    tree_write_file(f, "a/note.json", "[2]");
    tree_open(f);
    tree_expect_found(f, "foreign_file a/note.json taken; foreign_file a/tag.json kept_aside; ");
    tree_expect(f, "note", "a", "[2]");
    tree_expect(f, "tag", "a", NULL);
    tree_expect_file(f, "a/tag.json", NULL);
    tree_expect_aside(f, "a_tag.json", "[1]");
}

static void test_a_removed_file_is_written_again(void **state) {
    struct tree_fixture *f = *state;
    tree_open(f);
    tree_put(f, "watch", "a", "{\"n\":1}");
    hf_store_close(&f->store);
    tree_remove_file(f, "a/watch.json");
    assert_int_equal(unlinkat(f->scratch.fd, "t/a", AT_REMOVEDIR), 0);
    tree_open(f);
    tree_expect_found(f, "missing_file a/watch.json put_back; ");
    tree_expect_file(f, "a/watch.json", "{\n  \"n\": 1\n}");
    tree_check(f, "");
}

static void test_a_damaged_file_is_put_back(void **state) {
    struct tree_fixture *f = *state;
    static const char *const bad[] = {"", "{\"n\":", "{\"n\":1}x", "{\"n\":NaN}"};
    tree_open(f);
    tree_put(f, "watch", "a", "{\"n\":1}");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        hf_store_close(&f->store);
        tree_write_file(f, "a/watch.json", bad[i]);
        tree_open(f);
        tree_expect_found(f, "damaged_file a/watch.json put_back; ");
        tree_expect_file(f, "a/watch.json", "{\n  \"n\": 1\n}");
        assert_int_equal(tree_count(f, ".holdfast/aside"), i + 1);
    }
    tree_check(f, "");
}

/* The file of another watch in this one's place: not this one's newest state. */
static void test_a_swapped_file_is_put_back(void **state) {
    struct tree_fixture *f = *state;
    tree_open(f);
    tree_put(f, "watch", "aaaa", "{\"uuid\":\"aaaa\"}");
    hf_store_close(&f->store);
    tree_write_file(f, "aaaa/watch.json", "{\"uuid\":\"bbbb\"}");
    tree_open(f);
    tree_expect_found(f, "damaged_file aaaa/watch.json put_back; ");
    tree_expect(f, "watch", "aaaa", "{\"uuid\":\"aaaa\"}");
    tree_expect_aside(f, "aaaa_watch.json", "{\"uuid\":\"bbbb\"}");
}

/* But what the program itself stores is its own affair. */
static void test_a_record_may_hold_another_uuid(void **state) {
    struct tree_fixture *f = *state;
    tree_open(f);
    tree_put(f, "watch", "aaaa", "{\"uuid\":\"bbbb\"}");
    tree_check(f, "");
    tree_open(f);
    tree_expect_found(f, "");
    assert_int_equal(tree_count(f, ".holdfast/aside"), 0);
}

static void test_an_edit_while_open_is_mended(void **state) {
    struct tree_fixture *f = *state;
    struct buf json BUF_AUTO;
    buf_init(&json);
    tree_open(f);
    tree_put(f, "watch", "a", "{\"n\":1}");
    assert_int_equal(tree_mend(f, "watch", "a", &json), STORE_MEND_NOTHING);
    tree_write_file(f, "a/watch.json", "{\"n\":2}");
    tree_check(f, "foreign_edit a/watch.json reported; ");
    assert_int_equal(tree_mend(f, "watch", "a", &json), STORE_MEND_TAKE);
    assert_string_equal(buf_text(&json), "{\"n\":2}");
    tree_put(f, "watch", "a", buf_text(&json));
    tree_check(f, "");
    tree_expect_file(f, "a/watch.json", "{\"n\":2}"); /* as the other program wrote it */
    tree_remove_file(f, "a/watch.json");
    tree_check(f, "missing_file a/watch.json reported; ");
    assert_int_equal(tree_mend(f, "watch", "a", &json), STORE_MEND_PUT_BACK);
    tree_check(f, "");
    assert_int_equal(tree_count(f, ".holdfast/aside"), 0);
    tree_write_file(f, "a/watch.json", "{\"n\"");
    tree_check(f, "damaged_file a/watch.json reported; ");
    assert_int_equal(tree_mend(f, "watch", "a", &json), STORE_MEND_PUT_BACK);
    tree_check(f, "");
    tree_expect_aside(f, "a_watch.json", "{\"n\"");
}

static void test_a_file_added_while_open_is_mended(void **state) {
    struct tree_fixture *f = *state;
    struct buf json BUF_AUTO;
    struct hf_error error = {0};
    enum store_mend mend;
    uint8_t hash[HF_HASH_BYTES];
    buf_init(&json);
    tree_open(f);
    tree_make_folder(f, "new");
    tree_write_file(f, "new/watch.json", "[");
    tree_check(f, "damaged_file new/watch.json reported; ");
    assert_int_equal(store_mend(f->store, "watch", "new", &mend, &json, hash, &error), HF_ERR_CORRUPT);
    expect_rows(f, NULL, NULL, 0, "watch/new=corrupt ");
    tree_write_file(f, "new/watch.json", "[1]");
    tree_check(f, "foreign_file new/watch.json reported; ");
    assert_int_equal(tree_mend(f, "watch", "new", &json), STORE_MEND_TAKE);
    expect_rows(f, NULL, NULL, 0, "");
    tree_put(f, "watch", "new", buf_text(&json));
    tree_check(f, "");
    tree_expect_file(f, "new/watch.json", "[1]");
}

static void test_an_edit_of_ours_while_open_is_put_back(void **state) {
    struct tree_fixture *f = *state;
    struct buf json BUF_AUTO;
    buf_init(&json);
    tree_url(f, "layout=watch&threads=1&ours=watch&durable=none");
    tree_open(f);
    tree_put(f, "watch", "a", "{\"n\":1}");
    tree_write_file(f, "a/watch.json", "{\"n\":2}");
    tree_calls.syncs = 0;
    assert_int_equal(tree_mend(f, "watch", "a", &json), STORE_MEND_PUT_BACK);
    assert_int_equal(tree_calls.syncs, 3); /* the file, its folder, the one aside: no event leads back to it */
    tree_expect_file(f, "a/watch.json", "{\n  \"n\": 1\n}");
    tree_expect_aside(f, "a_watch.json", "{\"n\":2}");
}

/* Nobody looked at the edit before it is overwritten. */
static void test_a_put_over_an_edit_keeps_the_edit_aside(void **state) {
    struct tree_fixture *f = *state;
    tree_open(f);
    tree_put(f, "watch", "a", "{\"n\":1}");
    tree_write_file(f, "a/watch.json", "{\"n\":2}");
    tree_put(f, "watch", "a", "{\"n\":3}");
    tree_expect_file(f, "a/watch.json", "{\n  \"n\": 3\n}");
    tree_expect_aside(f, "a_watch.json", "{\"n\":2}");
}

static void test_a_deletion_over_an_edit_keeps_the_edit_aside(void **state) {
    struct tree_fixture *f = *state;
    tree_open(f);
    tree_put(f, "watch", "a", "{\"n\":1}");
    tree_write_file(f, "a/watch.json", "{\"n\":2}");
    tree_delete(f, "watch", "a");
    tree_expect_file(f, "a", NULL);
    tree_expect_aside(f, "a_watch.json", "{\"n\":2}");
}

/* The index is gone: the files are all there is. */
static void test_without_its_index_a_tree_is_taken_in(void **state) {
    struct tree_fixture *f = *state;
    tree_url(f, "layout=watch&threads=1&ours=watch");
    tree_open(f);
    tree_put(f, "watch", "a", "{\"n\":1}");
    hf_store_close(&f->store);
    tree_remove_file(f, ".holdfast/index.db");
    tree_remove_file(f, ".holdfast/index.db-wal");
    tree_remove_file(f, ".holdfast/index.db-shm");
    tree_open(f);
    tree_expect_found(f, "");
    tree_expect(f, "watch", "a", "{\n  \"n\": 1\n}");
    assert_int_equal(tree_count(f, ".holdfast/aside"), 0);
}

static void expect_link_kept(struct tree_fixture *f, const char *path) {
    struct stat stat;
    assert_int_equal(fstatat(f->scratch.fd, path, &stat, AT_SYMLINK_NOFOLLOW), 0);
    assert_true(S_ISLNK(stat.st_mode));
}

static void test_links_are_not_followed(void **state) {
    struct tree_fixture *f = *state;
    tree_open(f);
    assert_int_equal(mkdirat(f->scratch.fd, "outside", 0755), 0);
    scratch_write(&f->scratch, "outside/watch.json", "{\"not\":\"yours\"}", 0644);
    assert_int_equal(symlinkat("../outside", f->scratch.fd, "t/a"), 0);
    tree_put(f, "watch", "a", "{\"n\":1}"); /* a folder */
    tree_make_folder(f, "b");
    assert_int_equal(symlinkat("../../outside/watch.json", f->scratch.fd, "t/b/watch.json"), 0);
    tree_put(f, "watch", "b", "{\"n\":1}"); /* a file */
    tree_expect(f, "watch", "a", "{\"n\":1}");
    tree_expect(f, "watch", "b", "{\"n\":1}");
    expect_link_kept(f, "t/a");
    expect_link_kept(f, "t/b/watch.json");
    assert_string_equal(scratch_read(&f->scratch, "outside/watch.json", &f->text), "{\"not\":\"yours\"}");
    tree_check(f, "pending_file a/watch.json reported; pending_file b/watch.json reported; ");
    tree_delete(f, "watch", "a");
    tree_delete(f, "watch", "b");
    expect_link_kept(f, "t/a");
    expect_link_kept(f, "t/b/watch.json");
    assert_string_equal(scratch_read(&f->scratch, "outside/watch.json", &f->text), "{\"not\":\"yours\"}");
    tree_open(f);
    tree_expect_found(f, "unreadable_file b/watch.json reported; ");
}

/* Read as the layout that was not meant it would seem empty, and be a tree of that layout for good. */
static void test_the_other_layout_is_not_taken_for_this_one(void **state) {
    struct tree_fixture *f = *state;
    struct hf_error error = {0};
    tree_make_folder(f, "u1");
    tree_write_file(f, "u1/watch.json", "{\"n\":1}");
    tree_url(f, "threads=1");
    for (int read_only = 0; read_only < 2; read_only++) {
        assert_int_equal(tree_try_open(f, read_only, &error), HF_ERR_INVALID);
        assert_non_null(strstr(error.hint, "layout=watch"));
    }
    assert_int_equal(tree_count(f, ""), 1);
    tree_url(f, "threads=1&layout=kind"); /* on his word */
    tree_open(f);
    tree_expect(f, "u1", "watch", "{\"n\":1}");
    tree_url(f, "threads=1"); /* now the mark knows */
    tree_open(f);
    tree_expect(f, "u1", "watch", "{\"n\":1}");
}

/* While it was open, somebody else wrote too: the mark is not taken for a look at that. */
static void test_an_edit_while_open_is_found_when_opened_again(void **state) {
    struct tree_fixture *f = *state;
    tree_open(f);
    tree_put(f, "watch", "a", "{\"n\":1}");
    tree_write_file(f, "a/watch.json", "{\"n\":\"edited\"}");
    tree_put(f, "watch", "b", "{\"n\":2}");
    tree_open(f);
    tree_expect_found(f, "foreign_edit a/watch.json taken; ");
    tree_expect(f, "watch", "a", "{\"n\":\"edited\"}");
}

/* What was committed and could not be written is newer than the file, also when it is opened again and again. */
static void test_a_pending_file_is_never_taken_for_an_edit(void **state) {
    struct tree_fixture *f = *state;
    tree_open(f);
    tree_put(f, "watch", "a", "{\"n\":1}");
    tree_put(f, "watch", "b", "{\"n\":1}");
    tree_open(f);
    tree_calls.refused = "watch.json"; /* renames to it: the folder is somebody else's */
    tree_calls.refused_errno = EACCES;
    tree_calls.only_renames = 1;
    tree_put(f, "watch", "a", "{\"n\":2}");
    tree_delete(f, "watch", "b");
    for (int i = 0; i < 3; i++) {
        tree_open(f);
        tree_expect(f, "watch", "a", "{\"n\":2}");
        tree_expect(f, "watch", "b", NULL);
    }
    tree_calls.refused = NULL;
    tree_open(f);
    tree_check(f, "");
    tree_expect(f, "watch", "a", "{\"n\":2}");
    tree_expect(f, "watch", "b", NULL);
    tree_expect_file(f, "b/watch.json", NULL);
}

/* "put_back" is said of what was put back. */
static void test_what_cannot_be_put_back_is_reported(void **state) {
    struct tree_fixture *f = *state;
    tree_open(f);
    tree_put(f, "watch", "a", "{\"n\":1}");
    hf_store_close(&f->store);
    tree_remove_file(f, "a/watch.json");
    assert_int_equal(unlinkat(f->scratch.fd, "t/a", AT_REMOVEDIR), 0);
    tree_write_file(f, "a", "hi");
    tree_open(f);
    tree_expect_found(f, "missing_file a/watch.json reported; ");
    tree_expect_file(f, "a", "hi");
    tree_expect(f, "watch", "a", "{\"n\":1}");
}

/* What cannot be written again on a full disk waits; the records are there. */
static void test_a_full_disk_keeps_nobody_from_opening(void **state) {
    struct tree_fixture *f = *state;
    tree_open(f);
    tree_calls.fail_syncfs = 9; /* the mark stays behind */
    tree_put(f, "watch", "a", "{\"n\":1}");
    tree_put(f, "watch", "b", "{\"n\":2}");
    hf_store_close(&f->store);
    tree_calls.fail_syncfs = 0;
    tree_remove_file(f, "a/watch.json"); /* as after a power cut */
    tree_remove_file(f, "b/watch.json");
    tree_calls.is_full = 1;
    tree_open(f);
    tree_expect(f, "watch", "a", "{\"n\":1}");
    tree_expect(f, "watch", "b", "{\"n\":2}");
    tree_check(f, "pending_file a/watch.json reported; pending_file b/watch.json reported; ");
    tree_delete(f, "watch", "a");
    tree_expect_file(f, "a/watch.json", NULL);
    tree_calls.is_full = 0;
    tree_open(f);
    tree_check(f, "");
    tree_expect(f, "watch", "b", "{\"n\":2}");
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, tree_setup, tree_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_datastore_opens_as_it_is),
        TEST(the_other_layout_is_not_taken_for_this_one),
        TEST(an_edit_while_open_is_found_when_opened_again),
        TEST(what_cannot_be_put_back_is_reported),
        TEST(a_pending_file_is_never_taken_for_an_edit),
        TEST(a_full_disk_keeps_nobody_from_opening),
        TEST(damaged_files_have_their_place),
        TEST(a_put_keeps_the_damaged_file_aside),
        TEST(a_damaged_file_can_be_deleted),
        TEST(an_edit_while_closed_is_taken),
        TEST(a_put_of_the_same_wins_over_an_edit),
        TEST(a_rewritten_file_of_the_same_document_is_no_edit),
        TEST(an_edit_of_ours_is_put_back),
        TEST(an_added_file_is_taken_or_moved_aside),
        TEST(a_removed_file_is_written_again),
        TEST(a_damaged_file_is_put_back),
        TEST(a_swapped_file_is_put_back),
        TEST(a_record_may_hold_another_uuid),
        TEST(an_edit_while_open_is_mended),
        TEST(a_file_added_while_open_is_mended),
        TEST(an_edit_of_ours_while_open_is_put_back),
        TEST(a_put_over_an_edit_keeps_the_edit_aside),
        TEST(a_deletion_over_an_edit_keeps_the_edit_aside),
        TEST(without_its_index_a_tree_is_taken_in),
        TEST(links_are_not_followed),
    };
    return cmocka_run_group_tests_name("a tree and other programs", tests, NULL, NULL);
}
