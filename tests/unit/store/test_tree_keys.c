#include "../os/scratch.h"

#include <dirent.h>

#include "store/tree_files.h"

static struct scratch scratch;

struct told {
    int count;
    char what[8][32], path[8][300], text[8][100];
};

static void tell(void *arg, const struct hf_finding *finding) {
    struct told *told = arg;
    assert_null(finding->kind);
    assert_null(finding->id);
    assert_string_equal(finding->action, "reported");
    if (told->count < 8) {
        snprintf(told->what[told->count], sizeof told->what[0], "%s", finding->what);
        snprintf(told->path[told->count], sizeof told->path[0], "%s", finding->path);
        snprintf(told->text[told->count], sizeof told->text[0], "%s", finding->text);
    }
    told->count++;
}

static void make(const char *path) {
    char folder[300];
    snprintf(folder, sizeof folder, "%s", path);
    for (char *slash = folder; (slash = strchr(slash, '/')); *slash++ = '/') {
        *slash = '\0';
        assert_true(mkdirat(scratch.fd, folder, 0700) == 0 || errno == EEXIST);
    }
    size_t length = strlen(path);
    if (path[length - 1] != '/')
        scratch_write(&scratch, path, "{}", 0600);
}

/* The keys as "kind/id kind/id …". */
static const char *list_with(const struct os *os, enum tree_layout layout, struct told *told) {
    static struct buf text;
    struct tree_keys keys = {0};
    struct hf_error error = {0};
    *told = (struct told){0};
    int fds = count_open_fds();
    if (tree_keys_list(os, scratch.fd, layout, tell, told, &keys, &error) != 0)
        fail_msg("%s", error.message);
    assert_int_equal(count_open_fds(), fds);
    buf_fini(&text);
    for (size_t i = 0; i < keys.count; i++)
        buf_printf(&text, "%s%s/%s", i ? " " : "", keys.items[i].kind, keys.items[i].id);
    tree_keys_fini(&keys);
    assert_null(keys.items);
    assert_int_equal(keys.count, 0);
    return buf_text(&text);
}

static const char *list(enum tree_layout layout, struct told *told) {
    return list_with(os_real(), layout, told);
}

static void assert_told(const struct told *told, const char *what, const char *path, const char *text) {
    for (int i = 0; i < told->count && i < 8; i++)
        if (strcmp(told->path[i], path) == 0) {
            assert_string_equal(told->what[i], what);
            assert_string_equal(told->text[i], text);
            return;
        }
    fail_msg("nothing was told of '%s'", path);
}

static void nothing(void **state) {
    (void)state;
    struct told told;
    assert_string_equal(list(TREE_LAYOUT_KIND, &told), "");
    assert_string_equal(list(TREE_LAYOUT_WATCH, &told), "");
    assert_int_equal(told.count, 0);
}

static void the_kind_layout(void **state) {
    (void)state;
    struct told told;
    static const char *const paths[] = {
        "state/b.json",       "state/a.json",   "state/%2Ehidden.json", "run/z.json",
        "run_log/a%20b.json", "run/notes.txt",  "run/x.json/",          ".holdfast/index.db",
        ".git/x.json",        "Photos/a.json",  "readme.txt",           "state/deeper/x.json",
        "run/json-ab12.tmp",  "state/a b.json", "loose.json",           "state/%2f.json",
    };
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        make(paths[i]);
    assert_string_equal(list(TREE_LAYOUT_KIND, &told), "run/x run/z run_log/a b state/.hidden state/a state/b");
    assert_int_equal(told.count, 3);
    assert_told(&told, "bad_name", "state/a b.json", "no id has a file of this name");
    assert_told(&told, "bad_name", "state/%2f.json", "no id has a file of this name");
    assert_told(&told, "bad_name", "loose.json", "no id has a file of this name");
}

