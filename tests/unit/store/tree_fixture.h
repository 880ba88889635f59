/* For the tests of the tree backend: a tree in a folder of its own, calls of the system that can be made to fail by
 * their path, files and findings as text. */
#ifndef HF_TEST_TREE_FIXTURE_H
#define HF_TEST_TREE_FIXTURE_H

#include "../os/scratch.h"

#include <errno.h>

#include "store/store.h"

/* Which calls fail, and how often each was made. For one thread. */
struct tree_calls {
    const char *refused; /* calls whose path contains this … */
    int refused_errno;   /* … give this */
    int only_renames;    /* that change the name, and unlinks; opening works */
    int syncs, syncfs, renames, opens;
    int fail_syncfs, fail_fsync; /* with EIO; so many times */
    int is_full;                 /* no new temporary file */
};
static struct tree_calls tree_calls;

static inline int tree_refuses_name(const char *path) {
    return tree_calls.refused && strstr(path, tree_calls.refused) ? -tree_calls.refused_errno : 0;
}

static inline int tree_refuses(const char *path) {
    return tree_calls.only_renames ? 0 : tree_refuses_name(path);
}

static inline int tree_os_open(const struct os *os, int dir_fd, const char *path, int flags, mode_t mode) {
    int refused = tree_calls.is_full && (flags & O_EXCL) ? -ENOSPC : tree_refuses(path);
    tree_calls.opens++;
    return refused ? refused : os_real()->ops->open(os, dir_fd, path, flags, mode);
}

static inline int tree_os_open_beneath(const struct os *os, int dir_fd, const char *path, int flags, mode_t mode) {
    int refused = tree_refuses(path);
    tree_calls.opens++;
    return refused ? refused : os_real()->ops->open_beneath(os, dir_fd, path, flags, mode);
}

static inline int tree_os_rename(const struct os *os, int from_dir, const char *from, int to_dir, const char *to,
                                 unsigned flags) {
    int refused = tree_refuses_name(to);
    tree_calls.renames++;
    return refused ? refused : os_real()->ops->rename(os, from_dir, from, to_dir, to, flags);
}

static inline int tree_os_mkdir(const struct os *os, int dir_fd, const char *path, mode_t mode) {
    int refused = tree_refuses(path);
    return refused ? refused : os_real()->ops->mkdir(os, dir_fd, path, mode);
}

static inline int tree_os_unlink(const struct os *os, int dir_fd, const char *path, int flags) {
    int refused = tree_calls.only_renames ? tree_refuses_name(path) : 0;
    return refused ? refused : os_real()->ops->unlink(os, dir_fd, path, flags);
}

static inline int tree_os_fsync(const struct os *os, int fd) {
    tree_calls.syncs++;
    return tree_calls.fail_fsync && tree_calls.fail_fsync-- ? -EIO : os_real()->ops->fsync(os, fd);
}

static inline int tree_os_syncfs(const struct os *os, int fd) {
    tree_calls.syncfs++;
    return tree_calls.fail_syncfs && tree_calls.fail_syncfs-- ? -EIO : os_real()->ops->syncfs(os, fd);
}

static inline const struct os *tree_os(void) {
    static struct os_ops ops;
    static struct os os;
    ops = *os_real()->ops;
    ops.open = tree_os_open;
    ops.open_beneath = tree_os_open_beneath;
    ops.rename = tree_os_rename;
    ops.mkdir = tree_os_mkdir;
    ops.unlink = tree_os_unlink;
    ops.fsync = tree_os_fsync;
    ops.syncfs = tree_os_syncfs;
    os = (struct os){.ops = &ops, .context = os_real()->context};
    return &os;
}

struct tree_fixture {
    struct scratch scratch; /* holds the tree "t" */
    char url[160];
    const struct os *os;
    struct hf_store *store;
    struct buf found; /* "what path action; " of the newest opening or check */
    struct buf text;
};

static inline void tree_found(void *arg, const struct hf_finding *finding) {
    struct tree_fixture *f = arg;
    buf_printf(&f->found, "%s %s %s; ", finding->what, finding->path ? finding->path : "-",
               finding->action ? finding->action : "-");
}

static inline void tree_url(struct tree_fixture *f, const char *options) {
    snprintf(f->url, sizeof f->url, "tree:%s/t?%s", f->scratch.path, options);
}

static inline int tree_setup(void **state) {
    struct tree_fixture *f = calloc(1, sizeof *f);
    tree_calls = (struct tree_calls){0};
    f->scratch = scratch_make();
    f->os = tree_os();
    buf_init(&f->found);
    buf_init(&f->text);
    tree_url(f, "layout=watch&threads=1");
    *state = f;
    return 0;
}

static inline int tree_teardown(void **state) {
    struct tree_fixture *f = *state;
    tree_calls = (struct tree_calls){0};
    hf_store_close(&f->store);
    scratch_remove(&f->scratch);
    buf_fini(&f->found);
    buf_fini(&f->text);
    free(f);
    return 0;
}

