/* What a child printed: the newest bytes of it, and a count of those that were dropped. Memory is bounded by the limit.
 */
#ifndef HF_RUN_OUTPUT_H
#define HF_RUN_OUTPUT_H

#include "base/buf.h"

struct output {
    char *ring;
    size_t room; /* of the ring; grows up to limit */
    size_t limit;
    uint64_t total; /* bytes that were ever added since the last clear */
};

void output_init(struct output *output, size_t limit);
void output_fini(struct output *output);
void output_clear(struct output *output); /* keeps the memory */
void output_add(struct output *output, const char *bytes, size_t size);
uint64_t output_dropped(const struct output *output);

/* Appends the tail, with "[N bytes dropped]" on a line in front when there were more. Bytes as they came. */
void output_tail(const struct output *output, struct buf *out);

#endif
