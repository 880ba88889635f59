/* What programs do with a store: one workload for each way to disk. */
#include "sim/store_work.h"

#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>

/* The program is killed when the batch is written and not yet synced. */
static void die_in_commit(struct store_work *work, unsigned at_sync) {
    sim_mark_phase(work->disk, "commit");
    sim_process_kill_at_sync(work->process, at_sync);
    store_work_queue(work, 2, 0, 300, 1);
    store_pump(work->store);
}

/* The making of the store is one workload's; the others begin with one that was closed: the WAL is short. */
static void begin_anew(struct store_work *work) {
    store_work_commit(work, 2, 0, 50);
    store_work_close(work);
    sim_disk_record(work->disk);
    sim_mark_ack(work->disk, (int64_t)work->oracle.newest);
    store_work_open(work);
}

static void work_creation(struct store_work *work) {
    for (int i = 0; i < 3; i++)
        store_work_commit(work, 2, i == 2, 200);
    store_work_close(work);
}

static void work_commits(struct store_work *work) {
    begin_anew(work);
    for (int i = 0; i < 12; i++)
        store_work_commit(work, 1 + store_work_below(work, 3), i > 4 && store_work_below(work, 3) == 0,
                          20 + store_work_below(work, 300));
    store_work_close(work);
}

static void queue_group(struct store_work *work, unsigned batches) {
    for (unsigned i = 0; i < batches; i++)
        store_work_queue(work, 1 + store_work_below(work, 4), 0, 10 + store_work_below(work, 600), 0);
}

static void work_groups(struct store_work *work) {
    begin_anew(work);
    for (int i = 0; i < 6; i++) {
        sim_mark_phase(work->disk, "commit");
        queue_group(work, 2 + (unsigned)store_work_below(work, 7));
        store_pump(work->store);
    }
    store_work_close(work);
}

static void work_deletions(struct store_work *work) {
    begin_anew(work);
    for (int i = 0; i < 16; i++)
        store_work_commit(work, 1 + store_work_below(work, 4), i % 2, 1500);
    store_work_close(work);
}

static void work_big(struct store_work *work) {
    begin_anew(work);
    for (int i = 0; i < 6; i++) {
        store_work_commit(work, 2, i == 4, 9000 + store_work_below(work, 60000));
        if (i == 3)
            store_work_rest(work);
    }
    store_work_close(work);
}

/* The WAL is written back at leisure only when it is long: what makes it so is not of interest, and not recorded. The
 * database stays small, since it is always the same record. */
static void make_wal_long(struct store_work *work) {
    for (int i = 0; i < 60; i++) {
        store_work_queue_one(work, "plain", "long", 70000);
        store_pump(work->store);
    }
}

/* A small commit stands at the front of the WAL, and the first one that is written over it is big. */
static void work_rests(struct store_work *work) {
    begin_anew(work);
    store_work_commit(work, 1, 0, 100);
    make_wal_long(work);
    sim_disk_record(work->disk);
    store_work_ack(work);
    store_work_rest(work);
    for (int i = 0; i < 4; i++)
        store_work_commit(work, 1 + store_work_below(work, 3), i == 2,
                          i == 0 ? 60000 : 100 + store_work_below(work, 3000));
    store_work_close(work);
}

static void work_reopens(struct store_work *work) {
    begin_anew(work);
    for (int i = 0; i < 6; i++) {
        store_work_commit(work, 2, i > 2, 200);
        store_work_close(work);
        store_work_open(work);
    }
    store_work_close(work);
}

/* At first the WAL's header is synced too; a tree syncs its files, too, and perhaps its folders. */
static unsigned sync_to_die_at(struct store_work *work, int round) {
    if (work->backing->is_tree)
        return 1 + (unsigned)store_work_below(work, 8);
    return round == 0 ? 1 + (unsigned)store_work_below(work, 3) : 1;
}

/* The program dies, the machine lives on, a new one takes over what was not synced; then the power goes. */
static void work_kills(struct store_work *work) {
    begin_anew(work);
    for (int i = 0; i < 6; i++) {
        if (i % 2)
            store_work_commit(work, 2, i > 2, 300);
        else
            die_in_commit(work, sync_to_die_at(work, i));
        store_work_kill(work);
        store_work_open(work);
        if (i % 3)
            store_work_commit(work, 1, 0, 300);
    }
    store_work_kill(work);
}

