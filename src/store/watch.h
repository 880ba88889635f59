/* Who wants to be called after a group of commits. */
#ifndef HF_STORE_WATCH_H
#define HF_STORE_WATCH_H

#include <pthread.h>

#include "base/error.h"

struct watch_list {
    pthread_mutex_t lock; /* held while they are called: a closed watch is never called again */
    struct hf_watch *first;
};

void watch_list_init(struct watch_list *list);
void watch_list_fini(struct watch_list *list); /* watches that are still open may be closed later */
int watch_list_add(struct watch_list *list, hf_store_changed changed, void *arg, struct hf_watch **ret_watch,
                   struct hf_error *error);
void watch_list_call(struct watch_list *list, uint64_t revision);

#endif
