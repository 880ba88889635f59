/* The one way to change a state.
 *
 * Invariants
 *  1. Head, version, ledger and the caller's records are one commit, under the condition that the head is as it was
 *     read. Whoever came between is looked at again: no change rests on a head that is no longer there.
 *  2. It is begun again only when the head did move. A condition of the caller's own records that does not hold is his
 *     answer. */
#include <string.h>

#include "keep/state_inside.h"
#include "store/batch.h"
#include "store/store.h"

/* ---- committing ---- */

static int add_records(struct hf_batch *batch, const struct hf_batch *with, struct hf_error *error) {
    int code = 0;
    for (size_t i = 0; with && i < with->changes.count && code == 0; i++) {
        const struct batch_change *change = batch_change_at(with, i);
        if (change->what == HF_PUT)
            code = hf_batch_put(batch, change->kind, change->id, change->json, change->json_bytes, &change->options,
                                error);
        else
            code = hf_batch_delete(batch, change->kind, change->id, &change->options, error);
    }
    return code;
}

/* 1: the head is not what it was, so the refusal may have been of that. */
static int is_overtaken(const struct state_change *change, const struct state_head *head) {
    struct hf_record *record = NULL;
    int code = hf_store_get(change->store, STATE_KIND, change->name, &record, NULL);
    uint64_t revision = code == 0 ? record->revision : 0;
    int exists = code == 0 || code == HF_ERR_CORRUPT;
    hf_record_free(&record);
    return (exists || code == HF_ERR_NOT_FOUND) && (exists != head->exists || revision != head->revision);
}

static int may_be_overtaken(int code) {
    return code == HF_ERR_PRECONDITION || code == HF_ERR_EXISTS || code == HF_ERR_NOT_FOUND || code == HF_ERR_CORRUPT;
}

/* A head that cannot be read has no revision that the commit could name. The number of a run, which is given once,
 * keeps two apart who repair it at the same time; and the ledger tells of it. */
static int enter_repair(const struct state_change *change, struct state_head *head, struct hf_batch *batch,
                        struct hf_error *error) {
    struct state_run run;
    if (!head->exists || head->revision > 0)
        return 0;
    state_run_init(&run);
    run.outcome = "ok";
    run.reason = "its damaged head was gathered again";
    run.who = change->who ? change->who : "";
    run.started_at_ms = run.ended_at_ms = os_wall_ms(store_os(change->store));
    run.version_before = run.version_after = head->newest.version;
    return state_run_enter(change->store, head, batch, &run, error);
}

/* *ret_again: others were faster. */
static int attempt(const struct state_change *change, struct state_head *head, int *ret_again, struct hf_error *error) {
    struct hf_batch *batch = NULL;
    struct hf_commit_result result = {0};
    int code = hf_batch_new(change->who, &batch, error);
    if (code == 0)
        code = enter_repair(change, head, batch, error);
    if (code == 0)
        code = change->change(change->arg, head, batch, error);
    if (code == 0)
        code = state_head_put(batch, head, error);
    if (code == 0)
        code = add_records(batch, change->with, error);
    if (code == 0) {
        code = hf_store_commit(change->store, &batch, &result, error);
        *ret_again = may_be_overtaken(code) && is_overtaken(change, head);
        if (code == 0) {
            head->revision = result.changed ? result.revision : head->revision;
            head->exists = 1;
            head->is_damaged = 0;
        } else {
            error_wrap(error, code, "state '%s'", change->name);
        }
    }
    hf_batch_free(&batch);
    return code;
}

int state_change_commit(const struct state_change *change, struct state_head *ret_head, struct hf_error *error) {
    for (int i = 0; i < STATE_TRIES; i++) {
        struct state_head head;
        int is_again = 0;
        int code = state_head_read(change->store, change->name, change->repair, &head, error);
        if (code < 0)
            return code;
        code = attempt(change, &head, &is_again, error);
        if (code >= 0 && ret_head) {
            *ret_head = head;
            return 0;
        }
        state_head_fini(&head);
        if (!is_again)
            return code < 0 ? code : 0;
    }
    error_set(error, HF_ERR_CONFLICT, "state '%s': others changed it %d times meanwhile", change->name, STATE_TRIES);
    error_hint(error, "try it again when less is going on");
    return HF_ERR_CONFLICT;
}

/* ---- saving ---- */