/* As changedetection.io leaves it. */
static void the_watch_layout(void **state) {
    (void)state;
    struct told told;
    static const char *const paths[] = {
        "6c1e4ea0-6d34-4bd7-8b3c-6f1f4b2b8a11/watch.json",
        "6c1e4ea0-6d34-4bd7-8b3c-6f1f4b2b8a11/history.txt",
        "6c1e4ea0-6d34-4bd7-8b3c-6f1f4b2b8a11/0d7c8a.txt.br",
        "6c1e4ea0-6d34-4bd7-8b3c-6f1f4b2b8a11/headers.txt",
        "6c1e4ea0-6d34-4bd7-8b3c-6f1f4b2b8a11/json-x1y2.tmp",
        "6c1e4ea0-6d34-4bd7-8b3c-6f1f4b2b8a11/Page-1.json",
        "6c1e4ea0-6d34-4bd7-8b3c-6f1f4b2b8a11/1700000000.json",
        "aaaa/tag.json",
        "aaaa/watch.json",
        "empty/",
        "x%2Ejson/watch.json",
        "x.json",
        "changedetection.json",
        "changedetection-0.50.json",
        "url-list.txt",
        "secret.txt",
        "json-zz.tmp",
        "before-update-26-1700000000.tar.gz",
        ".holdfast/watch.json",
        ".cache/watch.json",
        "bad name/watch.json",
        "bad name/picture.json.png",
        "aaaa/settings.json",
    };
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        make(paths[i]);
    assert_string_equal(list(TREE_LAYOUT_WATCH, &told),
                        "settings/changedetection settings/changedetection-0.50 settings/x tag/aaaa "
                        "watch/6c1e4ea0-6d34-4bd7-8b3c-6f1f4b2b8a11 watch/aaaa watch/x.json");
    assert_int_equal(told.count, 2);
    assert_told(&told, "bad_name", "bad name/watch.json", "no id has a file of this name");
    assert_told(&told, "bad_name", "aaaa/settings.json", "no id has a file of this name");
}

static void shortened_names_are_told_of(void **state) {
    (void)state;
    struct told told;
    struct tree_path path;
    char id[HF_ID_MAX + 1], joined[TREE_PATH_BYTES];
    memset(id, ' ', HF_ID_MAX);
    id[HF_ID_MAX] = '\0';
    tree_path_of(TREE_LAYOUT_KIND, "k", id, &path);
    snprintf(joined, sizeof joined, "%s/%s", path.folder, path.name);
    make(joined);
    assert_string_equal(list(TREE_LAYOUT_KIND, &told), "");
    assert_int_equal(told.count, 1);
    assert_told(&told, "bad_name", joined, "the id in the name is shortened");
}

static void what_is_no_file_has_its_key_too(void **state) {
    (void)state;
    struct told told;
    make("k/a.json");
    assert_int_equal(symlinkat("a.json", scratch.fd, "k/link.json"), 0);
    assert_int_equal(symlinkat("k", scratch.fd, "linked"), 0);
    assert_int_equal(mkfifoat(scratch.fd, "k/pipe.json", 0600), 0);
    assert_string_equal(list(TREE_LAYOUT_KIND, &told), "k/a k/link k/pipe");
    make("a/k.json");
    assert_int_equal(symlinkat("a", scratch.fd, "b"), 0);
    assert_string_equal(list(TREE_LAYOUT_WATCH, &told),
                        "a/k k/a link/k pipe/k"); /* and links to folders are passed by */
    assert_int_equal(told.count, 0);
}

static void many_folders(void **state) {
    (void)state;
    enum { FOLDERS = 1500 };
    struct told told;
    struct tree_keys keys = {0};
    char path[64];
    for (int i = 0; i < FOLDERS; i++) {
        snprintf(path, sizeof path, "id%04d/watch.json", i * 7 % FOLDERS);
        make(path);
    }
    make("id0700/tag.json");
    make("id 0700/watch.json");
    told = (struct told){0};
    assert_int_equal(tree_keys_list(os_real(), scratch.fd, TREE_LAYOUT_WATCH, tell, &told, &keys, NULL), 0);
    assert_int_equal(keys.count, FOLDERS + 1);
    assert_string_equal(keys.items[0].kind, "tag");
    for (int i = 0; i < FOLDERS; i++) {
        snprintf(path, sizeof path, "id%04d", i);
        assert_string_equal(keys.items[i + 1].kind, "watch");
        assert_string_equal(keys.items[i + 1].id, path);
    }
    assert_int_equal(told.count, 1);
    tree_keys_fini(&keys);
    assert_int_equal(tree_keys_list(os_real(), scratch.fd, TREE_LAYOUT_WATCH, NULL, NULL, &keys, NULL), 0);
    tree_keys_fini(&keys);
}

/* ---- an os that does something else ---- */

static const char *refused_folder;
static int refusal, list_error, without_types, asked;

static int other_open(const struct os *os, int dir_fd, const char *path, int flags, mode_t mode) {
    if (refused_folder && strcmp(path, refused_folder) == 0)
        return refusal;
    return os_real()->ops->open_beneath(os, dir_fd, path, flags, mode);
}

