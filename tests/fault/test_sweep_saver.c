/* A program that keeps its documents itself, while every call to the system and every allocation fails in turn:
 * marking, saving, loading, auditing, closing. Nothing that it holds is forgotten: with the fault gone every document
 * is in the store as the owner has it, the check is clean, and what he lent was returned to him. The first opening of
 * the store is swept by test_sweep_store, test_sweep_tree and test_sweep_memory; only that of a tree without memory is
 * here.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fault/failing_memory.h"
#include "fault/saver_life.h"
#include "sim/share.h"
#include "sim/sim_disk.h"

#include <errno.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { COMPLAINTS_SHOWN = 12 };

/* ---- calls to the system ----------------------------------------------------------------------------------------- */

static struct os_fault_plan plan; /* of the calls that fail */

static void arm_calls(void) {
    os_fault_set(sweep.fault, &plan);
}

static uint64_t run_calls(const char *url) {
    struct sim_disk *disk = sim_disk_new(3);
    struct sim_process *process = sim_process_new(disk);
    memset(&sweep, 0, sizeof sweep);
    if (os_fault_new(sim_process_os(process), &sweep.fault) != 0)
        abort();
    sweep.os = os_fault_os(sweep.fault);
    sweep.url = url;
    sweep.arm = arm_calls;
    sweep_scenario();
    sweep_verify();
    if (sim_process_open_files(process))
        sweep_complain("%u files are left open", sim_process_open_files(process));
    os_fault_free(&sweep.fault);
    sim_process_free(&process);
    sim_disk_free(&disk);
    return sweep.calls;
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
    struct total total = {0};
    plan = (struct os_fault_plan){0};
    uint64_t calls = run_calls(url);
    if (sweep.complaint[0])
        fail_msg("without any fault: %s", sweep.complaint);
    for (int once = 1; once >= 0; once--) {
        uint64_t count = calls;
        for (uint64_t at = share_first(); at <= count; at += share_step()) {
            plan = (struct os_fault_plan){.fail_at = at, .once = once, .error = error};
            uint64_t made = run_calls(url);
            if (made > count)
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

/* Which allocation fails. */
static struct {
    uint64_t at;
    int for_ever;
} memory;

static void arm_memory(void) {
    failing_memory_set(memory.at, memory.for_ever);
}

/* What is swept: the opening of the store, or what comes behind it. */
struct place {
    const char *scheme, *rest;
    int is_opening;
};

static uint64_t run_memory(const struct place *place, uint64_t at, int for_ever) {
    char folder[64], url[160];
    const char *shared = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    failing_memory_set(0, 0);
    memset(&sweep, 0, sizeof sweep);
    snprintf(folder, sizeof folder, "%s/holdfast-saver-XXXXXX", shared);
    if (!mkdtemp(folder))
        fail_msg("cannot make a folder in %s", shared);
    snprintf(url, sizeof url, "%s:%s/%s", place->scheme, folder, place->rest);
    sweep.os = os_real();
    sweep.url = url;
    memory.at = at;
    memory.for_ever = for_ever;
    if (place->is_opening)
        arm_memory();
    else
        sweep.arm = arm_memory;
    sweep.only_opens = place->is_opening;
    sweep_scenario();
    uint64_t count = failing_memory_count();
    sweep_verify();
    nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    return count;
}

static void sweep_memory(const struct place *place, int for_ever) {
    const char *how = for_ever ? "for ever" : "once";
    struct total total = {0};
    run_memory(place, 0, 0); /* what is allocated once for the process */
    uint64_t count = run_memory(place, 0, 0);
    if (sweep.complaint[0])
        fail_msg("without any fault: %s", sweep.complaint);
    for (uint64_t at = share_first(); at <= count; at += share_step()) {
        run_memory(place, at, for_ever);
        add_up(&total, "allocation", at, how);
    }
    printf("# no memory %-14s %5u runs over %" PRIu64 " allocations, %5u errors seen, %u complaints\n", how, total.runs,
           count, total.errors, total.complaints);
    assert_int_equal(total.complaints, 0);
    assert_true(total.errors > 0);
}

static void test_memory_over_sqlite(void **state) {
    (void)state;
    const struct place place = {"sqlite", "store.db", 0};
    sweep_memory(&place, 0);
    sweep_memory(&place, 1);
}

static void test_memory_over_tree(void **state) {
    (void)state;
    for (int is_opening = 0; is_opening <= 1; is_opening++) {
        const struct place place = {"tree", "tree?layout=watch&threads=1", is_opening};
        sweep_memory(&place, 0);
        sweep_memory(&place, 1);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls_over_sqlite),
        cmocka_unit_test(test_memory_over_sqlite),
        cmocka_unit_test(test_calls_over_tree),
        cmocka_unit_test(test_memory_over_tree),
    };
    failing_memory_take_sqlite();
    return cmocka_run_group_tests_name("a saver whose world fails", tests, NULL, NULL);
}
