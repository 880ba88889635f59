/* The supervisor: keeps what is wanted running, in the loop's thread, and survives its own death. */
#ifndef HF_RUN_SUPERVISOR_H
#define HF_RUN_SUPERVISOR_H

#include "base/buf.h"
#include "base/error.h"
#include "holdfast.h"
#include "os/loop.h"

struct supervisor;
struct supervisor_options {
    const char *data_dir;                     /* instance name of cgroups, children's HOLDFAST_DATA */
    const char *python;                       /* NULL: "python3" in PATH */
    void (*log)(void *arg, const char *line); /* lines for people; may be NULL */
    void *log_arg;
    /* The store has failed and all children are being ended: nothing can be promised any more. May be NULL. */
    void (*store_failed)(void *arg, const struct hf_error *error);
    void *store_failed_arg;
};

/* Reads what the store says, ends what still lives of an earlier daemon, then starts what is wanted. `restored` is
 * called once with the report: {"restored":[names],"skipped":[{"name","reason"}],"failed":[{"name","reason"}]}. */
int supervisor_new(struct hf_store *store, struct loop *loop, const struct supervisor_options *options,
                   void (*restored)(void *arg, const char *report_json), void *arg, struct supervisor **ret_supervisor,
                   struct hf_error *error);
/* Ends all children (SIGTERM, then SIGKILL), leaves what is wanted as it is, saves, then calls done. */
void supervisor_stop(struct supervisor *supervisor, void (*done)(void *arg), void *arg);
/* What is not saved yet; any thread; lives as long as the supervisor. */
struct unsaved *supervisor_unsaved(struct supervisor *supervisor);
void supervisor_free(struct supervisor **supervisor);

#endif
