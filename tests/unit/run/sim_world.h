/* A world for the supervisor with a clock, chance, children and a store of its own, all in one thread: the whole life
 * of sources runs in virtual time, from a seed. Children outlive the daemon, as real ones do.
 *
 * What must hold is checked at every effect and counted in `violations`:
 *   - a child is made only when its nonce is in the store, and none of that source lives;
 *   - it is asked to run only when its pid is in the store;
 *   - it is asked to end only when the store says so, or refuses to take it. */
#ifndef HF_TEST_SIM_WORLD_H
#define HF_TEST_SIM_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "run/fleet.h"
#include "run/source_store.h"
#include "store/store.h"

enum { SIM_CHILDREN = 48, SIM_TIMERS = 48, SIM_COMMITS = 64 };

struct run_timer {
    void (*fire)(void *arg);
    void *arg;
    int64_t due; /* -1: not set */
    int is_used;
};

struct run_child {
    int is_used, is_alive, is_ours; /* ours: of the daemon that runs now */
    int is_exit_told, has_term, ignores_term, is_worker;
    char name[32], nonce[33];
    int pid;
    int64_t asked_run; /* 0: idle */
    struct run_spawn spawn;
    struct run_exit exit;
};

struct sim_commit {
    struct hf_batch *batch;
    run_commit_done done;
    void *arg;
};

struct sim_world {
    struct run_world world; /* first */
    struct hf_store *store;
    struct fleet *fleet;
    uint64_t chance;
    int64_t now_ms, wall_ms;
    int last_pid;
    struct run_child children[SIM_CHILDREN];
    struct run_timer timers[SIM_TIMERS];
    struct sim_commit commits[SIM_COMMITS];
    int commit_count;
    int is_crashing; /* the daemon dies: its children do not */
    int is_refusing; /* the store takes nothing from the supervisor */
    int is_lying;    /* the known-bad variant: acknowledges what it does not keep */
    int faults;      /* children die, spawns fail, now and then */
    int violations;
    char violation[200];
    int spawns, runs, reports;
    void (*acked)(struct sim_world *sim, uint64_t revision); /* may be NULL */
};

static inline uint32_t sim_random(struct sim_world *sim, uint32_t below) {
    sim->chance ^= sim->chance << 13;
    sim->chance ^= sim->chance >> 7;
    sim->chance ^= sim->chance << 17;
    return (uint32_t)(sim->chance >> 32) % below;
}

static inline void sim_violated(struct sim_world *sim, const char *what, const char *name) {
    if (sim->violations++ == 0)
        snprintf(sim->violation, sizeof sim->violation, "%s: '%s' at %lld ms", what, name, (long long)sim->now_ms);
}

static inline struct sim_world *sim_of(struct run_world *world) {
    return (struct sim_world *)world;
}

/* ---- the table -------------------------------------------------------------------------------------------------- */

static inline int64_t sim_now(struct run_world *world) {
    return sim_of(world)->now_ms;
}

static inline int64_t sim_wall(struct run_world *world) {
    return sim_of(world)->wall_ms;
}

static inline int sim_fill(struct run_world *world, void *to, size_t bytes) {
    for (size_t i = 0; i < bytes; i++)
        ((uint8_t *)to)[i] = (uint8_t)sim_random(sim_of(world), 256);
    return 0;
}

static inline int sim_timer_new(struct run_world *world, void (*fire)(void *arg), void *arg, struct run_timer **ret) {
    struct sim_world *sim = sim_of(world);
    for (int i = 0; i < SIM_TIMERS; i++) {
        if (!sim->timers[i].is_used) {
            sim->timers[i] = (struct run_timer){fire, arg, -1, 1};
            *ret = &sim->timers[i];
            return 0;
        }
    }
    return -1;
}

static inline void sim_timer_set(struct run_world *world, struct run_timer *timer, int64_t delay_ms) {
    timer->due = sim_of(world)->now_ms + (delay_ms > 0 ? delay_ms : 0);
}

static inline void sim_timer_clear(struct run_world *world, struct run_timer *timer) {
    (void)world;
    timer->due = -1;
}

static inline void sim_timer_free(struct run_world *world, struct run_timer **timer) {
    (void)world;
    (*timer)->is_used = 0;
    (*timer)->due = -1;
    *timer = NULL;
}

static inline void sim_commit(struct run_world *world, struct hf_batch **take_batch, run_commit_done done, void *arg) {
    struct sim_world *sim = sim_of(world);
    assert_true(sim->commit_count < SIM_COMMITS);
    sim->commits[sim->commit_count++] = (struct sim_commit){*take_batch, done, arg};
    *take_batch = NULL;
}

