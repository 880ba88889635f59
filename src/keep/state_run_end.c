/* The end of a run: it saves the state, says how it went, and gives the lease back, in one commit. And its renewal. */
#include <string.h>

#include "keep/state_verb.h"

enum {
    OUTCOME_MAX = 32,
    TAIL_MAX = 16 << 10, /* of a run's output that the ledger keeps */
};

/* ---- end ---- */

struct ending {
    struct hf_store *store;
    const char *who;
    struct json_doc doc;
    struct arena arena;
    struct buf scratch;
    struct state_basis basis;
    const char *outcome, *code_version, *note;
    struct state_run more;
    struct state_bytes bytes;
    int has_bytes, is_changed;
};

static int read_outcome(struct ending *ending, struct hf_error *error) {
    ending->outcome = "ok";
    int code = state_body_text(&ending->doc, 0, "outcome", &ending->arena, &ending->outcome, error);
    if (code < 0)
        return code;
    size_t bytes = strspn(ending->outcome, "abcdefghijklmnopqrstuvwxyz_");
    if (bytes > 0 && bytes <= OUTCOME_MAX && ending->outcome[bytes] == '\0' && strcmp(ending->outcome, "running") != 0)
        return 0;
    error_set(error, HF_ERR_INVALID, "field 'outcome' must be the word for an end, not '%.40s'", ending->outcome);
    error_hint(error, "such as ok, failed, timeout, killed, refused or error; small letters and '_'");
    return HF_ERR_INVALID;
}

/* The end of it, from where a character begins. */
static int read_tail(struct ending *ending, struct hf_error *error) {
    uint32_t node = json_member(&ending->doc, 0, "output_tail");
    size_t bytes;
    if (json_type_of(&ending->doc, node) == JSON_NULL)
        return 0;
    if (json_type_of(&ending->doc, node) != JSON_STRING)
        return error_set(error, HF_ERR_INVALID, "field 'output_tail' must be text");
    const char *tail = json_to_text(&ending->doc, node, &ending->arena, &bytes);
    if (!tail)
        return error_no_memory(error);
    size_t start = bytes > TAIL_MAX ? bytes - TAIL_MAX : 0;
    while (start > 0 && start < bytes && ((uint8_t)tail[start] & 0xc0) == 0x80)
        start++;
    ending->more.output_tail = tail + start;
    return 0;
}

static int read_numbers(struct ending *ending, struct hf_error *error) {
    struct state_run *more = &ending->more;
    int code = state_body_number(&ending->doc, 0, "exit_code", 0, &more->exit_code, error);
    if (code == 0)
        code = state_body_number(&ending->doc, 0, "signal", 0, &more->signal, error);
    if (code == 0)
        code = state_body_number(&ending->doc, 0, "duration_ms", 0, &more->duration_ms, error);
    return code == 0 ? state_body_number(&ending->doc, 0, "records", 0, &more->records, error) : code;
}

static int read_texts(struct ending *ending, struct hf_error *error) {
    int code = read_outcome(ending, error);
    if (code == 0)
        code = read_tail(ending, error);
    if (code == 0)
        code = state_body_text(&ending->doc, 0, "reason", &ending->arena, &ending->more.reason, error);
    if (code == 0)
        code = state_body_text(&ending->doc, 0, "code_version", &ending->arena, &ending->code_version, error);
    return code == 0 ? state_body_text(&ending->doc, 0, "note", &ending->arena, &ending->note, error) : code;
}

static int read_fence(const struct json_doc *doc, struct state_basis *basis, struct hf_error *error) {
    int code = state_body_basis(doc, basis, error);
    if (code == 0 && !basis->has_fence)
        code = error_set(error, HF_ERR_INVALID, "field 'fence' must be there: the number that state begin gave");
    return code;
}

