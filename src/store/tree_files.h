/* The files of a tree: where a record's file is, what is written in it, and what is found there. Knows no index. */
#ifndef HF_STORE_TREE_FILES_H
#define HF_STORE_TREE_FILES_H

#include "base/buf.h"
#include "base/error.h"
#include "base/json.h"
#include "holdfast.h"
#include "os/os.h"

struct store_backend;

#define TREE_OWN_FOLDER ".holdfast" /* beside the records: the index, what is staged, what was kept aside */

enum tree_layout { TREE_LAYOUT_KIND, TREE_LAYOUT_WATCH };
enum tree_durable { TREE_DURABLE_BATCH, TREE_DURABLE_FILE, TREE_DURABLE_NONE };

/* ---- tree_url.c: what stands behind "tree:", percent-decoded ---- */
struct tree_options {
    char *folder;
    enum tree_layout layout;
    int is_layout_given;
    enum tree_durable durable;
    char **ours; /* kinds whose files are put back; ended by NULL; NULL: none */
    unsigned threads;
};
/* Errors: INVALID with the option's name and what is possible, NO_MEMORY. */
int tree_options_parse(const char *rest, struct tree_options *ret_options, struct hf_error *error);
void tree_options_fini(struct tree_options *options);
int tree_options_is_ours(const struct tree_options *options, const char *kind);

/* ---- tree_path.c: keys and names ---- */
enum { TREE_PATH_BYTES = 640 };
struct tree_path {
    char folder[320]; /* below the root; "" is the root itself */
    char name[320];   /* of the file in it */
};
/* Where a record's file is. Never fails: kind and id were checked. The name of a file has at most 250 bytes before its
 * ".json": a longer one is shortened as ids_to_filename does, and only an index knows the id then. */
void tree_path_of(enum tree_layout layout, const char *kind, const char *id, struct tree_path *ret_path);
/* The way back. BAD_ID when no record has such a file: the caller passes it by when it does not end in ".json", and
 * tells of it as "bad_name" otherwise. */
int tree_path_key(enum tree_layout layout, const char *folder, const char *name, char ret_kind[HF_KIND_MAX + 1],
                  char ret_id[HF_ID_MAX + 1], struct hf_error *error);

/* ---- tree_style.c: the text of a file ---- */
/* Writes the document as json.dumps(document, indent=2, ensure_ascii=False) of Python and orjson's OPT_INDENT_2 do:
 * members in their order, numbers as they stand, strings with the shortest escapes, no line feed at the end. A document
 * whose text would be over limits->max_bytes that way stays as it is: deep nesting can make it a thousand times as
 * long, and what is written must be readable again. */
int tree_style(struct json_doc *scratch, const char *json, size_t json_bytes, const struct json_limits *limits,
               struct buf *ret_text, struct hf_error *error);

/* ---- tree_guess.c: a folder that was never opened to be written, and the layout that was not said ---- */
/* INVALID when the options do not name a layout and the files are those of the watch layout: read as the other one, the
 * tree would seem empty. */
int tree_guess_layout(const struct os *os, int root_fd, const struct tree_options *options, struct hf_error *error);

/* ---- tree_look.c: reading one file ---- */
struct tree_look {
    /* 0: good. CORRUPT: "damaged_file". TOO_LARGE: "oversize_file". NOT_FOUND: "missing_file". PERMISSION, UNSAFE_PATH
     * (a link, or nothing regular) and others: "unreadable_file". */
    int code;
    const char *what;            /* the finding's word; NULL when good */
    char text[192];              /* for people: what is wrong, at which offset */
    struct stat stat;            /* valid when the file was there */
    uint8_t hash[HF_HASH_BYTES]; /* when good: of the document */
};
struct tree_reader { /* one for a thread; keeps its memory */
    const struct os *os;
    int root_fd;
    enum tree_layout layout; /* KIND behind init; with WATCH set, a watch's member "uuid" must be its folder's id */
    struct json_limits limits;
    struct json_doc doc;
    struct buf bytes, scratch;
};
void tree_reader_init(struct tree_reader *reader, const struct os *os, int root_fd, const struct json_limits *limits);
void tree_reader_fini(struct tree_reader *reader);
/* Reads and judges the file; its text is then in reader->bytes. Follows no link, opens nothing but regular files, reads
 * at most limits.max_bytes. Only NO_MEMORY and TOO_MANY_FILES are errors of the call: everything else is in *ret_look.
 */
int tree_look(struct tree_reader *reader, const struct tree_path *path, struct tree_look *ret_look,
              struct hf_error *error);

/* ---- tree_keys.c: what is on disk ---- */
struct tree_key {
    char *kind, *id;
};
/* All record files below the root, in the order of kind and id, from names alone. Told of by `found` (may be NULL):
 * bad_name, which shortened names are, too, and folders that cannot be listed (unreadable_file). Passed by: folders
 * beginning with '.' or where no record can be, links to folders, and in a watch's folder what is not KIND.json. What
 * stands in a record's place and is no file is listed: whoever looks at it tells. */
struct tree_keys {
    struct tree_key *items;
    size_t count, room;
};
int tree_keys_list(const struct os *os, int root_fd, enum tree_layout layout, hf_finding_visit found, void *found_arg,
                   struct tree_keys *ret_keys, struct hf_error *error);
void tree_keys_fini(struct tree_keys *keys);

/* ---- tree_crew.c: several threads over a list, in order ---- */
/* Calls work(arg, worker, index) for every index below count, from `threads` threads (0: as many as are good; 1: in
 * this thread), and done(arg, index) for each in the order of the indexes, in this thread; at most `ahead` indexes are
 * worked on before their done. Stops at the first value that is not 0 and returns it. done may be NULL. */
struct tree_crew {
    unsigned threads; /* as chosen */
    size_t ahead;
    int (*work)(void *arg, unsigned worker, size_t index);
    int (*done)(void *arg, size_t index);
    void *arg;
};
unsigned tree_crew_threads(unsigned wanted); /* what 0 means here; never 0 */
int tree_crew_run(const struct tree_crew *crew, size_t count, struct hf_error *error);

/* ---- tree_walk.c: looking at many files ---- */
/* Not 0 ends the walk. The bytes are the file's when the look is good; they live for the call. */
typedef int (*tree_tell)(void *arg, const struct tree_key *key, const struct tree_look *look, const struct buf *json);
struct tree_walk {
    const struct os *os;
    int root_fd;
    enum tree_layout layout;
    unsigned threads; /* as in tree_crew */
    struct json_limits limits;
    tree_tell tell; /* in the caller's thread, in the order of the keys */
    void *arg;
};
/* A few documents are held at a time for each thread. Errors: what tell returned, NO_MEMORY, TOO_MANY_FILES. */
int tree_walk_files(const struct tree_walk *walk, const struct tree_key *keys, size_t count, struct hf_error *error);

/* ---- tree_raw.c: a tree that is only read, from its files alone ---- */
/* A backend without revisions, events and history: what a tree without an index is when it is opened read-only. With
 * store_options->found it looks at every file first and tells of what is wrong; without it, nothing is read. */
int tree_raw_open(const struct os *os, int take_root_fd, const struct tree_options *options,
                  const struct hf_store_options *store_options, struct store_backend **ret_backend,
                  struct hf_error *error);

#endif
