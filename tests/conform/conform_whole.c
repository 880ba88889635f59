/* What is done to a store as a whole: checked in slices, compacted, copied. */
#include <stdio.h>
#include <string.h>

#include "conform.h"

enum { MANY = 1200 }; /* more than one chunk of a copy */

/* ---- check ---- */

static void stop_if_failed(struct conform *c, int code) {
    if (c->is_failing && code == HF_ERR_FAILED)
        conform_start_again(c);
}

static void a_check_in_slices_counts_every_row_once(struct conform *c) {
    assert_int_equal(hf_store_keep_history(c->store, "thing", 9, NULL), 0);
    for (int i = 0; i < 20; i++) {
        char id[8];
        snprintf(id, sizeof id, "%02d", i * 7 % 20);
        put(c, "thing", id, "1");
        put(c, "thing", id, "2");
        put(c, "other", id, "1");
    }
    removed(c, "other", "03");
    for (uint64_t max_rows = 0; max_rows < 64; max_rows = max_rows * 2 + 1) {
        struct hf_check_cursor cursor = {0};
        struct hf_check_result result = {0};
        int slices = 0;
        while (!cursor.is_done) {
            uint64_t before = cursor.done;
            int code = hf_store_check_slice(c->store, &cursor, max_rows, NULL, NULL, &result, NULL);
            slices += code == 0;
            if (!conform_is_flake(c, code))
                assert_int_equal(code, 0);
            assert_true(cursor.done >= before && (cursor.is_done || cursor.done <= before + max_rows + 9));
            assert_true(code != 0 || cursor.total >= cursor.done);
        }
        assert_int_equal(result.records, 39);
        assert_int_equal(result.history, 40);
        assert_int_equal(result.events, 61);
        assert_int_equal(result.findings, 0);
        assert_int_equal(cursor.done, cursor.total);
        assert_true(max_rows == 0 || slices >= (int)(39 / max_rows));
    }
}

/* ---- compact ---- */

static struct hf_compact_result compact(struct conform *c) {
    struct hf_compact_result result = {0};
    int code;
    do {
        code = hf_store_compact(c->store, &result, NULL);
        stop_if_failed(c, code);
    } while (conform_is_flake(c, code));
    assert_int_equal(code, 0);
    return result;
}

static void after_compacting_everything_is_there(struct conform *c) {
    static char large[64 * 1024];
    memset(large, 'x', sizeof large - 1);
    large[0] = large[sizeof large - 2] = '"';
    assert_int_equal(hf_store_keep_history(c->store, "thing", 3, NULL), 0);
    for (int i = 0; i < 8; i++) {
        char id[8];
        snprintf(id, sizeof id, "%d", i);
        put(c, "large", id, large);
    }
    put(c, "thing", "a", "1");
    put(c, "thing", "a", "2");
    put(c, "thing", "b", "3");
    removed(c, "thing", "b");
    for (int i = 0; i < 8; i++) {
        char id[8];
        snprintf(id, sizeof id, "%d", i);
        removed(c, "large", id);
    }
    struct hf_compact_result result = compact(c);
    assert_true(result.bytes_after <= result.bytes_before);
    compact(c); /* nothing is left to be done */
    expect_scan(c, NULL, NULL, 0, "thing/a=2 ");
    expect_history(c, "thing", "a", 0, "thing/a=2 thing/a=1 ");
    expect_history(c, "thing", "b", 0, "thing/b=- thing/b=3 ");
    expect_events(c, 8, 4, "9+thing/a 10+thing/a 11+thing/b 12-thing/b ");
    assert_int_equal(put(c, "thing", "c", "4").revision, 21);
    if (c->is_durable) {
        conform_reopen(c, NULL);
        expect_scan(c, NULL, NULL, 0, "thing/a=2 thing/c=4 ");
        expect_history(c, "thing", "a", 0, "thing/a=2 thing/a=1 ");
        assert_int_equal(hf_store_revision(c->store), 21);
    }
}

static void a_pumped_store_compacts_too(struct conform *c) {
    conform_open_without_thread(c, NULL);
    put(c, "thing", "a", "1");
    compact(c);
    expect_scan(c, NULL, NULL, 0, "thing/a=1 ");
}

/* ---- copy ---- */

static struct hf_store *open_memory(void) {
    struct hf_store *store = NULL;
    assert_int_equal(hf_store_open("memory:", NULL, &store, NULL), 0);
    return store;
}

