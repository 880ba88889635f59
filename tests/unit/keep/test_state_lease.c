/* Leases and the ledger: who may take one, from whom, and what becomes of his run. */
#include "unit/keep/state_stage.h"

#include <signal.h>
#include <sys/wait.h>

static int take_with(struct stage *stage, struct hf_state_lease_options options, struct hf_state_lease **ret_lease) {
    options.struct_bytes = sizeof options;
    return hf_state_lease_take(stage->store, "x", &options, ret_lease, &stage->error);
}
#define take(stage, ret_lease, ...) take_with(stage, (struct hf_state_lease_options){__VA_ARGS__}, ret_lease)

static int save_by(struct stage *stage, const struct hf_state_lease *lease, const char *text) {
    const struct hf_state_save_options options = {.struct_bytes = sizeof options, .lease = lease};
    return hf_state_save(stage->store, "x", text, strlen(text), &options, NULL, &stage->error);
}

static void expect_outcome(struct stage *stage, uint64_t number, const char *outcome) {
    char word[64];
    assert_string_equal(stage_outcome(stage, "x", number, word), outcome);
}

/* A process that does nothing. */
static pid_t start_owner(void) {
    pid_t pid = fork();
    if (pid == 0) {
        for (;;)
            pause();
    }
    return pid;
}

static void end_owner(pid_t pid) {
    int status;
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, &status, 0), pid);
}

static void test_taken_and_given_back(void **state) {
    struct stage *stage = *state;
    struct hf_state_lease *lease = NULL, *second = NULL;
    assert_code(stage, 0, take(stage, &lease, .reason = "nightly", .who = "cron"));
    assert_int_equal(hf_state_lease_fence(lease), 1);
    assert_string_equal(hf_state_lease_run(lease), "x@1");
    assert_code(stage, HF_ERR_CONFLICT, take(stage, &second, .who = "other"));
    char owner[32];
    snprintf(owner, sizeof owner, "process %d", (int)getpid());
    assert_says(stage, "x@1");
    assert_says(stage, owner);
    assert_says(stage, "2023-11-14T22:13:20.000Z");
    assert_null(second);
    expect_outcome(stage, 1, "running");
    assert_code(stage, 0, save_by(stage, lease, "1"));
    assert_code(stage, 0, save_by(stage, lease, "2"));
    assert_code(stage, 0, save_by(stage, lease, "2"));
    stage->wall_ms += 1500;
    assert_code(stage, 0, hf_state_lease_release(stage->store, &lease, NULL, &stage->error));
    assert_null(lease);
    struct state_run run;
    assert_code(stage, 0, state_run_read(stage->store, "x", 1, &run, &stage->error));
    assert_string_equal(run.outcome, "ok");
    assert_string_equal(run.reason, "nightly");
    assert_string_equal(run.who, "cron");
    assert_int_equal(run.duration_ms, 1500);
    assert_int_equal(run.saves, 2);
    assert_int_equal(run.version_before, 0);
    assert_int_equal(run.version_after, 2);
    assert_int_equal(run.pid, getpid());
    assert_true(run.host[0] != '\0');
    state_run_fini(&run);
    struct hf_state_value *value = NULL;
    assert_code(stage, 0, hf_state_load(stage->store, "x", &value, &stage->error));
    assert_string_equal(value->run, "x@1");
    assert_int_equal(value->fence, 1);
    hf_state_value_free(&value);
    assert_code(stage, 0, take(stage, &second, .who = "other"));
    assert_int_equal(hf_state_lease_fence(second), 2);
    assert_code(stage, 0, hf_state_lease_release(stage->store, &second, "error", &stage->error));
    expect_outcome(stage, 2, "error");
}

