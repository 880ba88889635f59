/* Copies and renames. */
#include <stdio.h>
#include <string.h>

#include "keep/state_verb.h"

/* ---- copy ---- */

struct copy {
    struct hf_store *store;
    const char *from, *who;
    int with_history;
    uint64_t left_out; /* damaged versions */
};

static int copy_newest(struct copy *copy, const struct state_head *from, struct state_head *head,
                       struct hf_batch *batch, struct hf_error *error) {
    struct state_version *version = NULL;
    int code = state_read_newest(copy->store, from, &version, error);
    if (code != 0)
        return code;
    struct state_bytes bytes = state_bytes_of(version);
    char note[HF_ID_MAX + 64];
    snprintf(note, sizeof note, "copy of '%s' version %llu", from->name, (unsigned long long)version->meta.version);
    struct state_meta meta = {.code_version = version->meta.code_version, .note = note, .who = copy->who};
    code = state_change_save(copy->store, head, batch, &bytes, &meta, error);
    state_version_free(&version);
    return code;
}

/* The runs stay where they ran: a version says of which it is, but its fence is none of this name's. */
static int copy_version(struct copy *copy, const struct state_head *from, uint64_t number, struct state_head *head,
                        struct hf_batch *batch, struct hf_error *error) {
    struct state_version *version = NULL;
    struct hf_error why = {0};
    int code = number == from->newest.version ? state_read_newest(copy->store, from, &version, &why)
                                              : state_version_read(copy->store, from->name, number, &version, &why);
    if (code == HF_ERR_NOT_FOUND)
        return 0; /* retention took it meanwhile */
    if (code == HF_ERR_CORRUPT && number != from->newest.version) {
        copy->left_out++;
        return 0;
    }
    if (code != 0) {
        error_copy(error, &why);
        return code;
    }
    version->meta.fence = 0;
    code = state_place_version(batch, head, version, error);
    state_version_free(&version);
    return code;
}

static int copy_all(struct copy *copy, const struct state_head *from, struct state_head *head, struct hf_batch *batch,
                    struct hf_error *error) {
    BUF_AUTO struct buf numbers;
    buf_init(&numbers);
    copy->left_out = 0;
    int code = state_numbers_of_versions(copy->store, from->name, &numbers, error);
    for (size_t i = 0; code == 0 && i < state_numbers_count(&numbers); i++)
        if (state_numbers_at(&numbers, i) <= from->newest.version)
            code = copy_version(copy, from, state_numbers_at(&numbers, i), head, batch, error);
    return code;
}

static int copy_from(struct copy *copy, const struct state_head *from, struct state_head *head, struct hf_batch *batch,
                     struct hf_error *error) {
    head->keep_versions = from->keep_versions;
    head->keep_age_ms = from->keep_age_ms;
    if (from->newest.version == 0)
        return error_set(error, HF_ERR_NOT_FOUND, "nothing was ever saved under '%s'", from->name);
    return copy->with_history ? copy_all(copy, from, head, batch, error) : copy_newest(copy, from, head, batch, error);
}

/* For a name that is taken the advice is to remove what has it. */
static int check_other(const char *name, const char *to, struct hf_error *error) {
    if (strcmp(name, to) != 0)
        return 0;
    error_set(error, HF_ERR_EXISTS, "'%s' is its name already", to);
    error_hint(error, "choose another name");
    return HF_ERR_EXISTS;
}

static int copy_into(void *arg, struct state_head *head, struct hf_batch *batch, struct hf_error *error) {
    struct copy *copy = arg;
    struct state_head from;
    int code = state_check_free_name(copy->store, head, error);
    if (code == 0)
        code = state_head_find(copy->store, copy->from, 0, &from, error);
    if (code != 0)
        return code;
    code = copy_from(copy, &from, head, batch, error);
    state_head_fini(&from);
    if (code == STATE_OVERTAKEN) {
        error_set(error, HF_ERR_CONFLICT, "'%s' was changed meanwhile", copy->from);
        error_hint(error, "try it again");
        code = HF_ERR_CONFLICT;
    }
    return code;
}

int state_copy(struct hf_store *store, const struct state_caller *caller, const char *name, const char *to,
               int with_history, struct buf *ret_json, struct hf_error *error) {
    struct copy copy = {.store = store, .from = name, .who = caller->who, .with_history = with_history};
    struct state_head head;
    const struct state_change change = {
        .store = store, .name = to, .who = caller->who, .change = copy_into, .arg = &copy};
    int code = check_other(name, to, error);
    if (code == 0)
        code = state_change_commit(&change, &head, error);
    if (code < 0)
        return error_wrap(error, code, "copy state '%s'", name);
    struct state_count left_out = {"left_out", copy.left_out};
    code = state_answer_count(store, &head, 1, left_out, ret_json, error);
    state_head_fini(&head);
    return code;
}

