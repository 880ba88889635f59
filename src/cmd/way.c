/* Where the work is done. */
#include <unistd.h>

#include "base/text.h"
#include "cmd/talk.h"
#include "keep/state.h"
#include "os/os.h"
#include "run/source.h"

enum {
    LOCK_PATIENCE_MS = 5000,
    RUN_PATIENCE_MS = 30000, /* cron starts many at the same moment, and each holds the store but shortly */
    LOCK_RETRY_MIN_MS = 2,
    LOCK_RETRY_MAX_MS = 50,
};

static enum command_access access_of(const struct command_invocation *invocation) {
    if (text_is_equal(invocation->operation->method, "GET"))
        return ACCESS_READ;
    return command_has(invocation, "dry-run") ? ACCESS_REHEARSE : ACCESS_WRITE;
}

static int try_to_open(struct command_way *way, const char *url, struct hf_error *error) {
    const struct command_invocation *invocation = way->invocation;
    int code = HF_ERR_UNAVAILABLE;
    if (!url)
        code = command_connect(invocation->globals.socket_path, &way->fd, error);
    if (code != HF_ERR_UNAVAILABLE || (invocation->operation->flags & OPERATION_DAEMON_ONLY))
        return code;
    error_clear(error);
    code = command_open_store(invocation, url, access_of(invocation), &way->store, error);
    if (code == 0)
        code = source_declare_kinds(way->store, error);
    return code == 0 ? state_declare_kinds(way->store, error) : code;
}

static int64_t patience_of(const struct command_invocation *invocation) {
    int is_patient = text_is_equal(invocation->noun, "state") || text_is_equal(invocation->noun, "run");
    return is_patient ? RUN_PATIENCE_MS : LOCK_PATIENCE_MS;
}

/* Of many that wait, none is to come too late each time: the pause is left to chance. */
static void pause_a_little(const struct os *os) {
    uint32_t chance = 0;
    (void)os_random(os, &chance, sizeof chance);
    os_sleep_ms(os, LOCK_RETRY_MIN_MS + chance % (LOCK_RETRY_MAX_MS - LOCK_RETRY_MIN_MS));
}

/* A store that is held for a moment (another command, a daemon that just starts) is waited for. */
int command_way_open(const struct command_invocation *invocation, struct command_way *ret_way, struct hf_error *error) {
    const struct os *os = os_real();
    const char *url = command_value_of(invocation, "url");
    int64_t give_up_ms = os_monotonic_ms(os) + patience_of(invocation);
    *ret_way = (struct command_way){.invocation = invocation, .fd = -1};
    for (;;) {
        int code = try_to_open(ret_way, url, error);
        if (code != HF_ERR_LOCKED || os_monotonic_ms(os) > give_up_ms)
            return code;
        error_clear(error);
        pause_a_little(os);
    }
}

void command_way_close(struct command_way *way) {
    if (way->fd >= 0)
        close(way->fd);
    way->fd = -1;
    hf_store_close(&way->store);
}

static int begin_by_daemon(struct command_way *way, const struct command_request *request, struct command_call *call,
                           struct hf_error *error) {
    const struct command_invocation *invocation = way->invocation;
    call->fd = way->fd;
    way->fd = -1;
    int code = call->fd >= 0 ? 0 : command_connect(invocation->globals.socket_path, &call->fd, error);
    if (code == 0)
        code = command_send(invocation, call->fd, request, error);
    if (code != 0 && call->fd >= 0)
        close(call->fd);
    return code;
}

int command_call_begin(struct command_way *way, const struct command_request *request, struct command_call *ret_call,
                       struct hf_error *error) {
    *ret_call = (struct command_call){.way = way, .fd = -1};
    if (way->store)
        return command_local_begin(way, request, &ret_call->local, error);
    return begin_by_daemon(way, request, ret_call, error);
}

int command_call_end(struct command_call *call, struct command_reply *ret_reply, struct hf_error *error) {
    struct command_reply reply = {0};
    int code = 0;
    if (call->local) {
        command_local_end(&call->local, &reply);
    } else {
        code = command_receive(call->way->invocation, call->fd, &reply, error);
        close(call->fd);
        call->fd = -1;
    }
    if (code == 0 && reply.status >= 400)
        code = command_reply_error(&reply, error);
    if (code == 0)
        *ret_reply = reply;
    else
        buf_fini(&reply.body);
    return code;
}

int command_call(struct command_way *way, const struct command_request *request, struct command_reply *ret_reply,
                 struct hf_error *error) {
    struct command_call call;
    int code = command_call_begin(way, request, &call, error);
    return code == 0 ? command_call_end(&call, ret_reply, error) : code;
}
