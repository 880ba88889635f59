/* The memory backend's own check, slice by slice in the order of the keys. */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "store/key.h"
#include "store/memory_backend.h"

struct checking {
    hf_finding_visit visit;
    void *arg;
    uint64_t findings;
    struct json_doc doc;
    struct buf scratch;
};

static int check_version(struct checking *checking, const struct version *version, struct hf_error *error) {
    const struct hf_record *record = version->record;
    const struct json_limits none = {.max_depth = UINT32_MAX};
    uint8_t hash[HF_HASH_BYTES];
    struct hf_finding finding = {.kind = record->kind, .id = record->id, .action = "reported"};
    int is_damaged = version_is_damaged(version), code = 0;
    if (!record->json)
        return 0;
    if (!is_damaged)
        code = json_hash(&checking->doc, &checking->scratch, record->json, record->json_bytes, &none, hash, error);
    if (code == HF_ERR_NO_MEMORY)
        return code;
    if (!is_damaged && code == 0 && memcmp(hash, record->hash, sizeof hash) == 0)
        return 0;
    finding.what = is_damaged ? "bad_checksum" : "bad_hash";
    finding.text = is_damaged ? "the bytes do not match their checksum" : "the document does not match its hash";
    checking->findings++;
    if (checking->visit)
        checking->visit(checking->arg, &finding);
    return 0;
}

/* The rows of one slice, and where they end. */
struct slice {
    struct vec versions; /* each is used */
    uint64_t records, history, events, total;
    int is_last;
    char end[HF_KIND_MAX + HF_ID_MAX + 2];
};

static int add(struct slice *slice, struct version *version) {
    if (vec_push(&slice->versions, version) != 0)
        return -1;
    version_use(version);
    return 0;
}

static int add_slot(struct slice *slice, const struct slot *slot) {
    if (slot->current && add(slice, slot->current) != 0)
        return -1;
    slice->records += slot->current != NULL;
    for (struct version *version = slot->history; version; version = version->older, slice->history++)
        if (add(slice, version) != 0)
            return -1;
    return 0;
}

static uint64_t count_rows(const struct memory *self) {
    uint64_t count = self->event_count;
    for (const struct slot *slot = self->table.first[0]; slot; slot = table_next(slot)) {
        count += slot->current != NULL;
        for (const struct version *version = slot->history; version; version = version->older)
            count++;
    }
    return count;
}

/* Under the read lock. Events are no more than their number: they lie beside no checksum. */
static int collect(const struct memory *self, const struct hf_check_cursor *cursor, uint64_t max_rows,
                   struct slice *slice) {
    char kind[HF_KIND_MAX + 1] = "";
    const char *id = "";
    if (cursor->key[0])
        (void)key_split(cursor->key, kind, &id);
    slice->total = cursor->key[0] ? cursor->total : count_rows(self);
    const struct slot *slot = table_behind(&self->table, kind, id), *last = NULL;
    for (; slot && slice->versions.count < max_rows; slot = table_next(slot)) {
        if (add_slot(slice, slot) != 0)
            return -1;
        last = slot;
    }
    slice->is_last = slot == NULL;
    if (slice->is_last)
        slice->events = self->event_count;
    if (last)
        snprintf(slice->end, sizeof slice->end, "%s/%s", last->kind, last->id);
    return 0;
}

static int check_slice(struct checking *checking, const struct slice *slice, struct hf_error *error) {
    int code = 0;
    for (size_t i = 0; i < slice->versions.count && code == 0; i++)
        code = check_version(checking, slice->versions.items[i], error);
    return code;
}

static void go_on(struct hf_check_cursor *cursor, const struct slice *slice, struct hf_check_result *result) {
    result->records += slice->records;
    result->history += slice->history;
    result->events += slice->events;
    cursor->done += slice->records + slice->history + slice->events;
    cursor->total = slice->is_last || cursor->done > slice->total ? cursor->done : slice->total;
    cursor->is_done = slice->is_last;
    memcpy(cursor->key, slice->end, sizeof cursor->key);
}

int memory_check(struct store_backend *backend, struct hf_check_cursor *cursor, uint64_t max_rows,
                 hf_finding_visit visit, void *arg, struct hf_check_result *result, struct hf_error *error) {
    struct memory *self = (struct memory *)backend;
    struct checking checking = {.visit = visit, .arg = arg};
    struct slice slice = {.is_last = 0};
    vec_init(&slice.versions);
    json_init(&checking.doc);
    buf_init(&checking.scratch);
    pthread_rwlock_rdlock(&self->lock);
    int code = collect(self, cursor, max_rows, &slice);
    pthread_rwlock_unlock(&self->lock);
    if (code == 0)
        code = check_slice(&checking, &slice, error);
    else
        code = error_no_memory(error);
    if (code == 0)
        go_on(cursor, &slice, result);
    if (code == 0)
        result->findings += checking.findings;
    for (size_t i = 0; i < slice.versions.count; i++)
        version_drop(slice.versions.items[i]);
    vec_fini(&slice.versions);
    json_fini(&checking.doc);
    buf_fini(&checking.scratch);
    return code;
}
