/* The life of a request: headers → guard → body → handler → reply. A handler may finish at once, in a thread of the
 * pool, or in the store's writer thread; meanwhile the connection is suspended and costs no thread. `state` says who
 * resumes it:
 *
 *   RUNNING --(handler has not finished when it returns)--> SUSPENDED --(finish)--> FINISHED, and finish resumes
 *   RUNNING --(finish)--> FINISHED, and the connection's thread goes on by itself
 */
#include <string.h>

#include "api/http_inside.h"
#include "api/problem.h"

enum { DRAIN_DIGITS = 5, DRAIN_FACTOR = 4, FIRST_ROOM = 1 << 20 };

static const char *find_value(const struct api_call *call, const char *name) {
    const struct http_request *request = call->parameter_context;
    for (int i = 0; i < request->route.count; i++) {
        if (strcmp(request->route.values[i].name, name) == 0)
            return request->route.values[i].text;
    }
    for (int i = 0; i < request->value_count; i++) {
        if (strcmp(request->values[i].parameter->name, name) == 0)
            return request->values[i].text;
    }
    return NULL;
}

static void finish(struct api_call *call) {
    struct http_request *request = call->finish_context;
    struct http_server *server = request->server;
    struct MHD_Connection *connection = request->connection;
    if (atomic_exchange(&request->state, REQUEST_FINISHED) == REQUEST_SUSPENDED)
        MHD_resume_connection(connection); /* the request may be gone from here on */
    atomic_fetch_sub(&server->working, 1);
}

static void wake(struct waiter *waiter, int is_late) {
    struct http_request *request = (struct http_request *)((char *)waiter - offsetof(struct http_request, waiter));
    request->call.waited = is_late;
    request->runs_again = 1;
    finish(&request->call);
}

static void wait_for_change(struct api_call *call, uint64_t revision, int64_t wait_ms) {
    struct http_request *request = call->finish_context;
    request->waiter.wake = wake;
    herald_wait(request->server->herald, &request->waiter, revision, wait_ms);
}

static void count_active(struct http_server *server, int by) {
    pthread_mutex_lock(&server->mutex);
    server->active += (unsigned)by;
    if (server->active == 0)
        pthread_cond_broadcast(&server->idle);
    pthread_mutex_unlock(&server->mutex);
}

