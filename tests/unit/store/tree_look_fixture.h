/* Looks at one file of a tree. */
#ifndef HF_UNIT_STORE_TREE_LOOK_FIXTURE_H
#define HF_UNIT_STORE_TREE_LOOK_FIXTURE_H

#include "../os/scratch.h"

#include "store/tree_files.h"

static struct scratch scratch;
static struct tree_reader reader;
static const struct json_limits limits = {.max_bytes = 10 << 20, .max_depth = 128};

static const char watch[] = "{\"uuid\": \"6c1e4ea0\", \"url\": \"https://example.com/\", \"tags\": [\"\xC3\xA9\", "
                            "\"\\ud83d\\ude00\"], \"n\": -1.5e3, \"ok\": [true, false, null]}";

static inline void write_bytes(const char *name, const void *bytes, size_t size) {
    int fd = openat(scratch.fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, size), size);
    assert_int_equal(close(fd), 0);
}

static inline struct tree_look look_with(struct tree_reader *with, const char *folder, const char *name) {
    struct tree_path path;
    struct tree_look look;
    struct hf_error error = {0};
    snprintf(path.folder, sizeof path.folder, "%s", folder);
    snprintf(path.name, sizeof path.name, "%s", name);
    int fds = count_open_fds();
    assert_int_equal(tree_look(with, &path, &look, &error), 0);
    assert_int_equal(count_open_fds(), fds);
    assert_true((look.code == 0) == (look.what == NULL));
    assert_true(look.code == 0 || look.text[0]);
    return look;
}

static inline struct tree_look look_at(const char *folder, const char *name) {
    return look_with(&reader, folder, name);
}

static inline struct tree_look look_at_bytes(const void *bytes, size_t size) {
    write_bytes("k/x.json", bytes, size);
    return look_at("k", "x.json");
}

static inline void assert_damaged(struct tree_look look, const char *text) {
    assert_int_equal(look.code, HF_ERR_CORRUPT);
    assert_string_equal(look.what, "damaged_file");
    if (!strstr(look.text, text))
        fail_msg("'%s' is not in '%s'", text, look.text);
}

static inline void assert_unreadable(struct tree_look look, int code, const char *text) {
    assert_int_equal(look.code, code);
    assert_string_equal(look.what, "unreadable_file");
    assert_non_null(strstr(look.text, text));
}

static inline int setup(void **state) {
    (void)state;
    scratch = scratch_make();
    assert_int_equal(mkdirat(scratch.fd, "k", 0700), 0);
    tree_reader_init(&reader, os_real(), scratch.fd, &limits);
    return 0;
}

static inline int teardown(void **state) {
    (void)state;
    tree_reader_fini(&reader);
    scratch_remove(&scratch);
    return 0;
}

#define LOOK_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
