/* How the daemon is, by the rules of hf_saver_health, for which a commit has no interval to wait for, and by some more.
 * The first that holds:
 *
 *  - CRITICAL: the store stopped; the auditor found its structure damaged; a saver is critical; a commit waits for more
 *    than five minutes; every commit has failed for more than five minutes, and one was tried within the last five
 *  - WARNING: a saver warns; a commit waits for more than 30 s; the last commit failed; over 1 % of all commits failed,
 *    and one of them within the last five minutes; a part of the store could not be audited; the auditor found
 *    something and could do nothing about it
 *  - HEALTHY: otherwise. Having nothing to commit is healthy, however long it lasts */
#ifndef HF_API_HEALTH_H
#define HF_API_HEALTH_H

#include "api/operation.h"
#include "store/auditor.h"
#include "store/stats.h"

struct health_report {
    enum hf_health_status status;
    char message[160]; /* for everybody: names no file, no document */
    /* what it rests on */
    struct hf_error stopped; /* code 0: the store works */
    struct store_stats store;
    struct hf_health saving; /* of all savers; HF_HEALTHY when there is none */
    int has_auditor;
    struct auditor_stats audit;
};

/* Fills status and message from the rest. */
void health_judge(struct health_report *report);
void health_look(const struct api_context *context, struct health_report *ret_report);
const char *health_word(enum hf_health_status status); /* "HEALTHY", "WARNING", "CRITICAL" */
/* The member "health" of the status. */
void health_write(const struct health_report *report, struct json_writer *json);

#endif
