#include "base/error.h"

#include "base/utf8.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A text that was cut to fit must not end in half a character. */
static void drop_half_character(char *text, size_t room) {
    size_t length = strlen(text);
    if (length + 1 < room)
        return;
    size_t start = length;
    while (start > 0 && length - start < 3 && ((uint8_t)text[start - 1] & 0xC0) == 0x80)
        start--;
    if (start > 0 && (uint8_t)text[start - 1] >= 0xC0 && utf8_length(text + start - 1, text + length) == 0)
        text[start - 1] = '\0';
}

__attribute__((format(printf, 3, 0))) static void format_into(char *out, size_t room, const char *format,
                                                              va_list args) {
    if (vsnprintf(out, room, format, args) < 0)
        out[0] = '\0';
    drop_half_character(out, room);
}

/* Adds what fits. */
static void append(char *text, size_t room, const char *more) {
    size_t length = strlen(text), bytes = strlen(more);
    if (bytes > room - 1 - length)
        bytes = room - 1 - length;
    memcpy(text + length, more, bytes);
    text[length + bytes] = '\0';
    drop_half_character(text, room);
}

/* __FILE__ may begin with the way from the build folder; what matters is the end. */
static void set_origin(struct hf_error *error, const char *origin) {
    while (strncmp(origin, "../", 3) == 0)
        origin += 3;
    size_t length = strlen(origin);
    if (length >= sizeof error->origin)
        origin += length - (sizeof error->origin - 1);
    snprintf(error->origin, sizeof error->origin, "%s", origin);
}

/* The message is complete before *error is touched: the arguments may point into it. */
static void fill(struct hf_error *error, int code, int system_errno, const char *origin, const char *message) {
    error->code = code;
    error->system_errno = system_errno;
    snprintf(error->message, sizeof error->message, "%s", message);
    error->hint[0] = '\0';
    set_origin(error, origin);
}

int error_set_at(struct hf_error *error, int code, const char *origin, const char *format, ...) {
    if (!error)
        return code;
    char message[sizeof error->message];
    va_list args;
    va_start(args, format);
    format_into(message, sizeof message, format, args);
    va_end(args);
    fill(error, code, 0, origin, message);
    return code;
}

int error_set_errno_at(struct hf_error *error, int negative_errno, const char *origin, const char *format, ...) {
    int code = error_code_of_errno(negative_errno);
    if (!error)
        return code;
    char message[sizeof error->message];
    va_list args;
    va_start(args, format);
    format_into(message, sizeof message, format, args);
    va_end(args);

    char room[128];
    const char *reason = strerror_r(-negative_errno, room, sizeof room);
    append(message, sizeof message, ": ");
    append(message, sizeof message, reason);
    fill(error, code, -negative_errno, origin, message);
    return code;
}

int error_wrap(struct hf_error *error, int code, const char *format, ...) {
    if (!error)
        return code;
    char message[sizeof error->message];
    va_list args;
    va_start(args, format);
    format_into(message, sizeof message, format, args);
    va_end(args);

    append(message, sizeof message, ": ");
    append(message, sizeof message, error->message);
    memcpy(error->message, message, sizeof message);
    if (error->code == 0)
        error->code = code;
    return error->code;
}

int error_hint(struct hf_error *error, const char *format, ...) {
    if (!error)
        return 0;
    char hint[sizeof error->hint];
    va_list args;
    va_start(args, format);
    format_into(hint, sizeof hint, format, args);
    va_end(args);
    memcpy(error->hint, hint, sizeof hint);
    return error->code;
}

int error_code_of_errno(int negative_errno) {
    switch (-negative_errno) {
    case ENOSPC:
        return HF_ERR_NO_SPACE;
    case EDQUOT:
        return HF_ERR_QUOTA;
    case EROFS:
        return HF_ERR_READ_ONLY;
    case EACCES:
    case EPERM:
        return HF_ERR_PERMISSION;
    case EMFILE:
    case ENFILE:
        return HF_ERR_TOO_MANY_FILES;
    case ENOMEM:
        return HF_ERR_NO_MEMORY;
    case ENOENT:
        return HF_ERR_NOT_FOUND;
    case ELOOP:
    case EXDEV:
        return HF_ERR_UNSAFE_PATH;
    case EEXIST:
        return HF_ERR_EXISTS;
    case ETIMEDOUT:
        return HF_ERR_TIMEOUT;
    default:
        return HF_ERR_IO;
    }
}

void error_clear(struct hf_error *error) {
    if (error)
        memset(error, 0, sizeof *error);
}

void error_copy(struct hf_error *to, const struct hf_error *from) {
    if (!to || to == from)
        return;
    if (from)
        *to = *from;
    else
        error_clear(to);
}
