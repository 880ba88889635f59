/* A tree that is read as it is, and what its scans give. */
#ifndef HF_UNIT_STORE_TREE_RAW_FIXTURE_H
#define HF_UNIT_STORE_TREE_RAW_FIXTURE_H

#include "../os/scratch.h"

#include "base/json.h"
#include "store/backend.h"
#include "store/tree_files.h"

static struct scratch scratch;
static const struct hf_store_options plain = {.max_document_bytes = 1000, .max_document_depth = 8};

struct told {
    int count;
    char last[4][400]; /* "what path text" */
};

static inline void tell(void *arg, const struct hf_finding *finding) {
    struct told *told = arg;
    assert_string_equal(finding->action, "reported");
    if (told->count < 4)
        snprintf(told->last[told->count], sizeof told->last[0], "%s %s %s %s", finding->what,
                 finding->id ? finding->id : "-", finding->path, finding->text);
    told->count++;
}

static inline void make(const char *path, const char *text) {
    char folder[300];
    snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    if (slash) {
        *slash = '\0';
        assert_true(mkdirat(scratch.fd, folder, 0700) == 0 || errno == EEXIST);
    }
    scratch_write(&scratch, path, text, 0600);
}

static inline struct store_backend *open_raw(const char *url, const struct hf_store_options *store_options) {
    struct tree_options options;
    struct store_backend *backend = NULL;
    struct hf_error error = {0};
    assert_int_equal(tree_options_parse(url, &options, NULL), 0);
    int root_fd = openat(scratch.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (tree_raw_open(os_real(), root_fd, &options, store_options, &backend, &error) != 0)
        fail_msg("%s", error.message);
    tree_options_fini(&options);
    return backend;
}

struct seen {
    struct buf text;
    int stop_at, count, value;
};

static inline int see(void *arg, const struct hf_record *record, int code) {
    struct seen *seen = arg;
    buf_printf(&seen->text, "%s%s/%s=%s", seen->count ? " " : "", record->kind, record->id,
               record->json ? record->json : hf_code_word(code));
    assert_true((record->json == NULL) == (code != 0));
    assert_int_equal(record->revision, 0);
    assert_string_equal(record->who, "");
    assert_true(record->updated_ms > 0 && record->created_ms == record->updated_ms);
    return ++seen->count == seen->stop_at ? seen->value : 0;
}

static const char *scan_to(struct store_backend *backend, const struct store_range *range, struct seen *seen,
                           int value) {
    struct hf_error error = {0};
    buf_fini(&seen->text);
    seen->count = 0;
    assert_int_equal(backend->ops->scan(backend, range, see, seen, &error), value);
    assert_int_equal(error.code, 0);
    return buf_text(&seen->text);
}

static const char *scan(struct store_backend *backend, const char *kind, const char *after_kind, const char *after_id,
                        uint64_t limit) {
    static struct seen seen;
    struct store_range range = {kind, after_kind, after_id, limit};
    return scan_to(backend, &range, &seen, 0);
}

static inline void make_some(void) {
    make("run/b.json", "2");
    make("run/a.json", "1");
    make("run/bad.json", "{");
    make("state/a.json", "{\"x\": 1}");
    make("state/c d.json", "4");
    make("state/e%20f.json", "5");
}

static inline int setup(void **state) {
    (void)state;
    scratch = scratch_make();
    return 0;
}

static inline int teardown(void **state) {
    (void)state;
    scratch_remove(&scratch);
    return 0;
}

#define RAW_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
