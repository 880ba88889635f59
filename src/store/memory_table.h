/* What the memory backend is made of: versions that never change and are counted, and a sorted table (a skip list) of
 * one slot per key. No locks here. */
#ifndef HF_STORE_MEMORY_TABLE_H
#define HF_STORE_MEMORY_TABLE_H

#include <stdatomic.h>

#include "store/backend.h"

/* A row of a record, of its history, or of the events (then without its document). */
struct version {
    atomic_uint users;
    enum hf_what what;
    struct hf_record *record;
    uint64_t checksum;     /* of the document's bytes */
    struct version *older; /* history: newest to oldest; events: both ways */
    struct version *newer;
};

struct version *version_new(const struct store_change *change, int with_document); /* used once; NULL: no memory */
struct version *version_use(struct version *version);
void version_drop(struct version *version); /* NULL does nothing */
int version_is_damaged(const struct version *version);

struct slot {
    const char *kind, *id;
    struct version *current; /* NULL: there is no record now */
    struct version *history; /* the newest */
    int height;
    struct slot *next[];
};

enum { TABLE_HEIGHT = 20 };

struct table {
    struct slot *first[TABLE_HEIGHT];
    uint64_t chance;
};

void table_init(struct table *table);
void table_fini(struct table *table);
struct slot *table_make_slot(struct table *table, const char *kind, const char *id); /* not in the table yet */
void slot_free(struct slot *slot);
void table_insert(struct table *table, struct slot *slot);
void table_remove(struct table *table, struct slot *slot);
struct slot *table_find(const struct table *table, const char *kind, const char *id);
/* The first slot behind (kind, id); id "" is in front of every id of the kind, kind "" in front of all. */
struct slot *table_behind(const struct table *table, const char *kind, const char *id);
static inline struct slot *table_next(const struct slot *slot) {
    return slot->next[0];
}

#endif
