/* The life of sources in a simulated world: by chance, from seeds. Arguments: how many seeds, and the first of them. */
#include "unit/run/sim_world.h"

#include "sim/share.h"

enum { SOURCES = 4, STEPS = 600, SEEDS = 40, SANITIZED_ONE_IN = 5 };

static int seed_count, first_seed;
static const char *const NAMES[SOURCES] = {"a", "b", "c", "d"};
static const enum source_kind KINDS[SOURCES] = {SOURCE_PYTHON, SOURCE_COMMAND, SOURCE_PYTHON, SOURCE_COMMAND};

static struct hf_store *open_store(void) {
    struct hf_store *store = NULL;
    struct hf_error error;
    struct store_setup setup = {.without_thread = 1};
    assert_int_equal(store_open("memory:", NULL, &setup, &store, &error), 0);
    assert_int_equal(source_declare_kinds(store, &error), 0);
    return store;
}

/* What people do: start, stop, run, edit, remove and add. */
static void act(struct sim_world *sim) {
    BUF_AUTO struct buf json;
    buf_init(&json);
    uint32_t at = sim_random(sim, SOURCES);
    const char *name = NAMES[at];
    char body[96];
    switch (sim_random(sim, 8)) {
    case 0:
    case 1:
        (void)source_want(sim->store, "test", name, 1, &json, NULL);
        break;
    case 2:
        (void)source_want(sim->store, "test", name, 0, &json, NULL);
        break;
    case 3:
        (void)source_request_run(sim->store, "test", name, &json, NULL);
        break;
    case 4:
        snprintf(body, sizeof body, "{\"env\":{\"E\":\"%u\"}}", sim_random(sim, 1000));
        (void)source_edit(sim->store, "test", name, body, strlen(body), &json, NULL);
        break;
    case 5:
        snprintf(body, sizeof body, "{\"interval_ms\":%u,\"save_interval_ms\":%u}", 20 + sim_random(sim, 200),
                 sim_random(sim, 3) * 1000);
        (void)source_edit(sim->store, "test", name, body, strlen(body), &json, NULL);
        break;
    case 6:
        if (source_remove(sim->store, "test", name, &json, NULL) == 0 && sim_random(sim, 2) == 0)
            sim_add(sim, name, KINDS[at], sim->wall_ms);
        break;
    default:
        sim->is_refusing = sim_random(sim, 4) == 0;
        break;
    }
}

/* What cannot heal by itself is started by hand. */
static void start_what_is_fatal(struct sim_world *sim) {
    BUF_AUTO struct buf json;
    buf_init(&json);
    struct source_state state;
    for (int i = 0; i < SOURCES; i++) {
        struct source_entry entry = {.spec = NULL};
        if (source_entry_read(sim->store, NAMES[i], &entry, NULL) == 0 && entry.spec->wanted_running &&
            sim_stored_state(sim, NAMES[i], &state) == 0 && state.status == STATUS_FATAL)
            (void)source_want(sim->store, "test", NAMES[i], 1, &json, NULL);
        source_entry_fini(&entry);
    }
}

static void check_settled(struct sim_world *sim, const char *name) {
    struct source_entry entry = {.spec = NULL};
    struct source_state state;
    int living = sim_living(sim, name);
    if (source_entry_read(sim->store, name, &entry, NULL) < 0) {
        if (living > 0)
            sim_violated(sim, "a removed source has a child", name);
        return;
    }
    assert_int_equal(sim_stored_state(sim, name, &state), 0);
    if (entry.spec->wanted_running) {
        if (state.status != STATUS_RUNNING)
            sim_violated(sim, state_name(state.status), name);
        if (entry.spec->kind == SOURCE_PYTHON && living != 1)
            sim_violated(sim, "it runs without a worker", name);
    } else if (living > 0 || state_has_child(state.status) || source_state_has_child(&state)) {
        sim_violated(sim, "it is not wanted and has a child", name);
    }
    if (entry.spec->run_request > state.run_request_done && entry.spec->run_request > entry.spec->run_cancelled)
        sim_violated(sim, "a run that was asked for did not come", name);
    source_entry_fini(&entry);
}

static void live(struct sim_world *sim, int with_kills) {
    sim->faults = 1;
    for (int step = 0; step < STEPS; step++) {
        if (sim_random(sim, 10) == 0)
            act(sim);
        if (with_kills && sim_random(sim, 60) == 0) {
            sim_kill_daemon(sim);
            sim_begin_daemon(sim);
        }
        if (sim_random(sim, 200) == 0)
            sim->wall_ms += (int64_t)sim_random(sim, 7200000) - 3600000; /* somebody sets the clock */
        sim_step(sim);
    }
}

