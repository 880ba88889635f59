#include "run/life.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

static struct run_world *world_of(struct life *life) {
    return life->owner->world;
}

static void timer_fired(void *arg) {
    struct life *life = arg;
    switch (life->state.status) {
    case STATUS_RUNNING:
        life_try_run(life);
        break;
    case STATUS_BACKOFF:
        if (life_is_wanted(life))
            life_event(life, EVENT_RETRY);
        break;
    case STATUS_STOPPING:
        life_look_for_left(life);
        break;
    default:
        break;
    }
}

static void guard_fired(void *arg) {
    life_guard_fired(arg);
}

static void saver_fired(void *arg) {
    life_save(arg);
}

int life_new(struct life_owner *owner, const char *name, struct life **ret_life, struct hf_error *error) {
    struct life *life = MEM_NEW(struct life);
    if (!life)
        return error_set(error, HF_ERR_NO_MEMORY, "supervise source '%s'", name);
    life->owner = owner;
    source_state_init(&life->state);
    run_result_init(&life->result);
    life->name = mem_strdup(name);
    const struct run_world_ops *ops = owner->world->ops;
    if (!life->name || ops->timer_new(owner->world, timer_fired, life, &life->timer) < 0 ||
        ops->timer_new(owner->world, guard_fired, life, &life->guard) < 0 ||
        ops->timer_new(owner->world, saver_fired, life, &life->saver) < 0) {
        life_free(&life);
        return error_set(error, HF_ERR_NO_MEMORY, "supervise source '%s'", name);
    }
    *ret_life = life;
    return 0;
}

void life_free(struct life **address) {
    struct life *life = *address;
    if (!life)
        return;
    struct run_world *world = world_of(life);
    if (life->child)
        world->ops->child_free(world, &life->child);
    struct run_timer **timers[] = {&life->timer, &life->guard, &life->saver};
    for (int i = 0; i < 3; i++) {
        if (*timers[i])
            world->ops->timer_free(world, timers[i]);
    }
    struct buf *bufs[] = {&life->held_run, &life->held_data, &life->flight_run, &life->flight_data};
    for (int i = 0; i < 4; i++)
        buf_fini(bufs[i]);
    run_result_fini(&life->result);
    source_spec_free(&life->spec);
    mem_free(life->name);
    mem_free(life);
    *address = NULL;
}

void life_log(struct life *life, const char *format, ...) {
    char what[2560], line[3072];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    snprintf(line, sizeof line, "source '%s': %s", life->name, what);
    world_of(life)->ops->log(world_of(life), line);
}

void life_note_restored(struct life *life, const char *result, const char *reason) {
    struct source_state *state = &life->state;
    life->is_undecided = 0;
    life->note_change = life->change + 1; /* the caller's */
    snprintf(state->restore_result, sizeof state->restore_result, "%s", result);
    snprintf(state->restore_reason, sizeof state->restore_reason, "%s", reason ? reason : "");
    state->restore_at = world_of(life)->ops->wall_ms(world_of(life));
    life_log(life, "%s%s%s", result, reason ? ": " : "", reason ? reason : "");
    life->owner->note_restored(life->owner, life->name, result, reason);
}

int life_has_request(const struct life *life) {
    return life->spec && life->spec->run_request > life->state.run_request_done &&
           life->spec->run_request > life->spec->run_cancelled;
}

int life_is_wanted(const struct life *life) {
    if (!life->spec || life->owner->is_stopping || life->owner->is_broken)
        return 0;
    return life->spec->wanted_running || life_has_request(life);
}

/* Doubles with every failure in a row, up to the ceiling; a quarter of it is chance, so that many do not come at once.
 */
static int64_t backoff_delay(struct life *life) {
    int64_t low = life->spec ? life->spec->backoff_min_ms : 1000;
    int64_t high = life->spec ? life->spec->backoff_max_ms : 60000;
    int64_t delay = low;
    for (int64_t i = 1; i < life->state.crashes && delay < high; i++)
        delay *= 2;
    if (delay > high)
        delay = high;
    uint16_t chance = 0;
    (void)world_of(life)->ops->random(world_of(life), &chance, sizeof chance);
    return delay - delay / 4 * chance / UINT16_MAX;
}

static void enter(struct life *life, enum source_event event) {
    struct source_state *state = &life->state;
    switch (state->status) {
    case STATUS_STARTING:
        life_new_nonce(life);
        life->is_hung = life->is_renewing = life->is_tick_waiting = 0;
        life->is_once = !life->spec->wanted_running;
        if (life->spec->kind == SOURCE_COMMAND) { /* its child is a run */
            state->open_run = state->run_count + 1;
            state->open_run_at = world_of(life)->ops->wall_ms(world_of(life));
        }
        if (event == EVENT_RETRY || event == EVENT_AGAIN)
            state->restarts++;
        else
            life->next_tick_ms = 0;
        break;
    case STATUS_RUNNING:
        state->started_at = world_of(life)->ops->wall_ms(world_of(life));
        break;
    case STATUS_BACKOFF:
        state->crashes++;
        life->backoff_ms = backoff_delay(life);
        state->retry_at = world_of(life)->ops->wall_ms(world_of(life)) + life->backoff_ms;
        break;
    case STATUS_FATAL:
    case STATUS_STOPPED:
    case STATUS_EXITED:
        state->crashes = 0;
        state->open_run = 0;
        break;
    default:
        break;
    }
    if (!state_has_child(state->status) && state->status != STATUS_STARTING)
        state->child = (struct process_identity){.pid = 0};
    if (state->status != STATUS_BACKOFF)
        state->retry_at = 0;
}

