/* The public functions that read: what they are given is checked, then the backend is asked. */
#include <string.h>

#include "store/key.h"
#include "store/store_inside.h"

enum { CHECK_ROWS = 4096 }; /* in one slice */

int hf_store_get(struct hf_store *store, const char *kind, const char *id, struct hf_record **ret_record,
                 struct hf_error *error) {
    int code = key_check(kind, id, error);
    if (code != 0)
        return code;
    code = store->backend->ops->get(store->backend, STORE_COMMITTED, kind, id, 0, ret_record, error);
    return code == 0 ? 0 : error_wrap(error, code, "get '%s/%s'", kind, id);
}

/* A walk ends with an error of the backend, or with what the caller's visit returned: only the first is told of. */
static int end_walk(int code, struct hf_error *found, const char *what, struct hf_error *error) {
    if (found->code != 0) {
        error_wrap(found, found->code, "%s", what);
        error_copy(error, found);
    }
    return code;
}

int hf_store_scan(struct hf_store *store, const char *kind, const char *after, uint64_t limit, hf_record_visit visit,
                  void *arg, struct hf_error *error) {
    struct hf_error found = {0};
    struct store_range range = {.kind = kind, .after_kind = kind, .after_id = after, .limit = limit};
    char after_kind[HF_KIND_MAX + 1];
    int code = kind ? key_check_kind(kind, error) : 0;
    if (code != 0)
        return code;
    if (!kind && after) {
        range.after_kind = after_kind;
        if (key_split(after, after_kind, &range.after_id) != 0)
            return error_set(error, HF_ERR_INVALID, "scan: 'after' is '%s', and not KIND/ID", after);
    }
    code = store->backend->ops->scan(store->backend, &range, visit, arg, &found);
    return end_walk(code, &found, "scan", error);
}

int hf_store_history(struct hf_store *store, const char *kind, const char *id, uint64_t limit, hf_record_visit visit,
                     void *arg, struct hf_error *error) {
    struct hf_error found = {0};
    int code = key_check(kind, id, error);
    if (code != 0)
        return code;
    code = store->backend->ops->history(store->backend, kind, id, limit, visit, arg, &found);
    return end_walk(code, &found, "read history", error);
}

int hf_store_events(struct hf_store *store, uint64_t since, uint64_t limit, hf_event_visit visit, void *arg,
                    struct hf_error *error) {
    struct hf_error found = {0};
    int code = store->backend->ops->events(store->backend, since, limit, visit, arg, &found);
    return end_walk(code, &found, "read events", error);
}

int hf_store_check_slice(struct hf_store *store, struct hf_check_cursor *cursor, uint64_t max_rows,
                         hf_finding_visit visit, void *arg, struct hf_check_result *result, struct hf_error *error) {
    struct hf_error found = {0};
    if (cursor->is_done)
        return 0;
    if (max_rows == 0)
        max_rows = 1;
    int code = store->backend->ops->check(store->backend, cursor, max_rows, visit, arg, result, &found);
    return end_walk(code, &found, "check store", error);
}

int hf_store_check(struct hf_store *store, hf_finding_visit visit, void *arg, struct hf_check_result *ret_result,
                   struct hf_error *error) {
    struct hf_check_cursor cursor = {0};
    struct hf_check_result result = {0};
    int code = 0;
    while (code == 0 && !cursor.is_done)
        code = hf_store_check_slice(store, &cursor, CHECK_ROWS, visit, arg, &result, error);
    if (code == 0 && ret_result)
        *ret_result = result;
    return code;
}
