/* What one run of a python source costs: from the request to the reply that was read; held against a line there and
 * back over a pipe to a python that reads it as JSON and writes it as JSON. And the same with its commit; held against
 * that line and one write of as many bytes with fdatasync, into space that was written before. They take turns, so that
 * all meet the same machine. One line for each measure: name value unit limit ratio (ratio: how often slower than the
 * limit). */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "measure.h"

#include "base/json.h"
#include "run/life.h"
#include "run/source.h"
#include "run/source_store.h"
#include "run/world_real.h"
#include "store/store.h"

enum { ROUNDS = 5, TICKS = 2000, COMMITTED_TICKS = 500, WARM_TICKS = 100 };

static const char ECHO[] = "import json, sys\nfor line in sys.stdin:\n"
                           "    sys.stdout.write(json.dumps(json.loads(line)) + '\\n')\n    sys.stdout.flush()\n";
static const char SOURCE[] = "import time\ndef fetch_data():\n    return {'timestamp': time.time(), 'value': 42}\n";

static double now_us(void) {
    return seconds_now() * 1e6;
}

/* ---- the limit: a pipe there and a pipe back --------------------------------------------------------------------- */

struct echo {
    int to, from;
    struct os_child child;
};

static void echo_open(struct echo *echo) {
    int there[2], back[2];
    must(pipe2(there, O_CLOEXEC) == 0 && pipe2(back, O_CLOEXEC) == 0, "make a pipe");
    const char *argv[] = {"/usr/bin/env", "python3", "-c", ECHO, NULL};
    const char *env[] = {"PATH=/usr/local/bin:/usr/bin:/bin", NULL};
    struct os_spawn spawn = {.argv = argv,
                             .environment = env,
                             .stdin_fd = there[0],
                             .stdout_fd = back[1],
                             .stderr_fd = 2,
                             .extra_fd = -1,
                             .max_open_files = UINT64_MAX,
                             .max_core_bytes = UINT64_MAX,
                             .umask = -1};
    must(os_spawn(os_real(), &spawn, &echo->child) == 0, "start python3");
    close(there[0]);
    close(back[1]);
    echo->to = there[1];
    echo->from = back[0];
}

static double echo_us(const struct echo *echo, int count) {
    static const char LINE[] = "{\"timestamp\":1700000000.123456,\"value\":42}\n";
    char back[256];
    double began = now_us();
    for (int i = 0; i < count; i++) {
        must(write(echo->to, LINE, sizeof LINE - 1) == sizeof LINE - 1, "write to the echo");
        must(read(echo->from, back, sizeof back) > 0, "read the echo");
    }
    return (now_us() - began) / count;
}

static void echo_close(struct echo *echo) {
    int status;
    close(echo->to);
    close(echo->from);
    struct pollfd ended = {.fd = echo->child.pidfd, .events = POLLIN};
    (void)poll(&ended, 1, -1);
    (void)os_reap(os_real(), echo->child.pidfd, &status);
    close(echo->child.pidfd);
}

