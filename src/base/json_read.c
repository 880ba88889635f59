#include "base/json_string.h"
#include "base/utf8.h"

#include <stdio.h>
#include <string.h>

/* While a container is open, its node's `next` is the container around it (JSON_NONE for the root): the stack costs no
 * memory of its own, and the depth of a document nothing on the C stack. */
struct reader {
    struct json_doc *doc;
    const char *at, *end;
    uint32_t open; /* the innermost open container */
    uint32_t depth, max_depth;
    int code; /* what went wrong: code, where, and the words for it */
    const char *wrong_at, *wrong;
    uint32_t twice; /* the key of "duplicate key" */
};

static int fail(struct reader *reader, const char *at, const char *wrong) {
    reader->code = HF_ERR_BAD_JSON;
    reader->wrong_at = at;
    reader->wrong = wrong;
    return -1;
}

static int fail_code(struct reader *reader, int code) {
    reader->code = code;
    reader->wrong_at = reader->at;
    return -1;
}

static inline void skip_space(struct reader *reader) {
    const char *at = reader->at;
    while (at < reader->end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t'))
        at++;
    reader->at = at;
}

static int grow(struct json_doc *doc) {
    if (doc->count < doc->room)
        return 0;
    size_t room = doc->room ? (size_t)doc->room + doc->room / 2 : 64;
    if (room > UINT32_MAX)
        room = UINT32_MAX;
    struct json_node *nodes = mem_realloc(doc->nodes, room, sizeof *nodes);
    if (!nodes)
        return -1;
    doc->nodes = nodes;
    doc->room = (uint32_t)room;
    return 0;
}

static inline int add_node(struct reader *reader, struct json_node node) {
    struct json_doc *doc = reader->doc;
    if (__builtin_expect(doc->count == doc->room, 0) && grow(doc) < 0)
        return fail_code(reader, HF_ERR_NO_MEMORY);
    node.next = doc->count + 1;
    doc->nodes[doc->count++] = node;
    return 0;
}

static inline uint32_t offset_of(const struct reader *reader, const char *at) {
    return (uint32_t)(at - reader->doc->text);
}

/* Checks a \u escape, with its second half when it is a surrogate pair; returns what is behind it. */
static const char *check_unicode_escape(struct reader *reader, const char *at) {
    int unit = reader->end - at >= 6 ? json_hex4(at + 2) : -1;
    if (unit < 0) {
        fail(reader, at, "expected four hex digits in a \\u escape");
        return NULL;
    }
    at += 6;
    if (unit < 0xD800 || unit > 0xDFFF)
        return at;
    int is_pair = unit < 0xDC00 && reader->end - at >= 6 && at[0] == '\\' && at[1] == 'u';
    int low = is_pair ? json_hex4(at + 2) : -1;
    if (low < 0xDC00 || low > 0xDFFF) {
        fail(reader, at - 6, "expected a pair of surrogates, a high and a low one, in \\u escapes");
        return NULL;
    }
    return at + 6;
}

static const char *check_escape(struct reader *reader, const char *at) {
    if (reader->end - at >= 2) {
        if (at[1] == 'u')
            return check_unicode_escape(reader, at);
        if (at[1] != '\0' && strchr("\"\\/bfnrt", at[1]))
            return at + 2;
    }
    fail(reader, at + 1, "expected one of \"\\/bfnrtu behind a backslash");
    return NULL;
}

/* Checks characters beyond ASCII for as long as there are some. */
static const char *check_utf8(struct reader *reader, const char *at) {
    while (at < reader->end && (uint8_t)*at >= 0x80) {
        size_t length = utf8_length(at, reader->end);
        if (length == 0) {
            fail(reader, at, "expected UTF-8");
            return NULL;
        }
        at += length;
    }
    return at;
}

static inline int read_string(struct reader *reader, int is_key) {
    const char *start = reader->at + 1, *at = start;
    struct json_node node = {.type = JSON_STRING, .is_key = is_key ? 1 : 0};
    for (;;) {
        at = json_skip_plain(at, reader->end);
        if (at == reader->end)
            return fail(reader, at, "expected '\"' at the end of a string");
        if (*at == '"')
            break;
        if (*at == '\\') {
            node.has_escape = 1;
            at = check_escape(reader, at);
        } else if ((uint8_t)*at < 0x20) {
            return fail(reader, at, "expected an escape in place of a control character");
        } else {
            at = check_utf8(reader, at);
        }
        if (!at)
            return -1;
    }
    node.start = offset_of(reader, start);
    node.bytes = (uint32_t)(at - start);
    reader->at = at + 1;
    return add_node(reader, node);
}

/* Digits, at least one; returns what is behind them. */
static inline const char *read_digits(struct reader *reader, const char *at) {
    if (at == reader->end || *at < '0' || *at > '9') {
        fail(reader, at, "expected a digit");
        return NULL;
    }
    while (at < reader->end && *at >= '0' && *at <= '9')
        at++;
    return at;
}

static inline int read_number(struct reader *reader) {
    const char *start = reader->at, *at = start;
    if (*at == '-')
        at++;
    if (at < reader->end && *at == '0')
        at++;
    else
        at = read_digits(reader, at);
    if (at && at < reader->end && *at == '.')
        at = read_digits(reader, at + 1);
    if (at && at < reader->end && (*at == 'e' || *at == 'E')) {
        at++;
        if (at < reader->end && (*at == '+' || *at == '-'))
            at++;
        at = read_digits(reader, at);
    }
    if (!at)
        return -1;
    reader->at = at;
    return add_node(reader, (struct json_node){.type = JSON_NUMBER,
                                               .start = offset_of(reader, start),
                                               .bytes = (uint32_t)(at - start)});
}

static inline int read_word(struct reader *reader, const char *word, size_t bytes, enum json_type type) {
    const char *start = reader->at;
    if ((size_t)(reader->end - start) < bytes || memcmp(start, word, bytes) != 0)
        return fail(reader, start, "expected a value");
    reader->at += bytes;
    return add_node(reader, (struct json_node){.type = type & 15,
                                               .start = offset_of(reader, start),
                                               .bytes = (uint32_t)bytes});
}

static int begin_container(struct reader *reader, enum json_type type) {
    if (reader->depth == reader->max_depth)
        return fail_code(reader, HF_ERR_TOO_LARGE);
    if (add_node(reader, (struct json_node){.type = type & 15, .start = offset_of(reader, reader->at)}) < 0)
        return -1;
    struct json_doc *doc = reader->doc;
    doc->nodes[doc->count - 1].next = reader->open;
    reader->open = doc->count - 1;
    reader->depth++;
    reader->at++;
    return 0;
}

static int end_container(struct reader *reader) {
    struct json_doc *doc = reader->doc;
    struct json_node *node = &doc->nodes[reader->open];
    uint32_t around = node->next;
    reader->at++;
    node->bytes = offset_of(reader, reader->at) - node->start;
    node->next = doc->count;
    if (node->type == JSON_OBJECT && node->count > 0) {
        int code = json_sort_keys(doc, reader->open, &reader->twice);
        if (code == HF_ERR_NO_MEMORY)
            return fail_code(reader, code);
        if (code < 0)
            return fail(reader, doc->text + doc->nodes[reader->twice].start - 1, "duplicate key");
    }
    reader->open = around;
    reader->depth--;
    return 0;
}

static inline int read_value(struct reader *reader) {
    if (reader->at == reader->end)
        return fail(reader, reader->at, "expected a value");
    switch (*reader->at) {
    case '"':
        return read_string(reader, 0);
    case '{':
        return begin_container(reader, JSON_OBJECT);
    case '[':
        return begin_container(reader, JSON_ARRAY);
    case 't':
        return read_word(reader, "true", 4, JSON_TRUE);
    case 'f':
        return read_word(reader, "false", 5, JSON_FALSE);
    case 'n':
        return read_word(reader, "null", 4, JSON_NULL);
    case '-':
    case '0' ... '9':
        return read_number(reader);
    default:
        return fail(reader, reader->at, "expected a value");
    }
}

static inline int read_key(struct reader *reader) {
    if (reader->at == reader->end || *reader->at != '"')
        return fail(reader, reader->at, "expected a key in quotes");
    if (read_string(reader, 1) < 0)
        return -1;
    skip_space(reader);
    if (reader->at == reader->end || *reader->at != ':')
        return fail(reader, reader->at, "expected ':' behind a key");
    reader->at++;
    skip_space(reader);
    return 0;
}

/* One step inside the open container: its end, or its next member or item. */
static inline int read_next(struct reader *reader) {
    struct json_node *open = &reader->doc->nodes[reader->open];
    int is_object = open->type == JSON_OBJECT;
    skip_space(reader);
    if (reader->at < reader->end && *reader->at == (is_object ? '}' : ']'))
        return end_container(reader);
    if (open->count > 0) {
        if (reader->at == reader->end || *reader->at != ',')
            return fail(reader, reader->at, is_object ? "expected ',' or '}'" : "expected ',' or ']'");
        reader->at++;
        skip_space(reader);
    }
    open->count++;
    if (is_object && read_key(reader) < 0)
        return -1;
    return read_value(reader);
}

static int read_all(struct reader *reader) {
    skip_space(reader);
    if (read_value(reader) < 0)
        return -1;
    while (reader->open != JSON_NONE)
        if (read_next(reader) < 0)
            return -1;
    skip_space(reader);
    if (reader->at < reader->end)
        return fail(reader, reader->at, "expected the end of the text");
    return 0;
}

/* Lines and columns count from 1, columns in characters. */
static void describe_place(const struct reader *reader, char *out, size_t room) {
    size_t line = 1, column = 1;
    for (const char *at = reader->doc->text; at < reader->wrong_at; at++) {
        if (*at == '\n') {
            line++;
            column = 1;
        } else if (!utf8_is_tail((uint8_t)*at)) {
            column++;
        }
    }
    snprintf(out, room, "line %zu, column %zu (byte %zu)", line, column, (size_t)(reader->wrong_at - reader->doc->text));
}

static void describe_found(const struct reader *reader, char *out, size_t room) {
    if (reader->wrong_at >= reader->end)
        snprintf(out, room, "the end of the text");
    else if (*reader->wrong_at > ' ' && *reader->wrong_at < 0x7f)
        snprintf(out, room, "'%c'", *reader->wrong_at);
    else
        snprintf(out, room, "byte 0x%02x", (unsigned)(uint8_t)*reader->wrong_at);
}

static int report(const struct reader *reader, struct hf_error *error) {
    char place[96], found[32];
    if (reader->code == HF_ERR_NO_MEMORY)
        return error_set(error, reader->code, "read JSON: memory is used up");
    describe_place(reader, place, sizeof place);
    if (reader->code == HF_ERR_TOO_LARGE) {
        error_set(error, reader->code, "read JSON: %s: more than %u levels of nesting", place, reader->max_depth);
        error_hint(error, "store the document in a flatter form");
        return reader->code;
    }
    if (reader->twice != JSON_NONE) {
        const struct json_node *key = &reader->doc->nodes[reader->twice];
        const char *end = reader->doc->text + key->start + (key->bytes > 80 ? 80 : key->bytes);
        while (key->bytes > 80 && utf8_is_tail((uint8_t)*end))
            end--;
        int shown = (int)(end - reader->doc->text - key->start);
        error_set(error, reader->code, "read JSON: %s: duplicate key '%.*s'", place, shown,
                  reader->doc->text + key->start);
        error_hint(error, "give each key of an object once");
        return reader->code;
    }
    describe_found(reader, found, sizeof found);
    error_set(error, reader->code, "read JSON: %s: %s, found %s", place, reader->wrong, found);
    if (reader->wrong_at == reader->doc->text && reader->end - reader->wrong_at >= 3 &&
        memcmp(reader->wrong_at, "\xEF\xBB\xBF", 3) == 0)
        error_hint(error, "remove the byte order mark: JSON is plain UTF-8");
    return reader->code;
}

void json_init(struct json_doc *doc) {
    *doc = (struct json_doc){0};
}

void json_fini(struct json_doc *doc) {
    mem_free(doc->nodes);
    json_init(doc);
}

int json_read(struct json_doc *doc, const char *text, size_t bytes, const struct json_limits *limits,
              struct hf_error *error) {
    size_t max_bytes = limits && limits->max_bytes ? limits->max_bytes : UINT32_MAX;
    uint32_t max_depth = limits && limits->max_depth ? limits->max_depth : JSON_DEPTH_DEFAULT;
    doc->count = 0;
    doc->text = text ? text : "";
    doc->text_bytes = bytes;
    if (max_bytes > UINT32_MAX)
        max_bytes = UINT32_MAX;
    if (bytes > max_bytes)
        return error_set(error, HF_ERR_TOO_LARGE, "read JSON: %zu bytes are over the limit of %zu", bytes, max_bytes);
    struct reader reader = {.doc = doc,
                            .at = doc->text,
                            .end = doc->text + bytes,
                            .open = JSON_NONE,
                            .max_depth = max_depth < JSON_DEPTH_MAX ? max_depth : JSON_DEPTH_MAX,
                            .twice = JSON_NONE};
    if (read_all(&reader) == 0)
        return 0;
    int code = report(&reader, error);
    doc->count = 0;
    return code;
}
