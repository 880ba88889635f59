/* The keys that the saver knows: a hash table, and lists of those that wait. About 145 bytes for a key with an id of 36
 * bytes. */
#ifndef HF_STORE_SAVER_KEYS_H
#define HF_STORE_SAVER_KEYS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "holdfast.h"

enum saver_flag {
    SAVER_KNOWN = 1,     /* text and hash are those of what is stored */
    SAVER_FORGET = 2,    /* what is stored is damaged: not KNOWN any more from the next asking on */
    SAVER_DIRTY = 4,     /* marked and not saved */
    SAVER_URGENT = 8,    /* marked to be saved at once, and not asked for since */
    SAVER_TAKEN = 16,    /* belongs to a cycle; DIRTY and not TAKEN: it is in a list */
    SAVER_BAD = 32,      /* its document cannot be saved, and that was told */
    SAVER_WAITED = 64,   /* somebody waits for its save */
    SAVER_AUDITED = 128, /* belongs to an audit that asks for its document */
    SAVER_SEEN = 256,    /* the owner named it, or marked it, since the audit began */
    SAVER_LISTED = 512,  /* it is among those that the audit asks for */
};

struct saver_key {
    struct saver_key *next; /* in its list */
    void *tag;
    uint64_t hash;                        /* of "KIND/ID" */
    uint64_t text_hash;                   /* XXH3-64 of the text last saved */
    uint8_t document_hash[HF_HASH_BYTES]; /* of its canonical form */
    int64_t marked_ms;                    /* DIRTY: the first change that is not saved; monotonic */
    uint32_t text_bytes;
    uint32_t generation; /* moves with each mark */
    uint16_t flags;
    uint8_t kind_bytes;
    char kind[]; /* kind, NUL, id, NUL */
};

static inline const char *saver_key_id(const struct saver_key *key) {
    return key->kind + key->kind_bytes + 1;
}

struct saver_keys {
    struct saver_key **slots; /* open addressing; room is a power of two, a quarter of it is free */
    size_t count, room;
};
void saver_keys_fini(struct saver_keys *keys);
/* Of a key that is acceptable: XXH3 of "KIND/ID". */
uint64_t saver_key_hash_of(const char *kind, size_t kind_bytes, const char *id, size_t id_bytes);
static inline uint64_t saver_key_hash(const char *kind, const char *id) {
    return saver_key_hash_of(kind, strlen(kind), id, strlen(id));
}
struct saver_key *saver_keys_find(const struct saver_keys *keys, uint64_t hash, const char *kind, const char *id);
/* NULL when memory is used up. The key must not be there. */
struct saver_key *saver_keys_add(struct saver_keys *keys, uint64_t hash, const char *kind, const char *id);
void saver_keys_remove(struct saver_keys *keys, struct saver_key *key); /* frees it */
/* Walks in no order: start with *position = 0; NULL at the end. */
struct saver_key *saver_keys_next(const struct saver_keys *keys, size_t *position);
/* Removes the keys of which nothing is to be remembered. */
void saver_keys_sweep(struct saver_keys *keys);
static inline int saver_key_is_empty(const struct saver_key *key) {
    return (key->flags & (SAVER_KNOWN | SAVER_DIRTY | SAVER_TAKEN | SAVER_AUDITED)) == 0;
}

struct saver_list {
    struct saver_key *first, *last;
};
void saver_list_push(struct saver_list *list, struct saver_key *key);
struct saver_key *saver_list_pop(struct saver_list *list);            /* NULL when it is empty */
void saver_list_move(struct saver_list *from, struct saver_list *to); /* all of it, behind what is there */

#endif
