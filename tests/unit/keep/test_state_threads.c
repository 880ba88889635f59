/* One state, many threads: nothing is lost, nobody comes between, one has the lease. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "holdfast.h"

enum { THREADS = 6, STEPS = 40 };

struct crew {
    struct hf_store *store;
    atomic_int holders, most_holders, wrong;
};

static void run_crew(struct crew *crew, void *(*work)(void *arg)) {
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, crew), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&crew->wrong), 0);
}

/* The number that is saved, and its version: 0 and 0 when nothing was. */
static long load(struct crew *crew, uint64_t *ret_version) {
    struct hf_state_value *value = NULL;
    if (hf_state_default(crew->store, "x", "0", 1, &value, NULL) != 0) {
        atomic_fetch_add(&crew->wrong, 1);
        return 0;
    }
    long number = strtol(value->bytes, NULL, 10);
    *ret_version = value->version;
    hf_state_value_free(&value);
    return number;
}

static int save(struct crew *crew, long number, const struct hf_state_save_options *options) {
    char text[32];
    snprintf(text, sizeof text, "%ld", number);
    return hf_state_save(crew->store, "x", text, strlen(text), options, NULL, NULL);
}

static void *raise_by_version(void *arg) {
    struct crew *crew = arg;
    for (int i = 0; i < STEPS;) {
        struct hf_state_save_options options = {.struct_bytes = sizeof options, .basis = HF_STATE_IF_VERSION};
        long number = load(crew, &options.if_version);
        int code = save(crew, number + 1, &options);
        if (code != 0 && code != HF_ERR_PRECONDITION)
            atomic_fetch_add(&crew->wrong, 1);
        if (code != HF_ERR_PRECONDITION)
            i++;
    }
    return NULL;
}

static void expect_number(struct crew *crew, long number, uint64_t version) {
    uint64_t found = 0;
    assert_int_equal(load(crew, &found), number);
    assert_int_equal(found, version);
}

static void open_crew(struct crew *crew, const char *url) {
    struct hf_error error = {0};
    *crew = (struct crew){.store = NULL};
    if (hf_store_open(url, NULL, &crew->store, &error) != 0)
        fail_msg("%s", error.message);
}

static void test_each_step_counts_once(void **state) {
    struct crew crew;
    open_crew(&crew, *state);
    run_crew(&crew, raise_by_version);
    expect_number(&crew, THREADS * STEPS, THREADS * STEPS);
    hf_store_close(&crew.store);
}

/* Threads of one process are one owner to the kernel, so a lease that is taken is not free for the next of them. */
static void *raise_by_lease(void *arg) {
    struct crew *crew = arg;
    for (int i = 0; i < STEPS;) {
        struct hf_state_lease *lease = NULL;
        uint64_t version;
        int code = hf_state_lease_take(crew->store, "x", NULL, &lease, NULL);
        if (code == HF_ERR_CONFLICT) {
            sched_yield();
            continue;
        }
        if (code != 0 || atomic_fetch_add(&crew->holders, 1) != 0)
            atomic_fetch_add(&crew->wrong, 1);
        const struct hf_state_save_options options = {.struct_bytes = sizeof options, .lease = lease};
        code = save(crew, load(crew, &version) + 1, &options);
        atomic_fetch_sub(&crew->holders, 1);
        if (code != 0 || hf_state_lease_release(crew->store, &lease, NULL, NULL) != 0)
            atomic_fetch_add(&crew->wrong, 1);
        i++;
    }
    return NULL;
}

static void test_one_holds_the_lease(void **state) {
    struct crew crew;
    open_crew(&crew, *state);
    run_crew(&crew, raise_by_lease);
    expect_number(&crew, THREADS * STEPS, THREADS * STEPS);
    hf_store_close(&crew.store);
}

/* Everybody steals: a save is taken only while the lease is the saver's, so no number comes twice. */
static void *raise_by_theft(void *arg) {
    struct crew *crew = arg;
    for (int i = 0; i < STEPS; i++) {
        const struct hf_state_lease_options theft = {.struct_bytes = sizeof theft, .steal = 1};
        struct hf_state_lease *lease = NULL;
        uint64_t version = 0;
        int code = hf_state_lease_take(crew->store, "x", &theft, &lease, NULL);
        if (code != 0) {
            atomic_fetch_add(&crew->wrong, code != HF_ERR_CONFLICT); /* overtaken again and again */
            continue;
        }
        const struct hf_state_save_options options = {.struct_bytes = sizeof options, .lease = lease};
        long number = load(crew, &version);
        code = save(crew, number + 1, &options);
        if (code == 0)
            atomic_fetch_add(&crew->holders, 1);
        else if (code != HF_ERR_CONFLICT)
            atomic_fetch_add(&crew->wrong, 1);
        hf_state_lease_free(&lease);
    }
    return NULL;
}

static void test_stolen_leases_save_nothing(void **state) {
    struct crew crew;
    open_crew(&crew, *state);
    run_crew(&crew, raise_by_theft);
    long saved = atomic_load(&crew.holders);
    expect_number(&crew, saved, (uint64_t)saved);
    hf_store_close(&crew.store);
}

enum { FIRSTS = 150 };

/* One makes the states, the others wait for them: what comes between looking and looking is no damage. */
static void *wait_for_firsts(void *arg) {
    struct crew *crew = arg;
    int is_maker = atomic_fetch_add(&crew->holders, 1) == 0;
    for (int i = 0; i < FIRSTS; i++) {
        char name[32];
        struct hf_state_value *value = NULL;
        const struct hf_state_save_options options = {.struct_bytes = sizeof options, .basis = HF_STATE_FORCE};
        snprintf(name, sizeof name, "first %d", i);
        int code = is_maker ? hf_state_save(crew->store, name, "1", 1, &options, NULL, NULL) : HF_ERR_NOT_FOUND;
        while (code == HF_ERR_NOT_FOUND)
            code = hf_state_load(crew->store, name, &value, NULL);
        hf_state_value_free(&value);
        if (code != 0) {
            atomic_fetch_add(&crew->wrong, 1);
            return NULL;
        }
    }
    return NULL;
}

static void test_first_save_is_no_damage(void **state) {
    struct crew crew;
    open_crew(&crew, *state);
    run_crew(&crew, wait_for_firsts);
    hf_store_close(&crew.store);
}

int main(void) {
    char folder[] = "/tmp/holdfast-threads-XXXXXX", url[64], command[64];
    if (!mkdtemp(folder))
        return 1;
    snprintf(url, sizeof url, "sqlite:%s/store.db", folder);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(test_each_step_counts_once, "memory:"),
        cmocka_unit_test_prestate(test_one_holds_the_lease, "memory:"),
        cmocka_unit_test_prestate(test_stolen_leases_save_nothing, "memory:"),
        cmocka_unit_test_prestate(test_each_step_counts_once, url),
        cmocka_unit_test_prestate(test_first_save_is_no_damage, url),
    };
    int failed = cmocka_run_group_tests_name("states and threads", tests, NULL, NULL);
    snprintf(command, sizeof command, "rm -r %s", folder);
    return failed + (system(command) != 0);
}
