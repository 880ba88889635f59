#include "base/text.h"
#include "base/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static void every_code_point_is_utf8(void **state) {
    (void)state;
    for (uint32_t point = 0; point <= 0x10FFFF; point++) {
        char bytes[4];
        size_t length = utf8_encode(point, bytes);
        int is_surrogate = point >= 0xD800 && point <= 0xDFFF;
        assert_int_equal(text_is_utf8(bytes, length), !is_surrogate);
        if (!is_surrogate)
            assert_int_equal(utf8_decode(bytes, length), point);
        for (size_t cut = 1; cut < length; cut++)
            assert_int_equal(text_is_utf8(bytes, cut), 0);
    }
}

static void what_is_not_utf8(void **state) {
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
        "\xC3(",
        "\xE2\x82(",
        "\xF0\x9F\x98(",
        "\xF8\x88\x80\x80\x80",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char text[64] = "0123456789abcdef0123456789";
        assert_int_equal(text_is_utf8(bad[i], strlen(bad[i])), 0);
        for (size_t at = 0; at < 20; at++) {
            memset(text, 'a', sizeof text);
            memcpy(text + at, bad[i], strlen(bad[i]));
            assert_int_equal(text_is_utf8(text, sizeof text), 0);
        }
    }
    assert_int_equal(text_is_utf8("", 0), 1);
    assert_int_equal(text_is_utf8("a\0b", 3), 1);
}

static void hex_there_and_back(void **state) {
    (void)state;
    uint8_t bytes[256], back[256];
    char hex[513];
    for (int i = 0; i < 256; i++)
        bytes[i] = (uint8_t)i;
    text_hex(bytes, sizeof bytes, hex);
    assert_int_equal(strlen(hex), 512);
    assert_int_equal(text_unhex(hex, sizeof back, back), 0);
    assert_memory_equal(bytes, back, sizeof bytes);
    uint8_t two[2] = {1, 2};
    assert_int_equal(text_unhex("aBfF", 2, two), 0);
    assert_int_equal(two[0], 0xAB);
    assert_int_equal(text_unhex("abc", 2, two), -1);
    assert_int_equal(text_unhex("abcde", 2, two), -1);
    assert_int_equal(text_unhex("00g0", 2, two), -1);
    assert_int_equal(text_unhex("", 2, two), -1);
    assert_int_equal(two[0], 0xAB);
    assert_int_equal(text_unhex("", 0, two), 0);
}

