#include "sim/store_work.h"

#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct oracle_keep keeps[] = {{"kept", 3}, {"all", UINT32_MAX}, {NULL, 0}};
static const char *const kinds[] = {"plain", "kept", "all", "other"};

enum { IDS = 5, CHANGES_MOST = 4, BATCHES_MOST = 64 };

/* ---- batches ----------------------------------------------------------------------------------------------------- */

struct change {
    enum hf_what what;
    char kind[16], id[16];
    char *json;
    size_t json_bytes;
};

/* A batch that waits for its answer. */
struct store_waiting {
    struct store_work *work;
    struct change changes[CHANGES_MOST];
    size_t count;
    int is_killed; /* it will not be answered well */
};

static void must(int code, const struct hf_error *error) {
    if (code == 0)
        return;
    fprintf(stderr, "store_work: %s\n", error->message);
    abort();
}

static uint64_t below(struct store_work *work, uint64_t limit) {
    return crash_random(&work->random) % limit;
}

static int exists(struct store_work *work, const char *kind, const char *id) {
    struct hf_record *record = NULL;
    int code = hf_store_get(work->store, kind, id, &record, NULL);
    hf_record_free(&record);
    return code == 0;
}

static char *make_json(struct store_work *work, size_t bytes, size_t *ret_bytes) {
    char *json = sim_alloc(bytes + 64);
    int used = snprintf(json, 64, "{\"n\":%" PRIu64 ",\"fill\":\"", ++work->counter);
    for (size_t i = 0; i < bytes; i++)
        json[used++] = (char)('a' + (work->counter * 31 + i * i) % 26);
    memcpy(json + used, "\"}", 3);
    *ret_bytes = (size_t)used + 2;
    return json;
}

/* revision 0: nothing was changed. */
static void note_commit(struct store_work *work, struct store_waiting *waiting, uint64_t revision) {
    for (size_t i = 0; i < waiting->count; i++) {
        struct change *change = &waiting->changes[i];
        if (revision)
            oracle_add(&work->oracle, revision, change->what, change->kind, change->id, change->json,
                       change->json_bytes);
        mem_free(change->json);
    }
    mem_free(waiting);
}

/* From inside the store, when a batch is durable: this is the acknowledgement. */
static void answered(void *arg, int code, const struct hf_commit_result *result, const struct hf_error *error) {
    struct store_waiting *waiting = arg;
    struct store_work *work = waiting->work;
    if (code != 0 && waiting->is_killed) {
        work->unanswered = waiting;
        return;
    }
    must(code, error);
    note_commit(work, waiting, result->changed ? result->revision : 0);
    sim_mark_ack(work->disk, (int64_t)result->revision);
}

static int is_in(const struct store_waiting *waiting, const struct change *change) {
    for (size_t i = 0; i < waiting->count; i++)
        if (strcmp(waiting->changes[i].kind, change->kind) == 0 && strcmp(waiting->changes[i].id, change->id) == 0)
            return 1;
    return 0;
}

static void add_change(struct store_work *work, struct hf_batch *batch, struct store_waiting *waiting, int deletes,
                       size_t bytes) {
    struct change *change = &waiting->changes[waiting->count];
    struct hf_error error = {0};
    snprintf(change->kind, sizeof change->kind, "%s", kinds[below(work, sizeof kinds / sizeof kinds[0])]);
    snprintf(change->id, sizeof change->id, "id %u", (unsigned)below(work, IDS));
    if (is_in(waiting, change))
        return;
    change->what = deletes && exists(work, change->kind, change->id) ? HF_DELETE : HF_PUT;
    if (change->what == HF_PUT) {
        change->json = make_json(work, bytes, &change->json_bytes);
        must(hf_batch_put(batch, change->kind, change->id, change->json, change->json_bytes, NULL, &error), &error);
    } else {
        must(hf_batch_delete(batch, change->kind, change->id, NULL, &error), &error);
    }
    waiting->count++;
}

static void queue(struct store_work *work, size_t changes, int deletes, size_t bytes, int is_killed) {
    struct store_waiting *waiting = sim_alloc(sizeof *waiting);
    struct hf_batch *batch = NULL;
    struct hf_error error = {0};
    waiting->work = work;
    waiting->is_killed = is_killed;
    must(hf_batch_new("work", &batch, &error), &error);
    for (size_t i = 0; i < changes && i < CHANGES_MOST; i++)
        add_change(work, batch, waiting, deletes, bytes);
    hf_store_commit_async(work->store, &batch, answered, waiting);
}

