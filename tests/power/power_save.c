/* The same through the saver: each writer changes its two documents, marks them, and flushes. */
#include "power_writer.h"

#include <pthread.h>
#include <stdlib.h>

enum { INTERVAL_MS = 5, BATCH = 4 };
static const char *const ids[] = {"one", "two"};

struct owner {
    struct hf_saver *saver;
    int index;
    pthread_mutex_t mutex;
    int64_t number; /* of both documents */
};

static int give(void *arg, const char *kind, const char *id, void *tag, struct hf_document *document) {
    (void)arg, (void)kind, (void)id;
    struct owner *owner = tag;
    char json[2048];
    pthread_mutex_lock(&owner->mutex);
    int64_t number = owner->number;
    pthread_mutex_unlock(&owner->mutex);
    size_t bytes = make_json(number, 100 + (size_t)(number * 37 % 1500), json, sizeof json);
    hf_document_add(document, json, bytes);
    return 0;
}

static int change_and_flush(struct owner *owner, struct hf_error *error) {
    char kind[16];
    int code = 0;
    name_kind(owner->index, kind);
    pthread_mutex_lock(&owner->mutex);
    owner->number++;
    pthread_mutex_unlock(&owner->mutex);
    for (int i = 0; i < 2 && code == 0; i++)
        code = hf_saver_mark(owner->saver, kind, ids[i], owner, HF_STANDARD, error);
    return code == 0 ? hf_saver_flush(owner->saver, error) : code;
}

static void *save_until_it_fails(void *arg) {
    struct owner *owner = arg;
    struct hf_error error;
    while (change_and_flush(owner, &error) == 0)
        tell(owner->index, owner->number);
    return NULL;
}

int run_saver(const struct how *how) {
    static struct owner owners[WRITERS];
    struct hf_store *store = NULL;
    struct hf_saver *saver = NULL;
    struct hf_error error = {0};
    pthread_t threads[WRITERS];
    struct hf_saver_options options = {.struct_bytes = sizeof options,
                                       .interval_ms = INTERVAL_MS,
                                       .batch = BATCH,
                                       .give = give};
    int code = how_open(how, &store, &error);
    if (code == 0)
        code = hf_saver_open(store, &options, &saver, &error);
    if (code != 0)
        return fail("open", &error);
    for (int i = 0; i < WRITERS; i++) {
        int64_t one = number_at(store, i, "one"), two = number_at(store, i, "two");
        owners[i] = (struct owner){.saver = saver, .index = i, .number = one > two ? one : two};
        if (pthread_mutex_init(&owners[i].mutex, NULL) != 0 ||
            pthread_create(&threads[i], NULL, save_until_it_fails, &owners[i]) != 0)
            abort();
    }
    for (int i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);
    hf_saver_abandon(&saver);
    hf_store_close(&store);
    return 0;
}
