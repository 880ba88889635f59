/* One transaction for many batches.
 *
 * Invariants
 *  1. A batch is looked at as a whole (conditions, what is there) before its first change is applied: a refused batch
 *     leaves nothing in the transaction.
 *  2. Once a change of a batch was applied, the batch is committed whole or the transaction is given up.
 *  3. Revisions are handed out inside a transaction from group->revision, which moves only when commit returned 0.
 *  4. An answer rests only on what is committed: when the transaction does not come about, batches that were refused or
 *     found unchanged inside it get no such answer. They are tried again, or fail with it.
 *  5. A failure that is not soft stops the store: the transaction is aborted when commit was not reached, left alone
 * when it was (what is on disk is not known then), and nothing more is written. But a page that is found damaged before
 * commit was reached refuses the batch that needs it, and no other. */
#include "store/group.h"

#include <string.h>

static const char *verb(const struct batch_change *change) {
    return change->what == HF_PUT ? "put" : "delete";
}

/* Whether a put of what is stored may be acknowledged without writing: its bytes are read, so that a damaged record is
 * mended by putting it again. */
static int check_same(struct group *group, struct batch_change *change, struct hf_error *error) {
    struct hf_record *record = NULL;
    int code =
        group->backend->ops->get(group->backend, STORE_IN_TRANSACTION, change->kind, change->id, 0, &record, error);
    change->found.is_same = code == 0 && !change->copied.is_version;
    hf_record_free(&record);
    return code == HF_ERR_CORRUPT ? 0 : code;
}

/* Fills change->found; *ret_head stays NULL when there is no such record. A damaged record is one that exists, but at
 * no revision and with no hash. */
static int look_up(struct group *group, struct batch_change *change, struct hf_record **ret_head,
                   struct hf_error *error) {
    memset(&change->found, 0, sizeof change->found);
    change->found.created_ms = group->now_ms;
    int code =
        group->backend->ops->get(group->backend, STORE_IN_TRANSACTION, change->kind, change->id, 1, ret_head, error);
    change->found.exists = code == 0 || code == HF_ERR_CORRUPT;
    if (code == HF_ERR_NOT_FOUND || code == HF_ERR_CORRUPT)
        return 0;
    if (code != 0)
        return code;
    change->found.revision = (*ret_head)->revision;
    change->found.created_ms = (*ret_head)->created_ms;
    if (change->what == HF_PUT && memcmp((*ret_head)->hash, change->hash, HF_HASH_BYTES) == 0)
        return check_same(group, change, error);
    return 0;
}

static int refuse_precondition(const struct batch_change *change, struct hf_error *error) {
    if (!change->found.exists)
        error_set(error, HF_ERR_PRECONDITION, "there is no such record");
    else if (change->options.condition == HF_IF_REVISION)
        error_set(error, HF_ERR_PRECONDITION, "it is at revision %llu, not %llu",
                  (unsigned long long)change->found.revision, (unsigned long long)change->options.if_revision);
    else
        error_set(error, HF_ERR_PRECONDITION, "its hash is not the one that was asked for");
    error_hint(error, "read the record again, and repeat the change if it is still wanted");
    return HF_ERR_PRECONDITION;
}

static int check_condition(const struct batch_change *change, const struct hf_record *head, struct hf_error *error) {
    const struct hf_change_options *options = &change->options;
    int holds = 1;
    if (change->found.exists && !head && (options->condition == HF_IF_REVISION || options->condition == HF_IF_HASH))
        return error_set(error, HF_ERR_CORRUPT, "it is damaged: its revision and hash are not known");
    switch (options->condition) {
    case HF_ALWAYS:
        break;
    case HF_IF_REVISION:
        holds = head && head->revision == options->if_revision;
        break;
    case HF_IF_ABSENT:
        if (change->found.exists)
            return error_set(error, HF_ERR_EXISTS, "there is one already, at revision %llu",
                             (unsigned long long)change->found.revision);
        break;
    case HF_IF_PRESENT:
        holds = change->found.exists;
        break;
    case HF_IF_HASH:
        holds = head && memcmp(head->hash, options->if_hash, HF_HASH_BYTES) == 0;
        break;
    }
    if (!holds)
        return refuse_precondition(change, error);
    if (change->what == HF_DELETE && !change->found.exists)
        return error_set(error, HF_ERR_NOT_FOUND, "there is no such record");
    return 0;
}

