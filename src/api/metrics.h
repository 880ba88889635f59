/* What /metrics tells, in the text format of Prometheus, version 0.0.4: one table. */
#ifndef HF_API_METRICS_H
#define HF_API_METRICS_H

#include "api/census.h"
#include "api/health.h"

enum { METRICS_REPLY_CLASSES = 6 }; /* of status 0xx … 5xx; the first is never used */

/* Where the values come from. */
struct metrics_facts {
    struct health_report health;
    struct census census;
    uint64_t revision;
    uint64_t replies[METRICS_REPLY_CLASSES];
    int64_t started_ms;
    int64_t resident_bytes, open_files; /* -1: not known */
};

extern const char metrics_content_type[];
void metrics_write(const struct metrics_facts *facts, struct buf *out);
/* Of this process. */
void metrics_look_at_process(const struct os *os, struct metrics_facts *facts);

#endif
