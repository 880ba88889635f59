/* Commits: what they answer, what they leave, what they refuse. */
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "conform.h"

static void a_new_store_is_empty(struct conform *c) {
    assert_int_equal(hf_store_revision(c->store), 0);
    expect_json(c, "thing", "a", NULL);
    expect_scan(c, NULL, NULL, 0, "");
    expect_events(c, 0, 0, "");
    expect_history(c, "thing", "a", 0, "");
}

static void a_put_makes_a_record(struct conform *c) {
    struct hf_record *record = NULL;
    int64_t before_ms = os_wall_ms(store_os(c->store));
    struct hf_commit_result result = put(c, "thing", "a", "{\"x\":1}");
    int64_t after_ms = os_wall_ms(store_os(c->store));
    assert_int_equal(result.revision, 1);
    assert_true(result.changed && result.created);
    assert_int_equal(hf_store_revision(c->store), 1);
    assert_int_equal(get(c, "thing", "a", &record), 0);
    assert_string_equal(record->kind, "thing");
    assert_string_equal(record->id, "a");
    assert_string_equal(record->who, "tester");
    assert_int_equal(record->revision, 1);
    assert_memory_equal(record->hash, result.hash, HF_HASH_BYTES);
    assert_int_equal(record->created_ms, record->updated_ms);
    assert_true(before_ms < record->updated_ms && record->updated_ms < after_ms);
    assert_int_equal(record->json_bytes, 7);
    assert_memory_equal(record->json, "{\"x\":1}", 8);
    hf_record_free(&record);
    assert_null(record);
}

static void a_second_put_replaces_it(struct conform *c) {
    struct hf_record *record = NULL;
    put(c, "thing", "a", "1");
    assert_int_equal(get(c, "thing", "a", &record), 0);
    const struct hf_record first = *record; /* its texts go with the next line */
    hf_record_free(&record);
    struct hf_commit_result result = put(c, "thing", "a", "2");
    assert_int_equal(result.revision, 2);
    assert_true(result.changed && !result.created);
    assert_int_equal(get(c, "thing", "a", &record), 0);
    assert_int_equal(record->created_ms, first.created_ms);
    assert_true(record->updated_ms > first.updated_ms);
    assert_true(memcmp(first.hash, record->hash, HF_HASH_BYTES) != 0);
    hf_record_free(&record);
    expect_json(c, "thing", "a", "2");
}

static void the_hash_is_that_of_the_canonical_form(struct conform *c) {
    static const char text[] = " { \"b\" : [1, 2.50 ] ,\"a\":\"\\u00e9\"} ";
    static const char canonical[] = "{\"a\":\"\xc3\xa9\",\"b\":[1,2.50]}";
    uint8_t hash[HF_HASH_BYTES];
    struct hf_commit_result result = put(c, "thing", "a", text);
    hash_bytes(canonical, strlen(canonical), hash);
    assert_memory_equal(result.hash, hash, HF_HASH_BYTES);
}

static void an_unchanged_put_makes_no_event_and_no_revision(struct conform *c) {
    put(c, "thing", "a", "{\"x\":1,\"y\":\"\xc3\xa9\"}");
    put(c, "thing", "b", "0");
    struct hf_commit_result result = put(c, "thing", "a", "{ \"y\":\"\\u00e9\", \"x\":1 }");
    assert_int_equal(result.changed, 0);
    assert_int_equal(result.created, 0);
    assert_int_equal(result.revision, 1);
    assert_int_equal(hf_store_revision(c->store), 2);
    expect_events(c, 0, 0, "1+thing/a 2+thing/b ");
    expect_json(c, "thing", "a", "{\"x\":1,\"y\":\"\xc3\xa9\"}");
}

static void numbers_count_as_they_are_written(struct conform *c) {
    put(c, "thing", "a", "1");
    assert_int_equal(put(c, "thing", "a", "1.0").changed, 1);
    assert_int_equal(put(c, "thing", "a", "1e0").changed, 1);
    expect_json(c, "thing", "a", "1e0");
}

