/* Random operations on a store over SQLite and on the memory store, which is the model: every answer must be the same,
 * and so must everything that can be read, also after opening the store again. Once plainly, and once with calls that
 * fail at random: what failed softly must have left nothing, what had an unknown outcome is there whole or not at all.
 *
 * HF_TEST_SEED and HF_TEST_STEPS choose what is done; the seed is printed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/text.h"
#include "store/store.h"

enum { KINDS = 3, IDS = 7, CHANGES = 4, STEPS = 1500, COMPARE_EVERY = 50, ONE_IN = 10 };

static const char *const kinds[KINDS] = {"thing", "thing_2", "other"};
static const char *const ids[IDS] = {"a", "aa", "b", "B", "\xc3\xa9", "a b", "%2e"};
static const char *const texts[] = {"1",           "1.0",  "{\"a\":1,\"b\":[]}", " { \"b\" : [ ] , \"a\" : 1 }",
                                    "\"\\u00e9\"", "null", "\"\xc3\xa9\"",       "[1,2,3]",
                                    "{",           ""};

struct model {
    uint64_t seed, draws;
    unsigned one_in; /* 0: nothing is made to fail */
    uint64_t opened;
    char folder[64];
    struct hf_store *subject, *memory;
    uint32_t keep[KINDS];
    unsigned commits, failed, unknown, unknown_but_there;
};

/* ---- a clock that both stores share: it moves with the steps ---- */

static int64_t clock_ns = INT64_C(1700000000) * 1000000000;

static int64_t step_clock(const struct os *os, enum os_clock which) {
    (void)os, (void)which;
    return clock_ns;
}

static struct os_ops model_ops;
static struct os model_os;

static void make_os(void) {
    model_ops = *os_real()->ops;
    model_ops.now_ns = step_clock;
    model_os = *os_real();
    model_os.ops = &model_ops;
}

/* ---- chance ---- */

static uint64_t draw(struct model *model, uint64_t below) {
    uint64_t number = model->draws++;
    return hash64(&number, sizeof number, model->seed) % below;
}

/* ---- opening ---- */

static void open_subject(struct model *model) {
    char path[128];
    struct hf_error error = {0};
    struct store_setup setup = {.os = &model_os};
    const struct hf_store_options options = {.struct_bytes = sizeof options};
    snprintf(path, sizeof path, "%s/store.db", model->folder);
    int code = store_sqlite_ops.open(&model_os, path, &options, &setup.backend, &setup.backend_revision, &error);
    if (code == 0)
        code = store_failing_new(&setup.backend, model->seed + model->opened++, model->one_in, &setup.backend, &error);
    if (code == 0)
        code = store_open(NULL, &options, &setup, &model->subject, &error);
    if (code != 0)
        fail_msg("open: %s", error.message);
    for (int i = 0; i < KINDS; i++)
        assert_int_equal(hf_store_keep_history(model->subject, kinds[i], model->keep[i], NULL), 0);
}

static void reopen_subject(struct model *model) {
    hf_store_close(&model->subject);
    open_subject(model);
}

/* ---- everything that can be read, as text ---- */

static int add_record(void *arg, const struct hf_record *record, int code) {
    char hash[2 * HF_HASH_BYTES + 1];
    text_hex(record->hash, HF_HASH_BYTES, hash);
    buf_printf(arg, "%d %s/%s @%llu %s %lld %lld %s %s\n", code, record->kind, record->id,
               (unsigned long long)record->revision, record->json ? hash : "", (long long)record->created_ms,
               (long long)record->updated_ms, record->who, record->json ? record->json : "-");
    return 0;
}

static int add_event(void *arg, const struct hf_event *event) {
    char hash[2 * HF_HASH_BYTES + 1];
    text_hex(event->hash, HF_HASH_BYTES, hash);
    buf_printf(arg, "event %llu %d %s/%s %s %lld %s\n", (unsigned long long)event->revision, (int)event->what,
               event->kind, event->id, hash, (long long)event->at_ms, event->who);
    return 0;
}

struct walk {
    enum { SCAN, HISTORY, EVENTS } which;
    const char *kind, *id;
    uint64_t since, limit;
};

