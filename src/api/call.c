/* Calls: how handlers read what was asked, and reply. */
#include <string.h>

#include "api/handlers.h"
#include "api/problem.h"
#include "base/text.h"

enum { DOCUMENT_BYTES = 10 << 20 };

static const char *const scope_names[] = {"none", "read", "operate", "edit", "repair", "admin"};

const char *api_scope_name(enum api_scope scope) {
    return scope_names[scope];
}

enum api_scope api_scope_from_name(const char *name) {
    for (enum api_scope scope = API_SCOPE_READ; scope <= API_SCOPE_ADMIN; scope++) {
        if (text_is_equal(name, scope_names[scope]))
            return scope;
    }
    return API_SCOPE_NONE;
}

const struct api_operation *api_find(const char *noun, const char *verb) {
    for (const struct api_operation *operation = api_operations; operation->noun; operation++) {
        if (text_is_equal(operation->noun, noun) &&
            (verb ? text_is_equal(operation->verb, verb) : operation->verb == NULL))
            return operation;
    }
    return NULL;
}

void api_reply(struct api_call *call, int code) {
    if (code == 0) {
        if (call->status == 0)
            call->status = call->operation->success_status;
    } else {
        if (call->error.code == 0)
            error_set(&call->error, code, "%s", hf_code_text(code));
        if (call->status < 400)
            call->status = hf_code_http_status(call->error.code);
        buf_clear(&call->reply);
        problem_write(call->status, &call->error, &call->reply);
        call->content_type = "application/problem+json";
    }
    call->finish(call);
}

void api_add_header(struct api_call *call, const char *name, const char *value) {
    enum { ROOM = sizeof call->headers / sizeof call->headers[0] };
    if (value && call->header_count < ROOM)
        call->headers[call->header_count++] = (struct api_header){name, value};
}

void handler_reply(struct api_call *call, int code) {
    if (code == 0 && call->reply.failed)
        code = error_set(&call->error, HF_ERR_NO_MEMORY, "put the reply together");
    if (code == 0 && call->reply.size > REPLY_MAX_BYTES) {
        code = error_set(&call->error, HF_ERR_TOO_LARGE, "put the reply together: over %d MiB", REPLY_MAX_BYTES >> 20);
        error_hint(&call->error, "ask for pages with limit and after");
    }
    api_reply(call, code);
}

int handler_number(struct api_call *call, const char *name, uint64_t max, uint64_t fallback, uint64_t *ret_value) {
    const char *text = call->parameter(call, name);
    uint64_t value = fallback;
    if (text && (text_to_u64(text, &value) != 0 || value > max))
        return error_set(&call->error, HF_ERR_INVALID, "read '%s=%s': a whole number from 0 to %llu is needed", name,
                         text, (unsigned long long)max);
    *ret_value = value;
    return 0;
}

int handler_bool(struct api_call *call, const char *name, int *ret_value) {
    const char *text = call->parameter(call, name);
    int is_true = text && (strcmp(text, "true") == 0 || strcmp(text, "1") == 0 || text[0] == '\0');
    if (text && !is_true && strcmp(text, "false") != 0 && strcmp(text, "0") != 0)
        return error_set(&call->error, HF_ERR_INVALID, "read '%s=%s': true or false is needed", name, text);
    *ret_value = is_true;
    return 0;
}

void handler_add_encoded(struct buf *out, const char *text) {
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    for (; *text; text++) {
        if (strchr(plain, *text))
            buf_add_char(out, *text);
        else
            buf_printf(out, "%%%02X", (unsigned char)*text);
    }
}

void handler_add_next(struct api_call *call, const char *path, const char *last, uint64_t limit) {
    BUF_AUTO struct buf link;
    buf_init(&link);
    buf_printf(&link, "<%s?after=", path);
    handler_add_encoded(&link, last);
    buf_printf(&link, "&limit=%llu>; rel=\"next\"", (unsigned long long)limit);
    if (!link.failed)
        api_add_header(call, "Link", arena_strdup(&call->arena, buf_text(&link)));
}

void handler_add_next_name(struct api_call *call, uint64_t limit) {
    JSON_AUTO struct json_doc doc;
    json_init(&doc);
    if (limit == 0 || json_read(&doc, buf_text(&call->reply), call->reply.size, NULL, NULL) != 0)
        return;
    if (doc.nodes[0].count < limit)
        return;
    uint32_t last = JSON_NONE;
    for (uint32_t node = json_first(&doc, 0); node != JSON_NONE; node = json_after(&doc, 0, node))
        last = node;
    const char *name = json_member_text(&doc, last, "name", &call->arena);
    if (name)
        handler_add_next(call, call->operation->path, name, limit);
}

int handler_is_etag_known(const char *etags, const char *etag) {
    if (!etags)
        return 0;
    if (strcmp(etags, "*") == 0)
        return 1;
    const char *found = strstr(etags, etag);
    return found != NULL && (found == etags || strchr(" ,/", found[-1]) != NULL);
}

int handler_check_document(struct api_call *call, size_t bytes) {
    if (bytes <= DOCUMENT_BYTES)
        return 0;
    error_set(&call->error, HF_ERR_TOO_LARGE, "read the document: %zu bytes are over the limit of %d", bytes,
              DOCUMENT_BYTES);
    return error_hint(&call->error, "a state may be larger: holdfast state set");
}

void handler_add_etag(struct api_call *call, const uint8_t hash[HF_HASH_BYTES]) {
    char hex[2 * HF_HASH_BYTES + 1];
    text_hex(hash, HF_HASH_BYTES, hex);
    api_add_header(call, "ETag", arena_printf(&call->arena, "\"%s\"", hex));
}

void handler_add_revision(struct api_call *call, uint64_t revision) {
    api_add_header(call, "Holdfast-Revision", arena_printf(&call->arena, "%llu", (unsigned long long)revision));
}
