/* Every call of the store to the system, failing in every way, once and for ever: the error names the cause, what was
 * acknowledged is there, nothing is mixed, the check is clean, and once the fault is gone the same thing works. */
#include "fault/call_sweep.h"

struct answer {
    struct sweep *sweep;
    int64_t number;
    int code;
    struct hf_error error;
};

static void answered(void *arg, int code, const struct hf_commit_result *result, const struct hf_error *error) {
    struct answer *answer = arg;
    (void)result;
    answer->code = code;
    if (code == 0)
        answer->sweep->acked = answer->number;
    else
        answer->error = *error;
}

static void commit_group(struct sweep *sweep) {
    enum { GROUP = 4 };
    struct answer answers[GROUP] = {0};
    if (!sweep->store)
        return;
    for (int i = 0; i < GROUP; i++) {
        answers[i] = (struct answer){.sweep = sweep, .number = ++sweep->begun};
        struct hf_batch *batch = sweep_batch(sweep, sweep->begun);
        hf_store_commit_async(sweep->store, &batch, answered, &answers[i]);
    }
    store_pump(sweep->store);
    for (int i = 0; i < GROUP; i++) {
        if (answers[i].code == 0)
            continue;
        sweep_judge(sweep, "group commit", answers[i].code, &answers[i].error);
        if (i == GROUP - 1)
            sweep_retry(sweep, answers[i].code, answers[i].number);
    }
}

static void use(struct sweep *sweep) {
    sweep_commit(sweep);
    sweep_commit(sweep);
    commit_group(sweep);
    for (int i = 0; i < 2 && sweep->store; i++) {
        sweep_look(sweep, "read");
        store_pump(sweep->store); /* nothing waits: the idle work */
        if (store_health(sweep->store, NULL) != 0)
            sweep_take_fault_away(sweep);
        sweep_reopen(sweep);
        sweep_commit(sweep);
    }
}

int main(void) {
    const struct sweep_subject subject = {
        .url = "sqlite:/data/store.db",
        .keys = {{"plain", "id"}, {"kept", "id"}, {"other", "id"}},
        .kept_kind = "kept",
        .fill_bytes = SWEEP_FILL_MOST,
        .use = use,
    };
    return call_sweep_run("failing calls", &subject);
}
