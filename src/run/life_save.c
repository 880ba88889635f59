/* Saving a life: one commit at a time, with the newest state and the results that wait. See the invariants in life.h.
 */
#include <string.h>

#include "base/json.h"
#include "run/life.h"

enum { SAVE_DELAY_MIN_MS = 1000, SAVE_DELAY_MAX_MS = 60000 };

static void move_buf(struct buf *to, struct buf *from) {
    buf_fini(to);
    *to = *from;
    buf_init(from);
}

static int put(struct hf_batch *batch, const char *kind, const struct life *life, const struct buf *json,
               const struct hf_change_options *options, struct hf_error *error) {
    if (json->failed)
        return error_set(error, HF_ERR_NO_MEMORY, "save source '%s': memory is used up", life->name);
    return hf_batch_put(batch, kind, life->name, json->data, json->size, options, error);
}

/* The state comes first: the commit's result then tells its revision. */
static int make_batch(struct life *life, struct hf_batch **ret_batch, struct hf_error *error) {
    BUF_AUTO struct buf json;
    buf_init(&json);
    struct json_writer writer;
    json_writer_init(&writer, &json, 0);
    json_begin_object(&writer);
    json_put_string(&writer, "name", life->name);
    source_state_write(&life->state, &writer);
    json_end_object(&writer);
    struct hf_batch *batch = NULL;
    struct hf_change_options options = {.condition = HF_IF_REVISION, .if_revision = life->revision};
    int code = hf_batch_new("supervisor", &batch, error);
    if (code == 0)
        code = put(batch, "source_state", life, &json, &options, error);
    if (code == 0 && life->held_run.size > 0)
        code = put(batch, "source_run", life, &life->held_run, NULL, error);
    if (code == 0 && life->held_data.size > 0)
        code = put(batch, "source_data", life, &life->held_data, NULL, error);
    if (code < 0) {
        hf_batch_free(&batch);
        return code;
    }
    *ret_batch = batch;
    return 0;
}

/* What was under way is held again, unless something newer waits already. */
static void take_back(struct life *life) {
    int is_dropped = (life->held_run.size > 0 && life->flight_run.size > 0) ||
                     (life->held_data.size > 0 && life->flight_data.size > 0);
    if (is_dropped) {
        life->state.dropped_runs++;
        life->change++;
    }
    if (life->held_run.size == 0)
        move_buf(&life->held_run, &life->flight_run);
    if (life->held_data.size == 0)
        move_buf(&life->held_data, &life->flight_data);
    buf_fini(&life->flight_run);
    buf_fini(&life->flight_data);
}

static void refused(struct life *life, const struct hf_error *error) {
    struct run_world *world = life->owner->world;
    take_back(life);
    if (!life->is_refused)
        life_log(life, "its state cannot be saved, trying again: %s", error->message);
    life->is_refused = 1;
    life->save_delay_ms *= 2;
    if (life->save_delay_ms < SAVE_DELAY_MIN_MS)
        life->save_delay_ms = SAVE_DELAY_MIN_MS;
    if (life->save_delay_ms > SAVE_DELAY_MAX_MS)
        life->save_delay_ms = SAVE_DELAY_MAX_MS;
    world->ops->timer_set(world, life->saver, life->save_delay_ms);
    if (life->is_undecided)
        life_note_restored(life, "failed", error->message);
    if (life->due == ACTION_END || life->due == ACTION_KILL)
        life_act(life); /* ending promises nothing */
    else
        life_settle(life);
}

/* The datum cannot be stored: too large or too deep as a document. The run becomes an error. */
static void drop_data(struct life *life, const struct hf_error *error) {
    struct run_world *world = life->owner->world;
    if (life->flight_data.size == 0) {
        refused(life, error);
        return;
    }
    life->is_refused = 0;
    buf_fini(&life->flight_data);
    buf_fini(&life->flight_run);
    life->state.dropped_runs++;
    life->state.error_count++;
    life->state.consecutive_errors++;
    source_state_set_error(&life->state, error->message, world->ops->wall_ms(world));
    life_changed(life);
}

/* Who asks for a source is told how much of it is not on disk. */
static void tell_unsaved(struct life *life) {
    if (life->owner->unsaved)
        unsaved_set(life->owner->unsaved, life->name, &life->unsaved);
}

static void wait_for_interval(struct life *life) {
    struct run_world *world = life->owner->world;
    world->ops->timer_set(world, life->saver, life->spec ? life->spec->save_interval_ms : 0);
}

