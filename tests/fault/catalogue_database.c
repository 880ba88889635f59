/* S11, S19: what stands behind the store is damaged, or of a newer version. */
#include "fault/catalogue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void expect_store_corrupt(struct world *world, const char *text) {
    for (int read_only = 0; read_only < 2; read_only++) {
        struct hf_store_options options = {.struct_bytes = sizeof options, .read_only = read_only};
        world_expect_error(world, world_open_with(world, &options), HF_ERR_CORRUPT, text);
        assert_true(world->error.hint[0] != '\0');
    }
    assert_int_equal(sim_process_open_files(world->process), 0);
}

/* The files of a store that was killed with everything in its WAL. */
static void make_killed(struct world *world, struct buf *ret_wal, char wal_path[96]) {
    world_must_open(world);
    assert_int_equal(world_commit_many(world, "m", 5, 10), 0);
    for (int i = 0; i < 8; i++)
        assert_int_equal(world_commit_many(world, "m", 2, 20 + i), 0);
    world_kill(world);
    snprintf(wal_path, 96, "%s-wal", world->database);
    world_read_file(world, wal_path, ret_wal);
}

static void flip_wal(struct world *world, const char *path, const struct buf *wal, size_t at) {
    wal->data[at] ^= 1;
    world_write_file(world, path, wal->data, wal->size);
    wal->data[at] ^= 1;
}

/* Rot in the WAL would make SQLite forget acknowledged commits without a word; and a WAL that is another database's,
 * believe in its pages. */
void S11_wal_damaged_or_of_another_database(void **state) {
    enum { FRAME_BYTES = 8192 + 24, WAL_HEADER_BYTES = 32 };
    char path[96], other_path[96];
    struct buf BUF_AUTO wal, other;
    struct world neighbour;
    buf_init(&wal);
    buf_init(&other);
    BEGIN(world);
    make_killed(&world, &wal, path);
    flip_wal(&world, path, &wal, 20);
    expect_store_corrupt(&world, "its header is bad");
    for (size_t frame = 0; frame < 12; frame++) {
        flip_wal(&world, path, &wal, WAL_HEADER_BYTES + frame * FRAME_BYTES + 40 + 500 * frame);
        expect_store_corrupt(&world, "acknowledged commits stand behind it");
    }
    world_from(&neighbour, *state, sim_disk_new(12));
    make_killed(&neighbour, &other, other_path);
    world_write_file(&world, path, other.data, other.size);
    expect_store_corrupt(&world, "it belongs to another database");
    world_fini(&neighbour);
    world_write_file(&world, path, wal.data, wal.size);
    world_must_open(&world);
    assert_int_equal(world_count_many(&world, "m", 2, 27), 2);
    hf_store_close(&world.store);
    world_cut_file(&world, world.database, 0); /* the file is gone, its WAL is not */
    expect_store_corrupt(&world, "the database is empty");
    END(world);
}

struct salvage {
    int named;
    struct hf_copy_result result;
};

static void note_lost(void *arg, const struct hf_finding *finding) {
    struct salvage *salvage = arg;
    salvage->named += finding->id != NULL;
}

/* Pages of zeros: what is still readable is copied to a new store, and the ids of what is lost are told. */
void S11_pages_damaged_and_the_rest_salvaged(void **state) {
    enum { PAGE_BYTES = 8192, MANY = 60 };
    struct buf BUF_AUTO bytes;
    int opened = 0;
    buf_init(&bytes);
    BEGIN(world);
    world_must_open(&world);
    assert_int_equal(world_commit_many(&world, "m", MANY, 0), 0);
    for (int i = 0; i < 20; i++) { /* pages that are free */
        char id[16];
        snprintf(id, sizeof id, "m%d", i);
        assert_int_equal(hf_store_delete(world.store, "watch", id, NULL, NULL), 0);
    }
    hf_store_close(&world.store);
    world_read_file(&world, world.database, &bytes);
    for (size_t page = 1; page < bytes.size / PAGE_BYTES; page++) { /* without the first it is no SQLite file */
        struct hf_store *rescue = NULL;
        struct salvage salvage = {0};
        struct hf_copy_options options = {.struct_bytes = sizeof options,
                                          .salvage = 1,
                                          .found = note_lost,
                                          .found_arg = &salvage};
        struct hf_store_options read_only = {.struct_bytes = sizeof read_only, .read_only = 1};
        char *copy = malloc(bytes.size);
        assert_non_null(copy);
        memcpy(copy, bytes.data, bytes.size);
        memset(copy + page * PAGE_BYTES, 0, PAGE_BYTES);
        world_write_file(&world, world.database, copy, bytes.size);
        free(copy);
        int code = world_open_with(&world, &read_only);
        if (code == 0) {
            opened++;
            assert_int_equal(hf_store_open("memory:", NULL, &rescue, NULL), 0);
            code = hf_store_copy(world.store, rescue, &options, &salvage.result, &world.error);
            if (code == 0) {
                assert_int_equal(salvage.result.verified, salvage.result.records);
                if (salvage.result.records + (unsigned)salvage.named < MANY - 20)
                    fail_msg("page %zu: %d of %d copied, %d named", page, (int)salvage.result.records, MANY - 20,
                             salvage.named);
            }
            hf_store_close(&rescue);
            hf_store_close(&world.store);
        }
        if (code != 0)
            world_expect_error(&world, code, HF_ERR_CORRUPT, "");
    }
    assert_true(opened >= (int)(bytes.size / PAGE_BYTES) - 2);
    END(world);
}

