/* What becomes of a key when its save worked or failed. Called under the lock, but for saver_fail_item.
 *
 * Invariants
 *  1. A key of a job is settled exactly once: it is clean, or it waits again.
 *  2. What its item learned (the hashes of the text that was saved) is noted only when the store has acknowledged it.
 *  3. A mark that came after the key was taken leaves it marked: its generation is not the item's. */
#include <stdio.h>

#include "store/saver_inside.h"

enum { FAILED_IN_A_ROW = 3 /* batches: then the others are not tried */ };

static void note_saved(struct hf_saver *saver, const struct saver_item *item) {
    struct saver_key *key = item->key;
    struct hf_health *health = &saver->health;
    switch (item->outcome) {
    case SAVER_PUT:
        memcpy(key->document_hash, item->document_hash, sizeof key->document_hash);
        health->total_saves++;
        break;
    case SAVER_UNCHANGED:
        health->total_unchanged++;
        break;
    case SAVER_DELETE:
    case SAVER_DELETE_ALONE:
        health->total_deleted++;
        key->flags &= (uint16_t)~SAVER_KNOWN;
        return;
    default:
        key->flags &= (uint16_t)~SAVER_KNOWN;
        return;
    }
    key->flags |= SAVER_KNOWN;
    key->text_hash = item->text_hash;
    key->text_bytes = item->text_bytes;
}

void saver_settle(struct saver_job *job, struct saver_item *item) {
    struct hf_saver *saver = job->saver;
    struct saver_key *key = item->key;
    note_saved(saver, item);
    saver_answer(saver, key, item->generation, 0, NULL);
    if (key->generation == item->generation) {
        saver_clean_key(saver, key);
    } else {
        key->marked_ms = job->asked_ms;
        key->flags &= (uint16_t)~SAVER_BAD;
        saver_queue(saver, key);
    }
    item->outcome = SAVER_SETTLED;
}

void saver_give_back(struct hf_saver *saver, struct saver_key *key, uint32_t generation, const struct hf_error *error) {
    saver_answer(saver, key, generation, error->code, error);
    saver_queue(saver, key);
}

/* It was tried: it waits for the next try. */
static void settle_failed(struct saver_job *job, struct saver_item *item, const struct hf_error *error) {
    job->saver->health.total_errors++;
    saver_give_back(job->saver, item->key, item->generation, error);
    item->outcome = SAVER_SETTLED;
}

/* ---- failures ---- */

void saver_cycle_fail(struct saver_cycle *cycle, const struct hf_error *error, int is_store) {
    if (cycle->error.code == 0)
        error_copy(&cycle->error, error);
    cycle->store_fails |= is_store;
}

void saver_note_refused(struct saver_cycle *cycle) {
    if (++cycle->failed_in_a_row >= FAILED_IN_A_ROW && cycle->stop == SAVER_GO_ON)
        cycle->stop = SAVER_STOP_TRYING;
}

/* Locked. The store as a whole. */
void saver_fail_all(struct saver_job *job, const struct hf_error *reason) {
    struct hf_error error = *reason;
    const struct saver_key *first = job->items[0].key;
    if (job->count > 1)
        error_wrap(&error, error.code, "save '%s/%s' and %zu more", first->kind, saver_key_id(first), job->count - 1);
    else
        error_wrap(&error, error.code, "save '%s/%s'", first->kind, saver_key_id(first));
    saver_cycle_fail(job->cycle, &error, 1);
    job->cycle->stop = SAVER_STOP;
    if (error.code == HF_ERR_FAILED && !job->saver->has_stopped) {
        job->saver->has_stopped = 1;
        job->saver->stop_error = error;
    }
    for (size_t i = 0; i < job->count; i++)
        settle_failed(job, &job->items[i], &error);
}

/* Unlocked. is_bad: it is this document's own fault. */
void saver_fail_item(struct saver_job *job, struct saver_item *item, struct hf_error *error, int is_bad) {
    struct hf_saver *saver = job->saver;
    struct saver_notice notice = {.level = 0};
    struct saver_key *key = item->key;
    error_wrap(error, error->code, "save '%s/%s'", key->kind, saver_key_id(key));
    pthread_mutex_lock(&saver->lock);
    if (is_bad && !(key->flags & SAVER_BAD) && job->cycle->told++ < SAVER_TOLD_MAX) {
        notice.level = HF_WARNING;
        snprintf(notice.text, sizeof notice.text, "%s; it is tried again now and then", error->message);
    }
    if (is_bad)
        key->flags |= SAVER_BAD;
    else
        saver_note_refused(job->cycle);
    saver_cycle_fail(job->cycle, error, !is_bad);
    settle_failed(job, item, error);
    pthread_mutex_unlock(&saver->lock);
    saver_tell(saver, &notice);
}
