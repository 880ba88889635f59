#include "run/source_state.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "base/utf8.h"

struct number_field {
    const char *name;
    size_t offset;
};

#define NUMBER(member)                                                                                                 \
    { #member, offsetof(struct source_state, member) }

static const struct number_field NUMBERS[] = {
    NUMBER(run_count),    NUMBER(error_count),      NUMBER(consecutive_errors), NUMBER(skipped_count),
    NUMBER(restarts),     NUMBER(crashes),          NUMBER(dropped_bytes),      NUMBER(merged_runs),
    NUMBER(dropped_runs), NUMBER(run_request_done), NUMBER(open_run),
};
static const struct number_field TIMES[] = {
    NUMBER(open_run_at),  NUMBER(started_at),    NUMBER(last_run_at),
    NUMBER(last_data_at), NUMBER(last_error_at), NUMBER(retry_at),
};
enum { NUMBER_COUNT = sizeof NUMBERS / sizeof NUMBERS[0], TIME_COUNT = sizeof TIMES / sizeof TIMES[0] };

void source_state_init(struct source_state *state) {
    *state = (struct source_state){.status = STATUS_STOPPED};
}

int source_state_has_child(const struct source_state *state) {
    return state->child.nonce[0] != '\0';
}

static int64_t number_of(const struct source_state *state, const struct number_field *field) {
    return *(const int64_t *)(const void *)((const char *)state + field->offset);
}

static void write_child(const struct process_identity *child, struct json_writer *writer) {
    json_begin_object(writer);
    json_put_string(writer, "boot_id", child->boot_id);
    json_put_i64(writer, "pid", child->pid);
    json_key(writer, "start_ticks");
    json_u64(writer, child->start_ticks);
    json_key(writer, "pidfd_inode");
    json_u64(writer, child->pidfd_inode);
    json_put_string(writer, "nonce", child->nonce);
    json_end_object(writer);
}

static void write_restore(const struct source_state *state, struct json_writer *writer) {
    json_begin_object(writer);
    json_put_string(writer, "result", state->restore_result);
    json_put_string(writer, "reason", state->restore_reason[0] ? state->restore_reason : NULL);
    json_put_time(writer, "at", state->restore_at);
    json_end_object(writer);
}

void source_state_write(const struct source_state *state, struct json_writer *writer) {
    json_put_string(writer, "status", state_name(state->status));
    json_key(writer, "pid");
    if (state->child.pid > 0)
        json_i64(writer, state->child.pid);
    else
        json_null(writer);
    json_key(writer, "child");
    if (source_state_has_child(state))
        write_child(&state->child, writer);
    else
        json_null(writer);
    for (size_t i = 0; i < NUMBER_COUNT; i++)
        json_put_i64(writer, NUMBERS[i].name, number_of(state, &NUMBERS[i]));
    json_put_string(writer, "last_error", state->last_error[0] ? state->last_error : NULL);
    for (size_t i = 0; i < TIME_COUNT; i++)
        json_put_time(writer, TIMES[i].name, number_of(state, &TIMES[i]));
    json_key(writer, "restore");
    if (state->restore_result[0])
        write_restore(state, writer);
    else
        json_null(writer);
}

static int64_t time_of(const struct json_doc *doc, uint32_t object, const char *key, struct arena *arena) {
    const char *text = json_member_text(doc, object, key, arena);
    int64_t ms;
    return text && text_to_time(text, &ms) == 0 ? ms : 0;
}

static void copy_text(char *to, size_t room, const char *text) {
    snprintf(to, room, "%s", text ? text : "");
}

static uint64_t member_u64(const struct json_doc *doc, uint32_t object, const char *key) {
    size_t bytes;
    uint64_t value;
    char text[24];
    uint32_t node = json_member(doc, object, key);
    const char *span = node == JSON_NONE ? NULL : json_span(doc, node, &bytes);
    if (!span || bytes >= sizeof text)
        return 0;
    snprintf(text, sizeof text, "%.*s", (int)bytes, span);
    return text_to_u64(text, &value) == 0 ? value : 0;
}

static void read_child(const struct json_doc *doc, struct arena *arena, struct process_identity *child) {
    uint32_t object = json_member(doc, 0, "child");
    if (json_type_of(doc, object) != JSON_OBJECT)
        return;
    copy_text(child->boot_id, sizeof child->boot_id, json_member_text(doc, object, "boot_id", arena));
    copy_text(child->nonce, sizeof child->nonce, json_member_text(doc, object, "nonce", arena));
    child->pid = (pid_t)json_member_i64(doc, object, "pid", 0);
    child->start_ticks = member_u64(doc, object, "start_ticks");
    child->pidfd_inode = member_u64(doc, object, "pidfd_inode");
}

static void read_members(const struct json_doc *doc, struct arena *arena, struct source_state *state) {
    read_child(doc, arena, &state->child);
    for (size_t i = 0; i < NUMBER_COUNT; i++)
        *(int64_t *)(void *)((char *)state + NUMBERS[i].offset) = json_member_i64(doc, 0, NUMBERS[i].name, 0);
    for (size_t i = 0; i < TIME_COUNT; i++)
        *(int64_t *)(void *)((char *)state + TIMES[i].offset) = time_of(doc, 0, TIMES[i].name, arena);
    copy_text(state->last_error, sizeof state->last_error, json_member_text(doc, 0, "last_error", arena));
    uint32_t restore = json_member(doc, 0, "restore");
    if (json_type_of(doc, restore) != JSON_OBJECT)
        return;
    copy_text(state->restore_result, sizeof state->restore_result, json_member_text(doc, restore, "result", arena));
    copy_text(state->restore_reason, sizeof state->restore_reason, json_member_text(doc, restore, "reason", arena));
    state->restore_at = time_of(doc, restore, "at", arena);
}

int source_state_read(const char *name, const char *json, size_t bytes, struct source_state *ret_state,
                      struct hf_error *error) {
    JSON_AUTO struct json_doc doc;
    json_init(&doc);
    struct arena arena;
    arena_init(&arena);
    struct source_state state;
    source_state_init(&state);
    int code = json_read(&doc, json, bytes, NULL, error);
    if (code == 0 && state_from_name(json_member_text(&doc, 0, "status", &arena), &state.status) < 0)
        code = error_set(error, HF_ERR_CORRUPT, "field 'status' is not known");
    if (code == 0)
        read_members(&doc, &arena, &state);
    arena_fini(&arena);
    if (code < 0) {
        if (error && code != HF_ERR_NO_MEMORY)
            error->code = HF_ERR_CORRUPT;
        return error_wrap(error, code == HF_ERR_NO_MEMORY ? code : HF_ERR_CORRUPT, "read state of source '%s'", name);
    }
    *ret_state = state;
    return 0;
}

/* Cut between characters when it is too long. */
void source_state_set_error(struct source_state *state, const char *text, int64_t at_ms) {
    const char *end = text + strlen(text);
    size_t size = 0;
    while (text + size < end) {
        size_t length = utf8_length(text + size, end);
        if (size + (length ? length : 1) >= sizeof state->last_error)
            break;
        size += length ? length : 1;
    }
    memcpy(state->last_error, text, size);
    state->last_error[size] = '\0';
    state->last_error_at = at_ms;
}
