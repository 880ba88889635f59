/* A program over the store comes back from a crash. */
#include "sim/store_work.h"

#include <inttypes.h>
#include <stdio.h>

static void note_finding(void *arg, const struct hf_finding *finding) {
    snprintf(arg, CRASH_TEXT, "check: %s: %s", finding->what, finding->text);
}

static int check(struct hf_store *store, char text[CRASH_TEXT]) {
    struct hf_check_result result = {0};
    struct hf_error error = {0};
    int code = hf_store_check(store, note_finding, text, &result, &error);
    if (code != 0)
        snprintf(text, CRASH_TEXT, "check: %s", error.message);
    return code != 0 || result.findings ? -1 : 0;
}

static int open_again(struct store_work *work, const struct os *os, struct hf_store **ret_store,
                      char text[CRASH_TEXT]) {
    struct store_setup setup = {.os = os, .without_thread = 1};
    struct hf_error error = {0};
    int code = store_open(STORE_WORK_URL, NULL, &setup, ret_store, &error);
    if (code == 0)
        code = oracle_set_keeps(&work->oracle, *ret_store);
    if (code != 0)
        snprintf(text, CRASH_TEXT, "open: %s", error.message);
    return code;
}

/* Rests, closes, opens, and looks once more: what was committed after the crash is there too. */
static int come_back_again(struct store_work *work, const struct os *os, struct hf_store **store, int64_t revision,
                           char text[CRASH_TEXT]) {
    store_pump(*store);
    hf_store_close(store);
    if (open_again(work, os, store, text) != 0)
        return -1;
    int64_t found = oracle_compare(&work->oracle, *store, text);
    if (found >= 0 && found != revision)
        snprintf(text, CRASH_TEXT, "after closing and opening it is at revision %" PRId64, found);
    return found == revision ? 0 : -1;
}

static int64_t use(struct store_work *work, struct sim_disk *disk, const struct os *os, struct hf_store **store,
                   char text[CRASH_TEXT]) {
    int64_t found = oracle_compare(&work->oracle, *store, text);
    if (found < 0)
        return -1;
    sim_mark_ack(disk, found);
    work->verified++;
    if (work->verified % work->check_one_in == 0 && check(*store, text) != 0)
        return -1;
    sim_mark_phase(disk, "commit after a crash");
    if (oracle_commit_after(*store, (uint64_t)found, text) != 0)
        return -1;
    sim_mark_ack(disk, found + 1);
    if (work->verified % work->reopen_one_in == 0 && come_back_again(work, os, store, found + 1, text) != 0)
        return -1;
    return found;
}

int64_t store_work_verify(void *arg, struct sim_disk *disk, char text[CRASH_TEXT]) {
    struct store_work *work = arg;
    struct sim_process *process = sim_process_new(disk);
    struct hf_store *store = NULL;
    int64_t found = -1;
    sim_mark_phase(disk, "open after a crash");
    if (open_again(work, sim_process_os(process), &store, text) == 0)
        found = use(work, disk, sim_process_os(process), &store, text);
    sim_mark_phase(disk, "close after a crash");
    hf_store_close(&store);
    if (found >= 0 && sim_process_open_files(process)) {
        snprintf(text, CRASH_TEXT, "files are left open");
        found = -1;
    }
    sim_process_free(&process);
    return found;
}
