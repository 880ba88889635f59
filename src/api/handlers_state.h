/* What the handlers of states share. */
#ifndef HF_API_HANDLERS_STATE_H
#define HF_API_HANDLERS_STATE_H

#include "api/handlers.h"
#include "keep/state.h"

/* Replies code; a head document or a value gets its digest as a strong ETag. */
void state_reply(struct api_call *call, int code);
struct state_caller state_caller_of(const struct api_call *call);

/* The body as an object; other members than these (ended by NULL) are INVALID. */
int state_read_members(struct api_call *call, struct json_doc *doc, const char *const *known);
/* A moment that the caller named, as RFC 3339 or as how long ago; 0 when text is NULL. Errors: INVALID. */
int state_read_moment(struct api_call *call, const char *text, int64_t *ret_ms);

/* The body with the basis that If-Match or If-None-Match say, put into it as "if_version". */
struct state_body {
    struct buf own; /* empty when the body is the call's */
    const char *text;
    size_t bytes;
};
int state_body_of(struct api_call *call, struct state_body *ret_body);

#endif
