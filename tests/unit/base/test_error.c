#include "base/error.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void set_fills_all(void **state) {
    (void)state;
    struct hf_error error = {.hint = "old", .system_errno = 5};
    assert_int_equal(error_set(&error, HF_ERR_CORRUPT, "read '%s': %d bytes", "x", 7), HF_ERR_CORRUPT);
    assert_int_equal(error.code, HF_ERR_CORRUPT);
    assert_int_equal(error.system_errno, 0);
    assert_string_equal(error.message, "read 'x': 7 bytes");
    assert_string_equal(error.hint, "");
    assert_non_null(strstr(error.origin, "test_error.c:"));
    assert_memory_not_equal(error.origin, "../", 3);
}

static void everything_takes_null(void **state) {
    (void)state;
    assert_int_equal(error_set(NULL, HF_ERR_IO, "x"), HF_ERR_IO);
    assert_int_equal(error_set_errno(NULL, -ENOSPC, "x"), HF_ERR_NO_SPACE);
    assert_int_equal(error_wrap(NULL, HF_ERR_LOCKED, "x"), HF_ERR_LOCKED);
    assert_int_equal(error_hint(NULL, "x"), 0);
    error_clear(NULL);
    error_copy(NULL, NULL);
}

static void arguments_may_point_into_it(void **state) {
    (void)state;
    struct hf_error error;
    error_set(&error, HF_ERR_IO, "inner");
    error_set(&error, HF_ERR_FAILED, "outer: %s", error.message);
    assert_string_equal(error.message, "outer: inner");
}

static void wrap_goes_in_front(void **state) {
    (void)state;
    struct hf_error error;
    error_set(&error, HF_ERR_CORRUPT, "file is cut short");
    assert_int_equal(error_hint(&error, "restore '%s'", "a"), HF_ERR_CORRUPT);
    char origin[sizeof error.origin];
    memcpy(origin, error.origin, sizeof origin);
    assert_int_equal(error_wrap(&error, HF_ERR_IO, "read header"), HF_ERR_CORRUPT);
    assert_int_equal(error_wrap(&error, HF_ERR_IO, "open store '%s'", "/x"), HF_ERR_CORRUPT);
    assert_string_equal(error.message, "open store '/x': read header: file is cut short");
    assert_string_equal(error.hint, "restore 'a'");
    assert_string_equal(error.origin, origin);
}

static void wrap_of_nothing_takes_the_code(void **state) {
    (void)state;
    struct hf_error error = {0};
    assert_int_equal(error_wrap(&error, HF_ERR_IO, "x"), HF_ERR_IO);
    assert_int_equal(error.code, HF_ERR_IO);
}

static void long_texts_are_cut_between_characters(void **state) {
    (void)state;
    char text[1200];
    for (size_t shift = 0; shift < 4; shift++) {
        memset(text, 'a', shift);
        for (size_t i = shift; i + 3 < sizeof text; i += 3)
            memcpy(text + i, "\xE2\x82\xAC", 4);
        struct hf_error error;
        error_set(&error, HF_ERR_IO, "%s", text);
        size_t bytes = strlen(error.message);
        assert_in_range(bytes, sizeof error.message - 4, sizeof error.message - 1);
        assert_int_equal((bytes - shift) % 3, 0);
        error_wrap(&error, HF_ERR_IO, "%s", "front");
        assert_memory_equal(error.message, "front: ", 7);
        bytes = strlen(error.message);
        assert_in_range(bytes, sizeof error.message - 4, sizeof error.message - 1);
        assert_int_equal((bytes - 7 - shift) % 3, 0);
        error_wrap(&error, HF_ERR_IO, "%s", text);
        assert_true(strlen(error.message) < sizeof error.message);
        error_hint(&error, "%s", text);
        bytes = strlen(error.hint);
        assert_in_range(bytes, sizeof error.hint - 4, sizeof error.hint - 1);
        assert_int_equal((bytes - shift) % 3, 0);
        error_set_errno(&error, -EIO, "%s", text);
        assert_true(strlen(error.message) < sizeof error.message);
    }
}

