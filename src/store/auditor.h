/* The auditor's inside: for tests a clock of their own and no thread; for the daemon how it goes. */
#ifndef HF_STORE_AUDITOR_H
#define HF_STORE_AUDITOR_H

#include "store/store.h"

struct auditor_setup {
    const struct os *os; /* for its clocks; NULL: the store's */
    int without_thread;  /* cycles are run by auditor_step and hf_auditor_run */
};
int auditor_open(struct hf_store *store, const struct hf_auditor_options *options, const struct auditor_setup *setup,
                 struct hf_auditor **ret_auditor, struct hf_error *error);

/* Does the next cycle when it is due. Returns how long it is until the next one. */
int64_t auditor_step(struct hf_auditor *auditor);

struct auditor_stats {
    struct hf_audit_result totals;
    uint64_t open;              /* findings that are not gone */
    uint64_t reported;          /* of them: nothing was done about them */
    uint64_t structure;         /* of them: pages of the store itself cannot be read */
    uint64_t rows;              /* stored, as the last round found them; 0: none was whole yet */
    int64_t last_at_ms;         /* the wall clock at the end of the last cycle; 0: there was none */
    struct hf_error last_error; /* code 0 when the last cycle could look at everything */
};
void auditor_stats(struct hf_auditor *auditor, struct auditor_stats *ret_stats); /* thread-safe */

#endif
