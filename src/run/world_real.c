#include "run/world_real.h"

#include "base/mem.h"
#include "os/process.h"

static struct world_real *real(struct run_world *world) {
    return (struct world_real *)world;
}

static int64_t world_now_ms(struct run_world *world) {
    return os_monotonic_ms(real(world)->os);
}

static int64_t world_wall_ms(struct run_world *world) {
    return os_wall_ms(real(world)->os);
}

static int world_random(struct run_world *world, void *to, size_t bytes) {
    return os_random(real(world)->os, to, bytes) < 0 ? -1 : 0;
}

/* A struct run_timer is a struct loop_timer under another name. */
static int world_timer_new(struct run_world *world, void (*fire)(void *arg), void *arg, struct run_timer **ret_timer) {
    struct loop_timer *timer;
    int code = loop_timer_new(real(world)->loop, fire, arg, &timer);
    if (code == 0)
        *ret_timer = (struct run_timer *)timer;
    return code;
}

static void world_timer_set(struct run_world *world, struct run_timer *timer, int64_t delay_ms) {
    (void)world;
    loop_timer_set((struct loop_timer *)timer, delay_ms);
}

static void world_timer_clear(struct run_world *world, struct run_timer *timer) {
    (void)world;
    loop_timer_clear((struct loop_timer *)timer);
}

static void world_timer_free(struct run_world *world, struct run_timer **timer) {
    struct loop_timer *own = (struct loop_timer *)*timer;
    (void)world;
    loop_timer_free(&own);
    *timer = NULL;
}

static void world_commit(struct run_world *world, struct hf_batch **take_batch, run_commit_done done, void *arg) {
    mailbox_commit(real(world)->mailbox, take_batch, done, arg);
}

static void world_log(struct run_world *world, const char *line) {
    if (real(world)->log)
        real(world)->log(real(world)->log_arg, line);
}

static const struct run_world_ops OPS = {
    .now_ms = world_now_ms,
    .wall_ms = world_wall_ms,
    .random = world_random,
    .timer_new = world_timer_new,
    .timer_set = world_timer_set,
    .timer_clear = world_timer_clear,
    .timer_free = world_timer_free,
    .commit = world_commit,
    .spawn = world_spawn,
    .send = world_send,
    .terminate = world_terminate,
    .kill_tree = world_kill_tree,
    .take_printed = world_take_printed,
    .child_free = world_child_free,
    .end_left = world_end_left,
    .log = world_log,
};

int world_real_new(const struct world_options *options, struct world_real **ret_world, struct hf_error *error) {
    struct world_real *world = MEM_NEW(struct world_real);
    if (!world)
        return error_set(error, HF_ERR_NO_MEMORY, "make the supervisor");
    world->world.ops = &OPS;
    world->os = options->os;
    world->loop = options->loop;
    world->log = options->log;
    world->log_arg = options->log_arg;
    world->data_dir = mem_strdup(options->data_dir ? options->data_dir : "/");
    world->python = mem_strdup(options->python ? options->python : "python3");
    int code = world->data_dir && world->python ? 0 : error_set(error, HF_ERR_NO_MEMORY, "make the supervisor");
    if (code == 0)
        code = mailbox_new(options->os, options->loop, options->store, &world->mailbox, error);
    if (code < 0) {
        world_real_free(&world);
        return code;
    }
    if (cgroup_root_open(options->os, world->data_dir, &world->cgroups, NULL) < 0)
        world->cgroups = NULL; /* trees are found by their nonce then */
    *ret_world = world;
    return 0;
}

void world_real_free(struct world_real **address) {
    struct world_real *world = *address;
    if (!world)
        return;
    mailbox_free(&world->mailbox);
    cgroup_root_close(&world->cgroups);
    mem_free(world->data_dir);
    mem_free(world->python);
    mem_free(world);
    *address = NULL;
}
