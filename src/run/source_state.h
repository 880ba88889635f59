/* How a source is: the document `source_state`/NAME. Only the supervisor writes it once the source exists. */
#ifndef HF_RUN_SOURCE_STATE_H
#define HF_RUN_SOURCE_STATE_H

#include "base/json.h"
#include "os/process.h"
#include "run/states.h"

enum { STATE_ERROR_BYTES = 2304, STATE_REASON_BYTES = 512 };

struct source_state {
    enum source_status status;
    struct process_identity child; /* nonce "": none; pid 0: about to be made */
    int64_t run_count, error_count, consecutive_errors, skipped_count, restarts, crashes;
    int64_t dropped_bytes;    /* of output beyond its limit */
    int64_t merged_runs;      /* results that gave way to newer ones within the save interval */
    int64_t dropped_runs;     /* results that the store refused until newer ones came */
    int64_t run_request_done; /* the run_request that was served last */
    int64_t open_run;         /* a run that began and is not recorded; 0: none */
    int64_t open_run_at, started_at, last_run_at, last_data_at, last_error_at, retry_at;
    char last_error[STATE_ERROR_BYTES];
    char restore_result[16]; /* "", restored, skipped, failed */
    char restore_reason[STATE_REASON_BYTES];
    int64_t restore_at;
};

void source_state_init(struct source_state *state);
void source_state_write(const struct source_state *state, struct json_writer *writer); /* members, without name */
int source_state_read(const char *name, const char *json, size_t bytes, struct source_state *ret_state,
                      struct hf_error *error);

void source_state_set_error(struct source_state *state, const char *text, int64_t at_ms);
int source_state_has_child(const struct source_state *state);

#endif
