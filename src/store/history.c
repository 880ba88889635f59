#include "store/history.h"

#include <string.h>

void history_rules_init(struct history_rules *rules) {
    pthread_mutex_init(&rules->lock, NULL);
    map_init(&rules->keep);
}

void history_rules_fini(struct history_rules *rules) {
    map_fini(&rules->keep);
    pthread_mutex_destroy(&rules->lock);
}

int history_rules_set(struct history_rules *rules, const char *kind, uint32_t keep, struct hf_error *error) {
    pthread_mutex_lock(&rules->lock);
    int code = map_set(&rules->keep, kind, strlen(kind), (void *)(uintptr_t)keep, NULL);
    pthread_mutex_unlock(&rules->lock);
    return code == 0 ? 0 : error_set(error, HF_ERR_NO_MEMORY, "keep history of '%s': memory is used up", kind);
}

uint32_t history_rules_get(struct history_rules *rules, const char *kind) {
    pthread_mutex_lock(&rules->lock);
    uint32_t keep = (uint32_t)(uintptr_t)map_get(&rules->keep, kind, strlen(kind));
    pthread_mutex_unlock(&rules->lock);
    return keep;
}
