/* state set, merge, commit and end; begin and rollback: what the table alone cannot put into a body. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cmd/lines.h"
#include "cmd/state_value.h"
#include "cmd/talk.h"

struct saving {
    const struct command_invocation *invocation;
    struct command_way *way;
    struct command_request request;
    struct state_before before;
    struct hf_error *error;
};

static int is_verb(const struct saving *saving, const char *verb) {
    return strcmp(saving->invocation->verb, verb) == 0;
}

/* ---- what is saved ---- */

static int count_given(const struct command_invocation *invocation, const char *const *names) {
    int count = 0;
    for (; *names; names++)
        count += command_has(invocation, *names);
    return count;
}

static int check_given(const struct saving *saving) {
    static const char *const of_value[] = {"file", "value", "base64", NULL};
    static const char *const of_patch[] = {"file", "patch", NULL};
    static const char *const of_records[] = {"with-records", "records", NULL};
    int is_merge = is_verb(saving, "merge");
    int count = count_given(saving->invocation, is_merge ? of_patch : of_value);
    int is_needed = is_merge || is_verb(saving, "set");
    if (count > 1 || count_given(saving->invocation, of_records) > 1)
        return error_set(saving->error, HF_ERR_INVALID, "read the command line: the same thing is given in two ways");
    if (count == 0 && is_needed) {
        error_set(saving->error, HF_ERR_INVALID, "read the command line: the file is missing");
        return error_hint(saving->error, "for example: %s", saving->invocation->operation->example);
    }
    return 0;
}

static int add_patch(struct saving *saving, const struct buf *bytes) {
    static const struct json_limits limits = {.max_depth = JSON_DEPTH_MAX};
    JSON_AUTO struct json_doc doc;
    json_init(&doc);
    int code = json_read(&doc, buf_text(bytes), bytes->size, &limits, saving->error);
    if (code == 0)
        state_body_add(&saving->request.body, "patch", bytes->data, bytes->size);
    return code;
}

static int add_value(struct saving *saving, const struct buf *bytes) {
    int is_forced = command_has(saving->invocation, "force");
    int code = is_forced ? 0 : state_before_check(&saving->before, bytes, saving->error);
    if (code == 0)
        state_body_add_bytes(&saving->request.body, bytes);
    else
        error_hint(saving->error, is_verb(saving, "end") ? "nothing was saved, and the run goes on"
                                                         : "nothing was saved; --force saves it all the same");
    return code;
}

static int add_file(struct saving *saving) {
    const char *path = command_value_of(saving->invocation, "file");
    BUF_AUTO struct buf bytes;
    buf_init(&bytes);
    if (!path)
        return 0;
    int code = command_read_input(path, HF_STATE_BYTES_MAX, &bytes, saving->error);
    if (code != 0)
        return code;
    code = is_verb(saving, "merge") ? add_patch(saving, &bytes) : add_value(saving, &bytes);
    return code == 0 ? 0
                     : error_wrap(saving->error, code, "save '%s' as the state '%s'", path,
                                  command_value_of(saving->invocation, "name"));
}

static int add_line(struct buf *body, const struct lines *lines, const char *line, size_t bytes,
                    struct hf_error *error) {
    static const struct json_limits limits = {.max_depth = JSON_DEPTH_MAX};
    JSON_AUTO struct json_doc doc;
    json_init(&doc);
    int code = json_read(&doc, line, bytes, &limits, error);
    if (code != 0)
        return error_wrap(error, code, "read '%s', line %llu", lines->path, (unsigned long long)lines->number);
    if (body->size > 1)
        buf_add_char(body, ',');
    buf_add(body, line, bytes);
    return 0;
}

/* JSON lines become an array; they go with the state in one request. */
static int add_records(struct saving *saving) {
    const char *path = command_value_of(saving->invocation, "with-records");
    BUF_AUTO struct buf records;
    struct lines lines;
    const char *line;
    size_t bytes;
    buf_init(&records);
    if (!path)
        return 0;
    int code = lines_open(path, &lines, saving->error);
    if (code != 0)
        return code;
    buf_add_char(&records, '[');
    int got = 0;
    while (code == 0 && (got = lines_next(&lines, &line, &bytes, saving->error)) == 1) {
        if (bytes > 0)
            code = add_line(&records, &lines, line, bytes, saving->error);
    }
    lines_close(&lines);
    buf_add_char(&records, ']');
    if (code != 0 || got < 0)
        return code != 0 ? code : got;
    if (records.failed)
        return error_set(saving->error, HF_ERR_NO_MEMORY, "read '%s'", path);
    state_body_add(&saving->request.body, "records", records.data, records.size);
    return 0;
}

/* ---- what it is based on ---- */

