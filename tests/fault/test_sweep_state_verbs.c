/* Every verb that changes states, while the n-th call to the system fails, for every n, once and for ever. A verb that
 * failed says why, and has done all of it or nothing; with the fault gone the same verb goes on from there, and what is
 * there behind each step is, but for times, what is there when nothing fails. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"
#include "crash/state_script.h"
#include "fault/call_sweep.h"
#include "keep/state_inside.h"
#include "sim/share.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COMPLAINTS_SHOWN = 12 };

/* When nothing fails: what is there behind each step, but for times. */
static uint64_t digests[SCRIPT_LIFE_STEPS + 1];

static void check(char complaint[700], struct hf_store *store, const char *when) {
    char text[SCRIPT_TEXT];
    if (!complaint[0] && script_check(store, text) != 0)
        snprintf(complaint, 700, "%s: %s", when, text);
}

static void learn(void) {
    struct hf_error error = {0};
    struct hf_store *store = NULL;
    struct sim_disk *disk = sim_disk_new(3);
    struct sim_process *process = sim_process_new(disk);
    script_boot(disk);
    if (script_open(sim_process_os(process), &store, &error) != 0)
        fail_msg("%s", error.message);
    for (size_t i = 0; i < SCRIPT_LIFE_STEPS; i++) {
        struct script_step step = script_life_step(i);
        char complaint[700] = "";
        sim_disk_advance_ms(disk, SCRIPT_STEP_MS);
        if (script_do(store, &step, &error) != script_life_code(i))
            fail_msg("%s: %s", script_act_name(step.act), error.message);
        check(complaint, store, script_act_name(step.act));
        assert_string_equal(complaint, "");
        assert_int_equal(script_digest(store, 0, &digests[i + 1], &error), 0);
    }
    hf_store_close(&store);
    sim_process_free(&process);
    sim_disk_free(&disk);
}

/* ---- calls to the system ----------------------------------------------------------------------------------------- */

static int declare(struct sweep *sweep) {
    struct hf_error error = {0};
    int code = sweep->store ? state_declare_kinds(sweep->store, &error) : 0;
    if (code == 0)
        return sweep->store ? 0 : -1;
    sweep_judge(sweep, "declare the kinds", code, &error);
    sweep_take_fault_away(sweep);
    sweep_reopen(sweep);
    return sweep->store ? state_declare_kinds(sweep->store, NULL) : -1;
}

/* It failed for the fault: all of it is there, or nothing; and then it works. */
static void go_on(struct sweep *sweep, size_t i) {
    struct script_step step = script_life_step(i);
    struct hf_error error = {0};
    uint64_t digest = 0;
    sweep_take_fault_away(sweep);
    if (store_health(sweep->store, NULL) != 0) {
        sweep_reopen(sweep);
        if (declare(sweep) != 0)
            return;
    }
    check(sweep->complaint, sweep->store, "after the failure");
    int code = script_digest(sweep->store, 0, &digest, &error);
    if (code != 0)
        sweep_judge(sweep, "read all", code, &error);
    if (digest == digests[i + 1] && digest != digests[i])
        return; /* it happened, though nobody could know */
    if (digest != digests[i])
        sweep_complain(sweep, "%s: half of it was done", script_act_name(step.act));
    code = script_do(sweep->store, &step, &error);
    if (code != script_life_code(i))
        sweep_judge(sweep, script_act_name(step.act), code, &error);
}

static void do_step(struct sweep *sweep, size_t i) {
    struct script_step step = script_life_step(i);
    struct hf_error error = {0};
    uint64_t digest = 0;
    sim_disk_advance_ms(sweep->disk, SCRIPT_STEP_MS);
    int code = script_do(sweep->store, &step, &error);
    if (code != script_life_code(i)) {
        sweep_judge(sweep, script_act_name(step.act), code, &error);
        go_on(sweep, i);
        if (!sweep->store)
            return;
    }
    if (!sweep->is_gone)
        return; /* to look would meet the fault */
    code = script_digest(sweep->store, 0, &digest, &error);
    if (code != 0)
        sweep_judge(sweep, "read all", code, &error);
    else if (digest != digests[i + 1])
        sweep_complain(sweep, "behind %s there is something else", script_act_name(step.act));
}

static void use(struct sweep *sweep) {
    script_boot(sweep->disk);
    if (declare(sweep) != 0)
        return;
    for (size_t i = 0; i < SCRIPT_LIFE_STEPS && sweep->store; i++)
        do_step(sweep, i);
}

static void look_at_end(struct sweep *sweep) {
    struct hf_error error = {0};
    uint64_t digest = 0;
    check(sweep->complaint, sweep->store, "at the end");
    int code = script_digest(sweep->store, 0, &digest, &error);
    if (code != 0)
        sweep_judge(sweep, "read all", code, &error);
    else if (digest != digests[SCRIPT_LIFE_STEPS])
        sweep_complain(sweep, "at the end there is something else");
}

int main(void) {
    const struct sweep_subject subject = {
        .url = "sqlite:/data/store.db",
        .keys = {{"none", "a"}, {"none", "b"}, {"none", "c"}},
        .use = use,
        .look_at_end = look_at_end,
    };
    learn();
    return call_sweep_run("verbs on states with faults", &subject);
}
