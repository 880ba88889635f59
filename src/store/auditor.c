/* The auditor's thread, and whoever else runs its cycles.
 *
 * Invariants
 *  1. One cycle at a time: `audit` belongs to who holds `turn`.
 *  2. `lock` is held for moments only, never while something is read or written; who holds it takes no other lock. */
#include "store/auditor.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "store/audit.h"
#include "store/options.h"

enum { INTERVAL_MS = 10000, SHARDS = 5, SHARDS_MAX = 1000 };

struct hf_auditor {
    struct hf_auditor_options options; /* with the defaults filled in */
    const struct os *os;
    pthread_mutex_t turn;
    struct audit audit;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t wake;
    int stopping;
    int64_t due_ms; /* monotonic */
    struct auditor_stats stats;
    pthread_t thread;
    int has_thread;
};

/* ---- cycles ---- */

static void count(struct hf_auditor *auditor, const struct hf_audit_result *result, const struct hf_error *error) {
    pthread_mutex_lock(&auditor->lock);
    struct auditor_stats *stats = &auditor->stats;
    stats->totals.audited += result->audited;
    stats->totals.checked += result->checked;
    stats->totals.findings += result->findings;
    stats->totals.cycles += result->cycles;
    stats->open = auditor->audit.log.open;
    stats->reported = auditor->audit.log.reported;
    stats->structure = auditor->audit.log.structure;
    stats->rows = auditor->audit.rows;
    stats->last_at_ms = os_wall_ms(auditor->os);
    error_copy(&stats->last_error, error);
    pthread_mutex_unlock(&auditor->lock);
}

/* In the caller's turn. */
static int run(struct hf_auditor *auditor, int every_shard, struct hf_audit_result *ret_result,
               struct hf_error *error) {
    struct hf_audit_result result = {0};
    struct hf_error found = {0};
    int code =
        every_shard ? audit_round(&auditor->audit, &result, &found) : audit_shard(&auditor->audit, &result, &found);
    count(auditor, &result, &found);
    error_copy(error, &found);
    if (code == 0 && ret_result)
        *ret_result = result;
    return code;
}

int hf_auditor_run(struct hf_auditor *auditor, int every_shard, struct hf_audit_result *ret_result,
                   struct hf_error *error) {
    pthread_mutex_lock(&auditor->turn);
    int code = run(auditor, every_shard, ret_result, error);
    pthread_mutex_unlock(&auditor->turn);
    return code == 0 ? 0 : error_wrap(error, code, "audit");
}

/* Said when it begins: what cannot be read now cannot be read in the next cycle either. */
static void tell_failure(struct hf_auditor *auditor, const struct hf_error *error) {
    struct hf_finding finding = {.what = "unverifiable", .text = error->message, .action = "reported"};
    if (auditor->options.found)
        auditor->options.found(auditor->options.arg, &finding);
}

static void run_due_cycle(struct hf_auditor *auditor) {
    struct hf_error error = {0};
    struct auditor_stats before;
    pthread_mutex_lock(&auditor->turn);
    auditor_stats(auditor, &before);
    if (run(auditor, 0, NULL, &error) != 0 && before.last_error.code != error.code)
        tell_failure(auditor, &error);
    pthread_mutex_unlock(&auditor->turn);
}

/* ---- time ---- */

static int64_t wait_ms(struct hf_auditor *auditor) {
    int64_t now_ms = os_monotonic_ms(auditor->os);
    pthread_mutex_lock(&auditor->lock);
    int64_t wait = auditor->due_ms > now_ms ? auditor->due_ms - now_ms : 0;
    pthread_mutex_unlock(&auditor->lock);
    return wait;
}

static void set_due(struct hf_auditor *auditor) {
    int64_t now_ms = os_monotonic_ms(auditor->os);
    pthread_mutex_lock(&auditor->lock);
    auditor->due_ms = now_ms + auditor->options.interval_ms;
    pthread_mutex_unlock(&auditor->lock);
}

int64_t auditor_step(struct hf_auditor *auditor) {
    if (wait_ms(auditor) == 0) {
        run_due_cycle(auditor);
        set_due(auditor);
    }
    return wait_ms(auditor);
}