static void test_nobody_saves_beside_a_lease(void **state) {
    struct stage *stage = *state;
    struct hf_state_lease *lease = NULL;
    struct hf_state_save_options options = {.struct_bytes = sizeof options, .basis = HF_STATE_IF_VERSION};
    assert_code(stage, 0, take(stage, &lease, .who = "a"));
    assert_code(stage, HF_ERR_CONFLICT, hf_state_save(stage->store, "x", "1", 1, &options, NULL, &stage->error));
    options.lease = lease;
    assert_code(stage, 0, hf_state_save(stage->store, "x", "1", 1, &options, NULL, &stage->error));
    assert_code(stage, HF_ERR_PRECONDITION, hf_state_save(stage->store, "x", "2", 1, &options, NULL, &stage->error));
    stage_save_text(stage, "x", "\"forced\"");
    struct hf_state_value *value = NULL;
    assert_code(stage, 0, hf_state_load(stage->store, "x", &value, &stage->error));
    assert_int_equal(value->fence, 0);
    hf_state_value_free(&value);
    struct state_version *version = NULL;
    assert_code(stage, 0, state_version_read(stage->store, "x", 2, &version, &stage->error));
    assert_int_equal(version->meta.is_forced, 1);
    state_version_free(&version);
    assert_code(stage, 0, hf_state_lease_release(stage->store, &lease, NULL, &stage->error));
}

/* One that has ended, but whose parent did not look yet. */
static void test_zombie_is_dead(void **state) {
    struct stage *stage = *state;
    struct hf_state_lease *lease = NULL, *second = NULL;
    siginfo_t end;
    int status;
    pid_t pid = start_owner();
    assert_code(stage, 0, take(stage, &lease, .pid = pid, .ttl_ms = 1));
    kill(pid, SIGKILL);
    assert_int_equal(waitid(P_PID, (id_t)pid, &end, WEXITED | WNOWAIT), 0);
    stage->boot_ms += 1000; /* his time is over as well, but that is not how it ended */
    assert_code(stage, 0, take(stage, &second, .who = "b"));
    expect_outcome(stage, 1, "lost");
    assert_int_equal(waitpid(pid, &status, 0), pid);
    hf_state_lease_free(&lease);
    hf_state_lease_free(&second);
}

/* The owner's process is killed: free at once, and his run is lost. What he had under way is refused. */
static void test_dead_owner(void **state) {
    struct stage *stage = *state;
    struct hf_state_lease *lease = NULL, *second = NULL;
    pid_t pid = start_owner();
    assert_code(stage, 0, take(stage, &lease, .pid = pid));
    assert_code(stage, HF_ERR_CONFLICT, take(stage, &second, .pid = 0));
    end_owner(pid);
    assert_code(stage, 0, save_by(stage, lease, "\"his last\"")); /* nobody took it yet */
    assert_code(stage, 0, take(stage, &second, .pid = 0));
    expect_outcome(stage, 1, "lost");
    assert_code(stage, HF_ERR_CONFLICT, save_by(stage, lease, "\"late\""));
    assert_says(stage, "taken over by run x@2");
    assert_code(stage, HF_ERR_CONFLICT, hf_state_lease_renew(stage->store, lease, &stage->error));
    assert_code(stage, HF_ERR_CONFLICT, hf_state_lease_release(stage->store, &lease, NULL, &stage->error));
    assert_null(lease);
    expect_outcome(stage, 1, "lost");
    stage_expect_text(stage, "x", "\"his last\"", 1);
    assert_code(stage, 0, hf_state_lease_release(stage->store, &second, NULL, &stage->error));
}

static void test_pid_of_somebody_else(void **state) {
    struct stage *stage = *state;
    struct hf_state_lease *lease = NULL;
    struct state_lease of_me = {.fence = 1, .run = "x@1", .pid = getpid(), .start_ticks = 1, .who = "", .reason = ""};
    char boot_id[40];
    assert_int_equal(process_boot_id(os_real(), boot_id, NULL), 0);
    of_me.boot_id = boot_id;
    assert_int_equal(state_lease_owner(stage->store, &of_me), STATE_OWNER_DEAD);
    assert_code(stage, HF_ERR_INVALID, take(stage, &lease, .pid = 0x7ffffff0));
    assert_code(stage, HF_ERR_INVALID, take(stage, &lease, .pid = -5));
    assert_code(stage, HF_ERR_INVALID, take(stage, &lease, .ttl_ms = -5));
    assert_int_equal(hf_store_revision(stage->store), 0);
}

