/* The life of sources against power cuts: they are started, run, edited, removed, and their daemon is killed, on a
 * simulated disk; from every state that a cut could leave, the store must hold exactly what it says, at least all that
 * was acknowledged, and from a part of them a new daemon must come back to what is wanted. HOLDFAST_CRASH_STATES says
 * how many states; HOLDFAST_CRASH_SEED where to begin. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unit/run/sim_world.h"

#include <inttypes.h>
#include <malloc.h>

#include "sim/crash_states.h"
#include "sim/oracle.h"
#include "sim/share.h"

enum { STATES = 20000, SEEDS = 4, SANITIZED_ONE_IN = 20 };

/* SETTLE_MS is longer than a stop's patience: a child that ignores SIGTERM is gone by then. */
enum { SOURCES = 3, STEPS = 160, SETTLE_MS = 8000, LYING_STATES_MOST = 5000, RESTART_ONE_IN = 32 };

#define URL "sqlite:/data/store.db"

static const char *const NAMES[SOURCES] = {"a", "b", "c"};
static const enum source_kind KINDS[SOURCES] = {SOURCE_PYTHON, SOURCE_COMMAND, SOURCE_PYTHON};
static const struct oracle_keep KEEPS[] = {
    {"source", 20}, {"source_data", 100}, {"source_run", 100}, {"source_code", UINT32_MAX}, {NULL, 0},
};

struct life_work {
    struct sim_world sim; /* first: its callback is given this */
    struct sim_disk *disk;
    struct sim_process *process;
    struct oracle oracle;
    uint64_t noted; /* revision up to which the oracle knows */
    uint64_t verified, restarted;
    int is_lying;
};

static int open_store(struct sim_process *process, struct hf_store **ret_store, struct hf_error *error) {
    struct store_setup setup = {.os = sim_process_os(process), .without_thread = 1};
    int code = store_open(URL, NULL, &setup, ret_store, error);
    return code == 0 ? source_declare_kinds(*ret_store, error) : code;
}

/* ---- the recorded life ------------------------------------------------------------------------------------------ */

static int note_event(void *arg, const struct hf_event *event) {
    struct life_work *work = arg;
    struct hf_record *record = NULL;
    if (event->what == HF_PUT)
        assert_int_equal(hf_store_get(work->sim.store, event->kind, event->id, &record, NULL), 0);
    oracle_add(&work->oracle, event->revision, event->what, event->kind, event->id, record ? record->json : NULL,
               record ? record->json_bytes : 0);
    work->noted = event->revision;
    hf_record_free(&record);
    return 0;
}

/* After every commit: tells the oracle what it did. */
static void note(struct life_work *work) {
    assert_int_equal(hf_store_events(work->sim.store, work->noted, 0, note_event, work, NULL), 0);
}

static void acknowledged(struct sim_world *sim, uint64_t revision) {
    struct life_work *work = (struct life_work *)sim;
    (void)revision;
    note(work);
    sim_mark_ack(work->disk, (int64_t)hf_store_revision(sim->store));
}

static void act(struct life_work *work) {
    struct sim_world *sim = &work->sim;
    BUF_AUTO struct buf json;
    buf_init(&json);
    uint32_t at = sim_random(sim, SOURCES);
    const char *name = NAMES[at];
    char body[64];
    switch (sim_random(sim, 6)) {
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
    default:
        if (source_remove(sim->store, "test", name, &json, NULL) == 0) {
            acknowledged(sim, 0);
            sim_add(sim, name, KINDS[at], sim->wall_ms);
        }
        break;
    }
    acknowledged(sim, 0);
}

static void begin(struct life_work *work) {
    struct hf_error error = {.code = 0};
    work->process = sim_process_new(work->disk);
    sim_process_set_lying(work->process, work->is_lying);
    int code = open_store(work->process, &work->sim.store, &error);
    if (code < 0)
        fail_msg("%s", error.message);
}

/* kill -9 of the daemon: of its commits some are done; the disk goes on, and so do the children. */
static void kill_and_begin(struct life_work *work) {
    sim_mark_phase(work->disk, "killed");
    while (work->sim.commit_count > 0) {
        struct sim_commit *commit = &work->sim.commits[--work->sim.commit_count];
        if (sim_random(&work->sim, 2) == 0) {
            hf_batch_free(&commit->batch);
        } else {
            (void)!hf_store_commit(work->sim.store, &commit->batch, NULL, NULL);
            note(work);
        }
    }
    sim_kill_daemon(&work->sim);
    sim_process_kill(work->process);
    hf_store_close(&work->sim.store);
    sim_process_free(&work->process);
    begin(work);
    sim_begin_daemon(&work->sim);
}

