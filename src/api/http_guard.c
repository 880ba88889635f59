/* What can be refused by a request's line and headers alone, before a byte of its body is read. */
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "api/guard.h"
#include "api/http_inside.h"
#include "base/text.h"

struct header_census {
    int hosts, lengths, encodings, authorizations, origins, bad_names;
    const char *encoding;
};

const char *http_header(const struct http_request *request, const char *name) {
    return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

static enum MHD_Result count_header(void *arg, enum MHD_ValueKind kind, const char *key, const char *value) {
    struct header_census *census = arg;
    (void)kind;
    census->hosts += strcasecmp(key, "Host") == 0;
    census->lengths += strcasecmp(key, "Content-Length") == 0;
    census->authorizations += strcasecmp(key, "Authorization") == 0;
    census->origins += strcasecmp(key, "Origin") == 0;
    census->bad_names += key[0] == '\0' || strpbrk(key, " \t\r\n\"(),/;<=>?@[\\]{}") != NULL;
    if (strcasecmp(key, "Transfer-Encoding") == 0) {
        census->encodings++;
        census->encoding = value;
    }
    return MHD_YES;
}

/* Two readings of where a request ends are how requests are smuggled: none of it is guessed at. */
static int guard_framing(struct http_request *request, const char *version) {
    struct header_census census = {0};
    struct hf_error *error = &request->call.error;
    const char *what = NULL;
    MHD_get_connection_values(request->connection, MHD_HEADER_KIND, count_header, &census);
    if (census.bad_names)
        what = "a header's name holds a space or a separator";
    else if (census.hosts > 1 || census.origins > 1 || census.authorizations > 1)
        what = "a header that may come once is given twice";
    else if (census.lengths > 1)
        what = "there are two Content-Length headers";
    else if (census.encodings && census.lengths)
        what = "there is a Content-Length and a Transfer-Encoding";
    else if (census.encodings > 1 || (census.encoding && strcasecmp(census.encoding, "chunked") != 0))
        what = "the only Transfer-Encoding that is known is chunked";
    else if (census.encodings && strcmp(version, MHD_HTTP_VERSION_1_1) != 0)
        what = "Transfer-Encoding needs HTTP/1.1";
    if (!what)
        return 0;
    request->must_close = 1;
    return error_set(error, HF_ERR_INVALID, "read the request: %s", what);
}

static int forbid(struct http_request *request, const char *name, const char *value) {
    error_set(&request->call.error, HF_ERR_FORBIDDEN, "check %s '%.100s': it is not this daemon's address", name,
              value);
    error_hint(&request->call.error, "use the address that holdfast serve prints");
    return HF_ERR_FORBIDDEN;
}

static int guard_host(struct http_request *request) {
    const char *host = http_header(request, "Host");
    const char *origin = http_header(request, "Origin");
    int port = request->server->port;
    if (request->is_tcp && !host) {
        request->must_close = 1;
        return error_set(&request->call.error, HF_ERR_INVALID, "read the request: the Host header is missing");
    }
    if (request->is_tcp && !guard_host_is_ours(host, port))
        return forbid(request, "Host", host);
    if (origin && !guard_origin_is_ours(origin, port))
        return forbid(request, "Origin", origin);
    return 0;
}

/* Absolute form: "http://HOST/path", which must name the same host. */
static int guard_target(struct http_request *request, const char *url, const char **ret_path) {
    static const char scheme[] = "http://";
    const char *host = http_header(request, "Host");
    const char *path = url;
    if (strncasecmp(url, scheme, sizeof scheme - 1) == 0 && host) {
        size_t bytes = strlen(host);
        const char *authority = url + sizeof scheme - 1;
        if (strncasecmp(authority, host, bytes) == 0 && (authority[bytes] == '/' || authority[bytes] == '\0'))
            path = authority[bytes] ? authority + bytes : "/";
    }
    if (path[0] != '/') {
        request->must_close = 1;
        return error_set(&request->call.error, HF_ERR_INVALID, "read the path '%.100s': it is not one of this host",
                         url);
    }
    *ret_path = path;
    return 0;
}

static int find_route(struct http_request *request, const char *path) {
    struct api_call *call = &request->call;
    const char *method = request->method;
    int is_api = strncmp(path, "/api/", 5) == 0;
    int code =
        route_find(is_api ? api_operations : http_pages, method, path, &call->arena, &request->route, &call->error);
    if (code == HF_ERR_UNSUPPORTED) {
        call->status = strcmp(method, "OPTIONS") == 0 ? 204 : 405;
        api_add_header(call, "Allow",
                       arena_printf(&call->arena, "%s%s", request->route.allow,
                                    call->status == 204 ? ", OPTIONS" : ""));
    }
    if (code == 0)
        call->operation = request->route.operation;
    return code;
}

static int has_name(const struct api_parameter *parameter, const char *key) {
    for (const char *name = parameter->name; *name || *key; name++, key++) {
        if (*key != (*name == '-' ? '_' : *name))
            return 0;
    }
    return 1;
}

static int add_value(struct http_request *request, const struct api_parameter *parameter, const char *text) {
    for (int i = 0; i < request->value_count; i++) {
        if (request->values[i].parameter == parameter)
            return error_set(&request->call.error, HF_ERR_INVALID, "read the query: '%s' is given twice",
                             parameter->name);
    }
    const char *decoded = text;
    if (parameter->place == PLACE_QUERY)
        decoded = route_decode(text, strlen(text), &request->call.arena);
    else
        decoded = text_is_utf8(text, strlen(text)) ? arena_strdup(&request->call.arena, text) : NULL;
    if (!decoded || request->value_count == REQUEST_VALUES)
        return error_set(&request->call.error, HF_ERR_INVALID, "read '%s': it is not percent-encoded UTF-8",
                         parameter->name);
    request->values[request->value_count++] = (struct request_value){parameter, decoded};
    return 0;
}

/* libmicrohttpd's own splitting of the query; stops at the first that is wrong, which call.error then says. */
static enum MHD_Result read_query_value(void *arg, enum MHD_ValueKind kind, const char *key, const char *value) {
    struct http_request *request = arg;
    struct hf_error *error = &request->call.error;
    (void)kind;
    if (strcmp(key, "token") == 0 || strcmp(key, "access_token") == 0) {
        error_set(error, HF_ERR_INVALID, "read the query: a token in an address is refused, it would stay in logs");
        error_hint(error, "send it as Authorization: Bearer TOKEN");
        return MHD_NO;
    }
    const struct api_parameter *parameter = request->call.operation->parameters;
    while (parameter->name && (parameter->place != PLACE_QUERY || !has_name(parameter, key)))
        parameter++;
    if (!parameter->name) {
        error_set(error, HF_ERR_INVALID, "read the query: there is no '%.60s' here", key);
        return MHD_NO;
    }
    return add_value(request, parameter, value ? value : "") == 0 ? MHD_YES : MHD_NO;
}

static int read_values(struct http_request *request) {
    MHD_get_connection_values(request->connection, MHD_GET_ARGUMENT_KIND, read_query_value, request);
    int code = request->call.error.code;
    for (const struct api_parameter *p = request->call.operation->parameters; code == 0 && p->name; p++) {
        const char *text = p->place == PLACE_HEADER ? http_header(request, p->name) : NULL;
        if (text)
            code = add_value(request, p, text);
    }
    return code;
}

static int refuse_credential(struct http_request *request) {
    struct api_call *call = &request->call;
    if (auth_count_failure(request->server->auth)) {
        call->status = 429;
        api_add_header(call, "Retry-After", "60");
        error_hint(&call->error, "wait a minute");
    } else {
        api_add_header(call, "WWW-Authenticate", "Bearer realm=\"holdfast\"");
        error_hint(&call->error, "holdfast token create --scope read");
    }
    return HF_ERR_UNAUTHORIZED;
}

static int check_credential(struct http_request *request, const char *kind, const char *text) {
    struct auth_identity identity;
    int code = auth_check(request->server->auth, kind, text, &identity, &request->call.error);
    if (code == HF_ERR_UNAUTHORIZED)
        return refuse_credential(request);
    if (code == 0) {
        request->call.scope = identity.scope;
        snprintf(request->who, sizeof request->who, "%s", identity.who);
    }
    return code;
}

/* A page elsewhere can make a browser send the cookie; it cannot make it send our Origin. */
static int check_session(struct http_request *request, const char *cookie) {
    const char *origin = http_header(request, "Origin");
    const char *host = http_header(request, "Host");
    int is_reading = strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0;
    if (!is_reading && (!origin || !host || !guard_origin_is_host(origin, host))) {
        error_set(&request->call.error, HF_ERR_FORBIDDEN,
                  "check the session: a change needs the page's own Origin header");
        error_hint(&request->call.error, "programs send a token instead of a cookie");
        return HF_ERR_FORBIDDEN;
    }
    return check_credential(request, AUTH_SESSION_KIND, cookie);
}

static int identify(struct http_request *request) {
    const char *authorization = http_header(request, "Authorization");
    const char *cookie = MHD_lookup_connection_value(request->connection, MHD_COOKIE_KIND, HTTP_COOKIE);
    if (authorization) {
        const char *token = strncasecmp(authorization, "Bearer ", 7) == 0 ? authorization + 7 : "";
        return check_credential(request, AUTH_TOKEN_KIND, strncmp(token, "hf_", 3) == 0 ? token + 3 : "");
    }
    if (!request->is_tcp) {
        int64_t uid = request->peer ? request->peer->uid : -1;
        if (uid != 0 && uid != (int64_t)geteuid())
            return error_set(&request->call.error, HF_ERR_FORBIDDEN, "check the peer: uid %lld is not the daemon's",
                             (long long)uid);
        request->call.scope = API_SCOPE_ADMIN;
        snprintf(request->who, sizeof request->who, "uid:%lld", (long long)uid);
        return 0;
    }
    if (cookie)
        return check_session(request, cookie);
    error_set(&request->call.error, HF_ERR_UNAUTHORIZED, "check who asks: there is no token");
    api_add_header(&request->call, "WWW-Authenticate", "Bearer realm=\"holdfast\"");
    return error_hint(&request->call.error,
                      "send Authorization: Bearer TOKEN; holdfast token create --scope read makes one");
}

static int check_scope(struct http_request *request) {
    struct api_call *call = &request->call;
    int code = identify(request);
    if (call->operation->scope == API_SCOPE_NONE) { /* open to all; who is signed in sees more */
        error_clear(&call->error);
        call->status = 0;
        call->header_count = 0;
        return 0;
    }
    if (code != 0 || call->scope >= call->operation->scope)
        return code;
    error_set(&call->error, HF_ERR_FORBIDDEN, "%s %s: it needs the scope %s, and %s has %s", call->operation->noun,
              call->operation->verb ? call->operation->verb : "", api_scope_name(call->operation->scope), request->who,
              api_scope_name(call->scope));
    error_hint(&call->error, "holdfast token create --scope %s", api_scope_name(call->operation->scope));
    return HF_ERR_FORBIDDEN;
}

static int is_json(const char *type) {
    static const char json[] = "application/json";
    return type && strncasecmp(type, json, sizeof json - 1) == 0 && strchr(" ;\t", type[sizeof json - 1]) != NULL;
}

size_t http_body_limit(const struct http_request *request) {
    const struct api_operation *operation = request->call.operation;
    size_t limit = request->server->max_body_bytes;
    int is_large = operation && (operation->flags & OPERATION_LARGE_BODY);
    return is_large && limit < BODY_LARGE_BYTES ? BODY_LARGE_BYTES : limit;
}

static int check_body(struct http_request *request) {
    struct api_call *call = &request->call;
    const char *length = http_header(request, "Content-Length");
    const char *type = http_header(request, "Content-Type");
    const char *coding = http_header(request, "Content-Encoding");
    int is_chunked = http_header(request, "Transfer-Encoding") != NULL;
    request->announced_bytes = is_chunked ? UINT64_MAX : 0;
    if (length && text_to_u64(length, &request->announced_bytes) != 0) {
        request->must_close = 1;
        return error_set(&call->error, HF_ERR_INVALID, "read Content-Length '%.40s': it is not a number", length);
    }
    if (request->announced_bytes == 0)
        return 0;
    if (!is_chunked && request->announced_bytes > http_body_limit(request)) {
        request->must_close = 1;
        return error_set(&call->error, HF_ERR_TOO_LARGE, "read the body: %llu bytes are over the limit of %zu",
                         (unsigned long long)request->announced_bytes, http_body_limit(request));
    }
    if (is_json(type) && (!coding || strcasecmp(coding, "identity") == 0))
        return 0;
    call->status = 415;
    error_set(&call->error, HF_ERR_INVALID, "read the body: it must be application/json without a content coding");
    return error_hint(&call->error, "send Content-Type: application/json");
}

int http_guard(struct http_request *request, const char *url, const char *version) {
    const char *path = NULL;
    int code = guard_framing(request, version);
    if (code == 0)
        code = guard_host(request);
    if (code == 0)
        code = guard_target(request, url, &path);
    if (code == 0)
        code = find_route(request, path);
    if (code == 0)
        code = check_scope(request);
    if (code == 0)
        code = read_values(request);
    return code == 0 ? check_body(request) : code;
}