/* Until it does not fail at random: it goes on where it ended. */
static int copy(struct conform *c, struct hf_store *from, struct hf_store *to, struct hf_copy_options options,
                struct hf_copy_result *ret_result) {
    struct hf_error error = {0};
    int code;
    options.struct_bytes = sizeof options;
    do {
        code = hf_store_copy(from, to, &options, ret_result, &error);
        if (code == HF_ERR_FAILED) {
            hf_store_close(from == c->store ? &to : &from);
            stop_if_failed(c, code);
        }
    } while (conform_is_flake(c, code));
    if (code != 0 && code != HF_ERR_CONFLICT && code != HF_ERR_CANCELLED)
        fail_msg("%d: %s", code, error.message);
    return code;
}

static int add_row(void *arg, const struct hf_record *record, int code) {
    assert_int_equal(code, 0);
    buf_printf(arg, "%s/%s %lld %lld %s %s\n", record->kind, record->id, (long long)record->created_ms,
               (long long)record->updated_ms, record->who, record->json ? record->json : "-");
    return 0;
}

/* Everything but revisions, as text. */
static void tell(struct conform *c, struct hf_store *store, const char *const *ids, struct buf *to) {
    int code;
    do {
        buf_clear(to);
        code = hf_store_scan(store, NULL, NULL, 0, add_row, to, NULL);
        for (const char *const *id = ids; code == 0 && *id; id++)
            code = hf_store_history(store, "thing", *id, 0, add_row, to, NULL);
    } while (conform_is_flake(c, code));
    assert_int_equal(code, 0);
}

static void expect_equal(struct conform *c, struct hf_store *a, struct hf_store *b, const char *const *ids) {
    struct buf left BUF_AUTO, right BUF_AUTO;
    buf_init(&left);
    buf_init(&right);
    tell(c, a, ids, &left);
    tell(c, b, ids, &right);
    assert_string_equal(buf_text(&left), buf_text(&right));
}

static void fill(struct hf_store *store) {
    static const char *const values[] = {"1", "2", "3"};
    assert_int_equal(hf_store_keep_history(store, "thing", 9, NULL), 0);
    for (int i = 0; i < 3; i++) {
        struct hf_batch *batch = NULL;
        assert_int_equal(hf_batch_new(i ? "somebody" : NULL, &batch, NULL), 0);
        assert_int_equal(hf_batch_put(batch, "thing", "a", values[i], 1, NULL, NULL), 0);
        assert_int_equal(hf_batch_put(batch, "thing", "b", values[2 - i], 1, NULL, NULL), 0);
        assert_int_equal(hf_batch_put(batch, "other", "a", values[i], 1, NULL, NULL), 0);
        assert_int_equal(hf_store_commit(store, &batch, NULL, NULL), 0);
    }
    assert_int_equal(hf_store_delete(store, "thing", "b", NULL, NULL), 0);
    assert_int_equal(hf_store_put(store, "thing", "b", "{ \"x\" : 1.0 }", 13, NULL, NULL), 0);
}

static void a_copy_there_and_back_is_the_same(struct conform *c) {
    static const char *const all[] = {"a", "b", NULL}, *const none[] = {NULL};
    struct hf_copy_options with_history = {.with_history = 1}, without = {.with_history = 0};
    struct hf_copy_result result = {0};
    struct hf_store *first = open_memory(), *back = open_memory();
    fill(first);
    assert_int_equal(copy(c, first, c->store, with_history, &result), 0);
    assert_int_equal(result.records, 3);
    assert_int_equal(result.written + result.same, 3);
    assert_int_equal(result.verified, 3);
    assert_int_equal(result.damaged, 0);
    expect_equal(c, first, c->store, all);
    assert_int_equal(copy(c, first, c->store, with_history, &result), 0);
    assert_int_equal(result.same, 3);
    assert_int_equal(result.written, 0);
    assert_int_equal(copy(c, c->store, back, with_history, &result), 0);
    expect_equal(c, first, back, all);
    hf_store_close(&back);
    back = open_memory();
    assert_int_equal(copy(c, c->store, back, without, &result), 0);
    expect_equal(c, first, back, none);
    hf_store_close(&back);
    hf_store_close(&first);
}

