/* What the parts of the committer share. */
#ifndef HF_STORE_COMMITTER_INSIDE_H
#define HF_STORE_COMMITTER_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>

#include "store/committer.h"
#include "store/group.h"

/* A compaction that somebody waits for. */
struct compaction {
    struct compaction *next;
    int is_done, code; /* under the lock */
    struct hf_compact_result result;
    struct hf_error error;
};

struct committer {
    struct committer_setup setup;
    struct group group;   /* the writer's */
    uint64_t trimmed_at;  /* the writer's: the revision of the last trim */
    pthread_mutex_t lock; /* of the queue, and of `stopping` */
    pthread_cond_t wake;  /* the writer */
    pthread_cond_t moved; /* who waits for room, or for a compaction */
    struct commit *first, *last;
    size_t queue_bytes;
    struct compaction *compactions;
    struct counters counters; /* under the lock */
    int stopping;
    pthread_t thread;
    atomic_uint_fast64_t revision;
    atomic_int is_failed;
    struct hf_error failure; /* set before is_failed */
};

void committer_fail(struct committer *committer, const struct hf_error *error); /* the writer's: for good */

/* committer_queue.c */
struct commit *committer_take_group(struct committer *committer); /* under the lock; NULL when nothing waits */
/* Before the batches are answered: who was answered finds himself counted. */
void committer_count_group(struct committer *committer, struct commit *first, int is_written);
void committer_answer_failed(struct committer *committer, struct hf_batch *batch);

/* committer_compact.c */
struct compaction *committer_take_compactions(struct committer *committer);  /* under the lock */
void committer_serve(struct committer *committer, struct compaction *first); /* all of them by one */

#endif
