/* What is read from the memory backend: taken under the read lock, visited after it. */
#include <string.h>

#include "base/mem.h"
#include "store/memory_backend.h"

static struct version *use_current(struct memory *self, enum store_view view, const char *kind, const char *id) {
    const struct pending *pending = view == STORE_IN_TRANSACTION ? memory_find_pending(self, kind, id) : NULL;
    if (pending)
        return pending->row->what == HF_PUT ? version_use(pending->row) : NULL;
    pthread_rwlock_rdlock(&self->lock);
    const struct slot *slot = table_find(&self->table, kind, id);
    struct version *version = slot && slot->current ? version_use(slot->current) : NULL;
    pthread_rwlock_unlock(&self->lock);
    return version;
}

int memory_get(struct store_backend *backend, enum store_view view, const char *kind, const char *id, int head_only,
               struct hf_record **ret_record, struct hf_error *error) {
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
    int code = collected == 0 ? 0 : error_no_memory(error);
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

static int collect_scan(struct memory *self, const struct store_range *range, struct vec *to) {
    const char *kind = range->kind ? range->kind : "";
    struct slot *slot =
        table_behind(&self->table, range->after_id ? range->after_kind : kind, range->after_id ? range->after_id : "");
    for (; slot && (!range->kind || strcmp(slot->kind, kind) == 0); slot = table_next(slot)) {
        if (!slot->current)
            continue;
        if (collect(to, slot->current) != 0)
            return -1;
        if (to->count == range->limit)
            break;
    }
    return 0;
}

int memory_scan(struct store_backend *backend, const struct store_range *range, hf_record_visit visit, void *arg,
                struct hf_error *error) {
    struct memory *self = (struct memory *)backend;
    struct vec versions;
    vec_init(&versions);
    pthread_rwlock_rdlock(&self->lock);
    int collected = collect_scan(self, range, &versions);
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

int memory_history(struct store_backend *backend, const char *kind, const char *id, uint64_t limit,
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

int memory_events(struct store_backend *backend, uint64_t since, uint64_t limit, hf_event_visit visit, void *arg,
                  struct hf_error *error) {
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
        code = error_no_memory(error);
    }
    for (size_t i = 0; i < events.count && code == 0; i++)
        code = visit_event(events.items[i], visit, arg);
    drop_all(&events);
    return code;
}
