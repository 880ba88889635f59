/* Between the parts of the tree backend. */
#ifndef HF_STORE_TREE_BACKEND_H
#define HF_STORE_TREE_BACKEND_H

#include "base/map.h"
#include "base/mem.h"
#include "os/file.h"
#include "store/backend.h"
#include "store/tree_files.h"
#include <pthread.h>
#include <stdatomic.h>

#define TREE_STAGED_FOLDER "staged"
#define TREE_ASIDE_FOLDER  "aside"
#define TREE_INDEX_NAME    "index.db"
#define TREE_WHO_FOREIGN   "another program" /* who changed a record, when its file was taken */

enum {
    TREE_TEMPORARY_BYTES = 64,
    TREE_KEY_BYTES = HF_KIND_MAX + 1 + HF_ID_MAX + 1, /* "KIND/ID": sorts as kind and id do */
    TREE_SYNC_EACH = 100,                             /* so many files of a batch are synced one by one */
    TREE_BATCH_BYTES = 16 << 20,                      /* of documents in one transaction, or staged at once */
    TREE_BATCH_COUNT = 8192,
    TREE_TRASH_MAX = 4096,
};

/* One file's way from a change to its place. */
struct tree_entry {
    const char *kind, *id; /* borrowed until the stage is cleared, as is json */
    const char *json;      /* NULL: the file is to go */
    size_t json_bytes;
    uint8_t hash[HF_HASH_BYTES];
    struct hf_record *owned; /* what they lie in, when it is the entry's */
    uint64_t number;         /* of the temporary file; 0: there is none */
    uint8_t is_there;        /* a regular file stands in the place */
    uint8_t is_right;        /* and holds this document already: nothing is written */
    uint8_t is_other;        /* and is not what the index had: it is kept aside */
    int64_t seen_ns;         /* its ctime */
    mode_t mode;
};

/* What one thread needs to write, read and place files. */
struct tree_worker {
    struct tree_reader reader;
    struct json_doc doc;
    struct buf text;
    struct hf_error error; /* of the first thing that failed */
};

struct tree_stage {
    struct tree_entry *items;
    size_t count, room;
    struct map keys;             /* to the index + 1: of a key that is changed twice, the last counts */
    struct tree_worker *workers; /* borrowed */
    unsigned threads;
    enum tree_durable durable;
    int is_anew; /* files that are right are written, too: what the page cache holds may never have reached the disk */
};

/* A file that is not readable and that the index does not have. */
struct tree_damage {
    int code;
    char text[]; /* for people */
};

/* Temporary names under which replaced files wait to be removed. */
struct tree_trash {
    uint64_t *numbers;
    size_t count, room;
};

struct tree_mark {
    uint64_t revision; /* all files are on disk as they were then */
    int64_t at_ns; /* by the file system's clock: all files were looked at then. What changed later is looked at again:
                      while the store was open somebody else may have written, too */
    int is_there;  /* 0: there is none that can be believed */
    int is_taking; /* the first look at the files has begun and not ended: they are all somebody else's */
    enum tree_layout layout;
};

struct tree_backend {
    struct store_backend base;
    const struct os *os;
    struct tree_options options;
    struct hf_store_options store_options;
    struct json_limits limits;
    struct store_backend *inner;
    int is_open;                              /* index and files agree: closing may settle them */
    int root_fd, own_fd, staged_fd, aside_fd; /* -1: not open */
    struct tree_worker *workers;              /* the writer's, options.threads of them */
    char name_front[33];                      /* of temporary files: random */
    atomic_uint_fast64_t name_count;
    /* Held over an inner commit with its renames, and over a mend: whoever holds it finds index and files alike. */
    pthread_mutex_t lock;
    pthread_mutex_t maps; /* over the four that follow; taken last */
    struct map pending;   /* by key: char *, what stands in the way of a committed record's file */
    struct map damaged;   /* by key: struct tree_damage */
    struct tree_trash trash;
    struct tree_seen *seen;
    atomic_int cannot_settle; /* a sync failed: what it lost is not known. Files of events behind the mark are written
                                 anew when the store is opened again */
    /* the writer's */
    struct tree_stage stage;
    uint64_t revision;       /* of the newest commit */
    uint64_t begun_revision; /* of this transaction */
    uint64_t settled_revision;
    uint64_t unsettled; /* files changed since */
    int64_t looked_ns;  /* when opening began to look at the files */
    int is_anew;        /* some that are pending are to be written even if they look right */
    /* check's */
    atomic_uint_fast64_t record_count; /* about how many there are */
    pthread_mutex_t check_lock;        /* over the two that follow */
    struct tree_keys listed;           /* while a check looks for files that the index lacks */
    int is_listed;
};

