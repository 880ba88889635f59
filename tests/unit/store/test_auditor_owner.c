/* The auditor behind a saver: an owner who forgets to mark, and who can mend a damaged row. */
#include "auditor_fixture.h"

#include <stdlib.h>

#include "store/saver.h"

static struct { char json[64]; } owned[20];
static int listings;

static int give(void *arg, const char *kind, const char *id, void *tag, struct hf_document *document) {
    int i = atoi(id);
    (void)arg;
    (void)kind;
    (void)tag;
    if (!owned[i].json[0])
        return HF_ERR_NOT_FOUND;
    hf_document_add(document, owned[i].json, strlen(owned[i].json));
    return 0;
}

static int each(void *arg, hf_key_visit visit, void *visit_arg) {
    char id[16];
    int code = 0;
    (void)arg;
    listings++;
    for (int i = 0; i < 20 && code == 0; i++) {
        snprintf(id, sizeof id, "%d", i);
        if (owned[i].json[0])
            code = visit(visit_arg, "page", id, NULL);
    }
    return code;
}

static struct hf_saver *open_saver(struct hf_store *store) {
    const struct saver_setup setup = {.without_thread = 1};
    struct hf_saver_options options = {.struct_bytes = sizeof options, .give = give, .each = each};
    struct hf_saver *saver = NULL;
    assert_int_equal(saver_open_with(store, &options, &setup, &saver, NULL), 0);
    return saver;
}

static void test_a_change_that_nobody_marked_is_saved(void **state) {
    struct hf_store *store = NULL;
    struct hf_audit_result result;
    (void)state;
    assert_int_equal(hf_store_open("memory:", NULL, &store, NULL), 0);
    for (int i = 0; i < 20; i++)
        snprintf(owned[i].json, sizeof owned[i].json, "{\"n\":%d}", i);
    struct hf_saver *saver = open_saver(store);
    assert_int_equal(hf_saver_save_all(saver, NULL), 0);
    struct hf_auditor *auditor = open_auditor(store, (struct hf_auditor_options){.saver = saver});
    listings = 0;
    assert_int_equal(run(auditor, 1).audited, 20);
    assert_int_equal(listings, 1); /* not once for each shard */
    assert_int_equal(told.count, 0);
    snprintf(owned[7].json, sizeof owned[7].json, "{\"n\":\"changed\"}");
    result = run(auditor, 1);
    assert_int_equal(result.audited, 20);
    assert_int_equal(result.findings, 1);
    assert_string_equal(told.what, "unmarked_change");
    assert_string_equal(told.id, "7");
    assert_string_equal(told.action, "marked");
    assert_int_equal(hf_saver_flush(saver, NULL), 0);
    expect_document(store, "7", "{\"n\":\"changed\"}", "");
    run(auditor, 1);
    struct auditor_stats stats;
    auditor_stats(auditor, &stats);
    assert_int_equal(stats.open, 0);
    assert_int_equal(told.count, 1);
    hf_auditor_close(&auditor);
    assert_int_equal(hf_saver_close(&saver, NULL), 0);
    hf_store_close(&store);
}

static void test_an_owner_mends_a_damaged_row(void **state) {
    struct hf_store *store = open_scripted();
    (void)state;
    memset(owned, 0, sizeof owned);
    snprintf(owned[3].json, sizeof owned[3].json, "{\"n\":3}");
    struct hf_saver *saver = open_saver(store);
    assert_int_equal(hf_saver_save_all(saver, NULL), 0);
    struct hf_auditor *auditor = open_auditor(store, (struct hf_auditor_options){.saver = saver});
    find_trouble("bad_checksum", "3", NULL, "damaged");
    find_trouble("bad_checksum", "4", NULL, "not the owner's");
    run(auditor, 1);
    expect_record(store, "marked", "damaged", 1, 0);
    assert_string_equal(told.id, "4");
    assert_string_equal(told.action, "reported");
    assert_int_equal(hf_saver_flush(saver, NULL), 0);
    expect_document(store, "3", "{\"n\":3}", "");
    hf_auditor_close(&auditor);
    assert_int_equal(hf_saver_close(&saver, NULL), 0);
    hf_store_close(&store);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_a_change_that_nobody_marked_is_saved, reset),
        cmocka_unit_test_setup(test_an_owner_mends_a_damaged_row, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
