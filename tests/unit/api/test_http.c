/* The server in this process, with many threads at it: for the thread sanitizer, and for its end. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "api/http.h"

enum { WRITERS = 8, ROUNDS = 60, WAITERS = 16, STREAMS = 8, LONG_NAME = 180 };

struct fixture {
    char folder[64];
    char *socket_path;
    struct hf_store *store;
    struct api_context context;
    struct http_server *server;
};

static void open_server(struct fixture *fixture) {
    const struct http_options options = {.listen = "127.0.0.1:0",
                                         .socket_path = fixture->socket_path,
                                         .max_body_bytes = 4096};
    struct hf_error error = {0};
    if (http_server_open(&fixture->context, &options, &fixture->server, &error) != 0)
        fail_msg("%s", error.message);
}

static int set_up(void **state) {
    struct fixture *fixture = MEM_NEW(struct fixture);
    char long_name[LONG_NAME + 1];
    memset(long_name, 'n', LONG_NAME);
    long_name[LONG_NAME] = '\0';
    snprintf(fixture->folder, sizeof fixture->folder, "/tmp/test-http-XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    fixture->socket_path = mem_alloc(LONG_NAME + 128);
    sprintf(fixture->socket_path, "%s/%s/holdfast.sock", fixture->folder, long_name); /* beyond what sun_path holds */
    assert_int_equal(hf_store_open("memory:", NULL, &fixture->store, NULL), 0);
    fixture->context = (struct api_context){.store = fixture->store, .os = os_real(), .data_dir = fixture->folder};
    open_server(fixture);
    *state = fixture;
    return 0;
}

static int tear_down(void **state) {
    struct fixture *fixture = *state;
    http_server_close(&fixture->server);
    hf_store_close(&fixture->store);
    *strrchr(fixture->socket_path, '/') = '\0';
    rmdir(fixture->socket_path);
    assert_int_equal(rmdir(fixture->folder), 0);
    mem_free(fixture->socket_path);
    mem_free(fixture);
    return 0;
}

/* Over the socket's folder: its path is too long for sun_path. */
static int connect_local(const struct fixture *fixture) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char folder[512];
    snprintf(folder, sizeof folder, "%s", fixture->socket_path);
    *strrchr(folder, '/') = '\0';
    int folder_fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/holdfast.sock", folder_fd);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int failed = connect(fd, (const struct sockaddr *)&address, sizeof address);
    close(folder_fd);
    if (failed) {
        close(fd);
        return -1;
    }
    return fd;
}

static int connect_tcp(const struct fixture *fixture) {
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)http_server_port(fixture->server))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

/* Sends, reads to the end; the status, 0 when there was no reply. */
static int ask_and_tell(int fd, const char *text, char *reply, size_t room, atomic_int *is_sent) {
    size_t got = 0;
    ssize_t more;
    if (fd < 0 || send(fd, text, strlen(text), MSG_NOSIGNAL) < 0)
        return 0;
    atomic_store(is_sent, 1);
    while (got < room - 1 && (more = recv(fd, reply + got, room - 1 - got, 0)) > 0)
        got += (size_t)more;
    reply[got] = '\0';
    close(fd);
    return got > 12 ? atoi(reply + 9) : 0;
}

static int ask(int fd, const char *text, char *reply, size_t room) {
    atomic_int is_sent;
    return ask_and_tell(fd, text, reply, room, &is_sent);
}

static int ask_once(const struct fixture *fixture, const char *method, const char *path, const char *body, char *reply,
                    size_t room) {
    char text[2048];
    snprintf(text, sizeof text,
             "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: "
             "application/json\r\nContent-Length: %zu\r\n\r\n%s",
             method, path, strlen(body), body);
    return ask(connect_local(fixture), text, reply, room);
}

struct worker {
    struct fixture *fixture;
    int number;
    pthread_t thread;
    atomic_int status;
};

static void start(struct worker *workers, int count, struct fixture *fixture, void *(*run)(void *)) {
    for (int i = 0; i < count; i++) {
        workers[i].fixture = fixture;
        workers[i].number = i;
        atomic_init(&workers[i].status, 0);
        assert_int_equal(pthread_create(&workers[i].thread, NULL, run, &workers[i]), 0);
    }
}

