#include "base/json.h"

#include <float.h>
#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct buf out;
static struct json_writer writer;

static int setup(void **state) {
    (void)state;
    buf_init(&out);
    json_writer_init(&writer, &out, 0);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    buf_fini(&out);
    return 0;
}

static void start_again(int indent) {
    buf_clear(&out);
    json_writer_init(&writer, &out, indent);
}

static void write_example(void) {
    json_begin_object(&writer);
    json_put_string(&writer, "a\"", "x");
    json_put_string(&writer, "none", NULL);
    json_put_i64(&writer, "least", INT64_MIN);
    json_put_bool(&writer, "yes", 7);
    json_put_time(&writer, "at", INT64_C(1795363200123));
    json_put_time(&writer, "never", 0);
    json_put_raw(&writer, "raw", "[1]", 3);
    json_key(&writer, "list");
    json_begin_array(&writer);
    json_u64(&writer, UINT64_MAX);
    json_bool(&writer, 0);
    json_null(&writer);
    json_begin_object(&writer);
    json_end_object(&writer);
    json_begin_array(&writer);
    json_end_array(&writer);
    json_string_bytes(&writer, "a\0b", 3);
    json_end_array(&writer);
    json_end_object(&writer);
}

static void compact(void **state) {
    (void)state;
    write_example();
    assert_string_equal(out.data, "{\"a\\\"\":\"x\",\"none\":null,\"least\":-9223372036854775808,\"yes\":true,"
                                  "\"at\":\"2026-11-22T16:00:00.123Z\",\"never\":null,\"raw\":[1],"
                                  "\"list\":[18446744073709551615,false,null,{},[],\"a\\u0000b\"]}");
}

static void indented(void **state) {
    (void)state;
    start_again(2);
    json_begin_object(&writer);
    json_put_i64(&writer, "a", 1);
    json_key(&writer, "b");
    json_begin_array(&writer);
    json_begin_object(&writer);
    json_end_object(&writer);
    json_null(&writer);
    json_end_array(&writer);
    json_end_object(&writer);
    assert_string_equal(out.data, "{\n  \"a\": 1,\n  \"b\": [\n    {},\n    null\n  ]\n}");
}

static void what_is_written_can_be_read(void **state) {
    (void)state;
    for (int indent = 0; indent <= 4; indent++) {
        start_again(indent);
        write_example();
        JSON_AUTO struct json_doc doc;
        json_init(&doc);
        assert_int_equal(json_read(&doc, out.data, out.size, NULL, NULL), 0);
        assert_true(json_is_string(&doc, json_member(&doc, 0, "a\""), "x"));
    }
}

static void a_value_alone(void **state) {
    (void)state;
    json_string(&writer, "x");
    assert_string_equal(out.data, "\"x\"");
    start_again(2);
    json_begin_array(&writer);
    json_end_array(&writer);
    assert_string_equal(out.data, "[]");
}

static void as_deep_as_allowed(void **state) {
    (void)state;
    for (int i = 0; i < JSON_WRITE_DEPTH - 1; i++)
        json_begin_array(&writer);
    for (int i = 0; i < JSON_WRITE_DEPTH - 1; i++)
        json_end_array(&writer);
    assert_int_equal(out.size, 2 * (JSON_WRITE_DEPTH - 1));
}

static void assert_string_written(const char *text, size_t bytes, const char *expected) {
    start_again(0);
    json_string_bytes(&writer, text, bytes);
    assert_string_equal(out.data, expected);
}

static void strings_are_escaped(void **state) {
    (void)state;
    assert_string_written("", 0, "\"\"");
    assert_string_written("\b\f\n\r\t\"\\/\x01\x1f\x7f", 11, "\"\\b\\f\\n\\r\\t\\\"\\\\/\\u0001\\u001f\x7f\"");
    assert_string_written("caf\xC3\xA9 \xF0\x9F\x98\x80", 10, "\"caf\xC3\xA9 \xF0\x9F\x98\x80\"");
    assert_string_written("a long plain text, longer than a stride\n and on", 47,
                          "\"a long plain text, longer than a stride\\n and on\"");
}

