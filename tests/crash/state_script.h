/* Everything that changes a state, as steps over two names: for the proofs that every verb is whole. What a step does
 * follows from its number and from what is there alone, so the same steps leave the same records, on whatever disk. */
#ifndef HF_CRASH_STATE_SCRIPT_H
#define HF_CRASH_STATE_SCRIPT_H

#include "base/error.h"
#include "holdfast.h"
#include "sim/sim_disk.h"

#define SCRIPT_APART "later" /* ids that begin so are none of the script's */

enum { SCRIPT_STEP_MS = 1000, SCRIPT_TEXT = 512 };

#define SCRIPT_ACTS(X)                                                                                                 \
    X(BEGIN)      /* takes the lease from whoever has it */                                                            \
    X(BEGIN_FREE) /* when it is free; else the run is entered as skipped */                                            \
    X(RENEW)                                                                                                           \
    X(SET) /* JSON */                                                                                                  \
    X(SET_BYTES)                                                                                                       \
    X(SET_LATE) /* under the fence of a run that was overtaken: always refused */                                      \
    X(MERGE)                                                                                                           \
    X(COMMIT)         /* with records */                                                                               \
    X(COMMIT_RECORDS) /* alone */                                                                                      \
    X(END)            /* with a state */                                                                               \
    X(END_FAILED)                                                                                                      \
    X(ROLLBACK)                                                                                                        \
    X(KEEP)                                                                                                            \
    X(COPY)                                                                                                            \
    X(COPY_HISTORY)                                                                                                    \
    X(MOVE)                                                                                                            \
    X(IMPORT)                                                                                                          \
    X(IMPORT_REPLACE)                                                                                                  \
    X(CLEAR)                                                                                                           \
    X(PURGE)

#define SCRIPT_NAME_OF_ACT(name) SCRIPT_##name,
enum script_act { SCRIPT_ACTS(SCRIPT_NAME_OF_ACT) SCRIPT_ACT_COUNT };

extern const char *const script_names[2];

struct script_step {
    enum script_act act;
    unsigned name; /* of script_names; what is copied, moved or imported goes to the other one */
    uint64_t number;
    int is_torn; /* known to be bad: what belongs together is put in two commits */
};
const char *script_act_name(enum script_act act);
/* What is refused for what is there (CONFLICT, EXISTS, …) is an answer as any other, and may be expected. */
int script_do(struct hf_store *store, const struct script_step *step, struct hf_error *error);
int script_is_refusal(int code);

/* A short life in which each verb has something to do: its steps, a second after each other, and how each ends when
 * nothing fails. */
enum { SCRIPT_LIFE_STEPS = 24 };
struct script_step script_life_step(size_t i);
int script_life_code(size_t i);

/* Of every record of the script: kind, id and document; without times, also without the host's name, which a run does
 * without when it cannot be read. */
int script_digest(struct hf_store *store, int with_times, uint64_t *ret_digest, struct hf_error *error);
/* Head, versions and ledger of both names agree, and every version has its bytes. -1, and why in text. */
int script_check(struct hf_store *store, char text[SCRIPT_TEXT]);
/* The highest number that a run of the name got. */
uint64_t script_last_run(struct hf_store *store, unsigned name);

/* The kernel's word for this boot, which leases name. */
void script_boot(struct sim_disk *disk);
int script_open(const struct os *os, struct hf_store **ret_store, struct hf_error *error);

#endif
