/* States of collectors: the records they are made of, and every verb as JSON in and out, as run/source.h has them for
 * sources. Over the public functions of the store alone; any thread, with or without a daemon.
 *
 * Records
 *   state/NAME          the head: {"name","version","oldest","gaps","fence","last_run","keep":{"versions",
 *                       "max_age_ms"},"lease":{…}|null,"meta":{…}|null}
 *                       version 0: nothing was saved yet, but a lease was taken. meta: what the newest version says of
 *                       itself, without its value.
 *                       lease: {"run","fence","pid","start_ticks","pidfd_inode","boot_id","taken_at",
 *                       "renewed_boot_ms","ttl_ms","saves","who","reason"}
 *   state_version/NAME@NNNNNNNNNNNNNNNN  one version (16 digits): {"name","version","form":"json"|"bytes",
 *                       "value":JSON|"base64":"…","space":["before","behind"],"bytes","digest","at","run","fence",
 *                       "code_version","note","who","forced"}; "space" is the white space around JSON, when there is
 *                       any, so that the bytes come back as they were.
 *   state_run/NAME@NNNNNNNNNNNNNNNN  the ledger: {"name","run","number","fence","outcome","reason","command",
 *                       "scheduled_at","started_at","ended_at","duration_ms","exit_code","signal","records","saves","version_before",
 *                       "version_after","pid","host","output_tail"}; outcome: "running", "ok", "failed", "timeout",
 *                       "killed", "skipped", "taken_over", "lost" (its owner ended without a word), "refused" (its new
 *                       state was not acceptable), "error"
 *
 * Invariants
 *  1. A version is acknowledged when it is on disk, whole; head, version and what goes with them are one commit.
 *  2. A default is given only when there is no head and no version, or a head of version 0: NOT_FOUND. What is damaged
 *     is CORRUPT, and the message names the newest version that is whole.
 *  3. Every change of a state is one commit with the condition that the head is at the revision that was read. So a
 *     save that names a fence and comes behind a takeover is refused, however long it was under way.
 *  4. Numbers of runs only grow, and the fence is the number of the run that took the lease last. With a damaged head
 *     they go on from the highest that any version or run names.
 *  5. Whether the owner of a lease lives is asked of the kernel (boot id, pid, start time); an owner that cannot be
 *     read counts as living. A lease with a ttl may be taken when it ran out, by the boot clock.
 *  6. Retention never takes the newest version, and takes a version only when it is old by number and, where an age is
 *     asked for, by age too: a clock that jumps removes nothing by itself.
 *  7. The same bytes again are acknowledged without a version only when the newest version was read and is whole. */
#ifndef HF_KEEP_STATE_H
#define HF_KEEP_STATE_H

#include "base/buf.h"
#include "base/error.h"
#include "base/json.h"
#include "holdfast.h"
#include "os/os.h"

/* Declares what the store keeps of these kinds. Call it once after a store is opened. */
int state_declare_kinds(struct hf_store *store, struct hf_error *error);
/* What one document of the store must be able to hold, for a state of HF_STATE_BYTES_MAX. */
enum { STATE_DOCUMENT_BYTES = 96 << 20 };

int state_check_name(const char *name, struct hf_error *error);

/* Who asks: kept with what is changed. pid: of the process that is to own a lease; 0: none is known (a caller from
 * another machine), and then a lease needs a ttl. */
struct state_caller {
    const char *who;
    int64_t pid;
};

/* Result documents ("the head document"): {"name","version","form","bytes","digest","at","run","fence","code_version",
 * "note","who","keep":{…},"lease":{…,"alive":bool}|null,"versions_kept"}. Digests are hex. */

/* ---- reading ---- */
/* Array of head documents in the order of their names. after: the name behind which to begin, or NULL; limit 0: all. */
int state_list(struct hf_store *store, const char *after, uint64_t limit, struct buf *ret_json, struct hf_error *error);
int state_show(struct hf_store *store, const char *name, struct buf *ret_json, struct hf_error *error);
/* The value of a version, or of the newest that was there before a time: exactly one of both may be not 0.
 * {"name","version",…,"value":JSON} or {…,"base64":"…"}. */
int state_get(struct hf_store *store, const char *name, uint64_t version, int64_t before_ms, struct buf *ret_json,
              struct hf_error *error);
/* Array of kept versions, newest first, without their values; a damaged one as {"version","error"}. count 0: all. */
int state_log(struct hf_store *store, const char *name, uint64_t count, struct buf *ret_json, struct hf_error *error);
/* Array of runs, newest first. A run whose owner ended without a word is shown as "lost". */
int state_runs(struct hf_store *store, const char *name, uint64_t count, struct buf *ret_json, struct hf_error *error);
/* What differs between two versions (to 0: the newest; from 0: the one before it):
 * {"name","from","to","changes":[{"path", "what":"added"|"removed"|"changed","from","to"}]}, path a JSON pointer (RFC
 * 6901); of values that are not JSON only
 * {"bytes_from","bytes_to","digest_from","digest_to"}. */
int state_diff(struct hf_store *store, const char *name, uint64_t from, uint64_t to, struct buf *ret_json,
               struct hf_error *error);