static void a_copy_of_history_goes_on_behind_what_is_there(struct conform *c) {
    static const char *const ids[] = {"a", NULL};
    struct hf_copy_options with_history = {.with_history = 1};
    struct hf_copy_result result = {0};
    struct hf_store *first = open_memory();
    assert_int_equal(hf_store_keep_history(first, "thing", UINT32_MAX, NULL), 0);
    assert_int_equal(hf_store_put(first, "thing", "a", "1", 1, NULL, NULL), 0);
    assert_int_equal(hf_store_put(first, "thing", "a", "2", 1, NULL, NULL), 0);
    assert_int_equal(copy(c, first, c->store, with_history, &result), 0);
    assert_int_equal(hf_store_put(first, "thing", "a", "3", 1, NULL, NULL), 0);
    assert_int_equal(hf_store_put(first, "thing", "a", "4", 1, NULL, NULL), 0);
    assert_int_equal(copy(c, first, c->store, with_history, &result), 0);
    assert_int_equal(result.written + result.same, 1);
    expect_equal(c, first, c->store, ids);
    expect_history(c, "thing", "a", 0, "thing/a=4 thing/a=3 thing/a=2 thing/a=1 ");
    hf_store_close(&first);
}

static void a_copy_overwrites_only_when_it_may(struct conform *c) {
    struct hf_copy_options overwrite = {.overwrite = 1}, without = {.overwrite = 0};
    struct hf_copy_result result = {0};
    struct hf_store *first = open_memory();
    assert_int_equal(hf_store_put(first, "thing", "a", "1", 1, NULL, NULL), 0);
    put(c, "thing", "a", "2");
    put(c, "thing", "b", "3");
    assert_int_equal(copy(c, first, c->store, without, &result), HF_ERR_CONFLICT);
    expect_scan(c, NULL, NULL, 0, "thing/a=2 thing/b=3 ");
    assert_int_equal(copy(c, first, c->store, overwrite, &result), 0);
    expect_scan(c, NULL, NULL, 0, "thing/a=1 thing/b=3 ");
    hf_store_close(&first);
}

struct stop {
    int calls;
    uint64_t done;
};

static int stop_at_second(void *arg, uint64_t done, uint64_t total) {
    (void)total;
    struct stop *stop = arg;
    stop->calls = done <= stop->done ? 1 : stop->calls + 1; /* when it is tried again it counts anew */
    stop->done = done;
    return stop->calls == 2;
}

static void a_copy_goes_on_where_it_was_broken_off(struct conform *c) {
    struct hf_store *first = open_memory();
    struct hf_batch *batch = NULL;
    struct hf_copy_result result = {0};
    struct stop stop = {.calls = 0};
    struct hf_copy_options stopped = {.progress = stop_at_second, .progress_arg = &stop}, on = {.overwrite = 0};
    assert_int_equal(hf_batch_new(NULL, &batch, NULL), 0);
    for (int i = 0; i < MANY; i++) {
        char id[8];
        snprintf(id, sizeof id, "%04d", i);
        assert_int_equal(hf_batch_put(batch, "thing", id, "1", 1, NULL, NULL), 0);
    }
    assert_int_equal(hf_store_commit(first, &batch, NULL, NULL), 0);
    assert_int_equal(copy(c, first, c->store, stopped, &result), HF_ERR_CANCELLED);
    assert_int_equal(copy(c, first, c->store, on, &result), 0);
    assert_int_equal(result.records, MANY);
    assert_int_equal(result.same + result.written, MANY);
    assert_true(c->is_failing || result.same > 0); /* what was under way when it stopped may have failed as well */
    assert_int_equal(result.verified, MANY);
    hf_store_close(&first);
}

const struct conform_case conform_whole_cases[] = {
    {"a check in slices counts every row once", a_check_in_slices_counts_every_row_once, 0},
    {"after compacting everything is there", after_compacting_everything_is_there, 0},
    {"a pumped store compacts too", a_pumped_store_compacts_too, 0},
    {"a copy there and back is the same", a_copy_there_and_back_is_the_same, 0},
    {"a copy of history goes on behind what is there", a_copy_of_history_goes_on_behind_what_is_there, 0},
    {"a copy overwrites only when it may", a_copy_overwrites_only_when_it_may, 0},
    {"a copy goes on where it was broken off", a_copy_goes_on_where_it_was_broken_off, 20000},
    {NULL, NULL, 0},
};