static void test_owner_of_another_boot(void **state) {
    struct stage *stage = *state;
    struct hf_state_lease *lease = NULL, *second = NULL;
    assert_code(stage, 0, take(stage, &lease, .who = "a"));
    stage->is_rebooted = 1; /* the pid lives, but it was another machine's life */
    assert_code(stage, 0, take(stage, &second, .who = "b"));
    expect_outcome(stage, 1, "lost");
    hf_state_lease_free(&lease);
    hf_state_lease_free(&second);
}

static void test_owner_that_cannot_be_read_lives(void **state) {
    struct stage *stage = *state;
    struct hf_state_lease *lease = NULL, *second = NULL;
    pid_t pid = start_owner();
    assert_code(stage, 0, take(stage, &lease, .pid = pid));
    end_owner(pid);
    stage->is_unreadable = 1;
    struct state_head head;
    assert_code(stage, 0, state_head_read(stage->store, "x", 0, &head, &stage->error));
    assert_int_equal(state_lease_owner(stage->store, &head.lease), STATE_OWNER_ALIVE);
    assert_int_equal(state_lease_check_free(stage->store, &head, 0, &stage->error), HF_ERR_CONFLICT);
    stage->is_unreadable = 0;
    assert_int_equal(state_lease_owner(stage->store, &head.lease), STATE_OWNER_DEAD);
    state_head_fini(&head);
    assert_code(stage, 0, take(stage, &second, .pid = 0));
    hf_state_lease_free(&lease);
    hf_state_lease_free(&second);
}

static void test_stolen(void **state) {
    struct stage *stage = *state;
    struct hf_state_lease *lease = NULL, *second = NULL;
    assert_code(stage, 0, take(stage, &lease, .who = "a"));
    assert_code(stage, 0, save_by(stage, lease, "1"));
    assert_code(stage, 0, take(stage, &second, .steal = 1));
    expect_outcome(stage, 1, "taken_over");
    assert_code(stage, HF_ERR_CONFLICT, save_by(stage, lease, "2"));
    stage_expect_text(stage, "x", "1", 1);
    assert_code(stage, 0, save_by(stage, second, "3"));
    assert_code(stage, 0, hf_state_lease_release(stage->store, &second, NULL, &stage->error));
    assert_code(stage, HF_ERR_CONFLICT, save_by(stage, lease, "2")); /* a lease that is nobody's is not his */
    assert_says(stage, "given back or taken over");
    hf_state_lease_free(&lease);
}

/* ---- an end by time ---- */

static void test_ttl(void **state) {
    struct stage *stage = *state;
    struct hf_state_lease *lease = NULL, *second = NULL;
    assert_code(stage, 0, take(stage, &lease, .ttl_ms = 1000));
    stage->boot_ms += 1000;
    stage->wall_ms += 90000000; /* what the wall clock says is nothing to it */
    assert_code(stage, HF_ERR_CONFLICT, take(stage, &second, .pid = 0));
    assert_code(stage, 0, hf_state_lease_renew(stage->store, lease, &stage->error));
    stage->boot_ms += 1000;
    assert_code(stage, HF_ERR_CONFLICT, take(stage, &second, .pid = 0));
    assert_code(stage, 0, save_by(stage, lease, "1"));
    stage->boot_ms += 1000;
    assert_code(stage, 0, save_by(stage, lease, "1")); /* the same again renews too */
    stage->boot_ms += 1000;
    assert_code(stage, HF_ERR_CONFLICT, take(stage, &second, .pid = 0));
    stage->boot_ms += 1;
    assert_code(stage, 0, save_by(stage, lease, "2")); /* it ran out, but nobody took it */
    stage->boot_ms += 1001;
    assert_code(stage, 0, take(stage, &second, .pid = 0));
    expect_outcome(stage, 1, "taken_over");
    assert_code(stage, HF_ERR_CONFLICT, save_by(stage, lease, "3"));
    hf_state_lease_free(&lease);
    hf_state_lease_free(&second);
}

