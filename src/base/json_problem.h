/* Why a text was refused, for the reader; and how that is said. */
#ifndef HF_BASE_JSON_PROBLEM_H
#define HF_BASE_JSON_PROBLEM_H

#include "base/error.h"

struct json_problem {
    int code;             /* BAD_JSON, TOO_LARGE (depth) or NO_MEMORY */
    const char *at;       /* where in the text; of a key: behind its quote */
    const char *expected; /* BAD_JSON: what should stand there; NULL: the key there was there before */
    uint32_t max_depth;
};

/* Fills *error and returns the code. */
int json_report(const struct json_problem *problem, const char *text, const char *end, struct hf_error *error);

#endif