/* Killed at the first sync of its making, at the second, and so on. */
static void work_killed_creation(struct store_work *work) {
    sim_mark_phase(work->disk, "create");
    for (unsigned sync = 1; sync <= 12; sync++) {
        struct hf_store *store = NULL;
        struct sim_process *process = sim_process_new(work->disk);
        struct store_setup setup = {.os = sim_process_os(process), .without_thread = 1};
        sim_process_set_lying(process, work->lying);
        sim_process_kill_at_sync(process, sync);
        if (store_open(work->backing->url, NULL, &setup, &store, NULL) == 0)
            sim_process_kill(process);
        hf_store_close(&store);
        sim_process_free(&process);
    }
    store_work_open(work);
    store_work_commit(work, 2, 0, 200);
    store_work_kill(work);
}

/* So many documents at once that a tree syncs the whole file system instead of each file; then a few of them again. */
static void work_many(struct store_work *work) {
    begin_anew(work);
    for (int round = 0; round < 2; round++) {
        sim_mark_phase(work->disk, "commit of many");
        for (int i = 0; i < 110; i++) {
            char id[16];
            snprintf(id, sizeof id, "many %d", i);
            store_work_queue_one(work, i % 2 ? "plain" : "other", id, 30);
        }
        store_pump(work->store);
        store_work_commit(work, 3, 0, 100);
        store_work_rest(work);
    }
    store_work_commit(work, 2, 1, 100);
    store_work_close(work);
}

static void work_mixed(struct store_work *work) {
    begin_anew(work);
    for (int i = 0; i < 20; i++) {
        switch (store_work_below(work, 8)) {
        case 0:
            store_work_rest(work);
            break;
        case 1:
            store_work_close(work);
            store_work_open(work);
            break;
        case 2:
            store_work_kill(work);
            store_work_open(work);
            break;
        case 3:
            sim_mark_phase(work->disk, "commit");
            queue_group(work, 1 + (unsigned)store_work_below(work, 5));
            store_pump(work->store);
            break;
        default:
            store_work_commit(work, 1 + store_work_below(work, 4), i % 2, store_work_below(work, 5) == 0 ? 20000 : 100);
        }
    }
    store_work_close(work);
}

const struct store_workload store_workloads[] = {
    {"creation", work_creation, 5, 5, 0},
    {"single commits", work_commits, 5, 5, 0},
    {"group commits", work_groups, 5, 5, 0},
    {"deletions", work_deletions, 5, 5, 0},
    {"big documents", work_big, 1, 0, 0},
    {"checkpoints", work_rests, 1, 0, 0},
    {"many at once", work_many, 0, 1, 0},
    {"closing and opening", work_reopens, 5, 5, 0},
    {"kill -9, then power", work_kills, 5, 5, 0},
    {"kill -9 in creation", work_killed_creation, 5, 5, 1},
    {"mixed", work_mixed, 5, 5, 0},
    {NULL, NULL, 0, 0, 0},
};

static struct sim_record *record(const struct crash_subject *subject, uint64_t seed, int lying, void **ret_work) {
    const struct store_workload *workload = subject->workload;
    struct store_work *work = sim_alloc(sizeof *work);
    store_work_init(work, subject->backing, seed, lying);
    if (!workload->makes_store)
        store_work_open(work);
    workload->run(work);
    oracle_seal(&work->oracle);
    *ret_work = work;
    return sim_disk_take_record(work->disk);
}

static void fini(void **work) {
    store_work_fini(*work);
    mem_free(*work);
    *work = NULL;
}

size_t store_work_subjects(const struct store_backing *backing,
                           struct crash_subject ret_subjects[STORE_SUBJECTS_MOST]) {
    size_t count = 0;
    for (const struct store_workload *workload = store_workloads; workload->name; workload++) {
        struct crash_subject *subject = &ret_subjects[count];
        unsigned weight = backing->is_tree ? workload->tree_weight : workload->weight;
        if (!weight || count == STORE_SUBJECTS_MOST)
            continue;
        *subject = (struct crash_subject){.weight = weight, .backing = backing, .workload = workload};
        snprintf(subject->name, sizeof subject->name, "%s: %s", backing->name, workload->name);
        subject->record = record;
        subject->verify = store_work_verify;
        subject->fini = fini;
        count++;
    }
    return count;
}