static inline int sim_stored_state(struct sim_world *sim, const char *name, struct source_state *ret_state) {
    return source_state_get(sim->store, name, ret_state, NULL, NULL);
}

static inline int sim_living(const struct sim_world *sim, const char *name) {
    int count = 0;
    for (int i = 0; i < SIM_CHILDREN; i++) {
        const struct run_child *child = &sim->children[i];
        count += child->is_used && child->is_alive && strcmp(child->name, name) == 0;
    }
    return count;
}

static inline int sim_spawn(struct run_world *world, const struct run_spawn *spawn, struct run_child **ret_child,
                            struct process_identity *ret_identity, struct hf_error *error) {
    struct sim_world *sim = sim_of(world);
    struct source_state state;
    const char *name = spawn->spec->name;
    if (sim_stored_state(sim, name, &state) < 0 || strcmp(state.child.nonce, spawn->nonce) != 0)
        sim_violated(sim, "a child is made, but its nonce is not in the store", name);
    if (sim_living(sim, name) > 0)
        sim_violated(sim, "a second child is made", name);
    if (sim->faults && sim_random(sim, 20) == 0)
        return error_set(error, HF_ERR_IO, "no process can be made");
    if (sim->faults && sim_random(sim, 60) == 0)
        return error_set(error, HF_ERR_EXEC, "there is no such program");
    for (int i = 0; i < SIM_CHILDREN; i++) {
        struct run_child *child = &sim->children[i];
        if (child->is_used)
            continue;
        *child = (struct run_child){.is_used = 1,
                                    .is_alive = 1,
                                    .is_ours = 1,
                                    .pid = ++sim->last_pid,
                                    .is_worker = spawn->code != NULL,
                                    .spawn = *spawn};
        child->ignores_term = sim_random(sim, 4) == 0;
        snprintf(child->name, sizeof child->name, "%s", name);
        snprintf(child->nonce, sizeof child->nonce, "%s", spawn->nonce);
        *ret_identity = (struct process_identity){.boot_id = "boot", .pid = child->pid, .start_ticks = 1};
        *ret_child = child;
        sim->spawns++;
        return 0;
    }
    return error_set(error, HF_ERR_IO, "the table of children is full");
}

static inline int sim_send(struct run_world *world, struct run_child *child, const char *line, size_t bytes) {
    struct sim_world *sim = sim_of(world);
    struct source_state state;
    (void)bytes;
    if (sim_stored_state(sim, child->name, &state) < 0 || state.child.pid != child->pid)
        sim_violated(sim, "a run is asked for, but the child is not in the store", child->name);
    if (!child->is_alive)
        return -1;
    if (child->asked_run != 0)
        sim_violated(sim, "two runs at a time", child->name);
    child->asked_run = strtoll(line + strlen("{\"run\":"), NULL, 10);
    sim->runs++;
    return 0;
}

static inline void sim_terminate(struct run_world *world, struct run_child *child) {
    struct sim_world *sim = sim_of(world);
    struct source_state state;
    int is_there = sim_stored_state(sim, child->name, &state) == 0;
    const struct life *life = child->spawn.arg;
    if (is_there && state.status != STATUS_STOPPING && !life->is_refused)
        sim_violated(sim, "a child is ended, but the store does not say so", child->name);
    child->has_term = 1;
}

static inline void sim_kill_tree(struct run_world *world, struct run_child *child) {
    (void)world;
    child->is_alive = 0;
    child->exit = (struct run_exit){.signal = 9};
}

static inline void sim_take_printed(struct run_world *world, struct run_child *child, struct run_printed *ret_printed) {
    (void)world;
    if (!child->is_worker)
        buf_add_text(&ret_printed->datum, "{\"v\":1}");
}

static inline void sim_child_free(struct run_world *world, struct run_child **child) {
    if (sim_of(world)->is_crashing) {
        (*child)->is_ours = 0;
    } else {
        (*child)->is_used = 0;
        (*child)->is_alive = 0;
    }
    *child = NULL;
}

static inline enum process_match sim_end_left(struct run_world *world, const struct process_identity *then) {
    struct sim_world *sim = sim_of(world);
    int found = 0;
    for (int i = 0; i < SIM_CHILDREN; i++) {
        struct run_child *child = &sim->children[i];
        if (!child->is_used || !child->is_alive || child->is_ours || strcmp(child->nonce, then->nonce) != 0)
            continue;
        found = 1;
        if (sim_random(sim, 2) == 0) /* dying takes a while */
            child->is_used = child->is_alive = 0;
    }
    return found ? PROCESS_SAME : PROCESS_GONE;
}

static inline void sim_log(struct run_world *world, const char *line) {
    if (getenv("SIM_LOG"))
        fprintf(stderr, "# %8lld %s\n", (long long)sim_of(world)->now_ms, line);
}

