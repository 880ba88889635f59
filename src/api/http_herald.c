#include "api/http_herald.h"

#include <pthread.h>
#include <sys/socket.h>

#include "base/error.h"
#include "base/mem.h"

enum {
    TICK_MS = 1000,        /* how often connections are looked at */
    GAP_MS = 5,            /* at most every so often streams are woken: a busy store is told of in batches */
    FIRST_HEAD_MS = 10000, /* from connect to the end of the first headers */
    HEAD_MS = 60000,       /* from one reply to the end of the next headers */
    BODY_MS = 120000,
    REPLY_MS = 300000,
};

struct herald {
    struct hf_store *store;
    const struct os *os;
    pthread_t thread;
    pthread_mutex_t mutex; /* all below */
    pthread_cond_t turn;
    struct waiter *waiters;
    struct http_peer *peers;
    unsigned peer_count;
    uint64_t revision; /* newest that was told of */
    int has_news, is_dismissed, is_ending;
    struct hf_watch *watch;
};

static void store_changed(void *arg, uint64_t revision) {
    struct herald *herald = arg;
    pthread_mutex_lock(&herald->mutex);
    herald->revision = revision > herald->revision ? revision : herald->revision;
    if (herald->waiters && !herald->has_news) {
        herald->has_news = 1;
        pthread_cond_signal(&herald->turn);
    }
    pthread_mutex_unlock(&herald->mutex);
}

/* Those that may go, in a list of their own: they are woken without the mutex. */
static struct waiter *take_ready(struct herald *herald, int64_t now_ms, int64_t *ret_next_ms) {
    struct waiter *ready = NULL;
    for (struct waiter **at = &herald->waiters; *at;) {
        struct waiter *waiter = *at;
        if (herald->revision > waiter->revision || now_ms >= waiter->deadline_ms || herald->is_dismissed) {
            *at = waiter->next;
            waiter->next = ready;
            ready = waiter;
            continue;
        }
        *ret_next_ms = waiter->deadline_ms < *ret_next_ms ? waiter->deadline_ms : *ret_next_ms;
        at = &waiter->next;
    }
    return ready;
}

/* The connection's own thread sees the end of the socket, and closes it. A peer is removed before its fd is closed, so
 * the fd is still its own here. */
static void send_away(struct http_peer *peer) {
    shutdown(peer->fd, SHUT_RDWR);
    peer->deadline_ms = INT64_MAX;
}

static void sweep_peers(struct herald *herald, int64_t now_ms) {
    for (struct http_peer *peer = herald->peers; peer; peer = peer->next) {
        if (now_ms >= peer->deadline_ms)
            send_away(peer);
    }
}

static void sleep_until(struct herald *herald, int64_t until_ms) {
    struct timespec until = {until_ms / 1000, until_ms % 1000 * 1000000};
    if (!herald->waiters && !herald->peers)
        pthread_cond_wait(&herald->turn, &herald->mutex);
    else
        pthread_cond_clockwait(&herald->turn, &herald->mutex, CLOCK_MONOTONIC, &until);
}

static void *run(void *arg) {
    struct herald *herald = arg;
    pthread_mutex_lock(&herald->mutex);
    while (!herald->is_ending) {
        int64_t now_ms = os_monotonic_ms(herald->os);
        int64_t next_ms = now_ms + TICK_MS;
        herald->has_news = 0;
        sweep_peers(herald, now_ms);
        struct waiter *ready = take_ready(herald, now_ms, &next_ms);
        if (!ready) {
            sleep_until(herald, next_ms);
            continue;
        }
        uint64_t revision = herald->is_dismissed ? 0 : herald->revision;
        pthread_mutex_unlock(&herald->mutex);
        for (struct waiter *next; ready; ready = next) {
            next = ready->next;
            ready->wake(ready, revision <= ready->revision);
        }
        os_sleep_ms(herald->os, GAP_MS);
        pthread_mutex_lock(&herald->mutex);
    }
    pthread_mutex_unlock(&herald->mutex);
    return NULL;
}

