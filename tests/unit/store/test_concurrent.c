/* Everything at once, for the thread sanitizer and for the end of it all: writers, asynchronous writers, readers of
 * every kind, watches that come and go, over both backends. What is asserted holds in any order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ftw.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/store.h"

enum { WRITERS = 4, WRITES = 150, LATE_WRITES = 150 };

struct world {
    struct hf_store *store;
    atomic_int stop;
    atomic_int errors; /* whatever must not happen */
    atomic_int late_answers;
    atomic_uint_fast64_t watched;
};

static void expect(struct world *world, int condition) {
    if (!condition)
        atomic_fetch_add(&world->errors, 1);
}

static void *write_counter(void *arg) {
    struct world *world = arg;
    char json[16];
    for (int i = 0; i < WRITES; i++) {
        struct hf_record *record = NULL;
        struct hf_commit_result result;
        /* Compare and set: read, add one, put if nobody came in between. */
        int code = hf_store_get(world->store, "counter", "all", &record, NULL);
        expect(world, code == 0);
        if (code != 0)
            return NULL;
        struct hf_change_options options = {.condition = HF_IF_REVISION, .if_revision = record->revision};
        struct hf_batch *batch = NULL;
        snprintf(json, sizeof json, "%ld", strtol(record->json, NULL, 10) + 1);
        hf_record_free(&record);
        code = hf_batch_new("writer", &batch, NULL);
        if (code == 0)
            code = hf_batch_put(batch, "counter", "all", json, strlen(json), &options, NULL);
        if (code == 0)
            code = hf_store_commit(world->store, &batch, &result, NULL);
        expect(world, code == 0 || code == HF_ERR_PRECONDITION);
        expect(world, code != 0 || hf_store_revision(world->store) >= result.revision);
        if (code != 0)
            i--;
    }
    return NULL;
}

static void note_late(void *arg, int code, const struct hf_commit_result *result, const struct hf_error *error) {
    struct world *world = arg;
    expect(world, code == 0 && result && !error);
    atomic_fetch_add(&world->late_answers, 1);
}

static void *write_late(void *arg) {
    struct world *world = arg;
    char id[16];
    for (int i = 0; i < LATE_WRITES; i++) {
        struct hf_batch *batch = NULL;
        snprintf(id, sizeof id, "%d", i);
        expect(world,
               hf_batch_new("late", &batch, NULL) == 0 && hf_batch_put(batch, "late", id, "[1,2]", 5, NULL, NULL) == 0);
        hf_store_commit_async(world->store, &batch, note_late, world);
    }
    return NULL;
}

static int visit_record(void *arg, const struct hf_record *record, int code) {
    expect(arg, code == 0 && record->id[0] != '\0');
    return 0;
}

static int visit_event(void *arg, const struct hf_event *event) {
    expect(arg, event->revision > 0);
    return 0;
}

static void *read_on(void *arg) {
    struct world *world = arg;
    while (!atomic_load(&world->stop)) {
        struct hf_check_result result;
        expect(world, hf_store_scan(world->store, NULL, NULL, 0, visit_record, world, NULL) == 0);
        expect(world, hf_store_history(world->store, "counter", "all", 5, visit_record, world, NULL) == 0);
        expect(world, hf_store_events(world->store, 10, 100, visit_event, world, NULL) == 0);
        expect(world, hf_store_check(world->store, NULL, NULL, &result, NULL) == 0 && result.findings == 0);
        expect(world, store_health(world->store, NULL) == 0);
    }
    return NULL;
}

static void note_change(void *arg, uint64_t revision) {
    struct world *world = arg;
    expect(world, revision > 0);
    atomic_store(&world->watched, revision);
}

static void *watch_on(void *arg) {
    struct world *world = arg;
    while (!atomic_load(&world->stop)) {
        struct hf_watch *watch = NULL;
        expect(world, hf_store_watch(world->store, note_change, world, &watch, NULL) == 0);
        expect(world, hf_store_keep_history(world->store, "counter", 5, NULL) == 0);
        hf_watch_close(&watch);
    }
    return NULL;
}

static void run(const char *url) {
    static void *(*const jobs[])(void *) = {write_counter, write_counter, write_counter, write_counter,
                                            write_late,    read_on,       read_on,       watch_on};
    enum { JOBS = sizeof jobs / sizeof jobs[0], ENDLESS = 3 };
    struct world world = {.stop = 0};
    struct hf_record *record = NULL;
    pthread_t threads[JOBS];
    assert_int_equal(hf_store_open(url, NULL, &world.store, NULL), 0);
    assert_int_equal(hf_store_put(world.store, "counter", "all", "0", 1, NULL, NULL), 0);
    for (int i = 0; i < JOBS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, jobs[i], &world), 0);
    for (int i = 0; i < JOBS - ENDLESS; i++)
        pthread_join(threads[i], NULL);
    atomic_store(&world.stop, 1);
    for (int i = JOBS - ENDLESS; i < JOBS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(hf_store_get(world.store, "counter", "all", &record, NULL), 0);
    assert_int_equal(strtol(record->json, NULL, 10), WRITERS * WRITES);
    hf_record_free(&record);
    hf_store_close(&world.store);
    assert_int_equal(atomic_load(&world.late_answers), LATE_WRITES);
    assert_int_equal(atomic_load(&world.errors), 0);
}

static void test_memory(void **state) {
    (void)state;
    run("memory:");
}

static int remove_entry(const char *path, const struct stat *stat, int type, struct FTW *ftw) {
    (void)stat, (void)type, (void)ftw;
    return remove(path);
}

static void test_sqlite(void **state) {
    (void)state;
    char folder[] = "/tmp/holdfast-concurrent-XXXXXX", url[64];
    assert_non_null(mkdtemp(folder));
    snprintf(url, sizeof url, "sqlite:%s/store.db", folder);
    run(url);
    nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_sqlite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
