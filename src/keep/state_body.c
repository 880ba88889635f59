/* Bodies of requests: what may be in them, and what of them is wrong. */
#include <string.h>

#include "base/base64.h"
#include "base/text.h"
#include "keep/state_verb.h"

static const char *const BASIS[] = {"fence", "if_version", "force", "code_version", "note", NULL};
static const char *const NOTHING_MORE[] = {NULL};

static int is_known(const struct json_doc *doc, uint32_t key, const char *const *known) {
    while (*known && !json_is_string(doc, key, *known))
        known++;
    return *known != NULL;
}

static void add_names(struct buf *names, const char *const *known) {
    for (; *known; known++)
        buf_printf(names, "%s%s", names->size > 0 ? ", " : "", *known);
}

static int refuse_unknown(const struct json_doc *doc, uint32_t key, const char *const *known, const char *const *more,
                          struct hf_error *error) {
    BUF_AUTO struct buf names;
    buf_init(&names);
    add_names(&names, known);
    add_names(&names, more);
    size_t bytes;
    const char *name = json_span(doc, key, &bytes);
    error_set(error, HF_ERR_INVALID, "field %.*s is unknown", bytes < 80 ? (int)bytes : 80, name);
    error_hint(error, "fields are: %s", buf_text(&names));
    return HF_ERR_INVALID;
}

static int check_members(const struct json_doc *doc, uint32_t object, const char *const *known, const char *const *more,
                         struct hf_error *error) {
    for (uint32_t key = json_first(doc, object); key != JSON_NONE; key = json_after(doc, object, key))
        if (!is_known(doc, key, known) && !is_known(doc, key, more))
            return refuse_unknown(doc, key, known, more, error);
    return 0;
}

int state_body_members(const struct json_doc *doc, uint32_t object, const char *const *known, struct hf_error *error) {
    return check_members(doc, object, known, NOTHING_MORE, error);
}

static int read_object(struct json_doc *doc, const char *body, size_t body_bytes, const char *const *known,
                       const char *const *more, struct hf_error *error) {
    static const struct json_limits LIMITS = {.max_depth = JSON_DEPTH_MAX};
    int code = json_read(doc, body, body_bytes, &LIMITS, error);
    if (code < 0)
        return error_wrap(error, code, "read body");
    if (json_type_of(doc, 0) != JSON_OBJECT)
        return error_set(error, HF_ERR_INVALID, "the body must be a JSON object");
    return check_members(doc, 0, known, more, error);
}

int state_body_read(struct json_doc *doc, const char *body, size_t body_bytes, const char *const *known,
                    struct hf_error *error) {
    return read_object(doc, body, body_bytes, known, BASIS, error);
}

int state_body_read_plain(struct json_doc *doc, const char *body, size_t body_bytes, const char *const *known,
                          struct hf_error *error) {
    return read_object(doc, body, body_bytes, known, NOTHING_MORE, error);
}

/* ---- members ---- */

/* JSON_NONE for null as well. */
static uint32_t find(const struct json_doc *doc, uint32_t object, const char *key) {
    uint32_t node = json_member(doc, object, key);
    return json_type_of(doc, node) == JSON_NULL ? JSON_NONE : node;
}

int state_body_number(const struct json_doc *doc, uint32_t object, const char *key, int64_t least, int64_t *value,
                      struct hf_error *error) {
    uint32_t node = find(doc, object, key);
    int64_t number = 0;
    if (node == JSON_NONE)
        return 0;
    if (json_to_i64(doc, node, &number) < 0 || number < least)
        return error_set(error, HF_ERR_INVALID, "field '%s' must be a whole number from %lld on", key,
                         (long long)least);
    *value = number;
    return 0;
}

int state_body_text(const struct json_doc *doc, uint32_t object, const char *key, struct arena *arena,
                    const char **value, struct hf_error *error) {
    uint32_t node = find(doc, object, key);
    size_t bytes = 0;
    if (node == JSON_NONE)
        return 0;
    if (json_type_of(doc, node) != JSON_STRING)
        return error_set(error, HF_ERR_INVALID, "field '%s' must be text", key);
    const char *text = json_to_text(doc, node, arena, &bytes);
    if (!text)
        return error_no_memory(error);
    if (strlen(text) != bytes)
        return error_set(error, HF_ERR_INVALID, "field '%s' has a NUL in it", key);
    if (bytes > STATE_TEXT_MAX)
        return error_set(error, HF_ERR_INVALID, "field '%s' has more than %d bytes", key, STATE_TEXT_MAX);
    *value = text;
    return 0;
}

int state_body_time(const struct json_doc *doc, uint32_t object, const char *key, int64_t *value,
                    struct hf_error *error) {
    struct arena arena;
    arena_init(&arena);
    const char *text = NULL;
    int code = state_body_text(doc, object, key, &arena, &text, error);
    if (code == 0 && text && text_to_time(text, value) < 0)
        code = error_set(error, HF_ERR_INVALID, "field '%s' must be a time such as 2026-11-22T16:00:00Z", key);
    arena_fini(&arena);
    return code;
}

