/* For the tests of the committer: a store over the memory backend, with calls that are counted and made to fail one by
 * one, and the answers in the order in which they came. */
#ifndef HF_TEST_COMMITTER_FIXTURE_H
#define HF_TEST_COMMITTER_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <semaphore.h>
#include <string.h>

#include "store/store.h"

/* What the backend is told to do; and what it was asked. */
static struct {
    int begin_code, commit_code, get_code, trim_code, rest_code;
    const char *put_fails_for; /* an id */
    int put_code;
    int put_fails_times;
    const char *damaged; /* an id whose document cannot be read */
    int begins, commits, aborts, puts, trims;
    uint64_t trim_keep;
    sem_t rests;
} script;

static inline int scripted(int code, struct hf_error *error) {
    return code ? error_set(error, code, "as the script says") : 0;
}

static inline int scripted_begin(struct store_backend *backend, struct hf_error *error) {
    script.begins++;
    return script.begin_code ? scripted(script.begin_code, error) : store_memory_ops.begin(backend, error);
}

static inline int scripted_put(struct store_backend *backend, const struct store_change *change,
                               struct hf_error *error) {
    script.puts++;
    if (script.put_fails_for && strcmp(script.put_fails_for, change->id) == 0 && script.put_fails_times-- > 0)
        return scripted(script.put_code, error);
    return store_memory_ops.put(backend, change, error);
}

static inline int scripted_commit(struct store_backend *backend, struct hf_error *error) {
    script.commits++;
    return script.commit_code ? scripted(script.commit_code, error) : store_memory_ops.commit(backend, error);
}

static inline void scripted_abort(struct store_backend *backend) {
    script.aborts++;
    store_memory_ops.abort(backend);
}

static inline int scripted_get(struct store_backend *backend, enum store_view view, const char *kind, const char *id,
                               int head_only, struct hf_record **ret_record, struct hf_error *error) {
    if (view == STORE_IN_TRANSACTION && script.get_code)
        return scripted(script.get_code, error);
    if (!head_only && script.damaged && strcmp(script.damaged, id) == 0)
        return scripted(HF_ERR_CORRUPT, error);
    return store_memory_ops.get(backend, view, kind, id, head_only, ret_record, error);
}

static inline int scripted_trim(struct store_backend *backend, uint64_t keep, struct hf_error *error) {
    script.trims++;
    script.trim_keep = keep;
    return script.trim_code ? scripted(script.trim_code, error) : store_memory_ops.trim_events(backend, keep, error);
}

static inline int scripted_rest(struct store_backend *backend, struct hf_error *error) {
    (void)backend;
    sem_post(&script.rests);
    return scripted(script.rest_code, error);
}

static struct store_backend_ops scripted_ops;

static inline struct hf_store *open_store(struct store_setup setup, const struct hf_store_options *options) {
    struct hf_store *store = NULL;
    assert_int_equal(store_memory_ops.open(os_real(), "", options, &setup.backend, &setup.backend_revision, NULL), 0);
    setup.backend->ops = &scripted_ops;
    assert_int_equal(store_open(NULL, options, &setup, &store, NULL), 0);
    return store;
}

/* A store whose commits wait for store_pump. */
static inline struct hf_store *open_pumped(void) {
    return open_store((struct store_setup){.without_thread = 1}, NULL);
}

static inline int reset(void **state) {
    (void)state;
    memset(&script, 0, sizeof script);
    sem_init(&script.rests, 0, 0);
    scripted_ops = store_memory_ops;
    scripted_ops.begin = scripted_begin;
    scripted_ops.put = scripted_put;
    scripted_ops.commit = scripted_commit;
    scripted_ops.abort = scripted_abort;
    scripted_ops.get = scripted_get;
    scripted_ops.trim_events = scripted_trim;
    scripted_ops.rest_now = scripted_rest;
    return 0;
}

/* ---- answers, in the order in which they came ---- */

struct answers {
    int count;
    struct answer {
        int number, code;
        struct hf_commit_result result;
        char message[512];
    } list[64];
};

struct ticket {
    struct answers *answers;
    int number;
};

static struct answers got;
static struct ticket tickets[64];

static inline void note(void *arg, int code, const struct hf_commit_result *result, const struct hf_error *error) {
    const struct ticket *ticket = arg;
    struct answer *answer = &ticket->answers->list[ticket->answers->count++];
    memset(answer, 0, sizeof *answer);
    answer->number = ticket->number;
    answer->code = code;
    assert_true((code == 0) == (result != NULL) && (code != 0) == (error != NULL));
    if (result)
        answer->result = *result;
    else
        memcpy(answer->message, error->message, sizeof answer->message);
}

static inline void put_later(struct hf_store *store, int number, const char *id, const char *json,
                             const struct hf_change_options *options) {
    struct hf_batch *batch = NULL;
    assert_int_equal(hf_batch_new("tester", &batch, NULL), 0);
    assert_int_equal(hf_batch_put(batch, "thing", id, json, strlen(json), options, NULL), 0);
    tickets[number] = (struct ticket){.answers = &got, .number = number};
    hf_store_commit_async(store, &batch, note, &tickets[number]);
    assert_null(batch);
}

static inline void expect(int place, int number, int code, uint64_t revision) {
    assert_true(place < got.count);
    assert_int_equal(got.list[place].number, number);
    assert_int_equal(got.list[place].code, code);
    assert_int_equal(got.list[place].result.revision, revision);
}

static inline int is_there(struct hf_store *store, const char *id) {
    struct hf_record *record = NULL;
    int code = hf_store_get(store, "thing", id, &record, NULL);
    hf_record_free(&record);
    return code == 0;
}

static inline int begin_answers(void **state) {
    memset(&got, 0, sizeof got);
    return reset(state);
}

#define T(name) cmocka_unit_test_setup(name, begin_answers)

#endif
