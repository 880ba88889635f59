/* A program that keeps its documents itself, while every call to the system and every allocation fails in turn:
 * opening, marking, saving, loading, auditing, closing. Nothing that it holds is forgotten: with the fault gone every
 * document is in the store as the owner has it, the check is clean, and what he lent was returned to him. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sim/sim_disk.h"
#include "store/saver.h"

#include <errno.h>
#include <ftw.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
enum { EVERY_BY_DEFAULT = 11 };
#else
enum { EVERY_BY_DEFAULT = 1 };
#endif

enum { THINGS = 24, BATCH = 10, COMPLAINTS_SHOWN = 12 };

/* ---- memory that runs out ---------------------------------------------------------------------------------------- */

static uint64_t allocations, fail_at; /* fail_at 0: never */
static int fails_for_ever;

static int fails_now(void) {
    allocations++;
    return fail_at && (allocations == fail_at || (fails_for_ever && allocations > fail_at));
}

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);

void *__wrap_malloc(size_t bytes) {
    return fails_now() ? NULL : __real_malloc(bytes);
}

void *__wrap_calloc(size_t count, size_t bytes) {
    return fails_now() ? NULL : __real_calloc(count, bytes);
}

void *__wrap_realloc(void *old, size_t bytes) {
    return fails_now() ? NULL : __real_realloc(old, bytes);
}

static sqlite3_mem_methods sqlite_memory; /* SQLite's own */

static void *sqlite_malloc(int bytes) {
    return fails_now() ? NULL : sqlite_memory.xMalloc(bytes);
}

static void *sqlite_realloc(void *old, int bytes) {
    return fails_now() ? NULL : sqlite_memory.xRealloc(old, bytes);
}

static void set_memory(uint64_t at, int for_ever) {
    allocations = 0;
    fail_at = at;
    fails_for_ever = for_ever;
}

/* ---- one run ----------------------------------------------------------------------------------------------------- */

struct thing {
    char id[16], text[1200]; /* text "": deleted */
    int is_lent, is_unmarked;
};

static struct sweep {
    const struct os *os;
    struct os_fault *fault; /* NULL: memory is what fails */
    const char *url;
    struct hf_store *store;
    struct hf_saver *saver;
    struct thing things[THINGS];
    int is_gone; /* the fault was taken away */
    int lent;
    unsigned errors;
    char complaint[700];
} sweep;

static void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void complain(const char *format, ...) {
    va_list args;
    if (sweep.complaint[0])
        return;
    va_start(args, format);
    vsnprintf(sweep.complaint, sizeof sweep.complaint, format, args);
    va_end(args);
}

static void take_fault_away(void) {
    static const struct os_fault_plan none = {0};
    if (sweep.is_gone)
        return;
    sweep.is_gone = 1;
    if (sweep.fault)
        os_fault_set(sweep.fault, &none);
    else
        fail_at = 0;
}

static void judge(const char *step, int code, const struct hf_error *error) {
    sweep.errors++;
    if (sweep.is_gone)
        complain("%s still fails with the fault gone: %s (%s)", step, error->message, hf_code_word(code));
    else if (code != error->code || !error->message[0] || code == HF_ERR_INTERNAL)
        complain("%s: not a typed error: %s (%s, returned %s)", step, error->message, hf_code_word(error->code),
                 hf_code_word(code));
    else if (!sweep.fault && code != HF_ERR_NO_MEMORY && !strstr(error->message, "memory"))
        complain("%s: does not name the cause: %s (%s)", step, error->message, hf_code_word(code));
}

/* ---- the owner ---- */

static int give(void *arg, const char *kind, const char *id, void *tag, struct hf_document *document) {
    struct thing *thing = &sweep.things[atoi(id)];
    (void)arg, (void)kind, (void)tag;
    if (!thing->text[0])
        return HF_ERR_NOT_FOUND;
    if (thing->is_lent) {
        sweep.lent++;
        hf_document_lend(document, thing->text, strlen(thing->text));
    } else {
        hf_document_add(document, thing->text, 2);
        hf_document_add(document, thing->text + 2, strlen(thing->text) - 2);
    }
    return 0;
}

