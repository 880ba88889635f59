#include "data/json_diff.h"

#include "data/json_keys.h"

struct diff {
    const struct json_doc *from, *to;
    struct json_writer *changes;
    struct buf path;
    struct arena arena;
};

static int compare(struct diff *diff, uint32_t from, uint32_t to);

static void put_value(struct diff *diff, const char *key, const struct json_doc *doc, uint32_t node) {
    size_t bytes;
    const char *span = json_span(doc, node, &bytes);
    if (span)
        json_put_raw(diff->changes, key, span, bytes);
}

/* JSON_NONE for what is not there. */
static void tell(struct diff *diff, uint32_t from, uint32_t to) {
    json_begin_object(diff->changes);
    json_key(diff->changes, "path");
    json_string_bytes(diff->changes, buf_text(&diff->path), diff->path.size);
    json_put_string(diff->changes, "what", from == JSON_NONE ? "added" : to == JSON_NONE ? "removed" : "changed");
    put_value(diff, "from", diff->from, from);
    put_value(diff, "to", diff->to, to);
    json_end_object(diff->changes);
}

/* The path goes one step down for the comparison, and back. */
static int compare_at_key(struct diff *diff, const struct json_doc *doc, uint32_t key, uint32_t from, uint32_t to) {
    size_t above = diff->path.size, bytes;
    const char *name = json_to_text(doc, key, &diff->arena, &bytes);
    if (!name)
        return HF_ERR_NO_MEMORY;
    buf_add_char(&diff->path, '/');
    for (size_t i = 0; i < bytes; i++) {
        if (name[i] == '~' || name[i] == '/')
            buf_add_text(&diff->path, name[i] == '~' ? "~0" : "~1");
        else
            buf_add_char(&diff->path, name[i]);
    }
    int code = compare(diff, from, to);
    diff->path.size = above;
    return code;
}

static int compare_at_index(struct diff *diff, uint32_t index, uint32_t from, uint32_t to) {
    size_t above = diff->path.size;
    buf_printf(&diff->path, "/%u", index);
    int code = compare(diff, from, to);
    diff->path.size = above;
    return code;
}

static int compare_objects(struct diff *diff, uint32_t from, uint32_t to) {
    struct json_keys before, after;
    int code = json_keys_of(diff->from, from, &diff->arena, &before);
    if (code == 0)
        code = json_keys_of(diff->to, to, &diff->arena, &after);
    uint32_t key = json_first(diff->from, from);
    for (; code == 0 && key != JSON_NONE; key = json_after(diff->from, from, key))
        code = compare_at_key(diff, diff->from, key, json_value_of_key(key), json_keys_find(&after, diff->from, key));
    key = json_first(diff->to, to);
    for (; code == 0 && key != JSON_NONE; key = json_after(diff->to, to, key))
        if (json_keys_find(&before, diff->to, key) == JSON_NONE)
            code = compare_at_key(diff, diff->to, key, JSON_NONE, json_value_of_key(key));
    return code;
}

static int compare_arrays(struct diff *diff, uint32_t from, uint32_t to) {
    struct json_keys before, after;
    int code = json_keys_of(diff->from, from, &diff->arena, &before);
    if (code == 0)
        code = json_keys_of(diff->to, to, &diff->arena, &after);
    if (code != 0)
        return code;
    uint32_t start = 0, before_end = before.count, after_end = after.count;
    while (start < before_end && start < after_end &&
           json_is_same(diff->from, before.nodes[start], diff->to, after.nodes[start]))
        start++;
    while (before_end > start && after_end > start &&
           json_is_same(diff->from, before.nodes[before_end - 1], diff->to, after.nodes[after_end - 1])) {
        before_end--;
        after_end--;
    }
    for (uint32_t i = start; code == 0 && (i < before_end || i < after_end); i++)
        code = compare_at_index(diff, i, i < before_end ? before.nodes[i] : JSON_NONE,
                                i < after_end ? after.nodes[i] : JSON_NONE);
    return code;
}

/* As deep as the reader lets documents be. */
static int compare(struct diff *diff, uint32_t from, uint32_t to) {
    enum json_type type = json_type_of(diff->from, from);
    int are_there = from != JSON_NONE && to != JSON_NONE;
    if (are_there && type >= JSON_ARRAY && type == json_type_of(diff->to, to))
        return type == JSON_OBJECT ? compare_objects(diff, from, to) : compare_arrays(diff, from, to);
    if (!are_there || !json_is_same(diff->from, from, diff->to, to))
        tell(diff, from, to);
    return 0;
}

int json_diff(const struct json_doc *from, uint32_t from_node, const struct json_doc *to, uint32_t to_node,
              struct json_writer *changes, struct hf_error *error) {
    struct diff diff = {.from = from, .to = to, .changes = changes};
    buf_init(&diff.path);
    arena_init(&diff.arena);
    int code = compare(&diff, from_node, to_node);
    if (diff.path.failed || changes->out->failed)
        code = HF_ERR_NO_MEMORY;
    arena_fini(&diff.arena);
    buf_fini(&diff.path);
    return code < 0 ? error_no_memory(error) : 0;
}
