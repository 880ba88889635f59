/* The herald: one thread that wakes who waits for a change of the store or for a moment, and ends connections that take
 * too long. Thread-safe. */
#ifndef HF_API_HTTP_HERALD_H
#define HF_API_HTTP_HERALD_H

#include <stdatomic.h>

#include "holdfast.h"
#include "os/os.h"

struct herald;

/* Somebody who waits; embedded in the owner, whose memory it is. */
struct waiter {
    uint64_t revision;                                /* woken when the store is past it */
    int64_t deadline_ms;                              /* monotonic */
    void (*wake)(struct waiter *waiter, int is_late); /* in the herald's thread, without its mutex; once per wait */
    struct waiter *next;
};

/* A connection and what it does at present. */
enum http_phase {
    HTTP_PHASE_HEAD,   /* sends a request line and headers, or nothing yet */
    HTTP_PHASE_BODY,   /* sends the body */
    HTTP_PHASE_WORK,   /* waits for us */
    HTTP_PHASE_REPLY,  /* reads what we say */
    HTTP_PHASE_STREAM, /* reads events for as long as it likes */
};
struct http_peer {
    int fd;
    int64_t uid; /* of a Unix socket's peer; -1 over TCP */
    int64_t pid; /* the same; 0 when it is not known */
    atomic_int phase;
    _Atomic int64_t deadline_ms;
    struct http_peer *previous, *next;
};

int herald_new(struct hf_store *store, const struct os *os, struct herald **ret_herald, struct hf_error *error);
/* Wakes everybody as late; who waits from now on is woken at once. */
void herald_dismiss(struct herald *herald);
void herald_free(struct herald **herald);

/* wait_ms from now. May wake before it returns. */
void herald_wait(struct herald *herald, struct waiter *waiter, uint64_t revision, int64_t wait_ms);

/* Takes fd, uid and pid from *known. room: with more peers than this, the one that has idled longest is sent away. */
int herald_add_peer(struct herald *herald, const struct http_peer *known, unsigned room, struct http_peer **ret_peer);
void herald_remove_peer(struct herald *herald, struct http_peer *peer);
void herald_set_phase(struct herald *herald, struct http_peer *peer, enum http_phase phase);

#endif