static void join(struct worker *workers, int count) {
    for (int i = 0; i < count; i++)
        pthread_join(workers[i].thread, NULL);
}

static void *write_and_read(void *arg) {
    struct worker *worker = arg;
    char path[64], body[32], reply[4096];
    for (int i = 0; i < ROUNDS; i++) {
        snprintf(path, sizeof path, "/api/v1/records/page/%d", worker->number);
        snprintf(body, sizeof body, "[%d,%d]", worker->number, i);
        int status = ask_once(worker->fixture, "PUT", path, body, reply, sizeof reply);
        if (status != (i ? 200 : 201))
            return NULL;
        if (ask_once(worker->fixture, "GET", path, "", reply, sizeof reply) != 200 || !strstr(reply, body))
            return NULL;
        if (ask_once(worker->fixture, "GET", i % 2 ? "/api/v1/records/page" : "/api/v1/check", "", reply,
                     sizeof reply) != 200)
            return NULL;
    }
    atomic_store(&worker->status, 200);
    return NULL;
}

static void *wait_for_news(void *arg) {
    struct worker *worker = arg;
    char reply[65536];
    int status = ask_and_tell(
        connect_local(worker->fixture),
        "GET /api/v1/events?since=1000000000&wait=30s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", reply,
        sizeof reply, &worker->status);
    atomic_store(&worker->status, status);
    return NULL;
}

static void *follow(void *arg) {
    struct worker *worker = arg;
    char *reply = mem_alloc(1 << 20);
    int status =
        ask_and_tell(connect_local(worker->fixture),
                     "GET /api/v1/events?since=0 HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n",
                     reply, 1 << 20, &worker->status);
    atomic_store(&worker->status, status == 200 && strstr(reply, "event: hello") ? 200 : -1);
    mem_free(reply);
    return NULL;
}

static void await_sent(struct worker *workers, int count) {
    for (int i = 0; i < count; i++) {
        while (atomic_load(&workers[i].status) == 0)
            usleep(1000);
    }
}

static void test_many_threads_at_once_and_the_end(void **state) {
    struct fixture *fixture = *state;
    struct worker writers[WRITERS], waiters[WAITERS], streams[STREAMS];
    start(streams, STREAMS, fixture, follow);
    start(waiters, WAITERS, fixture, wait_for_news);
    start(writers, WRITERS, fixture, write_and_read);
    join(writers, WRITERS);
    for (int i = 0; i < WRITERS; i++)
        assert_int_equal(atomic_load(&writers[i].status), 200);
    await_sent(waiters, WAITERS);
    await_sent(streams, STREAMS);
    /* The socket's one thread has taken what was sent before when it has answered what is sent now. */
    char reply[65536];
    for (int i = 0; i < 4; i++)
        assert_int_equal(ask_once(fixture, "GET", "/api/v1/status", "", reply, sizeof reply), 200);
    http_server_close(&fixture->server);
    join(waiters, WAITERS);
    join(streams, STREAMS);
    for (int i = 0; i < WAITERS; i++)
        assert_int_equal(atomic_load(&waiters[i].status), 200);
    for (int i = 0; i < STREAMS; i++)
        assert_int_equal(atomic_load(&streams[i].status), 200);
}

static void *write_until_refused(void *arg) {
    struct worker *worker = arg;
    char path[64], reply[4096];
    for (int i = 0; i < 1000000; i++) {
        snprintf(path, sizeof path, "/api/v1/records/last/%d-%d", worker->number, i);
        if (ask_once(worker->fixture, "PUT", path, "1", reply, sizeof reply) != 201)
            return NULL;
        atomic_fetch_add(&worker->status, 1);
    }
    return NULL;
}

static int count_record(void *arg, const struct hf_record *record, int code) {
    int *count = arg;
    (void)record;
    *count += code == 0;
    return 0;
}

