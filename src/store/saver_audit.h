/* What the two parts of an audit share: saver_audit_list.c collects the subjects, saver_audit.c asks and decides. */
#ifndef HF_STORE_SAVER_AUDIT_H
#define HF_STORE_SAVER_AUDIT_H

#include "store/saver_inside.h"

enum verdict { SKIPPED, SAME, CHANGED, NEW, MISSING };

struct subject {
    struct saver_key *key;
    void *tag;
    uint32_t generation;
    uint8_t is_known, is_held;
    uint8_t verdict;
};

struct audit {
    struct hf_saver *saver;
    uint32_t shard, shards;
    hf_finding_visit found;
    void *arg;
    struct subject *subjects;
    size_t count, room;
    size_t next; /* that nobody has asked for; under the lock */
    uint64_t audited, findings;
    struct hf_error error; /* the first; under the lock */
};

/* Everything of the shard that the owner names, or, without a list of his, that is known. */
int saver_audit_collect(struct audit *audit);
int saver_audit_add(struct audit *audit, struct saver_key *key, void *tag, enum verdict verdict); /* locked */
void saver_audit_tell(struct audit *audit, const char *kind, const char *id, const char *what, const char *action,
                      const char *text);

#endif
