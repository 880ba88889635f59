#include <string.h>

#include "api/http_inside.h"

void http_add_static_headers(struct MHD_Response *response) {
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    MHD_add_response_header(response, "Cache-Control", "no-store");
}

void http_count_reply(struct http_server *server, unsigned status) {
    enum { CLASSES = sizeof server->replies / sizeof server->replies[0] };
    if (status / 100 < CLASSES)
        atomic_fetch_add_explicit(&server->replies[status / 100], 1, memory_order_relaxed);
}

static struct MHD_Response *make_response(struct api_call *call) {
    static char nothing[] = "";
    size_t bytes = call->reply.size;
    char *data = bytes ? buf_take(&call->reply) : NULL;
    if (!data)
        return MHD_create_response_from_buffer(0, nothing, MHD_RESPMEM_PERSISTENT);
    struct MHD_Response *response = MHD_create_response_from_buffer_with_free_callback(bytes, data, mem_free);
    if (!response)
        mem_free(data);
    else
        MHD_add_response_header(response, "Content-Type", call->content_type ? call->content_type : "application/json");
    return response;
}

enum MHD_Result http_send(struct http_request *request) {
    struct api_call *call = &request->call;
    struct MHD_Response *response = make_response(call);
    if (!response)
        return MHD_NO;
    http_add_static_headers(response);
    for (int i = 0; i < call->header_count; i++)
        MHD_add_response_header(response, call->headers[i].name, call->headers[i].value);
    if (request->must_close || atomic_load_explicit(&request->server->is_closing, memory_order_relaxed))
        MHD_add_response_header(response, "Connection", "close");
    herald_set_phase(request->server->herald, request->peer, HTTP_PHASE_REPLY);
    http_count_reply(request->server, (unsigned)call->status);
    enum MHD_Result result = MHD_queue_response(request->connection, (unsigned)call->status, response);
    MHD_destroy_response(response);
    return result;
}
