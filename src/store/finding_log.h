/* What an auditor has found: what is news is told and becomes a record, what is gone is marked so.
 *
 * A record is written when the trouble is first seen, when its text or action changes, when it is gone and when it
 * comes back: not when it is merely seen again. A record of what is gone stays, with gone_at, among the newest 1,000
 * such ones. A round is one look at everything that an auditor looks at: what it has not seen is gone. */
#ifndef HF_STORE_FINDING_LOG_H
#define HF_STORE_FINDING_LOG_H

#include "base/map.h"
#include "store/finding.h"
#include "store/store.h"

enum { FINDINGS_GONE_KEPT = 1000 };

/* Not thread-safe. */
struct finding_log {
    struct hf_store *store;
    int without_records;
    hf_finding_visit tell; /* what is news; may be NULL */
    void *arg;
    struct map sights; /* by id: what is open, and what is gone and still has a record */
    uint64_t round;
    uint64_t open, gone;
    uint64_t reported;  /* of those that are open: nothing was done about them */
    uint64_t structure; /* of them: pages of the store itself cannot be read */
    int is_loaded;
    struct hf_batch *batch; /* what is not committed yet; NULL: nothing */
};
void finding_log_init(struct finding_log *log, struct hf_store *store, int without_records, hf_finding_visit tell,
                      void *arg);
void finding_log_fini(struct finding_log *log);

/* Reads what earlier auditors left; the first time only. Before the others. */
int finding_log_load(struct finding_log *log, struct hf_error *error);
/* Tells of a finding when it is news, and has its record ready to be committed when it must change. Of the sights of
 * one finding in a round the first one counts. */
int finding_log_see(struct finding_log *log, const struct hf_finding *finding, struct hf_error *error);
int finding_log_commit(struct finding_log *log, struct hf_error *error);
/* Commits, begins the next round, and ends what belongs to these parts (bits) and was not seen in this one. */
int finding_log_end_round(struct finding_log *log, unsigned whole_parts, struct hf_error *error);

#endif
