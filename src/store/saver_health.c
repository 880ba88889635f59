/* How saving goes, by the rules in holdfast.h. */
#include <stdio.h>

#include "store/saver_inside.h"

enum { WARNING_MS = 300 * 1000, CRITICAL_MS = 300 * 1000 };

static int64_t older(int64_t oldest, const struct saver_key *key) {
    return key->flags & SAVER_DIRTY && (oldest < 0 || key->marked_ms < oldest) ? key->marked_ms : oldest;
}

static int64_t oldest_of(const struct saver_list *list, int64_t oldest) {
    for (const struct saver_key *key = list->first; key; key = key->next)
        oldest = older(oldest, key);
    return oldest;
}

/* Locked. When the oldest change that is not saved was marked; -1: there is none. While a cycle runs its keys are in no
 * list that can be walked: all keys are looked at then. */
static int64_t oldest_unsaved(const struct hf_saver *saver) {
    int64_t oldest = -1;
    size_t position = 0;
    if (saver->health.dirty == 0)
        return -1;
    if (!saver->cycle) {
        oldest = oldest_of(&saver->urgent, oldest);
        oldest = oldest_of(&saver->standard, oldest);
        return oldest_of(&saver->bad, oldest);
    }
    for (const struct saver_key *key; (key = saver_keys_next(&saver->keys, &position));)
        oldest = older(oldest, key);
    return oldest;
}

static int64_t longer(int64_t a, int64_t b) {
    return a > b ? a : b;
}

static int is_critical(const struct hf_saver *saver, struct hf_health *health) {
    int64_t interval_ms = saver->options.interval_ms;
    if (saver->has_stopped)
        snprintf(health->message, sizeof health->message, "the store stopped: %s", health->last_error.message);
    else if (!health->thread_alive)
        snprintf(health->message, sizeof health->message, "the saver's thread ended");
    else if (health->oldest_unsaved_ms > longer(10 * interval_ms, CRITICAL_MS))
        snprintf(health->message, sizeof health->message, "a change has not been saved for %lld s",
                 (long long)health->oldest_unsaved_ms / 1000);
    else
        return 0;
    return 1;
}

static int is_warning(const struct hf_saver *saver, struct hf_health *health) {
    int64_t interval_ms = saver->options.interval_ms;
    if (health->oldest_unsaved_ms > longer(2 * interval_ms, WARNING_MS))
        snprintf(health->message, sizeof health->message, "a change has not been saved for %lld s",
                 (long long)health->oldest_unsaved_ms / 1000);
    else if (health->dirty > saver->options.critical_dirty)
        snprintf(health->message, sizeof health->message, "%llu changed documents wait to be saved",
                 (unsigned long long)health->dirty);
    else if (health->last_error.code != 0)
        snprintf(health->message, sizeof health->message, "the last save failed: %s", health->last_error.message);
    else if (health->error_rate_percent > 1)
        snprintf(health->message, sizeof health->message, "%.2f %% of all saves failed", health->error_rate_percent);
    else
        return 0;
    return 1;
}

/* Locked. */
static void measure(const struct hf_saver *saver, struct hf_health *health) {
    int64_t now = saver_now(saver), oldest = oldest_unsaved(saver);
    *health = saver->health;
    health->thread_alive = saver->without_thread || saver->thread_alive;
    health->oldest_unsaved_ms = oldest < 0 ? 0 : longer(now - oldest, 1);
    health->last_save_ms = saver->saved_ms < 0 ? -1 : longer(now - saver->saved_ms, 0);
    uint64_t saves = health->total_saves + health->total_deleted + health->total_errors;
    health->error_rate_percent = saves > 0 ? 100.0 * (double)health->total_errors / (double)saves : 0;
}

void hf_saver_health(struct hf_saver *saver, struct hf_health *ret_health) {
    struct hf_health health;
    pthread_mutex_lock(&saver->lock);
    measure(saver, &health);
    if (is_critical(saver, &health)) {
        health.status = HF_HEALTH_CRITICAL;
    } else if (is_warning(saver, &health)) {
        health.status = HF_HEALTH_WARNING;
    } else {
        health.status = HF_HEALTHY;
        snprintf(health.message, sizeof health.message, "%s", health.dirty > 0 ? "saving goes well" : "all is saved");
    }
    pthread_mutex_unlock(&saver->lock);
    *ret_health = health;
}
