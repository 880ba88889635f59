#include "run/fleet.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { STOP_PATIENCE_MS = 5000 }; /* beyond the longest stop_timeout */

static void later_fired(void *arg);
static void deadline_fired(void *arg);
static void check_later(struct life_owner *owner);
static void break_all(struct life_owner *owner, const struct hf_error *error);

int fleet_new(struct hf_store *store, struct run_world *world, struct fleet **ret_fleet, struct hf_error *error) {
    struct fleet *fleet = MEM_NEW(struct fleet);
    if (!fleet)
        return error_set(error, HF_ERR_NO_MEMORY, "supervise sources");
    fleet->owner = (struct life_owner){.world = world,
                                       .store = store,
                                       .check_later = check_later,
                                       .note_restored = fleet_note_restored,
                                       .store_failed = break_all};
    vec_init(&fleet->lives);
    map_init(&fleet->by_name);
    fleet->owner.unsaved = unsaved_new();
    if (!fleet->owner.unsaved || world->ops->timer_new(world, later_fired, fleet, &fleet->later) < 0 ||
        world->ops->timer_new(world, deadline_fired, fleet, &fleet->deadline) < 0) {
        fleet_free(&fleet);
        return error_set(error, HF_ERR_NO_MEMORY, "supervise sources");
    }
    *ret_fleet = fleet;
    return 0;
}

void fleet_free(struct fleet **address) {
    struct fleet *fleet = *address;
    if (!fleet)
        return;
    for (size_t i = 0; i < fleet->lives.count; i++) {
        struct life *life = fleet->lives.items[i];
        life_free(&life);
    }
    struct run_timer **timers[] = {&fleet->later, &fleet->deadline};
    for (int i = 0; i < 2; i++) {
        if (*timers[i])
            fleet->owner.world->ops->timer_free(fleet->owner.world, timers[i]);
    }
    vec_fini(&fleet->lives);
    map_fini(&fleet->by_name);
    unsaved_free(&fleet->owner.unsaved);
    buf_fini(&fleet->restored);
    buf_fini(&fleet->skipped);
    buf_fini(&fleet->failed);
    mem_free(fleet);
    *address = NULL;
}

void fleet_log(struct fleet *fleet, const char *format, ...) {
    char line[3072];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    fleet->owner.world->ops->log(fleet->owner.world, line);
}

/* ---- what the store says ---------------------------------------------------------------------------------------- */

static struct life *find_life(struct fleet *fleet, const char *name) {
    return map_get(&fleet->by_name, name, strlen(name));
}

static int add_life(struct fleet *fleet, const char *name, struct life **ret_life, struct hf_error *error) {
    struct life *life = NULL;
    int code = life_new(&fleet->owner, name, &life, error);
    if (code < 0)
        return code;
    if (map_set(&fleet->by_name, name, strlen(name), life, NULL) < 0) {
        life_free(&life);
        return error_set(error, HF_ERR_NO_MEMORY, "supervise source '%s'", name);
    }
    if (vec_push(&fleet->lives, life) < 0) {
        map_remove(&fleet->by_name, name, strlen(name));
        life_free(&life);
        return error_set(error, HF_ERR_NO_MEMORY, "supervise source '%s'", name);
    }
    *ret_life = life;
    return 0;
}

static int read_spec(struct fleet *fleet, const char *name, struct source_spec **ret_spec, struct hf_error *error) {
    struct hf_record *record = NULL;
    int code = hf_store_get(fleet->owner.store, "source", name, &record, error);
    if (code == 0)
        code = source_spec_read(name, record->json, record->json_bytes, ret_spec, error);
    hf_record_free(&record);
    return code;
}

/* Makes the life of a source what its document says; the document may be new, changed or gone. */
static void reconcile(struct fleet *fleet, const char *name) {
    struct hf_error error;
    struct source_spec *spec = NULL;
    struct life *life = find_life(fleet, name);
    int code = read_spec(fleet, name, &spec, &error);
    int is_new = code == 0 && (!life || !life->spec || life->spec->created_ms != spec->created_ms);
    if (code == 0 && !life)
        code = add_life(fleet, name, &life, &error);
    if (code == 0 && is_new && !life->is_in_flight)
        code = life_load(life, &error);
    if (code < 0 && code != HF_ERR_NOT_FOUND) { /* as it was, until it can be read */
        fleet_log(fleet, "source '%s': %s", name, error.message);
        fleet_note_unreadable(fleet, name, error.message);
        source_spec_free(&spec);
    } else if (life) {
        life_set_spec(life, &spec);
    }
}

static int collect_name(void *arg, const char *name) {
    char *copy = mem_strdup(name);
    if (copy && vec_push(arg, copy) == 0)
        return 0;
    mem_free(copy);
    return HF_ERR_NO_MEMORY;
}

static int collect_record(void *arg, const struct hf_record *record, int code) {
    (void)code; /* a damaged one is reported when it is read */
    return collect_name(arg, record->id);
}

struct event_walk {
    struct vec *names;
    uint64_t revision;
};

static int collect_event(void *arg, const struct hf_event *event) {
    struct event_walk *walk = arg;
    if (strcmp(event->kind, "source") == 0) {
        int code = collect_name(walk->names, event->id);
        if (code < 0)
            return code;
    }
    walk->revision = event->revision;
    return 0;
}

/* Names of all sources that are, or were under supervision. */
static int collect_all(struct fleet *fleet, struct vec *names, struct hf_error *error) {
    fleet->seen_revision = hf_store_revision(fleet->owner.store);
    int code = hf_store_scan(fleet->owner.store, "source", NULL, 0, collect_record, names, error);
    for (size_t i = 0; code == 0 && i < fleet->lives.count; i++)
        code = collect_name(names, ((struct life *)fleet->lives.items[i])->name);
    return code;
}

