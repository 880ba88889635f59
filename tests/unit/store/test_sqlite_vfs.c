/* The file layer: other processes beside us, crashes, and calls that fail. */
#include "store/sqlite_fixture.h"

#include <errno.h>
#include <signal.h>

#include "os/file.h"
#include "store/sqlite_vfs.h"

static void a_shell_reads_while_we_write(void **state) {
    struct fixture *fixture = *state;
    char out[256];
    fixture_open(fixture);
    for (int i = 0; i < 5; i++) {
        char id[16], count[16];
        snprintf(id, sizeof id, "r%d", i);
        fixture_put(fixture, "thing", id, "{\"a\":1}");
        snprintf(count, sizeof count, "%d", i + 1);
        assert_int_equal(fixture_shell(fixture, "SELECT count(*) FROM record", out, sizeof out), 0);
        assert_string_equal(out, count);
    }
}

static void a_shell_cannot_write(void **state) {
    struct fixture *fixture = *state;
    char out[256];
    fixture_open(fixture);
    fixture_put(fixture, "thing", "one", "{}");
    assert_int_not_equal(fixture_shell(fixture, "DELETE FROM record", out, sizeof out), 0);
    assert_non_null(strstr(out, "database is locked"));
    fixture_expect(fixture, "thing", "one", "{}");
    fixture_close(fixture);
    assert_int_equal(fixture_shell(fixture, "DELETE FROM record", out, sizeof out), 0); /* nobody owns it now */
}

static void a_shell_that_ends_leaves_the_wal(void **state) {
    struct fixture *fixture = *state;
    char out[256];
    fixture_open(fixture);
    fixture_put(fixture, "thing", "one", "{}");
    long database = fixture_size(fixture, ""), wal = fixture_size(fixture, "-wal");
    assert_true(wal > 0);
    assert_int_equal(fixture_shell(fixture, "PRAGMA wal_checkpoint(TRUNCATE); SELECT 1;", out, sizeof out), 0);
    assert_string_equal(out, "1|-1|-1\n1"); /* busy */
    assert_int_equal(fixture_size(fixture, ""), database);
    assert_int_equal(fixture_size(fixture, "-wal"), wal);
    fixture_put(fixture, "thing", "two", "{}");
    fixture_close(fixture);
    assert_int_equal(fixture_size(fixture, "-wal"), 0);
    assert_int_equal(fixture_shell(fixture, "SELECT count(*) FROM record", out, sizeof out), 0);
    assert_string_equal(out, "2");
}

static void a_shell_in_a_transaction_keeps_its_snapshot(void **state) {
    struct fixture *fixture = *state;
    char command[256], line[64];
    fixture_open(fixture);
    fixture_put(fixture, "thing", "one", "{}");
    snprintf(command, sizeof command, "mkfifo '%s/copy.db'", fixture->folder);
    assert_int_equal(system(command), 0);
    snprintf(command, sizeof command, "cat '%s/copy.db' | sqlite3 -batch '%s'", fixture->folder, fixture->file);
    FILE *answers = popen(command, "r");
    snprintf(command, sizeof command, "%s/copy.db", fixture->folder);
    FILE *questions = fopen(command, "w");
    fprintf(questions, "BEGIN; SELECT count(*) FROM record;\n");
    fflush(questions);
    assert_non_null(fgets(line, sizeof line, answers));
    assert_string_equal(line, "1\n");
    for (int i = 0; i < 300; i++) { /* enough to be written back, were it not for the shell's snapshot */
        char id[16];
        snprintf(id, sizeof id, "r%d", i);
        fixture_put(fixture, "thing", id, "{\"a\":1}");
        assert_int_equal(fixture->backend->ops->rest_now(fixture->backend, NULL), 0);
    }
    fprintf(questions, "SELECT count(*) FROM record; COMMIT; SELECT count(*) FROM record;\n");
    fclose(questions);
    assert_non_null(fgets(line, sizeof line, answers));
    assert_string_equal(line, "1\n");
    assert_non_null(fgets(line, sizeof line, answers));
    assert_string_equal(line, "301\n");
    assert_int_equal(pclose(answers), 0);
    assert_int_equal(fixture_findings(fixture), 0);
}

/* The child says what was acknowledged, and is killed in the middle of its work. */
static void child_writes(struct fixture *fixture, int acknowledged_fd) {
    struct hf_error error = {0};
    if (fixture_try_open(fixture, os_real(), &error))
        _exit(1);
    for (int i = 0;; i++) {
        char id[16], json[32];
        snprintf(id, sizeof id, "r%d", i);
        snprintf(json, sizeof json, "{\"n\":%d}", i);
        struct store_change change = fixture_change("thing", id, json, (uint64_t)i + 1);
        if (fixture_apply(fixture, &change, 1, &error) || write(acknowledged_fd, &i, sizeof i) != sizeof i)
            _exit(1);
        fixture->backend->ops->rest_now(fixture->backend, NULL);
    }
}

