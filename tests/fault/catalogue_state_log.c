/* C1, C8, C9: cuts, and the log. What the original's event log is, is the store's WAL here: it has the saves that were
 * acknowledged since the last checkpoint, one commit each. */
#include "fault/catalogue_state.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "sim/crash_states.h"
#include "sim/share.h"

/* ---- C1 ---- */

enum { SAVES = 5, CRASH_STATES = 4000, SANITIZED_ONE_IN = 20 };

static const char *text_of(int number, char text[64]) {
    snprintf(text, 64, "{\"cursor\":%d}", number);
    return text;
}

static int64_t load_after_crash(void *arg, struct sim_disk *disk, char text[CRASH_TEXT]) {
    struct sim_process *process = sim_process_new(disk);
    const struct store_setup setup = {.os = sim_process_os(process), .without_thread = 1};
    struct hf_store *store = NULL;
    struct hf_state_value *value = NULL;
    struct hf_error error = {0};
    int number = -1;
    (void)arg;
    int code = store_open(STATE_URL, NULL, &setup, &store, &error);
    if (code == 0)
        code = hf_state_default(store, FEED, "{\"cursor\":0}", 12, &value, &error);
    if (code == 0 && (sscanf(value->bytes, "{\"cursor\":%d}", &number) != 1 || (uint64_t)number != value->version))
        number = -1;
    snprintf(text, CRASH_TEXT, "%s", code == 0 ? "it is not what was saved" : error.message);
    hf_state_value_free(&value);
    hf_store_close(&store);
    sim_process_free(&process);
    return number;
}

void C1_crash_before_within_and_after_a_save(void **state) {
    struct world world;
    struct crash_result result = {0};
    char text[64];
    (void)state;
    feed_begin(&world);
    hf_store_close(&world.store);
    sim_disk_record(world.disk);
    feed_open(&world);
    for (int number = 1; number <= SAVES; number++) {
        feed_must_save(&world, text_of(number, text));
        sim_mark_ack(world.disk, number);
    }
    hf_store_close(&world.store);
    struct sim_record *record = sim_disk_take_record(world.disk);
    for (int order = CRASH_STRICT; order <= CRASH_EXT4; order++) {
        struct crash_options options;
        crash_options_default(&options);
        options.order = (enum crash_order)order;
        options.keep_one_in = crash_count(record, &options) / share_of(CRASH_STATES, SANITIZED_ONE_IN) + 1;
        if (crash_run(record, &options, load_after_crash, NULL, &result) != 0)
            fail_msg("%s", result.first_failure);
    }
    printf("#   %" PRIu64 " states, %" PRIu64 " distinct\n", result.total, result.distinct);
    assert_true(result.distinct > 20);
    sim_record_free(&record);
    world_fini(&world);
}

/* ---- C8 ---- */

struct logged {
    struct world world;
    char wal_path[96];
    struct buf database, before, wal; /* the WAL before the last save, and with it */
    size_t from, to;                  /* of the last save */
};

static size_t first_difference(const struct buf *a, const struct buf *b) {
    size_t at = 0;
    while (at < a->size && at < b->size && a->data[at] == b->data[at])
        at++;
    return at;
}

/* Everything is in the WAL yet. */
static void logged_begin(struct logged *logged, int saves) {
    struct world *world = &logged->world;
    char text[64];
    buf_init(&logged->database);
    buf_init(&logged->before);
    buf_init(&logged->wal);
    feed_begin(world);
    snprintf(logged->wal_path, sizeof logged->wal_path, "%s-wal", world->database);
    for (int number = 1; number < saves; number++)
        feed_must_save(world, text_of(number, text));
    world_read_file(world, logged->wal_path, &logged->before);
    feed_must_save(world, text_of(saves, text));
    world_read_file(world, logged->wal_path, &logged->wal);
    world_kill(world);
    world_read_file(world, world->database, &logged->database);
    logged->from = first_difference(&logged->before, &logged->wal);
    logged->to = logged->wal.size;
    while (logged->to > logged->from && logged->wal.data[logged->to - 1] == logged->before.data[logged->to - 1])
        logged->to--;
    assert_int_equal(logged->before.size, logged->wal.size); /* it was grown ahead */
    assert_true(logged->to > logged->from + 4096);
}

static void logged_fini(struct logged *logged) {
    buf_fini(&logged->database);
    buf_fini(&logged->before);
    buf_fini(&logged->wal);
    world_fini(&logged->world);
}

static void put_files(struct logged *logged, const struct buf *wal) {
    struct world *world = &logged->world;
    world_write_file(world, world->database, logged->database.data, logged->database.size);
    world_write_file(world, logged->wal_path, wal->data, wal->size);
}

