/* The saver with its threads: owners that change, delete and mark while it saves, audits, loads, flushes and is asked
 * how it goes, over a store that says no now and then. What is asserted holds in any order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "store/saver.h"

enum { THINGS = 300, CHANGERS = 3, CHANGES = 2000, COMMITS = 150 };

static struct thing {
    char id[16], text[64]; /* text "": he does not hold it */
    pthread_mutex_t lock;  /* while the text is lent, too */
    unsigned number;
    atomic_int is_asked;
} things[THINGS];

static struct hf_store *store;
static struct hf_saver *saver;
static atomic_int wrong, stop;
static atomic_uint begins, one_in;

static void expect(int condition) {
    if (!condition)
        atomic_fetch_add(&wrong, 1);
}

/* ---- the owner ---- */

static int give(void *arg, const char *kind, const char *id, void *tag, struct hf_document *document) {
    struct thing *thing = tag ? tag : &things[atoi(id)];
    (void)arg, (void)kind;
    expect(atomic_fetch_add(&thing->is_asked, 1) == 0); /* never twice at a time */
    pthread_mutex_lock(&thing->lock);
    if (thing->text[0]) {
        hf_document_lend(document, thing->text, strlen(thing->text));
        return 0;
    }
    pthread_mutex_unlock(&thing->lock);
    atomic_fetch_sub(&thing->is_asked, 1);
    return HF_ERR_NOT_FOUND;
}

static void returned(void *arg, const char *kind, const char *id, void *tag) {
    struct thing *thing = tag ? tag : &things[atoi(id)];
    (void)arg, (void)kind;
    pthread_mutex_unlock(&thing->lock);
    atomic_fetch_sub(&thing->is_asked, 1);
}

static int each(void *arg, hf_key_visit visit, void *visit_arg) {
    int code = 0;
    (void)arg;
    for (unsigned i = 0; i < THINGS && code == 0; i++) {
        pthread_mutex_lock(&things[i].lock);
        int is_held = things[i].text[0] != '\0';
        pthread_mutex_unlock(&things[i].lock);
        if (is_held)
            code = visit(visit_arg, "thing", things[i].id, &things[i]);
    }
    return code;
}

static void change(struct thing *thing, int deletes) {
    pthread_mutex_lock(&thing->lock);
    thing->number++;
    if (deletes)
        thing->text[0] = '\0';
    else
        snprintf(thing->text, sizeof thing->text, "{\"of\":%d,\"n\":%u}", (int)(thing - things), thing->number);
    pthread_mutex_unlock(&thing->lock);
}

static void *change_on(void *arg) {
    for (uint64_t i = 0; i < CHANGES; i++) {
        uint64_t chance = hash64(&i, sizeof i, (uint64_t)(uintptr_t)arg);
        struct thing *thing = &things[chance % THINGS];
        change(thing, (chance >> 20) % 8 == 0);
        enum hf_urgency urgency = (chance >> 30) % 4 == 0 ? HF_URGENT : HF_STANDARD;
        expect(hf_saver_mark(saver, "thing", thing->id, thing, urgency, NULL) == 0);
    }
    return NULL;
}

/* ---- the others ---- */

static void *flush_on(void *arg) {
    (void)arg;
    while (!atomic_load(&stop)) {
        int code = hf_saver_flush(saver, NULL);
        expect(code == 0 || code == HF_ERR_NO_SPACE);
        code = hf_saver_save_all(saver, NULL);
        expect(code == 0 || code == HF_ERR_NO_SPACE);
    }
    return NULL;
}

static void *audit_on(void *arg) {
    uint64_t audited, findings;
    (void)arg;
    for (uint32_t i = 0; !atomic_load(&stop); i++)
        expect(saver_audit(saver, i % 3, 3, NULL, NULL, &audited, &findings, NULL) == 0);
    return NULL;
}

static void *look_on(void *arg) {
    struct hf_health health;
    (void)arg;
    while (!atomic_load(&stop)) {
        hf_saver_health(saver, &health);
        expect(health.dirty <= THINGS && health.thread_alive && health.status != HF_HEALTH_CRITICAL);
        expect(hf_saver_load(saver, "thing", NULL, NULL, NULL) == 0);
        (void)saver_mark_held(saver, "thing", "7");
    }
    return NULL;
}

/* ---- the store ---- */

static struct store_backend_ops failing_ops;

static int failing_begin(struct store_backend *backend, struct hf_error *error) {
    uint64_t call = atomic_fetch_add(&begins, 1);
    unsigned share = atomic_load(&one_in);
    if (share && hash64(&call, sizeof call, 5) % share == 0)
        return error_set(error, HF_ERR_NO_SPACE, "as the test wants it");
    return store_memory_ops.begin(backend, error);
}

static void open_all(unsigned share, enum hf_durability durability, uint32_t interval_ms) {
    struct store_setup setup = {.os = NULL};
    struct saver_setup threads = {.processors = 4};
    const struct hf_saver_options options = {.struct_bytes = sizeof options,
                                             .durability = durability,
                                             .interval_ms = interval_ms,
                                             .batch = 7,
                                             .give = give,
                                             .returned = returned,
                                             .each = each};
    failing_ops = store_memory_ops;
    failing_ops.begin = failing_begin;
    atomic_store(&one_in, share);
    atomic_store(&stop, 0);
    atomic_store(&wrong, 0);
    memset(things, 0, sizeof things);
    for (unsigned i = 0; i < THINGS; i++) {
        snprintf(things[i].id, sizeof things[i].id, "%u", i);
        pthread_mutex_init(&things[i].lock, NULL);
    }
    assert_int_equal(store_memory_ops.open(os_real(), "", NULL, &setup.backend, &setup.backend_revision, NULL), 0);
    setup.backend->ops = &failing_ops;
    assert_int_equal(store_open(NULL, NULL, &setup, &store, NULL), 0);
    assert_int_equal(saver_open_with(store, &options, &threads, &saver, NULL), 0);
}

