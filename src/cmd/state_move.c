/* state export and import: in the formats of other programs too. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "cmd/output.h"
#include "cmd/state_value.h"
#include "cmd/talk.h"
#include "data/pickle.h"

enum state_format { FORMAT_NONE, FORMAT_HOLDFAST, FORMAT_RAW, FORMAT_MELTANO, FORMAT_N6 };

static const struct json_limits deep = {.max_depth = JSON_DEPTH_MAX};

static int read_format(const struct command_invocation *invocation, enum state_format *ret_format,
                       struct hf_error *error) {
    static const char *const names[] = {"holdfast", "raw", "meltano", "n6"};
    const char *text = command_value_of(invocation, "format");
    *ret_format = FORMAT_NONE;
    for (int i = 0; text && i < 4; i++) {
        if (strcmp(text, names[i]) == 0)
            *ret_format = (enum state_format)(FORMAT_HOLDFAST + i);
    }
    if (text && *ret_format == FORMAT_NONE)
        return error_set(error, HF_ERR_INVALID, "read '--format %s': the formats are holdfast, raw, meltano and n6",
                         text);
    return 0;
}

/* ---- export ---- */

static int is_damaged_part(const struct command_invocation *invocation, const struct command_reply *reply) {
    JSON_AUTO struct json_doc doc;
    json_init(&doc);
    if (json_read(&doc, buf_text(&reply->body), reply->body.size, &deep, NULL) != 0)
        return 0;
    int64_t damaged = json_member_i64(&doc, 0, "damaged", 0);
    if (damaged > 0)
        talk_say(invocation, "%lld damaged versions were left out", (long long)damaged);
    return damaged > 0;
}

static int add_meltano(const struct json_doc *doc, struct buf *out, struct hf_error *error) {
    size_t bytes = 0;
    const char *text = json_span(doc, json_member(doc, 0, "value"), &bytes);
    if (!text)
        return error_set(error, HF_ERR_BAD_DATA, "it is not JSON, and a meltano state is");
    buf_add_text(out, "{\"singer_state\": ");
    buf_add(out, text, bytes);
    buf_add_text(out, "}\n");
    return 0;
}

static int add_converted(enum state_format format, const struct command_reply *reply, struct buf *out,
                         struct hf_error *error) {
    JSON_AUTO struct json_doc doc;
    json_init(&doc);
    int code = json_read(&doc, buf_text(&reply->body), reply->body.size, &deep, error);
    if (code != 0)
        return code;
    if (format == FORMAT_MELTANO)
        return add_meltano(&doc, out, error);
    code = state_value_take(&doc, out, error);
    if (code == 0 && format == FORMAT_N6)
        code = pickle_check(out->data, out->size, error);
    return code;
}

static int write_export(const struct command_invocation *invocation, enum state_format format,
                        const struct command_reply *reply, struct hf_error *error) {
    BUF_AUTO struct buf text;
    int code = 0;
    buf_init(&text);
    if (format == FORMAT_HOLDFAST) {
        buf_add(&text, reply->body.data, reply->body.size);
        buf_add_char(&text, '\n');
    } else {
        code = add_converted(format, reply, &text, error);
    }
    return code == 0 ? output_write(command_value_of(invocation, "file"), &text, error) : code;
}

int command_state_export(const struct command_invocation *invocation, struct hf_error *error) {
    const char *name = command_value_of(invocation, "name");
    const struct command_argument arguments[] = {{"name", name}, {NULL, NULL}};
    struct command_request request = {0};
    struct command_reply reply = {0};
    struct command_way way = {.fd = -1};
    enum state_format format = FORMAT_HOLDFAST;
    int code = read_format(invocation, &format, error);
    if (format == FORMAT_NONE)
        format = FORMAT_HOLDFAST;
    if (code == 0)
        code = command_way_open(invocation, &way, error);
    if (code == 0 && format == FORMAT_HOLDFAST)
        code = command_call(&way, &request, &reply, error);
    else if (code == 0)
        code = command_ask(&way, "state", "get", arguments, NULL, &reply, error);
    command_way_close(&way);
    if (code == 0) {
        code = write_export(invocation, format, &reply, error);
        if (code != 0)
            error_wrap(error, code, "export state '%s'", name);
    }
    if (code == 0 && format == FORMAT_HOLDFAST)
        code = is_damaged_part(invocation, &reply);
    buf_fini(&reply.body);
    return code;
}

/* ---- import ---- */

struct import {
    const struct command_invocation *invocation;
    const char *name;
    enum state_format format;
    struct buf bytes;
    struct command_request request;
    struct hf_error *error;
};

