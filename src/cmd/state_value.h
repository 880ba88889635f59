/* A state between a reply and a file: its bytes out of the one, and whether what stands in the other may follow it. */
#ifndef HF_CMD_STATE_VALUE_H
#define HF_CMD_STATE_VALUE_H

#include "base/buf.h"
#include "base/error.h"
#include "base/json.h"
#include "cmd/command.h"

/* The bytes exactly as they were saved, from a document with "value" and perhaps "space", or with "base64"; added to
 * *out. Errors: BAD_DATA, NO_MEMORY. */
int state_value_take(const struct json_doc *doc, struct buf *out, struct hf_error *error);

/* What is there now; nothing was saved yet: version 0. */
struct state_before {
    uint64_t version;
    int is_json;
    struct buf bytes;
};
/* Asks for it. *before was initialised with state_before_init. */
void state_before_init(struct state_before *before);
void state_before_fini(struct state_before *before);
int state_before_get(struct command_way *way, const char *name, struct state_before *before, struct hf_error *error);
/* Whether bytes may follow what is there: a file that a crash left empty, cut short or full of zeros may not. Errors:
 * BAD_DATA, BAD_JSON, SCHEMA_NEWER. */
int state_before_check(const struct state_before *before, const struct buf *bytes, struct hf_error *error);

/* A request, and its reply shown for people: a value as its bytes, a diff as a table. state_show.c */
int state_ask_and_show(const struct command_invocation *invocation, const struct command_request *request, int is_value,
                       struct hf_error *error);

/* The bodies of requests, member by member, behind what command_build_body wrote. */
void state_body_open(struct command_request *request);
void state_body_add(struct buf *body, const char *key, const char *json, size_t bytes);
void state_body_add_number(struct buf *body, const char *key, uint64_t number);
void state_body_add_bytes(struct buf *body, const struct buf *bytes); /* as base64 */
int state_body_close(struct buf *body, struct hf_error *error);

#endif
