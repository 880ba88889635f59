/* A batch, as its caller builds it and as the committer takes it. */
#ifndef HF_STORE_BATCH_H
#define HF_STORE_BATCH_H

#include "base/json.h"
#include "base/map.h"
#include "store/backend.h"

/* What the group found out about a change's record before it applied anything. */
struct batch_found {
    int exists;
    int is_same; /* a put of what is stored */
    uint64_t revision;
    int64_t created_ms;
};

/* Of a change that comes from another store: when it was made there, and by whom. */
struct batch_copied {
    const char *who; /* NULL: it is no copied change */
    int64_t created_ms, updated_ms;
    int is_version; /* goes to the history whatever the rules say, at a revision of its own */
    int is_later;   /* an earlier change of this batch has the key */
};

struct batch_change {
    enum hf_what what;
    struct batch_copied copied;
    struct hf_change_options options;
    const char *kind, *id;
    const char *json; /* NULL for a deletion */
    size_t json_bytes;
    uint8_t hash[HF_HASH_BYTES]; /* set by batch_prepare, unless is_hashed */
    int is_hashed;
    struct batch_found found;
};

/* A batch on its way: in the queue, in a group, answered. */
struct commit {
    struct commit *next;
    int64_t added_ms; /* to the queue; monotonic */
    int code;
    struct hf_commit_result result;
    struct hf_error error;
    void (*answered)(struct hf_batch *batch); /* may free the batch */
    hf_commit_done done;                      /* for `answered` */
    void *arg;
};

struct hf_batch {
    struct vec changes;               /* of struct batch_change; as they were added until batch_prepare */
    const struct batch_change *first; /* of those that were added; set by batch_prepare */
    struct map keys;
    size_t bytes;         /* of all documents */
    size_t bytes_to_hash; /* of those that batch_prepare has to hash */
    int is_copy;          /* its changes stand in the order in which they are to be made */
    char *who;            /* never NULL */
    struct commit commit;
};

static inline struct batch_change *batch_change_at(const struct hf_batch *batch, size_t index) {
    return batch->changes.items[index];
}

static inline struct hf_batch *batch_of_commit(struct commit *commit) {
    return (struct hf_batch *)((char *)commit - offsetof(struct hf_batch, commit));
}

/* A put (HF_ALWAYS) of a document that the caller has checked and hashed himself, by json_hash and with the store's
 * limits: it is not read again. Errors: those of hf_batch_put. */
int batch_put_hashed(struct hf_batch *batch, const char *kind, const char *id, const char *json, size_t json_bytes,
                     const uint8_t hash[HF_HASH_BYTES], struct hf_error *error);

/* Adds what another store has: a record, or a version of it (json NULL: a deletion). Of one key there may be several;
 * the condition is asked of the first. Errors: as hf_batch_put. */
int batch_copy(struct hf_batch *batch, const struct hf_record *record, int is_version,
               const struct hf_change_options *options, struct hf_error *error);

/* About the memory that it takes while it waits. */
static inline size_t batch_cost_bytes(const struct hf_batch *batch) {
    return sizeof *batch + batch->changes.count * 2 * sizeof(struct batch_change) + batch->bytes;
}

/* Checks and hashes every document, with helping threads when there is much of it. In the caller's thread, so that
 * many callers do it at once. Then the changes of a large batch are put in the order of their keys: what is read
 * together comes to lie together. Errors: BAD_JSON, TOO_LARGE, NO_MEMORY. */
int batch_prepare(struct hf_batch *batch, const struct json_limits *limits, struct hf_error *error);

#endif