/* Who lost the lease has not seen what others save then. */
static void test_save_beside_a_lost_lease_ends_it(void **state) {
    struct stage *stage = *state;
    struct hf_state_lease *expired = NULL, *dead = NULL;
    assert_code(stage, 0, take(stage, &expired, .ttl_ms = 1000));
    stage->boot_ms += 1001;
    stage_save_text(stage, "x", "\"of another\"");
    expect_outcome(stage, 1, "taken_over");
    assert_code(stage, HF_ERR_CONFLICT, save_by(stage, expired, "\"late\""));
    pid_t pid = start_owner();
    assert_code(stage, 0, take(stage, &dead, .pid = pid));
    end_owner(pid);
    stage_save_text(stage, "x", "\"of another\""); /* changes nothing, so there is nothing to be saved over */
    assert_code(stage, 0, save_by(stage, dead, "\"his last\""));
    stage_save_text(stage, "x", "\"of a third\"");
    expect_outcome(stage, 2, "lost");
    assert_code(stage, HF_ERR_CONFLICT, save_by(stage, dead, "\"late\""));
    stage_expect_text(stage, "x", "\"of a third\"", 3);
    hf_state_lease_free(&expired);
    hf_state_lease_free(&dead);
}

static void test_without_ttl_nothing_is_renewed(void **state) {
    struct stage *stage = *state;
    struct hf_state_lease *lease = NULL;
    assert_code(stage, 0, take(stage, &lease, .who = "a"));
    uint64_t revision = hf_store_revision(stage->store);
    stage->boot_ms += 1000;
    assert_code(stage, 0, hf_state_lease_renew(stage->store, lease, &stage->error));
    assert_int_equal(hf_store_revision(stage->store), revision);
    hf_state_lease_free(&lease);
}

struct remote {
    struct stage *stage;
    struct state_claim claim;
};

static int take_remote(void *arg, struct state_head *head, struct hf_batch *batch, struct hf_error *error) {
    struct remote *remote = arg;
    return state_lease_take(remote->stage->store, head, batch, &remote->claim, error);
}

/* The owner is on another machine: only the time says when he is gone. After a boot it counts from there. */
static void test_owner_without_process(void **state) {
    struct stage *stage = *state;
    struct hf_state_lease *second = NULL;
    struct remote remote = {.stage = stage};
    assert_code(stage, HF_ERR_INVALID, state_claim_identify(stage->store, &remote.claim, &stage->error));
    remote.claim.ttl_ms = 60000;
    assert_code(stage, 0, state_claim_identify(stage->store, &remote.claim, &stage->error));
    const struct state_change change = {.store = stage->store, .name = "x", .change = take_remote, .arg = &remote};
    assert_code(stage, 0, state_change_commit(&change, NULL, &stage->error));
    assert_code(stage, HF_ERR_CONFLICT, take(stage, &second, .pid = 0));
    stage->is_rebooted = 1;
    stage->boot_ms = 60000;
    assert_code(stage, HF_ERR_CONFLICT, take(stage, &second, .pid = 0));
    stage->boot_ms = 60001;
    assert_code(stage, 0, take(stage, &second, .pid = 0));
    hf_state_lease_free(&second);
}

/* ---- leases by their fence, and the ledger ---- */