/* 0 when the auditor shall end. */
static int sleep_ms(struct hf_auditor *auditor, int64_t ms) {
    int64_t ns = os_now_ns(os_real(), OS_CLOCK_MONOTONIC) + ms * INT64_C(1000000);
    struct timespec until = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
    pthread_mutex_lock(&auditor->lock);
    while (!auditor->stopping && pthread_cond_timedwait(&auditor->wake, &auditor->lock, &until) == 0)
        continue;
    int goes_on = !auditor->stopping;
    pthread_mutex_unlock(&auditor->lock);
    return goes_on;
}

static void *audit_until_stopped(void *arg) {
    struct hf_auditor *auditor = arg;
    while (sleep_ms(auditor, auditor_step(auditor)))
        continue;
    return NULL;
}

/* ---- opening and closing ---- */

static int take_options(const struct hf_auditor_options *options, struct hf_auditor_options *ret_options,
                        struct hf_error *error) {
    struct hf_auditor_options filled = {0};
    int code = options_take(options, &filled, sizeof filled, error);
    if (code != 0)
        return code;
    if (filled.shards > SHARDS_MAX)
        return error_set(error, HF_ERR_INVALID, "shards is %u, and at most %d are possible", filled.shards, SHARDS_MAX);
    filled.shards = filled.shards ? filled.shards : SHARDS;
    filled.interval_ms = filled.interval_ms ? filled.interval_ms : INTERVAL_MS;
    if (filled.not_stored && !filled.saver)
        return error_set(error, HF_ERR_INVALID, "there is nothing to look at: not_stored is set, and saver is not");
    *ret_options = filled;
    return 0;
}

static void init_locks(struct hf_auditor *auditor) {
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&auditor->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&auditor->lock, NULL);
    pthread_mutex_init(&auditor->turn, NULL);
}

/* Signals are for the program's own threads. */
static int start_thread(struct hf_auditor *auditor, struct hf_error *error) {
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int result = pthread_create(&auditor->thread, NULL, audit_until_stopped, auditor);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    auditor->has_thread = result == 0;
    return result == 0 ? 0 : error_set_errno(error, -result, "start its thread");
}

int auditor_open(struct hf_store *store, const struct hf_auditor_options *options, const struct auditor_setup *setup,
                 struct hf_auditor **ret_auditor, struct hf_error *error) {
    struct hf_auditor_options filled;
    int code = take_options(options, &filled, error);
    if (code != 0)
        return error_wrap(error, code, "open auditor");
    struct hf_auditor *auditor = MEM_NEW(struct hf_auditor);
    if (!auditor)
        return error_set(error, HF_ERR_NO_MEMORY, "open auditor: memory is used up");
    auditor->options = filled;
    auditor->os = setup->os ? setup->os : store_os(store);
    audit_init(&auditor->audit, store, &filled);
    init_locks(auditor);
    set_due(auditor);
    code = setup->without_thread ? 0 : start_thread(auditor, error);
    if (code != 0) {
        hf_auditor_close(&auditor);
        return error_wrap(error, code, "open auditor");
    }
    *ret_auditor = auditor;
    return 0;
}

int hf_auditor_open(struct hf_store *store, const struct hf_auditor_options *options, struct hf_auditor **ret_auditor,
                    struct hf_error *error) {
    struct auditor_setup setup = {0};
    if (options && options->struct_bytes >= offsetof(struct hf_auditor_options, shards))
        setup.without_thread = options->interval_ms == UINT32_MAX;
    return auditor_open(store, options, &setup, ret_auditor, error);
}

void hf_auditor_close(struct hf_auditor **auditor) {
    struct hf_auditor *self = auditor ? *auditor : NULL;
    if (!self)
        return;
    atomic_store(&self->audit.is_stopping, 1);
    pthread_mutex_lock(&self->lock);
    self->stopping = 1;
    pthread_cond_signal(&self->wake);
    pthread_mutex_unlock(&self->lock);
    if (self->has_thread)
        pthread_join(self->thread, NULL);
    audit_fini(&self->audit);
    pthread_cond_destroy(&self->wake);
    pthread_mutex_destroy(&self->lock);
    pthread_mutex_destroy(&self->turn);
    mem_free(self);
    *auditor = NULL;
}

void auditor_stats(struct hf_auditor *auditor, struct auditor_stats *ret_stats) {
    pthread_mutex_lock(&auditor->lock);
    *ret_stats = auditor->stats;
    pthread_mutex_unlock(&auditor->lock);
}

void hf_auditor_totals(struct hf_auditor *auditor, struct hf_audit_result *ret_totals) {
    struct auditor_stats stats;
    auditor_stats(auditor, &stats);
    *ret_totals = stats.totals;
}
