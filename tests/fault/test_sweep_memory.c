/* The n-th allocation fails, for every n, once and for ever: ours (mem.c) and SQLite's. The error says so, nothing that
 * was acknowledged is lost, nothing leaks (under the address sanitizer), and with memory again the same thing works. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fault/failing_memory.h"
#include "os/file.h"
#include "sim/share.h"
#include "store/store.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { COMMITS = 3, COMPLAINTS_SHOWN = 12 };

/* ---- what is tried ----------------------------------------------------------------------------------------------- */

struct sweep {
    char folder[64], url[96];
    int64_t acked, begun;
    unsigned errors;
    char complaint[700];
};

static void complain(struct sweep *sweep, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void complain(struct sweep *sweep, const char *format, ...) {
    va_list args;
    if (sweep->complaint[0])
        return;
    va_start(args, format);
    vsnprintf(sweep->complaint, sizeof sweep->complaint, format, args);
    va_end(args);
}

static void judge(struct sweep *sweep, const char *step, int code, const struct hf_error *error) {
    sweep->errors++;
    if (!failing_memory_is_set())
        complain(sweep, "%s fails with memory there: %s", step, error->message);
    else if (code != error->code || (code != HF_ERR_NO_MEMORY && code != HF_ERR_FAILED && code != HF_ERR_IO))
        complain(sweep, "%s: not the right error: %s (%s)", step, error->message, hf_code_word(code));
    else if (code != HF_ERR_NO_MEMORY && !strstr(error->message, "memory"))
        complain(sweep, "%s: does not name the cause: %s (%s)", step, error->message, hf_code_word(code));
}

static int open_store(struct sweep *sweep, struct hf_store **ret_store) {
    struct store_setup setup = {.without_thread = 1};
    struct hf_error error = {0};
    int code = store_open(sweep->url, NULL, &setup, ret_store, &error);
    if (code == 0) {
        code = hf_store_keep_history(*ret_store, "kept", 2, &error);
        if (code != 0)
            hf_store_close(ret_store);
    }
    if (code != 0)
        judge(sweep, "open", code, &error);
    return code;
}

static int put_both(struct hf_batch *batch, int64_t number, struct hf_error *error) {
    char json[4096];
    int used = snprintf(json, sizeof json, "{\"n\":%" PRId64 ",\"fill\":\"", number);
    memset(json + used, 'x', 3000);
    memcpy(json + used + 3000, "\"}", 3);
    int code = hf_batch_put(batch, "plain", "id", json, strlen(json), NULL, error);
    return code ? code : hf_batch_put(batch, "kept", "id", json, strlen(json), NULL, error);
}

static int commit(struct sweep *sweep, struct hf_store *store, int64_t number) {
    struct hf_batch *batch = NULL;
    struct hf_error error = {0};
    int code = hf_batch_new("sweep", &batch, &error);
    if (code == 0)
        code = put_both(batch, number, &error);
    if (code == 0) {
        sweep->begun = number;
        code = hf_store_commit(store, &batch, NULL, &error);
    }
    if (code == 0)
        sweep->acked = number;
    else
        judge(sweep, "commit", code, &error);
    hf_batch_free(&batch);
    return code;
}

static int64_t number_of(struct sweep *sweep, struct hf_store *store, const char *kind) {
    struct hf_record *record = NULL;
    struct hf_error error = {0};
    int64_t number = 0;
    int code = hf_store_get(store, kind, "id", &record, &error);
    if (code == 0)
        sscanf(record->json, "{\"n\":%" SCNd64, &number);
    else if (code != HF_ERR_NOT_FOUND)
        judge(sweep, "get", code, &error);
    hf_record_free(&record);
    return code == 0 || code == HF_ERR_NOT_FOUND ? number : -1;
}

static void look(struct sweep *sweep, struct hf_store *store) {
    int64_t one = number_of(sweep, store, "plain"), two = number_of(sweep, store, "kept");
    if (one < 0 || two < 0)
        return;
    if (one != two || one < sweep->acked || one > sweep->begun)
        complain(sweep, "found %" PRId64 " and %" PRId64 ", acknowledged %" PRId64 ", begun %" PRId64, one, two,
                 sweep->acked, sweep->begun);
}

static int visit_nothing(void *arg, const struct hf_record *record, int code) {
    (void)record;
    *(int *)arg |= code;
    return 0;
}

static void read_all(struct sweep *sweep, struct hf_store *store) {
    struct hf_error error = {0};
    struct hf_check_result result;
    int damaged = 0;
    int code = hf_store_scan(store, NULL, NULL, 0, visit_nothing, &damaged, &error);
    if (code == 0)
        code = hf_store_history(store, "kept", "id", 0, visit_nothing, &damaged, &error);
    if (code == 0)
        code = hf_store_check(store, NULL, NULL, &result, &error);
    if (code != 0)
        judge(sweep, "read", code, &error);
    else if (damaged || result.findings)
        complain(sweep, "something is damaged: code %d, %" PRIu64 " findings", damaged, result.findings);
}

static void use(struct sweep *sweep, struct hf_store *store, int64_t first) {
    for (int64_t i = first; i < first + COMMITS; i++)
        if (commit(sweep, store, i) != 0)
            look(sweep, store);
    store_pump(store);
    read_all(sweep, store);
}

static void remove_folder(struct sweep *sweep) {
    static const char *const names[] = {"store.db", "store.db-wal", "store.db-shm", "lock"};
    char path[128];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", sweep->folder, names[i]);
        unlink(path);
    }
    rmdir(sweep->folder);
}

