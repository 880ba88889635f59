#include "os/pool.h"

#include <pthread.h>
#include <signal.h>

#include "base/mem.h"

struct job {
    void (*run)(void *arg);
    void *arg;
};

struct pool {
    pthread_mutex_t mutex; /* over all that follows but `threads` */
    pthread_cond_t changed;
    struct job *waiting; /* a ring */
    unsigned first, count, room;
    int is_ending;
    pthread_t *threads;
    unsigned thread_count;
};

/* 1 and a job, or 0 when there is none and will be none. */
static int next_job(struct pool *pool, struct job *ret_job) {
    (void)pthread_mutex_lock(&pool->mutex);
    while (pool->count == 0 && !pool->is_ending)
        (void)pthread_cond_wait(&pool->changed, &pool->mutex);
    int found = pool->count > 0;
    if (found) {
        *ret_job = pool->waiting[pool->first];
        pool->first = (pool->first + 1) % pool->room;
        pool->count--;
    }
    (void)pthread_mutex_unlock(&pool->mutex);
    return found;
}

static void *work(void *arg) {
    struct job job;
    while (next_job(arg, &job))
        job.run(job.arg);
    return NULL;
}

/* Signals are the loop's: the threads start with all of them blocked. */
static int start_threads(struct pool *pool, unsigned threads) {
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int result = 0;
    while (pool->thread_count < threads && result == 0) {
        result = pthread_create(&pool->threads[pool->thread_count], NULL, work, pool);
        if (result == 0)
            pool->thread_count++;
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -result;
}

int pool_new(unsigned threads, unsigned max_waiting, struct pool **ret_pool, struct hf_error *error) {
    if (threads == 0 || max_waiting == 0)
        return error_set(error, HF_ERR_INVALID, "make a pool: it needs threads and room for jobs");
    struct pool *pool = MEM_NEW(struct pool);
    if (pool == NULL)
        return error_set(error, HF_ERR_NO_MEMORY, "make a pool: memory is used up");
    (void)pthread_mutex_init(&pool->mutex, NULL);
    (void)pthread_cond_init(&pool->changed, NULL);
    pool->room = max_waiting;
    pool->waiting = mem_zalloc(max_waiting, sizeof *pool->waiting);
    pool->threads = mem_zalloc(threads, sizeof *pool->threads);
    int result;
    if (pool->waiting == NULL || pool->threads == NULL) {
        result = error_set(error, HF_ERR_NO_MEMORY, "make a pool: memory is used up");
    } else {
        result = start_threads(pool, threads);
        if (result != 0)
            result = error_set_errno(error, result, "make a pool: start a thread");
    }
    if (result != 0)
        pool_free(&pool);
    else
        *ret_pool = pool;
    return result;
}

int pool_add(struct pool *pool, void (*job)(void *arg), void *arg) {
    (void)pthread_mutex_lock(&pool->mutex);
    int has_room = pool->count < pool->room;
    if (has_room) {
        pool->waiting[(pool->first + pool->count) % pool->room] = (struct job){.run = job, .arg = arg};
        pool->count++;
        (void)pthread_cond_signal(&pool->changed);
    }
    (void)pthread_mutex_unlock(&pool->mutex);
    return has_room ? 0 : -1;
}

void pool_free(struct pool **pool) {
    if (pool == NULL || *pool == NULL)
        return;
    struct pool *old = *pool;
    *pool = NULL;
    (void)pthread_mutex_lock(&old->mutex);
    old->is_ending = 1;
    (void)pthread_cond_broadcast(&old->changed);
    (void)pthread_mutex_unlock(&old->mutex);
    for (unsigned i = 0; i < old->thread_count; i++)
        (void)pthread_join(old->threads[i], NULL);
    (void)pthread_cond_destroy(&old->changed);
    (void)pthread_mutex_destroy(&old->mutex);
    mem_free(old->waiting);
    mem_free(old->threads);
    mem_free(old);
}
