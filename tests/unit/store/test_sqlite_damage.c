/* Whole pages of the database overwritten: what is left is read, what is lost is named. */
#include "store/sqlite_fixture.h"

#include "base/mem.h"
#include "store/store.h"

enum { ROWS = 60, PAGE = 8192, DOCUMENT = 2500 };

static const char *document(int i) {
    static char json[DOCUMENT + 1];
    memset(json, 'a' + i % 26, DOCUMENT);
    json[DOCUMENT] = '\0';
    snprintf(json, 16, "\"n%04d", i);
    json[6] = '.';
    json[DOCUMENT - 1] = '"';
    return json;
}

static void id_of(int i, char ret_id[16]) {
    snprintf(ret_id, 16, "i%04d", i * 37 % ROWS);
}

static void fill(struct fixture *fixture) {
    char id[16];
    fixture_open(fixture);
    for (int i = 0; i < ROWS; i++) {
        id_of(i, id);
        fixture_put_kept(fixture, "thing", id, document(i), i % 4 == 0 ? 2 : 0);
    }
    fixture_close(fixture);
}

enum { INDEX_LEAF = 0x0a, TABLE_LEAF = 0x0d }; /* a page's first byte */

/* Overwrites the last page of this type where the bytes stand. */
static void spoil_page_of(struct fixture *fixture, const char *needle, int type) {
    static char bytes[4 << 20];
    long page = 0;
    FILE *file = fopen(fixture->file, "r+b");
    size_t size = fread(bytes, 1, sizeof bytes, file);
    for (size_t at = PAGE; at < size; at += PAGE)
        if (bytes[at] == type && memmem(bytes + at, PAGE, needle, strlen(needle)))
            page = (long)at;
    assert_true(page > 0);
    memset(bytes, 0xee, PAGE);
    fseek(file, page, SEEK_SET);
    assert_int_equal(fwrite(bytes, 1, PAGE, file), PAGE);
    fclose(file);
}

struct seen {
    int good, damaged;
    char last[64];
    char lost[ROWS][16];
};

static int see(void *arg, const struct hf_record *record, int code) {
    struct seen *seen = arg;
    assert_true((code == 0) == (record->json != NULL));
    if (code == 0)
        seen->good++;
    else
        snprintf(seen->lost[seen->damaged++], 16, "%s", record->id);
    assert_true(strcmp(seen->last, record->id) < 0);
    snprintf(seen->last, sizeof seen->last, "%s", record->id);
    return 0;
}

struct told {
    int lost, structure;
    char names[1024];
};

static void hear(void *arg, const struct hf_finding *finding) {
    struct told *told = arg;
    told->structure += strcmp(finding->what, "bad_structure") == 0;
    if (strcmp(finding->what, "lost_record") == 0) {
        told->lost++;
        strcat(told->names, finding->id);
        strcat(told->names, " ");
    }
}

static struct hf_check_result check(struct fixture *fixture, uint64_t max_rows, struct told *told) {
    struct hf_check_cursor cursor = {.without_structure = 1};
    struct hf_check_result result = {0};
    while (!cursor.is_done)
        assert_int_equal(store_sqlite_ops.check(fixture->backend, &cursor, max_rows, hear, told, &result, NULL), 0);
    return result;
}

static void a_damaged_page_costs_its_rows(void **state) {
    struct fixture *fixture = *state;
    fill(fixture);
    spoil_page_of(fixture, "\"n0030.", TABLE_LEAF);
    fixture_open(fixture);
    for (uint64_t max_rows = 1; max_rows <= 100; max_rows = max_rows * 3 + 1) {
        struct seen seen = {0};
        struct told told = {0};
        struct hf_check_result result = check(fixture, max_rows, &told);
        assert_in_range(told.lost, 1, 4);
        assert_true(told.structure > 0);
        assert_int_equal(result.records, ROWS - told.lost);
        assert_int_equal(result.history, 15);
        assert_int_equal(result.events, ROWS);
        assert_int_equal(fixture_scan(fixture, "thing", NULL, 0, see, &seen), 0);
        assert_int_equal(seen.good, ROWS - told.lost);
        assert_int_equal(seen.damaged, told.lost);
        for (int i = 0; i < seen.damaged; i++)
            assert_non_null(strstr(told.names, seen.lost[i]));
    }
}