/* Returns how many allocations were made. */
static uint64_t run(struct sweep *sweep, uint64_t at, int for_ever) {
    struct hf_store *store = NULL;
    memset(sweep, 0, sizeof *sweep);
    const char *shared = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(sweep->folder, sizeof sweep->folder, "%s/holdfast-memory-XXXXXX", shared);
    failing_memory_set(0, 0);
    if (!mkdtemp(sweep->folder))
        fail_msg("cannot make a folder in %s", shared);
    snprintf(sweep->url, sizeof sweep->url, "sqlite:%s/store.db", sweep->folder);
    failing_memory_set(at, for_ever);
    if (open_store(sweep, &store) == 0)
        use(sweep, store, 1);
    hf_store_close(&store);
    uint64_t count = failing_memory_count();
    failing_memory_set(0, 0);
    if (open_store(sweep, &store) == 0) { /* memory is there again, nothing else has changed */
        look(sweep, store);
        use(sweep, store, COMMITS + 1);
        look(sweep, store);
    }
    hf_store_close(&store);
    remove_folder(sweep);
    return count;
}

static void sweep_memory(int for_ever) {
    struct sweep sweep;
    unsigned runs = 0, errors = 0, complaints = 0;
    run(&sweep, 0, 0); /* what is allocated once for the process */
    uint64_t count = run(&sweep, 0, 0);
    if (sweep.complaint[0])
        fail_msg("without any fault: %s", sweep.complaint);
    for (uint64_t at = share_first(); at <= count; at += share_step(), runs++) {
        run(&sweep, at, for_ever);
        errors += sweep.errors;
        if (sweep.complaint[0] && complaints++ < COMPLAINTS_SHOWN)
            printf("#   allocation %" PRIu64 " %s: %s\n", at, for_ever ? "for ever" : "once", sweep.complaint);
    }
    printf("# no memory %s: %u runs over %" PRIu64 " allocations, %u errors seen, %u complaints\n",
           for_ever ? "for ever" : "once", runs, count, errors, complaints);
    assert_int_equal(complaints, 0);
    assert_true(errors > 0);
}

static void test_memory_fails_once(void **state) {
    (void)state;
    sweep_memory(0);
}

static void test_memory_fails_for_ever(void **state) {
    (void)state;
    sweep_memory(1);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_memory_fails_once),
                                       cmocka_unit_test(test_memory_fails_for_ever)};
    failing_memory_take_sqlite();
    return cmocka_run_group_tests_name("memory that runs out", tests, NULL, NULL);
}
