/* Taking a source along: what comes back, what is merged, what is refused without a trace. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "run/source.h"

static struct hf_error error;
static struct buf reply;

static int open_store(void **state) {
    struct hf_store *store = NULL;
    assert_int_equal(hf_store_open("memory:", NULL, &store, &error), 0);
    assert_int_equal(source_declare_kinds(store, &error), 0);
    *state = store;
    return 0;
}

static int close_store(void **state) {
    hf_store_close((struct hf_store **)state);
    buf_fini(&reply);
    return 0;
}

#define FIRST  "def fetch_data():\n    return 1\n"
#define SECOND "def fetch_data():\n    return 2\n"

static void add(struct hf_store *store, const char *name, const char *code, const char *more) {
    BUF_AUTO struct buf body;
    struct json_writer json;
    buf_init(&body);
    json_writer_init(&json, &body, 0);
    json_begin_object(&json);
    json_put_string(&json, "name", name);
    json_put_string(&json, "kind", "python");
    json_put_string(&json, "code", code);
    buf_add_text(&body, more);
    json_end_object(&json);
    buf_clear(&reply);
    assert_int_equal(source_add(store, "me", body.data, body.size, &reply, &error), 0);
}

static void edit(struct hf_store *store, const char *name, const char *code) {
    BUF_AUTO struct buf body;
    struct json_writer json;
    buf_init(&body);
    json_writer_init(&json, &body, 0);
    json_begin_object(&json);
    json_put_string(&json, "code", code);
    json_put_string(&json, "note", "faster");
    json_end_object(&json);
    buf_clear(&reply);
    assert_int_equal(source_edit(store, "me", name, body.data, body.size, &reply, &error), 0);
}

static void put_datum(struct hf_store *store, const char *name, int run) {
    char text[128];
    snprintf(text, sizeof text, "{\"run\":%d,\"type\":\"int\",\"data\":%d}", run, run * 10);
    assert_int_equal(hf_store_put(store, "source_data", name, text, strlen(text), NULL, &error), 0);
}

static void export(struct hf_store *store, const char *name, int with_code, uint64_t data, struct buf *out) {
    buf_init(out);
    assert_int_equal(source_export(store, name, with_code, data, out, &error), 0);
}

static int import(struct hf_store *store, const char *name, const struct buf *document, int merge) {
    buf_clear(&reply);
    return source_import(store, "you", name, document->data, document->size, merge, &reply, &error);
}

static void assert_has(const char *part) {
    if (!strstr(buf_text(&reply), part))
        fail_msg("'%s' is not in: %s", part, buf_text(&reply));
}

static void replace(struct buf *text, const char *from, const char *to) {
    char *at = strstr(text->data, from);
    struct buf changed;
    assert_non_null(at);
    buf_init(&changed);
    buf_add(&changed, text->data, (size_t)(at - text->data));
    buf_add_text(&changed, to);
    buf_add_text(&changed, at + strlen(from));
    buf_fini(text);
    *text = changed;
}

static void test_a_new_source_is_whole(void **state) {
    struct hf_store *store = *state;
    BUF_AUTO struct buf document;
    add(store, "p", FIRST, ",\"interval_ms\":1500,\"tags\":[\"a\"],\"description\":\"prices\"");
    edit(store, "p", SECOND);
    put_datum(store, "p", 1);
    put_datum(store, "p", 2);
    static const char COUNTED[] = "{\"name\":\"p\",\"status\":\"backoff\",\"run_count\":7,\"error_count\":2,"
                                  "\"last_error\":\"it rained\",\"open_run\":8,\"restore\":null}";
    assert_int_equal(hf_store_put(store, "source_state", "p", COUNTED, sizeof COUNTED - 1, NULL, &error), 0);
    export(store, "p", 1, 100, &document);

    assert_int_equal(import(store, "q", &document, 0), 0);
    assert_has("\"name\":\"q\"");
    assert_has("\"status\":\"stopped\"");
    assert_has("\"wanted\":\"stopped\"");
    assert_has("\"interval_ms\":1500");
    assert_has("\"description\":\"prices\"");
    assert_has("\"run_count\":7");
    assert_has("\"error_count\":2");
    assert_has("\"last_error\":\"it rained\"");
    assert_has("\"open_run\":0");
    assert_has("\"code_version\":2");
    buf_clear(&reply);
    assert_int_equal(source_versions(store, "q", 0, 1, &reply, &error), 0);
    assert_has("\"version\":2");
    assert_has("return 2");
    assert_has("\"note\":\"faster\"");
    assert_has("\"version\":1");
    assert_has("return 1");
    buf_clear(&reply);
    assert_int_equal(source_tail(store, "q", 10, &reply, &error), 0);
    assert_string_equal(buf_text(&reply),
                        "[{\"run\":1,\"type\":\"int\",\"data\":10},{\"run\":2,\"type\":\"int\",\"data\":20}]");
}

static void test_over_a_source(void **state) {
    struct hf_store *store = *state;
    BUF_AUTO struct buf document;
    add(store, "p", SECOND, ",\"interval_ms\":1500,\"tags\":[\"a\",\"b\"],\"env\":{\"A\":\"1\",\"B\":\"2\"}");
    add(store, "q", FIRST, ",\"tags\":[\"b\",\"c\"],\"env\":{\"B\":\"mine\"},\"timeout_ms\":700");
    export(store, "p", 1, 0, &document);

    assert_int_equal(import(store, "q", &document, 1), 0);
    assert_has("\"interval_ms\":1500");
    assert_has("\"timeout_ms\":700");
    assert_has("\"tags\":[\"b\",\"c\",\"a\"]");
    assert_has("\"env\":{\"B\":\"mine\",\"A\":\"1\"}");
    assert_has("\"code_version\":1");

    assert_int_equal(import(store, "q", &document, 0), 0);
    assert_has("\"timeout_ms\":60000");
    assert_has("\"tags\":[\"a\",\"b\"]");
    assert_has("\"env\":{\"A\":\"1\",\"B\":\"2\"}");
    assert_has("\"code_version\":2");
    uint64_t revision = hf_store_revision(store);
    assert_int_equal(import(store, "q", &document, 0), 0);
    assert_int_equal(hf_store_revision(store), revision);
}

static void test_refused_without_a_trace(void **state) {
    static const struct {
        const char *from, *to;
        int code;
    } CASES[] = {
        {"\"holdfast_source\":1", "\"holdfast_source\":2", HF_ERR_SCHEMA_NEWER},
        {"\"holdfast_source\":1", "\"something\":1", HF_ERR_INVALID},
        {"\"source\":{", "\"source\":[],\"x\":{", HF_ERR_INVALID},
        {"\"kind\":\"python\"", "\"kind\":\"ftp\"", HF_ERR_INVALID},
        {"\"interval_ms\":5000", "\"interval_ms\":1", HF_ERR_INVALID},
        {"return 2", "return 3", HF_ERR_CORRUPT},
        {"return 1", "return 3", HF_ERR_CORRUPT},
        {"\"code_versions\":[", "\"code_versions\":[7,", HF_ERR_INVALID},
        {"\"code_versions\":[", "\"code_versions\":{},\"x\":[", HF_ERR_INVALID},
        {"\"code_versions\":[", "\"x\":[", HF_ERR_INVALID},
        {"\"status\":\"stopped\"", "\"status\":\"asleep\"", HF_ERR_CORRUPT},
        {"}", "", HF_ERR_BAD_JSON},
    };
    struct hf_store *store = *state;
    add(store, "p", FIRST, "");
    edit(store, "p", SECOND);
    uint64_t revision = hf_store_revision(store);
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        BUF_AUTO struct buf document;
        export(store, "p", 1, 0, &document);
        replace(&document, CASES[i].from, CASES[i].to);
        int code = import(store, "q", &document, 0);
        if (code != CASES[i].code || hf_store_revision(store) != revision)
            fail_msg("case %zu: %d, not %d: %s", i, code, CASES[i].code, error.message);
    }
    BUF_AUTO struct buf document;
    export(store, "p", 0, 0, &document);
    assert_null(strstr(document.data, "return 2"));
    assert_int_equal(import(store, "q", &document, 0), HF_ERR_INVALID);
    assert_int_equal(import(store, "../q", &document, 0), HF_ERR_BAD_ID);
    assert_int_equal(import(store, "p", &document, 0), 0);
    assert_int_equal(hf_store_revision(store), revision);
}

static void test_kinds_do_not_mix(void **state) {
    static const char BODY[] = "{\"name\":\"c\",\"kind\":\"command\",\"argv\":[\"date\",\"-u\"]}";
    struct hf_store *store = *state;
    BUF_AUTO struct buf document;
    assert_int_equal(source_add(store, "me", BODY, sizeof BODY - 1, &reply, &error), 0);
    add(store, "p", FIRST, "");
    export(store, "c", 1, 0, &document);
    assert_int_equal(import(store, "p", &document, 0), HF_ERR_CONFLICT);
    assert_int_equal(import(store, "d", &document, 0), 0);
    assert_has("\"argv\":[\"date\",\"-u\"]");
    replace(&document, "\"-u\"", "\"-R\"");
    assert_int_equal(import(store, "d", &document, 1), 0);
    assert_has("\"argv\":[\"date\",\"-u\"]");
    assert_int_equal(import(store, "d", &document, 0), 0);
    assert_has("\"argv\":[\"date\",\"-R\"]");
}

static void test_summary(void **state) {
    struct hf_store *store = *state;
    add(store, "p", FIRST, "");
    buf_clear(&reply);
    assert_int_equal(source_summary(store, NULL, "p", &reply, &error), 0);
    assert_has("\"data\":{\"kept\":0}");
    edit(store, "p", SECOND);
    put_datum(store, "p", 1);
    put_datum(store, "p", 2);
    buf_clear(&reply);
    assert_int_equal(source_summary(store, NULL, "p", &reply, &error), 0);
    assert_has("\"source\":{\"name\":\"p\"");
    assert_has("\"data\":{\"at\":null,\"run\":2,\"type\":\"int\",\"size\":null,\"hash\":null,\"kept\":2}");
    assert_has("\"runs\":{\"kept\":0}");
    assert_has("\"code\":{\"version\":2,");
    assert_has("\"kept\":2}}");
    assert_int_equal(source_summary(store, NULL, "q", &reply, &error), HF_ERR_NOT_FOUND);
    assert_int_equal(source_export(store, "q", 1, 0, &reply, &error), HF_ERR_NOT_FOUND);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_store, close_store)
    const struct CMUnitTest tests[] = {
        TEST(test_a_new_source_is_whole), TEST(test_over_a_source), TEST(test_refused_without_a_trace),
        TEST(test_kinds_do_not_mix),      TEST(test_summary),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
