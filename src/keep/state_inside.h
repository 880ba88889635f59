/* What the parts of keep/state share: the records as structs, and the one way to change a state. */
#ifndef HF_KEEP_STATE_INSIDE_H
#define HF_KEEP_STATE_INSIDE_H

#include "base/hash.h"
#include "base/mem.h"
#include "keep/state.h"
#include "os/process.h"

#define STATE_KIND         "state"
#define STATE_VERSION_KIND "state_version"
#define STATE_RUN_KIND     "state_run"
#define STATE_TRASH_KIND   "state_trash"

enum {
    STATE_TRIES = 64,         /* of a change that others overtake */
    STATE_KEEP_DEFAULT = 50,  /* versions */
    STATE_KEEP_RUNS = 1000,   /* newest runs that the ledger keeps */
    STATE_DROP_AT_ONCE = 100, /* old versions that one commit takes away */
    STATE_NUMBER_DIGITS = 16,
};

/* Bytes of a state, JSON or not; borrowed from whoever filled it. */
struct state_bytes {
    const char *bytes;
    size_t size;
    int is_json; /* strict JSON, as store documents have to be */
    uint8_t digest[DIGEST_BYTES];
};
/* Looks at bytes: whether they are JSON, and their digest. */
int state_bytes_look(const void *bytes, size_t size, struct state_bytes *ret_bytes, struct hf_error *error);

/* Texts are from the arena of what they are in. NULL never: "" stands for nothing. */
struct state_meta { /* of one version */
    uint64_t version, fence;
    int64_t at_ms;
    int is_json, is_forced;
    uint64_t size;
    uint8_t digest[DIGEST_BYTES];
    const char *run, *code_version, *note, *who;
};

struct state_lease {
    uint64_t fence; /* 0: nobody has it */
    const char *run, *boot_id, *who, *reason;
    int64_t pid;                       /* 0: of no process of this machine; then there is a ttl */
    uint64_t start_ticks, pidfd_inode; /* the inode is 0 where the kernel has none that is unique */
    int64_t taken_at_ms, renewed_boot_ms, ttl_ms;
    uint64_t saves; /* versions that were made under it */
};

struct state_head {
    struct arena arena;
    const char *name;
    uint64_t revision;      /* of its record; 0: there is none, or it cannot be read */
    int exists;             /* there is a record, whole or not */
    int is_damaged;         /* the record cannot be read: what stands here was gathered from versions and runs */
    uint64_t oldest;        /* lowest version that may still be kept; 0: there is none */
    uint64_t gaps;          /* numbers between oldest and the newest that have no version */
    uint64_t fence;         /* of the newest lease */
    uint64_t last_run;      /* highest number that was given to a run */
    uint32_t keep_versions; /* 0: STATE_KEEP_DEFAULT */
    int64_t keep_age_ms;
    struct state_meta newest; /* version 0: nothing was saved yet */
    struct state_lease lease;
};

/* ---- state_head.c ---- */
/* A state that is not there is a head of zeros, not an error. A damaged record is CORRUPT, unless `repair` is asked
 * for: then the head is gathered again, and is_damaged is 1. */
int state_head_read(struct hf_store *store, const char *name, int repair, struct state_head *ret_head,
                    struct hf_error *error);
void state_head_init(struct state_head *head,
                     const char *name); /* of a state that is not there; the name stays the caller's */
void state_head_fini(struct state_head *head);
uint64_t state_head_kept(const struct state_head *head); /* how many versions there are */
/* Puts it under the condition that the record is as it was read (invariant 3). */
int state_head_put(struct hf_batch *batch, const struct state_head *head, struct hf_error *error);
/* Members of the head document, into an object that the caller began. The second: those of the version alone, from
 * "version" and "form" to "forced". */
void state_head_write(struct hf_store *store, struct json_writer *json, const struct state_head *head);
void state_meta_write(struct json_writer *json, const struct state_meta *meta);
/* The same members back; what is wrong is in the fields. */
struct state_fields;
void state_meta_read(struct state_fields *fields, struct state_meta *ret_meta);
/* Fills what a damaged head should say from the versions and runs that are there. */
int state_head_gather(struct hf_store *store, struct state_head *head, struct hf_error *error);
/* Fills *error with: WHAT 'NAME': WHY, the newest version that is whole, and how to go back to it. Returns CORRUPT, or
 * what kept it from finding that version. */