static int read_ending(struct ending *ending, const char *body, size_t body_bytes, struct hf_error *error) {
    static const char *const KNOWN[] = {"outcome",     "exit_code", "signal", "duration_ms", "records",
                                        "output_tail", "reason",    "value",  "base64",      NULL};
    int code = state_body_read(&ending->doc, body, body_bytes, KNOWN, error);
    if (code == 0)
        code = read_fence(&ending->doc, &ending->basis, error);
    if (code == 0)
        code = read_texts(ending, error);
    if (code == 0)
        code = read_numbers(ending, error);
    if (code < 0)
        return code;
    code = state_body_bytes(&ending->doc, 1, &ending->scratch, &ending->bytes, error);
    ending->has_bytes = code == 0;
    return code == HF_ERR_NOT_FOUND ? 0 : code;
}

static int end(void *arg, struct state_head *head, struct hf_batch *batch, struct hf_error *error) {
    struct ending *ending = arg;
    uint64_t before = head->newest.version;
    struct state_meta meta = {.fence = ending->basis.fence,
                              .run = head->lease.run,
                              .code_version = ending->code_version,
                              .note = ending->note,
                              .who = ending->who};
    int code = state_basis_check(ending->store, head, &ending->basis, error);
    if (code == 0 && ending->has_bytes)
        code = state_change_save(ending->store, head, batch, &ending->bytes, &meta, error);
    ending->is_changed = head->newest.version != before;
    return code == 0 ? state_run_close(ending->store, head, batch, ending->outcome, &ending->more, error) : code;
}

static int commit_end(struct ending *ending, const char *name, struct buf *ret_json, struct hf_error *error) {
    const struct state_change change = {
        .store = ending->store, .name = name, .who = ending->who, .change = end, .arg = ending};
    struct state_head head;
    int code = state_change_commit(&change, &head, error);
    if (code < 0)
        return code;
    code = state_answer(ending->store, &head, ending->is_changed, ret_json, error);
    state_head_fini(&head);
    return code;
}

int state_run_end(struct hf_store *store, const struct state_caller *caller, const char *name, const char *body,
                  size_t body_bytes, struct buf *ret_json, struct hf_error *error) {
    struct ending ending = {.store = store, .who = caller->who};
    json_init(&ending.doc);
    arena_init(&ending.arena);
    buf_init(&ending.scratch);
    state_run_init(&ending.more);
    int code = read_ending(&ending, body, body_bytes, error);
    if (code == 0)
        code = commit_end(&ending, name, ret_json, error);
    state_run_fini(&ending.more);
    buf_fini(&ending.scratch);
    arena_fini(&ending.arena);
    json_fini(&ending.doc);
    return code < 0 ? error_wrap(error, code, "end run of state '%s'", name) : 0;
}

/* ---- renew ---- */

struct renewal {
    struct hf_store *store;
    struct state_basis basis;
    int is_changed;
};

static int renew(void *arg, struct state_head *head, struct hf_batch *batch, struct hf_error *error) {
    struct renewal *renewal = arg;
    (void)batch;
    int code = state_basis_check(renewal->store, head, &renewal->basis, error);
    if (code == 0)
        code = state_lease_renew(renewal->store, head);
    renewal->is_changed = code == 0;
    return code;
}

int state_run_renew(struct hf_store *store, const char *name, const char *body, size_t body_bytes, struct buf *ret_json,
                    struct hf_error *error) {
    static const char *const KNOWN[] = {"fence", NULL};
    struct renewal renewal = {.store = store};
    const struct state_change change = {.store = store, .name = name, .change = renew, .arg = &renewal};
    struct state_head head;
    JSON_AUTO struct json_doc doc;
    json_init(&doc);
    int code = state_body_read_plain(&doc, body, body_bytes, KNOWN, error);
    if (code == 0)
        code = read_fence(&doc, &renewal.basis, error);
    if (code == 0)
        code = state_change_commit(&change, &head, error);
    if (code < 0)
        return error_wrap(error, code, "renew lease of state '%s'", name);
    code = state_answer(store, &head, renewal.is_changed, ret_json, error);
    state_head_fini(&head);
    return code;
}
