#include "store/stats.h"

#include "base/error.h"
#include "store/backend.h"

void counters_begin_group(struct counters *counters, unsigned batches, int64_t first_added_ms) {
    counters->queued -= batches;
    counters->at_work_ms = first_added_ms;
}

void counters_end_group(struct counters *counters, int is_written, int64_t now_ms) {
    counters->at_work_ms = 0;
    if (!is_written)
        return;
    counters->commits++;
    counters->committed_at_ms = now_ms;
    counters->failing_from_ms = 0;
    error_clear(&counters->last_error);
}

void counters_count(struct counters *counters, int code, const struct hf_error *error, size_t bytes, int64_t now_ms) {
    if (code == 0) {
        counters->batches++;
        counters->bytes += bytes;
    } else if (!store_code_is_soft(code) && code != HF_ERR_FAILED) {
        counters->refused++;
    } else {
        counters->failures++;
        counters->failed_at_ms = now_ms;
        counters->failing_from_ms = counters->failing_from_ms ? counters->failing_from_ms : now_ms;
        error_copy(&counters->last_error, error);
    }
}

static int64_t age_ms(int64_t since_ms, int64_t now_ms, int64_t never) {
    return since_ms ? now_ms - since_ms : never;
}

void counters_tell(const struct counters *counters, int64_t first_waits_ms, int64_t now_ms,
                   struct store_stats *ret_stats) {
    int64_t oldest_ms = counters->at_work_ms ? counters->at_work_ms : first_waits_ms;
    *ret_stats = (struct store_stats){
        .commits = counters->commits,
        .batches = counters->batches,
        .bytes = counters->bytes,
        .refused = counters->refused,
        .failures = counters->failures,
        .queued = counters->queued,
        .oldest_ms = age_ms(oldest_ms, now_ms, 0),
        .last_commit_ms = age_ms(counters->committed_at_ms, now_ms, -1),
        .failing_ms = age_ms(counters->failing_from_ms, now_ms, -1),
        .last_failure_ms = age_ms(counters->failed_at_ms, now_ms, -1),
        .last_error = counters->last_error,
    };
}
