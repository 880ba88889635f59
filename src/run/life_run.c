/* The runs of a life: when they begin, how they end, what is kept of them. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "run/life.h"

enum { KILL_AGAIN_MS = 1000, TAIL_OF_DATUM = 4096 };

static struct run_world *world_of(struct life *life) {
    return life->owner->world;
}

static int64_t now_of(struct life *life) {
    return world_of(life)->ops->now_ms(world_of(life));
}

static int64_t wall_of(struct life *life) {
    return world_of(life)->ops->wall_ms(world_of(life));
}

/* Running, or about to. */
int life_is_busy(const struct life *life) {
    return life->is_running || life->due != ACTION_NONE;
}

/* ---- when ------------------------------------------------------------------------------------------------------- */

/* Passes over the ticks that are past: what was missed is counted, never caught up on. */
static void pass_missed_ticks(struct life *life) {
    int64_t now = now_of(life), interval = life->spec->interval_ms;
    if (life->next_tick_ms == 0 || life->next_tick_ms > now)
        return;
    int64_t missed = (now - life->next_tick_ms) / interval + 1;
    life->state.skipped_count += missed;
    life->next_tick_ms += missed * interval;
}

static void set_tick_timer(struct life *life) {
    struct run_world *world = world_of(life);
    if (!life->spec || !life->spec->wanted_running || life->state.status != STATUS_RUNNING)
        return;
    int64_t delay = life->next_tick_ms - now_of(life);
    world->ops->timer_set(world, life->timer, delay > 0 ? delay : 0);
}

/* The tick that is due is taken by the run that begins. */
static void take_tick(struct life *life) {
    int64_t now = now_of(life), interval = life->spec->interval_ms;
    if (life->next_tick_ms == 0)
        life->next_tick_ms = now + interval;
    else if (life->next_tick_ms <= now) {
        life->next_tick_ms += interval;
        pass_missed_ticks(life);
    }
}

void life_start_ticks(struct life *life) {
    if (life->is_running || life->next_tick_ms > now_of(life))
        set_tick_timer(life);
    life_settle(life);
    if (life->state.status == STATUS_RUNNING && !life_is_busy(life))
        life_try_run(life);
}

/* ---- begin ------------------------------------------------------------------------------------------------------ */

void life_run_began(struct life *life) {
    struct run_world *world = world_of(life);
    run_result_clear(&life->result);
    life->result.number = life->state.run_count + 1;
    life->result.code_version = life->spec->kind == SOURCE_PYTHON ? life->code_version : 0;
    life->result.started_ms = wall_of(life);
    life->result.pid = life->state.child.pid;
    life->run_began_ms = now_of(life);
    life->serving_request = life->spec->run_request;
    life->is_running = 1;
    life->is_tick_waiting = life->is_timed_out = 0;
    life->is_marked = life->state.open_run > 0;
    take_tick(life);
    int64_t first =
        life->is_marked || life->spec->timeout_ms < OPEN_RUN_MARK_MS ? life->spec->timeout_ms : OPEN_RUN_MARK_MS;
    world->ops->timer_set(world, life->guard, first);
}

static void begin_python(struct life *life) {
    char line[64];
    life_run_began(life);
    int size = snprintf(line, sizeof line, "{\"run\":%lld}\n", (long long)life->result.number);
    if (world_of(life)->ops->send(world_of(life), life->child, line, (size_t)size) < 0)
        world_of(life)->ops->kill_tree(world_of(life), life->child); /* it does not read: its end is the run's end */
}

static void begin_command(struct life *life) {
    life_new_nonce(life);
    life->state.open_run = life->state.run_count + 1;
    life->state.open_run_at = wall_of(life);
    life->due = ACTION_SPAWN;
    life_changed(life);
}

void life_try_run(struct life *life) {
    if (life->state.status != STATUS_RUNNING || !life->spec || life_is_busy(life))
        return;
    if (!life->is_tick_waiting && !life_has_request(life) && life->next_tick_ms > now_of(life)) {
        set_tick_timer(life);
        return;
    }
    if (life->is_in_flight && !life->is_refused) {
        life->is_tick_waiting = 1; /* begins with the answer of the commit */
        return;
    }
    if (life->spec->kind == SOURCE_PYTHON && life->child)
        begin_python(life);
    else if (life->spec->kind == SOURCE_COMMAND && !life->child && !life->is_refused)
        begin_command(life);
    else if (life->is_refused)
        life->is_tick_waiting = 1; /* its nonce cannot be saved; begins when the store takes it */
}

