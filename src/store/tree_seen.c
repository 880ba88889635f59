/* What a file looked like when it was put into its place, so that it need not be read to know that nobody changed it
 * since. Of bounded size: what is forgotten is read. */
#include "base/hash.h"
#include "store/tree_backend.h"

#include <string.h>

enum { PLACES = 1 << 17 };

struct tree_seen {
    struct {
        uint64_t key, print;
    } places[PLACES];
};

static uint64_t hash_of_key(const char *kind, const char *id) {
    char key[TREE_KEY_BYTES];
    tree_key(kind, id, key);
    return hash64(key, strlen(key), 0);
}

/* Clocks are coarse. But what is written to a file in the moment in which it was put into its place has another time
 * of writing than what was written before. */
static uint64_t print_of(const struct stat *stat) {
    const int64_t print[] = {(int64_t)stat->st_ino, stat->st_size,        stat->st_mtim.tv_sec,
                             stat->st_mtim.tv_nsec, stat->st_ctim.tv_sec, stat->st_ctim.tv_nsec};
    return hash64(print, sizeof print, 0);
}

int tree_seen_new(struct tree_seen **ret_seen, struct hf_error *error) {
    struct tree_seen *seen = MEM_NEW(struct tree_seen);
    if (!seen)
        return error_no_memory(error);
    *ret_seen = seen;
    return 0;
}

void tree_seen_set(struct tree_backend *self, const char *kind, const char *id, const struct stat *stat) {
    uint64_t key = hash_of_key(kind, id), print = print_of(stat);
    pthread_mutex_lock(&self->maps);
    self->seen->places[key % PLACES].key = key;
    self->seen->places[key % PLACES].print = print;
    pthread_mutex_unlock(&self->maps);
}

int tree_seen_is(struct tree_backend *self, const char *kind, const char *id, const struct stat *stat) {
    uint64_t key = hash_of_key(kind, id), print = print_of(stat);
    if (stat->st_ctim.tv_sec == 0)
        return 0; /* a file system without times */
    pthread_mutex_lock(&self->maps);
    int is = self->seen->places[key % PLACES].key == key && self->seen->places[key % PLACES].print == print;
    pthread_mutex_unlock(&self->maps);
    return is;
}