static void test_lease_of_another_state(void **state) {
    struct stage *stage = *state;
    struct hf_state_lease *lease = NULL, *other = NULL;
    assert_code(stage, 0, take(stage, &lease, .who = "a"));
    assert_code(stage, 0, hf_state_lease_take(stage->store, "y", NULL, &other, &stage->error));
    assert_int_equal(hf_state_lease_fence(lease), hf_state_lease_fence(other));
    assert_code(stage, HF_ERR_INVALID, save_by(stage, other, "1"));
    assert_says(stage, "the lease is of state 'y'");
    hf_state_lease_free(&lease);
    hf_state_lease_free(&other);
}

static void test_lease_of_fence(void **state) {
    struct stage *stage = *state;
    struct hf_state_lease *lease = NULL, *same = NULL;
    assert_code(stage, HF_ERR_INVALID, hf_state_lease_of_fence("x", 0, &same, &stage->error));
    assert_code(stage, HF_ERR_BAD_ID, hf_state_lease_of_fence("", 1, &same, &stage->error));
    assert_code(stage, 0, take(stage, &lease, .who = "a"));
    assert_code(stage, 0, hf_state_lease_of_fence("x", 1, &same, &stage->error));
    assert_string_equal(hf_state_lease_run(same), "x@1");
    assert_code(stage, 0, save_by(stage, same, "1"));
    hf_state_lease_free(&same);
    assert_code(stage, 0, hf_state_lease_of_fence("x", 2, &same, &stage->error));
    assert_code(stage, HF_ERR_CONFLICT, save_by(stage, same, "2"));
    hf_state_lease_free(&same);
    assert_code(stage, HF_ERR_INVALID, hf_state_lease_release(stage->store, &lease, "Not a word", &stage->error));
    assert_null(lease); /* freed in any case */
    assert_code(stage, 0, hf_state_lease_release(stage->store, &lease, NULL, &stage->error));
}

static void test_ledger_keeps_the_newest(void **state) {
    struct stage *stage = *state;
    struct hf_state_lease *lease = NULL;
    struct state_run run;
    enum { MORE = 3 };
    for (int i = 0; i < STATE_KEEP_RUNS + MORE; i++) {
        assert_code(stage, 0, take(stage, &lease, .steal = 1));
        hf_state_lease_free(&lease);
    }
    assert_code(stage, HF_ERR_NOT_FOUND, state_run_read(stage->store, "x", MORE, &run, &stage->error));
    expect_outcome(stage, MORE + 1, "taken_over");
    expect_outcome(stage, STATE_KEEP_RUNS + MORE, "running");
}

static int enter_skipped(void *arg, struct state_head *head, struct hf_batch *batch, struct hf_error *error) {
    struct stage *stage = arg;
    struct state_run run;
    state_run_init(&run);
    run.outcome = "skipped";
    return state_run_enter(stage->store, head, batch, &run, error);
}

/* A run that lasts while a thousand others are skipped stays in the ledger until it ends. */
static void test_long_run_stays_in_the_ledger(void **state) {
    struct stage *stage = *state;
    struct hf_state_lease *lease = NULL, *second = NULL;
    const struct state_change change = {.store = stage->store, .name = "x", .change = enter_skipped, .arg = stage};
    assert_code(stage, 0, take(stage, &lease, .who = "a"));
    for (int i = 0; i < STATE_KEEP_RUNS - 1; i++)
        assert_code(stage, 0, state_change_commit(&change, NULL, &stage->error));
    assert_code(stage, 0, take(stage, &second, .steal = 1)); /* the one with which the first would go */
    assert_int_equal(hf_state_lease_fence(second), STATE_KEEP_RUNS + 1);
    expect_outcome(stage, 1, "taken_over");
    hf_state_lease_free(&lease);
    hf_state_lease_free(&second);
}

