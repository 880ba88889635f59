/* The tail of what a child printed, and the datum made of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "run/output.h"
#include "run/run_result.h"

static void assert_tail(const struct output *output, const char *text) {
    BUF_AUTO struct buf tail;
    buf_init(&tail);
    output_tail(output, &tail);
    assert_string_equal(buf_text(&tail), text);
}

static void test_short_output_is_whole(void **state) {
    (void)state;
    struct output output;
    output_init(&output, 10);
    assert_tail(&output, "");
    output_add(&output, "hello", 5);
    output_add(&output, "world", 5);
    assert_tail(&output, "helloworld");
    assert_int_equal(output_dropped(&output), 0);
    output_fini(&output);
}

static void test_long_output_keeps_its_end(void **state) {
    (void)state;
    struct output output;
    output_init(&output, 10);
    output_add(&output, "abcdefgh", 8);
    output_add(&output, "ijklm", 5);
    assert_tail(&output, "[3 bytes dropped]\ndefghijklm");
    output_add(&output, "0123456789ABCDEF", 16);
    assert_tail(&output, "[19 bytes dropped]\n6789ABCDEF");
    output_clear(&output);
    output_add(&output, "again", 5);
    assert_tail(&output, "again");
    output_fini(&output);
}

/* Against the plain way: keep everything, cut at the end. */
static void test_all_splits_agree(void **state) {
    (void)state;
    char all[20000], expected[64];
    for (size_t i = 0; i < sizeof all; i++)
        all[i] = (char)('a' + i % 26);
    for (size_t step = 1; step < 6000; step = step * 3 + 1) {
        struct output output;
        output_init(&output, 5000);
        for (size_t at = 0; at < sizeof all; at += step)
            output_add(&output, all + at, at + step > sizeof all ? sizeof all - at : step);
        BUF_AUTO struct buf tail;
        buf_init(&tail);
        output_tail(&output, &tail);
        snprintf(expected, sizeof expected, "[%zu bytes dropped]\n", sizeof all - 5000);
        assert_memory_equal(tail.data, expected, strlen(expected));
        assert_int_equal(tail.size, strlen(expected) + 5000);
        assert_memory_equal(tail.data + strlen(expected), all + sizeof all - 5000, 5000);
        output_fini(&output);
    }
}

static void test_no_room_at_all(void **state) {
    (void)state;
    struct output output;
    output_init(&output, 0);
    output_add(&output, "abc", 3);
    assert_tail(&output, "[3 bytes dropped]\n");
    output_fini(&output);
}

static void assert_datum(const char *bytes, size_t size, const char *type, const char *data) {
    struct run_result result;
    run_result_init(&result);
    assert_int_equal(run_result_from_output(&result, bytes, size), 0);
    assert_int_equal(result.outcome, type ? RUN_OK : RUN_NONE);
    if (type) {
        assert_string_equal(result.type, type);
        assert_string_equal(buf_text(&result.data), data);
    }
    run_result_fini(&result);
}

#define DATUM(text, type, data) assert_datum((text), sizeof(text) - 1, (type), (data))

static void test_data_of_commands(void **state) {
    (void)state;
    DATUM("", NULL, NULL);
    DATUM(" \n\n", NULL, NULL);
    DATUM("{\"a\": 1.0}\n", "json", "{\"a\": 1.0}");
    DATUM("42\n", "json", "42");
    DATUM("{\n \"a\": 1\n}\n", "json", "{\n \"a\": 1\n}");
    DATUM("1\n\n{\"b\":2}\n", "jsonl", "[1,{\"b\":2}]");
    DATUM("1\n{\"b\":", "text", "\"1\\n{\\\"b\\\":\"");
    DATUM("hello\n", "text", "\"hello\"");
    DATUM("a\nb\n\n", "text", "\"a\\nb\\n\"");
    DATUM("a\0b", "text", "\"a\\u0000b\"");
    DATUM("\x1b[31mred", "text", "\"\\u001b[31mred\"");
    DATUM("\xff\xfe", "bytes", "{\"base64\":\"//4=\"}");
    DATUM("\xff", "bytes", "{\"base64\":\"/w==\"}");
    DATUM("ab\xff", "bytes", "{\"base64\":\"YWL/\"}");
    DATUM("NaN", "text", "\"NaN\"");
    DATUM("{\"a\":1,\"a\":2}", "text", "\"{\\\"a\\\":1,\\\"a\\\":2}\"");
}

/* Order of keys and white space do not change the hash; a value does. */
static void test_hash(void **state) {
    (void)state;
    struct run_result a, b, c;
    run_result_init(&a);
    run_result_init(&b);
    run_result_init(&c);
    assert_int_equal(run_result_from_output(&a, "{\"a\":1,\"b\":2}", 13), 0);
    assert_int_equal(run_result_from_output(&b, "{ \"b\":2, \"a\":1}", 15), 0);
    assert_int_equal(run_result_from_output(&c, "{\"a\":1,\"b\":3}", 13), 0);
    assert_memory_equal(a.data_hash, b.data_hash, HASH_BYTES);
    assert_memory_not_equal(a.data_hash, c.data_hash, HASH_BYTES);
    run_result_fini(&a);
    run_result_fini(&b);
    run_result_fini(&c);
}

static int reply(const char *line, enum run_outcome *ret_outcome) {
    struct run_result result;
    run_result_init(&result);
    result.number = 7;
    int code = run_result_from_reply(&result, line, strlen(line), NULL);
    *ret_outcome = result.outcome;
    run_result_fini(&result);
    return code;
}

static void test_replies(void **state) {
    (void)state;
    enum run_outcome outcome;
    assert_int_equal(reply("{\"run\":7,\"outcome\":\"none\"}", &outcome), 0);
    assert_int_equal(outcome, RUN_NONE);
    assert_int_equal(reply("{\"run\":7,\"outcome\":\"error\",\"error\":\"E: x\"}", &outcome), 0);
    assert_int_equal(outcome, RUN_ERROR);
    assert_int_equal(reply("{\"run\":7,\"outcome\":\"ok\",\"type\":\"int\",\"data\":1}", &outcome), 0);
    assert_int_equal(outcome, RUN_OK);
    assert_int_equal(reply("{\"run\":8,\"outcome\":\"none\"}", &outcome), HF_ERR_INVALID);
    assert_int_equal(reply("{\"run\":7,\"outcome\":\"ok\"}", &outcome), HF_ERR_INVALID);
    assert_int_equal(reply("{\"run\":7,\"outcome\":\"fine\"}", &outcome), HF_ERR_INVALID);
    assert_int_equal(reply("[1]", &outcome), HF_ERR_INVALID);
    assert_int_equal(reply("nonsense", &outcome), HF_ERR_BAD_JSON);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_short_output_is_whole),
        cmocka_unit_test(test_long_output_keeps_its_end),
        cmocka_unit_test(test_all_splits_agree),
        cmocka_unit_test(test_no_room_at_all),
        cmocka_unit_test(test_data_of_commands),
        cmocka_unit_test(test_hash),
        cmocka_unit_test(test_replies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