/* Looks at the whole batch. A refusal goes to commit->code; what is returned is a failure of the backend. */
static int inspect(struct group *group, struct hf_batch *batch, struct hf_error *error) {
    for (size_t i = 0; i < batch->changes.count && batch->commit.code == 0; i++) {
        struct batch_change *change = batch_change_at(batch, i);
        struct hf_record *head = NULL;
        if (change->copied.is_later)
            continue;
        int code = look_up(group, change, &head, error);
        if (code == 0) {
            batch->commit.code = check_condition(change, head, &batch->commit.error);
            if (batch->commit.code != 0)
                error_wrap(&batch->commit.error, batch->commit.code, "commit: %s '%s/%s'", verb(change), change->kind,
                           change->id);
        }
        hf_record_free(&head);
        if (code != 0)
            return error_wrap(error, code, "read '%s/%s'", change->kind, change->id);
    }
    return 0;
}

static int apply_change(struct group *group, const struct hf_batch *batch, const struct batch_change *change,
                        uint64_t revision, struct hf_error *error) {
    struct store_change row = {
        .what = change->what,
        .kind = change->kind,
        .id = change->id,
        .who = batch->who,
        .json = change->json,
        .json_bytes = change->json_bytes,
        .revision = revision,
        .at_ms = group->now_ms,
        .created_ms = change->found.created_ms,
        .history_keep = history_rules_get(group->history, change->kind),
    };
    if (change->copied.who) {
        row.who = change->copied.who;
        row.at_ms = change->copied.updated_ms;
        row.created_ms = change->copied.created_ms;
        row.history_keep = change->copied.is_version ? UINT32_MAX : row.history_keep;
    }
    memcpy(row.hash, change->hash, sizeof row.hash);
    const struct store_backend_ops *ops = group->backend->ops;
    int code =
        change->what == HF_PUT ? ops->put(group->backend, &row, error) : ops->remove(group->backend, &row, error);
    return code == 0 ? 0 : error_wrap(error, code, "%s '%s/%s'", verb(change), change->kind, change->id);
}

/* Puts one batch into the transaction; *revision moves when it changes something. */
static int apply(struct group *group, struct hf_batch *batch, uint64_t *revision, struct hf_error *error) {
    struct hf_commit_result *result = &batch->commit.result;
    memset(result, 0, sizeof *result);
    batch->commit.code = 0;
    int code = inspect(group, batch, error);
    if (code != 0 || batch->commit.code != 0)
        return code;
    for (size_t i = 0; i < batch->changes.count; i++) {
        const struct batch_change *change = batch_change_at(batch, i);
        if (change == batch->first) {
            result->created = change->what == HF_PUT && !change->found.exists;
            memcpy(result->hash, change->hash, HF_HASH_BYTES);
        }
        if (change->found.is_same) {
            if (!result->changed && change->found.revision > result->revision)
                result->revision = change->found.revision;
            continue;
        }
        if (!result->changed || change->copied.is_version)
            ++*revision;
        code = apply_change(group, batch, change, *revision, error);
        if (code != 0)
            return code;
        result->changed = 1;
        result->revision = *revision;
    }
    if (!result->changed && batch->changes.count == 0)
        result->revision = *revision;
    return 0;
}

/* One transaction over the batches from first to before end. 0: committed (or nothing to commit), codes and results
 * stand. *ret_reached_commit says whether the failure was the commit's. */
