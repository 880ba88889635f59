#include "base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char text[] =
    " {\"name\":\"caf\\u00e9 \\uD83D\\uDE00\\n\", \"n\\u0075mber\":-42, \"empty\":{}, \"none\":[],"
    "\"list\":[1,\"two\",[3],{\"four\":4},null], \"yes\":true, \"no\":false, \"nothing\":null,"
    "\"big\":9223372036854775807, \"small\":-9223372036854775808, \"too_big\":9223372036854775808,"
    "\"too_small\":-9223372036854775809, \"half\":0.5, \"exp\":1e3, \"huge\":1e999, \"zero\":-0,"
    "\"nul\":\"a\\u0000b\", \"\":\"empty key\","
    "\"digits\":0.1000000000000000055511151231257827021181583404541015625000000000000000000000000000000000001}";

static struct json_doc doc;
static struct arena arena;

static int setup(void **state) {
    (void)state;
    json_init(&doc);
    arena_init(&arena);
    return json_read(&doc, text, sizeof text - 1, NULL, NULL);
}

static int teardown(void **state) {
    (void)state;
    json_fini(&doc);
    arena_fini(&arena);
    return 0;
}

static uint32_t at(const char *key) {
    uint32_t node = json_member(&doc, 0, key);
    assert_int_not_equal(node, JSON_NONE);
    return node;
}

static void members_are_found(void **state) {
    (void)state;
    assert_int_equal(json_type_of(&doc, 0), JSON_OBJECT);
    assert_int_equal(json_type_of(&doc, at("name")), JSON_STRING);
    assert_int_equal(json_type_of(&doc, at("number")), JSON_NUMBER);
    assert_int_equal(json_type_of(&doc, at("empty")), JSON_OBJECT);
    assert_int_equal(json_type_of(&doc, at("list")), JSON_ARRAY);
    assert_int_equal(json_type_of(&doc, at("yes")), JSON_TRUE);
    assert_int_equal(json_type_of(&doc, at("nothing")), JSON_NULL);
    assert_true(json_is_string(&doc, at(""), "empty key"));
    assert_int_equal(json_member(&doc, 0, "nam"), JSON_NONE);
    assert_int_equal(json_member(&doc, 0, "names"), JSON_NONE);
    assert_int_equal(json_member(&doc, 0, "n\\u0075mber"), JSON_NONE);
    assert_int_equal(json_member(&doc, 0, "four"), JSON_NONE);
    assert_int_equal(json_member(&doc, at("list"), "four"), JSON_NONE);
}

static void walking(void **state) {
    (void)state;
    static const enum json_type expected[] = {JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT, JSON_NULL};
    uint32_t list = at("list"), count = 0;
    for (uint32_t item = json_first(&doc, list); item != JSON_NONE; item = json_after(&doc, list, item))
        assert_int_equal(json_type_of(&doc, item), expected[count++]);
    assert_int_equal(count, 5);
    count = 0;
    for (uint32_t key = json_first(&doc, 0); key != JSON_NONE; key = json_after(&doc, 0, key)) {
        assert_int_equal(json_type_of(&doc, key), JSON_STRING);
        assert_int_equal(doc.nodes[key].is_key, 1);
        assert_int_equal(doc.nodes[json_value_of_key(key)].is_key, 0);
        count++;
    }
    assert_int_equal(count, doc.nodes[0].count);
    assert_int_equal(json_first(&doc, at("empty")), JSON_NONE);
    assert_int_equal(json_first(&doc, at("none")), JSON_NONE);
    assert_int_equal(json_first(&doc, at("name")), JSON_NONE);
}

static void none_is_accepted_everywhere(void **state) {
    (void)state;
    int64_t whole = 7;
    double real = 7;
    size_t bytes = 7;
    assert_int_equal(json_type_of(&doc, JSON_NONE), JSON_NULL);
    assert_int_equal(json_member(&doc, JSON_NONE, "a"), JSON_NONE);
    assert_int_equal(json_first(&doc, JSON_NONE), JSON_NONE);
    assert_int_equal(json_after(&doc, JSON_NONE, 1), JSON_NONE);
    assert_int_equal(json_after(&doc, 0, JSON_NONE), JSON_NONE);
    assert_int_equal(json_value_of_key(JSON_NONE), JSON_NONE);
    assert_int_equal(json_is_string(&doc, JSON_NONE, ""), 0);
    assert_int_equal(json_to_i64(&doc, JSON_NONE, &whole), -1);
    assert_int_equal(json_to_double(&doc, JSON_NONE, &real), -1);
    assert_int_equal(json_to_bool(&doc, JSON_NONE, 5), 5);
    assert_null(json_to_text(&doc, JSON_NONE, &arena, NULL));
    assert_null(json_member_text(&doc, JSON_NONE, "a", &arena));
    assert_int_equal(json_member_i64(&doc, JSON_NONE, "a", 9), 9);
    assert_int_equal(json_member_bool(&doc, JSON_NONE, "a", 1), 1);
    assert_null(json_span(&doc, JSON_NONE, &bytes));
    assert_int_equal(bytes, 0);
    assert_true(whole == 7 && real == 7);
    struct json_doc empty;
    json_init(&empty);
    assert_int_equal(json_member(&empty, 0, "a"), JSON_NONE);
    assert_int_equal(json_type_of(&empty, 0), JSON_NULL);
    json_fini(&empty);
}

