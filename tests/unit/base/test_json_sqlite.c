/* What we accept, held against SQLite's json_valid over generated documents. Where the two differ by intention:
 *  - duplicate keys and lone surrogates: refused here, accepted by SQLite; such cases must be valid there;
 *  - invalid UTF-8 and NUL: SQLite does not look, and ends at the NUL, so that the generator makes neither;
 *  - depth: 128 here, 1,000 or more there; the generator stays far below. */
#include "base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <sqlite3.h>

enum { CASES = 60000 };

static uint64_t random_state;

static uint32_t random_below(uint32_t limit) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 32) % limit;
}

static const char *pick(const char *const *words, uint32_t count) {
    return words[random_below(count)];
}
#define PICK(words) pick((words), sizeof(words) / sizeof((words)[0]))

static void put_string(struct buf *text) {
    static const char *const pieces[] = {"a", "key", "\\n", "\\u0041", "\\\"", "\xC3\xA9", "\\uD83D\\uDE00",
                                         " ", "\\/", ""};
    buf_add_char(text, '"');
    for (uint32_t i = random_below(4); i > 0; i--)
        buf_add_text(text, PICK(pieces));
    buf_add_char(text, '"');
}

static void put_value(struct buf *text, int depth) {
    static const char *const scalars[] = {"0",     "-1",      "1.5",
                                          "1e5",   "-0.5E-3", "true",
                                          "false", "null",    "123456789012345678901"};
    static const char *const spaces[] = {"", "", "", " ", "\n", "\t "};
    uint32_t kind = random_below(depth > 4 ? 3 : 6);
    buf_add_text(text, PICK(spaces));
    if (kind < 2) {
        buf_add_text(text, PICK(scalars));
    } else if (kind == 2) {
        put_string(text);
    } else {
        int is_object = kind > 3;
        uint32_t count = random_below(5);
        buf_add_char(text, is_object ? '{' : '[');
        for (uint32_t i = 0; i < count; i++) {
            if (i > 0)
                buf_add_char(text, ',');
            if (is_object) {
                put_string(text);
                buf_add_char(text, ':');
            }
            put_value(text, depth + 1);
        }
        buf_add_char(text, is_object ? '}' : ']');
    }
    buf_add_text(text, PICK(spaces));
}

/* Up to two small damages: a byte changed, removed or put in, of those that mean something. */
static void damage(struct buf *text) {
    static const char bytes[] = "{}[]\",:\\/ \n\tubfnrt0123456789aAeE+-.xNI'\x01\x1f\x7f";
    for (uint32_t i = random_below(3); i > 0 && text->size > 1; i--) {
        uint32_t at = random_below((uint32_t)text->size), kind = random_below(3);
        char byte = bytes[random_below(sizeof bytes - 1)];
        if ((uint8_t)text->data[at] >= 0x80)
            continue;
        if (kind == 0) {
            text->data[at] = byte;
        } else if (kind == 1) {
            memmove(text->data + at, text->data + at + 1, text->size - at);
            text->size--;
        } else {
            buf_add_char(text, ' ');
            memmove(text->data + at + 1, text->data + at, text->size - at - 1);
            text->data[at] = byte;
        }
    }
}

static int is_valid_for_sqlite(sqlite3_stmt *statement, const struct buf *text) {
    sqlite3_bind_text(statement, 1, text->data, (int)text->size, SQLITE_STATIC);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    int is_valid = sqlite3_column_int(statement, 0);
    sqlite3_reset(statement);
    return is_valid;
}

static void same_verdict(void **state) {
    (void)state;
    sqlite3 *database;
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_open(":memory:", &database), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(database, "SELECT json_valid(?)", -1, &statement, NULL), SQLITE_OK);
    random_state = 0x9E3779B97F4A7C15u;
    int accepted = 0, refused = 0, stricter = 0;
    JSON_AUTO struct json_doc doc;
    json_init(&doc);
    for (int i = 0; i < CASES; i++) {
        BUF_AUTO struct buf text;
        buf_init(&text);
        put_value(&text, 0);
        damage(&text);
        struct hf_error error = {0};
        int is_ours = json_read(&doc, text.data, text.size, NULL, &error) == 0;
        int is_stricter = strstr(error.message, "duplicate key") || strstr(error.message, "pair of surrogates");
        int is_theirs = is_valid_for_sqlite(statement, &text);
        if (is_stricter) /* what follows such a place was not read, so that SQLite may have its own reason */
            stricter += is_theirs;
        else if (is_ours != is_theirs)
            fail_msg("case %d: ours %d, SQLite %d: %s (%s)", i, is_ours, is_theirs, text.data, error.message);
        accepted += is_ours;
        refused += !is_ours;
    }
    assert_true(accepted > CASES / 5);
    assert_true(refused > CASES / 5);
    assert_true(stricter > 100);
    sqlite3_finalize(statement);
    sqlite3_close(database);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(same_verdict)};
    return cmocka_run_group_tests_name("json_sqlite", tests, NULL, NULL);
}