/* 1: these bytes are the newest version, and it is whole. */
static int is_saved(struct hf_store *store, const struct state_head *head, const struct state_bytes *bytes,
                    struct hf_error *error) {
    const struct state_meta *newest = &head->newest;
    if (newest->version == 0 || newest->size != bytes->size || !digest_is_equal(newest->digest, bytes->digest))
        return 0;
    struct state_version *version = NULL;
    struct hf_error why = {0};
    int code = state_version_read(store, head->name, newest->version, &version, &why);
    state_version_free(&version);
    if (code == HF_ERR_CORRUPT || code == HF_ERR_NOT_FOUND)
        return 0;
    if (code < 0)
        error_copy(error, &why);
    return code < 0 ? code : 1;
}

/* NULL when memory is used up. */
static const char *keep_text(struct state_head *head, const char *text) {
    return text && text[0] ? arena_strdup(&head->arena, text) : "";
}

static int next_meta(struct hf_store *store, struct state_head *head, const struct state_bytes *bytes,
                     const struct state_meta *meta, struct state_meta *ret_next, struct hf_error *error) {
    struct state_meta next = {
        .version = head->newest.version + 1,
        .fence = meta->fence,
        .at_ms = meta->at_ms ? meta->at_ms : os_wall_ms(store_os(store)),
        .is_json = bytes->is_json,
        .is_forced = meta->is_forced,
        .size = bytes->size,
        .run = keep_text(head, meta->run),
        .code_version = keep_text(head, meta->code_version),
        .note = keep_text(head, meta->note),
        .who = keep_text(head, meta->who),
    };
    memcpy(next.digest, bytes->digest, DIGEST_BYTES);
    if (!next.run || !next.code_version || !next.note || !next.who)
        return error_no_memory(error);
    *ret_next = next;
    return 0;
}

/* A store that takes only flat documents keeps deep ones as bytes. */
static int fits_depth(struct hf_store *store, const struct state_bytes *bytes, struct hf_error *error) {
    uint32_t max_depth = store_limits(store)->max_depth;
    if (max_depth >= JSON_DEPTH_DEFAULT)
        return 1;
    if (max_depth <= 1)
        return 0;
    JSON_AUTO struct json_doc doc;
    json_init(&doc);
    int code = json_read(&doc, bytes->bytes, bytes->size, &(struct json_limits){.max_depth = max_depth - 1}, NULL);
    return code == HF_ERR_NO_MEMORY ? error_no_memory(error) : code == 0;
}

static int put_version(struct hf_store *store, const struct state_head *head, struct hf_batch *batch,
                       struct state_meta *meta, const struct state_bytes *bytes, struct hf_error *error) {
    size_t before = batch->bytes, max_bytes = store_limits(store)->max_bytes;
    if (meta->is_json) {
        int code = fits_depth(store, bytes, error);
        if (code < 0)
            return code;
        meta->is_json = code;
    }
    int code = state_version_put(batch, head->name, meta, bytes->bytes, error);
    if (code < 0 || batch->bytes - before <= max_bytes)
        return code;
    error_set(error, HF_ERR_TOO_LARGE,
              "save state '%s': its %zu bytes take a document of %zu, and this store takes %zu", head->name,
              bytes->size, batch->bytes - before, max_bytes);
    error_hint(error, "open the store with max_document_bytes of at least %zu", batch->bytes - before);
    return HF_ERR_TOO_LARGE;
}

int state_change_save(struct hf_store *store, struct state_head *head, struct hf_batch *batch,
                      const struct state_bytes *bytes, const struct state_meta *meta, struct hf_error *error) {
    int is_leased = head->lease.fence > 0 && head->lease.fence == meta->fence;
    if (is_leased)
        (void)state_lease_renew(store, head);
    int code = is_saved(store, head, bytes, error);
    if (code != 0)
        return code < 0 ? code : 0;
    struct state_meta next;
    code = is_leased ? 0 : state_lease_end_lost(store, head, batch, error);
    if (code == 0)
        code = next_meta(store, head, bytes, meta, &next, error);
    if (code == 0)
        code = put_version(store, head, batch, &next, bytes, error);
    if (code < 0)
        return code;
    head->newest = next;
    if (head->oldest == 0)
        head->oldest = next.version;
    head->lease.saves += is_leased;
    return state_version_drop_old(store, batch, head, error);
}
