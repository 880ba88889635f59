#include "os/signals.h"

#include <errno.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* A parent that ignores SIGCHLD leaves that to us, and then the kernel would reap our children unasked. */
static int is_ignored(int number) {
    struct sigaction action;
    if (number == SIGCHLD) {
        (void)signal(SIGCHLD, SIG_DFL);
        return 0;
    }
    return sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

int signals_hold(const int *numbers, int *ret_fd) {
    sigset_t set;
    sigemptyset(&set);
    for (; *numbers != 0; numbers++)
        if (!is_ignored(*numbers))
            sigaddset(&set, *numbers);
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0)
        return -errno;
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0) {
        int error = -errno;
        (void)close(fd);
        return error;
    }
    *ret_fd = fd;
    return 0;
}

int signals_next(int fd, struct signals_one *ret_one) {
    struct signalfd_siginfo info;
    if (read(fd, &info, sizeof info) != (ssize_t)sizeof info)
        return 0;
    *ret_one = (struct signals_one){
        .number = (int)info.ssi_signo,
        .is_from_terminal = info.ssi_code == SI_KERNEL,
        .from = (pid_t)info.ssi_pid,
    };
    return 1;
}
