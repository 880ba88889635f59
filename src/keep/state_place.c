/* States that take the place of another, or leave their own: for copies, renames, imports and removal.
 *
 * Invariants
 *  1. Everything of a state moves, or goes, in one commit, under the condition that its head is as it was read.
 *  2. The number of a run is never given twice under one name: of a state that had runs the head stays, empty. */
#include <string.h>

#include "keep/state_verb.h"

int state_check_free_name(struct hf_store *store, const struct state_head *head, struct hf_error *error) {
    int code = state_is_gone(store, head, error);
    if (code != 0)
        return code < 0 ? code : 0;
    error_set(error, HF_ERR_EXISTS, "there is a state '%s' already", head->name);
    error_hint(error, "choose another name, or remove that state first: holdfast state clear '%.80s'", head->name);
    return HF_ERR_EXISTS;
}

/* ---- in ---- */

static int take_newest(struct state_head *head, const struct state_meta *meta, struct hf_error *error) {
    uint64_t before = head->newest.version;
    head->newest = *meta;
    const char **texts[] = {&head->newest.run, &head->newest.code_version, &head->newest.note, &head->newest.who};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        *texts[i] = arena_strdup(&head->arena, *texts[i]);
        if (!*texts[i])
            return error_no_memory(error);
    }
    if (head->oldest == 0)
        head->oldest = meta->version;
    else
        head->gaps += meta->version - before - 1;
    return 0;
}

int state_place_version(struct hf_batch *batch, struct state_head *head, const struct state_version *version,
                        struct hf_error *error) {
    struct state_meta meta = version->meta;
    if (meta.fence > 0)
        meta.run = arena_printf(&head->arena, "%s@%llu", head->name, (unsigned long long)meta.fence);
    if (!meta.run)
        return error_no_memory(error);
    if (meta.fence > head->fence)
        head->fence = meta.fence;
    if (meta.fence > head->last_run)
        head->last_run = meta.fence;
    int code = state_version_put(batch, head->name, &meta, version->bytes, error);
    return code == 0 ? take_newest(head, &meta, error) : code;
}

int state_place_run(struct hf_batch *batch, struct state_head *head, struct state_run *run, struct hf_error *error) {
    if (strcmp(run->outcome, "running") == 0)
        run->outcome = "lost";
    if (run->number > head->last_run)
        head->last_run = run->number;
    if (run->fence > head->fence)
        head->fence = run->fence;
    return state_run_put(batch, head->name, run, error);
}

/* ---- out ---- */

static int delete_numbered(struct hf_batch *batch, const char *kind, const char *name, const struct buf *numbers,
                           struct hf_error *error) {
    int code = 0;
    for (size_t i = 0; code == 0 && i < state_numbers_count(numbers); i++) {
        char id[HF_ID_MAX + 1];
        state_number_id(name, state_numbers_at(numbers, i), id);
        code = hf_batch_delete(batch, kind, id, NULL, error);
    }
    return code;
}

static int remove_head(struct hf_batch *batch, const struct state_head *head, struct hf_error *error) {
    if (head->last_run > 0 || head->fence > 0) {
        struct state_head empty;
        state_head_init(&empty, head->name);
        empty.revision = head->revision;
        empty.exists = head->exists;
        empty.fence = head->fence;
        empty.last_run = head->last_run;
        int code = state_head_put(batch, &empty, error);
        state_head_fini(&empty);
        return code;
    }
    struct hf_change_options as_read = {.condition = HF_IF_PRESENT};
    if (head->revision > 0)
        as_read = (struct hf_change_options){.condition = HF_IF_REVISION, .if_revision = head->revision};
    return head->exists ? hf_batch_delete(batch, STATE_KIND, head->name, &as_read, error) : 0;
}

int state_remove_all(struct hf_store *store, struct hf_batch *batch, const struct state_head *head,
                     struct hf_error *error) {
    BUF_AUTO struct buf versions;
    BUF_AUTO struct buf runs;
    buf_init(&versions);
    buf_init(&runs);
    int code = state_numbers_of_versions(store, head->name, &versions, error);
    if (code == 0)
        code = state_numbers_of_runs(store, head->name, &runs, error);
    if (code == 0)
        code = delete_numbered(batch, STATE_VERSION_KIND, head->name, &versions, error);
    if (code == 0)
        code = delete_numbered(batch, STATE_RUN_KIND, head->name, &runs, error);
    return code == 0 ? remove_head(batch, head, error) : code;
}

/* ---- until it is done ---- */

int state_commit_batch(struct hf_store *store, struct hf_batch **batch, struct hf_error *error) {
    int code = hf_store_commit(store, batch, NULL, error);
    return code == HF_ERR_PRECONDITION || code == HF_ERR_EXISTS || code == HF_ERR_NOT_FOUND ? STATE_OVERTAKEN : code;
}

int state_attempt_until_done(state_attempt attempt, void *arg, struct hf_error *error) {
    int code = STATE_OVERTAKEN;
    for (int i = 0; i < STATE_TRIES && code == STATE_OVERTAKEN; i++)
        code = attempt(arg, i, error);
    if (code != STATE_OVERTAKEN)
        return code;
    error_set(error, HF_ERR_CONFLICT, "others changed it %d times meanwhile", STATE_TRIES);
    error_hint(error, "try it again when less is going on");
    return HF_ERR_CONFLICT;
}
