#include "os/loop.h"

#include <pthread.h>
#include <uv.h>

#include "base/mem.h"

enum { CLOCK_CHECK_MS = 1000, CLOCK_JUMP_MS = 1000, CLOCK_LOOKS = 5, CLOCK_LOOK_NS = 10 * 1000 * 1000 };

/* Things that libuv holds a handle of live until the loop has closed it; `handle` comes first in each. */
struct loop_timer {
    uv_timer_t handle;
    void (*fire)(void *arg);
    void *arg;
};

struct loop_watch {
    uv_poll_t handle;
    void (*ready)(void *arg);
    void *arg;
    int is_paused;
};

struct loop_signal {
    uv_signal_t handle;
    void (*got)(void *arg, int signal);
    void *arg;
};

struct message {
    struct message *next;
    void (*call)(void *arg);
    void *arg;
};

struct loop {
    uv_loop_t uv;
    const struct os *os;
    uv_async_t wake;
    pthread_mutex_t mutex; /* over the messages */
    struct message *first, **end;
    struct loop_timer *clock_timer;
    int64_t wall_offset_ms; /* of the wall clock against the boot clock, when looked at last */
    void (*jumped)(void *arg, int64_t by_ms);
    void *jumped_arg;
};

static int code_of_uv(int status) {
    return status == 0 ? 0 : error_code_of_errno(status); /* libuv's codes are negative errnos here */
}

static void free_handle(uv_handle_t *handle) {
    mem_free(handle->data); /* the struct that the handle is in */
}

static struct message *take_messages(struct loop *loop) {
    (void)pthread_mutex_lock(&loop->mutex);
    struct message *first = loop->first;
    loop->first = NULL;
    loop->end = &loop->first;
    (void)pthread_mutex_unlock(&loop->mutex);
    return first;
}

static void deliver_messages(uv_async_t *wake) {
    struct loop *loop = wake->data;
    for (struct message *message = take_messages(loop), *next; message != NULL; message = next) {
        next = message->next;
        message->call(message->arg);
        mem_free(message);
    }
}

int loop_new(const struct os *os, struct loop **ret_loop, struct hf_error *error) {
    struct loop *loop = MEM_NEW(struct loop);
    if (loop == NULL)
        return error_set(error, HF_ERR_NO_MEMORY, "make the loop: memory is used up");
    loop->os = os;
    loop->end = &loop->first;
    int status = uv_loop_init(&loop->uv);
    if (status != 0) {
        mem_free(loop);
        return error_set_errno(error, status, "make the loop");
    }
    (void)pthread_mutex_init(&loop->mutex, NULL);
    status = uv_async_init(&loop->uv, &loop->wake, deliver_messages);
    if (status != 0) {
        (void)uv_loop_close(&loop->uv);
        (void)pthread_mutex_destroy(&loop->mutex);
        mem_free(loop);
        return error_set_errno(error, status, "make the loop");
    }
    loop->wake.data = loop;
    *ret_loop = loop;
    return 0;
}

static void close_any(uv_handle_t *handle, void *arg) {
    struct loop *loop = arg;
    if (!uv_is_closing(handle))
        uv_close(handle, handle == (uv_handle_t *)&loop->wake ? NULL : free_handle);
}

void loop_free(struct loop **loop) {
    if (loop == NULL || *loop == NULL)
        return;
    struct loop *old = *loop;
    *loop = NULL;
    uv_walk(&old->uv, close_any, old);
    while (uv_run(&old->uv, UV_RUN_DEFAULT) != 0)
        continue; /* a stop that was asked for before ends a run early */
    (void)uv_loop_close(&old->uv);
    for (struct message *message = take_messages(old), *next; message != NULL; message = next) {
        next = message->next;
        mem_free(message);
    }
    (void)pthread_mutex_destroy(&old->mutex);
    mem_free(old);
}

int loop_run(struct loop *loop) {
    (void)uv_run(&loop->uv, UV_RUN_DEFAULT); /* `wake` keeps it going until it is stopped */
    return 0;
}

void loop_stop(struct loop *loop) {
    uv_stop(&loop->uv);
}

int64_t loop_now_ms(struct loop *loop) {
    return (int64_t)uv_now(&loop->uv);
}

static void timer_fired(uv_timer_t *handle) {
    struct loop_timer *timer = handle->data;
    timer->fire(timer->arg);
}

int loop_timer_new(struct loop *loop, void (*fire)(void *arg), void *arg, struct loop_timer **ret_timer) {
    struct loop_timer *timer = MEM_NEW(struct loop_timer);
    if (timer == NULL)
        return HF_ERR_NO_MEMORY;
    timer->fire = fire;
    timer->arg = arg;
    (void)uv_timer_init(&loop->uv, &timer->handle); /* always 0 */
    timer->handle.data = timer;
    *ret_timer = timer;
    return 0;
}

void loop_timer_set(struct loop_timer *timer, int64_t delay_ms) {
    /* From now, not from the beginning of a turn that may have been long; and at least 1 ms behind that beginning:
     * libuv fires what is due in one go, so a timer that sets itself to 0 would keep out everything else. */
    uint64_t turn_ms = uv_now(timer->handle.loop), now_ms = uv_hrtime() / 1000000;
    uint64_t late_ms = now_ms > turn_ms ? now_ms - turn_ms : 0;
    uint64_t delay = late_ms + (delay_ms > 0 ? (uint64_t)delay_ms : 0);
    (void)uv_timer_start(&timer->handle, timer_fired, delay > 0 ? delay : 1, 0);
}

