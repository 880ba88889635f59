#include "base/utf8.h"
#include "data/ids.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void assert_kind_refused(const char *kind, const char *message) {
    struct hf_error error;
    assert_int_equal(ids_check_kind(kind, &error), HF_ERR_BAD_ID);
    assert_int_equal(error.code, HF_ERR_BAD_ID);
    assert_string_equal(error.message, message);
    assert_true(strlen(error.hint) > 0);
    assert_int_equal(ids_check_kind(kind, NULL), HF_ERR_BAD_ID);
}

static void kinds(void **state) {
    (void)state;
    char longest[HF_KIND_MAX + 2];
    memset(longest, 'a', sizeof longest);
    longest[HF_KIND_MAX + 1] = '\0';
    assert_kind_refused(longest, "check kind: it has more than 64 bytes");
    longest[HF_KIND_MAX] = '\0';
    assert_int_equal(ids_check_kind(longest, NULL), 0);
    assert_int_equal(ids_check_kind("a", NULL), 0);
    assert_int_equal(ids_check_kind("source_data2", NULL), 0);
    assert_kind_refused("", "check kind '': it is empty");
    assert_kind_refused("9a", "check kind '9a': byte 0 is 0x39");
    assert_kind_refused("_a", "check kind '_a': byte 0 is 0x5f");
    assert_kind_refused("aB", "check kind 'aB': byte 1 is 0x42");
    assert_kind_refused("a-b", "check kind 'a-b': byte 1 is 0x2d");
    assert_kind_refused("a/b", "check kind 'a/b': byte 1 is 0x2f");
    assert_kind_refused("a\n", "check kind 'a\\x0a': byte 1 is 0x0a");
    assert_kind_refused("\xC3\xA9", "check kind '\\xc3\\xa9': byte 0 is 0xc3");
}

static void assert_id_refused(const char *id, size_t bytes, const char *message) {
    struct hf_error error;
    assert_int_equal(ids_check(id, bytes, &error), HF_ERR_BAD_ID);
    assert_string_equal(error.message, message);
    assert_true(strlen(error.hint) > 0);
    assert_int_equal(ids_check(id, bytes, NULL), HF_ERR_BAD_ID);
}
#define REFUSE_ID(id, message) assert_id_refused((id), sizeof(id) - 1, "check id " message)
#define ACCEPT_ID(id)          assert_int_equal(ids_check((id), sizeof(id) - 1, NULL), 0)

static void ids_that_are_refused(void **state) {
    (void)state;
    REFUSE_ID("", "'': it is empty");
    REFUSE_ID(".", "'.': it names a folder");
    REFUSE_ID("..", "'..': it names a folder");
    REFUSE_ID("../x", "'../x': byte 2 is 0x2f, a slash");
    REFUSE_ID("a/b", "'a/b': byte 1 is 0x2f, a slash");
    REFUSE_ID("a\0b", "'a\\x00b': byte 1 is 0x00, a control character");
    REFUSE_ID("a\nb", "'a\\x0ab': byte 1 is 0x0a, a control character");
    REFUSE_ID("a\x7f", "'a\\x7f': byte 1 is 0x7f, a control character");
    REFUSE_ID("a\xC2\x85", "'a\\xc2\\x85': byte 1 is 0xc2, a control character");
    REFUSE_ID("a\xFF", "'a\\xff': byte 1 is 0xff, not UTF-8");
    REFUSE_ID("\xED\xA0\x80", "'\\xed\\xa0\\x80': byte 0 is 0xed, not UTF-8");
    REFUSE_ID("\xC0\xAF", "'\\xc0\\xaf': byte 0 is 0xc0, not UTF-8");
    REFUSE_ID("a\xE2\x80\xAEtxt.exe", "'a\\xe2\\x80\\xaetxt.exe': byte 1 is 0xe2, a control of the writing direction");
}

static void every_character_of_an_id(void **state) {
    (void)state;
    for (uint32_t point = 0; point <= 0x10FFFF; point++) {
        if (point >= 0xD800 && point <= 0xDFFF)
            continue;
        char id[8] = "a";
        size_t bytes = 1 + utf8_encode(point, id + 1);
        int is_refused = point < 0x20 || (point >= 0x7F && point <= 0x9F) || point == '/' ||
                         (point >= 0x202A && point <= 0x202E) || (point >= 0x2066 && point <= 0x2069) ||
                         point == 0x200E || point == 0x200F || point == 0x061C;
        assert_int_equal(ids_check(id, bytes, NULL), is_refused ? HF_ERR_BAD_ID : 0);
    }
}

