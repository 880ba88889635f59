/* A batch on its way: the owner is asked, texts are compared, what changed is committed.
 *
 * Invariants
 *  1. Every key of a job is settled or given back (saver_settle.c), or goes on to be tried alone: exactly one of them.
 *  2. What was lent is returned before the batch is handed over.
 *  3. A batch that is refused says nothing about its documents: they are tried one by one. */
#include "store/batch.h"
#include "store/saver_inside.h"

enum { JOB_BYTES = 4 << 20 /* a batch with more is cut */ };

struct saver_job *saver_job_new(struct hf_saver *saver, size_t room) {
    struct saver_job *job = mem_alloc(sizeof *job + room * sizeof job->items[0]);
    if (job)
        *job = (struct saver_job){.saver = saver, .cycle = saver->cycle};
    return job;
}

void saver_job_take(struct saver_job *job, struct saver_key *key) {
    while (key->flags & SAVER_AUDITED)
        pthread_cond_wait(&job->saver->changed, &job->saver->lock);
    if (key->flags & SAVER_FORGET)
        key->flags &= (uint16_t) ~(SAVER_FORGET | SAVER_KNOWN);
    key->flags |= SAVER_TAKEN;
    key->flags &= (uint16_t)~SAVER_URGENT;
    job->items[job->count++] = (struct saver_item){
        .key = key,
        .tag = key->tag,
        .generation = key->generation,
        .is_known = (key->flags & SAVER_KNOWN) != 0,
    };
}

/* ---- asking ---- */

/* 0: the document differs from what is stored; 1: it does not; or why it is none. */
static int compare(const struct saver_item *item, struct saver_scratch *scratch, const struct json_limits *limits,
                   const char *text, size_t bytes, uint8_t ret_hash[HF_HASH_BYTES], struct hf_error *error) {
    int code = json_hash(&scratch->json, &scratch->canonical, text, bytes, limits, ret_hash, error);
    if (code != 0)
        return code;
    return item->is_known && memcmp(ret_hash, item->key->document_hash, HF_HASH_BYTES) == 0;
}

static int look(const struct saver_job *job, struct saver_item *item, struct saver_scratch *scratch, const char *text,
                size_t bytes, struct hf_batch *batch, struct hf_error *error) {
    const struct saver_key *key = item->key;
    item->text_hash = hash64(text, bytes, 0);
    item->text_bytes = (uint32_t)bytes;
    item->outcome = SAVER_UNCHANGED;
    if (item->is_known && bytes == key->text_bytes && item->text_hash == key->text_hash)
        return 0;
    int result = compare(item, scratch, job->saver->limits, text, bytes, item->document_hash, error);
    if (result != 0)
        return result < 0 ? result : 0;
    item->outcome = SAVER_PUT;
    return batch_put_hashed(batch, key->kind, saver_key_id(key), text, bytes, item->document_hash, error);
}

static int look_deleted(struct saver_item *item, struct hf_batch *batch, int is_alone, struct hf_error *error) {
    item->outcome = item->is_known || is_alone ? SAVER_DELETE : SAVER_DELETE_ALONE;
    if (item->outcome == SAVER_DELETE_ALONE)
        return 0;
    return hf_batch_delete(batch, item->key->kind, saver_key_id(item->key), NULL, error);
}

/* Sets the item's outcome, and puts what is to be committed into the batch. */
static void ask(struct saver_job *job, struct saver_item *item, struct saver_scratch *scratch, struct hf_batch *batch,
                int is_alone) {
    const struct saver_key *key = item->key;
    const char *text = NULL;
    size_t bytes = 0;
    struct hf_error error = {0};
    int code = saver_ask(job->saver, key, item->tag, &scratch->document, &text, &bytes, &error);
    int is_owners = code != 0;
    if (code == 0)
        code = look(job, item, scratch, text, bytes, batch, &error);
    saver_return(job->saver, key, item->tag, &scratch->document);
    if (is_owners && code == HF_ERR_NOT_FOUND)
        code = look_deleted(item, batch, is_alone, &error);
    if (code != 0)
        saver_fail_item(job, item, &error, code != HF_ERR_NO_MEMORY);
}

/* ---- committing ---- */

/* From the store's writer, or from who waited for the commit. */
static void batch_done(void *arg, int code, const struct hf_commit_result *result, const struct hf_error *error) {
    struct saver_job *job = arg;
    struct hf_saver *saver = job->saver;
    struct saver_cycle *cycle = job->cycle;
    (void)result;
    pthread_mutex_lock(&saver->lock);
    cycle->open_jobs--;
    cycle->open_bytes -= job->bytes;
    saver->health.in_flight -= job->count;
    if (code == 0) {
        saver->saved_ms = saver_now(saver);
        cycle->has_saved = 1;
        cycle->failed_in_a_row = 0;
        for (size_t i = 0; i < job->count; i++)
            saver_settle(job, &job->items[i]);
    } else if (code == HF_ERR_FAILED || code == HF_ERR_IO) {
        saver_fail_all(job, error);
    } else {
        error_copy(&cycle->refusal, error);
        if (store_code_is_soft(code))
            saver_note_refused(cycle);
        for (size_t i = 0; i < job->count; i++)
            saver_list_push(&cycle->singly, job->items[i].key);
    }
    pthread_cond_broadcast(&saver->changed);
    pthread_mutex_unlock(&saver->lock);
    mem_free(job);
}

