#include "../os/scratch.h"

#include "store/tree_files.h"

static struct json_doc doc;
static struct buf text;

static int style(const char *json, size_t bytes, const struct json_limits *limits) {
    struct hf_error error = {0};
    int code = tree_style(&doc, json, bytes, limits, &text, &error);
    if (code == 0)
        assert_int_equal(text.data[text.size], '\0');
    else
        assert_int_equal(error.code, code);
    return code;
}

static void assert_style(const char *json, const char *expected) {
    assert_int_equal(style(json, strlen(json), NULL), 0);
    assert_string_equal(buf_text(&text), expected);
    assert_int_equal(text.size, strlen(expected));
    char *again = strdup(text.data);
    assert_int_equal(style(again, strlen(again), NULL), 0);
    assert_string_equal(buf_text(&text), again); /* styled text stays as it is */
    free(again);
}

static void values(void **state) {
    (void)state;
    assert_style("null", "null");
    assert_style(" true ", "true");
    assert_style("\"a\"", "\"a\"");
    assert_style("{}", "{}");
    assert_style("[ ]", "[]");
    assert_style("[{},[]]", "[\n  {},\n  []\n]");
    assert_style("{\"b\":1,\"a\":{\"c\":[1,2]}}",
                 "{\n  \"b\": 1,\n  \"a\": {\n    \"c\": [\n      1,\n      2\n    ]\n  }\n}");
    assert_style("[[[]],0]", "[\n  [\n    []\n  ],\n  0\n]");
}

static void numbers_stay_as_they_stand(void **state) {
    (void)state;
    assert_style("[1.0,1,-0,1e5,1E+05,0.90000000000000002,9007199254740993,123456789012345678901234567890]",
                 "[\n  1.0,\n  1,\n  -0,\n  1e5,\n  1E+05,\n  0.90000000000000002,\n  9007199254740993,\n"
                 "  123456789012345678901234567890\n]");
}

static void escapes_are_the_shortest(void **state) {
    (void)state;
    assert_style("\"\\/\\u002f\\u0041\\u00e9\\ud83d\\ude00\"", "\"//A\xC3\xA9\xF0\x9F\x98\x80\"");
    assert_style("\"\\u0000\\u0001\\u001f\\u0008\\u000C\\u000a\\u000d\\u0009\\u0022\\u005c\"",
                 "\"\\u0000\\u0001\\u001f\\b\\f\\n\\r\\t\\\"\\\\\"");
    assert_style("\"\\u007f\x7f\\u2028\xE2\x80\xA9\"", "\"\x7f\x7f\xE2\x80\xA8\xE2\x80\xA9\"");
    assert_style("{\"a\\/\\u0062\":\"\\u0063\"}", "{\n  \"a/b\": \"c\"\n}");
}

static void what_the_reader_refuses(void **state) {
    (void)state;
    assert_int_equal(style("\"\\ud800\"", 8, NULL), HF_ERR_BAD_JSON);
    assert_int_equal(style("{\"a\":1,\"\\u0061\":2}", 18, NULL), HF_ERR_BAD_JSON);
    assert_int_equal(style("", 0, NULL), HF_ERR_BAD_JSON);
    assert_int_equal(style("[[1]]", 5, &(struct json_limits){.max_depth = 1}), HF_ERR_TOO_LARGE);
    assert_int_equal(style("[1,2]", 5, &(struct json_limits){.max_bytes = 4}), HF_ERR_TOO_LARGE);
}

/* Indentation would make it too long to be read again: it stays as it is, and no memory goes that way. */
static void a_text_over_the_limit_stays_as_it_stands(void **state) {
    (void)state;
    struct json_limits limits = {.max_bytes = 16};
    const char *json = "[1,2,3]";
    assert_int_equal(style(json, strlen(json), &limits), 0);
    assert_string_equal(buf_text(&text), json);
    limits.max_bytes = 17;
    assert_int_equal(style(json, strlen(json), &limits), 0);
    assert_string_equal(buf_text(&text), "[\n  1,\n  2,\n  3\n]");
}

static void deep_nesting_takes_no_endless_room(void **state) {
    (void)state;
    enum { DEPTH = 1024, ITEMS = 1 << 20 };
    struct json_limits limits = {.max_bytes = 10 << 20, .max_depth = DEPTH};
    struct buf json;
    buf_init(&json);
    for (int i = 0; i < DEPTH; i++)
        buf_add_char(&json, '[');
    for (int i = 0; i < ITEMS; i++)
        buf_add_text(&json, i ? ",1" : "1");
    for (int i = 0; i < DEPTH; i++)
        buf_add_char(&json, ']');
    assert_int_equal(style(json.data, json.size, &limits), 0);
    assert_int_equal(text.size, json.size);
    assert_memory_equal(text.data, json.data, json.size);
    assert_true(text.room < (size_t)8 * limits.max_bytes);
    buf_fini(&json);
}

