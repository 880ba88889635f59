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
    X(INTERNAL, -34, "internal", 500, 70, 0, "a bug in holdfast")                                                      \
    X(NO_BASIS, -35, "no_basis", 428, 64, 0, "the write must say which version it is based on")

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

/* Called now and then by what lasts. total is 0 while it is not known. Return 0 to go on; anything else gives it up
 * with HF_ERR_CANCELLED. */
typedef int (*hf_progress)(void *arg, uint64_t done, uint64_t total);

struct hf_finding {
    const char *kind; /* NULL when the finding is about the store as a whole */
    const char *id;   /* NULL when it is not known */
    const char *what; /* one of HF_FINDING_MAP's words */
    const char *text;
    const char *path;   /* of the file it is about, relative to the store; NULL when it is about none */
    const char *action; /* what was done about it: "reported", "marked", "taken", "put_back", "kept_aside" */
};
typedef void (*hf_finding_visit)(void *arg, const struct hf_finding *finding);

/* What check, the auditor and the opening of a tree can find: X("word", "what it means"). */
#define HF_FINDING_MAP(X)                                                                                              \
    X("bad_checksum", "stored bytes do not match their checksum")                                                      \
    X("bad_hash", "the hash is not that of the document")                                                              \
    X("bad_json", "the document is not JSON")                                                                          \
    X("bad_structure", "the backend's own structure is damaged")                                                       \
    X("missing_index", "an index lacks a row, or has one too many")                                                    \
    X("lost_record", "an index names a record whose row cannot be read")                                               \
    X("damaged_file", "a file is empty, cut short, not JSON, or too deep")                                             \
    X("oversize_file", "a file is over the size limit")                                                                \
    X("unreadable_file", "a file cannot be read")                                                                      \
    X("missing_file", "a record's file is not there")                                                                  \
    X("foreign_edit", "a file was changed by another program")                                                         \
    X("foreign_file", "a file was added by another program")                                                           \
    X("bad_name", "no id has a file of this name")                                                                     \
    X("pending_file", "a committed record could not be written to its file yet")                                       \
    X("unmarked_change", "the owner changed a document without marking it")                                            \
    X("unmarked_new", "the owner holds a document that was never marked")                                              \
    X("missing_in_owner", "the owner no longer holds a document that is stored")                                       \
    X("unverifiable", "a part could not be read, and so not be checked")

struct hf_store_options {
    uint32_t struct_bytes;       /* sizeof(struct hf_store_options) */
    uint32_t max_document_bytes; /* 0: 10 MiB; at most 900,000,000 */
    uint32_t max_document_depth; /* 0: 128; at most 1,024 */
    uint32_t events_keep;        /* how many newest events are kept at least; 0: 100,000 */
    int read_only;               /* 1: nothing is written, and what would write fails with HF_ERR_READ_ONLY */
    uint32_t max_queue_bytes;    /* of batches that wait to be committed; 0: 64 MiB */
    hf_progress progress;        /* of opening, where there is much to read; may be NULL */
    void *progress_arg;
    hf_finding_visit found; /* what opening finds: damaged files, edits by other programs; may be NULL */
    void *found_arg;
};

/* Opens the store named by url:
 *   sqlite:FILE       one database file
 *   tree:DIR?OPTIONS  a readable JSON file for each record, beside an index in DIR/.holdfast
 *   memory:           nothing outlives the close
 * OPTIONS of a tree, joined by '&':
 *   layout=kind   DIR/KIND/ID.json (the default); layout=watch: DIR/ID/KIND.json, and DIR/ID.json for the kind
 *                 "settings": the layout of changedetection.io's datastore
 *   durable=batch what another program finds after a power cut is whole, old or new (the default: one sync of the file
 *                 system for many files); file: and it finds every acknowledged record; none: it may find files empty
 *                 until the store was opened again. Acknowledged records are never lost with any of them.
 *   ours=KIND,…   a file of these kinds that another program changed is put back; of all others the change is taken as
 *                 a new revision. What is not kept stays in DIR/.holdfast/aside.
 *   threads=N     that write and read files; 0: as many as are good (the default)
 * FILE and DIR are created when they do not exist (not when read_only). A tree that was never opened to be written is
 * read from its files when read_only. A store belongs to one process at a time; the second gets HF_ERR_LOCKED with the
 * holder in the message. Errors: LOCKED, NOT_OURS, SCHEMA_NEWER, CORRUPT, CANNOT_CREATE, PERMISSION, READ_ONLY,
 * NO_SPACE, IO, NO_MEMORY, INVALID. The handle may be used by many threads at once. Do not use it in a child after
 * fork. options may be NULL. */
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
 * NOT_FOUND, NO_SPACE, QUOTA, READ_ONLY, NO_MEMORY, PERMISSION, TOO_MANY_FILES, CORRUPT (what the batch changes lies
 * among damaged bytes): nothing of the batch is there, and the store works on; FAILED, IO: the store has stopped, and
 * what was acknowledged earlier is safe. Thread-safe. */
