/* The public functions of states: loading, defaults, saving, retention. */
#include <stdio.h>
#include <string.h>

#include "keep/state_inside.h"
#include "store/batch.h"
#include "store/options.h"
#include "store/store.h"

/* ---- values ---- */

/* What the caller gets, and what keeps it. */
struct held_value {
    struct hf_state_value value; /* first: the caller's pointer is this */
    struct state_version *version;
};

void hf_state_value_free(struct hf_state_value **value) {
    if (!value || !*value)
        return;
    struct held_value *held = (struct held_value *)*value;
    state_version_free(&held->version);
    mem_free(held);
    *value = NULL;
}

/* Takes the version. */
static int hold(const char *name, struct state_version *version, struct hf_state_value **ret_value,
                struct hf_error *error) {
    struct held_value *held = MEM_NEW(struct held_value);
    const char *copy = held ? arena_strdup(&version->arena, name) : NULL;
    if (!copy) {
        mem_free(held);
        state_version_free(&version);
        return error_no_memory(error);
    }
    const struct state_meta *meta = &version->meta;
    held->version = version;
    held->value = (struct hf_state_value){
        .name = copy,
        .bytes = version->bytes,
        .size = meta->size,
        .is_json = meta->is_json,
        .version = meta->version,
        .fence = meta->fence,
        .at_ms = meta->at_ms,
        .run = meta->run,
        .code_version = meta->code_version,
        .note = meta->note,
        .who = meta->who,
    };
    memcpy(held->value.digest, meta->digest, sizeof held->value.digest);
    *ret_value = &held->value;
    return 0;
}

/* ---- loading ---- */

static int read_version(struct hf_store *store, const char *name, uint64_t version, struct hf_state_value **ret_value,
                        struct hf_error *error) {
    struct state_version *read = NULL;
    int code = state_version_read(store, name, version, &read, error);
    return code == 0 ? hold(name, read, ret_value, error) : code;
}

static int refuse_damaged(struct hf_store *store, const char *name, uint64_t version, const char *what,
                          struct hf_error *error) {
    char why[64];
    snprintf(why, sizeof why, "version %llu is %s", (unsigned long long)version, what);
    return state_damaged(store, name, UINT64_MAX, why, error);
}

static int newest_version(struct hf_store *store, const char *name, uint64_t *ret_version, struct hf_error *error) {
    struct state_head head;
    int code = state_head_read(store, name, 0, &head, error);
    if (code == 0) {
        *ret_version = head.newest.version;
        state_head_fini(&head);
    }
    return code;
}

int hf_state_load(struct hf_store *store, const char *name, struct hf_state_value **ret_value, struct hf_error *error) {
    uint64_t version, looked_for = 0;
    for (;;) {
        int code = newest_version(store, name, &version, error);
        if (code < 0)
            return error_wrap(error, code, "load");
        if (version == 0) {
            error_set(error, HF_ERR_NOT_FOUND, "load state '%s': nothing was ever saved", name);
            error_hint(error, "save a first one, or load it with a default");
            return HF_ERR_NOT_FOUND;
        }
        if (version == looked_for)
            return refuse_damaged(store, name, version, "lost", error);
        code = read_version(store, name, version, ret_value, error);
        if (code == HF_ERR_CORRUPT)
            return refuse_damaged(store, name, version, "damaged", error);
        if (code != HF_ERR_NOT_FOUND)
            return code;
        looked_for = version; /* newer ones may have come meanwhile, and this one gone */
    }
}

int hf_state_load_version(struct hf_store *store, const char *name, uint64_t version, struct hf_state_value **ret_value,
                          struct hf_error *error) {
    int code = state_check_name(name, error);
    if (code == 0 && version == 0)
        code = error_set(error, HF_ERR_INVALID, "load state '%s': versions begin at 1", name);
    if (code == 0)
        code = read_version(store, name, version, ret_value, error);
    return code == HF_ERR_CORRUPT ? refuse_damaged(store, name, version, "damaged", error) : code;
}

static int make_default(const char *name, const void *bytes, size_t size, struct hf_state_value **ret_value,
                        struct hf_error *error) {
    struct state_bytes looked;
    int code = state_bytes_look(bytes, size, &looked, error);
    if (code < 0)
        return error_wrap(error, code, "make a default of state '%s'", name);
    struct state_version *version = MEM_NEW(struct state_version);
    if (!version)
        return error_no_memory(error);
    arena_init(&version->arena);
    version->meta = (struct state_meta){
        .is_json = looked.is_json, .size = size, .run = "", .code_version = "", .note = "", .who = ""};
    memcpy(version->meta.digest, looked.digest, DIGEST_BYTES);
    version->text = mem_dup(looked.bytes, size);
    version->bytes = version->text;
    if (version->text)
        return hold(name, version, ret_value, error);
    state_version_free(&version);
    return error_no_memory(error);
}

