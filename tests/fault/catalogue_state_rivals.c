/* C5, C7, C12: who saves, and when. */
#include "fault/catalogue_state.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static int save_by(struct world *world, const struct hf_state_lease *lease, const char *text) {
    const struct hf_state_save_options options = {.struct_bytes = sizeof options, .lease = lease};
    return hf_state_save(world->store, FEED, text, strlen(text), &options, NULL, &world->error);
}

static const struct state_caller ME = {.who = "me"};

/* A run of no process that can be asked, for two seconds. */
static struct hf_state_lease *begin_run(struct world *world) {
    struct buf BUF_AUTO answer;
    struct hf_state_lease *lease = NULL;
    buf_init(&answer);
    if (state_run_begin(world->store, &ME, FEED, "{\"ttl_ms\":2000}", 15, &answer, &world->error) != 0)
        return NULL;
    const char *fence = strstr(answer.data, "\"fence\":");
    assert_non_null(fence);
    assert_int_equal(hf_state_lease_of_fence(FEED, strtoull(fence + 8, NULL, 10), &lease, NULL), 0);
    return lease;
}

void C5_run_that_was_frozen_past_its_lease(void **state) {
    struct world world;
    (void)state;
    feed_begin(&world);
    struct hf_state_lease *first = begin_run(&world);
    assert_int_equal(save_by(&world, first, "\"first\""), 0);
    assert_null(begin_run(&world)); /* its time is not over */
    feed_expect_error(&world, world.error.code, HF_ERR_CONFLICT, "feed@1");
    sim_disk_advance_ms(world.disk, 2001); /* the first one is frozen */
    struct hf_state_lease *second = begin_run(&world);
    assert_non_null(second);
    assert_int_equal(save_by(&world, second, "\"second\""), 0);
    feed_reopen(&world);
    for (int i = 0; i < 2; i++) {
        int code = save_by(&world, first, "\"late\"");
        feed_expect_error(&world, code, HF_ERR_CONFLICT, "taken over");
        assert_int_equal(hf_code_http_status(code), 409);
        assert_int_equal(hf_code_exit_status(code), 75);
        feed_expect(&world, "\"second\"", 2);
    }
    assert_int_equal(hf_state_lease_release(world.store, &second, NULL, &world.error), 0);
    feed_expect_error(&world, save_by(&world, first, "\"late\""), HF_ERR_CONFLICT, ""); /* nor when it is free again */
    feed_expect(&world, "\"second\"", 2);
    hf_state_lease_free(&first);
    world_fini(&world);
}

void C7_save_of_an_older_cursor(void **state) {
    struct world world;
    struct buf BUF_AUTO log;
    struct hf_state_save_options options = {.struct_bytes = sizeof options,
                                            .basis = HF_STATE_IF_VERSION,
                                            .if_version = 1,
                                            .who = "cron"};
    (void)state;
    buf_init(&log);
    feed_begin(&world);
    feed_must_save(&world, "10");
    assert_int_equal(hf_state_save(world.store, FEED, "20", 2, &options, NULL, &world.error), 0);
    int code = hf_state_save(world.store, FEED, "15", 2, &options, NULL, &world.error); /* knows of 10 only */
    feed_expect_error(&world, code, HF_ERR_PRECONDITION, "");
    assert_int_equal(hf_code_http_status(code), 412);
    feed_expect(&world, "20", 2);
    options.basis = HF_STATE_FORCE;
    assert_int_equal(hf_state_save(world.store, FEED, "15", 2, &options, NULL, &world.error), 0);
    feed_expect(&world, "15", 3);
    assert_int_equal(state_log(world.store, FEED, 1, &log, &world.error), 0);
    assert_non_null(strstr(log.data, "\"who\":\"cron\"")); /* whoever did that is known */
    assert_non_null(strstr(log.data, "\"forced\":true"));
    world_fini(&world);
}

/* ---- C12: on a real folder, with real processes and threads ---- */

enum { THREADS = 4, STEPS = 25, FORKS = 5, ALARMS = 30 };

struct caller {
    char folder[32], url[48];
    struct hf_store *store;
    atomic_int wrong;
};

static struct hf_store *open_real(const char *url) {
    struct hf_store *store = NULL;
    struct hf_error error = {0};
    if (hf_store_open(url, NULL, &store, &error) != 0) {
        fprintf(stderr, "%s\n", error.message);
        return NULL;
    }
    return store;
}

