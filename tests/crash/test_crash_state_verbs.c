/* Every verb that changes states against power cuts, in random order: from every state that a cut could leave, all
 * records are, byte by byte, as some step left them whole, at least the last that was acknowledged; and head, versions
 * and ledger agree. So a move, a copy, an import or a removal is there whole or not at all, and numbers of runs are not
 * given again. A program that is known to be bad, which puts in two commits what belongs together, must fail.
 * sim/crash_suite.h tells of the environment. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "crash/crash_checks.h"
#include "crash/state_script.h"
#include "store/store.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS = 40, OPENED_AGAIN_ONE_IN = 12, SEEDS = 24 };

static const int NONE = -1; /* no act is torn */
static unsigned done[SCRIPT_ACT_COUNT], refused[SCRIPT_ACT_COUNT];

struct verbs_work {
    int is_lying;
    uint64_t random;
    struct sim_disk *disk;
    struct sim_process *process;
    struct hf_store *store;
    struct script_step next; /* number 0: any */
    uint64_t last_runs[2];
    uint64_t points[STEPS + 1]; /* digests, behind each step */
};

static void must(int code, const struct hf_error *error) {
    if (code == 0)
        return;
    fprintf(stderr, "verbs_work: %s\n", error->message);
    abort();
}

/* ---- the program ------------------------------------------------------------------------------------------------- */

static void reopen(struct verbs_work *work) {
    struct hf_error error = {0};
    sim_mark_phase(work->disk, "open");
    if (crash_random(&work->random) % 2)
        sim_process_kill(work->process);
    hf_store_close(&work->store);
    sim_process_free(&work->process);
    work->process = sim_process_new(work->disk);
    sim_process_set_lying(work->process, work->is_lying);
    must(script_open(sim_process_os(work->process), &work->store, &error), &error);
}

static int wants_a_free_name(enum script_act act) {
    return act == SCRIPT_COPY || act == SCRIPT_COPY_HISTORY || act == SCRIPT_MOVE || act == SCRIPT_IMPORT;
}

/* First of all there is something to be changed; without a lease much is only refused; and what needs a free name
 * mostly gets one. */
static struct script_step choose(struct verbs_work *work, uint64_t number) {
    static const enum script_act FIRST[] = {SCRIPT_BEGIN, SCRIPT_SET, SCRIPT_COMMIT};
    struct script_step step = work->next;
    work->next.number = 0;
    if (step.number == 0) {
        uint64_t chance = crash_random(&work->random) % (SCRIPT_ACT_COUNT + 6);
        step.act = chance < SCRIPT_ACT_COUNT ? (enum script_act)chance : chance % 2 ? SCRIPT_BEGIN : SCRIPT_SET;
        step.name = crash_random(&work->random) % 4 == 0;
    }
    if (number < sizeof FIRST / sizeof FIRST[0])
        step = (struct script_step){.act = FIRST[number]};
    if (step.number == 0 && wants_a_free_name(step.act) && crash_random(&work->random) % 4 > 0) {
        work->next = step;
        work->next.number = number + 1;
        step = (struct script_step){.act = SCRIPT_PURGE, .name = 1 - step.name};
    }
    step.number = number;
    return step;
}

static void check_numbers(struct verbs_work *work) {
    for (unsigned name = 0; name < 2; name++) {
        uint64_t last = script_last_run(work->store, name);
        if (last < work->last_runs[name])
            abort();
        work->last_runs[name] = last;
    }
}

static void do_step(struct verbs_work *work, uint64_t number, int torn_act) {
    struct hf_error error = {0};
    char text[SCRIPT_TEXT] = "";
    struct script_step step = choose(work, number);
    step.is_torn = (int)step.act == torn_act;
    sim_mark_phase(work->disk, script_act_name(step.act));
    sim_disk_advance_ms(work->disk, (crash_random(&work->random) % 4 == 0 ? 4 : 1) * SCRIPT_STEP_MS);
    int code = script_do(work->store, &step, &error);
    must(script_is_refusal(code) ? 0 : code, &error);
    (code == 0 ? done : refused)[step.act]++;
    if (script_check(work->store, text) != 0)
        must(error_set(&error, HF_ERR_INTERNAL, "behind %s: %s", script_act_name(step.act), text), &error);
    must(script_digest(work->store, 1, &work->points[number + 1], &error), &error);
    check_numbers(work);
    sim_mark_ack(work->disk, (int64_t)number + 1);
    if (crash_random(&work->random) % OPENED_AGAIN_ONE_IN == 0)
        reopen(work);
    else if (crash_random(&work->random) % OPENED_AGAIN_ONE_IN == 0)
        store_pump(work->store);
}

