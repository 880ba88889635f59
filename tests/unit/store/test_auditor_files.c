/* What the auditor does with files of a tree that are not as the index has them, and over a database with flipped
 * bytes. */
#include "auditor_fixture.h"

#include <stdlib.h>
#include <unistd.h>

/* ---- files ---- */

static void test_a_changed_file_is_taken(void **state) {
    struct hf_store *store = open_scripted();
    struct hf_auditor *auditor = open_auditor(store, (struct hf_auditor_options){.shards = SHARDS});
    (void)state;
    put(store, "page", "home", "1", script.mend_if_hash);
    script.mend = STORE_MEND_TAKE;
    script.mend_json = "2";
    find_trouble("foreign_edit", "home", "home/page.json", "edited");
    run(auditor, 1);
    expect_document(store, "home", "2", "tree");
    expect_record(store, "taken", "edited", 1, 0);
    hf_auditor_close(&auditor);
    hf_store_close(&store);
}

static void test_a_file_of_an_older_record_is_not_taken(void **state) {
    struct hf_store *store = open_scripted();
    struct hf_auditor *auditor = open_auditor(store, (struct hf_auditor_options){.shards = SHARDS});
    (void)state;
    put(store, "page", "home", "1", script.mend_if_hash);
    put(store, "page", "home", "3", NULL); /* since the file was read */
    script.mend = STORE_MEND_TAKE;
    script.mend_json = "2";
    find_trouble("foreign_edit", "home", "home/page.json", "edited");
    assert_int_equal(run(auditor, 1).findings, 0);
    expect_document(store, "home", "3", "");
    assert_int_equal(told.count, 0);
    hf_auditor_close(&auditor);
    hf_store_close(&store);
}

static void test_an_added_file_is_taken(void **state) {
    struct hf_store *store = open_scripted();
    struct hf_auditor *auditor = open_auditor(store, (struct hf_auditor_options){.shards = SHARDS});
    (void)state;
    script.mend = STORE_MEND_TAKE;
    script.mend_json = "2";
    find_trouble("foreign_file", "new", "new/page.json", "added");
    run(auditor, 1);
    expect_document(store, "new", "2", "tree");
    expect_record(store, "taken", "added", 1, 0);
    hf_auditor_close(&auditor);
    hf_store_close(&store);
}

static void test_an_added_file_gives_way_to_a_record(void **state) {
    struct hf_store *store = open_scripted();
    struct hf_auditor *auditor = open_auditor(store, (struct hf_auditor_options){.shards = SHARDS});
    (void)state;
    put(store, "page", "new", "3", NULL); /* since the file was read */
    script.mend = STORE_MEND_TAKE;
    script.mend_json = "2";
    find_trouble("foreign_file", "new", "new/page.json", "added");
    assert_int_equal(run(auditor, 1).findings, 0);
    expect_document(store, "new", "3", "");
    hf_auditor_close(&auditor);
    hf_store_close(&store);
}

static void test_what_else_becomes_of_files(void **state) {
    struct hf_store *store = open_scripted();
    struct hf_auditor *auditor = open_auditor(store, (struct hf_auditor_options){.shards = SHARDS});
    (void)state;
    find_trouble("missing_file", "home", "home/page.json", "gone");
    script.mend = STORE_MEND_NOTHING; /* a commit was writing it just then */
    assert_int_equal(run(auditor, 1).findings, 0);
    assert_int_equal(told.count, 0);
    script.mend = STORE_MEND_PUT_BACK;
    run(auditor, 1);
    expect_record(store, "put_back", "gone", 1, 0);
    script.mend_code = HF_ERR_PERMISSION;
    run(auditor, 1);
    expect_record(store, "reported", "gone", 1, 0);
    script.mend_code = 0;
    script.mend = STORE_MEND_TAKE;
    script.mend_json = "{";
    run(auditor, 1);
    expect_record(store, "reported", "gone", 1, 0);
    assert_int_equal(script.mends, 4);
    hf_auditor_close(&auditor);
    hf_store_close(&store);
}

static void write_file(const char *folder, const char *name, const char *text) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void expect_file(const char *folder, const char *name, const char *text) {
    char path[128], found[64] = "";
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_true(fread(found, 1, sizeof found - 1, file) > 0);
    fclose(file);
    assert_non_null(strstr(found, text));
}

