/* The sqlite backend: rows, order, history, events; files that are not right; bytes that flip; every call failing. */
#include "store/sqlite_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>

struct seen {
    char text[512];
    int damaged;
};

static int see_record(void *arg, const struct hf_record *record, int code) {
    struct seen *seen = arg;
    size_t used = strlen(seen->text);
    if (code)
        seen->damaged++;
    snprintf(seen->text + used, sizeof seen->text - used, "%s/%s=%s ", record->kind, record->id,
             code           ? "damaged"
             : record->json ? record->json
                            : "-");
    return 0;
}

static int see_event(void *arg, const struct hf_event *event) {
    struct seen *seen = arg;
    size_t used = strlen(seen->text);
    snprintf(seen->text + used, sizeof seen->text - used, "%d%c%s ", (int)event->revision,
             event->what == HF_PUT ? '+' : '-', event->id);
    return 0;
}

static const char *scan(struct fixture *fixture, const char *kind, const char *after, uint64_t limit,
                        struct seen *seen) {
    memset(seen, 0, sizeof *seen);
    assert_int_equal(fixture_scan(fixture, kind, after, limit, see_record, seen), 0);
    return seen->text;
}

static void scan_gives_the_order_of_ids(void **state) {
    struct fixture *fixture = *state;
    struct seen seen;
    fixture_open(fixture);
    fixture_put(fixture, "b", "z", "1");
    fixture_put(fixture, "a", "\xc3\xa9", "2");
    fixture_put(fixture, "a", "B", "3");
    fixture_put(fixture, "a", "a", "4");
    fixture_put(fixture, "a", "a", "5");
    assert_string_equal(scan(fixture, "a", NULL, 0, &seen), "a/B=3 a/a=5 a/\xc3\xa9=2 ");
    assert_string_equal(scan(fixture, NULL, NULL, 0, &seen), "a/B=3 a/a=5 a/\xc3\xa9=2 b/z=1 ");
    assert_string_equal(scan(fixture, NULL, NULL, 2, &seen), "a/B=3 a/a=5 ");
    assert_string_equal(scan(fixture, "a", "B", 1, &seen), "a/a=5 ");
    assert_string_equal(scan(fixture, "none", NULL, 0, &seen), "");
}

static void all_is_there_after_reopening(void **state) {
    struct fixture *fixture = *state;
    struct hf_record *record = NULL;
    fixture_open(fixture);
    fixture_put(fixture, "thing", "one", "{\"a\":1}");
    fixture_put(fixture, "thing", "two", "{\"a\":2}");
    fixture_put(fixture, "thing", "one", NULL);
    fixture_close(fixture);
    fixture->revision = 0;
    fixture_open(fixture);
    assert_int_equal(fixture->revision, 3);
    fixture_expect(fixture, "thing", "one", NULL);
    assert_int_equal(fixture_get(fixture, "thing", "two", &record), 0);
    assert_int_equal(record->revision, 2);
    assert_string_equal(record->who, "test");
    assert_int_equal(record->created_ms, 1700000000002);
    hf_record_free(&record);
    assert_int_equal(fixture_findings(fixture), 0);
}

static void history_keeps_the_newest(void **state) {
    struct fixture *fixture = *state;
    struct seen seen = {0};
    fixture_open(fixture);
    for (int i = 1; i <= 5; i++) {
        char json[16];
        snprintf(json, sizeof json, "%d", i);
        fixture_put_kept(fixture, "thing", "one", json, 3);
    }
    fixture_put_kept(fixture, "thing", "two", "7", UINT32_MAX);
    fixture_put_kept(fixture, "thing", "one", NULL, 3);
    const struct store_backend_ops *ops = fixture->backend->ops;
    assert_int_equal(ops->history(fixture->backend, "thing", "one", 0, see_record, &seen, NULL), 0);
    assert_string_equal(seen.text, "thing/one=- thing/one=5 thing/one=4 ");
    memset(&seen, 0, sizeof seen);
    assert_int_equal(ops->history(fixture->backend, "thing", "two", 1, see_record, &seen, NULL), 0);
    assert_string_equal(seen.text, "thing/two=7 ");
    assert_int_equal(fixture_findings(fixture), 0);
}

