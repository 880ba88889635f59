/* What stands behind the store: one table of functions per backend. Only store/ calls it.
 *
 * Contract
 *  - One thread writes: begin … put/delete/trim … commit or abort are called by the committer only, one after the
 * other. get, scan, history, events and check (view STORE_COMMITTED) are called by any thread at any time, and see the
 * newest commit that had returned before the call, and nothing that is not committed.
 *  - get with STORE_IN_TRANSACTION is called by the committer between begin and commit and sees its own changes.
 *  - commit returns 0 only when everything of the transaction is durable. HF_ERR_NO_SPACE, QUOTA, READ_ONLY,
 * NO_MEMORY, PERMISSION and TOO_MANY_FILES from any call: the transaction can be aborted and the store works on. Any
 * other failure of commit leaves the outcome unknown: the store becomes FAILED and asks nothing of the backend any more
 * but close.
 *  - put appends the event and, when history_keep is not 0, the version, and removes versions beyond history_keep.
 *  - What is read back is compared with its checksum: a damaged row gives HF_ERR_CORRUPT and never other bytes.
 *  - What a change points to lives until commit or abort has returned.
 *  - Rows given to a visit live until it returns. */
#ifndef HF_STORE_BACKEND_H
#define HF_STORE_BACKEND_H

#include "base/buf.h"
#include "base/error.h"
#include "holdfast.h"
#include "os/os.h"

enum store_view { STORE_COMMITTED, STORE_IN_TRANSACTION };

/* A change as the committer hands it down: checked, hashed, numbered. */
struct store_change {
    enum hf_what what;
    const char *kind, *id, *who;
    const char *json; /* NULL for a deletion */
    size_t json_bytes;
    uint8_t hash[HF_HASH_BYTES];
    uint64_t revision;
    int64_t at_ms;
    int64_t created_ms; /* of the record: kept from the one that is replaced */
    uint32_t history_keep;
};

/* The contract's soft failures: the transaction can be given up, and the store works on. */
static inline int store_code_is_soft(int code) {
    return code == HF_ERR_NO_SPACE || code == HF_ERR_QUOTA || code == HF_ERR_READ_ONLY || code == HF_ERR_NO_MEMORY ||
           code == HF_ERR_PERMISSION || code == HF_ERR_TOO_MANY_FILES;
}

/* Which records a scan gives, in the order of kind and id. */
struct store_range {
    const char *kind;                  /* NULL: all kinds */
    const char *after_kind, *after_id; /* begin behind this key; after_id NULL: from the beginning. With a kind,
                                          after_kind is that kind */
    uint64_t limit;                    /* 0: all */
};

/* What is to be done about a record's file that is not what was committed. */
enum store_mend {
    STORE_MEND_NOTHING,  /* it is as it should be (again) */
    STORE_MEND_TAKE,     /* *ret_json is what the file holds: to be committed if the record still has if_hash */
    STORE_MEND_PUT_BACK, /* ours was written again; the other is kept aside */
};

struct store_backend;
struct store_backend_ops {
    const char *name; /* the scheme of its URL */
    /* rest: what stands behind "scheme:"; os: for every effect. *ret_revision: of the newest commit. */
    int (*open)(const struct os *os, const char *rest, const struct hf_store_options *options,
                struct store_backend **ret_backend, uint64_t *ret_revision, struct hf_error *error);
    void (*close)(struct store_backend **backend);
    int (*begin)(struct store_backend *backend, struct hf_error *error);
    int (*put)(struct store_backend *backend, const struct store_change *change, struct hf_error *error);
    int (*remove)(struct store_backend *backend, const struct store_change *change, struct hf_error *error);
    int (*commit)(struct store_backend *backend, struct hf_error *error);
    void (*abort)(struct store_backend *backend);
    /* The record without its bytes when `ret_record` is asked with head_only: the committer needs revision, hash,
     * times. */
    int (*get)(struct store_backend *backend, enum store_view view, const char *kind, const char *id, int head_only,
               struct hf_record **ret_record, struct hf_error *error);
    int (*scan)(struct store_backend *backend, const struct store_range *range, hf_record_visit visit, void *arg,
                struct hf_error *error);
    int (*history)(struct store_backend *backend, const char *kind, const char *id, uint64_t limit,
                   hf_record_visit visit, void *arg, struct hf_error *error);
    int (*events)(struct store_backend *backend, uint64_t since, uint64_t limit, hf_event_visit visit, void *arg,
                  struct hf_error *error);
    /* The next slice of a check: about max_rows rows; adds to *result. Sets cursor->is_done behind the last. */
    int (*check)(struct store_backend *backend, struct hf_check_cursor *cursor, uint64_t max_rows,
                 hf_finding_visit visit, void *arg, struct hf_check_result *result, struct hf_error *error);
    /* Optional. */
    int (*trim_events)(struct store_backend *backend, uint64_t keep, struct hf_error *error); /* in a transaction */
    int (*rest_now)(struct store_backend *backend, struct hf_error *error); /* idle work of the writer: checkpoint */
    /* The writer's, outside of a transaction. HF_ERR_FAILED: the outcome is unknown, as after commit. Any other
     * failure: nothing has changed, and the store works on. */
    int (*compact)(struct store_backend *backend, struct hf_compact_result *ret_result, struct hf_error *error);
    /* A file of a record that check found changed, missing or damaged. Any thread. ret_json is initialised. A key of
     * which there is no record is one that another program added. */
    int (*mend)(struct store_backend *backend, const char *kind, const char *id, enum store_mend *ret_mend,
                struct buf *ret_json, uint8_t ret_if_hash[HF_HASH_BYTES], struct hf_error *error);
};

struct store_backend {
    const struct store_backend_ops *ops;
};

extern const struct store_backend_ops store_memory_ops;
extern const struct store_backend_ops store_sqlite_ops;
extern const struct store_backend_ops store_tree_ops;

/* Wraps any backend and fails its calls at random, from a seed: one in `one_in` calls gives a code that the contract
 * allows there. For tests; ships, so that programs over the library can be tested with it too. */
int store_failing_new(struct store_backend **take_inner, uint64_t seed, unsigned one_in,
                      struct store_backend **ret_backend, struct hf_error *error);

/* A copy that hf_record_free frees: one block. json may be NULL. */
int store_record_copy(const struct hf_record *record, struct hf_record **ret_copy, struct hf_error *error);

#endif