static void test_files_of_a_tree(void **state) {
    char folder[] = "/tmp/hf-auditor-XXXXXX", command[64], url[64];
    struct hf_store *store = NULL;
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(url, sizeof url, "tree:%s?ours=plan", folder);
    assert_int_equal(hf_store_open(url, NULL, &store, NULL), 0);
    put(store, "page", "home", "\"first\"", NULL);
    put(store, "plan", "home", "\"ours\"", NULL);
    struct hf_auditor *auditor = open_auditor(store, (struct hf_auditor_options){.shards = SHARDS});
    assert_int_equal(run(auditor, 1).findings, 0);
    write_file(folder, "page/home.json", "\"edited\"");
    write_file(folder, "page/new.json", "\"added\"");
    write_file(folder, "plan/home.json", "\"theirs\"");
    assert_int_equal(run(auditor, 1).findings, 3);
    expect_document(store, "home", "\"edited\"", "tree");
    expect_document(store, "new", "\"added\"", "tree");
    expect_file(folder, "plan/home.json", "ours");
    uint64_t revision = hf_store_revision(store);
    assert_int_equal(run(auditor, 1).findings, 0);
    assert_int_equal(hf_store_revision(store), revision + 1); /* the three are gone */
    write_file(folder, "page/home.json", "");
    assert_int_equal(run(auditor, 1).findings, 1);
    assert_string_equal(told.what, "damaged_file");
    assert_string_equal(told.action, "put_back");
    expect_file(folder, "page/home.json", "edited");
    hf_auditor_close(&auditor);
    hf_store_close(&store);
    snprintf(command, sizeof command, "rm -r %s", folder);
    assert_int_equal(system(command), 0);
}

/* ---- rot ---- */

static void flip_in_file(const char *path, const char *text) {
    FILE *file = fopen(path, "r+b");
    static char bytes[1 << 20];
    assert_non_null(file);
    size_t size = fread(bytes, 1, sizeof bytes, file);
    char *at = memmem(bytes, size, text, strlen(text));
    assert_non_null(at);
    fseek(file, at - bytes, SEEK_SET);
    fputc(*at ^ 1, file);
    fclose(file);
}

static void remove_store(const char *folder) {
    static const char *const names[] = {"store.db", "store.db-wal", "store.db-shm", "lock"};
    char path[128];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    rmdir(folder);
}

static void test_rot_is_found_within_a_round(void **state) {
    char folder[] = "/tmp/hf-auditor-XXXXXX", url[64], json[64], id[16];
    struct hf_store *store = NULL;
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(url, sizeof url, "sqlite:%s/store.db", folder);
    assert_int_equal(hf_store_open(url, NULL, &store, NULL), 0);
    for (int i = 0; i < 60; i++) {
        snprintf(id, sizeof id, "p%d", i);
        snprintf(json, sizeof json, "{\"text\":\"the text of %d.\"}", i);
        put(store, "page", id, json, NULL);
    }
    hf_store_close(&store);
    flip_in_file(url + strlen("sqlite:"), "the text of 41.");
    assert_int_equal(hf_store_open(url, NULL, &store, NULL), 0);
    struct hf_auditor *auditor = open_auditor(store, (struct hf_auditor_options){.shards = SHARDS});
    for (int shard = 0; shard < SHARDS; shard++)
        run(auditor, 0);
    assert_int_equal(told.count, 1);
    assert_string_equal(told.what, "bad_checksum");
    assert_string_equal(told.id, "p41");
    assert_string_equal(told.action, "reported");
    assert_int_equal(hf_store_get(store, "page", "p41", NULL, NULL), HF_ERR_CORRUPT);
    uint64_t revision = hf_store_revision(store);
    run(auditor, 1);
    assert_int_equal(hf_store_revision(store), revision);
    put(store, "page", "p41", "\"mended\"", NULL);
    struct auditor_stats stats;
    run(auditor, 1);
    auditor_stats(auditor, &stats);
    assert_int_equal(stats.open, 0);
    hf_auditor_close(&auditor);
    hf_store_close(&store);
    remove_store(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_a_changed_file_is_taken, reset),
        cmocka_unit_test_setup(test_a_file_of_an_older_record_is_not_taken, reset),
        cmocka_unit_test_setup(test_an_added_file_is_taken, reset),
        cmocka_unit_test_setup(test_an_added_file_gives_way_to_a_record, reset),
        cmocka_unit_test_setup(test_what_else_becomes_of_files, reset),
        cmocka_unit_test_setup(test_files_of_a_tree, reset),
        cmocka_unit_test_setup(test_rot_is_found_within_a_round, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
