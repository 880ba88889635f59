/* Sources with real children: they tick, stop, hang, flood, fork and fail. */
#include "unit/run/stage.h"

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include "os/process.h"

static void want(struct stage *stage, const char *name, int running) {
    BUF_AUTO struct buf json;
    buf_init(&json);
    struct hf_error error;
    assert_int_equal(source_want(stage->store, "test", name, running, &json, &error), 0);
}

static int count_pid(void *arg, pid_t pid) {
    (void)pid;
    ++*(int *)arg;
    return 0;
}

/* The nonce of the child that the source has now, or "". */
static void nonce_of(struct stage *stage, const char *name, char nonce[33]) {
    struct arena arena;
    arena_init(&arena);
    stage_show(stage, name);
    const char *text = json_member_text(&stage->doc, json_member(&stage->doc, 0, "child"), "nonce", &arena);
    snprintf(nonce, 33, "%s", text ? text : "");
    arena_fini(&arena);
}

static int processes_of(const char *nonce) {
    int count = 0;
    assert_int_equal(process_find_by_nonce(os_real(), nonce, count_pid, &count, NULL), 0);
    return count;
}

static void test_python_ticks(void **state) {
    struct stage *stage = *state;
    stage_python(stage, "p",
                 "n = 0\ndef fetch_data():\n    global n\n    n += 1\n    print('hello', n)\n    return {'n': n}\n",
                 ",\"interval_ms\":20,\"start\":true");
    stage_wait(stage, "p", "running", .runs = 3);
    assert_true(stage_number(stage, "p", "pid") > 0);
    assert_has(stage_newest(stage, "source_run", "p"), "hello");
    assert_has(stage_newest(stage, "source_data", "p"), "\"type\":\"dict\"");
    want(stage, "p", 0);
    stage_wait(stage, "p", "stopped", .runs = 3);
    assert_int_equal(stage_number(stage, "p", "pid"), -1);
}

static void test_command_kinds_of_data(void **state) {
    struct stage *stage = *state;
    stage_source(stage,
                 "{'name':'j','kind':'command','argv':['printf','{\\\"a\\\": 1}\\\\n'],'interval_ms':50,'start':true}");
    stage_source(stage, "{'name':'l','kind':'command','argv':['printf','1\\\\n2\\\\n'],'interval_ms':50,'start':true}");
    stage_source(stage, "{'name':'t','kind':'command','argv':['echo','it is'],'interval_ms':50,'start':true}");
    stage_source(stage,
                 "{'name':'b','kind':'command','argv':['printf','\\\\377\\\\376'],'interval_ms':50,'start':true}");
    stage_source(stage, "{'name':'e','kind':'command','argv':['true'],'interval_ms':50,'start':true}");
    stage_wait(stage, "j", "running", .runs = 2);
    stage_wait(stage, "l", "running", .runs = 2);
    stage_wait(stage, "t", "running", .runs = 2);
    stage_wait(stage, "b", "running", .runs = 2);
    stage_wait(stage, "e", "running", .runs = 2);
    assert_has(stage_newest(stage, "source_data", "j"), "\"data\":{\"a\": 1}");
    assert_has(stage_newest(stage, "source_data", "l"), "\"type\":\"jsonl\"");
    assert_has(stage_newest(stage, "source_data", "l"), "\"data\":[1,2]");
    assert_has(stage_newest(stage, "source_data", "t"), "\"data\":\"it is\"");
    assert_has(stage_newest(stage, "source_data", "b"), "\"data\":{\"base64\":\"//4=\"}");
    assert_string_equal(stage_newest(stage, "source_data", "e"), "");
    assert_has(stage_newest(stage, "source_run", "e"), "\"outcome\":\"none\"");
}

static void test_command_fails(void **state) {
    struct stage *stage = *state;
    stage_source(
        stage, "{'name':'f','kind':'command','argv':['sh','-c','echo bad >&2; exit 7'],'interval_ms':20,'start':true}");
    stage_wait(stage, "f", "running", .runs = 2, .errors = 2);
    assert_true(stage_has_text(stage, "f", "last_error", "exit code 7: bad"));
    assert_has(stage_newest(stage, "source_run", "f"), "\"exit_code\":7");
}

