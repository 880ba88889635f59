/* Marks: from clean to dirty and back, the lists of those that wait, and what is told when there are many. */
#include <stdio.h>

#include "store/key.h"
#include "store/saver_inside.h"

enum { BAD_RETRY_MS = 1000 }; /* at least */

/* ---- back-pressure ---- */

void saver_tell(const struct hf_saver *saver, const struct saver_notice *notice) {
    if (notice->level != 0 && saver->options.notice)
        saver->options.notice(saver->options.arg, notice->level, notice->text);
}

static enum hf_notice_level pressure_of(const struct hf_saver *saver) {
    if (saver->health.dirty > saver->options.critical_dirty)
        return HF_CRITICAL;
    return saver->health.dirty > saver->options.warning_dirty ? HF_WARNING : 0;
}

void saver_judge_pressure(struct hf_saver *saver, struct saver_notice *notice) {
    enum hf_notice_level now = pressure_of(saver), before = saver->pressure;
    unsigned long long dirty = saver->health.dirty;
    if (now == before || (saver->quiet > 0 && now > before))
        return;
    saver->pressure = now;
    if (now > before) {
        notice->level = now;
        snprintf(notice->text, sizeof notice->text, "%llu changed documents wait to be saved%s", dirty,
                 now == HF_CRITICAL ? ": saving does not keep up" : "");
    } else if (now == 0) {
        notice->level = HF_NOTICE;
        snprintf(notice->text, sizeof notice->text, "the backlog is gone: %llu changed documents wait to be saved",
                 dirty);
    }
}

/* ---- one key ---- */

static void count_dirty(struct hf_saver *saver, const struct saver_key *key, int by) {
    saver->health.dirty += (uint64_t)by;
    if (strcmp(key->kind, "settings") == 0)
        saver->health.dirty_settings += (uint64_t)by;
}

static void hurry(struct hf_saver *saver, enum saver_hurry hurry) {
    if (saver->hurry < hurry)
        saver->hurry = hurry;
    pthread_cond_signal(&saver->wake);
}

/* Whoever changes when something is due wakes the thread; nobody else does. */
static void set_due(struct hf_saver *saver, int64_t *due_ms, int64_t to_ms) {
    *due_ms = to_ms;
    pthread_cond_signal(&saver->wake);
}

void saver_queue(struct hf_saver *saver, struct saver_key *key) {
    int64_t due_ms = key->marked_ms + saver->options.interval_ms;
    key->flags &= (uint16_t)~SAVER_TAKEN;
    if (key->flags & SAVER_URGENT) {
        saver_list_push(&saver->urgent, key);
        hurry(saver, SAVER_HURRY_URGENT);
    } else if (key->flags & SAVER_BAD) {
        if (!saver->bad.first) {
            uint32_t wait_ms = saver->options.interval_ms;
            wait_ms = wait_ms > BAD_RETRY_MS ? wait_ms : BAD_RETRY_MS;
            set_due(saver, &saver->bad_due_ms, saver_now(saver) + wait_ms);
        }
        saver_list_push(&saver->bad, key);
    } else {
        if (!saver->standard.first || due_ms < saver->standard_due_ms)
            set_due(saver, &saver->standard_due_ms, due_ms);
        saver_list_push(&saver->standard, key);
    }
}

void saver_mark_key(struct hf_saver *saver, struct saver_key *key, enum hf_urgency urgency) {
    int is_urgent = urgency == HF_URGENT;
    key->generation++;
    if (saver->is_auditing)
        key->flags |= SAVER_SEEN;
    if (is_urgent && ((key->flags & SAVER_TAKEN) || !(key->flags & SAVER_DIRTY)))
        key->flags |= SAVER_URGENT;
    if (!(key->flags & SAVER_DIRTY)) {
        key->flags |= SAVER_DIRTY;
        key->marked_ms = saver_now(saver);
        count_dirty(saver, key, 1);
        saver_queue(saver, key);
    } else if (is_urgent && !(key->flags & (SAVER_TAKEN | SAVER_URGENT))) {
        hurry(saver, SAVER_HURRY_ALL); /* it waits among the others */
    }
}

