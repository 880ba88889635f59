#include "base/json_problem.h"

#include "base/utf8.h"

#include <stdio.h>
#include <string.h>

enum { KEY_SHOWN = 80 };

/* Lines and columns count from 1, columns in characters. */
static void describe_place(const char *text, const char *place, char *out, size_t room) {
    size_t line = 1, column = 1;
    for (const char *at = text; at < place; at++) {
        if (*at == '\n') {
            line++;
            column = 1;
        } else if (!utf8_is_tail((uint8_t)*at)) {
            column++;
        }
    }
    snprintf(out, room, "line %zu, column %zu (byte %zu)", line, column, (size_t)(place - text));
}

static void describe_found(const char *place, const char *end, char *out, size_t room) {
    if (place >= end)
        snprintf(out, room, "the end of the text");
    else if (*place > ' ' && *place < 0x7f)
        snprintf(out, room, "'%c'", *place);
    else
        snprintf(out, room, "byte 0x%02x", (unsigned)(uint8_t)*place);
}

/* How many bytes of a key are shown: to its quote, or as many characters as fit. The reader has accepted it, so that
 * the quote is there. */
static int shown_bytes(const char *key, const char *end) {
    int bytes = 0;
    while (key[bytes] != '"') {
        int length = key[bytes] == '\\' ? 2 : (int)utf8_length(key + bytes, end);
        if (bytes + length > KEY_SHOWN)
            break;
        bytes += length;
    }
    return bytes;
}

int json_report(const struct json_problem *problem, const char *text, const char *end, struct hf_error *error) {
    char place[96], found[32];
    if (problem->code == HF_ERR_NO_MEMORY)
        return error_set(error, problem->code, "read JSON: memory is used up");
    int is_twice = problem->code == HF_ERR_BAD_JSON && !problem->expected;
    describe_place(text, problem->at - is_twice, place, sizeof place);
    if (problem->code == HF_ERR_TOO_LARGE) {
        error_set(error, problem->code, "read JSON: %s: more than %u levels of nesting", place, problem->max_depth);
        error_hint(error, "store the document in a flatter form");
    } else if (is_twice) {
        error_set(error, problem->code, "read JSON: %s: duplicate key '%.*s'", place, shown_bytes(problem->at, end),
                  problem->at);
        error_hint(error, "give each key of an object once");
    } else {
        describe_found(problem->at, end, found, sizeof found);
        error_set(error, problem->code, "read JSON: %s: %s, found %s", place, problem->expected, found);
        if (problem->at == text && end - text >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0)
            error_hint(error, "remove the byte order mark: JSON is plain UTF-8");
    }
    return problem->code;
}