static void bytes_are_kept_verbatim(struct conform *c) {
    static const char *const documents[] = {
        "null",
        "false",
        "-0.0E+00",
        "\"\"",
        "[]",
        "{}",
        " \t\r\n[ 1 , 2 ] \n",
        "{\"b\":1,\"a\":2}",
        "\"\\u0000\\u00e9\\ud83d\\ude00\\/\"",
        "\"\xf0\x9f\x98\x80 \xe2\x80\xa8 \x7f\"",
        "123456789012345678901234567890.5",
        "{\"\":{\"\":{\"\":[[[]]]}}}",
    };
    char id[8];
    for (size_t i = 0; i < sizeof documents / sizeof documents[0]; i++) {
        snprintf(id, sizeof id, "%zu", i);
        put(c, "thing", id, documents[i]);
    }
    for (size_t i = 0; i < sizeof documents / sizeof documents[0]; i++) {
        snprintf(id, sizeof id, "%zu", i);
        expect_json(c, "thing", id, documents[i]);
    }
}

static void a_deletion_removes_the_record(struct conform *c) {
    struct hf_record *record = NULL;
    put(c, "thing", "a", "1");
    struct hf_commit_result result = removed(c, "thing", "a");
    assert_int_equal(result.revision, 2);
    assert_true(result.changed && !result.created);
    expect_json(c, "thing", "a", NULL);
    expect_scan(c, "thing", NULL, 0, "");
    expect_events(c, 0, 0, "1+thing/a 2-thing/a ");
    assert_int_equal(commit_one(c, (struct change){HF_DELETE, "thing", "a", NULL, ALWAYS}, NULL), HF_ERR_NOT_FOUND);
    assert_int_equal(hf_store_revision(c->store), 2);
    result = put(c, "thing", "a", "1");
    assert_int_equal(result.revision, 3);
    assert_true(result.changed && result.created);
    assert_int_equal(get(c, "thing", "a", &record), 0);
    assert_int_equal(record->created_ms, record->updated_ms);
    hf_record_free(&record);
}

static void a_batch_is_all_or_nothing(struct conform *c) {
    struct hf_commit_result result = {.revision = 77};
    const struct change good[] = {
        {HF_PUT, "thing", "a", "1", ALWAYS},
        {HF_PUT, "thing", "b", "2", ALWAYS},
        {HF_PUT, "other", "a", "3", ALWAYS},
    };
    const struct change bad[] = {
        {HF_PUT, "thing", "a", "9", ALWAYS},
        {HF_DELETE, "thing", "b", NULL, ALWAYS},
        {HF_PUT, "thing", "new", "9", ALWAYS},
        {HF_DELETE, "thing", "not there", NULL, ALWAYS},
    };
    assert_int_equal(commit_changes(c, bad, 4, &result, NULL), HF_ERR_NOT_FOUND);
    assert_int_equal(result.revision, 77);
    expect_scan(c, NULL, NULL, 0, "");
    assert_int_equal(commit_changes(c, good, 3, &result, NULL), 0);
    assert_int_equal(result.revision, 1);
    assert_int_equal(commit_changes(c, bad, 4, NULL, NULL), HF_ERR_NOT_FOUND);
    expect_scan(c, NULL, NULL, 0, "other/a=3 thing/a=1 thing/b=2 ");
    expect_events(c, 0, 0, "1+thing/a 1+thing/b 1+other/a ");
    assert_int_equal(hf_store_revision(c->store), 1);
}

static void a_batch_mixes_puts_deletions_and_what_is_unchanged(struct conform *c) {
    struct hf_commit_result result;
    put(c, "thing", "a", "1");
    put(c, "thing", "b", "1");
    const struct change changes[] = {
        {HF_PUT, "thing", "a", " 1 ", ALWAYS},
        {HF_DELETE, "thing", "b", NULL, ALWAYS},
        {HF_PUT, "thing", "c", "1", ALWAYS},
    };
    assert_int_equal(commit_changes(c, changes, 3, &result, NULL), 0);
    assert_int_equal(result.revision, 3);
    assert_true(result.changed && !result.created);
    expect_events(c, 2, 0, "3-thing/b 3+thing/c ");
    expect_scan(c, NULL, NULL, 0, "thing/a=1 thing/c=1 ");
}

