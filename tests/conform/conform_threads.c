/* Many callers at once; and what an unknown outcome leaves. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conform.h"

enum { CALLERS = 64, COMMITS = 20 };

struct caller {
    struct conform *c;
    pthread_t thread;
    int number;
    int acknowledged; /* its first so many commits */
    uint64_t revisions[COMMITS];
    int code; /* that ended it, or 0 */
};

static void describe(const struct caller *caller, int commit, char ids[2][32]) {
    snprintf(ids[0], 32, "%02d-%02d-a", caller->number, commit);
    snprintf(ids[1], 32, "%02d-%02d-b", caller->number, commit);
}

/* Two records and a counter of its own in one batch. */
static int commit_once(struct caller *caller, int commit) {
    struct hf_batch *batch = NULL;
    struct hf_commit_result result;
    char ids[2][32], own[16], json[16];
    describe(caller, commit, ids);
    snprintf(own, sizeof own, "%02d", caller->number);
    snprintf(json, sizeof json, "%d", commit + 1);
    int code = hf_batch_new("caller", &batch, NULL);
    for (int i = 0; i < 2 && code == 0; i++)
        code = hf_batch_put(batch, "pair", ids[i], json, strlen(json), NULL, NULL);
    if (code == 0)
        code = hf_batch_put(batch, "counter", own, json, strlen(json), NULL, NULL);
    if (code == 0)
        code = hf_store_commit(caller->c->store, &batch, &result, NULL);
    hf_batch_free(&batch);
    if (code == 0)
        caller->revisions[commit] = result.revision;
    return code;
}

static void *call(void *arg) {
    struct caller *caller = arg;
    while (caller->acknowledged < COMMITS) {
        int code = commit_once(caller, caller->acknowledged);
        if (code == 0)
            caller->acknowledged++;
        else if (!conform_is_flake(caller->c, code)) {
            caller->code = code;
            break;
        }
    }
    return NULL;
}

static void run_callers(struct conform *c, struct caller callers[CALLERS]) {
    for (int i = 0; i < CALLERS; i++) {
        callers[i] = (struct caller){.c = c, .number = i};
        assert_int_equal(pthread_create(&callers[i].thread, NULL, call, &callers[i]), 0);
    }
    for (int i = 0; i < CALLERS; i++)
        pthread_join(callers[i].thread, NULL);
}

static void check_acknowledged(struct conform *c, const struct caller *caller) {
    char ids[2][32], json[16];
    for (int commit = 0; commit < caller->acknowledged; commit++) {
        describe(caller, commit, ids);
        snprintf(json, sizeof json, "%d", commit + 1);
        expect_json(c, "pair", ids[0], json);
        expect_json(c, "pair", ids[1], json);
    }
}

static int compare_u64(const void *a, const void *b) {
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return left < right ? -1 : left > right;
}

static void sixty_four_callers_commit_at_once(struct conform *c) {
    static struct caller callers[CALLERS];
    static uint64_t revisions[CALLERS * COMMITS];
    run_callers(c, callers);
    for (int i = 0; i < CALLERS; i++)
        if (callers[i].code == HF_ERR_FAILED)
            conform_start_again(c);
    for (int i = 0; i < CALLERS; i++) {
        assert_int_equal(callers[i].acknowledged, COMMITS);
        check_acknowledged(c, &callers[i]);
        memcpy(&revisions[i * COMMITS], callers[i].revisions, sizeof callers[i].revisions);
    }
    qsort(revisions, CALLERS * COMMITS, sizeof revisions[0], compare_u64);
    for (uint64_t i = 0; i < CALLERS * COMMITS; i++)
        assert_int_equal(revisions[i], i + 1);
    assert_int_equal(hf_store_revision(c->store), CALLERS * COMMITS);
}

/* ---- readers ---- */

struct reader {
    struct conform *c;
    atomic_int *stop;
    pthread_t thread;
    int torn, stale, passes;
};

struct pair_check {
    char first[16];
    int torn, rows;
};

