/* The states of a source and the moves between them, as a table. */
#ifndef HF_RUN_STATES_H
#define HF_RUN_STATES_H

enum source_status {
    STATUS_STOPPED,  /* nothing runs, nothing is wanted */
    STATUS_STARTING, /* a child is about to be made; its nonce is in the store */
    STATUS_RUNNING,  /* active: waits for its next tick, or runs */
    STATUS_BACKOFF,  /* the child ended by itself or could not be made; tried again after a while */
    STATUS_STOPPING, /* the child was asked to end */
    STATUS_EXITED,   /* the one run that was asked for is over */
    STATUS_FATAL,    /* cannot heal by itself; an edit or a start leaves it */
    STATUS_COUNT,
};

enum source_event {
    EVENT_WANT,   /* it is wanted running, or one run is asked for */
    EVENT_UNWANT, /* neither any more */
    EVENT_RENEW,  /* what runs was edited: begin anew */
    EVENT_HUNG,   /* the run took longer than allowed */
    EVENT_READY,  /* the child is there */
    EVENT_FAIL,   /* the child could not be made; may heal */
    EVENT_CANNOT, /* the child cannot be made; cannot heal */
    EVENT_GONE,   /* the child is gone, as wanted */
    EVENT_AGAIN,  /* the child is gone, and is wanted again */
    EVENT_OVER,   /* the child is gone after the one run asked for */
    EVENT_BROKE,  /* the child is gone, and should not be */
    EVENT_RETRY,  /* the back-off is over */
    EVENT_COUNT,
};

/* What is done once the move is in the store. */
enum source_action {
    ACTION_NONE,
    ACTION_SPAWN, /* make the child */
    ACTION_TICK,  /* begin to run on the interval */
    ACTION_WAIT,  /* set the back-off timer */
    ACTION_END,   /* SIGTERM to the group, later SIGKILL to the tree */
    ACTION_KILL,  /* SIGKILL to the tree */
};

struct state_move {
    int is_legal;
    enum source_status next;
    enum source_action action;
};

struct state_move state_next(enum source_status status, enum source_event event);
const char *state_name(enum source_status status);
int state_from_name(const char *name, enum source_status *ret_status); /* -1 when it is none */
const char *state_event_name(enum source_event event);

/* 1 when a child may live in this state. */
int state_has_child(enum source_status status);

/* NULL, or what is wrong with the table: a state that cannot be reached or cannot be left, a spawn outside STARTING,
 * a way to two children. */
const char *state_table_problem(void);

#endif
