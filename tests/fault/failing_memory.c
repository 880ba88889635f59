#include "fault/failing_memory.h"

#include <sqlite3.h>
#include <stddef.h>

static uint64_t allocations, fail_at; /* fail_at 0: never */
static int fails_for_ever;

static int fails_now(void) {
    allocations++;
    return fail_at && (allocations == fail_at || (fails_for_ever && allocations > fail_at));
}

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);

void *__wrap_malloc(size_t bytes) {
    return fails_now() ? NULL : __real_malloc(bytes);
}

void *__wrap_calloc(size_t count, size_t bytes) {
    return fails_now() ? NULL : __real_calloc(count, bytes);
}

void *__wrap_realloc(void *old, size_t bytes) {
    return fails_now() ? NULL : __real_realloc(old, bytes);
}

static sqlite3_mem_methods sqlite_memory; /* SQLite's own */

static void *sqlite_malloc(int bytes) {
    return fails_now() ? NULL : sqlite_memory.xMalloc(bytes);
}

static void *sqlite_realloc(void *old, int bytes) {
    return fails_now() ? NULL : sqlite_memory.xRealloc(old, bytes);
}

void failing_memory_take_sqlite(void) {
    sqlite3_config(SQLITE_CONFIG_GETMALLOC, &sqlite_memory);
    sqlite3_mem_methods counted = sqlite_memory;
    counted.xMalloc = sqlite_malloc;
    counted.xRealloc = sqlite_realloc;
    sqlite3_config(SQLITE_CONFIG_MALLOC, &counted);
}

void failing_memory_set(uint64_t at, int for_ever) {
    allocations = 0;
    fail_at = at;
    fails_for_ever = for_ever;
}

void failing_memory_heal(void) {
    fail_at = 0;
}

int failing_memory_is_set(void) {
    return fail_at != 0;
}

uint64_t failing_memory_count(void) {
    return allocations;
}
