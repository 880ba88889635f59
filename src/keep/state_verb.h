/* What the verbs on states share: bodies of requests, answers, and what is asked of every state. */
#ifndef HF_KEEP_STATE_VERB_H
#define HF_KEEP_STATE_VERB_H

#include "keep/state_inside.h"

/* ---- state_body.c ---- */
/* As state_body_read, for bodies that have no basis: its members are unknown too. */
int state_body_read_plain(struct json_doc *doc, const char *body, size_t body_bytes, const char *const *known,
                          struct hf_error *error);
/* INVALID, named, when an object has other members than these. */
int state_body_members(const struct json_doc *doc, uint32_t object, const char *const *known, struct hf_error *error);
/* Members of an object; one that is not there, or null, leaves *value as it is. INVALID: of another type, a number
 * below `least`, a text with a NUL in it or of more than STATE_TEXT_MAX bytes, a time that is not RFC 3339. */
enum { STATE_TEXT_MAX = 4096 };
int state_body_number(const struct json_doc *doc, uint32_t object, const char *key, int64_t least, int64_t *value,
                      struct hf_error *error);
int state_body_text(const struct json_doc *doc, uint32_t object, const char *key, struct arena *arena,
                    const char **value, struct hf_error *error);
int state_body_time(const struct json_doc *doc, uint32_t object, const char *key, int64_t *value,
                    struct hf_error *error);
int state_body_flag(const struct json_doc *doc, uint32_t object, const char *key, int *value, struct hf_error *error);

/* ---- state_show.c ---- */
/* The head document and "changed". */
int state_answer(struct hf_store *store, const struct state_head *head, int changed, struct buf *ret_json,
                 struct hf_error *error);
/* And how many of something there were. */
struct state_count {
    const char *key;
    uint64_t count;
};
int state_answer_count(struct hf_store *store, const struct state_head *head, int changed, struct state_count count,
                       struct buf *ret_json, struct hf_error *error);
/* 1 when nothing of it is there: no version, no lease, no run, no retention. Its head may still be, so that numbers of
 * runs go on. Negative: an error. */
int state_is_gone(struct hf_store *store, const struct state_head *head, struct hf_error *error);
/* NOT_FOUND when it is gone; otherwise a head that may be a repaired one. */
int state_head_find(struct hf_store *store, const char *name, int repair, struct state_head *ret_head,
                    struct hf_error *error);
int state_not_there(const char *name, struct hf_error *error); /* fills in NOT_FOUND */

/* ---- state_numbers.c: lists of numbers, in a buf of uint64_t, the lowest first ---- */
size_t state_numbers_count(const struct buf *numbers);
uint64_t state_numbers_at(const struct buf *numbers, size_t index);
int state_numbers_of_runs(struct hf_store *store, const char *name, struct buf *ret_numbers, struct hf_error *error);
int state_numbers_of_versions(struct hf_store *store, const char *name, struct buf *ret_numbers,
                              struct hf_error *error);

/* ---- state_get.c ---- */
/* The newest version; when it is damaged, state_damaged. STATE_OVERTAKEN: the head is no longer the one that was read,
 * and the version went with it. In a change that is no error: the commit fails, and all begins again. */
enum { STATE_OVERTAKEN = 2 };
int state_read_newest(struct hf_store *store, const struct state_head *head, struct state_version **ret_version,
                      struct hf_error *error);
/* The highest version that was saved before a time. *ret_doubt: a damaged one above it that may be the one that is
 * meant; 0: none. NOT_FOUND. */
int state_find_before(struct hf_store *store, const char *name, int64_t before_ms, uint64_t *ret_version,
                      uint64_t *ret_doubt, struct hf_error *error);
/* The bytes of a version, to be saved again. */
struct state_bytes state_bytes_of(const struct state_version *version);

/* ---- state_export.c ---- */
enum { STATE_EXPORT_FORMAT = 1 };
/* The document of an export. as_base64: JSON values too, so that it nests no deeper than any other document. */
int state_export_write(struct hf_store *store, const struct state_head *head, int only_newest, int as_base64,
                       struct buf *out, struct hf_error *error);

/* ---- state_place.c: what takes the place of another, or leaves its own ---- */
/* EXISTS unless the name is free. */
int state_check_free_name(struct hf_store *store, const struct state_head *head, struct hf_error *error);
/* Puts a version of another name under the head's: the first becomes its oldest, the last its newest. One that was
 * saved under a lease is of the run of that number of this name. */
int state_place_version(struct hf_batch *batch, struct state_head *head, const struct state_version *version,
                        struct hf_error *error);
/* Puts a run of another name under the head's. One that was not ended is "lost". */
int state_place_run(struct hf_batch *batch, struct state_head *head, struct state_run *run, struct hf_error *error);
/* Adds to the batch that versions, runs and head are deleted. Of a state that had runs an empty head stays: their
 * numbers must never be given again, or a run that was frozen would write as another. */
int state_remove_all(struct hf_store *store, struct hf_batch *batch, const struct state_head *head,
                     struct hf_error *error);
/* Commits; STATE_OVERTAKEN when a head or version is no longer as it was read. Then the whole has to be done again. */
int state_commit_batch(struct hf_store *store, struct hf_batch **batch, struct hf_error *error);
/* Tries again and again while it is overtaken; CONFLICT when that does not end. `number` counts the tries from 0. */
typedef int (*state_attempt)(void *arg, int number, struct hf_error *error);
int state_attempt_until_done(state_attempt attempt, void *arg, struct hf_error *error);

#endif
