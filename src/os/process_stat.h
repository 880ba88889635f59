/* What /proc/PID/stat says, for the parts of os/process.h. */
#ifndef HF_OS_PROCESS_STAT_H
#define HF_OS_PROCESS_STAT_H

#include "os/process.h"

struct process_stat {
    char state;
    pid_t parent;
    int64_t threads;
    uint64_t start_ticks;
};
/* NOT_FOUND when there is none. */
int process_stat_read(const struct os *os, pid_t pid, struct process_stat *ret_stat, struct hf_error *error);
/* It is only waiting to be reaped. */
int process_stat_has_ended(const struct process_stat *stat);

#endif
