/* A store on a simulated disk, for tests of faults: by any URL, with failing calls, and with files that are changed
 * behind its back. */
#ifndef HF_FAULT_CATALOGUE_WORLD_H
#define HF_FAULT_CATALOGUE_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "sim/sim_disk.h"
#include "store/store.h"

struct world {
    const char *url;
    int is_tree;
    const char *database; /* the SQLite file behind it */
    struct sim_disk *disk;
    struct sim_process *process;
    struct os_ops ops; /* the process's; a test may put other functions there */
    struct os os;
    struct os_fault *fault;
    struct hf_store *store;
    struct hf_error error; /* of the last call that failed */
    unsigned found;        /* findings of the opening */
};

void world_init(struct world *world, const char *url);
void world_from(struct world *world, const char *url, struct sim_disk *take_disk);
void world_fini(struct world *world);
/* The program ends as by kill -9, and another begins. */
void world_kill(struct world *world);

int world_open(struct world *world); /* the code */
int world_open_with(struct world *world, const struct hf_store_options *options);
void world_must_open(struct world *world);
void world_reopen(struct world *world);

int world_put(struct world *world, const char *kind, const char *id, const char *json);
int world_put_bytes(struct world *world, const char *kind, const char *id, const char *json, size_t bytes);
void world_must_put(struct world *world, const char *kind, const char *id, const char *json);
/* json NULL: there must be none. */
void world_expect(struct world *world, const char *kind, const char *id, const char *json);
int world_get(struct world *world, const char *kind, const char *id); /* the code */
uint64_t world_findings(struct world *world);
void world_expect_error(struct world *world, int code, int code_wanted, const char *text);

/* From now on the fail_at-th call of these kinds fails, once or for ever. error 0: short. */
void world_fail(struct world *world, unsigned call_mask, uint64_t fail_at, int once, int error);
void world_heal(struct world *world);
/* Calls of these kinds from now on are counted. */
void world_count(struct world *world, unsigned call_mask);

/* Files, from outside of the program. */
int world_has_file(struct world *world, const char *path);
void world_read_file(struct world *world, const char *path, struct buf *ret_bytes);
void world_write_file(struct world *world, const char *path, const void *bytes, size_t size);
void world_cut_file(struct world *world, const char *path, off_t size);
void world_remove_file(struct world *world, const char *path);
/* How many files below /data have the text in their path. */
unsigned world_count_files(struct world *world, const char *text);
/* Where a record of the kind "watch" has its file; below /data/tree. */
const char *world_file_of(const struct world *world, const char *id, char path[128]);
void world_make_folder(struct world *world, const char *path);

/* A document by a number, ended by NUL; fill bytes, and less than 48 more. Returns its length. */
size_t world_make_document(char *json, int number, size_t fill);
/* Documents of a batch: <prefix>0 and so on, by numbers from number on. */
int world_commit_many(struct world *world, const char *prefix, int count, int number);
/* How many of them are there, each whole. */
int world_count_many(struct world *world, const char *prefix, int count, int number);
/* Everything that a short life does; no call of it may fail. */
void world_live(struct world *world);

#endif