static void returned(void *arg, const char *kind, const char *id, void *tag) {
    (void)arg, (void)kind, (void)id, (void)tag;
    sweep.lent--;
}

static int each(void *arg, hf_key_visit visit, void *visit_arg) {
    int code = 0;
    (void)arg;
    for (int i = 0; i < THINGS && code == 0; i++)
        if (sweep.things[i].text[0])
            code = visit(visit_arg, "watch", sweep.things[i].id, NULL);
    return code;
}

static void set_text(int number, int turn) {
    struct thing *thing = &sweep.things[number];
    snprintf(thing->id, sizeof thing->id, "%d", number);
    thing->is_lent = number % 2;
    int used = snprintf(thing->text, sizeof thing->text, "{\"n\":%d,\"turn\":%d,\"fill\":\"", number, turn);
    memset(thing->text + used, 'a' + turn, 1000);
    memcpy(thing->text + used + 1000, "\"}", 3);
}

/* What could not be remembered is marked again later, as an owner would do. */
static void mark(int number) {
    struct hf_error error = {0};
    struct thing *thing = &sweep.things[number];
    enum hf_urgency urgency = number % 5 == 0 ? HF_URGENT : HF_STANDARD;
    int code = hf_saver_mark(sweep.saver, "watch", thing->id, NULL, urgency, &error);
    thing->is_unmarked = code != 0;
    if (code != 0)
        judge("mark", code, &error);
}

/* ---- steps ---- */

static int try_open(struct hf_error *error) {
    struct store_setup setup = {.os = sweep.os, .without_thread = 1};
    struct saver_setup saver_setup = {.without_thread = 1};
    const struct hf_saver_options options = {.struct_bytes = sizeof options,
                                             .batch = BATCH,
                                             .give = give,
                                             .returned = returned,
                                             .each = each,
                                             .who = "sweep"};
    int code = store_open(sweep.url, NULL, &setup, &sweep.store, error);
    if (code == 0)
        code = saver_open_with(sweep.store, &options, &saver_setup, &sweep.saver, error);
    if (code != 0)
        hf_store_close(&sweep.store);
    return code;
}

static int open_both(void) {
    struct hf_error error = {0};
    int code = try_open(&error);
    if (code == 0)
        return 0;
    judge("open", code, &error);
    take_fault_away();
    code = try_open(&error);
    if (code != 0)
        judge("open again", code, &error);
    return code;
}

static void flush(void) {
    struct hf_error error = {0};
    int code = hf_saver_flush(sweep.saver, &error);
    if (code != 0)
        judge("flush", code, &error);
}

static void load(void) {
    struct hf_error error = {0};
    int code = hf_saver_load(sweep.saver, "watch", NULL, NULL, &error);
    if (code != 0)
        judge("load", code, &error);
}

static void audit(void) {
    struct hf_error error = {0};
    uint64_t audited, findings;
    int code = saver_audit(sweep.saver, 0, 1, NULL, NULL, &audited, &findings, &error);
    if (code != 0)
        judge("audit", code, &error);
}

/* The owner still holds everything: a new saver over the store, opened again, takes it from him. */
static void start_over(void) {
    hf_saver_abandon(&sweep.saver);
    hf_store_close(&sweep.store);
    if (open_both() != 0)
        return;
    for (int i = 0; i < THINGS; i++)
        mark(i);
}

static void close_both(void) {
    struct hf_error error = {0};
    int code = hf_saver_close(&sweep.saver, &error);
    if (code != 0) {
        if (code != HF_ERR_FAILED) /* that lasts longer than its cause */
            judge("close", code, &error);
        take_fault_away();
        for (int i = 0; i < THINGS; i++)
            if (sweep.things[i].is_unmarked)
                mark(i);
        if (code == HF_ERR_FAILED)
            start_over();
        code = hf_saver_close(&sweep.saver, &error);
        if (code == HF_ERR_FAILED) { /* it stopped only now */
            start_over();
            code = hf_saver_close(&sweep.saver, &error);
        }
        if (code != 0)
            judge("close again", code, &error);
    }
    hf_saver_abandon(&sweep.saver);
    hf_store_close(&sweep.store);
}

