/* A store whose files are damaged from a seed, and whether it says so. */
#ifndef HF_FAULT_DAMAGE_H
#define HF_FAULT_DAMAGE_H

#include "sim/sim_disk.h"
#include "store/store.h"

enum { DAMAGE_KEYS_MAX = 64, DAMAGE_STEPS_MAX = 160, DAMAGE_TEXT = 400 };

struct damage_shape {
    const char *name, *url;
    unsigned share; /* of the variants */
    int keys, steps;
    int fill;          /* bytes in a document, about */
    int delete_one_in; /* of the steps; 0: none */
    int is_killed;     /* the WAL is left as it is */
    uint32_t keep;     /* versions */
};
extern const struct damage_shape damage_shapes[]; /* ended by name NULL; the first is closed, and of sqlite */
int damage_shape_is_possible(const struct damage_shape *shape);

/* The store of a shape as it is on disk, and what was committed to it. */
struct damage_base {
    const char *name;
    const struct damage_shape *shape;
    struct sim_image image, other;                      /* other: of another store of the same shape */
    int numbers[DAMAGE_STEPS_MAX + 1][DAMAGE_KEYS_MAX]; /* of the document at a revision; 0: none */
};
void damage_base_init(struct damage_base *base, const struct damage_shape *shape);
void damage_base_fini(struct damage_base *base);
int damage_was_committed(const struct damage_base *base, const char *id, const char *json, size_t json_bytes);

struct damage_verdict {
    char what[120];              /* was done */
    int is_refused;              /* the store did not open, and says why */
    int is_told;                 /* something is not as it was last, and check or an error says so */
    int is_earlier;              /* all is as it was at an earlier commit: the end of the WAL is gone */
    char complaint[DAMAGE_TEXT]; /* "" when all is well */
};
void damage_try(const struct damage_base *base, uint64_t seed, struct damage_verdict *ret_verdict);
/* The database file alone, damaged from the seed; to be freed. */
unsigned char *damage_database(const struct damage_base *base, uint64_t seed, size_t *ret_size);

struct damage_tally {
    uint64_t variants, refused, told, earlier, unharmed, complaints;
};
void damage_count(struct damage_tally *tally, const struct damage_verdict *verdict);

#endif