static int load_number(struct hf_store *store, const char *name, uint64_t *ret_version) {
    struct hf_state_value *value = NULL;
    int number = -1;
    if (hf_state_default(store, name, "0", 1, &value, NULL) == 0 && sscanf(value->bytes, "%d", &number) != 1)
        number = -1;
    *ret_version = value ? value->version : 0;
    hf_state_value_free(&value);
    return number;
}

/* Adds one to what is there, however often others are faster. */
static int count_one(struct hf_store *store, const char *name) {
    int code = HF_ERR_PRECONDITION;
    while (code == HF_ERR_PRECONDITION || code == HF_ERR_CONFLICT) {
        char text[32];
        struct hf_state_save_options options = {.struct_bytes = sizeof options, .basis = HF_STATE_IF_VERSION};
        int bytes = snprintf(text, sizeof text, "%d", load_number(store, name, &options.if_version) + 1);
        code = hf_state_save(store, name, text, (size_t)bytes, &options, NULL, NULL);
    }
    return code;
}

static void *count_many(void *arg) {
    struct caller *caller = arg;
    for (int i = 0; i < STEPS; i++)
        if (count_one(caller->store, "threads") != 0)
            atomic_fetch_add(&caller->wrong, 1);
    return NULL;
}

static void expect_number(struct caller *caller, const char *name, int number) {
    uint64_t version;
    assert_int_equal(load_number(caller->store, name, &version), number);
}

static void use_threads(struct caller *caller) {
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_many, caller), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&caller->wrong), 0);
    expect_number(caller, "threads", THREADS * STEPS);
}

/* As it is documented: the child leaves the parent's store alone, and one of its own it does not get meanwhile. */
static int child_beside_parent(const char *url) {
    struct hf_store *store = NULL;
    return hf_store_open(url, NULL, &store, NULL) == HF_ERR_LOCKED ? 0 : 1;
}

/* Ends without a word, with its store open. */
static int child_alone(const char *url) {
    struct hf_store *store = open_real(url);
    return store && count_one(store, "forks") == 0 ? 0 : 1;
}

static void expect_child(int (*child)(const char *url), const char *url) {
    int status = -1;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(child(url));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void use_forks(struct caller *caller) {
    for (int i = 0; i < FORKS; i++) {
        expect_child(child_beside_parent, caller->url);
        assert_int_equal(count_one(caller->store, "forks"), 0); /* the child took nothing from it */
        hf_store_close(&caller->store);
        expect_child(child_alone, caller->url);
        caller->store = open_real(caller->url);
        assert_non_null(caller->store);
        expect_number(caller, "forks", 2 * (i + 1));
    }
}

static volatile sig_atomic_t alarms;

static void count_alarm(int signal) {
    (void)signal;
    alarms++;
}

/* Calls are interrupted wherever they wait, for the handler asks for no restart. */
static void use_signals(struct caller *caller) {
    const struct sigaction count = {.sa_handler = count_alarm};
    const struct itimerval often = {.it_interval = {.tv_usec = 300}, .it_value = {.tv_usec = 300}}, never = {0};
    struct sigaction before;
    int saved = 0;
    alarms = 0;
    assert_int_equal(sigaction(SIGALRM, &count, &before), 0);
    assert_int_equal(setitimer(ITIMER_REAL, &often, NULL), 0);
    int code = 0;
    while (code == 0 && (alarms < ALARMS || saved < ALARMS)) {
        code = count_one(caller->store, "signals");
        saved++;
    }
    assert_int_equal(setitimer(ITIMER_REAL, &never, NULL), 0);
    assert_int_equal(sigaction(SIGALRM, &before, NULL), 0);
    assert_int_equal(code, 0);
    expect_number(caller, "signals", saved);
}

void C12_callers_that_fork_thread_catch_signals_and_exit(void **state) {
    struct caller caller = {.folder = "/tmp/holdfast-C12-XXXXXX"};
    char command[64];
    (void)state;
    assert_non_null(mkdtemp(caller.folder));
    snprintf(caller.url, sizeof caller.url, "sqlite:%s/store.db", caller.folder);
    caller.store = open_real(caller.url);
    assert_non_null(caller.store);
    use_threads(&caller);
    use_forks(&caller);
    use_signals(&caller);
    expect_number(&caller, "threads", THREADS * STEPS);
    expect_number(&caller, "forks", 2 * FORKS);
    hf_store_close(&caller.store);
    snprintf(command, sizeof command, "rm -r %s", caller.folder);
    assert_int_equal(system(command), 0);
}
