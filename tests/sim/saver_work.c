#include "sim/saver_work.h"

#include "base/mem.h"
#include "store/saver.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INTERVAL_MS = 10000, BATCH = 6 };
static const char *const kinds[] = {"plain", "kept", "settings"};
enum { KINDS = 3 };

/* ---- the owner --------------------------------------------------------------------------------------------------- */

static void note_given(struct saver_work *work, const struct saver_document *document) {
    if (work->given_count == work->given_room) {
        work->given_room = work->given_room ? work->given_room * 2 : 64;
        work->given = sim_grow(work->given, work->given_room, sizeof(struct saver_given));
    }
    work->given[work->given_count++] = (struct saver_given){document, sim_strdup(document->json), document->json_bytes};
}

static int give(void *arg, const char *kind, const char *id, void *tag, struct hf_document *ret_document) {
    (void)kind, (void)id;
    const struct saver_document *document = tag;
    if (!document->json)
        return HF_ERR_NOT_FOUND;
    note_given(arg, document);
    hf_document_add(ret_document, document->json, document->json_bytes);
    return 0;
}

static void set_json(struct saver_document *document, char *take_json, size_t bytes) {
    mem_free(document->json);
    document->json = take_json;
    document->json_bytes = bytes;
}

static struct saver_document *find_document(struct saver_work *work, const char *kind, const char *id) {
    for (int i = 0; i < SAVER_DOCUMENTS; i++)
        if (strcmp(work->documents[i].kind, kind) == 0 && strcmp(work->documents[i].id, id) == 0)
            return &work->documents[i];
    return NULL;
}

static int take_loaded(void *arg, const struct hf_record *record, int code) {
    struct saver_document *document = find_document(arg, record->kind, record->id);
    if (code != 0 || !document)
        abort();
    char *json = sim_grow(NULL, record->json_bytes + 1, 1);
    memcpy(json, record->json, record->json_bytes + 1);
    set_json(document, json, record->json_bytes);
    return 0;
}

/* ---- what became of it ------------------------------------------------------------------------------------------- */

static int note_event(void *arg, const struct hf_event *event) {
    struct saver_work *work = arg;
    struct oracle *oracle = &work->base.oracle;
    if (event->what == HF_DELETE) {
        oracle_add(oracle, event->revision, HF_DELETE, event->kind, event->id, NULL, 0);
        return 0;
    }
    for (size_t i = work->given_count; i-- > 0;) {
        const struct saver_given *given = &work->given[i];
        if (strcmp(given->document->kind, event->kind) != 0 || strcmp(given->document->id, event->id) != 0)
            continue;
        oracle_add(oracle, event->revision, HF_PUT, event->kind, event->id, given->json, given->json_bytes);
        if (memcmp(oracle->rows[oracle->count - 1].hash, event->hash, HF_HASH_BYTES) == 0)
            return 0;
        mem_free(oracle->rows[--oracle->count].json); /* an earlier text of it was saved */
        mem_free(oracle->rows[oracle->count].kind);
        mem_free(oracle->rows[oracle->count].id);
    }
    fprintf(stderr, "saver_work: %s/%s was saved, but never given so\n", event->kind, event->id);
    abort();
}

/* The commits since the last time, and that they stay. */
static void note_saved(struct saver_work *work) {
    struct hf_error error = {0};
    store_work_must(hf_store_events(work->base.store, work->base.oracle.newest, 0, note_event, work, &error), &error);
    store_work_ack(&work->base);
}

/* After a flush the store holds what the owner holds. */
static void compare_with_owner(struct saver_work *work) {
    for (int i = 0; i < SAVER_DOCUMENTS; i++) {
        const struct saver_document *document = &work->documents[i];
        struct hf_record *record = NULL;
        int code = hf_store_get(work->base.store, document->kind, document->id, &record, NULL);
        int is_same = document->json ? code == 0 && record->json_bytes == document->json_bytes &&
                                           memcmp(record->json, document->json, record->json_bytes) == 0
                                     : code == HF_ERR_NOT_FOUND;
        hf_record_free(&record);
        if (is_same)
            continue;
        fprintf(stderr, "saver_work: %s/%s is not what the owner holds\n", document->kind, document->id);
        abort();
    }
}

/* ---- steps ------------------------------------------------------------------------------------------------------- */

static struct hf_saver *open_saver(struct hf_store *store, enum hf_durability durability, hf_document_give give_it,
                                   void *arg) {
    struct hf_saver_options options = {.struct_bytes = sizeof options,
                                       .durability = durability,
                                       .interval_ms = INTERVAL_MS,
                                       .batch = BATCH,
                                       .threads = 1,
                                       .give = give_it,
                                       .arg = arg};
    struct saver_setup setup = {.without_thread = 1, .processors = 1};
    struct hf_saver *saver = NULL;
    struct hf_error error = {0};
    store_work_must(saver_open_with(store, &options, &setup, &saver, &error), &error);
    return saver;
}

void saver_work_begin(struct saver_work *work) {
    struct hf_error error = {0};
    store_work_open(&work->base);
    work->saver = open_saver(work->base.store, work->durability, give, work);
    note_saved(work); /* what a killed one had committed before it died */
    for (int i = 0; i < SAVER_DOCUMENTS; i++)
        set_json(&work->documents[i], NULL, 0);
    for (int i = 0; i < KINDS; i++)
        store_work_must(hf_saver_load(work->saver, kinds[i], take_loaded, work, &error), &error);
}

