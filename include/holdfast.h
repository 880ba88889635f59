/* holdfast: durable state for data collectors. The one public header.
 *
 * Conventions
 *  - A function that can fail returns 0, or a negative code of HF_ERROR_MAP, and fills the caller's struct hf_error
 *    (the last parameter, which may be NULL).
 *  - Outputs come last, are named ret_…, and are untouched on failure.
 *  - `const T *` that is returned is borrowed; `T **ret_…` is owned by the caller, who frees it with that type's free.
 *    A free or close takes `T **`, accepts NULL and pointers to NULL, and sets the pointer to NULL.
 *  - Text is UTF-8. Times are milliseconds since 1970-01-01T00:00:00Z (`_ms`). Sizes are bytes.
 *  - The library never prints, exits, installs signal handlers or keeps mutable globals.
 */
#ifndef HOLDFAST_H
#define HOLDFAST_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define HF_PUBLIC   __attribute__((visibility("default")))
#define HF_MUST_USE __attribute__((warn_unused_result))
#else
#define HF_PUBLIC
#define HF_MUST_USE
#endif

#define HF_VERSION "0.1.0"

/* The version of the library that is linked, as text ("0.1.0"). Thread-safe. */
HF_PUBLIC const char *hf_version(void);

/* ---------------------------------------------------------------------------------------------------------------- *
 * Errors
 * ---------------------------------------------------------------------------------------------------------------- */

/* One row per error: X(NAME, code, "word", http status, exit code, retryable, "what it means").
 * The word is what JSON replies and scripts see; the exit codes are those of sysexits.h. */
#define HF_ERROR_MAP(X)                                                                                                \
    X(INVALID, -1, "invalid", 400, 64, 0, "an argument is not acceptable")                                             \
    X(BAD_ID, -2, "bad_id", 400, 64, 0, "a kind, id or name is not acceptable")                                        \
    X(BAD_JSON, -3, "bad_json", 400, 65, 0, "the text is not strict JSON")                                             \
    X(BAD_DATA, -4, "bad_data", 422, 65, 0, "the content is well formed but not what is wanted here")                  \
    X(TOO_LARGE, -5, "too_large", 413, 65, 0, "a size is over its limit")                                              \
    X(NOT_FOUND, -6, "not_found", 404, 66, 0, "there is no such thing")                                                \
    X(EXISTS, -7, "exists", 409, 73, 0, "the name is taken")                                                           \
    X(CONFLICT, -8, "conflict", 409, 75, 0, "the thing is not in a state that allows this")                            \
    X(PRECONDITION, -9, "precondition_failed", 412, 75, 0, "the record is not at the revision that was asked for")     \
    X(COMPACTED, -10, "compacted", 410, 65, 0, "events that old are no longer kept; read a snapshot instead")          \
    X(LOCKED, -11, "store_locked", 503, 75, 1, "another process owns the data directory")                              \
    X(READ_ONLY, -12, "store_readonly", 503, 74, 1, "the file system is read-only")                                    \
    X(NO_SPACE, -13, "no_space", 507, 74, 1, "the disk is full")                                                       \
    X(QUOTA, -14, "quota", 507, 74, 1, "the disk quota is used up")                                                    \
    X(IO, -15, "io", 503, 74, 0, "reading or writing failed")                                                          \
    X(FAILED, -16, "store_failed", 503, 74, 0, "the store stopped after an I/O error in a commit; re-open it")         \
    X(CORRUPT, -17, "corrupt", 500, 65, 0, "stored bytes are damaged")                                                 \
    X(NOT_OURS, -18, "not_ours", 500, 78, 0, "the file was not written by holdfast")                                   \
    X(SCHEMA_NEWER, -19, "schema_newer", 500, 78, 0, "the file was written by a newer holdfast")                       \
    X(PERMISSION, -20, "permission", 403, 77, 0, "the system does not permit this")                                    \
    X(UNSAFE_PATH, -21, "unsafe_path", 400, 77, 0, "a path leads outside or through a symbolic link")                  \
    X(TOO_MANY_FILES, -22, "too_many_files", 503, 75, 1, "no file descriptor is free")                                 \
    X(NO_MEMORY, -23, "no_memory", 503, 71, 1, "memory is used up")                                                    \
    X(TIMEOUT, -24, "timeout", 504, 75, 1, "it took longer than allowed")                                              \
    X(EXEC, -25, "exec", 422, 69, 0, "the program cannot be started")                                                  \
    X(CHILD, -26, "child_failed", 502, 69, 1, "a child process failed")                                                \
    X(UNAVAILABLE, -27, "unavailable", 503, 69, 1, "the daemon cannot be reached")                                     \
    X(UNAUTHORIZED, -28, "unauthorized", 401, 77, 0, "a token is needed")                                              \
    X(FORBIDDEN, -29, "forbidden", 403, 77, 0, "the token does not allow this")                                        \
    X(CANNOT_CREATE, -30, "cannot_create", 500, 73, 0, "the file or folder cannot be created")                         \
    X(CONFIG, -31, "config", 500, 78, 0, "the configuration is wrong")                                                 \
    X(UNSUPPORTED, -32, "unsupported", 501, 69, 0, "this is not supported here")                                       \
    X(CANCELLED, -33, "cancelled", 503, 75, 1, "it was given up before it happened")                                   \
    X(INTERNAL, -34, "internal", 500, 70, 0, "a bug in holdfast")

