/* Walks over the versions of a state, and retention.
 *
 * Invariants
 *  1. The newest version is never dropped, and none while there are not more than are to be kept.
 *  2. Where an age is asked for, a version is dropped only when it is older than that, or stands before one that is: a
 *     version with a time in the future was made while the clock was wrong, and is as old as the next one. */
#include <string.h>

#include "keep/state_field.h"
#include "keep/state_inside.h"
#include "store/store.h"

struct walk {
    const char *name;
    const struct json_limits *limits;
    state_meta_visit visit;
    void *arg;
    int result; /* of the visit */
    int code;   /* of reading */
    struct hf_error *error;
};

/* 0, CORRUPT, NO_MEMORY. */
static int read_meta(const struct walk *walk, const struct hf_record *record, uint64_t number, struct arena *arena,
                     struct state_meta *ret_meta) {
    JSON_AUTO struct json_doc doc;
    json_init(&doc);
    int code = json_read(&doc, record->json, record->json_bytes, walk->limits, NULL);
    if (code < 0)
        return code == HF_ERR_NO_MEMORY ? code : HF_ERR_CORRUPT;
    struct state_fields fields = {.doc = &doc, .object = 0, .arena = arena};
    state_meta_read(&fields, ret_meta);
    code = state_field_end(&fields, NULL);
    return code == 0 && ret_meta->version != number ? HF_ERR_CORRUPT : code;
}

static int visit_record(void *arg, const struct hf_record *record, int code) {
    struct walk *walk = arg;
    size_t bytes = strlen(walk->name);
    uint64_t number;
    if (strncmp(record->id, walk->name, bytes) != 0 || record->id[bytes] != '@')
        return 1; /* behind the last one */
    if (state_number_of_id(walk->name, record->id, &number) < 0)
        return 0; /* of another state, whose name begins with this one */
    struct arena arena;
    arena_init(&arena);
    struct state_meta meta = {0};
    if (code == 0)
        code = read_meta(walk, record, number, &arena, &meta);
    if (code == HF_ERR_NO_MEMORY)
        walk->code = error_no_memory(walk->error);
    if (code == HF_ERR_CORRUPT)
        meta = (struct state_meta){.version = number, .run = "", .code_version = "", .note = "", .who = ""};
    if (walk->code == 0)
        walk->result = walk->visit(walk->arg, &meta, code);
    arena_fini(&arena);
    return walk->code != 0 || walk->result != 0;
}

/* From the version `from` on. */
static int walk_from(struct hf_store *store, const char *name, uint64_t from, state_meta_visit visit, void *arg,
                     struct hf_error *error) {
    char after[HF_ID_MAX + 1];
    struct walk walk = {.name = name, .limits = store_limits(store), .visit = visit, .arg = arg, .error = error};
    state_number_id(name, from > 0 ? from - 1 : 0, after);
    int code = hf_store_scan(store, STATE_VERSION_KIND, after, 0, visit_record, &walk, error);
    if (code >= 0)
        code = walk.code != 0 ? walk.code : walk.result;
    return code;
}

int state_version_each(struct hf_store *store, const char *name, state_meta_visit visit, void *arg,
                       struct hf_error *error) {
    return walk_from(store, name, 0, visit, arg, error);
}

/* ---- the newest that is whole ---- */

static int note_number(void *arg, const struct state_meta *meta, int code) {
    struct buf *numbers = arg;
    if (code == 0)
        buf_add(numbers, &meta->version, sizeof meta->version);
    return numbers->failed;
}

