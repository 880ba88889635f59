/* The sockets that listen. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "api/guard.h"
#include "api/http_inside.h"
#include "os/file.h"

enum { BACKLOG = 1024 };

static int open_tcp(int family, int port) {
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6,
                              .sin6_port = htons((uint16_t)port),
                              .sin6_addr = in6addr_loopback};
    int one = 1;
    v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    int failed = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (!failed && family == AF_INET6)
        failed = setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one) ||
                 bind(fd, (const struct sockaddr *)&v6, sizeof v6);
    else if (!failed)
        failed = bind(fd, (const struct sockaddr *)&v4, sizeof v4);
    if (!failed)
        failed = listen(fd, BACKLOG);
    if (failed) {
        failed = -errno;
        close(fd);
        return failed;
    }
    return fd;
}

static int port_of(int fd) {
    struct sockaddr_storage address = {0};
    socklen_t bytes = sizeof address;
    if (getsockname(fd, (struct sockaddr *)&address, &bytes) != 0)
        return 0;
    return ntohs(address.ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)&address)->sin6_port
                                               : ((const struct sockaddr_in *)&address)->sin_port);
}

int http_listen_tcp(const char *listen_text, int *ret_fd, int *ret_port, struct hf_error *error) {
    int family = 0, port = 0;
    if (guard_parse_listen(listen_text, &family, &port) != 0) {
        error_set(error, HF_ERR_INVALID, "listen on '%s': it is not a loopback address with a port", listen_text);
        error_hint(error, "127.0.0.1:7420, localhost:7420 or [::1]:7420; port 0 takes a free one");
        return HF_ERR_INVALID;
    }
    int fd = open_tcp(family, port);
    if (fd == -EADDRINUSE) {
        error_set(error, HF_ERR_EXISTS, "listen on '%s': another program listens there", listen_text);
        error_hint(error, "take another port with --listen, or 0 for a free one");
        return HF_ERR_EXISTS;
    }
    if (fd < 0)
        return error_set_errno(error, fd, "listen on '%s'", listen_text);
    *ret_fd = fd;
    *ret_port = port_of(fd);
    return 0;
}

/* The socket's name in its opened folder: a path over the 107 bytes of sun_path works too. */
struct local_place {
    int folder_fd;
    const char *name;
    struct sockaddr_un address;
};

static int open_place(const struct os *os, const char *path, struct local_place *ret_place, struct hf_error *error) {
    struct local_place place = {.address = {.sun_family = AF_UNIX}};
    const char *slash = strrchr(path, '/');
    MEM_AUTO char *folder = slash ? mem_dup(path, (size_t)(slash == path ? 1 : slash - path)) : mem_strdup(".");
    if (!folder)
        return error_set(error, HF_ERR_NO_MEMORY, "listen on '%s'", path);
    place.name = slash ? slash + 1 : path;
    int code = file_make_folders(os, folder, 0700, error);
    if (code != 0)
        return error_wrap(error, code, "listen on '%s'", path);
    place.folder_fd = os_open(os, AT_FDCWD, folder, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
    if (place.folder_fd < 0)
        return error_set_errno(error, place.folder_fd, "listen on '%s': open its folder", path);
    int bytes = snprintf(place.address.sun_path, sizeof place.address.sun_path, "/proc/self/fd/%d/%s", place.folder_fd,
                         place.name);
    if (!place.name[0] || bytes >= (int)sizeof place.address.sun_path) {
        os_close(os, place.folder_fd);
        return error_set(error, HF_ERR_INVALID, "listen on '%s': the file name is empty or too long", path);
    }
    *ret_place = place;
    return 0;
}

/* What an earlier daemon left is removed; a socket that somebody listens on, or anything else, is not. */
static int clear_place(const struct os *os, const struct local_place *place, const char *path, struct hf_error *error) {
    struct stat stat;
    int found = os_stat_at(os, place->folder_fd, place->name, &stat);
    if (found == -ENOENT)
        return 0;
    if (found < 0)
        return error_set_errno(error, found, "listen on '%s'", path);
    if (!S_ISSOCK(stat.st_mode))
        return error_set(error, HF_ERR_EXISTS, "listen on '%s': there is something else of that name", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int is_alive = fd >= 0 && connect(fd, (const struct sockaddr *)&place->address, sizeof place->address) == 0;
    if (fd >= 0)
        close(fd);
    if (is_alive)
        return error_set(error, HF_ERR_LOCKED, "listen on '%s': another process listens there", path);
    int removed = os_unlink(os, place->folder_fd, place->name, 0);
    return removed < 0 ? error_set_errno(error, removed, "listen on '%s': remove the old socket", path) : 0;
}

/* The mode is set before the name exists: at no moment may others connect. */
static int bind_local(const struct local_place *place) {
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    if (fchmod(fd, 0600) != 0 || bind(fd, (const struct sockaddr *)&place->address, sizeof place->address) != 0 ||
        listen(fd, BACKLOG) != 0) {
        int failed = -errno;
        close(fd);
        return failed;
    }
    return fd;
}

int http_listen_local(const struct os *os, const char *path, int *ret_fd, ino_t *ret_inode, struct hf_error *error) {
    struct local_place place;
    struct stat stat = {0};
    int code = open_place(os, path, &place, error);
    if (code != 0)
        return code;
    code = clear_place(os, &place, path, error);
    if (code == 0) {
        int fd = bind_local(&place);
        if (fd < 0)
            code = error_set_errno(error, fd, "listen on '%s'", path);
        else if (os_stat_at(os, place.folder_fd, place.name, &stat) >= 0)
            *ret_inode = stat.st_ino;
        if (fd >= 0)
            *ret_fd = fd;
    }
    os_close(os, place.folder_fd);
    return code;
}

void http_unlink_local(const struct os *os, const char *path, ino_t inode) {
    struct stat stat;
    if (os_stat_at(os, AT_FDCWD, path, &stat) >= 0 && S_ISSOCK(stat.st_mode) && stat.st_ino == inode)
        os_unlink(os, AT_FDCWD, path, 0);
}