enum hf_code {
    HF_OK = 0,
#define X(name, code, word, http, exit_code, retryable, text) HF_ERR_##name = (code),
    HF_ERROR_MAP(X)
#undef X
};

/* What went wrong, in the caller's memory. `message` is lower case, action first, subject in quotes, each level in
 * front of the next: "open store '/var/x': read header: file is cut short". `hint` says what to do and may be empty. */
struct hf_error {
    int code;         /* an enum hf_code; 0 when nothing is wrong */
    int system_errno; /* the errno behind it, or 0 */
    char message[512];
    char hint[256];
    char origin[64]; /* file:line that found it, for bug reports */
};

/* The word, HTTP status, exit code, meaning of a code, and whether a later try may work. Thread-safe; an unknown code
 * is treated as HF_ERR_INTERNAL. */
HF_PUBLIC const char *hf_code_word(int code);
HF_PUBLIC const char *hf_code_text(int code);
HF_PUBLIC int hf_code_http_status(int code);
HF_PUBLIC int hf_code_exit_status(int code);
HF_PUBLIC int hf_code_is_retryable(int code);

/* ---------------------------------------------------------------------------------------------------------------- *
 * Store: JSON documents that survive
 *
 * A record is a JSON document under a key = (kind, id). Every commit takes the next revision of the store, and every
 * change in it is an event at that revision. The hash of a record is XXH3-128 (Yann Collet, xxHash 0.8) of the
 * canonical form of the document: keys sorted by their bytes, no white space, escapes decoded, numbers verbatim. A kind
 * is 1 to 64 bytes of [a-z0-9_], beginning with a letter. An id is 1 to 255 bytes of UTF-8 without control characters
 * (those that change the direction of writing are among them) and '/', and neither "." nor "..".
 * ---------------------------------------------------------------------------------------------------------------- */

struct hf_store;
struct hf_batch;

enum { HF_HASH_BYTES = 16, HF_KIND_MAX = 64, HF_ID_MAX = 255 };

struct hf_record {
    const char *kind;
    const char *id;
    uint64_t revision; /* of the commit that last changed it */
    uint8_t hash[HF_HASH_BYTES];
    int64_t created_ms;
    int64_t updated_ms;
    const char
        *json; /* exactly the bytes that were put; NUL-terminated for convenience; NULL for a deletion in history */
    size_t json_bytes;
    const char *who; /* who changed it last; may be "" */
};

enum hf_what { HF_PUT = 1, HF_DELETE = 2 };

struct hf_event {
    uint64_t revision;
    enum hf_what what;
    const char *kind;
    const char *id;
    uint8_t hash[HF_HASH_BYTES]; /* zero for a deletion */
    int64_t at_ms;
    const char *who;
};

struct hf_store_options {
    uint32_t struct_bytes;       /* sizeof(struct hf_store_options) */
    uint32_t max_document_bytes; /* 0: 10 MiB; at most 900,000,000 */
    uint32_t max_document_depth; /* 0: 128; at most 1,024 */
    uint32_t events_keep;        /* how many newest events are kept at least; 0: 100,000 */
    int read_only;               /* 1: nothing is written, and what would write fails with HF_ERR_READ_ONLY */
};