static int trim(struct fixture *fixture, uint64_t keep) {
    const struct store_backend_ops *ops = fixture->backend->ops;
    int code = ops->begin(fixture->backend, NULL);
    code = code ? code : ops->trim_events(fixture->backend, keep, NULL);
    return code ? code : ops->commit(fixture->backend, NULL);
}

static void events_are_trimmed_by_whole_revisions(void **state) {
    struct fixture *fixture = *state;
    const struct store_backend_ops *ops = &store_sqlite_ops;
    struct seen seen = {0};
    fixture_open(fixture);
    fixture_put(fixture, "thing", "a", "1");
    struct store_change two[] = {fixture_change("thing", "b", "1", 2), fixture_change("thing", "c", "1", 2)};
    assert_int_equal(fixture_apply(fixture, two, 2, NULL), 0);
    fixture->revision = 2;
    fixture_put(fixture, "thing", "a", NULL);
    assert_int_equal(ops->events(fixture->backend, 0, 0, see_event, &seen, NULL), 0);
    assert_string_equal(seen.text, "1+a 2+b 2+c 3-a ");
    assert_int_equal(trim(fixture, 2), 0); /* 2+b must not go alone */
    assert_int_equal(ops->events(fixture->backend, 0, 0, see_event, &seen, NULL), HF_ERR_COMPACTED);
    memset(&seen, 0, sizeof seen);
    assert_int_equal(ops->events(fixture->backend, 1, 0, see_event, &seen, NULL), 0);
    assert_string_equal(seen.text, "2+b 2+c 3-a ");
    assert_int_equal(trim(fixture, 0), 0);
    fixture_close(fixture);
    fixture_open(fixture);
    assert_int_equal(fixture->revision, 3);
    assert_int_equal(ops->events(fixture->backend, 1, 0, see_event, &seen, NULL), HF_ERR_COMPACTED);
    assert_int_equal(ops->events(fixture->backend, 3, 0, see_event, &seen, NULL), 0);
}

static void an_aborted_transaction_leaves_nothing(void **state) {
    struct fixture *fixture = *state;
    const struct store_backend_ops *ops = &store_sqlite_ops;
    struct hf_record *record = NULL;
    fixture_open(fixture);
    struct store_change change = fixture_change("thing", "one", "1", 1);
    assert_int_equal(ops->begin(fixture->backend, NULL), 0);
    assert_int_equal(ops->put(fixture->backend, &change, NULL), 0);
    assert_int_equal(ops->get(fixture->backend, STORE_IN_TRANSACTION, "thing", "one", 1, &record, NULL), 0);
    assert_null(record->json);
    hf_record_free(&record);
    fixture_expect(fixture, "thing", "one", NULL); /* readers do not see it */
    ops->abort(fixture->backend);
    fixture_put(fixture, "thing", "two", "2");
    fixture_expect(fixture, "thing", "one", NULL);
    assert_int_equal(fixture->revision, 1);
}

static int read_on(void *arg, const struct hf_record *record, int code) {
    struct fixture *fixture = arg;
    assert_int_equal(code, 0);
    char id[32];
    snprintf(id, sizeof id, "%s", record->id);
    fixture_put(fixture, "other", id, "1"); /* the writer does not wait for readers, nor do readers see it */
    return 0;
}

static void a_walk_is_one_snapshot_and_the_wal_stays_bounded(void **state) {
    struct fixture *fixture = *state;
    static char json[9000];
    memset(json, 'x', sizeof json - 1);
    json[0] = json[sizeof json - 2] = '"';
    fixture_open(fixture);
    for (int i = 0; i < 20; i++) {
        char id[16];
        snprintf(id, sizeof id, "r%02d", i);
        fixture_put(fixture, "thing", id, "1");
    }
    assert_int_equal(fixture_scan(fixture, NULL, NULL, 0, read_on, fixture), 0);
    for (int i = 0; i < 3000; i++)
        fixture_put(fixture, "thing", "big", json);
    assert_in_range(fixture_size(fixture, "-wal"), 1, 72 * 1024 * 1024);
    assert_int_equal(fixture_findings(fixture), 0);
}