static void scenario(void) {
    for (int i = 0; i < THINGS; i++)
        set_text(i, 1);
    if (open_both() != 0)
        return;
    for (int i = 0; i < THINGS; i++)
        mark(i);
    saver_step(sweep.saver);
    flush();
    load();
    for (int i = 0; i < 8; i++) {
        set_text(i, 2);
        if (i % 3 == 0)
            sweep.things[i].text[0] = '\0';
        mark(i);
    }
    flush();
    set_text(20, 3); /* the audit has to find it */
    audit();
    flush();
    take_fault_away(); /* marks that could not be remembered are the owner's to repeat */
    for (int i = 0; i < THINGS; i++)
        if (sweep.things[i].is_unmarked || i == 20)
            mark(i);
    close_both();
}

/* ---- as a new process would find it ---- */

static void count_finding(void *arg, const struct hf_finding *finding) {
    (void)arg;
    complain("check: %s: %s", finding->what, finding->text);
}

static void expect_as_owned(const struct thing *thing) {
    struct hf_record *record = NULL;
    struct hf_error error = {0};
    int code = hf_store_get(sweep.store, "watch", thing->id, &record, &error);
    if (code != (thing->text[0] ? 0 : HF_ERR_NOT_FOUND))
        complain("'%s': %s", thing->id, code == 0 ? "it was deleted, and is there" : error.message);
    else if (code == 0 && strcmp(record->json, thing->text) != 0)
        complain("'%s': not what the owner holds: %.30s", thing->id, record->json);
    hf_record_free(&record);
}

static void verify(void) {
    struct hf_check_result result = {0};
    struct hf_error error = {0};
    take_fault_away();
    if (sweep.lent != 0)
        complain("%d of what was lent was not returned", sweep.lent);
    if (open_both() != 0)
        return;
    for (int i = 0; i < THINGS; i++)
        expect_as_owned(&sweep.things[i]);
    if (hf_store_check(sweep.store, count_finding, NULL, &result, &error) != 0)
        complain("check: %s", error.message);
    hf_saver_abandon(&sweep.saver);
    hf_store_close(&sweep.store);
}

/* ---- calls to the system ----------------------------------------------------------------------------------------- */

static uint64_t run_calls(const char *url, const struct os_fault_plan *plan) {
    struct sim_disk *disk = sim_disk_new(3);
    struct sim_process *process = sim_process_new(disk);
    memset(&sweep, 0, sizeof sweep);
    if (os_fault_new(sim_process_os(process), &sweep.fault) != 0)
        abort();
    sweep.os = os_fault_os(sweep.fault);
    sweep.url = url;
    os_fault_set(sweep.fault, plan);
    scenario();
    uint64_t calls = os_fault_calls(sweep.fault);
    verify();
    if (sim_process_open_files(process))
        complain("%u files are left open", sim_process_open_files(process));
    os_fault_free(&sweep.fault);
    sim_process_free(&process);
    sim_disk_free(&disk);
    return calls;
}

/* With HOLDFAST_SWEEP_EVERY=n only each n-th fault is tried. */
static uint64_t every(void) {
    const char *text = getenv("HOLDFAST_SWEEP_EVERY");
    return text && *text ? strtoull(text, NULL, 10) : EVERY_BY_DEFAULT;
}

struct total {
    unsigned runs, errors, complaints;
};

static void add_up(struct total *total, const char *what, uint64_t at, const char *how) {
    total->runs++;
    total->errors += sweep.errors;
    if (sweep.complaint[0] && total->complaints++ < COMPLAINTS_SHOWN)
        printf("#   %s %" PRIu64 " %s: %s\n", what, at, how, sweep.complaint);
}