static void test_what_was_answered_at_the_end_is_there(void **state) {
    struct fixture *fixture = *state;
    struct worker writers[WRITERS];
    for (int round = 0; round < 3; round++) {
        int stored = 0, answered = 0;
        start(writers, WRITERS, fixture, write_until_refused);
        for (int i = 0; i < WRITERS; i++) {
            while (atomic_load(&writers[i].status) < 3)
                usleep(1000);
        }
        http_server_close(&fixture->server);
        join(writers, WRITERS);
        for (int i = 0; i < WRITERS; i++)
            answered += atomic_load(&writers[i].status);
        assert_int_equal(hf_store_scan(fixture->store, "last", NULL, 0, count_record, &stored, NULL), 0);
        assert_true(stored >= answered);
        char id[32];
        for (int i = 0; i < WRITERS; i++) { /* the next round makes them again */
            for (int k = 0;; k++) {
                snprintf(id, sizeof id, "%d-%d", i, k);
                if (hf_store_delete(fixture->store, "last", id, NULL, NULL) != 0)
                    break;
            }
        }
        open_server(fixture);
    }
}

static void test_the_socket_is_ours_alone(void **state) {
    struct fixture *fixture = *state;
    struct stat stat;
    assert_int_equal(lstat(fixture->socket_path, &stat), 0);
    assert_true(S_ISSOCK(stat.st_mode));
    assert_int_equal(stat.st_mode & 0777, 0600);
    struct api_context context = fixture->context;
    struct http_server *second = NULL;
    const struct http_options options = {.socket_path = fixture->socket_path};
    assert_int_equal(http_server_open(&context, &options, &second, NULL), HF_ERR_LOCKED);
    assert_null(second);
    char reply[4096];
    assert_int_equal(ask_once(fixture, "GET", "/api/v1/tokens", "", reply, sizeof reply), 200);
}

static void test_what_lies_at_the_sockets_place(void **state) {
    struct fixture *fixture = *state;
    struct stat stat;
    char reply[4096];
    http_server_close(&fixture->server);
    assert_int_equal(lstat(fixture->socket_path, &stat), -1);
    int fd = open(fixture->socket_path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
    const struct http_options options = {.socket_path = fixture->socket_path};
    assert_int_equal(http_server_open(&fixture->context, &options, &fixture->server, NULL), HF_ERR_EXISTS);
    assert_int_equal(lstat(fixture->socket_path, &stat), 0);
    assert_int_equal(unlink(fixture->socket_path), 0);
    assert_int_equal(symlink("/nowhere", fixture->socket_path), 0);
    assert_int_equal(http_server_open(&fixture->context, &options, &fixture->server, NULL), HF_ERR_EXISTS);
    assert_int_equal(unlink(fixture->socket_path), 0);
    open_server(fixture);
    assert_int_equal(ask_once(fixture, "GET", "/livez", "", reply, sizeof reply), 200);
}

static void test_addresses_that_are_refused(void **state) {
    struct fixture *fixture = *state;
    struct api_context context = fixture->context;
    struct http_server *second = NULL;
    char taken[32];
    static const char *const bad[] = {"0.0.0.0:0", "example.org:1", "127.0.0.1", "127.0.0.1:x", "[::]:0", ""};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const struct http_options options = {.listen = bad[i]};
        assert_int_equal(http_server_open(&context, &options, &second, NULL), HF_ERR_INVALID);
    }
    snprintf(taken, sizeof taken, "127.0.0.1:%d", http_server_port(fixture->server));
    const struct http_options options = {.listen = taken};
    assert_int_equal(http_server_open(&context, &options, &second, NULL), HF_ERR_EXISTS);
}

static void test_limits_are_kept(void **state) {
    struct fixture *fixture = *state;
    char body[1024], reply[4096];
    char head[512];
    memset(body, '1', sizeof body - 1);
    body[sizeof body - 1] = '\0';
    assert_int_equal(ask_once(fixture, "PUT", "/api/v1/records/page/fits", body, reply, sizeof reply), 201);
    snprintf(head, sizeof head,
             "PUT /api/v1/records/page/large HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
             "application/json\r\nContent-Length: 4097\r\n\r\n");
    assert_int_equal(ask(connect_local(fixture), head, reply, sizeof reply), 413);
    assert_int_equal(ask(connect_tcp(fixture),
                         "GET /api/v1/status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", reply,
                         sizeof reply),
                     401);
    assert_int_equal(ask(connect_tcp(fixture), "GET /livez HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
                         reply, sizeof reply),
                     403);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_many_threads_at_once_and_the_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_was_answered_at_the_end_is_there, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_socket_is_ours_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_lies_at_the_sockets_place, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_addresses_that_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_limits_are_kept, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
