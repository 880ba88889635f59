/* The handle, for the parts of its public functions. */
#ifndef HF_STORE_STORE_INSIDE_H
#define HF_STORE_STORE_INSIDE_H

#include "store/committer.h"
#include "store/store.h"
#include "store/watch.h"

struct hf_store {
    const struct os *os;
    struct hf_store_options options; /* with the defaults filled in */
    struct json_limits limits;
    int without_thread;
    pid_t opened_by; /* a child after fork has none of its threads */
    struct store_backend *backend;
    struct history_rules history;
    struct watch_list watches;
    struct committer *committer;
};

#endif
