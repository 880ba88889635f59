/* Runs of states: who owns a lease, its end and its renewal. */
#include <stdio.h>

#include "api/handlers_state.h"

static const char *name_of(const struct api_call *call) {
    return call->parameter(call, "name");
}

/* A lease ends with its owner: so he must be one that the caller could end as well. */
static int check_owner(struct api_call *call, int64_t pid) {
    char path[32];
    struct stat stat;
    if (call->peer_uid < 0) {
        error_set(&call->error, HF_ERR_INVALID, "begin a run of '%s': over TCP no process can own the lease",
                  name_of(call));
        return error_hint(&call->error, "leave \"pid\" out and give \"ttl_ms\", or use the daemon's socket");
    }
    snprintf(path, sizeof path, "/proc/%lld", (long long)pid);
    int found = pid > 0 ? os_stat_at(call->context->os, AT_FDCWD, path, &stat) : -ENOENT;
    if (found == -ENOENT)
        return error_set(&call->error, HF_ERR_INVALID, "begin a run of '%s': there is no process %lld", name_of(call),
                         (long long)pid);
    if (found < 0)
        return error_set_errno(&call->error, found, "begin a run of '%s': look at process %lld", name_of(call),
                               (long long)pid);
    if (stat.st_uid != (uid_t)call->peer_uid)
        return error_set(&call->error, HF_ERR_FORBIDDEN, "begin a run of '%s': process %lld is another user's",
                         name_of(call), (long long)pid);
    return 0;
}

static int check_body(struct api_call *call) {
    JSON_AUTO struct json_doc doc;
    int64_t pid = 0;
    json_init(&doc);
    int code = json_read(&doc, call->body ? call->body : "", call->body_bytes, NULL, &call->error);
    if (code != 0)
        return error_wrap(&call->error, code, "read the body");
    uint32_t named = json_member(&doc, 0, "pid");
    if (named != JSON_NONE && json_to_i64(&doc, named, &pid) != 0)
        return error_set(&call->error, HF_ERR_INVALID, "begin a run of '%s': \"pid\" must be a whole number",
                         name_of(call));
    return pid == 0 ? 0 : check_owner(call, pid); /* 0: nobody is to own it */
}

void state_begin_handler(struct api_call *call) {
    struct state_caller caller = state_caller_of(call);
    int code = check_body(call);
    if (code == 0)
        code = state_run_begin(call->context->store, &caller, name_of(call), call->body ? call->body : "",
                               call->body_bytes, &call->reply, &call->error);
    handler_reply(call, code);
}

void state_end_handler(struct api_call *call) {
    struct state_caller caller = state_caller_of(call);
    state_reply(call, state_run_end(call->context->store, &caller, name_of(call), call->body ? call->body : "",
                                    call->body_bytes, &call->reply, &call->error));
}

void state_renew_handler(struct api_call *call) {
    handler_reply(call, state_run_renew(call->context->store, name_of(call), call->body ? call->body : "",
                                        call->body_bytes, &call->reply, &call->error));
}