static int check_pair(void *arg, const struct hf_record *record, int code) {
    struct pair_check *check = arg;
    if (code != 0)
        check->torn++;
    else if (check->rows++ == 0)
        snprintf(check->first, sizeof check->first, "%s", record->json);
    else if (strcmp(check->first, record->json) != 0)
        check->torn++;
    return 0;
}

/* All records of the kind always have the same document, and it only grows. */
static void *read_on(void *arg) {
    struct reader *reader = arg;
    long newest = 0;
    while (!atomic_load(reader->stop)) {
        struct pair_check check = {.rows = 0};
        if (hf_store_scan(reader->c->store, "same", NULL, 0, check_pair, &check, NULL) != 0)
            continue;
        reader->torn += check.torn + (check.rows != 0 && check.rows != 3);
        long now = check.rows ? strtol(check.first, NULL, 10) : 0;
        reader->stale += now < newest;
        newest = now;
        reader->passes++;
    }
    return NULL;
}

static void readers_see_whole_batches(struct conform *c) {
    struct reader readers[3];
    atomic_int stop = 0;
    char json[16];
    for (int i = 0; i < 3; i++) {
        readers[i] = (struct reader){.c = c, .stop = &stop};
        assert_int_equal(pthread_create(&readers[i].thread, NULL, read_on, &readers[i]), 0);
    }
    int code = 0;
    for (int i = 1; i <= 200 && code == 0; i++) {
        struct hf_batch *batch = NULL;
        snprintf(json, sizeof json, "%d", i);
        assert_int_equal(hf_batch_new(NULL, &batch, NULL), 0);
        for (int k = 0; k < 3; k++)
            assert_int_equal(hf_batch_put(batch, "same", (char[]){(char)('a' + k), 0}, json, strlen(json), NULL, NULL),
                             0);
        code = hf_store_commit(c->store, &batch, NULL, NULL);
        if (conform_is_flake(c, code))
            code = 0;
    }
    atomic_store(&stop, 1);
    for (int i = 0; i < 3; i++)
        pthread_join(readers[i].thread, NULL);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(readers[i].torn, 0);
        assert_int_equal(readers[i].stale, 0);
    }
    if (code != 0)
        assert_int_equal(code, HF_ERR_FAILED);
}

/* ---- after an unknown outcome ---- */

/* A caller's first unacknowledged commit is there whole or not at all, and nothing later is. */
static void check_unacknowledged(struct conform *c, const struct caller *caller) {
    for (int commit = caller->acknowledged; commit < COMMITS; commit++) {
        struct hf_record *first = NULL, *second = NULL;
        char ids[2][32];
        describe(caller, commit, ids);
        int first_code = get(c, "pair", ids[0], &first), second_code = get(c, "pair", ids[1], &second);
        hf_record_free(&first);
        hf_record_free(&second);
        assert_int_equal(first_code, second_code);
        assert_true(first_code == HF_ERR_NOT_FOUND || (first_code == 0 && commit == caller->acknowledged));
    }
}

static void an_unknown_outcome_leaves_all_or_nothing(struct conform *c) {
    static struct caller callers[CALLERS];
    struct hf_error error = {0};
    run_callers(c, callers);
    if (c->is_failing && store_health(c->store, &error) == 0)
        conform_start_again(c); /* this seed has none */
    if (c->is_failing)
        assert_non_null(strstr(error.message, "the store stopped"));
    if (c->is_durable)
        conform_reopen(c, NULL);
    for (int i = 0; i < CALLERS; i++) {
        if (c->is_failing)
            assert_true(callers[i].code == HF_ERR_FAILED || callers[i].acknowledged == COMMITS);
        check_acknowledged(c, &callers[i]);
        check_unacknowledged(c, &callers[i]);
    }
}

const struct conform_case conform_thread_cases[] = {
    {"64 callers commit at once", sixty_four_callers_commit_at_once, 20000},
    {"readers see whole batches", readers_see_whole_batches, 0},
    {"an unknown outcome leaves all or nothing", an_unknown_outcome_leaves_all_or_nothing, 100},
    {NULL, NULL, 0},
};
