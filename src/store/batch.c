#include "store/batch.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "store/key.h"

enum {
    HELPERS_MAX = 3,
    HELPER_BYTES = 1 << 20, /* a helping thread for each of these */
    LARGE_BATCH = 256,      /* changes */
};
enum { CHANGES_MAX = 1 << 20 };

int hf_batch_new(const char *who, struct hf_batch **ret_batch, struct hf_error *error) {
    struct hf_batch *batch = MEM_NEW(struct hf_batch);
    if (batch)
        batch->who = mem_strdup(who ? who : "");
    if (!batch || !batch->who) {
        mem_free(batch);
        return error_set(error, HF_ERR_NO_MEMORY, "make batch: memory is used up");
    }
    vec_init(&batch->changes);
    map_init(&batch->keys);
    *ret_batch = batch;
    return 0;
}

void hf_batch_free(struct hf_batch **batch) {
    if (!batch || !*batch)
        return;
    for (size_t i = 0; i < (*batch)->changes.count; i++)
        mem_free((*batch)->changes.items[i]);
    vec_fini(&(*batch)->changes);
    map_fini(&(*batch)->keys);
    mem_free((*batch)->who);
    mem_free(*batch);
    *batch = NULL;
}

static int check_arguments(const struct hf_batch *batch, const struct hf_change_options *options,
                           struct hf_error *error) {
    if (!batch)
        return error_set(error, HF_ERR_INVALID, "the batch is NULL");
    if (options && (options->condition < HF_ALWAYS || options->condition > HF_IF_HASH))
        return error_set(error, HF_ERR_INVALID, "condition %d is unknown", (int)options->condition);
    return 0;
}

/* One block: the change, kind, id, who, document. */
static struct batch_change *new_change(const char *kind, const char *id, const char *who, const char *json,
                                       size_t json_bytes) {
    size_t kind_bytes = strlen(kind) + 1, id_bytes = strlen(id) + 1, who_bytes = who ? strlen(who) + 1 : 0;
    if (json_bytes > SIZE_MAX / 2)
        return NULL;
    struct batch_change *change = mem_alloc(sizeof *change + kind_bytes + id_bytes + who_bytes + json_bytes + 1);
    if (!change)
        return NULL;
    char *texts = (char *)(change + 1);
    memset(change, 0, sizeof *change);
    change->kind = memcpy(texts, kind, kind_bytes);
    change->id = memcpy(texts + kind_bytes, id, id_bytes);
    if (who)
        change->copied.who = memcpy(texts + kind_bytes + id_bytes, who, who_bytes);
    char *document = texts + kind_bytes + id_bytes + who_bytes;
    if (json_bytes > 0)
        memcpy(document, json, json_bytes);
    document[json_bytes] = '\0';
    change->json = document;
    change->json_bytes = json_bytes;
    return change;
}

/* The key in the map is "kind\0id": both lie behind each other in the change. */
static int add_change(struct hf_batch *batch, struct batch_change *change, struct hf_error *error) {
    size_t key_bytes = strlen(change->kind) + 1 + strlen(change->id);
    change->copied.is_later = map_get(&batch->keys, change->kind, key_bytes) != NULL;
    if (change->copied.is_later && !change->copied.who)
        return error_set(error, HF_ERR_INVALID, "it is in the batch already");
    if (vec_push(&batch->changes, change) != 0)
        return error_no_memory(error);
    if (!change->copied.is_later && map_set(&batch->keys, change->kind, key_bytes, change, NULL) != 0) {
        batch->changes.count--;
        return error_no_memory(error);
    }
    batch->bytes += change->json_bytes;
    batch->bytes_to_hash += change->json_bytes;
    return 0;
}

/* Takes the change. */
static int take_change(struct hf_batch *batch, enum hf_what what, struct batch_change *change,
                       const struct hf_change_options *options, struct hf_error *error) {
    change->what = what;
    if (what == HF_DELETE)
        change->json = NULL;
    if (options)
        change->options = *options;
    int code = add_change(batch, change, error);
    if (code != 0) {
        error_wrap(error, code, "add '%s/%s' to batch", change->kind, change->id);
        mem_free(change);
    }
    return code;
}

static int add(struct hf_batch *batch, enum hf_what what, const char *kind, const char *id, const char *json,
               size_t json_bytes, const struct hf_change_options *options, struct hf_error *error) {
    int code = check_arguments(batch, options, error);
    if (code == 0)
        code = key_check(kind, id, error);
    if (code != 0)
        return code;
    struct batch_change *change = new_change(kind, id, NULL, json, json_bytes);
    if (!change)
        return error_set(error, HF_ERR_NO_MEMORY, "add '%s/%s' to batch: memory is used up", kind, id);
    return take_change(batch, what, change, options, error);
}

int hf_batch_put(struct hf_batch *batch, const char *kind, const char *id, const char *json, size_t json_bytes,
                 const struct hf_change_options *options, struct hf_error *error) {
    if (!json && json_bytes > 0)
        return error_set(error, HF_ERR_INVALID, "the document is NULL");
    return add(batch, HF_PUT, kind, id, json, json_bytes, options, error);
}