static int attempt(struct group *group, struct commit *first, const struct commit *end, int *ret_reached_commit,
                   struct hf_error *error) {
    const struct store_backend_ops *ops = group->backend->ops;
    uint64_t revision = group->revision;
    *ret_reached_commit = 0;
    int code = ops->begin(group->backend, error);
    if (code != 0)
        return code;
    for (struct commit *at = first; at != end && code == 0; at = at->next)
        code = apply(group, batch_of_commit(at), &revision, error);
    if (code != 0 || revision == group->revision) {
        ops->abort(group->backend);
        return code;
    }
    *ret_reached_commit = 1;
    code = ops->commit(group->backend, error);
    if (code == 0)
        group->revision = revision;
    else if (store_code_is_soft(code))
        ops->abort(group->backend);
    return code;
}

static void fail_all(struct commit *first, const struct commit *end, const struct hf_error *error) {
    for (struct commit *at = first; at != end; at = at->next) {
        at->code = error->code;
        error_copy(&at->error, error);
        error_wrap(&at->error, at->code, "commit");
    }
}

/* Makes what the backend said into what every caller is told from now on. */
static int stopped(struct hf_error *error) {
    error_wrap(error, error->code, "the store stopped");
    error->code = HF_ERR_FAILED;
    if (!error->hint[0])
        error_hint(
            error,
            "what was acknowledged is safe; look after the disk, then restart the daemon or open the store again");
    return HF_ERR_FAILED;
}

/* Whether it refuses batches, and the store works on. */
static int is_refusal(int code, int reached_commit) {
    return store_code_is_soft(code) || (code == HF_ERR_CORRUPT && !reached_commit);
}

/* One batch stood in the way of the others, and which one is not known: each on its own. */
static int commit_singly(struct group *group, struct commit *first, struct hf_error *error) {
    for (struct commit *at = first; at; at = at->next) {
        int reached_commit;
        int code = attempt(group, at, at->next, &reached_commit, error);
        if (code != 0 && !is_refusal(code, reached_commit)) {
            stopped(error);
            fail_all(at, NULL, error);
            return HF_ERR_FAILED;
        }
        if (code != 0)
            fail_all(at, at->next, error);
    }
    return 0;
}

int group_commit(struct group *group, struct commit *first, struct hf_error *error) {
    int reached_commit;
    group->now_ms = os_wall_ms(group->os);
    int code = attempt(group, first, NULL, &reached_commit, error);
    if (code == 0)
        return 0;
    int is_refused = is_refusal(code, reached_commit);
    if (is_refused && !reached_commit && first->next)
        return commit_singly(group, first, error);
    if (!is_refused)
        stopped(error);
    fail_all(first, NULL, error);
    return is_refused ? 0 : HF_ERR_FAILED;
}

static int trim(struct group *group, uint64_t keep, struct hf_error *error) {
    const struct store_backend_ops *ops = group->backend->ops;
    int code = ops->begin(group->backend, error);
    if (code != 0)
        return code;
    code = ops->trim_events(group->backend, keep, error);
    if (code != 0) {
        ops->abort(group->backend);
        return code;
    }
    code = ops->commit(group->backend, error);
    if (store_code_is_soft(code))
        ops->abort(group->backend);
    return code;
}

int group_trim(struct group *group, uint64_t keep, struct hf_error *error) {
    int code = group->backend->ops->trim_events ? trim(group, keep, error) : 0;
    return code == 0 || store_code_is_soft(code) ? 0 : stopped(error);
}

int group_rest(struct group *group, struct hf_error *error) {
    int code = group->backend->ops->rest_now ? group->backend->ops->rest_now(group->backend, error) : 0;
    return code == 0 || store_code_is_soft(code) ? 0 : stopped(error);
}

int group_compact(struct group *group, struct hf_compact_result *ret_result, struct hf_error *error) {
    const struct store_backend_ops *ops = group->backend->ops;
    int code = ops->compact ? ops->compact(group->backend, ret_result, error) : 0;
    return code == HF_ERR_FAILED ? stopped(error) : code;
}
