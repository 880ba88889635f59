/* Back to an earlier version, which becomes a new one: nothing that was saved since is lost. */
#include <stdio.h>
#include <string.h>

#include "keep/state_verb.h"

struct rollback {
    struct hf_store *store;
    const char *who;
    uint64_t to_version; /* 0: by time */
    int64_t before_ms;
    int force, is_changed;
};

static int find_version(const struct rollback *rollback, const struct state_head *head, uint64_t *ret_version,
                        struct hf_error *error) {
    uint64_t doubt;
    if (rollback->to_version == 0)
        return state_find_before(rollback->store, head->name, rollback->before_ms, ret_version, &doubt, error);
    *ret_version = rollback->to_version;
    return 0;
}

static int save_again(struct rollback *rollback, struct state_head *head, struct hf_batch *batch,
                      const struct state_version *version, struct hf_error *error) {
    char note[64];
    uint64_t before = head->newest.version;
    int is_repair = head->is_damaged;
    struct state_bytes bytes = state_bytes_of(version);
    snprintf(note, sizeof note, "rollback to %llu", (unsigned long long)version->meta.version);
    struct state_meta meta = {.is_forced = rollback->force,
                              .code_version = version->meta.code_version,
                              .note = note,
                              .who = rollback->who};
    int code = state_change_save(rollback->store, head, batch, &bytes, &meta, error);
    rollback->is_changed = is_repair || head->newest.version != before;
    return code;
}

static int roll_back(void *arg, struct state_head *head, struct hf_batch *batch, struct hf_error *error) {
    struct rollback *rollback = arg;
    struct state_version *version = NULL;
    uint64_t number = 0;
    int code = state_is_gone(rollback->store, head, error);
    if (code > 0)
        code = state_not_there(head->name, error);
    if (code == 0 && !rollback->force)
        code = state_lease_check_free(rollback->store, head, 0, error);
    if (code == 0)
        code = find_version(rollback, head, &number, error);
    if (code < 0)
        return code;
    code = state_version_read(rollback->store, head->name, number, &version, error);
    if (code == HF_ERR_NOT_FOUND || code == HF_ERR_CORRUPT)
        error_hint(error, "see which are kept, and whole: holdfast state log '%.80s'", head->name);
    if (code == 0)
        code = save_again(rollback, head, batch, version, error);
    state_version_free(&version);
    return code;
}

static int commit(struct rollback *rollback, const char *name, struct state_head *ret_head, struct hf_error *error) {
    const struct state_change change = {.store = rollback->store,
                                        .name = name,
                                        .who = rollback->who,
                                        .repair = 1,
                                        .change = roll_back,
                                        .arg = rollback};
    int code = state_change_commit(&change, ret_head, error);
    return code < 0 ? error_wrap(error, code, "roll back state '%s'", name) : 0;
}

int hf_state_rollback(struct hf_store *store, const char *name, uint64_t to_version, int force, const char *who,
                      uint64_t *ret_version, struct hf_error *error) {
    struct rollback rollback = {.store = store, .who = who ? who : "", .to_version = to_version, .force = force};
    struct state_head head;
    if (to_version == 0)
        return error_set(error, HF_ERR_INVALID, "roll back state '%s': versions begin with 1", name);
    int code = state_check_name(name, error);
    if (code == 0)
        code = commit(&rollback, name, &head, error);
    if (code < 0)
        return code;
    if (ret_version)
        *ret_version = head.newest.version;
    state_head_fini(&head);
    return 0;
}

int state_rollback(struct hf_store *store, const struct state_caller *caller, const char *name, uint64_t to_version,
                   int64_t before_ms, int force, struct buf *ret_json, struct hf_error *error) {
    struct rollback rollback = {
        .store = store, .who = caller->who, .to_version = to_version, .before_ms = before_ms, .force = force};
    struct state_head head;
    if ((to_version == 0) == (before_ms == 0)) {
        error_set(error, HF_ERR_INVALID, "roll back state '%s': give a version or a time, and one of them only", name);
        error_hint(error, "see which versions are kept: holdfast state log '%.80s'", name);
        return HF_ERR_INVALID;
    }
    int code = commit(&rollback, name, &head, error);
    if (code < 0)
        return code;
    code = state_answer(store, &head, rollback.is_changed, ret_json, error);
    state_head_fini(&head);
    return code;
}
