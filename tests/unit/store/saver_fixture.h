/* For the tests of the saver: an owner whose documents and moods are set by hand, a clock that moves only when it is
 * told to, and a store whose backend fails when the script says so. Everything happens in the test's own thread. */
#ifndef HF_TEST_SAVER_FIXTURE_H
#define HF_TEST_SAVER_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "store/saver.h"

enum { THINGS = 2048, NOTICES = 64, INTERVAL = 10000 };

struct thing {
    char id[40];
    const char *kind;
    char *text; /* NULL: he does not hold it */
    int code;   /* that he gives instead */
    int is_lent;
    unsigned given, returned;
};

struct notice {
    enum hf_notice_level level;
    char text[300];
};

static struct world {
    struct hf_store *store;
    struct hf_saver *saver;
    struct hf_saver_options options;
    int64_t now_ms;
    struct thing things[THINGS];
    unsigned count;
    unsigned asked; /* documents */
    int each_code;
    void (*while_giving)(struct thing *thing);
    struct notice notices[NOTICES];
    unsigned notice_count;
    int begin_code, put_code, commit_code; /* of the backend, while they are not 0 */
    const char *put_fails_for;             /* only this id; NULL: all */
    const char *damaged;                   /* an id that cannot be read */
    unsigned begins;
    void (*after_snapshot)(void); /* between a walk's snapshot and its first visit */
} world;

/* ---- the clock ---- */

static struct os_ops world_ops;
static struct os world_os;

static int64_t world_now_ns(const struct os *os, enum os_clock clock) {
    (void)os, (void)clock;
    return world.now_ms * 1000000;
}

static inline void pass(int64_t ms) {
    world.now_ms += ms;
}

/* ---- the owner ---- */

static inline struct thing *thing_of(const char *id) {
    for (unsigned i = 0; i < world.count; i++)
        if (strcmp(world.things[i].id, id) == 0)
            return &world.things[i];
    return NULL;
}

/* text NULL: he deletes it. */
static inline struct thing *hold(const char *id, const char *text) {
    struct thing *thing = thing_of(id);
    if (!thing) {
        assert_true(world.count < THINGS);
        thing = &world.things[world.count++];
        snprintf(thing->id, sizeof thing->id, "%s", id);
        thing->kind = "thing";
    }
    free(thing->text);
    thing->text = text ? strdup(text) : NULL;
    return thing;
}

static int give(void *arg, const char *kind, const char *id, void *tag, struct hf_document *document) {
    struct thing *thing = tag ? tag : thing_of(id);
    assert_ptr_equal(arg, &world);
    world.asked++;
    if (!thing)
        return HF_ERR_NOT_FOUND;
    assert_string_equal(thing->id, id);
    assert_string_equal(thing->kind, kind);
    if (thing->text && thing->is_lent)
        hf_document_lend(document, thing->text, strlen(thing->text));
    else if (thing->text)
        hf_document_add(document, thing->text, strlen(thing->text));
    thing->given += thing->text && thing->is_lent;
    if (world.while_giving)
        world.while_giving(thing);
    return thing->code ? thing->code : thing->text ? 0 : HF_ERR_NOT_FOUND;
}

static void returned(void *arg, const char *kind, const char *id, void *tag) {
    struct thing *thing = tag ? tag : thing_of(id);
    (void)arg, (void)kind;
    thing->returned++;
}

static inline int each(void *arg, hf_key_visit visit, void *visit_arg) {
    (void)arg;
    for (unsigned i = 0; i < world.count; i++) {
        int code =
            world.things[i].text ? visit(visit_arg, world.things[i].kind, world.things[i].id, &world.things[i]) : 0;
        if (code != 0)
            return code;
    }
    return world.each_code;
}

static void note(void *arg, enum hf_notice_level level, const char *text) {
    (void)arg;
    assert_true(world.notice_count < NOTICES);
    struct notice *notice = &world.notices[world.notice_count++];
    notice->level = level;
    snprintf(notice->text, sizeof notice->text, "%s", text);
}

static inline unsigned count_notices(const char *part) {
    unsigned count = 0;
    for (unsigned i = 0; i < world.notice_count; i++)
        count += strstr(world.notices[i].text, part) != NULL;
    return count;
}

/* ---- the store ---- */

static struct store_backend_ops world_backend;

static int world_begin(struct store_backend *backend, struct hf_error *error) {
    world.begins++;
    if (world.begin_code)
        return error_set(error, world.begin_code, "as the script says");
    return store_memory_ops.begin(backend, error);
}

static int world_put(struct store_backend *backend, const struct store_change *change, struct hf_error *error) {
    if (world.put_code && (!world.put_fails_for || strcmp(world.put_fails_for, change->id) == 0))
        return error_set(error, world.put_code, "as the script says");
    return store_memory_ops.put(backend, change, error);
}

static int world_commit(struct store_backend *backend, struct hf_error *error) {
    if (world.commit_code)
        return error_set(error, world.commit_code, "as the script says");
    return store_memory_ops.commit(backend, error);
}

struct world_scan {
    hf_record_visit visit;
    void *arg;
};

