/* Removal of a state: what is removed is kept first, in the same commit. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "keep/state_verb.h"
#include "store/store.h"

struct removal {
    struct hf_store *store;
    const char *name, *who;
    int force, purge;
    struct state_head head;
    struct hf_batch *batch;
    uint64_t versions, runs;
    char trash[HF_ID_MAX + 1]; /* "" : none */
};

/* ---- what is kept of it ---- */

static int refuse_too_large(const struct removal *removal, struct hf_error *error) {
    error_set(error, HF_ERR_TOO_LARGE, "what is removed does not fit into one record of this store");
    error_hint(error, "keep it in a file (holdfast state export '%.60s' --newest), then remove it with --purge",
               removal->name);
    return HF_ERR_TOO_LARGE;
}

static int add_size(void *arg, const struct state_meta *meta, int code) {
    uint64_t *size = arg;
    if (code == 0)
        *size += meta->size;
    return 0;
}

/* Before anything is built: all versions together may take very much memory. */
static int check_size(const struct removal *removal, struct hf_error *error) {
    uint64_t size = 0;
    size_t max_bytes = store_limits(removal->store)->max_bytes;
    int code = state_version_each(removal->store, removal->name, add_size, &size, error);
    return code == 0 && max_bytes > 0 && size > max_bytes ? refuse_too_large(removal, error) : code;
}

/* Of one format or the other, as the store's limits of size and depth allow. */
static int make_trash(const struct removal *removal, struct buf *out, struct hf_error *error) {
    JSON_AUTO struct json_doc doc;
    json_init(&doc);
    int code = check_size(removal, error);
    for (int as_base64 = 0; code == 0 && as_base64 <= 1; as_base64++) {
        buf_clear(out);
        code = state_export_write(removal->store, &removal->head, 0, as_base64, out, error);
        if (code == 0 && json_read(&doc, out->data, out->size, store_limits(removal->store), NULL) == 0)
            return 0;
    }
    return code == 0 ? refuse_too_large(removal, error) : code;
}

/* `number` makes the time another one when the name is taken. */
static int put_trash(struct removal *removal, int number, struct hf_error *error) {
    static const struct hf_change_options NEW = {.condition = HF_IF_ABSENT};
    char time[TEXT_TIME_BYTES];
    BUF_AUTO struct buf text;
    buf_init(&text);
    int code = make_trash(removal, &text, error);
    if (code != 0)
        return code;
    text_time(os_wall_ms(store_os(removal->store)) + number, time);
    snprintf(removal->trash, sizeof removal->trash, "%s@%s", removal->name, time);
    return hf_batch_put(removal->batch, STATE_TRASH_KIND, removal->trash, text.data, text.size, &NEW, error);
}

/* ---- removal ---- */

static int count_parts(struct removal *removal, struct hf_error *error) {
    BUF_AUTO struct buf versions;
    BUF_AUTO struct buf runs;
    buf_init(&versions);
    buf_init(&runs);
    int code = state_numbers_of_versions(removal->store, removal->name, &versions, error);
    if (code == 0)
        code = state_numbers_of_runs(removal->store, removal->name, &runs, error);
    removal->versions = state_numbers_count(&versions);
    removal->runs = state_numbers_count(&runs);
    return code;
}

static int remove_found(struct removal *removal, int number, struct hf_error *error) {
    int code = removal->force ? 0 : state_lease_check_free(removal->store, &removal->head, 0, error);
    if (code == 0)
        code = count_parts(removal, error);
    if (code == 0)
        code = hf_batch_new(removal->who, &removal->batch, error);
    if (code == 0 && !removal->purge)
        code = put_trash(removal, number, error);
    if (code == 0)
        code = state_remove_all(removal->store, removal->batch, &removal->head, error);
    if (code == 0)
        code = state_commit_batch(removal->store, &removal->batch, error);
    hf_batch_free(&removal->batch);
    return code;
}

static int try_removal(void *arg, int number, struct hf_error *error) {
    struct removal *removal = arg;
    int code = state_head_find(removal->store, removal->name, 1, &removal->head, error);
    if (code < 0)
        return code;
    code = remove_found(removal, number, error);
    state_head_fini(&removal->head);
    return code;
}

int state_clear(struct hf_store *store, const struct state_caller *caller, const char *name, int force, int purge,
                struct buf *ret_json, struct hf_error *error) {
    struct removal removal = {.store = store, .name = name, .who = caller->who, .force = force, .purge = purge};
    struct json_writer json;
    int code = state_attempt_until_done(try_removal, &removal, error);
    if (code < 0)
        return error_wrap(error, code, "clear state '%s'", name);
    json_writer_init(&json, ret_json, 0);
    json_begin_object(&json);
    json_put_string(&json, "name", name);
    json_put_bool(&json, "removed", 1);
    json_put_i64(&json, "versions", (int64_t)removal.versions);
    json_put_i64(&json, "runs", (int64_t)removal.runs);
    json_put_string(&json, "trash", removal.trash[0] ? removal.trash : NULL);
    json_put_bool(&json, "changed", 1);
    json_end_object(&json);
    return ret_json->failed ? error_no_memory(error) : 0;
}
