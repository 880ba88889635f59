#include "sim/crash_table.h"

#include "base/mem.h"
#include "sim/sim_image.h"

#include <string.h>

void crash_table_init(struct crash_table *table) {
    memset(table, 0, sizeof *table);
}

void crash_table_fini(struct crash_table *table) {
    mem_free(table->keys);
    mem_free(table->values);
    crash_table_init(table);
}

static size_t place_of(const struct crash_table *table, uint64_t key) {
    size_t at = (size_t)key & (table->room - 1);
    while (table->keys[at] && table->keys[at] != key)
        at = (at + 1) & (table->room - 1);
    return at;
}

int crash_table_get(const struct crash_table *table, uint64_t key, int64_t *ret_value) {
    if (!table->room)
        return 0;
    key += !key;
    size_t at = place_of(table, key);
    if (!table->keys[at])
        return 0;
    *ret_value = table->values[at];
    return 1;
}

static void grow(struct crash_table *table) {
    struct crash_table larger = {.room = table->room ? table->room * 2 : 4096};
    larger.keys = sim_alloc(larger.room * sizeof(uint64_t));
    larger.values = sim_alloc(larger.room * sizeof(int64_t));
    for (size_t i = 0; i < table->room; i++)
        if (table->keys[i])
            crash_table_put(&larger, table->keys[i], table->values[i]);
    crash_table_fini(table);
    *table = larger;
}

void crash_table_put(struct crash_table *table, uint64_t key, int64_t value) {
    if ((table->count + 1) * 2 > table->room)
        grow(table);
    key += !key;
    size_t at = place_of(table, key);
    table->count += !table->keys[at];
    table->keys[at] = key;
    table->values[at] = value;
}

uint64_t crash_random(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint64_t crash_mix(uint64_t a, uint64_t b) {
    uint64_t state = a ^ (b * 0xd6e8feb86659fd93u);
    return crash_random(&state);
}
