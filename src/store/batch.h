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

struct batch_change {
    enum hf_what what;
    struct hf_change_options options;
    const char *kind, *id;
    const char *json; /* NULL for a deletion */
    size_t json_bytes;
    uint8_t hash[HF_HASH_BYTES]; /* set by batch_prepare */
    struct batch_found found;
};

/* A batch on its way: in the queue, in a group, answered. */
struct commit {
    struct commit *next;
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
    size_t bytes; /* of all documents */
    char *who;    /* never NULL */
    struct commit commit;
};

static inline struct batch_change *batch_change_at(const struct hf_batch *batch, size_t index) {
    return batch->changes.items[index];
}

static inline struct hf_batch *batch_of_commit(struct commit *commit) {
    return (struct hf_batch *)((char *)commit - offsetof(struct hf_batch, commit));
}

/* Checks and hashes every document, with helping threads when there is much of it. In the caller's thread, so that
 * many callers do it at once. Then the changes of a large batch are put in the order of their keys: what is read
 * together comes to lie together. Errors: BAD_JSON, TOO_LARGE, NO_MEMORY. */
int batch_prepare(struct hf_batch *batch, const struct json_limits *limits, struct hf_error *error);

#endif
