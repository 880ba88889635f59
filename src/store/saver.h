/* The saver's inside: for tests a clock of their own and no thread; for the auditor a look at what the owner holds. */
#ifndef HF_STORE_SAVER_H
#define HF_STORE_SAVER_H

#include "store/store.h"

struct saver_setup {
    int without_thread;  /* all is done in the callers' threads: by saver_step, hf_saver_flush and the like */
    unsigned processors; /* 0: as many as there are */
};
int saver_open_with(struct hf_store *store, const struct hf_saver_options *options, const struct saver_setup *setup,
                    struct hf_saver **ret_saver, struct hf_error *error);

/* without_thread only: saves what is due now. Returns whether there was anything to do. */
int saver_step(struct hf_saver *saver);
/* How long until something is due: 0 now, -1 never. */
int64_t saver_due_in_ms(struct hf_saver *saver);

/* Asks the owner for the documents of a shard (XXH3 of "KIND/ID" modulo `shards`) and compares their text with what was
 * saved. Tells unmarked_change and unmarked_new (and marks them), and missing_in_owner (and leaves it: never deletes).
 * What is marked already is left to the saver. Any thread; one audit at a time. Errors: NO_MEMORY; of the first
 * document that the owner could not give (the others were looked at all the same). */
int saver_audit(struct hf_saver *saver, uint32_t shard, uint32_t shards, hf_finding_visit found, void *arg,
                uint64_t *ret_audited, uint64_t *ret_findings, struct hf_error *error);

/* What is stored under this key is damaged: the owner's document, if he holds one, is written again even if it has not
 * changed. Thread-safe. Errors: NOT_FOUND when the saver does not know the key. */
int saver_mark_held(struct hf_saver *saver, const char *kind, const char *id);

#endif
