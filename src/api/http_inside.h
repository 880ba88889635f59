/* The parts of the HTTP server: http.c opens and closes it, http_listen.c makes its sockets, http_request.c takes
 * requests, http_guard.c refuses them, http_reply.c answers them, http_stream.c sends events, http_page.c is what lies
 * outside /api. */
#ifndef HF_API_HTTP_INSIDE_H
#define HF_API_HTTP_INSIDE_H

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

#include "api/auth.h"
#include "api/http.h"
#include "api/http_herald.h"
#include "api/route.h"
#include "os/pool.h"

struct http_server {
    struct api_context *context;
    size_t max_body_bytes;
    int port;      /* 0 without TCP */
    char *address; /* "http://127.0.0.1:7420", or "unix:PATH" without TCP */
    unsigned room; /* connections of each daemon */
    struct MHD_Daemon *tcp, *local;
    char *socket_path;
    ino_t socket_inode;
    struct auth *auth;
    struct pool *pool;
    struct herald *herald;
    struct buf openapi;
    atomic_uint_fast64_t replies[6]; /* by the class of their status: 0xx … 5xx */
    atomic_int is_closing;           /* new requests are refused */
    atomic_int is_stopped;           /* handlers are not started any more */
    atomic_int working;              /* handlers and streams that may have a connection suspended */
    pthread_mutex_t mutex;           /* active */
    pthread_cond_t idle;
    unsigned active; /* requests that were begun and not completed */
};

/* How the work on a request and the thread of its connection meet. */
enum request_state {
    REQUEST_RUNNING,   /* the handler has not finished, the connection is not suspended */
    REQUEST_SUSPENDED, /* the handler has not finished, whoever finishes resumes the connection */
    REQUEST_FINISHED,
};
enum { REQUEST_VALUES = 16 };

struct http_request {
    struct api_call call;
    struct http_server *server;
    struct MHD_Connection *connection;
    struct http_peer *peer;
    const char *method;
    int is_tcp, must_close, is_begun;
    int is_refused; /* the reply is known before the body */
    int runs_again; /* finished waiting, not working */
    char who[AUTH_WHO_BYTES];
    struct route route;
    struct request_value {
        const struct api_parameter *parameter;
        const char *text;
    } values[REQUEST_VALUES]; /* of query and headers */
    int value_count;
    uint64_t announced_bytes; /* Content-Length; UINT64_MAX when it is not known */
    uint64_t received_bytes;
    struct buf body;
    struct waiter waiter;
    atomic_int state;
};

/* http_listen.c: sockets that listen; the caller's. */
int http_listen_tcp(const char *listen, int *ret_fd, int *ret_port, struct hf_error *error);
int http_listen_local(const struct os *os, const char *path, int *ret_fd, ino_t *ret_inode, struct hf_error *error);
void http_unlink_local(const struct os *os, const char *path, ino_t inode);

/* http_request.c: libmicrohttpd's callbacks. */
enum MHD_Result http_on_request(void *server, struct MHD_Connection *connection, const char *url, const char *method,
                                const char *version, const char *upload, size_t *upload_bytes, void **state);
void http_on_completed(void *server, struct MHD_Connection *connection, void **state,
                       enum MHD_RequestTerminationCode code);

/* http_guard.c: everything that can be refused by headers alone. Fills route, values, who and scope. 0, or the error
 * with call.status when it is not the code's own. */
int http_guard(struct http_request *request, const char *url, const char *version);
size_t http_body_limit(const struct http_request *request); /* of its operation */
const char *http_header(const struct http_request *request, const char *name);

/* http_reply.c */
enum MHD_Result http_send(struct http_request *request);
void http_add_static_headers(struct MHD_Response *response);
void http_count_reply(struct http_server *server, unsigned status);

/* http_stream.c: whether events were asked for as a stream, and its response. */
int http_wants_stream(const struct http_request *request);
enum MHD_Result http_stream(struct http_request *request);

/* http_page.c */
extern const struct api_operation http_pages[];
#define HTTP_COOKIE "holdfast_session"

#endif