static void pump(struct store_work *work, const char *phase) {
    sim_mark_phase(work->disk, phase);
    while (store_pump(work->store) > 0)
        continue;
}

/* What waits is committed; the pump then finds nothing and does the idle work, so only once where that is not wanted.
 */
static void commit(struct store_work *work, size_t changes, int deletes, size_t bytes) {
    sim_mark_phase(work->disk, "commit");
    queue(work, changes, deletes, bytes, 0);
    store_pump(work->store);
}

/* What a program finds when it opens, others may build on: from then on it must stay. */
static void rely_on_what_is_there(struct store_work *work) {
    uint64_t revision = hf_store_revision(work->store);
    if (work->unanswered)
        note_commit(work, work->unanswered, revision > work->oracle.newest ? revision : 0);
    work->unanswered = NULL;
    sim_mark_ack(work->disk, (int64_t)revision);
}

static void open_store(struct store_work *work) {
    struct hf_error error = {0};
    sim_mark_phase(work->disk, work->oracle.count ? "open" : "create");
    work->process = sim_process_new(work->disk);
    sim_process_set_lying(work->process, work->lying);
    struct store_setup setup = {.os = sim_process_os(work->process), .without_thread = 1};
    must(store_open(STORE_WORK_URL, NULL, &setup, &work->store, &error), &error);
    must(oracle_set_keeps(&work->oracle, work->store), &error);
    rely_on_what_is_there(work);
}

static void close_store(struct store_work *work) {
    sim_mark_phase(work->disk, "close");
    hf_store_close(&work->store);
    sim_process_free(&work->process);
}

static void kill_store(struct store_work *work) {
    sim_process_kill(work->process);
    hf_store_close(&work->store);
    sim_process_free(&work->process);
}

/* The program is killed when the batch is written and not yet synced. */
static void die_in_commit(struct store_work *work, unsigned at_sync) {
    sim_mark_phase(work->disk, "commit");
    sim_process_kill_at_sync(work->process, at_sync);
    queue(work, 2, 0, 300, 1);
    store_pump(work->store);
}

static void rest(struct store_work *work) {
    pump(work, "rest");
}

/* ---- workloads --------------------------------------------------------------------------------------------------- */

/* The making of the store is one workload's; the others begin with one that was closed: the WAL is short. */
static void begin_anew(struct store_work *work) {
    commit(work, 2, 0, 50);
    close_store(work);
    sim_disk_record(work->disk);
    sim_mark_ack(work->disk, (int64_t)work->oracle.newest);
    open_store(work);
}

static void work_creation(struct store_work *work) {
    for (int i = 0; i < 3; i++)
        commit(work, 2, i == 2, 200);
    close_store(work);
}

static void work_commits(struct store_work *work) {
    begin_anew(work);
    for (int i = 0; i < 12; i++)
        commit(work, 1 + below(work, 3), i > 4 && below(work, 3) == 0, 20 + below(work, 300));
    close_store(work);
}

static void queue_group(struct store_work *work, unsigned batches) {
    for (unsigned i = 0; i < batches; i++)
        queue(work, 1 + below(work, CHANGES_MOST), 0, 10 + below(work, 600), 0);
}

static void work_groups(struct store_work *work) {
    begin_anew(work);
    for (int i = 0; i < 6; i++) {
        sim_mark_phase(work->disk, "commit");
        queue_group(work, 2 + (unsigned)below(work, 7));
        store_pump(work->store);
    }
    close_store(work);
}

static void work_deletions(struct store_work *work) {
    begin_anew(work);
    for (int i = 0; i < 16; i++)
        commit(work, 1 + below(work, CHANGES_MOST), i % 2, 1500);
    close_store(work);
}

static void work_big(struct store_work *work) {
    begin_anew(work);
    for (int i = 0; i < 6; i++) {
        commit(work, 2, i == 4, 9000 + below(work, 60000));
        if (i == 3)
            rest(work);
    }
    close_store(work);
}

/* The WAL is written back at leisure only when it is long: what makes it so is not of interest, and not recorded. The
 * database stays small, since it is always the same record. */
