/* The store's id: rows of another store are not read as ours, and a damaged id is told of. */
#include "store/sqlite_fixture.h"

static int open_read_only(struct fixture *fixture, struct hf_error *error) {
    struct hf_store_options options = {.struct_bytes = sizeof options, .read_only = 1};
    return store_sqlite_ops.open(os_real(), fixture->file, &options, &fixture->backend, &fixture->revision, error);
}

static void must_shell(struct fixture *fixture, const char *sql) {
    char out[256];
    if (fixture_shell(fixture, sql, out, sizeof out) != 0)
        fail_msg("%s", out);
}

static int see_version(void *arg, const struct hf_record *record, int code) {
    assert_int_equal(code, HF_ERR_CORRUPT);
    assert_null(record->json);
    ++*(int *)arg;
    return 0;
}

static int see_event(void *arg, const struct hf_event *event) {
    (void)event;
    ++*(int *)arg;
    return 0;
}

static void rows_of_another_store_are_damaged(void **state) {
    struct fixture *fixture = *state, other;
    struct hf_record *record = NULL;
    char sql[512];
    int versions = 0, events = 0;
    fixture_make(&other, "/tmp");
    fixture_open(&other);
    fixture_put_kept(&other, "thing", "one", "{\"of\":\"another\"}", 2);
    fixture_close(&other);
    fixture_open(fixture);
    fixture_put_kept(fixture, "thing", "one", "{\"of\":\"this\"}", 2);
    fixture_put(fixture, "thing", "two", "{}");
    fixture_close(fixture);
    snprintf(sql, sizeof sql,
             "ATTACH '%s' AS other; REPLACE INTO record SELECT * FROM other.record;"
             "REPLACE INTO history SELECT * FROM other.history; REPLACE INTO event SELECT * FROM other.event;",
             other.file);
    must_shell(fixture, sql);
    fixture_open(fixture);
    assert_int_equal(fixture_get(fixture, "thing", "one", &record), HF_ERR_CORRUPT);
    fixture_expect(fixture, "thing", "two", "{}");
    assert_int_equal(store_sqlite_ops.history(fixture->backend, "thing", "one", 0, see_version, &versions, NULL), 0);
    assert_int_equal(versions, 1);
    assert_int_equal(store_sqlite_ops.events(fixture->backend, 0, 0, see_event, &events, NULL), HF_ERR_CORRUPT);
    assert_int_equal(events, 0);
    assert_int_equal(fixture_findings(fixture), 3);
    fixture_put(fixture, "thing", "one", "{}");
    fixture_expect(fixture, "thing", "one", "{}");
    fixture_remove(&other);
}

/* What a damaged page may do to the id: for who writes it is damage, for who saves what is left the other place has it.
 */
static void a_damaged_id_is_told_of(void **state) {
    static const char *const damages[] = {
        "DELETE FROM meta WHERE name='store_id'",
        "UPDATE meta SET value='not an id' WHERE name='store_id'",
        "UPDATE meta SET value='00112233445566778899aabbccddeeff' WHERE name='store_id'",
        "DROP VIEW store",
        "DROP VIEW store; CREATE VIEW store AS SELECT '00112233445566778899aabbccddeeff' AS store_id",
    };
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        struct hf_error error = {0};
        fixture_open(fixture);
        fixture_put(fixture, "thing", "one", "{\"a\":1}");
        fixture_close(fixture);
        must_shell(fixture, damages[i]);
        assert_int_equal(fixture_try_open(fixture, os_real(), &error), HF_ERR_CORRUPT);
        assert_non_null(strstr(error.message, "read the store's id"));
        assert_non_null(strstr(error.hint, "copy --salvage"));
        if (open_read_only(fixture, &error))
            fail_msg("%s: %s", damages[i], error.message);
        fixture_expect(fixture, "thing", "one", "{\"a\":1}");
        assert_int_equal(fixture_findings(fixture), 1);
        fixture_close(fixture);
        fixture_remove(fixture);
        fixture_make(fixture, "/tmp");
    }
}

static void without_an_id_nothing_is_read_as_good(void **state) {
    struct fixture *fixture = *state;
    struct hf_error error = {0};
    fixture_open(fixture);
    fixture_put(fixture, "thing", "one", "{}");
    fixture_close(fixture);
    must_shell(fixture, "DROP VIEW store; DELETE FROM meta");
    assert_int_equal(fixture_try_open(fixture, os_real(), &error), HF_ERR_CORRUPT);
    assert_int_equal(open_read_only(fixture, &error), HF_ERR_CORRUPT);
    assert_non_null(strstr(error.message, "read the store's id"));
    assert_null(fixture->backend);
}

static void compacting_keeps_the_id(void **state) {
    struct fixture *fixture = *state;
    struct hf_compact_result result;
    fixture_open(fixture);
    fixture_put(fixture, "thing", "one", "{}");
    assert_int_equal(store_sqlite_ops.compact(fixture->backend, &result, NULL), 0);
    fixture_close(fixture);
    fixture_open(fixture);
    fixture_expect(fixture, "thing", "one", "{}");
    assert_int_equal(fixture_findings(fixture), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(rows_of_another_store_are_damaged, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_damaged_id_is_told_of, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(without_an_id_nothing_is_read_as_good, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(compacting_keeps_the_id, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