static inline int tree_try_open(struct tree_fixture *f, int read_only, struct hf_error *error) {
    const struct store_setup setup = {.os = f->os, .without_thread = 1};
    const struct hf_store_options options = {.struct_bytes = sizeof options,
                                             .read_only = read_only,
                                             .found = tree_found,
                                             .found_arg = f};
    hf_store_close(&f->store);
    buf_clear(&f->found);
    return store_open(f->url, &options, &setup, &f->store, error);
}

static inline void tree_open(struct tree_fixture *f) {
    struct hf_error error = {0};
    if (tree_try_open(f, 0, &error))
        fail_msg("%s", error.message);
}

static inline void tree_expect_found(struct tree_fixture *f, const char *text) {
    assert_string_equal(buf_text(&f->found), text);
}

static inline void tree_put(struct tree_fixture *f, const char *kind, const char *id, const char *json) {
    struct hf_error error = {0};
    if (hf_store_put(f->store, kind, id, json, strlen(json), NULL, &error))
        fail_msg("%s", error.message);
}

static inline void tree_delete(struct tree_fixture *f, const char *kind, const char *id) {
    struct hf_error error = {0};
    if (hf_store_delete(f->store, kind, id, NULL, &error))
        fail_msg("%s", error.message);
}

/* NULL: there is no such record. */
static inline void tree_expect(struct tree_fixture *f, const char *kind, const char *id, const char *json) {
    struct hf_record *record = NULL;
    struct hf_error error = {0};
    int code = hf_store_get(f->store, kind, id, &record, &error);
    if (code && json)
        fail_msg("%s", error.message);
    assert_int_equal(code, json ? 0 : HF_ERR_NOT_FOUND);
    if (json)
        assert_string_equal(record->json, json);
    hf_record_free(&record);
}

/* Below the tree; NULL: there is no such file. */
static inline void tree_expect_file(struct tree_fixture *f, const char *path, const char *text) {
    char below[512];
    struct stat stat;
    snprintf(below, sizeof below, "t/%s", path);
    int is_there = fstatat(f->scratch.fd, below, &stat, AT_SYMLINK_NOFOLLOW) == 0;
    assert_int_equal(is_there, text != NULL);
    if (text)
        assert_string_equal(scratch_read(&f->scratch, below, &f->text), text);
}

static inline void tree_make_folder(struct tree_fixture *f, const char *path) {
    char below[512];
    snprintf(below, sizeof below, "t/%s", path);
    (void)mkdirat(f->scratch.fd, "t", 0755);
    assert_true(!path[0] || mkdirat(f->scratch.fd, below, 0755) == 0 || errno == EEXIST);
}

static inline void tree_write_file(struct tree_fixture *f, const char *path, const char *text) {
    char below[512];
    snprintf(below, sizeof below, "t/%s", path);
    scratch_write(&f->scratch, below, text, 0644);
}

static inline void tree_remove_file(struct tree_fixture *f, const char *path) {
    char below[512];
    snprintf(below, sizeof below, "t/%s", path);
    assert_int_equal(unlinkat(f->scratch.fd, below, 0), 0);
}

static inline int tree_count(struct tree_fixture *f, const char *folder) {
    char below[512];
    snprintf(below, sizeof below, "t/%s", folder);
    int fd = openat(f->scratch.fd, below, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    int count = count_entries(fd);
    close(fd);
    return count;
}

/* The text of the only file that is kept aside. */
static inline int add_name(void *arg, const char *name, unsigned char d_type) {
    (void)d_type;
    snprintf(arg, 400, "t/.holdfast/aside/%s", name);
    return 0;
}

static inline void tree_expect_aside(struct tree_fixture *f, const char *name_has, const char *text) {
    char path[400] = "";
    assert_int_equal(tree_count(f, ".holdfast/aside"), 1);
    int fd = openat(f->scratch.fd, "t/.holdfast/aside", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(os_list(os_real(), fd, add_name, path), 0);
    close(fd);
    assert_non_null(strstr(path, name_has));
    assert_string_equal(scratch_read(&f->scratch, path, &f->text), text);
}

static inline void tree_check(struct tree_fixture *f, const char *text) {
    struct hf_check_result result = {0};
    struct hf_error error = {0};
    buf_clear(&f->found);
    if (hf_store_check(f->store, tree_found, f, &result, &error))
        fail_msg("%s", error.message);
    assert_string_equal(buf_text(&f->found), text);
}

static inline enum store_mend tree_mend(struct tree_fixture *f, const char *kind, const char *id, struct buf *json) {
    enum store_mend mend = STORE_MEND_NOTHING;
    uint8_t if_hash[HF_HASH_BYTES];
    struct hf_error error = {0};
    if (store_mend(f->store, kind, id, &mend, json, if_hash, &error))
        fail_msg("%s", error.message);
    return mend;
}

#endif
