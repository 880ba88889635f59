#include "base/json_problem.h"
#include "base/json_string.h"
#include "base/utf8.h"

#include <string.h>

/* While a container is open, its node's `next` is the container around it (JSON_NONE for the root): the stack costs no
 * memory of its own, and the depth of a document nothing on the C stack. */
struct reader {
    struct json_doc *doc;
    const char *at, *end;
    uint32_t open; /* the innermost open container */
    uint32_t depth, max_depth;
    struct json_problem problem;
};

static int fail(struct reader *reader, const char *at, const char *expected) {
    reader->problem = (struct json_problem){.code = HF_ERR_BAD_JSON, .at = at, .expected = expected};
    return -1;
}

static int fail_code(struct reader *reader, int code) {
    reader->problem = (struct json_problem){.code = code, .at = reader->at};
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

static inline uint32_t offset_of(const struct reader *reader, const char *at) {
    return (uint32_t)(at - reader->doc->text);
}

/* A node is put together in its place: a copy from the stack would wait for the stores of its parts. */
static inline int need_room(struct reader *reader) {
    struct json_doc *doc = reader->doc;
    if (__builtin_expect(doc->count == doc->room, 0) && grow(doc) < 0)
        return fail_code(reader, HF_ERR_NO_MEMORY);
    return 0;
}

static inline int add_node(struct reader *reader, enum json_type type, const char *start, const char *end) {
    if (need_room(reader) < 0)
        return -1;
    uint32_t index = reader->doc->count++;
    reader->doc->nodes[index] = (struct json_node){.type = type & 15,
                                                   .start = offset_of(reader, start),
                                                   .bytes = (uint32_t)(end - start),
                                                   .next = index + 1};
    return 0;
}

static inline int add_string(struct reader *reader, const char *start, const char *end, unsigned has_escape,
                             unsigned is_key) {
    if (need_room(reader) < 0)
        return -1;
    uint32_t index = reader->doc->count++;
    reader->doc->nodes[index] = (struct json_node){.type = JSON_STRING,
                                                   .has_escape = has_escape & 1,
                                                   .is_key = is_key & 1,
                                                   .start = offset_of(reader, start),
                                                   .bytes = (uint32_t)(end - start),
                                                   .next = index + 1};
    return 0;
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
        if (at[1] != '\0' && memchr("\"\\/bfnrt", at[1], 8))
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

static inline int read_string(struct reader *reader, unsigned is_key) {
    const char *start = reader->at + 1, *at = start;
    unsigned has_escape = 0;
    for (;;) {
        at = json_skip_plain(at, reader->end);
        if (at == reader->end)
            return fail(reader, at, "expected '\"' at the end of a string");
        if (*at == '"')
            break;
        if (*at == '\\') {
            has_escape = 1;
            at = check_escape(reader, at);
        } else if ((uint8_t)*at < 0x20) {
            return fail(reader, at, "expected an escape in place of a control character");
        } else {
            at = check_utf8(reader, at);
        }
        if (!at)
            return -1;
    }
    reader->at = at + 1;
    return add_string(reader, start, at, has_escape, is_key);
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
    return add_node(reader, JSON_NUMBER, start, at);
}

static inline int read_word(struct reader *reader, const char *word, size_t bytes, enum json_type type) {
    const char *start = reader->at;
    if ((size_t)(reader->end - start) < bytes || memcmp(start, word, bytes) != 0)
        return fail(reader, start, "expected a value");
    reader->at += bytes;
    return add_node(reader, type, start, start + bytes);
}

static int begin_container(struct reader *reader, enum json_type type) {
    if (reader->depth == reader->max_depth)
        return fail_code(reader, HF_ERR_TOO_LARGE);
    if (add_node(reader, type, reader->at, reader->at) < 0)
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
        uint32_t twice;
        int code = json_sort_keys(doc, reader->open, &twice);
        if (code == HF_ERR_NO_MEMORY)
            return fail_code(reader, code);
        if (code < 0)
            return fail(reader, doc->text + doc->nodes[twice].start, NULL);
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
                            .max_depth = max_depth < JSON_DEPTH_MAX ? max_depth : JSON_DEPTH_MAX};
    if (read_all(&reader) == 0)
        return 0;
    doc->count = 0;
    reader.problem.max_depth = reader.max_depth;
    return json_report(&reader.problem, doc->text, reader.end, error);
}
