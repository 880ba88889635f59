/* Every verb that changes states, while its n-th allocation fails, for every n, once and for ever, over SQLite, whose
 * allocations count too. A verb that failed says that memory is used up, and has done all of it or nothing; and it
 * works with the memory there. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "crash/state_script.h"
#include "fault/failing_memory.h"
#include "keep/state.h"
#include "sim/share.h"
#include "store/store.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* On a real folder, for the simulated disk needs memory itself; at times of its own, or leases would run out. */
struct stage {
    char folder[64], url[96];
    struct os_ops ops;
    struct os os;
    struct hf_store *store;
    uint64_t digests[SCRIPT_LIFE_STEPS + 1];
    int torn_act; /* known to be bad; -1: none */
    char complaint[700];
};

static int64_t now_ms;

static int64_t stage_now_ns(const struct os *os, enum os_clock clock) {
    (void)os;
    return clock == OS_CLOCK_MONOTONIC ? os_now_ns(os_real(), clock) : now_ms * 1000000;
}

static uint64_t digest_of(struct stage *stage) {
    uint64_t digest = 0;
    struct hf_error error = {0};
    if (script_digest(stage->store, 0, &digest, &error) != 0)
        fail_msg("%s", error.message);
    return digest;
}

static void remove_files(struct stage *stage) {
    static const char *const FILES[] = {"store.db", "store.db-wal", "store.db-shm", "lock"};
    char path[128];
    hf_store_close(&stage->store);
    for (size_t i = 0; i < sizeof FILES / sizeof FILES[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", stage->folder, FILES[i]);
        unlink(path);
    }
}

static void open_stage(struct stage *stage) {
    const struct store_setup setup = {.os = &stage->os, .without_thread = 1};
    struct hf_error error = {0};
    if (store_open(stage->url, NULL, &setup, &stage->store, &error) != 0 ||
        state_declare_kinds(stage->store, &error) != 0)
        fail_msg("%s", error.message);
}

/* A new store, as it is before a step. */
static void go_to(struct stage *stage, size_t step) {
    remove_files(stage);
    open_stage(stage);
    now_ms = INT64_C(1767225600000);
    for (size_t i = 0; i < step; i++) {
        struct script_step done = script_life_step(i);
        struct hf_error error = {0};
        now_ms += SCRIPT_STEP_MS;
        if (script_do(stage->store, &done, &error) != script_life_code(i))
            fail_msg("%s: %s", script_act_name(done.act), error.message);
    }
    now_ms += SCRIPT_STEP_MS;
}

static void complain(struct stage *stage, const struct script_step *step, uint64_t at, const char *what) {
    if (!stage->complaint[0])
        snprintf(stage->complaint, sizeof stage->complaint, "%s, allocation %" PRIu64 ": %s",
                 script_act_name(step->act), at, what);
}

/* All of it is there, or nothing. Returns whether it is not as it was before. */
static int look(struct stage *stage, size_t i, const struct script_step *step, uint64_t at, int is_good) {
    char text[SCRIPT_TEXT];
    uint64_t digest = digest_of(stage);
    if (digest != stage->digests[i + 1] && (is_good || digest != stage->digests[i]))
        complain(stage, step, at, "half of it was done");
    if (script_check(stage->store, text) != 0)
        complain(stage, step, at, text);
    return digest != stage->digests[i];
}

/* Returns 0 when there are fewer allocations than that. *ret_is_done: to be undone before the next try. */
static int try_at(struct stage *stage, size_t i, uint64_t at, int for_ever, int *ret_is_done) {
    struct script_step step = script_life_step(i);
    struct hf_error error = {0};
    step.is_torn = (int)step.act == stage->torn_act;
    failing_memory_set(at, for_ever);
    int code = script_do(stage->store, &step, &error);
    int is_reached = failing_memory_count() >= at;
    failing_memory_set(0, 0);
    int is_good = code == script_life_code(i);
    if (!is_good && (!is_reached || error.code != code || !strstr(error.message, "memory")))
        complain(stage, &step, at, error.message);
    int is_stopped = store_health(stage->store, NULL) != 0;
    if (is_stopped) {
        hf_store_close(&stage->store);
        open_stage(stage);
    }
    *ret_is_done = look(stage, i, &step, at, is_good) || is_stopped;
    return is_reached;
}

static uint64_t sweep_step(struct stage *stage, size_t i, int for_ever) {
    uint64_t runs = 0;
    int is_done = 0, is_reached = 1;
    go_to(stage, i);
    for (uint64_t at = share_first(); is_reached; at += share_step(), runs++) {
        if (is_done)
            go_to(stage, i);
        is_reached = try_at(stage, i, at, for_ever, &is_done);
    }
    return runs;
}

static void test_each_verb(void **state) {
    struct stage *stage = *state;
    uint64_t runs = 0;
    for (int for_ever = 0; for_ever < 2; for_ever++)
        for (size_t i = 0; i < SCRIPT_LIFE_STEPS; i++)
            runs += sweep_step(stage, i, for_ever);
    printf("# %" PRIu64 " runs over %d verbs\n", runs, SCRIPT_LIFE_STEPS);
    assert_string_equal(stage->complaint, "");
}

/* The known-bad variant: records and state in a commit each. */
static void test_two_commits_are_caught(void **state) {
    struct stage *stage = *state;
    stage->torn_act = SCRIPT_COMMIT;
    for (size_t i = 0; i < SCRIPT_LIFE_STEPS; i++)
        if (script_life_step(i).act == SCRIPT_COMMIT)
            sweep_step(stage, i, 1);
    assert_non_null(strstr(stage->complaint, "half of it was done"));
}

static int setup(void **state) {
    static struct stage stage;
    stage = (struct stage){.torn_act = -1};
    const char *shared = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(stage.folder, sizeof stage.folder, "%s/holdfast-verbs-XXXXXX", shared);
    if (!mkdtemp(stage.folder))
        return -1;
    snprintf(stage.url, sizeof stage.url, "sqlite:%s/store.db", stage.folder);
    stage.ops = *os_real()->ops;
    stage.ops.now_ns = stage_now_ns;
    stage.os = (struct os){.ops = &stage.ops, .context = os_real()->context};
    for (size_t i = 0; i <= SCRIPT_LIFE_STEPS; i++) {
        go_to(&stage, i);
        stage.digests[i] = digest_of(&stage);
    }
    *state = &stage;
    return 0;
}

static int teardown(void **state) {
    struct stage *stage = *state;
    remove_files(stage);
    return rmdir(stage->folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_each_verb, setup, teardown),
        cmocka_unit_test_setup_teardown(test_two_commits_are_caught, setup, teardown),
    };
    failing_memory_take_sqlite();
    return cmocka_run_group_tests_name("verbs on states without memory", tests, NULL, NULL);
}
