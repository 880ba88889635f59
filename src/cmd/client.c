/* One HTTP/1.1 request over the daemon's Unix socket. Our own client because the peer is our own daemon: nothing but a
 * status line, headers and a body of known length comes back, and a general library would cost more start-up time than
 * the request itself. */
#include "cmd/command.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/text.h"
#include "cmd/talk.h"

enum { MAX_REPLY_BYTES = 1 << 30, LOOK_MS = 200, SILENCE_MS = 10000, PROBE_MS = 5000 };

/* A path over the 107 bytes of sun_path is reached through its folder's descriptor. */
static int connect_by_folder(int fd, const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char folder[4096];
    const char *slash = strrchr(path, '/');
    if (!slash || (size_t)(slash - path) >= sizeof folder) {
        errno = ENAMETOOLONG;
        return -1;
    }
    snprintf(folder, sizeof folder, "%.*s", (int)(slash - path), path);
    int folder_fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (folder_fd < 0)
        return -1;
    int length = snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", folder_fd, slash + 1);
    int result = -1;
    errno = ENAMETOOLONG;
    if (length < (int)sizeof address.sun_path)
        result = connect(fd, (const struct sockaddr *)&address, sizeof address);
    int saved = errno;
    close(folder_fd);
    errno = saved;
    return result;
}

static int does_not_answer(struct hf_error *error) {
    error_set(error, HF_ERR_TIMEOUT, "wait for the daemon: it does not answer");
    error_hint(error, "look whether its process is stopped, or hangs on its disk");
    return HF_ERR_TIMEOUT;
}

int command_connect(const char *path, int *ret_fd, struct hf_error *error) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const struct timeval patience = {.tv_sec = SILENCE_MS / 1000}; /* of connecting, and of each piece that is sent */
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return error_set_errno(error, -errno, "make a socket");
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    int result;
    if (strlen(path) < sizeof address.sun_path) {
        memcpy(address.sun_path, path, strlen(path) + 1);
        result = connect(fd, (const struct sockaddr *)&address, sizeof address);
    } else {
        result = connect_by_folder(fd, path);
    }
    if (result == 0) {
        *ret_fd = fd;
        return 0;
    }
    int saved = errno;
    close(fd);
    if (saved == EAGAIN)
        return does_not_answer(error);
    if (saved == EACCES || saved == EPERM) {
        error_set_errno(error, -saved, "connect to the daemon at '%s'", path);
        return error_hint(error, "run the command as the user that the daemon runs as");
    }
    error_set(error, HF_ERR_UNAVAILABLE, "connect to the daemon at '%s': %s", path, strerror(saved));
    error_hint(error, "start it: holdfast serve");
    return HF_ERR_UNAVAILABLE;
}

static int send_all(int fd, const char *bytes, size_t size, struct hf_error *error) {
    while (size > 0) {
        ssize_t sent = send(fd, bytes, size, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        /* The daemon may refuse a body before it has read it: its reply says why. */
        if (sent < 0 && (errno == EPIPE || errno == ECONNRESET))
            return 0;
        if (sent < 0 && errno == EAGAIN)
            return does_not_answer(error);
        if (sent < 0)
            return error_set_errno(error, -errno, "send to the daemon");
        bytes += sent;
        size -= (size_t)sent;
    }
    return 0;
}

/* Whether it says so little as that it lives, to somebody else. */
static int is_alive(const struct command_invocation *invocation) {
    static const char question[] = "GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    struct pollfd wanted = {.fd = -1, .events = POLLIN};
    if (command_connect(invocation->globals.socket_path, &wanted.fd, NULL) != 0)
        return 0;
    int answers = send_all(wanted.fd, question, sizeof question - 1, NULL) == 0 && poll(&wanted, 1, PROBE_MS) > 0;
    close(wanted.fd);
    return answers;
}

/* How long the daemon takes is shown; how far it is, it does not say. One that works may take its time; one that is
 * stopped is not waited for. */
static int wait_for_more(const struct command_invocation *invocation, int fd, struct hf_error *error) {
    struct pollfd wanted = {.fd = fd, .events = POLLIN};
    int waited_ms = 0;
    while (poll(&wanted, 1, LOOK_MS) == 0) {
        progress_step(&invocation->talk->progress, 0, 0);
        waited_ms += LOOK_MS;
        if (waited_ms % SILENCE_MS == 0 && !is_alive(invocation) && poll(&wanted, 1, 0) == 0)
            return does_not_answer(error);
    }
    return 0;
}

static int receive_all(const struct command_invocation *invocation, int fd, struct buf *in, struct hf_error *error) {
    for (;;) {
        int code = wait_for_more(invocation, fd, error);
        if (code != 0)
            return code;
        char *room = buf_reserve(in, 65536);
        if (!room)
            return error_set(error, HF_ERR_NO_MEMORY, "read the daemon's reply");
        ssize_t got = recv(fd, room, 65536, 0);
        if (got == 0)
            return 0;
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && in->size > 0 && errno == ECONNRESET)
            return 0;
        if (got < 0)
            return error_set_errno(error, -errno, "read the daemon's reply");
        in->size += (size_t)got;
        if (in->size > MAX_REPLY_BYTES)
            return error_set(error, HF_ERR_TOO_LARGE, "read the daemon's reply: over %d bytes", MAX_REPLY_BYTES);
    }
}

