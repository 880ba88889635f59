/* Every allocation fails once, and then for ever from there on: each call says so, and lets go of all it took. Linked
 * with --wrap for malloc, calloc, realloc and free. */
#include "../os/scratch.h"

#include <stdatomic.h>

#include "store/backend.h"
#include "store/tree_files.h"

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
void __real_free(void *block);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);
void __wrap_free(void *block);

static atomic_long calls, live;
static long fail_at;
static int for_ever;

static int fails(void) {
    long call = atomic_fetch_add(&calls, 1) + 1;
    return fail_at && (call == fail_at || (for_ever && call > fail_at));
}

static void *count_live(void *block) {
    atomic_fetch_add(&live, block != NULL);
    return block;
}

void *__wrap_malloc(size_t bytes) {
    return fails() ? NULL : count_live(__real_malloc(bytes));
}

void *__wrap_calloc(size_t count, size_t bytes) {
    return fails() ? NULL : count_live(__real_calloc(count, bytes));
}

void *__wrap_realloc(void *old, size_t bytes) {
    if (fails())
        return NULL;
    return old ? __real_realloc(old, bytes) : count_live(__real_realloc(old, bytes));
}

void __wrap_free(void *block) {
    atomic_fetch_sub(&live, block != NULL);
    __real_free(block);
}

static struct scratch scratch;
static unsigned threads;

/* With each allocation failing in turn, until it runs through without reaching the failing one. */
static void sweep(int (*scenario)(struct hf_error *error)) {
    for (for_ever = 0; for_ever < 2; for_ever++) {
        int is_reached = 1;
        for (long at = 1; is_reached; at++) {
            struct hf_error error = {0};
            int fds = count_open_fds();
            long before = atomic_load(&live);
            atomic_store(&calls, 0);
            fail_at = at;
            int code = scenario(&error);
            fail_at = 0;
            is_reached = atomic_load(&calls) >= at;
            assert_int_equal(atomic_load(&live), before);
            assert_int_equal(count_open_fds(), fds);
            assert_int_equal(code, is_reached ? HF_ERR_NO_MEMORY : 0);
            assert_int_equal(error.code, code);
            assert_true(code == 0 || error.message[0]);
        }
    }
}

static int parse(struct hf_error *error) {
    struct tree_options options = {0};
    int code = tree_options_parse("some%20folder?ours=a,b,c&layout=watch", &options, error);
    tree_options_fini(&options);
    return code;
}

static int style(struct hf_error *error) {
    struct json_doc doc;
    struct buf text;
    json_init(&doc);
    buf_init(&text);
    static const char json[] = "{\"a\":[1,2,{\"b\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}]}";
    int code = tree_style(&doc, json, strlen(json), NULL, &text, error);
    json_fini(&doc);
    buf_fini(&text);
    return code;
}

static int look(struct hf_error *error) {
    struct tree_reader reader;
    struct tree_path path = {.folder = "aa", .name = "watch.json"};
    struct tree_look found;
    tree_reader_init(&reader, os_real(), scratch.fd, NULL);
    reader.layout = TREE_LAYOUT_WATCH;
    int code = tree_look(&reader, &path, &found, error);
    if (code == 0)
        assert_int_equal(found.code, 0);
    tree_reader_fini(&reader);
    return code;
}

static int list(struct hf_error *error) {
    struct tree_keys keys = {0};
    int code = tree_keys_list(os_real(), scratch.fd, TREE_LAYOUT_WATCH, NULL, NULL, &keys, error);
    if (code == 0)
        assert_int_equal(keys.count, 3);
    tree_keys_fini(&keys);
    return code;
}

static int see(void *arg, const struct hf_record *record, int code) {
    ++*(int *)arg;
    assert_true(record->json || code == HF_ERR_CORRUPT);
    return 0;
}

static void tell(void *arg, const struct hf_finding *finding) {
    (void)finding;
    ++*(int *)arg;
}

static int read_all(struct store_backend *raw, struct hf_error *error) {
    struct hf_record *record = NULL;
    struct hf_check_cursor cursor = {0};
    struct hf_check_result result = {0};
    int count = 0;
    int code = raw->ops->get(raw, STORE_COMMITTED, "watch", "aa", 0, &record, error);
    hf_record_free(&record);
    if (code == 0)
        code = raw->ops->scan(raw, &(struct store_range){.limit = 0}, see, &count, error);
    if (code == 0)
        code = raw->ops->history(raw, "watch", "aa", 0, see, &count, error);
    if (code == 0)
        assert_int_equal(count, 4);
    while (code == 0 && !cursor.is_done)
        code = raw->ops->check(raw, &cursor, 2, NULL, NULL, &result, error);
    if (code == 0)
        assert_int_equal(result.findings, 2);
    return code;
}

static int read_raw(struct hf_error *error) {
    struct tree_options options = {.layout = TREE_LAYOUT_WATCH, .threads = threads};
    int count = 0;
    struct hf_store_options store_options = {.max_document_bytes = 1000, .found = tell, .found_arg = &count};
    struct store_backend *raw = NULL;
    int root_fd = openat(scratch.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int code = tree_raw_open(os_real(), root_fd, &options, &store_options, &raw, error);
    if (code == 0) {
        code = read_all(raw, error);
        raw->ops->close(&raw);
    }
    return code;
}

static void parsing(void **state) {
    (void)state;
    sweep(parse);
}

static void styling(void **state) {
    (void)state;
    sweep(style);
}

static void looking(void **state) {
    (void)state;
    sweep(look);
}

static void listing(void **state) {
    (void)state;
    sweep(list);
}

static void reading(void **state) {
    (void)state;
    threads = 1;
    sweep(read_raw);
}

static void reading_with_threads(void **state) {
    (void)state;
    threads = 3;
    for (long at = 1; at < 200; at++) { /* which one it is differs from run to run */
        struct hf_error error = {0};
        long before = atomic_load(&live);
        int fds = count_open_fds();
        atomic_store(&calls, 0);
        for_ever = at % 2 != 0;
        fail_at = at;
        int code = read_raw(&error);
        fail_at = 0;
        assert_true(code == 0 || code == HF_ERR_NO_MEMORY);
        assert_int_equal(error.code, code);
        assert_int_equal(atomic_load(&live), before);
        assert_int_equal(count_open_fds(), fds);
    }
}

static int setup(void **state) {
    (void)state;
    scratch = scratch_make();
    static const char *const folders[] = {"aa", "bb", "a a"};
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++)
        assert_int_equal(mkdirat(scratch.fd, folders[i], 0700), 0);
    scratch_write(&scratch, "aa/watch.json", "{\"uuid\": \"\\u0061a\", \"a\": [1, 2, 3]}", 0600);
    scratch_write(&scratch, "bb/watch.json", "{\"uuid\":", 0600);
    scratch_write(&scratch, "a a/watch.json", "{}", 0600);
    scratch_write(&scratch, "settings.json", "{}", 0600);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    scratch_remove(&scratch);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parsing), cmocka_unit_test(styling), cmocka_unit_test(looking),
        cmocka_unit_test(listing), cmocka_unit_test(reading), cmocka_unit_test(reading_with_threads),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
