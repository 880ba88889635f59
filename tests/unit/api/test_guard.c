#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "api/guard.h"

enum { PORT = 7420 };
#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static void test_our_hosts(void **state) {
    static const char *const ours[] = {"127.0.0.1",      "localhost",      "[::1]",
                                       "127.0.0.1:7420", "LocalHost:7420", "[::1]:7420"};
    (void)state;
    for (size_t i = 0; i < COUNT(ours); i++)
        assert_true(guard_host_is_ours(ours[i], PORT));
}

static void test_other_hosts(void **state) {
    static const char *const others[] = {"",
                                         "evil.example",
                                         "127.0.0.1.evil.example",
                                         "localhost.",
                                         "127.0.0.1:80",
                                         "localhost:",
                                         "[::1",
                                         "::1",
                                         "127.0.0.1:07420",
                                         "127.0.0.1:7420x",
                                         "127.0.0.1 ",
                                         " 127.0.0.1",
                                         "127.0.0.11",
                                         "localhost:7420:7420",
                                         "@localhost",
                                         "localhost/",
                                         "localhost#",
                                         "127.0.0.1:74200"};
    (void)state;
    for (size_t i = 0; i < COUNT(others); i++)
        assert_false(guard_host_is_ours(others[i], PORT));
}

static void test_origins(void **state) {
    (void)state;
    assert_true(guard_origin_is_ours("http://127.0.0.1:7420", PORT));
    assert_true(guard_origin_is_ours("HTTP://localhost:7420", PORT));
    static const char *const others[] = {"null",
                                         "",
                                         "https://127.0.0.1:7420",
                                         "http://evil.example",
                                         "http://127.0.0.1:7421",
                                         "127.0.0.1:7420",
                                         "http://127.0.0.1:7420/",
                                         "http:/127.0.0.1:7420",
                                         "http://http://127.0.0.1:7420"};
    for (size_t i = 0; i < COUNT(others); i++)
        assert_false(guard_origin_is_ours(others[i], PORT));
    assert_true(guard_origin_is_host("http://127.0.0.1:7420", "127.0.0.1:7420"));
    assert_false(guard_origin_is_host("http://localhost:7420", "127.0.0.1:7420"));
    assert_false(guard_origin_is_host("null", "null"));
}

static void test_addresses_to_listen_on(void **state) {
    int family = 0, port = -1;
    (void)state;
    assert_int_equal(guard_parse_listen("127.0.0.1:0", &family, &port), 0);
    assert_int_equal(family, AF_INET);
    assert_int_equal(port, 0);
    assert_int_equal(guard_parse_listen("[::1]:65535", &family, &port), 0);
    assert_int_equal(family, AF_INET6);
    assert_int_equal(port, 65535);
    static const char *const bad[] = {
        "",   "127.0.0.1", "0.0.0.0:1",     "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:1x",
        ":1", "*:1",       "example.org:1", "[::]:1",     "::1:1",           "127.0.0.2:1"};
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_int_equal(guard_parse_listen(bad[i], &family, &port), -1);
    assert_int_equal(port, 65535);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_our_hosts),
        cmocka_unit_test(test_other_hosts),
        cmocka_unit_test(test_origins),
        cmocka_unit_test(test_addresses_to_listen_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
