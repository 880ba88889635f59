/* The memory backend: the reference that the others are compared with. Nothing outlives its close.
 *
 * Invariants
 *  1. A transaction allocates everything it needs before commit; commit only links, and cannot fail.
 *  2. The table and the events change only inside commit, under the write lock.
 *  3. A reader takes what it wants under the read lock and visits it afterwards: versions do not change, and live as
 * long as somebody uses them. So a walk is a snapshot, and holds up nobody. */
#include "store/memory_backend.h"

#include <stdio.h>

#include "base/mem.h"

/* ---- life ---- */

static int memory_open(const struct os *os, const char *rest, const struct hf_store_options *options,
                       struct store_backend **ret_backend, uint64_t *ret_revision, struct hf_error *error) {
    (void)os;
    (void)options;
    if (rest[0] != '\0')
        return error_set(error, HF_ERR_INVALID, "'memory:' takes nothing behind the colon");
    struct memory *self = MEM_NEW(struct memory);
    if (!self)
        return error_no_memory(error);
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

struct pending *memory_find_pending(const struct memory *self, const char *kind, const char *id) {
    char key[HF_KIND_MAX + HF_ID_MAX + 2];
    return map_get(&self->by_key, key, make_key(kind, id, key));
}

/* The slot of the key: that of the table, of an earlier change of this transaction, or a new one. */
static void choose_slot(struct memory *self, struct pending *change, const char *kind, const char *id) {
    const struct pending *earlier = memory_find_pending(self, kind, id);
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
        return error_no_memory(error);
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
        return error_no_memory(error);
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
