#include "api/auth.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/map.h"

enum { CACHE_ROOM = 4096, SIGNIN_ROOM = 64, FAILURES_A_MINUTE = 20, MINUTE_MS = 60000 };
static const int64_t session_ms = 30LL * 24 * 3600 * 1000;

struct signin {
    uint8_t digest[DIGEST_BYTES];
    enum api_scope scope;
    int64_t until_ms; /* 0: free */
};

struct auth {
    struct hf_store *store;
    const struct os *os;
    pthread_mutex_t mutex; /* all below */
    struct map cache;      /* "kind/id" → struct credential_row */
    uint64_t generation;   /* counts what was forgotten: a row read before that must not be kept after it */
    int64_t failures_since_ms;
    int failures;
    struct signin signins[SIGNIN_ROOM];
    unsigned next_signin;
};

int auth_new(struct hf_store *store, const struct os *os, struct auth **ret_auth, struct hf_error *error) {
    struct auth *auth = MEM_NEW(struct auth);
    if (!auth)
        return error_set(error, HF_ERR_NO_MEMORY, "prepare tokens");
    auth->store = store;
    auth->os = os;
    pthread_mutex_init(&auth->mutex, NULL);
    map_init(&auth->cache);
    *ret_auth = auth;
    return 0;
}

static void clear_cache(struct auth *auth) {
    size_t position = 0;
    for (struct map_entry *entry; (entry = map_next(&auth->cache, &position));)
        mem_free(entry->value);
    map_fini(&auth->cache);
    map_init(&auth->cache);
}

void auth_free(struct auth **auth) {
    if (!auth || !*auth)
        return;
    clear_cache(*auth);
    map_fini(&(*auth)->cache);
    pthread_mutex_destroy(&(*auth)->mutex);
    explicit_bzero(*auth, sizeof **auth);
    mem_free(*auth);
    *auth = NULL;
}

static int look_in_cache(struct auth *auth, const char *key, struct credential_row *ret_row, uint64_t *ret_generation) {
    pthread_mutex_lock(&auth->mutex);
    const struct credential_row *row = map_get(&auth->cache, key, strlen(key));
    if (row)
        *ret_row = *row;
    *ret_generation = auth->generation;
    pthread_mutex_unlock(&auth->mutex);
    return row != NULL;
}

static void keep_in_cache(struct auth *auth, const char *key, const struct credential_row *row, uint64_t generation) {
    struct credential_row *copy = mem_dup(row, sizeof *row);
    void *old = NULL;
    pthread_mutex_lock(&auth->mutex);
    if (auth->cache.count >= CACHE_ROOM)
        clear_cache(auth);
    if (copy && auth->generation == generation && map_set(&auth->cache, key, strlen(key), copy, &old) == 0)
        copy = NULL;
    pthread_mutex_unlock(&auth->mutex);
    mem_free(old);
    mem_free(copy);
}

void auth_forget(struct auth *auth, const char *kind, const char *id) {
    char key[HF_KIND_MAX + HF_ID_MAX + 2];
    snprintf(key, sizeof key, "%s/%s", kind, id);
    pthread_mutex_lock(&auth->mutex);
    auth->generation++;
    mem_free(map_remove(&auth->cache, key, strlen(key)));
    pthread_mutex_unlock(&auth->mutex);
}

uint64_t auth_generation(struct auth *auth) {
    pthread_mutex_lock(&auth->mutex);
    uint64_t generation = auth->generation;
    pthread_mutex_unlock(&auth->mutex);
    return generation;
}

static int find_row(struct auth *auth, const char *kind, const char *id, struct credential_row *ret_row,
                    struct hf_error *error) {
    char key[HF_KIND_MAX + CREDENTIAL_ID_BYTES + 2];
    uint64_t generation = 0;
    snprintf(key, sizeof key, "%s/%s", kind, id);
    if (look_in_cache(auth, key, ret_row, &generation))
        return 0;
    int code = credential_read(auth->store, kind, id, ret_row, error);
    if (code == 0)
        keep_in_cache(auth, key, ret_row, generation);
    return code;
}

int auth_check(struct auth *auth, const char *kind, const char *text, struct auth_identity *ret_identity,
               struct hf_error *error) {
    struct credential credential;
    struct credential_row row = {0};
    uint8_t digest[DIGEST_BYTES];
    if (credential_parse(text, &credential) != 0)
        return error_set(error, HF_ERR_UNAUTHORIZED, "check the %s: it does not look like one", kind);
    int code = find_row(auth, kind, credential.id, &row, error);
    if (code != 0 && code != HF_ERR_NOT_FOUND)
        return error_wrap(error, code, "check the %s", kind);
    credential_digest(&credential, digest);
    int is_right = digest_is_equal(digest, row.digest);
    if (code != 0 || !is_right || row.scope == API_SCOPE_NONE)
        return error_set(error, HF_ERR_UNAUTHORIZED, "check the %s: it is not known here", kind);
    if (row.expires_ms && row.expires_ms <= os_wall_ms(auth->os))
        return error_set(error, HF_ERR_UNAUTHORIZED, "check the %s: its time is over", kind);
    ret_identity->scope = row.scope;
    snprintf(ret_identity->who, sizeof ret_identity->who, "%s:%s", kind, credential.id);
    return 0;
}