/* Walks until it does not fail: what fails at random fails before the first row. */
static void add_walk(struct hf_store *store, const struct walk *walk, struct buf *to) {
    int code;
    do {
        if (walk->which == SCAN)
            code = hf_store_scan(store, walk->kind, walk->id, walk->limit, add_record, to, NULL);
        else if (walk->which == HISTORY)
            code = hf_store_history(store, walk->kind, walk->id, walk->limit, add_record, to, NULL);
        else
            code = hf_store_events(store, walk->since, walk->limit, add_event, to, NULL);
    } while (code == HF_ERR_IO || code == HF_ERR_NO_MEMORY);
    buf_printf(to, "= %d\n", code);
}

static void compare_walk(struct model *model, const struct walk *walk) {
    struct buf subject BUF_AUTO, memory BUF_AUTO;
    buf_init(&subject);
    buf_init(&memory);
    add_walk(model->subject, walk, &subject);
    add_walk(model->memory, walk, &memory);
    assert_string_equal(buf_text(&subject), buf_text(&memory));
}

static void compare_everything(struct model *model) {
    assert_int_equal(hf_store_revision(model->subject), hf_store_revision(model->memory));
    compare_walk(model, &(struct walk){.which = SCAN});
    compare_walk(model, &(struct walk){.which = EVENTS});
    for (int i = 0; i < KINDS * IDS; i++)
        compare_walk(model, &(struct walk){.which = HISTORY, .kind = kinds[i % KINDS], .id = ids[i / KINDS]});
}

/* ---- a commit ---- */

struct step {
    int count;
    struct {
        enum hf_what what;
        const char *kind, *id, *text;
        struct hf_change_options options;
    } changes[CHANGES];
};

static void choose_options(struct model *model, const char *kind, const char *id,
                           struct hf_change_options *ret_options) {
    struct hf_record *record = NULL;
    struct hf_change_options options = {.condition = (enum hf_condition)draw(model, 5)};
    if (draw(model, 3) == 0)
        options.condition = HF_ALWAYS;
    if (hf_store_get(model->memory, kind, id, &record, NULL) == 0 && draw(model, 4) != 0) {
        options.if_revision = record->revision;
        memcpy(options.if_hash, record->hash, HF_HASH_BYTES);
    } else {
        options.if_revision = draw(model, 20);
    }
    hf_record_free(&record);
    *ret_options = options;
}

static void choose_step(struct model *model, struct step *step) {
    step->count = (int)draw(model, CHANGES + 1);
    for (int i = 0; i < step->count; i++) {
        step->changes[i].what = draw(model, 4) == 0 ? HF_DELETE : HF_PUT;
        step->changes[i].kind = kinds[draw(model, KINDS)];
        step->changes[i].id = ids[draw(model, IDS)];
        /* The last two are not JSON: seldom. */
        step->changes[i].text = texts[draw(model, sizeof texts / sizeof texts[0] - (draw(model, 8) ? 2 : 0))];
        choose_options(model, step->changes[i].kind, step->changes[i].id, &step->changes[i].options);
    }
}

static int commit(struct hf_store *store, const struct step *step, struct hf_commit_result *ret_result) {
    struct hf_batch *batch = NULL;
    assert_int_equal(hf_batch_new("model", &batch, NULL), 0);
    for (int i = 0; i < step->count; i++) {
        int code;
        if (step->changes[i].what == HF_DELETE)
            code = hf_batch_delete(batch, step->changes[i].kind, step->changes[i].id, &step->changes[i].options, NULL);
        else
            code = hf_batch_put(batch, step->changes[i].kind, step->changes[i].id, step->changes[i].text,
                                strlen(step->changes[i].text), &step->changes[i].options, NULL);
        assert_true(code == 0 || code == HF_ERR_INVALID); /* the same key twice: left out in both */
    }
    memset(ret_result, 0, sizeof *ret_result);
    return hf_store_commit(store, &batch, ret_result, NULL);
}

/* Commits to both; what could not be said of the subject is found out after opening it again. */
static void commit_to_both(struct model *model) {
    struct step step;
    struct hf_commit_result subject, memory;
    uint64_t before = hf_store_revision(model->memory);
    choose_step(model, &step);
    int code = commit(model->subject, &step, &subject);
    model->commits++;
    if (store_code_is_soft(code)) {
        assert_true(model->one_in > 0);
        assert_int_equal(hf_store_revision(model->subject), before);
        model->failed++;
        return;
    }
    if (code == HF_ERR_FAILED) {
        assert_true(model->one_in > 0);
        reopen_subject(model);
        model->unknown++;
        if (hf_store_revision(model->subject) != before) {
            model->unknown_but_there++;
            assert_int_equal(commit(model->memory, &step, &memory), 0);
        }
        compare_everything(model);
        return;
    }
    assert_int_equal(commit(model->memory, &step, &memory), code);
    assert_memory_equal(&subject, &memory, sizeof memory);
}