/* From `at` on there is what was there before. */
static void tear(struct logged *logged, size_t at) {
    size_t bytes = logged->to - at;
    memcpy(logged->wal.data + at, logged->before.data + at, bytes);
    put_files(logged, &logged->wal);
}

enum { SAVES_LOGGED = 6, FRAME_BYTES = 8192 + 24, WAL_HEADER_BYTES = 32 };

static unsigned tear_at_every_byte(struct logged *logged) {
    struct world *world = &logged->world;
    char text[64];
    unsigned count = 0;
    for (size_t at = logged->to - 1; at > logged->from; at -= at - logged->from < share_step() ? 1 : share_step()) {
        tear(logged, at); /* from the end on, so that it stays torn */
        feed_open(world);
        feed_expect(world, text_of(SAVES_LOGGED - 1, text), SAVES_LOGGED - 1);
        if (count++ % 512 == 0) {
            feed_must_save(world, "7");
            feed_reopen(world);
            feed_expect(world, "7", SAVES_LOGGED);
        }
        world_kill(world);
    }
    return count;
}

/* A byte of the middle is another one: it is told where, and nothing of the log is cut off. */
static void damage_at(struct logged *logged, struct buf *whole, size_t at) {
    struct world *world = &logged->world;
    struct buf BUF_AUTO kept;
    char place[32];
    buf_init(&kept);
    whole->data[at] ^= 4;
    put_files(logged, whole);
    snprintf(place, sizeof place, "at byte %zu ", at - (at - WAL_HEADER_BYTES) % FRAME_BYTES);
    feed_expect_error(world, world_open(world), HF_ERR_CORRUPT, place);
    world_read_file(world, logged->wal_path, &kept);
    assert_int_equal(kept.size, whole->size);
    assert_memory_equal(kept.data, whole->data, whole->size);
    whole->data[at] ^= 4;
}

/* A save that was under way may leave the mark of one commit behind a bad frame; where there are two, one of them was
 * acknowledged. */
void C8_log_torn_at_every_byte_of_the_last_save(void **state) {
    enum { FLIPS_A_FRAME = 12, FRAMES_OF_A_SAVE_MOST = 3 };
    struct logged logged;
    struct buf BUF_AUTO whole;
    char text[64];
    (void)state;
    logged_begin(&logged, SAVES_LOGGED);
    buf_init(&whole);
    buf_add(&whole, logged.wal.data, logged.wal.size);
    unsigned torn = tear_at_every_byte(&logged);
    put_files(&logged, &whole);
    feed_open(&logged.world);
    feed_expect(&logged.world, text_of(SAVES_LOGGED, text), SAVES_LOGGED);
    world_kill(&logged.world);
    unsigned flips = 0;
    for (size_t frame = WAL_HEADER_BYTES; frame + FRAMES_OF_A_SAVE_MOST * FRAME_BYTES < logged.from;
         frame += FRAME_BYTES)
        for (size_t flip = 0; flip < FLIPS_A_FRAME; flip++, flips++) /* a few in its header */
            damage_at(&logged, &whole, frame + (flip < 6 ? 4 * flip : (flip - 5) * 1170));
    printf("#   torn at %u bytes, %u damaged\n", torn, flips);
    assert_true(torn > 100 && flips > 50);
    logged_fini(&logged);
}

/* ---- C9 ---- */

/* Each call of a save fails, for want of room; the next save is good, and stands right behind the last good one. */
void C9_log_after_an_append_that_failed(void **state) {
    (void)state;
    unsigned failed = 0;
    for (uint64_t call = 1; call <= 12; call++) {
        struct world world;
        feed_begin(&world);
        feed_must_save(&world, "1");
        world_fail(&world, 1 << OS_CALL_WRITE | 1 << OS_CALL_TRUNCATE, call, 1, ENOSPC);
        int code = feed_save(&world, "\"this one is lost\"");
        world_heal(&world);
        if (code != 0) {
            failed++;
            feed_expect_error(&world, code, HF_ERR_NO_SPACE, "");
            feed_expect(&world, "1", 1);
        }
        feed_must_save(&world, "2");
        for (int look = 0; look < 3; look++) {
            feed_expect(&world, "2", code == 0 ? 3 : 2);
            assert_int_equal(world_findings(&world), 0);
            if (look == 0)
                world_kill(&world); /* what is read then is what was logged */
            hf_store_close(&world.store);
            feed_open(&world);
        }
        world_fini(&world);
    }
    assert_true(failed > 0);
}
