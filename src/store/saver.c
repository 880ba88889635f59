/* The saver's beginning, its thread and its end; who waits, and how what he waits for reaches him.
 *
 * Invariants
 *  1. A mark is remembered before hf_saver_mark returns, and forgotten only when the store has acknowledged a text that
 *     was asked for after it.
 *  2. The owner is never called under the lock, nor is the store.
 *  3. Nothing wakes the thread but what there is to do: a mark, a moment that comes, the end. */
#include <signal.h>
#include <unistd.h>

#include "store/saver_inside.h"
#include "store/options.h"

enum { INTERVAL_MS = 10000, BATCH = 50, BATCH_MAX = 100000, THREADS = 20, WARNING_DIRTY = 500, CRITICAL_DIRTY = 1000 };

/* ---- waiting ---- */

void saver_answer(struct hf_saver *saver, struct saver_key *key, uint32_t generation, int code,
                  const struct hf_error *error) {
    int has_more = 0;
    if (key && !(key->flags & SAVER_WAITED))
        return;
    for (struct saver_wait **at = &saver->waits; *at;) {
        struct saver_wait *wait = *at;
        if (key && (wait->key != key || (int32_t)(generation - wait->generation) < 0)) {
            has_more |= wait->key == key;
            at = &wait->next;
            continue;
        }
        *at = wait->next;
        wait->code = code;
        if (code != 0)
            error_copy(wait->error, error);
        wait->is_done = 1;
        pthread_cond_signal(&wait->done);
    }
    if (key && !has_more)
        key->flags &= (uint16_t)~SAVER_WAITED;
}

/* As on the real clock: a condition knows no other. */
static void wait_ms(struct hf_saver *saver, int64_t ms) {
    int64_t ns = os_now_ns(os_real(), OS_CLOCK_MONOTONIC) + ms * INT64_C(1000000);
    struct timespec until = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
    pthread_cond_timedwait(&saver->wake, &saver->lock, &until);
}

static void *save_until_stopped(void *arg) {
    struct hf_saver *saver = arg;
    pthread_mutex_lock(&saver->lock);
    while (!saver->stopping) {
        int64_t due_ms = saver_due(saver, saver_now(saver));
        if (due_ms == 0) {
            pthread_mutex_unlock(&saver->lock);
            saver_cycle_run(saver, 0);
            pthread_mutex_lock(&saver->lock);
        } else if (due_ms > 0) {
            wait_ms(saver, due_ms);
        } else {
            pthread_cond_wait(&saver->wake, &saver->lock);
        }
    }
    saver->thread_alive = 0;
    pthread_mutex_unlock(&saver->lock);
    return NULL;
}

int saver_step(struct hf_saver *saver) {
    return saver_due_in_ms(saver) == 0 ? saver_cycle_run(saver, 0) : 0;
}

int64_t saver_due_in_ms(struct hf_saver *saver) {
    pthread_mutex_lock(&saver->lock);
    int64_t due_ms = saver_due(saver, saver_now(saver));
    pthread_mutex_unlock(&saver->lock);
    return due_ms;
}

/* ---- opening ---- */

static int take_options(const struct hf_saver_options *options, struct hf_saver_options *ret_options,
                        struct hf_error *error) {
    struct hf_saver_options filled = {0};
    if (!options)
        return error_set(error, HF_ERR_INVALID, "there are no options");
    int code = options_take(options, &filled, sizeof filled, error);
    if (code != 0)
        return code;
    if (!filled.give)
        return error_set(error, HF_ERR_INVALID, "there is no 'give' to ask for documents");
    if (filled.durability != HF_SOON && filled.durability != HF_COMMIT)
        return error_set(error, HF_ERR_INVALID, "durability %d is unknown", (int)filled.durability);
    if (filled.batch > BATCH_MAX)
        return error_set(error, HF_ERR_INVALID, "batch is %u, and at most %d are possible", filled.batch, BATCH_MAX);
    filled.interval_ms = filled.interval_ms ? filled.interval_ms : INTERVAL_MS;
    filled.batch = filled.batch ? filled.batch : BATCH;
    filled.threads = filled.threads ? filled.threads : THREADS;
    filled.warning_dirty = filled.warning_dirty ? filled.warning_dirty : WARNING_DIRTY;
    filled.critical_dirty = filled.critical_dirty ? filled.critical_dirty : CRITICAL_DIRTY;
    *ret_options = filled;
    return 0;
}

static unsigned count_threads(const struct hf_saver *saver, const struct saver_setup *setup) {
    long online = setup->processors ? (long)setup->processors : sysconf(_SC_NPROCESSORS_ONLN);
    unsigned processors = online > 0 ? (unsigned)online : 1;
    if (saver->without_thread)
        return 1;
    return saver->options.threads < processors ? saver->options.threads : processors;
}

