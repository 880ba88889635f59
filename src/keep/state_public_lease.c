/* The public functions of leases. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "keep/state_inside.h"
#include "store/options.h"

enum { OUTCOME_MAX = 32 };

struct hf_state_lease {
    uint64_t fence;
    char name[HF_STATE_NAME_MAX + 1];
    char run[HF_ID_MAX + 1];
};

int hf_state_lease_of_fence(const char *name, uint64_t fence, struct hf_state_lease **ret_lease,
                            struct hf_error *error) {
    int code = state_check_name(name, error);
    if (code < 0)
        return code;
    if (fence == 0)
        return error_set(error, HF_ERR_INVALID, "make lease of state '%s': fences begin at 1", name);
    struct hf_state_lease *lease = MEM_NEW(struct hf_state_lease);
    if (!lease)
        return error_no_memory(error);
    lease->fence = fence;
    snprintf(lease->name, sizeof lease->name, "%s", name);
    snprintf(lease->run, sizeof lease->run, "%s@%llu", name, (unsigned long long)fence);
    *ret_lease = lease;
    return 0;
}

void hf_state_lease_free(struct hf_state_lease **lease) {
    if (!lease)
        return;
    mem_free(*lease);
    *lease = NULL;
}

uint64_t hf_state_lease_fence(const struct hf_state_lease *lease) {
    return lease->fence;
}

const char *hf_state_lease_run(const struct hf_state_lease *lease) {
    return lease->run;
}

int state_lease_check_name(const struct hf_state_lease *lease, const char *name, struct hf_error *error) {
    if (strcmp(lease->name, name) == 0)
        return 0;
    return error_set(error, HF_ERR_INVALID, "save state '%s': the lease is of state '%s'", name, lease->name);
}

/* ---- taking ---- */

struct taking {
    struct hf_store *store;
    struct state_claim claim;
    struct hf_state_lease *lease; /* made before, so that nothing can fail behind the commit */
};

static int take(void *arg, struct state_head *head, struct hf_batch *batch, struct hf_error *error) {
    struct taking *taking = arg;
    int code = state_lease_take(taking->store, head, batch, &taking->claim, error);
    if (code == 0) {
        taking->lease->fence = head->lease.fence;
        snprintf(taking->lease->run, sizeof taking->lease->run, "%s", head->lease.run);
    }
    return code;
}

int hf_state_lease_take(struct hf_store *store, const char *name, const struct hf_state_lease_options *options,
                        struct hf_state_lease **ret_lease, struct hf_error *error) {
    struct hf_state_lease_options filled = {0};
    int code = options_take(options, &filled, sizeof filled, error);
    if (code < 0)
        return code;
    struct taking taking = {
        .store = store,
        .claim = {.pid = filled.pid ? filled.pid : getpid(),
                  .ttl_ms = filled.ttl_ms,
                  .steal = filled.steal,
                  .who = filled.who,
                  .reason = filled.reason},
    };
    code = hf_state_lease_of_fence(name, 1, &taking.lease, error);
    if (code == 0)
        code = state_claim_identify(store, &taking.claim, error);
    const struct state_change change = {
        .store = store, .name = name, .who = filled.who, .change = take, .arg = &taking};
    if (code == 0)
        code = state_change_commit(&change, NULL, error);
    if (code == 0)
        *ret_lease = taking.lease;
    else
        hf_state_lease_free(&taking.lease);
    return code;
}

/* ---- renewing and giving back ---- */

struct holding {
    struct hf_store *store;
    const struct hf_state_lease *lease;
    const char *outcome;
};

static int renew(void *arg, struct state_head *head, struct hf_batch *batch, struct hf_error *error) {
    const struct holding *holding = arg;
    (void)batch;
    int code = state_lease_check_fence(head, holding->lease->fence, error);
    return code == 0 ? state_lease_renew(holding->store, head) : code;
}

int hf_state_lease_renew(struct hf_store *store, const struct hf_state_lease *lease, struct hf_error *error) {
    struct holding holding = {.store = store, .lease = lease};
    const struct state_change change = {.store = store, .name = lease->name, .change = renew, .arg = &holding};
    return state_change_commit(&change, NULL, error);
}

static int release(void *arg, struct state_head *head, struct hf_batch *batch, struct hf_error *error) {
    const struct holding *holding = arg;
    int code = state_lease_check_fence(head, holding->lease->fence, error);
    return code == 0 ? state_run_close(holding->store, head, batch, holding->outcome, NULL, error) : code;
}

static int check_outcome(const char *outcome, struct hf_error *error) {
    size_t bytes = strspn(outcome, "abcdefghijklmnopqrstuvwxyz_");
    if (bytes > 0 && bytes <= OUTCOME_MAX && outcome[bytes] == '\0')
        return 0;
    error_set(error, HF_ERR_INVALID, "give lease back: outcome '%.40s' is not a word", outcome);
    error_hint(error, "use 1 to %d small letters and '_'", OUTCOME_MAX);
    return HF_ERR_INVALID;
}

int hf_state_lease_release(struct hf_store *store, struct hf_state_lease **lease, const char *outcome,
                           struct hf_error *error) {
    struct hf_state_lease *taken = lease ? *lease : NULL;
    if (!taken)
        return 0;
    *lease = NULL;
    struct holding holding = {.store = store, .lease = taken, .outcome = outcome ? outcome : "ok"};
    const struct state_change change = {.store = store, .name = taken->name, .change = release, .arg = &holding};
    int code = check_outcome(holding.outcome, error);
    if (code == 0)
        code = state_change_commit(&change, NULL, error);
    hf_state_lease_free(&taken);
    return code;
}
