/* What lies outside /api: the first page, signing in, health, the API's description. */
#include <stdio.h>

#include "api/handlers.h"
#include "api/http_inside.h"
#include "api_assets.h"

static const char page_policy[] =
    "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'";
enum { COOKIE_SECONDS = 30 * 24 * 3600 };

static void reply_asset(struct api_call *call, int status, const char *type, const unsigned char *bytes, size_t size) {
    call->status = status;
    call->content_type = type;
    buf_add(&call->reply, bytes, size);
    api_add_header(call, "Content-Security-Policy", page_policy);
    api_add_header(call, "X-Frame-Options", "DENY");
    api_add_header(call, "Referrer-Policy", "no-referrer");
    api_reply(call, call->reply.failed ? HF_ERR_NO_MEMORY : 0);
}

static void reply_page(struct api_call *call, int status, const unsigned char *bytes, size_t size) {
    reply_asset(call, status, "text/html; charset=utf-8", bytes, size);
}

static void index_handler(struct api_call *call) {
    if (call->scope == API_SCOPE_NONE)
        reply_page(call, 403, ui_signin_html, ui_signin_html_bytes);
    else
        reply_page(call, 200, ui_index_html, ui_index_html_bytes);
}

static void script_handler(struct api_call *call) {
    reply_asset(call, 200, "text/javascript; charset=utf-8", ui_app_js, ui_app_js_bytes);
}

static void style_handler(struct api_call *call) {
    reply_asset(call, 200, "text/css; charset=utf-8", ui_style_css, ui_style_css_bytes);
}

/* The page that is shown goes on to "/" by itself: a redirect would not carry a SameSite=Strict cookie when the link
 * was followed from elsewhere. */
static void signin_handler(struct api_call *call) {
    struct auth *auth = call->context->server->auth;
    const char *code_text = call->parameter(call, "code");
    char session[CREDENTIAL_TEXT_BYTES + 1];
    enum api_scope scope = API_SCOPE_NONE;
    int code = auth_use_signin(auth, code_text ? code_text : "", &scope, &call->error);
    if (code == 0)
        code = auth_begin_session(auth, scope, session, &call->error);
    if (code == 0) {
        api_add_header(call, "Set-Cookie",
                       arena_printf(&call->arena, HTTP_COOKIE "=%s; Path=/; Max-Age=%d; HttpOnly; SameSite=Strict",
                                    session, COOKIE_SECONDS));
        reply_page(call, 200, ui_welcome_html, ui_welcome_html_bytes);
    } else if (code == HF_ERR_UNAUTHORIZED && call->scope != API_SCOPE_NONE) {
        reply_page(call, 200, ui_welcome_html, ui_welcome_html_bytes); /* the same link again, and it worked before */
    } else if (code == HF_ERR_UNAUTHORIZED) {
        int is_too_many = auth_count_failure(auth);
        reply_page(call, is_too_many ? 429 : 403, ui_signin_html, ui_signin_html_bytes);
    } else {
        api_reply(call, code);
    }
}

static void openapi_handler(struct api_call *call) {
    const struct buf *document = &call->context->server->openapi;
    buf_add(&call->reply, document->data, document->size);
    api_reply(call, call->reply.failed ? HF_ERR_NO_MEMORY : 0);
}

static const struct api_parameter no_parameters[] = {{NULL, PLACE_QUERY, TYPE_TEXT, 0, NULL, NULL}};
static const struct api_parameter signin_parameters[] = {
    {"code", PLACE_QUERY, TYPE_TEXT, 1, "CODE", "from the link"},
    {NULL, PLACE_QUERY, TYPE_TEXT, 0, NULL, NULL},
};

#define PAGE(path, flags, parameters, handler)                                                                         \
    { "page", NULL, "GET", path, API_SCOPE_NONE, flags, parameters, NULL, NULL, NULL, NULL, 200, handler }
const struct api_operation http_pages[] = {
    PAGE("/", 0, no_parameters, index_handler),
    PAGE("/app.js", 0, no_parameters, script_handler),
    PAGE("/style.css", 0, no_parameters, style_handler),
    PAGE("/signin", OPERATION_BLOCKS, signin_parameters, signin_handler),
    PAGE("/openapi.json", 0, no_parameters, openapi_handler),
    {"livez", NULL, "GET", "/livez", API_SCOPE_NONE, OPERATION_TEXT, no_parameters, "Tell whether the daemon answers",
     "The text \"ok\".", NULL, NULL, 200, live_handler},
    {"readyz", NULL, "GET", "/readyz", API_SCOPE_NONE, 0, no_parameters, "Tell whether the store works",
     "200, or 503 with a problem document.", NULL, NULL, 200, ready_handler},
    {"healthz", NULL, "GET", "/healthz", API_SCOPE_NONE, 0, no_parameters, "Tell how the daemon is",
     "{\"status\",\"message\"}: 200 for HEALTHY and WARNING, 503 with the same for CRITICAL. What lies behind it is in "
     "the status.",
     NULL, NULL, 200, health_handler},
    {"metrics", NULL, "GET", "/metrics", API_SCOPE_READ, OPERATION_BLOCKS | OPERATION_TEXT, no_parameters,
     "Give the daemon's numbers to Prometheus", "In its text format, version 0.0.4.", NULL, NULL, 200, metrics_handler},
    {NULL, NULL, NULL, NULL, API_SCOPE_NONE, 0, NULL, NULL, NULL, NULL, NULL, 0, NULL},
};