static void init_locks(struct hf_saver *saver) {
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&saver->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_cond_init(&saver->changed, NULL);
    pthread_mutex_init(&saver->lock, NULL);
    pthread_mutex_init(&saver->audit_turn, NULL);
}

static void free_saver(struct hf_saver **saver) {
    struct hf_saver *self = *saver;
    saver_keys_fini(&self->keys);
    pthread_mutex_destroy(&self->audit_turn);
    pthread_mutex_destroy(&self->lock);
    pthread_cond_destroy(&self->changed);
    pthread_cond_destroy(&self->wake);
    mem_free(self->who);
    mem_free(self);
    *saver = NULL;
}

/* Signals are for the program's own threads. */
static int start_thread(struct hf_saver *saver, struct hf_error *error) {
    sigset_t all, old;
    saver->thread_alive = 1;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int result = pthread_create(&saver->thread, NULL, save_until_stopped, saver);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return result == 0 ? 0 : error_set_errno(error, -result, "start the saver's thread");
}

static int start(struct hf_saver *saver, const struct hf_saver_options *options, const struct saver_setup *setup,
                 struct hf_error *error) {
    int code = take_options(options, &saver->options, error);
    if (code != 0)
        return code;
    saver->who = mem_strdup(saver->options.who ? saver->options.who : "");
    if (!saver->who)
        return error_no_memory(error);
    saver->options.who = saver->who;
    saver->threads = count_threads(saver, setup);
    return saver->without_thread ? 0 : start_thread(saver, error);
}

int saver_open_with(struct hf_store *store, const struct hf_saver_options *options, const struct saver_setup *setup,
                    struct hf_saver **ret_saver, struct hf_error *error) {
    if (!store)
        return error_set(error, HF_ERR_INVALID, "open saver: there is no store");
    struct hf_saver *saver = MEM_NEW(struct hf_saver);
    if (!saver)
        return error_set(error, HF_ERR_NO_MEMORY, "open saver: memory is used up");
    saver->store = store;
    saver->os = store_os(store);
    saver->limits = store_limits(store);
    saver->without_thread = setup->without_thread;
    saver->saved_ms = -1;
    init_locks(saver);
    int code = start(saver, options, setup, error);
    if (code != 0) {
        free_saver(&saver);
        return error_wrap(error, code, "open saver");
    }
    *ret_saver = saver;
    return 0;
}

int hf_saver_open(struct hf_store *store, const struct hf_saver_options *options, struct hf_saver **ret_saver,
                  struct hf_error *error) {
    static const struct saver_setup usual = {0};
    return saver_open_with(store, options, &usual, ret_saver, error);
}

/* ---- saving all, and the end ---- */

int hf_saver_flush(struct hf_saver *saver, struct hf_error *error) {
    struct saver_wait wait = {.error = error};
    pthread_cond_init(&wait.done, NULL);
    pthread_mutex_lock(&saver->lock);
    wait.next = saver->flushes;
    saver->flushes = &wait;
    if (saver->without_thread) {
        pthread_mutex_unlock(&saver->lock);
        saver_cycle_run(saver, 1);
        pthread_mutex_lock(&saver->lock);
    }
    pthread_cond_signal(&saver->wake);
    while (!wait.is_done)
        pthread_cond_wait(&wait.done, &saver->lock);
    pthread_mutex_unlock(&saver->lock);
    pthread_cond_destroy(&wait.done);
    return wait.code == 0 ? 0 : error_wrap(error, wait.code, "flush");
}

/* A cycle that runs ends early; what it did not come to is given up. */
void hf_saver_abandon(struct hf_saver **saver) {
    struct hf_saver *self = saver ? *saver : NULL;
    if (!self)
        return;
    if (!self->without_thread) {
        pthread_mutex_lock(&self->lock);
        self->stopping = 1;
        pthread_cond_signal(&self->wake);
        pthread_mutex_unlock(&self->lock);
        pthread_join(self->thread, NULL);
    }
    free_saver(saver);
}

static int is_clean(struct hf_saver *saver) {
    pthread_mutex_lock(&saver->lock);
    int clean = saver->health.dirty == 0;
    pthread_mutex_unlock(&saver->lock);
    return clean;
}

int hf_saver_close(struct hf_saver **saver, struct hf_error *error) {
    if (!saver || !*saver)
        return 0;
    while (!is_clean(*saver)) {
        int code = hf_saver_flush(*saver, error);
        if (code != 0)
            return error_wrap(error, code, "close saver");
    }
    hf_saver_abandon(saver);
    return 0;
}