HF_PUBLIC HF_MUST_USE int hf_store_commit(struct hf_store *store, struct hf_batch **batch,
                                          struct hf_commit_result *ret_result, struct hf_error *error);

/* As hf_store_commit, but does not wait for the disk; `done` is called exactly once, from the store's writer thread (or
 * from inside this call when the batch is refused at once), and must not block or call the store back. While the
 * batches that wait take more than options.max_queue_bytes, this call blocks until the writer took some of them. */
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
 * beginning), at most `limit` of them (0: all). kind NULL: all kinds, in the order (kind, id); `after` is then
 * "KIND/ID". One consistent snapshot. Thread-safe. */
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

struct hf_check_result {
    uint64_t records, history, events; /* rows that were read */
    uint64_t findings;
};

/* Reads everything, compares every checksum and hash, and has the backend check its own structure. Returns 0 when it
 * could read all of it, whether it found something or not. `visit` may be NULL. Errors: IO, CORRUPT (cannot go on).
 * Thread-safe. */
HF_PUBLIC HF_MUST_USE int hf_store_check(struct hf_store *store, hf_finding_visit visit, void *arg,
                                         struct hf_check_result *ret_result, struct hf_error *error);

/* The same in slices, for those who have other things to do in between: begin with a cursor of zeros, and call it until
 * cursor.is_done. Each call reads about max_rows rows and adds to *result. Rows are checked as they are when the slice
 * comes to them. */
struct hf_check_cursor {
    int without_structure; /* set by the caller: leave out what can only be done in one piece */
    int is_done;
    uint64_t done, total; /* rows read so far, and about how many there are */
    uint32_t stage;       /* the backend's */
    uint64_t at;
    char key[HF_KIND_MAX + HF_ID_MAX + 2];
};
HF_PUBLIC HF_MUST_USE int hf_store_check_slice(struct hf_store *store, struct hf_check_cursor *cursor,
                                               uint64_t max_rows, hf_finding_visit visit, void *arg,
                                               struct hf_check_result *result, struct hf_error *error);

/* Gives back what deletions left: rewrites the backend's files where that makes them smaller. Commits wait meanwhile.
 * Crash-safe. *ret_result may be NULL. Errors: NO_SPACE (as much again is needed for a while), READ_ONLY, FAILED, IO.
 */
struct hf_compact_result {
    uint64_t bytes_before, bytes_after;
};
HF_PUBLIC HF_MUST_USE int hf_store_compact(struct hf_store *store, struct hf_compact_result *ret_result,
                                           struct hf_error *error);

/* Copies every record of one store to another, of any backends, with its times and who changed it last; revisions are
 * the new store's. A record that is there with the same hash is left, so a copy that was broken off goes on where it
 * ended; then everything is read again from both and compared. Errors: CONFLICT (`to` has another document under the
 * key, and overwrite is 0; nothing of the kind is copied any more), CORRUPT (a record of `from` is damaged, and salvage
 * is 0; or the comparison failed), CANCELLED, and those of commit. `from` may be read-only. */
struct hf_copy_options {
    uint32_t struct_bytes;
    int with_history; /* 1: kept versions too (of records that are there now) */
    int overwrite;    /* 1: documents of `to` that differ are replaced */
    int salvage;      /* 1: go round what cannot be read, and tell of it by `found` */
    hf_progress progress;
    void *progress_arg;
    hf_finding_visit found;
    void *found_arg;
};
struct hf_copy_result {
    uint64_t records;  /* of `from` that could be read */
    uint64_t written;  /* of them: copied now */
    uint64_t same;     /* of them: there already */
    uint64_t damaged;  /* could not be read */
    uint64_t verified; /* read again from both, and equal */
};
HF_PUBLIC HF_MUST_USE int hf_store_copy(struct hf_store *from, struct hf_store *to,
                                        const struct hf_copy_options *options, struct hf_copy_result *ret_result,
                                        struct hf_error *error);

