/* Tokens: made once, kept as digests. */
#include <string.h>

#include "api/auth.h"
#include "api/handlers.h"
#include "api/http.h"

static int scope_error(struct api_call *call, const char *name) {
    error_set(&call->error, HF_ERR_INVALID, "read the scope '%s': there is none of that name", name ? name : "");
    error_hint(&call->error, "the scopes are read, operate, edit, repair and admin");
    return HF_ERR_INVALID;
}

/* "scope": "read" or ["read", …] → the array as it is kept. */
static int read_scopes(struct api_call *call, const struct json_doc *doc, struct buf *out) {
    uint32_t node = json_member(doc, 0, "scope");
    struct json_writer json;
    json_writer_init(&json, out, 0);
    json_begin_array(&json);
    int is_list = json_type_of(doc, node) == JSON_ARRAY;
    for (uint32_t at = is_list ? json_first(doc, node) : node; at != JSON_NONE;
         at = is_list ? json_after(doc, node, at) : JSON_NONE) {
        const char *name = json_to_text(doc, at, &call->arena, NULL);
        if (api_scope_from_name(name) == API_SCOPE_NONE)
            return scope_error(call, name);
        json_string(&json, name);
    }
    json_end_array(&json);
    if (out->size <= 2)
        return scope_error(call, NULL);
    return out->failed ? error_set(&call->error, HF_ERR_NO_MEMORY, "read the scopes") : 0;
}

struct creation {
    struct api_call *call;
    struct credential credential;
    const char *scopes_json;
};

/* In the store's writer thread. */
static void created(void *arg, int code, const struct hf_commit_result *result, const struct hf_error *error) {
    struct creation *creation = arg;
    struct api_call *call = creation->call;
    struct json_writer json;
    (void)result;
    if (code == 0) {
        json_writer_init(&json, &call->reply, 0);
        json_begin_object(&json);
        json_put_string(&json, "id", creation->credential.id);
        json_put_string(&json, "token",
                        arena_printf(&call->arena, "hf_%s_%s", creation->credential.id, creation->credential.secret));
        json_put_raw(&json, "scopes", creation->scopes_json, strlen(creation->scopes_json));
        json_end_object(&json);
    } else {
        error_copy(&call->error, error);
    }
    handler_reply(call, code);
}

static int read_body(struct api_call *call, struct json_doc *doc) {
    int code = json_read(doc, call->body_bytes ? call->body : "{}", call->body_bytes ? call->body_bytes : 2, NULL,
                         &call->error);
    if (code == 0 && json_type_of(doc, 0) != JSON_OBJECT)
        code = error_set(&call->error, HF_ERR_INVALID, "read the body: it is not an object");
    return code;
}

void token_create_handler(struct api_call *call) {
    JSON_AUTO struct json_doc doc;
    BUF_AUTO struct buf scopes;
    struct hf_batch *batch = NULL;
    struct creation *creation = arena_zalloc(&call->arena, 1, sizeof *creation);
    json_init(&doc);
    buf_init(&scopes);
    int code = creation ? 0 : error_set(&call->error, HF_ERR_NO_MEMORY, "make a token");
    if (code == 0)
        code = read_body(call, &doc);
    if (code == 0)
        code = read_scopes(call, &doc, &scopes);
    if (code == 0)
        code = credential_make(call->context->os, &creation->credential, &call->error);
    if (code == 0)
        code = hf_batch_new(call->who, &batch, &call->error);
    if (code == 0) {
        creation->call = call;
        creation->scopes_json = arena_strdup(&call->arena, buf_text(&scopes));
        struct credential_terms terms = {AUTH_TOKEN_KIND, buf_text(&scopes),
                                         json_member_text(&doc, 0, "note", &call->arena), os_wall_ms(call->context->os),
                                         0};
        code = creation->scopes_json ? credential_put(batch, &creation->credential, &terms, &call->error)
                                     : error_set(&call->error, HF_ERR_NO_MEMORY, "make a token");
    }
    if (code == 0) {
        hf_store_commit_async(call->context->store, &batch, created, creation);
        return;
    }
    hf_batch_free(&batch);
    handler_reply(call, code);
}

