/* One cycle: the keys that are due, in the order of keys, asked for and committed by some threads at once.
 *
 * Invariants
 *  1. One cycle at a time. A key that it took is TAKEN until it is settled or given back, and the cycle ends with none.
 *  2. What is in flight is bounded; asking goes on while the store writes.
 *  3. Nothing that was marked is forgotten, whatever fails: not even memory for the cycle itself. */
#include <signal.h>
#include <stdio.h>

#include "store/saver_inside.h"

enum {
    HELPERS_MAX = 63,
    OPEN_JOBS = 256,
    OPEN_BYTES = 32 << 20,
    BACKOFF_MS = 1000,
};

/* ---- asking and committing ---- */

/* Locked. */
static void fill(struct saver_job *job, size_t room) {
    struct hf_saver *saver = job->saver;
    struct saver_cycle *cycle = saver->cycle;
    while (cycle->open_jobs >= OPEN_JOBS || cycle->open_bytes >= OPEN_BYTES)
        pthread_cond_wait(&saver->changed, &saver->lock);
    while (job->count < room && cycle->stop == SAVER_GO_ON && !saver->stopping) {
        struct saver_key *key = saver_next_key(saver, cycle);
        if (!key)
            break;
        saver_job_take(job, key);
    }
}

/* No failure as long as another thread does what is left. */
static void note_no_memory(struct hf_saver *saver) {
    pthread_mutex_lock(&saver->lock);
    error_set(&saver->cycle->refusal, HF_ERR_NO_MEMORY, "save: memory is used up");
    pthread_mutex_unlock(&saver->lock);
}

static void *work(void *arg) {
    struct hf_saver *saver = arg;
    struct saver_scratch scratch;
    saver_scratch_init(&scratch, saver);
    for (;;) {
        struct saver_job *job = saver_job_new(saver, saver->options.batch);
        if (!job) {
            note_no_memory(saver);
            break;
        }
        pthread_mutex_lock(&saver->lock);
        fill(job, saver->options.batch);
        pthread_mutex_unlock(&saver->lock);
        if (job->count == 0) {
            mem_free(job);
            break;
        }
        saver_job_save(job, &scratch);
    }
    saver_scratch_fini(&scratch);
    return NULL;
}

/* No helper is no failure: this thread does all of it then. Signals are for the program's own threads. */
static void work_together(struct hf_saver *saver, size_t count) {
    pthread_t helpers[HELPERS_MAX];
    unsigned helping = 0;
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    while (helping + 1 < saver->threads && helping < HELPERS_MAX && count > (helping + 1) * saver->options.batch &&
           pthread_create(&helpers[helping], NULL, work, saver) == 0)
        helping++;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    work(saver);
    for (unsigned i = 0; i < helping; i++)
        pthread_join(helpers[i], NULL);
}

/* ---- those that were refused together ---- */

static void work_singly(struct hf_saver *saver) {
    struct saver_cycle *cycle = saver->cycle;
    struct saver_scratch scratch;
    struct saver_job *job = saver_job_new(saver, 1);
    if (!job) {
        note_no_memory(saver);
        return;
    }
    saver_scratch_init(&scratch, saver);
    for (;;) {
        pthread_mutex_lock(&saver->lock);
        struct saver_key *key = cycle->stop == SAVER_GO_ON && !saver->stopping ? saver_list_pop(&cycle->singly) : NULL;
        job->count = 0;
        if (key)
            saver_job_take(job, key);
        pthread_mutex_unlock(&saver->lock);
        if (!key)
            break;
        saver_job_save_alone(job, &scratch);
    }
    saver_scratch_fini(&scratch);
    mem_free(job);
}

/* Also after too many batches in a row: one large document may be all that does not fit. */
static void try_singly(struct hf_saver *saver) {
    struct saver_cycle *cycle = saver->cycle;
    pthread_mutex_lock(&saver->lock);
    while (cycle->open_jobs > 0)
        pthread_cond_wait(&saver->changed, &saver->lock);
    enum saver_stop stop = cycle->stop;
    int has_some = cycle->singly.first && stop != SAVER_STOP;
    if (has_some) {
        cycle->stop = SAVER_GO_ON;
        cycle->failed_in_a_row = 0;
    }
    pthread_mutex_unlock(&saver->lock);
    if (has_some)
        work_singly(saver);
}

/* ---- the end ---- */

static void give_back_list(struct hf_saver *saver, struct saver_list *list, const struct hf_error *error) {
    for (struct saver_key *key = saver_list_pop(list); key; key = saver_list_pop(list)) {
        key->flags &= (uint16_t)~SAVER_URGENT;
        saver_give_back(saver, key, key->generation, error);
    }
}

/* Locked. What was taken and not asked for, because something failed before it. */
static void give_back_rest(struct hf_saver *saver, struct saver_cycle *cycle) {
    struct hf_error error = cycle->error.code != 0 ? cycle->error : cycle->refusal;
    int has_rest = cycle->urgent.first || cycle->rest.first || cycle->singly.first || cycle->next < cycle->count;
    if (!has_rest)
        return;
    if (error.code == 0)
        error_set(&error, HF_ERR_CANCELLED, "save: the saver was given up");
    else
        saver_cycle_fail(cycle, &error, 1);
    give_back_list(saver, &cycle->urgent, &error);
    give_back_list(saver, &cycle->rest, &error);
    give_back_list(saver, &cycle->singly, &error);
    while (cycle->next < cycle->count)
        saver_list_push(&cycle->rest, cycle->items[cycle->next++].key);
    give_back_list(saver, &cycle->rest, &error);
}

