/* A store whose calls to the system fail in every way, once and for ever: what the sweeps over the backends share. */
#ifndef HF_FAULT_CALL_SWEEP_H
#define HF_FAULT_CALL_SWEEP_H

#include "sim/sim_disk.h"
#include "store/store.h"

enum { SWEEP_KEYS = 3 };

struct sweep_key {
    const char *kind, *id;
};

struct sweep;

struct sweep_subject {
    const char *url;
    struct sweep_key keys[SWEEP_KEYS]; /* all are in each batch */
    const char *kept_kind;             /* with a history; NULL: none */
    int fill_bytes;                    /* of a document; most: SWEEP_FILL_MOST */
    int deletes;                       /* every third batch deletes the last key */
    int is_told_of_unsupported;        /* EINVAL is an answer of a file system */
    void (*use)(struct sweep *sweep);  /* the store is open; it may be lost on the way: sweep->store is NULL then */
    void (*look_at_end)(struct sweep *sweep); /* may be NULL */
};

enum { SWEEP_FILL_MOST = 6000 };

struct sweep {
    const struct sweep_subject *subject;
    struct sim_disk *disk;
    struct sim_process *process;
    struct os_fault *fault;
    struct hf_store *store;
    struct os_fault_plan plan;
    int64_t acked, begun; /* the number of the newest batch that was acknowledged, and that was handed over */
    int is_gone;          /* the fault was taken away */
    unsigned errors;      /* that the store gave */
    char complaint[700];
};

/* Runs every test and returns what cmocka does. */
int call_sweep_run(const char *name, const struct sweep_subject *subject);

/* ---- for subjects ---- */
void sweep_complain(struct sweep *sweep, const char *format, ...) __attribute__((format(printf, 2, 3)));
void sweep_judge(struct sweep *sweep, const char *step, int code, const struct hf_error *error);
void sweep_take_fault_away(struct sweep *sweep);
void sweep_reopen(struct sweep *sweep);
void sweep_commit(struct sweep *sweep);
/* What was handed over has failed with the code: with the fault gone the same works. */
void sweep_retry(struct sweep *sweep, int code, int64_t number);
struct hf_batch *sweep_batch(const struct sweep *sweep, int64_t number);
int64_t sweep_number_of(struct sweep *sweep, const struct sweep_key *key, const char *when); /* 0: none; -1: failed */
void sweep_look(struct sweep *sweep, const char *when); /* the records of a batch are of one age, and not too old */
void sweep_rest(struct sweep *sweep);                   /* nothing waits: the idle work */

#endif
