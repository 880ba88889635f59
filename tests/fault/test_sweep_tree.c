/* Every call of a tree to the system, failing in every way, once and for ever: the error names the cause, what was
 * acknowledged is there, files and index are alike once the fault is gone, nothing is left beside them, and the same
 * thing works. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"
#include "os/file.h"
#include "sim/sim_disk.h"
#include "store/store.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
enum { EVERY_BY_DEFAULT = 7 };
#else
enum { EVERY_BY_DEFAULT = 1 };
#endif

#define TREE "/data/t"
#define URL  "tree:" TREE "?layout=watch&threads=1"

enum { KEYS = 3, COMPLAINTS_SHOWN = 12 };

struct key {
    const char *kind, *id, *path;
};
static const struct key keys[KEYS] = {{"settings", "s", TREE "/s.json"},
                                      {"watch", "a", TREE "/a/watch.json"},
                                      {"watch", "b", TREE "/b/watch.json"}};

struct sweep {
    struct sim_disk *disk;
    struct sim_process *process;
    struct os_fault *fault;
    const struct os *os;
    struct hf_store *store;
    struct os_fault_plan plan;
    int64_t acked, begun; /* the number of the newest batch that was acknowledged, and that was handed over */
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
    if (fault == EINVAL && error->code == HF_ERR_UNSUPPORTED)
        return 1; /* that is what it says of a file system */
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

static void found_at_open(void *arg, const struct hf_finding *finding) {
    struct sweep *sweep = arg;
    if (sweep->is_gone && strcmp(finding->action, "reported") != 0)
        complain(sweep, "open: %s: %s %s (%s)", finding->what, finding->path, finding->text, finding->action);
}

static int open_once(struct sweep *sweep, struct hf_error *error) {
    const struct store_setup setup = {.os = sweep->os, .without_thread = 1};
    const struct hf_store_options options = {.struct_bytes = sizeof options,
                                             .found = found_at_open,
                                             .found_arg = sweep};
    return store_open(URL, &options, &setup, &sweep->store, error);
}

static int open_store(struct sweep *sweep) {
    struct hf_error error = {0};
    int code = open_once(sweep, &error);
    if (code == 0)
        return 0;
    judge(sweep, "open", code, &error);
    take_fault_away(sweep);
    code = open_once(sweep, &error);
    if (code != 0)
        judge(sweep, "open again", code, &error);
    return code;
}

static void close_store(struct sweep *sweep) {
    hf_store_close(&sweep->store);
    if (sim_process_open_files(sweep->process))
        complain(sweep, "%u files are left open", sim_process_open_files(sweep->process));
}

static struct hf_batch *make_batch(int64_t number) {
    char json[64];
    struct hf_batch *batch = NULL;
    size_t bytes = (size_t)snprintf(json, sizeof json, "{\"n\":%" PRId64 ",\"fill\":\"x\"}", number);
    if (hf_batch_new("sweep", &batch, NULL) != 0)
        abort();
    for (int i = 0; i < KEYS; i++) /* every third batch deletes the last */
        if ((i == KEYS - 1 && number % 3 == 0)
                ? hf_batch_delete(batch, keys[i].kind, keys[i].id, NULL, NULL) != 0
                : hf_batch_put(batch, keys[i].kind, keys[i].id, json, bytes, NULL, NULL) != 0)
            abort();
    return batch;
}

/* The number in a record; 0: there is none. */
static int64_t number_of(struct sweep *sweep, const struct key *key, const char *when) {
    struct hf_record *record = NULL;
    struct hf_error error = {0};
    int64_t number = 0;
    int code = hf_store_get(sweep->store, key->kind, key->id, &record, &error);
    if (code == 0 && sscanf(record->json, "{\"n\":%" SCNd64, &number) != 1)
        complain(sweep, "%s: %s/%s is not what was put", when, key->kind, key->id);
    if (code != 0 && code != HF_ERR_NOT_FOUND) {
        judge(sweep, when, code, &error);
        number = -1;
    }
    hf_record_free(&record);
    return number;
}

static void look(struct sweep *sweep, const char *when) {
    int64_t numbers[KEYS];
    for (int i = 0; i < KEYS; i++) {
        numbers[i] = number_of(sweep, &keys[i], when);
        if (numbers[i] < 0)
            return;
    }
    int64_t last = numbers[0] % 3 == 0 ? 0 : numbers[0];
    if (numbers[0] != numbers[1] || numbers[2] != last)
        complain(sweep, "%s: a batch is half there: %" PRId64 " %" PRId64 " %" PRId64, when, numbers[0], numbers[1],
                 numbers[2]);
    if (numbers[0] < sweep->acked || numbers[0] > sweep->begun)
        complain(sweep, "%s: found %" PRId64 ", acknowledged %" PRId64 ", begun %" PRId64, when, numbers[0],
                 sweep->acked, sweep->begun);
}

static void retry(struct sweep *sweep, int code, int64_t number) {
    struct hf_error error = {0};
    take_fault_away(sweep);
    if (code == HF_ERR_FAILED || store_health(sweep->store, NULL) != 0) {
        close_store(sweep);
        open_store(sweep);
    }
    if (!sweep->store)
        return;
    look(sweep, "after the failure");
    if (number_of(sweep, &keys[0], "after the failure") == number)
        return; /* it happened, though nobody could know */
    struct hf_batch *batch = make_batch(number);
    code = hf_store_commit(sweep->store, &batch, NULL, &error);
    if (code != 0)
        judge(sweep, "commit again", code, &error);
    else
        sweep->acked = number;
}