static void run_seed(uint64_t seed, int with_kills, int is_lying, int *ret_violations) {
    struct sim_world *sim = MEM_NEW(struct sim_world);
    sim_init(sim, open_store(), seed);
    for (int i = 0; i < SOURCES; i++)
        sim_add(sim, NAMES[i], KINDS[i], sim->wall_ms);
    sim_begin_daemon(sim);
    sim->is_lying = is_lying;
    live(sim, with_kills);
    if (!is_lying) {
        sim_settle(sim, 130000); /* longer than the longest waits: of a back-off, and of a commit that was refused */
        start_what_is_fatal(sim);
        sim_settle(sim, 2000);
        for (int i = 0; i < SOURCES; i++)
            check_settled(sim, NAMES[i]);
        if (sim->reports != 1)
            sim_violated(sim, "restoring was not reported once", "");
    }
    if (sim->violations > 0 && !is_lying)
        print_error("seed %llu: %s\n", (unsigned long long)seed, sim->violation);
    *ret_violations += sim->violations;
    while (sim->commit_count > 0)
        hf_batch_free(&sim->commits[--sim->commit_count].batch);
    fleet_free(&sim->fleet);
    hf_store_close(&sim->store);
    mem_free(sim);
}

static void test_random_lives(void **state) {
    (void)state;
    int violations = 0;
    for (int seed = first_seed; seed < first_seed + seed_count; seed++)
        run_seed((uint64_t)seed, 0, 0, &violations);
    assert_int_equal(violations, 0);
}

static void test_random_lives_with_kills(void **state) {
    (void)state;
    int violations = 0;
    for (int seed = first_seed; seed < first_seed + seed_count; seed++)
        run_seed((uint64_t)seed + 1000000, 1, 0, &violations);
    assert_int_equal(violations, 0);
}

/* A store that says yes and keeps nothing must be noticed, or the checks above check nothing. */
static void test_lying_store_is_noticed(void **state) {
    (void)state;
    int violations = 0;
    run_seed(1, 0, 1, &violations);
    assert_true(violations > 0);
}

/* ---- by hand ---------------------------------------------------------------------------------------------------- */

static struct sim_world *begin_one(enum source_kind kind) {
    struct sim_world *sim = MEM_NEW(struct sim_world);
    BUF_AUTO struct buf json;
    buf_init(&json);
    sim_init(sim, open_store(), 7);
    sim_add(sim, "a", kind, sim->wall_ms);
    assert_int_equal(source_want(sim->store, "test", "a", 1, &json, NULL), 0);
    sim_begin_daemon(sim);
    return sim;
}

static void end_one(struct sim_world *sim) {
    if (sim->violations > 0)
        fail_msg("%s", sim->violation);
    while (sim->commit_count > 0)
        hf_batch_free(&sim->commits[--sim->commit_count].batch);
    fleet_free(&sim->fleet);
    hf_store_close(&sim->store);
    mem_free(sim);
}

static struct source_state state_of(struct sim_world *sim) {
    struct source_state state;
    assert_int_equal(sim_stored_state(sim, "a", &state), 0);
    return state;
}

/* Nothing is done before its move is in the store. */
static void test_order_of_a_start(void **unused) {
    (void)unused;
    struct sim_world *sim = begin_one(SOURCE_PYTHON);
    assert_int_equal(sim->commit_count, 1); /* STARTING with its nonce */
    sim_advance(sim, 1000);
    assert_int_equal(sim->spawns, 0);
    sim_answer(sim, 0);
    assert_int_equal(sim->spawns, 1);
    sim_advance(sim, 1000);
    assert_int_equal(sim->runs, 0);
    assert_int_equal(sim->commit_count, 1); /* RUNNING with the child */
    sim_answer(sim, 0);
    assert_int_equal(sim->runs, 1);
    end_one(sim);
}

/* Asleep for ten minutes: one run, the rest is counted. */
static void test_no_storm_after_sleep(void **unused) {
    (void)unused;
    struct sim_world *sim = begin_one(SOURCE_PYTHON);
    sim_settle(sim, 1000);
    (void)sim_child_step(sim, &sim->children[0]);
    while (sim->commit_count > 0)
        sim_answer(sim, 0);
    int runs = sim->runs;
    int64_t skipped = state_of(sim).skipped_count;
    sim_advance(sim, 600000);
    for (int i = 0; i < 3; i++) {
        (void)sim_child_step(sim, &sim->children[0]);
        while (sim->commit_count > 0)
            sim_answer(sim, 0);
    }
    assert_int_equal(sim->runs, runs + 1);
    assert_in_range(state_of(sim).skipped_count - skipped, 5998, 6000);
    end_one(sim);
}