static void whole_numbers(void **state) {
    (void)state;
    uint64_t value = 77;
    assert_int_equal(text_to_u64("0", &value), 0);
    assert_true(value == 0);
    assert_int_equal(text_to_u64("00012", &value), 0);
    assert_true(value == 12);
    assert_int_equal(text_to_u64("18446744073709551615", &value), 0);
    assert_true(value == UINT64_MAX);
    static const char *const bad[] = {
        "", " 1", "1 ", "-1", "+1", "1.0", "0x1", "18446744073709551616", "99999999999999999999", "a"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(text_to_u64(bad[i], &value), -1);
    assert_true(value == UINT64_MAX);
}

static void texts_are_compared(void **state) {
    (void)state;
    assert_true(text_is_equal("a", "a"));
    assert_true(text_is_equal(NULL, NULL));
    assert_false(text_is_equal("a", "b"));
    assert_false(text_is_equal("", NULL));
    assert_false(text_is_equal(NULL, ""));
}

static void times_agree_with_the_c_library(void **state) {
    (void)state;
    for (int64_t day = -719528; day <= 2932896; day++) { /* every day of the years 0 to 9999 */
        int64_t ms = day * 86400000 + (day & 1 ? 86399999 : 1);
        char text[TEXT_TIME_BYTES], expected[64];
        text_time(ms, text);
        int64_t back;
        assert_int_equal(text_to_time(text, &back), 0);
        assert_true(back == ms);
        if (day % 37)
            continue;
        time_t seconds = (time_t)(day * 86400 + (day & 1 ? 86399 : 0));
        struct tm parts;
        gmtime_r(&seconds, &parts);
        snprintf(expected, sizeof expected, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", parts.tm_year + 1900,
                 parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, day & 1 ? 999 : 1);
        assert_string_equal(text, expected);
    }
}

static void times_beyond_four_digits_are_held_back(void **state) {
    (void)state;
    char text[TEXT_TIME_BYTES];
    text_time(INT64_MAX, text);
    assert_string_equal(text, "9999-12-31T23:59:59.999Z");
    text_time(INT64_MIN, text);
    assert_string_equal(text, "0000-01-01T00:00:00.000Z");
    text_time(-1, text);
    assert_string_equal(text, "1969-12-31T23:59:59.999Z");
}

static void times_are_read_strictly(void **state) {
    (void)state;
    int64_t ms = 5;
    assert_int_equal(text_to_time("2026-11-22T16:00:00.123Z", &ms), 0);
    assert_true(ms == INT64_C(1795363200123));
    assert_int_equal(text_to_time("2024-02-29T00:00:00Z", &ms), 0);
    assert_true(ms == INT64_C(1709164800000));
    static const char *const bad[] = {
        "",
        "2026-11-22",
        "2026-11-22T16:00:00",
        "2026-11-22 16:00:00Z",
        "2026-11-22t16:00:00z",
        "2026-11-22T16:00:00.1Z",
        "2026-11-22T16:00:00.1234Z",
        "2026-11-22T16:00:00+00:00",
        "2026-11-22T16:00:00ZZ",
        "2026-13-22T16:00:00Z",
        "2026-00-22T16:00:00Z",
        "2026-11-31T16:00:00Z",
        "2026-11-00T16:00:00Z",
        "2025-02-29T16:00:00Z",
        "1900-02-29T16:00:00Z",
        "2026-11-22T24:00:00Z",
        "2026-11-22T16:60:00Z",
        "2026-11-22T16:00:60Z",
        "2026-11-22T16:00:-1Z",
        "+026-11-22T16:00:00Z",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(text_to_time(bad[i], &ms), -1);
    assert_true(ms == INT64_C(1709164800000));
    assert_int_equal(text_to_time("2000-02-29T23:59:59.999Z", &ms), 0);
}

static void durations_are_read(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {
        {"500ms", 500},     {"5s", 5000},
        {"2m", 120000},     {"1h", 3600000},
        {"1d", 86400000},   {"1.5s", 1500},
        {"5", 5000},        {"0", 0},
        {"0.25", 250},      {"3h 5m", 11100000},
        {"1h30m", 5400000}, {"1d 2h 3m 4.005s", 93784005},
        {"1.5h", 5400000},  {"3650d", INT64_C(315360000000)},
        {"0.001s", 1},      {"0.000000001d", 0},
    };
    int64_t ms = 0;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(text_to_duration_ms(good[i].text, &ms), 0);
        assert_true(ms == good[i].ms);
    }
    static const char *const bad[] = {
        "",          "s",     "-5s",  "+5s",           "5 s",
        "5x",        "5S",    "1.s",  ".5s",           "1..5s",
        "5m5h",      "5m5m",  "5s 5", "5s ",           " 5s",
        "5s  5ms",   "3654d", "1e3",  "5mss",          "999999999999999999999s",
        "3653d 1ms", "nan",   "5 5",  "1.0000000001s", "1:30",
        "5ms1s",
    };
    ms = 42;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(text_to_duration_ms(bad[i], &ms), -1);
    assert_true(ms == 42);
}

static void durations_are_written_and_read_back(void **state) {
    (void)state;
    static const struct {
        int64_t ms;
        const char *text;
    } rows[] = {
        {0, "0s"},
        {1, "1ms"},
        {500, "500ms"},
        {1500, "1.5s"},
        {1050, "1.05s"},
        {1005, "1.005s"},
        {60000, "1m"},
        {11100000, "3h 5m"},
        {60001, "1m 0.001s"},
        {86400000, "1d"},
        {93784005, "1d 2h 3m 4.005s"},
        {-1500, "-1.5s"},
    };
    char text[TEXT_TIME_BYTES];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        text_duration(rows[i].ms, text);
        assert_string_equal(text, rows[i].text);
    }
    for (int64_t ms = 1; ms < INT64_C(315360000000); ms += ms / 3 + 7) {
        int64_t back = -1;
        text_duration(ms, text);
        assert_int_equal(text_to_duration_ms(text, &back), 0);
        assert_true(back == ms);
    }
    text_duration(INT64_MAX, text);
    assert_string_equal(text, "106751991167d 7h 12m 55.807s");
    text_duration(INT64_MIN, text);
    assert_string_equal(text, "-106751991167d 7h 12m 55.808s");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_point_is_utf8),
        cmocka_unit_test(what_is_not_utf8),
        cmocka_unit_test(hex_there_and_back),
        cmocka_unit_test(whole_numbers),
        cmocka_unit_test(texts_are_compared),
        cmocka_unit_test(times_agree_with_the_c_library),
        cmocka_unit_test(times_beyond_four_digits_are_held_back),
        cmocka_unit_test(times_are_read_strictly),
        cmocka_unit_test(durations_are_read),
        cmocka_unit_test(durations_are_written_and_read_back),
    };
    return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
