#include "data/json_merge.h"

#include "data/json_keys.h"

struct merge {
    const struct json_doc *target, *patch;
    struct arena arena;
    struct buf *out;
};

static int merge_value(struct merge *merge, uint32_t target, uint32_t patch);

static void put_key(struct merge *merge, const struct json_doc *doc, uint32_t key, int *is_first) {
    size_t bytes;
    const char *span = json_span(doc, key, &bytes);
    if (!*is_first)
        buf_add_char(merge->out, ',');
    *is_first = 0;
    buf_add(merge->out, span, bytes);
    buf_add_char(merge->out, ':');
}

static int put_target_members(struct merge *merge, uint32_t target, const struct json_keys *patched, int *is_first) {
    const struct json_doc *doc = merge->target;
    int code = 0;
    for (uint32_t key = json_first(doc, target); code == 0 && key != JSON_NONE; key = json_after(doc, target, key)) {
        uint32_t value = json_keys_find(patched, doc, key);
        if (value != JSON_NONE && json_type_of(merge->patch, value) == JSON_NULL)
            continue;
        put_key(merge, doc, key, is_first);
        if (value != JSON_NONE)
            code = merge_value(merge, json_value_of_key(key), value);
        else
            json_pretty(doc, json_value_of_key(key), 0, merge->out);
    }
    return code;
}

static int put_new_members(struct merge *merge, uint32_t patch, const struct json_keys *there, int *is_first) {
    const struct json_doc *doc = merge->patch;
    int code = 0;
    for (uint32_t key = json_first(doc, patch); code == 0 && key != JSON_NONE; key = json_after(doc, patch, key)) {
        uint32_t value = json_value_of_key(key);
        if (json_type_of(doc, value) == JSON_NULL || json_keys_find(there, doc, key) != JSON_NONE)
            continue;
        put_key(merge, doc, key, is_first);
        code = merge_value(merge, JSON_NONE, value);
    }
    return code;
}

/* As deep as the reader lets the patch be. */
static int merge_value(struct merge *merge, uint32_t target, uint32_t patch) {
    if (json_type_of(merge->patch, patch) != JSON_OBJECT) {
        json_pretty(merge->patch, patch, 0, merge->out);
        return 0;
    }
    if (json_type_of(merge->target, target) != JSON_OBJECT)
        target = JSON_NONE;
    struct json_keys there, patched;
    int is_first = 1;
    int code = json_keys_of(merge->target, target, &merge->arena, &there);
    if (code == 0)
        code = json_keys_of(merge->patch, patch, &merge->arena, &patched);
    buf_add_char(merge->out, '{');
    if (code == 0)
        code = put_target_members(merge, target, &patched, &is_first);
    if (code == 0)
        code = put_new_members(merge, patch, &there, &is_first);
    buf_add_char(merge->out, '}');
    return code;
}

int json_merge(const struct json_doc *target, uint32_t target_node, const struct json_doc *patch, uint32_t patch_node,
               struct buf *out, struct hf_error *error) {
    struct merge merge = {.target = target, .patch = patch, .out = out};
    arena_init(&merge.arena);
    int code = merge_value(&merge, target_node, patch_node);
    arena_fini(&merge.arena);
    return code < 0 || out->failed ? error_no_memory(error) : 0;
}
