/* `holdfast run`: begin, the command, the end. See run.h. */
#include "cmd/run.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "cmd/talk.h"

void run_decide(struct run *run, const char *outcome, const char *format, ...) {
    va_list args;
    if (run->outcome)
        return;
    run->outcome = outcome;
    if (!format || run->why.size)
        return;
    va_start(args, format);
    buf_vprintf(&run->why, format, args);
    va_end(args);
}

/* ---- what was asked for ---- */

static int read_duration(const struct run *run, const char *name, int64_t fallback_ms, int64_t *ret_ms,
                         struct hf_error *error) {
    const char *text = command_value_of(run->invocation, name);
    *ret_ms = fallback_ms;
    if (text && text_to_duration_ms(text, ret_ms) != 0)
        return error_set(error, HF_ERR_INVALID, "read '--%s %s': a duration is needed, such as 500ms, 5s, 2m or 1h",
                         name, text);
    return 0;
}

static int read_overlap(struct run *run, struct hf_error *error) {
    static const char *const words[] = {"fail", "skip", "wait", "kill"};
    const char *text = command_value_of(run->invocation, "on-overlap");
    const char *wait = command_value_of(run->invocation, "wait");
    for (int i = 0; i < 4; i++)
        if (text_is_equal(text ? text : wait ? "wait" : "fail", words[i])) {
            run->overlap = (enum run_overlap)i;
            if (wait && run->overlap != RUN_OVERLAP_WAIT)
                return error_set(error, HF_ERR_INVALID, "read '--wait %s': it goes with --on-overlap wait", wait);
            return 0;
        }
    return error_set(error, HF_ERR_INVALID, "read '--on-overlap %s': it is fail, skip, wait or kill", text);
}

static int read_schedule(struct run *run, struct hf_error *error) {
    int64_t ms;
    run->scheduled_at = command_value_of(run->invocation, "scheduled-at");
    if (run->scheduled_at && text_to_time(run->scheduled_at, &ms) != 0)
        return error_set(error, HF_ERR_INVALID, "read '--scheduled-at %s': a time is needed, as 2026-01-31T06:00:00Z",
                         run->scheduled_at);
    if (!run->scheduled_at) {
        char now[TEXT_TIME_BYTES];
        text_time(os_wall_ms(run->os), now);
        run->scheduled_at = arena_strdup(&run->arena, now);
    }
    return run->scheduled_at ? 0 : error_no_memory(error);
}

static int read_options(struct run *run, struct hf_error *error) {
    run->name = command_value_of(run->invocation, "name");
    run->named_file = command_value_of(run->invocation, "state-file");
    run->reason = command_value_of(run->invocation, "reason");
    run->is_singer = command_has(run->invocation, "singer");
    int code = read_duration(run, "timeout", 0, &run->timeout_ms, error);
    if (code == 0)
        code = read_duration(run, "wait", -1, &run->wait_ms, error);
    if (code == 0)
        code = read_overlap(run, error);
    if (code == 0)
        code = read_schedule(run, error);
    if (code == 0 && run->is_singer && run->named_file)
        code = error_set(error, HF_ERR_INVALID, "read '--state-file': with --singer the tap is told by --state");
    return code;
}

/* ---- the end ---- */

/* The command is done; now what it left is not acceptable, or cannot be saved. */
static void refuse(struct run *run, const char *outcome, const struct hf_error *why) {
    run->outcome = NULL;
    buf_clear(&run->why);
    run_decide(run, outcome, "%s", why->message);
    error_copy(&run->error, why);
    if (!run->kept_at && run->has_new && run->is_singer)
        run_keep_aside(run, run->fresh.data, run->fresh.size);
    else if (!run->kept_at)
        run_file_reject(run);
}

static void take_file(struct run *run) {
    struct hf_error why = {0};
    int code = run_file_take(run, &run->fresh, &run->has_new, &why);
    if (code == 0)
        return;
    error_wrap(&why, code, "take the state file of '%s'", run->id);
    if (code != HF_ERR_NO_MEMORY)
        why.code = HF_ERR_BAD_DATA; /* whatever is wrong with it: it is the file */
    refuse(run, "refused", &why);
}

/* Told at once: behind it the message that matters most ends the command's output. */
static void end_quietly(struct run *run) {
    struct hf_error why = {0};
    if (run_end(run, NULL, &why) == 0)
        return;
    if (why.code == HF_ERR_CONFLICT) {
        run->outcome = "taken_over";
        error_copy(&run->error, &why);
    } else {
        talk_say(run->invocation, "close '%s' in the ledger: %s", run->id, why.message);
    }
}

static void end(struct run *run) {
    struct hf_error why = {0};
    if (run->outcome && strcmp(run->outcome, "ok") == 0 && !run->is_singer)
        take_file(run);
    if (!run->has_new || strcmp(run->outcome, "ok") != 0) {
        end_quietly(run);
        return;
    }
    int code = run_end(run, &run->fresh, &why);
    if (code == 0)
        return;
    if (code == HF_ERR_PRECONDITION)
        error_set(&why, HF_ERR_BAD_DATA, "it changed its state file, and saved by itself too, past version %llu",
                  (unsigned long long)run->version);
    error_wrap(&why, code, "save the state of '%s'", run->id);
    refuse(run, code == HF_ERR_CONFLICT ? "taken_over" : "refused", &why);
    if (code != HF_ERR_CONFLICT && !hf_code_is_retryable(code))
        end_quietly(run);
}

static int say_how(struct run *run, struct hf_error *error) {
    if (run->error.code != 0) {
        error_copy(error, &run->error);
        if (run->kept_at)
            error_hint(error, "the state of '%s' is as it was; what was not taken is '%s'", run->name, run->kept_at);
        return run->error.code;
    }
    if (strcmp(run->outcome, "timeout") == 0) {
        talk_say(run->invocation, "'%s' was ended: %s", run->id, buf_text(&run->why));
        return RUN_EXIT_TIMEOUT;
    }
    return run->exit_code;
}

static int carry_out(struct run *run, struct hf_error *error) {
    const char *const *command = run->invocation->child_argv;
    int is_skipped = 0;
    int code = run_take(run, &is_skipped, error);
    if (code != 0 || is_skipped)
        return code;
    code = run_file_put(run, error);
    if (code == 0)
        code = run->is_singer ? run_singer(run, error) : run_commands(run, &command, 1, NULL, error);
    if (code != 0) {
        run_decide(run, "error", "%s", error->message);
        error_copy(&run->error, error);
        error_clear(error);
    }
    end(run);
    run_file_remove(run, strcmp(run->outcome, "ok") == 0);
    return say_how(run, error);
}

int command_run(const struct command_invocation *invocation, struct hf_error *error) {
    struct run run = {.invocation = invocation, .os = os_real(), .exit_code = -1, .records = -1};
    arena_init(&run.arena);
    buf_init(&run.state);
    buf_init(&run.fresh);
    buf_init(&run.why);
    int status = read_options(&run, error);
    if (status == 0)
        status = carry_out(&run, error);
    buf_fini(&run.why);
    buf_fini(&run.fresh);
    buf_fini(&run.state);
    arena_fini(&run.arena);
    return status;
}
