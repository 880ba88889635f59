/* What the auditor finds and keeps a record of. */
#include "auditor_fixture.h"

static void test_a_finding_is_an_event_when_it_changes_only(void **state) {
    struct hf_store *store = open_scripted();
    struct hf_auditor *auditor = open_auditor(store, (struct hf_auditor_options){.interval_ms = 1});
    (void)state;
    find_trouble("bad_checksum", "home", NULL, "first");
    assert_int_equal(run(auditor, 1).findings, 1);
    expect_record(store, "reported", "first", 1, 0);
    assert_int_equal(hf_store_revision(store), 1);
    for (int i = 0; i < 10; i++)
        assert_int_equal(run(auditor, 1).findings, 1);
    assert_int_equal(hf_store_revision(store), 1);
    assert_int_equal(told.count, 1);
    script.findings[0].text = "second";
    run(auditor, 1);
    expect_record(store, "reported", "second", 1, 0);
    assert_int_equal(hf_store_revision(store), 2);
    run(auditor, 0); /* sees it once more, in a round that does not come to its end */
    script.finding_count = 0;
    run(auditor, 1);
    expect_record(store, "reported", "second", 1, 1);
    run(auditor, 1);
    assert_int_equal(hf_store_revision(store), 3);
    script.finding_count = 1;
    run(auditor, 1);
    expect_record(store, "reported", "second", 2, 0);
    assert_int_equal(hf_store_revision(store), 4);
    assert_int_equal(told.count, 3);
    hf_auditor_close(&auditor);
    hf_store_close(&store);
}

/* A row, its history and an event of it may be damaged at once: one record, and not a new event for each in turn. */
static void test_one_record_for_several_texts_in_a_round(void **state) {
    struct hf_store *store = open_scripted();
    struct hf_auditor *auditor = open_auditor(store, (struct hf_auditor_options){.shards = SHARDS});
    (void)state;
    find_trouble("bad_checksum", "home", NULL, "the record");
    find_trouble("bad_checksum", "home", NULL, "a version");
    for (int i = 0; i < 3; i++)
        run(auditor, 1);
    assert_int_equal(hf_store_revision(store), 1);
    expect_record(store, "reported", "the record", 1, 0);
    hf_auditor_close(&auditor);
    hf_store_close(&store);
}

static void test_another_auditor_goes_on_with_the_records(void **state) {
    struct hf_store *store = open_scripted();
    struct hf_auditor *auditor = open_auditor(store, (struct hf_auditor_options){.shards = SHARDS});
    struct auditor_stats stats;
    (void)state;
    find_trouble("bad_checksum", "home", NULL, "first");
    run(auditor, 1);
    hf_auditor_close(&auditor);
    auditor = open_auditor(store, (struct hf_auditor_options){.shards = SHARDS});
    run(auditor, 0);
    assert_int_equal(told.count, 2); /* once for each life */
    auditor_stats(auditor, &stats);
    assert_int_equal(stats.open, 1);
    assert_int_equal(stats.reported, 1);
    hf_auditor_close(&auditor);
    script.finding_count = 0;
    auditor = open_auditor(store, (struct hf_auditor_options){.shards = SHARDS});
    run(auditor, 0);
    expect_record(store, "reported", "first", 1, 0); /* not before the round is whole */
    for (int shard = 1; shard < SHARDS; shard++)
        run(auditor, 0);
    expect_record(store, "reported", "first", 1, 1);
    auditor_stats(auditor, &stats);
    assert_int_equal(stats.open, 0);
    assert_int_equal(hf_store_revision(store), 2);
    hf_auditor_close(&auditor);
    hf_store_close(&store);
}

