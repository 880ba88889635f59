/* One run: what came of it, and the documents `source_run`/NAME and `source_data`/NAME that tell so. */
#ifndef HF_RUN_RUN_RESULT_H
#define HF_RUN_RUN_RESULT_H

#include "base/buf.h"
#include "base/error.h"
#include "base/hash.h"

enum run_outcome { RUN_OK, RUN_NONE, RUN_ERROR, RUN_TIMEOUT, RUN_KILLED, RUN_INTERRUPTED };

enum { RUN_ERROR_BYTES = 2304, RUN_TYPE_BYTES = 128, RUN_DEPTH_MAX = 100 };

struct run_result {
    int64_t number, code_version;
    int64_t started_ms, ended_ms, duration_ms; /* wall clock; the duration by the monotonic one; 0: not known */
    enum run_outcome outcome;
    char error[RUN_ERROR_BYTES]; /* one line */
    struct buf traceback;
    int has_exit, exit_code, signal;
    int pid;
    struct buf output; /* the tail of what it printed, bytes as they came */
    /* outcome ok */
    char type[RUN_TYPE_BYTES];
    struct buf data;    /* JSON */
    struct buf columns; /* JSON, or empty */
    struct buf notes;   /* JSON, or empty */
    uint8_t data_hash[HASH_BYTES];
};

void run_result_init(struct run_result *result);
void run_result_fini(struct run_result *result);
void run_result_clear(struct run_result *result);
void run_result_set_error(struct run_result *result, enum run_outcome outcome, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
const char *run_outcome_name(enum run_outcome outcome);

/* From what a command wrote to stdout: nothing is none; one JSON value is "json"; a JSON value on every line is
 * "jsonl", an array; other UTF-8 is "text" without its last newline; the rest is "bytes", {"base64": "…"}. -1: memory
 * is used up. */
int run_result_from_output(struct run_result *result, const char *bytes, size_t size);

/* From a worker's line. BAD_JSON and INVALID: not a reply to this run; the worker cannot be trusted any more. */
int run_result_from_reply(struct run_result *result, const char *line, size_t size, struct hf_error *error);

/* The documents. buf.failed tells when memory was used up. */
void run_result_write_run(const struct run_result *result, const char *source, struct buf *out);
void run_result_write_data(const struct run_result *result, const char *source, struct buf *out);

#endif
