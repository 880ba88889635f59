/* The state file of `holdfast run`, on a simulated disk whose n-th call fails, for every n: what the command left, and
 * what stood in a file that a person named, is somewhere whole, and is told where; the next run's file is right. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cmd/run.h"
#include "os/file.h"
#include "sim/sim_disk.h"

#define STATE "{\"n\":1}"
#define STALE "{\"n\":0,\"of\":\"somebody else\"}"
#define FRESH "{\"n\":2}"
#define NAMED "/home/feed.json"

struct desk {
    struct sim_disk *disk;
    struct sim_process *outside, *inside;
    struct os_fault *fault;
    struct command_invocation invocation;
    struct run run;
    struct hf_error error;
};

static void run_begin_at(struct desk *desk, uint64_t fence, const char *named) {
    struct run *run = &desk->run;
    *run = (struct run){.invocation = &desk->invocation,
                        .os = os_fault_os(desk->fault),
                        .name = "feed",
                        .named_file = named,
                        .fence = fence,
                        .has_state = 1};
    arena_init(&run->arena);
    buf_init(&run->state);
    buf_init(&run->fresh);
    buf_init(&run->why);
    run->id = arena_printf(&run->arena, "feed@%" PRIu64, fence);
    buf_add(&run->state, STATE, strlen(STATE));
}

static void run_fini(struct desk *desk) {
    buf_fini(&desk->run.state);
    buf_fini(&desk->run.fresh);
    buf_fini(&desk->run.why);
    arena_fini(&desk->run.arena);
}

static void desk_init(struct desk *desk) {
    *desk = (struct desk){.disk = sim_disk_new(5)};
    desk->outside = sim_process_new(desk->disk);
    desk->inside = sim_process_new(desk->disk);
    desk->invocation.globals.data_dir = "/data";
    desk->invocation.globals.quiet = 1;
    assert_int_equal(os_fault_new(sim_process_os(desk->inside), &desk->fault), 0);
    assert_int_equal(file_make_folders(sim_process_os(desk->outside), "/home", 0755, NULL), 0);
}

static void desk_fini(struct desk *desk) {
    run_fini(desk);
    assert_int_equal(sim_process_open_files(desk->inside), 0);
    os_fault_free(&desk->fault);
    sim_process_free(&desk->inside);
    sim_process_free(&desk->outside);
    sim_disk_free(&desk->disk);
}

/* What the command, or a person, does. */
static void write_outside(struct desk *desk, const char *path, const char *text) {
    const struct os *os = sim_process_os(desk->outside);
    int fd = os_open(os, AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0)
        fail_msg("write '%s': %s", path, strerror(-fd));
    assert_int_equal(file_pwrite_full(os, fd, text, strlen(text), 0), 0);
    os_close(os, fd);
}

static int has(struct desk *desk, const char *path, const char *text) {
    struct buf BUF_AUTO bytes;
    buf_init(&bytes);
    return path && file_read(sim_process_os(desk->outside), AT_FDCWD, path, 1 << 20, &bytes, NULL) == 0 &&
           strcmp(buf_text(&bytes), text) == 0;
}

struct search {
    struct desk *desk;
    const char *text;
    int found;
};

static int look_into(void *arg, int dir_fd, const char *name, const char *path, const struct stat *stat) {
    struct search *search = arg;
    struct buf BUF_AUTO bytes;
    (void)path;
    buf_init(&bytes);
    if (S_ISREG(stat->st_mode) &&
        file_read(sim_process_os(search->desk->outside), dir_fd, name, 1 << 20, &bytes, NULL) == 0)
        search->found |= strcmp(buf_text(&bytes), search->text) == 0;
    return 0;
}

/* Anywhere. */
static int is_kept(struct desk *desk, const char *text) {
    static const char *const FOLDERS[] = {"/data", "/home"};
    const struct os *os = sim_process_os(desk->outside);
    struct search search = {.desk = desk, .text = text};
    for (size_t i = 0; i < 2; i++) {
        int fd = -1;
        assert_int_equal(file_open_folder(os, AT_FDCWD, FOLDERS[i], &fd, NULL), 0);
        assert_int_equal(file_walk(os, fd, look_into, &search, NULL), 0);
        os_close(os, fd);
    }
    return search.found;
}

