/* The auditor's cycles: each looks at a share of the rows, an interval after the last, whatever fails. */
#include "auditor_fixture.h"

#include <stdlib.h>

/* ---- rounds ---- */

static void test_every_row_is_looked_at_once_in_a_round(void **state) {
    struct hf_store *store = open_scripted();
    struct hf_auditor *auditor = open_auditor(store, (struct hf_auditor_options){.without_records = 1});
    char was_there[ROWS];
    (void)state;
    for (int i = 0; i < ROWS; i++)
        script.there[i] = (char)(i % 2);
    srand(7);
    for (int round = 0; round < 40; round++) {
        memset(script.looked_at, 0, sizeof script.looked_at);
        memcpy(was_there, script.there, sizeof was_there);
        for (int shard = 0; shard < SHARDS; shard++) {
            run(auditor, 0);
            for (int change = rand() % 30; change > 0; change--) {
                int row = rand() % ROWS; /* the set grows in some rounds and shrinks in others */
                script.there[row] = (char)(rand() % 4 < (round % 8 < 4 ? 3 : 1));
                if (!script.there[row])
                    was_there[row] = 0;
            }
        }
        for (int i = 0; i < ROWS; i++) {
            assert_true(script.looked_at[i] <= 1);
            if (was_there[i])
                assert_int_equal(script.looked_at[i], 1);
        }
    }
    hf_auditor_close(&auditor);
    hf_store_close(&store);
}

static void test_cycles_share_the_work(void **state) {
    struct hf_store *store = open_scripted();
    struct hf_auditor *auditor = open_auditor(store, (struct hf_auditor_options){.without_records = 1});
    (void)state;
    memset(script.there, 1, sizeof script.there);
    for (int shard = 0; shard < 2 * SHARDS; shard++)
        assert_int_equal(run(auditor, 0).checked, ROWS / SHARDS);
    struct hf_audit_result result = run(auditor, 1);
    assert_int_equal(result.cycles, SHARDS);
    assert_int_equal(result.checked, ROWS);
    hf_auditor_totals(auditor, &result);
    assert_int_equal(result.cycles, 3 * SHARDS);
    assert_int_equal(result.checked, 3 * ROWS);
    memset(script.there, 0, sizeof script.there);
    script.there[ROWS - 1] = 1; /* fewer rows than shards, and then none */
    assert_int_equal(run(auditor, 1).checked, 1);
    script.there[ROWS - 1] = 0;
    assert_int_equal(run(auditor, 1).checked, 0);
    memset(script.there, 1, sizeof script.there);
    run(auditor, 0);
    memset(script.looked_at, 0, sizeof script.looked_at);
    run(auditor, 1); /* from the first shard on, wherever the round is */
    for (int i = 0; i < ROWS; i++)
        assert_int_equal(script.looked_at[i], 1);
    hf_auditor_close(&auditor);
    hf_store_close(&store);
}

/* ---- failures ---- */

static void test_a_cycle_that_fails_ends_nothing(void **state) {
    struct hf_store *store = open_scripted();
    struct hf_auditor *auditor = open_auditor(store, (struct hf_auditor_options){.shards = SHARDS});
    struct auditor_stats stats;
    struct hf_error error = {0};
    (void)state;
    memset(script.there, 1, sizeof script.there);
    find_trouble("bad_checksum", "home", NULL, "first");
    run(auditor, 1);
    script.finding_count = 0;
    script.check_code = HF_ERR_IO;
    assert_int_equal(hf_auditor_run(auditor, 0, NULL, &error), HF_ERR_IO);
    assert_string_equal(error.message, "audit: check store: as the script says");
    auditor_stats(auditor, &stats);
    assert_int_equal(stats.last_error.code, HF_ERR_IO);
    script.check_code = 0;
    for (int shard = 1; shard < SHARDS; shard++)
        run(auditor, 0);
    expect_record(store, "reported", "first", 1, 0);
    auditor_stats(auditor, &stats);
    assert_int_equal(stats.last_error.code, 0);
    run(auditor, 1);
    expect_record(store, "reported", "first", 1, 1);
    hf_auditor_close(&auditor);
    hf_store_close(&store);
}

static int failing_commit(struct store_backend *backend, struct hf_error *error) {
    (void)backend;
    return error_set(error, HF_ERR_IO, "as the script says");
}

static void test_a_failed_store_is_told_of(void **state) {
    struct hf_store *store = open_scripted();
    struct hf_auditor *auditor = open_auditor(store, (struct hf_auditor_options){.shards = SHARDS});
    struct hf_error error = {0};
    (void)state;
    scripted_ops.commit = failing_commit;
    find_trouble("bad_checksum", "home", NULL, "first");
    assert_int_equal(hf_auditor_run(auditor, 1, NULL, &error), HF_ERR_FAILED);
    assert_int_equal(told.count, 1);
    script.finding_count = 0;
    memset(script.there, 1, sizeof script.there);
    assert_int_equal(hf_auditor_run(auditor, 1, NULL, &error), HF_ERR_FAILED); /* and is looked at all the same */
    struct hf_audit_result totals;
    hf_auditor_totals(auditor, &totals);
    assert_int_equal(totals.checked, ROWS);
    hf_auditor_close(&auditor);
    hf_store_close(&store);
}

