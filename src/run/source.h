/* Sources as they stand in the store. Every function works on the store alone, in any thread, with or without a running
 * supervisor: what is wanted is committed, and the supervisor, woken by the store's watch, makes it so.
 * Bodies and results are JSON text; the fields are listed in docs/sources.md. `who` is kept with the change. */
#ifndef HF_RUN_SOURCE_H
#define HF_RUN_SOURCE_H

#include "base/buf.h"
#include "base/error.h"
#include "holdfast.h"
#include "os/os.h"

struct unsaved;

/* Declares the history of the kinds that sources use. Call it once after a store is opened. */
int source_declare_kinds(struct hf_store *store, struct hf_error *error);

/* body: {"name","kind","code"|"argv","interval_ms"|"interval":"5s",…,"start":bool}. Code is validated first (python:
 * syntax, and fetch_data is there). Everything of a new source is one commit. Result: as source_show. Errors: EXISTS,
 * BAD_ID, INVALID (unknown field, wrong type, out of range), BAD_DATA (code: line and reason), TOO_LARGE. */
int source_add(struct hf_store *store, const char *who, const char *body, size_t body_bytes, struct buf *ret_json,
               struct hf_error *error);

/* body: the fields to change, and optionally "code" with "note" and "if_version" (PRECONDITION when the newest version
 * is another). New code takes the next version; the same code again changes nothing. */
int source_edit(struct hf_store *store, const char *who, const char *name, const char *body, size_t body_bytes,
                struct buf *ret_json, struct hf_error *error);

/* Makes the code of an earlier version the newest, as a new version. */
int source_rollback(struct hf_store *store, const char *who, const char *name, int64_t version, struct buf *ret_json,
                    struct hf_error *error);

/* The whole source in one document: what was asked for, and how it is: status pid run_count error_count last_error
 * code_version … unsaved_runs and unsaved_since are runs whose results are not on disk yet,
 * because the source has a save interval: from `unsaved` of the supervisor; none when that is NULL. */
int source_show(struct hf_store *store, struct unsaved *unsaved, const char *name, struct buf *ret_json,
                struct hf_error *error);

/* Arrays. after: name behind which to begin, or NULL; limit 0: all. ret_last (may be NULL): the last name when there is
 * more. */
int source_list(struct hf_store *store, struct unsaved *unsaved, const char *after, uint64_t limit,
                struct buf *ret_json, struct hf_error *error);
int source_tail(struct hf_store *store, const char *name, uint64_t count, struct buf *ret_json,
                struct hf_error *error); /* oldest first */
int source_runs(struct hf_store *store, const char *name, uint64_t count, struct buf *ret_json,
                struct hf_error *error); /* newest first */
int source_versions(struct hf_store *store, const char *name, uint64_t count, int with_code, struct buf *ret_json,
                    struct hf_error *error); /* newest first */

int source_want(struct hf_store *store, const char *who, const char *name, int running, struct buf *ret_json,
                struct hf_error *error);
/* Asks for one run now, whether it is started or not. */
int source_request_run(struct hf_store *store, const char *who, const char *name, struct buf *ret_json,
                       struct hf_error *error);
/* CONFLICT while it is wanted running or a child lives. Its history stays in the store; adding the name again finds its
 * code versions. */
int source_remove(struct hf_store *store, const char *who, const char *name, struct buf *ret_json,
                  struct hf_error *error);

/* One document that tells how it is: {"source": as source_show, "data", "runs", "code": what is known of the newest of
 * each, and how many are kept}. */
int source_summary(struct hf_store *store, struct unsaved *unsaved, const char *name, struct buf *ret_json,
                   struct hf_error *error);

/* {"holdfast_source":1,"exported_at","source": as source_show,"code_versions":[…],"data":[…]}, both newest first. data:
 * how many of the newest data; 0: none. */
enum { SOURCE_EXPORT_FORMAT = 1 };
int source_export(struct hf_store *store, const char *name, int with_code, uint64_t data, struct buf *ret_json,
                  struct hf_error *error);

/* Takes such a document. A source that is not there is made, stopped, with its counters, code versions and data; it is
 * seen when all of it is there. Of one that is there all fields and the newest code become those of the document, its
 * counters stay; with `merge` what it has stays, and it takes only what it lacks: fields that are as a new source has
 * them, tags and environment. Everything is checked before anything is taken. Errors: INVALID, SCHEMA_NEWER, BAD_DATA
 * (code), CORRUPT (a digest does not fit its code), and those of add and edit. */
int source_import(struct hf_store *store, const char *who, const char *name, const char *body, size_t body_bytes,
                  int merge, struct buf *ret_json, struct hf_error *error);

#endif
