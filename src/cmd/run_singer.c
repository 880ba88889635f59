/* --singer: taps and targets of the Singer specification. A tap writes messages, one JSON object a line; one of them is
 * {"type":"STATE","value":…}. A target that has everything before such a message on its disk writes the value on its
 * own output, bare, or (some) the message as it came.
 *
 * With a target in the pipeline each STATE on its output is a save at once, under the run's fence. Of a single command
 * the last one is saved when it ended with 0: whether what reads our output has it, nobody can say. */
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "cmd/run.h"

struct singer {
    struct run *run;
    int has_target;
    struct json_doc doc;
};

static const char *skip_space(const char *at, const char *end) {
    while (at < end && (*at == ' ' || *at == '\t'))
        at++;
    return at;
}

/* A look that costs little, for the many lines that are records: whether "type":"WHAT" stands in it. */
static int may_be(const char *line, size_t bytes, const char *what) {
    const char *end = line + bytes, *at = line;
    size_t length = strlen(what);
    while ((at = memmem(at, (size_t)(end - at), "\"type\"", 6)) != NULL) {
        at = skip_space(at + 6, end);
        if (at < end && *at == ':') {
            at = skip_space(at + 1, end);
            if ((size_t)(end - at) >= length && memcmp(at, what, length) == 0)
                return 1;
        }
    }
    return 0;
}

/* A state that cannot be saved: there is no sense in going on. */
static void give_up(struct singer *singer, const char *bytes, size_t size, const struct hf_error *why) {
    struct run *run = singer->run;
    run_keep_aside(run, bytes, size);
    if (run->outcome)
        return;
    error_copy(&run->error, why);
    run_decide(run, why->code == HF_ERR_CONFLICT ? "taken_over" : "refused", "%s", why->message);
    run_tree_signal(run->os, getpid(), SIGTERM);
}

/* 1: the line goes on. A target's state is for us alone. */
static int take_value(struct singer *singer, uint32_t value) {
    struct run *run = singer->run;
    struct hf_error why = {0};
    size_t bytes;
    const char *span = json_span(&singer->doc, value, &bytes);
    if (!singer->has_target) {
        buf_clear(&run->fresh);
        buf_add(&run->fresh, span, bytes);
        return 1;
    }
    if (!run->error.code && run_save(run, span, bytes, &why) != 0)
        give_up(singer, span, bytes, &why);
    return 0;
}

static int look(void *arg, const char *line, size_t bytes) {
    struct singer *singer = arg;
    struct json_limits limits = {.max_depth = JSON_DEPTH_MAX};
    struct hf_error why = {0};
    int is_state = may_be(line, bytes, "\"STATE\"");
    singer->run->records += may_be(line, bytes, "\"RECORD\"");
    if (line[0] != '{' || (!is_state && !singer->has_target))
        return 1;
    int code = json_read(&singer->doc, line, bytes, &limits, &why);
    if (code != 0 && is_state) {
        error_wrap(&why, HF_ERR_BAD_DATA, "read a STATE message");
        give_up(singer, line, bytes, &why);
    }
    if (code != 0)
        return !is_state || !singer->has_target;
    uint32_t type = json_member(&singer->doc, 0, "type"), value = json_member(&singer->doc, 0, "value");
    if (json_is_string(&singer->doc, type, "STATE") && value != JSON_NONE)
        return take_value(singer, value);
    return type == JSON_NONE && singer->has_target ? take_value(singer, 0) : 1;
}

/* ---- the pipeline ---- */

static size_t count_commands(const struct command_invocation *invocation) {
    size_t count = 1;
    for (int i = 0; i < invocation->child_argc; i++)
        count += text_is_equal(invocation->child_argv[i], "|");
    return count;
}

/* argv of the pipeline's commands, cut at the words '|'; the first with --state FILE behind it. */
static int split(struct run *run, const char *const **commands, size_t count, struct hf_error *error) {
    int argc = run->invocation->child_argc;
    const char **words = arena_zalloc(&run->arena, (size_t)argc + 4, sizeof *words);
    if (!words)
        return error_no_memory(error);
    size_t at = 0;
    commands[0] = words;
    for (int i = 0; i <= argc; i++) {
        const char *word = i < argc ? run->invocation->child_argv[i] : NULL;
        if (word && strcmp(word, "|") != 0) {
            *words++ = word;
            continue;
        }
        if (words == commands[at])
            return error_set(error, HF_ERR_INVALID, "read the command behind '--': nothing stands beside a '|'");
        if (at == 0 && run->has_state) {
            *words++ = "--state";
            *words++ = run->path;
        }
        *words++ = NULL;
        if (++at < count)
            commands[at] = words;
    }
    return 0;
}

static int check_before(struct run *run, size_t count, struct hf_error *error) {
    JSON_AUTO struct json_doc doc;
    json_init(&doc);
    if (count > RUN_COMMANDS_MAX)
        return error_set(error, HF_ERR_INVALID, "read the command behind '--': over %d commands", RUN_COMMANDS_MAX);
    if (run->has_state && json_read(&doc, buf_text(&run->state), run->state.size, NULL, error) != 0)
        return error_wrap(error, HF_ERR_BAD_DATA, "give the state of '%s' to a tap: it must be JSON", run->name);
    return 0;
}

int run_singer(struct run *run, struct hf_error *error) {
    const char *const *commands[RUN_COMMANDS_MAX] = {0};
    size_t count = count_commands(run->invocation);
    struct singer singer = {.run = run, .has_target = count > 1};
    struct run_stream stream;
    run->records = 0;
    json_init(&singer.doc);
    run_stream_init(&stream, run->os, -1, STDOUT_FILENO);
    stream.look = look;
    stream.arg = &singer;
    int code = check_before(run, count, error);
    if (code == 0)
        code = split(run, commands, count, error);
    if (code == 0)
        code = run_commands(run, commands, count, &stream, error);
    run->has_new = run->fresh.size > 0;
    run_stream_fini(&stream);
    json_fini(&singer.doc);
    return code;
}
