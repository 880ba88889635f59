/* The body must find what is wrong: backends that each break one promise, and that it has to refuse. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conform.h"

static struct store_backend_ops bad;

static int bad_open(const struct os *os, const char *rest, const struct hf_store_options *options,
                    struct store_backend **ret_backend, uint64_t *ret_revision, struct hf_error *error) {
    int code = store_memory_ops.open(os, rest, options, ret_backend, ret_revision, error);
    if (code == 0)
        (*ret_backend)->ops = &bad;
    return code;
}

static int forget_commit(struct store_backend *backend, struct hf_error *error) {
    (void)error;
    store_memory_ops.abort(backend);
    return 0;
}

static void abort_that_commits(struct store_backend *backend) {
    (void)store_memory_ops.commit(backend, NULL);
}

static int get_without_transaction(struct store_backend *backend, enum store_view view, const char *kind,
                                   const char *id, int head_only, struct hf_record **ret_record,
                                   struct hf_error *error) {
    (void)view;
    return store_memory_ops.get(backend, STORE_COMMITTED, kind, id, head_only, ret_record, error);
}

static int put_without_history(struct store_backend *backend, const struct store_change *change,
                               struct hf_error *error) {
    struct store_change less = *change;
    less.history_keep = less.history_keep > 1 ? less.history_keep - 1 : less.history_keep;
    return store_memory_ops.put(backend, &less, error);
}

static int put_with_new_creation(struct store_backend *backend, const struct store_change *change,
                                 struct hf_error *error) {
    struct store_change other = *change;
    other.created_ms = change->created_ms - (int64_t)change->revision;
    return store_memory_ops.put(backend, &other, error);
}

static int scan_from_the_beginning(struct store_backend *backend, const struct store_range *range,
                                   hf_record_visit visit, void *arg, struct hf_error *error) {
    struct store_range other = *range;
    other.after_id = NULL;
    return store_memory_ops.scan(backend, &other, visit, arg, error);
}

static int events_one_too_early(struct store_backend *backend, uint64_t since, uint64_t limit, hf_event_visit visit,
                                void *arg, struct hf_error *error) {
    return store_memory_ops.events(backend, since ? since - 1 : 0, limit, visit, arg, error);
}

static int trim_nothing(struct store_backend *backend, uint64_t keep, struct hf_error *error) {
    (void)backend, (void)keep, (void)error;
    return 0;
}

static int trim_too_much(struct store_backend *backend, uint64_t keep, struct hf_error *error) {
    return store_memory_ops.trim_events(backend, keep - 1, error);
}

/* The body's verdict in a process of its own: its failures are not this program's. */
static int is_accepted(int is_failing) {
    bad.open = bad_open;
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct conform target = {.ops = &bad, .is_failing = is_failing};
        int null = open("/dev/null", O_WRONLY);
        dup2(null, STDOUT_FILENO);
        dup2(null, STDERR_FILENO);
        _exit(conform_run(&target) == 0 ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    bad = store_memory_ops;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void what_is_not_broken(void **state) {
    (void)state;
    bad = store_memory_ops;
    assert_true(is_accepted(0));
}

#define BAD(name, member, value, is_failing)                                                                           \
    static void name(void **state) {                                                                                   \
        (void)state;                                                                                                   \
        bad = store_memory_ops;                                                                                        \
        bad.member = (value);                                                                                          \
        assert_false(is_accepted(is_failing));                                                                         \
    }

BAD(a_commit_that_is_forgotten, commit, forget_commit, 0)
BAD(an_abort_that_commits, abort, abort_that_commits, 1)
BAD(a_transaction_that_does_not_see_itself, get, get_without_transaction, 0)
BAD(a_history_that_is_too_short, put, put_without_history, 0)
BAD(a_creation_time_that_changes, put, put_with_new_creation, 0)
BAD(a_scan_that_begins_anew, scan, scan_from_the_beginning, 0)
BAD(events_that_come_twice, events, events_one_too_early, 0)
BAD(events_that_are_never_trimmed, trim_events, trim_nothing, 0)
BAD(events_that_are_trimmed_too_much, trim_events, trim_too_much, 0)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_broken),
        cmocka_unit_test(a_commit_that_is_forgotten),
        cmocka_unit_test(an_abort_that_commits),
        cmocka_unit_test(a_transaction_that_does_not_see_itself),
        cmocka_unit_test(a_history_that_is_too_short),
        cmocka_unit_test(a_creation_time_that_changes),
        cmocka_unit_test(a_scan_that_begins_anew),
        cmocka_unit_test(events_that_come_twice),
        cmocka_unit_test(events_that_are_never_trimmed),
        cmocka_unit_test(events_that_are_trimmed_too_much),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
