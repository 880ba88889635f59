#include "cmd/lines.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "os/os.h"

enum { READ_BYTES = 1 << 18 };

int lines_open(const char *path, struct lines *ret_lines, struct hf_error *error) {
    const struct os *os = os_real();
    struct lines lines = {.path = path, .fd = STDIN_FILENO};
    struct stat stat;
    buf_init(&lines.bytes);
    if (strcmp(path, "-") != 0)
        lines.fd = os_open(os, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
    int result = lines.fd < 0 ? lines.fd : os_fstat(os, lines.fd, &stat);
    if (result != 0) {
        lines_close(&lines);
        return error_set_errno(error, result, "read '%s'", path);
    }
    /* Standard input may have been read from already: only a file of our own can be begun again. */
    lines.is_regular = S_ISREG(stat.st_mode) && lines.fd != STDIN_FILENO;
    lines.size = stat.st_size;
    *ret_lines = lines;
    return 0;
}

void lines_close(struct lines *lines) {
    if (lines->fd > STDIN_FILENO)
        os_close(os_real(), lines->fd);
    buf_fini(&lines->bytes);
}

void lines_rewind(struct lines *lines) {
    buf_clear(&lines->bytes);
    lines->offset = 0;
    lines->number = lines->at = 0;
    lines->is_at_end = 0;
}

static int read_more(struct lines *lines, struct hf_error *error) {
    const struct os *os = os_real();
    buf_remove_front(&lines->bytes, lines->at);
    lines->at = 0;
    char *room = buf_reserve(&lines->bytes, READ_BYTES);
    if (!room)
        return error_set(error, HF_ERR_NO_MEMORY, "read '%s'", lines->path);
    ssize_t got = lines->is_regular ? os_pread(os, lines->fd, room, READ_BYTES, lines->offset)
                                    : os_read(os, lines->fd, room, READ_BYTES);
    if (got == -EINTR)
        return 0;
    if (got < 0)
        return error_set_errno(error, (int)got, "read '%s'", lines->path);
    lines->bytes.size += (size_t)got;
    lines->offset += got;
    lines->is_at_end = got == 0;
    return 0;
}

int lines_next(struct lines *lines, const char **ret_line, size_t *ret_bytes, struct hf_error *error) {
    size_t looked = 0; /* bytes from `at` on that hold no line feed */
    for (;;) {
        const char *begin = buf_text(&lines->bytes) + lines->at;
        size_t there = lines->bytes.size - lines->at;
        const char *end = there > looked ? memchr(begin + looked, '\n', there - looked) : NULL;
        if (end || (lines->is_at_end && there > 0)) {
            *ret_line = begin;
            *ret_bytes = end ? (size_t)(end - begin) : there;
            lines->at += *ret_bytes + (end != NULL);
            lines->number++;
            return 1;
        }
        if (lines->is_at_end)
            return 0;
        if (there > LINE_BYTES_MAX)
            return error_set(error, HF_ERR_TOO_LARGE, "read '%s': line %llu is over %d bytes", lines->path,
                             (unsigned long long)lines->number + 1, LINE_BYTES_MAX);
        looked = there;
        int code = read_more(lines, error);
        if (code != 0)
            return code;
    }
}
