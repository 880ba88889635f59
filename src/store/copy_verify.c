/* The second half of a copy: everything is read again from both stores. */
#include <string.h>

#include "store/copy.h"

static int hash_of(struct copy *copy, const struct hf_record *record, uint8_t ret_hash[HF_HASH_BYTES],
                   struct hf_error *error) {
    const struct json_limits limits = {.max_depth = JSON_DEPTH_MAX};
    return json_hash(&copy->doc, &copy->scratch, record->json, record->json_bytes, &limits, ret_hash, error);
}

/* The same bytes, or another way to write the same document. */
static int compare(struct copy *copy, const struct hf_record *from, const struct hf_record *to, int *ret_is_same,
                   struct hf_error *error) {
    uint8_t left[HF_HASH_BYTES], right[HF_HASH_BYTES];
    *ret_is_same = from->json_bytes == to->json_bytes && memcmp(from->json, to->json, from->json_bytes) == 0;
    if (*ret_is_same)
        return 0;
    int code = hash_of(copy, from, left, error);
    if (code == 0)
        code = hash_of(copy, to, right, error);
    *ret_is_same = code == 0 && memcmp(left, right, sizeof left) == 0;
    return code == HF_ERR_NO_MEMORY ? code : 0;
}

static int differ(const struct hf_record *record, const char *what, struct hf_error *error) {
    return error_set(error, HF_ERR_CORRUPT, "compare '%s/%s' with its copy: %s", record->kind, record->id, what);
}

/* What was changed since by somebody else, in either store, is not the copy's. */
int copy_verify_row(struct copy *copy, const struct copy_row *row, struct hf_error *error) {
    const struct hf_record *record = row->record;
    struct hf_record *there = NULL;
    int is_same = 0;
    if (row->code != 0 || record->revision > copy->newest)
        return 0;
    int code = hf_store_get(copy->to, record->kind, record->id, &there, error);
    if (code == HF_ERR_NOT_FOUND)
        return hf_store_revision(copy->to) > copy->copied_at ? 0 : differ(record, "it is not there", error);
    if (code != 0)
        return code;
    if (there->revision > copy->copied_at) {
        hf_record_free(&there);
        return 0;
    }
    code = compare(copy, record, there, &is_same, error);
    hf_record_free(&there);
    if (code == 0 && !is_same)
        return differ(record, "they are not the same", error);
    if (code == 0 && copy->options.with_history)
        code = copy_verify_versions(copy, record, &is_same, error);
    if (code == 0 && !is_same)
        return differ(record, "their histories are not the same", error);
    copy->result.verified += code == 0;
    return code;
}
