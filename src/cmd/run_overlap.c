/* What to do when another run of the same name is under way. */
#include <poll.h>
#include <signal.h>
#include <string.h>

#include "base/text.h"
#include "cmd/run.h"
#include "cmd/talk.h"
#include "os/process.h"

enum { LOOK_MIN_MS = 25, LOOK_MAX_MS = 1000, KILLED_PATIENCE_MS = 5000 };

/* A descriptor of the holder, and of nobody who has its number now: what is read of the number behind the opening is of
 * that process as long as it lives. -1: it is not there any more. */
static int open_holder(const struct os *os, const struct run_holder *holder) {
    struct process_identity now = {0};
    int pidfd = holder->pid > 0 ? os_pidfd_open(os, (pid_t)holder->pid) : -1;
    if (pidfd < 0)
        return -1;
    if (process_identify(os, (pid_t)holder->pid, &now, NULL) == 0 && now.start_ticks == holder->start_ticks &&
        strcmp(now.boot_id, holder->boot_id) == 0 && os_pidfd_signal(os, pidfd, 0) == 0)
        return pidfd;
    (void)os_close(os, pidfd);
    return -1;
}

/* At most so long; 1: the holder has ended. A pidfd of -1 only takes the time. */
static int wait_for_end(int pidfd, int64_t ms) {
    struct pollfd end = {.fd = pidfd, .events = POLLIN};
    return poll(&end, 1, ms <= 0 ? 0 : (int)ms) > 0;
}

/* Tries again now and then, for a holder may give the lease back long before it ends. CONFLICT when it has ended and
 * somebody else has taken the lease, or when time is up. */
static int begin_until(struct run *run, int pidfd, int64_t give_up_ms, struct hf_error *error) {
    for (int64_t look_ms = LOOK_MIN_MS;; look_ms = look_ms < LOOK_MAX_MS ? 2 * look_ms : look_ms) {
        int64_t left_ms = give_up_ms - os_monotonic_ms(run->os);
        int has_ended = wait_for_end(pidfd, left_ms < look_ms ? left_ms : look_ms);
        error_clear(error);
        int code = run_begin(run, 0, error);
        if (code != HF_ERR_CONFLICT || has_ended || os_monotonic_ms(run->os) >= give_up_ms)
            return code;
    }
}

static int begin_when_free(struct run *run, struct hf_error *error) {
    int64_t give_up_ms = run->wait_ms < 0 ? INT64_MAX : os_monotonic_ms(run->os) + run->wait_ms;
    int code;
    do {
        struct run_holder holder;
        int pidfd = run_find_holder(run, &holder, NULL) == 0 ? open_holder(run->os, &holder) : -1;
        code = begin_until(run, pidfd, give_up_ms, error);
        if (pidfd >= 0)
            (void)os_close(run->os, pidfd);
    } while (code == HF_ERR_CONFLICT && os_monotonic_ms(run->os) < give_up_ms);
    return code;
}

/* Stopped first, so that it starts nothing while what it started is found. */
static void kill_holder(const struct os *os, int pidfd, pid_t pid) {
    if (os_pidfd_signal(os, pidfd, SIGSTOP) != 0)
        return;
    run_tree_kill(os, pid);
    (void)os_pidfd_signal(os, pidfd, SIGKILL);
    (void)wait_for_end(pidfd, KILLED_PATIENCE_MS);
}

/* What it then gets for an answer is said by begin. */
static int end_holder(struct run *run, const struct run_holder *holder, int pidfd, struct hf_error *error) {
    int result = os_pidfd_signal(run->os, pidfd, SIGTERM);
    if (result != 0 && result != -ESRCH) {
        error_set_errno(error, result, "end process %lld, which holds '%s'", (long long)holder->pid, run->name);
        return error_hint(error, "run it as the user whose process that is");
    }
    (void)os_pidfd_signal(run->os, pidfd, SIGCONT);
    int code = begin_until(run, pidfd, os_monotonic_ms(run->os) + RUN_GRACE_MS, error);
    if (code != HF_ERR_CONFLICT)
        return code;
    kill_holder(run->os, pidfd, (pid_t)holder->pid);
    error_clear(error);
    return run_begin(run, 0, error);
}

/* The one that comes last is the one that runs; a holder that is new meanwhile is ended too. */
static int begin_by_force(struct run *run, struct hf_error *error) {
    int code;
    do {
        struct hf_error conflict = {0};
        struct run_holder holder;
        error_clear(error);
        code = run_begin(run, 0, &conflict);
        if (code != HF_ERR_CONFLICT) {
            error_copy(error, &conflict);
            return code;
        }
        code = run_find_holder(run, &holder, error);
        if (code == HF_ERR_NOT_FOUND) {
            code = HF_ERR_CONFLICT; /* free by now */
            continue;
        }
        if (code != 0)
            return code;
        int pidfd = open_holder(run->os, &holder);
        if (pidfd < 0 && holder.is_alive) { /* on another machine, or not to be seen from here */
            error_copy(error, &conflict);
            return HF_ERR_CONFLICT;
        }
        code = pidfd < 0 ? HF_ERR_CONFLICT : end_holder(run, &holder, pidfd, error);
        if (pidfd >= 0)
            (void)os_close(run->os, pidfd);
    } while (code == HF_ERR_CONFLICT);
    return code;
}

int run_take(struct run *run, int *ret_skipped, struct hf_error *error) {
    if (run->overlap == RUN_OVERLAP_KILL)
        return begin_by_force(run, error);
    int code = run_begin(run, run->overlap == RUN_OVERLAP_SKIP, error);
    if (code != HF_ERR_CONFLICT || run->overlap == RUN_OVERLAP_FAIL)
        return code;
    if (run->overlap == RUN_OVERLAP_WAIT)
        return begin_when_free(run, error);
    talk_say(run->invocation, "skipped: %s", error->message);
    *ret_skipped = 1;
    return 0;
}