/* ---------------------------------------------------------------------------------------------------------------- *
 * Saver: write-behind for a program that holds its documents itself
 *
 * The owner changes a document and marks its key; the saver asks for the document later, skips it when its hash is what
 * is stored, and commits the others in batches. A mark is never lost: not while that key is being saved, not when the
 * save fails.
 * ---------------------------------------------------------------------------------------------------------------- */

struct hf_saver;
struct hf_document; /* where the owner puts the JSON text it is asked for */

/* Appends a copy of the bytes; may be called several times. Errors are remembered. */
HF_PUBLIC void hf_document_add(struct hf_document *document, const char *json, size_t bytes);
/* Instead: lends the whole text, which must stay as it is until options.returned was called for the key (or for ever,
 * when there is no such callback). */
HF_PUBLIC void hf_document_lend(struct hf_document *document, const char *json, size_t bytes);

/* Gives the document as it is now; called from the saver's threads, several at once, never for one key at a time twice.
 * Return 0, HF_ERR_NOT_FOUND when the owner deleted it (it is then deleted from the store), or another code (it stays
 * marked and is asked for again). `tag` is what the key was marked or listed with. Must not call the saver. */
typedef int (*hf_document_give)(void *arg, const char *kind, const char *id, void *tag, struct hf_document *document);
typedef void (*hf_document_returned)(void *arg, const char *kind, const char *id, void *tag);
/* Lists what the owner holds: calls visit for each key. Return 0, or what stopped it. */
typedef int (*hf_key_visit)(void *arg, const char *kind, const char *id, void *tag);
typedef int (*hf_document_each)(void *arg, hf_key_visit visit, void *visit_arg);

enum hf_notice_level { HF_NOTICE = 1, HF_WARNING = 2, HF_CRITICAL = 3 };
/* One line for the owner's log; from any thread; must not call the saver. Said when something begins, not each time. */
typedef void (*hf_notice)(void *arg, enum hf_notice_level level, const char *text);

enum hf_durability {
    HF_SOON = 0,   /* mark returns at once; saved within the interval */
    HF_COMMIT = 1, /* mark returns when the document is on disk */
};

struct hf_saver_options {
    uint32_t struct_bytes;
    enum hf_durability durability;
    uint32_t interval_ms;    /* between the ends of standard saves; 0: 10,000 */
    uint32_t batch;          /* documents in one commit; 0: 50 */
    uint32_t threads;        /* at most, and never more than there are processors; 0: 20 */
    uint32_t warning_dirty;  /* so many marked keys are warned of; 0: 500 */
    uint32_t critical_dirty; /* 0: 1,000 */
    hf_document_give give;
    hf_document_returned returned; /* may be NULL */
    hf_document_each each;         /* may be NULL: then what was ever marked or loaded is what the owner holds */
    hf_notice notice;              /* may be NULL */
    void *arg;                     /* of all of these */
    const char *who;               /* kept with each change; may be NULL */
};

/* Starts saving to the store, which must stay open longer than the saver. Strings are copied. Errors: INVALID,
 * NO_MEMORY, TOO_MANY_FILES. Do not use it in a child after fork. */
HF_PUBLIC HF_MUST_USE int hf_saver_open(struct hf_store *store, const struct hf_saver_options *options,
                                        struct hf_saver **ret_saver, struct hf_error *error);

/* Saves what is marked, then ends. When that is not possible it fails, and the saver stays as it was: mend the cause
 * and call it again, or give up what is not saved with hf_saver_abandon. */
HF_PUBLIC HF_MUST_USE int hf_saver_close(struct hf_saver **saver, struct hf_error *error);
HF_PUBLIC void hf_saver_abandon(struct hf_saver **saver);

/* Walks the stored records of a kind, as hf_store_scan does, and remembers their hashes: the owner takes its documents
 * from here, and what it never changes is never written again. visit may be NULL. */
HF_PUBLIC HF_MUST_USE int hf_saver_load(struct hf_saver *saver, const char *kind, hf_record_visit visit, void *arg,
                                        struct hf_error *error);

