/* The ledger: one record for each run, entered when it takes the lease and ended in the commit in which it loses it. */
#include <stdio.h>
#include <string.h>

#include "keep/state_field.h"
#include "keep/state_inside.h"
#include "store/store.h"

void state_run_init(struct state_run *run) {
    *run = (struct state_run){
        .outcome = "",
        .reason = "",
        .who = "",
        .host = "",
        .duration_ms = -1,
        .records = -1,
        .exit_code = -1,
        .signal = -1,
    };
    arena_init(&run->arena);
}

void state_run_fini(struct state_run *run) {
    arena_fini(&run->arena);
}

/* ---- writing ---- */

/* -1, what is not known, is null. */
static void put_known(struct json_writer *json, const char *key, int64_t value) {
    json_key(json, key);
    if (value < 0)
        json_null(json);
    else
        json_i64(json, value);
}

static void write_times(struct json_writer *json, const struct state_run *run) {
    json_put_time(json, "scheduled_at", run->scheduled_at_ms);
    json_put_time(json, "started_at", run->started_at_ms);
    json_put_time(json, "ended_at", run->ended_at_ms);
    put_known(json, "duration_ms", run->duration_ms);
}

static void write_run(struct json_writer *json, const char *name, const struct state_run *run) {
    char text[HF_ID_MAX + 1];
    snprintf(text, sizeof text, "%s@%llu", name, (unsigned long long)run->number);
    json_begin_object(json);
    json_put_string(json, "name", name);
    json_put_string(json, "run", text);
    json_put_i64(json, "number", (int64_t)run->number);
    json_put_i64(json, "fence", (int64_t)run->fence);
    json_put_string(json, "outcome", run->outcome);
    json_put_string(json, "reason", run->reason);
    json_put_string(json, "who", run->who);
    json_put_raw(json, "command", run->command_json ? run->command_json : "null",
                 strlen(run->command_json ? run->command_json : "null"));
    write_times(json, run);
    put_known(json, "exit_code", run->exit_code);
    put_known(json, "signal", run->signal);
    put_known(json, "records", run->records);
    json_put_i64(json, "saves", (int64_t)run->saves);
    json_put_i64(json, "version_before", (int64_t)run->version_before);
    json_put_i64(json, "version_after", (int64_t)run->version_after);
    json_put_i64(json, "pid", run->pid);
    json_put_string(json, "host", run->host);
    json_put_string(json, "output_tail", run->output_tail);
    json_end_object(json);
}

static int put(struct hf_batch *batch, const char *name, const struct state_run *run, enum hf_condition condition,
               struct hf_error *error) {
    const struct hf_change_options options = {.condition = condition};
    char id[HF_ID_MAX + 1];
    state_number_id(name, run->number, id);
    BUF_AUTO struct buf text;
    buf_init(&text);
    struct json_writer json;
    json_writer_init(&json, &text, 0);
    write_run(&json, name, run);
    if (text.failed)
        return error_no_memory(error);
    return hf_batch_put(batch, STATE_RUN_KIND, id, text.data, text.size, &options, error);
}

int state_run_put(struct hf_batch *batch, const char *name, const struct state_run *run, struct hf_error *error) {
    return put(batch, name, run, HF_ALWAYS, error);
}

/* ---- reading ---- */

static int take(const struct json_doc *doc, uint64_t number, struct state_run *run, struct hf_error *error) {
    struct state_fields fields = {.doc = doc, .object = 0, .arena = &run->arena};
    run->number = state_field_number(&fields, "number");
    run->fence = state_field_number(&fields, "fence");
    run->outcome = state_field_text(&fields, "outcome");
    run->reason = state_field_text(&fields, "reason");
    run->who = state_field_text(&fields, "who");
    run->host = state_field_text(&fields, "host");
    run->command_json = state_field_json(&fields, "command");
    const char *tail = state_field_text(&fields, "output_tail");
    run->output_tail = tail[0] ? tail : NULL;
    run->scheduled_at_ms = state_field_time(&fields, "scheduled_at");
    run->started_at_ms = state_field_time(&fields, "started_at");
    run->ended_at_ms = state_field_time(&fields, "ended_at");
    run->duration_ms = state_field_signed(&fields, "duration_ms", -1);
    run->exit_code = state_field_signed(&fields, "exit_code", -1);
    run->signal = state_field_signed(&fields, "signal", -1);
    run->records = state_field_signed(&fields, "records", -1);
    run->saves = state_field_number(&fields, "saves");
    run->version_before = state_field_number(&fields, "version_before");
    run->version_after = state_field_number(&fields, "version_after");
    run->pid = state_field_signed(&fields, "pid", 0);
    if (run->number != number && !fields.wrong)
        fields.wrong = "number";
    return state_field_end(&fields, error);
}