int herald_new(struct hf_store *store, const struct os *os, struct herald **ret_herald, struct hf_error *error) {
    struct herald *herald = MEM_NEW(struct herald);
    if (!herald)
        return error_set(error, HF_ERR_NO_MEMORY, "watch the store");
    herald->store = store;
    herald->os = os;
    herald->revision = hf_store_revision(store);
    pthread_mutex_init(&herald->mutex, NULL);
    pthread_cond_init(&herald->turn, NULL);
    int code = hf_store_watch(store, store_changed, herald, &herald->watch, error);
    if (code == 0) {
        int failed = pthread_create(&herald->thread, NULL, run, herald);
        if (failed)
            code = error_set_errno(error, -failed, "watch the store: start a thread");
    }
    if (code != 0) {
        hf_watch_close(&herald->watch);
        mem_free(herald);
        return code;
    }
    *ret_herald = herald;
    return 0;
}

void herald_dismiss(struct herald *herald) {
    pthread_mutex_lock(&herald->mutex);
    herald->is_dismissed = 1;
    pthread_cond_signal(&herald->turn);
    pthread_mutex_unlock(&herald->mutex);
}

void herald_free(struct herald **herald) {
    if (!herald || !*herald)
        return;
    hf_watch_close(&(*herald)->watch);
    pthread_mutex_lock(&(*herald)->mutex);
    (*herald)->is_ending = 1;
    pthread_cond_signal(&(*herald)->turn);
    pthread_mutex_unlock(&(*herald)->mutex);
    pthread_join((*herald)->thread, NULL);
    pthread_cond_destroy(&(*herald)->turn);
    pthread_mutex_destroy(&(*herald)->mutex);
    mem_free(*herald);
    *herald = NULL;
}

void herald_wait(struct herald *herald, struct waiter *waiter, uint64_t revision, int64_t wait_ms) {
    waiter->revision = revision;
    waiter->deadline_ms =
        os_monotonic_ms(herald->os) + wait_ms + 1; /* not before the time: the clock's reading is cut to whole ms */
    pthread_mutex_lock(&herald->mutex);
    waiter->next = herald->waiters;
    herald->waiters = waiter;
    pthread_cond_signal(&herald->turn);
    pthread_mutex_unlock(&herald->mutex);
}

static void send_idlest_away(struct herald *herald) {
    struct http_peer *idlest = NULL;
    for (struct http_peer *peer = herald->peers; peer; peer = peer->next) {
        if (peer->phase == HTTP_PHASE_HEAD && (!idlest || peer->deadline_ms < idlest->deadline_ms))
            idlest = peer;
    }
    if (idlest && idlest->deadline_ms != INT64_MAX)
        send_away(idlest);
}

int herald_add_peer(struct herald *herald, const struct http_peer *known, unsigned room, struct http_peer **ret_peer) {
    struct http_peer *peer = MEM_NEW(struct http_peer);
    if (!peer)
        return HF_ERR_NO_MEMORY;
    peer->fd = known->fd;
    peer->uid = known->uid;
    peer->pid = known->pid;
    peer->deadline_ms = os_monotonic_ms(herald->os) + FIRST_HEAD_MS;
    pthread_mutex_lock(&herald->mutex);
    if (++herald->peer_count > room)
        send_idlest_away(herald);
    if (!herald->peers)
        pthread_cond_signal(&herald->turn);
    peer->next = herald->peers;
    if (peer->next)
        peer->next->previous = peer;
    herald->peers = peer;
    pthread_mutex_unlock(&herald->mutex);
    *ret_peer = peer;
    return 0;
}

void herald_remove_peer(struct herald *herald, struct http_peer *peer) {
    if (!peer)
        return;
    pthread_mutex_lock(&herald->mutex);
    if (peer->previous)
        peer->previous->next = peer->next;
    else
        herald->peers = peer->next;
    if (peer->next)
        peer->next->previous = peer->previous;
    herald->peer_count--;
    pthread_mutex_unlock(&herald->mutex);
    mem_free(peer);
}

void herald_set_phase(struct herald *herald, struct http_peer *peer, enum http_phase phase) {
    static const int64_t patience_ms[] = {
        [HTTP_PHASE_HEAD] = HEAD_MS, [HTTP_PHASE_BODY] = BODY_MS, [HTTP_PHASE_REPLY] = REPLY_MS};
    int is_ours = phase == HTTP_PHASE_WORK || phase == HTTP_PHASE_STREAM;
    if (!peer)
        return;
    peer->phase = (int)phase;
    peer->deadline_ms = is_ours ? INT64_MAX : os_monotonic_ms(herald->os) + patience_ms[phase];
}