static void header_value(const char *head, const char *name, char *out, size_t room) {
    size_t bytes = strlen(name);
    out[0] = '\0';
    for (const char *line = strstr(head, "\r\n"); line; line = strstr(line + 2, "\r\n")) {
        const char *text = line + 2;
        if (strncasecmp(text, name, bytes) != 0 || text[bytes] != ':')
            continue;
        text += bytes + 1;
        text += strspn(text, " \t");
        snprintf(out, room, "%.*s", (int)strcspn(text, "\r\n"), text);
        return;
    }
}

/* Link: <TARGET>; rel="next" */
static void take_next(const char *head, struct command_reply *reply) {
    char link[sizeof reply->next + 32];
    header_value(head, "Link", link, sizeof link);
    char *end = link[0] == '<' ? strstr(link, ">; rel=\"next\"") : NULL;
    if (end)
        snprintf(reply->next, sizeof reply->next, "%.*s", (int)(end - link - 1), link + 1);
}

/* Refuses a body that is shorter than was announced: the daemon died in the middle, and half a reply is none. */
static int split_reply(struct buf *in, struct command_reply *reply, struct hf_error *error) {
    char *end = in->size ? strstr(in->data, "\r\n\r\n") : NULL;
    char length[32];
    uint64_t body_bytes = 0;
    if (!end || sscanf(in->data, "HTTP/1.%*1[01] %3d", &reply->status) != 1)
        return error_set(error, HF_ERR_IO, "read the daemon's reply: the connection ended; look whether it was done");
    *end = '\0';
    header_value(in->data, "Content-Type", reply->content_type, sizeof reply->content_type);
    header_value(in->data, "Content-Length", length, sizeof length);
    take_next(in->data, reply);
    buf_remove_front(in, (size_t)(end + 4 - in->data));
    if (length[0] && (text_to_u64(length, &body_bytes) != 0 || body_bytes != in->size))
        return error_set(error, HF_ERR_IO, "read the daemon's reply: it ends after %zu of %s bytes", in->size, length);
    reply->body = *in;
    buf_init(in);
    return 0;
}

static int build_request(const struct command_invocation *invocation, const struct command_request *request,
                         struct buf *out, struct hf_error *error) {
    buf_printf(out, "%s ", invocation->operation->method);
    int code = command_build_target(invocation, request, out, error);
    if (code != 0)
        return code;
    buf_add_text(out, " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAccept: application/json\r\n");
    for (int i = 0; i < invocation->value_count; i++) {
        const struct command_value *value = &invocation->values[i];
        if (value->parameter->place != PLACE_HEADER)
            continue;
        if (strpbrk(value->text, "\r\n"))
            return error_set(error, HF_ERR_INVALID, "read '--%s': it holds a line break", value->parameter->name);
        buf_printf(out, "%s: %s\r\n", value->parameter->name, value->text);
    }
    if (request->has_body)
        buf_printf(out, "Content-Type: application/json\r\nContent-Length: %zu\r\n", request->body.size);
    else if (strcmp(invocation->operation->method, "GET") != 0)
        buf_add_text(out, "Content-Length: 0\r\n");
    buf_add_text(out, "\r\n");
    buf_add(out, buf_text(&request->body), request->body.size);
    return out->failed ? error_set(error, HF_ERR_NO_MEMORY, "put the request together") : 0;
}

int command_send(const struct command_invocation *invocation, int fd, const struct command_request *request,
                 struct hf_error *error) {
    BUF_AUTO struct buf out;
    buf_init(&out);
    int code = build_request(invocation, request, &out, error);
    return code == 0 ? send_all(fd, out.data, out.size, error) : code;
}

int command_receive(const struct command_invocation *invocation, int fd, struct command_reply *reply,
                    struct hf_error *error) {
    BUF_AUTO struct buf in;
    buf_init(&in);
    int code = receive_all(invocation, fd, &in, error);
    return code == 0 ? split_reply(&in, reply, error) : code;
}
