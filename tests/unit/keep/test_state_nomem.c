/* Every allocation of every verb fails once, and then for ever from there on: the verb says that memory is used up, and
 * nothing else; nothing of what it was to do was done. Linked with --wrap for malloc, calloc and realloc. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fault/failing_memory.h"
#include "keep/state.h"
#include "store/store.h"

typedef int (*verb_call)(struct hf_store *store, struct buf *answer, struct hf_error *error);

static const struct state_caller ME = {.who = "me"};
#define TEXT(text) text, sizeof(text) - 1

static int list(struct hf_store *store, struct buf *answer, struct hf_error *error) {
    return state_list(store, NULL, 0, answer, error);
}

static int show(struct hf_store *store, struct buf *answer, struct hf_error *error) {
    return state_show(store, "a", answer, error);
}

static int get(struct hf_store *store, struct buf *answer, struct hf_error *error) {
    return state_get(store, "a", 0, 0, answer, error);
}

static int log_of(struct hf_store *store, struct buf *answer, struct hf_error *error) {
    return state_log(store, "a", 0, answer, error);
}

static int runs(struct hf_store *store, struct buf *answer, struct hf_error *error) {
    return state_runs(store, "r", 0, answer, error);
}

static int diff(struct hf_store *store, struct buf *answer, struct hf_error *error) {
    return state_diff(store, "a", 0, 0, answer, error);
}

static int set(struct hf_store *store, struct buf *answer, struct hf_error *error) {
    return state_set(store, &ME, "a", TEXT("{\"base64\":\"gAJOLg==\",\"note\":\"n\",\"if_version\":2}"), answer, error);
}

static int merge(struct hf_store *store, struct buf *answer, struct hf_error *error) {
    return state_merge(store, &ME, "a", TEXT("{\"patch\":{\"m\":{\"o\":1}},\"if_version\":2}"), answer, error);
}

static int commit(struct hf_store *store, struct buf *answer, struct hf_error *error) {
    return state_commit(store, &ME, "a",
                        TEXT("{\"value\":5,\"records\":[{\"kind\":\"item\",\"id\":\"1\",\"doc\":1}],\"if_version\":2}"),
                        answer, error);
}

static int rollback(struct hf_store *store, struct buf *answer, struct hf_error *error) {
    return state_rollback(store, &ME, "a", 1, 0, 0, answer, error);
}

static int copy(struct hf_store *store, struct buf *answer, struct hf_error *error) {
    return state_copy(store, &ME, "a", "b", 1, answer, error);
}

static int move(struct hf_store *store, struct buf *answer, struct hf_error *error) {
    return state_move(store, &ME, "a", "b", answer, error);
}

static int clear(struct hf_store *store, struct buf *answer, struct hf_error *error) {
    return state_clear(store, &ME, "a", 0, 0, answer, error);
}

static int keep(struct hf_store *store, struct buf *answer, struct hf_error *error) {
    return state_keep(store, &ME, "a", TEXT("{\"versions\":1}"), answer, error);
}

static int export(struct hf_store *store, struct buf *answer, struct hf_error *error) {
    return state_export(store, "a", 0, answer, error);
}

static struct buf exported; /* of the state "a" */

static int import(struct hf_store *store, struct buf *answer, struct hf_error *error) {
    return state_import(store, &ME, "b", exported.data, exported.size, 0, answer, error);
}

static int begin(struct hf_store *store, struct buf *answer, struct hf_error *error) {
    const struct state_caller owner = {.who = "me", .pid = getpid()};
    return state_run_begin(store, &owner, "a", TEXT("{\"reason\":\"r\",\"command\":[\"c\"]}"), answer, error);
}

static int end(struct hf_store *store, struct buf *answer, struct hf_error *error) {
    return state_run_end(store, &ME, "r", TEXT("{\"fence\":1,\"value\":7,\"output_tail\":\"t\"}"), answer, error);
}

static int renew(struct hf_store *store, struct buf *answer, struct hf_error *error) {
    return state_run_renew(store, "r", TEXT("{\"fence\":1}"), answer, error);
}

/* "a" has two versions and an ended run, "r" has a run that goes on. */
static struct hf_store *open_sample(void) {
    static const struct store_setup SETUP = {.without_thread = 1};
    const struct state_caller owner = {.who = "me", .pid = getpid()};
    struct hf_store *store = NULL;
    struct buf answer;
    buf_init(&answer);
    assert_int_equal(store_open("memory:", NULL, &SETUP, &store, NULL), 0);
    assert_int_equal(state_declare_kinds(store, NULL), 0);
    assert_int_equal(state_run_begin(store, &owner, "a", TEXT("{}"), &answer, NULL), 0);
    assert_int_equal(state_set(store, &ME, "a", TEXT("{\"value\":{\"n\":1},\"fence\":1}"), &answer, NULL), 0);
    assert_int_equal(state_run_end(store, &ME, "a", TEXT("{\"fence\":1,\"value\":{\"n\":2}}"), &answer, NULL), 0);
    assert_int_equal(state_run_begin(store, &owner, "r", TEXT("{\"ttl_ms\":100000}"), &answer, NULL), 0);
    buf_fini(&answer);
    return store;
}

/* 0 when it ran through without reaching the allocation that fails. */
static int run_once(verb_call verb, uint64_t at, int for_ever) {
    struct hf_error error = {0};
    struct buf answer;
    struct hf_store *store = open_sample();
    buf_init(&answer);
    failing_memory_set(at, for_ever);
    int code = verb(store, &answer, &error);
    int is_reached = failing_memory_count() >= at;
    failing_memory_heal();
    if (code != 0 && (!is_reached || code != HF_ERR_NO_MEMORY || error.code != code || !error.message[0]))
        fail_msg("allocation %llu: %d: %s", (unsigned long long)at, code, error.message);
    buf_fini(&answer);
    buf_init(&answer);
    assert_int_equal(state_list(store, NULL, 0, &answer, &error), 0); /* works on, and no head is without its version */
    assert_null(strstr(answer.data, "error"));
    buf_fini(&answer);
    hf_store_close(&store);
    return is_reached;
}

static void sweep(verb_call verb) {
    for (int for_ever = 0; for_ever < 2; for_ever++)
        for (uint64_t at = 1; run_once(verb, at, for_ever);)
            at++;
}

static void test_reading(void **state) {
    (void)state;
    const verb_call verbs[] = {list, show, get, log_of, runs, diff, export};
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
        sweep(verbs[i]);
}

static void test_saving(void **state) {
    (void)state;
    const verb_call verbs[] = {set, merge, commit, rollback, keep};
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
        sweep(verbs[i]);
}

static void test_moving(void **state) {
    (void)state;
    struct hf_store *store = open_sample();
    buf_init(&exported);
    assert_int_equal(state_export(store, "a", 0, &exported, NULL), 0);
    hf_store_close(&store);
    const verb_call verbs[] = {copy, move, clear, import};
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
        sweep(verbs[i]);
    buf_fini(&exported);
}

static void test_runs(void **state) {
    (void)state;
    const verb_call verbs[] = {begin, renew, end};
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
        sweep(verbs[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reading),
        cmocka_unit_test(test_saving),
        cmocka_unit_test(test_moving),
        cmocka_unit_test(test_runs),
    };
    return cmocka_run_group_tests_name("keep/state_nomem", tests, NULL, NULL);
}
