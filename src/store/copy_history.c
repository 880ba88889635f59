/* Copying a record behind its kept versions, oldest first, though a store gives them newest first: each walk over them
 * keeps the oldest that are still to be written, as many as memory is meant for. */
#include <string.h>

#include "base/hash.h"
#include "store/copy.h"

struct versions {
    struct copy *copy;
    uint64_t after;   /* revision of the newest that is written; what is newer is taken */
    int is_first;     /* walk: what is damaged is told of once */
    struct vec found; /* of struct hf_record *, newest first; those in front of `first` were let go of */
    size_t first, bytes;
    struct hf_error *error;
};

/* ---- what is still to be written ---- */

static void drop_newest(struct versions *versions) {
    struct hf_record *record = versions->found.items[versions->first++];
    versions->bytes -= record->json_bytes;
    hf_record_free(&record);
}

static void drop_all(struct versions *versions) {
    while (versions->first < versions->found.count)
        drop_newest(versions);
    vec_fini(&versions->found);
}

static int keep_version(void *arg, const struct hf_record *record, int code) {
    struct versions *versions = arg;
    struct hf_record *copy = NULL;
    if (code != 0)
        return versions->is_first ? copy_go_round(versions->copy, record, "bad_checksum",
                                                  "a kept version cannot be read", versions->error)
                                  : 0;
    if (record->revision <= versions->after)
        return COPY_STOP;
    code = store_record_copy(record, &copy, versions->error);
    if (code != 0)
        return code;
    if (!copy->json)
        copy->json_bytes = 0;
    if (vec_push(&versions->found, copy) != 0) {
        hf_record_free(&copy);
        return error_no_memory(versions->error);
    }
    versions->bytes += copy->json_bytes;
    while (versions->first + 1 < versions->found.count &&
           (versions->bytes > COPY_CHUNK_BYTES || versions->found.count - versions->first > COPY_CHUNK_RECORDS))
        drop_newest(versions);
    return 0;
}

/* Fills versions->found with the oldest that are newer than versions->after. */
static int find_oldest(struct versions *versions, const struct hf_record *record, struct hf_error *error) {
    vec_init(&versions->found);
    versions->first = versions->bytes = 0;
    int code = hf_store_history(versions->copy->from, record->kind, record->id, 0, keep_version, versions, error);
    versions->is_first = 0;
    return code == COPY_STOP ? 0 : code;
}

/* ---- what was written by an earlier copy ---- */

struct match {
    int is_known, was_deleted; /* the new store's newest version */
    int64_t updated_ms;
    uint8_t hash[HF_HASH_BYTES];
    uint64_t revision; /* of the same version in the old store */
};

static int note_newest(void *arg, const struct hf_record *record, int code) {
    struct match *match = arg;
    match->is_known = code == 0;
    match->was_deleted = record->json == NULL;
    match->updated_ms = record->updated_ms;
    memcpy(match->hash, record->hash, sizeof match->hash);
    return COPY_STOP;
}

static int find_same(void *arg, const struct hf_record *record, int code) {
    struct match *match = arg;
    if (code != 0 || match->was_deleted != (record->json == NULL) || match->updated_ms != record->updated_ms ||
        memcmp(match->hash, record->hash, sizeof match->hash) != 0)
        return 0;
    match->revision = record->revision;
    return COPY_STOP;
}

/* Behind which version of the old store to go on; 0: from the oldest. */
static int find_begin(struct copy *copy, const struct hf_record *record, struct match *match, struct hf_error *error) {
    memset(match, 0, sizeof *match);
    if (copy->is_to_empty)
        return 0;
    int code = hf_store_history(copy->to, record->kind, record->id, 1, note_newest, match, error);
    if ((code == 0 || code == COPY_STOP) && match->is_known)
        code = hf_store_history(copy->from, record->kind, record->id, 0, find_same, match, error);
    return code == COPY_STOP ? 0 : code;
}

/* ---- writing ---- */

/* The first change of a key in a copy asks that nobody else changed it; those behind it are ordered by the queue. */
static int write_version(struct copy *copy, const struct hf_record *record, int is_version,
                         struct hf_change_options *condition, struct hf_error *error) {
    int code = copy_write(copy, record, is_version, condition, error);
    condition->condition = HF_ALWAYS;
    return code;
}

/* A deletion of what is not there, because the version in front of it was not kept, is left out. */
static int write_found(struct versions *versions, int *exists, struct hf_change_options *condition,
                       struct hf_error *error) {
    int code = 0;
    for (size_t i = versions->found.count; i > versions->first && code == 0; i--) {
        const struct hf_record *record = versions->found.items[i - 1];
        versions->after = record->revision;
        if (!record->json && !*exists)
            continue;
        *exists = record->json != NULL;
        code = write_version(versions->copy, record, 1, condition, error);
    }
    return code;
}

int copy_with_versions(struct copy *copy, const struct hf_record *record, const struct copy_there *there,
                       struct hf_error *error) {
    struct versions versions = {.copy = copy, .is_first = 1, .error = error};
    struct hf_change_options condition = there->condition;
    struct match match;
    int exists = there->exists, is_all = 0;
    int code = find_begin(copy, record, &match, error);
    if (code == 0 && there->exists && match.revision == 0)
        code = copy_refuse_other(copy, record, error);
    versions.after = match.revision;
    while (code == 0 && !is_all) {
        code = find_oldest(&versions, record, error);
        is_all = versions.first == 0;
        if (code == 0)
            code = write_found(&versions, &exists, &condition, error);
        drop_all(&versions);
    }
    if (code == 0 && versions.after < record->revision) /* it was changed when no history was kept */
        code = write_version(copy, record, 0, &condition, error);
    return code;
}

/* ---- comparing ---- */

/* A sum over versions from the newest on. Deletions at the end are left out, as write_found leaves them out. */
struct sum {
    uint64_t running, sum, rows, count; /* sum and count: up to the last that is no deletion */
    int is_damaged;
};

static int add_version(void *arg, const struct hf_record *record, int code) {
    struct sum *sum = arg;
    sum->is_damaged |= code != 0;
    sum->running = hash64(record->hash, sizeof record->hash, sum->running + (record->json == NULL));
    sum->running = hash64(&record->updated_ms, sizeof record->updated_ms, sum->running);
    sum->rows++;
    if (record->json) {
        sum->sum = sum->running;
        sum->count = sum->rows;
    }
    return 0;
}

int copy_verify_versions(struct copy *copy, const struct hf_record *record, int *ret_is_same, struct hf_error *error) {
    struct sum from = {0}, to = {0};
    int code = hf_store_history(copy->from, record->kind, record->id, 0, add_version, &from, error);
    if (code == 0 && from.count > 0 && !from.is_damaged)
        code = hf_store_history(copy->to, record->kind, record->id, from.count, add_version, &to, error);
    if (code == 0)
        *ret_is_same = from.is_damaged || (from.sum == to.sum && from.count == to.count && !to.is_damaged);
    return code;
}