static void ids_that_are_accepted(void **state) {
    (void)state;
    ACCEPT_ID("a");
    ACCEPT_ID("...");
    ACCEPT_ID(".hidden");
    ACCEPT_ID("..x");
    ACCEPT_ID("%2e%2e%2f");
    ACCEPT_ID("CON");
    ACCEPT_ID("a.");
    ACCEPT_ID("a ");
    ACCEPT_ID(" ");
    ACCEPT_ID("-");
    ACCEPT_ID("a\\b");
    ACCEPT_ID("caf\xC3\xA9");
    ACCEPT_ID("\xF0\x9F\x98\x80");
}

static void ids_have_a_longest_length(void **state) {
    (void)state;
    static char id[1 << 20];
    memset(id, 'a', sizeof id);
    assert_int_equal(ids_check(id, 255, NULL), 0);
    assert_id_refused(id, 256, "check id: it has more than 255 bytes");
    assert_id_refused(id, sizeof id, "check id: it has more than 255 bytes");
    memcpy(id + 254, "\xC3\xA9", 2);
    assert_int_equal(ids_check(id, 255, NULL), HF_ERR_BAD_ID);
}

static void a_long_bad_id_is_shown_in_part(void **state) {
    (void)state;
    char id[200];
    struct hf_error error;
    memset(id, '\n', sizeof id);
    assert_int_equal(ids_check(id, sizeof id, &error), HF_ERR_BAD_ID);
    assert_non_null(strstr(error.message, "\\x0a...': byte 0 is 0x0a"));
}

static void names(void **state) {
    (void)state;
    struct hf_error error;
    assert_int_equal(ids_check_name("cpu-load", &error), 0);
    assert_int_equal(ids_check_name("-x", &error), HF_ERR_BAD_ID);
    assert_string_equal(error.message, "check name '-x': byte 0 is '-'");
    assert_int_equal(ids_check_name("", &error), HF_ERR_BAD_ID);
    assert_int_equal(ids_check_name("..", &error), HF_ERR_BAD_ID);
    assert_int_equal(ids_check_name("a/b", &error), HF_ERR_BAD_ID);
    char longest[300];
    memset(longest, 'a', sizeof longest);
    longest[255] = '\0';
    assert_int_equal(ids_check_name(longest, &error), 0);
    longest[255] = 'a';
    longest[299] = '\0';
    assert_int_equal(ids_check_name(longest, &error), HF_ERR_BAD_ID);
}

static void assert_filename(const char *id, const char *expected) {
    char name[IDS_FILENAME_BYTES], back[HF_ID_MAX + 1];
    assert_int_equal(ids_to_filename(id, strlen(id), name), strlen(expected));
    assert_string_equal(name, expected);
    assert_int_equal(ids_from_filename(name, back, NULL), 0);
    assert_string_equal(back, id);
}

static void filenames_there_and_back(void **state) {
    (void)state;
    assert_filename("a", "a");
    assert_filename("Az09_.-", "Az09_.-");
    assert_filename(".hidden", "%2Ehidden");
    assert_filename("...", "%2E%2E%2E");
    assert_filename("..a..", "%2E%2Ea..");
    assert_filename("a b", "a%20b");
    assert_filename("%2e%2e%2f", "%252e%252e%252f");
    assert_filename("a\\b:c*", "a%5Cb%3Ac%2A");
    assert_filename("caf\xC3\xA9", "caf%C3%A9");
    assert_filename("cafe\xCC\x81", "cafe%CC%81");
    assert_filename("a.", "a.");
    assert_filename("a ", "a%20");
    assert_filename("CON", "CON");
    assert_filename("con", "con");
    assert_filename("%-", "%25-");
}

