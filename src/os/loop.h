/* The loop: timers, readable pipes, children's exits, signals, and messages from other threads, all in one thread. Over
 * libuv. */
#ifndef HF_OS_LOOP_H
#define HF_OS_LOOP_H

#include "base/error.h"
#include "os/os.h"

struct loop;
struct loop_timer;
struct loop_watch;
struct loop_signal;

int loop_new(const struct os *os, struct loop **ret_loop, struct hf_error *error);
void loop_free(struct loop **loop);     /* closes what is still open */
int loop_run(struct loop *loop);        /* until loop_stop */
void loop_stop(struct loop *loop);      /* from the loop's thread */
int64_t loop_now_ms(struct loop *loop); /* monotonic, as of this turn */

/* One shot; set again at will. Callbacks run in the loop's thread. Times are monotonic. */
int loop_timer_new(struct loop *loop, void (*fire)(void *arg), void *arg, struct loop_timer **ret_timer);
void loop_timer_set(struct loop_timer *timer, int64_t delay_ms);
void loop_timer_clear(struct loop_timer *timer);
void loop_timer_free(struct loop_timer **timer);

/* Calls ready when fd can be read (a pipe, a socket, a pidfd of an ended child). Non-blocking fds. */
int loop_watch_new(struct loop *loop, int fd, void (*ready)(void *arg), void *arg, struct loop_watch **ret_watch);
void loop_watch_pause(struct loop_watch *watch, int pause); /* a flood does not block others: pause, go on next turn */
void loop_watch_free(struct loop_watch **watch);            /* does not close fd */

int loop_signal_new(struct loop *loop, int signal, void (*got)(void *arg, int signal), void *arg,
                    struct loop_signal **ret_signal);
void loop_signal_free(struct loop_signal **signal);

/* Runs call(arg) in the loop's thread soon; from any thread. -1 when memory is used up. */
int loop_post(struct loop *loop, void (*call)(void *arg), void *arg);

/* Tells when the wall clock jumped against the monotonic one by over a second (checked each second). */
void loop_on_clock_jump(struct loop *loop, void (*jumped)(void *arg, int64_t by_ms), void *arg);

#endif
