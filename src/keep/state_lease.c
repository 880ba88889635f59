/* Leases: who may save.
 *
 * Invariants
 *  1. A lease is taken from an owner who is dead, whose time is over, or from whom it is stolen; the fence of the next
 *     one is higher than any that was given before.
 *  2. The owner is asked of the kernel, never a flag. Who cannot be read lives.
 *  3. What a clock says decides only where a ttl was asked for, and then the clock that goes on while the machine
 *     sleeps. After another boot it counts from that boot. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "keep/state_inside.h"
#include "os/file.h"
#include "store/store.h"

enum { NS_OF_MS = 1000000, HOST_FILE_MAX = 4096 };

static int64_t boot_ms(struct hf_store *store) {
    return os_now_ns(store_os(store), OS_CLOCK_BOOT) / NS_OF_MS;
}

/* ---- who owns it ---- */

static int is_expired(struct hf_store *store, const struct state_lease *lease) {
    char boot_id[40];
    if (lease->ttl_ms <= 0)
        return 0;
    int is_this_boot = process_boot_id(store_os(store), boot_id, NULL) != 0 || strcmp(boot_id, lease->boot_id) == 0;
    return boot_ms(store) - (is_this_boot ? lease->renewed_boot_ms : 0) > lease->ttl_ms;
}

static int is_dead(struct hf_store *store, const struct state_lease *lease) {
    if (lease->pid == 0)
        return 0;
    struct process_identity then = {.pid = (pid_t)lease->pid,
                                    .start_ticks = lease->start_ticks,
                                    .pidfd_inode = lease->pidfd_inode};
    snprintf(then.boot_id, sizeof then.boot_id, "%s", lease->boot_id);
    enum process_match match = process_compare(store_os(store), &then);
    return match == PROCESS_GONE || match == PROCESS_OTHER;
}

enum state_owner state_lease_owner(struct hf_store *store, const struct state_lease *lease) {
    if (lease->fence == 0)
        return STATE_OWNER_NONE;
    if (is_dead(store, lease))
        return STATE_OWNER_DEAD;
    return is_expired(store, lease) ? STATE_OWNER_EXPIRED : STATE_OWNER_ALIVE;
}

int state_lease_check_free(struct hf_store *store, const struct state_head *head, uint64_t fence,
                           struct hf_error *error) {
    const struct state_lease *lease = &head->lease;
    if (lease->fence == fence || state_lease_owner(store, lease) != STATE_OWNER_ALIVE)
        return 0;
    char since[TEXT_TIME_BYTES], owner[TEXT_TIME_BYTES] = "";
    text_time(lease->taken_at_ms, since);
    if (lease->pid > 0)
        snprintf(owner, sizeof owner, ", process %lld", (long long)lease->pid);
    error_set(error, HF_ERR_CONFLICT, "state '%s': run %s%s holds the lease since %s", head->name, lease->run, owner,
              since);
    error_hint(error, "wait until it has ended, or end it; a lease is free as soon as its owner is dead");
    return HF_ERR_CONFLICT;
}

int state_lease_check_fence(const struct state_head *head, uint64_t fence, struct hf_error *error) {
    if (fence > 0 && head->lease.fence == fence)
        return 0;
    if (head->lease.fence == 0)
        error_set(error, HF_ERR_CONFLICT, "state '%s': the lease with fence %llu was given back or taken over",
                  head->name, (unsigned long long)fence);
    else
        error_set(error, HF_ERR_CONFLICT, "state '%s': the lease with fence %llu was taken over by run %s", head->name,
                  (unsigned long long)fence, head->lease.run);
    error_hint(error, "this run cannot save any more: begin a new one, which loads the state as it is now");
    return HF_ERR_CONFLICT;
}

/* ---- taking ---- */

static void read_host(struct hf_store *store, char *ret_host, size_t room) {
    BUF_AUTO struct buf text;
    buf_init(&text);
    if (file_read(store_os(store), AT_FDCWD, "/proc/sys/kernel/hostname", HOST_FILE_MAX, &text, NULL) == 0)
        snprintf(ret_host, room, "%.*s", (int)strcspn(buf_text(&text), "\n"), buf_text(&text));
}

