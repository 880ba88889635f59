#include "base/map.h"

#include "base/hash.h"
#include "base/mem.h"

#include <string.h>

/* `room` is a power of two and at most three quarters of it is used, so that every search ends at a free place. */
enum { FIRST_ROOM = 16 };

void map_init(struct map *map) {
    *map = (struct map){0};
}

void map_fini(struct map *map) {
    for (size_t i = 0; i < map->room; i++)
        mem_free(map->entries[i].key);
    mem_free(map->entries);
    map_init(map);
}

/* The place where the key is, or the free place where it belongs. */
static size_t find(const struct map *map, const void *key, size_t key_bytes, uint64_t hash) {
    size_t mask = map->room - 1;
    size_t at = (size_t)hash & mask;
    for (; map->entries[at].key; at = (at + 1) & mask) {
        const struct map_entry *entry = &map->entries[at];
        if (entry->hash == hash && entry->key_bytes == key_bytes &&
            (key_bytes == 0 || memcmp(entry->key, key, key_bytes) == 0))
            break;
    }
    return at;
}

void *map_get(const struct map *map, const void *key, size_t key_bytes) {
    if (map->count == 0)
        return NULL;
    const struct map_entry *entry = &map->entries[find(map, key, key_bytes, hash64(key, key_bytes, 0))];
    return entry->key ? entry->value : NULL;
}

static int grow(struct map *map) {
    if (map->count < map->room / 4 * 3)
        return 0;
    struct map larger = {.count = map->count, .room = map->room ? map->room * 2 : FIRST_ROOM};
    larger.entries = mem_zalloc(larger.room, sizeof *larger.entries);
    if (!larger.entries)
        return -1;
    for (size_t i = 0; i < map->room; i++) {
        const struct map_entry *entry = &map->entries[i];
        if (entry->key)
            larger.entries[find(&larger, entry->key, entry->key_bytes, entry->hash)] = *entry;
    }
    mem_free(map->entries);
    *map = larger;
    return 0;
}

int map_set(struct map *map, const void *key, size_t key_bytes, void *value, void **ret_old) {
    if (grow(map) < 0)
        return -1;
    uint64_t hash = hash64(key, key_bytes, 0);
    struct map_entry *entry = &map->entries[find(map, key, key_bytes, hash)];
    void *old = entry->key ? entry->value : NULL;
    if (!entry->key) {
        char *copy = mem_dup(key, key_bytes);
        if (!copy)
            return -1;
        *entry = (struct map_entry){.key = copy, .key_bytes = key_bytes, .hash = hash};
        map->count++;
    }
    entry->value = value;
    if (ret_old)
        *ret_old = old;
    return 0;
}

/* Moves the entries behind a hole that could not be found any more, so that no tombstones are needed. */
static void close_hole(struct map *map, size_t hole) {
    size_t mask = map->room - 1;
    for (size_t at = (hole + 1) & mask; map->entries[at].key; at = (at + 1) & mask) {
        size_t home = (size_t)map->entries[at].hash & mask;
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            map->entries[hole] = map->entries[at];
            hole = at;
        }
    }
    map->entries[hole] = (struct map_entry){0};
}

void *map_remove(struct map *map, const void *key, size_t key_bytes) {
    if (map->count == 0)
        return NULL;
    size_t at = find(map, key, key_bytes, hash64(key, key_bytes, 0));
    if (!map->entries[at].key)
        return NULL;
    void *value = map->entries[at].value;
    mem_free(map->entries[at].key);
    close_hole(map, at);
    map->count--;
    return value;
}

struct map_entry *map_next(const struct map *map, size_t *position) {
    while (*position < map->room) {
        struct map_entry *entry = &map->entries[(*position)++];
        if (entry->key)
            return entry;
    }
    return NULL;
}

void vec_init(struct vec *vec) {
    *vec = (struct vec){0};
}

void vec_fini(struct vec *vec) {
    mem_free(vec->items);
    vec_init(vec);
}

int vec_push(struct vec *vec, void *item) {
    if (vec->count == vec->room) {
        size_t room = vec->room ? vec->room * 2 : FIRST_ROOM;
        void **items = mem_realloc(vec->items, room, sizeof *items);
        if (!items)
            return -1;
        vec->items = items;
        vec->room = room;
    }
    vec->items[vec->count++] = item;
    return 0;
}

void vec_remove(struct vec *vec, size_t index) {
    memmove(vec->items + index, vec->items + index + 1, (vec->count - index - 1) * sizeof *vec->items);
    vec->count--;
}
