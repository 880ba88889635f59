/* What the verbs of source.h share: reading a source for a change, and its code versions. */
#ifndef HF_RUN_SOURCE_STORE_H
#define HF_RUN_SOURCE_STORE_H

#include "run/source.h"
#include "run/source_spec.h"
#include "run/source_state.h"

enum { SOURCE_TRIES = 8 }; /* of a change that others overtake */

struct source_entry {
    struct source_spec *spec;
    uint64_t revision;
};
int source_entry_read(struct hf_store *store, const char *name, struct source_entry *ret_entry, struct hf_error *error);
void source_entry_fini(struct source_entry *entry);

int source_state_get(struct hf_store *store, const char *name, struct source_state *ret_state, uint64_t *ret_revision,
                     struct hf_error *error);

/* A version of the code. */
struct source_code {
    const char *text; /* borrowed by source_code_put, owned by source_code_get */
    size_t bytes;
    int64_t version;
    const char *author, *note;
};
/* version 0: the newest. NOT_FOUND. */
int source_code_get(struct hf_store *store, const char *name, int64_t version, char **ret_text, size_t *ret_bytes,
                    int64_t *ret_version, struct hf_error *error);
/* The newest version that ever was, also of an earlier source of that name; 0: none. */
int source_code_last_version(struct hf_store *store, const char *name, int64_t *ret_version, struct hf_error *error);
int source_code_put(struct hf_batch *batch, const char *name, const struct source_code *code, int64_t at_ms,
                    struct hf_error *error);

int source_spec_put(struct hf_batch *batch, const struct source_spec *spec, const struct hf_change_options *options,
                    struct hf_error *error);

/* Everything of a new source in one commit; `state`: how it begins. The newest code may be NULL (a command). EXISTS. */
int source_commit_new(struct hf_store *store, const char *who, struct source_spec *spec,
                      const struct source_state *state, const struct source_code *newest, struct hf_error *error);

/* The members of a request that gives `here` what it lacks of `theirs`: fields that are as a new source has them, tags,
 * environment. Changes the lists of `here`. */
int source_merge_write(struct source_spec *here, const struct source_spec *theirs, struct json_writer *writer,
                       struct hf_error *error);

/* Parses the body of a request: an object. */
int source_body_read(struct json_doc *doc, const char *body, size_t body_bytes, struct hf_error *error);

#endif
