/* Options as callers hand them over: a struct that begins with its own size, which an older caller's is smaller in. */
#ifndef HF_STORE_OPTIONS_H
#define HF_STORE_OPTIONS_H

#include <stdint.h>
#include <string.h>

#include "base/error.h"

/* Copies them; what the caller's struct did not have yet is zero, as everything is for NULL. `bytes`: of the struct
 * that is known here. */
static inline int options_take(const void *options, void *ret_options, size_t bytes, struct hf_error *error) {
    const uint32_t known = (uint32_t)bytes;
    uint32_t given = 0;
    if (options)
        memcpy(&given, options, sizeof given);
    if (options && (given < sizeof given || given > bytes))
        return error_set(error, HF_ERR_INVALID, "struct_bytes of the options is %u, and at most %zu are known", given,
                         bytes);
    memset(ret_options, 0, bytes);
    if (options)
        memcpy(ret_options, options, given);
    memcpy(ret_options, &known, sizeof known);
    return 0;
}

#endif