/* Reads the state from the store. With a child of our own only the revision is taken: what we know is newer. */
int life_load(struct life *life, struct hf_error *error) {
    struct hf_record *record = NULL;
    int code = hf_store_get(life->owner->store, "source_state", life->name, &record, error);
    if (code < 0)
        return code;
    struct source_state state;
    code = source_state_read(life->name, record->json, record->json_bytes, &state, error);
    if (code == 0) {
        life->revision = record->revision;
        if (!life->child && !life->has_left) {
            life->state = state;
            life->due = ACTION_NONE;
        }
    }
    hf_record_free(&record);
    return code;
}

/* Somebody else changed the state: the source was removed, and perhaps made again. */
static void reload(struct life *life) {
    take_back(life);
    life->is_refused = 0; /* the store works */
    struct hf_error error;
    int code = life_load(life, &error);
    if (code == 0) {
        life_changed(life);
        return;
    }
    if (code != HF_ERR_NOT_FOUND)
        life_log(life, "%s", error.message);
    buf_fini(&life->held_run);
    buf_fini(&life->held_data);
    life->saved_change = life->change; /* there is nothing to save it to */
    life->unsaved = (struct unsaved_runs){0};
    tell_unsaved(life);
    if (life->due == ACTION_END || life->due == ACTION_KILL) {
        life_act(life);
    } else if (!life->child && !life->has_left) {
        life->due = ACTION_NONE;
        source_state_init(&life->state);
    }
}

static void saved(struct life *life, uint64_t revision) {
    life->revision = revision;
    life->saved_change = life->flight_change;
    life->unsaved.runs -= life->flight_runs;
    life->unsaved.since_ms = life->unsaved.runs > 0 ? life->flight_began_ms : 0;
    tell_unsaved(life);
    life->is_refused = 0;
    life->save_delay_ms = 0;
    buf_fini(&life->flight_run);
    buf_fini(&life->flight_data);
    if (life->saved_change < life->prompt_change) {
        life_save(life);
        return;
    }
    if (life->saved_change != life->change)
        wait_for_interval(life);
    if (life->due != ACTION_NONE)
        life_act(life);
    else
        life_settle(life);
}

static void commit_done(void *arg, int code, uint64_t revision, const struct hf_error *error) {
    struct life *life = arg;
    life->is_in_flight = 0;
    switch (code) {
    case 0:
        saved(life, revision);
        break;
    case HF_ERR_NO_SPACE:
    case HF_ERR_QUOTA:
    case HF_ERR_READ_ONLY:
    case HF_ERR_NO_MEMORY:
    case HF_ERR_CANCELLED:
        refused(life, error);
        break;
    case HF_ERR_PRECONDITION:
    case HF_ERR_NOT_FOUND:
        reload(life);
        break;
    case HF_ERR_BAD_JSON:
    case HF_ERR_TOO_LARGE:
        drop_data(life, error);
        break;
    default:
        life->owner->store_failed(life->owner, error);
        break;
    }
    life->owner->check_later(life->owner);
}

static void begin_flight(struct life *life) {
    struct hf_batch *batch = NULL;
    struct hf_error error;
    if (make_batch(life, &batch, &error) < 0) {
        refused(life, &error);
        return;
    }
    move_buf(&life->flight_run, &life->held_run);
    move_buf(&life->flight_data, &life->held_data);
    struct run_world *world = life->owner->world;
    life->flight_change = life->change;
    life->flight_runs = life->unsaved.runs;
    life->flight_began_ms = world->ops->wall_ms(world);
    life->is_in_flight = 1;
    world->ops->timer_clear(world, life->saver);
    world->ops->commit(world, &batch, commit_done, life);
}

void life_save(struct life *life) {
    if (!life->is_in_flight && !life->owner->is_broken && life->change != life->saved_change)
        begin_flight(life);
}

void life_counted(struct life *life) {
    struct run_world *world = life->owner->world;
    if (!life->spec || life->spec->save_interval_ms == 0 || life->owner->is_stopping || life->is_undecided) {
        life_changed(life);
        return;
    }
    life->change++;
    if (life->unsaved.runs++ == 0)
        life->unsaved.since_ms = world->ops->wall_ms(world);
    tell_unsaved(life);
    if (life->unsaved.runs == 1 && !life->is_in_flight && !life->is_refused)
        wait_for_interval(life);
}

void life_changed(struct life *life) {
    life->prompt_change = ++life->change;
    if (!life->is_refused)
        life_save(life);
    else if (life->due == ACTION_END || life->due == ACTION_KILL)
        life_act(life);
}
