/* S9, S10, S12: one thing is bad, the others are not. */
#include "fault/catalogue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *forbidden; /* opening what ends so is not permitted */

static int is_forbidden(const char *path) {
    size_t bytes = strlen(path), tail = forbidden ? strlen(forbidden) : 0;
    return forbidden && bytes >= tail && strcmp(path + bytes - tail, forbidden) == 0;
}

static const struct os_ops *plain_ops; /* of the simulated disk: what the functions below hand on to */

static int open_unless_forbidden(const struct os *os, int dir_fd, const char *path, int flags, mode_t mode) {
    return is_forbidden(path) ? -EACCES : plain_ops->open(os, dir_fd, path, flags, mode);
}

static int open_beneath_unless_forbidden(const struct os *os, int dir_fd, const char *path, int flags, mode_t mode) {
    return is_forbidden(path) ? -EACCES : plain_ops->open_beneath(os, dir_fd, path, flags, mode);
}

static void forbid(struct world *world, const char *tail) {
    plain_ops = sim_process_os(world->process)->ops;
    forbidden = tail;
    world->ops.open = open_unless_forbidden;
    world->ops.open_beneath = open_beneath_unless_forbidden;
}

/* Files that another program left, with no index yet: what changedetection.io's datastore is to us. */
static void plant(struct world *world, const char *id, const char *bytes, size_t size) {
    char path[128];
    world_make_folder(world, "/data/tree");
    world_file_of(world, id, path);
    char *slash = strrchr(path, '/');
    *slash = '\0';
    world_make_folder(world, path);
    *slash = '/';
    world_write_file(world, path, bytes, size);
}

static void plant_text(struct world *world, const char *id, const char *text) {
    plant(world, id, text, strlen(text));
}

void S9_no_permission_for_one_file(void **state) {
    BEGIN(world);
    char path[128];
    if (world.is_tree) {
        plant_text(&world, "a", "{\"n\":1}");
        plant_text(&world, "b", "{\"n\":2}");
        plant_text(&world, "c", "{\"n\":3}");
        forbid(&world, world_file_of(&world, "b", path) + strlen("/data/tree/"));
        world_must_open(&world);
        assert_int_equal(world.found, 1);
        world_expect(&world, "watch", "a", "{\"n\":1}");
        world_expect(&world, "watch", "c", "{\"n\":3}");
        world_expect_error(&world, world_get(&world, "watch", "b"), HF_ERR_PERMISSION, "b");
    } else { /* all of it is one file */
        world_must_open(&world);
        world_must_put(&world, "watch", "a", "{\"n\":1}");
        hf_store_close(&world.store);
        forbid(&world, "store.db");
        world_expect_error(&world, world_open(&world), HF_ERR_PERMISSION, "store.db");
        forbid(&world, NULL);
        world_must_open(&world);
        world_expect(&world, "watch", "a", "{\"n\":1}");
    }
    forbidden = NULL;
    END(world);
}

struct hostile {
    const char *what;
    const char *bytes;
    size_t size;
    off_t grown_to; /* and zeros up to here */
};

#define HOSTILE(what, text)                                                                                            \
    { what, text, sizeof(text) - 1, 0 }
static const struct hostile hostiles[] = {
    HOSTILE("empty", ""),
    HOSTILE("zeros", "\0\0\0\0\0\0\0\0"),
    HOSTILE("a flipped bit", "{\"n\";1}"),
    HOSTILE("the same key twice", "{\"n\":1,\"n\":2}"),
    HOSTILE("NaN", "{\"n\":NaN}"),
    HOSTILE("a lone surrogate", "{\"n\":\"\\ud800\"}"),
    HOSTILE("NUL", "{\"n\":\"\0\"}"),
    HOSTILE("not UTF-8", "{\"n\":\"\xff\xfe\"}"),
    HOSTILE("text behind it", "{\"n\":1}{\"n\":1}"),
    {"one GiB", "{\"n\":1}", 7, (off_t)1 << 30},
};

static int is_damage(int code) {
    return code == HF_ERR_CORRUPT || code == HF_ERR_TOO_LARGE;
}

static int expect_damage_in_scan(void *arg, const struct hf_record *record, int code) {
    const char *id = arg;
    assert_int_equal(code == 0, strcmp(record->id, id) != 0);
    assert_int_equal(record->json == NULL, code != 0);
    return 0;
}

/* The file was never read well: it is told of, left where it is, and kept aside when its key is written. */
static void meet_hostile_file(const char *url, const char *what, const char *bytes, size_t size, off_t grown_to) {
    struct world world;
    char path[128];
    world_init(&world, url);
    plant_text(&world, "a", "{\"n\":1}");
    plant_text(&world, "c", "{\"n\":3}");
    plant(&world, "b", bytes, size);
    if (grown_to)
        world_cut_file(&world, world_file_of(&world, "b", path), grown_to);
    world_must_open(&world);
    if (world.found != 1)
        fail_msg("%s: %u findings of the opening", what, world.found);
    world_expect(&world, "watch", "a", "{\"n\":1}");
    int code = world_get(&world, "watch", "b");
    if (!is_damage(code) || !strstr(world.error.message, "b"))
        fail_msg("%s: %s: %s", what, hf_code_word(code), world.error.message);
    assert_int_equal(hf_store_scan(world.store, "watch", NULL, 0, expect_damage_in_scan, "b", NULL), 0);
    assert_true(world_has_file(&world, world_file_of(&world, "b", path)));
    world_must_put(&world, "watch", "b", "{\"n\":2}");
    world_expect(&world, "watch", "b", "{\"n\":2}");
    assert_int_equal(world_count_files(&world, "/aside/"), 1);
    world_reopen(&world);
    world_expect(&world, "watch", "b", "{\"n\":2}");
    world_fini(&world);
}