struct reader {
    struct fixture *fixture;
    atomic_int *stop;
    int wrong;
};

/* Two records of one commit always have the same content. */
static int compare(void *arg, const struct hf_record *record, int code) {
    struct seen *seen = arg;
    if (seen->text[0] == '\0')
        snprintf(seen->text, sizeof seen->text, "%s", record->json);
    else
        seen->damaged += code != 0 || strcmp(seen->text, record->json) != 0;
    return 0;
}

static void *read_all_the_time(void *arg) {
    struct reader *reader = arg;
    while (!atomic_load(reader->stop)) {
        struct seen seen = {0};
        int code = fixture_scan(reader->fixture, "pair", NULL, 0, compare, &seen);
        reader->wrong += code != 0 || seen.damaged;
    }
    return NULL;
}

static void readers_see_commits_whole(void **state) {
    struct fixture *fixture = *state;
    struct reader readers[6];
    pthread_t threads[6];
    atomic_int stop = 0;
    fixture_open(fixture);
    for (int i = 0; i < 6; i++) {
        readers[i] = (struct reader){.fixture = fixture, .stop = &stop};
        assert_int_equal(pthread_create(&threads[i], NULL, read_all_the_time, &readers[i]), 0);
    }
    for (uint64_t i = 1; i <= 400; i++) {
        char json[32];
        snprintf(json, sizeof json, "%d", (int)i);
        struct store_change pair[] = {fixture_change("pair", "a", json, i), fixture_change("pair", "b", json, i)};
        assert_int_equal(fixture_apply(fixture, pair, 2, NULL), 0);
        assert_int_equal(fixture->backend->ops->rest_now(fixture->backend, NULL), 0);
        fixture_expect(fixture, "pair", "b", json); /* what is acknowledged is seen at once */
    }
    atomic_store(&stop, 1);
    for (int i = 0; i < 6; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(readers[i].wrong, 0);
    }
    assert_int_equal(fixture_findings(fixture), 0);
}

/* ---- files that are not right ---- */

static void write_file(struct fixture *fixture, const char *bytes, size_t size) {
    FILE *file = fopen(fixture->file, "wb");
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    fclose(file);
}

static void expect_refused(struct fixture *fixture, int code) {
    struct hf_error error = {0};
    char before[512], after[512], command[512];
    snprintf(command, sizeof command, "cat '%s' | cksum > '%s/copy.db'", fixture->file, fixture->folder);
    assert_int_equal(system(command), 0);
    snprintf(command, sizeof command, "%s/copy.db", fixture->folder);
    FILE *file = fopen(command, "r");
    assert_non_null(fgets(before, sizeof before, file));
    fclose(file);
    assert_int_equal(fixture_try_open(fixture, os_real(), &error), code);
    assert_true(error.message[0] != '\0');
    snprintf(command, sizeof command, "cat '%s' | cksum", fixture->file);
    file = popen(command, "r");
    assert_non_null(fgets(after, sizeof after, file));
    pclose(file);
    assert_string_equal(before, after);
}

static void foreign_files_are_left_alone(void **state) {
    struct fixture *fixture = *state;
    char out[64];
    write_file(fixture, "these are notes, not a database", 31);
    expect_refused(fixture, HF_ERR_NOT_OURS);
    write_file(fixture, "SQLite format 3", 16);
    expect_refused(fixture, HF_ERR_CORRUPT);
    unlink(fixture->file);
    assert_int_equal(fixture_shell(fixture, "CREATE TABLE t(a)", out, sizeof out), 0);
    expect_refused(fixture, HF_ERR_NOT_OURS);
    unlink(fixture->file);
    assert_int_equal(symlink("/etc/hostname", fixture->file), 0);
    assert_int_equal(fixture_try_open(fixture, os_real(), NULL), HF_ERR_UNSAFE_PATH);
}

static void a_newer_schema_is_left_alone(void **state) {
    struct fixture *fixture = *state;
    char out[64];
    fixture_open(fixture);
    fixture_close(fixture);
    assert_int_equal(fixture_shell(fixture, "PRAGMA user_version=3", out, sizeof out), 0);
    expect_refused(fixture, HF_ERR_SCHEMA_NEWER);
}