/* ---- a run ---- */

static void read_from_both(struct model *model) {
    struct walk walk = {.limit = draw(model, 6), .kind = kinds[draw(model, KINDS)], .id = ids[draw(model, IDS)]};
    walk.which = draw(model, 3);
    walk.since = draw(model, hf_store_revision(model->memory) + 2);
    if (walk.which == SCAN && draw(model, 3) == 0)
        walk.kind = walk.id = NULL;
    compare_walk(model, &walk);
}

static void keep_other_history(struct model *model) {
    static const uint32_t keeps[] = {0, 1, 2, 3, 5, UINT32_MAX};
    uint64_t kind = draw(model, KINDS);
    model->keep[kind] = keeps[draw(model, sizeof keeps / sizeof keeps[0])];
    assert_int_equal(hf_store_keep_history(model->subject, kinds[kind], model->keep[kind], NULL), 0);
    assert_int_equal(hf_store_keep_history(model->memory, kinds[kind], model->keep[kind], NULL), 0);
}

static void count_finding(void *arg, const struct hf_finding *finding) {
    print_error("%s: %s\n", finding->what, finding->text);
    ++*(int *)arg;
}

static void check_subject(struct model *model) {
    struct hf_check_result subject, memory;
    int code, findings = 0;
    do
        code = hf_store_check(model->subject, count_finding, &findings, &subject, NULL);
    while (code == HF_ERR_IO || code == HF_ERR_NO_MEMORY);
    assert_int_equal(code, 0);
    assert_int_equal(findings, 0);
    assert_int_equal(hf_store_check(model->memory, NULL, NULL, &memory, NULL), 0);
    assert_memory_equal(&subject, &memory, sizeof memory);
}

static void take_step(struct model *model) {
    uint64_t which = draw(model, 100);
    clock_ns += 1000000 * (int64_t)draw(model, 5000);
    if (which < 60)
        commit_to_both(model);
    else if (which < 95)
        read_from_both(model);
    else if (which < 97)
        keep_other_history(model);
    else if (which < 98)
        reopen_subject(model);
    else
        check_subject(model);
}

static int remove_entry(const char *path, const struct stat *stat, int type, struct FTW *ftw) {
    (void)stat, (void)type, (void)ftw;
    return remove(path);
}

static void run(unsigned one_in, uint64_t seed) {
    const char *steps = getenv("HF_TEST_STEPS");
    long count = steps ? strtol(steps, NULL, 10) : STEPS;
    struct model model = {.seed = seed, .one_in = one_in};
    const struct store_setup setup = {.os = &model_os};
    snprintf(model.folder, sizeof model.folder, "/tmp/holdfast-model-XXXXXX");
    assert_non_null(mkdtemp(model.folder));
    assert_int_equal(store_open("memory:", NULL, &setup, &model.memory, NULL), 0);
    open_subject(&model);
    for (long i = 0; i < count; i++) {
        take_step(&model);
        if (i % COMPARE_EVERY == 0)
            compare_everything(&model);
    }
    compare_everything(&model);
    reopen_subject(&model);
    compare_everything(&model);
    print_message("%u commits, %u failed, %u with an unknown outcome (%u of them were there)\n", model.commits,
                  model.failed, model.unknown, model.unknown_but_there);
    if (one_in > 0 && count >= STEPS)
        assert_true(model.failed > 0);
    hf_store_close(&model.subject);
    hf_store_close(&model.memory);
    nftw(model.folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static uint64_t seed;

static void test_sqlite_is_like_memory(void **state) {
    (void)state;
    run(0, seed);
}

static void test_failing_sqlite_is_like_memory(void **state) {
    (void)state;
    run(ONE_IN, seed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sqlite_is_like_memory),
        cmocka_unit_test(test_failing_sqlite_is_like_memory),
    };
    const char *chosen = getenv("HF_TEST_SEED");
    seed = chosen ? strtoull(chosen, NULL, 10) : (uint64_t)time(NULL);
    printf("HF_TEST_SEED=%llu\n", (unsigned long long)seed);
    make_os();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
