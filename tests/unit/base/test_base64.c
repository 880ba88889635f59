#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/base64.h"

static void test_vectors(void **state) {
    (void)state;
    static const char *const PAIRS[][2] = {{"", ""},
                                           {"f", "Zg=="},
                                           {"fo", "Zm8="},
                                           {"foo", "Zm9v"},
                                           {"foob", "Zm9vYg=="},
                                           {"fooba", "Zm9vYmE="},
                                           {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < sizeof PAIRS / sizeof PAIRS[0]; i++) {
        BUF_AUTO struct buf text, bytes;
        buf_init(&text);
        buf_init(&bytes);
        base64_add(&text, PAIRS[i][0], strlen(PAIRS[i][0]));
        assert_string_equal(buf_text(&text), PAIRS[i][1]);
        assert_int_equal(base64_decode(buf_text(&text), text.size, &bytes), 0);
        assert_int_equal(bytes.size, strlen(PAIRS[i][0]));
        assert_string_equal(buf_text(&bytes), PAIRS[i][0]);
    }
}

static void test_every_byte_and_length_comes_back(void **state) {
    (void)state;
    uint8_t bytes[256 * 3];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 167 + i / 256);
    for (size_t size = 0; size <= sizeof bytes; size++) {
        BUF_AUTO struct buf text, back;
        buf_init(&text);
        buf_init(&back);
        buf_add_char(&text, '"'); /* behind what is there already */
        base64_add(&text, bytes, size);
        assert_int_equal(base64_decode(text.data + 1, text.size - 1, &back), 0);
        assert_int_equal(back.size, size);
        assert_memory_equal(buf_text(&back), bytes, size);
    }
}

static void test_what_is_not_canonical_is_refused(void **state) {
    (void)state;
    static const char *const WRONG[] = {"Z",    "Zg",    "Zg=",      "Z===",  "====",        "Zh==",
                                        "Zm9=", "Zm9v=", "Zg==Zg==", "Zm 9v", "Zm9v\n",      "Zm-v",
                                        "Zm_v", "=m9v",  "Z=9v",     "Zm=v",  "Zm9vZ=\x80=", "Zm9v\0bcd"};
    for (size_t i = 0; i < sizeof WRONG / sizeof WRONG[0]; i++) {
        BUF_AUTO struct buf out;
        buf_init(&out);
        size_t size = i + 1 == sizeof WRONG / sizeof WRONG[0] ? 8 : strlen(WRONG[i]);
        if (base64_decode(WRONG[i], size, &out) == 0)
            fail_msg("'%s' was taken", WRONG[i]);
        assert_int_equal(out.size, 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_every_byte_and_length_comes_back),
        cmocka_unit_test(test_what_is_not_canonical_is_refused),
    };
    return cmocka_run_group_tests_name("base64", tests, NULL, NULL);
}
