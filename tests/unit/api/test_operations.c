/* The table itself: what help, HTTP and the description rely on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "api/openapi.h"
#include "api/operation.h"
#include "base/text.h"

#define EACH(operation)                                                                                                \
    const struct api_operation *operation = api_operations;                                                            \
    operation->noun;                                                                                                   \
    operation++

static void test_words_and_paths_are_used_once(void **state) {
    (void)state;
    for (EACH(a)) {
        assert_ptr_equal(api_find(a->noun, a->verb), a);
        for (const struct api_operation *b = api_operations; b < a; b++)
            assert_false(a->path && text_is_equal(a->method, b->method) && text_is_equal(a->path, b->path));
    }
    assert_null(api_find("source", NULL));
    assert_null(api_find("source", "fly"));
    assert_null(api_find("status", "x"));
}

static void test_rows_are_whole(void **state) {
    (void)state;
    for (EACH(operation)) {
        char begin[64];
        snprintf(begin, sizeof begin, "holdfast %s%s%s", operation->noun, operation->verb ? " " : "",
                 operation->verb ? operation->verb : "");
        assert_memory_equal(operation->example, begin, strlen(begin));
        assert_true(operation->summary[0] >= 'A' && operation->summary[0] <= 'Z');
        assert_true(operation->scope > API_SCOPE_NONE);
        assert_true(operation->parameters);
        assert_true(operation->success_status == 200 || operation->success_status == 201);
        assert_true((operation->path != NULL) == (operation->method != NULL));
        assert_true((operation->path != NULL) == (operation->handler != NULL));
        if (!operation->path)
            continue;
        assert_memory_equal(operation->path, "/api/v1/", 8);
        assert_true(strcmp(operation->method, "GET") != 0 || operation->scope == API_SCOPE_READ ||
                    strcmp(operation->noun, "token") == 0);
    }
}

static void test_parameters_fit_the_path_and_the_method(void **state) {
    (void)state;
    for (EACH(operation)) {
        size_t in_path = 0, braces = 0;
        for (const char *c = operation->path ? operation->path : ""; *c; c++)
            braces += *c == '{';
        for (const struct api_parameter *p = operation->parameters; p->name; p++) {
            char name[64];
            snprintf(name, sizeof name, "{%s}", p->name);
            in_path += p->place == PLACE_PATH;
            assert_true(p->place != PLACE_PATH || (strstr(operation->path, name) && p->required));
            assert_true(p->help && p->help[0]);
            assert_true(p->type == TYPE_BOOL ? p->metavar == NULL : p->metavar != NULL);
            int is_outside = p->place == PLACE_PATH || p->place == PLACE_QUERY || p->place == PLACE_HEADER;
            int is_in_body = operation->path && strcmp(operation->method, "GET") != 0;
            int is_of_the_command = !operation->path && p->place == PLACE_ARGV;
            assert_true(is_outside || api_is_local(p) || is_in_body || is_of_the_command);
            for (const struct api_parameter *other = operation->parameters; other < p; other++)
                assert_string_not_equal(other->name, p->name);
        }
        assert_int_equal(in_path, braces);
    }
}

static void test_scopes_are_an_order_with_names(void **state) {
    (void)state;
    for (enum api_scope scope = API_SCOPE_READ; scope <= API_SCOPE_ADMIN; scope++)
        assert_int_equal(api_scope_from_name(api_scope_name(scope)), scope);
    assert_int_equal(api_scope_from_name("none"), API_SCOPE_NONE);
    assert_int_equal(api_scope_from_name("root"), API_SCOPE_NONE);
    assert_int_equal(api_scope_from_name(NULL), API_SCOPE_NONE);
}

static uint32_t find_parameter(const struct json_doc *doc, uint32_t operation, const char *name) {
    uint32_t parameters = json_member(doc, operation, "parameters");
    for (uint32_t at = json_first(doc, parameters); at != JSON_NONE; at = json_after(doc, parameters, at)) {
        if (json_is_string(doc, json_member(doc, at, "name"), name))
            return at;
    }
    uint32_t body = json_member(doc, json_member(doc, operation, "requestBody"), "content");
    uint32_t schema = json_member(doc, json_member(doc, body, "application/json"), "schema");
    uint32_t member = json_member(doc, json_member(doc, schema, "properties"), name);
    return member != JSON_NONE || json_type_of(doc, schema) != JSON_TRUE ? member : schema;
}

static void test_the_description_holds_every_operation(void **state) {
    struct buf text;
    struct json_doc doc;
    (void)state;
    buf_init(&text);
    json_init(&doc);
    openapi_write(&text);
    assert_false(text.failed);
    assert_int_equal(json_read(&doc, text.data, text.size, NULL, NULL), 0);
    for (EACH(operation)) {
        char method[16], name[64];
        if (!operation->path)
            continue;
        snprintf(method, sizeof method, "%s", operation->method);
        for (char *c = method; *c; c++)
            *c = (char)(*c | 0x20);
        uint32_t found = json_member(&doc, json_member(&doc, json_member(&doc, 0, "paths"), operation->path), method);
        assert_int_not_equal(found, JSON_NONE);
        assert_true(json_is_string(&doc, json_member(&doc, found, "summary"), operation->summary));
        for (const struct api_parameter *p = operation->parameters; p->name; p++) {
            int is_outside = p->place == PLACE_QUERY || p->place == PLACE_PATH || p->place == PLACE_HEADER;
            snprintf(name, sizeof name, "%s%s", p->name, !is_outside && p->type == TYPE_DURATION ? "_ms" : "");
            for (char *c = name; *c && p->place != PLACE_HEADER; c++)
                *c = *c == '-' ? '_' : *c;
            assert_true(api_is_local(p) || find_parameter(&doc, found, name) != JSON_NONE);
        }
    }
    json_fini(&doc);
    buf_fini(&text);
}

static void test_a_problem_says_code_status_and_hint(void **state) {
    struct hf_error error = {0};
    struct buf text;
    (void)state;
    buf_init(&text);
    error_set(&error, HF_ERR_NOT_FOUND, "get 'a\"b': there is none");
    error_hint(&error, "look elsewhere");
    api_problem(&error, &text);
    assert_string_equal(buf_text(&text),
                        "{\"code\":\"not_found\",\"title\":\"there is no such thing\",\"status\":404,"
                        "\"detail\":\"get 'a\\\"b': there is none\",\"hint\":\"look elsewhere\",\"retryable\":false}");
    buf_fini(&text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words_and_paths_are_used_once),
        cmocka_unit_test(test_rows_are_whole),
        cmocka_unit_test(test_parameters_fit_the_path_and_the_method),
        cmocka_unit_test(test_scopes_are_an_order_with_names),
        cmocka_unit_test(test_the_description_holds_every_operation),
        cmocka_unit_test(test_a_problem_says_code_status_and_hint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