static struct sim_record *record(const struct crash_subject *subject, uint64_t seed, int lying, void **ret_work) {
    struct hf_error error = {0};
    struct verbs_work *work = sim_alloc(sizeof *work);
    *work = (struct verbs_work){.is_lying = lying, .random = seed, .disk = sim_disk_new(seed)};
    script_boot(work->disk);
    sim_disk_record(work->disk);
    sim_mark_phase(work->disk, "create");
    work->process = sim_process_new(work->disk);
    sim_process_set_lying(work->process, lying);
    must(script_open(sim_process_os(work->process), &work->store, &error), &error);
    for (uint64_t i = 0; i < STEPS; i++)
        do_step(work, i, *(const int *)subject->workload);
    hf_store_close(&work->store);
    sim_process_free(&work->process);
    *ret_work = work;
    return sim_disk_take_record(work->disk);
}

static void fini(void **work) {
    struct verbs_work *self = *work;
    sim_disk_free(&self->disk);
    mem_free(self);
    *work = NULL;
}

/* ---- after a crash ----------------------------------------------------------------------------------------------- */

#define AFTER SCRIPT_APART

/* The verifier's own state, which counts how often it was there: the step that it found first, and how often. */
struct after {
    int64_t base, count;
};

static int read_after(struct hf_store *store, struct after *ret_after, char text[CRASH_TEXT]) {
    struct hf_state_value *value = NULL;
    struct hf_error error = {0};
    int code = hf_state_load(store, AFTER, &value, &error);
    *ret_after = (struct after){.base = -1};
    if (code == 0 && sscanf(value->bytes, "[%" SCNd64 ",%" SCNd64 "]", &ret_after->base, &ret_after->count) != 2)
        code = HF_ERR_BAD_DATA;
    hf_state_value_free(&value);
    if (code != 0 && code != HF_ERR_NOT_FOUND)
        snprintf(text, CRASH_TEXT, "'" AFTER "': %s", error.message);
    return code == HF_ERR_NOT_FOUND ? 0 : code;
}

/* The last step that left exactly this; -1: none did. */
static int64_t find_point(const struct verbs_work *work, uint64_t digest) {
    int64_t at = STEPS;
    while (at >= 0 && work->points[at] != digest)
        at--;
    return at;
}

static int64_t look(const struct verbs_work *work, struct hf_store *store, struct after *ret_after,
                    char text[CRASH_TEXT]) {
    uint64_t digest;
    struct hf_error error = {0};
    if (script_check(store, text) != 0 || read_after(store, ret_after, text) != 0)
        return -1;
    if (script_digest(store, 1, &digest, &error) != 0) {
        snprintf(text, CRASH_TEXT, "%s", error.message);
        return -1;
    }
    int64_t found = find_point(work, digest);
    if (found < 0 || (ret_after->base >= 0 && work->points[ret_after->base] != digest)) {
        snprintf(text, CRASH_TEXT, "what is there never was, or is another step's than before");
        return -1;
    }
    return ret_after->base >= 0 ? ret_after->base + ret_after->count : found;
}

/* It works on: nobody who was overtaken saves, and who was not does. */
static int go_on(struct hf_store *store, int64_t base, int64_t count, struct hf_error *error) {
    static const struct hf_state_save_options FORCE = {.struct_bytes = sizeof FORCE, .basis = HF_STATE_FORCE};
    char json[64];
    for (unsigned name = 0; name < 2; name++) {
        int code = script_do(store, &(struct script_step){.act = SCRIPT_SET_LATE, .name = name}, error);
        if (code != HF_ERR_CONFLICT)
            return code;
    }
    int bytes = snprintf(json, sizeof json, "[%" PRId64 ",%" PRId64 "]", base, count);
    return hf_state_save(store, AFTER, json, (size_t)bytes, &FORCE, NULL, error);
}

