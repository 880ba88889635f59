#include <string.h>

#include "base/text.h"
#include "data/json_diff.h"
#include "keep/state_verb.h"

struct comparison {
    struct state_version *from, *to;
};

/* ---- which versions ---- */

static int find_before(struct hf_store *store, const char *name, uint64_t number, uint64_t *ret_number,
                       struct hf_error *error) {
    BUF_AUTO struct buf numbers;
    buf_init(&numbers);
    uint64_t found = 0;
    int code = state_numbers_of_versions(store, name, &numbers, error);
    for (size_t i = 0; code == 0 && i < state_numbers_count(&numbers); i++)
        if (state_numbers_at(&numbers, i) < number)
            found = state_numbers_at(&numbers, i);
    if (code == 0 && found == 0)
        code = error_set(error, HF_ERR_NOT_FOUND, "no version before %llu is kept", (unsigned long long)number);
    if (code == 0)
        *ret_number = found;
    return code;
}

/* `to` is the newest as the head has it. */
static int find_versions(struct hf_store *store, const char *name, uint64_t *from, uint64_t *to,
                         struct hf_error *error) {
    struct state_head head;
    int code = state_head_find(store, name, 1, &head, error);
    if (code < 0)
        return code;
    if (*to == 0)
        *to = head.newest.version;
    state_head_fini(&head);
    if (*to == 0)
        return error_set(error, HF_ERR_NOT_FOUND, "nothing was ever saved under '%s'", name);
    return *from == 0 ? find_before(store, name, *to, from, error) : 0;
}

/* ---- what differs ---- */

static void write_size(struct json_writer *json, const char *bytes_key, const char *digest_key,
                       const struct state_meta *meta) {
    char digest[DIGEST_HEX];
    text_hex(meta->digest, DIGEST_BYTES, digest);
    json_put_i64(json, bytes_key, (int64_t)meta->size);
    json_put_string(json, digest_key, digest);
}

static int write_changes(const struct comparison *two, struct json_writer *json, struct hf_error *error) {
    static const struct json_limits LIMITS = {.max_depth = JSON_DEPTH_MAX};
    JSON_AUTO struct json_doc from;
    JSON_AUTO struct json_doc to;
    json_init(&from);
    json_init(&to);
    int code = json_read(&from, two->from->bytes, two->from->meta.size, &LIMITS, error);
    if (code == 0)
        code = json_read(&to, two->to->bytes, two->to->meta.size, &LIMITS, error);
    json_key(json, "changes");
    json_begin_array(json);
    if (code == 0)
        code = json_diff(&from, 0, &to, 0, json, error);
    json_end_array(json);
    return code;
}

static int write_comparison(const struct comparison *two, const char *name, struct buf *ret_json,
                            struct hf_error *error) {
    struct json_writer json;
    const struct state_meta *from = &two->from->meta, *to = &two->to->meta;
    int code = 0;
    json_writer_init(&json, ret_json, 0);
    json_begin_object(&json);
    json_put_string(&json, "name", name);
    json_put_i64(&json, "from", (int64_t)from->version);
    json_put_i64(&json, "to", (int64_t)to->version);
    if (from->is_json && to->is_json) {
        code = write_changes(two, &json, error);
    } else {
        write_size(&json, "bytes_from", "digest_from", from);
        write_size(&json, "bytes_to", "digest_to", to);
    }
    json_end_object(&json);
    return code == 0 && ret_json->failed ? error_no_memory(error) : code;
}

int state_diff(struct hf_store *store, const char *name, uint64_t from, uint64_t to, struct buf *ret_json,
               struct hf_error *error) {
    struct comparison two = {NULL, NULL};
    int code = find_versions(store, name, &from, &to, error);
    if (code == 0)
        code = state_version_read(store, name, from, &two.from, error);
    if (code == 0)
        code = state_version_read(store, name, to, &two.to, error);
    if (code == HF_ERR_NOT_FOUND || code == HF_ERR_CORRUPT)
        error_hint(error, "see which are kept, and whole: holdfast state log '%.80s'", name);
    if (code == 0)
        code = write_comparison(&two, name, ret_json, error);
    state_version_free(&two.from);
    state_version_free(&two.to);
    return code < 0 ? error_wrap(error, code, "compare versions of state '%s'", name) : 0;
}
