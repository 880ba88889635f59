#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fault/call_sweep.h"

#include "base/error.h"
#include "sim/crash_suite.h"
#include "sim/share.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COMPLAINTS_SHOWN = 12 };

void sweep_complain(struct sweep *sweep, const char *format, ...) {
    va_list args;
    if (sweep->complaint[0])
        return;
    va_start(args, format);
    vsnprintf(sweep->complaint, sizeof sweep->complaint, format, args);
    va_end(args);
}

void sweep_take_fault_away(struct sweep *sweep) {
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
    if (fault == EINVAL && error->code == HF_ERR_UNSUPPORTED)
        return 1; /* that is what it says of a file system */
    if (strstr(error->message, strerror(fault)) == NULL && error->system_errno != fault)
        return 0;
    return error->code == error_code_of_errno(-fault) || error->code == HF_ERR_FAILED || error->code == HF_ERR_IO ||
           error->code == HF_ERR_CANNOT_CREATE;
}

void sweep_judge(struct sweep *sweep, const char *step, int code, const struct hf_error *error) {
    sweep->errors++;
    if (sweep->is_gone)
        sweep_complain(sweep, "%s still fails with the fault gone: %s (%s)", step, error->message, hf_code_word(code));
    else if (error->code != code || !error->message[0] || code == HF_ERR_INTERNAL)
        sweep_complain(sweep, "%s: not a typed error: %s (%s, returned %s)", step, error->message,
                       hf_code_word(error->code), hf_code_word(code));
    else if (!is_cause(sweep, error))
        sweep_complain(sweep, "%s: does not name the cause: %s (%s, errno %d)", step, error->message,
                       hf_code_word(code), error->system_errno);
}

/* ---- steps ------------------------------------------------------------------------------------------------------- */

static void found_at_open(void *arg, const struct hf_finding *finding) {
    struct sweep *sweep = arg;
    if (sweep->is_gone && strcmp(finding->action, "reported") != 0)
        sweep_complain(sweep, "open: %s: %s %s (%s)", finding->what, finding->path ? finding->path : "-", finding->text,
                       finding->action);
}

static int open_once(struct sweep *sweep, struct hf_error *error) {
    const struct sweep_subject *subject = sweep->subject;
    const struct store_setup setup = {.os = os_fault_os(sweep->fault), .without_thread = 1};
    const struct hf_store_options options = {.struct_bytes = sizeof options,
                                             .found = found_at_open,
                                             .found_arg = sweep};
    int code = store_open(subject->url, &options, &setup, &sweep->store, error);
    if (code == 0 && subject->kept_kind)
        code = hf_store_keep_history(sweep->store, subject->kept_kind, 2, error);
    return code;
}

static int open_store(struct sweep *sweep) {
    struct hf_error error = {0};
    int code = open_once(sweep, &error);
    if (code == 0)
        return 0;
    sweep_judge(sweep, "open", code, &error);
    sweep_take_fault_away(sweep);
    code = open_once(sweep, &error);
    if (code != 0)
        sweep_judge(sweep, "open again", code, &error);
    return code;
}

static void close_store(struct sweep *sweep) {
    hf_store_close(&sweep->store);
    if (sim_process_open_files(sweep->process))
        sweep_complain(sweep, "%u files are left open", sim_process_open_files(sweep->process));
}

void sweep_reopen(struct sweep *sweep) {
    close_store(sweep);
    open_store(sweep);
}

struct hf_batch *sweep_batch(const struct sweep *sweep, int64_t number) {
    const struct sweep_subject *subject = sweep->subject;
    char json[SWEEP_FILL_MOST + 64];
    struct hf_batch *batch = NULL;
    int used = snprintf(json, sizeof json, "{\"n\":%" PRId64 ",\"fill\":\"", number);
    memset(json + used, 'a' + (int)(number % 26), (size_t)subject->fill_bytes);
    memcpy(json + used + subject->fill_bytes, "\"}", 3);
    if (hf_batch_new("sweep", &batch, NULL) != 0)
        abort();
    for (int i = 0; i < SWEEP_KEYS; i++) {
        const struct sweep_key *key = &subject->keys[i];
        int deletes = subject->deletes && i == SWEEP_KEYS - 1 && number % 3 == 0;
        if (deletes ? hf_batch_delete(batch, key->kind, key->id, NULL, NULL) != 0
                    : hf_batch_put(batch, key->kind, key->id, json, strlen(json), NULL, NULL) != 0)
            abort();
    }
    return batch;
}