static int run_and_kill(struct fixture *fixture, int until) {
    int pipes[2], acknowledged = -1, i;
    assert_int_equal(pipe(pipes), 0);
    pid_t child = fork();
    if (child == 0)
        child_writes(fixture, pipes[1]);
    close(pipes[1]);
    while (acknowledged < until && read(pipes[0], &i, sizeof i) == sizeof i)
        acknowledged = i;
    kill(child, SIGKILL);
    while (read(pipes[0], &i, sizeof i) == sizeof i)
        acknowledged = i;
    close(pipes[0]);
    assert_int_equal(waitpid(child, NULL, 0), child);
    return acknowledged;
}

static void what_was_acknowledged_survives_a_kill(void **state) {
    struct fixture *fixture = *state;
    static const int moments[] = {0, 3, 60, 250};
    for (size_t m = 0; m < sizeof moments / sizeof *moments; m++) {
        int acknowledged = run_and_kill(fixture, moments[m]);
        assert_true(acknowledged >= moments[m]);
        fixture_open(fixture);
        for (int i = 0; i <= acknowledged; i++) {
            char id[16], json[32];
            snprintf(id, sizeof id, "r%d", i);
            snprintf(json, sizeof json, "{\"n\":%d}", i);
            fixture_expect(fixture, "thing", id, json);
        }
        assert_in_range(fixture->revision, acknowledged + 1, acknowledged + 2);
        assert_int_equal(fixture_findings(fixture), 0);
        fixture_close(fixture);
        fixture_remove(fixture);
        fixture_make(fixture, "/tmp");
    }
}

static void a_second_owner_is_refused(void **state) {
    struct fixture *fixture = *state;
    struct fixture second = *fixture;
    struct hf_error error = {0};
    fixture_open(fixture);
    second.backend = NULL;
    assert_int_equal(fixture_try_open(&second, os_real(), &error), HF_ERR_LOCKED);
    assert_null(second.backend);
}

/* One connection of the VFS alone, over an os whose syncs fail once. */
static void a_failed_sync_is_never_asked_again(void **state) {
    struct fixture *fixture = *state;
    struct os_fault *fault = NULL;
    struct hf_error error = {0};
    assert_int_equal(os_fault_new(os_real(), &fault), 0);
    assert_int_equal(fixture_try_open(fixture, os_fault_os(fault), &error), 0);
    fixture_put(fixture, "thing", "one", "{}");
    os_fault_set(fault,
                 &(struct os_fault_plan){.fail_at = 1, .once = 1, .error = ENOSPC, .call_mask = 1u << OS_CALL_SYNC});
    struct store_change change = fixture_change("thing", "two", "{}", 2);
    assert_int_equal(fixture_apply(fixture, &change, 1, &error), HF_ERR_IO); /* never "no space, try again" */
    assert_int_equal(os_fault_calls(fault), 1);
    assert_int_equal(fixture_apply(fixture, &change, 1, &error),
                     HF_ERR_IO); /* were it asked in spite of the contract */
    assert_int_equal(os_fault_calls(fault), 1);
    fixture_close(fixture);
    assert_int_equal(os_fault_calls(fault), 1);
    os_fault_free(&fault);
    fixture_open(fixture);
    fixture_expect(fixture, "thing", "one", "{}");
}

static void a_full_disk_is_left_behind(void **state) {
    struct fixture *fixture = *state;
    static const struct {
        int error, code;
    } cases[] = {{ENOSPC, HF_ERR_NO_SPACE}, {EDQUOT, HF_ERR_QUOTA}, {EROFS, HF_ERR_READ_ONLY}};
    struct os_fault *fault = NULL;
    struct hf_error error = {0};
    assert_int_equal(os_fault_new(os_real(), &fault), 0);
    assert_int_equal(fixture_try_open(fixture, os_fault_os(fault), &error), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct store_change change = fixture_change("thing", "one", "{\"a\":1}", fixture->revision + 1);
        os_fault_set(fault,
                     &(struct os_fault_plan){.fail_at = 1, .error = cases[i].error, .call_mask = 1u << OS_CALL_WRITE});
        assert_int_equal(fixture_apply(fixture, &change, 1, &error), cases[i].code);
        assert_true(os_fault_failed(fault) > 0);
        assert_int_equal(error.system_errno, cases[i].error);
        os_fault_set(fault, &(struct os_fault_plan){0});
        fixture_expect(fixture, "thing", i ? "before" : "one", i ? "{}" : NULL);
        fixture_put(fixture, "thing", "before", "{}");
    }
    fixture_expect(fixture, "thing", "one", NULL);
    assert_int_equal(fixture_findings(fixture), 0);
    fixture_close(fixture);
    os_fault_free(&fault);
}