static int world_visit(void *arg, const struct hf_record *record, int code) {
    const struct world_scan *scan = arg;
    struct hf_record damaged = *record;
    if (!world.damaged || strcmp(world.damaged, record->id) != 0)
        return scan->visit(scan->arg, record, code);
    damaged.json = NULL;
    damaged.json_bytes = 0;
    return scan->visit(scan->arg, &damaged, HF_ERR_CORRUPT);
}

static struct hf_record *snapshot[THINGS];
static unsigned snapshot_count;

static int copy_record(void *arg, const struct hf_record *record, int code) {
    (void)arg, (void)code;
    return store_record_copy(record, &snapshot[snapshot_count++], NULL);
}

static int world_scan(struct store_backend *backend, const struct store_range *range, hf_record_visit visit, void *arg,
                      struct hf_error *error) {
    struct world_scan scan = {visit, arg};
    if (!world.after_snapshot)
        return store_memory_ops.scan(backend, range, world_visit, &scan, error);
    int code = store_memory_ops.scan(backend, range, copy_record, NULL, error);
    world.after_snapshot();
    for (unsigned i = 0; i < snapshot_count; i++) {
        if (code == 0)
            code = visit(arg, snapshot[i], 0);
        hf_record_free(&snapshot[i]);
    }
    snapshot_count = 0;
    return code;
}

static int world_get(struct store_backend *backend, enum store_view view, const char *kind, const char *id,
                     int head_only, struct hf_record **ret_record, struct hf_error *error) {
    if (!head_only && world.damaged && strcmp(world.damaged, id) == 0)
        return error_set(error, HF_ERR_CORRUPT, "as the script says");
    return store_memory_ops.get(backend, view, kind, id, head_only, ret_record, error);
}

static inline void open_saver(void) {
    struct saver_setup setup = {.without_thread = 1};
    struct hf_error error = {0};
    if (saver_open_with(world.store, &world.options, &setup, &world.saver, &error) != 0)
        fail_msg("%s", error.message);
}

static inline int setup(void **state) {
    struct store_setup setup = {.without_thread = 1};
    (void)state;
    memset(&world, 0, sizeof world);
    world.now_ms = 1000000;
    world_ops = *os_real()->ops;
    world_ops.now_ns = world_now_ns;
    world_os = (struct os){.ops = &world_ops, .context = os_real()->context};
    world_backend = store_memory_ops;
    world_backend.begin = world_begin;
    world_backend.put = world_put;
    world_backend.commit = world_commit;
    world_backend.scan = world_scan;
    world_backend.get = world_get;
    setup.os = &world_os;
    assert_int_equal(store_memory_ops.open(&world_os, "", NULL, &setup.backend, &setup.backend_revision, NULL), 0);
    setup.backend->ops = &world_backend;
    assert_int_equal(store_open(NULL, NULL, &setup, &world.store, NULL), 0);
    world.options = (struct hf_saver_options){.struct_bytes = sizeof world.options,
                                              .give = give,
                                              .returned = returned,
                                              .notice = note,
                                              .arg = &world,
                                              .who = "tester"};
    open_saver();
    return 0;
}

/* Every lend was returned, whatever happened. */
static inline int teardown(void **state) {
    (void)state;
    hf_saver_abandon(&world.saver);
    hf_store_close(&world.store);
    int wrong = 0;
    for (unsigned i = 0; i < world.count; i++) {
        wrong += world.things[i].given != world.things[i].returned;
        free(world.things[i].text);
    }
    return wrong;
}

static inline void open_again(void) {
    hf_saver_abandon(&world.saver);
    open_saver();
}

/* ---- what tests say ---- */

static inline void mark_as(const char *id, enum hf_urgency urgency) {
    struct hf_error error = {0};
    const struct thing *thing = thing_of(id);
    if (hf_saver_mark(world.saver, thing ? thing->kind : "thing", id, thing_of(id), urgency, &error) != 0)
        fail_msg("%s", error.message);
}

static inline void mark(const char *id) {
    mark_as(id, HF_STANDARD);
}

static inline void change(const char *id, const char *text) {
    hold(id, text);
    mark(id);
}

static inline void flush(void) {
    struct hf_error error = {0};
    if (hf_saver_flush(world.saver, &error) != 0)
        fail_msg("%s", error.message);
}

static inline void flush_fails(int code) {
    struct hf_error error = {0};
    assert_int_equal(hf_saver_flush(world.saver, &error), code);
    assert_int_equal(error.code, code);
}

static inline struct hf_health health(void) {
    struct hf_health health;
    hf_saver_health(world.saver, &health);
    return health;
}

/* text NULL: there is no such record. */
static inline void expect_stored(const char *id, const char *text) {
    struct hf_record *record = NULL;
    const struct thing *thing = thing_of(id);
    int code = hf_store_get(world.store, thing ? thing->kind : "thing", id, &record, NULL);
    assert_int_equal(code, text ? 0 : HF_ERR_NOT_FOUND);
    if (text)
        assert_string_equal(record->json, text);
    hf_record_free(&record);
}

/* Holds and marks `count` documents: "0000", "0001", … */
static inline void change_many(unsigned count, unsigned turn) {
    char id[40], text[64];
    for (unsigned i = 0; i < count; i++) {
        snprintf(id, sizeof id, "%04u", (i * 7919) % count);
        snprintf(text, sizeof text, "{\"n\":%u,\"turn\":%u}", i, turn);
        change(id, text);
    }
}

#endif
