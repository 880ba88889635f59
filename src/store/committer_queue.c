/* The committer's queue: batches come in, groups go out, and what became of them is counted. */
#include "store/committer_inside.h"

/* Under the lock. NULL when nothing waits. */
struct commit *committer_take_group(struct committer *committer) {
    struct commit *first = committer->first, *last = first;
    if (!first)
        return NULL;
    size_t bytes = batch_of_commit(first)->bytes;
    unsigned count = 1;
    for (; last->next && count < committer->setup.max_group; count++) {
        bytes += batch_of_commit(last->next)->bytes;
        if (bytes > committer->setup.max_group_bytes)
            break;
        last = last->next;
    }
    committer->first = last->next;
    last->next = NULL;
    for (struct commit *at = first; at; at = at->next)
        committer->queue_bytes -= batch_cost_bytes(batch_of_commit(at));
    pthread_cond_broadcast(&committer->moved);
    counters_begin_group(&committer->counters, count, first->added_ms);
    return first;
}

/* Before the batches are answered: who was answered finds himself counted. */
void committer_count_group(struct committer *committer, struct commit *first, int is_written) {
    int64_t now_ms = os_monotonic_ms(committer->setup.os);
    pthread_mutex_lock(&committer->lock);
    counters_end_group(&committer->counters, is_written, now_ms);
    for (struct commit *commit = first; commit; commit = commit->next)
        counters_count(&committer->counters, commit->code, &commit->error, batch_of_commit(commit)->bytes, now_ms);
    pthread_mutex_unlock(&committer->lock);
}

void committer_answer_failed(struct committer *committer, struct hf_batch *batch) {
    batch->commit.code = HF_ERR_FAILED;
    error_copy(&batch->commit.error, &committer->failure);
    error_wrap(&batch->commit.error, HF_ERR_FAILED, "commit");
    batch->commit.next = NULL;
    committer_count_group(committer, &batch->commit, 0);
    batch->commit.answered(batch);
}

/* Under the lock, which is let go of meanwhile. */
static void wait_for_room(struct committer *committer, size_t bytes) {
    while (committer->first && committer->queue_bytes + bytes > committer->setup.max_queue_bytes) {
        if (!committer->setup.without_thread) {
            pthread_cond_wait(&committer->moved, &committer->lock);
            continue;
        }
        pthread_mutex_unlock(&committer->lock);
        committer_pump(committer);
        pthread_mutex_lock(&committer->lock);
    }
}

void committer_add(struct committer *committer, struct hf_batch *batch) {
    struct commit *commit = &batch->commit;
    size_t bytes = batch_cost_bytes(batch);
    if (atomic_load(&committer->is_failed)) {
        committer_answer_failed(committer, batch);
        return;
    }
    commit->next = NULL;
    commit->added_ms = os_monotonic_ms(committer->setup.os);
    pthread_mutex_lock(&committer->lock);
    wait_for_room(committer, bytes);
    committer->queue_bytes += bytes;
    committer->counters.queued++;
    int was_empty = !committer->first;
    if (was_empty)
        committer->first = commit;
    else
        committer->last->next = commit;
    committer->last = commit;
    if (was_empty)
        pthread_cond_signal(&committer->wake);
    pthread_mutex_unlock(&committer->lock);
}