static void an_empty_batch_changes_nothing(struct conform *c) {
    struct hf_commit_result result;
    put(c, "thing", "a", "1");
    assert_int_equal(commit_changes(c, NULL, 0, &result, NULL), 0);
    assert_int_equal(result.changed, 0);
    assert_int_equal(result.revision, 1);
    assert_int_equal(hf_store_revision(c->store), 1);
}

static void the_same_key_twice_is_refused(struct conform *c) {
    struct hf_batch *batch = NULL;
    struct hf_error error = {0};
    assert_int_equal(hf_batch_new(NULL, &batch, NULL), 0);
    assert_int_equal(hf_batch_put(batch, "thing", "a", "1", 1, NULL, NULL), 0);
    assert_int_equal(hf_batch_put(batch, "thing", "a", "2", 1, NULL, &error), HF_ERR_INVALID);
    assert_non_null(strstr(error.message, "thing/a"));
    assert_int_equal(hf_batch_delete(batch, "thing", "a", NULL, NULL), HF_ERR_INVALID);
    assert_int_equal(hf_batch_put(batch, "thing2", "a", "2", 1, NULL, NULL), 0);
    assert_int_equal(hf_batch_put(batch, "thing", "aa", "3", 1, NULL, NULL), 0);
    if (hf_store_commit(c->store, &batch, NULL, NULL) != 0)
        conform_start_again(c);
    expect_scan(c, NULL, NULL, 0, "thing/a=1 thing/aa=3 thing2/a=2 ");
}

static void refused_calls_leave_their_outputs_alone(struct conform *c) {
    struct hf_commit_result result = {.revision = 77};
    struct hf_record *record = (struct hf_record *)&result;
    struct hf_batch *none = NULL;
    assert_int_equal(hf_store_commit(c->store, &none, &result, NULL), HF_ERR_INVALID);
    assert_int_equal(put_bytes(c, "a", "{", 1, NULL), HF_ERR_BAD_JSON);
    assert_int_equal(get(c, "thing", "a", &record), HF_ERR_NOT_FOUND);
    assert_ptr_equal(record, &result);
    assert_int_equal(result.revision, 77);
}

struct late {
    int count, code;
    struct hf_commit_result result;
};

static void note_late(void *arg, int code, const struct hf_commit_result *result, const struct hf_error *error) {
    struct late *late = arg;
    late->count++;
    late->code = code;
    assert_true((code == 0) == (error == NULL));
    if (result)
        late->result = *result;
}

static void an_asynchronous_commit_is_answered_once(struct conform *c) {
    struct late good = {0}, bad = {0};
    struct hf_batch *batch = NULL;
    assert_int_equal(hf_batch_new(NULL, &batch, NULL), 0);
    assert_int_equal(hf_batch_put(batch, "thing", "a", "{", 1, NULL, NULL), 0);
    hf_store_commit_async(c->store, &batch, note_late, &bad);
    assert_null(batch);
    assert_int_equal(bad.count, 1);
    assert_int_equal(bad.code, HF_ERR_BAD_JSON);
    assert_int_equal(hf_batch_new(NULL, &batch, NULL), 0);
    assert_int_equal(hf_batch_put(batch, "thing", "a", "1", 1, NULL, NULL), 0);
    hf_store_commit_async(c->store, &batch, note_late, &good);
    /* The queue keeps its order: when a later commit is answered, so is this one. */
    assert_int_equal(put_bytes(c, "b", "1", 1, NULL), 0);
    assert_int_equal(good.count, 1);
    if (good.code != 0)
        conform_start_again(c);
    assert_int_equal(good.result.revision, 1);
    expect_json(c, "thing", "a", "1");
}