/* A full disk: the source runs on, the newest result is saved when there is room, and what was lost is counted. */
static void test_full_disk(void **unused) {
    (void)unused;
    struct sim_world *sim = begin_one(SOURCE_PYTHON);
    sim_settle(sim, 1000);
    int runs_before = sim->runs;
    int64_t count_before = state_of(sim).run_count;
    sim->is_refusing = 1;
    for (int i = 0; i < 500; i++) {
        (void)sim_child_step(sim, &sim->children[0]);
        while (sim->commit_count > 0)
            sim_answer(sim, 0);
        sim_advance(sim, 20);
    }
    assert_true(sim->runs > runs_before + 50);
    assert_int_equal(state_of(sim).run_count, count_before);
    sim_settle(sim, 100000);
    assert_true(state_of(sim).run_count >= count_before + (sim->runs - runs_before) - 1);
    assert_true(state_of(sim).dropped_runs > 40);
    end_one(sim);
}

/* With a save interval the newest result is saved once in a while; what is not saved is told; a stop saves it. */
static void test_save_interval(void **unused) {
    (void)unused;
    BUF_AUTO struct buf json;
    buf_init(&json);
    static const char every_5_s[] = "{\"save_interval\":\"5s\"}";
    struct unsaved_runs unsaved;
    struct sim_world *sim = begin_one(SOURCE_PYTHON);
    sim_settle(sim, 1000);
    assert_int_equal(source_edit(sim->store, "test", "a", every_5_s, sizeof every_5_s - 1, &json, NULL), 0);
    sim_settle(sim, 500);
    uint64_t revision = hf_store_revision(sim->store);
    int runs = sim->runs;
    sim_settle(sim, 20000);
    assert_in_range(sim->runs - runs, 100, 200);
    assert_in_range(hf_store_revision(sim->store) - revision, 3, 5);
    assert_true(state_of(sim).merged_runs > 80);
    assert_int_equal(state_of(sim).dropped_runs, 0);
    sim_settle(sim, 1000);
    unsaved_get(sim->fleet->owner.unsaved, "a", &unsaved);
    assert_in_range(unsaved.runs, 1, 60);
    assert_in_range(sim->wall_ms - unsaved.since_ms, 1, 5100);
    assert_int_equal(source_want(sim->store, "test", "a", 0, &json, NULL), 0);
    sim_settle(sim, 1000);
    unsaved_get(sim->fleet->owner.unsaved, "a", &unsaved);
    assert_int_equal(unsaved.runs, 0);
    assert_int_equal(state_of(sim).run_count, sim->runs);
    end_one(sim);
}

/* A run that somebody asked for, and an error, do not wait for the interval. */
static void test_save_interval_is_not_for_requests(void **unused) {
    (void)unused;
    BUF_AUTO struct buf json;
    buf_init(&json);
    static const char seldom[] = "{\"save_interval\":\"1h\",\"interval\":\"1h\"}";
    struct sim_world *sim = begin_one(SOURCE_PYTHON);
    sim_settle(sim, 1000);
    assert_int_equal(source_edit(sim->store, "test", "a", seldom, sizeof seldom - 1, &json, NULL), 0);
    sim_settle(sim, 1000);
    int64_t count = state_of(sim).run_count;
    assert_int_equal(source_request_run(sim->store, "test", "a", &json, NULL), 0);
    sim_settle(sim, 2000);
    assert_true(state_of(sim).run_count > count);
    assert_int_equal(state_of(sim).run_count, sim->runs);
    end_one(sim);
}

/* A stop is done although the store cannot take it. */
static void test_stop_on_a_full_disk(void **unused) {
    (void)unused;
    BUF_AUTO struct buf json;
    buf_init(&json);
    struct sim_world *sim = begin_one(SOURCE_PYTHON);
    sim_settle(sim, 1000);
    assert_int_equal(source_want(sim->store, "test", "a", 0, &json, NULL), 0);
    sim->is_refusing = 1;
    for (int i = 0; i < 1000 && sim_living(sim, "a") > 0; i++) {
        fleet_wake(sim->fleet);
        while (sim->commit_count > 0)
            sim_answer(sim, 0);
        for (int c = 0; c < SIM_CHILDREN; c++)
            (void)sim_child_step(sim, &sim->children[c]);
        sim_advance(sim, 20);
    }
    assert_int_equal(sim_living(sim, "a"), 0);
    sim_settle(sim, 100000);
    assert_int_equal(state_of(sim).status, STATUS_STOPPED);
    end_one(sim);
}