/* why: what of it is not JSON; code 0 when it is. */
static int recognise(struct import *import, const struct json_doc *doc, const struct hf_error *why) {
    if (import->format != FORMAT_NONE)
        return 0;
    if (why->code == 0 && json_member(doc, 0, "holdfast_state") != JSON_NONE)
        import->format = FORMAT_HOLDFAST;
    else if (why->code == 0 && json_member(doc, 0, "singer_state") != JSON_NONE)
        import->format = FORMAT_MELTANO;
    else if (pickle_is(import->bytes.data, import->bytes.size))
        import->format = FORMAT_N6;
    if (import->format != FORMAT_NONE)
        return 0;
    error_copy(import->error, why);
    int code = why->code;
    if (code == 0)
        code = error_set(import->error, HF_ERR_BAD_DATA, "it is none of the formats that are known");
    error_hint(import->error, "nothing was taken; --format raw takes the bytes as they are");
    return code;
}

static int take_meltano(struct import *import, const struct json_doc *doc) {
    size_t bytes = 0;
    const char *text = json_span(doc, json_member(doc, 0, "singer_state"), &bytes);
    if (!text)
        return error_set(import->error, HF_ERR_BAD_DATA, "it has no member \"singer_state\"");
    size_t before = (size_t)(text - import->bytes.data);
    import->bytes.size = before + bytes;
    buf_remove_front(&import->bytes, before);
    return 0;
}

/* What a file of the format holds, as the bytes of a state. A document of our own stays as it is. */
static int convert(struct import *import) {
    JSON_AUTO struct json_doc doc;
    struct hf_error why = {0};
    json_init(&doc);
    if (import->bytes.size == 0)
        return error_set(import->error, HF_ERR_BAD_DATA, "it is empty");
    (void)json_read(&doc, import->bytes.data, import->bytes.size, &deep, &why);
    int code = recognise(import, &doc, &why);
    if (code != 0 || import->format == FORMAT_RAW)
        return code;
    if (import->format == FORMAT_N6)
        return pickle_check(import->bytes.data, import->bytes.size, import->error);
    if (why.code != 0) {
        error_copy(import->error, &why);
        return why.code;
    }
    return import->format == FORMAT_MELTANO ? take_meltano(import, &doc) : 0;
}

/* Saved under the condition that the name is free, or that the newest version is the one of right now. */
static int import_bytes(struct import *import, struct command_way *way, struct command_reply *ret_reply) {
    const struct command_argument arguments[] = {{"name", import->name}, {NULL, NULL}};
    struct state_before before;
    state_before_init(&before);
    int code = state_before_get(way, import->name, &before, import->error);
    uint64_t newest = before.version;
    state_before_fini(&before);
    if (code == 0 && newest > 0 && !command_has(import->invocation, "replace")) {
        error_set(import->error, HF_ERR_EXISTS, "import state '%s': there is one of that name", import->name);
        return error_hint(import->error, "--replace makes what is imported its newest version");
    }
    if (code != 0)
        return code;
    state_body_open(&import->request);
    state_body_add_bytes(&import->request.body, &import->bytes);
    state_body_add_number(&import->request.body, "if_version", newest);
    code = state_body_close(&import->request.body, import->error);
    if (code == 0)
        code = command_ask(way, "state", "set", arguments, &import->request.body, ret_reply, import->error);
    return code;
}

static int import_with(struct import *import, struct command_way *way) {
    struct command_reply reply = {0};
    int code = 0;
    if (import->format == FORMAT_HOLDFAST) {
        import->request = (struct command_request){.body = import->bytes, .has_body = 1};
        buf_init(&import->bytes);
        code = command_call(way, &import->request, &reply, import->error);
    } else {
        code = import_bytes(import, way, &reply);
    }
    if (code == 0)
        command_render(import->invocation, &reply);
    buf_fini(&reply.body);
    return code;
}

int command_state_import(const struct command_invocation *invocation, struct hf_error *error) {
    const char *path = command_value_of(invocation, "file");
    struct import import = {.invocation = invocation, .name = command_value_of(invocation, "name"), .error = error};
    struct command_way way = {.fd = -1};
    buf_init(&import.bytes);
    buf_init(&import.request.body);
    int code = read_format(invocation, &import.format, error);
    if (code == 0)
        code = command_read_input(path, BODY_LARGE_BYTES, &import.bytes, error);
    if (code == 0) {
        code = convert(&import);
        if (code != 0)
            error_wrap(error, code, "import state '%s' from '%s'", import.name, path);
    }
    if (code == 0)
        code = command_way_open(invocation, &way, error);
    if (code == 0)
        code = import_with(&import, &way);
    command_way_close(&way);
    buf_fini(&import.request.body);
    buf_fini(&import.bytes);
    return code;
}
