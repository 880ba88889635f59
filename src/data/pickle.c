#include "data/pickle.h"

#include <string.h>

enum {
    PROTO = 0x80,
    FRAME = 0x95,
    STOP = '.',
    FIRST_PROTOCOL = 2, /* that says so in front */
    LAST_PROTOCOL = 5,
    LATER_PROTOCOL = 15, /* what may still come */
};

/* What stands behind an opcode: so many bytes; so many lines; or a little-endian number of so many bytes, and then as
 * many bytes as it says. */
enum argument { UNKNOWN, FIXED, LINES, COUNTED };
struct opcode {
    uint8_t argument, count;
};

static const struct opcode OPCODES[256] = {
    ['('] = {FIXED, 0},    [STOP] = {FIXED, 0},   ['0'] = {FIXED, 0},    ['1'] = {FIXED, 0},    ['2'] = {FIXED, 0},
    ['F'] = {LINES, 1},    ['I'] = {LINES, 1},    ['J'] = {FIXED, 4},    ['K'] = {FIXED, 1},    ['L'] = {LINES, 1},
    ['M'] = {FIXED, 2},    ['N'] = {FIXED, 0},    ['P'] = {LINES, 1},    ['Q'] = {FIXED, 0},    ['R'] = {FIXED, 0},
    ['S'] = {LINES, 1},    ['T'] = {COUNTED, 4},  ['U'] = {COUNTED, 1},  ['V'] = {LINES, 1},    ['X'] = {COUNTED, 4},
    ['a'] = {FIXED, 0},    ['b'] = {FIXED, 0},    ['c'] = {LINES, 2},    ['d'] = {FIXED, 0},    ['}'] = {FIXED, 0},
    ['e'] = {FIXED, 0},    ['g'] = {LINES, 1},    ['h'] = {FIXED, 1},    ['i'] = {LINES, 2},    ['j'] = {FIXED, 4},
    ['l'] = {FIXED, 0},    [']'] = {FIXED, 0},    ['o'] = {FIXED, 0},    ['p'] = {LINES, 1},    ['q'] = {FIXED, 1},
    ['r'] = {FIXED, 4},    ['s'] = {FIXED, 0},    ['t'] = {FIXED, 0},    [')'] = {FIXED, 0},    ['u'] = {FIXED, 0},
    ['G'] = {FIXED, 8},    ['B'] = {COUNTED, 4},  ['C'] = {COUNTED, 1},  [PROTO] = {FIXED, 1},  [0x81] = {FIXED, 0},
    [0x82] = {FIXED, 1},   [0x83] = {FIXED, 2},   [0x84] = {FIXED, 4},   [0x85] = {FIXED, 0},   [0x86] = {FIXED, 0},
    [0x87] = {FIXED, 0},   [0x88] = {FIXED, 0},   [0x89] = {FIXED, 0},   [0x8a] = {COUNTED, 1}, [0x8b] = {COUNTED, 4},
    [0x8c] = {COUNTED, 1}, [0x8d] = {COUNTED, 8}, [0x8e] = {COUNTED, 8}, [0x8f] = {FIXED, 0},   [0x90] = {FIXED, 0},
    [0x91] = {FIXED, 0},   [0x92] = {FIXED, 0},   [0x93] = {FIXED, 0},   [0x94] = {FIXED, 0},   [FRAME] = {FIXED, 8},
    [0x96] = {COUNTED, 8}, [0x97] = {FIXED, 0},   [0x98] = {FIXED, 0},
};

int pickle_is(const void *bytes, size_t size) {
    const uint8_t *at = bytes;
    return size >= 2 && at[0] == PROTO && at[1] >= FIRST_PROTOCOL && at[1] <= LATER_PROTOCOL;
}

static uint64_t number_at(const uint8_t *at, size_t bytes) {
    uint64_t value = 0;
    for (size_t i = bytes; i-- > 0;)
        value = value << 8 | at[i];
    return value;
}

/* Behind the argument; NULL when the bytes end within it. */
static const uint8_t *skip_argument(struct opcode opcode, const uint8_t *at, const uint8_t *end) {
    if (opcode.argument == LINES) {
        for (int i = 0; at && i < opcode.count; i++) {
            at = at < end ? memchr(at, '\n', (size_t)(end - at)) : NULL;
            at = at ? at + 1 : NULL;
        }
        return at;
    }
    if (end - at < opcode.count)
        return NULL;
    uint64_t more = opcode.argument == COUNTED ? number_at(at, opcode.count) : 0;
    at += opcode.count;
    return more <= (uint64_t)(end - at) ? at + more : NULL;
}

static int refuse_cut(size_t size, struct hf_error *error) {
    return error_set(error, HF_ERR_BAD_DATA, "read pickle: cut short at byte %zu", size);
}

static int refuse_protocol(unsigned protocol, struct hf_error *error) {
    error_set(error, HF_ERR_SCHEMA_NEWER, "read pickle: protocol %u, and at most %d is known", protocol, LAST_PROTOCOL);
    error_hint(error, "write it with pickle protocol %d or lower", LAST_PROTOCOL);
    return HF_ERR_SCHEMA_NEWER;
}

int pickle_check(const void *bytes, size_t size, struct hf_error *error) {
    const uint8_t *start = bytes, *at = start, *end = start + size;
    while (at < end) {
        uint8_t byte = *at++;
        struct opcode opcode = OPCODES[byte];
        if (opcode.argument == UNKNOWN)
            return error_set(error, HF_ERR_BAD_DATA, "read pickle: unknown opcode 0x%02x at byte %zu", byte,
                             (size_t)(at - 1 - start));
        const uint8_t *argument = at;
        at = skip_argument(opcode, at, end);
        if (!at)
            break;
        if (byte == PROTO && *argument > LAST_PROTOCOL)
            return refuse_protocol(*argument, error);
        if (byte == FRAME && number_at(argument, opcode.count) > (uint64_t)(end - at))
            break;
        if (byte == STOP && at < end)
            return error_set(error, HF_ERR_BAD_DATA, "read pickle: it ends at byte %zu, and %zu more follow",
                             (size_t)(at - start), (size_t)(end - at));
        if (byte == STOP)
            return 0;
    }
    return refuse_cut(size, error);
}