void saver_clean_key(struct hf_saver *saver, struct saver_key *key) {
    key->flags &= (uint16_t) ~(SAVER_DIRTY | SAVER_TAKEN | SAVER_BAD | SAVER_URGENT);
    count_dirty(saver, key, -1);
    if (saver_key_is_empty(key))
        saver->has_garbage = 1;
}

void saver_leave(struct hf_saver *saver) {
    if (--saver->users > 0 || !saver->has_garbage)
        return;
    saver->has_garbage = 0;
    saver_keys_sweep(&saver->keys);
}

int saver_find_or_add(struct hf_saver *saver, const char *kind, const char *id, struct saver_key **ret_key,
                      struct hf_error *error) {
    uint64_t hash = saver_key_hash(kind, id);
    struct saver_key *key = saver_keys_find(&saver->keys, hash, kind, id);
    if (!key)
        key = saver_keys_add(&saver->keys, hash, kind, id);
    if (!key)
        return error_no_memory(error);
    *ret_key = key;
    return 0;
}

/* ---- the public side ---- */

/* Locked. HF_COMMIT: until the save that this mark asked for was answered. */
static int wait_for_save(struct hf_saver *saver, struct saver_key *key, struct hf_error *error) {
    struct saver_wait wait = {.next = saver->waits, .key = key, .generation = key->generation, .error = error};
    pthread_cond_init(&wait.done, NULL);
    saver->waits = &wait;
    key->flags |= SAVER_WAITED;
    if (saver->without_thread) {
        pthread_mutex_unlock(&saver->lock);
        saver_cycle_run(saver, 0);
        pthread_mutex_lock(&saver->lock);
    }
    while (!wait.is_done)
        pthread_cond_wait(&wait.done, &saver->lock);
    pthread_cond_destroy(&wait.done);
    return wait.code;
}

/* Locked. */
static int mark(struct hf_saver *saver, const char *kind, const char *id, void *tag, enum hf_urgency urgency,
                struct saver_notice *notice, struct hf_error *error) {
    struct saver_key *key;
    int is_commit = saver->options.durability == HF_COMMIT;
    int code = saver_find_or_add(saver, kind, id, &key, error);
    if (code != 0)
        return code;
    key->tag = tag;
    saver_mark_key(saver, key, is_commit ? HF_URGENT : urgency);
    saver_judge_pressure(saver, notice);
    if (is_commit && saver->has_stopped) {
        error_copy(error, &saver->stop_error);
        return HF_ERR_FAILED;
    }
    return is_commit ? wait_for_save(saver, key, error) : 0;
}

int hf_saver_mark(struct hf_saver *saver, const char *kind, const char *id, void *tag, enum hf_urgency urgency,
                  struct hf_error *error) {
    struct saver_notice notice = {.level = 0};
    int code = key_check(kind, id, error);
    if (code == 0) {
        pthread_mutex_lock(&saver->lock);
        code = mark(saver, kind, id, tag, urgency, &notice, error);
        pthread_mutex_unlock(&saver->lock);
        saver_tell(saver, &notice);
    }
    return code == 0 ? 0 : error_wrap(error, code, "mark '%s/%s'", kind ? kind : "", id ? id : "");
}

int saver_mark_held(struct hf_saver *saver, const char *kind, const char *id) {
    int code = key_check(kind, id, NULL);
    if (code != 0)
        return code;
    pthread_mutex_lock(&saver->lock);
    struct saver_key *key = saver_keys_find(&saver->keys, saver_key_hash(kind, id), kind, id);
    if (key && key->flags & (SAVER_KNOWN | SAVER_DIRTY)) {
        key->flags |= SAVER_FORGET;
        saver_mark_key(saver, key, saver->options.durability == HF_COMMIT ? HF_URGENT : HF_STANDARD);
    } else {
        code = HF_ERR_NOT_FOUND;
    }
    pthread_mutex_unlock(&saver->lock);
    return code;
}