static void expect_invalid(struct hf_store *store, struct hf_auditor_options options) {
    struct hf_auditor *auditor = NULL;
    assert_int_equal(hf_auditor_open(store, &options, &auditor, NULL), HF_ERR_INVALID);
    assert_null(auditor);
}

static void test_options_that_make_no_sense(void **state) {
    struct hf_store *store = open_scripted();
    (void)state;
    expect_invalid(store, (struct hf_auditor_options){.struct_bytes = sizeof(struct hf_auditor_options) + 8});
    expect_invalid(store, (struct hf_auditor_options){.struct_bytes = 0});
    expect_invalid(store,
                   (struct hf_auditor_options){.struct_bytes = sizeof(struct hf_auditor_options), .shards = 1001});
    expect_invalid(store,
                   (struct hf_auditor_options){.struct_bytes = sizeof(struct hf_auditor_options), .not_stored = 1});
    hf_store_close(&store);
}

/* ---- time ---- */

static int64_t virtual_ns;

static int64_t virtual_now(const struct os *os, enum os_clock clock) {
    (void)os;
    (void)clock;
    return virtual_ns;
}

static void test_cycles_are_an_interval_apart(void **state) {
    struct os_ops ops = *os_real()->ops;
    struct os os = {.ops = &ops};
    const struct auditor_setup setup = {.os = &os, .without_thread = 1};
    struct hf_auditor_options options = {.struct_bytes = sizeof options, .interval_ms = 1000, .found = remember};
    struct hf_store *store = open_scripted();
    struct hf_auditor *auditor = NULL;
    struct hf_audit_result totals;
    (void)state;
    memset(script.there, 1, sizeof script.there);
    ops.now_ns = virtual_now;
    virtual_ns = 5000000000;
    assert_int_equal(auditor_open(store, &options, &setup, &auditor, NULL), 0);
    assert_int_equal(auditor_step(auditor), 1000);
    virtual_ns += 999000000;
    assert_int_equal(auditor_step(auditor), 1);
    hf_auditor_totals(auditor, &totals);
    assert_int_equal(totals.cycles, 0);
    virtual_ns += 1000000;
    assert_int_equal(auditor_step(auditor), 1000);
    script.check_code = HF_ERR_IO;
    for (int i = 0; i < 3; i++) {
        virtual_ns += 1000000000;
        assert_int_equal(auditor_step(auditor), 1000);
    }
    hf_auditor_totals(auditor, &totals);
    assert_int_equal(totals.cycles, 4);
    assert_int_equal(told.count, 1); /* when it begins */
    assert_string_equal(told.what, "unverifiable");
    assert_string_equal(told.text, "check store: as the script says");
    hf_auditor_close(&auditor);
    hf_store_close(&store);
}

static void test_the_thread_runs_cycles_and_ends_at_once(void **state) {
    struct hf_auditor_options options = {.struct_bytes = sizeof options, .interval_ms = 1};
    struct hf_store *store = NULL;
    struct hf_auditor *auditor = NULL;
    struct hf_audit_result totals = {0};
    (void)state;
    assert_int_equal(hf_store_open("memory:", NULL, &store, NULL), 0);
    put(store, "page", "home", "1", NULL);
    assert_int_equal(hf_auditor_open(store, &options, &auditor, NULL), 0);
    while (totals.cycles < 7) {
        os_sleep_ms(os_real(), 1);
        hf_auditor_totals(auditor, &totals);
    }
    hf_auditor_close(&auditor);
    options.interval_ms = 3600000;
    assert_int_equal(hf_auditor_open(store, &options, &auditor, NULL), 0);
    os_sleep_ms(os_real(), 20); /* it is asleep, most likely */
    hf_auditor_close(&auditor); /* not in an hour */
    options.interval_ms = UINT32_MAX;
    assert_int_equal(hf_auditor_open(store, &options, &auditor, NULL), 0);
    assert_int_equal(run(auditor, 1).checked >= 1, 1);
    hf_auditor_close(&auditor);
    hf_store_close(&store);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_every_row_is_looked_at_once_in_a_round, reset),
        cmocka_unit_test_setup(test_cycles_share_the_work, reset),
        cmocka_unit_test_setup(test_a_cycle_that_fails_ends_nothing, reset),
        cmocka_unit_test_setup(test_a_failed_store_is_told_of, reset),
        cmocka_unit_test_setup(test_options_that_make_no_sense, reset),
        cmocka_unit_test_setup(test_cycles_are_an_interval_apart, reset),
        cmocka_unit_test_setup(test_the_thread_runs_cycles_and_ends_at_once, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
