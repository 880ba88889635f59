/* Saving by request: whole, as a patch, and together with records. */
#include <string.h>

#include "data/json_keys.h"
#include "data/json_merge.h"
#include "keep/state_verb.h"
#include "store/store.h"

typedef int (*state_save)(void *arg, struct state_head *head, struct hf_batch *batch, struct hf_error *error);

struct saving {
    struct hf_store *store;
    struct json_doc doc;
    struct arena arena;
    struct buf scratch;
    struct state_basis basis;
    struct state_bytes bytes;
    const char *code_version, *note, *who;
    uint32_t patch;        /* of merge */
    int has_bytes;         /* a commit may be without */
    struct hf_batch *with; /* the records of a commit */
    uint64_t record_count;
    int is_changed;
};

static void saving_init(struct saving *saving, struct hf_store *store, const struct state_caller *caller) {
    *saving = (struct saving){.store = store, .who = caller->who};
    json_init(&saving->doc);
    arena_init(&saving->arena);
    buf_init(&saving->scratch);
}

static void saving_fini(struct saving *saving) {
    hf_batch_free(&saving->with);
    buf_fini(&saving->scratch);
    arena_fini(&saving->arena);
    json_fini(&saving->doc);
}

static int read_request(struct saving *saving, const char *body, size_t body_bytes, const char *const *known,
                        struct hf_error *error) {
    int code = state_body_read(&saving->doc, body, body_bytes, known, error);
    if (code == 0)
        code = state_body_basis(&saving->doc, &saving->basis, error);
    if (code == 0)
        code = state_body_text(&saving->doc, 0, "code_version", &saving->arena, &saving->code_version, error);
    return code == 0 ? state_body_text(&saving->doc, 0, "note", &saving->arena, &saving->note, error) : code;
}

static int save_bytes(struct saving *saving, struct state_head *head, struct hf_batch *batch,
                      const struct state_bytes *bytes, struct hf_error *error) {
    uint64_t before = head->newest.version;
    const struct state_basis *basis = &saving->basis;
    struct state_meta meta = {
        .fence = basis->fence,
        .run = basis->has_fence ? head->lease.run : "",
        .is_forced = basis->is_forced,
        .code_version = saving->code_version,
        .note = saving->note,
        .who = saving->who,
    };
    int code = state_change_save(saving->store, head, batch, bytes, &meta, error);
    saving->is_changed = head->newest.version != before;
    return code;
}

static int commit_saving(struct saving *saving, const char *name, state_save save, struct state_head *ret_head,
                         struct hf_error *error) {
    const struct state_change change = {
        .store = saving->store, .name = name, .who = saving->who, .with = saving->with, .change = save, .arg = saving};
    return state_change_commit(&change, ret_head, error);
}

static int commit_and_answer(struct saving *saving, const char *name, state_save save, struct buf *ret_json,
                             struct hf_error *error) {
    struct state_head head;
    int code = commit_saving(saving, name, save, &head, error);
    if (code < 0)
        return code;
    code = state_answer(saving->store, &head, saving->is_changed, ret_json, error);
    state_head_fini(&head);
    return code;
}

/* ---- set ---- */

static int set(void *arg, struct state_head *head, struct hf_batch *batch, struct hf_error *error) {
    struct saving *saving = arg;
    int code = state_basis_check(saving->store, head, &saving->basis, error);
    return code == 0 ? save_bytes(saving, head, batch, &saving->bytes, error) : code;
}

int state_set(struct hf_store *store, const struct state_caller *caller, const char *name, const char *body,
              size_t body_bytes, struct buf *ret_json, struct hf_error *error) {
    static const char *const KNOWN[] = {"value", "base64", NULL};
    struct saving saving;
    saving_init(&saving, store, caller);
    int code = read_request(&saving, body, body_bytes, KNOWN, error);
    if (code == 0)
        code = state_body_bytes(&saving.doc, 0, &saving.scratch, &saving.bytes, error);
    if (code == 0)
        code = commit_and_answer(&saving, name, set, ret_json, error);
    saving_fini(&saving);
    return code < 0 ? error_wrap(error, code, "set state '%s'", name) : 0;
}

/* ---- merge ---- */

static int refuse_bytes(const struct state_version *version, struct hf_error *error) {
    error_set(error, HF_ERR_BAD_DATA, "version %llu is not JSON, so there is nothing to merge into",
              (unsigned long long)version->meta.version);
    error_hint(error, "save it whole instead (state set)");
    return HF_ERR_BAD_DATA;
}

/* Fills *bytes: they are of the version that is there where nothing but its white space would change. */
static int make_merged(const struct saving *saving, const struct state_version *version, struct buf *merged,
                       struct state_bytes *bytes, struct hf_error *error) {
    JSON_AUTO struct json_doc before;
    JSON_AUTO struct json_doc after;
    json_init(&before);
    json_init(&after);
    int code = version ? json_read(&before, version->bytes, version->meta.size, NULL, error) : 0;
    if (code == 0)
        code = json_merge(&before, version ? 0 : JSON_NONE, &saving->doc, saving->patch, merged, error);
    if (code == 0)
        code = state_bytes_look(buf_text(merged), merged->size, bytes, error);
    if (code < 0)
        return code;
    if (!bytes->is_json)
        return error_set(error, HF_ERR_TOO_LARGE, "what comes out nests deeper than %d levels", JSON_DEPTH_DEFAULT - 1);
    code = version ? json_read(&after, merged->data, merged->size, NULL, error) : 0;
    if (code == 0 && version && json_is_same(&before, 0, &after, 0))
        *bytes = state_bytes_of(version);
    return code;
}