static void heal(struct desk *desk) {
    os_fault_set(desk->fault, &(struct os_fault_plan){.fail_at = 0});
}

/* ---- one run, whose command leaves a state that is refused or taken ---- */

struct story {
    const char *named; /* NULL: a private file */
    const char *left;  /* by the command */
};

/* As run.c ends it. */
static void end(struct desk *desk, const struct story *story) {
    struct run *run = &desk->run;
    int is_changed = 0, is_good = strcmp(story->left, FRESH) == 0;
    int code = run_file_take(run, &run->fresh, &is_changed, &desk->error);
    int is_taken = code == 0 && is_changed;
    if (is_taken)
        assert_string_equal(buf_text(&run->fresh), story->left);
    assert_true(code != 0 || (is_changed && is_good));
    if (code != 0)
        run_file_reject(run);
    if (code != 0 && !has(desk, run->kept_at, story->left))
        fail_msg("what the command left is not where it is told to be: %s", run->kept_at ? run->kept_at : "nowhere");
    run_file_remove(run, is_taken);
    if (!is_taken && !has(desk, run->kept_at, story->left))
        fail_msg("what the command left is gone in the end");
}

static uint64_t live(const struct story *story, const struct os_fault_plan *plan) {
    struct desk desk;
    desk_init(&desk);
    if (story->named)
        write_outside(&desk, story->named, STALE);
    run_begin_at(&desk, 7, story->named);
    os_fault_set(desk.fault, plan);
    int code = run_file_put(&desk.run, &desk.error);
    if (story->named && !is_kept(&desk, STALE))
        fail_msg("what stood in the named file is gone");
    if (code == 0) {
        assert_true(has(&desk, desk.run.path, STATE));
        write_outside(&desk, desk.run.path, story->left);
        end(&desk, story);
    } else {
        assert_true(plan->fail_at > 0);
        assert_true(desk.error.code == code && desk.error.message[0]);
        run_file_remove(&desk.run, 0);
    }
    if (story->named && !is_kept(&desk, STALE))
        fail_msg("what stood in the named file is gone in the end");
    uint64_t calls = os_fault_calls(desk.fault);
    heal(&desk);
    run_fini(&desk);
    run_begin_at(&desk, 8, story->named);
    if (run_file_put(&desk.run, &desk.error) != 0)
        fail_msg("with the fault gone: %s", desk.error.message);
    assert_true(has(&desk, desk.run.path, STATE));
    desk_fini(&desk);
    return calls;
}

static void sweep(const struct story *story) {
    static const int ERRORS[] = {ENOSPC, EIO, EACCES, EROFS, EMFILE, ENOMEM, EINTR, 0};
    uint64_t calls = live(story, &(struct os_fault_plan){.fail_at = 0}), runs = 0;
    for (size_t i = 0; i < sizeof ERRORS / sizeof ERRORS[0]; i++)
        for (int once = ERRORS[i] == EINTR; once < 2; once++)
            for (uint64_t at = 1; at <= calls; at++, runs++)
                live(story, &(struct os_fault_plan){.fail_at = at, .once = once, .error = ERRORS[i]});
    printf("# %" PRIu64 " runs over %" PRIu64 " calls\n", runs, calls);
    assert_true(calls > 5);
}

static void test_private_file_taken(void **state) {
    (void)state;
    sweep(&(struct story){.left = FRESH});
}

static void test_private_file_refused(void **state) {
    (void)state;
    sweep(&(struct story){.left = "{\"n\":2"});
}

static void test_named_file_taken(void **state) {
    (void)state;
    sweep(&(struct story){.named = NAMED, .left = FRESH});
}

static void test_named_file_refused(void **state) {
    (void)state;
    sweep(&(struct story){.named = NAMED, .left = "{\"n\":2"});
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_private_file_taken),
        cmocka_unit_test(test_private_file_refused),
        cmocka_unit_test(test_named_file_taken),
        cmocka_unit_test(test_named_file_refused),
    };
    return cmocka_run_group_tests_name("cmd/run_file", tests, NULL, NULL);
}
