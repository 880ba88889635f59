/* Which kinds keep their past, and how much of it. */
#ifndef HF_STORE_HISTORY_H
#define HF_STORE_HISTORY_H

#include <pthread.h>

#include "base/error.h"
#include "base/map.h"

struct history_rules {
    pthread_mutex_t lock;
    struct map keep; /* kind → how many, as a pointer-sized number */
};

void history_rules_init(struct history_rules *rules);
void history_rules_fini(struct history_rules *rules);
int history_rules_set(struct history_rules *rules, const char *kind, uint32_t keep, struct hf_error *error);
uint32_t history_rules_get(struct history_rules *rules, const char *kind);

#endif