static void every_character_makes_a_safe_filename(void **state) {
    (void)state;
    for (uint32_t point = 0x20; point <= 0x10FFFF; point += point < 0x3000 ? 1 : 251) {
        char id[8] = {0}, name[IDS_FILENAME_BYTES], back[HF_ID_MAX + 1];
        size_t bytes = utf8_encode(point, id);
        if (ids_check(id, bytes, NULL) < 0)
            continue;
        size_t length = ids_to_filename(id, bytes, name);
        assert_int_equal(strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-%"), length);
        assert_true(name[0] != '.');
        assert_int_equal(ids_from_filename(name, back, NULL), 0);
        assert_string_equal(back, id);
    }
}

/* The way to the longest names: every length, with characters of one and of three bytes of name. */
static void long_ids_are_shortened_but_stay_apart(void **state) {
    (void)state;
    for (size_t encoded = 0; encoded <= 255; encoded++) {
        char id[HF_ID_MAX + 1], name[IDS_FILENAME_BYTES], twin[IDS_FILENAME_BYTES], back[HF_ID_MAX + 1];
        memset(id, 'a', 255);
        memset(id, ' ', encoded);
        id[255] = '\0';
        size_t length = ids_to_filename(id, 255, name);
        assert_true(length <= 255);
        assert_int_equal(strlen(name), length);
        struct hf_error error;
        if (encoded == 0) {
            assert_int_equal(length, 255);
            assert_int_equal(ids_from_filename(name, back, NULL), 0);
            continue;
        }
        assert_int_equal(ids_from_filename(name, back, &error), HF_ERR_BAD_ID);
        assert_non_null(strstr(error.message, "shortened"));
        id[254] = 'b';
        ids_to_filename(id, 255, twin);
        assert_string_not_equal(name, twin);
        assert_memory_equal(name, twin, 180);
    }
    char id[86], name[IDS_FILENAME_BYTES];
    memset(id, ' ', sizeof id);
    assert_int_equal(ids_to_filename(id, 85, name), 255);
    assert_null(strstr(name, "%-"));
    assert_true(ids_to_filename(id, 86, name) <= 255);
    assert_non_null(strstr(name, "%-"));
}

static void names_may_be_shortened_earlier(void **state) {
    (void)state;
    for (size_t most = 66; most <= 255; most++) {
        char id[HF_ID_MAX + 1], name[IDS_FILENAME_BYTES], back[HF_ID_MAX + 1];
        memset(id, 'a', HF_ID_MAX);
        id[most] = '\0';
        assert_int_equal(ids_to_filename_within(id, most, most, name), most);
        assert_string_equal(name, id);
        if (most == HF_ID_MAX)
            continue;
        id[most] = 'a';
        id[most + 1] = '\0';
        assert_int_equal(ids_to_filename_within(id, most + 1, most, name), most);
        assert_memory_equal(name, id, most - 66);
        assert_memory_equal(name + most - 66, "%-", 2);
        assert_int_equal(ids_from_filename(name, back, NULL), HF_ERR_BAD_ID);
        id[0] = ' '; /* an escape that would be cut goes as a whole */
        assert_true(ids_to_filename_within(id, most + 1, most, name) <= most);
    }
}

static void filenames_that_no_id_has(void **state) {
    (void)state;
    static const char *const bad[] = {
        "",    ".",   "..",     ".a",   "a b",  "%",         "%2",  "a%2",   "%zz",       "%2e",
        "%2f", "%2F", "a%2Fb",  "%61",  "%00",  "%0A",       "%FF", "%C3",   "caf%c3%a9", "caf\xC3\xA9",
        "a/b", "%2E", "%2E%2E", "%2E.", "a%2E", "%E2%80%AE", "%-",  "a%-00",
    };
    char back[HF_ID_MAX + 1] = "untouched";
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct hf_error error;
        assert_int_equal(ids_from_filename(bad[i], back, &error), HF_ERR_BAD_ID);
        assert_true(strlen(error.hint) > 0);
    }
    char longest[400];
    memset(longest, 'a', sizeof longest);
    longest[256] = '\0';
    assert_int_equal(ids_from_filename(longest, back, NULL), HF_ERR_BAD_ID);
    assert_string_equal(back, "untouched");
    longest[255] = '\0';
    assert_int_equal(ids_from_filename(longest, back, NULL), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds),
        cmocka_unit_test(ids_that_are_refused),
        cmocka_unit_test(every_character_of_an_id),
        cmocka_unit_test(ids_that_are_accepted),
        cmocka_unit_test(ids_have_a_longest_length),
        cmocka_unit_test(a_long_bad_id_is_shown_in_part),
        cmocka_unit_test(names),
        cmocka_unit_test(filenames_there_and_back),
        cmocka_unit_test(every_character_makes_a_safe_filename),
        cmocka_unit_test(long_ids_are_shortened_but_stay_apart),
        cmocka_unit_test(names_may_be_shortened_earlier),
        cmocka_unit_test(filenames_that_no_id_has),
    };
    return cmocka_run_group_tests_name("ids", tests, NULL, NULL);
}
