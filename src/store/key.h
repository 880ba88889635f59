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

#endif
