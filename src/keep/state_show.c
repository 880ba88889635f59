#include <string.h>

#include "base/map.h"
#include "keep/state_verb.h"

int state_not_there(const char *name, struct hf_error *error) {
    error_set(error, HF_ERR_NOT_FOUND, "there is no state '%s'", name);
    error_hint(error, "see which there are: holdfast state list");
    return HF_ERR_NOT_FOUND;
}

int state_is_gone(struct hf_store *store, const struct state_head *head, struct hf_error *error) {
    if (head->is_damaged || head->newest.version > 0 || head->lease.fence > 0 || head->keep_versions > 0 ||
        head->keep_age_ms > 0)
        return 0;
    BUF_AUTO struct buf runs;
    buf_init(&runs);
    int code = head->exists ? state_numbers_of_runs(store, head->name, &runs, error) : 0;
    return code < 0 ? code : state_numbers_count(&runs) == 0;
}

int state_head_find(struct hf_store *store, const char *name, int repair, struct state_head *ret_head,
                    struct hf_error *error) {
    struct state_head head;
    int code = state_head_read(store, name, repair, &head, error);
    if (code < 0)
        return code;
    code = state_is_gone(store, &head, error);
    if (code == 0) {
        *ret_head = head;
        return 0;
    }
    state_head_fini(&head);
    return code < 0 ? code : state_not_there(name, error);
}

static int finish(struct json_writer *json, struct hf_error *error) {
    json_end_object(json);
    return json->out->failed ? error_no_memory(error) : 0;
}

static void begin(struct hf_store *store, const struct state_head *head, struct buf *ret_json,
                  struct json_writer *json) {
    json_writer_init(json, ret_json, 0);
    json_begin_object(json);
    state_head_write(store, json, head);
}

int state_answer(struct hf_store *store, const struct state_head *head, int changed, struct buf *ret_json,
                 struct hf_error *error) {
    struct json_writer json;
    begin(store, head, ret_json, &json);
    json_put_bool(&json, "changed", changed);
    return finish(&json, error);
}

int state_answer_count(struct hf_store *store, const struct state_head *head, int changed, struct state_count count,
                       struct buf *ret_json, struct hf_error *error) {
    struct json_writer json;
    begin(store, head, ret_json, &json);
    json_put_bool(&json, "changed", changed);
    json_put_i64(&json, count.key, (int64_t)count.count);
    return finish(&json, error);
}

int state_show(struct hf_store *store, const char *name, struct buf *ret_json, struct hf_error *error) {
    struct state_head head;
    struct json_writer json;
    int code = state_head_find(store, name, 0, &head, error);
    if (code < 0)
        return error_wrap(error, code, "show state");
    begin(store, &head, ret_json, &json);
    state_head_fini(&head);
    return finish(&json, error);
}

/* ---- list ---- */

struct listing {
    struct arena arena;
    struct vec names;
    int no_memory;
};

static int add_name(void *arg, const struct hf_record *record, int code) {
    struct listing *listing = arg;
    char *name = arena_strdup(&listing->arena, record->id);
    (void)code; /* a damaged one is told of when it is read */
    listing->no_memory = !name || vec_push(&listing->names, name) < 0;
    return listing->no_memory;
}

/* A damaged head takes one line, and the others are listed all the same. */
static int list_one(struct hf_store *store, const char *name, struct json_writer *json, struct hf_error *error) {
    struct state_head head;
    struct hf_error why = {0};
    int code = state_head_find(store, name, 0, &head, &why);
    if (code == HF_ERR_NOT_FOUND)
        return 0;
    if (code < 0 && code != HF_ERR_CORRUPT) {
        error_copy(error, &why);
        return code;
    }
    json_begin_object(json);
    if (code == 0) {
        state_head_write(store, json, &head);
        state_head_fini(&head);
    } else {
        json_put_string(json, "name", name);
        json_put_string(json, "error", why.message);
    }
    json_end_object(json);
    return 0;
}

/* A name that is gone takes no place of the limit, so names are asked for until enough are there. */
static int list_names(struct hf_store *store, const char *after, uint64_t limit, struct listing *listing,
                      struct json_writer *json, struct hf_error *error) {
    uint64_t listed = 0;
    int code = hf_store_scan(store, STATE_KIND, after, 0, add_name, listing, error);
    if (listing->no_memory)
        return error_no_memory(error);
    for (size_t i = 0; code >= 0 && i < listing->names.count && (limit == 0 || listed < limit); i++) {
        size_t before = json->out->size;
        code = list_one(store, listing->names.items[i], json, error);
        listed += json->out->size > before;
    }
    return code;
}

int state_list(struct hf_store *store, const char *after, uint64_t limit, struct buf *ret_json,
               struct hf_error *error) {
    struct listing listing = {.no_memory = 0};
    struct json_writer json;
    arena_init(&listing.arena);
    vec_init(&listing.names);
    json_writer_init(&json, ret_json, 0);
    json_begin_array(&json);
    int code = list_names(store, after, limit, &listing, &json, error);
    json_end_array(&json);
    vec_fini(&listing.names);
    arena_fini(&listing.arena);
    if (code >= 0 && ret_json->failed)
        code = error_no_memory(error);
    return code < 0 ? error_wrap(error, code, "list states") : 0;
}
