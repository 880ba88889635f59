/* Results of runs that are not in the store yet, by source: the supervisor's thread keeps it, every thread may ask. */
#ifndef HF_RUN_UNSAVED_H
#define HF_RUN_UNSAVED_H

#include <stddef.h>
#include <stdint.h>

struct unsaved;
struct unsaved_runs {
    int64_t runs;
    int64_t since_ms; /* wall clock: the end of the first of them; 0 when there is none */
};

struct unsaved *unsaved_new(void); /* NULL when memory is used up */
void unsaved_free(struct unsaved **unsaved);
/* runs 0: all is saved. -1 when memory is used up. */
int unsaved_set(struct unsaved *unsaved, const char *name, const struct unsaved_runs *runs);
void unsaved_get(struct unsaved *unsaved, const char *name,
                 struct unsaved_runs *ret_runs); /* zeros when there is none */
/* Of all sources; *ret_sources: how many have any. */
void unsaved_total(struct unsaved *unsaved, struct unsaved_runs *ret_runs, uint64_t *ret_sources);

#endif
