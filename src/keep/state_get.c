#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "keep/state_verb.h"

static int is_overtaken(struct hf_store *store, const struct state_head *head) {
    struct hf_record *record = NULL;
    int code = hf_store_get(store, STATE_KIND, head->name, &record, NULL);
    int is_moved = code == HF_ERR_NOT_FOUND || (code == 0 && record->revision != head->revision);
    hf_record_free(&record);
    return is_moved;
}

int state_read_newest(struct hf_store *store, const struct state_head *head, struct state_version **ret_version,
                      struct hf_error *error) {
    uint64_t newest = head->newest.version;
    int code = state_version_read(store, head->name, newest, ret_version, error);
    if (code != HF_ERR_CORRUPT && code != HF_ERR_NOT_FOUND)
        return code;
    if (code == HF_ERR_NOT_FOUND && is_overtaken(store, head))
        return STATE_OVERTAKEN;
    char why[80];
    snprintf(why, sizeof why, "version %llu, the newest, is %s", (unsigned long long)newest,
             code == HF_ERR_CORRUPT ? "damaged" : "lost");
    return state_damaged(store, head->name, newest, why, error);
}

struct state_bytes state_bytes_of(const struct state_version *version) {
    struct state_bytes bytes = {.bytes = version->bytes, .size = version->meta.size, .is_json = version->meta.is_json};
    memcpy(bytes.digest, version->meta.digest, DIGEST_BYTES);
    return bytes;
}

/* ---- before a time ---- */

struct search {
    int64_t before_ms;
    uint64_t found, doubt;
};

static int consider(void *arg, const struct state_meta *meta, int code) {
    struct search *search = arg;
    if (code != 0) {
        search->doubt = meta->version;
    } else if (meta->at_ms < search->before_ms) {
        search->found = meta->version;
        search->doubt = 0;
    }
    return 0;
}

int state_find_before(struct hf_store *store, const char *name, int64_t before_ms, uint64_t *ret_version,
                      uint64_t *ret_doubt, struct hf_error *error) {
    struct search search = {.before_ms = before_ms};
    int code = state_version_each(store, name, consider, &search, error);
    if (code < 0)
        return code;
    if (search.found == 0) {
        char time[TEXT_TIME_BYTES];
        text_time(before_ms, time);
        error_set(error, HF_ERR_NOT_FOUND, "no version from before %s is kept", time);
        error_hint(error, "see which are: holdfast state log '%.80s'", name);
        return HF_ERR_NOT_FOUND;
    }
    *ret_version = search.found;
    *ret_doubt = search.doubt;
    return 0;
}

/* ---- get ---- */

static int write_version(const struct state_version *version, const char *name, struct buf *ret_json,
                         struct hf_error *error) {
    struct json_writer json;
    json_writer_init(&json, ret_json, 0);
    json_begin_object(&json);
    json_put_string(&json, "name", name);
    state_meta_write(&json, &version->meta);
    state_value_write(&json, version->bytes, version->meta.size, version->meta.is_json);
    json_end_object(&json);
    return ret_json->failed ? error_no_memory(error) : 0;
}

static int read_named(struct hf_store *store, const char *name, uint64_t number, struct state_version **ret_version,
                      struct hf_error *error) {
    int code = state_version_read(store, name, number, ret_version, error);
    if (code == HF_ERR_NOT_FOUND || code == HF_ERR_CORRUPT)
        error_hint(error, "see which are kept, and whole: holdfast state log '%.80s'", name);
    return code;
}

static int read_before(struct hf_store *store, const char *name, int64_t before_ms, struct state_version **ret_version,
                       struct hf_error *error) {
    uint64_t found, doubt;
    int code = state_find_before(store, name, before_ms, &found, &doubt, error);
    if (code < 0)
        return code;
    if (doubt == 0)
        return read_named(store, name, found, ret_version, error);
    error_set(error, HF_ERR_CORRUPT, "version %llu is damaged, and may be the one that is meant",
              (unsigned long long)doubt);
    error_hint(error, "the newest below it that is known to be so old: --version %llu", (unsigned long long)found);
    return HF_ERR_CORRUPT;
}

static int refuse_unsaved(const char *name, struct hf_error *error) {
    error_set(error, HF_ERR_NOT_FOUND, "nothing was ever saved under '%s'", name);
    error_hint(error, "save the first: holdfast state set '%.80s' FILE", name);
    return HF_ERR_NOT_FOUND;
}

static int read_newest(struct hf_store *store, const char *name, struct state_version **ret_version,
                       struct hf_error *error) {
    int code = STATE_OVERTAKEN;
    while (code == STATE_OVERTAKEN) {
        struct state_head head;
        code = state_head_read(store, name, 0, &head, error);
        if (code < 0)
            return code;
        code =
            head.newest.version > 0 ? state_read_newest(store, &head, ret_version, error) : refuse_unsaved(name, error);
        state_head_fini(&head);
    }
    return code;
}

static int read_wanted(struct hf_store *store, const char *name, uint64_t version, int64_t before_ms,
                       struct state_version **ret_version, struct hf_error *error) {
    int code = state_check_name(name, error);
    if (code < 0)
        return code;
    if (version > 0 && before_ms != 0)
        return error_set(error, HF_ERR_INVALID, "give a version or a time, not both");
    if (version > 0)
        return read_named(store, name, version, ret_version, error);
    if (before_ms != 0)
        return read_before(store, name, before_ms, ret_version, error);
    return read_newest(store, name, ret_version, error);
}

int state_get(struct hf_store *store, const char *name, uint64_t version, int64_t before_ms, struct buf *ret_json,
              struct hf_error *error) {
    struct state_version *found = NULL;
    int code = read_wanted(store, name, version, before_ms, &found, error);
    if (code == 0)
        code = write_version(found, name, ret_json, error);
    state_version_free(&found);
    return code < 0 ? error_wrap(error, code, "get state '%s'", name) : 0;
}