/* ---- move ---- */

struct move {
    struct hf_store *store;
    const char *from_name, *to_name, *who;
    struct state_head from, to;
    struct hf_batch *batch;
};

static int refuse_damaged(const struct move *move, uint64_t number, struct hf_error *error) {
    error_wrap(error, HF_ERR_CORRUPT, "what is damaged cannot be moved");
    error_hint(error, "copy what is whole: holdfast state copy '%.60s' '%.60s' --history (version %llu is left out)",
               move->from_name, move->to_name, (unsigned long long)number);
    return HF_ERR_CORRUPT;
}

static int move_version(struct move *move, uint64_t number, struct hf_error *error) {
    struct state_version *version = NULL;
    int code = state_version_read(move->store, move->from_name, number, &version, error);
    if (code == HF_ERR_CORRUPT && number == move->from.newest.version)
        code = state_read_newest(move->store, &move->from, &version, error);
    else if (code == HF_ERR_CORRUPT)
        code = refuse_damaged(move, number, error);
    if (code == 0)
        code = state_place_version(move->batch, &move->to, version, error);
    state_version_free(&version);
    return code == HF_ERR_NOT_FOUND ? STATE_OVERTAKEN : code;
}

/* Of a run that cannot be read nothing is left to be moved. */
static int move_run(struct move *move, uint64_t number, struct hf_error *error) {
    struct state_run run;
    int code = state_run_read(move->store, move->from_name, number, &run, error);
    if (code < 0)
        return code == HF_ERR_NOT_FOUND || code == HF_ERR_CORRUPT ? 0 : code;
    code = state_place_run(move->batch, &move->to, &run, error);
    state_run_fini(&run);
    return code;
}

typedef int (*list_numbers)(struct hf_store *store, const char *name, struct buf *ret_numbers, struct hf_error *error);

static int move_each(struct move *move, list_numbers list, int (*move_one)(struct move *, uint64_t, struct hf_error *),
                     struct hf_error *error) {
    BUF_AUTO struct buf numbers;
    buf_init(&numbers);
    int code = list(move->store, move->from_name, &numbers, error);
    for (size_t i = 0; code == 0 && i < state_numbers_count(&numbers); i++)
        code = move_one(move, state_numbers_at(&numbers, i), error);
    return code;
}

static int fill_batch(struct move *move, struct hf_error *error) {
    struct state_head *from = &move->from, *to = &move->to;
    to->keep_versions = from->keep_versions;
    to->keep_age_ms = from->keep_age_ms;
    to->fence = from->fence > to->fence ? from->fence : to->fence;
    to->last_run = from->last_run > to->last_run ? from->last_run : to->last_run;
    int code = move_each(move, state_numbers_of_versions, move_version, error);
    if (code == 0)
        code = move_each(move, state_numbers_of_runs, move_run, error);
    if (code == 0)
        code = state_head_put(move->batch, to, error);
    return code == 0 ? state_remove_all(move->store, move->batch, from, error) : code;
}

static int move_heads(struct move *move, struct hf_error *error) {
    int code = state_lease_check_free(move->store, &move->from, 0, error);
    if (code == 0)
        code = state_check_free_name(move->store, &move->to, error);
    if (code == 0)
        code = hf_batch_new(move->who, &move->batch, error);
    if (code == 0)
        code = fill_batch(move, error);
    if (code == 0)
        code = state_commit_batch(move->store, &move->batch, error);
    hf_batch_free(&move->batch);
    return code;
}

/* On success the head of the new name stays in *move. */
static int try_move(void *arg, int number, struct hf_error *error) {
    struct move *move = arg;
    (void)number;
    int code = state_head_find(move->store, move->from_name, 0, &move->from, error);
    if (code < 0)
        return code;
    code = state_head_read(move->store, move->to_name, 0, &move->to, error);
    if (code == 0) {
        code = move_heads(move, error);
        if (code != 0)
            state_head_fini(&move->to);
    }
    state_head_fini(&move->from);
    return code;
}

int state_move(struct hf_store *store, const struct state_caller *caller, const char *name, const char *to,
               struct buf *ret_json, struct hf_error *error) {
    struct move move = {.store = store, .from_name = name, .to_name = to, .who = caller->who};
    int code = check_other(name, to, error);
    if (code == 0)
        code = state_attempt_until_done(try_move, &move, error);
    if (code < 0)
        return error_wrap(error, code, "move state '%s'", name);
    code = state_answer(store, &move.to, 1, ret_json, error);
    state_head_fini(&move.to);
    return code;
}
