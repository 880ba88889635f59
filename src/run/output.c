#include "run/output.h"

#include <string.h>

#include "base/mem.h"

enum { FIRST_ROOM = 4096 };

void output_init(struct output *output, size_t limit) {
    *output = (struct output){.limit = limit};
}

void output_fini(struct output *output) {
    mem_free(output->ring);
    *output = (struct output){.limit = output->limit};
}

void output_clear(struct output *output) {
    output->total = 0;
}

/* The ring grows only while it has not wrapped: until then it is a plain run of bytes. */
static void grow(struct output *output, size_t more) {
    size_t wanted = (size_t)output->total + more;
    if (output->room >= output->limit || output->room >= wanted)
        return;
    size_t room = output->room ? output->room : FIRST_ROOM;
    while (room < wanted && room < output->limit)
        room *= 2;
    if (room > output->limit)
        room = output->limit;
    char *ring = mem_realloc(output->ring, room, 1);
    if (!ring) {
        output->limit = output->room; /* what was kept so far has to do */
        return;
    }
    output->ring = ring;
    output->room = room;
}

void output_add(struct output *output, const char *bytes, size_t size) {
    if (output->total < output->limit)
        grow(output, size > output->limit ? output->limit : size);
    if (output->room == 0) {
        output->total += size;
        return;
    }
    if (size > output->room) {
        output->total += size - output->room;
        bytes += size - output->room;
        size = output->room;
    }
    size_t at = (size_t)(output->total % output->room);
    size_t first = size < output->room - at ? size : output->room - at;
    memcpy(output->ring + at, bytes, first);
    memcpy(output->ring, bytes + first, size - first);
    output->total += size;
}

uint64_t output_dropped(const struct output *output) {
    return output->total > output->room ? output->total - output->room : 0;
}

void output_tail(const struct output *output, struct buf *out) {
    uint64_t dropped = output_dropped(output);
    if (dropped > 0)
        buf_printf(out, "[%llu bytes dropped]\n", (unsigned long long)dropped);
    if (output->total == 0 || output->room == 0)
        return;
    size_t at = dropped > 0 ? (size_t)(output->total % output->room) : 0;
    size_t kept = dropped > 0 ? output->room : (size_t)output->total;
    size_t first = kept < output->room - at ? kept : output->room - at;
    buf_add(out, output->ring + at, first);
    buf_add(out, output->ring, kept - first);
}
