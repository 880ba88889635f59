#include "store/watch.h"

#include "base/mem.h"

struct hf_watch {
    struct watch_list *list; /* NULL when the store is closed already */
    struct hf_watch *next;
    hf_store_changed changed;
    void *arg;
};

void watch_list_init(struct watch_list *list) {
    pthread_mutex_init(&list->lock, NULL);
    list->first = NULL;
}

void watch_list_fini(struct watch_list *list) {
    for (struct hf_watch *watch = list->first; watch; watch = watch->next)
        watch->list = NULL;
    pthread_mutex_destroy(&list->lock);
}

int watch_list_add(struct watch_list *list, hf_store_changed changed, void *arg, struct hf_watch **ret_watch,
                   struct hf_error *error) {
    struct hf_watch *watch = MEM_NEW(struct hf_watch);
    if (!watch)
        return error_set(error, HF_ERR_NO_MEMORY, "watch store: memory is used up");
    watch->list = list;
    watch->changed = changed;
    watch->arg = arg;
    pthread_mutex_lock(&list->lock);
    watch->next = list->first;
    list->first = watch;
    pthread_mutex_unlock(&list->lock);
    *ret_watch = watch;
    return 0;
}

void watch_list_call(struct watch_list *list, uint64_t revision) {
    pthread_mutex_lock(&list->lock);
    for (struct hf_watch *watch = list->first; watch; watch = watch->next)
        watch->changed(watch->arg, revision);
    pthread_mutex_unlock(&list->lock);
}

static void unlink_watch(struct watch_list *list, const struct hf_watch *watch) {
    pthread_mutex_lock(&list->lock);
    for (struct hf_watch **at = &list->first; *at; at = &(*at)->next)
        if (*at == watch) {
            *at = watch->next;
            break;
        }
    pthread_mutex_unlock(&list->lock);
}

void hf_watch_close(struct hf_watch **watch) {
    if (!watch || !*watch)
        return;
    if ((*watch)->list)
        unlink_watch((*watch)->list, *watch);
    mem_free(*watch);
    *watch = NULL;
}