static void what_was_acknowledged_is_there_after_opening_again(struct conform *c) {
    if (!c->is_durable)
        return;
    assert_int_equal(hf_store_keep_history(c->store, "thing", 2, NULL), 0);
    put(c, "thing", "a", "1");
    put(c, "thing", "a", "2");
    put(c, "thing", "a", "3");
    put(c, "thing", "b", "1");
    removed(c, "thing", "b");
    conform_reopen(c, NULL);
    assert_int_equal(hf_store_revision(c->store), 5);
    expect_scan(c, NULL, NULL, 0, "thing/a=3 ");
    expect_history(c, "thing", "a", 0, "thing/a=3 thing/a=2 ");
    expect_history(c, "thing", "b", 0, "thing/b=- thing/b=1 ");
    expect_events(c, 2, 0, "3+thing/a 4+thing/b 5-thing/b ");
    assert_int_equal(put(c, "thing", "a", " 3").changed, 0);
    assert_int_equal(put(c, "thing", "c", "1").revision, 6);
}

static void a_store_that_is_read_only_takes_nothing(struct conform *c) {
    struct hf_store_options options = {.struct_bytes = sizeof options, .read_only = 1};
    if (c->is_durable) {
        put(c, "thing", "a", "1");
        conform_reopen(c, &options);
        expect_json(c, "thing", "a", "1");
    } else {
        conform_open_with(c, &options);
    }
    uint64_t before = hf_store_revision(c->store);
    assert_int_equal(hf_store_put(c->store, "thing", "a", "2", 1, NULL, NULL), HF_ERR_READ_ONLY);
    assert_int_equal(hf_store_delete(c->store, "thing", "a", NULL, NULL), HF_ERR_READ_ONLY);
    assert_int_equal(hf_store_revision(c->store), before);
}

static void a_large_batch_is_one_commit(struct conform *c) {
    enum { COUNT = 3000 };
    static struct change changes[COUNT];
    static char ids[COUNT][12];
    struct hf_commit_result result;
    for (int i = 0; i < COUNT; i++) {
        snprintf(ids[i], sizeof ids[i], "%04d", i);
        changes[i] = (struct change){HF_PUT, "thing", ids[i], ids[i][0] == '0' ? "0" : "1", ALWAYS};
    }
    assert_int_equal(commit_changes(c, changes, COUNT, &result, NULL), 0);
    assert_int_equal(result.revision, 1);
    expect_scan(c, "thing", "2997", 0, "thing/2998=1 thing/2999=1 ");
    changes[COUNT - 1].json = "[";
    assert_int_equal(commit_changes(c, changes, COUNT, &result, NULL), HF_ERR_BAD_JSON);
    assert_int_equal(hf_store_revision(c->store), 1);
}

const struct conform_case conform_commit_cases[] = {
    {"a new store is empty", a_new_store_is_empty, 0},
    {"a put makes a record", a_put_makes_a_record, 0},
    {"a second put replaces it", a_second_put_replaces_it, 0},
    {"the hash is that of the canonical form", the_hash_is_that_of_the_canonical_form, 0},
    {"an unchanged put makes no event and no revision", an_unchanged_put_makes_no_event_and_no_revision, 0},
    {"numbers count as they are written", numbers_count_as_they_are_written, 0},
    {"bytes are kept verbatim", bytes_are_kept_verbatim, 0},
    {"a deletion removes the record", a_deletion_removes_the_record, 0},
    {"a batch is all or nothing", a_batch_is_all_or_nothing, 0},
    {"a batch mixes puts, deletions and what is unchanged", a_batch_mixes_puts_deletions_and_what_is_unchanged, 0},
    {"an empty batch changes nothing", an_empty_batch_changes_nothing, 0},
    {"the same key twice is refused", the_same_key_twice_is_refused, 0},
    {"refused calls leave their outputs alone", refused_calls_leave_their_outputs_alone, 0},
    {"an asynchronous commit is answered once", an_asynchronous_commit_is_answered_once, 0},
    {"what was acknowledged is there after opening again", what_was_acknowledged_is_there_after_opening_again, 0},
    {"a store that is read only takes nothing", a_store_that_is_read_only_takes_nothing, 0},
    {"a large batch is one commit", a_large_batch_is_one_commit, 20000},
    {NULL, NULL, 0},
};