int auth_count_failure(struct auth *auth) {
    int64_t now_ms = os_monotonic_ms(auth->os);
    pthread_mutex_lock(&auth->mutex);
    if (auth->failures == 0 || now_ms - auth->failures_since_ms >= MINUTE_MS) {
        auth->failures_since_ms = now_ms;
        auth->failures = 0;
    }
    int is_too_many = auth->failures >= FAILURES_A_MINUTE;
    auth->failures += !is_too_many;
    pthread_mutex_unlock(&auth->mutex);
    return is_too_many;
}

int auth_make_signin(struct auth *auth, enum api_scope scope, char ret_code[CREDENTIAL_SECRET_BYTES + 1],
                     struct hf_error *error) {
    struct credential credential;
    int code = credential_make(auth->os, &credential, error);
    if (code != 0)
        return code;
    int64_t now_ms = os_monotonic_ms(auth->os);
    pthread_mutex_lock(&auth->mutex);
    struct signin *signin = &auth->signins[auth->next_signin++ % SIGNIN_ROOM];
    credential_digest(&credential, signin->digest);
    signin->scope = scope;
    signin->until_ms = now_ms + AUTH_SIGNIN_MS;
    pthread_mutex_unlock(&auth->mutex);
    memcpy(ret_code, credential.secret, sizeof credential.secret);
    return 0;
}

int auth_use_signin(struct auth *auth, const char *code, enum api_scope *ret_scope, struct hf_error *error) {
    uint8_t digest[DIGEST_BYTES];
    enum api_scope scope = API_SCOPE_NONE;
    int64_t now_ms = os_monotonic_ms(auth->os);
    digest_bytes(code, strlen(code), digest);
    pthread_mutex_lock(&auth->mutex);
    for (int i = 0; i < SIGNIN_ROOM; i++) {
        struct signin *signin = &auth->signins[i];
        if (signin->until_ms <= now_ms || !digest_is_equal(digest, signin->digest))
            continue;
        scope = signin->scope;
        signin->until_ms = 0;
    }
    pthread_mutex_unlock(&auth->mutex);
    if (scope == API_SCOPE_NONE)
        return error_set(error, HF_ERR_UNAUTHORIZED, "sign in: the link was used already or is older than ten minutes");
    *ret_scope = scope;
    return 0;
}

struct pruning {
    struct hf_batch *batch;
    int64_t now_ms;
};

static int prune_session(void *arg, const struct hf_record *record, int code) {
    struct pruning *pruning = arg;
    struct credential_row row;
    if (code != 0 || credential_row_of(record->json, record->json_bytes, &row, NULL) != 0)
        return 0;
    if (row.expires_ms && row.expires_ms <= pruning->now_ms)
        return hf_batch_delete(pruning->batch, AUTH_SESSION_KIND, record->id, NULL, NULL);
    return 0;
}

int auth_begin_session(struct auth *auth, enum api_scope scope, char ret_text[CREDENTIAL_TEXT_BYTES + 1],
                       struct hf_error *error) {
    struct credential credential;
    char scopes[32];
    struct credential_terms terms = {.kind = AUTH_SESSION_KIND, .scopes_json = scopes};
    struct pruning pruning = {.now_ms = os_wall_ms(auth->os)};
    snprintf(scopes, sizeof scopes, "[\"%s\"]", api_scope_name(scope));
    terms.now_ms = pruning.now_ms;
    terms.expires_ms = pruning.now_ms + session_ms;
    int code = credential_make(auth->os, &credential, error);
    if (code == 0)
        code = hf_batch_new("signin", &pruning.batch, error);
    if (code == 0)
        code = credential_put(pruning.batch, &credential, &terms, error);
    if (code == 0)
        code = hf_store_scan(auth->store, AUTH_SESSION_KIND, NULL, 0, prune_session, &pruning, error);
    if (code == 0)
        code = hf_store_commit(auth->store, &pruning.batch, NULL, error);
    hf_batch_free(&pruning.batch);
    if (code != 0)
        return error_wrap(error, code, "begin a session");
    snprintf(ret_text, CREDENTIAL_TEXT_BYTES + 1, "%s_%s", credential.id, credential.secret);
    explicit_bzero(&credential, sizeof credential);
    return 0;
}
