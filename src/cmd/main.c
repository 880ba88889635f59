/* holdfast: what the user typed is parsed, sent to the daemon or done on the store, and shown. */
#include "cmd/command.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"

enum { LOCK_PATIENCE_MS = 5000, LOCK_RETRY_MS = 20 };

static int reply_error(const struct command_reply *reply, struct hf_error *error) {
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

/* Through the daemon when one listens, on the store itself when none does. A store that is held for a moment (another
 * command, a daemon that just starts) is waited for. */
static int carry_out(const struct command_invocation *invocation, const struct command_request *request,
                     struct command_reply *reply, struct hf_error *error) {
    const struct os *os = os_real();
    int64_t give_up_ms = os_monotonic_ms(os) + LOCK_PATIENCE_MS;
    for (;;) {
        int code = command_send(invocation, request, reply, error);
        if (code != HF_ERR_UNAVAILABLE)
            return code;
        if (invocation->operation->flags & OPERATION_DAEMON_ONLY)
            return code;
        error_clear(error);
        code = command_run_locally(invocation, request, reply, error);
        if (code != HF_ERR_LOCKED || os_monotonic_ms(os) > give_up_ms)
            return code;
        error_clear(error);
        os_sleep_ms(os, LOCK_RETRY_MS);
    }
}

static int is_confirmed(const struct command_invocation *invocation) {
    if (!(invocation->operation->flags & OPERATION_DESTROYS) || invocation->globals.yes || !isatty(STDIN_FILENO))
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

static int operate(const struct command_invocation *invocation) {
    struct hf_error error = {0};
    struct command_request request = {0};
    struct command_reply reply = {0};
    int is_check = is_store_check(invocation->operation);
    if (!is_confirmed(invocation)) {
        fprintf(stderr, "holdfast: nothing was done\n");
        return hf_code_exit_status(HF_ERR_CANCELLED);
    }
    int code = command_build_body(invocation, &request, &error);
    if (code == 0)
        code = carry_out(invocation, &request, &reply, &error);
    if (code == 0 && reply.status >= 400)
        code = reply_error(&reply, &error);
    int status = 0;
    if (code != 0) {
        command_print_error(invocation, &error);
        status = is_check ? 2 : hf_code_exit_status(code);
    } else {
        command_render(invocation, &reply);
        status = is_check ? check_status(&reply) : 0;
    }
    buf_fini(&request.body);
    buf_fini(&reply.body);
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