static void an_unreleased_schema_is_refused(void **state) {
    struct fixture *fixture = *state;
    struct hf_error error = {0};
    char out[64];
    fixture_open(fixture);
    fixture_close(fixture);
    assert_int_equal(fixture_shell(fixture, "PRAGMA user_version=1", out, sizeof out), 0);
    expect_refused(fixture, HF_ERR_UNSUPPORTED);
    assert_int_equal(fixture_try_open(fixture, os_real(), &error), HF_ERR_UNSUPPORTED);
    assert_non_null(strstr(error.message, "of an older holdfast that was never released"));
}

static void a_short_file_is_told(void **state) {
    struct fixture *fixture = *state;
    struct hf_error error = {0};
    fixture_open(fixture);
    fixture_put(fixture, "thing", "one", "1");
    fixture_close(fixture);
    assert_int_equal(truncate(fixture->file, fixture_size(fixture, "") - 8192), 0);
    expect_refused(fixture, HF_ERR_CORRUPT);
    assert_int_equal(fixture_try_open(fixture, os_real(), &error), HF_ERR_CORRUPT);
    assert_non_null(strstr(error.message, "file is cut short"));
}

static void an_empty_file_becomes_a_store(void **state) {
    struct fixture *fixture = *state;
    static const size_t sizes[] = {0, 1, 512, 8192};
    static const char zeros[8192];
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        write_file(fixture, zeros, sizes[i]);
        fixture_open(fixture);
        fixture_put(fixture, "thing", "one", "1");
        fixture_close(fixture);
        fixture_open(fixture);
        fixture_expect(fixture, "thing", "one", "1");
        fixture_close(fixture);
        fixture_remove(fixture);
        fixture_make(fixture, "/tmp");
    }
}

/* ---- flipped bits ---- */

static void flip(struct fixture *fixture, const char *needle, size_t at) {
    FILE *file = fopen(fixture->file, "r+b");
    static char bytes[1 << 20];
    size_t size = fread(bytes, 1, sizeof bytes, file);
    char *found = memmem(bytes, size, needle, strlen(needle));
    assert_non_null(found);
    found[at] ^= 1;
    rewind(file);
    fwrite(bytes, 1, size, file);
    fclose(file);
}

static void a_flipped_bit_costs_one_row(void **state) {
    struct fixture *fixture = *state;
    struct seen seen;
    struct hf_record *record = NULL;
    fixture_open(fixture);
    fixture_put(fixture, "thing", "a", "{\"x\":\"first\"}");
    fixture_put(fixture, "thing", "b", "{\"x\":\"second\"}");
    fixture_put(fixture, "thing", "c", "{\"x\":\"third\"}");
    fixture_close(fixture);
    flip(fixture, "second", 2);
    fixture_open(fixture);
    assert_int_equal(fixture_get(fixture, "thing", "b", &record), HF_ERR_CORRUPT);
    assert_string_equal(scan(fixture, "thing", NULL, 0, &seen),
                        "thing/a={\"x\":\"first\"} thing/b=damaged thing/c={\"x\":\"third\"} ");
    assert_int_equal(seen.damaged, 1);
    assert_int_equal(fixture_findings(fixture), 1);
    fixture_put(fixture, "thing", "b", "{\"x\":\"again\"}"); /* putting it again mends it */
    fixture_expect(fixture, "thing", "b", "{\"x\":\"again\"}");
    assert_int_equal(fixture_findings(fixture), 0);
}

