/* The store's inside, for the floors above and for tests: another os, another backend, commits without a thread. */
#ifndef HF_STORE_STORE_H
#define HF_STORE_STORE_H

#include "base/json.h"
#include "holdfast.h"
#include "os/os.h"
#include "store/backend.h"
#include "store/stats.h"

struct store_setup {
    const struct os *os;           /* NULL: the real one */
    struct store_backend *backend; /* NULL: by the URL; otherwise taken, with its revision in backend_revision */
    uint64_t backend_revision;
    int without_thread;     /* commits wait in the queue until store_pump; hf_store_commit pumps itself */
    unsigned max_group;     /* most batches in one transaction; 0: 1,024 */
    size_t max_group_bytes; /* 0: 16 MiB */
    size_t max_queue_bytes; /* of batches that wait; 0: as the options say */
};
int store_open(const char *url, const struct hf_store_options *options, const struct store_setup *setup,
               struct hf_store **ret_store, struct hf_error *error);

/* Commits what waits as one group (without_thread only). Returns how many batches were answered. */
int store_pump(struct hf_store *store);

/* Whether it was opened without_thread: who waits for a commit then pumps. */
int store_is_pumped(struct hf_store *store);

/* 0, or HF_ERR_FAILED with what stopped it. */
int store_health(struct hf_store *store, struct hf_error *error);

void store_stats(struct hf_store *store, struct store_stats *ret_stats); /* thread-safe */

/* Has the backend look after a file that check found changed, missing or damaged; thread-safe. What to do then is in
 * *ret_mend. For STORE_MEND_TAKE, if_hash of zeros stands for "there is no such record". Errors: UNSUPPORTED when the
 * backend keeps no files; what the file or the disk says. */
int store_mend(struct hf_store *store, const char *kind, const char *id, enum store_mend *ret_mend,
               struct buf *ret_json, uint8_t ret_if_hash[HF_HASH_BYTES], struct hf_error *error);

const struct os *store_os(struct hf_store *store);
const struct json_limits *store_limits(struct hf_store *store); /* of every document; borrowed */

#endif
