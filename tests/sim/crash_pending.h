/* What of the operations so far is safe, and what may still be lost. */
#ifndef HF_SIM_CRASH_PENDING_H
#define HF_SIM_CRASH_PENDING_H

#include "sim/crash_states.h"

/* How an operation that was not synced has reached the disk. Of a move between folders FIRST is the new name alone, and
 * LAST is that the old one is gone. */
enum crash_how { CRASH_NOT, CRASH_WHOLE, CRASH_FIRST, CRASH_LAST, CRASH_SOME, CRASH_ZEROS };

/* A move between folders is two entries; a sync of one of the folders makes one of them safe. */
enum crash_part { CRASH_TO = 1, CRASH_FROM = 2, CRASH_BOTH = 3 };

struct crash_choice {
    enum crash_how how;
    uint32_t sectors; /* FIRST, LAST: how many; SOME: which, as a seed */
};

struct crash_pending_op {
    const struct sim_op *op;
    uint64_t key;
    unsigned parts; /* that are not safe, bits of enum crash_part */
    struct crash_choice choice;
};

struct crash_pending {
    enum crash_order order;
    struct sim_image safe;
    uint64_t safe_key; /* the sum of the keys of what is safe: names the image */
    struct crash_pending_op *ops;
    size_t count, room;
    struct crash_pending_op *mapped; /* of files that are mapped: never safe, of no interest one by one */
    size_t mapped_count, mapped_room;
    uint8_t *is_mapped; /* by inode */
    uint32_t inode_count;
};

void crash_pending_init(struct crash_pending *pending, const struct sim_record *record, enum crash_order order);
void crash_pending_fini(struct crash_pending *pending);
void crash_pending_take(struct crash_pending *pending, const struct sim_op *op, uint64_t key); /* the next operation */

int crash_pending_is_mapped(const struct crash_pending *pending, const struct sim_op *op);

/* Names and sizes: under ext4 these reach the disk in order. */
int crash_is_metadata(enum crash_order order, const struct sim_op *op);
int crash_is_move(const struct crash_pending_op *op); /* between folders, and no part of it safe */
uint32_t crash_sectors(const struct sim_op *op);      /* that a write touches */

/* The state that the choices make: a number that names it, and the image. */
uint64_t crash_pending_key(struct crash_pending *pending);
void crash_pending_image(const struct crash_pending *pending, struct sim_image *ret_image);

#endif
