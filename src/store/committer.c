/* The queue and the writer thread.
 *
 * Invariants
 *  1. Only the writer (or who pumps) calls the backend's writing functions.
 *  2. Every batch that was added is answered exactly once, in the order of the queue.
 *  3. The revision is published before the batches that made it are answered: who was answered can read what it wrote.
 *  4. Once FAILED, nothing more is written; `failure` does not change any more.
 *  5. A batch is not touched after `answered`: it may be gone.
 *  6. The queue's memory is bounded: who adds to a full one waits, but a batch that waits alone is taken at any size.
 */

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "store/committer_inside.h"

enum {
    MAX_GROUP = 1024,
    MAX_GROUP_BYTES = 16 << 20,
    MAX_QUEUE_BYTES = 64 << 20,
    TRIM_EVERY = 1024, /* commits */
    REST_AFTER_MS = 50,
};

/* ---- the writer's work ---- */

void committer_fail(struct committer *committer, const struct hf_error *error) {
    error_copy(&committer->failure, error);
    atomic_store(&committer->is_failed, 1);
}

static int answer(struct commit *first) {
    int count = 0;
    for (struct commit *next; first; first = next, count++) {
        next = first->next;
        first->answered(batch_of_commit(first));
    }
    return count;
}

static int answer_all_failed(struct committer *committer, struct commit *first) {
    int count = 0;
    for (struct commit *next; first; first = next, count++) {
        next = first->next;
        committer_answer_failed(committer, batch_of_commit(first));
    }
    return count;
}

static void trim_sometimes(struct committer *committer) {
    struct hf_error error = {0};
    if (committer->group.revision - committer->trimmed_at < TRIM_EVERY)
        return;
    committer->trimmed_at = committer->group.revision;
    if (group_trim(&committer->group, committer->setup.events_keep, &error) != 0)
        committer_fail(committer, &error);
}

/* Returns how many were answered. */
static int commit_group(struct committer *committer, struct commit *first) {
    struct hf_error error = {0};
    uint64_t before = committer->group.revision;
    if (atomic_load(&committer->is_failed))
        return answer_all_failed(committer, first);
    if (group_commit(&committer->group, first, &error) != 0)
        committer_fail(committer, &error);
    uint64_t revision = committer->group.revision;
    atomic_store(&committer->revision, revision);
    committer_count_group(committer, first, revision != before);
    int count = answer(first);
    if (revision != before && committer->setup.committed)
        committer->setup.committed(committer->setup.arg, revision);
    if (!atomic_load(&committer->is_failed))
        trim_sometimes(committer);
    return count;
}

static void rest(struct committer *committer) {
    struct hf_error error = {0};
    if (!atomic_load(&committer->is_failed) && group_rest(&committer->group, &error) != 0)
        committer_fail(committer, &error);
}

/* ---- the thread ---- */

/* Under the lock. */
static int has_work(const struct committer *committer) {
    return committer->first || committer->compactions || committer->stopping;
}

