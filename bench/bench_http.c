/* HTTP GET and PUT of 2.5 KB documents by 64 connections, held against bare libmicrohttpd (two threads, no store, no
 * checks) under the same load in the same run. PUT is measured twice: over the memory store, which is what HTTP and the
 * store's own work cost, and over SQLite, where every reply is on disk. One line for each measure: name value unit
 * limit ratio. */
#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "measure.h"

#include "api/credential.h"
#include "api/http.h"

enum { CONNECTIONS = 64, PAGES = 5000, ROUNDS = 3, REQUEST_ROOM = 4096, REPLY_ROOM = 8192, ID_DIGITS = 8 };
static const double round_seconds = 1.5;

/* Some fifty members; `turn`, always of as many digits, makes it another page. */
static size_t make_page(unsigned turn, char *out) {
    size_t size = (size_t)sprintf(out, "{\"turn\":%0*u", ID_DIGITS, turn + 10000000u);
    for (unsigned i = 0; size < DOCUMENT_BYTES - 60; i++)
        size += (size_t)sprintf(out + size, ",\"member_%02u\":\"the text of member %u, as pages have it\"", i, i);
    out[size++] = '}';
    return size;
}

/* ---- the servers, each in a process of its own ---- */

struct announcement {
    int port;
    char token[CREDENTIAL_TEXT_BYTES + 8];
};

static enum MHD_Result bare_request(void *arg, struct MHD_Connection *connection, const char *url, const char *method,
                                    const char *version, const char *upload, size_t *upload_bytes, void **state) {
    static char document[DOCUMENT_BYTES + 64];
    static char seen;
    (void)arg, (void)url, (void)version, (void)upload;
    if (!*state) {
        *state = &seen;
        return MHD_YES;
    }
    if (*upload_bytes) {
        *upload_bytes = 0;
        return MHD_YES;
    }
    size_t bytes = strcmp(method, "GET") == 0 ? DOCUMENT_BYTES : 127;
    struct MHD_Response *response = MHD_create_response_from_buffer(bytes, document, MHD_RESPMEM_PERSISTENT);
    MHD_add_response_header(response, "Content-Type", "application/json");
    enum MHD_Result result = MHD_queue_response(connection, MHD_HTTP_OK, response);
    MHD_destroy_response(response);
    return result;
}

static void serve_bare(int pipe_fd) {
    struct announcement announcement = {0};
    struct MHD_Daemon *daemon = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_EPOLL, 0, NULL, NULL,
                                                 bare_request, NULL, MHD_OPTION_THREAD_POOL_SIZE, 2u, MHD_OPTION_END);
    must(daemon != NULL, "start bare libmicrohttpd");
    announcement.port = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
    must(write(pipe_fd, &announcement, sizeof announcement) == sizeof announcement, "announce");
    pause();
}

static void fill(struct hf_store *store) {
    static char document[DOCUMENT_BYTES + 64];
    char id[32];
    struct hf_batch *batch = NULL;
    must(hf_batch_new("bench", &batch, NULL) == 0, "make a batch");
    for (unsigned i = 0; i < PAGES; i++) {
        snprintf(id, sizeof id, "%0*u", ID_DIGITS, i);
        size_t bytes = make_page(i, document);
        must(hf_batch_put(batch, "page", id, document, bytes, NULL, NULL) == 0, "fill a batch");
    }
    must(hf_store_commit(store, &batch, NULL, NULL) == 0, "fill the store");
}

static void make_token(struct hf_store *store, char *out, size_t room) {
    struct credential credential;
    struct hf_batch *batch = NULL;
    const struct credential_terms terms = {"token", "[\"edit\"]", NULL, 0, 0};
    must(credential_make(os_real(), &credential, NULL) == 0 && hf_batch_new("bench", &batch, NULL) == 0 &&
             credential_put(batch, &credential, &terms, NULL) == 0 && hf_store_commit(store, &batch, NULL, NULL) == 0,
         "make a token");
    snprintf(out, room, "hf_%s_%s", credential.id, credential.secret);
}

static void serve_ours(int pipe_fd, const char *url) {
    struct announcement announcement = {0};
    struct hf_store *store = NULL;
    struct http_server *server = NULL;
    struct hf_error error = {0};
    must(hf_store_open(url, NULL, &store, &error) == 0, error.message);
    struct api_context context = {.store = store, .os = os_real(), .data_dir = "."};
    const struct http_options options = {.listen = "127.0.0.1:0"};
    fill(store);
    make_token(store, announcement.token, sizeof announcement.token);
    must(http_server_open(&context, &options, &server, &error) == 0, error.message);
    announcement.port = http_server_port(server);
    must(write(pipe_fd, &announcement, sizeof announcement) == sizeof announcement, "announce");
    pause();
}

static pid_t start_server(const char *url, struct announcement *announcement) {
    int ends[2];
    must(pipe(ends) == 0, "make a pipe");
    pid_t pid = fork();
    must(pid >= 0, "fork");
    if (pid == 0) {
        if (url)
            serve_ours(ends[1], url);
        else
            serve_bare(ends[1]);
        _exit(0);
    }
    close(ends[1]);
    must(read(ends[0], announcement, sizeof *announcement) == sizeof *announcement, "hear of the server");
    close(ends[0]);
    return pid;
}

