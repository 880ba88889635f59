#include <errno.h>
#include <limits.h>
#include <string.h>

#include "cmd/run.h"

enum { READ_BYTES = 64 * 1024, OUT_PARTS = PIPE_BUF /* what a pipe takes without waiting when it can be written */ };

void run_stream_init(struct run_stream *stream, const struct os *os, int in_fd, int out_fd) {
    *stream = (struct run_stream){.os = os, .in_fd = in_fd, .out_fd = out_fd};
    buf_init(&stream->line);
    buf_init(&stream->out);
}

static void close_in(struct run_stream *stream) {
    if (stream->in_fd >= 0)
        (void)os_close(stream->os, stream->in_fd);
    stream->in_fd = -1;
}

void run_stream_fini(struct run_stream *stream) {
    close_in(stream);
    buf_fini(&stream->line);
    buf_fini(&stream->out);
}

static void end_line(struct run_stream *stream) {
    if (stream->line.size && (stream->is_over_long || stream->look(stream->arg, stream->line.data, stream->line.size)))
        buf_add(&stream->out, stream->line.data, stream->line.size);
    buf_clear(&stream->line);
    stream->is_over_long = 0;
}

/* A line that is longer than can be looked at goes through in parts. */
static void take_part(struct run_stream *stream, const char *bytes, size_t size) {
    buf_add(&stream->line, bytes, size);
    if (!stream->is_over_long && stream->line.size <= RUN_LINE_BYTES_MAX)
        return;
    stream->is_over_long = 1;
    buf_add(&stream->out, buf_text(&stream->line), stream->line.size);
    buf_clear(&stream->line);
}

static void take(struct run_stream *stream, const char *bytes, size_t size) {
    while (size > 0) {
        const char *end = memchr(bytes, '\n', size);
        size_t part = end ? (size_t)(end - bytes) + 1 : size;
        take_part(stream, bytes, part);
        if (end)
            end_line(stream);
        bytes += part;
        size -= part;
    }
}

/* The reader of our output is gone: the commands are to get to know it, as in a pipe of the shell. */
static void lose_reader(struct run_stream *stream) {
    stream->out_fd = -1;
    close_in(stream);
}

void run_stream_read(struct run_stream *stream) {
    char bytes[READ_BYTES];
    ssize_t got = os_read(stream->os, stream->in_fd, bytes, sizeof bytes);
    if (got == -EINTR || got == -EAGAIN)
        return;
    if (got > 0) {
        take(stream, bytes, (size_t)got);
    } else {
        end_line(stream);
        close_in(stream);
    }
    if (stream->line.failed || stream->out.failed)
        lose_reader(stream); /* memory is used up: better an end than a gap */
}

size_t run_stream_waiting(const struct run_stream *stream) {
    return stream->out_fd < 0 ? 0 : stream->out.size - stream->out_sent;
}

void run_stream_write(struct run_stream *stream) {
    size_t left = run_stream_waiting(stream);
    ssize_t put =
        os_write(stream->os, stream->out_fd, stream->out.data + stream->out_sent, left < OUT_PARTS ? left : OUT_PARTS);
    if (put == -EINTR || put == -EAGAIN)
        return;
    if (put < 0)
        lose_reader(stream);
    else
        stream->out_sent += (size_t)put;
    if (run_stream_waiting(stream) == 0) {
        buf_clear(&stream->out);
        stream->out_sent = 0;
    }
}

void run_stream_end(struct run_stream *stream) {
    while (stream->in_fd >= 0) {
        char bytes[READ_BYTES];
        ssize_t got = OS_AGAIN(os_read(stream->os, stream->in_fd, bytes, sizeof bytes));
        if (got <= 0)
            break;
        take(stream, bytes, (size_t)got);
    }
    end_line(stream);
    close_in(stream);
}
