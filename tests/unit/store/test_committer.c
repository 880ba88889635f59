/* The committer and its groups, over the memory backend with calls that are counted and made to fail one by one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
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

static int scripted(int code, struct hf_error *error) {
    return code ? error_set(error, code, "as the script says") : 0;
}

static int scripted_begin(struct store_backend *backend, struct hf_error *error) {
    script.begins++;
    return script.begin_code ? scripted(script.begin_code, error) : store_memory_ops.begin(backend, error);
}

static int scripted_put(struct store_backend *backend, const struct store_change *change, struct hf_error *error) {
    script.puts++;
    if (script.put_fails_for && strcmp(script.put_fails_for, change->id) == 0 && script.put_fails_times-- > 0)
        return scripted(script.put_code, error);
    return store_memory_ops.put(backend, change, error);
}

static int scripted_commit(struct store_backend *backend, struct hf_error *error) {
    script.commits++;
    return script.commit_code ? scripted(script.commit_code, error) : store_memory_ops.commit(backend, error);
}

static void scripted_abort(struct store_backend *backend) {
    script.aborts++;
    store_memory_ops.abort(backend);
}

static int scripted_get(struct store_backend *backend, enum store_view view, const char *kind, const char *id,
                        int head_only, struct hf_record **ret_record, struct hf_error *error) {
    if (view == STORE_IN_TRANSACTION && script.get_code)
        return scripted(script.get_code, error);
    if (!head_only && script.damaged && strcmp(script.damaged, id) == 0)
        return scripted(HF_ERR_CORRUPT, error);
    return store_memory_ops.get(backend, view, kind, id, head_only, ret_record, error);
}

static int scripted_trim(struct store_backend *backend, uint64_t keep, struct hf_error *error) {
    script.trims++;
    script.trim_keep = keep;
    return script.trim_code ? scripted(script.trim_code, error) : store_memory_ops.trim_events(backend, keep, error);
}

static int scripted_rest(struct store_backend *backend, struct hf_error *error) {
    (void)backend;
    sem_post(&script.rests);
    return scripted(script.rest_code, error);
}

static struct store_backend_ops scripted_ops;

static struct hf_store *open_store(struct store_setup setup, const struct hf_store_options *options) {
    struct hf_store *store = NULL;
    assert_int_equal(store_memory_ops.open(os_real(), "", options, &setup.backend, &setup.backend_revision, NULL), 0);
    setup.backend->ops = &scripted_ops;
    assert_int_equal(store_open(NULL, options, &setup, &store, NULL), 0);
    return store;
}

/* A store whose commits wait for store_pump. */
static struct hf_store *open_pumped(void) {
    return open_store((struct store_setup){.without_thread = 1}, NULL);
}

