#include "base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* The text is copied to memory of exactly its size, so that the address sanitizer sees a read behind its end. */
static int read_exact(const char *text, size_t bytes, const struct json_limits *limits, struct hf_error *error) {
    JSON_AUTO struct json_doc doc;
    json_init(&doc);
    MEM_AUTO char *exact = mem_alloc(bytes);
    if (bytes > 0)
        memcpy(exact, text, bytes);
    int code = json_read(&doc, exact, bytes, limits, error);
    assert_int_equal(code != 0, doc.count == 0);
    return code;
}

static void refuse(const char *text, size_t bytes, const char *message) {
    struct hf_error error;
    assert_int_equal(read_exact(text, bytes, NULL, &error), HF_ERR_BAD_JSON);
    assert_int_equal(error.code, HF_ERR_BAD_JSON);
    assert_string_equal(error.message, message);
}
#define REFUSE(text, message) refuse((text), sizeof(text) - 1, "read JSON: " message)
#define ACCEPT(text)          assert_int_equal(read_exact((text), sizeof(text) - 1, NULL, NULL), 0)

static void values_of_every_type(void **state) {
    (void)state;
    ACCEPT("null");
    ACCEPT("true");
    ACCEPT("false");
    ACCEPT("0");
    ACCEPT("\"\"");
    ACCEPT("[]");
    ACCEPT("{}");
    ACCEPT(" \t\r\n[ \t\r\n1 \t\r\n, \t\r\n{ \t\r\n\"a\" \t\r\n: \t\r\n2 \t\r\n} \t\r\n] \t\r\n");
    ACCEPT("{\"\":{\"\":[[],{},\"\"]}}");
}

static void what_was_expected_and_where(void **state) {
    (void)state;
    REFUSE("", "line 1, column 1 (byte 0): expected a value, found the end of the text");
    REFUSE("  ", "line 1, column 3 (byte 2): expected a value, found the end of the text");
    REFUSE("[1,]", "line 1, column 4 (byte 3): expected a value, found ']'");
    REFUSE("[1 2]", "line 1, column 4 (byte 3): expected ',' or ']', found '2'");
    REFUSE("[,1]", "line 1, column 2 (byte 1): expected a value, found ','");
    REFUSE("[1}", "line 1, column 3 (byte 2): expected ',' or ']', found '}'");
    REFUSE("{\"a\":1]", "line 1, column 7 (byte 6): expected ',' or '}', found ']'");
    REFUSE("{\"a\":1,}", "line 1, column 8 (byte 7): expected a key in quotes, found '}'");
    REFUSE("{a:1}", "line 1, column 2 (byte 1): expected a key in quotes, found 'a'");
    REFUSE("{\"a\" 1}", "line 1, column 6 (byte 5): expected ':' behind a key, found '1'");
    REFUSE("{\"a\":}", "line 1, column 6 (byte 5): expected a value, found '}'");
    REFUSE("1 1", "line 1, column 3 (byte 2): expected the end of the text, found '1'");
    REFUSE("{}]", "line 1, column 3 (byte 2): expected the end of the text, found ']'");
    REFUSE("\n\n {\"\xC3\xA9\xE2\x82\xAC\": nul}", "line 3, column 9 (byte 13): expected a value, found 'n'");
    REFUSE("'a'", "line 1, column 1 (byte 0): expected a value, found '''");
    REFUSE("/**/1", "line 1, column 1 (byte 0): expected a value, found '/'");
    REFUSE("1\0", "line 1, column 2 (byte 1): expected the end of the text, found byte 0x00");
    REFUSE("[\0]", "line 1, column 2 (byte 1): expected a value, found byte 0x00");
    REFUSE("\f1", "line 1, column 1 (byte 0): expected a value, found byte 0x0c");
    REFUSE("tru", "line 1, column 1 (byte 0): expected a value, found 't'");
    REFUSE("truE", "line 1, column 1 (byte 0): expected a value, found 't'");
    REFUSE("falsey", "line 1, column 6 (byte 5): expected the end of the text, found 'y'");
    REFUSE("NaN", "line 1, column 1 (byte 0): expected a value, found 'N'");
    REFUSE("Infinity", "line 1, column 1 (byte 0): expected a value, found 'I'");
    REFUSE("-Infinity", "line 1, column 2 (byte 1): expected a digit, found 'I'");
}