/* Opens the store named by url: "sqlite:FILE" or "memory:". FILE is created when it does not exist (not when
 * read_only). A sqlite store belongs to one process at a time; the second gets HF_ERR_LOCKED with the holder in the
 * message. Errors: LOCKED, NOT_OURS, SCHEMA_NEWER, CORRUPT, CANNOT_CREATE, PERMISSION, READ_ONLY, NO_SPACE, IO,
 * NO_MEMORY, INVALID. The handle may be used by many threads at once. Do not use it in a child after fork. options may
 * be NULL. */
HF_PUBLIC HF_MUST_USE int hf_store_open(const char *url, const struct hf_store_options *options,
                                        struct hf_store **ret_store, struct hf_error *error);

/* Finishes the commits that are under way, then closes. No other call may be running or follow. */
HF_PUBLIC void hf_store_close(struct hf_store **store);

/* For kinds that want their past: keep the newest `keep` versions of each record of this kind (0: none, the default;
 * UINT32_MAX: all). Holds for commits that follow, for as long as the store is open. Thread-safe. Errors: BAD_ID. */
HF_PUBLIC HF_MUST_USE int hf_store_keep_history(struct hf_store *store, const char *kind, uint32_t keep,
                                                struct hf_error *error);

/* A batch is what is committed at once: all of its changes or none. Not thread-safe; owned by the caller until it is
 * committed. `who` is kept with each change (may be NULL). Errors: NO_MEMORY. */
HF_PUBLIC HF_MUST_USE int hf_batch_new(const char *who, struct hf_batch **ret_batch, struct hf_error *error);
HF_PUBLIC void hf_batch_free(struct hf_batch **batch);

/* What a change asks of the record as it is. */
enum hf_condition {
    HF_ALWAYS = 0,
    HF_IF_REVISION = 1, /* it is at if_revision */
    HF_IF_ABSENT = 2,   /* there is none */
    HF_IF_PRESENT = 3,  /* there is one */
    HF_IF_HASH = 4,     /* its hash is if_hash */
};

struct hf_change_options {
    enum hf_condition condition;
    uint64_t if_revision;
    uint8_t if_hash[HF_HASH_BYTES];
};

/* Adds a put or a deletion. The bytes are copied. options may be NULL (HF_ALWAYS). A put of a document whose hash is
 * what is stored changes nothing: it makes no event and no revision. Deleting what is not there: HF_ERR_NOT_FOUND at
 * commit. Errors: BAD_ID, NO_MEMORY, INVALID (the same key twice in a batch). The document itself is checked when it is
 * committed. */
HF_PUBLIC HF_MUST_USE int hf_batch_put(struct hf_batch *batch, const char *kind, const char *id, const char *json,
                                       size_t json_bytes, const struct hf_change_options *options,
                                       struct hf_error *error);
HF_PUBLIC HF_MUST_USE int hf_batch_delete(struct hf_batch *batch, const char *kind, const char *id,
                                          const struct hf_change_options *options, struct hf_error *error);

struct hf_commit_result {
    uint64_t revision;           /* at which the batch's changes stand; that of the record for an unchanged put */
    int changed;                 /* 0: every put was what is stored already */
    int created;                 /* 1: the first change made a record that was not there */
    uint8_t hash[HF_HASH_BYTES]; /* of the first change */
};

/* Commits and waits: when it returns 0, the changes are on disk and will be found after a power cut. What several
 * threads commit at once shares one transaction and one fsync. Takes the batch: *batch is NULL afterwards in any case.
 * ret_result may be NULL. Errors: BAD_JSON, TOO_LARGE, EXISTS (HF_IF_ABSENT), PRECONDITION (the other conditions),
 * NOT_FOUND, NO_SPACE, QUOTA, READ_ONLY: nothing of the batch is there, and the store works on; FAILED, IO: the store
 * has stopped, and what was acknowledged earlier is safe. Thread-safe. */
HF_PUBLIC HF_MUST_USE int hf_store_commit(struct hf_store *store, struct hf_batch **batch,
                                          struct hf_commit_result *ret_result, struct hf_error *error);

/* As hf_store_commit, but returns at once; `done` is called exactly once, from the store's writer thread (or from
 * inside this call when the batch is refused at once), and must not block or call the store back. */
typedef void (*hf_commit_done)(void *arg, int code, const struct hf_commit_result *result,
                               const struct hf_error *error);
HF_PUBLIC void hf_store_commit_async(struct hf_store *store, struct hf_batch **batch, hf_commit_done done, void *arg);