int state_damaged(struct hf_store *store, const char *name, uint64_t below, const char *why, struct hf_error *error);

/* ---- state_name.c ---- */
void state_number_id(const char *name, uint64_t number, char ret_id[HF_ID_MAX + 1]); /* NAME@NNNNNNNNNNNNNNNN */
int state_number_of_id(const char *name, const char *id, uint64_t *ret_number);      /* -1: not one of this name */

/* ---- state_version.c ---- */
struct state_version {
    struct state_meta meta;
    const char *bytes; /* as they were saved, and a NUL */
    struct arena arena;
    char *text; /* the value's memory */
};
/* Errors: NOT_FOUND, CORRUPT (unreadable, or the digest does not fit). */
int state_version_read(struct hf_store *store, const char *name, uint64_t version, struct state_version **ret_version,
                       struct hf_error *error);
/* The same from the text of the record. */
int state_version_parse(const char *json, size_t json_bytes, const struct json_limits *limits, uint64_t number,
                        struct state_version **ret_version, struct hf_error *error);
void state_version_free(struct state_version **version);
/* The value as members of an object: "space" (where there is any) and "value", or "base64". */
void state_value_write(struct json_writer *json, const char *bytes, size_t size, int is_json);
int state_version_put(struct hf_batch *batch, const char *name, const struct state_meta *meta, const void *bytes,
                      struct hf_error *error);
/* ---- state_walk.c ---- */
/* Walks the kept versions, oldest first; a damaged one has code CORRUPT and only its number. Values are not decoded. */
typedef int (*state_meta_visit)(void *arg, const struct state_meta *meta, int code);
int state_version_each(struct hf_store *store, const char *name, state_meta_visit visit, void *arg,
                       struct hf_error *error);
/* The newest version that is whole, below or at `from`; NOT_FOUND when there is none. */
int state_version_newest_whole(struct hf_store *store, const char *name, uint64_t from, uint64_t *ret_version,
                               struct hf_error *error);
/* Adds the deletions of what is no longer to be kept to the batch, and moves head->oldest. */
int state_version_drop_old(struct hf_store *store, struct hf_batch *batch, struct state_head *head,
                           struct hf_error *error);

/* ---- state_change.c ---- */
/* The one way to change a state: reads the head, has `change` alter it and add to the batch, commits, and begins again
 * when another change came between. `change` may return an error to give up, or STATE_NOTHING when there is nothing to
 * do. *ret_head (may be NULL) is the head as it stands then. */
enum { STATE_NOTHING = 1 };
struct state_change {
    struct hf_store *store;
    const char *name;
    const char *who;
    int repair;                  /* works on a damaged head too */
    const struct hf_batch *with; /* records that go into the same commit; NULL: none. Stays the caller's */
    int (*change)(void *arg, struct state_head *head, struct hf_batch *batch, struct hf_error *error);
    void *arg;
};
int state_change_commit(const struct state_change *change, struct state_head *ret_head, struct hf_error *error);
/* In a change: makes the bytes the next version of the head, puts them, drops what is old. Of meta it takes at_ms (0:
 * now), fence, run, is_forced and the texts (NULL is ""); head->newest is the new version then. The same bytes as the
 * newest, when that is whole: no version, head->newest stays. Under the head's lease it is renewed in any case. */
int state_change_save(struct hf_store *store, struct state_head *head, struct hf_batch *batch,
                      const struct state_bytes *bytes, const struct state_meta *meta, struct hf_error *error);

/* ---- state_lease.c ---- */
/* Who wants a lease, and the run that begins with it. */
struct state_claim {
    int64_t pid;                             /* 0: no process of this machine; then a ttl is needed */
    int64_t ttl_ms;                          /* 0: none */
    int steal;                               /* from a living owner too */
    const char *who, *reason, *command_json; /* NULL: none */
    int64_t scheduled_at_ms;
    struct process_identity identity; /* filled by state_claim_identify */
    char host[HF_KIND_MAX + 1];
};
/* Before the change: asks the kernel who the process is. INVALID: there is none, or neither pid nor ttl. */
int state_claim_identify(struct hf_store *store, struct state_claim *claim, struct hf_error *error);
/* In a change: CONFLICT as state_lease_check_free says; else ends the run of an owner who lost it ("lost" or
 * "taken_over"), enters a new run, and gives the head its lease. */
