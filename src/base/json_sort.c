#include "base/json_string.h"

#include <string.h>

enum { SMALL = 12, ON_STACK = 128 };

struct entry {
    uint64_t prefix;
    uint32_t key;
};

/* What comes out equal when two keys are compared is a duplicate: it is noted, and the sorting goes on. */
struct sorter {
    const struct json_doc *doc;
    uint32_t twice;
};

static inline int is_after(struct sorter *sorter, const struct entry *a, const struct entry *b) {
    if (a->prefix != b->prefix)
        return a->prefix > b->prefix;
    int order = json_chars_compare(json_chars_of(sorter->doc, a->key), json_chars_of(sorter->doc, b->key));
    if (order == 0)
        sorter->twice = a->key > b->key ? a->key : b->key;
    return order > 0;
}

static void insertion_sort(struct sorter *sorter, struct entry *entries, uint32_t count) {
    for (uint32_t i = 1; i < count; i++) {
        struct entry entry = entries[i];
        uint32_t at = i;
        for (; at > 0 && is_after(sorter, &entries[at - 1], &entry); at--)
            entries[at] = entries[at - 1];
        entries[at] = entry;
    }
}

static void merge(struct sorter *sorter, const struct entry *left, const struct entry *middle, const struct entry *end,
                  struct entry *out) {
    const struct entry *right = middle;
    while (left < middle && right < end)
        *out++ = is_after(sorter, left, right) ? *right++ : *left++;
    memcpy(out, left, (size_t)(middle - left) * sizeof *out);
    out += middle - left;
    memcpy(out, right, (size_t)(end - right) * sizeof *out);
}

/* Merges runs of growing length from one half of the memory to the other; returns the half where the result is. */
static struct entry *merge_sort(struct sorter *sorter, struct entry *from, struct entry *to, size_t count) {
    for (size_t i = 0; i < count; i += SMALL)
        insertion_sort(sorter, from + i, (uint32_t)(count - i < SMALL ? count - i : SMALL));
    for (size_t run = SMALL; run < count; run *= 2) {
        for (size_t i = 0; i < count; i += 2 * run) {
            size_t middle = i + run < count ? i + run : count;
            size_t end = i + 2 * run < count ? i + 2 * run : count;
            merge(sorter, from + i, from + middle, from + end, to + i);
        }
        struct entry *sorted = to;
        to = from;
        from = sorted;
    }
    return from;
}

/* The first eight decoded bytes as a number that sorts as they do; a shorter key counts as filled up with zeros. */
static inline uint64_t prefix_of(const struct json_doc *doc, uint32_t key) {
    const struct json_node *node = &doc->nodes[key];
    if (node->has_escape || doc->text_bytes - node->start < sizeof(uint64_t))
        return json_chars_prefix(json_chars_of(doc, key));
    uint64_t prefix;
    memcpy(&prefix, doc->text + node->start, sizeof prefix);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    prefix = __builtin_bswap64(prefix);
#endif
    if (node->bytes >= sizeof prefix)
        return prefix;
    return node->bytes ? prefix & ~UINT64_C(0) << (64 - 8 * node->bytes) : 0;
}

/* Fills the entries in document order; returns whether they are sorted already. */
static int collect(struct sorter *sorter, uint32_t object, struct entry *entries) {
    const struct json_doc *doc = sorter->doc;
    int is_sorted = 1;
    uint32_t key = object + 1, count = doc->nodes[object].count;
    for (uint32_t i = 0; i < count; i++) {
        entries[i].prefix = prefix_of(doc, key);
        entries[i].key = key;
        if (i > 0 && is_sorted)
            is_sorted = !is_after(sorter, &entries[i - 1], &entries[i]);
        key = doc->nodes[key + 1].next;
    }
    return is_sorted;
}

int json_sort_keys(struct json_doc *doc, uint32_t object, uint32_t *ret_twice) {
    size_t count = doc->nodes[object].count;
    struct entry on_stack[2 * ON_STACK];
    MEM_AUTO struct entry *on_heap = NULL;
    struct entry *entries = on_stack;
    if (count > ON_STACK) {
        entries = on_heap = mem_realloc(NULL, 2 * count, sizeof *entries);
        if (!entries)
            return HF_ERR_NO_MEMORY;
    }
    struct sorter sorter = {.doc = doc, .twice = JSON_NONE};
    if (!collect(&sorter, object, entries))
        entries = merge_sort(&sorter, entries, entries + count, count);
    if (sorter.twice != JSON_NONE) {
        *ret_twice = sorter.twice;
        return HF_ERR_BAD_JSON;
    }
    uint32_t key = object + 1;
    for (size_t i = 0; i < count; i++) {
        doc->nodes[key].count = entries[i].key;
        key = doc->nodes[key + 1].next;
    }
    return 0;
}
