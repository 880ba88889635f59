/* For the tests of the auditor: a store whose check and mending tell what a script says, and what the auditor told. */
#ifndef HF_TEST_AUDITOR_FIXTURE_H
#define HF_TEST_AUDITOR_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "store/auditor.h"
#include "store/finding.h"

enum { ROWS = 400, SHARDS = 5 };

/* A check over rows 0 … ROWS - 1, of which some are there; and what it finds and how that is mended. */
static struct {
    char there[ROWS];
    unsigned looked_at[ROWS], calls;
    int check_code; /* what check fails with */
    struct hf_finding findings[2000];
    int finding_count;
    enum store_mend mend;
    int mend_code;
    const char *mend_json;
    uint8_t mend_if_hash[HF_HASH_BYTES];
    int mends;
} script;

static inline int scripted_check(struct store_backend *backend, struct hf_check_cursor *cursor, uint64_t max_rows,
                                 hf_finding_visit visit, void *arg, struct hf_check_result *result,
                                 struct hf_error *error) {
    uint64_t rows = 0;
    (void)backend;
    assert_true(cursor->without_structure);
    script.calls++;
    if (script.check_code)
        return error_set(error, script.check_code, "as the script says");
    if (cursor->at == 0)
        for (int i = 0; i < script.finding_count; i++)
            visit(arg, &script.findings[i]);
    cursor->total = 0;
    for (int i = 0; i < ROWS; i++)
        cursor->total += (uint64_t)script.there[i];
    for (; cursor->at < ROWS && rows < max_rows; cursor->at++) {
        script.looked_at[cursor->at] += (unsigned)script.there[cursor->at];
        rows += (uint64_t)script.there[cursor->at];
    }
    cursor->done += rows;
    cursor->is_done = cursor->at == ROWS;
    result->records += rows;
    return 0;
}

static inline int scripted_mend(struct store_backend *backend, const char *kind, const char *id,
                                enum store_mend *ret_mend, struct buf *ret_json, uint8_t ret_if_hash[HF_HASH_BYTES],
                                struct hf_error *error) {
    (void)backend;
    (void)kind;
    (void)id;
    script.mends++;
    if (script.mend_code)
        return error_set(error, script.mend_code, "as the script says");
    *ret_mend = script.mend;
    if (script.mend == STORE_MEND_TAKE)
        buf_add_text(ret_json, script.mend_json);
    memcpy(ret_if_hash, script.mend_if_hash, HF_HASH_BYTES);
    return 0;
}

static struct store_backend_ops scripted_ops;

/* What the auditor tells. */
static struct {
    int count;
    char what[32], id[64], action[16], text[128];
} told;

static inline void remember(void *arg, const struct hf_finding *finding) {
    (void)arg;
    told.count++;
    snprintf(told.what, sizeof told.what, "%s", finding->what);
    snprintf(told.id, sizeof told.id, "%s", finding->id ? finding->id : "");
    snprintf(told.action, sizeof told.action, "%s", finding->action);
    snprintf(told.text, sizeof told.text, "%s", finding->text);
}

static inline int reset(void **state) {
    (void)state;
    memset(&script, 0, sizeof script);
    memset(&told, 0, sizeof told);
    scripted_ops = store_memory_ops;
    scripted_ops.check = scripted_check;
    scripted_ops.mend = scripted_mend;
    return 0;
}

static inline struct hf_store *open_scripted(void) {
    struct store_setup setup = {.without_thread = 1};
    struct hf_store *store = NULL;
    assert_int_equal(store_memory_ops.open(os_real(), "", NULL, &setup.backend, &setup.backend_revision, NULL), 0);
    setup.backend->ops = &scripted_ops;
    assert_int_equal(store_open(NULL, NULL, &setup, &store, NULL), 0);
    return store;
}

static inline struct hf_auditor *open_auditor(struct hf_store *store, struct hf_auditor_options options) {
    const struct auditor_setup setup = {.without_thread = 1};
    struct hf_auditor *auditor = NULL;
    options.struct_bytes = sizeof options;
    options.found = remember;
    options.shards = SHARDS;
    assert_int_equal(auditor_open(store, &options, &setup, &auditor, NULL), 0);
    return auditor;
}

static inline struct hf_audit_result run(struct hf_auditor *auditor, int every_shard) {
    struct hf_audit_result result = {0};
    struct hf_error error = {0};
    if (hf_auditor_run(auditor, every_shard, &result, &error) != 0)
        fail_msg("%s", error.message);
    return result;
}

static inline void find_trouble(const char *what, const char *id, const char *path, const char *text) {
    script.findings[script.finding_count++] =
        (struct hf_finding){.kind = "page", .id = id, .what = what, .path = path, .text = text};
}

/* The record of the script's first finding; its JSON with the times cut off is compared. */
static inline void expect_record(struct hf_store *store, const char *action, const char *text, int count, int is_gone) {
    char id[FINDING_ID_BYTES];
    struct hf_record *record = NULL;
    struct finding_entry entry;
    struct arena arena;
    finding_id(&script.findings[0], id);
    assert_int_equal(hf_store_get(store, FINDING_KIND, id, &record, NULL), 0);
    arena_init(&arena);
    assert_int_equal(finding_read(record, &arena, &entry), 0);
    assert_string_equal(entry.finding.what, script.findings[0].what);
    assert_string_equal(entry.finding.kind, "page");
    assert_string_equal(entry.finding.id, script.findings[0].id);
    assert_string_equal(entry.finding.action, action);
    assert_string_equal(entry.finding.text, text);
    assert_int_equal(entry.count, count);
    assert_true(entry.found_at_ms > 0);
    assert_int_equal(entry.gone_at_ms != 0, is_gone);
    arena_fini(&arena);
    hf_record_free(&record);
}

static inline void put(struct hf_store *store, const char *kind, const char *id, const char *json,
                       uint8_t ret_hash[HF_HASH_BYTES]) {
    struct hf_commit_result result;
    assert_int_equal(hf_store_put(store, kind, id, json, strlen(json), &result, NULL), 0);
    if (ret_hash)
        memcpy(ret_hash, result.hash, HF_HASH_BYTES);
}

static inline void expect_document(struct hf_store *store, const char *id, const char *json, const char *who) {
    struct hf_record *record = NULL;
    assert_int_equal(hf_store_get(store, "page", id, &record, NULL), 0);
    assert_string_equal(record->json, json);
    assert_string_equal(record->who, who);
    hf_record_free(&record);
}

#endif
