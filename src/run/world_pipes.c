/* Reading what children say. Each turn of the loop takes a few slices, so that a flood delays nobody; what is beyond
 * the limits is read and dropped, so that the child is not blocked by us. */
#include <errno.h>
#include <string.h>

#include "run/world_child.h"

enum { DRAIN_SLICES = 16 };

int child_watch(struct run_child *child, struct child_pipe *pipe, void (*ready)(void *arg)) {
    return loop_watch_new(child->world->loop, pipe->fd, ready, child, &pipe->watch);
}

void child_pipe_close(struct run_child *child, struct child_pipe *pipe) {
    if (pipe->watch)
        loop_watch_free(&pipe->watch);
    if (pipe->fd >= 0)
        os_close(child->world->os, pipe->fd);
    pipe->fd = -1;
}

static void add_datum(struct run_child *child, const char *bytes, size_t size) {
    if (child->is_too_large)
        return;
    if (child->datum.size + size > child->datum_limit) {
        child->is_too_large = 1;
        buf_fini(&child->datum);
        return;
    }
    buf_add(&child->datum, bytes, size);
}

static void take_out(struct run_child *child, const char *bytes, size_t size) {
    if (child->is_worker)
        output_add(&child->tail, bytes, size);
    else
        add_datum(child, bytes, size);
}

static void take_err(struct run_child *child, const char *bytes, size_t size) {
    output_add(&child->tail, bytes, size);
}

/* 1 while there may be more. At its end the pipe is closed. */
static int read_slice(struct run_child *child, struct child_pipe *pipe,
                      void (*take)(struct run_child *child, const char *bytes, size_t size)) {
    struct world_real *world = child->world;
    if (pipe->fd < 0)
        return 0;
    ssize_t size = os_read(world->os, pipe->fd, world->slice, sizeof world->slice);
    if (size > 0) {
        take(child, world->slice, (size_t)size);
        return 1;
    }
    if (size == -EINTR)
        return 1;
    if (size != -EAGAIN)
        child_pipe_close(child, pipe);
    return 0;
}

void child_out_ready(void *arg) {
    struct run_child *child = arg;
    for (int i = 0; i < WORLD_SLICES_PER_TURN && read_slice(child, &child->out, take_out); i++)
        continue;
}

void child_err_ready(void *arg) {
    struct run_child *child = arg;
    for (int i = 0; i < WORLD_SLICES_PER_TURN && read_slice(child, &child->err, take_err); i++)
        continue;
}

void child_drain(struct run_child *child) {
    for (int i = 0; i < DRAIN_SLICES && read_slice(child, &child->out, take_out); i++)
        continue;
    for (int i = 0; i < DRAIN_SLICES && read_slice(child, &child->err, take_err); i++)
        continue;
}

/* ---- replies ---------------------------------------------------------------------------------------------------- */

/* A reply has one line; what comes before its end waits in child->line. */
static void take_line(struct run_child *child, const char *bytes, size_t size) {
    while (size > 0 && child->channel.fd >= 0) {
        const char *newline = memchr(bytes, '\n', size);
        size_t length = newline ? (size_t)(newline - bytes) : size;
        if (child->line.size + length > child->line_limit) {
            child_pipe_close(child, &child->channel); /* nothing sensible can follow */
            buf_fini(&child->line);
            child->replied(child->arg, NULL, 0);
            return;
        }
        if (newline && child->line.size == 0) {
            child->replied(child->arg, bytes, length);
        } else {
            buf_add(&child->line, bytes, length);
            if (newline) {
                struct buf line = child->line; /* the reply may lead to anything; it does not free the child */
                buf_init(&child->line);
                child->replied(child->arg, line.failed ? NULL : line.data, line.failed ? 0 : line.size);
                buf_fini(&line);
            }
        }
        bytes += length + (newline != NULL);
        size -= length + (newline != NULL);
    }
}

void child_channel_ready(void *arg) {
    struct run_child *child = arg;
    char slice[WORLD_SLICE_BYTES]; /* of its own: a reply drains the other pipes, through the world's */
    for (int i = 0; i < WORLD_SLICES_PER_TURN && child->channel.fd >= 0; i++) {
        ssize_t size = os_read(child->world->os, child->channel.fd, slice, sizeof slice);
        if (size > 0)
            take_line(child, slice, (size_t)size);
        if (size > 0 && (size_t)size < sizeof slice)
            return; /* a look whether there is more would cost a system call per tick */
        if (size == 0 || (size < 0 && size != -EAGAIN && size != -EINTR))
            child_pipe_close(child, &child->channel);
        if (size == -EAGAIN)
            return;
    }
}