int state_lease_take(struct hf_store *store, struct state_head *head, struct hf_batch *batch,
                     const struct state_claim *claim, struct hf_error *error);
/* In a change, before somebody else's save: the lease of an owner who is dead, or whose time is over, is gone, and his
 * run ended. What he has still under way would be saved over what he has not seen. */
int state_lease_end_lost(struct hf_store *store, struct state_head *head, struct hf_batch *batch,
                         struct hf_error *error);
/* In a change, behind state_lease_check_fence: puts off the end of the lease. STATE_NOTHING when it has no ttl. */
int state_lease_renew(struct hf_store *store, struct state_head *head);
enum state_owner { STATE_OWNER_NONE, STATE_OWNER_DEAD, STATE_OWNER_EXPIRED, STATE_OWNER_ALIVE };
enum state_owner state_lease_owner(struct hf_store *store, const struct state_lease *lease);
/* In a change: CONFLICT naming the holder when a living owner has the lease and it is not `fence`. */
int state_lease_check_free(struct hf_store *store, const struct state_head *head, uint64_t fence,
                           struct hf_error *error);
/* In a change: CONFLICT unless the head's lease is of this fence. An owner that is dead by now still counts, as long as
 * nobody else saved: his message may have been under way. */
int state_lease_check_fence(const struct state_head *head, uint64_t fence, struct hf_error *error);

/* ---- state_public_lease.c ---- */
/* INVALID when the lease is of another state: its fence says nothing here. */
int state_lease_check_name(const struct hf_state_lease *lease, const char *name, struct hf_error *error);

/* ---- state_ledger.c ---- */
struct state_run {
    uint64_t number, fence, version_before, version_after, saves;
    const char *outcome, *reason, *who;
    const char *host;
    const char *command_json; /* NULL: none */
    const char *output_tail;  /* NULL: none */
    int64_t scheduled_at_ms, started_at_ms, ended_at_ms, duration_ms, records, pid;
    int64_t exit_code, signal; /* -1: not known */
    struct arena arena;        /* of one that was read */
};
/* What is not known of a run: zeros, "" and -1. */
void state_run_init(struct state_run *run);
/* In a change: gives the run the next number of the head and puts it, and drops the oldest over STATE_KEEP_RUNS. */
int state_run_enter(struct hf_store *store, struct state_head *head, struct hf_batch *batch, struct state_run *run,
                    struct hf_error *error);
int state_run_put(struct hf_batch *batch, const char *name, const struct state_run *run, struct hf_error *error);
int state_run_read(struct hf_store *store, const char *name, uint64_t number, struct state_run *ret_run,
                   struct hf_error *error);
/* The same from the text of the record, into one that was begun with state_run_init. */
int state_run_parse(const char *json, size_t json_bytes, uint64_t number, struct state_run *run,
                    struct hf_error *error);
void state_run_fini(struct state_run *run);
/* In a change: ends the run that holds the head's lease, with this outcome, and lets go of the lease. more (may be
 * NULL; begun with state_run_init): its exit_code, signal, duration_ms, records, output_tail and reason are taken where
 * they are known. */
int state_run_close(struct hf_store *store, struct state_head *head, struct hf_batch *batch, const char *outcome,
                    const struct state_run *more, struct hf_error *error);

/* ---- state_body.c: requests ---- */
struct state_basis {
    int is_given, is_forced, has_version, has_fence;
    uint64_t version, fence;
};
/* Reads an object; unknown members are INVALID, named. `known`: names of the members that may be there, ended by NULL;
 * those of the basis are always known. */
int state_body_read(struct json_doc *doc, const char *body, size_t body_bytes, const char *const *known,
                    struct hf_error *error);
int state_body_basis(const struct json_doc *doc, struct state_basis *ret_basis, struct hf_error *error);
/* "value" or "base64" into *bytes (owned by *scratch). INVALID when both or neither; NOT_FOUND, without an error's
 * text, when neither and `optional`. */
int state_body_bytes(const struct json_doc *doc, int optional, struct buf *scratch, struct state_bytes *ret_bytes,
                     struct hf_error *error);
/* In a change: what the basis asks of the head: CONFLICT, PRECONDITION, NO_BASIS. */
int state_basis_check(struct hf_store *store, const struct state_head *head, const struct state_basis *basis,
                      struct hf_error *error);
#endif
