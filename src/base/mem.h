/* Memory: allocation that can be made to fail, and arenas. */
#ifndef HF_BASE_MEM_H
#define HF_BASE_MEM_H

#include <stddef.h>
#include <stdint.h>

/* malloc, calloc and realloc by their own names are used only in mem.c. All return NULL when memory is used up; sizes
 * that overflow count as that. mem_alloc(0) gives a unique pointer. */
void *mem_alloc(size_t bytes);
void *mem_zalloc(size_t count, size_t bytes);
void *mem_realloc(void *old, size_t count, size_t bytes);
char *mem_strdup(const char *text);
void *mem_dup(const void *bytes, size_t size); /* NUL-terminated copy */
void mem_free(void *block);

#define MEM_NEW(type) ((type *)mem_zalloc(1, sizeof(type)))

/* Frees a local when it goes out of scope: `MEM_AUTO char *text = …`. */
void mem_free_at_scope_end(void *address_of_pointer);
#define MEM_AUTO __attribute__((cleanup(mem_free_at_scope_end)))

/* An arena gives memory that is freed at once. Not thread-safe. */
struct arena_block;
struct arena {
    struct arena_block *blocks;
    size_t used, room; /* in the newest block */
};
void arena_init(struct arena *arena);
void arena_fini(struct arena *arena);
void arena_reset(struct arena *arena);                /* keeps one block */
void *arena_alloc(struct arena *arena, size_t bytes); /* 16-byte aligned, not zeroed; NULL when memory is used up */
void *arena_zalloc(struct arena *arena, size_t count, size_t bytes);
char *arena_strdup(struct arena *arena, const char *text);
char *arena_strndup(struct arena *arena, const char *text, size_t bytes); /* copies bytes and adds a NUL */
char *arena_printf(struct arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
