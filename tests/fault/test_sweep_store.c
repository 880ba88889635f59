/* Every call of the store to the system, failing in every way, once and for ever: the error names the cause, what was
 * acknowledged is there, nothing is mixed, the check is clean, and once the fault is gone the same thing works. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"
#include "sim/sim_disk.h"
#include "store/store.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
enum { EVERY_BY_DEFAULT = 5 };
#else
enum { EVERY_BY_DEFAULT = 1 };
#endif

#define URL "sqlite:/data/store.db"

enum { KEYS = 3, DOCUMENT_BYTES = 6000, COMPLAINTS_SHOWN = 12 };

struct sweep {
    struct sim_disk *disk;
    struct sim_process *process;
    struct os_fault *fault;
    const struct os *os;
    struct hf_store *store;
    struct os_fault_plan plan;
    int64_t acked, begun; /* the number in the newest batch that was acknowledged, and that was handed over */
    int is_gone;          /* the fault was taken away */
    unsigned errors;      /* that the store gave */
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

static void take_fault_away(struct sweep *sweep) {
    static const struct os_fault_plan none = {0};
    os_fault_set(sweep->fault, &none);
    sweep->is_gone = 1;
}

/* ---- is this the right error? ------------------------------------------------------------------------------------ */

static int is_cause(const struct sweep *sweep, const struct hf_error *error) {
    int fault = sweep->plan.error;
    if (fault == 0 || fault == EINTR)
        return 0; /* these are to be worked around, not reported */
    if (fault == ENOMEM && error->code == HF_ERR_NO_MEMORY)
        return 1; /* SQLite says so in its own words */
    if (fault == EACCES && strstr(error->message, "lock"))
        return 1; /* of a lock it means that somebody else has it */
    if (strstr(error->message, strerror(fault)) == NULL && error->system_errno != fault)
        return 0;
    return error->code == error_code_of_errno(-fault) || error->code == HF_ERR_FAILED || error->code == HF_ERR_IO ||
           error->code == HF_ERR_CANNOT_CREATE;
}

static void judge(struct sweep *sweep, const char *step, int code, const struct hf_error *error) {
    sweep->errors++;
    if (sweep->is_gone)
        complain(sweep, "%s still fails with the fault gone: %s (%s)", step, error->message, hf_code_word(code));
    else if (error->code != code || !error->message[0] || code == HF_ERR_INTERNAL)
        complain(sweep, "%s: not a typed error: %s (%s, returned %s)", step, error->message, hf_code_word(error->code),
                 hf_code_word(code));
    else if (!is_cause(sweep, error))
        complain(sweep, "%s: does not name the cause: %s (%s, errno %d)", step, error->message, hf_code_word(code),
                 error->system_errno);
}

/* ---- steps ------------------------------------------------------------------------------------------------------- */

static int open_store(struct sweep *sweep) {
    struct store_setup setup = {.os = sweep->os, .without_thread = 1};
    struct hf_error error = {0};
    int code = store_open(URL, NULL, &setup, &sweep->store, &error);
    if (code == 0)
        code = hf_store_keep_history(sweep->store, "kept", 2, &error);
    if (code == 0)
        return 0;
    judge(sweep, "open", code, &error);
    take_fault_away(sweep);
    code = store_open(URL, NULL, &setup, &sweep->store, &error);
    if (code == 0)
        return hf_store_keep_history(sweep->store, "kept", 2, &error);
    judge(sweep, "open again", code, &error);
    return code;
}

static void reopen_store(struct sweep *sweep) {
    hf_store_close(&sweep->store);
    if (sim_process_open_files(sweep->process))
        complain(sweep, "%u files are left open", sim_process_open_files(sweep->process));
    open_store(sweep);
}

static size_t make_json(int64_t number, char json[DOCUMENT_BYTES + 64]) {
    int used = snprintf(json, 64, "{\"n\":%" PRId64 ",\"fill\":\"", number);
    memset(json + used, 'a' + (int)(number % 26), DOCUMENT_BYTES);
    memcpy(json + used + DOCUMENT_BYTES, "\"}", 3);
    return (size_t)used + DOCUMENT_BYTES + 2;
}

static struct hf_batch *make_batch(int64_t number) {
    static const char *const kinds[KEYS] = {"plain", "kept", "other"};
    char json[DOCUMENT_BYTES + 64];
    struct hf_batch *batch = NULL;
    size_t bytes = make_json(number, json);
    if (hf_batch_new("sweep", &batch, NULL) != 0)
        abort();
    for (int i = 0; i < KEYS; i++)
        if (hf_batch_put(batch, kinds[i], "id", json, bytes, NULL, NULL) != 0)
            abort();
    return batch;
}