static int merge(void *arg, struct state_head *head, struct hf_batch *batch, struct hf_error *error) {
    struct saving *saving = arg;
    struct state_version *version = NULL;
    struct state_bytes bytes;
    BUF_AUTO struct buf merged;
    buf_init(&merged);
    int code = state_basis_check(saving->store, head, &saving->basis, error);
    if (code == 0 && head->newest.version > 0)
        code = state_read_newest(saving->store, head, &version, error);
    if (code == 0 && version && !version->meta.is_json)
        code = refuse_bytes(version, error);
    if (code == 0)
        code = make_merged(saving, version, &merged, &bytes, error);
    if (code == 0)
        code = save_bytes(saving, head, batch, &bytes, error);
    state_version_free(&version);
    return code == STATE_OVERTAKEN ? 0 : code;
}

int state_merge(struct hf_store *store, const struct state_caller *caller, const char *name, const char *body,
                size_t body_bytes, struct buf *ret_json, struct hf_error *error) {
    static const char *const KNOWN[] = {"patch", NULL};
    struct saving saving;
    saving_init(&saving, store, caller);
    int code = read_request(&saving, body, body_bytes, KNOWN, error);
    saving.patch = json_member(&saving.doc, 0, "patch");
    if (code == 0 && saving.patch == JSON_NONE)
        code = error_set(error, HF_ERR_INVALID, "field 'patch' must be there");
    if (code == 0)
        code = commit_and_answer(&saving, name, merge, ret_json, error);
    saving_fini(&saving);
    return code < 0 ? error_wrap(error, code, "merge into state '%s'", name) : 0;
}

/* ---- commit ---- */

static int add_record(struct saving *saving, uint32_t record, struct hf_error *error) {
    static const char *const KNOWN[] = {"kind", "id", "doc", "delete", NULL};
    const struct json_doc *doc = &saving->doc;
    const char *kind = NULL, *id = NULL;
    int is_deletion = 0;
    size_t size;
    const char *span = json_span(doc, json_member(doc, record, "doc"), &size);
    if (json_type_of(doc, record) != JSON_OBJECT)
        return error_set(error, HF_ERR_INVALID, "it must be an object");
    int code = state_body_members(doc, record, KNOWN, error);
    if (code == 0)
        code = state_body_text(doc, record, "kind", &saving->arena, &kind, error);
    if (code == 0)
        code = state_body_text(doc, record, "id", &saving->arena, &id, error);
    if (code == 0)
        code = state_body_flag(doc, record, "delete", &is_deletion, error);
    if (code < 0)
        return code;
    if (!kind || !id || is_deletion == (span != NULL))
        return error_set(error, HF_ERR_INVALID, "'kind', 'id', and either 'doc' or 'delete' must be there");
    return is_deletion ? hf_batch_delete(saving->with, kind, id, NULL, error)
                       : hf_batch_put(saving->with, kind, id, span, size, NULL, error);
}

static int read_records(struct saving *saving, struct hf_error *error) {
    const struct json_doc *doc = &saving->doc;
    uint32_t records = json_member(doc, 0, "records");
    if (records != JSON_NONE && json_type_of(doc, records) != JSON_ARRAY)
        return error_set(error, HF_ERR_INVALID, "field 'records' must be an array");
    int code = hf_batch_new(saving->who, &saving->with, error);
    uint32_t record = json_first(doc, records);
    for (; code == 0 && record != JSON_NONE; record = json_after(doc, records, record)) {
        code = add_record(saving, record, error);
        if (code < 0)
            return error_wrap(error, code, "records[%llu]", (unsigned long long)saving->record_count);
        saving->record_count++;
    }
    return code;
}

static int read_commit(struct saving *saving, const char *body, size_t body_bytes, struct hf_error *error) {
    static const char *const KNOWN[] = {"value", "base64", "records", NULL};
    int code = read_request(saving, body, body_bytes, KNOWN, error);
    if (code == 0)
        code = read_records(saving, error);
    if (code < 0)
        return code;
    code = state_body_bytes(&saving->doc, 1, &saving->scratch, &saving->bytes, error);
    saving->has_bytes = code == 0;
    if (code == HF_ERR_NOT_FOUND && saving->record_count == 0)
        return error_set(error, HF_ERR_INVALID, "there is neither a value nor a record in it");
    return code == HF_ERR_NOT_FOUND ? 0 : code;
}

static int commit(void *arg, struct state_head *head, struct hf_batch *batch, struct hf_error *error) {
    struct saving *saving = arg;
    int code = state_basis_check(saving->store, head, &saving->basis, error);
    if (code < 0)
        return code;
    if (saving->has_bytes)
        return save_bytes(saving, head, batch, &saving->bytes, error);
    if (saving->basis.has_fence)
        (void)state_lease_renew(saving->store, head); /* without a ttl there is nothing to put off */
    return 0;
}

int state_commit(struct hf_store *store, const struct state_caller *caller, const char *name, const char *body,
                 size_t body_bytes, struct buf *ret_json, struct hf_error *error) {
    struct saving saving;
    struct state_head head;
    saving_init(&saving, store, caller);
    int code = read_commit(&saving, body, body_bytes, error);
    if (code == 0)
        code = commit_saving(&saving, name, commit, &head, error);
    if (code == 0) {
        struct state_count records = {"records", saving.record_count};
        code = state_answer_count(store, &head, saving.is_changed || records.count > 0, records, ret_json, error);
        state_head_fini(&head);
    }
    saving_fini(&saving);
    return code < 0 ? error_wrap(error, code, "commit state '%s'", name) : 0;
}
