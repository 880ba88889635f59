/* One look after the other at what an owner holds and at what is stored; without a thread. */
#ifndef HF_STORE_AUDIT_H
#define HF_STORE_AUDIT_H

#include <stdatomic.h>

#include "store/finding_log.h"

/* Not thread-safe, but for is_stopping. */
struct audit {
    struct hf_store *store;
    struct hf_saver *saver; /* may be NULL */
    uint32_t shards;
    int not_stored;
    atomic_int is_stopping; /* set by who wants the shard that is being looked at to end */
    struct finding_log log;
    struct hf_check_cursor cursor;
    uint32_t shard;       /* the next one */
    uint64_t rows;        /* that the last whole round passed */
    unsigned whole_parts; /* of this round so far: bits of enum finding_part */
    struct arena arena;   /* of the findings of a slice */
    struct vec found;     /* of struct hf_finding, in it */
    int lost;             /* there was no memory for a finding */
};
void audit_init(struct audit *audit, struct hf_store *store, const struct hf_auditor_options *options);
void audit_fini(struct audit *audit);

/* Looks at the next shard; adds to *result. What failed first is returned, and the next shard goes on behind it. */
int audit_shard(struct audit *audit, struct hf_audit_result *result, struct hf_error *error);
/* Begins anew and looks at all shards at once: the owner names his keys once, not once for each. */
int audit_round(struct audit *audit, struct hf_audit_result *result, struct hf_error *error);

#endif