void loop_timer_clear(struct loop_timer *timer) {
    (void)uv_timer_stop(&timer->handle);
}

void loop_timer_free(struct loop_timer **timer) {
    if (timer == NULL || *timer == NULL)
        return;
    uv_close((uv_handle_t *)&(*timer)->handle, free_handle);
    *timer = NULL;
}

static void watch_ready(uv_poll_t *handle, int status, int events) {
    (void)status; /* an error shows when the fd is read */
    (void)events;
    struct loop_watch *watch = handle->data;
    watch->ready(watch->arg);
}

int loop_watch_new(struct loop *loop, int fd, void (*ready)(void *arg), void *arg, struct loop_watch **ret_watch) {
    struct loop_watch *watch = MEM_NEW(struct loop_watch);
    if (watch == NULL)
        return HF_ERR_NO_MEMORY;
    watch->ready = ready;
    watch->arg = arg;
    int status = uv_poll_init(&loop->uv, &watch->handle, fd);
    if (status != 0) {
        mem_free(watch);
        return code_of_uv(status);
    }
    watch->handle.data = watch;
    status = uv_poll_start(&watch->handle, UV_READABLE, watch_ready);
    if (status != 0) {
        loop_watch_free(&watch);
        return code_of_uv(status);
    }
    *ret_watch = watch;
    return 0;
}

void loop_watch_pause(struct loop_watch *watch, int pause) {
    if (watch->is_paused == (pause != 0))
        return;
    watch->is_paused = pause != 0;
    if (pause)
        (void)uv_poll_stop(&watch->handle);
    else
        (void)uv_poll_start(&watch->handle, UV_READABLE, watch_ready);
}

void loop_watch_free(struct loop_watch **watch) {
    if (watch == NULL || *watch == NULL)
        return;
    uv_close((uv_handle_t *)&(*watch)->handle, free_handle);
    *watch = NULL;
}

static void signal_came(uv_signal_t *handle, int number) {
    struct loop_signal *signal = handle->data;
    signal->got(signal->arg, number);
}

int loop_signal_new(struct loop *loop, int signal, void (*got)(void *arg, int signal), void *arg,
                    struct loop_signal **ret_signal) {
    struct loop_signal *new_signal = MEM_NEW(struct loop_signal);
    if (new_signal == NULL)
        return HF_ERR_NO_MEMORY;
    new_signal->got = got;
    new_signal->arg = arg;
    int status = uv_signal_init(&loop->uv, &new_signal->handle);
    if (status != 0) {
        mem_free(new_signal);
        return code_of_uv(status);
    }
    new_signal->handle.data = new_signal;
    status = uv_signal_start(&new_signal->handle, signal_came, signal);
    if (status != 0) {
        loop_signal_free(&new_signal);
        return code_of_uv(status);
    }
    *ret_signal = new_signal;
    return 0;
}

void loop_signal_free(struct loop_signal **signal) {
    if (signal == NULL || *signal == NULL)
        return;
    uv_close((uv_handle_t *)&(*signal)->handle, free_handle);
    *signal = NULL;
}

int loop_post(struct loop *loop, void (*call)(void *arg), void *arg) {
    struct message *message = MEM_NEW(struct message);
    if (message == NULL)
        return -1;
    message->call = call;
    message->arg = arg;
    (void)pthread_mutex_lock(&loop->mutex);
    *loop->end = message;
    loop->end = &message->next;
    (void)uv_async_send(&loop->wake); /* under the lock: the loop is not freed in between */
    (void)pthread_mutex_unlock(&loop->mutex);
    return 0;
}

/* Looks again when it was held up between the two clocks: that would seem a jump. */
static int64_t wall_offset_ms(const struct loop *loop) {
    int64_t wall_ns = 0, before_ns = 0, after_ns;
    for (int i = 0; i < CLOCK_LOOKS; i++) {
        before_ns = os_now_ns(loop->os, OS_CLOCK_BOOT);
        wall_ns = os_now_ns(loop->os, OS_CLOCK_WALL);
        after_ns = os_now_ns(loop->os, OS_CLOCK_BOOT);
        if (after_ns - before_ns < CLOCK_LOOK_NS)
            break;
    }
    return (wall_ns - before_ns) / 1000000;
}

static void check_clock(void *arg) {
    struct loop *loop = arg;
    int64_t offset_ms = wall_offset_ms(loop), by_ms = offset_ms - loop->wall_offset_ms;
    loop->wall_offset_ms = offset_ms;
    loop_timer_set(loop->clock_timer, CLOCK_CHECK_MS);
    if (by_ms > CLOCK_JUMP_MS || by_ms < -CLOCK_JUMP_MS)
        loop->jumped(loop->jumped_arg, by_ms);
}

void loop_on_clock_jump(struct loop *loop, void (*jumped)(void *arg, int64_t by_ms), void *arg) {
    loop->jumped = jumped;
    loop->jumped_arg = arg;
    loop->wall_offset_ms = wall_offset_ms(loop);
    if (loop->clock_timer == NULL && loop_timer_new(loop, check_clock, loop, &loop->clock_timer) != 0)
        return;
    loop_timer_set(loop->clock_timer, CLOCK_CHECK_MS);
}
