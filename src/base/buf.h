/* A growable run of bytes. A failed allocation is sticky: check buf.failed once at the end. */
#ifndef HF_BASE_BUF_H
#define HF_BASE_BUF_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
    char *data; /* NUL-terminated whenever it is not NULL */
    size_t size, room;
    int failed;
};

void buf_init(struct buf *buf);
void buf_fini(struct buf *buf);
void buf_clear(struct buf *buf); /* keeps the memory */
void buf_add(struct buf *buf, const void *bytes, size_t size);
void buf_add_char(struct buf *buf, char c);
void buf_add_text(struct buf *buf, const char *text);
void buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_vprintf(struct buf *buf, const char *format, va_list args) __attribute__((format(printf, 2, 0)));
char *buf_reserve(struct buf *buf, size_t more); /* room for `more` bytes behind data+size; NULL when it failed */
void buf_remove_front(struct buf *buf, size_t bytes);
char *buf_take(struct buf *buf);             /* the bytes, now the caller's (mem_free); the buffer is empty again */
const char *buf_text(const struct buf *buf); /* never NULL */

#define BUF_AUTO __attribute__((cleanup(buf_fini)))

#endif
