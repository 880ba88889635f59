/* JSON as Python and orjson indent it, so that what another program wrote and what is written here do not differ. */
#include <string.h>

#include "base/json_string.h"
#include "store/tree_files.h"

enum { INDENT = 2, STRIDE = 16, ROOM_FIRST = 256 };

struct frame {
    uint32_t next; /* the node behind the container */
    char end;
};

struct styler {
    const struct json_doc *doc;
    struct buf *out;
    char *to, *room_end;
    size_t max_bytes; /* 0: no limit */
    uint32_t depth;
    int is_first;  /* in its container */
    int is_member; /* a key stands in front of it */
    struct frame frames[JSON_DEPTH_MAX];
};

/* Makes sure that so many bytes can be written, and some for copies in whole strides. -1: no memory, or too long. */
static int make_room(struct styler *styler, size_t bytes) {
    if ((size_t)(styler->room_end - styler->to) >= bytes + STRIDE)
        return 0;
    struct buf *out = styler->out;
    if (styler->to)
        out->size = (size_t)(styler->to - out->data);
    if (styler->max_bytes && out->size > styler->max_bytes)
        return HF_ERR_TOO_LARGE;
    styler->to = buf_reserve(out, bytes + STRIDE + ROOM_FIRST + out->size / 2);
    if (!styler->to)
        return HF_ERR_NO_MEMORY;
    styler->room_end = out->data + out->room;
    return 0;
}

/* Whole strides are faster than memcpy for the short texts that are usual. */
static void copy(struct styler *styler, const char *from, size_t bytes) {
    if ((size_t)(styler->doc->text + styler->doc->text_bytes - from) >= bytes + STRIDE) {
        for (size_t i = 0; i < bytes; i += STRIDE)
            memcpy(styler->to + i, from + i, STRIDE);
    } else {
        memcpy(styler->to, from, bytes);
    }
    styler->to += bytes;
}

static void put_escaped(struct styler *styler, struct json_chars chars) {
    while (chars.at < chars.end) {
        const char *escape = memchr(chars.at, '\\', (size_t)(chars.end - chars.at));
        const char *plain_end = escape ? escape : chars.end;
        copy(styler, chars.at, (size_t)(plain_end - chars.at));
        chars.at = plain_end;
        if (!escape)
            return;
        char bytes[4];
        size_t size = json_unescape(&chars.at, bytes);
        uint8_t byte = (uint8_t)bytes[0];
        if (byte < 0x20 || byte == '"' || byte == '\\') {
            styler->to += json_escape_byte(byte, styler->to);
        } else {
            memcpy(styler->to, bytes, size);
            styler->to += size;
        }
    }
}

static void put_string(struct styler *styler, uint32_t node) {
    struct json_chars chars = json_chars_of(styler->doc, node);
    *styler->to++ = '"';
    if (chars.has_escape)
        put_escaped(styler, chars);
    else
        copy(styler, chars.at, (size_t)(chars.end - chars.at));
    *styler->to++ = '"';
}

static void new_line(struct styler *styler) {
    size_t bytes = (size_t)INDENT * styler->depth;
    *styler->to++ = '\n';
    for (size_t i = 0; i < bytes; i += STRIDE)
        memset(styler->to + i, ' ', STRIDE);
    styler->to += bytes;
}

static int end_containers(struct styler *styler, uint32_t node) {
    while (styler->depth > 0 && styler->frames[styler->depth - 1].next == node) {
        styler->depth--;
        int code = make_room(styler, 2 + (size_t)INDENT * styler->depth);
        if (code != 0)
            return code;
        new_line(styler);
        *styler->to++ = styler->frames[styler->depth].end;
    }
    return 0;
}

static void put_value(struct styler *styler, uint32_t node) {
    const struct json_node *value = &styler->doc->nodes[node];
    styler->is_first = 0;
    if (value->type == JSON_STRING) {
        put_string(styler, node);
        return;
    }
    if (value->type < JSON_ARRAY) {
        copy(styler, styler->doc->text + value->start, value->bytes);
        return;
    }
    char end = value->type == JSON_OBJECT ? '}' : ']';
    *styler->to++ = value->type == JSON_OBJECT ? '{' : '[';
    if (value->count == 0) {
        *styler->to++ = end;
        return;
    }
    styler->frames[styler->depth++] = (struct frame){value->next, end};
    styler->is_first = 1;
}

static int put_node(struct styler *styler, uint32_t node) {
    const struct json_node *value = &styler->doc->nodes[node];
    size_t span = value->type < JSON_ARRAY ? value->bytes : 0;
    int code = make_room(styler, span + (size_t)INDENT * styler->depth + STRIDE);
    if (code != 0)
        return code;
    if (!styler->is_first && !styler->is_member)
        *styler->to++ = ',';
    if (!styler->is_member && styler->depth > 0)
        new_line(styler);
    styler->is_member = value->is_key;
    if (!value->is_key) {
        put_value(styler, node);
        return 0;
    }
    put_string(styler, node);
    *styler->to++ = ':';
    *styler->to++ = ' ';
    return 0;
}

/* Behind what is in *out. */
static int put_document(const struct json_doc *doc, size_t max_bytes, struct buf *out) {
    struct styler styler;
    styler.doc = doc;
    styler.out = out;
    styler.to = styler.room_end = NULL;
    styler.max_bytes = max_bytes;
    styler.depth = 0;
    styler.is_first = 1;
    styler.is_member = 0;
    int code = make_room(&styler, doc->text_bytes + doc->text_bytes / 2);
    for (uint32_t node = 0; node < doc->count && code == 0; node++) {
        code = end_containers(&styler, node);
        if (code == 0)
            code = put_node(&styler, node);
    }
    if (code == 0)
        code = end_containers(&styler, doc->count);
    if (code != 0)
        return code;
    out->size = (size_t)(styler.to - out->data);
    *styler.to = '\0';
    return max_bytes && out->size > max_bytes ? HF_ERR_TOO_LARGE : 0;
}

int tree_style(struct json_doc *scratch, const char *json, size_t json_bytes, const struct json_limits *limits,
               struct buf *ret_text, struct hf_error *error) {
    int code = json_read(scratch, json, json_bytes, limits, error);
    if (code != 0)
        return code;
    buf_clear(ret_text);
    code = put_document(scratch, limits ? limits->max_bytes : 0, ret_text);
    if (code == HF_ERR_TOO_LARGE) {
        buf_clear(ret_text);
        buf_add(ret_text, json, json_bytes);
        code = 0;
    }
    if (code != 0 || ret_text->failed)
        return error_set(error, HF_ERR_NO_MEMORY, "style the document: memory is used up");
    return 0;
}