enum hf_urgency { HF_STANDARD = 0, HF_URGENT = 1 };
/* Says that the document of this key changed, or was deleted. Urgent: a save begins at once instead of within the
 * interval. With HF_COMMIT it waits, and gives the save's error (the key then stays marked); with HF_SOON it only fails
 * when the key cannot be remembered. Thread-safe. Errors: BAD_ID, NO_MEMORY; with HF_COMMIT those of commit. */
HF_PUBLIC HF_MUST_USE int hf_saver_mark(struct hf_saver *saver, const char *kind, const char *id, void *tag,
                                        enum hf_urgency urgency, struct hf_error *error);

/* Saves all that is marked now and waits. Thread-safe. Errors: of the first document that could not be saved. */
HF_PUBLIC HF_MUST_USE int hf_saver_flush(struct hf_saver *saver, struct hf_error *error);
/* Marks everything that the owner holds, saves it and waits: for before a backup. What is unchanged is not written. */
HF_PUBLIC HF_MUST_USE int hf_saver_save_all(struct hf_saver *saver, struct hf_error *error);

/* How saving goes. HEALTHY, WARNING and CRITICAL by these rules, the first that holds:
 *   CRITICAL  the store stopped; the saver's thread ended; the oldest unsaved change is older than ten intervals and
 *             five minutes
 *   WARNING   the oldest unsaved change is older than two intervals and 300 s; over critical_dirty keys are marked;
 *             the last save failed; over 1 % of all saves failed
 *   HEALTHY   otherwise: having nothing to save is healthy */
enum hf_health_status { HF_HEALTHY = 0, HF_HEALTH_WARNING = 1, HF_HEALTH_CRITICAL = 2 };
struct hf_health {
    enum hf_health_status status;
    char message[160];
    int thread_alive;
    uint64_t dirty;            /* keys that are marked */
    uint64_t dirty_settings;   /* of them: of the kind "settings" */
    uint64_t in_flight;        /* documents that are being saved */
    int64_t oldest_unsaved_ms; /* age of the oldest change that is not on disk; 0: none */
    int64_t last_save_ms;      /* since the last save that worked; -1: there was none */
    uint64_t save_cycles;
    uint64_t total_saves;     /* documents written */
    uint64_t total_unchanged; /* skipped: the hash was what is stored */
    uint64_t total_deleted;
    uint64_t total_errors; /* documents that could not be saved, each time */
    double error_rate_percent;
    uint64_t unmarked_found;    /* by audits */
    struct hf_error last_error; /* code 0 when the last save worked */
};
HF_PUBLIC void hf_saver_health(struct hf_saver *saver, struct hf_health *ret_health);

/* ---------------------------------------------------------------------------------------------------------------- *
 * Auditor: a safety net under marks and under disks
 *
 * Each cycle takes the next shard: of what the owner holds (a changed document that nobody marked) and of what is
 * stored (rot; a file that another program changed). What the owner holds belongs to a shard by the hash of its key,
 * what is stored by a place that moves on: a set that grows or shrinks moves no boundary, and everything is looked at
 * once in as many cycles as there are shards. What is found is told, and kept as a record of the kind "finding", so
 * that it is an event too.
 * ---------------------------------------------------------------------------------------------------------------- */

struct hf_auditor;
struct hf_auditor_options {
    uint32_t struct_bytes;
    uint32_t interval_ms;   /* between cycles; 0: 10,000; UINT32_MAX: no thread, hf_auditor_run does every cycle */
    uint32_t shards;        /* 0: 5; at most 1,000 */
    struct hf_saver *saver; /* whose owner is audited; NULL: only what is stored */
    int not_stored;         /* 1: leave out what is stored */
    int without_records;    /* 1: findings are told, but not kept in the store */
    hf_finding_visit found; /* from the auditor's thread; may be NULL */
    void *arg;
};
struct hf_audit_result {
    uint64_t audited; /* documents of the owner */
    uint64_t checked; /* stored rows and files */
    uint64_t findings;
    uint64_t cycles; /* shards that were done */
};
/* Errors: INVALID, NO_MEMORY. The store and the saver must stay open longer than the auditor. */
HF_PUBLIC HF_MUST_USE int hf_auditor_open(struct hf_store *store, const struct hf_auditor_options *options,
                                          struct hf_auditor **ret_auditor, struct hf_error *error);