static struct sim_record *record_life(struct life_work *work, uint64_t seed, int is_lying) {
    memset(work, 0, sizeof *work);
    work->is_lying = is_lying;
    work->disk = sim_disk_new(seed);
    oracle_init(&work->oracle, KEEPS);
    sim_disk_record(work->disk);
    sim_mark_phase(work->disk, "create");
    begin(work);
    sim_init(&work->sim, work->sim.store, seed);
    work->sim.acked = acknowledged;
    for (int i = 0; i < SOURCES; i++) {
        sim_add(&work->sim, NAMES[i], KINDS[i], work->sim.wall_ms);
        acknowledged(&work->sim, 0);
    }
    sim_begin_daemon(&work->sim);
    sim_mark_phase(work->disk, "life");
    work->sim.faults = 1;
    for (int step = 0; step < STEPS; step++) {
        if (sim_random(&work->sim, 6) == 0)
            act(work);
        if (sim_random(&work->sim, 70) == 0)
            kill_and_begin(work);
        sim_step(&work->sim);
    }
    oracle_seal(&work->oracle);
    return sim_disk_take_record(work->disk);
}

static void end_life(struct life_work *work) {
    while (work->sim.commit_count > 0)
        hf_batch_free(&work->sim.commits[--work->sim.commit_count].batch);
    fleet_free(&work->sim.fleet);
    hf_store_close(&work->sim.store);
    sim_process_free(&work->process);
    sim_disk_free(&work->disk);
    oracle_fini(&work->oracle);
}

/* ---- after the cut ---------------------------------------------------------------------------------------------- */

struct counts {
    int is_there;
    int64_t runs, errors, version;
};

static void read_counts(struct hf_store *store, struct counts counts[SOURCES]) {
    for (int i = 0; i < SOURCES; i++) {
        struct source_entry entry = {.spec = NULL};
        struct source_state state;
        counts[i] = (struct counts){.is_there = 0};
        if (source_entry_read(store, NAMES[i], &entry, NULL) == 0 &&
            source_state_get(store, NAMES[i], &state, NULL, NULL) == 0)
            counts[i] = (struct counts){1, state.run_count, state.error_count, entry.spec->code_version};
        source_entry_fini(&entry);
    }
}

static int check_source(struct sim_world *sim, const char *name, const struct counts *before, char *text) {
    struct source_entry entry = {.spec = NULL};
    struct source_state state;
    int is_wrong = source_entry_read(sim->store, name, &entry, NULL) < 0 || sim_stored_state(sim, name, &state) < 0;
    if (!is_wrong) {
        int is_running = state.status == STATUS_RUNNING, living = sim_living(sim, name);
        is_wrong = is_running != entry.spec->wanted_running || living > 1 || (living > 0 && !is_running) ||
                   state.run_count < before->runs || entry.spec->code_version != before->version;
        snprintf(text, CRASH_TEXT, "'%s' is %s, wanted %d, %d living, %" PRId64 " runs of %" PRId64, name,
                 state_name(state.status), entry.spec->wanted_running, living, state.run_count, before->runs);
    }
    source_entry_fini(&entry);
    return is_wrong ? -1 : 0;
}

/* The machine is up again: none of the old children lives. */
static int restart_daemon(struct hf_store *store, char text[CRASH_TEXT]) {
    struct counts before[SOURCES];
    struct sim_world *sim = MEM_NEW(struct sim_world);
    int result = 0;
    read_counts(store, before);
    sim_init(sim, store, 99);
    sim_begin_daemon(sim);
    sim_settle(sim, SETTLE_MS);
    for (int i = 0; i < SOURCES && result == 0; i++) {
        if (before[i].is_there)
            result = check_source(sim, NAMES[i], &before[i], text);
    }
    if (result == 0 && (sim->violations > 0 || sim->reports != 1)) {
        snprintf(text, CRASH_TEXT, "%s; %d reports", sim->violation, sim->reports);
        result = -1;
    }
    while (sim->commit_count > 0)
        hf_batch_free(&sim->commits[--sim->commit_count].batch);
    fleet_free(&sim->fleet);
    mem_free(sim);
    return result;
}