enum basis { BASIS_GIVEN, BASIS_NOTHING_YET, BASIS_OWN_RUN, BASIS_NEWEST };

/* Within `holdfast run NAME` it is the run's own fence; otherwise the newest version of right now, so that nobody has
 * to name it. A run that lives refuses that. */
static enum basis find_basis(const struct saving *saving, uint64_t *ret_fence) {
    static const char *const ways[] = {"fence", "if-version", "force", "if-match", "if-none-match", NULL};
    const struct command_invocation *invocation = saving->invocation;
    const char *fence = getenv("HOLDFAST_FENCE");
    if (command_has(invocation, "new"))
        return BASIS_NOTHING_YET;
    if (count_given(invocation, ways) > 0)
        return BASIS_GIVEN;
    int is_own = text_is_equal(getenv("HOLDFAST_STATE"), command_value_of(invocation, "name"));
    return is_own && fence && text_to_u64(fence, ret_fence) == 0 ? BASIS_OWN_RUN : BASIS_NEWEST;
}

static int add_members(struct saving *saving, enum basis basis, uint64_t fence) {
    struct buf *body = &saving->request.body;
    state_body_open(&saving->request);
    int code = add_file(saving);
    if (code == 0)
        code = add_records(saving);
    if (code != 0)
        return code;
    if (basis == BASIS_OWN_RUN)
        state_body_add_number(body, "fence", fence);
    else if (basis != BASIS_GIVEN)
        state_body_add_number(body, "if_version", basis == BASIS_NEWEST ? saving->before.version : 0);
    return state_body_close(body, saving->error);
}

static int save(struct saving *saving) {
    const struct command_invocation *invocation = saving->invocation;
    struct command_reply reply = {0};
    uint64_t fence = 0;
    enum basis basis = find_basis(saving, &fence);
    int checks_file = command_has(invocation, "file") && !is_verb(saving, "merge") && !command_has(invocation, "force");
    int code = 0;
    if (checks_file || basis == BASIS_NEWEST)
        code = state_before_get(saving->way, command_value_of(invocation, "name"), &saving->before, saving->error);
    if (code == 0)
        code = add_members(saving, basis, fence);
    if (code == 0)
        code = command_call(saving->way, &saving->request, &reply, saving->error);
    if (code == 0)
        command_render(invocation, &reply);
    buf_fini(&reply.body);
    return code;
}

int command_state_save(const struct command_invocation *invocation, struct hf_error *error) {
    struct command_way way = {.fd = -1};
    struct saving saving = {.invocation = invocation, .way = &way, .error = error};
    int code = check_given(&saving);
    if (code != 0)
        return code;
    state_before_init(&saving.before);
    code = command_build_body(invocation, &saving.request, error);
    if (code == 0)
        code = command_way_open(invocation, &way, error);
    if (code == 0)
        code = save(&saving);
    command_way_close(&way);
    buf_fini(&saving.request.body);
    state_before_fini(&saving.before);
    return code;
}

/* ---- rollback, begin ---- */

int command_state_rollback(const struct command_invocation *invocation, struct hf_error *error) {
    const char *to = command_value_of(invocation, "to");
    struct command_request request = {0};
    uint64_t version = 0;
    if (to && text_to_u64(to, &version) != 0)
        return error_set(error, HF_ERR_INVALID, "read '--to %s': a whole number is needed", to);
    int code = command_build_body(invocation, &request, error);
    if (code == 0 && to) {
        state_body_open(&request);
        state_body_add_number(&request.body, "to_version", version);
        code = state_body_close(&request.body, error);
    }
    if (code == 0 && command_has(invocation, "dry-run")) {
        code = state_ask_and_show(invocation, &request, 0, error);
        if (code == 0)
            talk_say(invocation, "a rehearsal: nothing was changed");
    } else if (code == 0) {
        code = command_carry_out(invocation, &request, error);
    }
    buf_fini(&request.body);
    return code;
}

int command_state_begin(const struct command_invocation *invocation, struct hf_error *error) {
    struct command_request request = {0};
    if (!command_has(invocation, "pid") && !command_has(invocation, "ttl")) {
        error_set(error, HF_ERR_INVALID, "read the command line: nobody is named who is to own the lease");
        return error_hint(error, "--pid $$ in a shell script, or --ttl 10m; or use holdfast run");
    }
    int code = command_build_body(invocation, &request, error);
    if (code == 0 && !command_has(invocation, "pid")) { /* this process, which ends at once, is not to own it */
        state_body_open(&request);
        state_body_add_number(&request.body, "pid", 0);
        code = state_body_close(&request.body, error);
    }
    if (code == 0)
        code = command_carry_out(invocation, &request, error);
    buf_fini(&request.body);
    return code;
}
