#include "../os/scratch.h"

#include "base/map.h"
#include "base/utf8.h"
#include "data/ids.h"
#include "store/tree_files.h"

static void assert_path(enum tree_layout layout, const char *kind, const char *id, const char *folder,
                        const char *name) {
    struct tree_path path;
    char back_kind[HF_KIND_MAX + 1], back_id[HF_ID_MAX + 1];
    tree_path_of(layout, kind, id, &path);
    assert_string_equal(path.folder, folder);
    assert_string_equal(path.name, name);
    assert_int_equal(tree_path_key(layout, folder, name, back_kind, back_id, NULL), 0);
    assert_string_equal(back_kind, kind);
    assert_string_equal(back_id, id);
}

static void the_kind_layout(void **state) {
    (void)state;
    assert_path(TREE_LAYOUT_KIND, "state", "zoneh", "state", "zoneh.json");
    assert_path(TREE_LAYOUT_KIND, "settings", "x", "settings", "x.json");
    assert_path(TREE_LAYOUT_KIND, "a", "x.json", "a", "x.json.json");
    assert_path(TREE_LAYOUT_KIND, "a", ".hidden", "a", "%2Ehidden.json");
    assert_path(TREE_LAYOUT_KIND, "a", "caf\xC3\xA9 1", "a", "caf%C3%A9%201.json");
}

static void the_watch_layout(void **state) {
    (void)state;
    static const char uuid[] = "6c1e4ea0-6d34-4bd7-8b3c-6f1f4b2b8a11";
    assert_path(TREE_LAYOUT_WATCH, "watch", uuid, uuid, "watch.json");
    assert_path(TREE_LAYOUT_WATCH, "tag", uuid, uuid, "tag.json");
    assert_path(TREE_LAYOUT_WATCH, "settings", "changedetection", "", "changedetection.json");
    assert_path(TREE_LAYOUT_WATCH, "settings", "settings", "", "settings.json");
    assert_path(TREE_LAYOUT_WATCH, "watch", "settings", "settings", "watch.json");
    assert_path(TREE_LAYOUT_WATCH, "watch", ".holdfast", "%2Eholdfast", "watch.json");
}

/* A folder "x.json" would be in the way of the file of settings "x". */
static void a_folder_is_never_named_like_a_file(void **state) {
    (void)state;
    assert_path(TREE_LAYOUT_WATCH, "settings", "x", "", "x.json");
    assert_path(TREE_LAYOUT_WATCH, "watch", "x.json", "x%2Ejson", "watch.json");
    assert_path(TREE_LAYOUT_WATCH, "watch", "x%2Ejson", "x%252Ejson", "watch.json");
    assert_path(TREE_LAYOUT_WATCH, "watch", ".json", "%2Ejson", "watch.json");
    assert_path(TREE_LAYOUT_WATCH, "watch", "..json", "%2E%2Ejson", "watch.json");
    assert_path(TREE_LAYOUT_WATCH, "watch", "x.json.json", "x.json%2Ejson", "watch.json");
    assert_path(TREE_LAYOUT_WATCH, "watch", "x.JSON", "x.JSON", "watch.json");
    assert_path(TREE_LAYOUT_WATCH, "settings", "x.json", "", "x.json.json");
}

static void assert_none(enum tree_layout layout, const char *folder, const char *name) {
    char kind[HF_KIND_MAX + 1] = "untouched", id[HF_ID_MAX + 1] = "untouched";
    struct hf_error error = {0};
    assert_int_equal(tree_path_key(layout, folder, name, kind, id, &error), HF_ERR_BAD_ID);
    assert_true(error.message[0] && error.hint[0]);
    assert_string_equal(kind, "untouched");
    assert_string_equal(id, "untouched");
}

static void paths_that_no_record_has(void **state) {
    (void)state;
    static const char *const names[] = {
        "",         "x",           "x.json.tmp",       "json-ab12.tmp", ".json",    ".x.json",
        "a b.json", "%61.json",    "%2e.json",         "a%.json",       "x.JSON",   "%2F.json",
        "%2E.json", "%2E%2E.json", "caf\xC3\xA9.json", "a%00.json",     "%-x.json",
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_none(TREE_LAYOUT_KIND, "state", names[i]);
        assert_none(TREE_LAYOUT_WATCH, "", names[i]);
        assert_none(TREE_LAYOUT_WATCH, "id", names[i]);
    }
    assert_none(TREE_LAYOUT_KIND, "", "x.json");
    assert_none(TREE_LAYOUT_KIND, "State", "x.json");
    assert_none(TREE_LAYOUT_KIND, ".holdfast", "x.json");
    assert_none(TREE_LAYOUT_WATCH, "id", "settings.json"); /* its place is the root */
    assert_none(TREE_LAYOUT_WATCH, "id", "Watch.json");
    assert_none(TREE_LAYOUT_WATCH, "id", "9.json");
    assert_none(TREE_LAYOUT_WATCH, ".holdfast", "watch.json");
    assert_none(TREE_LAYOUT_WATCH, "x.json", "watch.json");
    assert_none(TREE_LAYOUT_WATCH, "a b", "watch.json");
    assert_none(TREE_LAYOUT_WATCH, "x%2ejson", "watch.json");
    assert_none(TREE_LAYOUT_WATCH, "%2E%2Ex%2Ejson%2Ejson", "watch.json");
}