int hf_state_default(struct hf_store *store, const char *name, const void *bytes, size_t size,
                     struct hf_state_value **ret_value, struct hf_error *error) {
    struct hf_error why = {0};
    int code = hf_state_load(store, name, ret_value, &why);
    if (code == HF_ERR_NOT_FOUND)
        return make_default(name, bytes, size, ret_value, error);
    if (code < 0)
        error_copy(error, &why);
    return code;
}

/* ---- saving ---- */

struct saving {
    struct hf_store *store;
    const struct hf_state_save_options *options;
    struct state_bytes bytes;
    uint64_t fence; /* 0: without a lease */
    uint64_t version;
};

static int check_basis(const struct saving *saving, const struct state_head *head, struct hf_error *error) {
    const struct hf_state_save_options *options = saving->options;
    if (options->basis == HF_STATE_FORCE)
        return 0;
    int code = options->lease ? state_lease_check_fence(head, saving->fence, error)
                              : state_lease_check_free(saving->store, head, 0, error);
    if (code < 0 || options->basis == HF_STATE_BY_LEASE || head->newest.version == options->if_version)
        return code;
    error_set(error, HF_ERR_PRECONDITION, "save state '%s': it is at version %llu, not %llu", head->name,
              (unsigned long long)head->newest.version, (unsigned long long)options->if_version);
    error_hint(error, "load it again, and repeat the change if it is still wanted");
    return HF_ERR_PRECONDITION;
}

static int save(void *arg, struct state_head *head, struct hf_batch *batch, struct hf_error *error) {
    struct saving *saving = arg;
    const struct hf_state_save_options *options = saving->options;
    int code = check_basis(saving, head, error);
    if (code < 0)
        return code;
    int is_leased = saving->fence > 0 && head->lease.fence == saving->fence;
    const struct state_meta meta = {
        .fence = is_leased ? saving->fence : 0,
        .is_forced = options->basis == HF_STATE_FORCE,
        .run = is_leased ? head->lease.run : "",
        .code_version = options->code_version,
        .note = options->note,
        .who = options->who,
    };
    code = state_change_save(saving->store, head, batch, &saving->bytes, &meta, error);
    saving->version = head->newest.version;
    return code;
}

static int check_options(const char *name, const struct hf_state_save_options *options, struct hf_error *error) {
    if (options->basis < HF_STATE_BY_LEASE || options->basis > HF_STATE_FORCE)
        return error_set(error, HF_ERR_INVALID, "save state '%s': basis %d is unknown", name, (int)options->basis);
    if (options->lease)
        return state_lease_check_name(options->lease, name, error);
    if (options->basis != HF_STATE_BY_LEASE)
        return 0;
    error_set(error, HF_ERR_NO_BASIS, "save state '%s': neither a lease nor a version is named", name);
    error_hint(error, "take a lease, say which version the new one replaces, or force it");
    return HF_ERR_NO_BASIS;
}

static int save_checked(struct saving *saving, const char *name, const void *bytes, size_t size,
                        struct hf_error *error) {
    int code = state_check_name(name, error);
    if (code == 0)
        code = check_options(name, saving->options, error);
    if (code < 0)
        return code;
    code = state_bytes_look(bytes, size, &saving->bytes, error);
    if (code < 0)
        return error_wrap(error, code, "save state '%s'", name);
    const struct hf_state_save_options *options = saving->options;
    saving->fence = options->lease ? hf_state_lease_fence(options->lease) : 0;
    const struct state_change change = {
        .store = saving->store,
        .name = name,
        .who = options->who    ? options->who
               : options->with ? options->with->who
                               : NULL,
        .with = options->with,
        .change = save,
        .arg = saving,
    };
    return state_change_commit(&change, NULL, error);
}

int hf_state_save(struct hf_store *store, const char *name, const void *bytes, size_t size,
                  const struct hf_state_save_options *options, uint64_t *ret_version, struct hf_error *error) {
    struct hf_state_save_options filled = {0};
    int code = options_take(options, &filled, sizeof filled, error);
    if (code < 0)
        return code;
    struct saving saving = {.store = store, .options = &filled};
    code = save_checked(&saving, name, bytes, size, error);
    hf_batch_free(&filled.with);
    if (code == 0 && ret_version)
        *ret_version = saving.version;
    return code;
}

/* ---- retention ---- */

struct keeping {
    uint32_t versions;
    int64_t max_age_ms;
};

static int set_keep(void *arg, struct state_head *head, struct hf_batch *batch, struct hf_error *error) {
    const struct keeping *keeping = arg;
    (void)batch, (void)error;
    head->keep_versions = keeping->versions;
    head->keep_age_ms = keeping->max_age_ms;
    return 0;
}

int hf_state_keep(struct hf_store *store, const char *name, uint32_t versions, int64_t max_age_ms,
                  struct hf_error *error) {
    struct keeping keeping = {versions, max_age_ms};
    if (max_age_ms < 0)
        return error_set(error, HF_ERR_INVALID, "keep versions of state '%s': an age is not negative", name);
    const struct state_change change = {.store = store, .name = name, .change = set_keep, .arg = &keeping};
    return state_change_commit(&change, NULL, error);
}
