#include "base/buf.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void grows_and_ends_in_nul(void **state) {
    (void)state;
    BUF_AUTO struct buf buf;
    buf_init(&buf);
    assert_string_equal(buf_text(&buf), "");
    for (int i = 0; i < 1000; i++) {
        buf_add_char(&buf, (char)('a' + i % 26));
        assert_int_equal(buf.size, i + 1);
        assert_int_equal(buf.data[buf.size], 0);
        assert_true(buf.room > buf.size);
    }
    for (int i = 0; i < 1000; i++)
        assert_int_equal(buf.data[i], 'a' + i % 26);
    buf_add(&buf, NULL, 0);
    assert_int_equal(buf.size, 1000);
    assert_int_equal(buf.failed, 0);
}

static void adds_texts_and_formats(void **state) {
    (void)state;
    BUF_AUTO struct buf buf;
    buf_init(&buf);
    buf_add_text(&buf, "a");
    buf_add_text(&buf, "");
    buf_printf(&buf, "[%d %s]", 5, "x");
    buf_printf(&buf, "%s", "");
    assert_string_equal(buf_text(&buf), "a[5 x]");
    buf_clear(&buf);
    buf_printf(&buf, "%0*d", 300, 1);
    assert_int_equal(buf.size, 300);
    assert_int_equal(strlen(buf.data), 300);
}

static void reserves_room(void **state) {
    (void)state;
    BUF_AUTO struct buf buf;
    buf_init(&buf);
    buf_add_text(&buf, "ab");
    char *room = buf_reserve(&buf, 500);
    assert_ptr_equal(room, buf.data + 2);
    memset(room, 'x', 500);
    buf.size += 500;
    buf.data[buf.size] = '\0';
    assert_int_equal(strlen(buf_text(&buf)), 502);
}

static void failure_is_sticky_until_cleared(void **state) {
    (void)state;
    BUF_AUTO struct buf buf;
    buf_init(&buf);
    buf_add_text(&buf, "ab");
    assert_null(buf_reserve(&buf, SIZE_MAX - 1));
    assert_int_equal(buf.failed, 1);
    buf_add_text(&buf, "cd");
    buf_printf(&buf, "%d", 1);
    assert_string_equal(buf_text(&buf), "ab");
    buf_clear(&buf);
    assert_int_equal(buf.failed, 0);
    buf_add_text(&buf, "ef");
    assert_string_equal(buf_text(&buf), "ef");
    assert_null(buf_reserve(&buf, SIZE_MAX));
    assert_null(buf_take(&buf));
    assert_int_equal(buf.failed, 0);
    assert_null(buf.data);
}

static void removes_from_the_front(void **state) {
    (void)state;
    BUF_AUTO struct buf buf;
    buf_init(&buf);
    buf_remove_front(&buf, 3);
    buf_add_text(&buf, "abcdef");
    buf_remove_front(&buf, 2);
    assert_string_equal(buf_text(&buf), "cdef");
    buf_remove_front(&buf, 0);
    assert_int_equal(buf.size, 4);
    buf_remove_front(&buf, 100);
    assert_int_equal(buf.size, 0);
    assert_string_equal(buf_text(&buf), "");
}

static void gives_its_bytes_away(void **state) {
    (void)state;
    BUF_AUTO struct buf buf;
    buf_init(&buf);
    buf_add_text(&buf, "abc");
    MEM_AUTO char *text = buf_take(&buf);
    assert_string_equal(text, "abc");
    assert_null(buf.data);
    assert_int_equal(buf.size, 0);
    MEM_AUTO char *empty = buf_take(&buf);
    assert_string_equal(empty, "");
    buf_fini(&buf);
    buf_fini(&buf);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grows_and_ends_in_nul),  cmocka_unit_test(adds_texts_and_formats),
        cmocka_unit_test(reserves_room),          cmocka_unit_test(failure_is_sticky_until_cleared),
        cmocka_unit_test(removes_from_the_front), cmocka_unit_test(gives_its_bytes_away),
    };
    return cmocka_run_group_tests_name("buf", tests, NULL, NULL);
}
