/* The memory backend: the reference that the others are compared with. Nothing outlives its close.
 *
 * Invariants
 *  1. A transaction allocates everything it needs before commit; commit only links, and cannot fail.
 *  2. The table and the events change only inside commit, under the write lock.
 *  3. A reader takes what it wants under the read lock and visits it afterwards: versions do not change, and live as long
 *     as somebody uses them. So a walk is a snapshot, and holds up nobody. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/json.h"
#include "base/map.h"
#include "base/mem.h"
#include "store/memory_table.h"

/* A change that waits for commit. */
struct pending {
    struct pending *next;
    struct slot *slot;
    int slot_is_new;
    struct version *row, *event;
    uint32_t history_keep;
};

struct memory {
    struct store_backend base;
    pthread_rwlock_t lock;
    struct table table;
    struct version *oldest_event, *newest_event;
    uint64_t event_count;
    uint64_t compacted; /* revision of the newest event that was removed */
    /* the transaction; the writer's */
    struct pending *first, *last;
    struct map by_key; /* "kind\0id" → its newest struct pending */
    uint64_t trim_keep;
};

static int no_memory(struct hf_error *error) {
    return error_set(error, HF_ERR_NO_MEMORY, "memory is used up");
}

/* ---- life ---- */

static int memory_open(const struct os *os, const char *rest, const struct hf_store_options *options,
                       struct store_backend **ret_backend, uint64_t *ret_revision, struct hf_error *error) {
    (void)os;
    (void)options;
    if (rest[0] != '\0')
        return error_set(error, HF_ERR_INVALID, "'memory:' takes nothing behind the colon");
    struct memory *self = MEM_NEW(struct memory);
    if (!self)
        return no_memory(error);
    self->base.ops = &store_memory_ops;
    pthread_rwlock_init(&self->lock, NULL);
    table_init(&self->table);
    map_init(&self->by_key);
    self->trim_keep = UINT64_MAX;
    *ret_backend = &self->base;
    *ret_revision = 0;
    return 0;
}

static void remove_oldest_event(struct memory *self) {
    struct version *event = self->oldest_event;
    self->oldest_event = event->newer;
    if (self->oldest_event)
        self->oldest_event->older = NULL;
    else
        self->newest_event = NULL;
    self->event_count--;
    self->compacted = event->record->revision;
    version_drop(event);
}

/* ---- the transaction ---- */

static void end_transaction(struct memory *self) {
    for (struct pending *change = self->first, *next; change; change = next) {
        next = change->next;
        if (change->slot_is_new)
            slot_free(change->slot);
        version_drop(change->row);
        version_drop(change->event);
        mem_free(change);
    }
    self->first = self->last = NULL;
    map_fini(&self->by_key);
    self->trim_keep = UINT64_MAX;
}

static void memory_close(struct store_backend **backend) {
    struct memory *self = backend ? (struct memory *)*backend : NULL;
    if (!self)
        return;
    end_transaction(self);
    while (self->oldest_event)
        remove_oldest_event(self);
    table_fini(&self->table);
    pthread_rwlock_destroy(&self->lock);
    mem_free(self);
    *backend = NULL;
}

static int memory_begin(struct store_backend *backend, struct hf_error *error) {
    (void)backend;
    (void)error;
    return 0;
}

static void memory_abort(struct store_backend *backend) {
    end_transaction((struct memory *)backend);
}

static size_t make_key(const char *kind, const char *id, char to[HF_KIND_MAX + HF_ID_MAX + 2]) {
    return (size_t)snprintf(to, HF_KIND_MAX + HF_ID_MAX + 2, "%s%c%s", kind, '\0', id);
}

static struct pending *find_pending(const struct memory *self, const char *kind, const char *id) {
    char key[HF_KIND_MAX + HF_ID_MAX + 2];
    return map_get(&self->by_key, key, make_key(kind, id, key));
}

