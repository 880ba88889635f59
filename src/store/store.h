/* The store's inside, for the floors above and for tests: another os, another backend, commits without a thread. */
#ifndef HF_STORE_STORE_H
#define HF_STORE_STORE_H

#include "holdfast.h"
#include "os/os.h"
#include "store/backend.h"

struct store_setup {
    const struct os *os;           /* NULL: the real one */
    struct store_backend *backend; /* NULL: by the URL; otherwise taken, with its revision in backend_revision */
    uint64_t backend_revision;
    int without_thread;     /* commits wait in the queue until store_pump; hf_store_commit pumps itself */
    unsigned max_group;     /* most batches in one transaction; 0: 1,024 */
    size_t max_group_bytes; /* 0: 16 MiB */
};
int store_open(const char *url, const struct hf_store_options *options, const struct store_setup *setup,
               struct hf_store **ret_store, struct hf_error *error);

/* Commits what waits as one group (without_thread only). Returns how many batches were answered. */
int store_pump(struct hf_store *store);

/* 0, or HF_ERR_FAILED with what stopped it. */
int store_health(struct hf_store *store, struct hf_error *error);

const struct os *store_os(struct hf_store *store);

#endif