static void say_failing(struct hf_saver *saver, const struct hf_error *error, struct saver_notice *notice) {
    notice->level = saver->has_stopped ? HF_CRITICAL : HF_WARNING;
    snprintf(notice->text, sizeof notice->text, "saving fails: %s; %llu changed documents wait%s", error->message,
             (unsigned long long)saver->health.dirty, saver->has_stopped ? "" : ", and it is tried again by itself");
}

/* Locked. Back-off doubles with each try that was due; urgent ones in between do not count. */
static void note_failing(struct hf_saver *saver, const struct hf_error *error, struct saver_notice *notice) {
    int64_t now = saver_now(saver);
    uint32_t longest_ms = saver->options.interval_ms;
    if (!saver->is_failing || saver->has_stopped)
        say_failing(saver, error, notice);
    if (!saver->is_failing)
        saver->backoff_ms = BACKOFF_MS;
    else if (now >= saver->retry_ms)
        saver->backoff_ms = saver->backoff_ms > longest_ms / 2 ? longest_ms : saver->backoff_ms * 2;
    if (saver->backoff_ms > longest_ms)
        saver->backoff_ms = longest_ms;
    if (!saver->is_failing || now >= saver->retry_ms)
        saver->retry_ms = now + saver->backoff_ms;
    saver->is_failing = 1;
}

static void note_working(struct hf_saver *saver, struct saver_notice *notice) {
    if (!saver->is_failing)
        return;
    saver->is_failing = 0;
    notice->level = HF_NOTICE;
    snprintf(notice->text, sizeof notice->text, "saving works again");
}

/* Locked. */
static void judge(struct hf_saver *saver, const struct saver_cycle *cycle, struct saver_notice *notice) {
    saver->health.save_cycles++;
    if (cycle->store_fails)
        note_failing(saver, &cycle->error, notice);
    else if (cycle->has_saved || saver->health.dirty == 0)
        note_working(saver, notice);
    if (cycle->error.code != 0)
        saver->health.last_error = cycle->error;
    else if (!saver->bad.first && !saver->is_failing)
        saver->health.last_error = (struct hf_error){0};
}

/* Locked. Those that wait for a cycle over everything. */
static void answer_flushes(struct saver_wait *flushes, const struct hf_error *error) {
    for (struct saver_wait *next; flushes; flushes = next) {
        next = flushes->next;
        flushes->code = error->code;
        if (error->code != 0)
            error_copy(flushes->error, error);
        flushes->is_done = 1;
        pthread_cond_signal(&flushes->done);
    }
}

/* Returns those who wait for this cycle. */
static struct saver_wait *begin(struct hf_saver *saver, struct saver_cycle *cycle, int everything) {
    pthread_mutex_lock(&saver->lock);
    while (saver->cycle)
        pthread_cond_wait(&saver->changed, &saver->lock);
    struct saver_wait *flushes = saver->flushes;
    saver->flushes = NULL;
    saver->cycle = cycle;
    saver->users++;
    if (saver->has_stopped)
        cycle->error = saver->stop_error;
    else
        saver_take_due(saver, cycle, everything || flushes);
    pthread_mutex_unlock(&saver->lock);
    return flushes;
}

/* Locked. Of the documents that cannot be saved only the first were named. */
static void sum_up(const struct saver_cycle *cycle, struct saver_notice *notice) {
    if (cycle->told <= SAVER_TOLD_MAX)
        return;
    notice->level = HF_WARNING;
    snprintf(notice->text, sizeof notice->text, "%u more documents cannot be saved", cycle->told - SAVER_TOLD_MAX);
}

static void end(struct hf_saver *saver, struct saver_cycle *cycle, struct saver_wait *flushes, int had_work) {
    struct saver_notice notice = {.level = 0}, pressure = {.level = 0}, bad = {.level = 0};
    pthread_mutex_lock(&saver->lock);
    give_back_rest(saver, cycle);
    if (had_work)
        judge(saver, cycle, &notice);
    saver_judge_pressure(saver, &pressure);
    sum_up(cycle, &bad);
    if (saver->has_stopped)
        saver_answer(saver, NULL, 0, HF_ERR_FAILED, &saver->stop_error);
    pthread_mutex_unlock(&saver->lock);
    saver_tell(saver, &bad);
    saver_tell(saver, &notice);
    saver_tell(saver, &pressure);
    mem_free(cycle->items);
    pthread_mutex_lock(&saver->lock);
    saver->cycle = NULL;
    saver_leave(saver);
    answer_flushes(flushes, &cycle->error);
    pthread_cond_broadcast(&saver->changed);
    pthread_mutex_unlock(&saver->lock);
}

int saver_cycle_run(struct hf_saver *saver, int everything) {
    struct saver_cycle cycle = {0};
    struct saver_wait *flushes = begin(saver, &cycle, everything);
    int has_work = cycle.count > 0 || cycle.urgent.first;
    if (has_work) {
        saver_put_in_order(&cycle);
        work_together(saver, cycle.count);
        try_singly(saver);
    }
    end(saver, &cycle, flushes, has_work);
    return has_work;
}
