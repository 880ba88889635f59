/* What the parts of the saver share. Outside of src/store/saver*.c nobody includes this.
 *
 * Who may touch what
 *  - `lock` is over everything that moves; callbacks of the owner and calls of the store are never made under it.
 *  - text_hash, document_hash and text_bytes of a key belong to who has set TAKEN or AUDITED on it, under the lock, and
 *    to nobody else until he has taken it off. So does the right to ask the owner for its document.
 *  - A key that is in a list, in a cycle or in an audit is not freed: it is DIRTY, TAKEN or AUDITED, or `users` counts
 *    those who may hold a pointer to it. */
#ifndef HF_STORE_SAVER_INSIDE_H
#define HF_STORE_SAVER_INSIDE_H

#include <pthread.h>

#include "base/json.h"
#include "base/mem.h"
#include "store/saver.h"
#include "store/saver_keys.h"

/* ---- the saver ---- */

enum saver_hurry { SAVER_NO_HURRY, SAVER_HURRY_URGENT, SAVER_HURRY_ALL };

/* Somebody who waits, on his stack: for one key's save, or (key NULL) for a cycle over all that is marked. */
struct saver_wait {
    struct saver_wait *next;
    struct saver_key *key;
    uint32_t generation; /* a save that asked at this one or later is meant */
    int is_done, code;
    struct hf_error *error; /* may be NULL */
    pthread_cond_t done;
};

struct hf_saver {
    struct hf_store *store;
    const struct os *os;
    struct hf_saver_options options; /* with the defaults filled in */
    const struct json_limits *limits;
    char *who; /* options.who */
    int without_thread;
    unsigned threads;           /* that ask and hash in a large cycle */
    pthread_mutex_t audit_turn; /* one audit at a time */

    pthread_mutex_t lock;   /* of all that follows */
    pthread_cond_t wake;    /* the saver's thread */
    pthread_cond_t changed; /* a batch was answered, a cycle ended, an audit let a key go */
    struct saver_keys keys;
    struct saver_list urgent, standard, bad;
    unsigned users;  /* cycles, audits, loads: keys are not freed meanwhile */
    int has_garbage; /* a sweep would find something */
    int is_auditing;
    struct saver_cycle *cycle; /* the one that runs; NULL: none */
    struct saver_wait *waits;  /* for keys */
    struct saver_wait *flushes;
    enum saver_hurry hurry;
    int64_t standard_due_ms, bad_due_ms, retry_ms; /* monotonic */
    uint32_t backoff_ms;
    int is_failing;  /* saving fails, not only some documents: retry_ms counts, not standard_due_ms */
    int has_stopped; /* the store has FAILED; for good */
    struct hf_error stop_error;
    unsigned quiet;                /* save_all marks: that is no back-pressure */
    enum hf_notice_level pressure; /* told of: 0, HF_WARNING, HF_CRITICAL */
    int stopping;
    int thread_alive;
    pthread_t thread;
    int64_t saved_ms;        /* monotonic: the last save that worked; -1: none */
    struct hf_health health; /* the counters, dirty, and the last error */
};

/* ---- time and waiting (saver.c) ---- */

static inline int64_t saver_now(const struct hf_saver *saver) {
    return os_monotonic_ms(saver->os);
}
int64_t saver_due(const struct hf_saver *saver, int64_t now); /* locked; see saver_due_in_ms */
/* Locked: tells those who wait for this key's save, at this generation or before; key NULL: for any. */
void saver_answer(struct hf_saver *saver, struct saver_key *key, uint32_t generation, int code,
                  const struct hf_error *error);

/* ---- marking (saver_mark.c) ---- */

/* What is to be told once the lock is let go; level 0: nothing. */
struct saver_notice {
    enum hf_notice_level level;
    char text[700];
};
void saver_tell(const struct hf_saver *saver, const struct saver_notice *notice);
/* Locked: over or under a limit of dirty keys? */
void saver_judge_pressure(struct hf_saver *saver, struct saver_notice *notice);

/* Locked. */
void saver_mark_key(struct hf_saver *saver, struct saver_key *key, enum hf_urgency urgency);
void saver_queue(struct hf_saver *saver, struct saver_key *key); /* DIRTY and no longer TAKEN: into the right list */
void saver_clean_key(struct hf_saver *saver, struct saver_key *key);
int saver_find_or_add(struct hf_saver *saver, const char *kind, const char *id, struct saver_key **ret_key,
                      struct hf_error *error);
void saver_leave(struct hf_saver *saver); /* one user less; frees what nobody needs */

/* ---- the document of a key (saver_document.c) ---- */

struct hf_document {
    struct buf text;
    const char *lent;
    size_t lent_bytes, max_bytes;
    unsigned lends;
    int code;
    const char *problem;
};
/* Asks the owner. 0: *ret_text is there until it is returned. NOT_FOUND: he has deleted it. saver_return follows in any
 * case. */