int state_body_flag(const struct json_doc *doc, uint32_t object, const char *key, int *value, struct hf_error *error) {
    uint32_t node = find(doc, object, key);
    int flag = node == JSON_NONE ? *value : json_to_bool(doc, node, -1);
    if (flag < 0)
        return error_set(error, HF_ERR_INVALID, "field '%s' must be true or false", key);
    *value = flag;
    return 0;
}

/* ---- basis ---- */

int state_body_basis(const struct json_doc *doc, struct state_basis *ret_basis, struct hf_error *error) {
    struct state_basis basis = {0};
    int64_t fence = 0, version = -1;
    int code = state_body_number(doc, 0, "fence", 1, &fence, error);
    if (code == 0)
        code = state_body_number(doc, 0, "if_version", 0, &version, error);
    if (code == 0)
        code = state_body_flag(doc, 0, "force", &basis.is_forced, error);
    if (code < 0)
        return code;
    basis.has_fence = fence > 0;
    basis.has_version = version >= 0;
    if (basis.is_forced && (basis.has_fence || basis.has_version))
        return error_set(error, HF_ERR_INVALID, "'force' asks for nothing, so '%s' cannot stand beside it",
                         basis.has_fence ? "fence" : "if_version");
    basis.fence = (uint64_t)fence;
    basis.version = basis.has_version ? (uint64_t)version : 0;
    basis.is_given = basis.has_fence || basis.has_version || basis.is_forced;
    *ret_basis = basis;
    return 0;
}

static int refuse_no_basis(const struct state_head *head, struct hf_error *error) {
    unsigned long long version = (unsigned long long)head->newest.version;
    error_set(error, HF_ERR_NO_BASIS, "the write must say which version it is based on");
    if (version > 0)
        error_hint(error, "the newest version is %llu: if that is the one you know, give if_version %llu", version,
                   version);
    else
        error_hint(error, "nothing was saved yet: give if_version 0");
    return HF_ERR_NO_BASIS;
}

static int check_version(const struct state_head *head, uint64_t version, struct hf_error *error) {
    if (head->newest.version == version)
        return 0;
    if (head->newest.version == 0)
        error_set(error, HF_ERR_PRECONDITION, "nothing was saved yet, so the newest version is not %llu",
                  (unsigned long long)version);
    else
        error_set(error, HF_ERR_PRECONDITION, "the newest version is %llu, not %llu",
                  (unsigned long long)head->newest.version, (unsigned long long)version);
    error_hint(error, "read it again (holdfast state get '%.80s') and make the change to that", head->name);
    return HF_ERR_PRECONDITION;
}

/* A fence and a version may both be given: then both have to fit. */
int state_basis_check(struct hf_store *store, const struct state_head *head, const struct state_basis *basis,
                      struct hf_error *error) {
    if (!basis->is_given)
        return refuse_no_basis(head, error);
    if (basis->is_forced)
        return 0;
    int code = basis->has_fence ? state_lease_check_fence(head, basis->fence, error)
                                : state_lease_check_free(store, head, 0, error);
    return code == 0 && basis->has_version ? check_version(head, basis->version, error) : code;
}

/* ---- value ---- */

static int decode(const struct json_doc *doc, uint32_t node, struct buf *scratch, struct state_bytes *ret_bytes,
                  struct hf_error *error) {
    struct arena arena;
    size_t size = 0;
    int is_text = json_type_of(doc, node) == JSON_STRING;
    arena_init(&arena);
    const char *text = json_to_text(doc, node, &arena, &size);
    scratch->failed |= is_text && !text;
    int is_decoded = text && base64_decode(text, size, scratch) == 0;
    arena_fini(&arena);
    if (!is_decoded && !scratch->failed)
        return error_set(error, HF_ERR_INVALID, "field 'base64' is not base64 (RFC 4648, with padding)");
    if (scratch->failed)
        return error_no_memory(error);
    return state_bytes_look(buf_text(scratch), scratch->size, ret_bytes, error);
}

int state_body_bytes(const struct json_doc *doc, int optional, struct buf *scratch, struct state_bytes *ret_bytes,
                     struct hf_error *error) {
    uint32_t value = json_member(doc, 0, "value"), base64 = json_member(doc, 0, "base64");
    size_t size;
    const char *span = json_span(doc, value, &size);
    if (value == JSON_NONE && base64 == JSON_NONE && optional)
        return HF_ERR_NOT_FOUND;
    if ((value == JSON_NONE) == (base64 == JSON_NONE))
        return error_set(error, HF_ERR_INVALID, "%s of the fields 'value' and 'base64' must be there",
                         value == JSON_NONE ? "one" : "only one");
    return span ? state_bytes_look(span, size, ret_bytes, error) : decode(doc, base64, scratch, ret_bytes, error);
}
