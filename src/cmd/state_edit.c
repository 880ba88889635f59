/* state edit: the value in a private file, an editor on it, and what came out saved on the condition that nobody else
 * saved meanwhile. The store is not held while somebody thinks. What was written and could not be saved is kept. */
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "cmd/state_value.h"
#include "cmd/talk.h"
#include "os/file.h"

extern char **environ;

struct edit {
    const struct command_invocation *invocation;
    const char *name;
    struct state_before before;
    struct buf shown, edited;
    char *path;
    int keeps_file;
};

static const struct json_limits deep = {.max_depth = JSON_DEPTH_MAX};

/* ---- the value ---- */

/* JSON without a line break is laid out for people. */
static int lay_out(struct edit *edit, struct hf_error *error) {
    JSON_AUTO struct json_doc doc;
    BUF_AUTO struct buf pretty;
    json_init(&doc);
    buf_init(&pretty);
    if (!edit->before.is_json || memchr(buf_text(&edit->shown), '\n', edit->shown.size))
        return 0;
    int code = json_read(&doc, buf_text(&edit->shown), edit->shown.size, &deep, error);
    if (code != 0)
        return code;
    json_pretty(&doc, 0, 2, &pretty);
    buf_add_char(&pretty, '\n');
    buf_clear(&edit->shown);
    buf_add(&edit->shown, pretty.data, pretty.size);
    return 0;
}

static int get_value(struct edit *edit, struct hf_error *error) {
    struct command_way way = {.fd = -1};
    int code = command_way_open(edit->invocation, &way, error);
    if (code == 0)
        code = state_before_get(&way, edit->name, &edit->before, error);
    command_way_close(&way);
    if (code != 0)
        return code;
    const struct buf *bytes = &edit->before.bytes;
    if (edit->before.version == 0)
        buf_add_text(&edit->shown, "{}\n");
    else
        buf_add(&edit->shown, buf_text(bytes), bytes->size);
    if (!text_is_utf8(buf_text(bytes), bytes->size) || memchr(buf_text(bytes), 0, bytes->size))
        return error_set(error, HF_ERR_BAD_DATA, "edit '%s': it is no text", edit->name);
    code = lay_out(edit, error);
    return code == 0 && edit->shown.failed ? error_set(error, HF_ERR_NO_MEMORY, "edit '%s'", edit->name) : code;
}

/* ---- the editor ---- */

static int make_file(struct edit *edit, struct hf_error *error) {
    const struct os *os = os_real();
    const char *folder = getenv("TMPDIR");
    char temporary[FILE_TEMPORARY_BYTES + 1];
    BUF_AUTO struct buf path;
    buf_init(&path);
    int result = file_temporary_name(os, temporary);
    if (result < 0)
        return error_set_errno(error, result, "make a file to edit");
    buf_printf(&path, "%s/holdfast-edit%s%s", folder && folder[0] ? folder : "/tmp", temporary,
               edit->before.is_json || edit->before.version == 0 ? ".json" : ".txt");
    int fd = path.failed
                 ? -ENOMEM
                 : os_open(os, AT_FDCWD, buf_text(&path), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_set_errno(error, fd, "make the file '%s' to edit", buf_text(&path));
    result = file_pwrite_full(os, fd, buf_text(&edit->shown), edit->shown.size, 0);
    os_close(os, fd);
    edit->path = buf_take(&path);
    return result < 0 ? error_set_errno(error, result, "write '%s'", edit->path) : 0;
}

/* By the shell, as everybody does it: $EDITOR may hold options. It stays in our terminal and process group. */
static int run_editor(const struct edit *edit, struct hf_error *error) {
    const char *editor = getenv("VISUAL");
    BUF_AUTO struct buf command;
    pid_t pid = 0;
    int status = 0;
    buf_init(&command);
    if (!editor || !editor[0])
        editor = getenv("EDITOR");
    if (!editor || !editor[0])
        editor = "vi";
    buf_printf(&command, "exec %s \"$1\"", editor);
    if (command.failed)
        return error_set(error, HF_ERR_NO_MEMORY, "start '%s'", editor);
    char *argv[] = {"sh", "-c", command.data, "sh", edit->path, NULL};
    int failed = posix_spawn(&pid, "/bin/sh", NULL, NULL, argv, environ);
    if (failed)
        return error_set_errno(error, -failed, "start '%s'", editor);
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR)
            return error_set_errno(error, -errno, "wait for '%s'", editor);
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return error_set(error, HF_ERR_CANCELLED, "edit '%s': '%s' failed, nothing was saved", edit->name, editor);
    return 0;
}

static int read_back(struct edit *edit, struct hf_error *error) {
    int code = command_read_input(edit->path, HF_STATE_BYTES_MAX, &edit->edited, error);
    if (code == 0)
        code = state_before_check(&edit->before, &edit->edited, error);
    return code;
}

/* ---- saving ---- */

static int build_body(const struct edit *edit, struct command_request *request, struct hf_error *error) {
    const char *note = command_value_of(edit->invocation, "note");
    struct json_writer json;
    buf_init(&request->body);
    state_body_open(request);
    state_body_add_bytes(&request->body, &edit->edited);
    if (command_has(edit->invocation, "force"))
        state_body_add(&request->body, "force", "true", 4);
    else
        state_body_add_number(&request->body, "if_version", edit->before.version);
    if (note) {
        state_body_add(&request->body, "note", "", 0);
        json_writer_init(&json, &request->body, 0);
        json_string(&json, note);
    }
    return state_body_close(&request->body, error);
}

static int set_value(struct edit *edit, struct hf_error *error) {
    const struct command_argument arguments[] = {{"name", edit->name}, {NULL, NULL}};
    struct command_request request = {0};
    struct command_reply reply = {0};
    struct command_way way = {.fd = -1};
    int code = build_body(edit, &request, error);
    if (code == 0)
        code = command_way_open(edit->invocation, &way, error);
    if (code == 0)
        code = command_ask(&way, "state", "set", arguments, &request.body, &reply, error);
    command_way_close(&way);
    buf_fini(&request.body);
    if (code == 0)
        command_render(edit->invocation, &reply);
    buf_fini(&reply.body);
    return code;
}

static int is_unchanged(const struct edit *edit) {
    return edit->edited.size == edit->shown.size &&
           memcmp(buf_text(&edit->edited), buf_text(&edit->shown), edit->shown.size) == 0;
}

static int edit_file(struct edit *edit, struct hf_error *error) {
    int code = make_file(edit, error);
    if (code == 0)
        code = run_editor(edit, error);
    if (code != 0)
        return code;
    code = read_back(edit, error);
    if (code == 0 && is_unchanged(edit)) {
        talk_say(edit->invocation, "nothing was changed");
        return 0;
    }
    if (code == 0)
        code = set_value(edit, error);
    if (code != 0) {
        edit->keeps_file = 1;
        error_hint(error, "what you wrote is kept in %s", edit->path);
    }
    return code;
}

int command_state_edit(const struct command_invocation *invocation, struct hf_error *error) {
    struct edit edit = {.invocation = invocation, .name = command_value_of(invocation, "name")};
    state_before_init(&edit.before);
    buf_init(&edit.shown);
    buf_init(&edit.edited);
    int code = get_value(&edit, error);
    if (code == 0)
        code = edit_file(&edit, error);
    if (edit.path && !edit.keeps_file)
        os_unlink(os_real(), AT_FDCWD, edit.path, 0);
    mem_free(edit.path);
    buf_fini(&edit.edited);
    buf_fini(&edit.shown);
    state_before_fini(&edit.before);
    return code;
}