static void read_only_writes_nothing(void **state) {
    struct fixture *fixture = *state;
    struct hf_store_options options = {.struct_bytes = sizeof options, .read_only = 1};
    struct hf_error error = {0};
    struct hf_record *record = NULL;
    run_and_kill(fixture, 5); /* leaves a WAL that is not written back */
    char shm[128];
    snprintf(shm, sizeof shm, "%s-shm", fixture->file);
    unlink(shm);
    long database = fixture_size(fixture, ""), wal = fixture_size(fixture, "-wal");
    assert_int_equal(store_sqlite_ops.open(os_real(), fixture->file, &options, &fixture->backend, &fixture->revision,
                                           &error),
                     0);
    assert_int_equal(fixture_get(fixture, "thing", "r5", &record), 0);
    hf_record_free(&record);
    struct store_change change = fixture_change("thing", "two", "{}", 100);
    assert_int_equal(fixture_apply(fixture, &change, 1, &error), HF_ERR_READ_ONLY);
    assert_int_equal(fixture_findings(fixture), 0);
    fixture_close(fixture);
    assert_int_equal(fixture_size(fixture, ""), database);
    assert_int_equal(fixture_size(fixture, "-wal"), wal);
    assert_int_equal(fixture_size(fixture, "-shm"), -1);
    fixture_open(fixture); /* and once more when everything was written back: no WAL at all */
    fixture_close(fixture);
    assert_int_equal(store_sqlite_ops.open(os_real(), fixture->file, &options, &fixture->backend, &fixture->revision,
                                           &error),
                     0);
    assert_int_equal(fixture_get(fixture, "thing", "r5", &record), 0);
    hf_record_free(&record);
}

/* A process that asks the kernel: which of the readers' marks (locks 3 to 7 of the -shm) could it take? */
static int marks_held(struct fixture *fixture) {
    char path[128];
    int held = 0;
    snprintf(path, sizeof path, "%s-shm", fixture->file);
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    for (int lock = 3; lock < 8; lock++)
        held += os_lock_range(os_real(), fd, OS_LOCK_EXCLUSIVE, 120 + lock, 1) == -EAGAIN;
    close(fd);
    return held;
}

static int read_beside(void *arg, const struct hf_record *record, int code) {
    struct fixture *fixture = arg;
    assert_int_equal(code, 0);
    assert_int_equal(marks_held(fixture), 1);
    fixture_expect(fixture, "thing", record->id, "{}"); /* another reader at the same mark comes and goes */
    assert_int_equal(marks_held(fixture), 1);
    return 0;
}

static void a_mark_is_held_until_its_last_reader_ends(void **state) {
    struct fixture *fixture = *state;
    fixture_open(fixture);
    fixture_put(fixture, "thing", "one", "{}");
    assert_int_equal(fixture_scan(fixture, NULL, NULL, 0, read_beside, fixture), 0);
    assert_int_equal(marks_held(fixture), 0);
}

static void read_only_beside_the_owner(void **state) {
    struct fixture *fixture = *state;
    struct hf_store_options options = {.struct_bytes = sizeof options, .read_only = 1};
    struct hf_error error = {0};
    struct fixture reader = *fixture;
    fixture_open(fixture);
    fixture_put(fixture, "thing", "one", "{}");
    assert_int_equal(store_sqlite_ops.open(os_real(), fixture->file, &options, &reader.backend, &reader.revision,
                                           &error),
                     0);
    fixture_expect(&reader, "thing", "one", "{}");
    fixture_put(fixture, "thing", "two", "{}");
    fixture_expect(&reader, "thing", "two", "{}");
    assert_int_equal(fixture->backend->ops->rest_now(fixture->backend, NULL), 0); /* the WAL begins anew */
    fixture_put(fixture, "thing", "one", "{\"a\":1}");
    fixture_expect(&reader, "thing", "one", "{\"a\":1}");
    fixture_close(&reader);
    fixture_put(fixture, "thing", "three", "{}");
}

/* Its pages would be overwritten under it: nobody but an owner keeps the marks of readers. */
static void a_reader_without_an_owner_keeps_owners_away(void **state) {
    struct fixture *fixture = *state;
    struct hf_store_options options = {.struct_bytes = sizeof options, .read_only = 1};
    struct hf_error error = {0};
    struct fixture readers[2] = {*fixture, *fixture};
    fixture_open(fixture);
    fixture_put(fixture, "thing", "one", "{}");
    fixture_close(fixture);
    for (int i = 0; i < 2; i++) /* readers let each other be */
        assert_int_equal(store_sqlite_ops.open(os_real(), fixture->file, &options, &readers[i].backend,
                                               &readers[i].revision, &error),
                         0);
    assert_int_equal(fixture_try_open(fixture, os_real(), &error), HF_ERR_LOCKED);
    assert_non_null(strstr(error.message, "another process reads it"));
    assert_string_equal(error.hint, "try again when it has finished");
    fixture_close(&readers[0]);
    assert_int_equal(fixture_try_open(fixture, os_real(), &error), HF_ERR_LOCKED);
    fixture_expect(&readers[1], "thing", "one", "{}");
    fixture_close(&readers[1]);
    fixture_open(fixture);
    fixture_expect(fixture, "thing", "one", "{}");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_shell_reads_while_we_write, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_shell_cannot_write, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_shell_that_ends_leaves_the_wal, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_shell_in_a_transaction_keeps_its_snapshot, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(what_was_acknowledged_survives_a_kill, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_second_owner_is_refused, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_failed_sync_is_never_asked_again, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_full_disk_is_left_behind, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(read_only_writes_nothing, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_mark_is_held_until_its_last_reader_ends, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(read_only_beside_the_owner, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_reader_without_an_owner_keeps_owners_away, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