/* One write with fdatasync, round and round in a file that is there. */
static double write_us(int count, size_t bytes) {
    enum { PLACES = 64 };
    char block[4096];
    int fd = open("tick.log", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    must(fd >= 0 && bytes <= sizeof block, "open a file");
    memset(block, 'x', sizeof block);
    for (int i = 0; i < PLACES; i++)
        must(pwrite(fd, block, sizeof block, (off_t)i * (off_t)sizeof block) == sizeof block, "write");
    must(fsync(fd) == 0, "sync");
    double began = now_us();
    for (int i = 0; i < count; i++)
        must(pwrite(fd, block, bytes, (off_t)(i % PLACES) * (off_t)sizeof block) > 0 && fdatasync(fd) == 0, "write");
    double us = (now_us() - began) / count;
    close(fd);
    return us;
}

/* ---- a worker, driven as a life drives it: a request, the reply read, what was printed taken ----------------------
 */

struct tick {
    struct loop *loop;
    struct world_real *world;
    struct run_child *child;
    struct hf_store *store;
    int64_t number;
    int left, with_commit, is_over;
    size_t committed_bytes; /* of one run */
    struct run_result result;
};

static void ask(struct tick *tick) {
    char line[64];
    run_result_clear(&tick->result);
    tick->result.number = ++tick->number;
    int size = snprintf(line, sizeof line, "{\"run\":%lld}\n", (long long)tick->number);
    must(world_send(&tick->world->world, tick->child, line, (size_t)size) == 0, "write to the worker");
}

static void next(struct tick *tick) {
    if (--tick->left > 0)
        ask(tick);
    else
        loop_stop(tick->loop);
}

static void committed(void *arg, int code, uint64_t revision, const struct hf_error *error) {
    (void)revision;
    must(code == 0, error->message);
    next(arg);
}

/* The batch of a finished run: state, run and datum. */
static void commit(struct tick *tick) {
    struct source_state state;
    struct hf_batch *batch = NULL;
    struct buf json[3];
    for (int i = 0; i < 3; i++)
        buf_init(&json[i]);
    source_state_init(&state);
    state.status = STATUS_RUNNING;
    state.run_count = tick->number;
    struct json_writer writer;
    json_writer_init(&writer, &json[0], 0);
    json_begin_object(&writer);
    source_state_write(&state, &writer);
    json_end_object(&writer);
    run_result_write_run(&tick->result, "p", &json[1]);
    run_result_write_data(&tick->result, "p", &json[2]);
    static const char *const KINDS[] = {"source_state", "source_run", "source_data"};
    tick->committed_bytes = json[0].size + json[1].size + json[2].size;
    must(hf_batch_new("bench", &batch, NULL) == 0, "make a batch");
    for (int i = 0; i < 3; i++) {
        must(hf_batch_put(batch, KINDS[i], "p", json[i].data, json[i].size, NULL, NULL) == 0, "make a batch");
        buf_fini(&json[i]);
    }
    mailbox_commit(tick->world->mailbox, &batch, committed, tick);
}

static void replied(void *arg, const char *line, size_t bytes) {
    struct tick *tick = arg;
    struct hf_error error;
    struct run_printed printed;
    must(line && run_result_from_reply(&tick->result, line, bytes, &error) == 0, "read the reply");
    must(tick->result.outcome == RUN_OK, "the run");
    run_printed_init(&printed);
    world_take_printed(&tick->world->world, tick->child, &printed);
    run_printed_fini(&printed);
    if (tick->with_commit)
        commit(tick);
    else
        next(tick);
}

static void exited(void *arg, const struct run_exit *end) {
    struct tick *tick = arg;
    (void)end;
    tick->is_over = 1;
    loop_stop(tick->loop);
}

static double tick_us(struct tick *tick, int count, int with_commit) {
    tick->left = count;
    tick->with_commit = with_commit;
    double began = now_us();
    ask(tick);
    loop_run(tick->loop);
    must(!tick->is_over, "the worker");
    return (now_us() - began) / count;
}

static void tick_open(struct tick *tick) {
    struct hf_error error;
    struct source_spec *spec = NULL;
    struct process_identity identity;
    must(hf_store_open("sqlite:tick.db", NULL, &tick->store, &error) == 0, "open the store");
    must(source_declare_kinds(tick->store, &error) == 0, "declare kinds");
    must(loop_new(os_real(), &tick->loop, &error) == 0, "make a loop");
    struct world_options options = {.os = os_real(), .loop = tick->loop, .store = tick->store, .data_dir = "/"};
    must(world_real_new(&options, &tick->world, &error) == 0, "make a world");
    must(source_spec_new("p", SOURCE_PYTHON, &spec, &error) == 0, "make a source");
    struct run_spawn spawn = {.spec = spec,
                              .nonce = "0123456789abcdef0123456789abcdef",
                              .code = SOURCE,
                              .code_bytes = sizeof SOURCE - 1,
                              .replied = replied,
                              .exited = exited,
                              .arg = tick};
    must(world_spawn(&tick->world->world, &spawn, &tick->child, &identity, &error) == 0, "start a worker");
    source_spec_free(&spec);
    run_result_init(&tick->result);
}

static void tick_close(struct tick *tick) {
    world_kill_tree(&tick->world->world, tick->child);
    loop_run(tick->loop);
    world_child_free(&tick->world->world, &tick->child);
    run_result_fini(&tick->result);
    world_real_free(&tick->world);
    hf_store_close(&tick->store);
    loop_free(&tick->loop);
}

static void report_us(const char *name, double values[ROUNDS], double limits[ROUNDS]) {
    double value = median(values, ROUNDS), limit = median(limits, ROUNDS);
    report(name, value, "us", limit, value / limit);
}

int main(void) {
    struct echo echo;
    struct tick tick = {.number = 0};
    double limit[ROUNDS], durable_limit[ROUNDS], bare[ROUNDS], durable[ROUNDS];
    echo_open(&echo);
    tick_open(&tick);
    (void)echo_us(&echo, WARM_TICKS);
    (void)tick_us(&tick, WARM_TICKS, 1);
    for (int i = 0; i < ROUNDS; i++) {
        limit[i] = echo_us(&echo, TICKS);
        bare[i] = tick_us(&tick, TICKS, 0);
        durable_limit[i] = limit[i] + write_us(COMMITTED_TICKS, tick.committed_bytes);
        durable[i] = tick_us(&tick, COMMITTED_TICKS, 1);
    }
    report_us("python_tick", bare, limit);
    report_us("python_tick_committed", durable, durable_limit);
    echo_close(&echo);
    tick_close(&tick);
    return 0;
}