static void errno_is_mapped(void **state) {
    (void)state;
    static const int pairs[][2] = {
        {ENOSPC, HF_ERR_NO_SPACE},
        {EDQUOT, HF_ERR_QUOTA},
        {EROFS, HF_ERR_READ_ONLY},
        {EACCES, HF_ERR_PERMISSION},
        {EPERM, HF_ERR_PERMISSION},
        {EMFILE, HF_ERR_TOO_MANY_FILES},
        {ENFILE, HF_ERR_TOO_MANY_FILES},
        {ENOMEM, HF_ERR_NO_MEMORY},
        {ENOENT, HF_ERR_NOT_FOUND},
        {ELOOP, HF_ERR_UNSAFE_PATH},
        {EXDEV, HF_ERR_UNSAFE_PATH},
        {EEXIST, HF_ERR_EXISTS},
        {ETIMEDOUT, HF_ERR_TIMEOUT},
        {EIO, HF_ERR_IO},
        {EPIPE, HF_ERR_IO},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        assert_int_equal(error_code_of_errno(-pairs[i][0]), pairs[i][1]);
    struct hf_error error = {.hint = "old"};
    assert_int_equal(error_set_errno(&error, -ENOSPC, "write '%s'", "f"), HF_ERR_NO_SPACE);
    assert_int_equal(error.system_errno, ENOSPC);
    assert_string_equal(error.message, "write 'f': No space left on device");
    assert_string_equal(error.hint, "");
}

static void clear_and_copy(void **state) {
    (void)state;
    struct hf_error from, to, zero = {0};
    error_set_errno(&from, -EIO, "x");
    error_copy(&to, &from);
    assert_memory_equal(to.message, from.message, strlen(from.message) + 1);
    assert_int_equal(to.code, HF_ERR_IO);
    assert_int_equal(to.system_errno, EIO);
    error_copy(&to, &to);
    assert_int_equal(to.code, HF_ERR_IO);
    error_copy(&to, NULL);
    assert_memory_equal(&to, &zero, sizeof zero);
    error_clear(&from);
    assert_memory_equal(&from, &zero, sizeof zero);
}

static void codes_are_known_and_distinct(void **state) {
    (void)state;
    static const int codes[] = {
#define X(name, code, word, http, exit_code, retryable, text) HF_ERR_##name,
        HF_ERROR_MAP(X)
#undef X
    };
    enum { CODES = sizeof codes / sizeof codes[0] };
    for (int i = 0; i < CODES; i++) {
        assert_true(codes[i] < 0);
        assert_in_range(hf_code_http_status(codes[i]), 400, 599);
        assert_in_range(hf_code_exit_status(codes[i]), 64, 78);
        assert_in_range(hf_code_is_retryable(codes[i]), 0, 1);
        assert_true(strlen(hf_code_text(codes[i])) > 0);
        for (int j = 0; j < i; j++) {
            assert_int_not_equal(codes[i], codes[j]);
            assert_string_not_equal(hf_code_word(codes[i]), hf_code_word(codes[j]));
        }
    }
    assert_string_equal(hf_code_word(HF_ERR_BAD_JSON), "bad_json");
    assert_int_equal(hf_code_http_status(HF_ERR_TOO_LARGE), 413);
    assert_int_equal(hf_code_exit_status(HF_ERR_NOT_FOUND), 66);
    assert_int_equal(hf_code_is_retryable(HF_ERR_LOCKED), 1);
}

static void success_and_unknown_codes(void **state) {
    (void)state;
    assert_string_equal(hf_code_word(0), "ok");
    assert_int_equal(hf_code_exit_status(0), 0);
    assert_int_equal(hf_code_http_status(0), 200);
    assert_string_equal(hf_code_word(-9999), "internal");
    assert_int_equal(hf_code_http_status(17), 500);
    assert_string_equal(hf_version(), HF_VERSION);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(set_fills_all),
        cmocka_unit_test(everything_takes_null),
        cmocka_unit_test(arguments_may_point_into_it),
        cmocka_unit_test(wrap_goes_in_front),
        cmocka_unit_test(wrap_of_nothing_takes_the_code),
        cmocka_unit_test(long_texts_are_cut_between_characters),
        cmocka_unit_test(errno_is_mapped),
        cmocka_unit_test(clear_and_copy),
        cmocka_unit_test(codes_are_known_and_distinct),
        cmocka_unit_test(success_and_unknown_codes),
    };
    return cmocka_run_group_tests_name("error", tests, NULL, NULL);
}