static void note_broken(void *arg, const struct hf_error *error) {
    *(int *)arg = error->code;
}

/* When the store has failed nothing can be promised: all children are ended, and the daemon is told. */
static void test_failed_store(void **unused) {
    (void)unused;
    struct sim_world *sim = begin_one(SOURCE_PYTHON);
    int code = 0;
    sim_settle(sim, 1000);
    sim->fleet->on_broken = note_broken;
    sim->fleet->on_broken_arg = &code;
    while (sim->commit_count == 0) {
        (void)sim_child_step(sim, &sim->children[0]);
        sim_advance(sim, 20);
    }
    struct sim_commit commit = sim->commits[--sim->commit_count];
    struct hf_error error;
    hf_batch_free(&commit.batch);
    error_set(&error, HF_ERR_FAILED, "the store stopped");
    commit.done(commit.arg, HF_ERR_FAILED, 0, &error);
    assert_int_equal(code, HF_ERR_FAILED);
    assert_int_equal(sim_living(sim, "a"), 0);
    sim_tell_exit(sim, &sim->children[0]);
    sim_advance(sim, 100000);
    assert_int_equal(sim->commit_count, 0);
    assert_int_equal(sim->spawns, 1);
    end_one(sim);
}

static void note_stopped(void *arg) {
    ++*(int *)arg;
}

static void test_daemon_stop_keeps_what_is_wanted(void **unused) {
    (void)unused;
    struct sim_world *sim = begin_one(SOURCE_COMMAND);
    int stopped = 0;
    sim_settle(sim, 1000);
    fleet_stop(sim->fleet, note_stopped, &stopped);
    for (int i = 0; i < 600 && !stopped; i++) {
        while (sim->commit_count > 0)
            sim_answer(sim, 0);
        for (int c = 0; c < SIM_CHILDREN; c++)
            (void)sim_child_step(sim, &sim->children[c]);
        sim_advance(sim, 20);
    }
    assert_int_equal(stopped, 1);
    assert_int_equal(sim_living(sim, "a"), 0);
    struct source_entry entry = {.spec = NULL};
    assert_int_equal(source_entry_read(sim->store, "a", &entry, NULL), 0);
    assert_true(entry.spec->wanted_running);
    source_entry_fini(&entry);
    assert_int_equal(state_of(sim).status, STATUS_STOPPED);
    end_one(sim);
}

/* Crashes in a row wait longer and longer, up to the ceiling. */
static void test_backoff_doubles(void **unused) {
    (void)unused;
    struct sim_world *sim = begin_one(SOURCE_PYTHON);
    int64_t last = 0;
    for (int i = 0; i < 10; i++) {
        while (sim->commit_count > 0)
            sim_answer(sim, 0);
        for (int c = 0; c < SIM_CHILDREN; c++) {
            struct run_child *child = &sim->children[c];
            if (child->is_used && child->is_alive) {
                child->is_alive = 0;
                child->exit = (struct run_exit){.exit_code = 1};
                sim_tell_exit(sim, child);
            }
        }
        while (sim->commit_count > 0)
            sim_answer(sim, 0);
        struct life *life = sim->fleet->lives.items[0];
        assert_int_equal(life->state.status, STATUS_BACKOFF);
        assert_in_range(life->backoff_ms, i < 6 ? (750 << i) : 45000, i < 6 ? (1000 << i) : 60000);
        assert_true(life->backoff_ms >= last / 2);
        last = life->backoff_ms;
        sim_advance(sim, life->backoff_ms + 1);
    }
    end_one(sim);
}

int main(int argc, char **argv) {
    seed_count = argc > 1 ? atoi(argv[1]) : (int)share_of(SEEDS, SANITIZED_ONE_IN);
    first_seed = argc > 2 ? atoi(argv[2]) : (int)share_seed();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_of_a_start),
        cmocka_unit_test(test_no_storm_after_sleep),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_save_interval),
        cmocka_unit_test(test_save_interval_is_not_for_requests),
        cmocka_unit_test(test_stop_on_a_full_disk),
        cmocka_unit_test(test_failed_store),
        cmocka_unit_test(test_daemon_stop_keeps_what_is_wanted),
        cmocka_unit_test(test_backoff_doubles),
        cmocka_unit_test(test_lying_store_is_noticed),
        cmocka_unit_test(test_random_lives),
        cmocka_unit_test(test_random_lives_with_kills),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
