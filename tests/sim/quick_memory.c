#include "sim/quick_memory.h"

#include <sqlite3.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* Sizes are 16 bytes apart up to 1 KiB, and from there doubled. */
enum { STEP = 16, SMALL_SIZES = 64, SIZES = SMALL_SIZES + 22 };

union block {
    struct {
        union block *next; /* while it is free */
        int size;          /* its number */
    } head;
    max_align_t align;
};

static union block *free_blocks[SIZES];

static int bytes_of(int size) {
    return size < SMALL_SIZES ? (size + 1) * STEP : 1024 << (size - SMALL_SIZES + 1);
}

static int size_of(int bytes) {
    if (bytes <= SMALL_SIZES * STEP)
        return bytes > 0 ? (bytes - 1) / STEP : 0;
    int size = SMALL_SIZES;
    while (size < SIZES - 1 && bytes_of(size) < bytes)
        size++;
    return size;
}

static void *quick_malloc(int bytes) {
    int size = size_of(bytes);
    union block *block = free_blocks[size];
    if (block)
        free_blocks[size] = block->head.next;
    else
        block = malloc(sizeof *block + (size_t)bytes_of(size));
    if (!block)
        return NULL;
    block->head.size = size;
    return block + 1;
}

static void quick_free(void *at) {
    if (!at)
        return;
    union block *block = (union block *)at - 1;
    block->head.next = free_blocks[block->head.size];
    free_blocks[block->head.size] = block;
}

static int quick_size(void *at) {
    return at ? bytes_of(((union block *)at - 1)->head.size) : 0;
}

static void *quick_realloc(void *old, int bytes) {
    int had = quick_size(old);
    if (old && bytes <= had)
        return old;
    void *at = quick_malloc(bytes);
    if (at && old) {
        memcpy(at, old, (size_t)had);
        quick_free(old);
    }
    return at;
}

static int quick_roundup(int bytes) {
    return bytes_of(size_of(bytes));
}

static int quick_init(void *arg) {
    (void)arg;
    return SQLITE_OK;
}

static void quick_shutdown(void *arg) {
    (void)arg;
}

void quick_memory_take_sqlite(void) {
    static const sqlite3_mem_methods methods = {
        quick_malloc, quick_free, quick_realloc, quick_size, quick_roundup, quick_init, quick_shutdown, NULL,
    };
    sqlite3_config(SQLITE_CONFIG_MALLOC, &methods);
}
