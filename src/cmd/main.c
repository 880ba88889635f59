/* holdfast: what the user typed is parsed, sent to the daemon or done on the store, and shown. */
#include "cmd/command.h"

#include <fcntl.h>
#include <signal.h>
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

static const struct special {
    const char *noun, *verb;
    int (*carry_out)(const struct command_invocation *invocation, struct hf_error *error);
} specials[] = {
    {"source", "export", command_source_export},
    {"store", "list", command_list},
    {"store", "export", command_export},
    {"store", "import", command_import},
    {"store", "copy", command_copy},
    {"state", "get", command_state_get},
    {"state", "diff", command_state_diff},
    {"state", "set", command_state_save},
    {"state", "merge", command_state_save},
    {"state", "commit", command_state_save},
    {"state", "end", command_state_save},
    {"state", "begin", command_state_begin},
    {"state", "rollback", command_state_rollback},
    {"state", "edit", command_state_edit},
    {"state", "export", command_state_export},
    {"state", "import", command_state_import},
    {"run", NULL, command_run},
};

static int dispatch(const struct command_invocation *invocation, struct hf_error *error) {
    for (size_t i = 0; i < sizeof specials / sizeof specials[0]; i++) {
        const struct special *special = &specials[i];
        if (text_is_equal(invocation->noun, special->noun) && text_is_equal(invocation->verb, special->verb))
            return special->carry_out(invocation, error);
    }
    struct command_request request = {0};
    int code = command_build_body(invocation, &request, error);
    if (code == 0)
        code = command_carry_out(invocation, &request, error);
    buf_fini(&request.body);
    return code;
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
        status = command_is_check(invocation->operation) ? 2 : hf_code_exit_status(status);
    }
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "holdfast: write output: the reader is gone or the disk is full\n");
        return status ? status : hf_code_exit_status(HF_ERR_IO);
    }
    return status;
}

/* What is opened later must not become what is printed to; and a file that may not grow is an error like others. */
static void prepare_process(void) {
    int fd;
    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd > STDERR_FILENO)
        close(fd);
    signal(SIGXFSZ, SIG_IGN);
}

int main(int argc, char **argv) {
    prepare_process();
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
