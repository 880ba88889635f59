/* The life of one source.
 *
 * Invariants
 *  1. A move is in the store (its commit was acknowledged) before its action is done. Ending a child is the exception
 *     that needs no promise: when the store refuses the commit, it is ended all the same.
 *  2. A child is made only when its nonce is in the store, and asked to run only when its whole identity is.
 *  3. At most one child of a source lives: `child` is set from its spawn until its whole tree is gone, and no spawn
 *     happens while it is set or while one of an earlier daemon may live (`has_left`).
 *  4. At most one commit of a source is under way. It carries the state and, of a finished run, the run and its datum.
 *  5. With a save interval, results of runs that moved nothing and failed at nothing wait for its end, the newest of
 *     them; moves, errors and runs that were asked for are saved at once, and carry with them what waits.
 *  6. What was acknowledged is never taken back; a result that the store refuses is held until a newer one comes, and
 *     then counted in dropped_runs. */
#ifndef HF_RUN_LIFE_H
#define HF_RUN_LIFE_H

#include "run/run_result.h"
#include "run/run_world.h"
#include "run/source_state.h"
#include "run/unsaved.h"

enum { OPEN_RUN_MARK_MS = 1000 }; /* a run that lasts longer is noted in the store before its end */

/* What a life knows of who keeps it. */
struct life_owner {
    struct run_world *world;
    struct hf_store *store; /* is read; written through the world */
    int is_stopping, is_broken;

    /* Told by lives. */
    void (*check_later)(struct life_owner *owner); /* something ended or was saved that may be waited for */
    void (*note_restored)(struct life_owner *owner, const char *name, const char *result, const char *reason);
    void (*store_failed)(struct life_owner *owner, const struct hf_error *error); /* abandons all lives */

    struct unsaved *unsaved; /* lives tell it of results that are not saved yet; may be NULL */
};

struct life {
    struct life_owner *owner;
    char *name;
    struct source_spec *spec; /* NULL: the source was removed */
    struct source_state state;

    struct run_child *child;
    int is_command; /* the child is a run; otherwise it is a worker */
    int has_left;   /* state.child is of an earlier daemon and may live */
    int64_t left_since;
    int64_t code_version; /* that the child runs */
    int is_hung, is_renewing, is_once;

    enum source_action due;  /* waits for the commit of the move */
    struct run_timer *timer; /* tick, back-off, look for what is left: one at a time */
    struct run_timer *guard; /* time-out of the run, of the stop */
    struct run_timer *saver; /* next try of a commit that was refused; end of the save interval */
    int64_t next_tick_ms;    /* monotonic; 0: at once */
    int64_t backoff_ms;

    /* the run under way */
    int is_running, is_tick_waiting, is_timed_out, is_marked;
    int64_t run_began_ms, serving_request;
    struct run_result result;

    /* saving */
    uint64_t revision; /* of the state in the store */
    uint64_t change, saved_change, flight_change;
    uint64_t prompt_change; /* the newest one that does not wait for the save interval */
    struct unsaved_runs unsaved;
    int64_t flight_runs, flight_began_ms; /* of unsaved.runs: under way; wall clock */
    int is_in_flight, is_refused;
    int64_t save_delay_ms;
    struct buf held_run, held_data, flight_run, flight_data;

    int is_undecided;     /* restoring has no result yet */
    uint64_t note_change; /* the change that carries the result */
};

int life_new(struct life_owner *owner, const char *name, struct life **ret_life, struct hf_error *error);
void life_free(struct life **life);

/* life.c: what should be */
int life_is_wanted(const struct life *life);
int life_has_request(const struct life *life);
void life_event(struct life *life, enum source_event event);
/* What came of restoring: restored, skipped, failed; reason may be NULL. Once per life; the caller saves. */
void life_note_restored(struct life *life, const char *result, const char *reason);
void life_log(struct life *life, const char *format, ...) __attribute__((format(printf, 2, 3)));
void life_settle(struct life *life);                                   /* does what is to do now */
void life_set_spec(struct life *life, struct source_spec **take_spec); /* *take_spec NULL: removed */
int life_is_quiet(const struct life *life);                            /* nothing lives, nothing is to be saved */
int life_is_over(const struct life *life);                             /* removed and quiet: can be freed */

/* life_save.c */
void life_changed(struct life *life); /* what the state says is new: saves it as soon as it can be */
/* A run ended and nothing moved: saved with those that follow when the source has a save interval. */
void life_counted(struct life *life);
void life_save(struct life *life); /* tries again */
int life_load(struct life *life, struct hf_error *error);

/* life_child.c */
void life_act(struct life *life); /* the move is in the store: does its action */
void life_new_nonce(struct life *life);
void life_child_gone(struct life *life);
void life_begin(struct life *life); /* after a start of the daemon */
void life_look_for_left(struct life *life);
void life_abandon(struct life *life); /* the store has failed */

/* life_run.c */
void life_run_began(struct life *life);
void life_try_run(struct life *life);
void life_run_over(struct life *life, const struct run_exit *exit);
void life_start_ticks(struct life *life);
void life_on_reply(void *arg, const char *line, size_t bytes);
void life_guard_fired(struct life *life);
int life_is_busy(const struct life *life);

#endif
