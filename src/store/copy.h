/* Between the parts of hf_store_copy. */
#ifndef HF_STORE_COPY_H
#define HF_STORE_COPY_H

#include <pthread.h>
#include <stdio.h>

#include "base/json.h"
#include "base/mem.h"
#include "store/batch.h"

enum {
    COPY_CHUNK_RECORDS = 1000,
    COPY_CHUNK_BYTES = 4 << 20,
    COPY_UNDER_WAY = 3, /* batches that are committed while the next one is read */
    COPY_STOP = 1,      /* of a visit: the chunk is full */
};

struct copy {
    struct hf_store *from, *to;
    struct hf_copy_options options;
    struct hf_copy_result result;
    int is_to_empty;
    int is_rest_told;   /* the old store has rows without a name */
    uint64_t newest;    /* revision of all that was read to be copied; what is newer came later */
    uint64_t copied_at; /* revision of the new store behind the last commit */
    struct hf_batch *batch;
    struct json_doc doc;
    struct buf scratch;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t answered;
    unsigned under_way;
    struct hf_error commit_error; /* the first */
};

/* A record of the old store; `code` is what the walk gave it with. */
struct copy_row {
    struct hf_record *record;
    int code;
};

struct copy_chunk {
    struct vec rows; /* of struct copy_row */
    size_t bytes;
    int is_last;
    char after[HF_KIND_MAX + HF_ID_MAX + 2];
};

/* What the new store has under a key, and the condition that holds as long as that does not change. */
struct copy_there {
    int exists, is_same;
    struct hf_change_options condition;
};

/* Adds to the batch, which is committed when it is full. */
int copy_write(struct copy *copy, const struct hf_record *record, int is_version,
               const struct hf_change_options *options, struct hf_error *error);
/* 0 when the copy may go on without it; otherwise CORRUPT. */
int copy_go_round(struct copy *copy, const struct hf_record *record, const char *what, const char *text,
                  struct hf_error *error);
/* CONFLICT, unless it may be overwritten. */
int copy_refuse_other(const struct copy *copy, const struct hf_record *record, struct hf_error *error);

/* copy_history.c: the record behind its kept versions */
int copy_with_versions(struct copy *copy, const struct hf_record *record, const struct copy_there *there,
                       struct hf_error *error);
/* Whether both stores have the same versions of it. */
int copy_verify_versions(struct copy *copy, const struct hf_record *record, int *ret_is_same, struct hf_error *error);

/* copy_verify.c */
int copy_verify_row(struct copy *copy, const struct copy_row *row, struct hf_error *error);

#endif