void saver_work_end(struct saver_work *work) {
    struct hf_error error = {0};
    sim_mark_phase(work->base.disk, "save");
    store_work_must(hf_saver_close(&work->saver, &error), &error);
    note_saved(work);
    compare_with_owner(work);
    store_work_close(&work->base);
}

void saver_work_change(struct saver_work *work, unsigned count, int deletes, enum hf_urgency urgency) {
    for (unsigned i = 0; i < count; i++) {
        struct saver_document *document = &work->documents[store_work_below(&work->base, SAVER_DOCUMENTS)];
        size_t bytes = 0;
        int goes = deletes && document->json && store_work_below(&work->base, 2);
        char *json = goes ? NULL : store_work_json(&work->base, 20 + store_work_below(&work->base, 700), &bytes);
        struct hf_error error = {0};
        set_json(document, json, bytes);
        sim_mark_phase(work->base.disk, "save");
        int code = hf_saver_mark(work->saver, document->kind, document->id, document, urgency, &error);
        if (code != 0 && !sim_process_is_killed(work->base.process))
            store_work_must(code, &error);
        if (work->durability == HF_COMMIT && code == 0)
            note_saved(work);
    }
}

void saver_work_cycle(struct saver_work *work) {
    sim_mark_phase(work->base.disk, "save");
    saver_step(work->saver);
    note_saved(work);
}

void saver_work_wait_and_cycle(struct saver_work *work) {
    sim_disk_advance_ms(work->base.disk, INTERVAL_MS + 1);
    saver_work_cycle(work);
}

void saver_work_flush(struct saver_work *work) {
    struct hf_error error = {0};
    sim_mark_phase(work->base.disk, "save");
    store_work_must(hf_saver_flush(work->saver, &error), &error);
    note_saved(work);
    compare_with_owner(work);
}

/* The disk is full for a while. */
void saver_work_flush_in_vain(struct saver_work *work) {
    sim_mark_phase(work->base.disk, "save");
    sim_disk_set_room(work->base.disk, 1);
    if (hf_saver_flush(work->saver, NULL) == 0)
        compare_with_owner(work);
    note_saved(work);
    sim_disk_set_room(work->base.disk, 0);
}

/* Killed at a sync of the flush; the owner comes back with what was saved. */
void saver_work_flush_and_die(struct saver_work *work, unsigned at_sync) {
    sim_mark_phase(work->base.disk, "save");
    sim_process_kill_at_sync(work->base.process, at_sync);
    if (hf_saver_flush(work->saver, NULL) == 0 && !sim_process_is_killed(work->base.process))
        note_saved(work);
    hf_saver_abandon(&work->saver);
    store_work_kill(&work->base);
    saver_work_begin(work);
}

/* ---- coming back ------------------------------------------------------------------------------------------------- */

struct after {
    char json[96];
    uint64_t base, count;
};

static int give_after(void *arg, const char *kind, const char *id, void *tag, struct hf_document *document) {
    (void)kind, (void)id, (void)tag;
    const struct after *after = arg;
    hf_document_add(document, after->json, strlen(after->json));
    return 0;
}

static int load_after(void *arg, const struct hf_record *record, int code) {
    struct after *after = arg;
    if (code == 0)
        sscanf(record->json, "{\"base\":%" SCNu64 ",\"count\":%" SCNu64 "}", &after->base, &after->count);
    return code;
}

static int go_on(struct store_work *work, struct hf_store *store, uint64_t revision, char text[CRASH_TEXT]) {
    (void)work;
    struct after after = {.base = revision};
    struct hf_error error = {0};
    struct hf_saver *saver = open_saver(store, HF_SOON, give_after, &after);
    int code = hf_saver_load(saver, ORACLE_AFTER_KIND, load_after, &after, &error);
    for (int i = 0; i < KINDS && code == 0; i++)
        code = hf_saver_load(saver, kinds[i], NULL, NULL, &error);
    snprintf(after.json, sizeof after.json, "{\"base\":%" PRIu64 ",\"count\":%" PRIu64 "}", after.base,
             after.count + 1);
    if (code == 0)
        code = hf_saver_mark(saver, ORACLE_AFTER_KIND, ORACLE_AFTER_ID, NULL, HF_STANDARD, &error);
    if (code == 0)
        code = hf_saver_close(&saver, &error);
    hf_saver_abandon(&saver);
    if (code != 0)
        snprintf(text, CRASH_TEXT, "save after a crash: %s", error.message);
    else if (hf_store_revision(store) != revision + 1)
        code = snprintf(text, CRASH_TEXT, "one document was saved, and the revision went from %" PRIu64 " to %" PRIu64,
                        revision, hf_store_revision(store));
    return code;
}

void saver_work_init(struct saver_work *work, const struct store_backing *backing, enum hf_durability durability,
                     uint64_t seed, int lying) {
    memset(work, 0, sizeof *work);
    store_work_init(&work->base, backing, seed, lying);
    work->base.go_on = go_on;
    work->durability = durability;
    for (int i = 0; i < SAVER_DOCUMENTS; i++) {
        snprintf(work->documents[i].kind, sizeof work->documents[i].kind, "%s", kinds[i % KINDS]);
        snprintf(work->documents[i].id, sizeof work->documents[i].id, "document %d", i);
    }
}

void saver_work_fini(struct saver_work *work) {
    hf_saver_abandon(&work->saver);
    store_work_fini(&work->base);
    for (int i = 0; i < SAVER_DOCUMENTS; i++)
        set_json(&work->documents[i], NULL, 0);
    for (size_t i = 0; i < work->given_count; i++)
        mem_free(work->given[i].json);
    mem_free(work->given);
}
