/* What came back, for people (table) and for programs (json, jsonl). Results go to stdout, talk to stderr. */
#include "cmd/command.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/text.h"
#include "cmd/talk.h"

enum { MAX_COLUMNS = 16, MAX_CELL_BYTES = 60 };

/* Bytes that a terminal would act on are shown, not sent. */
void command_print_safely(const char *text, size_t bytes, void *stream) {
    FILE *out = stream;
    for (size_t i = 0; i < bytes; i++) {
        unsigned char c = (unsigned char)text[i];
        int is_c1 = c == 0xC2 && i + 1 < bytes && (unsigned char)text[i + 1] < 0xA0;
        if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7F) {
            fprintf(out, "\\x%02x", c);
        } else if (is_c1) {
            fprintf(out, "\\x%02x", (unsigned char)text[++i]);
        } else {
            fputc(c, out);
        }
    }
}

void command_print_error(const struct command_invocation *invocation, const struct hf_error *error) {
    if (invocation->globals.format != OUTPUT_TABLE) {
        BUF_AUTO struct buf problem;
        buf_init(&problem);
        api_problem(error, &problem);
        fprintf(stderr, "%s\n", buf_text(&problem));
        return;
    }
    fputs("holdfast: ", stderr);
    command_print_safely(error->message, strlen(error->message), stderr);
    fputc('\n', stderr);
    if (error->hint[0]) {
        fputs("  ", stderr);
        command_print_safely(error->hint, strlen(error->hint), stderr);
        fputc('\n', stderr);
    }
}

static void print_json(const struct json_doc *doc, uint32_t node, int indent) {
    BUF_AUTO struct buf out;
    buf_init(&out);
    json_pretty(doc, node, indent, &out);
    fwrite(buf_text(&out), 1, out.size, stdout);
    fputc('\n', stdout);
}

/* A value as a cell: strings without quotes, containers as compact JSON, one line, cut with an ellipsis. */
static char *make_cell(const struct json_doc *doc, uint32_t node, size_t max_bytes, struct arena *arena) {
    BUF_AUTO struct buf out;
    buf_init(&out);
    if (node == JSON_NONE || json_type_of(doc, node) == JSON_NULL) {
        buf_add_text(&out, "-");
    } else if (json_type_of(doc, node) == JSON_STRING) {
        size_t bytes = 0;
        const char *text = json_to_text(doc, node, arena, &bytes);
        buf_add(&out, text ? text : "", bytes);
    } else {
        json_pretty(doc, node, 0, &out);
    }
    for (size_t i = 0; i < out.size; i++) {
        if ((unsigned char)out.data[i] < 0x20 || out.data[i] == 0x7F)
            out.data[i] = ' ';
    }
    if (out.size > max_bytes) {
        size_t cut = max_bytes - 3;
        while (cut > 0 && ((unsigned char)out.data[cut] & 0xC0) == 0x80)
            cut--;
        out.size = cut;
        buf_add_text(&out, "…");
    }
    return arena_strndup(arena, buf_text(&out), out.size);
}

static int width_of(const char *text) {
    int width = 0;
    for (; *text; text++)
        width += ((unsigned char)*text & 0xC0) != 0x80;
    return width;
}

static int split_columns(const char *columns, struct arena *arena, char **names) {
    int count = 0;
    char *copy = arena_strdup(arena, columns);
    for (char *word = copy; word && *word && count < MAX_COLUMNS;) {
        char *space = strchr(word, ' ');
        names[count++] = word;
        if (!space)
            break;
        *space = '\0';
        word = space + 1;
    }
    return count;
}

static void print_row(char **cells, const int *widths, int count) {
    for (int i = 0; i < count; i++) {
        command_print_safely(cells[i], strlen(cells[i]), stdout);
        if (i + 1 < count)
            printf("%*s", widths[i] - width_of(cells[i]) + 2, "");
    }
    fputc('\n', stdout);
}

static void fill_row(const struct json_doc *doc, uint32_t item, char **names, int count, char **cells,
                     struct arena *arena) {
    for (int i = 0; i < count; i++) {
        size_t max_bytes = i + 1 == count ? 2 * MAX_CELL_BYTES : MAX_CELL_BYTES;
        cells[i] = make_cell(doc, json_member(doc, item, names[i]), max_bytes, arena);
    }
}