/* ---- as Python has it ---- */

static uint64_t seed = 88172645463325252u;

static uint64_t chance(uint64_t below) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed % below;
}

static void add_string(struct buf *out, int number) {
    static const char *const pieces[] = {
        "a",
        "\\/",
        "\\u0000",
        "\\u001f",
        "\\n",
        "\\u000b",
        "\\\"",
        "\\\\",
        "\x7f",
        "\\u007F",
        "\\u2028",
        "\\u00E9",
        "\xC3\xA9",
        "\\ud83d\\ude00",
        "\xF0\x9F\x98\x80",
        " ",
        "long enough to go by whole strides of bytes, and then some",
        "\\u0022",
        "\\b\\f\\r\\t",
    };
    buf_add_char(out, '"');
    if (number >= 0)
        buf_printf(out, "%d", number); /* keys differ */
    for (uint64_t i = chance(6); i > 0; i--)
        buf_add_text(out, pieces[chance(sizeof pieces / sizeof pieces[0])]);
    buf_add_char(out, '"');
}

static void add_value(struct buf *out, int depth) {
    static const char *const scalars[] = {"null", "true", "false", "0", "-1", "1.5", "12345678901234567890",
                                          "{}",   "[]"};
    static const char *const spaces[] = {"", " ", "\n\t"};
    uint64_t kind = depth > 0 ? chance(4) : chance(2);
    if (kind == 0) {
        buf_add_text(out, scalars[chance(sizeof scalars / sizeof scalars[0])]);
    } else if (kind == 1) {
        add_string(out, -1);
    } else {
        buf_add_char(out, kind == 2 ? '[' : '{');
        int count = (int)chance(6);
        for (int i = 0; i < count; i++) {
            buf_add_text(out, i ? "," : "");
            buf_add_text(out, spaces[chance(3)]);
            if (kind == 3) {
                add_string(out, i);
                buf_add_text(out, spaces[chance(3)]);
                buf_add_char(out, ':');
            }
            add_value(out, depth - 1);
        }
        buf_add_char(out, kind == 2 ? ']' : '}');
    }
}

static const char program[] = "import json, sys\n"
                              "for line in open(sys.argv[1], 'rb').read().split(b'\\0')[:-1]:\n"
                              "    text = json.dumps(json.loads(line), indent=2, ensure_ascii=False)\n"
                              "    sys.stdout.buffer.write(text.encode() + b'\\0')\n";

static void it_is_what_python_writes(void **state) {
    (void)state;
    enum { DOCUMENTS = 3000 };
    struct buf in, out, python;
    buf_init(&in);
    buf_init(&out);
    buf_init(&python);
    for (int i = 0; i < DOCUMENTS; i++) {
        size_t start = in.size;
        add_value(&in, 6);
        assert_int_equal(style(in.data + start, in.size - start, NULL), 0);
        buf_add(&out, text.data, text.size + 1);
        buf_add_char(&in, '\0');
    }
    struct scratch scratch = scratch_make();
    char path[128], script[128];
    snprintf(path, sizeof path, "%s/documents", scratch.path);
    snprintf(script, sizeof script, "%s/style.py", scratch.path);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(in.data, 1, in.size, file), in.size);
    assert_int_equal(fclose(file), 0);
    scratch_write(&scratch, "style.py", program, 0600);
    char command[400];
    snprintf(command, sizeof command, "/usr/bin/python3 -I %s %s", script, path);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    char bytes[65536];
    for (size_t got; (got = fread(bytes, 1, sizeof bytes, pipe)) > 0;)
        buf_add(&python, bytes, got);
    assert_int_equal(pclose(pipe), 0);
    assert_int_equal(python.size, out.size);
    for (size_t at = 0; at < out.size; at += strlen(out.data + at) + 1)
        assert_string_equal(out.data + at, python.data + at);
    scratch_remove(&scratch);
    buf_fini(&in);
    buf_fini(&out);
    buf_fini(&python);
}

static int setup(void **state) {
    (void)state;
    json_init(&doc);
    buf_init(&text);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    json_fini(&doc);
    buf_fini(&text);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values),
        cmocka_unit_test(numbers_stay_as_they_stand),
        cmocka_unit_test(escapes_are_the_shortest),
        cmocka_unit_test(what_the_reader_refuses),
        cmocka_unit_test(a_text_over_the_limit_stays_as_it_stands),
        cmocka_unit_test(deep_nesting_takes_no_endless_room),
        cmocka_unit_test(it_is_what_python_writes),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
