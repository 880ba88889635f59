/* holdfast: what the user typed is parsed, sent to the daemon or done on the store, and shown. */
#include "cmd/command.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "cmd/talk.h"

int command_reply_error(const struct command_reply *reply, struct hf_error *error) {
    JSON_AUTO struct json_doc doc;
    struct arena arena;
    json_init(&doc);
    arena_init(&arena);
    int code = HF_ERR_INTERNAL;
    if (json_read(&doc, buf_text(&reply->body), reply->body.size, NULL, NULL) != 0) {
        error_set(error, code, "read the daemon's reply: status %d without a problem document", reply->status);
        goto done;
    }
    const char *word = json_member_text(&doc, 0, "code", &arena);
    const char *detail = json_member_text(&doc, 0, "detail", &arena);
    const char *hint = json_member_text(&doc, 0, "hint", &arena);
#define X(name, value, its_word, http, exit_code, retryable, text)                                                     \
    if (text_is_equal(word, its_word))                                                                                 \
        code = (value);
    HF_ERROR_MAP(X)
#undef X
    error_set(error, code, "%s", detail ? detail : hf_code_text(code));
    if (hint)
        error_hint(error, "%s", hint);
done:
    arena_fini(&arena);
    return code;
}

static int is_confirmed(const struct command_invocation *invocation) {
    if (!(invocation->operation->flags & OPERATION_DESTROYS) || invocation->globals.yes ||
        command_has(invocation, "dry-run") || !isatty(STDIN_FILENO))
        return 1;
    char answer[16] = "";
    fprintf(stderr, "%s %s", invocation->noun, invocation->verb);
    for (int i = 0; i < invocation->value_count; i++)
        fprintf(stderr, " %s", invocation->values[i].text);
    fprintf(stderr, ": really? [y/N] ");
    return fgets(answer, sizeof answer, stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}

static int is_store_check(const struct api_operation *operation) {
    return text_is_equal(operation->noun, "store") && text_is_equal(operation->verb, "check");
}

/* `check` has codes of its own: 0 clean, 1 findings, 2 could not check. */
static int check_status(const struct command_reply *reply) {
    JSON_AUTO struct json_doc doc;
    json_init(&doc);
    if (json_read(&doc, buf_text(&reply->body), reply->body.size, NULL, NULL) != 0)
        return 2;
    return json_member_bool(&doc, 0, "clean", 0) ? 0 : 1;
}

/* One request and its reply. */
static int carry_out(const struct command_invocation *invocation, struct hf_error *error) {
    struct command_request request = {0};
    struct command_reply reply = {0};
    struct command_way way = {.fd = -1};
    struct progress *progress = &invocation->talk->progress;
    int status = 0;
    int code = command_build_body(invocation, &request, error);
    if (code == 0)
        code = command_way_open(invocation, &way, error);
    progress_begin(progress, invocation->verb ? invocation->verb : invocation->noun, "rows", invocation->globals.quiet);
    if (code == 0)
        code = command_call(&way, &request, &reply, error);
    progress_clear(progress);
    if (code == 0) {
        command_render(invocation, &reply);
        status = is_store_check(invocation->operation) ? check_status(&reply) : 0;
        if (command_has(invocation, "dry-run"))
            talk_say(invocation, "a rehearsal: nothing was changed");
    }
    command_way_close(&way);
    buf_fini(&request.body);
    buf_fini(&reply.body);
    return code == 0 ? status : code;
}

static const struct special {
    const char *verb; /* of the noun store */
    int (*carry_out)(const struct command_invocation *invocation, struct hf_error *error);
} specials[] = {
    {"list", command_list},
    {"export", command_export},
    {"import", command_import},
    {"copy", command_copy},
};

static int dispatch(const struct command_invocation *invocation, struct hf_error *error) {
    for (size_t i = 0; text_is_equal(invocation->noun, "store") && i < sizeof specials / sizeof specials[0]; i++) {
        if (text_is_equal(invocation->verb, specials[i].verb))
            return specials[i].carry_out(invocation, error);
    }
    return carry_out(invocation, error);
}

static int operate(struct command_invocation *invocation) {
    struct hf_error error = {0};
    struct command_talk talk;
    if (!is_confirmed(invocation)) {
        fprintf(stderr, "holdfast: nothing was done\n");
        return hf_code_exit_status(HF_ERR_CANCELLED);
    }
    talk_init(&talk);
    invocation->talk = &talk;
    int status = dispatch(invocation, &error);
    talk_fini(&talk);
    if (status < 0) {
        command_print_error(invocation, &error);
        status = is_store_check(invocation->operation) ? 2 : hf_code_exit_status(status);
    }
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "holdfast: write output: the reader is gone or the disk is full\n");
        return status ? status : hf_code_exit_status(HF_ERR_IO);
    }
    return status;
}

int main(int argc, char **argv) {
    struct command_invocation invocation = {0};
    struct hf_error error = {0};
    arena_init(&invocation.arena);
    int status = 0;
    int code = command_parse(argc, argv, &invocation, &error);
    if (code == 0 && !invocation.globals.help && invocation.noun)
        code = command_find_paths(&invocation, &error);
    if (code != 0) {
        command_print_error(&invocation, &error);
        status = hf_code_exit_status(code);
    } else if (invocation.globals.help || !invocation.noun) {
        command_help(&invocation, stdout);
    } else if (text_is_equal(invocation.noun, "version")) {
        printf("holdfast %s\n", hf_version());
    } else if (text_is_equal(invocation.noun, "serve")) {
        status = command_serve(&invocation);
    } else {
        status = operate(&invocation);
    }
    arena_fini(&invocation.arena);
    return status;
}
