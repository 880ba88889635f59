/* Credentials: what a token or a browser's session is in the store. An id that may be shown, and a secret of 256 random
 * bits of which only a digest is kept. */
#ifndef HF_API_CREDENTIAL_H
#define HF_API_CREDENTIAL_H

#include "api/operation.h"
#include "base/hash.h"

enum { CREDENTIAL_ID_BYTES = 16, CREDENTIAL_SECRET_BYTES = 64, CREDENTIAL_TEXT_BYTES = 16 + 1 + 64 };

struct credential {
    char id[CREDENTIAL_ID_BYTES + 1];         /* hex */
    char secret[CREDENTIAL_SECRET_BYTES + 1]; /* hex */
};

/* What the store says of one. */
struct credential_row {
    uint8_t digest[DIGEST_BYTES];
    enum api_scope scope; /* the highest that it was given: each includes those below */
    int64_t expires_ms;   /* 0: never */
};

int credential_make(const struct os *os, struct credential *ret_credential, struct hf_error *error);
/* From "ID_SECRET"; -1 when it does not look like one. */
int credential_parse(const char *text, struct credential *ret_credential);
void credential_digest(const struct credential *credential, uint8_t ret_digest[DIGEST_BYTES]);

/* Adds the record kind/ID to a batch. scopes_json: array of names; note may be NULL; expires_ms 0: never. */
struct credential_terms {
    const char *kind;
    const char *scopes_json;
    const char *note;
    int64_t now_ms, expires_ms;
};
int credential_put(struct hf_batch *batch, const struct credential *credential, const struct credential_terms *terms,
                   struct hf_error *error);

/* Errors: NOT_FOUND, those of hf_store_get, BAD_DATA. */
int credential_read(struct hf_store *store, const char *kind, const char *id, struct credential_row *ret_row,
                    struct hf_error *error);
/* From the JSON text of the record. */
int credential_row_of(const char *json, size_t bytes, struct credential_row *ret_row, struct hf_error *error);

#endif