/* ---- end -------------------------------------------------------------------------------------------------------- */

static void write_documents(struct life *life) {
    struct run_result *result = &life->result;
    int is_ok = result->outcome == RUN_OK;
    int is_replaced = life->held_run.size > 0 || (is_ok && life->held_data.size > 0);
    if (is_replaced && !life->is_refused && life->spec && life->spec->save_interval_ms > 0)
        life->state.merged_runs++;
    else if (is_replaced)
        life->state.dropped_runs++;
    buf_clear(&life->held_run);
    run_result_write_run(result, life->name, &life->held_run);
    if (is_ok) {
        buf_clear(&life->held_data);
        run_result_write_data(result, life->name, &life->held_data);
    }
}

static void count_run(struct life *life) {
    struct source_state *state = &life->state;
    const struct run_result *result = &life->result;
    state->run_count = result->number;
    state->open_run = 0;
    state->last_run_at = result->started_ms;
    if (result->outcome == RUN_ERROR || result->outcome == RUN_TIMEOUT) {
        state->error_count++;
        state->consecutive_errors++;
        source_state_set_error(state, result->error, result->ended_ms);
        if (state->consecutive_errors == 1)
            life_log(life, "run %lld: %s", (long long)result->number, result->error);
    } else if (result->outcome != RUN_KILLED) {
        state->consecutive_errors = 0;
    }
    if (result->outcome == RUN_OK)
        state->last_data_at = result->ended_ms;
    if (!(life->owner->is_stopping && result->outcome == RUN_KILLED))
        state->run_request_done = life->serving_request;
}

/* Too large as JSON, whatever it was before: escapes and base64 make it grow. */
static void check_size(struct life *life) {
    struct run_result *result = &life->result;
    if (result->outcome == RUN_OK && life->spec && result->data.size > (size_t)life->spec->data_bytes)
        run_result_set_error(result, RUN_ERROR, "TooLarge: the datum has %zu bytes, and %lld are allowed",
                             result->data.size, (long long)life->spec->data_bytes);
    if (result->outcome == RUN_OK && result->data.failed)
        run_result_set_error(result, RUN_ERROR, "NoMemory: the datum does not fit into memory");
}

static void finish(struct life *life, struct run_printed *printed) {
    struct run_world *world = world_of(life);
    struct run_result *result = &life->result;
    result->ended_ms = wall_of(life);
    result->duration_ms = now_of(life) - life->run_began_ms;
    buf_fini(&result->output);
    result->output = printed->tail;
    buf_init(&printed->tail);
    life->state.dropped_bytes += (int64_t)printed->dropped_bytes;
    check_size(life);
    count_run(life);
    write_documents(life);
    run_result_clear(result);
    life->is_running = 0;
    world->ops->timer_clear(world, life->guard);
    if (life->spec)
        pass_missed_ticks(life);
    set_tick_timer(life);
}

/* The end of a command's process, without a time-out and not asked for. */
static void command_result(struct life *life, const struct run_exit *exit, const struct run_printed *printed) {
    struct run_result *result = &life->result;
    if (exit->signal != 0 || exit->exit_code != 0) {
        const char *what = exit->signal != 0 ? "was ended by signal" : "ended with exit code";
        const char *text = buf_text(&printed->tail);
        size_t bytes = strcspn(text, "\n");
        if (printed->dropped_bytes > 0 && text[0] == '[') /* the marker is not what it said */
            bytes = 0;
        run_result_set_error(result, RUN_ERROR, "the command %s %d%s%.*s", what,
                             exit->signal != 0 ? exit->signal : exit->exit_code, bytes > 0 ? ": " : "",
                             bytes > 500 ? 500 : (int)bytes, text);
    } else if (printed->is_too_large) {
        run_result_set_error(result, RUN_ERROR, "TooLarge: the command wrote more than the %lld bytes allowed",
                             (long long)(life->spec ? life->spec->data_bytes : 0));
    } else if (run_result_from_output(result, buf_text(&printed->datum), printed->datum.size) < 0) {
        run_result_set_error(result, RUN_ERROR, "NoMemory: the datum does not fit into memory");
    }
}