/* The slot of the key: that of the table, of an earlier change of this transaction, or a new one. */
static void choose_slot(struct memory *self, struct pending *change, const char *kind, const char *id) {
    const struct pending *earlier = find_pending(self, kind, id);
    change->slot = earlier ? earlier->slot : table_find(&self->table, kind, id);
    if (!change->slot) {
        change->slot = table_make_slot(&self->table, kind, id);
        change->slot_is_new = change->slot != NULL;
    }
}

static int memory_change(struct store_backend *backend, const struct store_change *change, struct hf_error *error) {
    struct memory *self = (struct memory *)backend;
    char key[HF_KIND_MAX + HF_ID_MAX + 2];
    struct pending *pending = MEM_NEW(struct pending);
    if (!pending)
        return no_memory(error);
    choose_slot(self, pending, change->kind, change->id);
    pending->row = version_new(change, 1);
    pending->event = version_new(change, 0);
    pending->history_keep = change->history_keep;
    if (self->last)
        self->last->next = pending;
    else
        self->first = pending;
    self->last = pending;
    /* From here on abort frees it. */
    if (!pending->slot || !pending->row || !pending->event ||
        map_set(&self->by_key, key, make_key(change->kind, change->id, key), pending, NULL) != 0)
        return no_memory(error);
    return 0;
}

static int memory_trim_events(struct store_backend *backend, uint64_t keep, struct hf_error *error) {
    (void)error;
    ((struct memory *)backend)->trim_keep = keep;
    return 0;
}

static void cut_history(struct slot *slot, uint32_t keep) {
    struct version **link = &slot->history;
    for (uint32_t i = 0; i < keep && *link; i++)
        link = &(*link)->older;
    struct version *version = *link;
    *link = NULL;
    for (struct version *older; version; version = older) {
        older = version->older;
        version_drop(version);
    }
}

static void append_event(struct memory *self, struct version *event) {
    event->older = self->newest_event;
    if (self->newest_event)
        self->newest_event->newer = event;
    else
        self->oldest_event = event;
    self->newest_event = event;
    self->event_count++;
}

/* Moves what the change holds into the table and the events. */
static void apply(struct memory *self, struct pending *change) {
    struct slot *slot = change->slot;
    if (change->slot_is_new)
        table_insert(&self->table, slot);
    change->slot_is_new = 0;
    version_drop(slot->current);
    slot->current = change->row->what == HF_PUT ? version_use(change->row) : NULL;
    if (change->history_keep > 0) {
        change->row->older = slot->history;
        slot->history = version_use(change->row);
        if (change->history_keep != UINT32_MAX)
            cut_history(slot, change->history_keep);
    }
    append_event(self, change->event);
    change->event = NULL;
}

static void remove_empty_slots(struct memory *self) {
    size_t position = 0;
    for (struct map_entry *entry; (entry = map_next(&self->by_key, &position));) {
        struct slot *slot = ((struct pending *)entry->value)->slot;
        if (slot->current || slot->history)
            continue;
        table_remove(&self->table, slot);
        slot_free(slot);
    }
}

static int memory_commit(struct store_backend *backend, struct hf_error *error) {
    struct memory *self = (struct memory *)backend;
    (void)error;
    pthread_rwlock_wrlock(&self->lock);
    for (struct pending *change = self->first; change; change = change->next)
        apply(self, change);
    remove_empty_slots(self);
    while (self->event_count > self->trim_keep)
        remove_oldest_event(self);
    pthread_rwlock_unlock(&self->lock);
    end_transaction(self);
    return 0;
}

/* ---- reading ---- */

static struct version *use_current(struct memory *self, enum store_view view, const char *kind, const char *id) {
    const struct pending *pending = view == STORE_IN_TRANSACTION ? find_pending(self, kind, id) : NULL;
    if (pending)
        return pending->row->what == HF_PUT ? version_use(pending->row) : NULL;
    pthread_rwlock_rdlock(&self->lock);
    const struct slot *slot = table_find(&self->table, kind, id);
    struct version *version = slot && slot->current ? version_use(slot->current) : NULL;
    pthread_rwlock_unlock(&self->lock);
    return version;
}