static int reset(void **state) {
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

static void note(void *arg, int code, const struct hf_commit_result *result, const struct hf_error *error) {
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

static void put_later(struct hf_store *store, int number, const char *id, const char *json,
                      const struct hf_change_options *options) {
    struct hf_batch *batch = NULL;
    assert_int_equal(hf_batch_new("tester", &batch, NULL), 0);
    assert_int_equal(hf_batch_put(batch, "thing", id, json, strlen(json), options, NULL), 0);
    tickets[number] = (struct ticket){.answers = &got, .number = number};
    hf_store_commit_async(store, &batch, note, &tickets[number]);
    assert_null(batch);
}

static void expect(int place, int number, int code, uint64_t revision) {
    assert_true(place < got.count);
    assert_int_equal(got.list[place].number, number);
    assert_int_equal(got.list[place].code, code);
    assert_int_equal(got.list[place].result.revision, revision);
}

static int is_there(struct hf_store *store, const char *id) {
    struct hf_record *record = NULL;
    int code = hf_store_get(store, "thing", id, &record, NULL);
    hf_record_free(&record);
    return code == 0;
}

static int begin_answers(void **state) {
    memset(&got, 0, sizeof got);
    return reset(state);
}

/* ---- groups ---- */

static void test_what_waits_shares_a_transaction(void **state) {
    (void)state;
    struct hf_store *store = open_pumped();
    put_later(store, 0, "a", "1", NULL);
    put_later(store, 1, "b", "2", NULL);
    put_later(store, 2, "c", "3", NULL);
    assert_int_equal(got.count, 0);
    assert_false(is_there(store, "a"));
    assert_int_equal(store_pump(store), 3);
    assert_int_equal(script.begins, 1);
    assert_int_equal(script.commits, 1);
    for (int i = 0; i < 3; i++)
        expect(i, i, 0, (uint64_t)i + 1);
    assert_int_equal(hf_store_revision(store), 3);
    hf_store_close(&store);
}

static void test_a_group_has_at_most_max_group_batches(void **state) {
    (void)state;
    struct hf_store *store = open_store((struct store_setup){.without_thread = 1, .max_group = 2}, NULL);
    for (int i = 0; i < 5; i++)
        put_later(store, i, (char[]){(char)('a' + i), 0}, "1", NULL);
    assert_int_equal(store_pump(store), 2);
    assert_int_equal(store_pump(store), 2);
    assert_int_equal(store_pump(store), 1);
    assert_int_equal(store_pump(store), 0);
    assert_int_equal(script.commits, 3);
    hf_store_close(&store);
}

static void test_a_group_has_at_most_max_group_bytes_but_one_batch_always(void **state) {
    (void)state;
    struct hf_store *store = open_store((struct store_setup){.without_thread = 1, .max_group_bytes = 10}, NULL);
    put_later(store, 0, "a", "\"12345678901234567890\"", NULL);
    put_later(store, 1, "b", "12345", NULL);
    put_later(store, 2, "c", "12345", NULL);
    put_later(store, 3, "d", "1", NULL);
    assert_int_equal(store_pump(store), 1);
    assert_int_equal(store_pump(store), 2);
    assert_int_equal(store_pump(store), 1);
    hf_store_close(&store);
}

static void test_a_refused_batch_leaves_the_others_alone(void **state) {
    (void)state;
    struct hf_store *store = open_pumped();
    const struct hf_change_options absent = {.condition = HF_IF_ABSENT};
    put_later(store, 0, "a", "1", NULL);
    put_later(store, 1, "a", "2", &absent); /* sees what the group did before it */
    put_later(store, 2, "b", "3", &absent);
    store_pump(store);
    expect(0, 0, 0, 1);
    expect(1, 1, HF_ERR_EXISTS, 0);
    expect(2, 2, 0, 2);
    assert_int_equal(script.commits, 1);
    assert_int_equal(script.puts, 2);
    assert_non_null(strstr(got.list[1].message, "commit: put 'thing/a': "));
    hf_store_close(&store);
}

static void test_nothing_to_write_makes_no_commit(void **state) {
    (void)state;
    struct hf_store *store = open_pumped();
    put_later(store, 0, "a", "{\"x\":1}", NULL);
    store_pump(store);
    put_later(store, 1, "a", "{ \"x\" : 1 }", NULL);
    store_pump(store);
    expect(1, 1, 0, 1);
    assert_int_equal(got.list[1].result.changed, 0);
    assert_int_equal(script.commits, 1);
    assert_int_equal(script.aborts, 1);
    hf_store_close(&store);
}

static void test_one_batch_that_finds_no_room_does_not_fail_the_others(void **state) {
    (void)state;
    struct hf_store *store = open_pumped();
    script.put_fails_for = "b";
    script.put_code = HF_ERR_NO_SPACE;
    script.put_fails_times = 2; /* in the group, and alone */
    put_later(store, 0, "a", "1", NULL);
    put_later(store, 1, "b", "2", NULL);
    put_later(store, 2, "c", "3", NULL);
    store_pump(store);
    expect(0, 0, 0, 1);
    expect(1, 1, HF_ERR_NO_SPACE, 0);
    expect(2, 2, 0, 2);
    assert_true(is_there(store, "a") && !is_there(store, "b") && is_there(store, "c"));
    assert_int_equal(store_health(store, NULL), 0);
    put_later(store, 3, "b", "2", NULL);
    store_pump(store);
    expect(3, 3, 0, 3);
    hf_store_close(&store);
}

static void test_a_batch_that_fails_in_the_middle_leaves_no_trace(void **state) {
    (void)state;
    struct hf_store *store = open_pumped();
    struct hf_batch *batch = NULL;
    struct hf_error error = {0};
    script.put_fails_for = "b";
    script.put_code = HF_ERR_NO_MEMORY;
    script.put_fails_times = 1;
    assert_int_equal(hf_batch_new(NULL, &batch, NULL), 0);
    assert_int_equal(hf_batch_put(batch, "thing", "a", "1", 1, NULL, NULL), 0);
    assert_int_equal(hf_batch_put(batch, "thing", "b", "1", 1, NULL, NULL), 0);
    assert_int_equal(hf_store_commit(store, &batch, NULL, &error), HF_ERR_NO_MEMORY);
    assert_string_equal(error.message, "commit: put 'thing/b': as the script says");
    assert_false(is_there(store, "a"));
    assert_int_equal(hf_store_revision(store), 0);
    hf_store_close(&store);
}

static void test_a_commit_without_room_fails_the_whole_group_and_the_store_works_on(void **state) {
    (void)state;
    static const int codes[] = {HF_ERR_NO_SPACE, HF_ERR_QUOTA, HF_ERR_READ_ONLY, HF_ERR_NO_MEMORY};
    const struct hf_change_options absent = {.condition = HF_IF_ABSENT};
    for (int i = 0; i < 4; i++) {
        begin_answers(NULL);
        struct hf_store *store = open_pumped();
        script.commit_code = codes[i];
        put_later(store, 0, "a", "1", NULL);
        put_later(store, 1, "a", "2", &absent); /* would be EXISTS, had the first come about */
        put_later(store, 2, "a", "1", NULL);    /* would be unchanged */
        store_pump(store);
        for (int k = 0; k < 3; k++)
            expect(k, k, codes[i], 0);
        assert_int_equal(script.commits, 1);
        assert_int_equal(script.aborts, 1);
        assert_int_equal(hf_store_revision(store), 0);
        script.commit_code = 0;
        put_later(store, 3, "a", "1", NULL);
        store_pump(store);
        expect(3, 3, 0, 1);
        hf_store_close(&store);
    }
}

static void test_a_begin_without_room_is_tried_for_each(void **state) {
    (void)state;
    struct hf_store *store = open_pumped();
    script.begin_code = HF_ERR_READ_ONLY;
    put_later(store, 0, "a", "1", NULL);
    put_later(store, 1, "b", "1", NULL);
    store_pump(store);
    expect(0, 0, HF_ERR_READ_ONLY, 0);
    expect(1, 1, HF_ERR_READ_ONLY, 0);
    assert_int_equal(script.aborts, 0);
    assert_int_equal(store_health(store, NULL), 0);
    hf_store_close(&store);
}

/* ---- the store stops ---- */

static void check_stopped(struct hf_store *store) {
    struct hf_error error = {0};
    int begins = script.begins, commits = script.commits, aborts = script.aborts, puts = script.puts;
    assert_int_equal(store_health(store, &error), HF_ERR_FAILED);
    assert_string_equal(error.message, "the store stopped: as the script says");
    assert_non_null(strstr(error.hint, "restart the daemon"));
    assert_int_equal(hf_store_put(store, "thing", "later", "1", 1, NULL, &error), HF_ERR_FAILED);
    assert_string_equal(error.message, "commit: the store stopped: as the script says");
    assert_non_null(strstr(error.hint, "restart the daemon"));
    store_pump(store);
    assert_int_equal(sem_trywait(&script.rests), -1);
    assert_true(begins == script.begins && commits == script.commits && aborts == script.aborts && puts == script.puts);
    assert_true(is_there(store, "before"));
}

static void test_an_unknown_outcome_of_commit_stops_the_store(void **state) {
    (void)state;
    struct hf_store *store = open_pumped();
    assert_int_equal(hf_store_put(store, "thing", "before", "1", 1, NULL, NULL), 0);
    script.commit_code = HF_ERR_IO;
    put_later(store, 0, "a", "1", NULL);
    put_later(store, 1, "b", "1", NULL);
    store_pump(store);
    expect(0, 0, HF_ERR_FAILED, 0);
    expect(1, 1, HF_ERR_FAILED, 0);
    assert_string_equal(got.list[0].message, "commit: the store stopped: as the script says");
    assert_int_equal(script.aborts, 0);
    assert_int_equal(hf_store_revision(store), 1);
    script.commit_code = 0;
    check_stopped(store);
    hf_store_close(&store);
}

static void test_what_waits_when_the_store_stops_is_answered_failed(void **state) {
    (void)state;
    struct hf_store *store = open_store((struct store_setup){.without_thread = 1, .max_group = 1}, NULL);
    script.commit_code = HF_ERR_IO;
    put_later(store, 0, "a", "1", NULL);
    put_later(store, 1, "b", "1", NULL);
    store_pump(store);
    script.commit_code = 0;
    store_pump(store);
    expect(0, 0, HF_ERR_FAILED, 0);
    expect(1, 1, HF_ERR_FAILED, 0);
    assert_int_equal(script.commits, 1);
    hf_store_close(&store);
}

static void test_an_io_error_before_commit_stops_the_store_after_an_abort(void **state) {
    (void)state;
    struct hf_store *store = open_pumped();
    assert_int_equal(hf_store_put(store, "thing", "before", "1", 1, NULL, NULL), 0);
    script.put_fails_for = "b";
    script.put_code = HF_ERR_IO;
    script.put_fails_times = 1;
    put_later(store, 0, "a", "1", NULL);
    put_later(store, 1, "b", "1", NULL);
    store_pump(store);
    expect(0, 0, HF_ERR_FAILED, 0);
    expect(1, 1, HF_ERR_FAILED, 0);
    assert_int_equal(script.aborts, 1);
    assert_false(is_there(store, "a"));
    assert_int_equal(hf_store_put(store, "thing", "later", "1", 1, NULL, NULL), HF_ERR_FAILED);
    hf_store_close(&store);
}

/* The group meets a put without room; then each is on its own, and the third one's commit has an unknown outcome. */
static int commit_until_third(struct store_backend *backend, struct hf_error *error) {
    if (++script.commits == 3)
        return scripted(HF_ERR_IO, error);
    return store_memory_ops.commit(backend, error);
}

static void test_what_went_through_before_the_store_stopped_stays_acknowledged(void **state) {
    (void)state;
    struct hf_store *store = open_pumped();
    scripted_ops.commit = commit_until_third;
    script.put_fails_for = "b";
    script.put_code = HF_ERR_NO_SPACE;
    script.put_fails_times = 1;
    for (int i = 0; i < 4; i++)
        put_later(store, i, (char[]){(char)('a' + i), 0}, "1", NULL);
    store_pump(store);
    expect(0, 0, 0, 1);
    expect(1, 1, 0, 2);
    expect(2, 2, HF_ERR_FAILED, 0);
    expect(3, 3, HF_ERR_FAILED, 0);
    assert_true(is_there(store, "a") && is_there(store, "b") && !is_there(store, "d"));
    assert_int_equal(hf_store_revision(store), 2);
    hf_store_close(&store);
}

static void test_a_read_error_inside_a_transaction_stops_the_store(void **state) {
    (void)state;
    struct hf_store *store = open_pumped();
    script.get_code = HF_ERR_IO;
    assert_int_equal(hf_store_put(store, "thing", "a", "1", 1, NULL, NULL), HF_ERR_FAILED);
    assert_int_equal(script.puts, 0);
    assert_int_equal(script.aborts, 1);
    hf_store_close(&store);
}

/* ---- damaged records ---- */

static void test_a_damaged_record_is_mended_by_putting_it_again(void **state) {
    (void)state;
    struct hf_store *store = open_pumped();
    struct hf_commit_result result;
    assert_int_equal(hf_store_put(store, "thing", "a", "1", 1, NULL, NULL), 0);
    script.damaged = "a";
    assert_int_equal(hf_store_put(store, "thing", "a", "1", 1, &result, NULL), 0);
    assert_int_equal(result.changed, 1);
    assert_int_equal(result.revision, 2);
    script.damaged = NULL;
    assert_true(is_there(store, "a"));
    hf_store_close(&store);
}

static void test_a_record_without_a_readable_head_meets_no_revision(void **state) {
    (void)state;
    struct hf_store *store = open_pumped();
    struct hf_batch *batch = NULL;
    struct hf_change_options at_1 = {.condition = HF_IF_REVISION, .if_revision = 1};
    assert_int_equal(hf_store_put(store, "thing", "a", "1", 1, NULL, NULL), 0);
    script.get_code = HF_ERR_CORRUPT;
    assert_int_equal(hf_batch_new(NULL, &batch, NULL), 0);
    assert_int_equal(hf_batch_put(batch, "thing", "a", "2", 1, &at_1, NULL), 0);
    assert_int_equal(hf_store_commit(store, &batch, NULL, NULL), HF_ERR_CORRUPT);
    assert_int_equal(hf_store_put(store, "thing", "a", "2", 1, NULL, NULL), 0);
    assert_int_equal(store_health(store, NULL), 0);
    hf_store_close(&store);
}

/* ---- order, idle work, the end ---- */

static void note_watch(void *arg, uint64_t revision) {
    struct answers *answers = arg;
    struct answer *answer = &answers->list[answers->count++];
    memset(answer, 0, sizeof *answer);
    answer->number = -1;
    answer->result.revision = revision;
}

static void test_batches_are_answered_in_order_and_then_the_watches(void **state) {
    (void)state;
    struct hf_store *store = open_pumped();
    struct hf_watch *watch = NULL;
    const struct hf_change_options absent = {.condition = HF_IF_ABSENT};
    assert_int_equal(hf_store_watch(store, note_watch, &got, &watch, NULL), 0);
    put_later(store, 0, "a", "1", NULL);
    put_later(store, 1, "b", "1", NULL);
    store_pump(store);
    put_later(store, 2, "a", "1", &absent);
    store_pump(store);
    expect(0, 0, 0, 1);
    expect(1, 1, 0, 2);
    expect(2, -1, 0, 2);
    expect(3, 2, HF_ERR_EXISTS, 0);
    assert_int_equal(got.count, 4); /* no watch for a group that changed nothing */
    hf_watch_close(&watch);
    hf_store_close(&store);
}

static void test_a_bad_document_is_refused_at_once(void **state) {
    (void)state;
    struct hf_store *store = open_pumped();
    put_later(store, 0, "a", "{", NULL);
    expect(0, 0, HF_ERR_BAD_JSON, 0);
    assert_int_equal(store_pump(store), 0);
    hf_store_close(&store);
}

static void test_events_are_trimmed_every_1024_commits(void **state) {
    (void)state;
    struct hf_store_options options = {.struct_bytes = sizeof options, .events_keep = 77};
    struct hf_store *store = open_store((struct store_setup){.without_thread = 1}, &options);
    char json[16];
    for (int i = 1; i <= 1024; i++) {
        assert_int_equal(script.trims, 0);
        int bytes = snprintf(json, sizeof json, "%d", i);
        assert_int_equal(hf_store_put(store, "thing", "a", json, (size_t)bytes, NULL, NULL), 0);
    }
    assert_int_equal(script.trims, 1);
    assert_int_equal(script.trim_keep, 77);
    script.trim_code = HF_ERR_NO_SPACE; /* put off, and nobody's failure */
    for (int i = 1; i <= 1024; i++) {
        int bytes = snprintf(json, sizeof json, "%d", i);
        assert_int_equal(hf_store_put(store, "thing", "a", json, (size_t)bytes, NULL, NULL), 0);
    }
    assert_int_equal(script.trims, 2);
    assert_int_equal(script.begins, 2048 + 2);
    assert_int_equal(script.commits + script.aborts, 2048 + 2);
    assert_int_equal(store_health(store, NULL), 0);
    hf_store_close(&store);
}

/* Otherwise a store that is never open for 1,024 commits would keep all events. */
static void test_short_lives_count_together_for_trimming(void **state) {
    (void)state;
    enum { COMMITS = 600 };
    char json[16];
    for (uint64_t life = 0; life < 4; life++) {
        struct store_setup setup = {.without_thread = 1};
        struct hf_store *store = NULL;
        assert_int_equal(store_memory_ops.open(os_real(), "", NULL, &setup.backend, &setup.backend_revision, NULL), 0);
        setup.backend->ops = &scripted_ops;
        setup.backend_revision = life * COMMITS;
        assert_int_equal(store_open(NULL, NULL, &setup, &store, NULL), 0);
        for (int i = 0; i < COMMITS; i++) {
            int bytes = snprintf(json, sizeof json, "%d", i);
            assert_int_equal(hf_store_put(store, "thing", "a", json, (size_t)bytes, NULL, NULL), 0);
        }
        hf_store_close(&store);
    }
    assert_int_equal(script.trims, 2); /* at 1,024 and at 2,048 */
}

static void test_the_backend_rests_when_nothing_waits(void **state) {
    (void)state;
    struct hf_store *store = open_pumped();
    assert_int_equal(hf_store_put(store, "thing", "a", "1", 1, NULL, NULL), 0);
    assert_int_equal(sem_trywait(&script.rests), -1);
    assert_int_equal(store_pump(store), 0);
    assert_int_equal(sem_trywait(&script.rests), 0);
    script.rest_code = HF_ERR_NO_SPACE;
    store_pump(store);
    assert_int_equal(store_health(store, NULL), 0);
    script.rest_code = HF_ERR_IO;
    store_pump(store);
    assert_int_equal(store_health(store, NULL), HF_ERR_FAILED);
    hf_store_close(&store);
}

static void test_the_thread_rests_once_after_work(void **state) {
    (void)state;
    struct hf_store *store = open_store((struct store_setup){.without_thread = 0}, NULL);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(hf_store_put(store, "thing", "a", i ? "1" : "2", 1, NULL, NULL), 0);
        while (sem_wait(&script.rests) != 0)
            continue;
    }
    hf_store_close(&store);
    assert_int_equal(sem_trywait(&script.rests), -1);
}

static void close_finishes(struct store_setup setup) {
    struct hf_store *store = open_store(setup, NULL);
    for (int i = 0; i < 50; i++)
        put_later(store, i, (char[]){(char)('A' + i), 0}, "1", NULL);
    hf_store_close(&store);
    assert_int_equal(got.count, 50);
    for (int i = 0; i < 50; i++)
        expect(i, i, 0, (uint64_t)i + 1);
}

static void test_close_finishes_what_waits(void **state) {
    close_finishes((struct store_setup){.without_thread = 1, .max_group = 3});
    begin_answers(state);
    close_finishes((struct store_setup){.max_group = 3});
}

static void test_a_watch_may_be_closed_after_its_store(void **state) {
    (void)state;
    struct hf_store *store = open_pumped();
    struct hf_watch *watch = NULL;
    assert_int_equal(hf_store_watch(store, note_watch, &got, &watch, NULL), 0);
    hf_store_close(&store);
    hf_watch_close(&watch);
    assert_null(watch);
}

#define T(name) cmocka_unit_test_setup(name, begin_answers)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(test_what_waits_shares_a_transaction),
        T(test_a_group_has_at_most_max_group_batches),
        T(test_a_group_has_at_most_max_group_bytes_but_one_batch_always),
        T(test_a_refused_batch_leaves_the_others_alone),
        T(test_nothing_to_write_makes_no_commit),
        T(test_one_batch_that_finds_no_room_does_not_fail_the_others),
        T(test_a_batch_that_fails_in_the_middle_leaves_no_trace),
        T(test_a_commit_without_room_fails_the_whole_group_and_the_store_works_on),
        T(test_a_begin_without_room_is_tried_for_each),
        T(test_an_unknown_outcome_of_commit_stops_the_store),
        T(test_what_waits_when_the_store_stops_is_answered_failed),
        T(test_an_io_error_before_commit_stops_the_store_after_an_abort),
        T(test_what_went_through_before_the_store_stopped_stays_acknowledged),
        T(test_a_read_error_inside_a_transaction_stops_the_store),
        T(test_a_damaged_record_is_mended_by_putting_it_again),
        T(test_a_record_without_a_readable_head_meets_no_revision),
        T(test_batches_are_answered_in_order_and_then_the_watches),
        T(test_a_bad_document_is_refused_at_once),
        T(test_events_are_trimmed_every_1024_commits),
        T(test_short_lives_count_together_for_trimming),
        T(test_the_backend_rests_when_nothing_waits),
        T(test_the_thread_rests_once_after_work),
        T(test_close_finishes_what_waits),
        T(test_a_watch_may_be_closed_after_its_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