/* The index knows better: the last good version is what is read and what is put back; the bytes are kept aside. */
static void meet_hostile_edit(const char *url, const char *what, const char *bytes, size_t size, off_t grown_to) {
    struct world world;
    char path[128];
    world_init(&world, url);
    world_must_open(&world);
    world_must_put(&world, "watch", "a", "{\"n\":1}");
    world_must_put(&world, "watch", "b", "{\"n\":2}");
    hf_store_close(&world.store);
    sim_disk_advance_ms(world.disk, 60000);
    world_write_file(&world, world_file_of(&world, "b", path), bytes, size);
    if (grown_to)
        world_cut_file(&world, path, grown_to);
    world_must_open(&world);
    if (world.found != 1)
        fail_msg("%s: %u findings of the opening", what, world.found);
    world_expect(&world, "watch", "a", "{\"n\":1}");
    world_expect(&world, "watch", "b", "{\"n\":2}");
    assert_int_equal(world_findings(&world), 0);
    assert_int_equal(world_count_files(&world, "/aside/"), 1);
    world_fini(&world);
}

static void refuse_hostile_document(struct world *world, const char *what, const char *bytes, size_t size) {
    int code = world_put_bytes(world, "watch", "b", bytes, size);
    if (code != HF_ERR_BAD_JSON && code != HF_ERR_TOO_LARGE)
        fail_msg("%s: %s", what, hf_code_word(code));
    world_expect(world, "watch", "b", "{\"n\":2}");
}

static char *deep_document(size_t depth) {
    char *text = malloc(2 * depth);
    assert_non_null(text);
    memset(text, '[', depth);
    memset(text + depth, ']', depth);
    return text;
}

void S10_documents_that_are_none(void **state) {
    enum { DEEP = 1000000 };
    static const char whole[] = "{\"title\":\"a\",\"url\":\"b\",\"n\":[1,2,3]}";
    BEGIN(world);
    char *deep = deep_document(DEEP);
    world_must_open(&world);
    world_must_put(&world, "watch", "b", "{\"n\":2}");
    for (size_t i = 0; i < sizeof hostiles / sizeof *hostiles; i++) {
        const struct hostile *it = &hostiles[i];
        if (!it->grown_to)
            refuse_hostile_document(&world, it->what, it->bytes, it->size);
        if (world.is_tree) {
            meet_hostile_file(*state, it->what, it->bytes, it->size, it->grown_to);
            meet_hostile_edit(*state, it->what, it->bytes, it->size, it->grown_to);
        }
    }
    refuse_hostile_document(&world, "deep", deep, 2 * DEEP);
    if (world.is_tree)
        meet_hostile_file(*state, "deep", deep, 2 * DEEP, 0);
    for (size_t cut = 0; cut < sizeof whole - 1; cut++) {
        refuse_hostile_document(&world, "cut short", whole, cut);
        if (world.is_tree)
            meet_hostile_edit(*state, "cut short", whole, cut, 0);
    }
    free(deep);
    END(world);
}

/* Turns one bit in the first place where the text stands. */
static void flip_in_file(struct world *world, const char *path, const char *text) {
    struct buf BUF_AUTO bytes;
    buf_init(&bytes);
    world_read_file(world, path, &bytes);
    char *at = memmem(bytes.data, bytes.size, text, strlen(text));
    assert_non_null(at);
    at[strlen(text) / 2] ^= 4;
    world_write_file(world, path, bytes.data, bytes.size);
}

static void note_bad_row(void *arg, const struct hf_finding *finding) {
    if (finding->id && strcmp(finding->id, "b") == 0 && strcmp(finding->what, "bad_checksum") == 0)
        ++*(int *)arg;
}

void S12_bit_flip_in_a_value(void **state) {
    BEGIN(world);
    int told = 0;
    struct hf_check_result result = {0};
    world_must_open(&world);
    world_must_put(&world, "watch", "a", "{\"title\":\"the first document of three\"}");
    world_must_put(&world, "watch", "b", "{\"title\":\"the second document of three\"}");
    world_must_put(&world, "watch", "c", "{\"title\":\"the third document of three\"}");
    hf_store_close(&world.store);
    flip_in_file(&world, world.database, "the second document of three");
    world_must_open(&world);
    world_expect(&world, "watch", "a", "{\"title\":\"the first document of three\"}");
    world_expect(&world, "watch", "c", "{\"title\":\"the third document of three\"}");
    int code = world_get(&world, "watch", "b");
    assert_int_equal(hf_store_check(world.store, note_bad_row, &told, &result, &world.error), 0);
    if (world.is_tree && code == 0) { /* its file had it still */
        struct hf_record *record = NULL;
        assert_int_equal(hf_store_get(world.store, "watch", "b", &record, NULL), 0);
        assert_non_null(strstr(record->json, "\"the second document of three\""));
        hf_record_free(&record);
    } else {
        world_expect_error(&world, code, HF_ERR_CORRUPT, "watch/b");
        assert_int_equal(told, 1);
        assert_int_equal(hf_store_scan(world.store, "watch", NULL, 0, expect_damage_in_scan, "b", NULL), 0);
    }
    world_must_put(&world, "watch", "b", "{\"title\":\"the second, mended\"}");
    world_expect(&world, "watch", "b", "{\"title\":\"the second, mended\"}");
    assert_int_equal(world_findings(&world), 0);
    END(world);
}