/* The three records of a batch: all at the same number, not older than what was acknowledged. */
static void look(struct sweep *sweep, const char *when) {
    static const char *const kinds[KEYS] = {"plain", "kept", "other"};
    int64_t numbers[KEYS] = {0};
    for (int i = 0; i < KEYS; i++) {
        struct hf_record *record = NULL;
        struct hf_error error = {0};
        int code = hf_store_get(sweep->store, kinds[i], "id", &record, &error);
        if (code == 0 && sscanf(record->json, "{\"n\":%" SCNd64, &numbers[i]) != 1)
            complain(sweep, "%s: %s/id is not what was put", when, kinds[i]);
        if (code != 0 && code != HF_ERR_NOT_FOUND) {
            judge(sweep, when, code, &error);
            hf_record_free(&record);
            return;
        }
        hf_record_free(&record);
    }
    if (numbers[0] != numbers[1] || numbers[1] != numbers[2])
        complain(sweep, "%s: a batch is half there: %" PRId64 " %" PRId64 " %" PRId64, when, numbers[0], numbers[1],
                 numbers[2]);
    if (numbers[0] < sweep->acked || numbers[0] > sweep->begun)
        complain(sweep, "%s: found %" PRId64 ", acknowledged %" PRId64 ", begun %" PRId64, when, numbers[0],
                 sweep->acked, sweep->begun);
}

static void retry(struct sweep *sweep, int code, int64_t number) {
    struct hf_error error = {0};
    struct hf_batch *batch = make_batch(number);
    take_fault_away(sweep);
    if (code == HF_ERR_FAILED || code == HF_ERR_IO || store_health(sweep->store, NULL) != 0)
        reopen_store(sweep);
    if (!sweep->store) {
        hf_batch_free(&batch);
        return;
    }
    look(sweep, "after the failure");
    code = hf_store_commit(sweep->store, &batch, NULL, &error);
    if (code != 0)
        judge(sweep, "commit again", code, &error);
    else
        sweep->acked = number;
}

static void commit(struct sweep *sweep) {
    int64_t number = ++sweep->begun;
    struct hf_batch *batch = make_batch(number);
    struct hf_error error = {0};
    int code = hf_store_commit(sweep->store, &batch, NULL, &error);
    if (code == 0) {
        sweep->acked = number;
        return;
    }
    judge(sweep, "commit", code, &error);
    retry(sweep, code, number);
}

struct answer {
    struct sweep *sweep;
    int64_t number;
    int code;
    struct hf_error error;
};

static void answered(void *arg, int code, const struct hf_commit_result *result, const struct hf_error *error) {
    struct answer *answer = arg;
    (void)result;
    answer->code = code;
    if (code == 0)
        answer->sweep->acked = answer->number;
    else
        answer->error = *error;
}

static void commit_group(struct sweep *sweep) {
    enum { GROUP = 4 };
    struct answer answers[GROUP] = {0};
    for (int i = 0; i < GROUP; i++) {
        answers[i] = (struct answer){.sweep = sweep, .number = ++sweep->begun};
        struct hf_batch *batch = make_batch(sweep->begun);
        hf_store_commit_async(sweep->store, &batch, answered, &answers[i]);
    }
    store_pump(sweep->store);
    for (int i = 0; i < GROUP; i++) {
        if (answers[i].code == 0)
            continue;
        judge(sweep, "group commit", answers[i].code, &answers[i].error);
        if (i == GROUP - 1)
            retry(sweep, answers[i].code, answers[i].number);
    }
}

static void scenario(struct sweep *sweep) {
    if (open_store(sweep) != 0)
        return;
    for (int i = 0; i < 2 && sweep->store; i++)
        commit(sweep);
    if (sweep->store)
        commit_group(sweep);
    for (int i = 0; i < 2; i++) {
        if (!sweep->store)
            return;
        look(sweep, "read");
        store_pump(sweep->store); /* nothing waits: the idle work */
        if (store_health(sweep->store, NULL) != 0)
            take_fault_away(sweep);
        reopen_store(sweep);
        if (sweep->store)
            commit(sweep);
    }
}

static void count_finding(void *arg, const struct hf_finding *finding) {
    complain(arg, "check: %s: %s", finding->what, finding->text);
}