/* An array as one row per item; an object as a table of one row. */
void command_print_table(const struct json_doc *doc, const char *columns, int with_header, struct arena *arena) {
    char *names[MAX_COLUMNS];
    int widths[MAX_COLUMNS] = {0};
    int count = split_columns(columns, arena, names);
    int is_array = json_type_of(doc, 0) == JSON_ARRAY;
    size_t rows = is_array ? doc->nodes[0].count : 1, row = 0;
    char **cells = arena_zalloc(arena, (rows + 1) * (size_t)count, sizeof *cells);
    if (!cells)
        return;
    for (int i = 0; i < count; i++) {
        cells[i] = arena_strdup(arena, names[i]);
        for (char *c = cells[i]; c && *c; c++)
            *c = *c >= 'a' && *c <= 'z' ? (char)(*c - 32) : *c;
    }
    for (uint32_t item = is_array ? json_first(doc, 0) : 0; item != JSON_NONE;
         item = is_array ? json_after(doc, 0, item) : JSON_NONE)
        fill_row(doc, item, names, count, cells + ++row * (size_t)count, arena);
    for (size_t i = 0; i < (row + 1) * (size_t)count; i++) {
        int width = cells[i] ? width_of(cells[i]) : 0;
        if (!cells[i])
            return;
        if (width > widths[i % (size_t)count])
            widths[i % (size_t)count] = width;
    }
    for (size_t i = with_header ? 0 : 1; i <= row && row > 0; i++)
        print_row(cells + i * (size_t)count, widths, count);
}

static void print_members(const struct json_doc *doc, struct arena *arena) {
    int width = 0;
    for (uint32_t key = json_first(doc, 0); key != JSON_NONE; key = json_after(doc, 0, key)) {
        const char *name = json_to_text(doc, key, arena, NULL);
        int its_width = name ? width_of(name) : 0;
        width = its_width > width ? its_width : width;
    }
    for (uint32_t key = json_first(doc, 0); key != JSON_NONE; key = json_after(doc, 0, key)) {
        const char *name = json_to_text(doc, key, arena, NULL);
        const char *cell = make_cell(doc, json_value_of_key(key), 4096, arena);
        if (!name || !cell)
            return;
        command_print_safely(name, strlen(name), stdout);
        printf("%*s", width - width_of(name) + 2, "");
        command_print_safely(cell, strlen(cell), stdout);
        fputc('\n', stdout);
    }
}

static void render_json(const struct command_invocation *invocation, const struct json_doc *doc, struct arena *arena) {
    const char *columns = invocation->operation->columns;
    enum output_format format = invocation->globals.format;
    int is_array = json_type_of(doc, 0) == JSON_ARRAY;
    if (format == OUTPUT_JSONL && is_array) {
        for (uint32_t item = json_first(doc, 0); item != JSON_NONE; item = json_after(doc, 0, item))
            print_json(doc, item, 0);
    } else if (format == OUTPUT_JSON || format == OUTPUT_JSONL) {
        print_json(doc, 0, format == OUTPUT_JSON ? 2 : 0);
    } else if (columns && !strchr(columns, ' ') && json_type_of(doc, 0) == JSON_OBJECT) {
        const char *text = json_to_text(doc, json_member(doc, 0, columns), arena, NULL);
        printf("%s\n", text ? text : "");
    } else if (columns && (is_array || json_type_of(doc, 0) == JSON_OBJECT)) {
        command_print_table(doc, columns, 1, arena);
        if (is_array && doc->nodes[0].count == 0)
            talk_say(invocation, "nothing there");
    } else if (json_type_of(doc, 0) == JSON_OBJECT) {
        print_members(doc, arena);
    } else {
        print_json(doc, 0, 2);
    }
}

void command_render(const struct command_invocation *invocation, const struct command_reply *reply) {
    const struct api_operation *operation = invocation->operation;
    JSON_AUTO struct json_doc doc;
    struct arena arena;
    /* A stored document is given as it was put, byte for byte. */
    int is_verbatim = text_is_equal(operation->noun, "store") && text_is_equal(operation->verb, "get");
    if (reply->body.size == 0)
        return;
    json_init(&doc);
    arena_init(&arena);
    if ((is_verbatim && invocation->globals.format != OUTPUT_JSONL) ||
        json_read(&doc, buf_text(&reply->body), reply->body.size, NULL, NULL) != 0) {
        fwrite(reply->body.data, 1, reply->body.size, stdout);
        if (reply->body.data[reply->body.size - 1] != '\n')
            fputc('\n', stdout);
    } else if (!invocation->globals.quiet || text_is_equal(operation->method, "GET")) {
        render_json(invocation, &doc, &arena);
    }
    arena_fini(&arena);
}