static void what_is_not_utf8_is_replaced(void **state) {
    (void)state;
    assert_string_written("a\xFFz", 3, "\"a\xEF\xBF\xBDz\"");
    assert_string_written("\xC3", 1, "\"\xEF\xBF\xBD\"");
    assert_string_written("\xED\xA0\x80", 3, "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"");
    assert_string_written("\xE2\x82\"", 3, "\"\xEF\xBF\xBD\xEF\xBF\xBD\\\"\"");
}

static void assert_double(double value, const char *expected) {
    start_again(0);
    json_double(&writer, value);
    assert_string_equal(out.data, expected);
}

static void doubles_are_as_short_as_can_be(void **state) {
    (void)state;
    assert_double(0, "0");
    assert_double(-0.0, "-0");
    assert_double(1, "1");
    assert_double(0.1, "0.1");
    assert_double(0.9, "0.9");
    assert_double(0.1 + 0.2, "0.30000000000000004");
    assert_double(1.0 / 3, "0.3333333333333333");
    assert_double(1e23, "1e+23");
    assert_double(123456789012345, "123456789012345");
    assert_double(9007199254740993.0, "9007199254740992");
    assert_double(DBL_MAX, "1.7976931348623157e+308");
    assert_double(DBL_MIN, "2.2250738585072014e-308");
    assert_double(5e-324, "5e-324");
    assert_double((double)NAN, "null");
    assert_double((double)INFINITY, "null");
    assert_double((double)-INFINITY, "null");
}

static void doubles_read_back_the_same(void **state) {
    (void)state;
    uint64_t bits = 88172645463325252u;
    for (int i = 0; i < 20000; i++) {
        bits ^= bits << 13;
        bits ^= bits >> 7;
        bits ^= bits << 17;
        double value;
        memcpy(&value, &bits, sizeof value);
        if (!isfinite(value))
            continue;
        start_again(0);
        json_double(&writer, value);
        JSON_AUTO struct json_doc doc;
        json_init(&doc);
        double back;
        assert_int_equal(json_read(&doc, out.data, out.size, NULL, NULL), 0);
        assert_int_equal(json_to_double(&doc, 0, &back), 0);
        assert_memory_equal(&back, &value, sizeof value);
    }
}

/* A program may have set a locale with a decimal comma; Debian's test image may not have one, then "C" is as good. */
static void the_locale_does_not_matter(void **state) {
    (void)state;
    static const char *const with_comma[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "es_ES.UTF-8"};
    for (size_t i = 0; i < sizeof with_comma / sizeof with_comma[0]; i++)
        if (setlocale(LC_NUMERIC, with_comma[i]))
            break;
    assert_double(1.5, "1.5");
    JSON_AUTO struct json_doc doc;
    json_init(&doc);
    double value;
    assert_int_equal(json_read(&doc, "2.25", 4, NULL, NULL), 0);
    assert_int_equal(json_to_double(&doc, 0, &value), 0);
    assert_true(value == 2.25);
    setlocale(LC_NUMERIC, "C");
}

static void pretty(void **state) {
    (void)state;
    static const char text[] = "{\"b\":[1.0,{}, [],\"\\u0041\"],\"a\":{\"x\":null}}";
    JSON_AUTO struct json_doc doc;
    json_init(&doc);
    assert_int_equal(json_read(&doc, text, sizeof text - 1, NULL, NULL), 0);
    json_pretty(&doc, 0, 2, &out);
    assert_string_equal(out.data, "{\n  \"b\": [\n    1.0,\n    {},\n    [],\n    \"\\u0041\"\n  ],\n"
                                  "  \"a\": {\n    \"x\": null\n  }\n}");
    buf_clear(&out);
    json_pretty(&doc, json_member(&doc, 0, "a"), 4, &out);
    assert_string_equal(out.data, "{\n    \"x\": null\n}");
    buf_clear(&out);
    json_pretty(&doc, 0, 0, &out);
    assert_string_equal(out.data, "{\"b\":[1.0,{},[],\"\\u0041\"],\"a\":{\"x\":null}}");
    assert_int_equal(json_read(&doc, "7", 1, NULL, NULL), 0);
    buf_clear(&out);
    json_pretty(&doc, 0, 2, &out);
    assert_string_equal(out.data, "7");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(compact, setup, teardown),
        cmocka_unit_test_setup_teardown(indented, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_written_can_be_read, setup, teardown),
        cmocka_unit_test_setup_teardown(a_value_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(as_deep_as_allowed, setup, teardown),
        cmocka_unit_test_setup_teardown(strings_are_escaped, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_not_utf8_is_replaced, setup, teardown),
        cmocka_unit_test_setup_teardown(doubles_are_as_short_as_can_be, setup, teardown),
        cmocka_unit_test_setup_teardown(doubles_read_back_the_same, setup, teardown),
        cmocka_unit_test_setup_teardown(the_locale_does_not_matter, setup, teardown),
        cmocka_unit_test_setup_teardown(pretty, setup, teardown),
    };
    return cmocka_run_group_tests_name("json_write", tests, NULL, NULL);
}