static void test_command_is_not_there(void **state) {
    struct stage *stage = *state;
    stage_source(stage, "{'name':'n','kind':'command','argv':['/no/such/program'],'start':true}");
    stage_wait(stage, "n", "fatal", .errors = 1);
    assert_true(stage_has_text(stage, "n", "last_error", "/no/such/program"));
    BUF_AUTO struct buf json;
    buf_init(&json);
    struct hf_error error;
    const char *edit = "{\"argv\":[\"true\"]}";
    assert_int_equal(source_edit(stage->store, "test", "n", edit, strlen(edit), &json, &error), 0);
    stage_wait(stage, "n", "running", .runs = 1);
}

static void test_errors_of_code(void **state) {
    struct stage *stage = *state;
    stage_python(stage, "x", "def fetch_data():\n    raise ValueError('no')\n", ",\"interval_ms\":20,\"start\":true");
    stage_wait(stage, "x", "running", .runs = 3, .errors = 3);
    assert_true(stage_has_text(stage, "x", "last_error", "ValueError: no (line 2)"));
    assert_has(stage_newest(stage, "source_run", "x"), "Traceback");
}

static void test_worker_dies_and_comes_back(void **state) {
    struct stage *stage = *state;
    stage_python(stage, "d", "import os\ndef fetch_data():\n    os._exit(3)\n",
                 ",\"interval_ms\":20,\"backoff_min_ms\":10,\"backoff_max_ms\":20,\"start\":true");
    stage_wait(stage, "d", NULL, .runs = 3, .errors = 3);
    assert_true(stage_number(stage, "d", "restarts") >= 2);
    assert_has(stage_newest(stage, "source_run", "d"), "exit code 3");
}

static void test_timeout(void **state) {
    struct stage *stage = *state;
    stage_python(stage, "h",
                 "import time, signal\ndef fetch_data():\n    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
                 "    time.sleep(1000)\n",
                 ",\"interval_ms\":20,\"timeout_ms\":200,\"backoff_min_ms\":10,\"start\":true");
    stage_source(
        stage, "{'name':'hc','kind':'command','argv':['sleep','1000'],'interval_ms':20,'timeout_ms':100,'start':true}");
    stage_wait(stage, "h", NULL, .runs = 2, .errors = 2);
    assert_has(stage_newest(stage, "source_run", "h"), "\"outcome\":\"timeout\"");
    stage_wait(stage, "hc", "running", .runs = 2, .errors = 2);
    assert_has(stage_newest(stage, "source_run", "hc"), "\"outcome\":\"timeout\"");
}

static void test_ignores_sigterm(void **state) {
    struct stage *stage = *state;
    char nonce[33];
    stage_source(stage,
                 "{'name':'i','kind':'command','argv':['sh','-c','trap \\\"\\\" TERM; while :; do sleep 0.05; done'],"
                 "'stop_timeout_ms':100,'start':true}");
    stage_wait(stage, "i", "running", .runs = 0);
    nonce_of(stage, "i", nonce);
    assert_true(processes_of(nonce) >= 1);
    want(stage, "i", 0);
    stage_wait(stage, "i", "stopped", .runs = 1);
    assert_int_equal(processes_of(nonce), 0);
    assert_has(stage_newest(stage, "source_run", "i"), "\"outcome\":\"killed\"");
}

/* A child that leaves its group and its session, and keeps or closes the pipes, ends with the run all the same. */
static void test_double_fork(void **state) {
    struct stage *stage = *state;
    char nonce[33];
    stage_python(
        stage, "g",
        "import os, time\ndef fetch_data():\n    if os.fork() == 0:\n        os.setsid()\n        if os.fork() == 0:\n"
        "            time.sleep(1000)\n        os._exit(0)\n    return 1\n",
        ",\"interval_ms\":20,\"start\":true");
    stage_source(stage, "{'name':'gc','kind':'command','argv':['sh','-c','setsid sleep 1000 >/dev/null 2>&1 & echo 1'],"
                        "'interval_ms':3600000,'start':true}");
    stage_wait(stage, "gc", "running", .runs = 0);
    stage_wait(stage, "g", "running", .runs = 2);
    nonce_of(stage, "g", nonce);
    assert_true(processes_of(nonce) >= 2);
    want(stage, "g", 0);
    stage_wait(stage, "g", "stopped", .runs = 2);
    assert_int_equal(processes_of(nonce), 0);
    stage_wait(stage, "gc", "running", .runs = 1);
    assert_has(stage_newest(stage, "source_data", "gc"), "\"data\":1");
}