static void the_first_and_the_last_page_too(void **state) {
    struct fixture *fixture = *state;
    struct seen seen = {0};
    struct told told = {0};
    fill(fixture);
    spoil_page_of(fixture, "\"n0001.", TABLE_LEAF);
    spoil_page_of(fixture, "\"n0059.", TABLE_LEAF);
    spoil_page_of(fixture, "\"n0030.", TABLE_LEAF);
    fixture_open(fixture);
    struct hf_check_result result = check(fixture, 10, &told);
    assert_in_range(told.lost, 3, 12);
    assert_int_equal(result.records, ROWS - told.lost);
    assert_int_equal(fixture_scan(fixture, NULL, NULL, 0, see, &seen), 0);
    assert_int_equal(seen.good, ROWS - told.lost);
    assert_int_equal(seen.damaged, told.lost);
}

/* What the index no longer names, the rows do. */
static void a_damaged_index_page_costs_nothing(void **state) {
    struct fixture *fixture = *state;
    enum { SHORT = 1500 };
    char id[64];
    fixture_open(fixture);
    for (int i = 0; i < SHORT; i++) {
        snprintf(id, sizeof id, "i%04d-%032d", i * 7 % SHORT, 0);
        fixture_put(fixture, i % 2 ? "thing" : "other", id, "1");
    }
    fixture_close(fixture);
    snprintf(id, sizeof id, "thingi%04d-%032d", 707, 0);
    spoil_page_of(fixture, id, INDEX_LEAF);
    fixture_open(fixture);
    struct seen seen = {0};
    assert_int_equal(fixture_scan(fixture, "thing", NULL, 0, see, &seen), 0);
    assert_int_equal(seen.good, SHORT / 2);
    assert_int_equal(seen.damaged, 0);
    seen = (struct seen){0};
    assert_int_equal(fixture_scan(fixture, "thing", "i0100", 700, see, &seen), 0);
    assert_int_equal(seen.good, 700);
    struct told told = {0};
    struct hf_check_result result = check(fixture, 100, &told);
    assert_int_equal(result.records, SHORT);
    assert_int_equal(told.lost, 0);
}

static void a_copy_goes_round_damage(void **state) {
    struct fixture *fixture = *state;
    struct hf_store *from = NULL, *to = NULL;
    struct hf_copy_options options = {.struct_bytes = sizeof options};
    struct hf_copy_result result;
    struct told told = {0};
    char url[128];
    fill(fixture);
    spoil_page_of(fixture, "\"n0030.", TABLE_LEAF);
    snprintf(url, sizeof url, "sqlite:%s", fixture->file);
    const struct hf_store_options read_only = {.struct_bytes = sizeof read_only, .read_only = 1};
    assert_int_equal(hf_store_open(url, &read_only, &from, NULL), 0);
    assert_int_equal(hf_store_open("memory:", NULL, &to, NULL), 0);
    assert_int_equal(hf_store_copy(from, to, &options, &result, NULL), HF_ERR_CORRUPT);
    options.salvage = 1;
    options.found = hear;
    options.found_arg = &told;
    assert_int_equal(hf_store_copy(from, to, &options, &result, NULL), 0);
    assert_in_range(result.damaged, 1, 4);
    assert_int_equal(told.lost, result.damaged);
    assert_int_equal(result.records, ROWS - result.damaged);
    assert_int_equal(result.verified, result.records);
    hf_store_close(&to);
    hf_store_close(&from);
}

/* ---- each page in turn ---- */