int64_t sweep_number_of(struct sweep *sweep, const struct sweep_key *key, const char *when) {
    struct hf_record *record = NULL;
    struct hf_error error = {0};
    int64_t number = 0;
    int code = hf_store_get(sweep->store, key->kind, key->id, &record, &error);
    if (code == 0 && sscanf(record->json, "{\"n\":%" SCNd64, &number) != 1)
        sweep_complain(sweep, "%s: %s/%s is not what was put", when, key->kind, key->id);
    if (code != 0 && code != HF_ERR_NOT_FOUND) {
        sweep_judge(sweep, when, code, &error);
        number = -1;
    }
    hf_record_free(&record);
    return number;
}

void sweep_look(struct sweep *sweep, const char *when) {
    int64_t numbers[SWEEP_KEYS];
    for (int i = 0; i < SWEEP_KEYS; i++) {
        numbers[i] = sweep_number_of(sweep, &sweep->subject->keys[i], when);
        if (numbers[i] < 0)
            return;
    }
    int64_t last = sweep->subject->deletes && numbers[0] % 3 == 0 ? 0 : numbers[0];
    if (numbers[0] != numbers[1] || numbers[2] != last)
        sweep_complain(sweep, "%s: a batch is half there: %" PRId64 " %" PRId64 " %" PRId64, when, numbers[0],
                       numbers[1], numbers[2]);
    if (numbers[0] < sweep->acked || numbers[0] > sweep->begun)
        sweep_complain(sweep, "%s: found %" PRId64 ", acknowledged %" PRId64 ", begun %" PRId64, when, numbers[0],
                       sweep->acked, sweep->begun);
}

void sweep_retry(struct sweep *sweep, int code, int64_t number) {
    struct hf_error error = {0};
    sweep_take_fault_away(sweep);
    if (code == HF_ERR_FAILED || store_health(sweep->store, NULL) != 0)
        sweep_reopen(sweep);
    if (!sweep->store)
        return;
    sweep_look(sweep, "after the failure");
    if (sweep_number_of(sweep, &sweep->subject->keys[0], "after the failure") == number)
        return; /* it happened, though nobody could know */
    struct hf_batch *batch = sweep_batch(sweep, number);
    code = hf_store_commit(sweep->store, &batch, NULL, &error);
    if (code != 0)
        sweep_judge(sweep, "commit again", code, &error);
    else
        sweep->acked = number;
}

void sweep_commit(struct sweep *sweep) {
    if (!sweep->store)
        return;
    int64_t number = ++sweep->begun;
    struct hf_batch *batch = sweep_batch(sweep, number);
    struct hf_error error = {0};
    int code = hf_store_commit(sweep->store, &batch, NULL, &error);
    if (code == 0) {
        sweep->acked = number;
        return;
    }
    sweep_judge(sweep, "commit", code, &error);
    sweep_retry(sweep, code, number);
}

void sweep_rest(struct sweep *sweep) {
    if (!sweep->store)
        return;
    store_pump(sweep->store);
    if (store_health(sweep->store, NULL) != 0) {
        sweep_take_fault_away(sweep);
        sweep_reopen(sweep);
    }
}

/* ---- one life ---------------------------------------------------------------------------------------------------- */

static void complain_of_finding(void *arg, const struct hf_finding *finding) {
    sweep_complain(arg, "check: %s: %s %s", finding->what, finding->path ? finding->path : "-", finding->text);
}

