/* A collector's life (lease, load with a default, saves with records, giving back), while the n-th allocation or the
 * n-th call to the system fails, for every n, once and for ever. What was acknowledged is there, records are there
 * exactly with their state, a default is never given for what was saved, fences only grow, and once the fault is gone
 * the same life works. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fault/failing_memory.h"
#include "keep/state_inside.h"
#include "sim/share.h"
#include "store/store.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAME "collector"
enum { SAVES = 3, KEEP = 2, NUMBERS_MOST = 4 * SAVES, COMPLAINTS_SHOWN = 12 };

struct life {
    char folder[64], url[96];
    const struct os *os; /* NULL: the real one */
    struct hf_store *store;
    struct hf_state_lease *lease;
    int is_faulty;     /* the fault may come */
    int is_memory;     /* it is memory */
    int is_unreadable; /* it is that the disk cannot be read */
    int number, acked;
    int is_acked[NUMBERS_MOST];
    uint64_t fence;
    unsigned errors;
    char complaint[700];
};

static void complain(struct life *life, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void complain(struct life *life, const char *format, ...) {
    va_list args;
    if (life->complaint[0])
        return;
    va_start(args, format);
    vsnprintf(life->complaint, sizeof life->complaint, format, args);
    va_end(args);
}

static void judge(struct life *life, const char *step, int code, const struct hf_error *error) {
    if (code == 0)
        return;
    life->errors++;
    if (!life->is_faulty)
        complain(life, "%s fails without a fault: %s", step, error->message);
    else if (code != error->code || !error->message[0])
        complain(life, "%s: code %d, and the error says %d '%s'", step, code, error->code, error->message);
    else if (life->is_memory && code != HF_ERR_NO_MEMORY && !strstr(error->message, "memory"))
        complain(life, "%s: does not name the cause: %s (%s)", step, error->message, hf_code_word(code));
    else if (code == HF_ERR_CORRUPT && life->is_unreadable && strstr(error->message, "pages are damaged"))
        return; /* what the disk does not give back is damage to a scan */
    else if (code == HF_ERR_NOT_FOUND || code == HF_ERR_CORRUPT || code == HF_ERR_CONFLICT)
        complain(life, "%s: the fault is taken for something else: %s", step, error->message);
}

/* ---- the life ---------------------------------------------------------------------------------------------------- */

static void begin(struct life *life) {
    if (life->store)
        return;
    const struct store_setup setup = {.os = life->os, .without_thread = 1};
    struct hf_error error = {0};
    int code = store_open(life->url, NULL, &setup, &life->store, &error);
    if (code == 0)
        code = state_declare_kinds(life->store, &error);
    judge(life, "open", code, &error);
    if (code != 0)
        hf_store_close(&life->store);
}

static void take_lease(struct life *life) {
    struct hf_error error = {0};
    const struct hf_state_lease_options options = {.struct_bytes = sizeof options,
                                                   .steal = 1,
                                                   .reason = "sweep",
                                                   .ttl_ms = 60000};
    int code = hf_state_lease_take(life->store, NAME, &options, &life->lease, &error);
    judge(life, "take the lease", code, &error);
    if (code == 0 && hf_state_lease_fence(life->lease) <= life->fence)
        complain(life, "fence %" PRIu64 " comes again", hf_state_lease_fence(life->lease));
    if (code == 0)
        life->fence = hf_state_lease_fence(life->lease);
}

static int make_records(int number, struct hf_batch **ret_batch, struct hf_error *error) {
    char id[16];
    snprintf(id, sizeof id, "%d", number);
    int code = hf_batch_new(NULL, ret_batch, error);
    return code == 0 ? hf_batch_put(*ret_batch, "item", id, id, strlen(id), NULL, error) : code;
}

static void save(struct life *life) {
    struct hf_error error = {0};
    struct hf_batch *records = NULL;
    char text[64];
    int number = ++life->number;
    snprintf(text, sizeof text, "{\"n\":%d,\"fill\":\"0123456789\"} ", number);
    int code = make_records(number, &records, &error);
    const struct hf_state_save_options options = {.struct_bytes = sizeof options,
                                                  .basis = life->lease ? HF_STATE_BY_LEASE : HF_STATE_FORCE,
                                                  .lease = life->lease,
                                                  .note = "sweep",
                                                  .with = records};
    if (code == 0)
        code = hf_state_save(life->store, NAME, text, strlen(text), &options, NULL, &error);
    else
        hf_batch_free(&records);
    judge(life, "save", code, &error);
    if (code == 0)
        life->is_acked[life->acked = number] = 1;
}

/* The number that is saved; 0: none; -1: it cannot be told. */
static int load(struct life *life) {
    struct hf_error error = {0};
    struct hf_state_value *value = NULL;
    int number = -1;
    int code = hf_state_default(life->store, NAME, "{\"n\":0}", 7, &value, &error);
    judge(life, "load", code, &error);
    if (code == 0 && (sscanf(value->bytes, "{\"n\":%d", &number) != 1 || (value->version == 0) != (number == 0)))
        complain(life, "version %" PRIu64 " is '%s'", value->version, (const char *)value->bytes);
    hf_state_value_free(&value);
    if (number >= 0 && (number < life->acked || number > life->number))
        complain(life, "%d is loaded; acknowledged %d, begun %d", number, life->acked, life->number);
    return number;
}

static void live(struct life *life) {
    struct hf_error error = {0};
    begin(life);
    if (!life->store)
        return;
    judge(life, "keep", hf_state_keep(life->store, NAME, KEEP, 0, &error), &error);
    take_lease(life);
    for (int i = 0; i < SAVES; i++) {
        load(life);
        save(life);
    }
    if (life->lease)
        judge(life, "renew", hf_state_lease_renew(life->store, life->lease, &error), &error);
    judge(life, "give back", hf_state_lease_release(life->store, &life->lease, NULL, &error), &error);
}

static void look_at_records(struct life *life, int newest) {
    for (int i = 1; i <= life->number; i++) {
        struct hf_record *item = NULL;
        char id[16];
        snprintf(id, sizeof id, "%d", i);
        int is_there = hf_store_get(life->store, "item", id, &item, NULL) == 0;
        hf_record_free(&item);
        if ((!is_there && (life->is_acked[i] || i == newest)) || (is_there && i > newest))
            complain(life, "record %d is %s, and the state is at %d", i, is_there ? "there" : "not there", newest);
    }
}

/* The fault is gone: what was promised is there, and the same life works. */
static void look(struct life *life) {
    begin(life);
    if (!life->store)
        return;
    look_at_records(life, load(life));
    live(life);
    if (load(life) != life->number)
        complain(life, "the second life's last save is not there");
}

static void make_folder(struct life *life) {
    const char *shared = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(life->folder, sizeof life->folder, "%s/holdfast-state-XXXXXX", shared);
    if (!mkdtemp(life->folder))
        fail_msg("cannot make a folder in %s", shared);
    snprintf(life->url, sizeof life->url, "sqlite:%s/store.db", life->folder);
}

static void remove_folder(const struct life *life) {
    static const char *const FILES[] = {"store.db", "store.db-wal", "store.db-shm", "lock"};
    char path[128];
    for (size_t i = 0; i < sizeof FILES / sizeof FILES[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", life->folder, FILES[i]);
        unlink(path);
    }
    rmdir(life->folder);
}

/* ---- the faults -------------------------------------------------------------------------------------------------- */

struct sweep {
    const char *name;
    int for_ever, system_errno; /* 0: memory */
};

/* How many chances to fail there were; at 0: nothing fails. */
static uint64_t run(const struct sweep *sweep, uint64_t at, struct life *life) {
    struct os_fault *fault = NULL;
    *life = (struct life){.is_faulty = at > 0,
                          .is_memory = sweep->system_errno == 0,
                          .is_unreadable = sweep->system_errno == EIO};
    make_folder(life);
    if (os_fault_new(os_real(), &fault) != 0)
        fail_msg("no fault");
    life->os = os_fault_os(fault);
    uint64_t fail_at = at ? at : UINT64_MAX;
    const struct os_fault_plan plan = {.fail_at = fail_at, .once = !sweep->for_ever, .error = sweep->system_errno};
    if (life->is_memory)
        failing_memory_set(fail_at, sweep->for_ever);
    else
        os_fault_set(fault, &plan);
    live(life);
    uint64_t count = life->is_memory ? failing_memory_count() : os_fault_calls(fault);
    hf_store_close(&life->store);
    failing_memory_set(0, 0);
    os_fault_set(fault, &(struct os_fault_plan){.fail_at = 0});
    unsigned errors = life->errors;
    life->is_faulty = 0;
    look(life);
    life->errors = errors;
    hf_state_lease_free(&life->lease);
    hf_store_close(&life->store);
    os_fault_free(&fault);
    remove_folder(life);
    return count;
}

static void test_sweep(void **state) {
    const struct sweep *sweep = *state;
    struct life life;
    unsigned runs = 0, errors = 0, complaints = 0;
    run(sweep, 0, &life); /* what is allocated once for the process */
    uint64_t count = run(sweep, 0, &life);
    if (life.complaint[0])
        fail_msg("without any fault: %s", life.complaint);
    for (uint64_t at = share_first(); at <= count; at += share_step(), runs++) {
        run(sweep, at, &life);
        errors += life.errors;
        if (life.complaint[0] && complaints++ < COMPLAINTS_SHOWN)
            printf("#   %s, number %" PRIu64 ": %s\n", sweep->name, at, life.complaint);
    }
    printf("# %s: %u runs over %" PRIu64 " chances, %u errors seen, %u complaints\n", sweep->name, runs, count, errors,
           complaints);
    assert_int_equal(complaints, 0);
    assert_true(errors > 0);
}

int main(void) {
    static const struct sweep SWEEPS[] = {
        {"no memory once", 0, 0},   {"no memory for ever", 1, 0}, {"EIO once", 0, EIO},
        {"EIO for ever", 1, EIO},   {"ENOSPC once", 0, ENOSPC},   {"ENOSPC for ever", 1, ENOSPC},
        {"EMFILE once", 0, EMFILE},
    };
    enum { COUNT = sizeof SWEEPS / sizeof SWEEPS[0] };
    struct CMUnitTest tests[COUNT];
    for (size_t i = 0; i < COUNT; i++)
        tests[i] =
            (struct CMUnitTest){.name = SWEEPS[i].name, .test_func = test_sweep, .initial_state = (void *)&SWEEPS[i]};
    failing_memory_take_sqlite();
    return cmocka_run_group_tests_name("a collector's life with faults", tests, NULL, NULL);
}
