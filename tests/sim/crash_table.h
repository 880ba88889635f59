/* A table from 64-bit hashes to numbers. */
#ifndef HF_SIM_CRASH_TABLE_H
#define HF_SIM_CRASH_TABLE_H

#include <stddef.h>
#include <stdint.h>

struct crash_table {
    uint64_t *keys; /* 0: free */
    int64_t *values;
    size_t count, room;
};

void crash_table_init(struct crash_table *table);
void crash_table_fini(struct crash_table *table);
int crash_table_get(const struct crash_table *table, uint64_t key, int64_t *ret_value); /* 0: not there */
void crash_table_put(struct crash_table *table, uint64_t key, int64_t value);

uint64_t crash_mix(uint64_t a, uint64_t b);
uint64_t crash_random(uint64_t *state);

#endif
