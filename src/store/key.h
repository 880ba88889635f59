/* What a kind and an id may be. */
#ifndef HF_STORE_KEY_H
#define HF_STORE_KEY_H

#include "base/error.h"

int store_kind_check(const char *kind, struct hf_error *error);
int store_key_check(const char *kind, const char *id, struct hf_error *error);

#endif