/* As a new process would find it, with the fault gone. */
static void end(struct sweep *sweep) {
    struct hf_check_result result = {0};
    struct hf_error error = {0};
    hf_store_close(&sweep->store);
    if (sim_process_open_files(sweep->process))
        complain(sweep, "%u files are left open at the end", sim_process_open_files(sweep->process));
    take_fault_away(sweep);
    if (open_store(sweep) != 0)
        return;
    look(sweep, "at the end");
    if (hf_store_check(sweep->store, count_finding, sweep, &result, &error) != 0)
        complain(sweep, "check: %s", error.message);
    hf_store_close(&sweep->store);
}

static uint64_t run(struct sweep *sweep, const struct os_fault_plan *plan) {
    memset(sweep, 0, sizeof *sweep);
    sweep->plan = *plan;
    sweep->disk = sim_disk_new(3);
    sweep->process = sim_process_new(sweep->disk);
    if (os_fault_new(sim_process_os(sweep->process), &sweep->fault) != 0)
        abort();
    sweep->os = os_fault_os(sweep->fault);
    os_fault_set(sweep->fault, plan);
    scenario(sweep);
    uint64_t calls = os_fault_calls(sweep->fault);
    end(sweep);
    os_fault_free(&sweep->fault);
    sim_process_free(&sweep->process);
    sim_disk_free(&sweep->disk);
    return calls;
}

/* ---- sweeping ---------------------------------------------------------------------------------------------------- */

struct total {
    unsigned runs, errors, complaints;
};

static void sweep_one(const struct os_fault_plan *plan, struct total *total) {
    struct sweep sweep;
    run(&sweep, plan);
    total->runs++;
    total->errors += sweep.errors;
    if (!sweep.complaint[0])
        return;
    if (total->complaints++ < COMPLAINTS_SHOWN)
        printf("#   call %" PRIu64 " %s, %s: %s\n", plan->fail_at, plan->once ? "once" : "for ever",
               plan->error ? strerror(plan->error) : "short", sweep.complaint);
}

static unsigned step(void) {
    const char *text = getenv("HOLDFAST_SWEEP_EVERY");
    return text && *text ? (unsigned)strtoul(text, NULL, 10) : EVERY_BY_DEFAULT;
}

static uint64_t count_calls(unsigned call_mask) {
    const struct os_fault_plan none = {.call_mask = call_mask};
    struct sweep sweep;
    uint64_t calls = run(&sweep, &none);
    if (sweep.complaint[0])
        fail_msg("without any fault: %s", sweep.complaint);
    return calls;
}

static void sweep_error(int error, unsigned call_mask) {
    struct total total = {0};
    uint64_t calls = count_calls(call_mask);
    for (int once = 1; once >= 0; once--) {
        if (!once && error == EINTR)
            continue; /* would be tried again for ever */
        for (uint64_t call = 1; call <= calls; call += step()) {
            struct os_fault_plan plan = {.fail_at = call, .once = once, .error = error, .call_mask = call_mask};
            sweep_one(&plan, &total);
        }
    }
    printf("# %-36s %5u runs over %" PRIu64 " calls, %5u errors seen, %u complaints\n",
           error ? strerror(error) : "short reads and writes", total.runs, calls, total.errors, total.complaints);
    assert_int_equal(total.complaints, 0);
    if (error != 0 && error != EINTR)
        assert_true(total.errors > 0);
}

#define SWEEP(name, error, call_mask)                                                                                  \
    static void test_##name(void **state) {                                                                            \
        (void)state;                                                                                                   \
        sweep_error(error, call_mask);                                                                                 \
    }
SWEEP(no_space, ENOSPC, 0)
SWEEP(quota, EDQUOT, 0)
SWEEP(io, EIO, 0)
SWEEP(interrupted, EINTR, 0)
SWEEP(too_many_files, EMFILE, 0)
SWEEP(permission, EACCES, 0)
SWEEP(read_only, EROFS, 0)
SWEEP(no_memory, ENOMEM, 0)
SWEEP(short_counts, 0, 0)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_space),    cmocka_unit_test(test_quota),          cmocka_unit_test(test_io),
        cmocka_unit_test(test_interrupted), cmocka_unit_test(test_too_many_files), cmocka_unit_test(test_permission),
        cmocka_unit_test(test_read_only),   cmocka_unit_test(test_no_memory),      cmocka_unit_test(test_short_counts),
    };
    return cmocka_run_group_tests_name("failing calls", tests, NULL, NULL);
}