static int collect_changed(struct fleet *fleet, struct vec *names, struct hf_error *error) {
    struct event_walk walk = {names, fleet->seen_revision};
    int code = hf_store_events(fleet->owner.store, fleet->seen_revision, 0, collect_event, &walk, error);
    if (code == HF_ERR_COMPACTED)
        return collect_all(fleet, names, error);
    fleet->seen_revision = walk.revision;
    return code;
}

static void free_names(struct vec *names) {
    for (size_t i = 0; i < names->count; i++)
        mem_free(names->items[i]);
    vec_fini(names);
}

/* Forgets sources that were removed, and whose end is complete. */
static void sweep(struct fleet *fleet) {
    for (size_t i = fleet->lives.count; i-- > 0;) {
        struct life *life = fleet->lives.items[i];
        if (!life_is_over(life))
            continue;
        map_remove(&fleet->by_name, life->name, strlen(life->name));
        vec_remove(&fleet->lives, i);
        life_free(&life);
    }
}

void fleet_wake(struct fleet *fleet) {
    if (fleet->owner.is_broken || fleet->owner.is_stopping)
        return;
    struct vec names;
    vec_init(&names);
    struct hf_error error;
    int is_unreadable = collect_changed(fleet, &names, &error) < 0;
    if (is_unreadable && !fleet->is_unreadable) /* once: each change comes here */
        fleet_log(fleet, "read what changed: %s", error.message);
    fleet->is_unreadable = is_unreadable;
    for (size_t i = 0; i < names.count; i++)
        reconcile(fleet, names.items[i]);
    if (names.count > 0)
        sweep(fleet);
    free_names(&names);
}

/* At the start: only reads; what is to be done is decided when all are there. */
static void load_source(struct fleet *fleet, const char *name) {
    struct hf_error error;
    struct source_spec *spec = NULL;
    struct life *life = NULL;
    int code = read_spec(fleet, name, &spec, &error);
    if (code == 0)
        code = add_life(fleet, name, &life, &error);
    if (code == 0) {
        life->spec = spec;
        code = life_load(life, &error);
        if (code < 0) { /* without its state nobody knows what lives: it is not begun */
            map_remove(&fleet->by_name, name, strlen(name));
            vec_remove(&fleet->lives, fleet->lives.count - 1);
            life_free(&life);
        }
    } else {
        source_spec_free(&spec);
    }
    if (code < 0)
        fleet_note_unreadable(fleet, name, error.message);
}

int fleet_start(struct fleet *fleet, void (*restored)(void *arg, const char *report_json), void *arg,
                struct hf_error *error) {
    fleet->on_restored = restored;
    fleet->on_restored_arg = arg;
    struct vec names;
    vec_init(&names);
    int code = collect_all(fleet, &names, error);
    for (size_t i = 0; code == 0 && i < names.count; i++)
        load_source(fleet, names.items[i]);
    free_names(&names);
    if (code == 0)
        fleet_restore_lives(fleet);
    return code;
}

/* ---- the end ---------------------------------------------------------------------------------------------------- */

void fleet_check_later(struct fleet *fleet) {
    if (!fleet->is_reported || fleet->owner.is_stopping)
        fleet->owner.world->ops->timer_set(fleet->owner.world, fleet->later, 0);
}

static void check_later(struct life_owner *owner) {
    fleet_check_later((struct fleet *)owner);
}

static void stopped(struct fleet *fleet) {
    void (*done)(void *arg) = fleet->on_stopped;
    fleet->on_stopped = NULL;
    fleet->owner.world->ops->timer_clear(fleet->owner.world, fleet->deadline);
    if (done)
        done(fleet->on_stopped_arg);
}

static void later_fired(void *arg) {
    struct fleet *fleet = arg;
    if (!fleet->owner.is_stopping) {
        fleet_report_restored(fleet);
        return;
    }
    while (fleet->quiet_lives < fleet->lives.count && life_is_quiet(fleet->lives.items[fleet->quiet_lives]))
        fleet->quiet_lives++;
    if (fleet->quiet_lives == fleet->lives.count)
        stopped(fleet);
}

static void deadline_fired(void *arg) {
    struct fleet *fleet = arg;
    fleet_log(fleet, "some sources did not end in time");
    stopped(fleet);
}

void fleet_stop(struct fleet *fleet, void (*done)(void *arg), void *arg) {
    int64_t longest = 0;
    fleet->owner.is_stopping = 1;
    fleet->on_stopped = done;
    fleet->on_stopped_arg = arg;
    for (size_t i = 0; i < fleet->lives.count; i++) {
        struct life *life = fleet->lives.items[i];
        if (life->spec && life->spec->stop_timeout_ms > longest)
            longest = life->spec->stop_timeout_ms;
        life_settle(life);
    }
    fleet->owner.world->ops->timer_set(fleet->owner.world, fleet->deadline, longest + STOP_PATIENCE_MS);
    fleet_check_later(fleet);
}

static void break_all(struct life_owner *owner, const struct hf_error *error) {
    struct fleet *fleet = (struct fleet *)owner;
    if (fleet->owner.is_broken)
        return;
    fleet->owner.is_broken = 1;
    fleet_log(fleet, "the store has failed, all sources are ended: %s", error->message);
    for (size_t i = 0; i < fleet->lives.count; i++)
        life_abandon(fleet->lives.items[i]);
    if (fleet->on_broken)
        fleet->on_broken(fleet->on_broken_arg, error);
}
