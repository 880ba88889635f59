/* Signals as something to be read: they interrupt nothing and are looked at when there is time. */
#ifndef HF_OS_SIGNALS_H
#define HF_OS_SIGNALS_H

#include <sys/types.h>

struct signals_one {
    int number;
    int is_from_terminal; /* the kernel sent it to the whole foreground group: Ctrl-C, a terminal that was closed */
    pid_t from;
};

/* Holds these signals (a list that ends with 0) from now on; *ret_fd can be read when one came. What the process was
 * started to ignore (nohup) goes on to be ignored, but for SIGCHLD. 0 or a negative errno. */
int signals_hold(const int *numbers, int *ret_fd);
/* 1 and the next one, or 0 when none waits. */
int signals_next(int fd, struct signals_one *ret_one);

#endif
