/* All sources under supervision. Knows the world only through struct run_world; see life.h for one source. */
#ifndef HF_RUN_FLEET_H
#define HF_RUN_FLEET_H

#include "base/map.h"
#include "run/life.h"

struct fleet {
    struct life_owner owner; /* first: lives are given this */
    struct vec lives;
    struct map by_name;
    uint64_t seen_revision; /* events up to here were looked at */
    int is_unreadable;      /* what changed could not be read the last time */

    struct run_timer *later;    /* reports and ends from outside of any life's calls */
    struct run_timer *deadline; /* of stopping */

    /* restoring */
    size_t undecided;
    size_t noted_lives; /* of the first that many the result is in the store */
    int is_reported;
    struct buf restored, skipped, failed; /* items of the report's arrays */
    void (*on_restored)(void *arg, const char *report_json);
    void *on_restored_arg;

    /* stopping */
    void (*on_stopped)(void *arg);
    void *on_stopped_arg;
    size_t quiet_lives; /* the first that many are quiet */

    void (*on_broken)(void *arg, const struct hf_error *error);
    void *on_broken_arg;
};

int fleet_new(struct hf_store *store, struct run_world *world, struct fleet **ret_fleet, struct hf_error *error);
void fleet_free(struct fleet **fleet); /* ends children that still live, without waiting */

/* Reads what the store says, ends what still lives of an earlier daemon, starts what is wanted. */
int fleet_start(struct fleet *fleet, void (*restored)(void *arg, const char *report_json), void *arg,
                struct hf_error *error);
/* The store changed: makes what is what is wanted. */
void fleet_wake(struct fleet *fleet);
/* Ends all children, saves, then calls stopped; at once when there is nothing to do. */
void fleet_stop(struct fleet *fleet, void (*stopped)(void *arg), void *arg);

void fleet_check_later(struct fleet *fleet); /* looks soon whether what is waited for has come: see later_fired */
void fleet_log(struct fleet *fleet, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* restore.c */
void fleet_note_restored(struct life_owner *owner, const char *name, const char *result, const char *reason);
void fleet_restore_lives(struct fleet *fleet);
void fleet_note_unreadable(struct fleet *fleet, const char *name, const char *reason); /* a source without a life */
void fleet_report_restored(struct fleet *fleet); /* when all is decided and saved, and once */

#endif