HF_PUBLIC void hf_auditor_close(struct hf_auditor **auditor);
/* Does the next shard now (every_shard: all of them), in the caller's thread. ret_result: of this call; may be NULL. */
HF_PUBLIC HF_MUST_USE int hf_auditor_run(struct hf_auditor *auditor, int every_shard,
                                         struct hf_audit_result *ret_result, struct hf_error *error);
/* Since it was opened. Thread-safe. */
HF_PUBLIC void hf_auditor_totals(struct hf_auditor *auditor, struct hf_audit_result *ret_totals);

/* ---------------------------------------------------------------------------------------------------------------- *
 * State: what a collector that ends wants to find again
 *
 * A state is bytes under a name: JSON is shown as JSON, anything else (a pickle, say) is kept as it is and never looked
 * into, far less executed. Every save is a version. A run that must not meet another one takes the lease of the name;
 * with it comes a fence, a number that only grows: what was saved with an older fence is refused (HF_ERR_CONFLICT), so
 * a run that was frozen and overtaken cannot write. The lease of a dead owner is free at once: the kernel is asked
 * (boot id, pid, start time), never a flag.
 *
 * Everything works on an open store, in any thread, several at once on one name too. A child after fork uses neither
 * the store nor a lease of its parent: it opens the store again when the parent has closed it, and takes its own lease.
 * A program that exits without closing loses nothing that was acknowledged, and its lease is free. A signal handler
 * that runs meanwhile disturbs no save; none may call these functions. Beside a daemon, which owns the data directory,
 * use its socket (docs/state.md) or `holdfast run`. A name is an id of at most 200 bytes that does not begin with '-'.
 * ---------------------------------------------------------------------------------------------------------------- */

enum { HF_STATE_NAME_MAX = 200, HF_STATE_BYTES_MAX = 64 << 20 };

struct hf_state_value {
    const char *name;
    const void *bytes; /* exactly what was saved, and a NUL behind it for convenience */
    size_t size;
    int is_json;
    uint64_t version; /* 1, 2, …; 0: a default, never saved */
    uint64_t fence;   /* it was saved with; 0: without a lease */
    int64_t at_ms;
    uint8_t digest[32];       /* BLAKE2b-256 of the bytes */
    const char *run;          /* "NAME@NUMBER"; "" without a lease */
    const char *code_version; /* as the saver said; may be "" */
    const char *note, *who;   /* may be "" */
};
HF_PUBLIC void hf_state_value_free(struct hf_state_value **value);

/* Gives the newest version, or the one that is named. Errors: NOT_FOUND: nothing was ever saved (or that version is not
 * kept); CORRUPT: it is damaged; the message names the newest version that is whole, the hint how to go back to it.
 * A damaged state is never taken for one that was not saved. Also BAD_ID, IO, NO_MEMORY. Thread-safe. */
HF_PUBLIC HF_MUST_USE int hf_state_load(struct hf_store *store, const char *name, struct hf_state_value **ret_value,
                                        struct hf_error *error);
HF_PUBLIC HF_MUST_USE int hf_state_load_version(struct hf_store *store, const char *name, uint64_t version,
                                                struct hf_state_value **ret_value, struct hf_error *error);
/* As hf_state_load; only when nothing was ever saved under the name, a value of these bytes with version 0. */
HF_PUBLIC HF_MUST_USE int hf_state_default(struct hf_store *store, const char *name, const void *bytes, size_t size,
                                           struct hf_state_value **ret_value, struct hf_error *error);

struct hf_state_lease;