int batch_put_hashed(struct hf_batch *batch, const char *kind, const char *id, const char *json, size_t json_bytes,
                     const uint8_t hash[HF_HASH_BYTES], struct hf_error *error) {
    int code = hf_batch_put(batch, kind, id, json, json_bytes, NULL, error);
    if (code != 0)
        return code;
    struct batch_change *change = batch_change_at(batch, batch->changes.count - 1);
    memcpy(change->hash, hash, HF_HASH_BYTES);
    change->is_hashed = 1;
    batch->bytes_to_hash -= json_bytes;
    return 0;
}

int hf_batch_delete(struct hf_batch *batch, const char *kind, const char *id, const struct hf_change_options *options,
                    struct hf_error *error) {
    return add(batch, HF_DELETE, kind, id, NULL, 0, options, error);
}

int batch_copy(struct hf_batch *batch, const struct hf_record *record, int is_version,
               const struct hf_change_options *options, struct hf_error *error) {
    int code = key_check(record->kind, record->id, error);
    if (code != 0)
        return code;
    struct batch_change *change =
        new_change(record->kind, record->id, record->who, record->json, record->json ? record->json_bytes : 0);
    if (!change)
        return error_set(error, HF_ERR_NO_MEMORY, "add '%s/%s' to batch: memory is used up", record->kind, record->id);
    batch->is_copy = 1;
    change->copied.created_ms = record->created_ms;
    change->copied.updated_ms = record->updated_ms;
    change->copied.is_version = is_version;
    return take_change(batch, record->json ? HF_PUT : HF_DELETE, change, options, error);
}

/* Several threads take one change after the other until all are hashed or one is refused. */
struct preparation {
    const struct hf_batch *batch;
    const struct json_limits *limits;
    atomic_size_t next;
    atomic_size_t failed_at; /* the first change that is refused, whoever found it */
    pthread_mutex_t lock;    /* of code and error */
    int code;
    struct hf_error error;
};

static void refuse(struct preparation *job, size_t index, int code, const struct hf_error *error) {
    pthread_mutex_lock(&job->lock);
    if (index < atomic_load(&job->failed_at)) {
        const struct batch_change *change = batch_change_at(job->batch, index);
        atomic_store(&job->failed_at, index);
        job->code = code;
        error_copy(&job->error, error);
        error_wrap(&job->error, code, "put '%s/%s'", change->kind, change->id);
    }
    pthread_mutex_unlock(&job->lock);
}

static void *prepare_some(void *arg) {
    struct preparation *job = arg;
    struct json_doc doc JSON_AUTO;
    struct buf scratch BUF_AUTO;
    json_init(&doc);
    buf_init(&scratch);
    for (;;) {
        size_t index = atomic_fetch_add(&job->next, 1);
        if (index >= job->batch->changes.count || index > atomic_load(&job->failed_at))
            return NULL;
        struct batch_change *change = batch_change_at(job->batch, index);
        if (change->what == HF_DELETE || change->is_hashed)
            continue;
        struct hf_error error = {0};
        int code = json_hash(&doc, &scratch, change->json, change->json_bytes, job->limits, change->hash, &error);
        if (code != 0)
            refuse(job, index, code, &error);
    }
}

static int compare_keys(const void *a, const void *b) {
    const struct batch_change *left = *(const struct batch_change *const *)a;
    const struct batch_change *right = *(const struct batch_change *const *)b;
    int order = strcmp(left->kind, right->kind);
    return order != 0 ? order : strcmp(left->id, right->id);
}

static void put_in_order(struct hf_batch *batch) {
    struct vec *changes = &batch->changes;
    batch->first = changes->count > 0 ? changes->items[0] : NULL;
    if (changes->count >= LARGE_BATCH && !batch->is_copy)
        qsort(changes->items, changes->count, sizeof changes->items[0], compare_keys);
}

int batch_prepare(struct hf_batch *batch, const struct json_limits *limits, struct hf_error *error) {
    if (batch->changes.count > CHANGES_MAX)
        return error_set(error, HF_ERR_TOO_LARGE, "commit: %zu changes in one batch, and at most %d are possible",
                         batch->changes.count, CHANGES_MAX);
    struct preparation job = {.batch = batch, .limits = limits, .lock = PTHREAD_MUTEX_INITIALIZER};
    pthread_t helpers[HELPERS_MAX];
    int count = 0;
    atomic_init(&job.next, 0);
    atomic_init(&job.failed_at, SIZE_MAX);
    /* No helper is no failure: this thread does all of it then. */
    while (count < HELPERS_MAX && batch->bytes_to_hash / HELPER_BYTES > (size_t)count &&
           pthread_create(&helpers[count], NULL, prepare_some, &job) == 0)
        count++;
    prepare_some(&job);
    for (int i = 0; i < count; i++)
        pthread_join(helpers[i], NULL);
    if (job.code != 0)
        error_copy(error, &job.error);
    else
        put_in_order(batch);
    pthread_mutex_destroy(&job.lock);
    return job.code;
}