static struct http_peer *peer_of(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

static struct http_request *new_request(struct http_server *server, struct MHD_Connection *connection,
                                        const char *method) {
    struct http_request *request = MEM_NEW(struct http_request);
    if (!request)
        return NULL;
    request->server = server;
    request->connection = connection;
    request->peer = peer_of(connection);
    request->is_tcp = !request->peer || request->peer->uid < 0;
    request->method = method;
    buf_init(&request->body);
    request->call = (struct api_call){.context = server->context,
                                      .who = request->who,
                                      .peer_uid = request->peer ? request->peer->uid : -1,
                                      .peer_pid = request->peer ? request->peer->pid : 0,
                                      .body = "",
                                      .parameter = find_value,
                                      .parameter_context = request,
                                      .finish = finish,
                                      .finish_context = request,
                                      .wait = wait_for_change};
    arena_init(&request->call.arena);
    buf_init(&request->call.reply);
    count_active(server, 1);
    return request;
}

/* The reply is known; what is still to come of the body is thrown away. */
static void refuse(struct http_request *request, int code) {
    struct api_call *call = &request->call;
    request->is_refused = 1;
    buf_fini(&request->body);
    if (call->status == 204) /* OPTIONS */
        return;
    if (call->error.code == 0)
        error_set(&call->error, code, "%s", hf_code_text(code));
    if (call->status == 0)
        call->status = hf_code_http_status(call->error.code);
    problem_write(call->status, &call->error, &call->reply);
    call->content_type = "application/problem+json";
}

/* A small body is read to its end, which keeps the connection; a large one, one whose end is in doubt, and one that
 * would only be sent if we asked for it, are not waited for. */
static int must_answer_now(const struct http_request *request) {
    const char *length = http_header(request, "Content-Length");
    int has_body = length || http_header(request, "Transfer-Encoding");
    int is_small = length && strlen(length) <= DRAIN_DIGITS && !http_header(request, "Expect");
    return request->is_refused && (request->must_close || (has_body && !is_small));
}

static enum MHD_Result begin(struct http_server *server, struct MHD_Connection *connection, const char *url,
                             const char *method, const char *version, void **state) {
    struct http_request *request = new_request(server, connection, method);
    if (!request)
        return MHD_NO;
    *state = request;
    herald_set_phase(server->herald, request->peer, HTTP_PHASE_BODY);
    int code = http_guard(request, url, version);
    if (code == 0 && atomic_load(&server->is_closing)) {
        request->must_close = 1;
        code = error_set(&request->call.error, HF_ERR_UNAVAILABLE, "answer: the daemon is ending");
    }
    if (code != 0)
        refuse(request, code);
    return must_answer_now(request) ? http_send(request) : MHD_YES;
}

static enum MHD_Result take_body(struct http_request *request, const char *upload, size_t *upload_bytes) {
    size_t limit = http_body_limit(request), bytes = *upload_bytes;
    request->received_bytes += bytes;
    *upload_bytes = 0;
    if (request->is_refused)
        return request->received_bytes > limit * DRAIN_FACTOR ? MHD_NO : MHD_YES;
    if (request->received_bytes > limit) {
        error_set(&request->call.error, HF_ERR_TOO_LARGE, "read the body: it is over the limit of %zu bytes", limit);
        refuse(request, HF_ERR_TOO_LARGE);
        request->must_close = 1;
        return MHD_YES;
    }
    if (!request->body.data && request->announced_bytes != UINT64_MAX)
        buf_reserve(&request->body, request->announced_bytes < FIRST_ROOM ? request->announced_bytes + 1 : FIRST_ROOM);
    buf_add(&request->body, upload, bytes);
    return request->body.failed ? MHD_NO : MHD_YES;
}

static void run_on_pool(void *arg) {
    struct http_request *request = arg;
    request->call.operation->handler(&request->call);
}

static void start(struct http_request *request) {
    struct api_call *call = &request->call;
    herald_set_phase(request->server->herald, request->peer, HTTP_PHASE_WORK);
    request->is_begun = 1;
    call->body = buf_text(&request->body);
    call->body_bytes = request->body.size;
    atomic_fetch_add(&request->server->working, 1);
    if (atomic_load(&request->server->is_stopped)) {
        api_reply(call, error_set(&call->error, HF_ERR_UNAVAILABLE, "answer: the daemon is ending"));
    } else if (!(call->operation->flags & OPERATION_BLOCKS)) {
        call->operation->handler(call);
    } else if (pool_add(request->server->pool, run_on_pool, request) != 0) {
        api_add_header(call, "Retry-After", "1");
        api_reply(call, error_set(&call->error, HF_ERR_UNAVAILABLE, "start: too many requests wait already"));
    }
}

static enum MHD_Result proceed(struct http_request *request) {
    int expected = REQUEST_RUNNING;
    if (!request->is_begun)
        start(request);
    while (atomic_load(&request->state) == REQUEST_FINISHED && request->runs_again) {
        request->runs_again = 0;
        atomic_store(&request->state, REQUEST_RUNNING);
        atomic_fetch_add(&request->server->working, 1);
        request->call.operation->handler(&request->call);
    }
    if (atomic_load(&request->state) == REQUEST_FINISHED)
        return http_send(request);
    MHD_suspend_connection(request->connection);
    if (!atomic_compare_exchange_strong(&request->state, &expected, REQUEST_SUSPENDED))
        MHD_resume_connection(request->connection);
    return MHD_YES;
}

enum MHD_Result http_on_request(void *server, struct MHD_Connection *connection, const char *url, const char *method,
                                const char *version, const char *upload, size_t *upload_bytes, void **state) {
    struct http_request *request = *state;
    if (!request)
        return begin(server, connection, url, method, version, state);
    if (*upload_bytes)
        return take_body(request, upload, upload_bytes);
    if (request->is_refused)
        return http_send(request);
    return http_wants_stream(request) ? http_stream(request) : proceed(request);
}

void http_on_completed(void *server, struct MHD_Connection *connection, void **state,
                       enum MHD_RequestTerminationCode code) {
    struct http_request *request = *state;
    (void)connection;
    (void)code;
    if (!request)
        return;
    *state = NULL;
    herald_set_phase(request->server->herald, request->peer, HTTP_PHASE_HEAD);
    arena_fini(&request->call.arena);
    buf_fini(&request->call.reply);
    buf_fini(&request->body);
    mem_free(request);
    count_active(server, -1);
}
