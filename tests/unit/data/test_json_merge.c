/* The examples of RFC 7396's appendix A, each against the form that it must have; and what they leave open. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "data/json_keys.h"
#include "data/json_merge.h"

struct example {
    const char *target, *patch, *result;
};

static void canonical(const char *text, struct buf *out) {
    JSON_AUTO struct json_doc doc;
    json_init(&doc);
    assert_int_equal(json_read(&doc, text, strlen(text), NULL, NULL), 0);
    assert_int_equal(json_canonical(&doc, 0, out), 0);
}

/* target NULL: there is none. */
static void merge(const char *target, const char *patch, struct buf *out) {
    JSON_AUTO struct json_doc before;
    JSON_AUTO struct json_doc change;
    json_init(&before);
    json_init(&change);
    if (target)
        assert_int_equal(json_read(&before, target, strlen(target), NULL, NULL), 0);
    assert_int_equal(json_read(&change, patch, strlen(patch), NULL, NULL), 0);
    assert_int_equal(json_merge(&before, target ? 0 : JSON_NONE, &change, 0, out, NULL), 0);
}

static void test_examples_of_the_rfc(void **state) {
    (void)state;
    static const struct example EXAMPLES[] = {
        {"{\"a\":\"b\"}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
        {"{\"a\":\"b\"}", "{\"b\":\"c\"}", "{\"a\":\"b\",\"b\":\"c\"}"},
        {"{\"a\":\"b\"}", "{\"a\":null}", "{}"},
        {"{\"a\":\"b\",\"b\":\"c\"}", "{\"a\":null}", "{\"b\":\"c\"}"},
        {"{\"a\":[\"b\"]}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
        {"{\"a\":\"c\"}", "{\"a\":[\"b\"]}", "{\"a\":[\"b\"]}"},
        {"{\"a\":{\"b\":\"c\"}}", "{\"a\":{\"b\":\"d\",\"c\":null}}", "{\"a\":{\"b\":\"d\"}}"},
        {"{\"a\":[{\"b\":\"c\"}]}", "{\"a\":[1]}", "{\"a\":[1]}"},
        {"[\"a\",\"b\"]", "[\"c\",\"d\"]", "[\"c\",\"d\"]"},
        {"{\"a\":\"b\"}", "[\"c\"]", "[\"c\"]"},
        {"{\"a\":\"foo\"}", "null", "null"},
        {"{\"a\":\"foo\"}", "\"bar\"", "\"bar\""},
        {"{\"e\":null}", "{\"a\":1}", "{\"e\":null,\"a\":1}"},
        {"[1,2]", "{\"a\":\"b\",\"c\":null}", "{\"a\":\"b\"}"},
        {"{}", "{\"a\":{\"bb\":{\"ccc\":null}}}", "{\"a\":{\"bb\":{}}}"},
    };
    for (size_t i = 0; i < sizeof EXAMPLES / sizeof EXAMPLES[0]; i++) {
        BUF_AUTO struct buf merged;
        buf_init(&merged);
        merge(EXAMPLES[i].target, EXAMPLES[i].patch, &merged);
        assert_string_equal(buf_text(&merged), EXAMPLES[i].result);
    }
}

static void assert_merged(const char *target, const char *patch, const char *result) {
    BUF_AUTO struct buf merged;
    buf_init(&merged);
    merge(target, patch, &merged);
    assert_string_equal(buf_text(&merged), result);
}

static void test_nothing_is_an_empty_object(void **state) {
    (void)state;
    assert_merged(NULL, "{\"a\":{\"b\":null,\"c\":1}}", "{\"a\":{\"c\":1}}");
    assert_merged(NULL, "[null]", "[null]");
}

static void test_numbers_and_order_stay(void **state) {
    (void)state;
    assert_merged("{ \"z\" : 1.00,\n\"a\" : 12345678901234567890, \"m\":[1, 2] }", "{\"new\":1e5,\"a\":2}",
                  "{\"z\":1.00,\"a\":2,\"m\":[1,2],\"new\":1e5}");
}

static void test_keys_are_compared_decoded(void **state) {
    (void)state;
    assert_merged("{\"caf\\u00e9\":1,\"a\\u0000b\":2}", "{\"caf\xc3\xa9\":null,\"a\\u0000c\":3}",
                  "{\"a\\u0000b\":2,\"a\\u0000c\":3}");
}

/* Deeper than the writer of documents goes. */
static void test_deep(void **state) {
    (void)state;
    enum { DEPTH = 120 };
    char target[DEPTH * 8], patch[DEPTH * 8], result[DEPTH * 8];
    char *ends[3] = {target, patch, result};
    for (int i = 0; i < DEPTH; i++)
        for (int j = 0; j < 3; j++)
            ends[j] += sprintf(ends[j], "{\"a\":");
    ends[0] += sprintf(ends[0], "{\"old\":1}");
    ends[1] += sprintf(ends[1], "{\"new\":2}");
    ends[2] += sprintf(ends[2], "{\"old\":1,\"new\":2}");
    for (int j = 0; j < 3; j++) {
        memset(ends[j], '}', DEPTH);
        ends[j][DEPTH] = '\0';
    }
    assert_merged(target, patch, result);
}

/* Many members, in an order that is not that of their keys: the look-up has to find each. */
static void test_many_members(void **state) {
    (void)state;
    enum { MANY = 5000 };
    BUF_AUTO struct buf target;
    BUF_AUTO struct buf patch;
    BUF_AUTO struct buf wanted;
    BUF_AUTO struct buf merged;
    BUF_AUTO struct buf form;
    struct buf *all[] = {&target, &patch, &wanted, &merged, &form};
    for (size_t i = 0; i < 5; i++)
        buf_init(all[i]);
    for (int i = 0; i < MANY; i++) {
        unsigned name = (unsigned)i * 2654435761u;
        buf_printf(&target, "%s\"%u\":%d", i ? "," : "{", name, i);
        buf_printf(&patch, "%s\"%u\":%s", i ? "," : "{", name, i % 2 ? "null" : "\"x\"");
        if (i % 2 == 0)
            buf_printf(&wanted, "%s\"%u\":\"x\"", i ? "," : "{", name);
    }
    for (size_t i = 0; i < 3; i++)
        buf_add_char(all[i], '}');
    merge(target.data, patch.data, &merged);
    assert_string_equal(merged.data, wanted.data);
    canonical(merged.data, &form);
    assert_int_equal(form.size, merged.size);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_examples_of_the_rfc),
        cmocka_unit_test(test_nothing_is_an_empty_object),
        cmocka_unit_test(test_numbers_and_order_stay),
        cmocka_unit_test(test_keys_are_compared_decoded),
        cmocka_unit_test(test_deep),
        cmocka_unit_test(test_many_members),
    };
    return cmocka_run_group_tests_name("data/json_merge", tests, NULL, NULL);
}
