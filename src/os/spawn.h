/* Starting a child of the real system; stands behind os_spawn. */
#ifndef HF_OS_SPAWN_H
#define HF_OS_SPAWN_H

#include "os/process.h"

/* 0 or a negative errno, exec's own among them. A child that could not exec is reaped here. */
int spawn_child(const struct os_spawn *spawn, struct os_child *ret_child);

/* The program that argv[0] names, by the PATH of the child's environment; only absolute folders count. 0 or a negative
 * errno. */
int spawn_look_up(const struct os_spawn *spawn, char *ret_path, size_t room);

#endif