static const struct run_world_ops SIM_OPS = {
    .now_ms = sim_now,
    .wall_ms = sim_wall,
    .random = sim_fill,
    .timer_new = sim_timer_new,
    .timer_set = sim_timer_set,
    .timer_clear = sim_timer_clear,
    .timer_free = sim_timer_free,
    .commit = sim_commit,
    .spawn = sim_spawn,
    .send = sim_send,
    .terminate = sim_terminate,
    .kill_tree = sim_kill_tree,
    .take_printed = sim_take_printed,
    .child_free = sim_child_free,
    .end_left = sim_end_left,
    .log = sim_log,
};

/* ---- what happens ----------------------------------------------------------------------------------------------- */

static inline void sim_init(struct sim_world *sim, struct hf_store *store, uint64_t seed) {
    *sim = (struct sim_world){.world = {&SIM_OPS},
                              .store = store,
                              .chance = seed * 2654435761u + 88172645463325252u,
                              .now_ms = 1000,
                              .wall_ms = 1700000000000};
    for (int i = 0; i < 10; i++)
        sim_random(sim, 2);
}

static inline void sim_restored(void *arg, const char *report) {
    struct sim_world *sim = arg;
    (void)report;
    sim->reports++;
}

static inline void sim_begin_daemon(struct sim_world *sim) {
    struct hf_error error;
    sim->reports = 0;
    assert_int_equal(fleet_new(sim->store, &sim->world, &sim->fleet, &error), 0);
    assert_int_equal(fleet_start(sim->fleet, sim_restored, sim, &error), 0);
}

/* Takes the n-th commit out of the queue and decides it. */
static inline void sim_answer(struct sim_world *sim, int at) {
    struct sim_commit commit = sim->commits[at];
    memmove(&sim->commits[at], &sim->commits[at + 1], (size_t)(--sim->commit_count - at) * sizeof commit);
    struct hf_error error = {.code = 0};
    struct hf_commit_result result = {.revision = 0};
    int code;
    if (sim->is_refusing) {
        hf_batch_free(&commit.batch);
        code = error_set(&error, HF_ERR_NO_SPACE, "the disk is full");
    } else if (sim->is_lying) {
        hf_batch_free(&commit.batch);
        code = 0;
    } else {
        code = hf_store_commit(sim->store, &commit.batch, &result, &error);
        if (code == 0 && sim->acked)
            sim->acked(sim, result.revision);
    }
    commit.done(commit.arg, code, result.revision, &error);
}

/* Kill -9: of the commits under way some reach the disk; nobody hears of it. */
static inline void sim_kill_daemon(struct sim_world *sim) {
    while (sim->commit_count > 0) {
        struct sim_commit *commit = &sim->commits[--sim->commit_count];
        if (sim_random(sim, 2) == 0)
            hf_batch_free(&commit->batch);
        else
            (void)!hf_store_commit(sim->store, &commit->batch, NULL, NULL);
    }
    sim->is_crashing = 1;
    fleet_free(&sim->fleet);
    sim->is_crashing = 0;
}

static inline void sim_tell_exit(struct sim_world *sim, struct run_child *child) {
    (void)sim;
    child->is_exit_told = 1;
    child->spawn.exited(child->spawn.arg, &child->exit);
}

static inline void sim_reply(struct sim_world *sim, struct run_child *child) {
    static const char *const REPLIES[] = {
        "{\"run\":%lld,\"outcome\":\"ok\",\"type\":\"dict\",\"data\":{\"v\":%lld}}",
        "{\"run\":%lld,\"outcome\":\"none\"}",
        "{\"run\":%lld,\"outcome\":\"error\",\"error\":\"ValueError: no\"}",
        "what is this %lld",
    };
    char line[160];
    long long run = child->asked_run;
    child->asked_run = 0;
    const char *format = REPLIES[sim_random(sim, sim->faults ? 4 : 2)];
    (void)format;
    if (format == REPLIES[0])
        snprintf(line, sizeof line, "{\"run\":%lld,\"outcome\":\"ok\",\"type\":\"dict\",\"data\":{\"v\":%lld}}", run,
                 run);
    else if (format == REPLIES[3])
        snprintf(line, sizeof line, "what is this %lld", run);
    else
        snprintf(line, sizeof line,
                 format == REPLIES[1] ? "{\"run\":%lld,\"outcome\":\"none\"}"
                                      : "{\"run\":%lld,\"outcome\":\"error\",\"error\":\"E: no\"}",
                 run);
    child->spawn.replied(child->spawn.arg, line, strlen(line));
}