int saver_ask(const struct hf_saver *saver, const struct saver_key *key, void *tag, struct hf_document *document,
              const char **ret_text, size_t *ret_bytes, struct hf_error *error);
void saver_return(const struct hf_saver *saver, const struct saver_key *key, void *tag, struct hf_document *document);

/* Memory of one thread that hashes. */
struct saver_scratch {
    struct hf_document document;
    struct json_doc json;
    struct buf canonical;
};
void saver_scratch_init(struct saver_scratch *scratch, const struct hf_saver *saver);
void saver_scratch_fini(struct saver_scratch *scratch);

/* ---- saving (saver_due.c, saver_cycle.c, saver_job.c) ---- */

enum saver_outcome {
    SAVER_OPEN,
    SAVER_PUT,
    SAVER_DELETE,
    SAVER_DELETE_ALONE, /* whether it is stored is not known: in a commit of its own, which may be refused */
    SAVER_UNCHANGED,
    SAVER_DROPPED, /* deleted, and not stored either */
    SAVER_SETTLED,
};

enum saver_stop {
    SAVER_GO_ON,
    SAVER_STOP_TRYING, /* what is refused may still be tried one by one */
    SAVER_STOP,
};

struct saver_item {
    struct saver_key *key;
    void *tag;
    uint64_t text_hash;
    uint32_t text_bytes;
    uint32_t generation; /* of the key when it was taken */
    uint8_t document_hash[HF_HASH_BYTES];
    uint8_t is_known;
    uint8_t outcome;
};

/* A batch on its way. */
struct saver_job {
    struct saver_job *next;
    struct hf_saver *saver;
    struct saver_cycle *cycle;
    int64_t asked_ms; /* marks that come later are younger */
    size_t bytes;
    size_t count;
    struct saver_item items[];
};

struct saver_order {
    uint64_t high, low; /* of "kind\0id" */
    struct saver_key *key;
};

enum { SAVER_TOLD_MAX = 10 }; /* documents that are named in one cycle */

struct saver_cycle {
    struct saver_order *items; /* in the order of keys */
    size_t count, next;
    struct saver_list urgent, rest; /* asked for before the items */
    struct saver_list singly;       /* refused together: each on its own, at the end */
    unsigned open_jobs;
    size_t open_bytes;
    enum saver_stop stop;     /* nothing more is asked for */
    unsigned failed_in_a_row; /* batches, then documents */
    unsigned told;            /* documents that turned out to be bad in this cycle */
    int has_saved;
    int store_fails;         /* and not only documents */
    struct hf_error error;   /* the first failure */
    struct hf_error refusal; /* of the last batch that was refused */
};

/* saver_due.c, locked but for the second: moves what is due to the cycle; brings it into the order of keys (without
 * memory for that it is saved in the order of the marks); the next key to be asked for, or NULL. */
void saver_take_due(struct hf_saver *saver, struct saver_cycle *cycle, int everything);
void saver_put_in_order(struct saver_cycle *cycle);
struct saver_key *saver_next_key(struct hf_saver *saver, struct saver_cycle *cycle);

/* Saves what is due, or everything that is marked. Returns whether there was anything. */
int saver_cycle_run(struct hf_saver *saver, int everything);

/* A job is memory for so many keys; taken under the lock, then saved in any thread. */
struct saver_job *saver_job_new(struct hf_saver *saver, size_t room);
void saver_job_take(struct saver_job *job, struct saver_key *key); /* locked */
/* Asks for its documents and hands over the batch. Takes the job. */
void saver_job_save(struct saver_job *job, struct saver_scratch *scratch);
/* A job of one key; waits for the commit. The job is the caller's. */
void saver_job_save_alone(struct saver_job *job, struct saver_scratch *scratch);

/* ---- what becomes of a key (saver_settle.c); locked ---- */

void saver_settle(struct saver_job *job, struct saver_item *item); /* as its outcome says */
/* The store as a whole. */
void saver_fail_all(struct saver_job *job, const struct hf_error *reason);
/* One document, unlocked: the owner may be told. is_bad: it is its own fault. */
void saver_fail_item(struct saver_job *job, struct saver_item *item, struct hf_error *error, int is_bad);
/* A batch was refused, or a document on its own: after some in a row it is no use to go on. */
void saver_note_refused(struct saver_cycle *cycle);
void saver_cycle_fail(struct saver_cycle *cycle, const struct hf_error *error, int is_store);
/* The key goes back to those that wait, and who waits for it is told why. */
void saver_give_back(struct hf_saver *saver, struct saver_key *key, uint32_t generation, const struct hf_error *error);

#endif
