/* One transaction for many batches. */
#ifndef HF_STORE_GROUP_H
#define HF_STORE_GROUP_H

#include "store/batch.h"
#include "store/history.h"

struct group {
    const struct os *os;
    struct store_backend *backend;
    struct history_rules *history;
    uint64_t revision; /* of the newest commit */
    int64_t now_ms;
};

/* Each returns 0, or HF_ERR_FAILED with what stopped the backend: nothing more may be written through it then.
 * `error` is not NULL. */

/* Commits the batches that hang on `first` in their order, fills code, result and error of each, and moves
 * group->revision. Nobody is called here. */
int group_commit(struct group *group, struct commit *first, struct hf_error *error);

/* Removes old events; at least `keep` of the newest stay. 0 also when it could not be done now. */
int group_trim(struct group *group, uint64_t keep, struct hf_error *error);

/* Lets the backend do its idle work. 0 also when it could not be done now. */
int group_rest(struct group *group, struct hf_error *error);

/* Has the backend give back what deletions left. Any code but HF_ERR_FAILED: the store works on. */
int group_compact(struct group *group, struct hf_compact_result *ret_result, struct hf_error *error);

#endif
