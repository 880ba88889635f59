/* JSON, strict RFC 8259: one reader that makes a tape of spans, one writer, a canonical form.
 *
 * The reader accepts UTF-8 only, no duplicate keys in an object (compared after decoding escapes), no lone surrogate
 * escapes, no NaN or Infinity, no trailing commas, no comments, no bytes after the value but white space; \u0000 in a
 * string is accepted (RFC 8259 allows it). Depth and size are limited. Numbers stay text: nothing is rounded.
 *
 * The tape: one node per value, in document order; containers are followed by their children. A node points into the
 * source text, which must live as long as the document. */
#ifndef HF_BASE_JSON_H
#define HF_BASE_JSON_H

#include "base/buf.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/mem.h"

enum json_type { JSON_NULL, JSON_FALSE, JSON_TRUE, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json_node {
    uint32_t type : 4;
    uint32_t has_escape : 1; /* strings: a backslash is in it */
    uint32_t is_key : 1;     /* a string that is a key; its value is the next node */
    uint32_t start;          /* offset in the text: of the value; strings: behind the quote */
    uint32_t bytes;          /* of the span: strings without quotes; containers: from bracket to bracket inclusive */
    uint32_t count;          /* containers: how many children (pairs for objects); keys: see json_string.h */
    uint32_t next;           /* index of the node behind this value and all of its children */
};

struct json_doc {
    const char *text;
    size_t text_bytes;
    struct json_node *nodes; /* nodes[0] is the root */
    uint32_t count, room;
};

enum { JSON_DEPTH_DEFAULT = 128, JSON_DEPTH_MAX = 1024 };

struct json_limits {
    size_t max_bytes;   /* 0: 4 GiB - 1 */
    uint32_t max_depth; /* 0: JSON_DEPTH_DEFAULT; more than JSON_DEPTH_MAX counts as that */
};

/* Reads text into *doc (initialised by json_init; may be used again and again, keeping its memory).
 * Errors: BAD_JSON with offset, line and column in the message; TOO_LARGE for size and depth; NO_MEMORY. */
void json_init(struct json_doc *doc);
void json_fini(struct json_doc *doc);
int json_read(struct json_doc *doc, const char *text, size_t bytes, const struct json_limits *limits,
              struct hf_error *error);
#define JSON_AUTO __attribute__((cleanup(json_fini)))

/* Looking around. Nodes are named by index; JSON_NONE is "not there", and every function accepts it. */
#define JSON_NONE UINT32_MAX
enum json_type json_type_of(const struct json_doc *doc, uint32_t node);             /* JSON_NULL for JSON_NONE */
uint32_t json_member(const struct json_doc *doc, uint32_t object, const char *key); /* the value's node */
uint32_t json_first(const struct json_doc *doc, uint32_t container); /* first child (for objects the first key) */
uint32_t json_after(const struct json_doc *doc, uint32_t container, uint32_t child); /* next child or key */
uint32_t json_value_of_key(uint32_t key);
int json_is_string(const struct json_doc *doc, uint32_t node, const char *text);
/* Values out; -1 (or fallback) when the node is not of that type or does not fit. */
int json_to_i64(const struct json_doc *doc, uint32_t node, int64_t *ret_value); /* whole numbers only */
int json_to_double(const struct json_doc *doc, uint32_t node, double *ret_value);
int json_to_bool(const struct json_doc *doc, uint32_t node, int fallback);
/* The decoded string, NUL-terminated, in the arena; NULL when not a string or memory is used up. *ret_bytes may be
 * NULL. */
char *json_to_text(const struct json_doc *doc, uint32_t node, struct arena *arena, size_t *ret_bytes);
/* The same with a member's name: NULL when it is not there or not a string; a number's fallback. */
char *json_member_text(const struct json_doc *doc, uint32_t object, const char *key, struct arena *arena);
int64_t json_member_i64(const struct json_doc *doc, uint32_t object, const char *key, int64_t fallback);
int json_member_bool(const struct json_doc *doc, uint32_t object, const char *key, int fallback);
/* The span of any value as it stands in the text (strings with their quotes); NULL and 0 for JSON_NONE. Borrowed. */
const char *json_span(const struct json_doc *doc, uint32_t node, size_t *ret_bytes);

/* Canonical form: keys sorted by their decoded bytes, no white space, strings decoded and written with the shortest
 * escapes (\" \\ \b \f \n \r \t and \u00xx for other control characters), numbers verbatim.
 * json_hash is XXH3-128 over exactly those bytes. -1 (HF_ERR_NO_MEMORY) when memory is used up. */
int json_canonical(const struct json_doc *doc, uint32_t node, struct buf *out);
/* The hash of a whole document from its text: reads, canonicalises, hashes; doc and scratch keep their memory for the
 * next call. */
int json_hash(struct json_doc *doc, struct buf *scratch, const char *text, size_t bytes,
              const struct json_limits *limits, uint8_t ret_hash[HASH_BYTES], struct hf_error *error);

/* Writer: builds a document into a buf; puts commas and colons itself. Wrong nesting is a bug and asserted. */
enum { JSON_WRITE_DEPTH = 64 };
struct json_writer {
    struct buf *out;
    int depth;
    int indent; /* 0: compact; else spaces per level */
    uint8_t has_items[JSON_WRITE_DEPTH];
    uint8_t after_key;
};
void json_writer_init(struct json_writer *writer, struct buf *out, int indent);
void json_begin_object(struct json_writer *writer);
void json_end_object(struct json_writer *writer);
void json_begin_array(struct json_writer *writer);
void json_end_array(struct json_writer *writer);
void json_key(struct json_writer *writer, const char *key);
void json_string(struct json_writer *writer, const char *text); /* NULL writes null; invalid UTF-8 → U+FFFD */
void json_string_bytes(struct json_writer *writer, const char *text, size_t bytes);
void json_i64(struct json_writer *writer, int64_t value);
void json_u64(struct json_writer *writer, uint64_t value);
void json_double(struct json_writer *writer, double value); /* shortest form that reads back the same; NaN → null */
void json_bool(struct json_writer *writer, int value);
void json_null(struct json_writer *writer);
void json_raw(struct json_writer *writer, const char *json, size_t bytes); /* a value that is JSON already */
/* key and value in one call */
void json_put_string(struct json_writer *writer, const char *key, const char *text);
void json_put_i64(struct json_writer *writer, const char *key, int64_t value);
void json_put_bool(struct json_writer *writer, const char *key, int value);
void json_put_time(struct json_writer *writer, const char *key, int64_t unix_ms); /* RFC 3339; 0 writes null */
void json_put_raw(struct json_writer *writer, const char *key, const char *json, size_t bytes);

/* Re-writes a value with indentation for people (0: on one line, without white space), members in their order. */
void json_pretty(const struct json_doc *doc, uint32_t node, int indent, struct buf *out);

#endif
