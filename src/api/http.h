/* HTTP on loopback and on the Unix socket, over libmicrohttpd. */
#ifndef HF_API_HTTP_H
#define HF_API_HTTP_H

#include "api/operation.h"

struct http_server;
struct http_options {
    const char *listen;      /* "127.0.0.1:7420", "[::1]:0"; NULL: no TCP. Only loopback addresses are accepted. */
    const char *socket_path; /* NULL: no Unix socket; made 0600 in a folder 0700 */
    size_t max_body_bytes;   /* 0: 16 MiB */
    void (*log)(void *arg, const char *line);
    void *log_arg;
};
/* Sets context->server and context->address before the first request, and clears them when it closes: nobody else
 * writes the context in between. */
int http_server_open(struct api_context *context, const struct http_options *options, struct http_server **ret_server,
                     struct hf_error *error);
int http_server_port(const struct http_server *server); /* the one that was given for port 0 */
void http_server_close(struct http_server **server);    /* answers what is under way first */

/* A link good once that signs a browser in: "/signin?code=…", valid for ten minutes, scope given. */
int http_server_make_signin(struct http_server *server, enum api_scope scope, struct buf *ret_path,
                            struct hf_error *error);
/* A token that was removed is refused from here on. */
void http_server_forget_token(struct http_server *server, const char *id);

#endif
