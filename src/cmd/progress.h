/* How far something is, for a person who waits: one line on standard error, only on a terminal and only when it lasts.
 */
#ifndef HF_CMD_PROGRESS_H
#define HF_CMD_PROGRESS_H

#include <stdint.h>

struct progress {
    const char *what, *unit; /* "copying", "records" */
    int64_t began_ms, shown_ms;
    int is_on, is_shown;
};
void progress_begin(struct progress *progress, const char *what, const char *unit, int is_quiet);
/* An hf_progress. total 0: not known. */
int progress_step(void *progress, uint64_t done, uint64_t total);
/* Takes the line away: before anything else is printed, and at the end. */
void progress_clear(struct progress *progress);

#endif
