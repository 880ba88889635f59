/* Allocations that fail when they are told to, in programs that are linked with --wrap for malloc, calloc and realloc.
 */
#ifndef HF_FAULT_FAILING_MEMORY_H
#define HF_FAULT_FAILING_MEMORY_H

#include <stdint.h>

/* From now on allocations are counted, and the fail_at-th fails, and those behind it too if for_ever. 0: none. */
void failing_memory_set(uint64_t fail_at, int for_ever);
/* None fails any more; counting goes on. */
void failing_memory_heal(void);
int failing_memory_is_set(void);
uint64_t failing_memory_count(void);

/* SQLite's own allocations count too; before its first use. */
void failing_memory_take_sqlite(void);

#endif
