/* Opening and closing the server. */
#include <stdarg.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api/http_inside.h"
#include "api/openapi.h"

enum {
    TCP_THREADS = 2,
    POOL_THREADS = 4,
    POOL_WAITING = 256,
    MOST_CONNECTIONS = 4096,
    CONNECTION_BYTES = 32 * 1024, /* of request line and headers; over it: 414 or 431 */
    STALL_SECONDS = 30,           /* a reader or writer that moves nothing for so long is sent away */
    CLOSE_PATIENCE_SECONDS = 5,
};

/* libmicrohttpd gives us what is percent-encoded as it is: route.c decodes it, once, and strictly. */
static size_t keep_escapes(void *arg, struct MHD_Connection *connection, char *text) {
    (void)arg;
    (void)connection;
    return strlen(text);
}

/* Who sits at the other end of a Unix socket. */
static struct http_peer look_at_peer(int fd) {
    struct sockaddr_storage address;
    struct ucred peer;
    socklen_t bytes = sizeof address;
    if (getsockname(fd, (struct sockaddr *)&address, &bytes) != 0 || address.ss_family != AF_UNIX)
        return (struct http_peer){.fd = fd, .uid = -1};
    bytes = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) != 0)
        return (struct http_peer){.fd = fd, .uid = (int64_t)UINT32_MAX}; /* nobody's */
    return (struct http_peer){.fd = fd, .uid = peer.uid, .pid = peer.pid};
}

static void on_connection(void *arg, struct MHD_Connection *connection, void **socket_context,
                          enum MHD_ConnectionNotificationCode code) {
    struct http_server *server = arg;
    struct http_peer *peer = NULL;
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        herald_remove_peer(server->herald, *socket_context);
        return;
    }
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (!info)
        return;
    struct http_peer known = look_at_peer(info->connect_fd);
    if (herald_add_peer(server->herald, &known, server->room, &peer) == 0)
        *socket_context = peer;
}

/* Takes the socket: libmicrohttpd closes it. */
static int start_daemon(struct http_server *server, int fd, unsigned threads, struct MHD_Daemon **ret_daemon,
                        struct hf_error *error) {
    struct MHD_OptionItem options[] = {
        {MHD_OPTION_LISTEN_SOCKET, fd, NULL},
        {MHD_OPTION_CONNECTION_LIMIT, (intptr_t)(server->room + server->room / 4), NULL},
        {MHD_OPTION_CONNECTION_TIMEOUT, STALL_SECONDS, NULL},
        {MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_BYTES, NULL},
        {MHD_OPTION_STRICT_FOR_CLIENT, 1, NULL},
        {MHD_OPTION_UNESCAPE_CALLBACK, (intptr_t)keep_escapes, NULL},
        {MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)http_on_completed, server},
        {MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)on_connection, server},
        {threads > 1 ? MHD_OPTION_THREAD_POOL_SIZE : MHD_OPTION_END, (intptr_t)threads, NULL},
        {MHD_OPTION_END, 0, NULL},
    };
    unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_EPOLL | MHD_USE_ITC | MHD_ALLOW_SUSPEND_RESUME;
    *ret_daemon =
        MHD_start_daemon(flags, 0, NULL, NULL, http_on_request, server, MHD_OPTION_ARRAY, options, MHD_OPTION_END);
    if (*ret_daemon)
        return 0;
    close(fd);
    return error_set(error, HF_ERR_UNAVAILABLE, "start the HTTP server: libmicrohttpd does not start");
}

/* Before the threads start that read it. */
static int __attribute__((format(printf, 3, 4)))
set_address(struct http_server *server, struct hf_error *error, const char *format, ...) {
    BUF_AUTO struct buf text;
    va_list args;
    buf_init(&text);
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    server->context->address = server->address = text.failed ? NULL : buf_take(&text);
    return server->address ? 0 : error_set(error, HF_ERR_NO_MEMORY, "start the HTTP server");
}

static int open_tcp(struct http_server *server, const char *listen, struct hf_error *error) {
    int fd = -1;
    if (!listen)
        return 0;
    int code = http_listen_tcp(listen, &fd, &server->port, error);
    if (code != 0)
        return code;
    code = set_address(server, error, "http://%.*s:%d", (int)(strrchr(listen, ':') - listen), listen, server->port);
    if (code != 0) {
        close(fd);
        return code;
    }
    return start_daemon(server, fd, TCP_THREADS, &server->tcp, error);
}

static int open_local(struct http_server *server, const char *path, struct hf_error *error) {
    int fd = -1;
    if (!path)
        return 0;
    int code = http_listen_local(server->context->os, path, &fd, &server->socket_inode, error);
    if (code != 0)
        return code;
    server->socket_path = mem_strdup(path);
    if (!server->socket_path)
        code = error_set(error, HF_ERR_NO_MEMORY, "listen on '%s'", path);
    if (code == 0 && !server->address)
        code = set_address(server, error, "unix:%s", path);
    if (code != 0)
        close(fd);
    return code == 0 ? start_daemon(server, fd, 1, &server->local, error) : code;
}

