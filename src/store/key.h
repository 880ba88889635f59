/* Whether a key that a caller gives is acceptable; NULL is taken for "". */
#ifndef HF_STORE_KEY_H
#define HF_STORE_KEY_H

#include <string.h>

#include "data/ids.h"

static inline int key_check_kind(const char *kind, struct hf_error *error) {
    return ids_check_kind(kind ? kind : "", error);
}

static inline int key_check(const char *kind, const char *id, struct hf_error *error) {
    int code = key_check_kind(kind, error);
    return code == 0 ? ids_check(id ? id : "", id ? strnlen(id, HF_ID_MAX + 1) : 0, error) : code;
}

/* "KIND/ID" as its two parts: *ret_id points behind the first slash. -1 when the kind is none. */
static inline int key_split(const char *key, char ret_kind[HF_KIND_MAX + 1], const char **ret_id) {
    const char *slash = strchr(key, '/');
    size_t bytes = slash ? (size_t)(slash - key) : 0;
    if (bytes == 0 || bytes > HF_KIND_MAX)
        return -1;
    memcpy(ret_kind, key, bytes);
    ret_kind[bytes] = '\0';
    *ret_id = slash + 1;
    return 0;
}

#endif
