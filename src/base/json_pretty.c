#include "base/json.h"

struct level {
    uint32_t container, next; /* the next child or key; JSON_NONE at the end */
};

struct printer {
    const struct json_doc *doc;
    struct buf *out;
    int indent;
    uint32_t depth;
    struct level levels[JSON_DEPTH_MAX];
};

static void new_line(struct printer *printer) {
    if (printer->indent > 0)
        buf_printf(printer->out, "\n%*s", (int)printer->depth * printer->indent, "");
}

static void put_span(struct printer *printer, uint32_t node) {
    size_t bytes;
    const char *span = json_span(printer->doc, node, &bytes);
    buf_add(printer->out, span, bytes);
}

static void put_value(struct printer *printer, uint32_t node) {
    enum json_type type = json_type_of(printer->doc, node);
    uint32_t first = json_first(printer->doc, node);
    if (type < JSON_ARRAY) {
        put_span(printer, node);
    } else if (first == JSON_NONE) {
        buf_add_text(printer->out, type == JSON_OBJECT ? "{}" : "[]");
    } else {
        buf_add_char(printer->out, type == JSON_OBJECT ? '{' : '[');
        printer->levels[printer->depth++] = (struct level){.container = node, .next = first};
        new_line(printer);
    }
}

static void put_child(struct printer *printer, struct level *level) {
    uint32_t child = level->next;
    level->next = json_after(printer->doc, level->container, child);
    if (json_type_of(printer->doc, level->container) == JSON_OBJECT) {
        put_span(printer, child);
        buf_add_text(printer->out, printer->indent > 0 ? ": " : ":");
        child = json_value_of_key(child);
    }
    put_value(printer, child);
}

void json_pretty(const struct json_doc *doc, uint32_t node, int indent, struct buf *out) {
    struct printer printer;
    printer.doc = doc;
    printer.out = out;
    printer.indent = indent;
    printer.depth = 0;
    put_value(&printer, node);
    while (printer.depth > 0) {
        struct level *level = &printer.levels[printer.depth - 1];
        if (level->next == JSON_NONE) {
            printer.depth--;
            new_line(&printer);
            buf_add_char(out, json_type_of(doc, level->container) == JSON_OBJECT ? '}' : ']');
            continue;
        }
        if (level->next != level->container + 1) {
            buf_add_char(out, ',');
            new_line(&printer);
        }
        put_child(&printer, level);
    }
}
