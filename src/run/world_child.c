#include "run/world_child.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "os/channel.h"
#include "run/child_env.h"
#include "run_assets.h"

enum { LOOK_MS = 10, LOOKS_MAX = 500, REPLY_ROOM = 1024 * 1024, PATH_ROOM = 4096 };

/* ---- the end ---------------------------------------------------------------------------------------------------- */

static int tree_is_gone(struct run_child *child) {
    struct world_real *world = child->world;
    if (!world->cgroups)
        return world_kill_by_nonce(world, child->nonce) == 0;
    if (cgroup_is_empty(world->cgroups, child->nonce))
        return 1;
    (void)cgroup_kill(world->cgroups, child->nonce, NULL);
    return 0;
}

/* The child has ended; what it began ends with it. Only then is it over. */
static void look_for_tree(void *arg) {
    struct run_child *child = arg;
    int is_gone = tree_is_gone(child);
    if (!is_gone && child->looks++ < LOOKS_MAX) {
        loop_timer_set(child->look_timer, LOOK_MS);
        return;
    }
    child_drain(child);
    struct run_exit end = {.tree_left = !is_gone};
    if (WIFSIGNALED(child->wait_status))
        end.signal = WTERMSIG(child->wait_status);
    else
        end.exit_code = WEXITSTATUS(child->wait_status);
    child->exited(child->arg, &end); /* frees the child */
}

/* The group is ended before its leader is reaped: until then the number cannot be anybody else's. */
static void child_ended(void *arg) {
    struct run_child *child = arg;
    const struct os *os = child->world->os;
    os_group_signal(os, child->pid, SIGKILL);
    int result = os_reap(os, child->pidfd, &child->wait_status);
    if (result == 0)
        return;
    child->is_reaped = 1;
    loop_watch_free(&child->exit_watch);
    if (child->is_worker)
        child_channel_ready(child); /* its last words */
    look_for_tree(child);
}

void world_terminate(struct run_world *world, struct run_child *child) {
    (void)world;
    if (!child->is_reaped)
        os_group_signal(child->world->os, child->pid, SIGTERM);
}

void world_kill_tree(struct run_world *base, struct run_child *child) {
    struct world_real *world = (struct world_real *)base;
    if (world->cgroups)
        (void)cgroup_kill(world->cgroups, child->nonce, NULL);
    if (child->is_reaped)
        return; /* the rest of the tree is looked for already */
    os_pidfd_signal(world->os, child->pidfd, SIGKILL);
    os_group_signal(world->os, child->pid, SIGKILL);
}

void world_child_free(struct run_world *base, struct run_child **address) {
    struct world_real *world = (struct world_real *)base;
    struct run_child *child = *address;
    if (!child)
        return;
    if (!child->is_reaped && child->pid > 0) {
        world_kill_tree(base, child);
        if (!world->cgroups)
            (void)world_kill_by_nonce(world, child->nonce);
        os_reap(world->os, child->pidfd, &child->wait_status);
    }
    if (child->exit_watch)
        loop_watch_free(&child->exit_watch);
    if (child->look_timer)
        loop_timer_free(&child->look_timer);
    child_pipe_close(child, &child->out);
    child_pipe_close(child, &child->err);
    child_pipe_close(child, &child->channel);
    if (child->pidfd >= 0)
        os_close(world->os, child->pidfd);
    if (world->cgroups)
        cgroup_remove(world->cgroups, child->nonce);
    output_fini(&child->tail);
    buf_fini(&child->datum);
    buf_fini(&child->line);
    mem_free(child);
    *address = NULL;
}

/* ---- talk ------------------------------------------------------------------------------------------------------- */

int world_send(struct run_world *world, struct run_child *child, const char *line, size_t bytes) {
    (void)world;
    if (child->channel.fd < 0)
        return -1;
    return channel_send(child->channel.fd, line, bytes) < 0 ? -1 : 0;
}

void world_take_printed(struct run_world *world, struct run_child *child, struct run_printed *ret_printed) {
    (void)world;
    child_drain(child);
    output_tail(&child->tail, &ret_printed->tail);
    ret_printed->dropped_bytes = output_dropped(&child->tail);
    ret_printed->is_too_large = child->is_too_large;
    ret_printed->datum = child->datum;
    buf_init(&child->datum);
    child->is_too_large = 0;
    output_clear(&child->tail);
}

/* ---- the beginning ---------------------------------------------------------------------------------------------- */

/* The descriptors of one spawn: the child's ends are closed when it has them. */
struct spawn_fds {
    int in, out, err, channel;
};

static int make_fds(struct run_child *child, const struct run_spawn *spawn, struct spawn_fds *fds) {
    int result = channel_make_pipe(&child->out.fd, &fds->out);
    if (result == 0 && !child->is_worker)
        result = channel_make_pipe(&child->err.fd, &fds->err);
    if (result == 0 && child->is_worker)
        result = channel_make_pair(&child->channel.fd, &fds->channel);
    if (result == 0 && child->is_worker)
        result = channel_make_file(child->world->os, "code", spawn->code, spawn->code_bytes, &fds->in);
    if (result == 0 && !channel_leaves_reserve(child->is_worker ? fds->in : fds->err))
        result = -EMFILE;
    return result;
}

static void close_fds(const struct os *os, struct spawn_fds *fds) {
    int *all[] = {&fds->in, &fds->out, &fds->err, &fds->channel};
    for (int i = 0; i < 4; i++) {
        if (*all[i] >= 0)
            os_close(os, *all[i]);
        *all[i] = -1;
    }
}