static void make_wal_long(struct store_work *work) {
    for (int i = 0; i < 60; i++) {
        struct store_waiting *waiting = sim_alloc(sizeof *waiting);
        struct change *change = &waiting->changes[0];
        struct hf_batch *batch = NULL;
        struct hf_error error = {0};
        waiting->work = work;
        waiting->count = 1;
        *change = (struct change){.what = HF_PUT, .kind = "plain", .id = "long"};
        change->json = make_json(work, 70000, &change->json_bytes);
        must(hf_batch_new("work", &batch, &error), &error);
        must(hf_batch_put(batch, change->kind, change->id, change->json, change->json_bytes, NULL, &error), &error);
        hf_store_commit_async(work->store, &batch, answered, waiting);
        store_pump(work->store);
    }
}

/* A small commit stands at the front of the WAL, and the first one that is written over it is big. */
static void work_rests(struct store_work *work) {
    begin_anew(work);
    commit(work, 1, 0, 100);
    make_wal_long(work);
    sim_disk_record(work->disk);
    sim_mark_ack(work->disk, (int64_t)hf_store_revision(work->store));
    rest(work);
    for (int i = 0; i < 4; i++)
        commit(work, 1 + below(work, 3), i == 2, i == 0 ? 60000 : 100 + below(work, 3000));
    close_store(work);
}

static void work_reopens(struct store_work *work) {
    begin_anew(work);
    for (int i = 0; i < 6; i++) {
        commit(work, 2, i > 2, 200);
        close_store(work);
        open_store(work);
    }
    close_store(work);
}

/* The program dies, the machine lives on, a new one takes over what was not synced; then the power goes. */
static void work_kills(struct store_work *work) {
    begin_anew(work);
    for (int i = 0; i < 6; i++) {
        if (i % 2)
            commit(work, 2, i > 2, 300);
        else
            die_in_commit(work,
                          i == 0 ? 1 + (unsigned)below(work, 3) : 1); /* at first the WAL's header is synced too */
        kill_store(work);
        open_store(work);
        if (i % 3)
            commit(work, 1, 0, 300);
    }
    kill_store(work);
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
        if (store_open(STORE_WORK_URL, NULL, &setup, &store, NULL) == 0)
            sim_process_kill(process);
        hf_store_close(&store);
        sim_process_free(&process);
    }
    open_store(work);
    commit(work, 2, 0, 200);
    kill_store(work);
}

static void work_mixed(struct store_work *work) {
    begin_anew(work);
    for (int i = 0; i < 20; i++) {
        switch (below(work, 8)) {
        case 0:
            rest(work);
            break;
        case 1:
            close_store(work);
            open_store(work);
            break;
        case 2:
            kill_store(work);
            open_store(work);
            break;
        case 3:
            sim_mark_phase(work->disk, "commit");
            queue_group(work, 1 + (unsigned)below(work, 5));
            store_pump(work->store);
            break;
        default:
            commit(work, 1 + below(work, CHANGES_MOST), i % 2, below(work, 5) == 0 ? 20000 : 100);
        }
    }
    close_store(work);
}

const struct store_workload store_workloads[] = {
    {"creation", work_creation, 5, 0},
    {"single commits", work_commits, 5, 0},
    {"group commits", work_groups, 5, 0},
    {"deletions", work_deletions, 5, 0},
    {"big documents", work_big, 1, 0},
    {"checkpoints", work_rests, 1, 0},
    {"closing and opening", work_reopens, 5, 0},
    {"kill -9, then power", work_kills, 5, 0},
    {"kill -9 in creation", work_killed_creation, 5, 1},
    {"mixed", work_mixed, 5, 0},
    {NULL, NULL, 0, 0},
};

struct sim_record *store_work_record(struct store_work *work, const struct store_workload *workload, uint64_t seed,
                                     int lying) {
    memset(work, 0, sizeof *work);
    work->lying = lying;
    work->random = seed;
    work->check_one_in = 16;
    work->reopen_one_in = 8;
    oracle_init(&work->oracle, keeps);
    work->disk = sim_disk_new(seed);
    sim_disk_record(work->disk);
    if (!workload->makes_store)
        open_store(work);
    workload->run(work);
    oracle_seal(&work->oracle);
    return sim_disk_take_record(work->disk);
}

void store_work_fini(struct store_work *work) {
    hf_store_close(&work->store);
    sim_process_free(&work->process);
    sim_disk_free(&work->disk);
    oracle_fini(&work->oracle);
}