static int memory_get(struct store_backend *backend, enum store_view view, const char *kind, const char *id,
                      int head_only, struct hf_record **ret_record, struct hf_error *error) {
    struct version *version = use_current((struct memory *)backend, view, kind, id);
    if (!version)
        return error_set(error, HF_ERR_NOT_FOUND, "there is no such record");
    int code;
    if (!head_only && version_is_damaged(version)) {
        code = error_set(error, HF_ERR_CORRUPT, "its bytes do not match their checksum");
    } else {
        struct hf_record record = *version->record;
        if (head_only)
            record.json = NULL;
        code = store_record_copy(&record, ret_record, error);
    }
    version_drop(version);
    return code;
}

static void drop_all(struct vec *versions) {
    for (size_t i = 0; i < versions->count; i++)
        version_drop(versions->items[i]);
    vec_fini(versions);
}

static int collect(struct vec *versions, struct version *version) {
    if (vec_push(versions, version) != 0)
        return -1;
    version_use(version);
    return 0;
}

/* Gives the rows to visit, and lets go of them. collected: what collecting them said. */
static int visit_all(struct vec *versions, int collected, hf_record_visit visit, void *arg, struct hf_error *error) {
    int code = collected == 0 ? 0 : no_memory(error);
    for (size_t i = 0; i < versions->count && code == 0; i++) {
        const struct version *version = versions->items[i];
        struct hf_record record = *version->record;
        int damaged = version_is_damaged(version);
        if (damaged)
            record.json = NULL;
        code = visit(arg, &record, damaged ? HF_ERR_CORRUPT : 0);
    }
    drop_all(versions);
    return code;
}

static int collect_scan(struct memory *self, const char *kind, const char *after, uint64_t limit, struct vec *to) {
    struct slot *slot = table_behind(&self->table, kind ? kind : "", after ? after : "");
    for (; slot && (!kind || strcmp(slot->kind, kind) == 0); slot = table_next(slot)) {
        if (!slot->current)
            continue;
        if (collect(to, slot->current) != 0)
            return -1;
        if (to->count == limit)
            break;
    }
    return 0;
}

static int memory_scan(struct store_backend *backend, const char *kind, const char *after, uint64_t limit,
                       hf_record_visit visit, void *arg, struct hf_error *error) {
    struct memory *self = (struct memory *)backend;
    struct vec versions;
    vec_init(&versions);
    pthread_rwlock_rdlock(&self->lock);
    int collected = collect_scan(self, kind, after, limit, &versions);
    pthread_rwlock_unlock(&self->lock);
    return visit_all(&versions, collected, visit, arg, error);
}

static int collect_history(const struct slot *slot, uint64_t limit, struct vec *to) {
    for (struct version *version = slot ? slot->history : NULL; version; version = version->older) {
        if (collect(to, version) != 0)
            return -1;
        if (to->count == limit)
            break;
    }
    return 0;
}

static int memory_history(struct store_backend *backend, const char *kind, const char *id, uint64_t limit,
                          hf_record_visit visit, void *arg, struct hf_error *error) {
    struct memory *self = (struct memory *)backend;
    struct vec versions;
    vec_init(&versions);
    pthread_rwlock_rdlock(&self->lock);
    int collected = collect_history(table_find(&self->table, kind, id), limit, &versions);
    pthread_rwlock_unlock(&self->lock);
    return visit_all(&versions, collected, visit, arg, error);
}

static int collect_events(const struct memory *self, uint64_t since, uint64_t limit, struct vec *to) {
    struct version *event = self->newest_event;
    while (event && event->older && event->older->record->revision > since)
        event = event->older;
    for (; event && event->record->revision > since; event = event->newer) {
        if (collect(to, event) != 0)
            return -1;
        if (to->count == limit)
            break;
    }
    return 0;
}

static int visit_event(const struct version *version, hf_event_visit visit, void *arg) {
    const struct hf_record *row = version->record;
    struct hf_event event = {
        .revision = row->revision,
        .what = version->what,
        .kind = row->kind,
        .id = row->id,
        .at_ms = row->updated_ms,
        .who = row->who,
    };
    memcpy(event.hash, row->hash, sizeof event.hash);
    return visit(arg, &event);
}