/* With the end of its child; the caller saves. */
void life_run_over(struct life *life, const struct run_exit *exit) {
    struct run_world *world = world_of(life);
    struct run_result *result = &life->result;
    struct run_printed printed;
    run_printed_init(&printed);
    world->ops->take_printed(world, life->child, &printed);
    result->has_exit = 1;
    result->exit_code = exit->exit_code;
    result->signal = exit->signal;
    if (life->is_timed_out)
        run_result_set_error(result, RUN_TIMEOUT, "Timeout: ended after %lld ms, for it may take %lld ms",
                             (long long)(now_of(life) - life->run_began_ms),
                             (long long)(life->spec ? life->spec->timeout_ms : 0));
    else if (life->state.status == STATUS_STOPPING)
        run_result_set_error(result, RUN_KILLED, "the source was stopped during the run");
    else if (result->error[0])
        result->outcome = RUN_ERROR; /* its reply told already */
    else if (life->is_command)
        command_result(life, exit, &printed);
    else
        run_result_set_error(result, RUN_ERROR, "the worker ended during the run, %s %d",
                             exit->signal != 0 ? "by signal" : "with exit code",
                             exit->signal != 0 ? exit->signal : exit->exit_code);
    if (result->outcome == RUN_ERROR && printed.tail.size == 0) { /* some tell their errors on stdout */
        size_t size = printed.datum.size < TAIL_OF_DATUM ? printed.datum.size : TAIL_OF_DATUM;
        buf_add(&printed.tail, buf_text(&printed.datum) + printed.datum.size - size, size);
    }
    finish(life, &printed);
    run_printed_fini(&printed);
}

static void reply_is_wrong(struct life *life, const char *what) {
    struct run_world *world = world_of(life);
    if (life->is_running)
        run_result_set_error(&life->result, RUN_ERROR, "the worker's reply cannot be used: %s", what);
    life_log(life, "the worker's reply cannot be used: %s", what);
    world->ops->kill_tree(world, life->child);
}

void life_on_reply(void *arg, const char *line, size_t bytes) {
    struct life *life = arg;
    struct run_world *world = world_of(life);
    struct hf_error error;
    if (life->is_timed_out || life->result.error[0] || life->state.status != STATUS_RUNNING)
        return; /* its end is under way */
    if (!line || !life->is_running) {
        reply_is_wrong(life, line ? "nothing was asked" : "it is longer than a datum may be");
        return;
    }
    int code = run_result_from_reply(&life->result, line, bytes, &error);
    if (code == HF_ERR_BAD_JSON || code == HF_ERR_TOO_LARGE) { /* a key twice, too deep: the datum's fault */
        run_result_set_error(&life->result, RUN_ERROR, "what fetch_data returned cannot be kept: %s", error.message);
    } else if (code < 0) {
        reply_is_wrong(life, error.message);
        return;
    }
    struct run_printed printed;
    run_printed_init(&printed);
    world->ops->take_printed(world, life->child, &printed);
    life->state.crashes = 0;
    int is_prompt = life->result.outcome == RUN_ERROR || life->state.run_request_done != life->serving_request ||
                    life->is_marked || life->state.consecutive_errors > 0;
    finish(life, &printed);
    run_printed_fini(&printed);
    if (is_prompt)
        life_changed(life);
    else
        life_counted(life);
    life_settle(life);
}

static void run_timed_out(struct life *life) {
    struct run_world *world = world_of(life);
    life->is_timed_out = 1;
    world->ops->timer_set(world, life->guard, KILL_AGAIN_MS);
    if (!life->is_command) {
        life->is_hung = 1;
        life_event(life, EVENT_HUNG);
    } else {
        world->ops->kill_tree(world, life->child);
    }
}

void life_guard_fired(struct life *life) {
    struct run_world *world = world_of(life);
    if (!life->child)
        return;
    if (life->state.status == STATUS_STOPPING || life->is_timed_out) {
        world->ops->kill_tree(world, life->child);
        world->ops->timer_set(world, life->guard, KILL_AGAIN_MS);
    } else if (life->is_running && !life->is_marked && life->spec && life->spec->timeout_ms > OPEN_RUN_MARK_MS) {
        life->is_marked = 1;
        life->state.open_run = life->result.number;
        life->state.open_run_at = life->result.started_ms;
        world->ops->timer_set(world, life->guard, life->spec->timeout_ms - OPEN_RUN_MARK_MS);
        life_changed(life);
    } else if (life->is_running) {
        run_timed_out(life);
    }
}