static int64_t verify(void *arg, struct sim_disk *disk, char text[CRASH_TEXT]) {
    struct sim_process *process = sim_process_new(disk);
    struct hf_store *store = NULL;
    struct hf_error error = {0};
    struct after after;
    int64_t found = -1;
    text[0] = '\0';
    sim_mark_phase(disk, "open after a crash");
    if (script_open(sim_process_os(process), &store, &error) != 0)
        snprintf(text, CRASH_TEXT, "open: %s", error.message);
    else
        found = look(arg, store, &after, text);
    if (found >= 0) {
        sim_mark_ack(disk, found);
        sim_mark_phase(disk, "go on after a crash");
        if (go_on(store, after.base >= 0 ? after.base : found, after.count + 1, &error) == 0) {
            sim_mark_ack(disk, found + 1);
        } else {
            snprintf(text, CRASH_TEXT, "go on: %s", error.message);
            found = -1;
        }
    }
    hf_store_close(&store);
    sim_process_free(&process);
    return found;
}

/* ---- the tests --------------------------------------------------------------------------------------------------- */

static struct crash_subject subject_of(const int *torn_act) {
    struct crash_subject subject = {
        .weight = 1, .workload = torn_act, .record = record, .verify = verify, .fini = fini};
    snprintf(subject.name, sizeof subject.name, "verbs%s%s", *torn_act < 0 ? "" : ", in two commits ",
             *torn_act < 0 ? "" : script_act_name((enum script_act) * torn_act));
    return subject;
}

static void cut(const struct crash_subject *subject, uint64_t seed, struct crash_result *result) {
    struct crash_options options;
    void *work = NULL;
    struct sim_record *what = subject->record(subject, seed, 0, &work);
    crash_options_default(&options);
    options.keep_one_in = crash_count(what, &options) / 2000 + 1;
    options.deeper_one_in = 0;
    crash_run(what, &options, verify, work, result);
    sim_record_free(&what);
    fini(&work);
}

/* By chance a program does not come to the verb, or is not cut there. */
static void test_two_commits_are_caught(void **state) {
    static const int TORN[] = {SCRIPT_COMMIT, SCRIPT_END, SCRIPT_MOVE};
    (void)state;
    for (size_t i = 0; i < sizeof TORN / sizeof TORN[0]; i++) {
        const struct crash_subject subject = subject_of(&TORN[i]);
        struct crash_result result = {0};
        for (uint64_t seed = 1; seed <= SEEDS && result.failures == 0; seed++)
            cut(&subject, seed, &result);
        printf("# %s: %" PRIu64 " of %" PRIu64 " states failed: %s\n", subject.name, result.failures, result.total,
               result.first_failure);
        assert_true(result.failures > 0);
        assert_non_null(strstr(result.first_failure, "never was"));
    }
}

/* Without that the rest would prove little. */
static void test_every_verb_is_done(void **state) {
    const struct crash_subject subject = subject_of(&NONE);
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        void *work = NULL;
        struct sim_record *what = subject.record(&subject, seed, 0, &work);
        sim_record_free(&what);
        fini(&work);
    }
    for (int act = 0; act < SCRIPT_ACT_COUNT; act++) {
        printf("# %-16s %4u done, %4u refused\n", script_act_name((enum script_act)act), done[act], refused[act]);
        assert_true(act == SCRIPT_SET_LATE ? refused[act] > 0 && done[act] == 0 : done[act] > 0);
    }
}

int main(void) {
    static struct crash_checks checks = {.states = 80000, .lying_states_most = 2000, .count = 1};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_verb_is_done),
        cmocka_unit_test(test_two_commits_are_caught),
        cmocka_unit_test_prestate(test_missing_syncs_are_caught, &checks),
        cmocka_unit_test_prestate(test_nothing_acknowledged_is_lost, &checks),
    };
    crash_suite_init();
    checks.subjects[0] = subject_of(&NONE);
    return cmocka_run_group_tests_name("crash states of the verbs on states", tests, NULL, NULL);
}
