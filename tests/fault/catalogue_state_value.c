/* C2, C10: what a state is, and what it never is taken for. */
#include "fault/catalogue_state.h"

#include <stdlib.h>

#include "base/text.h"

enum { VERSIONS = 3 };

static void save_versions(struct world *world) {
    char text[64];
    for (int number = 1; number <= VERSIONS; number++) {
        snprintf(text, sizeof text, "{\"cursor\":%d,\"mark\":\"version %d\"}", number, number);
        feed_must_save(world, text);
    }
}

/* In the database file, behind the store's back; `bytes` of it become `by`. */
static void damage_rows(struct world *world, const char *mark, size_t bytes, int by) {
    struct buf BUF_AUTO file;
    int places = 0;
    buf_init(&file);
    hf_store_close(&world->store);
    world_read_file(world, world->database, &file);
    for (char *at = file.data; (at = memmem(at, file.size - (size_t)(at - file.data), mark, strlen(mark))); places++) {
        for (size_t i = 0; i < bytes; i++)
            at[i] = (char)(by ? at[i] ^ by : 0);
        at += bytes;
    }
    assert_true(places > 0);
    world_write_file(world, world->database, file.data, file.size);
    feed_open(world);
}

/* The newest version's record, as if another program had written it. */
static void put_record(struct world *world, const char *json) {
    char id[HF_ID_MAX + 1];
    state_number_id(FEED, VERSIONS, id);
    world_must_put(world, STATE_VERSION_KIND, id, json);
}

static void put_record_of(struct world *world, const char *name, uint64_t version) {
    char id[HF_ID_MAX + 1];
    struct hf_record *record = NULL;
    state_number_id(name, version, id);
    assert_int_equal(hf_store_get(world->store, STATE_VERSION_KIND, id, &record, &world->error), 0);
    put_record(world, record->json);
    hf_record_free(&record);
}

/* No save goes over it unawares, no default is given; an earlier version is offered, and to begin anew is asked for. */
static void expect_the_way_out(struct world *world, int resets) {
    struct buf BUF_AUTO answer;
    const struct state_caller me = {.who = "me"};
    buf_init(&answer);
    feed_expect_corrupt(world, "version 2 is the newest that is whole");
    feed_expect_corrupt(world, "state rollback 'feed' --to 2");
    if (resets) {
        assert_int_equal(state_clear(world->store, &me, FEED, 0, 0, &answer, &world->error), 0);
        feed_expect(world, NULL, 0);
        feed_must_save(world, "\"anew\"");
        feed_reopen(world);
        feed_expect(world, "\"anew\"", 1);
        return;
    }
    assert_int_equal(hf_state_rollback(world->store, FEED, 2, 0, "me", NULL, &world->error), 0);
    feed_reopen(world);
    feed_expect(world, "{\"cursor\":2,\"mark\":\"version 2\"}", VERSIONS + 1);
}

enum fault { FLIPPED, HALF_WRITTEN, EMPTY, FOREIGN, EARLIER, NEWER, FAULTS };

static void spoil(struct world *world, enum fault fault) {
    switch (fault) {
    case FLIPPED:
        damage_rows(world, "version 3", 1, 1);
        break;
    case HALF_WRITTEN:
        damage_rows(world, "sion 3\"}", 8, 0);
        break;
    case EMPTY:
        put_record(world, "{}");
        break;
    case FOREIGN:
        put_record_of(world, "other", 1);
        break;
    case EARLIER:
        put_record_of(world, FEED, 1);
        break;
    default:
        put_record(world, "{\"name\":\"feed\",\"version\":3,\"form\":\"packed\",\"packed\":\"xyz\",\"bytes\":3}");
    }
}

void C2_state_damaged_foreign_empty_or_newer(void **state) {
    static const struct hf_state_save_options FORCE = {.struct_bytes = sizeof FORCE, .basis = HF_STATE_FORCE};
    (void)state;
    for (int fault = 0; fault < FAULTS; fault++)
        for (int resets = 0; resets < 2; resets++) {
            struct world world;
            feed_begin(&world);
            save_versions(&world);
            assert_int_equal(hf_state_save(world.store, "other", "9", 1, &FORCE, NULL, &world.error), 0);
            spoil(&world, (enum fault)fault);
            expect_the_way_out(&world, resets);
            world_fini(&world);
        }
}

static void go_round(struct world *world, const void *bytes, size_t size) {
    static const struct hf_state_save_options FORCE = {.struct_bytes = sizeof FORCE, .basis = HF_STATE_FORCE};
    struct hf_state_value *value = NULL;
    if (hf_state_save(world->store, FEED, bytes, size, &FORCE, NULL, &world->error) != 0)
        fail_msg("save %zu bytes: %s", size, world->error.message);
    feed_reopen(world);
    if (hf_state_load(world->store, FEED, &value, &world->error) != 0)
        fail_msg("load %zu bytes: %s", size, world->error.message);
    assert_int_equal(value->size, size);
    assert_memory_equal(value->bytes, bytes, size);
    hf_state_value_free(&value);
}

void C10_sizes_and_bytes_of_a_state(void **state) {
    enum { DEEP = 100000 };
    static const size_t sizes[] = {0, 1, 2, 3, 255, 256, 4096, 8191, 65536, (1 << 20) + 1, HF_STATE_BYTES_MAX};
    static const struct hf_state_save_options FORCE = {.struct_bytes = sizeof FORCE, .basis = HF_STATE_FORCE};
    struct world world;
    char *bytes = malloc(HF_STATE_BYTES_MAX + 1);
    (void)state;
    assert_non_null(bytes);
    feed_begin(&world);
    for (size_t at = 0; at <= HF_STATE_BYTES_MAX; at++)
        bytes[at] = (char)(at * 31 + at / 251); /* no UTF-8, and with NUL */
    assert_false(text_is_utf8(bytes, 4096));
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        go_round(&world, bytes, sizes[i]);
    world_count(&world, 1 << OS_CALL_WRITE | 1 << OS_CALL_TRUNCATE | 1 << OS_CALL_SYNC);
    int code = hf_state_save(world.store, FEED, bytes, HF_STATE_BYTES_MAX + 1, &FORCE, NULL, &world.error);
    feed_expect_error(&world, code, HF_ERR_TOO_LARGE, "");
    assert_int_equal(hf_code_http_status(code), 413);
    assert_int_equal(os_fault_calls(world.fault), 0); /* it was refused before anything was written */
    memset(bytes, '[', DEEP);
    memset(bytes + DEEP, ']', DEEP);
    go_round(&world, bytes, 2 * DEEP); /* JSON, but deeper than any is read */
    go_round(&world, " \xef\xbb\xbf{}", 6);
    go_round(&world, "\"\\ud800\"", 8);
    free(bytes);
    world_fini(&world);
}
