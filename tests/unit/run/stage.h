/* A store in memory, a loop and a supervisor with real children. Waits for what should come, never for a time. */
#ifndef HF_TEST_RUN_STAGE_H
#define HF_TEST_RUN_STAGE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "run/source.h"
#include "run/supervisor.h"
#include "store/store.h"

enum { STAGE_PATIENCE_MS = 20000, STAGE_LOOK_MS = 2 };

struct stage {
    struct hf_store *store;
    struct loop *loop;
    struct supervisor *supervisor;
    struct loop_timer *timer;
    int (*is_so)(struct stage *stage, const void *arg);
    const void *arg;
    int64_t until_ms;
    int came, is_stopped;
    struct buf report;
    struct json_doc doc; /* of the last source_show */
    struct buf text;
};

static inline void stage_look(void *arg) {
    struct stage *stage = arg;
    stage->came = stage->is_so(stage, stage->arg);
    if (stage->came || os_monotonic_ms(os_real()) > stage->until_ms)
        loop_stop(stage->loop);
    else
        loop_timer_set(stage->timer, STAGE_LOOK_MS);
}

static inline int stage_until(struct stage *stage, int (*is_so)(struct stage *stage, const void *arg),
                              const void *arg) {
    stage->is_so = is_so;
    stage->arg = arg;
    stage->until_ms = os_monotonic_ms(os_real()) + STAGE_PATIENCE_MS;
    loop_timer_set(stage->timer, 0);
    loop_run(stage->loop);
    return stage->came;
}

static inline void stage_restored(void *arg, const char *report) {
    struct stage *stage = arg;
    buf_clear(&stage->report);
    buf_add_text(&stage->report, report);
}

static inline int stage_has_report(struct stage *stage, const void *arg) {
    (void)arg;
    return stage->report.size > 0;
}

static inline void stage_log(void *arg, const char *line) {
    (void)arg;
    if (getenv("STAGE_LOG"))
        fprintf(stderr, "# %s\n", line);
}

static inline void stage_supervise(struct stage *stage) {
    struct hf_error error;
    struct supervisor_options options = {.data_dir = "/tmp/holdfast-test", .log = stage_log};
    buf_clear(&stage->report);
    int code = supervisor_new(stage->store, stage->loop, &options, stage_restored, stage, &stage->supervisor, &error);
    assert_int_equal(code, 0);
    assert_true(stage_until(stage, stage_has_report, NULL));
}

static inline int stage_open(void **state) {
    struct stage *stage = MEM_NEW(struct stage);
    struct hf_error error;
    assert_int_equal(hf_store_open("memory:", NULL, &stage->store, &error), 0);
    assert_int_equal(source_declare_kinds(stage->store, &error), 0);
    assert_int_equal(loop_new(os_real(), &stage->loop, &error), 0);
    assert_int_equal(loop_timer_new(stage->loop, stage_look, stage, &stage->timer), 0);
    json_init(&stage->doc);
    stage_supervise(stage);
    *state = stage;
    return 0;
}

static inline void stage_stopped(void *arg) {
    ((struct stage *)arg)->is_stopped = 1;
}

static inline int stage_is_stopped(struct stage *stage, const void *arg) {
    (void)arg;
    return stage->is_stopped;
}

/* The daemon's ordinary end. */
static inline void stage_end(struct stage *stage) {
    stage->is_stopped = 0;
    supervisor_stop(stage->supervisor, stage_stopped, stage);
    assert_true(stage_until(stage, stage_is_stopped, NULL));
    supervisor_free(&stage->supervisor);
}

static inline int stage_close(void **state) {
    struct stage *stage = *state;
    if (stage->supervisor)
        stage_end(stage);
    loop_timer_free(&stage->timer);
    hf_store_close(&stage->store);
    loop_free(&stage->loop);
    json_fini(&stage->doc);
    buf_fini(&stage->text);
    buf_fini(&stage->report);
    mem_free(stage);
    return 0;
}

