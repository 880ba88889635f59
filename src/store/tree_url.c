/* What stands behind "tree:": a folder and how its files are kept. */
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "data/ids.h"
#include "store/tree_files.h"

enum { THREADS_MAX = 256 };

static int hex_value(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    char small = (char)(c | 0x20);
    return small >= 'a' && small <= 'f' ? small - 'a' + 10 : -1;
}

/* Decodes %XX in place. -1 when two hex digits do not follow, or when it would end the text. */
static int decode(char *text) {
    char *to = text;
    for (const char *at = text; *at; at++) {
        if (*at != '%') {
            *to++ = *at;
            continue;
        }
        int high = hex_value(at[1]), low = high < 0 ? -1 : hex_value(at[2]);
        if (low < 0 || (high == 0 && low == 0))
            return -1;
        *to++ = (char)(high << 4 | low);
        at += 2;
    }
    *to = '\0';
    return 0;
}

static int refuse_escape(const char *what, struct hf_error *error) {
    error_set(error, HF_ERR_INVALID, "%s: '%%' is not followed by two hex digits of a byte", what);
    error_hint(error, "write '%%25' for '%%' itself, and '%%3F' for '?'");
    return HF_ERR_INVALID;
}

static int refuse_value(const char *name, const char *value, const char *possible, struct hf_error *error) {
    error_set(error, HF_ERR_INVALID, "option '%s': '%s' is not a value of it", name, value);
    error_hint(error, "give %s", possible);
    return HF_ERR_INVALID;
}

static int set_layout(struct tree_options *options, char *value, struct hf_error *error) {
    options->is_layout_given = 1;
    if (strcmp(value, "kind") == 0)
        options->layout = TREE_LAYOUT_KIND;
    else if (strcmp(value, "watch") == 0)
        options->layout = TREE_LAYOUT_WATCH;
    else
        return refuse_value("layout", value, "'kind' or 'watch'", error);
    return 0;
}

static int set_durable(struct tree_options *options, char *value, struct hf_error *error) {
    if (strcmp(value, "batch") == 0)
        options->durable = TREE_DURABLE_BATCH;
    else if (strcmp(value, "file") == 0)
        options->durable = TREE_DURABLE_FILE;
    else if (strcmp(value, "none") == 0)
        options->durable = TREE_DURABLE_NONE;
    else
        return refuse_value("durable", value, "'batch', 'file' or 'none'", error);
    return 0;
}

static int set_ours(struct tree_options *options, char *value, struct hf_error *error) {
    size_t count = 1;
    for (const char *at = value; *at; at++)
        count += *at == ',';
    options->ours = mem_zalloc(count + 1, sizeof *options->ours);
    if (!options->ours)
        return error_no_memory(error);
    char *kind, *rest = value;
    for (size_t i = 0; (kind = strsep(&rest, ",")); i++) {
        if (ids_check_kind(kind, NULL) != 0)
            return refuse_value("ours", kind, "kinds, joined by ','", error);
        options->ours[i] = mem_strdup(kind);
        if (!options->ours[i])
            return error_no_memory(error);
    }
    return 0;
}

static int set_threads(struct tree_options *options, char *value, struct hf_error *error) {
    uint64_t threads;
    if (text_to_u64(value, &threads) != 0 || threads > THREADS_MAX)
        return refuse_value("threads", value, "a number up to 256; 0 for as many as are good", error);
    options->threads = (unsigned)threads;
    return 0;
}

static const struct option {
    const char *name;
    int (*set)(struct tree_options *options, char *value, struct hf_error *error);
} table[] = {
    {"layout", set_layout},
    {"durable", set_durable},
    {"ours", set_ours},
    {"threads", set_threads},
};
enum { OPTIONS = sizeof table / sizeof table[0] };

/* One "name=value"; is_set: which of the table were given. */
static int parse_option(struct tree_options *options, char *text, unsigned *is_set, struct hf_error *error) {
    char *value = text, *name = strsep(&value, "=");
    size_t i = 0;
    while (i < OPTIONS && strcmp(table[i].name, name) != 0)
        i++;
    if (i == OPTIONS || !value) {
        error_set(error, HF_ERR_INVALID, i == OPTIONS ? "option '%s' is not known" : "option '%s' has no value", name);
        error_hint(error, "options are layout=, durable=, ours= and threads=, joined by '&'; write '%%3F' for a '?' "
                          "that belongs to the folder");
        return HF_ERR_INVALID;
    }
    if (*is_set & 1U << i) {
        error_set(error, HF_ERR_INVALID, "option '%s' is given twice", name);
        error_hint(error, "give it once");
        return HF_ERR_INVALID;
    }
    *is_set |= 1U << i;
    return decode(value) == 0 ? table[i].set(options, value, error) : refuse_escape(name, error);
}

static int parse(char *text, struct tree_options *options, struct hf_error *error) {
    char *rest = text, *folder = strsep(&rest, "?"), *option;
    if (decode(folder) != 0)
        return refuse_escape("the folder's name", error);
    if (folder[0] == '\0') {
        error_set(error, HF_ERR_INVALID, "the folder's name is empty");
        error_hint(error, "name a folder: tree:DIR, or tree:DIR?OPTIONS");
        return HF_ERR_INVALID;
    }
    options->folder = mem_strdup(folder);
    int code = options->folder ? 0 : error_no_memory(error);
    unsigned is_set = 0;
    while (code == 0 && (option = strsep(&rest, "&")))
        code = parse_option(options, option, &is_set, error);
    return code;
}

int tree_options_parse(const char *rest, struct tree_options *ret_options, struct hf_error *error) {
    struct tree_options options = {0};
    MEM_AUTO char *text = mem_strdup(rest);
    int code = text ? parse(text, &options, error) : error_no_memory(error);
    if (code == 0)
        *ret_options = options;
    else
        tree_options_fini(&options);
    return code;
}

void tree_options_fini(struct tree_options *options) {
    for (char **kind = options->ours; kind && *kind; kind++)
        mem_free(*kind);
    mem_free(options->ours);
    mem_free(options->folder);
    *options = (struct tree_options){0};
}

int tree_options_is_ours(const struct tree_options *options, const char *kind) {
    for (char **ours = options->ours; ours && *ours; ours++)
        if (strcmp(*ours, kind) == 0)
            return 1;
    return 0;
}
