/* From the values of the command line to a path, a query and a body, by the operation's table alone. */
#include "cmd/command.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "os/file.h"

enum { MAX_INPUT_BYTES = 64 << 20 };

void command_add_encoded(struct buf *out, const char *text) {
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        int is_plain = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') || *c == '-' ||
                       *c == '.' || *c == '_' || *c == '~';
        if (is_plain)
            buf_add_char(out, (char)*c);
        else
            buf_printf(out, "%%%02X", *c);
    }
}

static int read_stdin(size_t max_bytes, struct buf *out, struct hf_error *error) {
    char block[65536];
    size_t got;
    while ((got = fread(block, 1, sizeof block, stdin)) > 0) {
        buf_add(out, block, got);
        if (out->size > max_bytes)
            return error_set(error, HF_ERR_TOO_LARGE, "read standard input: it is over %zu bytes", max_bytes);
    }
    if (ferror(stdin))
        return error_set(error, HF_ERR_IO, "read standard input");
    return out->failed ? error_set(error, HF_ERR_NO_MEMORY, "read standard input") : 0;
}

int command_read_input(const char *path, size_t max_bytes, struct buf *out, struct hf_error *error) {
    if (strcmp(path, "-") == 0)
        return read_stdin(max_bytes, out, error);
    const struct os *os = os_real();
    int fd = os_open(os, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return error_set_errno(error, fd, "read '%s'", path);
    int code = 0;
    for (;;) {
        char *room = buf_reserve(out, 65536);
        ssize_t got = room ? os_read(os, fd, room, 65536) : -1;
        if (!room)
            code = error_set(error, HF_ERR_NO_MEMORY, "read '%s'", path);
        else if (got < 0 && got != -EINTR)
            code = error_set_errno(error, (int)got, "read '%s'", path);
        else if (got > 0)
            out->size += (size_t)got;
        if (code == 0 && out->size > max_bytes)
            code = error_set(error, HF_ERR_TOO_LARGE, "read '%s': it is over %zu bytes", path, max_bytes);
        if (code != 0 || got == 0)
            break;
    }
    os_close(os, fd);
    return code;
}

static void member_name(const struct api_parameter *parameter, char *out, size_t room) {
    snprintf(out, room, "%s%s", parameter->name, parameter->type == TYPE_DURATION ? "_ms" : "");
    for (char *c = out; *c; c++)
        *c = *c == '-' ? '_' : *c;
}

static int write_json(struct json_writer *json, const char *name, const char *text, struct hf_error *error) {
    static const struct json_limits limits = {.max_depth = JSON_DEPTH_MAX};
    JSON_AUTO struct json_doc doc;
    json_init(&doc);
    int code = json_read(&doc, text, strlen(text), &limits, error);
    if (code != 0)
        return error_wrap(error, code, "read '--%s'", name);
    json_raw(json, text, strlen(text));
    return 0;
}

static int write_value(struct json_writer *json, const struct api_parameter *parameter, const char *text,
                       struct hf_error *error) {
    int64_t ms;
    uint64_t number;
    int is_negative = text[0] == '-';
    switch (parameter->type) {
    case TYPE_NUMBER:
        if (text_to_u64(text + is_negative, &number) != 0 || number > INT64_MAX)
            return error_set(error, HF_ERR_INVALID, "read '%s %s': a whole number is needed", parameter->name, text);
        json_i64(json, is_negative ? -(int64_t)number : (int64_t)number);
        return 0;
    case TYPE_DURATION:
        if (text_to_duration_ms(text, &ms) != 0)
            return error_set(error, HF_ERR_INVALID, "read '%s %s': a duration is needed, such as 500ms, 5s, 2m or 1h",
                             parameter->name, text);
        json_i64(json, ms);
        return 0;
    case TYPE_BOOL:
        json_bool(json, strcmp(text, "true") == 0);
        return 0;
    case TYPE_JSON:
        return write_json(json, parameter->name, text, error);
    default:
        if (!text_is_utf8(text, strlen(text)))
            return error_set(error, HF_ERR_INVALID, "read '%s': the text is not UTF-8", parameter->name);
        json_string(json, text);
        return 0;
    }
}

static int write_pair(struct json_writer *json, const char *name, const char *text, struct hf_error *error) {
    const char *equals = strchr(text, '=');
    char key[256];
    if (!equals || equals == text || (size_t)(equals - text) >= sizeof key)
        return error_set(error, HF_ERR_INVALID, "read '--%s %s': it must be NAME=VALUE", name, text);
    if (!text_is_utf8(text, strlen(text)))
        return error_set(error, HF_ERR_INVALID, "read '--%s': the text is not UTF-8", name);
    snprintf(key, sizeof key, "%.*s", (int)(equals - text), text);
    json_put_string(json, key, equals + 1);
    return 0;
}

/* A parameter that may be given several times: an array of texts, or an object of pairs. */
static int write_repeated(struct json_writer *json, const struct command_invocation *invocation,
                          const struct api_parameter *parameter, struct hf_error *error) {
    int is_pairs = parameter->type == TYPE_PAIRS, code = 0;
    struct api_parameter item = {.name = parameter->name, .type = TYPE_TEXT};
    if (is_pairs)
        json_begin_object(json);
    else
        json_begin_array(json);
    for (int i = 0; i < invocation->value_count && code == 0; i++) {
        const struct command_value *value = &invocation->values[i];
        if (value->parameter == parameter)
            code = is_pairs ? write_pair(json, item.name, value->text, error)
                            : write_value(json, &item, value->text, error);
    }
    if (is_pairs)
        json_end_object(json);
    else
        json_end_array(json);
    return code;
}

static int write_file_text(struct json_writer *json, const char *path, struct hf_error *error) {
    BUF_AUTO struct buf text;
    buf_init(&text);
    int code = command_read_input(path, MAX_INPUT_BYTES, &text, error);
    if (code != 0)
        return code;
    if (!text_is_utf8(buf_text(&text), text.size))
        return error_set(error, HF_ERR_BAD_DATA, "read '%s': the text is not UTF-8", path);
    json_string_bytes(json, buf_text(&text), text.size);
    return 0;
}

static int write_member(struct json_writer *json, const struct command_invocation *invocation,
                        const struct api_parameter *parameter, struct hf_error *error) {
    char name[64];
    const char *text = command_value_of(invocation, parameter->name);
    member_name(parameter, name, sizeof name);
    if (parameter->place == PLACE_ARGV) {
        if (invocation->child_argc == 0)
            return 0;
        json_key(json, name);
        json_begin_array(json);
        for (int i = 0; i < invocation->child_argc; i++) {
            if (!text_is_utf8(invocation->child_argv[i], strlen(invocation->child_argv[i])))
                return error_set(error, HF_ERR_INVALID, "read the command behind '--': word %d is not UTF-8", i + 1);
            json_string(json, invocation->child_argv[i]);
        }
        json_end_array(json);
        return 0;
    }
    if (!text)
        return 0;
    json_key(json, name);
    if (parameter->place == PLACE_FILE_TEXT)
        return write_file_text(json, text, error);
    if (parameter->type == TYPE_LIST || parameter->type == TYPE_PAIRS)
        return write_repeated(json, invocation, parameter, error);
    return write_value(json, parameter, text, error);
}

static int is_member(const struct api_parameter *parameter) {
    return parameter->place == PLACE_FIELD || parameter->place == PLACE_NAME || parameter->place == PLACE_FILE_TEXT ||
           parameter->place == PLACE_ARGV;
}

int command_build_body(const struct command_invocation *invocation, struct command_request *request,
                       struct hf_error *error) {
    struct json_writer json;
    buf_init(&request->body);
    json_writer_init(&json, &request->body, 0);
    int code = 0;
    for (const struct api_parameter *p = invocation->operation->parameters; code == 0 && p && p->name; p++) {
        if (p->place == PLACE_BODY && command_value_of(invocation, p->name)) {
            request->has_body = 1;
            return command_read_input(command_value_of(invocation, p->name), MAX_INPUT_BYTES, &request->body, error);
        }
        if (!is_member(p))
            continue;
        if (!request->has_body)
            json_begin_object(&json);
        request->has_body = 1;
        code = write_member(&json, invocation, p, error);
    }
    if (code == 0 && request->has_body)
        json_end_object(&json);
    if (code == 0 && request->body.failed)
        return error_set(error, HF_ERR_NO_MEMORY, "put the request together");
    return code;
}

static int add_path(const struct command_invocation *invocation, struct buf *target, struct hf_error *error) {
    for (const char *c = invocation->operation->path; *c; c++) {
        const char *end = *c == '{' ? strchr(c, '}') : NULL;
        if (!end) {
            buf_add_char(target, *c);
            continue;
        }
        char name[64];
        snprintf(name, sizeof name, "%.*s", (int)(end - c - 1), c + 1);
        const char *text = command_value_of(invocation, name);
        if (!text || !text[0])
            return error_set(error, HF_ERR_BAD_ID, "read the command line: %s is empty", name);
        command_add_encoded(target, text);
        c = end;
    }
    return 0;
}

int command_build_target(const struct command_invocation *invocation, const struct command_request *request,
                         struct buf *target, struct hf_error *error) {
    if (request->target) {
        buf_add_text(target, request->target);
        return 0;
    }
    int code = add_path(invocation, target, error);
    char mark = '?';
    for (int i = 0; i < invocation->value_count && code == 0; i++) {
        const struct command_value *value = &invocation->values[i];
        if (value->parameter->place != PLACE_QUERY)
            continue;
        char name[64];
        member_name(&(struct api_parameter){.name = value->parameter->name}, name, sizeof name);
        buf_printf(target, "%c%s=", mark, name);
        command_add_encoded(target, value->text);
        mark = '&';
    }
    if (request->is_rehearsal && !command_has(invocation, "dry-run"))
        buf_printf(target, "%cdry_run=true", mark);
    return code == 0 && target->failed ? error_set(error, HF_ERR_NO_MEMORY, "put the request together") : code;
}