/* ---- behind the back of a store that is open ---- */

static void expect_stopped(struct world *world, const char *text) {
    for (int i = 0; i < 2; i++) {
        world_expect_error(world, world_put(world, "watch", "new", "{\"n\":2}"), HF_ERR_FAILED, text);
        assert_true(world->error.hint[0] != '\0');
    }
    assert_int_equal(store_health(world->store, NULL), HF_ERR_FAILED);
    world_kill(world);
}

/* SQLite has it all in its cache, and its own file open: it would go on. */
void S11_database_cut_replaced_or_removed_while_it_is_open(void **state) {
    enum { CUT, REPLACED, REMOVED, WAL_CUT, WAL_REMOVED, WAYS };
    static const char *const said[WAYS] = {"was cut short", "is another one now", "was removed", "-wal' was cut short",
                                           "-wal' was removed"};
    struct buf BUF_AUTO bytes, wal;
    char wal_path[96];
    buf_init(&bytes);
    buf_init(&wal);
    BEGIN(world);
    snprintf(wal_path, sizeof wal_path, "%s-wal", world.database);
    for (int way = 0; way < WAYS; way++) {
        world_must_open(&world);
        assert_int_equal(world_commit_many(&world, "m", 50, 0), 0);
        world_reopen(&world);
        world_must_put(&world, "watch", "last", way % 2 ? "{\"n\":1}" : "{\"n\":0}");
        world_read_file(&world, world.database, &bytes);
        world_read_file(&world, wal_path, &wal);
        if (way == REPLACED || way == REMOVED)
            world_remove_file(&world, world.database);
        if (way == REPLACED)
            world_write_file(&world, world.database, bytes.data, bytes.size);
        if (way == CUT)
            world_cut_file(&world, world.database, (off_t)bytes.size - 1);
        if (way == WAL_CUT)
            world_cut_file(&world, wal_path, 0);
        if (way == WAL_REMOVED)
            world_remove_file(&world, wal_path);
        if (way == CUT) /* nor is the file filled up again with what is in the WAL */
            assert_int_equal(hf_store_compact(world.store, NULL, NULL), HF_ERR_FAILED);
        expect_stopped(&world, said[way]);
        world_write_file(&world, world.database, bytes.data, bytes.size);
        world_write_file(&world, wal_path, wal.data, wal.size);
        world_must_open(&world);
        world_expect(&world, "watch", "last", way % 2 ? "{\"n\":1}" : "{\"n\":0}");
        world_expect(&world, "watch", "new", NULL);
        hf_store_close(&world.store);
    }
    END(world);
}

void S19_schema_of_a_newer_version(void **state) {
    enum { AT_USER_VERSION = 60 };
    BEGIN(world);
    struct buf BUF_AUTO before, after;
    buf_init(&before);
    buf_init(&after);
    world_must_open(&world);
    world_must_put(&world, "watch", "a", "{\"n\":1}");
    hf_store_close(&world.store);
    world_read_file(&world, world.database, &before);
    int version = before.data[AT_USER_VERSION + 3]++;
    world_write_file(&world, world.database, before.data, before.size);
    unsigned files = world_count_files(&world, "");
    int code = world_open(&world);
    char said[64];
    snprintf(said, sizeof said, "it has schema %d, this program knows %d", version + 1, version);
    world_expect_error(&world, code, HF_ERR_SCHEMA_NEWER, said);
    assert_int_equal(hf_code_exit_status(code), 78);
    world_read_file(&world, world.database, &after);
    assert_int_equal(after.size, before.size);
    assert_memory_equal(after.data, before.data, before.size);
    assert_int_equal(world_count_files(&world, ""), files);
    END(world);
}
