#include "base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* The text has exactly its size, so that copies in strides cannot read behind it unseen. */
static void assert_canonical(const char *text, const char *expected) {
    JSON_AUTO struct json_doc doc;
    BUF_AUTO struct buf out;
    json_init(&doc);
    buf_init(&out);
    size_t bytes = strlen(text);
    MEM_AUTO char *exact = mem_alloc(bytes);
    memcpy(exact, text, bytes);
    assert_int_equal(json_read(&doc, exact, bytes, NULL, NULL), 0);
    assert_int_equal(json_canonical(&doc, 0, &out), 0);
    assert_string_equal(out.data, expected);
    assert_int_equal(out.size, strlen(expected));

    uint8_t by_text[HASH_BYTES], by_form[HASH_BYTES];
    hash_bytes(expected, strlen(expected), by_form);
    assert_int_equal(json_hash(&doc, &out, exact, bytes, NULL, by_text, NULL), 0);
    assert_memory_equal(by_text, by_form, HASH_BYTES);
}

static void white_space_goes(void **state) {
    (void)state;
    assert_canonical(" 1 ", "1");
    assert_canonical("\n[ 1 ,\t[ ] , { } , \"a b\" ]\r", "[1,[],{},\"a b\"]");
}

static void keys_are_sorted_at_every_level(void **state) {
    (void)state;
    assert_canonical("{\"b\":1,\"a\":2}", "{\"a\":2,\"b\":1}");
    assert_canonical("{\"a\":1,\"b\":2}", "{\"a\":1,\"b\":2}");
    assert_canonical("[{\"z\":{\"b\":[{\"y\":1,\"x\":[]}],\"a\":{}},\"\":0}]",
                     "[{\"\":0,\"z\":{\"a\":{},\"b\":[{\"x\":[],\"y\":1}]}}]");
    assert_canonical("{\"aa\":1,\"a\":2,\"B\":3,\"abcdefghi\":4,\"abcdefgh\":5,\"abcdefga\":6}",
                     "{\"B\":3,\"a\":2,\"aa\":1,\"abcdefga\":6,\"abcdefgh\":5,\"abcdefghi\":4}");
}

static void keys_are_sorted_by_decoded_bytes(void **state) {
    (void)state;
    assert_canonical("{\"b\":1,\"\\u0061\":2}", "{\"a\":2,\"b\":1}");
    assert_canonical("{\"\xF0\x9F\x98\x80\":1,\"\xEF\xBF\xBD\":2,\"z\":3}",
                     "{\"z\":3,\"\xEF\xBF\xBD\":2,\"\xF0\x9F\x98\x80\":1}");
    assert_canonical("{\"a\\u0000\":1,\"a\":2,\"a\\u0000\\u0000\":3}",
                     "{\"a\":2,\"a\\u0000\":1,\"a\\u0000\\u0000\":3}");
    assert_canonical("{\"a\\\"\":1,\"a!\":2,\"a#\":3}", "{\"a!\":2,\"a\\\"\":1,\"a#\":3}");
    assert_canonical("{\"prefix that is long \\n\":1,\"prefix that is long \\t\":2}",
                     "{\"prefix that is long \\t\":2,\"prefix that is long \\n\":1}");
}

static void escapes_are_the_shortest(void **state) {
    (void)state;
    assert_canonical("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\\"\\\\/\\b\\f\\n\\r\\t\"");
    assert_canonical("\"\\u0022\\u005C\\u002f\\u0008\\u000C\\u000a\\u000D\\u0009\"", "\"\\\"\\\\/\\b\\f\\n\\r\\t\"");
    assert_canonical("\"\\u0000\\u001F\\u000b\\u007f\"", "\"\\u0000\\u001f\\u000b\x7f\"");
    assert_canonical("\"\\u00e9\\u20AC\\uD83D\\uDE00\\uFFFF\"", "\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\xEF\xBF\xBF\"");
    assert_canonical("[\"plain text and then \\u0041\",\"\\u0041 and plain text behind it\"]",
                     "[\"plain text and then A\",\"A and plain text behind it\"]");
}

static void numbers_are_verbatim(void **state) {
    (void)state;
    assert_canonical("[1.0,1,1e0,-0,0.10,9007199254740993,0.9]", "[1.0,1,1e0,-0,0.10,9007199254740993,0.9]");
    assert_canonical("123456789012345678901234567890.12345678901234567890E+0400",
                     "123456789012345678901234567890.12345678901234567890E+0400");
}