static void commit(struct saver_job *job, struct hf_batch **batch) {
    struct hf_saver *saver = job->saver;
    struct hf_error error = {0};
    job->bytes = (*batch)->bytes;
    pthread_mutex_lock(&saver->lock);
    job->cycle->open_jobs++;
    job->cycle->open_bytes += job->bytes;
    saver->health.in_flight += job->count;
    pthread_mutex_unlock(&saver->lock);
    if (!saver->without_thread) {
        hf_store_commit_async(saver->store, batch, batch_done, job);
        return;
    }
    int code = hf_store_commit(saver->store, batch, NULL, &error);
    batch_done(job, code, NULL, &error);
}

/* Keeps what the batch holds: what needs no commit is settled, what needs one of its own or was not asked for waits for
 * that. */
static void sort_out(struct saver_job *job) {
    struct saver_cycle *cycle = job->cycle;
    size_t kept = 0;
    pthread_mutex_lock(&job->saver->lock);
    for (size_t i = 0; i < job->count; i++) {
        struct saver_item *item = &job->items[i];
        if (item->outcome == SAVER_UNCHANGED)
            saver_settle(job, item);
        else if (item->outcome == SAVER_DELETE_ALONE)
            saver_list_push(&cycle->singly, item->key);
        else if (item->outcome == SAVER_OPEN)
            saver_list_push(&cycle->rest, item->key);
        else if (item->outcome != SAVER_SETTLED)
            job->items[kept++] = *item;
    }
    job->count = kept;
    pthread_mutex_unlock(&job->saver->lock);
}

void saver_job_save(struct saver_job *job, struct saver_scratch *scratch) {
    struct hf_batch *batch = NULL;
    struct hf_error error = {0};
    job->asked_ms = saver_now(job->saver);
    if (hf_batch_new(job->saver->options.who, &batch, &error) != 0) {
        for (size_t i = 0; i < job->count; i++)
            saver_fail_item(job, &job->items[i], &error, 0);
        mem_free(job);
        return;
    }
    for (size_t i = 0; i < job->count && batch->bytes < JOB_BYTES; i++)
        ask(job, &job->items[i], scratch, batch, 0);
    sort_out(job);
    if (job->count > 0)
        commit(job, &batch);
    else
        mem_free(job);
    hf_batch_free(&batch);
}

/* ---- one by one ---- */

/* The document's own fault, not the store's or the disk's. */
static int is_documents(int code) {
    return code == HF_ERR_BAD_JSON || code == HF_ERR_TOO_LARGE || code == HF_ERR_BAD_DATA || code == HF_ERR_BAD_ID ||
           code == HF_ERR_INVALID || code == HF_ERR_UNSAFE_PATH;
}

static void end_single(struct saver_job *job, int code, struct hf_error *error) {
    struct hf_saver *saver = job->saver;
    struct saver_item *item = &job->items[0];
    if (code == HF_ERR_NOT_FOUND && item->outcome == SAVER_DELETE)
        item->outcome = SAVER_DROPPED;
    else if (code != 0 && code != HF_ERR_FAILED && code != HF_ERR_IO)
        saver_fail_item(job, item, error, is_documents(code));
    pthread_mutex_lock(&saver->lock);
    if (code == HF_ERR_FAILED || code == HF_ERR_IO)
        saver_fail_all(job, error);
    if (code == 0 && item->outcome != SAVER_UNCHANGED) {
        saver->saved_ms = saver_now(saver);
        job->cycle->has_saved = 1;
        job->cycle->failed_in_a_row = 0;
    }
    if (item->outcome != SAVER_SETTLED)
        saver_settle(job, item);
    pthread_mutex_unlock(&saver->lock);
}

void saver_job_save_alone(struct saver_job *job, struct saver_scratch *scratch) {
    struct hf_batch *batch = NULL;
    struct hf_error error = {0};
    job->asked_ms = saver_now(job->saver);
    int code = hf_batch_new(job->saver->options.who, &batch, &error);
    if (code == 0) {
        ask(job, &job->items[0], scratch, batch, 1);
        if (job->items[0].outcome != SAVER_SETTLED && job->items[0].outcome != SAVER_UNCHANGED)
            code = hf_store_commit(job->saver->store, &batch, NULL, &error);
    }
    if (job->items[0].outcome != SAVER_SETTLED)
        end_single(job, code, &error);
    hf_batch_free(&batch);
}