/* What the root and its folders hold, as one name each: a file and a folder of one name cannot both be there. */
static void put_path(struct map *map, enum tree_layout layout, const char *kind, const char *id) {
    struct tree_path path;
    char joined[TREE_PATH_BYTES];
    void *old = NULL;
    tree_path_of(layout, kind, id, &path);
    assert_true(strlen(path.folder) <= 255 && strlen(path.name) <= 255);
    assert_true(strlen(path.name) > 5 && path.name[0] != '.' && path.folder[0] != '.');
    assert_null(strchr(path.folder, '/'));
    assert_null(strchr(path.name, '/'));
    int length = snprintf(joined, sizeof joined, "%s/%s", path.folder, path.name);
    assert_int_equal(map_set(map, joined, (size_t)length, "path", &old), 0);
    if (old)
        fail_msg("two keys have the path '%s'", joined);
    if (path.folder[0] == '\0') { /* the name of a file in the root: no folder may have it */
        assert_null(map_get(map, path.name, strlen(path.name)));
        assert_int_equal(map_set(map, path.name, strlen(path.name), "file", NULL), 0);
    } else {
        const char *there = map_get(map, path.folder, strlen(path.folder));
        assert_true(!there || strcmp(there, "folder") == 0);
        assert_int_equal(map_set(map, path.folder, strlen(path.folder), "folder", NULL), 0);
    }
}

static void put_kinds(struct map *map, enum tree_layout layout, const char *id) {
    static const char *const kinds[] = {"settings", "watch", "x", "json", "x_json"};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        put_path(map, layout, kinds[i], id);
}

/* 0 when this id was there before: fills and ends make some of them twice. */
static int is_new(struct map *seen, const char *id) {
    void *old = NULL;
    assert_int_equal(map_set(seen, id, strlen(id), "seen", &old), 0);
    return old == NULL;
}

/* Ids of every length, with and without what is encoded and what a file ends in, around where names are shortened. */
static void different_keys_never_share_a_path(void **state) {
    (void)state;
    static const char *const ends[] = {"", ".json", "%2Ejson", ".json.json", "json", " .json", "%-"};
    for (int layout = TREE_LAYOUT_KIND; layout <= TREE_LAYOUT_WATCH; layout++) {
        struct map map, seen;
        map_init(&map);
        map_init(&seen);
        for (size_t i = 0; i < 2 * 251 * (sizeof ends / sizeof ends[0]); i++) {
            char id[300];
            size_t length = i / 2 % 251;
            memset(id, i % 2 ? ' ' : 'a', length);
            snprintf(id + length, sizeof id - length, "%s", ends[i / 2 / 251]);
            if (ids_check(id, strlen(id), NULL) == 0 && is_new(&seen, id))
                put_kinds(&map, (enum tree_layout)layout, id);
        }
        map_fini(&map);
        map_fini(&seen);
    }
}

static void every_key_comes_back_unless_it_is_shortened(void **state) {
    (void)state;
    for (int layout = TREE_LAYOUT_KIND; layout <= TREE_LAYOUT_WATCH; layout++)
        for (size_t length = 1; length <= 255; length++)
            for (int is_json = 0; is_json < 2; is_json++) {
                char id[HF_ID_MAX + 1], kind[HF_KIND_MAX + 1], back[HF_ID_MAX + 1];
                struct tree_path path;
                memset(id, 'a', length);
                id[length] = '\0';
                if (is_json && length > 5)
                    memcpy(id + length - 5, ".json", 5);
                tree_path_of((enum tree_layout)layout, "watch", id, &path);
                int is_long = layout == TREE_LAYOUT_KIND ? length > 250 : is_json && length > 5 ? length > 253 : 0;
                struct hf_error error;
                int code = tree_path_key((enum tree_layout)layout, path.folder, path.name, kind, back, &error);
                assert_int_equal(code, is_long ? HF_ERR_BAD_ID : 0);
                if (is_long)
                    assert_string_equal(error.message, "the id in the name is shortened");
                else
                    assert_string_equal(back, id);
            }
}

static void every_character_has_its_path(void **state) {
    (void)state;
    for (uint32_t point = 0x20; point <= 0x10FFFF; point += point < 0x3000 ? 1 : 251) {
        char id[8] = {0}, kind[HF_KIND_MAX + 1], back[HF_ID_MAX + 1];
        struct tree_path path;
        size_t bytes = utf8_encode(point, id);
        if (ids_check(id, bytes, NULL) != 0)
            continue;
        for (int layout = TREE_LAYOUT_KIND; layout <= TREE_LAYOUT_WATCH; layout++) {
            tree_path_of((enum tree_layout)layout, "k", id, &path);
            assert_int_equal(tree_path_key((enum tree_layout)layout, path.folder, path.name, kind, back, NULL), 0);
            assert_string_equal(back, id);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_kind_layout),
        cmocka_unit_test(the_watch_layout),
        cmocka_unit_test(a_folder_is_never_named_like_a_file),
        cmocka_unit_test(paths_that_no_record_has),
        cmocka_unit_test(different_keys_never_share_a_path),
        cmocka_unit_test(every_key_comes_back_unless_it_is_shortened),
        cmocka_unit_test(every_character_has_its_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
