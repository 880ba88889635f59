/* What a change asks of the record as it is: every condition, on a record that is there and on one that is not. */
#include <string.h>

#include "conform.h"

struct row {
    enum hf_what what;
    int is_there; /* the record, at revision 1, with the document 1 */
    enum hf_condition condition;
    uint64_t if_revision;
    int if_right_hash;
    int code;
};

static const struct row rows[] = {
    {HF_PUT, 0, HF_ALWAYS, 0, 0, 0},
    {HF_PUT, 1, HF_ALWAYS, 0, 0, 0},
    {HF_PUT, 0, HF_IF_ABSENT, 0, 0, 0},
    {HF_PUT, 1, HF_IF_ABSENT, 0, 0, HF_ERR_EXISTS},
    {HF_PUT, 0, HF_IF_PRESENT, 0, 0, HF_ERR_PRECONDITION},
    {HF_PUT, 1, HF_IF_PRESENT, 0, 0, 0},
    {HF_PUT, 0, HF_IF_REVISION, 1, 0, HF_ERR_PRECONDITION},
    {HF_PUT, 0, HF_IF_REVISION, 0, 0, HF_ERR_PRECONDITION},
    {HF_PUT, 1, HF_IF_REVISION, 1, 0, 0},
    {HF_PUT, 1, HF_IF_REVISION, 2, 0, HF_ERR_PRECONDITION},
    {HF_PUT, 1, HF_IF_REVISION, 0, 0, HF_ERR_PRECONDITION},
    {HF_PUT, 0, HF_IF_HASH, 0, 1, HF_ERR_PRECONDITION},
    {HF_PUT, 1, HF_IF_HASH, 0, 1, 0},
    {HF_PUT, 1, HF_IF_HASH, 0, 0, HF_ERR_PRECONDITION},
    {HF_DELETE, 0, HF_ALWAYS, 0, 0, HF_ERR_NOT_FOUND},
    {HF_DELETE, 1, HF_ALWAYS, 0, 0, 0},
    {HF_DELETE, 0, HF_IF_ABSENT, 0, 0, HF_ERR_NOT_FOUND},
    {HF_DELETE, 1, HF_IF_ABSENT, 0, 0, HF_ERR_EXISTS},
    {HF_DELETE, 0, HF_IF_PRESENT, 0, 0, HF_ERR_PRECONDITION},
    {HF_DELETE, 1, HF_IF_PRESENT, 0, 0, 0},
    {HF_DELETE, 0, HF_IF_REVISION, 1, 0, HF_ERR_PRECONDITION},
    {HF_DELETE, 1, HF_IF_REVISION, 1, 0, 0},
    {HF_DELETE, 1, HF_IF_REVISION, 9, 0, HF_ERR_PRECONDITION},
    {HF_DELETE, 0, HF_IF_HASH, 0, 1, HF_ERR_PRECONDITION},
    {HF_DELETE, 1, HF_IF_HASH, 0, 1, 0},
    {HF_DELETE, 1, HF_IF_HASH, 0, 0, HF_ERR_PRECONDITION},
};

static void try_row(struct conform *c, const struct row *row) {
    struct change change = {row->what,
                            "thing",
                            row->is_there ? "there" : "absent",
                            row->what == HF_PUT ? "2" : NULL,
                            {.condition = row->condition, .if_revision = row->if_revision}};
    struct hf_error error = {0};
    struct hf_commit_result first = put(c, "thing", "there", "1");
    assert_int_equal(first.revision, 1);
    memcpy(change.options.if_hash, first.hash, HF_HASH_BYTES);
    change.options.if_hash[15] = (uint8_t)(change.options.if_hash[15] ^ !row->if_right_hash);
    int code = commit_changes(c, &change, 1, NULL, &error);
    if (code != row->code)
        fail_msg("row %d: %d, not %d: %s", (int)(row - rows), code, row->code, error.message);
    assert_int_equal(hf_store_revision(c->store), code == 0 ? 2 : 1);
    int is_written = code == 0 && row->what == HF_PUT, is_gone = code == 0 && row->what == HF_DELETE;
    expect_json(c, "thing", "there", row->is_there && is_written ? "2" : row->is_there && is_gone ? NULL : "1");
    expect_json(c, "thing", "absent", !row->is_there && is_written ? "2" : NULL);
    if (code != 0)
        assert_non_null(strstr(error.message, change.id));
}

static void each_condition_holds_or_refuses(struct conform *c) {
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        conform_open_with(c, NULL);
        try_row(c, &rows[i]);
    }
}

