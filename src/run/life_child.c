/* The child of a life: made, ended, gone; and the one that an earlier daemon left. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "run/life.h"

enum { LEFT_LOOK_MS = 20, LEFT_PATIENCE_MS = 5000, LEFT_SLOW_LOOK_MS = 1000, KILL_AGAIN_MS = 1000 };

static struct run_world *world_of(struct life *life) {
    return life->owner->world;
}

/* A name for the child to come; its boot and pid are not known yet. */
void life_new_nonce(struct life *life) {
    uint8_t random[16];
    life->state.child = (struct process_identity){.pid = 0};
    if (world_of(life)->ops->random(world_of(life), random, sizeof random) == 0)
        text_hex(random, sizeof random, life->state.child.nonce);
}

/* The newest code. It may be newer than the source's document that we read: both come in one commit. */
static int read_code(struct life *life, struct hf_record **ret_record, struct buf *ret_code, struct hf_error *error) {
    int code = hf_store_get(life->owner->store, "source_code", life->name, ret_record, error);
    if (code < 0)
        return error_wrap(error, code, "read its code");
    JSON_AUTO struct json_doc doc;
    json_init(&doc);
    struct arena arena;
    arena_init(&arena);
    size_t bytes = 0;
    code = json_read(&doc, (*ret_record)->json, (*ret_record)->json_bytes, NULL, error);
    char *text = code == 0 ? json_to_text(&doc, json_member(&doc, 0, "code"), &arena, &bytes) : NULL;
    if (text) {
        buf_add(ret_code, text, bytes);
        life->code_version = json_member_i64(&doc, 0, "version", 0);
    } else if (code == 0) {
        code = error_set(error, HF_ERR_CORRUPT, "its code cannot be read");
    }
    arena_fini(&arena);
    return code;
}

static void worker_ended(struct life *life, const struct run_exit *exit) {
    struct source_state *state = &life->state;
    char text[96];
    snprintf(text, sizeof text, "the worker ended between runs, %s %d", exit->signal ? "by signal" : "with exit code",
             exit->signal ? exit->signal : exit->exit_code);
    source_state_set_error(state, text, world_of(life)->ops->wall_ms(world_of(life)));
    state->error_count++;
    state->consecutive_errors++;
}

static void child_exited(void *arg, const struct run_exit *exit) {
    struct life *life = arg;
    struct run_world *world = world_of(life);
    if (life->is_running)
        life_run_over(life, exit);
    else if (life->state.status == STATUS_RUNNING)
        worker_ended(life, exit);
    if (exit->tree_left)
        life_log(life, "processes that it began could not be ended");
    world->ops->child_free(world, &life->child);
    life_child_gone(life);
    life->owner->check_later(life->owner);
}

static int make_child(struct life *life, struct process_identity *ret_identity, struct hf_error *error) {
    struct run_world *world = world_of(life);
    BUF_AUTO struct buf code_text;
    buf_init(&code_text);
    struct hf_record *record = NULL;
    int code = 0, is_python = life->spec->kind == SOURCE_PYTHON;
    if (strlen(life->state.child.nonce) != 32)
        return error_set(error, HF_ERR_IO, "no random bytes can be had");
    if (is_python)
        code = read_code(life, &record, &code_text, error);
    struct run_spawn spawn = {.spec = life->spec,
                              .nonce = life->state.child.nonce,
                              .code = is_python ? buf_text(&code_text) : NULL,
                              .code_bytes = code_text.size,
                              .replied = life_on_reply,
                              .exited = child_exited,
                              .arg = life};
    if (code == 0)
        code = world->ops->spawn(world, &spawn, &life->child, ret_identity, error);
    hf_record_free(&record);
    return code;
}

static int can_heal(int code) {
    switch (code) {
    case HF_ERR_EXEC:
    case HF_ERR_NOT_FOUND: /* of the code: somebody removed it */
    case HF_ERR_CORRUPT:
    case HF_ERR_BAD_JSON:
        return 0;
    default:
        return 1;
    }
}

static void spawn_failed(struct life *life, int code, const struct hf_error *error) {
    struct source_state *state = &life->state;
    source_state_set_error(state, error->message, world_of(life)->ops->wall_ms(world_of(life)));
    state->error_count++;
    state->consecutive_errors++;
    state->open_run = 0;
    life_event(life, can_heal(code) ? EVENT_FAIL : EVENT_CANNOT);
}

static void spawn(struct life *life) {
    if (!life_is_wanted(life)) { /* it was changed while the commit was under way */
        life_settle(life);
        return;
    }
    struct process_identity identity = {.pid = 0};
    struct hf_error error;
    int code = make_child(life, &identity, &error);
    if (code < 0) {
        spawn_failed(life, code, &error);
        return;
    }
    memcpy(identity.nonce, life->state.child.nonce, sizeof identity.nonce);
    life->state.child = identity;
    life->is_command = life->spec->kind == SOURCE_COMMAND;
    if (life->is_command) {
        life->state.crashes = 0;
        life_run_began(life); /* the child is the run */
    }
    if (life->state.status == STATUS_STARTING)
        life_event(life, EVENT_READY);
    else
        life_changed(life);
}