/* Half of the file descriptors at most: the store and the children need theirs. */
static unsigned find_room(void) {
    struct rlimit limit = {0};
    unsigned room = MOST_CONNECTIONS;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur / 4 < room)
        room = (unsigned)(limit.rlim_cur / 4);
    return room < 16 ? 16 : room;
}

static int open_parts(struct http_server *server, const struct http_options *options, struct hf_error *error) {
    int code = auth_new(server->context->store, server->context->os, &server->auth, error);
    if (code == 0)
        code = pool_new(POOL_THREADS, POOL_WAITING, &server->pool, error);
    if (code == 0)
        code = herald_new(server->context->store, server->context->os, &server->herald, error);
    openapi_write(&server->openapi);
    if (code == 0 && server->openapi.failed)
        code = error_set(error, HF_ERR_NO_MEMORY, "write the API's description");
    if (code == 0)
        code = open_tcp(server, options->listen, error);
    return code == 0 ? open_local(server, options->socket_path, error) : code;
}

int http_server_open(struct api_context *context, const struct http_options *options, struct http_server **ret_server,
                     struct hf_error *error) {
    struct http_server *server = MEM_NEW(struct http_server);
    if (!server)
        return error_set(error, HF_ERR_NO_MEMORY, "start the HTTP server");
    server->context = context;
    server->max_body_bytes = options->max_body_bytes ? options->max_body_bytes : 16 << 20;
    server->room = find_room();
    buf_init(&server->openapi);
    pthread_mutex_init(&server->mutex, NULL);
    pthread_cond_init(&server->idle, NULL);
    context->server = server;
    int code = open_parts(server, options, error);
    if (code != 0) {
        http_server_close(&server);
        return code;
    }
    *ret_server = server;
    return 0;
}

int http_server_port(const struct http_server *server) {
    return server->port;
}

/* New connections are refused by the system from here on. */
static void stop_listening(struct MHD_Daemon *daemon) {
    MHD_socket fd = daemon ? MHD_quiesce_daemon(daemon) : MHD_INVALID_SOCKET;
    if (fd != MHD_INVALID_SOCKET)
        close(fd);
}

static void wait_until_idle(struct http_server *server) {
    int64_t until_ms = os_monotonic_ms(server->context->os) + CLOSE_PATIENCE_SECONDS * 1000;
    struct timespec until = {until_ms / 1000, until_ms % 1000 * 1000000};
    pthread_mutex_lock(&server->mutex);
    while (server->active > 0 && pthread_cond_clockwait(&server->idle, &server->mutex, CLOCK_MONOTONIC, &until) == 0)
        ;
    pthread_mutex_unlock(&server->mutex);
}

/* Who waits is woken, who works is waited for, and so nothing is suspended any more when the threads end. */
void http_server_close(struct http_server **server_at) {
    struct http_server *server = server_at ? *server_at : NULL;
    if (!server)
        return;
    atomic_store(&server->is_closing, 1);
    if (server->socket_path)
        http_unlink_local(server->context->os, server->socket_path, server->socket_inode);
    stop_listening(server->tcp);
    stop_listening(server->local);
    if (server->herald)
        herald_dismiss(server->herald);
    wait_until_idle(server);
    atomic_store(&server->is_stopped, 1);
    while (atomic_load(&server->working) > 0)
        os_sleep_ms(server->context->os, 1);
    if (server->tcp)
        MHD_stop_daemon(server->tcp);
    if (server->local)
        MHD_stop_daemon(server->local);
    herald_free(&server->herald);
    pool_free(&server->pool);
    auth_free(&server->auth);
    server->context->server = NULL;
    server->context->address = NULL;
    buf_fini(&server->openapi);
    mem_free(server->socket_path);
    mem_free(server->address);
    pthread_cond_destroy(&server->idle);
    pthread_mutex_destroy(&server->mutex);
    mem_free(server);
    *server_at = NULL;
}

int http_server_make_signin(struct http_server *server, enum api_scope scope, struct buf *ret_path,
                            struct hf_error *error) {
    char code[CREDENTIAL_SECRET_BYTES + 1];
    int failed = auth_make_signin(server->auth, scope, code, error);
    if (failed != 0)
        return error_wrap(error, failed, "make a sign-in link");
    buf_printf(ret_path, "/signin?code=%s", code);
    return ret_path->failed ? error_set(error, HF_ERR_NO_MEMORY, "make a sign-in link") : 0;
}

void http_server_forget_token(struct http_server *server, const char *id) {
    auth_forget(server->auth, AUTH_TOKEN_KIND, id);
}