static void a_condition_is_checked_for_an_unchanged_put_too(struct conform *c) {
    struct change change = {HF_PUT, "thing", "a", "1", {.condition = HF_IF_ABSENT}};
    struct hf_commit_result result;
    put(c, "thing", "a", "1");
    assert_int_equal(commit_one(c, change, NULL), HF_ERR_EXISTS);
    change.options = (struct hf_change_options){.condition = HF_IF_REVISION, .if_revision = 1};
    assert_int_equal(commit_one(c, change, &result), 0);
    assert_int_equal(result.changed, 0);
}

static void a_refused_condition_in_the_last_change_leaves_nothing(struct conform *c) {
    const struct change changes[] = {
        {HF_PUT, "thing", "new", "1", ALWAYS},
        {HF_PUT, "thing", "a", "2", ALWAYS},
        {HF_PUT, "thing", "b", "2", {.condition = HF_IF_REVISION, .if_revision = 1}},
    };
    assert_int_equal(hf_store_keep_history(c->store, "thing", UINT32_MAX, NULL), 0);
    put(c, "thing", "a", "1");
    put(c, "thing", "b", "1");
    assert_int_equal(commit_changes(c, changes, 3, NULL, NULL), HF_ERR_PRECONDITION);
    expect_scan(c, NULL, NULL, 0, "thing/a=1 thing/b=1 ");
    expect_history(c, "thing", "a", 0, "thing/a=1 ");
    expect_history(c, "thing", "new", 0, "");
    expect_events(c, 0, 0, "1+thing/a 2+thing/b ");
}

static void conditions_see_what_was_before_the_batch(struct conform *c) {
    /* Whether b is there does not depend on what this batch does to it or to others. */
    const struct change changes[] = {
        {HF_DELETE, "thing", "a", NULL, {.condition = HF_IF_PRESENT}},
        {HF_PUT, "thing", "b", "1", {.condition = HF_IF_ABSENT}},
    };
    put(c, "thing", "a", "1");
    assert_int_equal(commit_changes(c, changes, 2, NULL, NULL), 0);
    expect_scan(c, NULL, NULL, 0, "thing/b=1 ");
}

enum { RIVALS = 8 };

static void note_code(void *arg, int code, const struct hf_commit_result *result, const struct hf_error *error) {
    (void)result, (void)error;
    *(int *)arg = code;
}

/* Whoever comes first makes it, also when all of them share a transaction. */
static void of_rivals_in_one_group_one_wins(struct conform *c) {
    const struct hf_change_options absent = {.condition = HF_IF_ABSENT};
    int codes[RIVALS], winners = 0, losers = 0;
    conform_open_without_thread(c, NULL);
    for (int i = 0; i < RIVALS; i++) {
        struct hf_batch *batch = NULL;
        char json[2] = {(char)('0' + i), 0};
        assert_int_equal(hf_batch_new(NULL, &batch, NULL), 0);
        assert_int_equal(hf_batch_put(batch, "thing", "a", json, 1, &absent, NULL), 0);
        hf_store_commit_async(c->store, &batch, note_code, &codes[i]);
    }
    assert_int_equal(store_pump(c->store), RIVALS);
    for (int i = 0; i < RIVALS; i++) {
        winners += codes[i] == 0;
        losers += codes[i] == HF_ERR_EXISTS;
        if (codes[i] == HF_ERR_FAILED)
            conform_start_again(c);
    }
    assert_true(winners == 1 || (winners == 0 && c->is_failing));
    assert_true(losers == RIVALS - 1 || c->is_failing);
    assert_int_equal(hf_store_revision(c->store), winners);
}

static void an_unknown_condition_is_refused(struct conform *c) {
    struct hf_batch *batch = NULL;
    const struct hf_change_options options = {.condition = (enum hf_condition)99};
    (void)c;
    assert_int_equal(hf_batch_new(NULL, &batch, NULL), 0);
    assert_int_equal(hf_batch_put(batch, "thing", "a", "1", 1, &options, NULL), HF_ERR_INVALID);
    assert_int_equal(hf_batch_delete(batch, "thing", "a", &options, NULL), HF_ERR_INVALID);
    hf_batch_free(&batch);
    assert_null(batch);
}

const struct conform_case conform_condition_cases[] = {
    {"each condition holds or refuses", each_condition_holds_or_refuses, 100},
    {"a condition is checked for an unchanged put too", a_condition_is_checked_for_an_unchanged_put_too, 0},
    {"a refused condition in the last change leaves nothing", a_refused_condition_in_the_last_change_leaves_nothing, 0},
    {"conditions see what was before the batch", conditions_see_what_was_before_the_batch, 0},
    {"of rivals in one group one wins", of_rivals_in_one_group_one_wins, 0},
    {"an unknown condition is refused", an_unknown_condition_is_refused, 0},
    {NULL, NULL, 0},
};
