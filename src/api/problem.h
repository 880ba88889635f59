/* Problem documents whose status is not the one of their code. */
#ifndef HF_API_PROBLEM_H
#define HF_API_PROBLEM_H

#include "api/operation.h"

/* status 0: the one of error->code. */
void problem_write(int status, const struct hf_error *error, struct buf *out);

#endif