/* A failed single run was served: it is not wanted any more. */
static void drop_request(struct life *life) {
    if (life->spec && !life->spec->wanted_running)
        life->state.run_request_done = life->spec->run_request;
}

/* The first move of a life tells what came of restoring it. */
static void note_restored(struct life *life) {
    switch (life->state.status) {
    case STATUS_RUNNING:
        life_note_restored(life, "restored", NULL);
        break;
    case STATUS_BACKOFF:
    case STATUS_FATAL:
        life_note_restored(life, "failed", life->state.last_error);
        break;
    case STATUS_STOPPED:
    case STATUS_EXITED:
        life_note_restored(life, "skipped", "it is not wanted running");
        break;
    default:
        break;
    }
}

void life_event(struct life *life, enum source_event event) {
    struct state_move move = state_next(life->state.status, event);
    if (!move.is_legal)
        return;
    world_of(life)->ops->timer_clear(world_of(life), life->timer);
    life->state.status = move.next;
    life->due = move.action;
    enter(life, event);
    if (event == EVENT_FAIL || event == EVENT_CANNOT)
        drop_request(life);
    int is_bad = move.next == STATUS_BACKOFF || move.next == STATUS_FATAL;
    life_log(life, "%s%s%s", state_name(move.next), is_bad ? ": " : "", is_bad ? life->state.last_error : "");
    if (life->is_undecided)
        note_restored(life);
    life_changed(life);
}

static void settle_running(struct life *life) {
    if (!life_is_wanted(life)) {
        life_event(life, EVENT_UNWANT);
        return;
    }
    life->is_once = !life->spec->wanted_running;
    if (life->is_renewing && !life_is_busy(life))
        life_event(life, EVENT_RENEW);
    else if (life->is_tick_waiting || life_has_request(life))
        life_try_run(life);
}

void life_settle(struct life *life) {
    if (life->owner->is_broken)
        return;
    switch (life->state.status) {
    case STATUS_STOPPED:
    case STATUS_EXITED:
        if (life_is_wanted(life))
            life_event(life, EVENT_WANT);
        break;
    case STATUS_STARTING:
        if (!life_is_wanted(life))
            life_event(life, EVENT_UNWANT);
        break;
    case STATUS_BACKOFF:
    case STATUS_FATAL: /* kept when the daemon ends: it says why nothing ran */
        if (!life_is_wanted(life) && !life->owner->is_stopping)
            life_event(life, EVENT_UNWANT);
        break;
    case STATUS_RUNNING:
        settle_running(life);
        break;
    default:
        break;
    }
}

/* What the edit means for what runs. */
static void take_edit(struct life *life, const struct source_spec *old) {
    const struct source_spec *spec = life->spec;
    enum source_status status = life->state.status;
    int is_other = !source_spec_same_child(old, spec) || spec->code_version != life->code_version;
    if (spec->kind == SOURCE_PYTHON && status == STATUS_RUNNING && is_other)
        life->is_renewing = 1;
    if (old->interval_ms != spec->interval_ms) {
        life->next_tick_ms = 0;
        life->is_tick_waiting = 1;
    }
    if (status == STATUS_FATAL || status == STATUS_BACKOFF) {
        int is_asked = spec->start_request != old->start_request || spec->run_request != old->run_request;
        if (life_is_wanted(life) && (is_asked || (!old->wanted_running && spec->wanted_running)))
            life_event(life, EVENT_WANT);
        else if (life_is_wanted(life) && (is_other || old->updated_ms != spec->updated_ms))
            life_event(life, EVENT_RENEW);
    }
}

void life_set_spec(struct life *life, struct source_spec **take_spec) {
    struct source_spec *old = life->spec;
    life->spec = *take_spec;
    *take_spec = NULL;
    if (old && life->spec)
        take_edit(life, old);
    source_spec_free(&old);
    life_settle(life);
}

int life_is_quiet(const struct life *life) {
    int is_saved = life->saved_change == life->change || life->is_refused;
    if (life->child || life->has_left || life->is_in_flight)
        return 0;
    return life->owner->is_broken || (is_saved && !state_has_child(life->state.status));
}

int life_is_over(const struct life *life) {
    return !life->spec && !life->child && !life->has_left && !life->is_in_flight &&
           !state_has_child(life->state.status) && life->state.status != STATUS_STARTING;
}
