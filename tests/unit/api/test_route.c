#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "api/route.h"

struct fixture {
    struct arena arena;
    struct route route;
    struct hf_error error;
};

static int find(struct fixture *fixture, const char *method, const char *path) {
    memset(&fixture->error, 0, sizeof fixture->error);
    return route_find(api_operations, method, path, &fixture->arena, &fixture->route, &fixture->error);
}

static int set_up(void **state) {
    struct fixture *fixture = MEM_NEW(struct fixture);
    arena_init(&fixture->arena);
    *state = fixture;
    return 0;
}

static int tear_down(void **state) {
    struct fixture *fixture = *state;
    arena_fini(&fixture->arena);
    mem_free(fixture);
    return 0;
}

static const char *value_of(const struct fixture *fixture, const char *name) {
    for (int i = 0; i < fixture->route.count; i++) {
        if (strcmp(fixture->route.values[i].name, name) == 0)
            return fixture->route.values[i].text;
    }
    return "";
}

static void test_every_operation_is_found_at_its_path(void **state) {
    struct fixture *fixture = *state;
    for (const struct api_operation *operation = api_operations; operation->noun; operation++) {
        char path[256] = "";
        if (!operation->path)
            continue;
        for (const char *c = operation->path; *c; c++) {
            if (*c == '{') {
                strcat(path, "some");
                c = strchr(c, '}');
            } else {
                strncat(path, c, 1);
            }
        }
        assert_int_equal(find(fixture, operation->method, path), 0);
        assert_ptr_equal(fixture->route.operation, operation);
    }
}

static void test_values_are_decoded_once(void **state) {
    struct fixture *fixture = *state;
    assert_int_equal(find(fixture, "GET", "/api/v1/records/page/a%20b%2525%C3%A9"), 0);
    assert_string_equal(value_of(fixture, "kind"), "page");
    assert_string_equal(value_of(fixture, "id"), "a b%25\xC3\xA9");
}

static void test_bad_segments_are_bad_ids(void **state) {
    static const char *const bad[] = {"",      "%",     "%4",    "%zz", "%00",       "a%00b",
                                      "a%2fb", "a%2Fb", "%ff",   "%c3", "%2f",       "%c0%af",
                                      "%-1",   "% 1",   "%0x41", "a%",  "%ed%a0%80", "%f5%80%80%80"};
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char path[64] = "/api/v1/records/page/";
        strcat(path, bad[i]);
        assert_int_equal(find(fixture, "GET", path), HF_ERR_BAD_ID);
        assert_true(fixture->error.message[0]);
    }
    assert_int_equal(find(fixture, "GET", "/api/v1/records//x"), HF_ERR_BAD_ID);
}

static void test_what_is_not_there(void **state) {
    static const char *const none[] = {"/",
                                       "",
                                       "/api",
                                       "/api/v1/sourcess",
                                       "/api/v1/source",
                                       "/api/v1/records/a/b/c",
                                       "/api/v1/record",
                                       "/api/v1/sources/a/start/",
                                       "//api/v1/sources",
                                       "/API/v1/sources"};
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        assert_int_equal(find(fixture, "GET", none[i]), HF_ERR_NOT_FOUND);
        assert_string_equal(fixture->route.allow, "");
    }
}

static void test_other_methods_are_named(void **state) {
    struct fixture *fixture = *state;
    assert_int_equal(find(fixture, "PATCH", "/api/v1/records/a/b"), HF_ERR_UNSUPPORTED);
    assert_string_equal(fixture->route.allow, "GET, HEAD, PUT, DELETE");
    assert_int_equal(find(fixture, "get", "/api/v1/sources"), HF_ERR_UNSUPPORTED);
    assert_int_equal(find(fixture, "HEAD", "/api/v1/sources"), 0);
    assert_string_equal(fixture->route.operation->verb, "list");
    assert_int_equal(find(fixture, "HEAD", "/api/v1/tokens/link"), HF_ERR_UNSUPPORTED);
}

static void test_a_word_in_the_path_wins_over_a_name(void **state) {
    struct fixture *fixture = *state;
    assert_int_equal(find(fixture, "POST", "/api/v1/tokens/link"), 0);
    assert_string_equal(fixture->route.operation->verb, "link");
    assert_int_equal(find(fixture, "DELETE", "/api/v1/tokens/link"), 0);
    assert_string_equal(fixture->route.operation->verb, "rm");
    assert_string_equal(value_of(fixture, "id"), "link");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_every_operation_is_found_at_its_path, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_values_are_decoded_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bad_segments_are_bad_ids, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_not_there, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_other_methods_are_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_word_in_the_path_wins_over_a_name, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