static void strings(void **state) {
    (void)state;
    ACCEPT("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0000\\u00e9\\uD83D\\uDE00\\uFFFF\"");
    ACCEPT("\"\x7f\"");
    ACCEPT("\"\xC2\x80\xE0\xA0\x80\xED\x9F\xBF\xEE\x80\x80\xF0\x90\x80\x80\xF4\x8F\xBF\xBF\"");
    ACCEPT("\"\xEF\xBB\xBF\""); /* a byte order mark inside of a string is a character like others */
    REFUSE("\"abc", "line 1, column 5 (byte 4): expected '\"' at the end of a string, found the end of the text");
    REFUSE("\"\\\"", "line 1, column 4 (byte 3): expected '\"' at the end of a string, found the end of the text");
    REFUSE("\"\\",
           "line 1, column 3 (byte 2): expected one of \"\\/bfnrtu behind a backslash, found the end of the text");
    REFUSE("\"\\x\"", "line 1, column 3 (byte 2): expected one of \"\\/bfnrtu behind a backslash, found 'x'");
    REFUSE("\"\\\0\"", "line 1, column 3 (byte 2): expected one of \"\\/bfnrtu behind a backslash, found byte 0x00");
    REFUSE("\"\\u12\"", "line 1, column 2 (byte 1): expected four hex digits in a \\u escape, found '\\'");
    REFUSE("\"\\u12g4\"", "line 1, column 2 (byte 1): expected four hex digits in a \\u escape, found '\\'");
    REFUSE("\"\\U0041\"", "line 1, column 3 (byte 2): expected one of \"\\/bfnrtu behind a backslash, found 'U'");
}

static void control_characters_must_be_escaped(void **state) {
    (void)state;
    for (int c = 0; c < 0x20; c++) {
        for (size_t at = 1; at < 40; at++) { /* at every place of a stride */
            char text[64], message[128];
            memset(text, 'a', sizeof text);
            text[0] = text[sizeof text - 1] = '"';
            text[at] = (char)c;
            snprintf(message, sizeof message,
                     "read JSON: line 1, column %zu (byte %zu): expected an escape in place of a control character, "
                     "found byte 0x%02x",
                     at + 1, at, (unsigned)c);
            refuse(text, sizeof text, message);
        }
    }
}

static void lone_surrogates_are_refused(void **state) {
    (void)state;
    static const char *const bad[] = {
        "\"\\ud800\"",        "\"\\udfff\"",
        "\"\\udc00\\ud800\"", "\"\\ud800\\ud800\"",
        "\"\\ud800x\"",       "\"\\ud800\\n\"",
        "\"\\ud800\\u0041\"", "\"\\ud800\\u\"",
        "\"\\ud800\\uDC0\"",  "\"\\uDBFF\\uE000\"",
        "{\"\\udead\": 1}",   "\"\\ud800",
        "\"\\ud800\\",        "\"\\ud800\\uDC00\\uDC00\"",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct hf_error error;
        assert_int_equal(read_exact(bad[i], strlen(bad[i]), NULL, &error), HF_ERR_BAD_JSON);
        assert_non_null(strstr(error.message, "expected a pair of surrogates"));
    }
}

static void invalid_utf8_is_refused_everywhere(void **state) {
    (void)state;
    static const char *const bad[] = {
        "\x80",
        "\xBF",
        "\xC0\x80",
        "\xC1\xBF",
        "\xE0\x80\x80",
        "\xE0\x9F\xBF",
        "\xED\xA0\x80",
        "\xED\xBF\xBF",
        "\xF0\x80\x80\x80",
        "\xF0\x8F\xBF\xBF",
        "\xF4\x90\x80\x80",
        "\xF5\x80\x80\x80",
        "\xFF",
        "\xFE",
        "\xC3",
        "\xE2\x82",
        "\xF0\x9F\x98",
        "\xF8\x88\x80\x80\x80",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct hf_error error;
        char text[64], where[32];
        for (size_t at = 1; at < 40; at++) {
            memset(text, 'a', sizeof text);
            text[0] = text[sizeof text - 1] = '"';
            memcpy(text + at, bad[i], strlen(bad[i]));
            assert_int_equal(read_exact(text, sizeof text, NULL, &error), HF_ERR_BAD_JSON);
            snprintf(where, sizeof where, "(byte %zu): expected UTF-8", at);
            assert_non_null(strstr(error.message, where));
        }
        assert_int_equal(read_exact(bad[i], strlen(bad[i]), NULL, &error), HF_ERR_BAD_JSON);
        snprintf(text, sizeof text, "\"%s", bad[i]);
        assert_int_equal(read_exact(text, strlen(text), NULL, &error), HF_ERR_BAD_JSON);
    }
}

