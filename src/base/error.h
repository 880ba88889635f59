/* Errors: how they are made and wrapped. The table itself is HF_ERROR_MAP in holdfast.h. */
#ifndef HF_BASE_ERROR_H
#define HF_BASE_ERROR_H

#include "holdfast.h"

#define ERROR_STRINGIFY_(x) #x
#define ERROR_STRINGIFY(x)  ERROR_STRINGIFY_(x)
#define ERROR_ORIGIN        __FILE__ ":" ERROR_STRINGIFY(__LINE__)

/* Fill *error (may be NULL) and return code, so that `return error_set(…)` is one line. */
#define error_set(error, code, ...) error_set_at((error), (code), ERROR_ORIGIN, __VA_ARGS__)
#define error_no_memory(error)      error_set((error), HF_ERR_NO_MEMORY, "memory is used up")

/* The same from an errno: maps it to our code, appends strerror. `negative_errno` is what the os floor returns. */
#define error_set_errno(error, negative_errno, ...)                                                                    \
    error_set_errno_at((error), (negative_errno), ERROR_ORIGIN, __VA_ARGS__)

int error_set_at(struct hf_error *error, int code, const char *origin, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
int error_set_errno_at(struct hf_error *error, int negative_errno, const char *origin, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Puts "prefix: " in front of the message; keeps code, hint and origin. Returns error->code (or `code` when error is
 * NULL), so that `return error_wrap(error, code, "open store '%s'", path)` is one line. */
int error_wrap(struct hf_error *error, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Says what to do next. Returns error->code, or 0 when error is NULL. */
int error_hint(struct hf_error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Our code for a negative errno: ENOSPC → NO_SPACE, EDQUOT → QUOTA, EROFS → READ_ONLY, EACCES/EPERM → PERMISSION,
 * EMFILE/ENFILE → TOO_MANY_FILES, ENOMEM → NO_MEMORY, ENOENT → NOT_FOUND, ELOOP/EXDEV of openat2 → UNSAFE_PATH,
 * EEXIST → EXISTS, ETIMEDOUT → TIMEOUT, the rest → IO. */
int error_code_of_errno(int negative_errno);

void error_clear(struct hf_error *error);
void error_copy(struct hf_error *to, const struct hf_error *from); /* either may be NULL */

#endif
