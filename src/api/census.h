/* How many sources are in which status, how many states there are, and how many of them a run holds. */
#ifndef HF_API_CENSUS_H
#define HF_API_CENSUS_H

#include "holdfast.h"

enum { CENSUS_STATUSES = 7 };
extern const char *const census_statuses[CENSUS_STATUSES + 1]; /* ends with NULL */

struct census {
    uint64_t total;
    uint64_t by_status[CENSUS_STATUSES];
    uint64_t states;
    uint64_t leases; /* as they are written down: whether the owners live is not looked at */
};
int census_take(struct hf_store *store, struct census *ret_census, struct hf_error *error);

#endif
