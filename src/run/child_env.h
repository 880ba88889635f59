/* The environment of a child: what is allowed of our own, what the source asks for, and who it is. Nothing else leaks.
 */
#ifndef HF_RUN_CHILD_ENV_H
#define HF_RUN_CHILD_ENV_H

#include "base/mem.h"

struct child_env {
    const char **list; /* ends with NULL */
    struct arena arena;
};

/* `extra` ("NAME=value", ends with NULL) goes over our own; source, nonce, data_dir become HOLDFAST_…; all may be NULL.
 * -1: memory is used up. */
int child_env_init(struct child_env *env, const char *const *extra, const char *source, const char *nonce,
                   const char *data_dir);
/* All of our own, for a child that does what we were asked to do, and `extra` over it. -1: memory is used up. */
int child_env_init_whole(struct child_env *env, const char *const *extra);
void child_env_fini(struct child_env *env);

#endif
