/* Members of objects by their keys, and elements of arrays by their index, of documents that were read: for whoever
 * puts two of them side by side. */
#ifndef HF_DATA_JSON_KEYS_H
#define HF_DATA_JSON_KEYS_H

#include "base/json.h"

/* Of an object its keys in the order of their decoded bytes, of an array its elements; of anything else nothing. */
struct json_keys {
    const struct json_doc *doc;
    uint32_t *nodes, count;
};
/* The memory is the arena's. NO_MEMORY or 0. */
int json_keys_of(const struct json_doc *doc, uint32_t container, struct arena *arena, struct json_keys *ret_keys);
/* The value of the member of an object whose key is that of another document's; JSON_NONE when there is none. */
uint32_t json_keys_find(const struct json_keys *keys, const struct json_doc *other, uint32_t other_key);

/* Whether two values are the same: members in any order, strings decoded, numbers as they are written. */
int json_is_same(const struct json_doc *a, uint32_t a_node, const struct json_doc *b, uint32_t b_node);

#endif
