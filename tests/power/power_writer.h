/* The parts of power_writer: how its store is opened, and what is in it. */
#ifndef HF_POWER_WRITER_H
#define HF_POWER_WRITER_H

#include "holdfast.h"

#include <stddef.h>
#include <stdint.h>

/* Two records of a writer have the same number: WRITERS kinds with the ids "one" and "two". */
enum { WRITERS = 4, KEEP = 3, MANY = 110 };

struct how {
    const char *folder;
    char url[512];
    int is_tree, is_saver, is_lying;
};
/* The words behind the folder: "tree:OPTIONS" (otherwise SQLite), "saver", "lying". 0, or -1 for another word. */
int how_parse(struct how *how, const char *folder, char **words);
int how_open(const struct how *how, struct hf_store **ret_store, struct hf_error *error);

int fail(const char *what, const struct hf_error *error); /* prints; returns 1 */
void name_kind(int index, char kind[16]);
size_t make_json(int64_t number, size_t fill, char *json, size_t room);
int commit(const struct how *how, struct hf_store *store, int index, int64_t number, struct hf_error *error);
int64_t number_at(struct hf_store *store, int index, const char *id); /* 0: there is none; -1: it cannot be read */
int keep_histories(struct hf_store *store, struct hf_error *error);
int check(struct hf_store *store);
void tell(int index, int64_t number); /* one acknowledgement on stdout */

int run_saver(const struct how *how); /* power_save.c */
int verify(const struct how *how);    /* power_verify.c */

#endif
