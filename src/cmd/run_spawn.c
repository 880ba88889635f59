/* The command of a run as a process: where it stands, what it inherits. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "cmd/run.h"
#include "os/process.h"
#include "run/child_env.h"

enum { VARIABLES = 8 };

static int make_environment(struct run *run, struct child_env *ret_env, struct hf_error *error) {
    const struct command_globals *globals = &run->invocation->globals;
    struct arena *arena = &run->arena;
    const char *own[VARIABLES] = {
        arena_printf(arena, "HOLDFAST_STATE=%s", run->name),
        arena_printf(arena, "HOLDFAST_STATE_FILE=%s", run->path),
        arena_printf(arena, "HOLDFAST_RUN_ID=%s", run->id),
        arena_printf(arena, "HOLDFAST_FENCE=%llu", (unsigned long long)run->fence),
        arena_printf(arena, "HOLDFAST_SCHEDULED_AT=%s", run->scheduled_at),
        arena_printf(arena, "HOLDFAST_SOCKET=%s", globals->socket_path),
        arena_printf(arena, "HOLDFAST_DATA=%s", globals->data_dir),
    };
    int is_whole = 1;
    for (int i = 0; i < VARIABLES - 1; i++)
        is_whole = is_whole && own[i];
    return is_whole && child_env_init_whole(ret_env, own) == 0 ? 0 : error_no_memory(error);
}

static int spawn_error(int result, const char *program, struct hf_error *error) {
    int may_pass = result == -ENOMEM || result == -EAGAIN || result == -EMFILE || result == -ENFILE;
    int code = error_set_errno(error, result, "start '%s'", program);
    if (!may_pass && error)
        error->code = HF_ERR_EXEC;
    return may_pass ? code : HF_ERR_EXEC;
}

/* One that we were started without, the command gets as /dev/null. */
static int standard(int fd) {
    return fcntl(fd, F_GETFD) >= 0 ? fd : -1;
}

static int spawn_one(struct run_crew *crew, const char *const *argv, const struct child_env *env, int in, int out,
                     struct hf_error *error) {
    struct os_spawn spawn = {.argv = argv,
                             .environment = env->list,
                             .stdin_fd = in,
                             .stdout_fd = out,
                             .stderr_fd = standard(STDERR_FILENO),
                             .extra_fd = -1,
                             .max_open_files = UINT64_MAX,
                             .max_core_bytes = UINT64_MAX,
                             .umask = -1,
                             .stays_in_place = 1,
                             .dies_with_caller = 1};
    int result = os_spawn(crew->run->os, &spawn, &crew->children[crew->count]);
    if (result < 0)
        return spawn_error(result, argv[0], error);
    crew->pids[crew->count] = crew->children[crew->count].pid;
    crew->count++;
    return 0;
}

static void close_pipe(const struct os *os, int fd) {
    if (fd > STDERR_FILENO)
        (void)os_close(os, fd);
}

int run_spawn(struct run_crew *crew, const char *const *const *commands, size_t count, struct hf_error *error) {
    struct run *run = crew->run;
    struct child_env env = {0};
    int code = make_environment(run, &env, error);
    int in = standard(STDIN_FILENO);
    for (size_t i = 0; code == 0 && i < count; i++) {
        int ends[2] = {-1, standard(STDOUT_FILENO)};
        if ((i + 1 < count || crew->stream) && pipe2(ends, O_CLOEXEC) != 0) {
            code = error_set_errno(error, -errno, "make a pipe");
            break;
        }
        code = spawn_one(crew, commands[i], &env, in, ends[1], error);
        close_pipe(run->os, in);
        close_pipe(run->os, ends[1]);
        in = ends[0];
    }
    if (crew->stream && code == 0 && fcntl(in, F_SETFL, O_NONBLOCK) == 0)
        crew->stream->in_fd = in;
    else
        close_pipe(run->os, in);
    child_env_fini(&env);
    return code == 0 ? 0 : error_wrap(error, code, "run '%s'", run->id);
}
