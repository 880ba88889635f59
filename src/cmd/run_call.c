/* Requests of a run. Each opens its way anew: the daemon may have come or gone since the last. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "cmd/run.h"
#include "cmd/state_value.h"

enum { RETRY_MS = 100, COMMAND_BYTES = 4096 };

/* What a daemon that ends, or a disk, leaves unknown. */
static int is_doubtful(int code) {
    return code == HF_ERR_IO || code == HF_ERR_FAILED || code == HF_ERR_TIMEOUT || code == HF_ERR_CANCELLED;
}

static int call_once(struct run *run, const char *verb, const struct buf *body, struct buf *ret_reply,
                     int *ret_doubtful, struct hf_error *error) {
    const struct command_argument arguments[] = {{"name", run->name}, {NULL, NULL}};
    struct command_reply reply = {0};
    struct command_way way = {.fd = -1};
    *ret_doubtful = 0;
    int code = command_way_open(run->invocation, &way, error);
    if (code == 0) {
        code = command_ask(&way, "state", verb, arguments, body, &reply, error);
        *ret_doubtful = is_doubtful(code);
    }
    command_way_close(&way);
    if (code != 0)
        return code;
    buf_fini(ret_reply);
    *ret_reply = reply.body;
    return 0;
}

int run_call(struct run *run, const char *verb, const struct buf *body, int64_t patience_ms, struct buf *ret_reply,
             int *ret_doubtful, struct hf_error *error) {
    int64_t give_up_ms = os_monotonic_ms(run->os) + patience_ms;
    int was_doubtful = 0, doubtful, code;
    if (body && body->failed)
        return error_set(error, HF_ERR_NO_MEMORY, "put the request together");
    for (;;) {
        error_clear(error);
        code = call_once(run, verb, body, ret_reply, &doubtful, error);
        was_doubtful |= doubtful;
        if ((!hf_code_is_retryable(code) && !doubtful) || os_monotonic_ms(run->os) >= give_up_ms)
            break;
        os_sleep_ms(run->os, RETRY_MS);
    }
    if (ret_doubtful)
        *ret_doubtful = was_doubtful;
    return code;
}

/* For the ledger; a long one is cut. */
static void write_command(const struct command_invocation *invocation, struct json_writer *json) {
    size_t bytes = 0;
    json_key(json, "command");
    json_begin_array(json);
    for (int i = 0; i < invocation->child_argc; i++) {
        bytes += strlen(invocation->child_argv[i]);
        json_string(json, bytes <= COMMAND_BYTES ? invocation->child_argv[i] : "…");
        if (bytes > COMMAND_BYTES)
            break;
    }
    json_end_array(json);
}

static void write_begin(const struct run *run, const char *on_overlap, int skip, struct buf *out) {
    struct json_writer json;
    json_writer_init(&json, out, 0);
    json_begin_object(&json);
    json_put_string(&json, "on_overlap", on_overlap);
    if (skip)
        json_put_string(&json, "overlap", "skip");
    json_put_i64(&json, "pid", getpid());
    json_put_string(&json, "scheduled_at", run->scheduled_at);
    if (run->reason)
        json_put_string(&json, "reason", run->reason);
    write_command(run->invocation, &json);
    json_end_object(&json);
}

static int take_begin(struct run *run, const struct buf *reply, struct hf_error *error) {
    JSON_AUTO struct json_doc doc;
    struct json_limits limits = {.max_depth = JSON_DEPTH_MAX};
    json_init(&doc);
    int code = json_read(&doc, buf_text(reply), reply->size, &limits, error);
    if (code != 0)
        return error_wrap(error, code, "read how the run began");
    run->version = (uint64_t)json_member_i64(&doc, 0, "version", 0);
    run->has_state = json_member(&doc, 0, "value") != JSON_NONE || json_member(&doc, 0, "base64") != JSON_NONE;
    run->fence = (uint64_t)json_member_i64(&doc, 0, "fence", 0);
    run->id = json_member_text(&doc, 0, "run", &run->arena);
    if (!run->id || !run->fence)
        return error_set(error, HF_ERR_INTERNAL, "read how the run began: the reply has no fence");
    buf_clear(&run->state);
    return run->has_state ? state_value_take(&doc, &run->state, error) : 0;
}

/* A begin whose reply got lost took the lease for this very process. */
static int is_our_own(struct run *run) {
    struct run_holder holder;
    return run_find_holder(run, &holder, NULL) == 0 && holder.is_alive && holder.pid == getpid();
}

