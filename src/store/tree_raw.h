/* Between the parts of a tree that is only read. */
#ifndef HF_STORE_TREE_RAW_H
#define HF_STORE_TREE_RAW_H

#include <pthread.h>

#include "store/backend.h"
#include "store/tree_files.h"

struct tree_raw {
    struct store_backend base;
    const struct os *os;
    int root_fd;
    enum tree_layout layout;
    unsigned threads;
    struct json_limits limits;
    pthread_mutex_t check_lock; /* over what follows */
    struct tree_keys checked;   /* the keys of the check that began last */
};

int tree_raw_walk(const struct tree_raw *self, const struct tree_key *keys, size_t count, tree_tell tell, void *arg,
                  struct hf_error *error);
/* The index of the first key behind this one. */
size_t tree_raw_behind(const struct tree_keys *keys, const char *kind, const char *id);

int tree_raw_check(struct store_backend *backend, struct hf_check_cursor *cursor, uint64_t max_rows,
                   hf_finding_visit visit, void *arg, struct hf_check_result *result, struct hf_error *error);
/* Reads everything, for a caller who wants to be told of what is damaged. */
int tree_raw_look_at_all(struct tree_raw *self, const struct hf_store_options *options, struct hf_error *error);

#endif