/* As a new process would find it, with the fault gone. */
static void end(struct sweep *sweep) {
    struct hf_check_result result = {0};
    struct hf_error error = {0};
    close_store(sweep);
    sweep_take_fault_away(sweep);
    if (open_store(sweep) != 0)
        return;
    sweep_look(sweep, "at the end");
    if (hf_store_check(sweep->store, complain_of_finding, sweep, &result, &error) != 0)
        sweep_complain(sweep, "check: %s", error.message);
    if (sweep->subject->look_at_end)
        sweep->subject->look_at_end(sweep);
    close_store(sweep);
}

/* Returns how many calls were made. */
static uint64_t live(const struct sweep_subject *subject, const struct os_fault_plan *plan, struct sweep *ret_sweep) {
    struct sweep *sweep = ret_sweep;
    *sweep = (struct sweep){.subject = subject, .plan = *plan, .disk = sim_disk_new(3)};
    sweep->process = sim_process_new(sweep->disk);
    if (os_fault_new(sim_process_os(sweep->process), &sweep->fault) != 0)
        abort();
    os_fault_set(sweep->fault, plan);
    if (open_store(sweep) == 0)
        subject->use(sweep);
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

static void try_one(const struct sweep_subject *subject, const struct os_fault_plan *plan, struct total *total) {
    struct sweep sweep;
    live(subject, plan, &sweep);
    total->runs++;
    total->errors += sweep.errors;
    if (!sweep.complaint[0])
        return;
    if (total->complaints++ < COMPLAINTS_SHOWN)
        printf("#   call %" PRIu64 " %s, %s: %s\n", plan->fail_at, plan->once ? "once" : "for ever",
               plan->error ? strerror(plan->error) : "short", sweep.complaint);
}

static void sweep_error(const struct sweep_subject *subject, int error) {
    static const struct os_fault_plan none = {0};
    struct total total = {0};
    struct sweep unharmed;
    uint64_t calls = live(subject, &none, &unharmed);
    if (unharmed.complaint[0])
        fail_msg("without any fault: %s", unharmed.complaint);
    for (int once = 1; once >= 0; once--) {
        if (!once && error == EINTR)
            continue; /* would be tried again for ever */
        for (uint64_t call = share_first(); call <= calls; call += share_step()) {
            struct os_fault_plan plan = {.fail_at = call, .once = once, .error = error};
            try_one(subject, &plan, &total);
        }
    }
    printf("# %-36s %5u runs over %" PRIu64 " calls, %5u errors seen, %u complaints\n",
           error ? strerror(error) : "short reads and writes", total.runs, calls, total.errors, total.complaints);
    assert_int_equal(total.complaints, 0);
    if (error != 0 && error != EINTR)
        assert_true(total.errors > 0);
}

struct test {
    const char *name;
    int error;
    const struct sweep_subject *subject;
};

static void test_calls_fail(void **state) {
    const struct test *test = *state;
    sweep_error(test->subject, test->error);
}

int call_sweep_run(const char *name, const struct sweep_subject *subject) {
    static struct test errors[] = {
        {"test_no_space", ENOSPC, NULL},      {"test_quota", EDQUOT, NULL},          {"test_io", EIO, NULL},
        {"test_interrupted", EINTR, NULL},    {"test_too_many_files", EMFILE, NULL}, {"test_permission", EACCES, NULL},
        {"test_read_only", EROFS, NULL},      {"test_no_memory", ENOMEM, NULL},      {"test_short_counts", 0, NULL},
        {"test_not_supported", EINVAL, NULL},
    };
    enum { ERRORS = sizeof errors / sizeof *errors };
    struct CMUnitTest tests[ERRORS] = {0};
    size_t count = 0;
    for (size_t i = 0; i < ERRORS; i++) {
        if (errors[i].error == EINVAL && !subject->is_told_of_unsupported)
            continue;
        errors[i].subject = subject;
        tests[count++] = (struct CMUnitTest){errors[i].name, test_calls_fail, NULL, NULL, &errors[i]};
    }
    crash_suite_init();
    return _cmocka_run_group_tests(name, tests, count, NULL, NULL);
}