static void put_member(struct json_writer *json, const struct json_doc *doc, const char *name) {
    uint32_t node = json_member(doc, 0, name);
    size_t bytes = 0;
    const char *span = node == JSON_NONE ? NULL : json_span(doc, node, &bytes);
    if (span)
        json_put_raw(json, name, span, bytes);
    else
        json_put_string(json, name, NULL);
}

static int visit_token(void *arg, const struct hf_record *record, int code) {
    JSON_AUTO struct json_doc doc;
    struct json_writer *json = arg;
    json_init(&doc);
    json_begin_object(json);
    json_put_string(json, "id", record->id);
    if (code != 0 || json_read(&doc, record->json, record->json_bytes, NULL, NULL) != 0) {
        json_put_bool(json, "damaged", 1);
    } else {
        put_member(json, &doc, "scopes");
        put_member(json, &doc, "note");
        put_member(json, &doc, "created_at");
    }
    json_end_object(json);
    return 0;
}

void token_list_handler(struct api_call *call) {
    struct json_writer json;
    json_writer_init(&json, &call->reply, 0);
    json_begin_array(&json);
    int code = hf_store_scan(call->context->store, AUTH_TOKEN_KIND, NULL, 0, visit_token, &json, &call->error);
    json_end_array(&json);
    handler_reply(call, code);
}

void token_link_handler(struct api_call *call) {
    JSON_AUTO struct json_doc doc;
    BUF_AUTO struct buf path;
    struct json_writer json;
    enum api_scope scope = API_SCOPE_EDIT;
    json_init(&doc);
    buf_init(&path);
    int code = read_body(call, &doc);
    if (code == 0 && json_member(&doc, 0, "scope") != JSON_NONE) {
        const char *name = json_member_text(&doc, 0, "scope", &call->arena);
        scope = api_scope_from_name(name);
        code = scope == API_SCOPE_NONE ? scope_error(call, name) : 0;
    }
    if (code == 0 && (!call->context->server || http_server_port(call->context->server) == 0)) {
        code = error_set(&call->error, HF_ERR_UNAVAILABLE, "make a sign-in link: no daemon listens on an address");
        error_hint(&call->error, "holdfast serve --listen 127.0.0.1:7420");
    }
    if (code == 0)
        code = http_server_make_signin(call->context->server, scope, &path, &call->error);
    if (code == 0) {
        json_writer_init(&json, &call->reply, 0);
        json_begin_object(&json);
        json_put_string(&json, "link", arena_printf(&call->arena, "%s%s", call->context->address, buf_text(&path)));
        json_put_string(&json, "scope", api_scope_name(scope));
        json_put_i64(&json, "valid_ms", AUTH_SIGNIN_MS);
        json_end_object(&json);
    }
    handler_reply(call, code);
}

/* In the store's writer thread. */
static void removed(void *arg, int code, const struct hf_commit_result *result, const struct hf_error *error) {
    struct api_call *call = arg;
    struct json_writer json;
    (void)result;
    if (call->context->server)
        http_server_forget_token(call->context->server, call->parameter(call, "id"));
    if (code == 0) {
        json_writer_init(&json, &call->reply, 0);
        json_begin_object(&json);
        json_put_string(&json, "id", call->parameter(call, "id"));
        json_put_bool(&json, "removed", 1);
        json_end_object(&json);
    } else {
        error_copy(&call->error, error);
    }
    handler_reply(call, code);
}

void token_rm_handler(struct api_call *call) {
    struct hf_batch *batch = NULL;
    int code = hf_batch_new(call->who, &batch, &call->error);
    if (code == 0)
        code = hf_batch_delete(batch, AUTH_TOKEN_KIND, call->parameter(call, "id"), NULL, &call->error);
    if (code == 0) {
        hf_store_commit_async(call->context->store, &batch, removed, call);
        return;
    }
    hf_batch_free(&batch);
    handler_reply(call, code);
}