static void end_child(struct life *life, int at_once) {
    struct run_world *world = world_of(life);
    if (life->has_left)
        return; /* is seen to */
    if (!life->child) {
        life_child_gone(life);
        return;
    }
    if (at_once || life->spec == NULL || life->spec->stop_timeout_ms == 0)
        world->ops->kill_tree(world, life->child);
    else
        world->ops->terminate(world, life->child);
    world->ops->timer_set(world, life->guard, at_once || !life->spec ? KILL_AGAIN_MS : life->spec->stop_timeout_ms);
}

void life_act(struct life *life) {
    enum source_action action = life->due;
    struct run_world *world = world_of(life);
    life->due = ACTION_NONE;
    if (life->owner->is_broken)
        return;
    switch (action) {
    case ACTION_SPAWN:
        spawn(life);
        break;
    case ACTION_TICK:
        life_start_ticks(life);
        break;
    case ACTION_WAIT:
        world->ops->timer_set(world, life->timer, life->backoff_ms);
        life_settle(life);
        break;
    case ACTION_END:
        end_child(life, 0);
        break;
    case ACTION_KILL:
        end_child(life, 1);
        break;
    case ACTION_NONE:
        break;
    }
}

void life_child_gone(struct life *life) {
    struct run_world *world = world_of(life);
    world->ops->timer_clear(world, life->guard);
    life->state.child = (struct process_identity){.pid = 0};
    if (life->owner->is_broken)
        return;
    int is_hung = life->is_hung;
    life->is_hung = 0;
    if (life->state.status == STATUS_RUNNING) {
        if (life->is_command)
            life_changed(life); /* the end of a run, no more */
        else
            life_event(life, EVENT_BROKE);
    } else if (life->is_once && !life_is_wanted(life) && !life->owner->is_stopping) {
        life_event(life, EVENT_OVER);
    } else if (!life_is_wanted(life)) {
        life_event(life, EVENT_GONE);
    } else {
        life_event(life, is_hung ? EVENT_BROKE : EVENT_AGAIN);
    }
    life_settle(life);
}

/* ---- what an earlier daemon left -------------------------------------------------------------------------------- */

static void interrupted(struct life *life) {
    struct source_state *state = &life->state;
    struct run_result result;
    run_result_init(&result);
    result.number = state->open_run;
    result.started_ms = state->open_run_at;
    result.pid = state->child.pid;
    result.code_version = life->spec ? life->spec->code_version : 0;
    run_result_set_error(&result, RUN_INTERRUPTED, "the daemon ended during the run");
    buf_clear(&life->held_run);
    run_result_write_run(&result, life->name, &life->held_run);
    run_result_fini(&result);
    state->run_count = state->open_run;
    state->last_run_at = state->open_run_at;
    state->open_run = 0;
}

void life_look_for_left(struct life *life) {
    struct run_world *world = world_of(life);
    if (!life->has_left)
        return;
    enum process_match match = world->ops->end_left(world, &life->state.child);
    if (match == PROCESS_GONE || match == PROCESS_OTHER) {
        life->has_left = 0;
        if (life->state.open_run > 0)
            interrupted(life);
        life_child_gone(life);
        life->owner->check_later(life->owner);
        return;
    }
    int64_t waited = world->ops->now_ms(world) - life->left_since;
    if (waited > LEFT_PATIENCE_MS && life->is_undecided) {
        char reason[160];
        snprintf(reason, sizeof reason, "the child of an earlier daemon, pid %d, %s", (int)life->state.child.pid,
                 match == PROCESS_UNKNOWN ? "cannot be told from others" : "cannot be ended");
        source_state_set_error(&life->state, reason, world->ops->wall_ms(world));
        life_note_restored(life, "failed", reason);
        life_changed(life);
    }
    world->ops->timer_set(world, life->timer, waited > LEFT_PATIENCE_MS ? LEFT_SLOW_LOOK_MS : LEFT_LOOK_MS);
}

void life_begin(struct life *life) {
    enum source_status status = life->state.status;
    life->next_tick_ms = 0;
    if (status == STATUS_STARTING || state_has_child(status)) {
        life->state.status = STATUS_STOPPING; /* whatever it was: the old child ends, then the table goes on */
        life->has_left = 1;
        life->left_since = world_of(life)->ops->now_ms(world_of(life));
        life_look_for_left(life);
    } else if (status == STATUS_BACKOFF && life_is_wanted(life)) {
        life_event(life, EVENT_RETRY);
    } else if (status == STATUS_FATAL && life_is_wanted(life)) {
        life_event(life, EVENT_WANT); /* the machine may have changed */
    } else {
        life_settle(life);
    }
    if (life->is_undecided && !life_is_wanted(life) && !life->has_left) {
        life_note_restored(life, "skipped", "it is not wanted running");
        life_changed(life);
    }
}

void life_abandon(struct life *life) {
    struct run_world *world = world_of(life);
    struct run_timer *timers[] = {life->timer, life->guard, life->saver};
    for (int i = 0; i < 3; i++)
        world->ops->timer_clear(world, timers[i]);
    life->due = ACTION_NONE;
    if (life->child)
        world->ops->kill_tree(world, life->child);
}
