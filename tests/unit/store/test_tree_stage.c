/* Several threads write files while others look at them: nobody sees a file that is not whole, and nothing is told of
 * that is only under way. */
#include "tree_fixture.h"

#include <pthread.h>
#include <stdatomic.h>

enum { RECORDS = 300, ROUNDS = 8, LOOKERS = 2 };

static struct hf_batch *make_batch(int count, int n) {
    struct hf_batch *batch = NULL;
    assert_int_equal(hf_batch_new(NULL, &batch, NULL), 0);
    for (int i = 0; i < count; i++) {
        char id[16], json[64];
        snprintf(id, sizeof id, "id%04d", i);
        snprintf(json, sizeof json, "{\"id\":%d,\"n\":%d}", i, n);
        assert_int_equal(hf_batch_put(batch, "watch", id, json, strlen(json), NULL, NULL), 0);
    }
    return batch;
}

static void open_threaded(struct tree_fixture *f, const char *options) {
    struct hf_error error = {0};
    tree_url(f, options);
    if (hf_store_open(f->url, NULL, &f->store, &error))
        fail_msg("%s", error.message);
}

static void expect_files(struct tree_fixture *f, int count, int n) {
    for (int i = 0; i < count; i++) {
        char path[64], text[64];
        snprintf(path, sizeof path, "id%04d/watch.json", i);
        snprintf(text, sizeof text, "{\n  \"id\": %d,\n  \"n\": %d\n}", i, n);
        tree_expect_file(f, path, text);
    }
}

struct looker {
    struct tree_fixture *f;
    atomic_int *is_over;
    int is_mending;
    int bad;
};

static void count_bad(void *arg, const struct hf_finding *finding) {
    (void)finding;
    ++*(int *)arg;
}

static void mend_some(struct looker *looker) {
    for (int i = 0; i < RECORDS; i += 17) {
        char id[16];
        struct buf json BUF_AUTO;
        uint8_t hash[HF_HASH_BYTES];
        enum store_mend mend;
        buf_init(&json);
        snprintf(id, sizeof id, "id%04d", i);
        if (store_mend(looker->f->store, "watch", id, &mend, &json, hash, NULL) != 0 || mend != STORE_MEND_NOTHING)
            looker->bad++;
    }
}

static void *look(void *arg) {
    struct looker *looker = arg;
    while (!atomic_load(looker->is_over)) {
        struct hf_check_cursor cursor = {.without_structure = 1};
        struct hf_check_result result = {0};
        while (!looker->is_mending && !cursor.is_done)
            if (hf_store_check_slice(looker->f->store, &cursor, 50, count_bad, &looker->bad, &result, NULL) != 0)
                looker->bad++;
        if (looker->is_mending)
            mend_some(looker);
    }
    return NULL;
}

static void test_what_is_under_way_is_not_told_of(void **state) {
    struct tree_fixture *f = *state;
    atomic_int is_over;
    pthread_t threads[LOOKERS];
    struct looker lookers[LOOKERS];
    atomic_init(&is_over, 0);
    f->os = os_real();
    open_threaded(f, "layout=watch&threads=4");
    for (int i = 0; i < LOOKERS; i++) {
        lookers[i] = (struct looker){.f = f, .is_over = &is_over, .is_mending = i};
        assert_int_equal(pthread_create(&threads[i], NULL, look, &lookers[i]), 0);
    }
    for (int n = 1; n <= ROUNDS; n++) {
        struct hf_batch *batch = make_batch(n % 2 ? RECORDS : RECORDS / 10, n);
        assert_int_equal(hf_store_commit(f->store, &batch, NULL, NULL), 0);
    }
    assert_int_equal(hf_store_delete(f->store, "watch", "id0000", NULL, NULL), 0);
    atomic_store(&is_over, 1);
    for (int i = 0; i < LOOKERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(lookers[i].bad, 0);
    }
    tree_check(f, "");
    hf_store_close(&f->store);
    assert_int_equal(tree_count(f, ".holdfast/staged"), 0);
    assert_int_equal(tree_count(f, ".holdfast/aside"), 0);
}

static void test_many_threads_write_what_one_writes(void **state) {
    struct tree_fixture *f = *state;
    static const char *const options[] = {"layout=watch&threads=1", "layout=watch&threads=7",
                                          "layout=watch&threads=40"};
    for (int i = 0; i < 3; i++) {
        struct hf_batch *batch = make_batch(RECORDS, i + 1);
        open_threaded(f, options[i]);
        assert_int_equal(hf_store_commit(f->store, &batch, NULL, NULL), 0);
        expect_files(f, RECORDS, i + 1);
        hf_store_close(&f->store);
    }
}

/* Two batches of one group change the same record. */
static void noted(void *arg, int code, const struct hf_commit_result *result, const struct hf_error *error) {
    (void)result, (void)error;
    assert_int_equal(code, 0);
    ++*(int *)arg;
}

static void test_the_last_change_of_a_group_counts(void **state) {
    struct tree_fixture *f = *state;
    int answered = 0;
    tree_open(f);
    for (int n = 1; n <= 3; n++) {
        struct hf_batch *batch = make_batch(2, n);
        hf_store_commit_async(f->store, &batch, noted, &answered);
    }
    store_pump(f->store);
    assert_int_equal(answered, 3);
    expect_files(f, 2, 3);
    struct hf_batch *last = NULL;
    assert_int_equal(hf_batch_new(NULL, &last, NULL), 0);
    assert_int_equal(hf_batch_delete(last, "watch", "id0000", NULL, NULL), 0);
    struct hf_batch *batch = make_batch(1, 4);
    hf_store_commit_async(f->store, &batch, noted, &answered);
    hf_store_commit_async(f->store, &last, noted, &answered);
    store_pump(f->store);
    assert_int_equal(answered, 5);
    tree_expect_file(f, "id0000", NULL);
    tree_check(f, "");
    tree_open(f);
    tree_expect_found(f, "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, tree_setup, tree_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(what_is_under_way_is_not_told_of),
        TEST(many_threads_write_what_one_writes),
        TEST(the_last_change_of_a_group_counts),
    };
    return cmocka_run_group_tests_name("writing a tree's files", tests, NULL, NULL);
}