int state_claim_identify(struct hf_store *store, struct state_claim *claim, struct hf_error *error) {
    if (claim->ttl_ms < 0 || claim->pid < 0 || claim->pid > INT32_MAX)
        return error_set(error, HF_ERR_INVALID, "take lease: pid and ttl are not negative");
    if (claim->pid == 0 && claim->ttl_ms == 0) {
        error_set(error, HF_ERR_INVALID, "take lease: no process of this machine is named, so it needs an end");
        error_hint(error, "give a ttl: the lease is free when nothing was saved or renewed for so long");
        return HF_ERR_INVALID;
    }
    read_host(store, claim->host, sizeof claim->host);
    int code = claim->pid > 0 ? process_identify(store_os(store), (pid_t)claim->pid, &claim->identity, error)
                              : process_boot_id(store_os(store), claim->identity.boot_id, error);
    if (code == HF_ERR_NOT_FOUND)
        return error_set(error, HF_ERR_INVALID, "take lease: there is no process %lld", (long long)claim->pid);
    return code == 0 ? 0 : error_wrap(error, code, "take lease");
}

/* The run of an owner who lost the lease is ended in the ledger. */
static int end_owner(struct hf_store *store, struct state_head *head, struct hf_batch *batch, struct hf_error *error) {
    if (head->lease.fence == 0)
        return 0;
    const char *outcome = state_lease_owner(store, &head->lease) == STATE_OWNER_DEAD ? "lost" : "taken_over";
    return state_run_close(store, head, batch, outcome, NULL, error);
}

int state_lease_end_lost(struct hf_store *store, struct state_head *head, struct hf_batch *batch,
                         struct hf_error *error) {
    enum state_owner owner = state_lease_owner(store, &head->lease);
    return owner == STATE_OWNER_DEAD || owner == STATE_OWNER_EXPIRED ? end_owner(store, head, batch, error) : 0;
}

static int give_lease(struct hf_store *store, struct state_head *head, const struct state_claim *claim,
                      const struct state_run *run, struct hf_error *error) {
    struct arena *arena = &head->arena;
    head->fence = run->number;
    head->lease = (struct state_lease){
        .fence = run->number,
        .run = arena_printf(arena, "%s@%llu", head->name, (unsigned long long)run->number),
        .boot_id = arena_strdup(arena, claim->identity.boot_id),
        .who = arena_strdup(arena, run->who),
        .reason = arena_strdup(arena, run->reason),
        .pid = claim->pid,
        .start_ticks = claim->identity.start_ticks,
        .pidfd_inode = claim->identity.pidfd_inode,
        .taken_at_ms = run->started_at_ms,
        .renewed_boot_ms = boot_ms(store),
        .ttl_ms = claim->ttl_ms,
    };
    const struct state_lease *lease = &head->lease;
    return lease->run && lease->boot_id && lease->who && lease->reason ? 0 : error_no_memory(error);
}

int state_lease_take(struct hf_store *store, struct state_head *head, struct hf_batch *batch,
                     const struct state_claim *claim, struct hf_error *error) {
    int code = claim->steal ? 0 : state_lease_check_free(store, head, 0, error);
    if (code < 0)
        return code;
    struct state_run run;
    state_run_init(&run);
    run.fence = head->last_run + 1;
    run.outcome = "running";
    run.reason = claim->reason ? claim->reason : "";
    run.who = claim->who ? claim->who : "";
    run.host = claim->host;
    run.command_json = claim->command_json;
    run.scheduled_at_ms = claim->scheduled_at_ms;
    run.started_at_ms = os_wall_ms(store_os(store));
    run.version_before = head->newest.version;
    run.pid = claim->pid;
    code = state_run_enter(store, head, batch, &run, error);
    if (code == 0)
        code = end_owner(store, head, batch, error);
    return code == 0 ? give_lease(store, head, claim, &run, error) : code;
}

int state_lease_renew(struct hf_store *store, struct state_head *head) {
    if (head->lease.ttl_ms <= 0)
        return STATE_NOTHING;
    head->lease.renewed_boot_ms = boot_ms(store);
    return 0;
}
