#include "run/states.h"

#include <string.h>

#define MOVE(next, action)                                                                                             \
    { 1, STATUS_##next, ACTION_##action }

/* Empty places are moves that are not legal: the event does not concern the state. */
static const struct state_move TABLE[STATUS_COUNT][EVENT_COUNT] =
    {
        [STATUS_STOPPED] =
            {
                [EVENT_WANT] = MOVE(STARTING, SPAWN),
            },
        [STATUS_STARTING] =
            {
                [EVENT_UNWANT] = MOVE(STOPPED, NONE),
                [EVENT_READY] = MOVE(RUNNING, TICK),
                [EVENT_FAIL] = MOVE(BACKOFF, WAIT),
                [EVENT_CANNOT] = MOVE(FATAL, NONE),
            },
        [STATUS_RUNNING] =
            {
                [EVENT_UNWANT] = MOVE(STOPPING, END),
                [EVENT_RENEW] = MOVE(STOPPING, END),
                [EVENT_HUNG] = MOVE(STOPPING, KILL),
                [EVENT_BROKE] = MOVE(BACKOFF, WAIT),
                [EVENT_FAIL] = MOVE(BACKOFF, WAIT),
                [EVENT_CANNOT] = MOVE(FATAL, NONE),
            },
        [STATUS_BACKOFF] =
            {
                [EVENT_WANT] = MOVE(STARTING, SPAWN),
                [EVENT_RENEW] = MOVE(STARTING, SPAWN),
                [EVENT_RETRY] = MOVE(STARTING, SPAWN),
                [EVENT_UNWANT] = MOVE(STOPPED, NONE),
            },
        [STATUS_STOPPING] =
            {
                [EVENT_GONE] = MOVE(STOPPED, NONE),
                [EVENT_AGAIN] = MOVE(STARTING, SPAWN),
                [EVENT_OVER] = MOVE(EXITED, NONE),
                [EVENT_BROKE] = MOVE(BACKOFF, WAIT),
            },
        [STATUS_EXITED] =
            {
                [EVENT_WANT] = MOVE(STARTING, SPAWN),
            },
        [STATUS_FATAL] =
            {
                [EVENT_WANT] = MOVE(STARTING, SPAWN),
                [EVENT_RENEW] = MOVE(STARTING, SPAWN),
                [EVENT_UNWANT] = MOVE(STOPPED, NONE),
            },
};

static const char *const STATUS_NAMES[STATUS_COUNT] = {
    [STATUS_STOPPED] = "stopped", [STATUS_STARTING] = "starting", [STATUS_RUNNING] = "running",
    [STATUS_BACKOFF] = "backoff", [STATUS_STOPPING] = "stopping", [STATUS_EXITED] = "exited",
    [STATUS_FATAL] = "fatal",
};

static const char *const EVENT_NAMES[EVENT_COUNT] = {
    [EVENT_WANT] = "want",   [EVENT_UNWANT] = "unwant", [EVENT_RENEW] = "renew",   [EVENT_HUNG] = "hung",
    [EVENT_READY] = "ready", [EVENT_FAIL] = "fail",     [EVENT_CANNOT] = "cannot", [EVENT_GONE] = "gone",
    [EVENT_AGAIN] = "again", [EVENT_OVER] = "over",     [EVENT_BROKE] = "broke",   [EVENT_RETRY] = "retry",
};

struct state_move state_next(enum source_status status, enum source_event event) {
    return TABLE[status][event];
}

const char *state_name(enum source_status status) {
    return STATUS_NAMES[status];
}

int state_from_name(const char *name, enum source_status *ret_status) {
    for (int i = 0; name && i < STATUS_COUNT; i++) {
        if (strcmp(STATUS_NAMES[i], name) == 0) {
            *ret_status = (enum source_status)i;
            return 0;
        }
    }
    return -1;
}

const char *state_event_name(enum source_event event) {
    return EVENT_NAMES[event];
}

int state_has_child(enum source_status status) {
    return status == STATUS_RUNNING || status == STATUS_STOPPING;
}

/* Events that tell that no child lives (any more). */
static int event_means_no_child(enum source_event event) {
    switch (event) {
    case EVENT_GONE:
    case EVENT_AGAIN:
    case EVENT_OVER:
    case EVENT_BROKE:
    case EVENT_FAIL:
    case EVENT_CANNOT:
        return 1;
    default:
        return 0;
    }
}

static const char *move_problem(enum source_status from, enum source_event event, struct state_move move) {
    if ((move.action == ACTION_SPAWN) != (move.next == STATUS_STARTING))
        return "a child is made in STARTING and nowhere else";
    if ((move.action == ACTION_END || move.action == ACTION_KILL) != (move.next == STATUS_STOPPING))
        return "a child is ended in STOPPING and nowhere else";
    if ((move.action == ACTION_WAIT) != (move.next == STATUS_BACKOFF))
        return "BACKOFF must set its timer, or would last for ever";
    if (state_has_child(from) && !state_has_child(move.next) && !event_means_no_child(event))
        return "a state with a child is left for one without while the child lives";
    if (!state_has_child(from) && state_has_child(move.next) && event != EVENT_READY)
        return "a state with a child is entered without one";
    return NULL;
}

static const char *reach_problem(void) {
    int reached[STATUS_COUNT] = {[STATUS_STOPPED] = 1};
    for (int round = 0; round < STATUS_COUNT; round++) {
        for (int s = 0; s < STATUS_COUNT; s++) {
            for (int e = 0; reached[s] && e < EVENT_COUNT; e++) {
                if (TABLE[s][e].is_legal)
                    reached[TABLE[s][e].next] = 1;
            }
        }
    }
    for (int s = 0; s < STATUS_COUNT; s++) {
        if (!reached[s])
            return "a state cannot be reached";
    }
    return NULL;
}

const char *state_table_problem(void) {
    for (int s = 0; s < STATUS_COUNT; s++) {
        int ways_out = 0;
        for (int e = 0; e < EVENT_COUNT; e++) {
            if (!TABLE[s][e].is_legal)
                continue;
            ways_out++;
            const char *problem = move_problem((enum source_status)s, (enum source_event)e, TABLE[s][e]);
            if (problem)
                return problem;
        }
        if (ways_out == 0)
            return "a state cannot be left";
    }
    return reach_problem();
}
