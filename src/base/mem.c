#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

/* No object can be larger; asking for one is answered here, not by the allocator. */
#define LARGEST ((size_t)PTRDIFF_MAX)

void *mem_alloc(size_t bytes) {
    if (bytes > LARGEST)
        return NULL;
    return malloc(bytes ? bytes : 1);
}

void *mem_zalloc(size_t count, size_t bytes) {
    size_t total;
    if (__builtin_mul_overflow(count, bytes, &total) || total > LARGEST)
        return NULL;
    return calloc(1, total ? total : 1);
}

void *mem_realloc(void *old, size_t count, size_t bytes) {
    size_t total;
    if (__builtin_mul_overflow(count, bytes, &total) || total > LARGEST)
        return NULL;
    return realloc(old, total ? total : 1);
}

char *mem_strdup(const char *text) {
    return mem_dup(text, strlen(text));
}

void *mem_dup(const void *bytes, size_t size) {
    if (size >= LARGEST)
        return NULL;
    char *copy = mem_alloc(size + 1);
    if (!copy)
        return NULL;
    if (size > 0)
        memcpy(copy, bytes, size);
    copy[size] = '\0';
    return copy;
}

void mem_free(void *block) {
    free(block);
}

void mem_free_at_scope_end(void *address_of_pointer) {
    void *block;
    memcpy(&block, address_of_pointer, sizeof block);
    free(block);
}