int state_version_newest_whole(struct hf_store *store, const char *name, uint64_t from, uint64_t *ret_version,
                               struct hf_error *error) {
    BUF_AUTO struct buf numbers;
    buf_init(&numbers);
    int code = state_version_each(store, name, note_number, &numbers, error);
    if (code < 0)
        return code;
    if (numbers.failed)
        return error_no_memory(error);
    for (size_t i = numbers.size / sizeof(uint64_t); i > 0; i--) {
        uint64_t number;
        memcpy(&number, numbers.data + (i - 1) * sizeof number, sizeof number);
        struct state_version *version = NULL;
        code = number <= from ? state_version_read(store, name, number, &version, error) : HF_ERR_NOT_FOUND;
        state_version_free(&version);
        if (code == 0)
            *ret_version = number;
        if (code != HF_ERR_CORRUPT && code != HF_ERR_NOT_FOUND)
            return code;
    }
    return error_set(error, HF_ERR_NOT_FOUND, "no version of state '%s' is whole", name);
}

int state_damaged(struct hf_store *store, const char *name, uint64_t below, const char *why, struct hf_error *error) {
    uint64_t whole = 0;
    int code = state_version_newest_whole(store, name, below, &whole, error);
    if (code != 0 && code != HF_ERR_NOT_FOUND)
        return error_wrap(error, code, "state '%s': %s", name, why);
    if (code == 0) {
        error_set(error, HF_ERR_CORRUPT, "state '%s': %s; version %llu is the newest that is whole", name, why,
                  (unsigned long long)whole);
        error_hint(error, "go back to it: holdfast state rollback '%s' --to %llu", name, (unsigned long long)whole);
    } else {
        error_set(error, HF_ERR_CORRUPT, "state '%s': %s, and no version is whole", name, why);
        error_hint(error,
                   "bring back an export of it (holdfast state import --replace), or begin anew: holdfast state "
                   "clear '%s'",
                   name);
    }
    return HF_ERR_CORRUPT;
}

/* ---- retention ---- */

struct drop {
    uint64_t newest, wanted; /* how many are too many */
    int64_t now_ms, max_age_ms;
    uint64_t numbers[STATE_DROP_AT_ONCE];
    uint64_t count, sure; /* candidates, and how many of them are to be dropped whatever comes behind */
};

/* Not 0: stop here. */
static int consider(void *arg, const struct state_meta *meta, int code) {
    struct drop *drop = arg;
    if (drop->count == drop->wanted || meta->version >= drop->newest)
        return 1;
    int64_t age_ms = drop->now_ms - meta->at_ms;
    if (code == 0 && age_ms >= 0 && age_ms <= drop->max_age_ms && drop->max_age_ms > 0)
        return 1;
    drop->numbers[drop->count++] = meta->version;
    if (drop->max_age_ms == 0 || (code == 0 && age_ms >= 0))
        drop->sure = drop->count;
    return drop->sure == drop->wanted;
}

int state_version_drop_old(struct hf_store *store, struct hf_batch *batch, struct state_head *head,
                           struct hf_error *error) {
    uint64_t keep = head->keep_versions ? head->keep_versions : STATE_KEEP_DEFAULT;
    uint64_t kept = state_head_kept(head);
    struct drop drop = {.newest = head->newest.version, .now_ms = os_wall_ms(store_os(store))};
    drop.max_age_ms = head->keep_age_ms;
    if (kept <= keep)
        return 0;
    drop.wanted = kept - keep < STATE_DROP_AT_ONCE ? kept - keep : STATE_DROP_AT_ONCE;
    int code = walk_from(store, head->name, head->oldest, consider, &drop, error);
    if (code == HF_ERR_CORRUPT)
        return 0; /* damaged pages among what is old are no reason to refuse what is new */
    if (code < 0)
        return error_wrap(error, code, "find old versions of state '%s'", head->name);
    for (uint64_t i = 0; i < drop.sure; i++) {
        char id[HF_ID_MAX + 1];
        state_number_id(head->name, drop.numbers[i], id);
        code = hf_batch_delete(batch, STATE_VERSION_KIND, id, NULL, error);
        if (code < 0)
            return code;
    }
    if (drop.sure > 0) {
        head->oldest = drop.numbers[drop.sure - 1] + 1;
        uint64_t numbers = head->newest.version - head->oldest + 1, left = kept - drop.sure;
        head->gaps = numbers > left ? numbers - left : 0;
    }
    return 0;
}
