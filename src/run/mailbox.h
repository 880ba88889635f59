/* Brings what the store's writer thread says into the loop's thread: commits that are done, and that something changed.
 * It outlives its owner for as long as commits are under way: what they say then is dropped. */
#ifndef HF_RUN_MAILBOX_H
#define HF_RUN_MAILBOX_H

#include "os/loop.h"
#include "run/run_world.h"

struct mailbox;
int mailbox_new(const struct os *os, struct loop *loop, struct hf_store *store, struct mailbox **ret_mailbox,
                struct hf_error *error);
void mailbox_free(struct mailbox **mailbox); /* before the loop and the store */

/* done is called in the loop's thread, never from inside this call. */
void mailbox_commit(struct mailbox *mailbox, struct hf_batch **take_batch, run_commit_done done, void *arg);

/* From now on `changed` is called in the loop's thread after commits, once for many. */
int mailbox_watch(struct mailbox *mailbox, void (*changed)(void *arg), void *arg, struct hf_error *error);

#endif