static void sweep_calls(const char *url, int error) {
    const struct os_fault_plan none = {0};
    struct total total = {0};
    run_calls(url, &none);
    if (sweep.complaint[0])
        fail_msg("without any fault: %s", sweep.complaint);
    uint64_t calls = 0;
    for (int once = 1; once >= 0; once--) {
        uint64_t count = 1;
        for (uint64_t at = 1; at <= count; at += every()) {
            struct os_fault_plan plan = {.fail_at = at, .once = once, .error = error};
            uint64_t made = run_calls(url, &plan);
            if (at == 1 || made > count)
                count = made;
            add_up(&total, "call", at, once ? "once" : "for ever");
        }
        calls = count > calls ? count : calls;
    }
    printf("# %-24s %5u runs over %" PRIu64 " calls, %5u errors seen, %u complaints\n", strerror(error), total.runs,
           calls, total.errors, total.complaints);
    assert_int_equal(total.complaints, 0);
    assert_true(total.errors > 0);
}

static void sweep_errors(const char *url) {
    static const int errors[] = {ENOSPC, EDQUOT, EIO, EMFILE, EROFS, EACCES, ENOMEM};
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        sweep_calls(url, errors[i]);
}

static void test_calls_over_sqlite(void **state) {
    (void)state;
    sweep_errors("sqlite:/data/store.db");
}

static void test_calls_over_tree(void **state) {
    (void)state;
    sweep_errors("tree:/data/tree?layout=watch&threads=1");
}

/* ---- allocations ------------------------------------------------------------------------------------------------- */

static int remove_entry(const char *path, const struct stat *stat, int type, struct FTW *walk) {
    (void)stat, (void)type, (void)walk;
    return remove(path);
}

static uint64_t run_memory(const char *scheme, const char *rest, uint64_t at, int for_ever) {
    char folder[64], url[160];
    const char *shared = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    set_memory(0, 0);
    memset(&sweep, 0, sizeof sweep);
    snprintf(folder, sizeof folder, "%s/holdfast-saver-XXXXXX", shared);
    if (!mkdtemp(folder))
        fail_msg("cannot make a folder in %s", shared);
    snprintf(url, sizeof url, "%s:%s/%s", scheme, folder, rest);
    sweep.os = os_real();
    sweep.url = url;
    set_memory(at, for_ever);
    scenario();
    uint64_t count = allocations;
    verify();
    nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    return count;
}

static void sweep_memory(const char *scheme, const char *rest, int for_ever) {
    const char *how = for_ever ? "for ever" : "once";
    struct total total = {0};
    run_memory(scheme, rest, 0, 0); /* what is allocated once for the process */
    uint64_t count = run_memory(scheme, rest, 0, 0);
    if (sweep.complaint[0])
        fail_msg("without any fault: %s", sweep.complaint);
    for (uint64_t at = 1; at <= count; at += every()) {
        run_memory(scheme, rest, at, for_ever);
        add_up(&total, "allocation", at, how);
    }
    printf("# no memory %-14s %5u runs over %" PRIu64 " allocations, %5u errors seen, %u complaints\n", how, total.runs,
           count, total.errors, total.complaints);
    assert_int_equal(total.complaints, 0);
    assert_true(total.errors > 0);
}

static void test_memory_over_sqlite(void **state) {
    (void)state;
    sweep_memory("sqlite", "store.db", 0);
    sweep_memory("sqlite", "store.db", 1);
}

static void test_memory_over_tree(void **state) {
    (void)state;
    sweep_memory("tree", "tree?layout=watch&threads=1", 0);
    sweep_memory("tree", "tree?layout=watch&threads=1", 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls_over_sqlite),
        cmocka_unit_test(test_memory_over_sqlite),
        cmocka_unit_test(test_calls_over_tree),
        cmocka_unit_test(test_memory_over_tree),
    };
    sqlite3_config(SQLITE_CONFIG_GETMALLOC, &sqlite_memory);
    sqlite3_mem_methods counted = sqlite_memory;
    counted.xMalloc = sqlite_malloc;
    counted.xRealloc = sqlite_realloc;
    sqlite3_config(SQLITE_CONFIG_MALLOC, &counted);
    return cmocka_run_group_tests_name("a saver whose world fails", tests, NULL, NULL);
}
