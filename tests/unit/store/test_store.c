/* The store's own part: URLs, options, records, watches, what is told of an error; and the memory backend's checksums.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/store.h"

static struct hf_store *open_memory(const struct hf_store_options *options) {
    struct hf_store *store = NULL;
    assert_int_equal(hf_store_open("memory:", options, &store, NULL), 0);
    return store;
}

static void put(struct hf_store *store, const char *id, const char *json) {
    assert_int_equal(hf_store_put(store, "thing", id, json, strlen(json), NULL, NULL), 0);
}

static void test_unknown_urls_are_refused(void **state) {
    (void)state;
    static const char *const urls[] = {"", "memory", "mem:", "Memory:", "postgres://x", "memory:x", "/tmp/store.db"};
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        struct hf_store *store = NULL;
        struct hf_error error = {0};
        assert_int_equal(hf_store_open(urls[i], NULL, &store, &error), HF_ERR_INVALID);
        assert_null(store);
        assert_memory_equal(error.message, "open store '", 12);
    }
    struct hf_store *store = NULL;
    assert_int_equal(hf_store_open(NULL, NULL, &store, NULL), HF_ERR_INVALID);
}

static void test_options_have_a_size(void **state) {
    (void)state;
    struct hf_store *store = NULL;
    struct hf_store_options options = {.struct_bytes = 0};
    assert_int_equal(hf_store_open("memory:", &options, &store, NULL), HF_ERR_INVALID);
    options.struct_bytes = sizeof options + 4;
    assert_int_equal(hf_store_open("memory:", &options, &store, NULL), HF_ERR_INVALID);
    /* A program that knew only the first option: the others are as usual. */
    options = (struct hf_store_options){.max_document_bytes = 3, .read_only = 1};
    options.struct_bytes = offsetof(struct hf_store_options, max_document_depth);
    store = open_memory(&options);
    put(store, "a", "123");
    assert_int_equal(hf_store_put(store, "thing", "b", "1234", 4, NULL, NULL), HF_ERR_TOO_LARGE);
    hf_store_close(&store);
    assert_null(store);
}

static void test_a_document_has_room_in_a_row(void **state) {
    (void)state;
    struct hf_store *store = NULL;
    struct hf_error error = {0};
    struct hf_store_options options = {.struct_bytes = sizeof options, .max_document_bytes = 900000001};
    assert_int_equal(hf_store_open("memory:", &options, &store, &error), HF_ERR_INVALID);
    assert_non_null(strstr(error.message, "max_document_bytes is 900000001, and at most 900000000 are possible"));
    options.max_document_bytes--;
    store = open_memory(&options);
    hf_store_close(&store);
}

/* Deletions of nothing: when the number is right, the first of them is what is wrong. */
static int commit_deletions(struct hf_store *store, int count, struct hf_error *error) {
    struct hf_batch *batch = NULL;
    char id[16];
    assert_int_equal(hf_batch_new(NULL, &batch, NULL), 0);
    for (int i = 0; i < count; i++) {
        snprintf(id, sizeof id, "%d", i);
        assert_int_equal(hf_batch_delete(batch, "thing", id, NULL, NULL), 0);
    }
    return hf_store_commit(store, &batch, NULL, error);
}

static void test_a_batch_has_room_in_a_revision(void **state) {
    (void)state;
    enum { CHANGES_MAX = 1 << 20 };
    struct hf_store *store = open_memory(NULL);
    struct hf_error error = {0};
    assert_int_equal(commit_deletions(store, CHANGES_MAX + 1, &error), HF_ERR_TOO_LARGE);
    assert_non_null(strstr(error.message, "1048577 changes in one batch"));
    assert_int_equal(commit_deletions(store, CHANGES_MAX - 1, &error), HF_ERR_NOT_FOUND);
    hf_store_close(&store);
}

static void test_a_given_backend_is_taken(void **state) {
    (void)state;
    struct store_setup setup = {0};
    struct hf_store *store = NULL;
    struct hf_store_options options = {.struct_bytes = 1};
    assert_int_equal(store_memory_ops.open(os_real(), "", NULL, &setup.backend, &setup.backend_revision, NULL), 0);
    setup.backend_revision = 41;
    assert_int_equal(store_open(NULL, NULL, &setup, &store, NULL), 0);
    put(store, "a", "1");
    assert_int_equal(hf_store_revision(store), 42);
    assert_ptr_equal(store_os(store), os_real());
    hf_store_close(&store);
    /* Also when opening fails: it would leak otherwise. */
    assert_int_equal(store_memory_ops.open(os_real(), "", NULL, &setup.backend, &setup.backend_revision, NULL), 0);
    assert_int_equal(store_open(NULL, &options, &setup, &store, NULL), HF_ERR_INVALID);
}

