#include "base/json_string.h"

#include <string.h>

/* The canonical form is never longer than the value it is made from: white space goes, and every escape is at least as
 * long as what is written for it. So all room is reserved at once, plus some for copies in whole strides. */
enum { STRIDE = 16 };

struct frame {
    uint32_t container, left;
    uint32_t place; /* arrays: the next item; objects: the key at the next place of the sorted order */
};

struct maker {
    const struct json_doc *doc;
    const char *text_end;
    char *to;
    uint32_t depth;
    struct frame frames[JSON_DEPTH_MAX];
};

/* Whole strides are faster than memcpy for the short texts that are usual. */
static inline void copy(struct maker *maker, const char *from, size_t bytes) {
    if ((size_t)(maker->text_end - from) >= bytes + STRIDE) {
        for (size_t i = 0; i < bytes; i += STRIDE)
            memcpy(maker->to + i, from + i, STRIDE);
    } else {
        memcpy(maker->to, from, bytes);
    }
    maker->to += bytes;
}

/* One decoded character, escaped if it must be. */
static void put_character(struct maker *maker, const char *bytes, size_t size) {
    uint8_t byte = (uint8_t)bytes[0];
    if (byte >= 0x20 && byte != '"' && byte != '\\') {
        memcpy(maker->to, bytes, size);
        maker->to += size;
        return;
    }
    maker->to += json_escape_byte(byte, maker->to);
}

static void put_escaped(struct maker *maker, struct json_chars chars) {
    while (chars.at < chars.end) {
        const char *escape = memchr(chars.at, '\\', (size_t)(chars.end - chars.at));
        const char *plain_end = escape ? escape : chars.end;
        copy(maker, chars.at, (size_t)(plain_end - chars.at));
        chars.at = plain_end;
        if (escape) {
            char bytes[4];
            size_t size = json_unescape(&chars.at, bytes);
            put_character(maker, bytes, size);
        }
    }
}

static inline void put_string(struct maker *maker, uint32_t node) {
    const struct json_node *string = &maker->doc->nodes[node];
    *maker->to++ = '"';
    if (string->has_escape)
        put_escaped(maker, json_chars_of(maker->doc, node));
    else
        copy(maker, maker->doc->text + string->start, string->bytes);
    *maker->to++ = '"';
}

static inline void put_value(struct maker *maker, uint32_t node) {
    const struct json_node *value = &maker->doc->nodes[node];
    if (value->type == JSON_STRING) {
        put_string(maker, node);
    } else if (value->type < JSON_ARRAY) {
        copy(maker, maker->doc->text + value->start, value->bytes);
    } else {
        *maker->to++ = value->type == JSON_OBJECT ? '{' : '[';
        maker->frames[maker->depth++] = (struct frame){.container = node, .left = value->count, .place = node + 1};
    }
}

/* Writes the next child of the innermost container, or its end. */
static inline void put_next(struct maker *maker) {
    struct frame *frame = &maker->frames[maker->depth - 1];
    const struct json_node *nodes = maker->doc->nodes, *container = &nodes[frame->container];
    int is_object = container->type == JSON_OBJECT;
    if (frame->left == 0) {
        *maker->to++ = is_object ? '}' : ']';
        maker->depth--;
        return;
    }
    if (frame->left-- < container->count)
        *maker->to++ = ',';
    uint32_t child = frame->place;
    if (!is_object) {
        frame->place = nodes[child].next;
        put_value(maker, child);
        return;
    }
    uint32_t key = nodes[child].count;
    frame->place = nodes[child + 1].next;
    put_string(maker, key);
    *maker->to++ = ':';
    put_value(maker, key + 1);
}

int json_canonical(const struct json_doc *doc, uint32_t node, struct buf *out) {
    enum { QUOTES = 2 };
    struct maker maker;
    maker.doc = doc;
    maker.text_end = doc->text + doc->text_bytes;
    maker.depth = 0;
    maker.to = buf_reserve(out, doc->nodes[node].bytes + (size_t)QUOTES + STRIDE);
    if (!maker.to)
        return HF_ERR_NO_MEMORY;
    put_value(&maker, node);
    while (maker.depth > 0)
        put_next(&maker);
    out->size = (size_t)(maker.to - out->data);
    out->data[out->size] = '\0';
    return 0;
}

int json_hash(struct json_doc *doc, struct buf *scratch, const char *text, size_t bytes,
              const struct json_limits *limits, uint8_t ret_hash[HASH_BYTES], struct hf_error *error) {
    int code = json_read(doc, text, bytes, limits, error);
    if (code < 0)
        return code;
    buf_clear(scratch);
    if (json_canonical(doc, 0, scratch) < 0)
        return error_set(error, HF_ERR_NO_MEMORY, "make the canonical form: memory is used up");
    hash_bytes(scratch->data, scratch->size, ret_hash);
    return 0;
}
