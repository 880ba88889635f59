/* A compaction is the writer's: whoever wants one waits until it was done between two groups. */
#include "store/committer_inside.h"

/* Answers whoever waits for a compaction. All of them are served by one. */
void committer_serve(struct committer *committer, struct compaction *first) {
    struct hf_compact_result result = {0};
    struct hf_error error = {0};
    int code = committer_health(committer, &error);
    if (code == 0) {
        code = group_compact(&committer->group, &result, &error);
        if (code == HF_ERR_FAILED)
            committer_fail(committer, &error);
    }
    pthread_mutex_lock(&committer->lock);
    for (struct compaction *at = first, *next; at; at = next) {
        next = at->next;
        at->code = code;
        at->result = result;
        error_copy(&at->error, &error);
        at->is_done = 1;
    }
    pthread_cond_broadcast(&committer->moved);
    pthread_mutex_unlock(&committer->lock);
}

/* Under the lock. */
struct compaction *committer_take_compactions(struct committer *committer) {
    struct compaction *first = committer->compactions;
    committer->compactions = NULL;
    return first;
}

int committer_compact(struct committer *committer, struct hf_compact_result *ret_result, struct hf_error *error) {
    struct compaction own = {.code = 0};
    if (committer->setup.without_thread) {
        committer_serve(committer, &own);
    } else {
        pthread_mutex_lock(&committer->lock);
        own.next = committer->compactions;
        committer->compactions = &own;
        pthread_cond_signal(&committer->wake);
        while (!own.is_done)
            pthread_cond_wait(&committer->moved, &committer->lock);
        pthread_mutex_unlock(&committer->lock);
    }
    if (own.code != 0)
        error_copy(error, &own.error);
    else if (ret_result)
        *ret_result = own.result;
    return own.code;
}