static int memory_events(struct store_backend *backend, uint64_t since, uint64_t limit, hf_event_visit visit,
                         void *arg, struct hf_error *error) {
    struct memory *self = (struct memory *)backend;
    struct vec events;
    vec_init(&events);
    pthread_rwlock_rdlock(&self->lock);
    uint64_t compacted = self->compacted;
    int collected = since < compacted ? 0 : collect_events(self, since, limit, &events);
    pthread_rwlock_unlock(&self->lock);
    int code = 0;
    if (since < compacted) {
        code = error_set(error, HF_ERR_COMPACTED, "the events up to revision %llu are no longer kept",
                         (unsigned long long)compacted);
        error_hint(error, "scan the records, and go on from the revision of before the scan");
    } else if (collected != 0) {
        code = no_memory(error);
    }
    for (size_t i = 0; i < events.count && code == 0; i++)
        code = visit_event(events.items[i], visit, arg);
    drop_all(&events);
    return code;
}

/* ---- check ---- */

struct checking {
    hf_finding_visit visit;
    void *arg;
    struct hf_check_result result;
    struct json_doc doc;
    struct buf scratch;
};

static void check_version(struct checking *checking, const struct version *version) {
    const struct hf_record *record = version->record;
    const struct json_limits none = {.max_depth = UINT32_MAX};
    uint8_t hash[HF_HASH_BYTES];
    struct hf_finding finding = {.kind = record->kind, .id = record->id};
    if (!record->json)
        return;
    if (version_is_damaged(version)) {
        finding.what = "bad_checksum";
        finding.text = "the bytes do not match their checksum";
    } else if (json_hash(&checking->doc, &checking->scratch, record->json, record->json_bytes, &none, hash, NULL) != 0 ||
               memcmp(hash, record->hash, sizeof hash) != 0) {
        finding.what = "bad_hash";
        finding.text = "the document does not match its hash";
    } else {
        return;
    }
    checking->result.findings++;
    if (checking->visit)
        checking->visit(checking->arg, &finding);
}

static int collect_everything(const struct memory *self, struct vec *records, struct vec *history) {
    for (const struct slot *slot = self->table.first[0]; slot; slot = table_next(slot))
        if ((slot->current && collect(records, slot->current) != 0) || collect_history(slot, 0, history) != 0)
            return -1;
    return 0;
}

static int memory_check(struct store_backend *backend, hf_finding_visit visit, void *arg,
                        struct hf_check_result *ret_result, struct hf_error *error) {
    struct memory *self = (struct memory *)backend;
    struct checking checking = {.visit = visit, .arg = arg};
    struct vec records, history;
    vec_init(&records);
    vec_init(&history);
    json_init(&checking.doc);
    buf_init(&checking.scratch);
    pthread_rwlock_rdlock(&self->lock);
    int collected = collect_everything(self, &records, &history);
    checking.result.events = self->event_count;
    pthread_rwlock_unlock(&self->lock);
    checking.result.records = records.count;
    checking.result.history = history.count;
    for (size_t i = 0; i < records.count; i++)
        check_version(&checking, records.items[i]);
    for (size_t i = 0; i < history.count; i++)
        check_version(&checking, history.items[i]);
    drop_all(&records);
    drop_all(&history);
    json_fini(&checking.doc);
    buf_fini(&checking.scratch);
    if (collected != 0)
        return no_memory(error);
    if (ret_result)
        *ret_result = checking.result;
    return 0;
}

const struct store_backend_ops store_memory_ops = {
    .name = "memory",
    .open = memory_open,
    .close = memory_close,
    .begin = memory_begin,
    .put = memory_change,
    .remove = memory_change,
    .commit = memory_commit,
    .abort = memory_abort,
    .get = memory_get,
    .scan = memory_scan,
    .history = memory_history,
    .events = memory_events,
    .check = memory_check,
    .trim_events = memory_trim_events,
};