static void expect_all_stored(void) {
    for (unsigned i = 0; i < THINGS; i++) {
        struct hf_record *record = NULL;
        int code = hf_store_get(store, "thing", things[i].id, &record, NULL);
        assert_int_equal(code, things[i].text[0] ? 0 : HF_ERR_NOT_FOUND);
        if (code == 0)
            assert_string_equal(record->json, things[i].text);
        hf_record_free(&record);
    }
}

static void close_all(void) {
    struct hf_error error = {0};
    atomic_store(&one_in, 0);
    if (hf_saver_close(&saver, &error) != 0)
        fail_msg("%s", error.message);
    expect_all_stored();
    hf_store_close(&store);
    for (unsigned i = 0; i < THINGS; i++)
        pthread_mutex_destroy(&things[i].lock);
    assert_int_equal(atomic_load(&wrong), 0);
}

static void test_everything_at_once(void **state) {
    void *(*const others[])(void *) = {flush_on, audit_on, look_on};
    pthread_t changers[CHANGERS], threads[3];
    (void)state;
    open_all(15, HF_SOON, 20);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, others[i], NULL), 0);
    for (uintptr_t i = 0; i < CHANGERS; i++)
        assert_int_equal(pthread_create(&changers[i], NULL, change_on, (void *)(i + 1)), 0);
    for (int i = 0; i < CHANGERS; i++)
        pthread_join(changers[i], NULL);
    atomic_store(&stop, 1);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    close_all();
}

/* Each has things of his own: what he marked is stored when the mark returns. */
static void *commit_on(void *arg) {
    unsigned first = (unsigned)(uintptr_t)arg - 1;
    for (unsigned i = 0; i < COMMITS; i++) {
        struct thing *thing = &things[first + (i * CHANGERS) % (THINGS / CHANGERS * CHANGERS)];
        struct hf_record *record = NULL;
        change(thing, i % 9 == 8);
        int code = hf_saver_mark(saver, "thing", thing->id, thing, HF_STANDARD, NULL);
        expect(code == 0 || code == HF_ERR_NO_SPACE);
        if (code == 0) {
            code = hf_store_get(store, "thing", thing->id, &record, NULL);
            expect(code == (thing->text[0] ? 0 : HF_ERR_NOT_FOUND));
            expect(code != 0 || strcmp(record->json, thing->text) == 0);
            hf_record_free(&record);
        }
    }
    return NULL;
}

static void test_marks_that_wait(void **state) {
    pthread_t committers[CHANGERS];
    (void)state;
    open_all(20, HF_COMMIT, 3600 * 1000);
    for (uintptr_t i = 0; i < CHANGERS; i++)
        assert_int_equal(pthread_create(&committers[i], NULL, commit_on, (void *)(i + 1)), 0);
    for (int i = 0; i < CHANGERS; i++)
        pthread_join(committers[i], NULL);
    close_all();
}

/* Far within the interval. */
static void test_urgent_wakes_it(void **state) {
    struct hf_health health;
    (void)state;
    open_all(0, HF_SOON, 3600 * 1000);
    change(&things[0], 0);
    change(&things[1], 0);
    assert_int_equal(hf_saver_mark(saver, "thing", "1", NULL, HF_STANDARD, NULL), 0);
    assert_int_equal(hf_saver_mark(saver, "thing", "0", NULL, HF_URGENT, NULL), 0);
    do {
        os_sleep_ms(os_real(), 1);
        hf_saver_health(saver, &health);
    } while (health.total_saves == 0);
    assert_int_equal(health.dirty, 1);
    close_all();
}

static void test_interval_passes(void **state) {
    struct hf_health health;
    (void)state;
    open_all(0, HF_SOON, 10);
    change(&things[0], 0);
    assert_int_equal(hf_saver_mark(saver, "thing", "0", NULL, HF_STANDARD, NULL), 0);
    do {
        os_sleep_ms(os_real(), 1);
        hf_saver_health(saver, &health);
    } while (health.dirty > 0);
    close_all();
}

static void test_abandoned_in_the_middle(void **state) {
    (void)state;
    open_all(0, HF_SOON, 1);
    for (unsigned i = 0; i < THINGS; i++) {
        change(&things[i], 0);
        assert_int_equal(hf_saver_mark(saver, "thing", things[i].id, NULL, HF_URGENT, NULL), 0);
    }
    hf_saver_abandon(&saver);
    assert_null(saver);
    hf_store_close(&store);
    for (unsigned i = 0; i < THINGS; i++)
        pthread_mutex_destroy(&things[i].lock);
    assert_int_equal(atomic_load(&wrong), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everything_at_once),      cmocka_unit_test(test_marks_that_wait),
        cmocka_unit_test(test_urgent_wakes_it),         cmocka_unit_test(test_interval_passes),
        cmocka_unit_test(test_abandoned_in_the_middle),
    };
    return cmocka_run_group_tests_name("the saver with threads", tests, NULL, NULL);
}
