/* The memory backend's inside: one half writes (backend_memory.c), the other reads (memory_read.c). */
#ifndef HF_STORE_MEMORY_BACKEND_H
#define HF_STORE_MEMORY_BACKEND_H

#include <pthread.h>

#include "base/map.h"
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

/* The newest change of the open transaction to this key, or NULL. */
struct pending *memory_find_pending(const struct memory *memory, const char *kind, const char *id);

int memory_get(struct store_backend *backend, enum store_view view, const char *kind, const char *id, int head_only,
               struct hf_record **ret_record, struct hf_error *error);
int memory_scan(struct store_backend *backend, const struct store_range *range, hf_record_visit visit, void *arg,
                struct hf_error *error);
int memory_history(struct store_backend *backend, const char *kind, const char *id, uint64_t limit,
                   hf_record_visit visit, void *arg, struct hf_error *error);
int memory_events(struct store_backend *backend, uint64_t since, uint64_t limit, hf_event_visit visit, void *arg,
                  struct hf_error *error);
/* memory_check.c */
int memory_check(struct store_backend *backend, struct hf_check_cursor *cursor, uint64_t max_rows,
                 hf_finding_visit visit, void *arg, struct hf_check_result *result, struct hf_error *error);

#endif
