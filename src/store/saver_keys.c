#include "store/saver_keys.h"

#include "base/hash.h"
#include "base/mem.h"

enum { FIRST_ROOM = 64, AHEAD = 12 };

uint64_t saver_key_hash_of(const char *kind, size_t kind_bytes, const char *id, size_t id_bytes) {
    char text[HF_KIND_MAX + 1 + HF_ID_MAX];
    memcpy(text, kind, kind_bytes);
    text[kind_bytes] = '/';
    memcpy(text + kind_bytes + 1, id, id_bytes);
    return hash64(text, kind_bytes + 1 + id_bytes, 0);
}

void saver_keys_fini(struct saver_keys *keys) {
    for (size_t i = 0; i < keys->room; i++)
        mem_free(keys->slots[i]);
    mem_free(keys->slots);
    *keys = (struct saver_keys){0};
}

struct saver_key *saver_keys_find(const struct saver_keys *keys, uint64_t hash, const char *kind, const char *id) {
    if (keys->count == 0)
        return NULL;
    for (size_t at = (size_t)hash & (keys->room - 1);; at = (at + 1) & (keys->room - 1)) {
        struct saver_key *key = keys->slots[at];
        if (!key || (key->hash == hash && strcmp(key->kind, kind) == 0 && strcmp(saver_key_id(key), id) == 0))
            return key;
    }
}

static void place(const struct saver_keys *keys, struct saver_key *key) {
    size_t at = (size_t)key->hash & (keys->room - 1);
    while (keys->slots[at])
        at = (at + 1) & (keys->room - 1);
    keys->slots[at] = key;
}

static int make_room(struct saver_keys *keys) {
    if (keys->count < keys->room / 4 * 3)
        return 0;
    struct saver_keys larger = {.count = keys->count, .room = keys->room ? keys->room * 2 : FIRST_ROOM};
    struct saver_key *key;
    size_t position = 0;
    larger.slots = mem_zalloc(larger.room, sizeof(struct saver_key *));
    if (!larger.slots)
        return -1;
    while ((key = saver_keys_next(keys, &position)))
        place(&larger, key);
    mem_free(keys->slots);
    *keys = larger;
    return 0;
}

struct saver_key *saver_keys_add(struct saver_keys *keys, uint64_t hash, const char *kind, const char *id) {
    size_t kind_bytes = strlen(kind), id_bytes = strlen(id);
    if (make_room(keys) != 0)
        return NULL;
    struct saver_key *key = mem_alloc(offsetof(struct saver_key, kind) + kind_bytes + id_bytes + 2);
    if (!key)
        return NULL;
    memset(key, 0, offsetof(struct saver_key, kind));
    key->hash = hash;
    key->kind_bytes = (uint8_t)kind_bytes;
    memcpy(key->kind, kind, kind_bytes + 1);
    memcpy(key->kind + kind_bytes + 1, id, id_bytes + 1);
    place(keys, key);
    keys->count++;
    return key;
}

/* Moves the keys behind a hole that could not be found any more, so that no tombstones are needed. */
void saver_keys_remove(struct saver_keys *keys, struct saver_key *key) {
    size_t mask = keys->room - 1, hole = (size_t)key->hash & mask;
    while (keys->slots[hole] != key)
        hole = (hole + 1) & mask;
    for (size_t at = (hole + 1) & mask; keys->slots[at]; at = (at + 1) & mask) {
        size_t home = (size_t)keys->slots[at]->hash & mask;
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            keys->slots[hole] = keys->slots[at];
            hole = at;
        }
    }
    keys->slots[hole] = NULL;
    keys->count--;
    mem_free(key);
}

struct saver_key *saver_keys_next(const struct saver_keys *keys, size_t *position) {
    while (*position < keys->room) {
        if (*position + AHEAD < keys->room)
            __builtin_prefetch(keys->slots[*position + AHEAD]);
        struct saver_key *key = keys->slots[(*position)++];
        if (key)
            return key;
    }
    return NULL;
}

void saver_keys_sweep(struct saver_keys *keys) {
    for (size_t at = 0; at < keys->room;)
        if (keys->slots[at] && saver_key_is_empty(keys->slots[at]))
            saver_keys_remove(keys, keys->slots[at]);
        else
            at++;
}

void saver_list_push(struct saver_list *list, struct saver_key *key) {
    key->next = NULL;
    if (list->first)
        list->last->next = key;
    else
        list->first = key;
    list->last = key;
}

struct saver_key *saver_list_pop(struct saver_list *list) {
    struct saver_key *key = list->first;
    if (key)
        list->first = key->next;
    return key;
}

void saver_list_move(struct saver_list *from, struct saver_list *to) {
    if (!from->first)
        return;
    if (to->first)
        to->last->next = from->first;
    else
        to->first = from->first;
    to->last = from->last;
    from->first = NULL;
}
