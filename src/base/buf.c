#include "base/buf.h"

#include "base/mem.h"

#include <stdio.h>
#include <string.h>

enum { FIRST_ROOM = 64 };

void buf_init(struct buf *buf) {
    *buf = (struct buf){0};
}

void buf_fini(struct buf *buf) {
    mem_free(buf->data);
    buf_init(buf);
}

void buf_clear(struct buf *buf) {
    buf->size = 0;
    buf->failed = 0;
    if (buf->data)
        buf->data[0] = '\0';
}

/* Room for `more` bytes and the NUL. */
static int grow(struct buf *buf, size_t more) {
    size_t wanted;
    if (buf->failed || __builtin_add_overflow(buf->size, more, &wanted) ||
        __builtin_add_overflow(wanted, (size_t)1, &wanted)) {
        buf->failed = 1;
        return -1;
    }
    if (wanted <= buf->room)
        return 0;
    size_t room = buf->room > SIZE_MAX / 2 ? wanted : buf->room * 2;
    if (room < FIRST_ROOM)
        room = FIRST_ROOM;
    if (room < wanted)
        room = wanted;
    char *data = mem_realloc(buf->data, room, 1);
    if (!data) {
        buf->failed = 1;
        return -1;
    }
    buf->data = data;
    buf->room = room;
    buf->data[buf->size] = '\0';
    return 0;
}

char *buf_reserve(struct buf *buf, size_t more) {
    return grow(buf, more) < 0 ? NULL : buf->data + buf->size;
}

void buf_add(struct buf *buf, const void *bytes, size_t size) {
    if (size == 0 || grow(buf, size) < 0)
        return;
    memcpy(buf->data + buf->size, bytes, size);
    buf->size += size;
    buf->data[buf->size] = '\0';
}

void buf_add_char(struct buf *buf, char c) {
    buf_add(buf, &c, 1);
}

void buf_add_text(struct buf *buf, const char *text) {
    buf_add(buf, text, strlen(text));
}

void buf_printf(struct buf *buf, const char *format, ...) {
    va_list args;
    va_start(args, format);
    buf_vprintf(buf, format, args);
    va_end(args);
}

void buf_vprintf(struct buf *buf, const char *format, va_list args) {
    va_list again;
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (length < 0) {
        buf->failed = 1;
        return;
    }
    if (grow(buf, (size_t)length) < 0)
        return;
    vsnprintf(buf->data + buf->size, (size_t)length + 1, format, args);
    buf->size += (size_t)length;
}

void buf_remove_front(struct buf *buf, size_t bytes) {
    if (bytes > buf->size)
        bytes = buf->size;
    if (bytes == 0)
        return;
    memmove(buf->data, buf->data + bytes, buf->size - bytes + 1);
    buf->size -= bytes;
}

char *buf_take(struct buf *buf) {
    if (!buf->data)
        grow(buf, 0);
    if (buf->failed) {
        buf_fini(buf);
        return NULL;
    }
    char *data = buf->data;
    buf_init(buf);
    return data;
}

const char *buf_text(const struct buf *buf) {
    return buf->data ? buf->data : "";
}
