/* A program over the store comes back from a crash. */
#include "sim/store_work.h"
#include "sim/tree_state.h"

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
    int code = store_open(work->backing->url, NULL, &setup, ret_store, &error);
    if (code == 0)
        code = oracle_set_keeps(&work->oracle, *ret_store);
    if (code != 0)
        snprintf(text, CRASH_TEXT, "open: %s", error.message);
    return code;
}

static int close_tidily(struct store_work *work, const struct os *os, struct hf_store **store, char text[CRASH_TEXT]) {
    hf_store_close(store);
    return !work->backing->is_tree || tree_state_is_tidy(os, work->backing->url, text) ? 0 : -1;
}

/* Rests, closes, opens, and looks once more: what was committed after the crash is there too. */
static int come_back_again(struct store_work *work, const struct os *os, struct hf_store **store, int64_t revision,
                           char text[CRASH_TEXT]) {
    store_pump(*store);
    if (close_tidily(work, os, store, text) != 0)
        return -1;
    if (open_again(work, os, store, text) != 0)
        return -1;
    int64_t found = oracle_compare(&work->oracle, *store, text);
    if (found >= 0 && found != revision)
        snprintf(text, CRASH_TEXT, "after closing and opening it is at revision %" PRId64, found);
    return found == revision ? 0 : -1;
}

static int is_one_in(const struct store_work *work, unsigned one_in) {
    return work->verified % one_in == 0;
}

/* Everything is as promised; and the program can go on. */
static int64_t use(struct store_work *work, struct sim_disk *disk, const struct os *os, struct hf_store **store,
                   char text[CRASH_TEXT]) {
    const char *url = work->backing->url;
    int64_t found = oracle_compare(&work->oracle, *store, text);
    if (found < 0 || (work->backing->is_tree && tree_state_compare(os, url, *store, text) != 0))
        return -1;
    sim_mark_ack(disk, found);
    work->verified++;
    if (is_one_in(work, work->check_one_in) && check(*store, text) != 0)
        return -1;
    sim_mark_phase(disk, "commit after a crash");
    int code = work->go_on ? work->go_on(work, *store, (uint64_t)found, text)
                           : oracle_commit_after(*store, (uint64_t)found, text);
    if (code != 0)
        return -1;
    int64_t newest = (int64_t)hf_store_revision(*store);
    sim_mark_ack(disk, newest);
    if (!is_one_in(work, work->reopen_one_in))
        return found;
    if (come_back_again(work, os, store, newest, text) != 0)
        return -1;
    return work->backing->is_tree && tree_state_compare(os, url, *store, text) != 0 ? -1 : found;
}

static int64_t open_and_use(struct store_work *work, struct sim_disk *disk, struct sim_process *process,
                            const struct tree_state *left, char text[CRASH_TEXT]) {
    const struct os *os = sim_process_os(process);
    struct hf_store *store = NULL;
    int64_t found = -1, in_files = INT64_MAX;
    sim_mark_phase(disk, "open after a crash");
    if (open_again(work, os, &store, text) == 0)
        found = use(work, disk, os, &store, text);
    if (found >= 0 && work->backing->is_tree)
        in_files = tree_state_revision(left, &work->oracle, store);
    sim_mark_phase(disk, "close after a crash");
    if (close_tidily(work, os, &store, text) != 0)
        return -1;
    if (found >= 0 && sim_process_open_files(process)) {
        snprintf(text, CRASH_TEXT, "files are left open");
        return -1;
    }
    if (in_files < found)
        snprintf(text, CRASH_TEXT, "the files were older than the records, which are at revision %" PRId64, found);
    return in_files < found ? in_files : found;
}

int64_t store_work_verify(void *arg, struct sim_disk *disk, char text[CRASH_TEXT]) {
    struct store_work *work = arg;
    struct sim_process *process = sim_process_new(disk);
    struct tree_state left = {0}; /* what other programs find before the store is opened again */
    int64_t found = -1;
    text[0] = '\0';
    if (!work->backing->is_tree || tree_state_read(sim_process_os(process), work->backing->url, &left, text) == 0)
        found = open_and_use(work, disk, process, &left, text);
    tree_state_fini(&left);
    sim_process_free(&process);
    return found;
}
