#include "run/code_check.h"

#include <string.h>
#include <sys/wait.h>

#include "base/json.h"
#include "os/channel.h"
#include "os/file.h"
#include "os/process.h"
#include "run/child_env.h"
#include "run/source_spec.h"
#include "run_assets.h"

enum { PATIENCE_MS = 5000, ANSWER_MAX = 65536 };

/* The code goes in and the answer comes out through files in memory: no pipe can fill up. */
struct check_files {
    int code_fd, answer_fd;
};

static int open_files(const struct os *os, const char *code, size_t code_bytes, struct check_files *files,
                      struct hf_error *error) {
    int result = channel_make_file(os, "code", code, code_bytes, &files->code_fd);
    if (result == 0)
        result = channel_make_file(os, "answer", NULL, 0, &files->answer_fd);
    return result < 0 ? error_set_errno(error, result, "check code") : 0;
}

static void close_files(const struct os *os, struct check_files *files) {
    if (files->code_fd >= 0)
        os_close(os, files->code_fd);
    if (files->answer_fd >= 0)
        os_close(os, files->answer_fd);
}

static int wait_for_end(const struct os *os, struct os_child *child, struct hf_error *error) {
    int status = 0;
    int result = process_wait(os, child->pidfd, PATIENCE_MS, &status);
    os_close(os, child->pidfd);
    if (result < 0)
        return error_set_errno(error, result, "check code: wait for python");
    if (result == PROCESS_LATE)
        return error_set(error, HF_ERR_TIMEOUT, "check code: python did not answer within %d ms", PATIENCE_MS);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return error_set(error, HF_ERR_CHILD, "check code: python failed with wait status %d", status);
    return 0;
}

static int run_check(const struct os *os, const char *python, const struct check_files *files, struct hf_error *error) {
    const char *argv[] = {python, "-I", "-S", "-c", (const char *)run_code_check, NULL};
    struct child_env env;
    if (child_env_init(&env, NULL, NULL, NULL, NULL) < 0)
        return error_set(error, HF_ERR_NO_MEMORY, "check code");
    struct os_spawn spawn = {.argv = argv,
                             .environment = env.list,
                             .stdin_fd = files->code_fd,
                             .stdout_fd = files->answer_fd,
                             .stderr_fd = -1,
                             .extra_fd = -1,
                             .max_open_files = UINT64_MAX,
                             .max_core_bytes = 0,
                             .umask = -1};
    struct os_child child;
    int result = os_spawn(os, &spawn, &child);
    child_env_fini(&env);
    if (result < 0) {
        error_set_errno(error, result, "check code: start '%s'", python);
        if (error)
            error->code = HF_ERR_EXEC;
        error_hint(error, "install Python 3; on Debian: apt-get install python3");
        return HF_ERR_EXEC;
    }
    return wait_for_end(os, &child, error);
}

static int read_answer(const struct os *os, int fd, struct hf_error *error) {
    char text[ANSWER_MAX];
    ssize_t size = file_pread_full(os, fd, text, sizeof text, 0);
    if (size < 0)
        return error_set_errno(error, (int)size, "check code: read the answer");
    JSON_AUTO struct json_doc doc;
    json_init(&doc);
    int code = json_read(&doc, text, (size_t)size, NULL, error);
    if (code < 0)
        return error_wrap(error, code, "check code: read the answer");
    if (json_member_bool(&doc, 0, "ok", 0))
        return 0;
    struct arena arena;
    arena_init(&arena);
    int64_t line = json_member_i64(&doc, 0, "line", 0);
    const char *message = json_member_text(&doc, 0, "message", &arena);
    if (line > 0)
        code = error_set(error, HF_ERR_BAD_DATA, "check code: line %lld: %s", (long long)line, message ? message : "?");
    else
        code = error_set(error, HF_ERR_BAD_DATA, "check code: %s", message ? message : "?");
    arena_fini(&arena);
    return code;
}

int code_check_python(const struct os *os, const char *python, const char *code, size_t code_bytes,
                      struct hf_error *error) {
    if (code_bytes > SOURCE_CODE_MAX)
        return error_set(error, HF_ERR_TOO_LARGE, "check code: it has %zu bytes, and %d are allowed", code_bytes,
                         SOURCE_CODE_MAX);
    struct check_files files = {-1, -1};
    int result = open_files(os, code, code_bytes, &files, error);
    if (result == 0)
        result = run_check(os, python ? python : "python3", &files, error);
    if (result == 0)
        result = read_answer(os, files.answer_fd, error);
    close_files(os, &files);
    return result;
}