static inline int64_t tree_ctime_ns(const struct stat *stat) {
    return (int64_t)stat->st_ctim.tv_sec * 1000000000 + stat->st_ctim.tv_nsec;
}

void tree_key(const char *kind, const char *id, char ret_key[TREE_KEY_BYTES]);
/* "KIND/ID" again as two; `key` is changed. */
void tree_key_split(char *key, const char **ret_kind, const char **ret_id);
void tree_path_text(const struct tree_path *path, char ret_text[TREE_PATH_BYTES]);
int tree_workers_new(struct tree_backend *self, unsigned count, struct tree_worker **ret_workers,
                     struct hf_error *error);
void tree_workers_free(struct tree_worker **workers, unsigned count);

/* tree_open.c, tree_backend.c */
int tree_open(const struct os *os, const char *rest, const struct hf_store_options *options,
              struct store_backend **ret_backend, uint64_t *ret_revision, struct hf_error *error);
void tree_close(struct store_backend **backend);
/* The writer's, without the lock: `staged` and `aside`, which a cleaner of temporary files may have removed, are made
 * again. Nobody else uses them meanwhile: mending does so under the lock. */
int tree_folders_again(struct tree_backend *self, struct hf_error *error);

/* tree_maps.c: keys of files that are not as they should be. Any thread. */
void tree_pending_set(struct tree_backend *self, const char *kind, const char *id, const char *text);
void tree_pending_clear(struct tree_backend *self, const char *kind, const char *id);
/* A copy of what stands in its way (mem_free), or NULL when the key is not pending. */
char *tree_pending_text(struct tree_backend *self, const char *kind, const char *id);
size_t tree_pending_count(struct tree_backend *self);
void tree_damage_set(struct tree_backend *self, const char *kind, const char *id, const struct tree_look *look);
void tree_maps_clear(struct tree_backend *self, const char *kind, const char *id); /* both: the file is right */
void tree_damage_clear(struct tree_backend *self, const char *kind, const char *id);
/* CORRUPT or PERMISSION, and the error, when the key's file is damaged and the index has no such record; else 0. */
int tree_damage_find(struct tree_backend *self, const char *kind, const char *id, struct hf_error *error);
/* Copies of the keys, sorted; they are there when it failed, too. */
int tree_pending_keys(struct tree_backend *self, struct vec *keys, struct hf_error *error);
int tree_damage_keys(struct tree_backend *self, struct vec *keys, struct hf_error *error);
void tree_key_vec_fini(struct vec *keys);
void tree_maps_fini(struct tree_backend *self);

/* tree_seen.c: how files looked when they were put into their places. Any thread. */
int tree_seen_new(struct tree_seen **ret_seen, struct hf_error *error);
void tree_seen_set(struct tree_backend *self, const char *kind, const char *id, const struct stat *stat);
int tree_seen_is(struct tree_backend *self, const char *kind, const char *id, const struct stat *stat);

/* tree_read.c */
int tree_get(struct store_backend *backend, enum store_view view, const char *kind, const char *id, int head_only,
             struct hf_record **ret_record, struct hf_error *error);
int tree_scan(struct store_backend *backend, const struct store_range *range, hf_record_visit visit, void *arg,
              struct hf_error *error);

