/* Kinds that holdfast keeps for itself: the records operations do not write them, and some are not shown either. */
#ifndef HF_API_INTERNAL_KIND_H
#define HF_API_INTERNAL_KIND_H

#include "base/error.h"

/* 0, or FORBIDDEN with the operation that does it instead in the hint. */
int internal_kind_check_write(const char *kind, struct hf_error *error);
int internal_kind_check_read(const char *kind, struct hf_error *error);

#endif
