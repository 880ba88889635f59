/* The one thread that writes: batches wait in a queue, what waits together is committed together. */
#ifndef HF_STORE_COMMITTER_H
#define HF_STORE_COMMITTER_H

#include "store/batch.h"
#include "store/history.h"
#include "store/stats.h"

struct committer_setup {
    const struct os *os;
    struct store_backend *backend; /* borrowed; nobody else writes through it */
    struct history_rules *history; /* borrowed */
    uint64_t revision;             /* of the newest commit */
    uint64_t events_keep;
    unsigned max_group;     /* 0: 1,024 */
    size_t max_group_bytes; /* 0: 16 MiB */
    size_t max_queue_bytes; /* 0: 64 MiB */
    int without_thread;
    hf_store_changed committed; /* after each group that changed something, after its batches were answered */
    void *arg;
};

struct committer;
int committer_new(const struct committer_setup *setup, struct committer **ret_committer, struct hf_error *error);
void committer_free(struct committer **committer); /* commits what waits */

/* Hands over a prepared batch; batch->commit.answered is called once with commit.code, result and error filled: from
 * the writer thread, or from inside this call when the store has stopped. Waits for room while the batches in the queue
 * take max_queue_bytes (without_thread: commits some of them). Thread-safe. */
void committer_add(struct committer *committer, struct hf_batch *batch);

/* without_thread only: commits what waits as one group, or does the idle work when nothing waits. Returns how many
 * batches were answered. */
int committer_pump(struct committer *committer);

/* Has the writer compact between two groups, and waits for it. Thread-safe. */
int committer_compact(struct committer *committer, struct hf_compact_result *ret_result, struct hf_error *error);

uint64_t committer_revision(struct committer *committer);                         /* thread-safe */
int committer_health(struct committer *committer, struct hf_error *error);        /* thread-safe */
void committer_stats(struct committer *committer, struct store_stats *ret_stats); /* thread-safe */

#endif