/* Those of pages that cannot be read are counted for themselves: the store's health hangs on them. */
static void test_a_damaged_structure_is_counted(void **state) {
    struct hf_store *store = open_scripted();
    struct hf_auditor *auditor = open_auditor(store, (struct hf_auditor_options){.shards = SHARDS});
    struct auditor_stats stats;
    (void)state;
    find_trouble("bad_checksum", "home", NULL, "first");
    find_trouble("bad_structure", NULL, NULL, "table records: rows from 1 on cannot be read");
    script.findings[1].kind = NULL;
    run(auditor, 1);
    auditor_stats(auditor, &stats);
    assert_int_equal(stats.reported, 2);
    assert_int_equal(stats.structure, 1);
    hf_auditor_close(&auditor);
    auditor = open_auditor(store, (struct hf_auditor_options){.shards = SHARDS});
    script.finding_count = 0;
    run(auditor, 0); /* from the record */
    auditor_stats(auditor, &stats);
    assert_int_equal(stats.structure, 1);
    run(auditor, 1);
    auditor_stats(auditor, &stats);
    assert_int_equal(stats.structure, 0);
    hf_auditor_close(&auditor);
    hf_store_close(&store);
}

static int count_record(void *arg, const struct hf_record *record, int code) {
    (void)record;
    (void)code;
    ++*(int *)arg;
    return 0;
}

static void expect_records(struct hf_store *store, int expected) {
    int records = 0;
    assert_int_equal(hf_store_scan(store, FINDING_KIND, NULL, 0, count_record, &records, NULL), 0);
    assert_int_equal(records, expected);
}

static int has_record(struct hf_store *store, const struct hf_finding *finding) {
    char id[FINDING_ID_BYTES];
    struct hf_record *record = NULL;
    finding_id(finding, id);
    int code = hf_store_get(store, FINDING_KIND, id, &record, NULL);
    hf_record_free(&record);
    return code == 0;
}

static void test_not_everything_that_is_gone_is_kept(void **state) {
    static char ids[1500][16];
    struct hf_store *store = open_scripted();
    struct hf_auditor *auditor = open_auditor(store, (struct hf_auditor_options){.shards = SHARDS});
    (void)state;
    for (int i = 0; i < 1500; i++) {
        snprintf(ids[i], sizeof ids[i], "page-%d", i);
        find_trouble("bad_checksum", ids[i], NULL, "as the script says");
    }
    run(auditor, 1);
    expect_records(store, 1500);
    script.finding_count = 900;
    run(auditor, 1);
    expect_records(store, 1500);
    os_sleep_ms(os_real(), 3); /* gone at another time */
    script.finding_count = 200;
    run(auditor, 1);
    expect_records(store, 1200);
    assert_true(has_record(store, &script.findings[0])); /* it is not gone */
    for (int i = 200; i < 900; i++)
        assert_true(has_record(store, &script.findings[i])); /* the 300 that made room went earlier */
    hf_auditor_close(&auditor);
    hf_store_close(&store);
}

static void test_without_records_nothing_is_written(void **state) {
    struct hf_store *store = open_scripted();
    struct hf_auditor *auditor = open_auditor(store, (struct hf_auditor_options){.without_records = 1});
    (void)state;
    find_trouble("bad_checksum", "home", NULL, "first");
    for (int i = 0; i < 3; i++)
        run(auditor, 1);
    assert_int_equal(told.count, 1);
    script.finding_count = 0;
    run(auditor, 1);
    script.finding_count = 1;
    run(auditor, 1);
    assert_int_equal(told.count, 2);
    assert_int_equal(hf_store_revision(store), 0);
    hf_auditor_close(&auditor);
    hf_store_close(&store);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_a_finding_is_an_event_when_it_changes_only, reset),
        cmocka_unit_test_setup(test_one_record_for_several_texts_in_a_round, reset),
        cmocka_unit_test_setup(test_another_auditor_goes_on_with_the_records, reset),
        cmocka_unit_test_setup(test_a_damaged_structure_is_counted, reset),
        cmocka_unit_test_setup(test_not_everything_that_is_gone_is_kept, reset),
        cmocka_unit_test_setup(test_without_records_nothing_is_written, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
