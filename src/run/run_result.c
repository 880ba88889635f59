#include "run/run_result.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"

static const char *const OUTCOME_NAMES[] = {
    [RUN_OK] = "ok",           [RUN_NONE] = "none",     [RUN_ERROR] = "error",
    [RUN_TIMEOUT] = "timeout", [RUN_KILLED] = "killed", [RUN_INTERRUPTED] = "interrupted",
};

const char *run_outcome_name(enum run_outcome outcome) {
    return OUTCOME_NAMES[outcome];
}

void run_result_init(struct run_result *result) {
    *result = (struct run_result){.number = 0};
}

void run_result_fini(struct run_result *result) {
    buf_fini(&result->traceback);
    buf_fini(&result->output);
    buf_fini(&result->data);
    buf_fini(&result->columns);
    buf_fini(&result->notes);
}

void run_result_clear(struct run_result *result) {
    run_result_fini(result);
    run_result_init(result);
}

void run_result_set_error(struct run_result *result, enum run_outcome outcome, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(result->error, sizeof result->error, format, args);
    va_end(args);
    result->outcome = outcome;
    buf_clear(&result->data);
}

static void put_number(struct json_writer *writer, const char *key, int is_known, int64_t value) {
    json_key(writer, key);
    if (is_known)
        json_i64(writer, value);
    else
        json_null(writer);
}

static void put_bytes(struct json_writer *writer, const char *key, const struct buf *bytes) {
    json_key(writer, key);
    json_string_bytes(writer, buf_text(bytes), bytes->size);
}

static void put_hash(struct json_writer *writer, const char *key, const uint8_t hash[HASH_BYTES]) {
    char hex[2 * HASH_BYTES + 1];
    text_hex(hash, HASH_BYTES, hex);
    json_put_string(writer, key, hex);
}

void run_result_write_run(const struct run_result *result, const char *source, struct buf *out) {
    struct json_writer writer;
    json_writer_init(&writer, out, 0);
    json_begin_object(&writer);
    json_put_string(&writer, "name", source);
    json_put_i64(&writer, "run", result->number);
    json_put_time(&writer, "started_at", result->started_ms);
    json_put_time(&writer, "ended_at", result->ended_ms);
    put_number(&writer, "duration_ms", result->outcome != RUN_INTERRUPTED, result->duration_ms);
    json_put_string(&writer, "outcome", run_outcome_name(result->outcome));
    json_put_string(&writer, "error", result->error[0] ? result->error : NULL);
    if (result->traceback.size > 0)
        put_bytes(&writer, "traceback", &result->traceback);
    json_put_i64(&writer, "code_version", result->code_version);
    put_number(&writer, "exit_code", result->has_exit && result->signal == 0, result->exit_code);
    put_number(&writer, "signal", result->has_exit && result->signal != 0, result->signal);
    put_number(&writer, "pid", result->pid > 0, result->pid);
    put_bytes(&writer, "output_tail", &result->output);
    if (result->notes.size > 0)
        json_put_raw(&writer, "notes", result->notes.data, result->notes.size);
    if (result->outcome == RUN_OK) {
        put_hash(&writer, "data_hash", result->data_hash);
        json_put_i64(&writer, "data_bytes", (int64_t)result->data.size);
    }
    json_end_object(&writer);
}

void run_result_write_data(const struct run_result *result, const char *source, struct buf *out) {
    struct json_writer writer;
    json_writer_init(&writer, out, 0);
    json_begin_object(&writer);
    json_put_string(&writer, "name", source);
    json_put_i64(&writer, "run", result->number);
    json_put_time(&writer, "at", result->ended_ms);
    json_put_string(&writer, "type", result->type);
    json_put_i64(&writer, "size", (int64_t)result->data.size);
    put_hash(&writer, "hash", result->data_hash);
    json_put_i64(&writer, "code_version", result->code_version);
    if (result->columns.size > 0)
        json_put_raw(&writer, "columns", result->columns.data, result->columns.size);
    json_put_raw(&writer, "data", result->data.data, result->data.size);
    json_end_object(&writer);
}
