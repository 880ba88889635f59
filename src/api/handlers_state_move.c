/* States that go back, are copied, renamed or cleared. */
#include "api/handlers_state.h"

static const char *name_of(const struct api_call *call) {
    return call->parameter(call, "name");
}

/* ---- rollback ---- */

struct way_back {
    uint64_t version; /* one of both is not 0 */
    int64_t before_ms;
    int force;
};

/* JSON_NONE for null, too. */
static uint32_t find(const struct json_doc *doc, const char *name) {
    uint32_t node = json_member(doc, 0, name);
    return json_type_of(doc, node) == JSON_NULL ? JSON_NONE : node;
}

static int read_way_back(struct api_call *call, struct way_back *ret_back) {
    static const char *const known[] = {"to_version", "before", "force", NULL};
    JSON_AUTO struct json_doc doc;
    json_init(&doc);
    int code = state_read_members(call, &doc, known);
    if (code != 0)
        return code;
    uint32_t to = find(&doc, "to_version"), before = find(&doc, "before");
    int64_t version = 0;
    if ((to == JSON_NONE) == (before == JSON_NONE))
        return error_set(&call->error, HF_ERR_INVALID, "roll back '%s': name a version or a time, one of them",
                         name_of(call));
    if (to != JSON_NONE && (json_to_i64(&doc, to, &version) != 0 || version < 1))
        return error_set(&call->error, HF_ERR_INVALID, "roll back '%s': \"to_version\" must be a whole number from 1",
                         name_of(call));
    if (before != JSON_NONE && json_type_of(&doc, before) != JSON_STRING)
        return error_set(&call->error, HF_ERR_INVALID, "roll back '%s': \"before\" must be a text", name_of(call));
    ret_back->version = (uint64_t)version;
    ret_back->force = json_member_bool(&doc, 0, "force", 0);
    return state_read_moment(call, json_to_text(&doc, before, &call->arena, NULL), &ret_back->before_ms);
}

static int version_in(struct api_call *call, struct buf *json, uint64_t *ret_version) {
    static const struct json_limits deep = {.max_depth = JSON_DEPTH_MAX};
    JSON_AUTO struct json_doc doc;
    json_init(&doc);
    int code = json_read(&doc, buf_text(json), json->size, &deep, &call->error);
    if (code == 0)
        *ret_version = (uint64_t)json_member_i64(&doc, 0, "version", 0);
    buf_clear(json);
    return code;
}

/* What would differ from the newest version. */
static int rehearse_rollback(struct api_call *call, const struct way_back *back) {
    struct hf_store *store = call->context->store;
    uint64_t newest = 0, target = back->version;
    int code = state_show(store, name_of(call), &call->reply, &call->error);
    if (code == 0)
        code = version_in(call, &call->reply, &newest);
    if (code == 0 && target == 0) {
        code = state_get(store, name_of(call), 0, back->before_ms, &call->reply, &call->error);
        if (code == 0)
            code = version_in(call, &call->reply, &target);
    }
    return code == 0 ? state_diff(store, name_of(call), newest, target, &call->reply, &call->error) : code;
}

void state_rollback_handler(struct api_call *call) {
    struct state_caller caller = state_caller_of(call);
    struct way_back back = {0};
    int is_rehearsal = 0;
    int code = handler_bool(call, "dry-run", &is_rehearsal);
    if (code == 0)
        code = read_way_back(call, &back);
    if (code == 0 && is_rehearsal)
        code = rehearse_rollback(call, &back);
    else if (code == 0)
        code = state_rollback(call->context->store, &caller, name_of(call), back.version, back.before_ms, back.force,
                              &call->reply, &call->error);
    state_reply(call, code);
}

/* ---- copy, move ---- */

static int read_target(struct api_call *call, const char *const *known, const char **ret_to, int *ret_history) {
    JSON_AUTO struct json_doc doc;
    json_init(&doc);
    int code = state_read_members(call, &doc, known);
    if (code != 0)
        return code;
    *ret_to = json_member_text(&doc, 0, "to", &call->arena);
    *ret_history = json_member_bool(&doc, 0, "history", 0);
    return *ret_to ? 0 : error_set(&call->error, HF_ERR_INVALID, "read the body: \"to\" must be a name");
}

void state_copy_handler(struct api_call *call) {
    static const char *const known[] = {"to", "history", NULL};
    struct state_caller caller = state_caller_of(call);
    const char *to = NULL;
    int with_history = 0;
    int code = read_target(call, known, &to, &with_history);
    if (code == 0)
        code = state_copy(call->context->store, &caller, name_of(call), to, with_history, &call->reply, &call->error);
    state_reply(call, code);
}

void state_move_handler(struct api_call *call) {
    static const char *const known[] = {"to", NULL};
    struct state_caller caller = state_caller_of(call);
    const char *to = NULL;
    int with_history = 0;
    int code = read_target(call, known, &to, &with_history);
    if (code == 0)
        code = state_move(call->context->store, &caller, name_of(call), to, &call->reply, &call->error);
    state_reply(call, code);
}

/* ---- clear ---- */

/* What would go, unless a living owner would stand in the way. */
static int rehearse_clear(struct api_call *call, int force) {
    JSON_AUTO struct json_doc doc;
    json_init(&doc);
    int code = state_show(call->context->store, name_of(call), &call->reply, &call->error);
    if (code == 0)
        code = json_read(&doc, buf_text(&call->reply), call->reply.size, NULL, &call->error);
    if (code == 0 && !force && json_member_bool(&doc, json_member(&doc, 0, "lease"), "alive", 0)) {
        code = error_set(&call->error, HF_ERR_CONFLICT, "clear '%s': a run holds the lease", name_of(call));
        error_hint(&call->error, "holdfast state runs %s shows it; --force clears all the same", name_of(call));
    }
    return code;
}

void state_clear_handler(struct api_call *call) {
    struct state_caller caller = state_caller_of(call);
    int force = 0, purge = 0, is_rehearsal = 0;
    int code = handler_bool(call, "force", &force);
    if (code == 0)
        code = handler_bool(call, "purge", &purge);
    if (code == 0)
        code = handler_bool(call, "dry-run", &is_rehearsal);
    if (code == 0 && is_rehearsal)
        code = rehearse_clear(call, force);
    else if (code == 0)
        code = state_clear(call->context->store, &caller, name_of(call), force, purge, &call->reply, &call->error);
    handler_reply(call, code);
}