static void strings_are_compared_decoded(void **state) {
    (void)state;
    assert_true(json_is_string(&doc, at("name"), "caf\xC3\xA9 \xF0\x9F\x98\x80\n"));
    assert_false(json_is_string(&doc, at("name"), "caf\xC3\xA9 \xF0\x9F\x98\x80"));
    assert_false(json_is_string(&doc, at("name"), "caf\xC3\xA9 \xF0\x9F\x98\x80\nx"));
    assert_false(json_is_string(&doc, at("nul"), "a"));
    assert_false(json_is_string(&doc, at("number"), "-42"));
}

static void texts_are_decoded(void **state) {
    (void)state;
    size_t bytes;
    assert_string_equal(json_to_text(&doc, at("name"), &arena, &bytes), "caf\xC3\xA9 \xF0\x9F\x98\x80\n");
    assert_int_equal(bytes, 11);
    assert_memory_equal(json_to_text(&doc, at("nul"), &arena, &bytes), "a\0b", 4);
    assert_int_equal(bytes, 3);
    assert_string_equal(json_member_text(&doc, 0, "", &arena), "empty key");
    assert_null(json_member_text(&doc, 0, "number", &arena));
    assert_null(json_member_text(&doc, 0, "missing", &arena));
}

static void whole_numbers(void **state) {
    (void)state;
    int64_t value = 7;
    assert_int_equal(json_to_i64(&doc, at("number"), &value), 0);
    assert_true(value == -42);
    assert_int_equal(json_to_i64(&doc, at("big"), &value), 0);
    assert_true(value == INT64_MAX);
    assert_int_equal(json_to_i64(&doc, at("small"), &value), 0);
    assert_true(value == INT64_MIN);
    assert_int_equal(json_to_i64(&doc, at("zero"), &value), 0);
    assert_true(value == 0);
    value = 7;
    assert_int_equal(json_to_i64(&doc, at("too_big"), &value), -1);
    assert_int_equal(json_to_i64(&doc, at("too_small"), &value), -1);
    assert_int_equal(json_to_i64(&doc, at("half"), &value), -1);
    assert_int_equal(json_to_i64(&doc, at("exp"), &value), -1);
    assert_int_equal(json_to_i64(&doc, at("name"), &value), -1);
    assert_true(value == 7);
    assert_true(json_member_i64(&doc, 0, "number", 5) == -42);
    assert_true(json_member_i64(&doc, 0, "half", 5) == 5);
}

static void real_numbers(void **state) {
    (void)state;
    double value = 7;
    assert_int_equal(json_to_double(&doc, at("half"), &value), 0);
    assert_true(value == 0.5);
    assert_int_equal(json_to_double(&doc, at("exp"), &value), 0);
    assert_true(value == 1000);
    assert_int_equal(json_to_double(&doc, at("digits"), &value), 0);
    assert_true(value == 0.1);
    assert_int_equal(json_to_double(&doc, at("huge"), &value), -1);
    assert_int_equal(json_to_double(&doc, at("yes"), &value), -1);
    assert_true(value == 0.1);
}

static void booleans(void **state) {
    (void)state;
    assert_int_equal(json_to_bool(&doc, at("yes"), -1), 1);
    assert_int_equal(json_to_bool(&doc, at("no"), -1), 0);
    assert_int_equal(json_to_bool(&doc, at("nothing"), -1), -1);
    assert_int_equal(json_member_bool(&doc, 0, "yes", 0), 1);
    assert_int_equal(json_member_bool(&doc, 0, "number", 3), 3);
}

static void assert_span(const char *key, const char *expected) {
    size_t bytes;
    const char *span = json_span(&doc, at(key), &bytes);
    assert_int_equal(bytes, strlen(expected));
    assert_memory_equal(span, expected, bytes);
}

static void spans_are_verbatim(void **state) {
    (void)state;
    assert_span("name", "\"caf\\u00e9 \\uD83D\\uDE00\\n\"");
    assert_span("number", "-42");
    assert_span("list", "[1,\"two\",[3],{\"four\":4},null]");
    assert_span("empty", "{}");
    assert_span("huge", "1e999");
    size_t bytes;
    assert_ptr_equal(json_span(&doc, 0, &bytes), text + 1);
    assert_int_equal(bytes, sizeof text - 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_are_found),
        cmocka_unit_test(walking),
        cmocka_unit_test(none_is_accepted_everywhere),
        cmocka_unit_test(strings_are_compared_decoded),
        cmocka_unit_test(texts_are_decoded),
        cmocka_unit_test(whole_numbers),
        cmocka_unit_test(real_numbers),
        cmocka_unit_test(booleans),
        cmocka_unit_test(spans_are_verbatim),
    };
    return cmocka_run_group_tests_name("json_look", tests, setup, teardown);
}
