#include "run/unsaved.h"

#include <pthread.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"

struct unsaved {
    pthread_mutex_t lock;
    struct map by_name; /* to struct unsaved_runs; only sources that have some */
};

struct unsaved *unsaved_new(void) {
    struct unsaved *unsaved = MEM_NEW(struct unsaved);
    if (!unsaved)
        return NULL;
    pthread_mutex_init(&unsaved->lock, NULL);
    map_init(&unsaved->by_name);
    return unsaved;
}

void unsaved_free(struct unsaved **unsaved) {
    if (!*unsaved)
        return;
    size_t position = 0;
    for (struct map_entry *entry; (entry = map_next(&(*unsaved)->by_name, &position));)
        mem_free(entry->value);
    map_fini(&(*unsaved)->by_name);
    pthread_mutex_destroy(&(*unsaved)->lock);
    mem_free(*unsaved);
    *unsaved = NULL;
}

static struct unsaved_runs *make(struct unsaved *unsaved, const char *name) {
    struct unsaved_runs *own = map_get(&unsaved->by_name, name, strlen(name));
    if (own)
        return own;
    own = MEM_NEW(struct unsaved_runs);
    if (own && map_set(&unsaved->by_name, name, strlen(name), own, NULL) == 0)
        return own;
    mem_free(own);
    return NULL;
}

int unsaved_set(struct unsaved *unsaved, const char *name, const struct unsaved_runs *runs) {
    struct unsaved_runs *own = NULL;
    pthread_mutex_lock(&unsaved->lock);
    if (runs->runs == 0)
        mem_free(map_remove(&unsaved->by_name, name, strlen(name)));
    else if ((own = make(unsaved, name)))
        *own = *runs;
    pthread_mutex_unlock(&unsaved->lock);
    return runs->runs == 0 || own ? 0 : -1;
}

void unsaved_get(struct unsaved *unsaved, const char *name, struct unsaved_runs *ret_runs) {
    pthread_mutex_lock(&unsaved->lock);
    const struct unsaved_runs *own = map_get(&unsaved->by_name, name, strlen(name));
    *ret_runs = own ? *own : (struct unsaved_runs){0};
    pthread_mutex_unlock(&unsaved->lock);
}

void unsaved_total(struct unsaved *unsaved, struct unsaved_runs *ret_runs, uint64_t *ret_sources) {
    struct unsaved_runs total = {0};
    size_t position = 0;
    pthread_mutex_lock(&unsaved->lock);
    for (const struct map_entry *entry; (entry = map_next(&unsaved->by_name, &position));) {
        const struct unsaved_runs *own = entry->value;
        total.runs += own->runs;
        if (total.since_ms == 0 || own->since_ms < total.since_ms)
            total.since_ms = own->since_ms;
    }
    *ret_sources = unsaved->by_name.count;
    pthread_mutex_unlock(&unsaved->lock);
    *ret_runs = total;
}