static void the_same_document_has_the_same_hash(void **state) {
    (void)state;
    static const char *const same[] = {
        "{\"caf\xC3\xA9\":[1,{\"x\":\"a/b\",\"y\":null}],\"b\":1.50}",
        "{ \"b\" : 1.50 , \"caf\\u00e9\" : [ 1 , { \"y\" : null , \"x\" : \"a\\/b\" } ] }",
        "{\"\\u0062\":1.50,\"\\u0063af\\u00E9\":[1,{\"\\u0079\":null,\"x\":\"\\u0061/b\"}]}\n",
    };
    static const char *const different[] = {
        "{\"caf\xC3\xA9\":[1,{\"x\":\"a/b\",\"y\":null}],\"b\":1.5}",
        "{\"caf\xC3\xA9\":[1.0,{\"x\":\"a/b\",\"y\":null}],\"b\":1.50}",
        "{\"caf\xC3\xA9\":[{\"x\":\"a/b\",\"y\":null},1],\"b\":1.50}",
        "{\"cafe\xCC\x81\":[1,{\"x\":\"a/b\",\"y\":null}],\"b\":1.50}",
        "{\"caf\xC3\xA9\":[1,{\"x\":\"a/b\",\"y\":\"\"}],\"b\":1.50}",
        "{\"caf\xC3\xA9\":[1,{\"x\":\"a/b\"}],\"b\":1.50}",
    };
    JSON_AUTO struct json_doc doc;
    BUF_AUTO struct buf scratch;
    json_init(&doc);
    buf_init(&scratch);
    uint8_t first[HASH_BYTES], hash[HASH_BYTES];
    assert_int_equal(json_hash(&doc, &scratch, same[0], strlen(same[0]), NULL, first, NULL), 0);
    for (size_t i = 1; i < sizeof same / sizeof same[0]; i++) {
        assert_int_equal(json_hash(&doc, &scratch, same[i], strlen(same[i]), NULL, hash, NULL), 0);
        assert_memory_equal(hash, first, HASH_BYTES);
    }
    for (size_t i = 0; i < sizeof different / sizeof different[0]; i++) {
        assert_int_equal(json_hash(&doc, &scratch, different[i], strlen(different[i]), NULL, hash, NULL), 0);
        assert_memory_not_equal(hash, first, HASH_BYTES);
    }
}

static void a_refused_document_has_no_hash(void **state) {
    (void)state;
    JSON_AUTO struct json_doc doc;
    BUF_AUTO struct buf scratch;
    json_init(&doc);
    buf_init(&scratch);
    uint8_t hash[HASH_BYTES] = "untouched......";
    struct hf_error error;
    assert_int_equal(json_hash(&doc, &scratch, "[", 1, NULL, hash, &error), HF_ERR_BAD_JSON);
    assert_string_equal(hash, "untouched......");
}

static void parts_and_what_is_there_already(void **state) {
    (void)state;
    static const char text[] = "{\"b\":{\"d\":1,\"c\":\"x\"},\"a\":[ 2 ]}";
    JSON_AUTO struct json_doc doc;
    BUF_AUTO struct buf out;
    json_init(&doc);
    buf_init(&out);
    assert_int_equal(json_read(&doc, text, sizeof text - 1, NULL, NULL), 0);
    buf_add_text(&out, "before ");
    assert_int_equal(json_canonical(&doc, json_member(&doc, 0, "b"), &out), 0);
    buf_add_char(&out, ' ');
    assert_int_equal(json_canonical(&doc, json_member(&doc, json_member(&doc, 0, "b"), "c"), &out), 0);
    buf_add_char(&out, ' ');
    assert_int_equal(json_canonical(&doc, json_member(&doc, 0, "a"), &out), 0);
    assert_string_equal(out.data, "before {\"c\":\"x\",\"d\":1} \"x\" [2]");
}

/* The deepest document that can be read has a canonical form, too. */
static void the_deepest_document(void **state) {
    (void)state;
    BUF_AUTO struct buf text, out;
    JSON_AUTO struct json_doc doc;
    buf_init(&text);
    buf_init(&out);
    json_init(&doc);
    struct json_limits limits = {.max_depth = JSON_DEPTH_MAX};
    for (int i = 0; i < JSON_DEPTH_MAX; i++)
        buf_add_text(&text, i % 2 ? "{\"b\":1,\"a\":" : "[");
    buf_add_text(&text, "0");
    for (int i = JSON_DEPTH_MAX - 1; i >= 0; i--)
        buf_add_text(&text, i % 2 ? "}" : "]");
    assert_int_equal(json_read(&doc, text.data, text.size, &limits, NULL), 0);
    assert_int_equal(json_canonical(&doc, 0, &out), 0);
    assert_int_equal(out.size, text.size);
    assert_memory_equal(out.data, "[{\"a\":[{\"a\":", 12);
    assert_string_equal(out.data + out.size - 8, ",\"b\":1}]");
    buf_clear(&out);
    json_pretty(&doc, 0, 0, &out);
    assert_int_equal(out.failed, 0);
}

/* Objects of every size up to where sorting moves from the stack to the heap, in an order that is far from sorted. */
static void many_keys(void **state) {
    (void)state;
    for (unsigned count = 1; count < 400; count++) {
        BUF_AUTO struct buf text, expected;
        buf_init(&text);
        buf_init(&expected);
        for (unsigned i = 0; i < count; i++) {
            buf_printf(&text, "%s\"k%03u\":%u", i ? "," : "{", i * 397u % 401, i * 397u % 401);
        }
        unsigned written = 0;
        for (unsigned key = 0; key < 401; key++)
            for (unsigned i = 0; i < count; i++)
                if (i * 397u % 401 == key)
                    buf_printf(&expected, "%s\"k%03u\":%u", written++ ? "," : "{", key, key);
        buf_add_char(&text, '}');
        buf_add_char(&expected, '}');
        assert_canonical(text.data, expected.data);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(white_space_goes),
        cmocka_unit_test(keys_are_sorted_at_every_level),
        cmocka_unit_test(keys_are_sorted_by_decoded_bytes),
        cmocka_unit_test(escapes_are_the_shortest),
        cmocka_unit_test(numbers_are_verbatim),
        cmocka_unit_test(the_same_document_has_the_same_hash),
        cmocka_unit_test(a_refused_document_has_no_hash),
        cmocka_unit_test(parts_and_what_is_there_already),
        cmocka_unit_test(the_deepest_document),
        cmocka_unit_test(many_keys),
    };
    return cmocka_run_group_tests_name("json_canonical", tests, NULL, NULL);
}