static void byte_order_mark(void **state) {
    (void)state;
    struct hf_error error;
    assert_int_equal(read_exact("\xEF\xBB\xBF{}", 5, NULL, &error), HF_ERR_BAD_JSON);
    assert_string_equal(error.hint, "remove the byte order mark: JSON is plain UTF-8");
    assert_int_equal(read_exact("\xFF\xFE{\0}\0", 6, NULL, &error), HF_ERR_BAD_JSON);
    assert_string_equal(error.hint, "");
}

static void number_grammar(void **state) {
    (void)state;
    static const char *const good[] = {
        "0",    "-0",   "1",   "-1",      "10",      "1234567890123456789012345678901234567890",
        "0.0",  "-0.0", "1.5", "0.10",    "1e1",     "1E1",
        "1e+1", "1e-1", "0e0", "1.5e300", "1e99999", "-1.0E-0001",
    };
    static const char *const bad[] = {
        "-",   "+1",  "01",   "00",   "-01", ".5",   "1.",   "1.e1", "1e",  "1e+", "1e-",          "1e1.0", "0x10",
        "1_0", "--1", "1..0", "1.0.", "-.5", "1e 1", "1 e1", "- 1",  "1,0", "1f",  "\xEF\xBC\x91", "1e+-1", "-a",
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_int_equal(read_exact(good[i], strlen(good[i]), NULL, NULL), 0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(read_exact(bad[i], strlen(bad[i]), NULL, NULL), HF_ERR_BAD_JSON);
}

static void duplicate_keys(void **state) {
    (void)state;
    REFUSE("{\"a\":1,\"a\":2}", "line 1, column 8 (byte 7): duplicate key 'a'");
    REFUSE("{\"a\":1,\"\\u0061\":2}", "line 1, column 8 (byte 7): duplicate key '\\u0061'");
    REFUSE("{\"\\u0061\":1,\"a\":2}", "line 1, column 13 (byte 12): duplicate key 'a'");
    REFUSE("{\"\":1,\"\":2}", "line 1, column 7 (byte 6): duplicate key ''");
    REFUSE("[{\"x\":{\"b\":1,\"a\":0,\"b\":2}}]", "line 1, column 20 (byte 19): duplicate key 'b'");
    REFUSE("{\"a long key to compare\":1,\"a long key to compare\":2}",
           "line 1, column 28 (byte 27): duplicate key 'a long key to compare'");
    REFUSE("{\"\\uD83D\\uDE00\":1,\"\xF0\x9F\x98\x80\":2}",
           "line 1, column 19 (byte 18): duplicate key '\xF0\x9F\x98\x80'");
    ACCEPT("{\"a\":{\"a\":1},\"b\":{\"a\":1}}");
    ACCEPT("{\"a\":1,\"A\":2,\"a \":3,\"a\\u0000\":4,\"a\\u0000\\u0000\":5,\"\":6,\"\\u0000\":7}");
    ACCEPT("{\"abcdefgh\":1,\"abcdefghi\":2,\"abcdefg\":3,\"abcdefgh\\u0000\":4}");
}

/* One twin among many keys, at any two places, and none at all; also with more keys than are sorted on the stack. */
static void duplicate_keys_of_large_objects(void **state) {
    (void)state;
    for (unsigned count = 2; count < 700; count += count < 40 ? 1 : 61) {
        for (unsigned twin = 0; twin <= count; twin += 1 + count / 9) {
            BUF_AUTO struct buf text;
            buf_init(&text);
            for (unsigned i = 0; i < count; i++)
                buf_printf(&text, "%s\"key %u\":1", i ? "," : "{", i * 7919u % 10007);
            if (twin < count)
                buf_printf(&text, ",\"k\\u0065y %u\":1", twin * 7919u % 10007);
            buf_add_char(&text, '}');
            struct hf_error error;
            int code = read_exact(text.data, text.size, NULL, &error);
            assert_int_equal(code, twin < count ? HF_ERR_BAD_JSON : 0);
            if (twin < count)
                assert_non_null(strstr(error.message, "duplicate key 'k\\u0065y "));
        }
    }
}

static void a_long_duplicate_key_is_cut_between_characters(void **state) {
    (void)state;
    BUF_AUTO struct buf text;
    buf_init(&text);
    for (int copy = 0; copy < 2; copy++) {
        buf_add_text(&text, copy ? ",\"" : "{\"");
        for (int i = 0; i < 60; i++)
            buf_add_text(&text, "\xE2\x82\xAC");
        buf_add_text(&text, "\":1");
    }
    buf_add_char(&text, '}');
    struct hf_error error;
    assert_int_equal(read_exact(text.data, text.size, NULL, &error), HF_ERR_BAD_JSON);
    const char *quoted = strchr(error.message, '\'');
    assert_non_null(quoted);
    assert_int_equal(strlen(quoted), 2 + 78);
}

static void every_cut_is_refused(void **state) {
    (void)state;
    static const char text[] =
        " {\"a\\n\\u00e9\xC3\xA9\":[1,-2.5e+10,true,false,null,\"\\uD83D\\uDE00\xF0\x9F\x98\x80\"],"
        "\"b\":{\"c\":{},\"d\":[[]]}}";
    for (size_t bytes = 0; bytes < sizeof text - 1; bytes++)
        assert_int_equal(read_exact(text, bytes, NULL, NULL), HF_ERR_BAD_JSON);
    assert_int_equal(read_exact(text, sizeof text - 1, NULL, NULL), 0);
}

/* Zeroed parts and flipped bits must be refused or be another valid document; never a crash or a read behind the end.
 */
static void damaged_documents_do_no_harm(void **state) {
    (void)state;
    static const char text[] =
        "{\"a\\n\\u00e9\xC3\xA9\":[1,-2.5e+10,true,false,null,\"\\uD83D\\uDE00\xF0\x9F\x98\x80\"]}";
    for (size_t at = 0; at < sizeof text - 1; at++) {
        char damaged[sizeof text];
        for (int bit = 0; bit < 8; bit++) {
            memcpy(damaged, text, sizeof text);
            damaged[at] = (char)(damaged[at] ^ 1 << bit);
            int code = read_exact(damaged, sizeof text - 1, NULL, NULL);
            assert_true(code == 0 || code == HF_ERR_BAD_JSON);
        }
        memcpy(damaged, text, sizeof text);
        memset(damaged + at, 0, sizeof text - 1 - at);
        assert_int_equal(read_exact(damaged, sizeof text - 1, NULL, NULL), HF_ERR_BAD_JSON);
    }
}

static int read_nested(const char *open, const char *close, uint32_t depth, uint32_t max_depth,
                       struct hf_error *error) {
    BUF_AUTO struct buf text;
    buf_init(&text);
    for (uint32_t i = 0; i < depth; i++)
        buf_add_text(&text, open);
    buf_add_text(&text, "1");
    for (uint32_t i = 0; i < depth; i++)
        buf_add_text(&text, close);
    struct json_limits limits = {.max_depth = max_depth};
    return read_exact(text.data, text.size, &limits, error);
}

static void depth_is_limited(void **state) {
    (void)state;
    struct hf_error error;
    assert_int_equal(read_nested("[", "]", 128, 0, &error), 0);
    assert_int_equal(read_nested("[", "]", 129, 0, &error), HF_ERR_TOO_LARGE);
    assert_string_equal(error.message, "read JSON: line 1, column 129 (byte 128): more than 128 levels of nesting");
    assert_int_equal(read_nested("{\"a\":", "}", 128, 0, &error), 0);
    assert_int_equal(read_nested("{\"a\":", "}", 129, 0, &error), HF_ERR_TOO_LARGE);
    assert_int_equal(read_nested("[", "]", 3, 3, &error), 0);
    assert_int_equal(read_nested("[", "]", 4, 3, &error), HF_ERR_TOO_LARGE);
    assert_int_equal(read_nested("[", "]", JSON_DEPTH_MAX, 5000, &error), 0);
    assert_int_equal(read_nested("[", "]", JSON_DEPTH_MAX + 1, 5000, &error), HF_ERR_TOO_LARGE);
    assert_int_equal(read_nested("[", "]", 1000000, 0, &error), HF_ERR_TOO_LARGE);
    assert_int_equal(read_nested("{\"\":", "}", 1000000, UINT32_MAX, &error), HF_ERR_TOO_LARGE);
}

static void size_is_limited(void **state) {
    (void)state;
    struct hf_error error;
    struct json_limits limits = {.max_bytes = 4};
    assert_int_equal(read_exact("1234", 4, &limits, &error), 0);
    assert_int_equal(read_exact("12345", 5, &limits, &error), HF_ERR_TOO_LARGE);
    assert_string_equal(error.message, "read JSON: 5 bytes are over the limit of 4");
    assert_int_equal(read_exact("", 0, &limits, &error), HF_ERR_BAD_JSON);
    JSON_AUTO struct json_doc doc;
    json_init(&doc);
    assert_int_equal(json_read(&doc, "1", (size_t)UINT32_MAX + 1, NULL, &error), HF_ERR_TOO_LARGE);
    assert_int_equal(json_read(&doc, NULL, 0, NULL, &error), HF_ERR_BAD_JSON);
}

static void the_document_can_be_used_again(void **state) {
    (void)state;
    JSON_AUTO struct json_doc doc;
    json_init(&doc);
    BUF_AUTO struct buf large;
    buf_init(&large);
    for (int i = 0; i < 5000; i++)
        buf_add_text(&large, i ? ",1" : "[1");
    buf_add_char(&large, ']');
    assert_int_equal(json_read(&doc, large.data, large.size, NULL, NULL), 0);
    assert_int_equal(doc.count, 5001);
    const struct json_node *nodes = doc.nodes;
    assert_int_equal(json_read(&doc, "[1,", 3, NULL, NULL), HF_ERR_BAD_JSON);
    assert_int_equal(doc.count, 0);
    assert_int_equal(json_read(&doc, "7", 1, NULL, NULL), 0);
    assert_int_equal(doc.count, 1);
    assert_ptr_equal(doc.nodes, nodes);
}

/* Comparing every key with every other would take minutes here. */
static void a_large_document_is_read(void **state) {
    (void)state;
    enum { MEMBERS = 200000 };
    BUF_AUTO struct buf text;
    buf_init(&text);
    for (uint32_t i = 0; i < MEMBERS; i++)
        buf_printf(&text, "%s\"%u\":%u", i ? "," : "{", i * 2654435761u, i);
    buf_add_char(&text, '}');
    JSON_AUTO struct json_doc doc;
    json_init(&doc);
    assert_int_equal(json_read(&doc, text.data, text.size, NULL, NULL), 0);
    assert_int_equal(doc.nodes[0].count, MEMBERS);
    assert_int_equal(doc.count, 2 * MEMBERS + 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_of_every_type),
        cmocka_unit_test(what_was_expected_and_where),
        cmocka_unit_test(strings),
        cmocka_unit_test(control_characters_must_be_escaped),
        cmocka_unit_test(lone_surrogates_are_refused),
        cmocka_unit_test(invalid_utf8_is_refused_everywhere),
        cmocka_unit_test(byte_order_mark),
        cmocka_unit_test(number_grammar),
        cmocka_unit_test(duplicate_keys),
        cmocka_unit_test(duplicate_keys_of_large_objects),
        cmocka_unit_test(a_long_duplicate_key_is_cut_between_characters),
        cmocka_unit_test(every_cut_is_refused),
        cmocka_unit_test(damaged_documents_do_no_harm),
        cmocka_unit_test(depth_is_limited),
        cmocka_unit_test(size_is_limited),
        cmocka_unit_test(the_document_can_be_used_again),
        cmocka_unit_test(a_large_document_is_read),
    };
    return cmocka_run_group_tests_name("json_read", tests, NULL, NULL);
}
