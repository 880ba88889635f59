#include "api/credential.h"

#include <string.h>

#include "base/text.h"

int credential_make(const struct os *os, struct credential *ret_credential, struct hf_error *error) {
    uint8_t bytes[(CREDENTIAL_ID_BYTES + CREDENTIAL_SECRET_BYTES) / 2];
    int got = os_random(os, bytes, sizeof bytes);
    if (got < 0)
        return error_set_errno(error, got, "make a secret: read random bytes");
    text_hex(bytes, CREDENTIAL_ID_BYTES / 2, ret_credential->id);
    text_hex(bytes + CREDENTIAL_ID_BYTES / 2, CREDENTIAL_SECRET_BYTES / 2, ret_credential->secret);
    explicit_bzero(bytes, sizeof bytes);
    return 0;
}

int credential_parse(const char *text, struct credential *ret_credential) {
    uint8_t bytes[CREDENTIAL_SECRET_BYTES / 2];
    struct credential parsed;
    if (strlen(text) != CREDENTIAL_TEXT_BYTES || text[CREDENTIAL_ID_BYTES] != '_')
        return -1;
    memcpy(parsed.id, text, CREDENTIAL_ID_BYTES);
    parsed.id[CREDENTIAL_ID_BYTES] = '\0';
    memcpy(parsed.secret, text + CREDENTIAL_ID_BYTES + 1, CREDENTIAL_SECRET_BYTES + 1);
    if (text_unhex(parsed.id, CREDENTIAL_ID_BYTES / 2, bytes) != 0 ||
        text_unhex(parsed.secret, CREDENTIAL_SECRET_BYTES / 2, bytes) != 0)
        return -1;
    *ret_credential = parsed;
    return 0;
}

void credential_digest(const struct credential *credential, uint8_t ret_digest[DIGEST_BYTES]) {
    digest_bytes(credential->secret, CREDENTIAL_SECRET_BYTES, ret_digest);
}

int credential_put(struct hf_batch *batch, const struct credential *credential, const struct credential_terms *terms,
                   struct hf_error *error) {
    BUF_AUTO struct buf document;
    struct json_writer json;
    char digest[DIGEST_HEX];
    const struct hf_change_options options = {.condition = HF_IF_ABSENT};
    digest_hex(credential->secret, CREDENTIAL_SECRET_BYTES, digest);
    buf_init(&document);
    json_writer_init(&json, &document, 0);
    json_begin_object(&json);
    json_put_string(&json, "id", credential->id);
    json_put_raw(&json, "scopes", terms->scopes_json, strlen(terms->scopes_json));
    json_put_string(&json, "digest", digest);
    json_put_string(&json, "note", terms->note);
    json_put_time(&json, "created_at", terms->now_ms);
    json_put_time(&json, "expires_at", terms->expires_ms);
    json_end_object(&json);
    if (document.failed)
        return error_set(error, HF_ERR_NO_MEMORY, "keep %s '%s'", terms->kind, credential->id);
    return hf_batch_put(batch, terms->kind, credential->id, document.data, document.size, &options, error);
}

static enum api_scope highest_scope(const struct json_doc *doc, uint32_t scopes, struct arena *arena) {
    enum api_scope highest = API_SCOPE_NONE;
    for (uint32_t at = json_first(doc, scopes); at != JSON_NONE; at = json_after(doc, scopes, at)) {
        enum api_scope scope = api_scope_from_name(json_to_text(doc, at, arena, NULL));
        highest = scope > highest ? scope : highest;
    }
    return highest;
}

int credential_row_of(const char *json, size_t bytes, struct credential_row *ret_row, struct hf_error *error) {
    JSON_AUTO struct json_doc doc;
    struct arena arena;
    struct credential_row row = {0};
    json_init(&doc);
    arena_init(&arena);
    int code = json_read(&doc, json, bytes, NULL, error);
    if (code == 0) {
        const char *digest = json_member_text(&doc, 0, "digest", &arena);
        const char *expires = json_member_text(&doc, 0, "expires_at", &arena);
        row.scope = highest_scope(&doc, json_member(&doc, 0, "scopes"), &arena);
        if (!digest || strlen(digest) != DIGEST_HEX - 1 || text_unhex(digest, DIGEST_BYTES, row.digest) != 0 ||
            (expires && text_to_time(expires, &row.expires_ms) != 0))
            code = error_set(error, HF_ERR_BAD_DATA, "read a credential: its digest or time is not one");
    }
    if (code == 0)
        *ret_row = row;
    arena_fini(&arena);
    return code;
}

int credential_read(struct hf_store *store, const char *kind, const char *id, struct credential_row *ret_row,
                    struct hf_error *error) {
    struct hf_record *record = NULL;
    int code = hf_store_get(store, kind, id, &record, error);
    if (code == 0)
        code = credential_row_of(record->json, record->json_bytes, ret_row, error);
    hf_record_free(&record);
    return code;
}
