#include "os/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "os/file.h"

/* Gives the two ends out when the first could be made one that never waits. */
static int give_ends(const int ends[2], int *ret_own, int *ret_childs) {
    if (fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0) { /* new ends have no other flags */
        int result = -errno;
        (void)close(ends[0]);
        (void)close(ends[1]);
        return result;
    }
    *ret_own = ends[0];
    *ret_childs = ends[1];
    return 0;
}

int channel_make_pipe(int *ret_own_read, int *ret_childs_write) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    return give_ends(ends, ret_own_read, ret_childs_write);
}

int channel_make_pair(int *ret_own, int *ret_childs) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return -errno;
    return give_ends(ends, ret_own, ret_childs);
}

int channel_send(int fd, const void *bytes, size_t size) {
    ssize_t sent = send(fd, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0)
        return -errno;
    return (size_t)sent == size ? 0 : -EAGAIN;
}

int channel_make_file(const struct os *os, const char *name, const void *bytes, size_t size, int *ret_fd) {
    int fd = memfd_create(name, MFD_CLOEXEC);
    if (fd < 0)
        return -errno;
    int result = file_pwrite_full(os, fd, bytes, size, 0); /* leaves the reader's place at the beginning */
    if (result < 0) {
        (void)os_close(os, fd);
        return result;
    }
    *ret_fd = fd;
    return 0;
}

/* A new descriptor has the lowest number that is free. */
int channel_leaves_reserve(int fd) {
    enum { RESERVE = 32, AT_MOST_PART = 4 };
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 1;
    rlim_t reserve = limit.rlim_cur / AT_MOST_PART < RESERVE ? limit.rlim_cur / AT_MOST_PART : RESERVE;
    return (rlim_t)fd < limit.rlim_cur - reserve;
}

int channel_make_bell(int *ret_fd) {
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0)
        return -errno;
    *ret_fd = fd;
    return 0;
}

void channel_ring_bell(int fd) {
    (void)eventfd_write(fd, 1); /* refused only when it has been rung 2^64 times: it rings */
}

void channel_hush_bell(int fd) {
    eventfd_t count;
    (void)eventfd_read(fd, &count);
}