/* One thing that a child does; 1 when it did something. */
static inline int sim_child_step(struct sim_world *sim, struct run_child *child) {
    if (!child->is_used || child->is_exit_told)
        return 0;
    if (!child->is_ours) { /* the daemon is gone: it ends when it notices */
        if (sim_random(sim, 8) == 0)
            child->is_used = child->is_alive = 0;
        return 0;
    }
    if (child->is_alive && child->has_term && !child->ignores_term) {
        child->is_alive = 0;
        child->exit = (struct run_exit){.signal = 15};
    } else if (child->is_alive && !child->is_worker && sim_random(sim, 3) == 0) {
        child->is_alive = 0;
        child->exit = (struct run_exit){.exit_code = sim->faults && sim_random(sim, 4) == 0};
    } else if (child->is_alive && sim->faults && sim_random(sim, 30) == 0) {
        child->is_alive = 0;
        child->exit = (struct run_exit){.exit_code = 3};
    }
    if (!child->is_alive) {
        sim_tell_exit(sim, child);
        return 1;
    }
    if (child->asked_run != 0 && !(sim->faults && sim_random(sim, 20) == 0)) {
        sim_reply(sim, child);
        return 1;
    }
    return 0;
}

static inline void sim_fire_timers(struct sim_world *sim) {
    for (int i = 0; i < SIM_TIMERS; i++) {
        struct run_timer *timer = &sim->timers[i];
        if (timer->is_used && timer->due >= 0 && timer->due <= sim->now_ms) {
            timer->due = -1;
            timer->fire(timer->arg);
        }
    }
}

static inline void sim_advance(struct sim_world *sim, int64_t ms) {
    sim->now_ms += ms;
    sim->wall_ms += ms;
    sim_fire_timers(sim);
}

/* One step of the world, by chance. */
static inline void sim_step(struct sim_world *sim) {
    switch (sim_random(sim, 4)) {
    case 0:
        if (sim->commit_count > 0)
            sim_answer(sim, (int)sim_random(sim, (uint32_t)sim->commit_count));
        break;
    case 1:
        fleet_wake(sim->fleet);
        break;
    case 2:
        sim_advance(sim, sim_random(sim, 50));
        break;
    default:
        for (uint32_t i = sim_random(sim, SIM_CHILDREN), n = 0; n < SIM_CHILDREN; n++) {
            if (sim_child_step(sim, &sim->children[(i + n) % SIM_CHILDREN]))
                break;
        }
        break;
    }
}

/* Goes on without faults until nothing is to be done for a while. */
static inline void sim_settle(struct sim_world *sim, int64_t ms) {
    int64_t end = sim->now_ms + ms;
    sim->faults = sim->is_refusing = 0;
    while (sim->now_ms < end) {
        fleet_wake(sim->fleet);
        while (sim->commit_count > 0)
            sim_answer(sim, 0);
        for (int i = 0; i < SIM_CHILDREN; i++)
            (void)sim_child_step(sim, &sim->children[i]);
        while (sim->commit_count > 0)
            sim_answer(sim, 0);
        sim_advance(sim, 20);
    }
}

/* A source as source_add makes it, without asking python about the code. */
static inline void sim_add(struct sim_world *sim, const char *name, enum source_kind kind, int64_t created_ms) {
    struct source_spec *spec = NULL;
    struct hf_error error;
    struct hf_batch *batch = NULL;
    struct source_state state;
    BUF_AUTO struct buf json;
    buf_init(&json);
    static const char *const ARGV[] = {"true", NULL};
    assert_int_equal(source_spec_new(name, kind, &spec, &error), 0);
    spec->interval_ms = 100;
    spec->timeout_ms = 2000;
    spec->created_ms = spec->updated_ms = created_ms;
    if (kind == SOURCE_COMMAND)
        spec->argv = ARGV;
    source_state_init(&state);
    struct json_writer writer;
    json_writer_init(&writer, &json, 0);
    json_begin_object(&writer);
    json_put_string(&writer, "name", name);
    source_state_write(&state, &writer);
    json_end_object(&writer);
    assert_int_equal(hf_batch_new("test", &batch, &error), 0);
    if (kind == SOURCE_PYTHON) {
        struct source_code code = {.text = "x", .bytes = 1, .author = "test"};
        assert_int_equal(source_code_last_version(sim->store, name, &code.version, &error), 0);
        spec->code_version = ++code.version;
        assert_int_equal(source_code_put(batch, name, &code, created_ms, &error), 0);
    }
    assert_int_equal(source_spec_put(batch, spec, NULL, &error), 0);
    assert_int_equal(hf_batch_put(batch, "source_state", name, json.data, json.size, NULL, &error), 0);
    assert_int_equal(hf_store_commit(sim->store, &batch, NULL, &error), 0);
    source_spec_free(&spec);
}

#endif