/* What an exec says that will say the same the next time. */
static int cannot_heal(int result) {
    switch (-result) {
    case ENOENT:
    case EACCES:
    case EPERM:
    case ENOEXEC:
    case ENOTDIR:
    case EISDIR:
    case ELOOP:
    case ENAMETOOLONG:
    case E2BIG:
    case EINVAL:
        return 1;
    default:
        return 0;
    }
}

static int spawn_error(const struct os *os, int result, const char *program, const char *folder,
                       struct hf_error *error) {
    struct stat stat;
    const char *what = "start", *subject = program;
    if (os_stat_at(os, AT_FDCWD, folder, &stat) < 0) {
        what = "enter folder";
        subject = folder;
    }
    int code = error_set_errno(error, result, "%s '%s'", what, subject);
    if (!cannot_heal(result))
        return code;
    error->code = HF_ERR_EXEC;
    return HF_ERR_EXEC;
}

static int start_process(struct run_child *child, const struct run_spawn *spawn, const struct spawn_fds *fds,
                         struct hf_error *error) {
    struct world_real *world = child->world;
    const struct source_spec *spec = spawn->spec;
    char limit[24], procs[PATH_ROOM] = "";
    snprintf(limit, sizeof limit, "%lld", (long long)spec->data_bytes);
    const char *worker[] = {world->python, "-u", "-c", (const char *)run_worker, spec->name, limit, NULL};
    if (world->cgroups && cgroup_make(world->cgroups, spawn->nonce, procs, sizeof procs, NULL) < 0)
        procs[0] = '\0';
    struct child_env env;
    if (child_env_init(&env, spec->env, spec->name, spawn->nonce, world->data_dir) < 0)
        return error_set(error, HF_ERR_NO_MEMORY, "start source '%s'", spec->name);
    struct os_spawn request = {.argv = child->is_worker ? worker : spec->argv,
                               .environment = env.list,
                               .folder = spec->cwd,
                               .stdin_fd = fds->in,
                               .stdout_fd = fds->out,
                               .stderr_fd = child->is_worker ? fds->out : fds->err,
                               .extra_fd = fds->channel,
                               .cgroup_procs = procs[0] ? procs : NULL,
                               .max_open_files = UINT64_MAX,
                               .max_core_bytes = UINT64_MAX,
                               .umask = -1};
    struct os_child started = {.pid = 0, .pidfd = -1};
    int result = os_spawn(world->os, &request, &started);
    child_env_fini(&env);
    if (result < 0)
        return spawn_error(world->os, result, request.argv[0], spec->cwd, error);
    child->pid = started.pid;
    child->pidfd = started.pidfd;
    return 0;
}

static int watch_all(struct run_child *child) {
    struct loop *loop = child->world->loop;
    int code = loop_timer_new(loop, look_for_tree, child, &child->look_timer);
    if (code == 0)
        code = loop_watch_new(loop, child->pidfd, child_ended, child, &child->exit_watch);
    if (code == 0)
        code = child_watch(child, &child->out, child_out_ready);
    if (code == 0 && child->err.fd >= 0)
        code = child_watch(child, &child->err, child_err_ready);
    if (code == 0 && child->channel.fd >= 0)
        code = child_watch(child, &child->channel, child_channel_ready);
    return code;
}

static struct run_child *new_child(struct world_real *world, const struct run_spawn *spawn) {
    struct run_child *child = MEM_NEW(struct run_child);
    if (!child)
        return NULL;
    child->world = world;
    child->replied = spawn->replied;
    child->exited = spawn->exited;
    child->arg = spawn->arg;
    child->pidfd = child->out.fd = child->err.fd = child->channel.fd = -1;
    child->is_worker = spawn->code != NULL;
    child->datum_limit = (size_t)spawn->spec->data_bytes;
    child->line_limit = child->datum_limit + REPLY_ROOM;
    snprintf(child->nonce, sizeof child->nonce, "%s", spawn->nonce);
    output_init(&child->tail, (size_t)spawn->spec->output_bytes);
    return child;
}

/* One that ended at once has no more than its number; the nonce will do. */
static void identify(struct run_child *child, struct process_identity *ret_identity) {
    const struct os *os = child->world->os;
    *ret_identity = (struct process_identity){.pid = child->pid};
    if (process_identify(os, child->pid, ret_identity, NULL) < 0)
        (void)process_boot_id(os, ret_identity->boot_id, NULL);
    snprintf(ret_identity->nonce, sizeof ret_identity->nonce, "%s", child->nonce);
}

int world_spawn(struct run_world *base, const struct run_spawn *spawn, struct run_child **ret_child,
                struct process_identity *ret_identity, struct hf_error *error) {
    struct world_real *world = (struct world_real *)base;
    struct spawn_fds fds = {-1, -1, -1, -1};
    struct run_child *child = new_child(world, spawn);
    if (!child)
        return error_set(error, HF_ERR_NO_MEMORY, "start source '%s'", spawn->spec->name);
    int result = make_fds(child, spawn, &fds), code = 0;
    if (result < 0)
        code = error_set_errno(error, result, "make the pipes of source '%s'", spawn->spec->name);
    if (code == 0)
        code = start_process(child, spawn, &fds, error);
    close_fds(world->os, &fds);
    if (code == 0 && watch_all(child) < 0)
        code = error_set(error, HF_ERR_NO_MEMORY, "watch source '%s'", spawn->spec->name);
    if (code < 0) {
        world_child_free(base, &child);
        return code;
    }
    identify(child, ret_identity);
    *ret_child = child;
    return 0;
}