static void commit(struct sweep *sweep) {
    if (!sweep->store)
        return;
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

static void rest(struct sweep *sweep) {
    if (!sweep->store)
        return;
    store_pump(sweep->store);
    if (store_health(sweep->store, NULL) != 0) {
        take_fault_away(sweep);
        close_store(sweep);
        open_store(sweep);
    }
}

static void scenario(struct sweep *sweep) {
    if (open_store(sweep) != 0)
        return;
    for (int i = 0; i < 4; i++) /* new, replaced, deleted, new again */
        commit(sweep);
    if (sweep->store)
        look(sweep, "read");
    rest(sweep);
    commit(sweep);
    close_store(sweep);
    if (open_store(sweep) == 0)
        commit(sweep);
}

static void complain_of_finding(void *arg, const struct hf_finding *finding) {
    complain(arg, "check: %s: %s %s", finding->what, finding->path ? finding->path : "-", finding->text);
}

/* 1: the file holds the number; 0 is "there is none". */
static int has_file(struct sweep *sweep, const struct key *key, int64_t number) {
    struct buf text BUF_AUTO;
    int64_t found = 0;
    buf_init(&text);
    int code = file_read(sim_process_os(sweep->process), AT_FDCWD, key->path, 1000, &text, NULL);
    if (code == 0 && sscanf(buf_text(&text), "{\n  \"n\": %" SCNd64 ",\n  \"fill\": \"x\"\n}", &found) != 1)
        return 0;
    return (code == 0 || code == HF_ERR_NOT_FOUND) && found == number;
}

static int count_entry(void *arg, const char *name, unsigned char d_type) {
    (void)name, (void)d_type;
    ++*(int *)arg;
    return 0;
}

static void expect_empty(struct sweep *sweep, const char *folder) {
    const struct os *os = sim_process_os(sweep->process);
    int count = 0, fd = os_open(os, AT_FDCWD, folder, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0 || os_list(os, fd, count_entry, &count) != 0 || count != 0)
        complain(sweep, "'%s' has %d entries", folder, count);
    if (fd >= 0)
        os_close(os, fd);
}

/* As a new process would find it, with the fault gone. */
static void end(struct sweep *sweep) {
    struct hf_check_result result = {0};
    struct hf_error error = {0};
    close_store(sweep);
    take_fault_away(sweep);
    if (open_store(sweep) != 0)
        return;
    look(sweep, "at the end");
    for (int i = 0; i < KEYS; i++)
        if (!has_file(sweep, &keys[i], number_of(sweep, &keys[i], "at the end")))
            complain(sweep, "at the end: '%s' is not what the index has", keys[i].path);
    if (hf_store_check(sweep->store, complain_of_finding, sweep, &result, &error) != 0)
        complain(sweep, "check: %s", error.message);
    expect_empty(sweep, TREE "/.holdfast/staged");
    close_store(sweep);
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

static uint64_t count_calls(void) {
    static const struct os_fault_plan none = {0};
    struct sweep sweep;
    uint64_t calls = run(&sweep, &none);
    if (sweep.complaint[0])
        fail_msg("without any fault: %s", sweep.complaint);
    return calls;
}

static void sweep_error(int error) {
    struct total total = {0};
    uint64_t calls = count_calls();
    for (int once = 1; once >= 0; once--) {
        if (!once && error == EINTR)
            continue; /* would be tried again for ever */
        for (uint64_t call = 1; call <= calls; call += step()) {
            struct os_fault_plan plan = {.fail_at = call, .once = once, .error = error};
            sweep_one(&plan, &total);
        }
    }
    printf("# %-36s %5u runs over %" PRIu64 " calls, %5u errors seen, %u complaints\n",
           error ? strerror(error) : "short reads and writes", total.runs, calls, total.errors, total.complaints);
    assert_int_equal(total.complaints, 0);
    if (error != 0 && error != EINTR)
        assert_true(total.errors > 0);
}

#define SWEEP(name, error)                                                                                             \
    static void test_##name(void **state) {                                                                            \
        (void)state;                                                                                                   \
        sweep_error(error);                                                                                            \
    }
SWEEP(no_space, ENOSPC)
SWEEP(quota, EDQUOT)
SWEEP(io, EIO)
SWEEP(interrupted, EINTR)
SWEEP(too_many_files, EMFILE)
SWEEP(permission, EACCES)
SWEEP(read_only, EROFS)
SWEEP(no_memory, ENOMEM)
SWEEP(not_supported, EINVAL)
SWEEP(short_counts, 0)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_space),
        cmocka_unit_test(test_quota),
        cmocka_unit_test(test_io),
        cmocka_unit_test(test_interrupted),
        cmocka_unit_test(test_too_many_files),
        cmocka_unit_test(test_permission),
        cmocka_unit_test(test_read_only),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_not_supported),
        cmocka_unit_test(test_short_counts),
    };
    return cmocka_run_group_tests_name("a tree and failing calls", tests, NULL, NULL);
}
