/* What the parts of damage.c share: chance from a seed, the documents as they were, and the file that is damaged. */
#ifndef HF_FAULT_DAMAGE_INSIDE_H
#define HF_FAULT_DAMAGE_INSIDE_H

#include "fault/damage.h"

uint64_t damage_mix(uint64_t a, uint64_t b);
uint64_t damage_draw(uint64_t *random, uint64_t below);

/* ---- the store as it was ---- */

int damage_is_tree(const struct damage_base *base);
const char *damage_kind_of(int key);
/* The document of a number under a key: so its bytes are known from what they say. To be freed. */
size_t damage_make_document(const struct damage_shape *shape, int key, int number, char **ret_json);
/* -1 when no such document was ever committed under the id. */
int damage_number_of(const struct damage_base *base, const char *id, const char *json, size_t json_bytes, int *ret_key);

/* ---- what is damaged ---- */

enum target { DATABASE, WAL, SHM, RECORD, TARGETS };

struct damage {
    uint64_t random;
    const struct damage_base *base;
    struct sim_image *image;
    uint32_t folder, inode;
    char name[64];
    enum target target;
    off_t size;
    char *what;
};

void damage_say(struct damage *damage, const char *what, off_t at, off_t bytes);

/* The folder of the database. */
uint32_t damage_find_home(const struct damage_base *base, const struct sim_image *image);
/* The file of a key, by the layout of the tree. 0: none. */
uint32_t damage_find_record(const struct damage_base *base, const struct sim_image *image, int key,
                            uint32_t *ret_folder, char ret_name[64]);

void damage_spoil_database(struct damage *damage);
void damage_spoil_record(struct damage *damage);
/* A file of the image, chosen by the seed. */
enum target damage_spoil_file(const struct damage_base *base, struct sim_image *image, uint64_t seed, int database_only,
                              char what[120]);

#endif