static void test_frees_take_nothing(void **state) {
    (void)state;
    struct hf_store *store = NULL;
    struct hf_batch *batch = NULL;
    struct hf_record *record = NULL;
    struct hf_watch *watch = NULL;
    hf_store_close(NULL);
    hf_store_close(&store);
    hf_batch_free(NULL);
    hf_batch_free(&batch);
    hf_record_free(NULL);
    hf_record_free(&record);
    hf_watch_close(NULL);
    hf_watch_close(&watch);
}

static void test_errors_name_what_was_done_to_what(void **state) {
    (void)state;
    struct hf_store *store = open_memory(NULL);
    struct hf_record *record = NULL;
    struct hf_error error = {0};
    assert_int_equal(hf_store_get(store, "thing", "a", &record, &error), HF_ERR_NOT_FOUND);
    assert_string_equal(error.message, "get 'thing/a': there is no such record");
    assert_int_equal(hf_store_delete(store, "thing", "a", NULL, &error), HF_ERR_NOT_FOUND);
    assert_string_equal(error.message, "commit: delete 'thing/a': there is no such record");
    assert_int_equal(hf_store_put(store, "thing", "a", "{", 1, NULL, &error), HF_ERR_BAD_JSON);
    assert_memory_equal(error.message, "commit: put 'thing/a': ", 23);
    hf_store_close(&store);
}

static void test_of_several_bad_documents_the_first_is_named(void **state) {
    (void)state;
    static char large[2 << 20];
    struct hf_store *store = open_memory(NULL);
    struct hf_batch *batch = NULL;
    struct hf_error error = {0};
    memset(large, ' ', sizeof large);
    for (int round = 0; round < 20; round++) {
        assert_int_equal(hf_batch_new(NULL, &batch, NULL), 0);
        for (char id = 'a'; id <= 'f'; id++) {
            large[0] = id < 'c' ? '1' : 'x'; /* c and the ones behind it are bad */
            assert_int_equal(hf_batch_put(batch, "thing", (char[]){id, 0}, large, sizeof large, NULL, NULL), 0);
        }
        assert_int_equal(hf_store_commit(store, &batch, NULL, &error), HF_ERR_BAD_JSON);
        assert_memory_equal(error.message, "commit: put 'thing/c': ", 23);
    }
    hf_store_close(&store);
}

static void test_a_large_batch_tells_of_the_change_that_was_added_first(void **state) {
    (void)state;
    struct hf_store *store = open_memory(NULL);
    struct hf_batch *batch = NULL;
    struct hf_commit_result first, result;
    struct hf_record *record = NULL;
    put(store, "zz", "1");
    assert_int_equal(hf_store_put(store, "thing", "zz", "2", 1, &first, NULL), 0);
    assert_int_equal(hf_batch_new(NULL, &batch, NULL), 0);
    assert_int_equal(hf_batch_put(batch, "thing", "zz", " 2", 2, NULL, NULL), 0);
    for (int i = 0; i < 676; i++) {
        char id[3] = {(char)('z' - i / 26), (char)('y' - i % 26), 0};
        if (id[1] >= 'a')
            assert_int_equal(hf_batch_put(batch, "thing", id, "3", 1, NULL, NULL), 0);
    }
    assert_int_equal(hf_store_commit(store, &batch, &result, NULL), 0);
    assert_int_equal(result.created, 0);
    assert_int_equal(result.changed, 1);
    assert_int_equal(result.revision, 3);
    assert_memory_equal(result.hash, first.hash, HF_HASH_BYTES);
    assert_int_equal(hf_store_get(store, "thing", "ab", &record, NULL), 0);
    hf_record_free(&record);
    hf_store_close(&store);
}

/* ---- damaged memory ---- */

static int damage(void *arg, const struct hf_record *record, int code) {
    (void)arg;
    assert_int_equal(code, 0);
    if (strcmp(record->id, "b") == 0)
        ((char *)(uintptr_t)record->json)[0] = '7';
    return 0;
}

