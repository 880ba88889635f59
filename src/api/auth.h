/* Who asks, and what they may do: tokens, browsers' sessions, and the links that begin them. Thread-safe. */
#ifndef HF_API_AUTH_H
#define HF_API_AUTH_H

#include "api/credential.h"

#define AUTH_TOKEN_KIND   "token"
#define AUTH_SESSION_KIND "session"
enum { AUTH_WHO_BYTES = 48, AUTH_SIGNIN_MS = 10 * 60 * 1000 };

struct auth;
struct auth_identity {
    enum api_scope scope;
    char who[AUTH_WHO_BYTES]; /* "token:ID", "session:ID" */
};

int auth_new(struct hf_store *store, const struct os *os, struct auth **ret_auth, struct hf_error *error);
void auth_free(struct auth **auth);

/* text: "ID_SECRET". Errors: UNAUTHORIZED, or why the store could not say. */
int auth_check(struct auth *auth, const char *kind, const char *text, struct auth_identity *ret_identity,
               struct hf_error *error);
/* After a token was removed: it is refused from here on. */
void auth_forget(struct auth *auth, const char *kind, const char *id);
/* Another number after something was forgotten. */
uint64_t auth_generation(struct auth *auth);

/* Counts a failed attempt. 1 when there were too many in the last minute: it is answered with 429. */
int auth_count_failure(struct auth *auth);

/* A code good once, for AUTH_SIGNIN_MS. */
int auth_make_signin(struct auth *auth, enum api_scope scope, char ret_code[CREDENTIAL_SECRET_BYTES + 1],
                     struct hf_error *error);
/* Errors: UNAUTHORIZED when it was used, is too old, or never was one. */
int auth_use_signin(struct auth *auth, const char *code, enum api_scope *ret_scope, struct hf_error *error);

/* Begins a session and removes those that have ended. Commits. ret_text: "ID_SECRET" for the cookie. */
int auth_begin_session(struct auth *auth, enum api_scope scope, char ret_text[CREDENTIAL_TEXT_BYTES + 1],
                       struct hf_error *error);

#endif
