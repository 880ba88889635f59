/* The worker with a real python3: what fetch_data returns, raises, prints and breaks. One source per line of the table.
 */
#include "unit/run/stage.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "os/process.h"

struct answer {
    const char *body;    /* of fetch_data */
    const char *outcome; /* ok, none, error */
    const char *part;    /* of the datum, or of the run's record */
};

static const struct answer ANSWERS[] = {
    {"return None", "none", ""},
    {"pass", "none", ""},
    {"return 1", "ok", "\"type\":\"int\",\"size\":1"},
    {"return 9007199254740993", "ok", "\"data\":9007199254740993"},
    {"return 0.1", "ok", "\"data\":0.1"},
    {"return True", "ok", "\"data\":true"},
    {"return ''", "ok", "\"data\":\"\""},
    {"return 'h\\u00e9 \\u4e2d \\U0001f600'", "ok", "\"data\":\"h\xc3\xa9 \xe4\xb8\xad \xf0\x9f\x98\x80\""},
    {"return 'a\\x00b'", "ok", "\"data\":\"a\\u0000b\""},
    {"return '\\ud800'", "ok", "\"data\":\"\xef\xbf\xbd\""},
    {"return [1, (2, 3), []]", "ok", "\"data\":[1,[2,3],[]]"},
    {"return {'a': {'b': None}}", "ok", "\"data\":{\"a\":{\"b\":null}}"},
    {"return {3, 1, 2}", "ok", "\"data\":[1,2,3]"},
    {"return {1: 'a', None: 'b', True: 'c'}", "ok", "\"null\":\"b\""},
    {"return {1: 2, '1': 3}", "error", "duplicate key"},
    {"return {object: 1}", "error", "a key is of the type type"},
    {"return float('nan')", "ok", "\"data\":null"},
    {"return [float('inf'), 1.5]", "ok", "\"data\":[null,1.5]"},
    {"import datetime; return datetime.datetime(2020, 1, 2, 3, 4, 5)", "ok", "\"data\":\"2020-01-02T03:04:05\""},
    {"import datetime; return {datetime.date(2020, 1, 2): 1}", "ok", "\"data\":{\"2020-01-02\":1}"},
    {"import decimal; return decimal.Decimal('1.10')", "ok", "\"data\":\"1.10\""},
    {"return b'\\xff'", "ok", "\"data\":{\"base64\":\"/w==\"}"},
    {"return object()", "error", "TypeError: fetch_data returned the type object"},
    {"return (i for i in range(3))", "error", "the type generator"},
    {"x = []; x.append(x); return x", "error", "RecursionError"},
    {"x = 1\n    for i in range(150): x = [x]\n    return x", "error", "levels of nesting"},
    {"return 'x' * 200000", "error", "TooLarge: the datum has 200002 bytes, and 100000 are allowed"},
    {"raise ValueError('two\\nlines')", "error", "\"error\":\"ValueError: two lines (line 2)\""},
    {"return 1 / 0", "error", "ZeroDivisionError: division by zero (line 2)"},
    {"import sys; sys.exit(4)", "error", "SystemExit: 4 (line 2)"},
    {"raise KeyboardInterrupt", "error", "KeyboardInterrupt (line 2)"},
    {"raise BaseException('b')", "error", "BaseException: b (line 2)"},
    {"import no_such_module", "error", "ModuleNotFoundError: No module named 'no_such_module' (line 2)"},
    {"class E(Exception):\n        def __str__(self): raise ValueError\n    raise E", "error",
     "E: its text cannot be had"},
    {"def f(): return f()\n    return f()", "error", "RecursionError"},
    {"import os; os._exit(5)", "error", "exit code 5"},
    {"import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "error", "by signal 9"},
    {"import os; os.closerange(3, 64)", "error", "the worker ended during the run"},
    {"import os; os.close(3)", "error", "OSError"},
    {"import os; os.write(4, b'nonsense\\n'); os.write(3, b'x')", "error", ""},
    {"import os; pid = os.fork()\n    if pid == 0: return 'child'\n    os.waitpid(pid, 0); return 'parent'", "ok",
     "\"data\":\"parent\""},
    {"print('out'); import sys; print('err', file=sys.stderr); return 1", "ok", "\"data\":1"},
    {"import sys; sys.stdout = None; return 1", "ok", "\"data\":1"},
    {"import sys; sys.stdout.close(); return 1", "ok", "\"data\":1"},
    {"return input()", "error", "EOFError"},
    {"import os; return os.environ['HOLDFAST_SOURCE'][:1]", "ok", "\"data\":\"w\""},
    {"import os; return os.environ.get('HOLDFAST_TEST_SECRET', 'none')", "ok", "\"data\":\"none\""},
    {"import dataclasses\n    @dataclasses.dataclass\n    class P: x: int\n    return P(1)", "error",
     "the type holdfast_source.P"},
    {"import enum\n    class C(enum.IntEnum): A = 3\n    return [C.A]", "ok", "\"data\":[3]"},
};
enum { ANSWER_COUNT = sizeof ANSWERS / sizeof ANSWERS[0] };

static void name_of(size_t i, char name[16]) {
    snprintf(name, 16, "w%zu", i);
}

/* Puts the source into the store without asking python: some of these must fail when they run. */
static void add(struct stage *stage, const char *name, const char *body) {
    BUF_AUTO struct buf code;
    buf_init(&code);
    buf_printf(&code, "def fetch_data():\n    %s\n", body);
    stage_python(stage, name, buf_text(&code),
                 ",\"interval_ms\":3600000,\"data_bytes\":100000,\"backoff_min_ms\":600000,\"backoff_max_ms\":600000,"
                 "\"start\":true");
}

static void test_answers(void **state) {
    struct stage *stage = *state;
    char name[16], outcome[40];
    for (size_t i = 0; i < ANSWER_COUNT; i++) {
        name_of(i, name);
        add(stage, name, ANSWERS[i].body);
    }
    for (size_t i = 0; i < ANSWER_COUNT; i++) {
        const struct answer *answer = &ANSWERS[i];
        name_of(i, name);
        stage_wait(stage, name, NULL, .runs = 1);
        snprintf(outcome, sizeof outcome, "\"outcome\":\"%s\"", answer->outcome);
        const char *run = stage_newest(stage, "source_run", name);
        if (!strstr(run, outcome))
            fail_msg("%s: %s", answer->body, run);
        const char *text = strcmp(answer->outcome, "ok") == 0 ? stage_newest(stage, "source_data", name) : run;
        if (!strstr(text, answer->part))
            fail_msg("%s: '%s' is not in: %s", answer->body, answer->part, text);
    }
}

static void test_async(void **state) {
    struct stage *stage = *state;
    stage_python(stage, "a",
                 "import asyncio\nasync def fetch_data():\n    await asyncio.sleep(0)\n    return 'later'\n",
                 ",\"interval_ms\":20,\"start\":true");
    stage_wait(stage, "a", "running", .runs = 2);
    assert_has(stage_newest(stage, "source_data", "a"), "\"data\":\"later\"");
}

static void test_errors_at_load(void **state) {
    struct stage *stage = *state;
    stage_python(stage, "l", "import nowhere\ndef fetch_data():\n    return 1\n", ",\"interval_ms\":20,\"start\":true");
    stage_wait(stage, "l", "running", .runs = 2, .errors = 2);
    assert_true(stage_has_text(stage, "l", "last_error", "No module named 'nowhere' (line 1)"));
}

/* A module of that name and shape stands in where pandas is not installed; the worker looks only at the names. */
static const char *const FRAME =
    "import sys, types, datetime\n"
    "try:\n"
    "    import pandas as pd\n"
    "except ImportError:\n"
    "    pd = types.ModuleType('pandas')\n"
    "    class RangeIndex: pass\n"
    "    class Column(list):\n"
    "        dtype = 'float64'\n"
    "        def tolist(self): return list(self)\n"
    "    class Places:\n"
    "        def __init__(self, frame): self.frame = frame\n"
    "        def __getitem__(self, at): return Column(list(self.frame.data.values())[at[1]])\n"
    "    class DataFrame:\n"
    "        def __init__(self, data):\n"
    "            self.data, self.index, self.columns = data, RangeIndex(), Column(data)\n"
    "            self.iloc = Places(self)\n"
    "    DataFrame.__module__ = 'pandas.core.frame'\n"
    "    pd.DataFrame = DataFrame\n"
    "def fetch_data():\n"
    "    return pd.DataFrame({'x': [1.5, float('nan')], 7: [datetime.datetime(2020, 1, 2), None]})\n";

static void test_frame(void **state) {
    struct stage *stage = *state;
    stage_python(stage, "f", FRAME, ",\"interval_ms\":3600000,\"start\":true");
    stage_wait(stage, "f", "running", .runs = 1);
    const char *datum = stage_newest(stage, "source_data", "f");
    assert_has(datum, "\"type\":\"DataFrame\"");
    assert_has(datum, "\"columns\":{\"x\":\"float64\",\"7\":\"");
    assert_has(datum, "\"data\":[{\"x\":1.5,\"7\":\"2020-01-02T00:00:00\"},{\"x\":null,\"7\":null}]");
}

extern const unsigned char run_worker[];

/* The daemon is gone without a word: the worker ends by itself, also in the middle of a run. */
static void test_orphan_ends(void **state) {
    (void)state;
    static const char CODE[] = "import time\ndef fetch_data():\n    while True: time.sleep(0.001)\n";
    const char *argv[] = {"/usr/bin/env", "python3", "-u", "-c", (const char *)run_worker, "o", "1000", NULL};
    const char *env[] = {"PATH=/usr/local/bin:/usr/bin:/bin", NULL};
    int channel[2], input[2], status;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel), 0);
    assert_int_equal(pipe(input), 0);
    assert_int_equal(write(input[1], CODE, sizeof CODE - 1), sizeof CODE - 1);
    close(input[1]);
    struct os_spawn spawn = {.argv = argv,
                             .environment = env,
                             .stdin_fd = input[0],
                             .stdout_fd = -1,
                             .stderr_fd = -1,
                             .extra_fd = channel[1],
                             .max_open_files = UINT64_MAX,
                             .max_core_bytes = UINT64_MAX,
                             .umask = -1};
    struct os_child child;
    assert_int_equal(os_spawn(os_real(), &spawn, &child), 0);
    close(input[0]);
    close(channel[1]);
    assert_int_equal(write(channel[0], "{\"run\":1}\n", 10), 10);
    close(channel[0]);
    struct pollfd poll_fd = {.fd = child.pidfd, .events = POLLIN};
    assert_int_equal(poll(&poll_fd, 1, STAGE_PATIENCE_MS), 1);
    assert_int_equal(os_reap(os_real(), child.pidfd, &status), 1);
    assert_true(WIFEXITED(status));
    close(child.pidfd);
}

int main(void) {
    setenv("HOLDFAST_TEST_SECRET", "canary", 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_answers, stage_open, stage_close),
        cmocka_unit_test_setup_teardown(test_async, stage_open, stage_close),
        cmocka_unit_test_setup_teardown(test_errors_at_load, stage_open, stage_close),
        cmocka_unit_test_setup_teardown(test_frame, stage_open, stage_close),
        cmocka_unit_test(test_orphan_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