struct untyped {
    os_entry_visit visit;
    void *arg;
};

static int visit_untyped(void *arg, const char *name, unsigned char d_type) {
    const struct untyped *untyped = arg;
    return untyped->visit(untyped->arg, name, without_types ? DT_UNKNOWN : d_type);
}

static int other_list(const struct os *os, int dir_fd, os_entry_visit visit, void *arg) {
    struct untyped untyped = {visit, arg};
    int result = os_real()->ops->list(os, dir_fd, visit_untyped, &untyped);
    return list_error && dir_fd != scratch.fd ? list_error : result;
}

static int other_stat(const struct os *os, int dir_fd, const char *path, struct stat *ret_stat) {
    asked++;
    return os_real()->ops->stat_at(os, dir_fd, path, ret_stat);
}

static const struct os *other_os(void) {
    static struct os_ops ops;
    static struct os os = {.ops = &ops};
    ops = *os_real()->ops;
    ops.open_beneath = other_open;
    ops.list = other_list;
    ops.stat_at = other_stat;
    return &os;
}

static void types_are_asked_for_where_the_folder_does_not_tell(void **state) {
    (void)state;
    struct told told;
    make("k/a.json");
    make("k/b.json/");
    assert_int_equal(symlinkat("a.json", scratch.fd, "k/link.json"), 0);
    asked = 0;
    assert_string_equal(list_with(other_os(), TREE_LAYOUT_KIND, &told), "k/a k/b k/link");
    assert_int_equal(asked, 0);
    without_types = 1;
    assert_string_equal(list_with(other_os(), TREE_LAYOUT_KIND, &told), "k/a k/b k/link");
    without_types = 0;
    assert_int_equal(asked, 4);
}

static void a_folder_that_cannot_be_listed_is_told_of(void **state) {
    (void)state;
    struct told told;
    make("j/a.json");
    make("k/a.json");
    refused_folder = "k";
    refusal = -EACCES;
    assert_string_equal(list_with(other_os(), TREE_LAYOUT_KIND, &told), "j/a");
    assert_int_equal(told.count, 1);
    assert_told(&told, "unreadable_file", "k", "cannot be listed: Permission denied");
    refusal = -ENOENT; /* it went meanwhile */
    assert_string_equal(list_with(other_os(), TREE_LAYOUT_KIND, &told), "j/a");
    assert_int_equal(told.count, 0);
    refused_folder = NULL;
    list_error = -EIO;
    (void)list_with(other_os(), TREE_LAYOUT_KIND, &told);
    assert_int_equal(told.count, 2);
    assert_told(&told, "unreadable_file", "j", "cannot be listed: Input/output error");
    list_error = 0;
}

static void what_we_lack_is_our_error(void **state) {
    (void)state;
    struct tree_keys keys = {.count = 77};
    struct hf_error error = {0};
    make("j/a.json");
    make("k/a.json");
    refused_folder = "k";
    refusal = -EMFILE;
    assert_int_equal(tree_keys_list(other_os(), scratch.fd, TREE_LAYOUT_KIND, NULL, NULL, &keys, &error),
                     HF_ERR_TOO_MANY_FILES);
    assert_non_null(strstr(error.message, "list 'k': "));
    refused_folder = NULL;
    assert_int_equal(keys.count, 77);
    list_error = -ENOMEM;
    assert_int_equal(tree_keys_list(other_os(), scratch.fd, TREE_LAYOUT_KIND, NULL, NULL, &keys, &error),
                     HF_ERR_NO_MEMORY);
    list_error = 0;
    assert_int_equal(tree_keys_list(os_real(), -1, TREE_LAYOUT_KIND, NULL, NULL, &keys, &error), HF_ERR_IO);
    assert_non_null(strstr(error.message, "list the folder: "));
}

static int setup(void **state) {
    (void)state;
    scratch = scratch_make();
    return 0;
}

static int teardown(void **state) {
    (void)state;
    scratch_remove(&scratch);
    return 0;
}

#define KEYS_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        KEYS_TEST(nothing),
        KEYS_TEST(the_kind_layout),
        KEYS_TEST(the_watch_layout),
        KEYS_TEST(shortened_names_are_told_of),
        KEYS_TEST(what_is_no_file_has_its_key_too),
        KEYS_TEST(many_folders),
        KEYS_TEST(types_are_asked_for_where_the_folder_does_not_tell),
        KEYS_TEST(a_folder_that_cannot_be_listed_is_told_of),
        KEYS_TEST(what_we_lack_is_our_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