/* One put, or one deletion, committed. */
HF_PUBLIC HF_MUST_USE int hf_store_put(struct hf_store *store, const char *kind, const char *id, const char *json,
                                       size_t json_bytes, struct hf_commit_result *ret_result, struct hf_error *error);
HF_PUBLIC HF_MUST_USE int hf_store_delete(struct hf_store *store, const char *kind, const char *id,
                                          struct hf_commit_result *ret_result, struct hf_error *error);

/* Reads one record; its bytes are compared with their checksum. Sees every commit that was acknowledged before the
 * call. Errors: NOT_FOUND, CORRUPT (this record only), BAD_ID, IO, NO_MEMORY. Thread-safe. */
HF_PUBLIC HF_MUST_USE int hf_store_get(struct hf_store *store, const char *kind, const char *id,
                                       struct hf_record **ret_record, struct hf_error *error);
HF_PUBLIC void hf_record_free(struct hf_record **record);

/* Called for each row; the record is borrowed for the call. Return 0 to go on, anything else to stop (the walk then
 * returns that value). A damaged row is given with code HF_ERR_CORRUPT and json NULL; the others with code 0. The
 * callback must not write to the same store. */
typedef int (*hf_record_visit)(void *arg, const struct hf_record *record, int code);
typedef int (*hf_event_visit)(void *arg, const struct hf_event *event);

/* Walks the records of a kind in the byte order of their ids, from the first id greater than `after` (NULL: from the
 * beginning), at most `limit` of them (0: all). kind NULL: all kinds, in the order (kind, id); `after` must be NULL
 * then. One consistent snapshot. Thread-safe. */
HF_PUBLIC HF_MUST_USE int hf_store_scan(struct hf_store *store, const char *kind, const char *after, uint64_t limit,
                                        hf_record_visit visit, void *arg, struct hf_error *error);

/* Walks the kept versions of one record, newest first, at most `limit` (0: all). A deletion is given with json NULL. */
HF_PUBLIC HF_MUST_USE int hf_store_history(struct hf_store *store, const char *kind, const char *id, uint64_t limit,
                                           hf_record_visit visit, void *arg, struct hf_error *error);

/* Walks the events of revisions greater than `since`, oldest first, at most `limit` (0: all). A limit may fall between
 * the events of one revision: then go on from the revision before it. Errors: COMPACTED when events that old are no
 * longer kept: read a snapshot with hf_store_scan, and go on from its revision. Thread-safe. */
HF_PUBLIC HF_MUST_USE int hf_store_events(struct hf_store *store, uint64_t since, uint64_t limit, hf_event_visit visit,
                                          void *arg, struct hf_error *error);

/* The revision of the newest commit; 0 for a new store. Of a read-only store beside an owner: as it was opened.
 * Thread-safe. */
HF_PUBLIC uint64_t hf_store_revision(struct hf_store *store);

/* Calls `changed` after each group of commits with the newest revision, from the writer thread; it must not block or
 * call the store back: wake your own thread and read hf_store_events there. Errors: NO_MEMORY. */
typedef void (*hf_store_changed)(void *arg, uint64_t revision);
struct hf_watch;
HF_PUBLIC HF_MUST_USE int hf_store_watch(struct hf_store *store, hf_store_changed changed, void *arg,
                                         struct hf_watch **ret_watch, struct hf_error *error);
HF_PUBLIC void hf_watch_close(struct hf_watch **watch);

struct hf_finding {
    const char *kind; /* NULL when the finding is about the file as a whole */
    const char *id;
    const char *what; /* "bad_checksum", "bad_hash", "bad_structure", "missing_index", … */
    const char *text;
};
typedef void (*hf_finding_visit)(void *arg, const struct hf_finding *finding);

struct hf_check_result {
    uint64_t records, history, events; /* rows that were read */
    uint64_t findings;
};

/* Reads everything, compares every checksum and hash, and has the backend check its own structure. Returns 0 when it
 * could read all of it, whether it found something or not. `visit` may be NULL. Errors: IO, CORRUPT (cannot go on). */
HF_PUBLIC HF_MUST_USE int hf_store_check(struct hf_store *store, hf_finding_visit visit, void *arg,
                                         struct hf_check_result *ret_result, struct hf_error *error);

#ifdef __cplusplus
}
#endif
#endif
