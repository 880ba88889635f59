/* A file or a pipe, line by line. */
#ifndef HF_CMD_LINES_H
#define HF_CMD_LINES_H

#include <sys/types.h>

#include "base/buf.h"
#include "base/error.h"

enum { LINE_BYTES_MAX = 15 << 20 }; /* what one request can carry */

struct lines {
    const char *path;
    int fd;
    int is_regular;   /* it can be read again from its beginning */
    off_t size;       /* of a regular file */
    off_t offset;     /* behind what was read */
    uint64_t number;  /* of the line that was given last; they are counted from 1 */
    struct buf bytes; /* what was read ahead */
    size_t at;        /* what of it was given already */
    int is_at_end;
};
/* "-": standard input. Errors: NOT_FOUND, PERMISSION, IO. */
int lines_open(const char *path, struct lines *ret_lines, struct hf_error *error);
void lines_close(struct lines *lines);
/* 1 and the line without its line feed, borrowed until the next call; 0 at the end. Errors: TOO_LARGE, IO, NO_MEMORY.
 */
int lines_next(struct lines *lines, const char **ret_line, size_t *ret_bytes, struct hf_error *error);
void lines_rewind(struct lines *lines); /* regular files only */

#endif