#ifdef __SANITIZE_ADDRESS__
enum { FLOOD_ROOM_KIB = 512 * 1024 }; /* it keeps what is freed for a while */
#else
enum { FLOOD_ROOM_KIB = 2 * 1024 };
#endif

static int64_t peak_kib(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

static void test_flood(void **state) {
    struct stage *stage = *state;
    stage_wait(stage, "warm", "running", .runs = 1);
    int64_t before = peak_kib();
    stage_python(stage, "fl",
                 "import os\ndef fetch_data():\n    block = b'x' * (1 << 20)\n    for i in range(1024):\n        "
                 "os.write(1, block)\n"
                 "    os.write(2, b'\\xff half a line')\n    return 1\n",
                 ",\"interval_ms\":3600000,\"start\":true");
    stage_wait(stage, "fl", "running", .runs = 1);
    assert_true(stage_number(stage, "fl", "dropped_bytes") > 1000 * 1024 * 1024);
    assert_has(stage_newest(stage, "source_run", "fl"), "bytes dropped]");
    assert_has(stage_newest(stage, "source_run", "fl"), "half a line");
    stage_source(stage,
                 "{'name':'fc','kind':'command','argv':['head','-c','1073741824','/dev/zero'],'data_bytes':100000,"
                 "'interval_ms':3600000,'start':true}");
    stage_wait(stage, "fc", "running", .runs = 1, .errors = 1);
    assert_true(stage_has_text(stage, "fc", "last_error", "TooLarge"));
    assert_true(peak_kib() - before < FLOOD_ROOM_KIB);
}

static int open_flood(void **state) {
    int code = stage_open(state);
    stage_python(*state, "warm", "def fetch_data():\n    print('x' * 100000)\n    return 'x' * 200000\n",
                 ",\"interval_ms\":3600000,\"start\":true");
    return code;
}

static void test_one_run(void **state) {
    struct stage *stage = *state;
    struct hf_error error;
    BUF_AUTO struct buf json;
    buf_init(&json);
    stage_python(stage, "o", "def fetch_data():\n    return 1\n", "");
    assert_int_equal(source_request_run(stage->store, "test", "o", &json, &error), 0);
    stage_wait(stage, "o", "exited", .runs = 1);
    assert_int_equal(stage_number(stage, "o", "run_count"), 1);
    buf_clear(&json);
    assert_int_equal(source_remove(stage->store, "test", "o", &json, &error), 0);
    stage_python(stage, "o", "def fetch_data():\n    return 2\n", ",\"start\":true");
    stage_wait(stage, "o", "running", .runs = 1);
    assert_int_equal(stage_number(stage, "o", "code_version"), 2);
}

static void test_new_code(void **state) {
    struct stage *stage = *state;
    struct hf_error error;
    BUF_AUTO struct buf json;
    buf_init(&json);
    stage_python(stage, "c", "def fetch_data():\n    return 'one'\n", ",\"interval_ms\":20,\"start\":true");
    stage_wait(stage, "c", "running", .runs = 1);
    const char *edit = "{\"code\":\"def fetch_data():\\n    return 'two'\\n\",\"if_version\":1}";
    assert_int_equal(source_edit(stage->store, "test", "c", edit, strlen(edit), &json, &error), 0);
    int64_t runs = stage_number(stage, "c", "run_count");
    stage_wait(stage, "c", "running", .runs = runs + 3);
    assert_has(stage_newest(stage, "source_data", "c"), "\"data\":\"two\"");
    assert_has(stage_newest(stage, "source_data", "c"), "\"code_version\":2");
}

static void test_daemon_ends_and_begins(void **state) {
    struct stage *stage = *state;
    stage_python(stage, "r", "def fetch_data():\n    return 1\n", ",\"interval_ms\":20,\"start\":true");
    stage_python(stage, "s", "def fetch_data():\n    return 1\n", "");
    stage_wait(stage, "r", "running", .runs = 1);
    stage_end(stage);
    assert_true(stage_has_text(stage, "r", "status", "stopped"));
    assert_true(stage_has_text(stage, "r", "wanted", "running"));
    int64_t runs = stage_number(stage, "r", "run_count");
    stage_supervise(stage);
    assert_has(buf_text(&stage->report), "\"restored\":[\"r\"]");
    assert_has(buf_text(&stage->report), "\"skipped\":[{\"name\":\"s\"");
    stage_wait(stage, "r", "running", .runs = runs + 1);
}

/* As after kill -9: the child lives on, and the new daemon ends it before it makes another. */
static void test_left_child(void **state) {
    struct stage *stage = *state;
    char nonce[33];
    struct hf_error error;
    stage_source(stage, "{'name':'k','kind':'command','argv':['sleep','1000'],'start':true}");
    stage_wait(stage, "k", "running", .runs = 0);
    nonce_of(stage, "k", nonce);
    struct hf_record *record = NULL;
    assert_int_equal(hf_store_get(stage->store, "source_state", "k", &record, &error), 0);
    stage_end(stage);

    struct os_child left; /* in the place of what was just ended: the same nonce, a child of nobody we watch */
    char variable[64];
    snprintf(variable, sizeof variable, "HOLDFAST_NONCE=%s", nonce);
    const char *argv[] = {"/bin/sleep", "1000", NULL}, *env[] = {variable, NULL};
    struct os_spawn spawn = {.argv = argv,
                             .environment = env,
                             .stdin_fd = -1,
                             .stdout_fd = -1,
                             .stderr_fd = -1,
                             .extra_fd = -1,
                             .max_open_files = UINT64_MAX,
                             .max_core_bytes = UINT64_MAX,
                             .umask = -1};
    assert_int_equal(os_spawn(os_real(), &spawn, &left), 0);
    while (processes_of(nonce) == 0) /* within exec it has no environment for a moment */
        os_sleep_ms(os_real(), 1);
    assert_int_equal(hf_store_put(stage->store, "source_state", "k", record->json, record->json_bytes, NULL, &error),
                     0);
    hf_record_free(&record);
    stage_supervise(stage);
    assert_has(buf_text(&stage->report), "\"restored\":[\"k\"]");
    assert_int_equal(processes_of(nonce), 0);
    assert_has(stage_newest(stage, "source_run", "k"), "\"outcome\":\"interrupted\"");
    int status;
    assert_int_equal(os_reap(os_real(), left.pidfd, &status), 1);
    os_close(os_real(), left.pidfd);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_python_ticks, stage_open, stage_close),
        cmocka_unit_test_setup_teardown(test_command_kinds_of_data, stage_open, stage_close),
        cmocka_unit_test_setup_teardown(test_command_fails, stage_open, stage_close),
        cmocka_unit_test_setup_teardown(test_command_is_not_there, stage_open, stage_close),
        cmocka_unit_test_setup_teardown(test_errors_of_code, stage_open, stage_close),
        cmocka_unit_test_setup_teardown(test_worker_dies_and_comes_back, stage_open, stage_close),
        cmocka_unit_test_setup_teardown(test_timeout, stage_open, stage_close),
        cmocka_unit_test_setup_teardown(test_ignores_sigterm, stage_open, stage_close),
        cmocka_unit_test_setup_teardown(test_double_fork, stage_open, stage_close),
        cmocka_unit_test_setup_teardown(test_one_run, stage_open, stage_close),
        cmocka_unit_test_setup_teardown(test_new_code, stage_open, stage_close),
        cmocka_unit_test_setup_teardown(test_daemon_ends_and_begins, stage_open, stage_close),
        cmocka_unit_test_setup_teardown(test_left_child, stage_open, stage_close),
        cmocka_unit_test_setup_teardown(test_flood, open_flood, stage_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
