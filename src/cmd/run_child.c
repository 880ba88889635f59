/* While the command runs: signals, the time-out, and its end. Nothing of the store is open here. */
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "cmd/run.h"
#include "cmd/talk.h"
#include "os/process.h"
#include "os/signals.h"

enum { LOOK_MS = 50, LOST_STATUS = 1 << 8 /* as exit(1) */, POLLED_MAX = RUN_COMMANDS_MAX + 3 };

/* SIGPIPE too: a reader of our output that is gone is told of by the write. */
static const int held_signals[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGCHLD, SIGPIPE, 0};

static void note_exit(struct run_crew *crew, size_t i) {
    int status = 0;
    if (crew->pids[i] < 0)
        return;
    int result = os_reap(crew->run->os, crew->children[i].pidfd, &status);
    if (result == 0)
        return;
    if (result < 0)
        status = LOST_STATUS;
    crew->statuses[i] = status;
    crew->pids[i] = -1;
    crew->ended++;
}

/* What a terminal sends, it sends to the command as well. */
static void pass_on(struct run_crew *crew, const struct signals_one *one) {
    struct run *run = crew->run;
    run_decide(run, NULL, "signal %d (%s) came", one->number, sigabbrev_np(one->number));
    run->was_told = 1;
    if (!one->is_from_terminal)
        run_tree_signal(run->os, getpid(), one->number);
}

static void look_at_signals(struct run_crew *crew) {
    struct signals_one one;
    while (signals_next(crew->signal_fd, &one)) {
        if (one.number == SIGCHLD)
            process_reap_orphans(crew->pids);
        else if (one.number != SIGPIPE)
            pass_on(crew, &one);
    }
}

static void look_at_time(struct run_crew *crew) {
    struct run *run = crew->run;
    int64_t now_ms = os_monotonic_ms(run->os);
    if (crew->timeout_at_ms && now_ms >= crew->timeout_at_ms) {
        char duration[TEXT_TIME_BYTES];
        text_duration(run->timeout_ms, duration);
        crew->timeout_at_ms = 0;
        crew->kill_at_ms = now_ms + RUN_GRACE_MS;
        run_decide(run, "timeout", "it took over %s", duration);
        run_tree_signal(run->os, getpid(), SIGTERM);
        run_tree_signal(run->os, getpid(), SIGCONT); /* what is stopped would not even notice */
    }
    if (crew->kill_at_ms && now_ms >= crew->kill_at_ms)
        run_tree_kill(run->os, getpid());
}

/* Behind a time-out not only the commands have to be gone, but what they started too. */
static int have_ended(const struct run_crew *crew) {
    if (crew->ended < crew->count)
        return 0;
    return !crew->kill_at_ms || run_tree_is_gone(crew->run->os, getpid());
}

static int time_to_wait(const struct run_crew *crew) {
    int64_t next_ms = crew->kill_at_ms ? os_monotonic_ms(crew->run->os) + LOOK_MS : crew->timeout_at_ms;
    if (!next_ms)
        return -1;
    int64_t left_ms = next_ms - os_monotonic_ms(crew->run->os);
    return left_ms <= 0 ? 0 : left_ms < INT_MAX ? (int)left_ms : INT_MAX;
}

static void add_polled(struct pollfd *polled, nfds_t *count, int fd, short events) {
    if (fd >= 0)
        polled[(*count)++] = (struct pollfd){.fd = fd, .events = events};
}

/* What was read is written before more is read: a slow reader slows the command down, as in any pipe. */
static void wait_a_turn(struct run_crew *crew) {
    struct run_stream *stream = crew->stream;
    struct pollfd polled[POLLED_MAX];
    nfds_t count = 0;
    size_t waiting = stream ? run_stream_waiting(stream) : 0;
    add_polled(polled, &count, crew->signal_fd, POLLIN);
    if (waiting)
        add_polled(polled, &count, stream->out_fd, POLLOUT);
    else if (stream)
        add_polled(polled, &count, stream->in_fd, POLLIN);
    for (size_t i = 0; i < crew->count; i++)
        add_polled(polled, &count, crew->pids[i] > 0 ? crew->children[i].pidfd : -1, POLLIN);
    if (poll(polled, count, time_to_wait(crew)) <= 0)
        return;
    int is_stream =
        stream && count > 1 && polled[1].revents && polled[1].fd == (waiting ? stream->out_fd : stream->in_fd);
    if (is_stream && waiting)
        run_stream_write(stream);
    else if (is_stream)
        run_stream_read(stream);
}

/* What they wrote last is on its way yet. Who told us to end does not wait for a reader that does not read. */
static int is_delivered(const struct run_crew *crew) {
    return !crew->stream || run_stream_waiting(crew->stream) == 0 || crew->run->was_told;
}

static void wait_for_all(struct run_crew *crew) {
    int is_over = 0;
    while (!is_over || !is_delivered(crew)) {
        wait_a_turn(crew);
        look_at_signals(crew);
        look_at_time(crew);
        for (size_t i = 0; i < crew->count; i++)
            note_exit(crew, i);
        is_over = have_ended(crew);
        if (is_over && crew->stream)
            run_stream_end(crew->stream);
    }
}

/* Of several the last one that failed, as shells have it with pipefail. */
static void note_result(struct run_crew *crew) {
    struct run *run = crew->run;
    run->exit_code = 0;
    for (size_t i = 0; i < crew->count; i++) {
        int status = crew->statuses[i];
        if (status == 0)
            continue;
        run->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
        run->exit_code = run->signal ? RUN_EXIT_SIGNAL + run->signal : WEXITSTATUS(status);
    }
    if (run->exit_code == 0)
        run_decide(run, "ok", NULL);
    else if (run->was_told)
        run_decide(run, "killed", NULL);
    else if (run->signal)
        run_decide(run, "failed", "it was ended by signal %d (%s)", run->signal, sigabbrev_np(run->signal));
    else
        run_decide(run, "failed", "it ended with %d", run->exit_code);
}

/* Those that were started before one that could not be. */
static void end_all(struct run_crew *crew) {
    run_tree_kill(crew->run->os, getpid());
    if (crew->count > 0)
        wait_for_all(crew);
}

int run_commands(struct run *run, const char *const *const *commands, size_t count, struct run_stream *stream,
                 struct hf_error *error) {
    struct run_crew crew = {.run = run, .stream = stream, .signal_fd = -1};
    int result = signals_hold(held_signals, &crew.signal_fd);
    if (result != 0)
        return error_set_errno(error, result, "hold the signals");
    process_adopt_orphans();
    if (run->timeout_ms)
        crew.timeout_at_ms = os_monotonic_ms(run->os) + run->timeout_ms;
    int code = run_spawn(&crew, commands, count, error);
    if (code == 0)
        wait_for_all(&crew);
    else
        end_all(&crew);
    if (code == 0)
        note_result(&crew);
    for (size_t i = 0; i < crew.count; i++)
        (void)os_close(run->os, crew.children[i].pidfd);
    (void)os_close(run->os, crew.signal_fd);
    return code;
}
