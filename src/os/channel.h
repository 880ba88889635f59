/* What the daemon and its children talk through, and a bell that other threads ring for a loop. All of it is closed on
 * exec and is the caller's to close. Errors are negative errno. */
#ifndef HF_OS_CHANNEL_H
#define HF_OS_CHANNEL_H

#include "os/os.h"

/* The own end never waits; the child's does, as children expect. */
int channel_make_pipe(int *ret_own_read, int *ret_childs_write);
int channel_make_pair(int *ret_own, int *ret_childs); /* both ways, a stream */

/* All of it, or nothing that is of use: -EAGAIN when the other side does not read and a part may have gone. Never waits
 * and raises no signal. For ends of a pair. */
int channel_send(int fd, const void *bytes, size_t size);

/* A file in memory with this content, to be read from its beginning: unlike a pipe it cannot fill up. */
int channel_make_file(const struct os *os, const char *name, const void *bytes, size_t size, int *ret_fd);

/* Whether behind a new descriptor of this number some are still free: children must not take the last ones, which are
 * for those who ask how it goes, and for the store. */
int channel_leaves_reserve(int fd);

/* A bell can be read (see loop_watch_new) from its first ring until it is hushed. */
int channel_make_bell(int *ret_fd);
void channel_ring_bell(int fd); /* from any thread; cannot fail and cannot be lost */
void channel_hush_bell(int fd);

#endif