/* What the save is based on: somebody else's newer version is not overwritten unawares. */
enum hf_state_basis {
    HF_STATE_BY_LEASE = 0,   /* the lease alone decides; there must be one */
    HF_STATE_IF_VERSION = 1, /* the newest version is if_version; 0: nothing was saved yet */
    HF_STATE_FORCE = 2,      /* whatever is there, also under another's lease; kept with the version as forced */
};
struct hf_state_save_options {
    uint32_t struct_bytes;
    enum hf_state_basis basis;
    uint64_t if_version;
    const struct hf_state_lease *lease;    /* NULL: without; then a lease that a living owner holds is CONFLICT */
    const char *code_version, *note, *who; /* may be NULL */
    struct hf_batch *with; /* records that are committed together with the state, all or nothing; taken in any case */
};
/* Saves the bytes as the next version: when it returns 0, it is on disk. The same bytes again as the newest version
 * make no new one. Old versions that are no longer to be kept (hf_state_keep) go in the same commit. ret_version may be
 * NULL. Errors: TOO_LARGE (over HF_STATE_BYTES_MAX, or what the store takes as one document), CONFLICT (another owner
 * holds the lease; this lease was taken over; or others changed the state again and again meanwhile), PRECONDITION
 * (IF_VERSION, or a condition of `with`), NO_BASIS (BY_LEASE without one), CORRUPT (the state's head is damaged: the
 * hint says how to go back to a whole version), INVALID, BAD_ID, and those of hf_store_commit. Thread-safe. */
HF_PUBLIC HF_MUST_USE int hf_state_save(struct hf_store *store, const char *name, const void *bytes, size_t size,
                                        const struct hf_state_save_options *options, uint64_t *ret_version,
                                        struct hf_error *error);

/* Makes an earlier version the newest, as a new version: nothing that was saved since is lost. The way out of a damaged
 * state; works over a damaged newest version, and where the state's own record is damaged. `force`: also while a living
 * owner holds the lease; kept with the version as forced. `who` and ret_version may be NULL. Errors: NOT_FOUND (the
 * version is not kept), CORRUPT (it is damaged itself), CONFLICT, and those of hf_store_commit. Thread-safe. */
HF_PUBLIC HF_MUST_USE int hf_state_rollback(struct hf_store *store, const char *name, uint64_t to_version, int force,
                                            const char *who, uint64_t *ret_version, struct hf_error *error);

/* How many versions are kept: the newest `versions` of them (0: 50, the default), and any that is younger than
 * max_age_ms (0: only the number counts). Never fewer than one. The next save goes by it. */
HF_PUBLIC HF_MUST_USE int hf_state_keep(struct hf_store *store, const char *name, uint32_t versions, int64_t max_age_ms,
                                        struct hf_error *error);

struct hf_state_lease_options {
    uint32_t struct_bytes;
    int64_t pid;    /* whose process the owner is, on this machine; 0: the caller's own */
    int64_t ttl_ms; /* another may take it when nothing was saved or renewed for so long; 0: not before the owner is
                       dead. By the clock that goes on while the machine sleeps and that nobody sets */
    int steal;      /* 1: take it from a living owner; what he saves is refused from then on */
    const char *reason, *who; /* kept in the ledger of runs; may be NULL */
};
/* Takes the lease of a name, and enters a run into its ledger. options may be NULL. Errors: CONFLICT: a living owner
 * holds it; pid, run and since when are in the message. */
HF_PUBLIC HF_MUST_USE int hf_state_lease_take(struct hf_store *store, const char *name,
                                              const struct hf_state_lease_options *options,
                                              struct hf_state_lease **ret_lease, struct hf_error *error);
/* Of a lease that was taken elsewhere, by its fence: what HOLDFAST_FENCE names. Nothing is asked of the store. */
HF_PUBLIC HF_MUST_USE int hf_state_lease_of_fence(const char *name, uint64_t fence, struct hf_state_lease **ret_lease,
                                                  struct hf_error *error);
/* Puts off the end of a lease with a ttl. Errors: CONFLICT: it was taken over. */
HF_PUBLIC HF_MUST_USE int hf_state_lease_renew(struct hf_store *store, const struct hf_state_lease *lease,
                                               struct hf_error *error);
HF_PUBLIC uint64_t hf_state_lease_fence(const struct hf_state_lease *lease);
HF_PUBLIC const char *hf_state_lease_run(const struct hf_state_lease *lease); /* "NAME@NUMBER" */
/* Gives it back and closes the run in the ledger. outcome: "ok", "error" or another word; NULL: "ok". The lease is
 * freed in any case; one that is not given back is free when its owner ends. Errors: CONFLICT: it was taken over. */
HF_PUBLIC HF_MUST_USE int hf_state_lease_release(struct hf_store *store, struct hf_state_lease **lease,
                                                 const char *outcome, struct hf_error *error);
HF_PUBLIC void hf_state_lease_free(struct hf_state_lease **lease); /* forgets it without giving it back */

#ifdef __cplusplus
}
#endif
#endif