/* Kind and id stand in the index too, and a look-up takes them from there: then check finds the difference. */
static void every_flipped_bit_of_a_row_is_seen(void **state) {
    struct fixture *fixture = *state;
    static const char json[] = "{\"x\":\"text\"}";
    static char bytes[1 << 20];
    enum { DOCUMENT_BYTES = sizeof json - 1, ROW_BYTES = DOCUMENT_BYTES + 8 + 4 + 6 + 6 + HF_HASH_BYTES + 2 + 3 + 5 };
    fixture_open(fixture);
    fixture->revision = 1000;
    fixture_put(fixture, "thing", "ida", json);
    fixture_close(fixture);
    FILE *file = fopen(fixture->file, "r+b");
    size_t size = fread(bytes, 1, sizeof bytes, file);
    const char *document = memmem(bytes, size, json, DOCUMENT_BYTES);
    assert_non_null(document);
    for (long at = document - bytes + DOCUMENT_BYTES - ROW_BYTES; at < document - bytes + DOCUMENT_BYTES; at++) {
        struct hf_record *record = NULL;
        fseek(file, at, SEEK_SET);
        fputc(bytes[at] ^ 4, file);
        fflush(file);
        fixture_open(fixture);
        if (fixture_get(fixture, "thing", "ida", &record) == 0)
            assert_string_equal(record->json, json);
        assert_true(record == NULL || at - (document - bytes) < DOCUMENT_BYTES - ROW_BYTES + 8);
        assert_true(fixture_findings(fixture) > 0);
        hf_record_free(&record);
        fixture_close(fixture);
        fseek(file, at, SEEK_SET);
        fputc(bytes[at], file);
        fflush(file);
    }
    fclose(file);
}

/* A store may have been opened with a larger max_document_depth than the usual one. */
static void a_deep_document_is_no_finding(void **state) {
    struct fixture *fixture = *state;
    enum { DEPTH = 400 };
    char json[2 * DEPTH + 1] = "";
    memset(json, '[', DEPTH);
    memset(json + DEPTH, ']', DEPTH);
    fixture_open(fixture);
    fixture_put_kept(fixture, "thing", "deep", json, 2);
    assert_int_equal(fixture_findings(fixture), 0);
}

/* ---- views ---- */

static void the_views_read_well(void **state) {
    struct fixture *fixture = *state;
    char out[512];
    fixture_open(fixture);
    fixture_put(fixture, "source", "news",
                "{\"interval_ms\":5000,\"kind\":\"python\",\"name\":\"news\",\"wanted\":\"running\"}");
    fixture_put(fixture, "source_state", "news", "{\"run_count\":3,\"status\":\"running\"}");
    fixture_put_kept(fixture, "source_data", "news", "{\"at\":\"2026-01-01T00:00:00.000Z\",\"data\":[1],\"run\":3}", 5);
    fixture_put_kept(fixture, "source_code", "news", "{\"code\":\"x\",\"version\":1}", UINT32_MAX);
    fixture_put_kept(fixture, "source_run", "news", "{\"outcome\":\"ok\",\"run\":3}", 5);
    static const char *const questions[][2] = {
        {"SELECT name,kind,wanted,interval_ms FROM data_sources", "news|python|running|5000"},
        {"SELECT name,status,run_count FROM data_source_states", "news|running|3"},
        {"SELECT name,run,at,data FROM data_source_latest_data", "news|3|2026-01-01T00:00:00.000Z|[1]"},
        {"SELECT name,version,code FROM data_source_code_versions", "news|1|x"},
        {"SELECT name,run,outcome FROM runs", "news|3|ok"},
        {"SELECT revision,what,kind,id,length(hash),at FROM events LIMIT 1",
         "1|put|source|news|32|2023-11-14T22:13:20.001Z"},
        {"SELECT kind,id,created_at,who FROM records LIMIT 1", "source|news|2023-11-14T22:13:20.001Z|test"},
    };
    for (size_t i = 0; i < sizeof questions / sizeof *questions; i++) {
        assert_int_equal(fixture_shell(fixture, questions[i][0], out, sizeof out), 0);
        assert_string_equal(out, questions[i][1]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(scan_gives_the_order_of_ids, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(all_is_there_after_reopening, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(history_keeps_the_newest, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(events_are_trimmed_by_whole_revisions, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(an_aborted_transaction_leaves_nothing, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_walk_is_one_snapshot_and_the_wal_stays_bounded, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(readers_see_commits_whole, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(foreign_files_are_left_alone, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_newer_schema_is_left_alone, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(an_unreleased_schema_is_refused, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_short_file_is_told, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(an_empty_file_becomes_a_store, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_flipped_bit_costs_one_row, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(every_flipped_bit_of_a_row_is_seen, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_deep_document_is_no_finding, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(the_views_read_well, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
