/* What a store must hold: every change that was committed, with its revision. A store that comes back from a crash is
 * compared with the oracle at the revision it says it is at: exactly the batches up to there, each whole, and nothing
 * else. */
#ifndef HF_SIM_ORACLE_H
#define HF_SIM_ORACLE_H

#include "holdfast.h"

#include <stddef.h>
#include <stdint.h>

enum { ORACLE_TEXT = 512 };

struct oracle_row {
    uint64_t revision;
    enum hf_what what;
    char *kind, *id, *json; /* json NULL: a deletion */
    size_t json_bytes;
    uint8_t hash[HF_HASH_BYTES];
    uint32_t older; /* the row of the same key before this one, plus 1; 0: none */
};

struct oracle_keep {
    const char *kind;
    uint32_t keep;
};

struct oracle {
    struct oracle_row *rows; /* in the order of the revisions */
    size_t count, room;
    const struct oracle_keep *keeps; /* ended by kind NULL; may be NULL */
    uint64_t newest;
    uint32_t **records; /* by revision: the rows that are current, in the order (kind, id) */
    uint32_t *record_counts;
    uint32_t *row_counts; /* by revision: how many rows there are up to it */
};

void oracle_init(struct oracle *oracle, const struct oracle_keep *keeps);
void oracle_fini(struct oracle *oracle);
void oracle_add(struct oracle *oracle, uint64_t revision, enum hf_what what, const char *kind, const char *id,
                const char *json, size_t json_bytes);
void oracle_seal(struct oracle *oracle); /* after the last add, before the first compare */

/* The verifier's own commits go to this record, which the oracle knows of: {"base": the revision they began at,
 * "count": n}. */
#define ORACLE_AFTER_KIND "after"
#define ORACLE_AFTER_ID   "crash"
int oracle_commit_after(struct hf_store *store, uint64_t revision, char text[ORACLE_TEXT]);

/* The revision the store is at, or -1 with what is wrong in text. */
int64_t oracle_compare(const struct oracle *oracle, struct hf_store *store, char text[ORACLE_TEXT]);

/* Makes the store keep what the oracle expects it to. */
int oracle_set_keeps(const struct oracle *oracle, struct hf_store *store);

#endif
