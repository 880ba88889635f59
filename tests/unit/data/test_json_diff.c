/* What is told of two values that differ, and that nothing is told of two that do not. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "data/json_diff.h"
#include "data/json_keys.h"

/* ' in the texts stands for ". */
static void read(struct json_doc *doc, struct buf *text, const char *quoted) {
    json_init(doc);
    buf_init(text);
    for (const char *at = quoted; *at; at++)
        buf_add_char(text, *at == '\'' ? '"' : *at);
    assert_int_equal(json_read(doc, text->data, text->size, NULL, NULL), 0);
}

static void assert_diff(const char *from, const char *to, const char *wanted) {
    JSON_AUTO struct json_doc before;
    JSON_AUTO struct json_doc after;
    BUF_AUTO struct buf before_text;
    BUF_AUTO struct buf after_text;
    BUF_AUTO struct buf told;
    struct json_writer writer;
    read(&before, &before_text, from);
    read(&after, &after_text, to);
    buf_init(&told);
    json_writer_init(&writer, &told, 0);
    json_begin_array(&writer);
    assert_int_equal(json_diff(&before, 0, &after, 0, &writer, NULL), 0);
    json_end_array(&writer);
    for (size_t i = 0; i < told.size; i++)
        told.data[i] = told.data[i] == '"' ? '\'' : told.data[i];
    assert_string_equal(told.data, wanted);
    assert_int_equal(json_is_same(&before, 0, &after, 0), strcmp(wanted, "[]") == 0);
}

static void test_same(void **state) {
    (void)state;
    assert_diff("{'a':1,'b':[1,2,{'c':null}]}", "{ 'b' : [1, 2, {'c':null}], 'a' : 1 }", "[]");
    assert_diff("['\\u0041']", "['A']", "[]");
    assert_diff("1.50", "1.50", "[]");
}

static void test_members(void **state) {
    (void)state;
    assert_diff("{'cursor':10,'old':true,'same':0}", "{'same':0,'cursor':11,'new':{'x':1}}",
                "[{'path':'/cursor','what':'changed','from':10,'to':11},"
                "{'path':'/old','what':'removed','from':true},"
                "{'path':'/new','what':'added','to':{'x':1}}]");
    assert_diff("{'a':{'b':{'c':1}}}", "{'a':{'b':{'c':null}}}",
                "[{'path':'/a/b/c','what':'changed','from':1,'to':null}]");
    assert_diff("{'a':null}", "{}", "[{'path':'/a','what':'removed','from':null}]");
    assert_diff("{}", "{'a':null}", "[{'path':'/a','what':'added','to':null}]");
}

static void test_whole(void **state) {
    (void)state;
    assert_diff("1", "1.0", "[{'path':'','what':'changed','from':1,'to':1.0}]");
    assert_diff("[1]", "{'0':1}", "[{'path':'','what':'changed','from':[1],'to':{'0':1}}]");
}

static void test_pointers_are_escaped(void **state) {
    (void)state;
    assert_diff("{'a/b':1,'m~n':1,'':1}", "{'a/b':2,'m~n':2,'':2}",
                "[{'path':'/a~1b','what':'changed','from':1,'to':2},"
                "{'path':'/m~0n','what':'changed','from':1,'to':2},"
                "{'path':'/','what':'changed','from':1,'to':2}]");
}

static void test_elements(void **state) {
    (void)state;
    assert_diff("[1,2,3]", "[1,5,3]", "[{'path':'/1','what':'changed','from':2,'to':5}]");
    assert_diff("[1,2,3]", "[0,1,2,3]", "[{'path':'/0','what':'added','to':0}]");
    assert_diff("[1,2,3,4]", "[1,4]",
                "[{'path':'/1','what':'removed','from':2},{'path':'/2','what':'removed','from':3}]");
    assert_diff("[1,1]", "[1,1,1]", "[{'path':'/2','what':'added','to':1}]");
    assert_diff("[{'id':1,'x':1},{'id':2,'x':1}]", "[{'id':1,'x':1},{'id':2,'x':2}]",
                "[{'path':'/1/x','what':'changed','from':1,'to':2}]");
    assert_diff("[]", "[[]]", "[{'path':'/0','what':'added','to':[]}]");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same),     cmocka_unit_test(test_members),
        cmocka_unit_test(test_whole),    cmocka_unit_test(test_pointers_are_escaped),
        cmocka_unit_test(test_elements),
    };
    return cmocka_run_group_tests_name("data/json_diff", tests, NULL, NULL);
}
