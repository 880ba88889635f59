/* The files of a tree as another program would find them: after a power cut before anyone re-opened the store, and
 * after that. */
#ifndef HF_SIM_TREE_STATE_H
#define HF_SIM_TREE_STATE_H

#include "sim/oracle.h"
#include "store/tree_files.h"

struct tree_state_file {
    char *path; /* below the root */
    uint8_t hash[HF_HASH_BYTES];
};
struct tree_state {
    struct tree_options options;
    struct tree_state_file *files;
    size_t count, room;
};

/* Reads every file that is not the store's own. Returns -1 with a reason when one is empty, torn or not JSON (a tree
 * with durable=none may hold such: they are left out), or has a name that no record's file has. */
int tree_state_read(const struct os *os, const char *url, struct tree_state *ret_state, char text[ORACLE_TEXT]);
void tree_state_fini(struct tree_state *state);

/* Of a tree with durable=file: up to which revision it has every record; otherwise INT64_MAX. `store` was opened since
 * then, and agrees with the oracle. */
int64_t tree_state_revision(const struct tree_state *state, const struct oracle *oracle, struct hf_store *store);

/* Every record of the open store has its file, the file is that record, and no other file is there. -1 with a reason
 * when not. */
int tree_state_compare(const struct os *os, const char *url, struct hf_store *store, char text[ORACLE_TEXT]);

/* No temporary file is left: 0 with a reason when one is. For a store that was closed. */
int tree_state_is_tidy(const struct os *os, const char *url, char text[ORACLE_TEXT]);

#endif