static int note_codes(void *arg, const struct hf_record *record, int code) {
    assert_int_equal(record->json == NULL, code == HF_ERR_CORRUPT);
    strcat(arg, record->id);
    strcat(arg, code == HF_ERR_CORRUPT ? "! " : " ");
    return 0;
}

static void note_finding(void *arg, const struct hf_finding *finding) {
    strcat(arg, finding->id);
    strcat(arg, " ");
    strcat(arg, finding->what);
    strcat(arg, " ");
}

static void test_a_flipped_bit_is_that_record_s_alone(void **state) {
    (void)state;
    struct hf_store *store = open_memory(NULL);
    struct hf_record *record = NULL;
    struct hf_check_result result;
    char seen[64] = "";
    put(store, "a", "1");
    put(store, "b", "2");
    put(store, "c", "3");
    assert_int_equal(hf_store_scan(store, NULL, NULL, 0, damage, NULL, NULL), 0);
    assert_int_equal(hf_store_get(store, "thing", "b", &record, NULL), HF_ERR_CORRUPT);
    assert_null(record);
    assert_int_equal(hf_store_get(store, "thing", "a", &record, NULL), 0);
    hf_record_free(&record);
    assert_int_equal(hf_store_scan(store, "thing", NULL, 0, note_codes, seen, NULL), 0);
    assert_string_equal(seen, "a b! c ");
    seen[0] = '\0';
    assert_int_equal(hf_store_check(store, note_finding, seen, &result, NULL), 0);
    assert_string_equal(seen, "b bad_checksum ");
    assert_int_equal(result.findings, 1);
    put(store, "b", "2"); /* the same document: written, because what is there is damaged */
    assert_int_equal(hf_store_get(store, "thing", "b", &record, NULL), 0);
    assert_string_equal(record->json, "2");
    hf_record_free(&record);
    hf_store_close(&store);
}

/* ---- the wrapper that fails ---- */

static void test_the_same_seed_fails_the_same_calls(void **state) {
    (void)state;
    char codes[2][400] = {"", ""};
    for (int run = 0; run < 2; run++) {
        struct store_setup setup = {.without_thread = 1};
        struct hf_store *store = NULL;
        assert_int_equal(store_memory_ops.open(os_real(), "", NULL, &setup.backend, &setup.backend_revision, NULL), 0);
        assert_int_equal(store_failing_new(&setup.backend, 4711, 4, &setup.backend, NULL), 0);
        assert_int_equal(store_open(NULL, NULL, &setup, &store, NULL), 0);
        for (int i = 0; i < 100; i++) {
            int code = hf_store_put(store, "thing", "a", i % 2 ? "1" : "2", 1, NULL, NULL);
            strcat(codes[run], code ? (char[]){(char)('a' - code % 26), 0} : ".");
        }
        hf_store_close(&store);
    }
    assert_string_equal(codes[0], codes[1]);
    assert_non_null(strchr(codes[0], '.'));
    assert_true(strspn(codes[0], ".") < 100);
}

/* The store's threads are not in the child: an error there, not a wait without end. */
static void test_a_child_after_fork_is_refused(void **state) {
    struct hf_store *store = open_memory(NULL);
    struct hf_error error;
    int status = 0;
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(hf_store_put(store, "page", "a", "{}", 2, NULL, NULL) == HF_ERR_INVALID ? 0 : 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_int_equal(hf_store_put(store, "page", "a", "{}", 2, NULL, &error), 0);
    hf_store_close(&store);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unknown_urls_are_refused),
        cmocka_unit_test(test_options_have_a_size),
        cmocka_unit_test(test_a_document_has_room_in_a_row),
        cmocka_unit_test(test_a_batch_has_room_in_a_revision),
        cmocka_unit_test(test_a_given_backend_is_taken),
        cmocka_unit_test(test_frees_take_nothing),
        cmocka_unit_test(test_errors_name_what_was_done_to_what),
        cmocka_unit_test(test_of_several_bad_documents_the_first_is_named),
        cmocka_unit_test(test_a_large_batch_tells_of_the_change_that_was_added_first),
        cmocka_unit_test(test_a_flipped_bit_is_that_record_s_alone),
        cmocka_unit_test(test_the_same_seed_fails_the_same_calls),
        cmocka_unit_test(test_a_child_after_fork_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