/* tree_stage.c: before the commit point. */
void tree_stage_init(struct tree_stage *stage, const struct tree_backend *self, struct tree_worker *workers,
                     unsigned threads);
void tree_stage_fini(struct tree_backend *self, struct tree_stage *stage);
int tree_stage_add(struct tree_stage *stage, const struct tree_entry *entry, struct hf_error *error);
int tree_stage_has(const struct tree_stage *stage, const char *kind, const char *id);
/* Writes what is to be renamed into place later, and syncs it as the options want. On failure no temporary file is
 * left, and the code is soft unless a sync failed. */
int tree_stage_write(struct tree_backend *self, struct tree_stage *stage, struct hf_error *error);
/* Removes temporary files that are left, and forgets the entries. */
void tree_stage_clear(struct tree_backend *self, struct tree_stage *stage);
/* The name of a temporary file: nobody else's. */
void tree_temporary_name(const struct tree_backend *self, uint64_t number, char ret_name[TREE_TEMPORARY_BYTES]);
uint64_t tree_temporary_number(struct tree_backend *self);

/* The names of replaced files, until they are removed. Any thread. */
void tree_trash_add(struct tree_backend *self, uint64_t number);
void tree_trash_empty(struct tree_backend *self, size_t when_over);

/* tree_place.c: behind the commit point; with self->lock held. What does not work becomes pending. */
void tree_place(struct tree_backend *self, struct tree_stage *stage);

/* tree_aside.c: keeps what stands at this place. `moves`: it is gone from there afterwards. Negative errno. */
int tree_aside(struct tree_backend *self, int folder_fd, const struct tree_path *path, int moves);

/* tree_settle.c */
/* The time of the file system, not of this machine: it is what files are stamped with. */
int64_t tree_clock_ns(struct tree_backend *self, int64_t fallback_ns);
int tree_mark_read(struct tree_backend *self, struct tree_mark *ret_mark, struct hf_error *error);
int tree_mark_write(struct tree_backend *self, const struct tree_mark *mark, int with_sync, struct hf_error *error);
/* Makes the files of these keys ("KIND/ID") what the index has. */
int tree_write_keys(struct tree_backend *self, const struct vec *keys, int is_anew, struct hf_error *error);
/* Tries pending files again; then, when nothing is pending, makes all files durable and says so in the mark. What does
 * not work is no error: the mark stays where it is. */
void tree_settle(struct tree_backend *self);
/* Writes the files of everything that was committed behind the mark. */
int tree_recover(struct tree_backend *self, const struct tree_mark *mark, struct hf_error *error);

/* tree_names.c: tree_keys_list, without what only the index knows a key for. */
int tree_names_list(struct tree_backend *self, hf_finding_visit found, void *found_arg, struct tree_keys *ret_keys,
                    struct hf_error *error);

/* tree_reconcile.c: what other programs did while the store was closed, or before it was first opened. */
int tree_reconcile(struct tree_backend *self, const struct tree_mark *mark, struct hf_error *error);

/* tree_take.c: files become records, in transactions of bounded size. */
struct tree_taking {
    struct tree_backend *self;
    int is_begun;
    size_t bytes, count;
};
/* replaces: the record that it takes the place of; NULL: none that can be read. */
int tree_take(struct tree_taking *taking, const char *kind, const char *id, const struct buf *json,
              const uint8_t hash[HF_HASH_BYTES], const struct hf_record *replaces, struct hf_error *error);
/* Commits what is taken, or gives it up when code is not 0. Returns code, or that of the commit. */
int tree_take_end(struct tree_taking *taking, int code, struct hf_error *error);

/* tree_check.c, tree_mend.c */
int tree_check(struct store_backend *backend, struct hf_check_cursor *cursor, uint64_t max_rows, hf_finding_visit visit,
               void *arg, struct hf_check_result *result, struct hf_error *error);
int tree_mend(struct store_backend *backend, const char *kind, const char *id, enum store_mend *ret_mend,
              struct buf *ret_json, uint8_t ret_if_hash[HF_HASH_BYTES], struct hf_error *error);

#endif