static void test_lost_entry_is_made_again(void **state) {
    struct stage *stage = *state;
    struct hf_state_lease *lease = NULL;
    char id[HF_ID_MAX + 1];
    assert_code(stage, 0, take(stage, &lease, .reason = "why", .who = "me"));
    state_number_id("x", 1, id);
    assert_code(stage, 0, hf_store_put(stage->store, STATE_RUN_KIND, id, "{}", 2, NULL, &stage->error));
    assert_code(stage, 0, hf_state_lease_release(stage->store, &lease, "failed", &stage->error));
    expect_outcome(stage, 1, "failed");
}

static int close_with_more(void *arg, struct state_head *head, struct hf_batch *batch, struct hf_error *error) {
    struct stage *stage = arg;
    struct state_run more;
    state_run_init(&more);
    more.exit_code = 3;
    more.records = 17;
    more.duration_ms = 5;
    more.output_tail = "the end\n";
    return state_run_close(stage->store, head, batch, "failed", &more, error);
}

static void test_end_of_a_run(void **state) {
    struct stage *stage = *state;
    struct hf_state_lease *lease = NULL;
    struct state_run run;
    const struct state_change change = {.store = stage->store, .name = "x", .change = close_with_more, .arg = stage};
    struct state_head head;
    assert_code(stage, 0, take(stage, &lease, .reason = "why"));
    assert_code(stage, 0, state_change_commit(&change, &head, &stage->error));
    assert_int_equal(head.lease.fence, 0);
    assert_int_equal(head.fence, 1);
    state_head_fini(&head);
    assert_code(stage, 0, state_run_read(stage->store, "x", 1, &run, &stage->error));
    assert_int_equal(run.exit_code, 3);
    assert_int_equal(run.signal, -1);
    assert_int_equal(run.records, 17);
    assert_int_equal(run.duration_ms, 5);
    assert_string_equal(run.output_tail, "the end\n");
    assert_string_equal(run.reason, "why");
    state_run_fini(&run);
    hf_state_lease_free(&lease);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_taken_and_given_back, stage_sqlite, stage_teardown),
        cmocka_unit_test_setup_teardown(test_nobody_saves_beside_a_lease, stage_memory, stage_teardown),
        cmocka_unit_test_setup_teardown(test_zombie_is_dead, stage_memory, stage_teardown),
        cmocka_unit_test_setup_teardown(test_dead_owner, stage_sqlite, stage_teardown),
        cmocka_unit_test_setup_teardown(test_pid_of_somebody_else, stage_memory, stage_teardown),
        cmocka_unit_test_setup_teardown(test_owner_of_another_boot, stage_memory, stage_teardown),
        cmocka_unit_test_setup_teardown(test_owner_that_cannot_be_read_lives, stage_memory, stage_teardown),
        cmocka_unit_test_setup_teardown(test_stolen, stage_memory, stage_teardown),
        cmocka_unit_test_setup_teardown(test_ttl, stage_memory, stage_teardown),
        cmocka_unit_test_setup_teardown(test_save_beside_a_lost_lease_ends_it, stage_memory, stage_teardown),
        cmocka_unit_test_setup_teardown(test_without_ttl_nothing_is_renewed, stage_memory, stage_teardown),
        cmocka_unit_test_setup_teardown(test_owner_without_process, stage_memory, stage_teardown),
        cmocka_unit_test_setup_teardown(test_lease_of_another_state, stage_memory, stage_teardown),
        cmocka_unit_test_setup_teardown(test_lease_of_fence, stage_memory, stage_teardown),
        cmocka_unit_test_setup_teardown(test_ledger_keeps_the_newest, stage_memory, stage_teardown),
        cmocka_unit_test_setup_teardown(test_long_run_stays_in_the_ledger, stage_memory, stage_teardown),
        cmocka_unit_test_setup_teardown(test_lost_entry_is_made_again, stage_memory, stage_teardown),
        cmocka_unit_test_setup_teardown(test_end_of_a_run, stage_memory, stage_teardown),
    };
    return cmocka_run_group_tests_name("leases of states", tests, NULL, NULL);
}