/* ---- the load: one thread, each connection sends its next request when its reply is there ---- */

struct client {
    int fd;
    char request[REQUEST_ROOM], reply[REPLY_ROOM];
    size_t request_bytes, id_at, turn_at; /* turn_at 0: a GET */
    size_t got, wanted;                   /* wanted 0: the head is not whole yet */
};

static void set_digits(char *at, unsigned value) {
    for (int i = ID_DIGITS - 1; i >= 0; i--, value /= 10)
        at[i] = (char)('0' + value % 10);
}

static void send_next(struct client *client, unsigned number) {
    set_digits(client->request + client->id_at, number * 2654435761u % PAGES);
    if (client->turn_at)
        set_digits(client->request + client->turn_at, 20000000u + number);
    client->got = client->wanted = 0;
    must(send(client->fd, client->request, client->request_bytes, MSG_NOSIGNAL) == (ssize_t)client->request_bytes,
         "send a request");
}

/* 1 when the reply is whole. */
static int receive(struct client *client) {
    ssize_t got = recv(client->fd, client->reply + client->got, REPLY_ROOM - client->got - 1, 0);
    must(got > 0, "receive a reply");
    client->got += (size_t)got;
    client->reply[client->got] = '\0';
    if (client->wanted == 0) {
        char *end = strstr(client->reply, "\r\n\r\n"), *length = strstr(client->reply, "Content-Length: ");
        if (!end)
            return 0;
        must(strncmp(client->reply, "HTTP/1.1 20", 11) == 0 && length, "a request");
        client->wanted = (size_t)(end + 4 - client->reply) + strtoul(length + 16, NULL, 10);
    }
    return client->got >= client->wanted;
}

static void open_client(struct client *client, const struct announcement *server, int is_put) {
    static char document[DOCUMENT_BYTES + 64];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)server->port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    memset(client, 0, sizeof *client);
    client->fd = socket(AF_INET, SOCK_STREAM, 0);
    must(connect(client->fd, (const struct sockaddr *)&address, sizeof address) == 0, "connect");
    client->id_at = (size_t)sprintf(client->request, "%s /api/v1/records/page/", is_put ? "PUT" : "GET");
    size_t size = client->id_at + (size_t)sprintf(client->request + client->id_at,
                                                  "%0*d HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n",
                                                  ID_DIGITS, 0, server->token);
    if (is_put) {
        size_t bytes = make_page(0, document);
        size += (size_t)sprintf(client->request + size, "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
                                bytes);
        client->turn_at = size + 8;
        memcpy(client->request + size, document, bytes);
        size += bytes;
    } else {
        size += (size_t)sprintf(client->request + size, "\r\n");
    }
    client->request_bytes = size;
}

/* Replies a second. */
static double run_load(const struct announcement *server, int is_put) {
    static struct client clients[CONNECTIONS];
    static unsigned number;
    struct epoll_event events[CONNECTIONS];
    int poll_fd = epoll_create1(0);
    unsigned done = 0;
    for (int i = 0; i < CONNECTIONS; i++) {
        open_client(&clients[i], server, is_put);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &clients[i]};
        must(epoll_ctl(poll_fd, EPOLL_CTL_ADD, clients[i].fd, &event) == 0, "watch a connection");
        send_next(&clients[i], number++);
    }
    double start = seconds_now(), now = start;
    for (; now - start < round_seconds; now = seconds_now()) {
        int ready = epoll_wait(poll_fd, events, CONNECTIONS, 1000);
        for (int i = 0; i < ready; i++) {
            struct client *client = events[i].data.ptr;
            if (!receive(client))
                continue;
            done++;
            send_next(client, number++);
        }
    }
    for (int i = 0; i < CONNECTIONS; i++)
        close(clients[i].fd);
    close(poll_fd);
    return done / (now - start);
}

static double best_of_rounds(const struct announcement *server, int is_put) {
    double best = 0;
    for (int i = 0; i < ROUNDS; i++) {
        double rate = run_load(server, is_put);
        best = rate > best ? rate : best;
    }
    return best;
}

static void measure(const char *url, double ret_rates[2]) {
    struct announcement server;
    pid_t pid = start_server(url, &server);
    for (int is_put = 0; is_put < 2; is_put++)
        ret_rates[is_put] = best_of_rounds(&server, is_put);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static void report_rate(const char *name, double value, double limit) {
    report(name, value, "req/s", limit, limit / value);
}

int main(void) {
    double bare[2], memory[2], durable[2];
    measure(NULL, bare);
    measure("memory:", memory);
    measure("sqlite:bench_http.db", durable);
    report_rate("http_get", durable[0], bare[0]);
    report_rate("http_get_memory", memory[0], bare[0]);
    report_rate("http_put", durable[1], bare[1]);
    report_rate("http_put_memory", memory[1], bare[1]);
    return 0;
}
