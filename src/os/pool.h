/* A few threads for jobs that block. */
#ifndef HF_OS_POOL_H
#define HF_OS_POOL_H

#include "base/error.h"

struct pool;
int pool_new(unsigned threads, unsigned max_waiting, struct pool **ret_pool, struct hf_error *error);
/* 0, or -1 when max_waiting jobs wait already (say "try again"). */
int pool_add(struct pool *pool, void (*job)(void *arg), void *arg);
void pool_free(struct pool **pool); /* finishes what was added */

#endif
