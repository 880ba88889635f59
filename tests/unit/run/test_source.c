/* The verbs on sources, without a supervisor: what is accepted, what is refused and how that is said, what is stored.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "run/source.h"
#include "run/source_spec.h"
#include "store/store.h"

static int open_store(void **state) {
    struct hf_store *store = NULL;
    struct hf_error error;
    assert_int_equal(hf_store_open("memory:", NULL, &store, &error), 0);
    assert_int_equal(source_declare_kinds(store, &error), 0);
    *state = store;
    return 0;
}

static int close_store(void **state) {
    hf_store_close((struct hf_store **)state);
    return 0;
}

/* ' in the text stands for ". */
static char *body_of(const char *text) {
    char *body = strdup(text);
    for (char *c = body; *c; c++)
        *c = *c == '\'' ? '"' : *c;
    return body;
}

enum verb { ADD, EDIT, START, STOP, RUN, REMOVE, ROLLBACK };

static struct buf last = {0};
static struct hf_error last_error;

static int act(struct hf_store *store, enum verb verb, const char *name, const char *text) {
    char *body = body_of(text ? text : "");
    int code = 0;
    buf_clear(&last);
    error_clear(&last_error);
    switch (verb) {
    case ADD:
        code = source_add(store, "me", body, strlen(body), &last, &last_error);
        break;
    case EDIT:
        code = source_edit(store, "me", name, body, strlen(body), &last, &last_error);
        break;
    case START:
    case STOP:
        code = source_want(store, "me", name, verb == START, &last, &last_error);
        break;
    case RUN:
        code = source_request_run(store, "me", name, &last, &last_error);
        break;
    case REMOVE:
        code = source_remove(store, "me", name, &last, &last_error);
        break;
    case ROLLBACK:
        code = source_rollback(store, "me", name, atoi(text), &last, &last_error);
        break;
    }
    free(body);
    return code;
}

static void assert_said(const char *part) {
    if (!strstr(last_error.message, part))
        fail_msg("'%s' is not in: %s", part, last_error.message);
}

static void assert_has(const char *part) {
    if (!strstr(buf_text(&last), part))
        fail_msg("'%s' is not in: %s", part, buf_text(&last));
}

#define GOOD_CODE     "def fetch_data():\\n    return 1\\n"
#define PYTHON(more)  "{'name':'p','kind':'python','code':'" GOOD_CODE "'" more "}"
#define COMMAND(more) "{'name':'c','kind':'command','argv':['true']" more "}"

static void test_add_and_show(void **state) {
    struct hf_store *store = *state;
    assert_int_equal(act(store, ADD, NULL, PYTHON(",'interval':'1.5s','tags':['a','b'],'env':{'A':'1'},'start':true")),
                     0);
    assert_has("\"interval_ms\":1500");
    assert_has("\"wanted\":\"running\"");
    assert_has("\"status\":\"stopped\"");
    assert_has("\"pid\":null");
    assert_has("\"run_count\":0");
    assert_has("\"error_count\":0");
    assert_has("\"last_error\":null");
    assert_has("\"code_version\":1");
    assert_has("\"tags\":[\"a\",\"b\"]");
    assert_has("\"env\":{\"A\":\"1\"}");
    assert_has("\"limits\":{\"output_bytes\":65536,\"data_bytes\":8388608}");
    assert_int_equal(act(store, ADD, NULL, PYTHON("")), HF_ERR_EXISTS);
    assert_said("add source 'p'");
    struct hf_error error;
    buf_clear(&last);
    assert_int_equal(source_show(store, NULL, "q", &last, &error), HF_ERR_NOT_FOUND);
}

