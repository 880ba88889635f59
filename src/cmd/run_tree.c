#include <signal.h>

#include "cmd/run.h"
#include "os/process.h"

enum { LOOK_MS = 20, LOOKS_MAX = 250 };

struct telling {
    const struct os *os;
    int signal; /* 0: none, only look */
    int told;
};

static void tell(void *arg, int pidfd) {
    struct telling *telling = arg;
    if (os_pidfd_signal(telling->os, pidfd, telling->signal) == 0)
        telling->told++;
}

void run_tree_signal(const struct os *os, pid_t pid, int signal) {
    struct telling telling = {.os = os, .signal = signal};
    (void)process_each_below(os, pid, tell, &telling, NULL);
}

int run_tree_is_gone(const struct os *os, pid_t pid) {
    struct telling telling = {.os = os};
    return process_each_below(os, pid, tell, &telling, NULL) != 0 || telling.told == 0;
}

/* Again until none is found: a process may start another while the list is read. */
void run_tree_kill(const struct os *os, pid_t pid) {
    for (int i = 0; i < LOOKS_MAX; i++) {
        struct telling telling = {.os = os, .signal = SIGKILL};
        if (process_each_below(os, pid, tell, &telling, NULL) != 0 || telling.told == 0)
            return;
        os_sleep_ms(os, LOOK_MS);
    }
}