static struct timespec rest_time(void) {
    int64_t ns = os_now_ns(os_real(), OS_CLOCK_MONOTONIC) + REST_AFTER_MS * INT64_C(1000000);
    return (struct timespec){.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
}

/* Under the lock, with nothing waiting: waits for a batch or the end. After work it first waits a moment only, and lets
 * the backend do its idle work when nothing came. */
static void wait_for_work(struct committer *committer, int *rested) {
    if (*rested) {
        pthread_cond_wait(&committer->wake, &committer->lock);
        return;
    }
    struct timespec until = rest_time();
    while (!has_work(committer))
        if (pthread_cond_timedwait(&committer->wake, &committer->lock, &until) != 0)
            break;
    if (has_work(committer))
        return;
    *rested = 1;
    pthread_mutex_unlock(&committer->lock);
    rest(committer);
    pthread_mutex_lock(&committer->lock);
}

static void *write_until_stopped(void *arg) {
    struct committer *committer = arg;
    int rested = 1;
    pthread_mutex_lock(&committer->lock);
    for (;;) {
        struct compaction *compactions = committer_take_compactions(committer);
        struct commit *first = compactions ? NULL : committer_take_group(committer);
        if (compactions) {
            pthread_mutex_unlock(&committer->lock);
            committer_serve(committer, compactions);
            pthread_mutex_lock(&committer->lock);
        } else if (first) {
            pthread_mutex_unlock(&committer->lock);
            commit_group(committer, first);
            rested = 0;
            pthread_mutex_lock(&committer->lock);
        } else if (committer->stopping) {
            break;
        } else {
            wait_for_work(committer, &rested);
        }
    }
    pthread_mutex_unlock(&committer->lock);
    return NULL;
}

/* Signals are for the program's own threads. */
static int start_thread(struct committer *committer, struct hf_error *error) {
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int result = pthread_create(&committer->thread, NULL, write_until_stopped, committer);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return result == 0 ? 0 : error_set_errno(error, -result, "start the store's writer");
}

static void init_lock(struct committer *committer) {
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&committer->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_cond_init(&committer->moved, NULL);
    pthread_mutex_init(&committer->lock, NULL);
}

int committer_new(const struct committer_setup *setup, struct committer **ret_committer, struct hf_error *error) {
    struct committer *committer = MEM_NEW(struct committer);
    if (!committer)
        return error_set(error, HF_ERR_NO_MEMORY, "start the store's writer: memory is used up");
    committer->setup = *setup;
    if (setup->max_group == 0)
        committer->setup.max_group = MAX_GROUP;
    if (setup->max_group_bytes == 0)
        committer->setup.max_group_bytes = MAX_GROUP_BYTES;
    if (setup->max_queue_bytes == 0)
        committer->setup.max_queue_bytes = MAX_QUEUE_BYTES;
    committer->group = (struct group){.os = setup->os,
                                      .backend = setup->backend,
                                      .history = setup->history,
                                      .revision = setup->revision};
    committer->trimmed_at = setup->revision - setup->revision % TRIM_EVERY; /* short lives count together */
    atomic_init(&committer->revision, setup->revision);
    atomic_init(&committer->is_failed, 0);
    init_lock(committer);
    int code = setup->without_thread ? 0 : start_thread(committer, error);
    if (code != 0) {
        committer->setup.without_thread = 1;
        committer_free(&committer);
        return code;
    }
    *ret_committer = committer;
    return 0;
}

void committer_free(struct committer **committer) {
    struct committer *self = committer ? *committer : NULL;
    if (!self)
        return;
    if (self->setup.without_thread) {
        while (self->first)
            committer_pump(self);
    } else {
        pthread_mutex_lock(&self->lock);
        self->stopping = 1;
        pthread_cond_signal(&self->wake);
        pthread_mutex_unlock(&self->lock);
        pthread_join(self->thread, NULL);
    }
    pthread_cond_destroy(&self->wake);
    pthread_cond_destroy(&self->moved);
    pthread_mutex_destroy(&self->lock);
    mem_free(self);
    *committer = NULL;
}

int committer_pump(struct committer *committer) {
    pthread_mutex_lock(&committer->lock);
    struct commit *first = committer_take_group(committer);
    pthread_mutex_unlock(&committer->lock);
    if (first)
        return commit_group(committer, first);
    rest(committer);
    return 0;
}

uint64_t committer_revision(struct committer *committer) {
    return atomic_load(&committer->revision);
}

int committer_health(struct committer *committer, struct hf_error *error) {
    if (!atomic_load(&committer->is_failed))
        return 0;
    error_copy(error, &committer->failure);
    return HF_ERR_FAILED;
}

void committer_stats(struct committer *committer, struct store_stats *ret_stats) {
    pthread_mutex_lock(&committer->lock);
    int64_t first_ms = committer->first ? committer->first->added_ms : 0;
    counters_tell(&committer->counters, first_ms, os_monotonic_ms(committer->setup.os), ret_stats);
    pthread_mutex_unlock(&committer->lock);
}