static void test_bad_bodies(void **state) {
    static const struct {
        const char *body;
        int code;
        const char *said;
    } CASES[] = {
        {"", HF_ERR_BAD_JSON, ""},
        {"[1]", HF_ERR_INVALID, "object"},
        {"{'kind':'python'}", HF_ERR_INVALID, "'name'"},
        {"{'name':7}", HF_ERR_INVALID, "'name'"},
        {"{'name':'a/b','kind':'command','argv':['x']}", HF_ERR_BAD_ID, ""},
        {"{'name':'..','kind':'command','argv':['x']}", HF_ERR_BAD_ID, ""},
        {"{'name':'a','kind':'ftp'}", HF_ERR_INVALID, "'kind'"},
        {"{'name':'a'}", HF_ERR_INVALID, "'kind'"},
        {"{'name':'p','kind':'python'}", HF_ERR_INVALID, "'code'"},
        {"{'name':'p','kind':'python','code':7}", HF_ERR_INVALID, "'code'"},
        {"{'name':'c','kind':'command'}", HF_ERR_INVALID, "'argv'"},
        {COMMAND(",'code':'x'"), HF_ERR_INVALID, "'code'"},
        {PYTHON(",'argv':['x']"), HF_ERR_INVALID, "'argv'"},
        {COMMAND(",'colour':'red'"), HF_ERR_INVALID, "'colour'"},
        {COMMAND(",'interval_ms':5"), HF_ERR_INVALID, "'interval_ms' must be from 10 to"},
        {COMMAND(",'interval_ms':'5s'"), HF_ERR_INVALID, "'interval_ms'"},
        {COMMAND(",'interval_ms':10.5"), HF_ERR_INVALID, "'interval_ms'"},
        {COMMAND(",'interval':5"), HF_ERR_INVALID, "'interval'"},
        {COMMAND(",'interval':'soon'"), HF_ERR_INVALID, "'interval'"},
        {COMMAND(",'timeout_ms':0"), HF_ERR_INVALID, "'timeout_ms'"},
        {COMMAND(",'backoff_min_ms':2000,'backoff_max_ms':1000"), HF_ERR_INVALID, "'backoff_max'"},
        {COMMAND(",'cwd':'here'"), HF_ERR_INVALID, "'cwd'"},
        {COMMAND(",'cwd':7"), HF_ERR_INVALID, "'cwd'"},
        {COMMAND(",'description':'a\\u0000b'"), HF_ERR_INVALID, "'description'"},
        {COMMAND(",'env':['A=1']"), HF_ERR_INVALID, "'env'"},
        {COMMAND(",'env':{'1A':'x'}"), HF_ERR_INVALID, "'1A'"},
        {COMMAND(",'env':{'A=B':'x'}"), HF_ERR_INVALID, "'A=B'"},
        {COMMAND(",'env':{'HOLDFAST_NONCE':'x'}"), HF_ERR_INVALID, "'HOLDFAST_NONCE'"},
        {COMMAND(",'env':{'A':1}"), HF_ERR_INVALID, "'env'"},
        {COMMAND(",'tags':'a'"), HF_ERR_INVALID, "'tags'"},
        {COMMAND(",'tags':[1]"), HF_ERR_INVALID, "'tags'"},
        {COMMAND(",'limits':{'data_bytes':0}"), HF_ERR_INVALID, "'data_bytes'"},
        {COMMAND(",'limits':{'interval_ms':1000}"), HF_ERR_INVALID, "'limits.interval_ms'"},
        {COMMAND(",'limits':7"), HF_ERR_INVALID, "'limits'"},
        {COMMAND(",'start':1"), HF_ERR_INVALID, "'start'"},
        {COMMAND(",'wanted':'running'"), HF_ERR_INVALID, "'wanted'"},
        {"{'name':'c','kind':'command','argv':[]}", HF_ERR_INVALID, "'argv'"},
        {"{'name':'c','kind':'command','argv':['']}", HF_ERR_INVALID, "'argv'"},
        {"{'name':'c','kind':'command','argv':[1]}", HF_ERR_INVALID, "'argv'"},
        {"{'name':'c','kind':'command','argv':'ls -l'}", HF_ERR_INVALID, "'argv'"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        int code = act(*state, ADD, NULL, CASES[i].body);
        if (code != CASES[i].code)
            fail_msg("%s: %d, not %d: %s", CASES[i].body, code, CASES[i].code, last_error.message);
        assert_said(CASES[i].said);
    }
    assert_int_equal(hf_store_revision(*state), 0);
}

static void test_bad_code(void **state) {
    assert_int_equal(act(*state, ADD, NULL, "{'name':'p','kind':'python','code':'x = 1\\ndef fetch_data(:\\n'}"),
                     HF_ERR_BAD_DATA);
    assert_said("line 2");
    assert_int_equal(act(*state, ADD, NULL, "{'name':'p','kind':'python','code':'def fetch():\\n  pass\\n'}"),
                     HF_ERR_BAD_DATA);
    assert_said("fetch_data");
    assert_int_equal(act(*state, ADD, NULL, "{'name':'p','kind':'python','code':'def fetch_data(x):\\n  pass\\n'}"),
                     HF_ERR_BAD_DATA);
    assert_said("asks for x");
    assert_int_equal(act(*state, ADD, NULL, "{'name':'p','kind':'python','code':'a\\u0000b'}"), HF_ERR_BAD_DATA);
    struct hf_error error;
    static char large[SOURCE_CODE_MAX + 200];
    int start = sprintf(large, "{\"name\":\"p\",\"kind\":\"python\",\"code\":\"");
    memset(large + start, '#', SOURCE_CODE_MAX + 1);
    strcpy(large + start + SOURCE_CODE_MAX + 1, "\"}");
    buf_clear(&last);
    assert_int_equal(source_add(*state, "me", large, strlen(large), &last, &error), HF_ERR_TOO_LARGE);
    assert_int_equal(hf_store_revision(*state), 0);
}

/* The code of a source is not run by adding it. */
static void test_code_is_not_run(void **state) {
    const char *path = "/tmp/holdfast-test-code-was-run";
    remove(path);
    assert_int_equal(act(*state, ADD, NULL,
                         "{'name':'p','kind':'python','code':'open(\\'/tmp/holdfast-test-code-was-run\\', "
                         "\\'w\\')\\ndef fetch_data():\\n    pass\\n'}"),
                     0);
    assert_null(fopen(path, "r"));
}

static void test_versions(void **state) {
    struct hf_store *store = *state;
    struct hf_error error;
    assert_int_equal(act(store, ADD, NULL, PYTHON("")), 0);
    assert_int_equal(act(store, EDIT, "p", "{'code':'def fetch_data():\\n    return 2\\n','note':'two'}"), 0);
    assert_has("\"code_version\":2");
    uint64_t revision = hf_store_revision(store);
    assert_int_equal(act(store, EDIT, "p", "{'code':'def fetch_data():\\n    return 2\\n'}"), 0);
    assert_int_equal(hf_store_revision(store), revision); /* the same again changes nothing */
    assert_int_equal(act(store, EDIT, "p", "{'code':'" GOOD_CODE "','if_version':1}"), HF_ERR_PRECONDITION);
    assert_said("newest code version is 2");
    assert_int_equal(act(store, EDIT, "p", "{'code':'def fetch_data(:'}"), HF_ERR_BAD_DATA);
    assert_int_equal(act(store, ROLLBACK, "p", "1"), 0);
    assert_has("\"code_version\":3");
    assert_int_equal(act(store, ROLLBACK, "p", "9"), HF_ERR_NOT_FOUND);
    buf_clear(&last);
    assert_int_equal(source_versions(store, "p", 0, 1, &last, &error), 0);
    assert_has("\"note\":\"rollback to version 1\"");
    assert_has("return 2");
    buf_clear(&last);
    assert_int_equal(source_versions(store, "p", 2, 0, &last, &error), 0);
    assert_non_null(strstr(buf_text(&last), "[{\"name\":\"p\",\"version\":3,"));
    assert_null(strstr(buf_text(&last), "fetch_data"));
    assert_null(strstr(buf_text(&last), "\"version\":1,"));
}

static void test_versions_outlive_removal(void **state) {
    struct hf_store *store = *state;
    struct hf_error error;
    assert_int_equal(act(store, ADD, NULL, PYTHON(",'start':true")), 0);
    assert_int_equal(act(store, REMOVE, "p", NULL), HF_ERR_CONFLICT);
    assert_int_equal(act(store, STOP, "p", NULL), 0);
    assert_int_equal(act(store, RUN, "p", NULL), 0);
    assert_int_equal(act(store, REMOVE, "p", NULL), HF_ERR_CONFLICT);
    assert_int_equal(act(store, STOP, "p", NULL), 0);
    assert_int_equal(act(store, REMOVE, "p", NULL), 0);
    assert_int_equal(act(store, START, "p", NULL), HF_ERR_NOT_FOUND);
    assert_int_equal(act(store, ADD, NULL, PYTHON("")), 0);
    assert_has("\"code_version\":2");
    buf_clear(&last);
    assert_int_equal(source_versions(store, "p", 0, 0, &last, &error), 0);
    assert_has("\"version\":1,");
}

static void test_wants(void **state) {
    struct hf_store *store = *state;
    assert_int_equal(act(store, ADD, NULL, COMMAND("")), 0);
    assert_int_equal(act(store, START, "c", NULL), 0);
    assert_has("\"wanted\":\"running\"");
    uint64_t revision = hf_store_revision(store);
    assert_int_equal(act(store, START, "c", NULL), 0);
    assert_int_equal(hf_store_revision(store), revision); /* twice is as once */
    assert_int_equal(act(store, STOP, "c", NULL), 0);
    assert_has("\"wanted\":\"stopped\"");
    assert_int_equal(act(store, EDIT, "c", "{'interval':'2s'}"), 0);
    assert_has("\"interval_ms\":2000");
    assert_int_equal(act(store, EDIT, "c", "{'kind':'python'}"), HF_ERR_INVALID);
    assert_int_equal(act(store, EDIT, "c", "{'code':'x'}"), HF_ERR_INVALID);
    assert_int_equal(act(store, EDIT, "nobody", "{}"), HF_ERR_NOT_FOUND);
}

static void test_lists(void **state) {
    struct hf_store *store = *state;
    struct hf_error error;
    for (int i = 0; i < 5; i++) {
        char body[80];
        snprintf(body, sizeof body, "{'name':'s%d','kind':'command','argv':['true']}", i);
        assert_int_equal(act(store, ADD, NULL, body), 0);
    }
    buf_clear(&last);
    assert_int_equal(source_list(store, NULL, "s1", 2, &last, &error), 0);
    assert_has("[{\"name\":\"s2\"");
    assert_has("\"name\":\"s3\"");
    assert_null(strstr(buf_text(&last), "\"name\":\"s4\""));
    buf_clear(&last);
    assert_int_equal(source_tail(store, "s1", 5, &last, &error), 0);
    assert_string_equal(buf_text(&last), "[]");
    buf_clear(&last);
    assert_int_equal(source_runs(store, "nobody", 5, &last, &error), HF_ERR_NOT_FOUND);
}

/* A damaged document of one source does not hide the others. */
static void test_damaged_document(void **state) {
    struct hf_store *store = *state;
    struct hf_error error;
    assert_int_equal(act(store, ADD, NULL, COMMAND("")), 0);
    assert_int_equal(hf_store_put(store, "source", "a", "{\"kind\":\"what\"}", 15, NULL, &error), 0);
    buf_clear(&last);
    assert_int_equal(source_list(store, NULL, NULL, 0, &last, &error), 0);
    assert_has("{\"name\":\"a\",\"status\":\"damaged\"}");
    assert_has("\"name\":\"c\"");
}

static int free_last(void **state) {
    (void)state;
    buf_fini(&last);
    return 0;
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_store, close_store)
    const struct CMUnitTest tests[] = {
        TEST(test_add_and_show),    TEST(test_bad_bodies), TEST(test_bad_code),
        TEST(test_code_is_not_run), TEST(test_versions),   TEST(test_versions_outlive_removal),
        TEST(test_wants),           TEST(test_lists),      TEST(test_damaged_document),
    };
    return cmocka_run_group_tests(tests, NULL, free_last);
}
