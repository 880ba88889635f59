/* Copying: long histories in little memory, versions that were trimmed, stores that are not what they should be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "store/store.h"

enum { VERSIONS = 2500 }; /* more than two chunks */

static struct hf_store *open_memory(void) {
    struct hf_store *store = NULL;
    assert_int_equal(hf_store_open("memory:", NULL, &store, NULL), 0);
    return store;
}

static void put(struct hf_store *store, const char *id, const char *json) {
    assert_int_equal(hf_store_put(store, "thing", id, json, strlen(json), NULL, NULL), 0);
}

static int copy(struct hf_store *from, struct hf_store *to, struct hf_copy_options options,
                struct hf_copy_result *ret_result, struct hf_error *error) {
    options.struct_bytes = sizeof options;
    return hf_store_copy(from, to, &options, ret_result, error);
}

static int add_version(void *arg, const struct hf_record *record, int code) {
    assert_int_equal(code, 0);
    buf_printf(arg, "%lld %s\n", (long long)record->updated_ms, record->json ? record->json : "-");
    return 0;
}

static void expect_same_history(struct hf_store *from, struct hf_store *to, const char *id) {
    struct buf left BUF_AUTO, right BUF_AUTO;
    buf_init(&left);
    buf_init(&right);
    assert_int_equal(hf_store_history(from, "thing", id, 0, add_version, &left, NULL), 0);
    assert_int_equal(hf_store_history(to, "thing", id, 0, add_version, &right, NULL), 0);
    assert_true(left.size > 0);
    assert_string_equal(buf_text(&left), buf_text(&right));
}

static void a_long_history_is_copied_in_parts(void **state) {
    (void)state;
    struct hf_store *from = open_memory(), *to = open_memory();
    struct hf_copy_options with_history = {.with_history = 1};
    struct hf_copy_result result;
    char json[32];
    assert_int_equal(hf_store_keep_history(from, "thing", UINT32_MAX, NULL), 0);
    for (int i = 0; i < VERSIONS; i++) {
        snprintf(json, sizeof json, "%d", i);
        put(from, "a", json);
        if (i % 700 == 0)
            assert_int_equal(hf_store_delete(from, "thing", "a", NULL, NULL), 0);
    }
    assert_int_equal(copy(from, to, with_history, &result, NULL), 0);
    assert_int_equal(result.verified, 1);
    expect_same_history(from, to, "a");
    hf_store_close(&to);
    hf_store_close(&from);
}

/* Its oldest kept version is a deletion: there is nothing to be deleted in the new store. */
static void a_deletion_without_what_it_deleted_is_left_out(void **state) {
    (void)state;
    struct hf_store *from = open_memory(), *to = open_memory();
    struct hf_copy_options with_history = {.with_history = 1};
    struct hf_copy_result result;
    struct hf_record *record = NULL;
    assert_int_equal(hf_store_keep_history(from, "thing", 2, NULL), 0);
    put(from, "a", "1");
    assert_int_equal(hf_store_delete(from, "thing", "a", NULL, NULL), 0);
    put(from, "a", "2");
    assert_int_equal(hf_store_keep_history(from, "thing", 0, NULL), 0);
    put(from, "a", "3"); /* is in no history */
    assert_int_equal(copy(from, to, with_history, &result, NULL), 0);
    struct buf text BUF_AUTO;
    buf_init(&text);
    assert_int_equal(hf_store_history(to, "thing", "a", 1, add_version, &text, NULL), 0);
    assert_non_null(strstr(buf_text(&text), " 2\n"));
    assert_int_equal(hf_store_get(to, "thing", "a", &record, NULL), 0);
    assert_string_equal(record->json, "3");
    hf_record_free(&record);
    hf_store_close(&to);
    hf_store_close(&from);
}

static void what_differs_is_a_conflict_with_history_too(void **state) {
    (void)state;
    struct hf_store *from = open_memory(), *to = open_memory();
    struct hf_copy_options with_history = {.with_history = 1};
    struct hf_copy_result result;
    struct hf_error error = {0};
    assert_int_equal(hf_store_keep_history(from, "thing", 9, NULL), 0);
    put(from, "a", "1");
    put(to, "a", "2");
    assert_int_equal(copy(from, to, with_history, &result, &error), HF_ERR_CONFLICT);
    assert_string_equal(error.message, "copy store: the new store has another document under 'thing/a'");
    with_history.overwrite = 1;
    assert_int_equal(copy(from, to, with_history, &result, NULL), 0);
    expect_same_history(from, to, "a");
    assert_int_equal(copy(from, from, with_history, &result, NULL), HF_ERR_INVALID);
    hf_store_close(&to);
    hf_store_close(&from);
}

/* A document that the new store does not take ends the copy with its name, and nothing is under way behind it. */
static void a_document_over_the_limit_is_named(void **state) {
    (void)state;
    const struct hf_store_options small = {.struct_bytes = sizeof small, .max_document_bytes = 3};
    struct hf_store *from = open_memory(), *to = NULL;
    struct hf_copy_result result;
    struct hf_error error = {0};
    assert_int_equal(hf_store_open("memory:", &small, &to, NULL), 0);
    put(from, "a", "1");
    put(from, "b", "12345");
    assert_int_equal(copy(from, to, (struct hf_copy_options){0}, &result, &error), HF_ERR_TOO_LARGE);
    assert_non_null(strstr(error.message, "'thing/b'"));
    assert_int_equal(hf_store_revision(to), 0);
    hf_store_close(&to);
    hf_store_close(&from);
}

static void a_pumped_store_is_copied_into(void **state) {
    (void)state;
    const struct store_setup setup = {.without_thread = 1};
    struct hf_store *from = open_memory(), *to = NULL;
    struct hf_copy_result result;
    char id[16];
    assert_int_equal(store_open("memory:", NULL, &setup, &to, NULL), 0);
    for (int i = 0; i < VERSIONS; i++) {
        snprintf(id, sizeof id, "%d", i);
        put(from, id, "1");
    }
    assert_int_equal(copy(from, to, (struct hf_copy_options){0}, &result, NULL), 0);
    assert_int_equal(result.written, VERSIONS);
    assert_int_equal(result.verified, VERSIONS);
    hf_store_close(&to);
    hf_store_close(&from);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_long_history_is_copied_in_parts),
        cmocka_unit_test(a_deletion_without_what_it_deleted_is_left_out),
        cmocka_unit_test(what_differs_is_a_conflict_with_history_too),
        cmocka_unit_test(a_document_over_the_limit_is_named),
        cmocka_unit_test(a_pumped_store_is_copied_into),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
