/* How committing goes: what the committer counts, and what store_stats tells of it. */
#ifndef HF_STORE_STATS_H
#define HF_STORE_STATS_H

#include "holdfast.h"

/* Times are ages. */
struct store_stats {
    uint64_t commits;           /* groups that were made durable */
    uint64_t batches;           /* that were acknowledged; those that changed nothing too */
    uint64_t bytes;             /* of the documents in them */
    uint64_t refused;           /* for what they were: a condition, a document that is not JSON */
    uint64_t failures;          /* batches that the backend could not make durable */
    uint64_t queued;            /* batches that wait */
    int64_t oldest_ms;          /* that the first of them waits, or of those that are being committed; 0: none */
    int64_t last_commit_ms;     /* -1: nothing was made durable yet */
    int64_t failing_ms;         /* of the first failure that no commit followed; -1: none */
    int64_t last_failure_ms;    /* -1: never */
    struct hf_error last_error; /* of the newest failure that no commit followed; code 0: none */
};

/* Not thread-safe: the committer's lock is held. Moments of the monotonic clock; 0: never. */
struct counters {
    uint64_t commits, batches, bytes, refused, failures, queued;
    int64_t at_work_ms; /* since when the first batch of the group that is being committed waits */
    int64_t committed_at_ms, failing_from_ms, failed_at_ms;
    struct hf_error last_error;
};

void counters_begin_group(struct counters *counters, unsigned batches, int64_t first_added_ms);
void counters_end_group(struct counters *counters, int is_written, int64_t now_ms);
/* The answer that one batch of the group gets. */
void counters_count(struct counters *counters, int code, const struct hf_error *error, size_t bytes, int64_t now_ms);
/* first_waits_ms: since when the first of the queue waits. */
void counters_tell(const struct counters *counters, int64_t first_waits_ms, int64_t now_ms,
                   struct store_stats *ret_stats);

#endif
