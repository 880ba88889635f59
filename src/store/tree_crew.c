/* Several threads over a list.
 *
 * Invariants
 *  1. What the caller sees is what one thread would have done: done is called in the order of the indexes, and nothing
 *     behind the first index that failed is told of.
 *  2. At most `ahead` indexes are between handed out and done: what work leaves for done stays bounded.
 *  3. Every thread that was started has ended when run returns. Fewer than were wanted are enough: the caller works
 * too. */
#include <pthread.h>
#include <signal.h>

#include "base/mem.h"
#include "store/tree_files.h"

struct place {
    int is_worked, value;
};

struct run {
    const struct tree_crew *crew;
    pthread_mutex_t lock;          /* over all that follows */
    pthread_cond_t may_take;       /* an index can be taken, or it ends */
    pthread_cond_t first_is_ready; /* the next one in order was worked on */
    size_t count, taken, done;     /* of the indexes */
    size_t ahead;
    struct place *places; /* of index i at i % ahead */
    int is_ending;
    unsigned workers; /* that have a number */
};

static int can_take(const struct run *run) {
    return !run->is_ending && run->taken < run->count && run->taken - run->done < run->ahead;
}

/* With the lock held, which is let go of meanwhile. */
static void take_one(struct run *run, unsigned worker) {
    size_t index = run->taken++;
    (void)pthread_mutex_unlock(&run->lock);
    int value = run->crew->work(run->crew->arg, worker, index);
    (void)pthread_mutex_lock(&run->lock);
    run->places[index % run->ahead] = (struct place){1, value};
    if (index == run->done)
        (void)pthread_cond_signal(&run->first_is_ready);
}

static void *help(void *arg) {
    struct run *run = arg;
    (void)pthread_mutex_lock(&run->lock);
    unsigned worker = run->workers++;
    while (!run->is_ending) {
        if (can_take(run))
            take_one(run, worker);
        else
            (void)pthread_cond_wait(&run->may_take, &run->lock);
    }
    (void)pthread_mutex_unlock(&run->lock);
    return NULL;
}

/* Takes the next index out of its place and tells of it; the lock is let go of meanwhile. */
static int finish_first(struct run *run) {
    struct place *place = &run->places[run->done % run->ahead];
    int value = place->value;
    (void)pthread_mutex_unlock(&run->lock);
    if (value == 0 && run->crew->done)
        value = run->crew->done(run->crew->arg, run->done);
    (void)pthread_mutex_lock(&run->lock);
    place->is_worked = 0;
    run->done++;
    if (run->taken - run->done == run->ahead / 2) /* waking somebody for every single one costs more than most work */
        (void)pthread_cond_broadcast(&run->may_take);
    return value;
}

/* The caller's part: tells of what is ready, works when nothing is, waits when all are taken. */
static int lead(struct run *run) {
    int value = 0;
    (void)pthread_mutex_lock(&run->lock);
    while (value == 0 && run->done < run->count) {
        if (run->places[run->done % run->ahead].is_worked)
            value = finish_first(run);
        else if (can_take(run))
            take_one(run, 0);
        else
            (void)pthread_cond_wait(&run->first_is_ready, &run->lock);
    }
    run->is_ending = 1;
    (void)pthread_cond_broadcast(&run->may_take);
    (void)pthread_mutex_unlock(&run->lock);
    return value;
}

/* Signals are the program's: the threads start with all of them blocked. */
static unsigned start_helpers(struct run *run, pthread_t *threads, unsigned wanted) {
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    unsigned started = 0;
    while (started < wanted && pthread_create(&threads[started], NULL, help, run) == 0)
        started++;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

static int run_threads(struct run *run, pthread_t *threads, unsigned wanted) {
    (void)pthread_mutex_init(&run->lock, NULL);
    (void)pthread_cond_init(&run->may_take, NULL);
    (void)pthread_cond_init(&run->first_is_ready, NULL);
    unsigned started = start_helpers(run, threads, wanted);
    int value = lead(run);
    for (unsigned i = 0; i < started; i++)
        (void)pthread_join(threads[i], NULL);
    (void)pthread_cond_destroy(&run->first_is_ready);
    (void)pthread_cond_destroy(&run->may_take);
    (void)pthread_mutex_destroy(&run->lock);
    return value;
}

static int run_alone(const struct tree_crew *crew, size_t count) {
    int value = 0;
    for (size_t i = 0; i < count && value == 0; i++) {
        value = crew->work(crew->arg, 0, i);
        if (value == 0 && crew->done)
            value = crew->done(crew->arg, i);
    }
    return value;
}

/* Measured on two cores, 56,278 files of 3 KB, read, parsed and hashed. Page cache warm: 1 thread 0.56 s, 2: 0.28,
 * 4: 0.31, 8: 0.31. Cold: 1: 5.3 s, 2: 3.2, 4: 2.1, 8: 1.2, 20: 0.9, and each holds some documents. */
enum { GOOD_THREADS = 8 };

unsigned tree_crew_threads(unsigned wanted) {
    return wanted ? wanted : GOOD_THREADS;
}

int tree_crew_run(const struct tree_crew *crew, size_t count, struct hf_error *error) {
    unsigned threads = tree_crew_threads(crew->threads);
    if (threads > count)
        threads = (unsigned)count;
    if (threads <= 1)
        return run_alone(crew, count);
    struct run run = {.crew = crew, .count = count, .workers = 1};
    run.ahead = crew->ahead == 0 ? threads : crew->ahead < count ? crew->ahead : count;
    MEM_AUTO struct place *places = mem_zalloc(run.ahead, sizeof *places);
    MEM_AUTO pthread_t *helpers = mem_zalloc(threads, sizeof *helpers);
    if (!places || !helpers)
        return error_set(error, HF_ERR_NO_MEMORY, "start threads: memory is used up");
    run.places = places;
    return run_threads(&run, helpers, threads - 1);
}
