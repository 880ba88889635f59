/* Retention: how many versions are kept, and for how long. */
#include "keep/state_verb.h"

struct keeping {
    struct hf_store *store;
    const char *who;
    int64_t versions, max_age_ms; /* -1: as it is */
    int is_changed, has_dropped;
};

/* A commit drops some of what is too old; this is done until there is no more. */
static int apply(void *arg, struct state_head *head, struct hf_batch *batch, struct hf_error *error) {
    struct keeping *keeping = arg;
    uint64_t oldest = head->oldest, versions = head->keep_versions;
    int64_t max_age_ms = head->keep_age_ms;
    if (keeping->versions >= 0)
        head->keep_versions = (uint32_t)keeping->versions;
    if (keeping->max_age_ms >= 0)
        head->keep_age_ms = keeping->max_age_ms;
    int code = state_version_drop_old(keeping->store, batch, head, error);
    keeping->has_dropped = head->oldest != oldest;
    if (code == 0 && !keeping->has_dropped && versions == head->keep_versions && max_age_ms == head->keep_age_ms)
        return STATE_NOTHING;
    keeping->is_changed = 1;
    return code;
}

static int read_request(struct keeping *keeping, const char *body, size_t body_bytes, struct hf_error *error) {
    static const char *const KNOWN[] = {"versions", "max_age_ms", NULL};
    JSON_AUTO struct json_doc doc;
    json_init(&doc);
    int code = state_body_read_plain(&doc, body, body_bytes, KNOWN, error);
    if (code == 0)
        code = state_body_number(&doc, 0, "versions", 0, &keeping->versions, error);
    if (code == 0)
        code = state_body_number(&doc, 0, "max_age_ms", 0, &keeping->max_age_ms, error);
    if (code == 0 && keeping->versions > UINT32_MAX)
        code = error_set(error, HF_ERR_INVALID, "field 'versions' must be at most %u", UINT32_MAX);
    if (code == 0 && keeping->versions < 0 && keeping->max_age_ms < 0)
        code = error_set(error, HF_ERR_INVALID, "one of the fields 'versions' and 'max_age_ms' must be there");
    return code;
}

int state_keep(struct hf_store *store, const struct state_caller *caller, const char *name, const char *body,
               size_t body_bytes, struct buf *ret_json, struct hf_error *error) {
    struct keeping keeping = {.store = store, .who = caller->who, .versions = -1, .max_age_ms = -1, .has_dropped = 1};
    const struct state_change change = {
        .store = store, .name = name, .who = caller->who, .change = apply, .arg = &keeping};
    struct state_head head;
    int code = read_request(&keeping, body, body_bytes, error);
    if (code == 0)
        code = state_change_commit(&change, &head, error);
    while (code == 0 && keeping.has_dropped) {
        state_head_fini(&head);
        code = state_change_commit(&change, &head, error);
    }
    if (code < 0)
        return error_wrap(error, code, "keep versions of state '%s'", name);
    code = state_answer(store, &head, keeping.is_changed, ret_json, error);
    state_head_fini(&head);
    return code;
}
