#include "base/mem.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { ALIGNMENT = 16, FIRST_BLOCK = 4096, LARGEST_STEP = 1 << 20 };

struct arena_block {
    alignas(ALIGNMENT) struct arena_block *older;
    size_t room;
    alignas(ALIGNMENT) char bytes[];
};

void arena_init(struct arena *arena) {
    *arena = (struct arena){0};
}

void arena_fini(struct arena *arena) {
    for (struct arena_block *block = arena->blocks; block;) {
        struct arena_block *older = block->older;
        mem_free(block);
        block = older;
    }
    arena_init(arena);
}

/* The newest block is kept: blocks grow, so it is as large as any. */
void arena_reset(struct arena *arena) {
    if (!arena->blocks)
        return;
    struct arena_block *kept = arena->blocks;
    arena->blocks = kept->older;
    arena_fini(arena);
    kept->older = NULL;
    *arena = (struct arena){.blocks = kept, .used = 0, .room = kept->room};
}

static int add_block(struct arena *arena, size_t bytes) {
    size_t room = arena->room ? arena->room : FIRST_BLOCK / 2;
    room = room < LARGEST_STEP ? room * 2 : room;
    if (room < bytes)
        room = bytes;
    size_t total;
    if (__builtin_add_overflow(room, sizeof(struct arena_block), &total))
        return -1;
    struct arena_block *block = mem_alloc(total);
    if (!block)
        return -1;
    block->older = arena->blocks;
    block->room = room;
    *arena = (struct arena){.blocks = block, .used = 0, .room = room};
    return 0;
}

void *arena_alloc(struct arena *arena, size_t bytes) {
    size_t rounded;
    if (__builtin_add_overflow(bytes, (size_t)ALIGNMENT - 1, &rounded))
        return NULL;
    rounded &= ~((size_t)ALIGNMENT - 1);
    if (rounded == 0)
        rounded = ALIGNMENT;
    if ((!arena->blocks || arena->room - arena->used < rounded) && add_block(arena, rounded) < 0)
        return NULL;
    void *memory = arena->blocks->bytes + arena->used;
    arena->used += rounded;
    return memory;
}

void *arena_zalloc(struct arena *arena, size_t count, size_t bytes) {
    size_t total;
    if (__builtin_mul_overflow(count, bytes, &total))
        return NULL;
    void *memory = arena_alloc(arena, total);
    if (memory)
        memset(memory, 0, total);
    return memory;
}

char *arena_strdup(struct arena *arena, const char *text) {
    return arena_strndup(arena, text, strlen(text));
}

char *arena_strndup(struct arena *arena, const char *text, size_t bytes) {
    size_t total;
    if (__builtin_add_overflow(bytes, (size_t)1, &total))
        return NULL;
    char *copy = arena_alloc(arena, total);
    if (!copy)
        return NULL;
    if (bytes > 0)
        memcpy(copy, text, bytes);
    copy[bytes] = '\0';
    return copy;
}

char *arena_printf(struct arena *arena, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = length < 0 ? NULL : arena_alloc(arena, (size_t)length + 1);
    if (text)
        vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    return text;
}