static char *read_file(struct fixture *fixture, size_t *ret_size) {
    char *bytes = malloc(4 << 20);
    FILE *file = fopen(fixture->file, "rb");
    assert_non_null(bytes);
    assert_non_null(file);
    *ret_size = fread(bytes, 1, 4 << 20, file);
    assert_int_equal(fclose(file), 0);
    return bytes;
}

static void write_file(struct fixture *fixture, const char *bytes, size_t size) {
    FILE *file = fopen(fixture->file, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static int salvage(struct fixture *fixture, struct told *told, struct hf_copy_result *ret_result) {
    struct hf_store *from = NULL, *to = NULL;
    const struct hf_store_options read_only = {.struct_bytes = sizeof read_only, .read_only = 1};
    const struct hf_copy_options options = {.struct_bytes = sizeof options,
                                            .salvage = 1,
                                            .found = hear,
                                            .found_arg = told};
    char url[128];
    snprintf(url, sizeof url, "sqlite:%s", fixture->file);
    int code = hf_store_open(url, &read_only, &from, NULL);
    assert_int_equal(hf_store_open("memory:", NULL, &to, NULL), 0);
    if (code == 0)
        code = hf_store_copy(from, to, &options, ret_result, NULL);
    hf_store_close(&to);
    hf_store_close(&from);
    return code;
}

/* Of events and history, of either index, of the rows: what is not on the page is saved, what was is named. */
static void any_page_costs_its_own_rows_only(void **state) {
    enum { SCHEMA_PAGE = 0, RECORD_ROOT = 1, ON_A_PAGE = 3 };
    struct fixture *fixture = *state;
    size_t size;
    fill(fixture);
    char *bytes = read_file(fixture, &size), *damaged = malloc(size);
    assert_non_null(damaged);
    for (size_t page = RECORD_ROOT + 1; page < size / PAGE; page++) {
        struct hf_copy_result result = {0};
        struct told told = {0};
        memcpy(damaged, bytes, size);
        memset(damaged + page * PAGE, 0xee, PAGE);
        write_file(fixture, damaged, size);
        assert_int_equal(salvage(fixture, &told, &result), 0);
        assert_int_equal(result.records + result.damaged, ROWS);
        assert_in_range(result.damaged, 0, ON_A_PAGE);
        assert_int_equal(told.lost, result.damaged);
        assert_int_equal(result.verified, result.records);
    }
    free(damaged);
    free(bytes);
}

/* What is there is saved; that something is missing is said, although nothing names it any more. */
static void a_file_cut_short_is_read_as_far_as_it_goes(void **state) {
    struct fixture *fixture = *state;
    struct hf_error error = {0};
    size_t size, before = 0;
    fill(fixture);
    char *bytes = read_file(fixture, &size);
    for (size_t pages = 2; pages < size / PAGE; pages++) {
        const struct hf_store_options read_only = {.struct_bytes = sizeof read_only, .read_only = 1};
        struct hf_copy_result result = {0};
        struct told told = {0};
        write_file(fixture, bytes, pages * PAGE);
        assert_int_equal(fixture_try_open(fixture, os_real(), &error), HF_ERR_CORRUPT);
        assert_non_null(strstr(error.message, "file is cut short"));
        assert_int_equal(salvage(fixture, &told, &result), 0);
        assert_true(result.records >= before);
        assert_true(result.records == ROWS || result.damaged > 0);
        assert_int_equal(result.damaged, told.lost + told.structure);
        before = result.records;
        assert_int_equal(store_sqlite_ops.open(os_real(), fixture->file, &read_only, &fixture->backend,
                                               &fixture->revision, NULL),
                         0);
        assert_true(fixture_findings(fixture) > 0);
        fixture_close(fixture);
        assert_int_equal(fixture_size(fixture, ""), pages * PAGE);
    }
    assert_true(before > ROWS - 4);
    free(bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_damaged_page_costs_its_rows, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(the_first_and_the_last_page_too, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_damaged_index_page_costs_nothing, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_copy_goes_round_damage, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(any_page_costs_its_own_rows_only, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_file_cut_short_is_read_as_far_as_it_goes, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
