/* Another program writes to the database while we open it: one wait, and then a name for it. The waiting is counted,
 * not done. */
#include "store/sqlite_fixture.h"

/* A sqlite3 shell that is asked line by line, and the os whose sleeping passes the time at once. */
struct shell {
    struct os_ops ops;
    struct os os;
    FILE *questions, *answers;
    int64_t slept_ms, end_after_ms; /* the shell's transaction; 0: never */
};

static void ask(struct shell *shell, const char *sql) {
    char line[64];
    fprintf(shell->questions, "%s SELECT 'done';\n", sql);
    fflush(shell->questions);
    assert_non_null(fgets(line, sizeof line, shell->answers));
    assert_string_equal(line, "done\n");
}

static void sleep_at_once(const struct os *os, int64_t ms) {
    struct shell *shell = os->context;
    shell->slept_ms += ms;
    if (shell->end_after_ms && shell->slept_ms >= shell->end_after_ms) {
        shell->end_after_ms = 0;
        ask(shell, "COMMIT;");
    }
}

static void shell_begin(struct shell *shell, struct fixture *fixture, const char *sql) {
    char command[256];
    *shell = (struct shell){.ops = *os_real()->ops};
    shell->ops.sleep_ms = sleep_at_once;
    shell->os = (struct os){.ops = &shell->ops, .context = shell};
    snprintf(command, sizeof command, "mkfifo '%s/copy.db'", fixture->folder);
    assert_int_equal(system(command), 0);
    snprintf(command, sizeof command, "cat '%s/copy.db' | sqlite3 -batch '%s'", fixture->folder, fixture->file);
    shell->answers = popen(command, "r");
    snprintf(command, sizeof command, "%s/copy.db", fixture->folder);
    shell->questions = fopen(command, "we");
    ask(shell, sql);
}

static void shell_end(struct shell *shell) {
    fclose(shell->questions);
    assert_int_equal(pclose(shell->answers), 0);
}

static void make_store(struct fixture *fixture) {
    fixture_open(fixture);
    fixture_put(fixture, "thing", "one", "{}");
    fixture_close(fixture);
}

static void expect_locked(struct fixture *fixture, const struct shell *shell) {
    struct hf_error error = {0};
    assert_int_equal(fixture_try_open(fixture, &shell->os, &error), HF_ERR_LOCKED);
    assert_null(fixture->backend);
    assert_non_null(strstr(error.message, "another program has the database open"));
    assert_non_null(strstr(error.hint, "close it"));
    assert_in_range(shell->slept_ms, 1000, 5000);
}

static void a_shell_that_writes_keeps_us_out(void **state) {
    struct fixture *fixture = *state;
    struct shell shell;
    make_store(fixture);
    shell_begin(&shell, fixture, "BEGIN IMMEDIATE; CREATE TABLE note(text);");
    expect_locked(fixture, &shell);
    ask(&shell, "COMMIT;");
    shell_end(&shell);
    fixture_open(fixture);
    fixture_expect(fixture, "thing", "one", "{}");
    assert_int_equal(fixture_findings(fixture), 0);
}

static void its_end_is_waited_for(void **state) {
    struct fixture *fixture = *state;
    struct hf_error error = {0};
    struct shell shell;
    make_store(fixture);
    shell_begin(&shell, fixture, "BEGIN IMMEDIATE; CREATE TABLE note(text);");
    shell.end_after_ms = 100;
    if (fixture_try_open(fixture, &shell.os, &error))
        fail_msg("%s", error.message);
    assert_in_range(shell.slept_ms, 100, 1000);
    fixture_put(fixture, "thing", "two", "{}");
    assert_int_equal(fixture_findings(fixture), 0);
    shell_end(&shell);
    fixture_close(fixture);
}

/* The owner's `lock` was removed: a second one still finds the first, and touches nothing. */
static void an_owner_without_its_lock_keeps_us_out(void **state) {
    struct fixture *fixture = *state;
    struct fixture second = *fixture;
    struct shell clock = {.ops = *os_real()->ops};
    char path[128];
    clock.ops.sleep_ms = sleep_at_once;
    clock.os = (struct os){.ops = &clock.ops, .context = &clock};
    fixture_open(fixture);
    fixture_put(fixture, "thing", "one", "{}");
    snprintf(path, sizeof path, "%s/lock", fixture->folder);
    assert_int_equal(unlink(path), 0);
    second.backend = NULL;
    expect_locked(&second, &clock);
    fixture_put(fixture, "thing", "two", "{}");
    fixture_close(fixture);
    fixture_open(fixture);
    fixture_expect(fixture, "thing", "two", "{}");
    assert_int_equal(fixture_findings(fixture), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_shell_that_writes_keeps_us_out, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(its_end_is_waited_for, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(an_owner_without_its_lock_keeps_us_out, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