static inline int stage_add(struct stage *stage, const char *body, struct hf_error *error) {
    BUF_AUTO struct buf json;
    buf_init(&json);
    return source_add(stage->store, "test", body, strlen(body), &json, error);
}

/* format: a JSON body; ' stands for ". */
static inline void stage_source(struct stage *stage, const char *body) {
    struct hf_error error = {.code = 0};
    char *copy = mem_strdup(body);
    for (char *c = copy; *c; c++)
        *c = *c == '\'' ? '"' : *c;
    int code = stage_add(stage, copy, &error);
    if (code < 0)
        print_error("%s\n", error.message);
    mem_free(copy);
    assert_int_equal(code, 0);
}

static inline void stage_python(struct stage *stage, const char *name, const char *code, const char *more) {
    BUF_AUTO struct buf body;
    buf_init(&body);
    struct json_writer writer;
    json_writer_init(&writer, &body, 0);
    json_begin_object(&writer);
    json_put_string(&writer, "name", name);
    json_put_string(&writer, "kind", "python");
    json_put_string(&writer, "code", code);
    buf_add_text(&body, more);
    json_end_object(&writer);
    struct hf_error error = {.code = 0};
    int result = stage_add(stage, buf_text(&body), &error);
    if (result < 0)
        print_error("%s\n", error.message);
    assert_int_equal(result, 0);
}

static inline void stage_show(struct stage *stage, const char *name) {
    struct hf_error error;
    buf_clear(&stage->text);
    assert_int_equal(source_show(stage->store, stage->supervisor ? supervisor_unsaved(stage->supervisor) : NULL, name,
                                 &stage->text, &error),
                     0);
    assert_int_equal(json_read(&stage->doc, stage->text.data, stage->text.size, NULL, &error), 0);
}

static inline int64_t stage_number(struct stage *stage, const char *name, const char *field) {
    stage_show(stage, name);
    return json_member_i64(&stage->doc, 0, field, -1);
}

static inline int stage_has_text(struct stage *stage, const char *name, const char *field, const char *text) {
    struct arena arena;
    arena_init(&arena);
    stage_show(stage, name);
    const char *value = json_member_text(&stage->doc, 0, field, &arena);
    int has = value && strstr(value, text) != NULL;
    arena_fini(&arena);
    return has;
}

struct stage_wish {
    const char *name, *status; /* status NULL: any */
    int64_t runs, errors;      /* at least */
};

static inline int stage_wish_is_true(struct stage *stage, const void *arg) {
    const struct stage_wish *wish = arg;
    stage_show(stage, wish->name);
    int is_status = !wish->status || json_is_string(&stage->doc, json_member(&stage->doc, 0, "status"), wish->status);
    return is_status && json_member_i64(&stage->doc, 0, "run_count", 0) >= wish->runs &&
           json_member_i64(&stage->doc, 0, "error_count", 0) >= wish->errors;
}

#define stage_wait(stage, ...)                                                                                         \
    do {                                                                                                               \
        if (!stage_until((stage), stage_wish_is_true, &(struct stage_wish){__VA_ARGS__})) {                            \
            print_error("%s\n", buf_text(&(stage)->text));                                                             \
            fail_msg("%s", "it did not come");                                                                         \
        }                                                                                                              \
    } while (0)

/* The newest run or datum, as JSON in stage->text. */
static inline const char *stage_newest(struct stage *stage, const char *kind, const char *name) {
    struct hf_record *record = NULL;
    buf_clear(&stage->text);
    if (hf_store_get(stage->store, kind, name, &record, NULL) == 0)
        buf_add(&stage->text, record->json, record->json_bytes);
    hf_record_free(&record);
    return buf_text(&stage->text);
}

#define assert_has(text, part)                                                                                         \
    do {                                                                                                               \
        if (strstr((text), (part)) == NULL)                                                                            \
            fail_msg("'%s' is not in: %s", (part), (text));                                                            \
    } while (0)

#endif
