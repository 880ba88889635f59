#include "sim/store_work.h"

#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct store_backing store_backing_sqlite = {"sqlite", "sqlite:/data/store.db", 0};
const struct store_backing store_backings_tree[] = {
    {"tree by kind, batch", "tree:/data/tree?layout=kind&threads=1", 1},
    {"tree by id, batch", "tree:/data/tree?layout=watch&threads=1", 1},
    {"tree by kind, file", "tree:/data/tree?layout=kind&durable=file&threads=1", 1},
    {"tree by id, file", "tree:/data/tree?layout=watch&durable=file&threads=1", 1},
    {"tree by kind, none", "tree:/data/tree?layout=kind&durable=none&threads=1", 1},
    {NULL, NULL, 0},
};

static const struct oracle_keep keeps[] = {{"kept", 3}, {"all", UINT32_MAX}, {NULL, 0}};
static const char *const kinds[] = {"plain", "kept", "all", "other"};

enum { IDS = 5, CHANGES_MOST = 4, MOMENT_MS_MOST = 4000 };

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

void store_work_must(int code, const struct hf_error *error) {
    if (code == 0)
        return;
    fprintf(stderr, "store_work: %s\n", error->message);
    abort();
}

uint64_t store_work_below(struct store_work *work, uint64_t limit) {
    return crash_random(&work->random) % limit;
}

static int exists(struct store_work *work, const char *kind, const char *id) {
    struct hf_record *record = NULL;
    int code = hf_store_get(work->store, kind, id, &record, NULL);
    hf_record_free(&record);
    return code == 0;
}

char *store_work_json(struct store_work *work, size_t bytes, size_t *ret_bytes) {
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
    if (waiting->is_killed && sim_process_is_killed(work->process)) { /* whatever it says, nobody heard it */
        work->unanswered = waiting;
        return;
    }
    store_work_must(code, error);
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
    snprintf(change->kind, sizeof change->kind, "%s", kinds[store_work_below(work, sizeof kinds / sizeof kinds[0])]);
    snprintf(change->id, sizeof change->id, "id %u", (unsigned)store_work_below(work, IDS));
    if (is_in(waiting, change))
        return;
    change->what = deletes && exists(work, change->kind, change->id) ? HF_DELETE : HF_PUT;
    if (change->what == HF_PUT) {
        change->json = store_work_json(work, bytes, &change->json_bytes);
        store_work_must(hf_batch_put(batch, change->kind, change->id, change->json, change->json_bytes, NULL, &error),
                        &error);
    } else {
        store_work_must(hf_batch_delete(batch, change->kind, change->id, NULL, &error), &error);
    }
    waiting->count++;
}

static struct store_waiting *new_waiting(struct store_work *work, struct hf_batch **ret_batch) {
    struct store_waiting *waiting = sim_alloc(sizeof *waiting);
    struct hf_error error = {0};
    waiting->work = work;
    store_work_must(hf_batch_new("work", ret_batch, &error), &error);
    return waiting;
}

void store_work_queue(struct store_work *work, size_t changes, int deletes, size_t bytes, int is_killed) {
    struct hf_batch *batch = NULL;
    struct store_waiting *waiting = new_waiting(work, &batch);
    waiting->is_killed = is_killed;
    for (size_t i = 0; i < changes && i < CHANGES_MOST; i++)
        add_change(work, batch, waiting, deletes, bytes);
    hf_store_commit_async(work->store, &batch, answered, waiting);
}

void store_work_queue_one(struct store_work *work, const char *kind, const char *id, size_t bytes) {
    struct hf_batch *batch = NULL;
    struct store_waiting *waiting = new_waiting(work, &batch);
    struct change *change = &waiting->changes[waiting->count++];
    struct hf_error error = {0};
    change->what = HF_PUT;
    snprintf(change->kind, sizeof change->kind, "%s", kind);
    snprintf(change->id, sizeof change->id, "%s", id);
    change->json = store_work_json(work, bytes, &change->json_bytes);
    store_work_must(hf_batch_put(batch, kind, id, change->json, change->json_bytes, NULL, &error), &error);
    hf_store_commit_async(work->store, &batch, answered, waiting);
}

/* What waits is committed; the pump then finds nothing and does the idle work, so only once where that is not wanted.
 */
void store_work_commit(struct store_work *work, size_t changes, int deletes, size_t bytes) {
    sim_mark_phase(work->disk, "commit");
    sim_disk_advance_ms(work->disk, (int64_t)store_work_below(work, MOMENT_MS_MOST));
    store_work_queue(work, changes, deletes, bytes, 0);
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

void store_work_open(struct store_work *work) {
    struct hf_error error = {0};
    sim_mark_phase(work->disk, work->was_opened ? "open" : "create");
    work->was_opened = 1;
    work->process = sim_process_new(work->disk);
    sim_process_set_lying(work->process, work->lying);
    struct store_setup setup = {.os = sim_process_os(work->process), .without_thread = 1};
    store_work_must(store_open(work->backing->url, NULL, &setup, &work->store, &error), &error);
    store_work_must(oracle_set_keeps(&work->oracle, work->store), &error);
    rely_on_what_is_there(work);
}

void store_work_close(struct store_work *work) {
    sim_mark_phase(work->disk, "close");
    hf_store_close(&work->store);
    sim_process_free(&work->process);
}

void store_work_kill(struct store_work *work) {
    sim_process_kill(work->process);
    hf_store_close(&work->store);
    sim_process_free(&work->process);
}

void store_work_rest(struct store_work *work) {
    sim_mark_phase(work->disk, "rest");
    while (store_pump(work->store) > 0)
        continue;
}

void store_work_ack(struct store_work *work) {
    sim_mark_ack(work->disk, (int64_t)hf_store_revision(work->store));
}

void store_work_init(struct store_work *work, const struct store_backing *backing, uint64_t seed, int lying) {
    memset(work, 0, sizeof *work);
    work->backing = backing;
    work->lying = lying;
    work->random = seed;
    work->check_one_in = 16;
    work->reopen_one_in = 8;
    oracle_init(&work->oracle, keeps);
    work->disk = sim_disk_new(seed);
    sim_disk_record(work->disk);
}

void store_work_fini(struct store_work *work) {
    hf_store_close(&work->store);
    sim_process_free(&work->process);
    sim_disk_free(&work->disk);
    oracle_fini(&work->oracle);
}