int state_run_parse(const char *json, size_t json_bytes, uint64_t number, struct state_run *run,
                    struct hf_error *error) {
    JSON_AUTO struct json_doc doc;
    json_init(&doc);
    int code = json_read(&doc, json, json_bytes, NULL, error);
    if (code == 0)
        code = take(&doc, number, run, error);
    return code == 0 || code == HF_ERR_NO_MEMORY ? code : error_set(error, HF_ERR_CORRUPT, "its record is not read");
}

int state_run_read(struct hf_store *store, const char *name, uint64_t number, struct state_run *ret_run,
                   struct hf_error *error) {
    char id[HF_ID_MAX + 1];
    state_number_id(name, number, id);
    struct hf_record *record = NULL;
    struct state_run run;
    state_run_init(&run);
    int code = hf_store_get(store, STATE_RUN_KIND, id, &record, error);
    if (code == 0)
        code = state_run_parse(record->json, record->json_bytes, number, &run, error);
    hf_record_free(&record);
    if (code == 0) {
        *ret_run = run;
        return 0;
    }
    state_run_fini(&run);
    return error_wrap(error, code, "read run %s@%llu", name, (unsigned long long)number);
}

/* ---- entering and ending ---- */

static int drop_oldest(struct hf_store *store, struct hf_batch *batch, const char *name, uint64_t number,
                       struct hf_error *error) {
    char id[HF_ID_MAX + 1];
    struct hf_record *record = NULL;
    state_number_id(name, number, id);
    int code = hf_store_get(store, STATE_RUN_KIND, id, &record, error);
    hf_record_free(&record);
    if (code == HF_ERR_NOT_FOUND)
        return 0;
    return code == 0 || code == HF_ERR_CORRUPT ? hf_batch_delete(batch, STATE_RUN_KIND, id, NULL, error) : code;
}

int state_run_enter(struct hf_store *store, struct state_head *head, struct hf_batch *batch, struct state_run *run,
                    struct hf_error *error) {
    run->number = ++head->last_run;
    int code = put(batch, head->name, run, HF_IF_ABSENT, error);
    uint64_t oldest = run->number > STATE_KEEP_RUNS ? run->number - STATE_KEEP_RUNS : 0;
    if (code == 0 && oldest > 0 && oldest != head->lease.fence) /* the run that lasts is still to be ended */
        code = drop_oldest(store, batch, head->name, oldest, error);
    return code;
}

/* What the lease knows of a run whose entry is lost. */
static void run_of_lease(const struct state_lease *lease, struct state_run *run) {
    state_run_init(run);
    run->number = run->fence = lease->fence;
    run->reason = lease->reason;
    run->who = lease->who;
    run->started_at_ms = lease->taken_at_ms;
    run->pid = lease->pid;
}

static void take_more(struct state_run *run, const struct state_run *more) {
    run->exit_code = more->exit_code;
    run->signal = more->signal;
    run->records = more->records;
    if (more->duration_ms >= 0)
        run->duration_ms = more->duration_ms;
    if (more->output_tail)
        run->output_tail = more->output_tail;
    if (more->reason[0])
        run->reason = more->reason;
}

int state_run_close(struct hf_store *store, struct state_head *head, struct hf_batch *batch, const char *outcome,
                    const struct state_run *more, struct hf_error *error) {
    struct state_run run;
    int code = state_run_read(store, head->name, head->lease.fence, &run, error);
    if (code == HF_ERR_NOT_FOUND || code == HF_ERR_CORRUPT)
        run_of_lease(&head->lease, &run);
    else if (code < 0)
        return code;
    run.outcome = outcome;
    run.ended_at_ms = os_wall_ms(store_os(store));
    run.duration_ms = run.ended_at_ms > run.started_at_ms ? run.ended_at_ms - run.started_at_ms : 0;
    run.version_after = head->newest.version;
    run.saves = head->lease.saves;
    if (more)
        take_more(&run, more);
    code = state_run_put(batch, head->name, &run, error);
    state_run_fini(&run);
    head->lease = (struct state_lease){.run = "", .boot_id = "", .who = "", .reason = ""};
    return code;
}
