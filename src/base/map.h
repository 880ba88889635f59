/* A map from byte strings to pointers (open addressing, XXH3), and a growable array of pointers. Not thread-safe. */
#ifndef HF_BASE_MAP_H
#define HF_BASE_MAP_H

#include <stddef.h>
#include <stdint.h>

struct map_entry {
    char *key; /* owned copy, NUL-terminated; NULL for a free place */
    size_t key_bytes;
    uint64_t hash;
    void *value;
};
struct map {
    struct map_entry *entries;
    size_t count, room;
};
void map_init(struct map *map);
void map_fini(struct map *map); /* frees keys, not values */
void *map_get(const struct map *map, const void *key, size_t key_bytes);
/* Sets or replaces; *ret_old (may be NULL) gets the value that was there. -1 when memory is used up. */
int map_set(struct map *map, const void *key, size_t key_bytes, void *value, void **ret_old);
void *map_remove(struct map *map, const void *key, size_t key_bytes); /* the value, or NULL */
/* Walks in no order: start with *position = 0; NULL at the end. No change of the map in between. */
struct map_entry *map_next(const struct map *map, size_t *position);

struct vec {
    void **items;
    size_t count, room;
};
void vec_init(struct vec *vec);
void vec_fini(struct vec *vec);
int vec_push(struct vec *vec, void *item);      /* -1 when memory is used up */
void vec_remove(struct vec *vec, size_t index); /* keeps the order */

#endif