int run_begin(struct run *run, int skip, struct hf_error *error) {
    BUF_AUTO struct buf body, reply;
    int doubtful = 0;
    buf_init(&body);
    buf_init(&reply);
    write_begin(run, "fail", skip, &body);
    int code = run_call(run, "begin", &body, RUN_BEGIN_PATIENCE_MS, &reply, &doubtful, error);
    if (code == HF_ERR_CONFLICT && doubtful && is_our_own(run)) {
        buf_clear(&body);
        write_begin(run, "steal", 0, &body);
        code = run_call(run, "begin", &body, RUN_BEGIN_PATIENCE_MS, &reply, NULL, error);
    }
    run->began_ms = os_monotonic_ms(run->os);
    return code == 0 ? take_begin(run, &reply, error) : code;
}

/* ---- saves and the end ---- */

static void write_end(const struct run *run, const struct buf *state, struct buf *out) {
    struct json_writer json;
    json_writer_init(&json, out, 0);
    json_begin_object(&json);
    json_put_i64(&json, "fence", (int64_t)run->fence);
    json_put_string(&json, "outcome", run->outcome);
    if (run->signal)
        json_put_i64(&json, "signal", run->signal);
    else if (run->exit_code >= 0)
        json_put_i64(&json, "exit_code", run->exit_code);
    json_put_i64(&json, "duration_ms", os_monotonic_ms(run->os) - run->began_ms);
    if (run->records >= 0)
        json_put_i64(&json, "records", run->records);
    if (run->why.size)
        json_put_string(&json, "reason", buf_text(&run->why));
    if (state) {
        state_body_add_number(out, "if_version", run->version);
        state_body_add_bytes(out, state);
    }
    json_end_object(&json);
}

/* Whether the ledger says of this run what we wanted it to say. */
static int was_done(struct run *run) {
    BUF_AUTO struct buf reply;
    JSON_AUTO struct json_doc doc;
    int is_done = 0;
    buf_init(&reply);
    json_init(&doc);
    if (run_call(run, "runs", NULL, RUN_BEGIN_PATIENCE_MS, &reply, NULL, NULL) != 0 ||
        json_read(&doc, buf_text(&reply), reply.size, NULL, NULL) != 0)
        return 0;
    for (uint32_t row = json_first(&doc, 0); row != JSON_NONE && !is_done; row = json_after(&doc, 0, row))
        is_done = (uint64_t)json_member_i64(&doc, row, "fence", 0) == run->fence &&
                  json_is_string(&doc, json_member(&doc, row, "outcome"), run->outcome);
    return is_done;
}

int run_end(struct run *run, const struct buf *state, struct hf_error *error) {
    BUF_AUTO struct buf body, reply;
    int doubtful = 0;
    buf_init(&body);
    buf_init(&reply);
    write_end(run, state, &body);
    int code = run_call(run, "end", &body, RUN_END_PATIENCE_MS, &reply, &doubtful, error);
    if (code == HF_ERR_CONFLICT && doubtful && was_done(run))
        code = 0;
    return code;
}

int run_save(struct run *run, const char *json, size_t bytes, struct hf_error *error) {
    BUF_AUTO struct buf body, reply;
    struct json_writer writer;
    buf_init(&body);
    buf_init(&reply);
    json_writer_init(&writer, &body, 0);
    json_begin_object(&writer);
    json_put_raw(&writer, "value", json, bytes);
    json_put_i64(&writer, "fence", (int64_t)run->fence);
    json_end_object(&writer);
    return run_call(run, "set", &body, RUN_END_PATIENCE_MS, &reply, NULL, error);
}

/* ---- the holder ---- */

int run_find_holder(struct run *run, struct run_holder *ret_holder, struct hf_error *error) {
    BUF_AUTO struct buf reply;
    JSON_AUTO struct json_doc doc;
    buf_init(&reply);
    json_init(&doc);
    int code = run_call(run, "show", NULL, RUN_BEGIN_PATIENCE_MS, &reply, NULL, error);
    if (code == 0)
        code = json_read(&doc, buf_text(&reply), reply.size, NULL, error);
    if (code != 0)
        return error_wrap(error, code, "find who holds '%s'", run->name);
    uint32_t lease = json_member(&doc, 0, "lease");
    if (json_type_of(&doc, lease) != JSON_OBJECT)
        return error_set(error, HF_ERR_NOT_FOUND, "find who holds '%s': nobody", run->name);
    const char *boot_id = json_member_text(&doc, lease, "boot_id", &run->arena);
    *ret_holder = (struct run_holder){
        .pid = json_member_i64(&doc, lease, "pid", 0),
        .start_ticks = (uint64_t)json_member_i64(&doc, lease, "start_ticks", 0),
        .is_alive = json_member_bool(&doc, lease, "alive", 0),
    };
    snprintf(ret_holder->boot_id, sizeof ret_holder->boot_id, "%s", boot_id ? boot_id : "");
    return 0;
}
