/* store copy: from one store to another, of any kinds, in this process. */
#include <string.h>

#include "base/text.h"
#include "cmd/talk.h"
#include "run/source.h"

struct copier {
    const struct command_invocation *invocation;
    struct hf_store *from, *to;
    struct hf_error *error;
    struct hf_copy_result result;
    uint64_t differing;
};

/* ---- what would be done ---- */

static int compare_record(void *arg, const struct hf_record *record, int code) {
    struct copier *copier = arg;
    struct hf_record *there = NULL;
    struct hf_error error = {0};
    if (code != 0) {
        copier->result.damaged++;
        return 0;
    }
    copier->result.records++;
    progress_step(&copier->invocation->talk->progress, copier->result.records, 0);
    code = hf_store_get(copier->to, record->kind, record->id, &there, &error);
    if (code == 0 && memcmp(there->hash, record->hash, HF_HASH_BYTES) == 0)
        copier->result.same++;
    else if (code == 0)
        copier->differing++;
    hf_record_free(&there);
    if (code != 0 && code != HF_ERR_NOT_FOUND)
        error_copy(copier->error, &error);
    return code == HF_ERR_NOT_FOUND ? 0 : code;
}

static int rehearse(struct copier *copier) {
    struct hf_error scanned = {0};
    int code = hf_store_scan(copier->from, NULL, NULL, 0, compare_record, copier, &scanned);
    if (scanned.code != 0)
        error_copy(copier->error, &scanned);
    copier->result.written = copier->result.records - copier->result.same;
    return code;
}

/* ---- doing it ---- */

static int copy(struct copier *copier) {
    const struct command_invocation *invocation = copier->invocation;
    struct hf_copy_options options = {.struct_bytes = sizeof options,
                                      .with_history = command_has(invocation, "history"),
                                      .overwrite = command_has(invocation, "overwrite"),
                                      .salvage = command_has(invocation, "salvage"),
                                      .progress = progress_step,
                                      .progress_arg = &invocation->talk->progress,
                                      .found = talk_finding,
                                      .found_arg = invocation->talk};
    return hf_store_copy(copier->from, copier->to, &options, &copier->result, copier->error);
}

static void show_result(const struct copier *copier, int is_rehearsal) {
    const struct hf_copy_result *result = &copier->result;
    struct command_reply reply = {.status = 200};
    struct json_writer json;
    buf_init(&reply.body);
    json_writer_init(&json, &reply.body, 0);
    json_begin_object(&json);
    json_put_i64(&json, "records", (int64_t)result->records);
    json_put_i64(&json, "written", (int64_t)result->written);
    json_put_i64(&json, "same", (int64_t)result->same);
    json_put_i64(&json, "damaged", (int64_t)result->damaged);
    if (is_rehearsal) {
        json_put_i64(&json, "differing", (int64_t)copier->differing);
        json_put_bool(&json, "dry_run", 1);
    } else {
        json_put_i64(&json, "verified", (int64_t)result->verified);
    }
    json_end_object(&json);
    command_render(copier->invocation, &reply);
    buf_fini(&reply.body);
}

static int open_from(struct copier *copier) {
    const struct command_invocation *invocation = copier->invocation;
    return command_open_store(invocation, command_value_of(invocation, "from"), ACCESS_READ, &copier->from,
                              copier->error);
}

static int open_to(struct copier *copier, enum command_access access) {
    const struct command_invocation *invocation = copier->invocation;
    return command_open_store(invocation, command_value_of(invocation, "to"), access, &copier->to, copier->error);
}

/* The lock is a folder's: of two database files in one folder the one that is written has to come first, and the other
 * is then read beside it. */
static int open_both(struct copier *copier, int is_rehearsal) {
    const char *from = command_value_of(copier->invocation, "from");
    enum command_access access = is_rehearsal ? ACCESS_REHEARSE : ACCESS_WRITE;
    if (command_is_same_place(from, command_value_of(copier->invocation, "to")))
        return error_set(copier->error, HF_ERR_INVALID, "copy '%s': it is to go to another store", from);
    int code = open_from(copier);
    if (code == 0)
        code = open_to(copier, access);
    if (code == HF_ERR_LOCKED && copier->from) {
        error_clear(copier->error);
        hf_store_close(&copier->from);
        code = open_to(copier, access);
        if (code == 0)
            code = open_from(copier);
    }
    return code == 0 ? source_declare_kinds(copier->to, copier->error) : code;
}

int command_copy(const struct command_invocation *invocation, struct hf_error *error) {
    struct copier copier = {.invocation = invocation, .error = error};
    struct progress *progress = &invocation->talk->progress;
    int is_rehearsal = command_has(invocation, "dry-run");
    int code = open_both(&copier, is_rehearsal);
    progress_begin(progress, is_rehearsal ? "comparing" : "copying", "records", invocation->globals.quiet);
    if (code == 0)
        code = is_rehearsal ? rehearse(&copier) : copy(&copier);
    progress_clear(progress);
    if (code == 0)
        show_result(&copier, is_rehearsal);
    hf_store_close(&copier.to);
    hf_store_close(&copier.from);
    return code == 0 && copier.result.damaged ? 1 : code;
}