/* ---- changing; all answer the head document and "changed" ---- */
/* What a body says of its basis and its run, for set, merge and commit: {"fence"} | {"if_version"} | {"force":true},
 * and "code_version", "note". None of the three: NO_BASIS with the newest version in the hint. */
/* body: {"value":JSON} | {"base64":"…"}, basis. */
int state_set(struct hf_store *store, const struct state_caller *caller, const char *name, const char *body,
              size_t body_bytes, struct buf *ret_json, struct hf_error *error);
/* body: {"patch":JSON} (RFC 7396), basis. The state must be JSON; with if_version 0 nothing is {}. */
int state_merge(struct hf_store *store, const struct state_caller *caller, const char *name, const char *body,
                size_t body_bytes, struct buf *ret_json, struct hf_error *error);
/* body: {"value"|"base64", "records":[{"kind","id","doc"}|{"kind","id","delete":true}…], basis}: state and records in
 * one commit. Records of holdfast's own kinds are refused by the caller of this (api). A "value" that is left out
 * leaves the state as it is: then only the records are committed, under the fence. Answers "records" too. */
int state_commit(struct hf_store *store, const struct state_caller *caller, const char *name, const char *body,
                 size_t body_bytes, struct buf *ret_json, struct hf_error *error);
/* Makes an earlier version the newest, as a new version. With to_version 0: the newest from before before_ms. The way
 * out of a damaged newest version or head: works for them too. CONFLICT while a living owner holds the lease, unless
 * force. */
int state_rollback(struct hf_store *store, const struct state_caller *caller, const char *name, uint64_t to_version,
                   int64_t before_ms, int force, struct buf *ret_json, struct hf_error *error);
/* Copies the newest version (with_history: all kept ones) to a new name: EXISTS when it is taken. */
int state_copy(struct hf_store *store, const struct state_caller *caller, const char *name, const char *to,
               int with_history, struct buf *ret_json, struct hf_error *error);
/* Renames: versions, ledger and retention move; one commit. CONFLICT while a living owner holds the lease, EXISTS. */
int state_move(struct hf_store *store, const struct state_caller *caller, const char *name, const char *to,
               struct buf *ret_json, struct hf_error *error);
/* Removes a state with its versions and its ledger; what is removed is first put into the store as one record of the
 * kind state_trash (id NAME@TIME), from which state import brings it back. CONFLICT while a living owner holds the
 * lease, unless force. purge: without that record. */
int state_clear(struct hf_store *store, const struct state_caller *caller, const char *name, int force, int purge,
                struct buf *ret_json, struct hf_error *error);
/* body: {"versions":N,"max_age_ms":N}; applied at once. */
int state_keep(struct hf_store *store, const struct state_caller *caller, const char *name, const char *body,
               size_t body_bytes, struct buf *ret_json, struct hf_error *error);
/* {"holdfast_state":1,"name","keep","versions":[…oldest first, whole…],"runs":[…]}; damaged versions are left out and
 * counted in "damaged". */
int state_export(struct hf_store *store, const char *name, int only_newest, struct buf *ret_json,
                 struct hf_error *error);
/* The same back, under its own or another name. EXISTS unless the state is not there, or replace (then the imported
 * newest version becomes a new version of what is there). Checked whole before anything is taken: a document that is
 * cut short, from a newer format (SCHEMA_NEWER), or whose digests do not fit (CORRUPT) changes nothing. */
int state_import(struct hf_store *store, const struct state_caller *caller, const char *name, const char *body,
                 size_t body_bytes, int replace, struct buf *ret_json, struct hf_error *error);

/* ---- runs ---- */
/* body: {"on_overlap":"fail"|"steal","ttl_ms","pid","scheduled_at","command":[…],"reason"}. Takes the lease and enters
 * the run: {"name","run","number","fence","version","form","value"|"base64"} (the last three only when a state was
 * saved). CONFLICT: {…} as an error whose message names holder's pid, run and since when; "overlap":"skip" in the body:
 * the run is entered as skipped first. An owner that died without a word is first entered as "lost". */
int state_run_begin(struct hf_store *store, const struct state_caller *caller, const char *name, const char *body,
                    size_t body_bytes, struct buf *ret_json, struct hf_error *error);
/* body: {"fence","outcome","exit_code","signal","duration_ms","records","output_tail","reason", and optionally
 * "value"|"base64","code_version","note"}: saves the state where one is given, closes the run and gives the lease back,
 * in one commit. Answers the head document. CONFLICT: it was taken over (its run is then "taken_over" already). */
int state_run_end(struct hf_store *store, const struct state_caller *caller, const char *name, const char *body,
                  size_t body_bytes, struct buf *ret_json, struct hf_error *error);
/* body: {"fence"}: puts off the end of a lease with a ttl. */
int state_run_renew(struct hf_store *store, const char *name, const char *body, size_t body_bytes, struct buf *ret_json,
                    struct hf_error *error);
/* Who holds the lease now, for the overlap policy `kill`: 0 and his identity, or NOT_FOUND. In the head document's
 * lease: pid, start_ticks, boot_id, alive. */

#endif