/* On a copy of the disk: what is verified further must not hold commits that the oracle does not know. */
static int restart_on_copy(struct sim_disk *disk, char text[CRASH_TEXT]) {
    struct sim_image image;
    struct hf_error error;
    struct hf_store *store = NULL;
    sim_disk_image(disk, &image);
    struct sim_disk *copy = sim_disk_from(&image, 5);
    struct sim_process *process = sim_process_new(copy);
    int result = open_store(process, &store, &error);
    if (result < 0)
        snprintf(text, CRASH_TEXT, "open again: %s", error.message);
    else
        result = restart_daemon(store, text);
    hf_store_close(&store);
    sim_process_free(&process);
    sim_disk_free(&copy);
    sim_image_fini(&image);
    return result;
}

static int64_t verify(void *arg, struct sim_disk *disk, char text[CRASH_TEXT]) {
    struct life_work *work = arg;
    struct hf_store *store = NULL;
    struct hf_error error = {.code = 0};
    struct sim_process *process = sim_process_new(disk);
    int64_t found = -1;
    sim_mark_phase(disk, "open after a crash");
    if (open_store(process, &store, &error) < 0)
        snprintf(text, CRASH_TEXT, "open: %s", error.message);
    else
        found = oracle_compare(&work->oracle, store, text);
    hf_store_close(&store);
    sim_process_free(&process);
    if (found >= 0 && work->verified++ % RESTART_ONE_IN == 0) {
        work->restarted++;
        found = restart_on_copy(disk, text) < 0 ? -1 : found;
    }
    return found;
}

static void cut(uint64_t seed, enum crash_order order, uint64_t share, struct crash_result *result,
                uint64_t *ret_restarted) {
    struct life_work *work = MEM_NEW(struct life_work);
    struct sim_record *record = record_life(work, seed, 0);
    struct crash_options options;
    crash_options_default(&options);
    options.order = order;
    options.seed = seed;
    options.failure_folder = getenv("HOLDFAST_CRASH_FOLDER");
    options.keep_one_in = crash_count(record, &options) / share + 1;
    if (crash_run(record, &options, verify, work, result) != 0)
        print_error("seed %" PRIu64 ": %s\n", seed, result->first_failure);
    if (work->sim.violations > 0)
        print_error("seed %" PRIu64 ": %s\n", seed, work->sim.violation);
    result->failures += (uint64_t)work->sim.violations;
    *ret_restarted += work->restarted;
    sim_record_free(&record);
    end_life(work);
    mem_free(work);
}

static void test_sources_survive_power_cuts(void **state) {
    (void)state;
    uint64_t wanted = share_number("HOLDFAST_CRASH_STATES", share_of(STATES, SANITIZED_ONE_IN)), restarted = 0;
    uint64_t seed = share_number("HOLDFAST_CRASH_SEED", share_seed());
    struct crash_result result = {0};
    for (; result.total < wanted && result.failures == 0; seed++) {
        cut(seed, CRASH_STRICT, wanted / SEEDS + 1, &result, &restarted);
        cut(seed, CRASH_EXT4, wanted / SEEDS + 1, &result, &restarted);
    }
    printf("# %" PRIu64 " states, %" PRIu64 " distinct, %" PRIu64 " within recovery, %" PRIu64
           " daemons started again\n",
           result.total, result.distinct, result.deeper, restarted);
    assert_int_equal(result.failures, 0);
    assert_true(restarted > 0);
}

/* The known-bad variant: syncs that do nothing. */
static void test_missing_syncs_are_caught(void **state) {
    (void)state;
    struct life_work *work = MEM_NEW(struct life_work);
    struct sim_record *record = record_life(work, 1, 1);
    struct crash_options options;
    struct crash_result result = {0};
    crash_options_default(&options);
    options.most_states = LYING_STATES_MOST;
    options.stop_at_failure = 1;
    options.deeper_one_in = 0;
    crash_run(record, &options, verify, work, &result);
    assert_true(result.failures > 0);
    sim_record_free(&record);
    end_life(work);
    mem_free(work);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_missing_syncs_are_caught),
        cmocka_unit_test(test_sources_survive_power_cuts),
    };
    mallopt(M_MMAP_THRESHOLD, 64 << 20); /* stores are opened and closed by the thousand: keep the memory */
    mallopt(M_TRIM_THRESHOLD, 256 << 20);
    return cmocka_run_group_tests_name("crash states of the life of sources", tests, NULL, NULL);
}
