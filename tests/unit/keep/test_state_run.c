/* Runs by request: what they begin with, who may begin, how they end, and what the ledger says of them. */
#include <sys/wait.h>

#include "unit/keep/state_talk.h"

/* A process that was there and is not any more. */
static pid_t start_child(int ret_pipe[2]) {
    assert_int_equal(pipe(ret_pipe), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        char byte;
        close(ret_pipe[1]);
        while (read(ret_pipe[0], &byte, 1) < 0) {
        }
        _exit(0);
    }
    close(ret_pipe[0]);
    return child;
}

static void end_child(pid_t child, const int pipe_fds[2]) {
    close(pipe_fds[1]);
    assert_int_equal(waitpid(child, NULL, 0), child);
}

static void expect_outcome(struct stage *stage, uint64_t number, const char *outcome) {
    char word[64];
    assert_string_equal(stage_outcome(stage, "x", number, word), outcome);
}

static void test_begin(void **state) {
    struct stage *stage = *state;
    assert_int_equal(talk_begin(stage, "x", "{}"), 1);
    assert_answer("{'name':'x','run':'x@1','number':1,'fence':1}");
    VERB(stage, 0, state_run_end, &ME, "x", BODY("{'fence':1,'base64':'IHt9Cg=='}"));
    talk_begin(stage, "x", "{}");
    assert_answer("{'name':'x','run':'x@2','number':2,'fence':2,'version':1,'form':'json','space':[' ','\\n'],"
                  "'value':{}}");
    VERB(stage, 0, state_run_end, &ME, "x", BODY("{'fence':2,'base64':'gAJOLg=='}"));
    talk_begin(stage, "x", "{}");
    assert_has("'version':2,'form':'bytes','base64':'gAJOLg=='}");
}

static void test_begin_of_what_is_damaged(void **state) {
    struct stage *stage = *state;
    talk_save(stage, "x", "1");
    talk_save(stage, "x", "2");
    talk_damage_version(stage, "x", 2);
    const struct state_caller owner = {.who = "runner", .pid = getpid()};
    VERB(stage, HF_ERR_CORRUPT, state_run_begin, &owner, "x", BODY("{'overlap':'skip'}"));
    assert_says(stage, "rollback 'x' --to 1");
    assert_int_equal(talk_count(stage, STATE_RUN_KIND), 0);
}

static void test_overlap(void **state) {
    struct stage *stage = *state;
    const struct state_caller other = {.who = "other", .pid = getppid()};
    talk_begin(stage, "x", "{}");
    VERB(stage, HF_ERR_CONFLICT, state_run_begin, &other, "x", BODY("{}"));
    assert_says(stage, "run x@1");
    char pid[32];
    sprintf(pid, "process %d", (int)getpid());
    assert_says(stage, pid);
    assert_says(stage, "since 2023-11-14T22:13:20.000Z");
    assert_int_equal(talk_count(stage, STATE_RUN_KIND), 1);
    VERB(stage, HF_ERR_CONFLICT, state_run_begin, &other, "x",
         BODY("{'overlap':'skip','reason':'each minute','scheduled_at':'2023-11-14T22:13:00Z','command':['true']}"));
    assert_says(stage, "run x@1");
    VERB(stage, 0, state_runs, "x", 0);
    assert_has("[{'name':'x','run':'x@2','number':2,'fence':0,'outcome':'skipped','reason':'each minute','who':'other',"
               "'command':['true'],'scheduled_at':'2023-11-14T22:13:00.000Z'");
    VERB(stage, 0, state_runs, "x", 1);
    assert_lacks("x@1");
    /* the run that goes on is not touched by that */
    VERB(stage, 0, state_set, &ME, "x", BODY("{'value':1,'fence':1}"));
    expect_outcome(stage, 1, "running");
    assert_int_equal(talk_begin(stage, "x", "{'on_overlap':'steal'}"), 3);
    expect_outcome(stage, 1, "taken_over");
    VERB(stage, HF_ERR_CONFLICT, state_set, &ME, "x", BODY("{'value':2,'fence':1}"));
}

static void test_owner_died(void **state) {
    struct stage *stage = *state;
    int fds[2];
    pid_t child = start_child(fds);
    const struct state_caller owner = {.who = "child", .pid = child};
    VERB(stage, 0, state_run_begin, &owner, "x", BODY("{}"));
    VERB(stage, 0, state_runs, "x", 0);
    assert_has("'outcome':'running'");
    end_child(child, fds);
    VERB(stage, 0, state_runs, "x", 0);
    assert_has("'outcome':'lost'");
    assert_lacks("running");
    expect_outcome(stage, 1, "running"); /* as it is stored, until the next one begins */
    uint64_t before = hf_store_revision(stage->store);
    assert_int_equal(talk_begin(stage, "x", "{}"), 2);
    assert_int_equal(hf_store_revision(stage->store), before + 1);
    expect_outcome(stage, 1, "lost");
    VERB(stage, HF_ERR_INVALID, state_run_begin, &owner, "y", BODY("{}"));
    assert_says(stage, "there is no process");
}

static void test_expiry(void **state) {
    struct stage *stage = *state;
    const struct state_caller far = {.who = "far"};
    VERB(stage, HF_ERR_INVALID, state_run_begin, &far, "x", BODY("{}"));
    assert_says(stage, "give a ttl");
    assert_int_equal(talk_begin(stage, "x", "{'ttl_ms':1000}"), 1);
    stage->boot_ms += 900;
    VERB(stage, HF_ERR_CONFLICT, state_run_begin, &far, "x", BODY("{'ttl_ms':1000}"));
    VERB(stage, 0, state_run_renew, "x", BODY("{'fence':1}"));
    assert_has("'changed':true");
    stage->boot_ms += 900;
    VERB(stage, HF_ERR_CONFLICT, state_run_begin, &far, "x", BODY("{'ttl_ms':1000}"));
    VERB(stage, 0, state_commit, &ME, "x", BODY("{'fence':1,'records':[{'kind':'item','id':'1','doc':1}]}"));
    stage->boot_ms += 900;
    VERB(stage, HF_ERR_CONFLICT, state_run_begin, &far, "x", BODY("{'ttl_ms':1000}"));
    stage->boot_ms += 101;
    assert_int_equal(talk_begin(stage, "x", "{'ttl_ms':1000}"), 2);
    expect_outcome(stage, 1, "taken_over");
    VERB(stage, HF_ERR_CONFLICT, state_run_renew, "x", BODY("{'fence':1}"));
    VERB(stage, HF_ERR_CONFLICT, state_run_end, &ME, "x", BODY("{'fence':1,'value':1}"));
}

static void test_renew(void **state) {
    struct stage *stage = *state;
    VERB(stage, HF_ERR_CONFLICT, state_run_renew, "x", BODY("{'fence':1}"));
    VERB(stage, HF_ERR_INVALID, state_run_renew, "x", BODY("{}"));
    VERB(stage, HF_ERR_INVALID, state_run_renew, "x", BODY("{'fence':1,'force':true}"));
    talk_begin(stage, "x", "{}");
    VERB(stage, 0, state_run_renew, "x", BODY("{'fence':1}"));
    assert_has("'changed':false"); /* it has no end that could be put off */
}

static void test_end(void **state) {
    struct stage *stage = *state;
    talk_begin(stage, "x", "{'command':['sh','-c','true']}");
    VERB(stage, 0, state_set, &ME, "x", BODY("{'value':1,'fence':1}"));
    stage->wall_ms += 5000;
    uint64_t before = hf_store_revision(stage->store);
    VERB(stage, 0, state_run_end, &ME, "x",
         BODY("{'fence':1,'value':2,'exit_code':0,'duration_ms':4900,'records':12,'output_tail':'done','note':'n',"
              "'code_version':'c'}"));
    assert_int_equal(hf_store_revision(stage->store), before + 1);
    assert_has("{'name':'x','version':2,");
    assert_has("'code_version':'c','note':'n'");
    assert_has("'lease':null,'versions_kept':2,'changed':true}");
    VERB(stage, 0, state_runs, "x", 0);
    assert_has("'outcome':'ok',");
    assert_has("'command':['sh','-c','true'],");
    assert_has("'ended_at':'2023-11-14T22:13:25.000Z','duration_ms':4900,'exit_code':0,'signal':null,'records':12,"
               "'saves':2,'version_before':0,'version_after':2,");
    assert_has("'output_tail':'done'}");
    VERB(stage, HF_ERR_CONFLICT, state_run_end, &ME, "x", BODY("{'fence':1,'value':3}"));
}

/* Both the child and the file that it was given say what is new: only one of them can be right. */
static void test_end_of_what_was_overtaken(void **state) {
    struct stage *stage = *state;
    talk_save(stage, "x", "1");
    talk_begin(stage, "x", "{}");
    VERB(stage, 0, state_set, &ME, "x", BODY("{'value':2,'fence':1}"));
    VERB(stage, HF_ERR_PRECONDITION, state_run_end, &ME, "x", BODY("{'fence':1,'if_version':1,'value':3}"));
    expect_outcome(stage, 1, "running");
    VERB(stage, 0, state_run_end, &ME, "x", BODY("{'fence':1,'outcome':'refused','reason':'both changed'}"));
    assert_has("'changed':false");
    expect_outcome(stage, 1, "refused");
    stage_expect_text(stage, "x", "2", 2);
}

static void test_end_refused(void **state) {
    struct stage *stage = *state;
    talk_begin(stage, "x", "{}");
    VERB(stage, HF_ERR_INVALID, state_run_end, &ME, "x", BODY("{'value':3}"));
    assert_says(stage, "field 'fence' must be there");
    VERB(stage, HF_ERR_INVALID, state_run_end, &ME, "x", BODY("{'force':true}"));
    VERB(stage, HF_ERR_INVALID, state_run_end, &ME, "x", BODY("{'fence':1,'outcome':'running'}"));
    VERB(stage, HF_ERR_INVALID, state_run_end, &ME, "x", BODY("{'fence':1,'outcome':'All is well'}"));
    VERB(stage, HF_ERR_INVALID, state_run_end, &ME, "x", BODY("{'fence':1,'exit_code':-1}"));
    VERB(stage, HF_ERR_INVALID, state_run_end, &ME, "x", BODY("{'fence':1,'output_tail':1}"));
    VERB(stage, HF_ERR_CONFLICT, state_run_end, &ME, "x", BODY("{'fence':2,'value':3}"));
    expect_outcome(stage, 1, "running");
    VERB(stage, HF_ERR_NOT_FOUND, state_get, "x", 0, 0);
}

/* Of a long output the end is kept, from where a character begins. */
static void test_output_tail(void **state) {
    struct stage *stage = *state;
    enum { KEPT = 16 << 10, PAIRS = KEPT / 2 + 10 };
    char *body = calloc(1, 2 * PAIRS + 100), *at = body;
    talk_begin(stage, "x", "{}");
    at += sprintf(at, "{\"fence\":1,\"output_tail\":\"");
    for (int i = 0; i < PAIRS; i++)
        at += sprintf(at, "\xc3\xa9");
    at += sprintf(at, "!\"}");
    VERB(stage, 0, state_run_end, &ME, "x", body, (size_t)(at - body));
    struct state_run run;
    assert_code(stage, 0, state_run_read(stage->store, "x", 1, &run, &stage->error));
    assert_int_equal(strlen(run.output_tail), KEPT - 1);
    assert_memory_equal(run.output_tail, "\xc3\xa9", 2);
    state_run_fini(&run);
    free(body);
}

static void test_begin_refused(void **state) {
    struct stage *stage = *state;
    static const char *const BODIES[][2] = {
        {"{'on_overlap':'wait'}", "must be fail or steal, not 'wait'"},
        {"{'overlap':'wait'}", "must be skip, not 'wait'"},
        {"{'command':'true'}", "must be a list of texts"},
        {"{'command':['true',1]}", "must be a list of texts"},
        {"{'scheduled_at':'yesterday'}", "must be a time such as"},
        {"{'pid':'1'}", "field 'pid'"},
        {"{'fence':1}", "field \"fence\" is unknown"},
    };
    const struct state_caller owner = {.who = "runner", .pid = getpid()};
    for (size_t i = 0; i < sizeof BODIES / sizeof BODIES[0]; i++) {
        VERB(stage, HF_ERR_INVALID, state_run_begin, &owner, "x", BODY(BODIES[i][0]));
        assert_says(stage, BODIES[i][1]);
    }
    assert_int_equal(talk_count(stage, NULL), 0);
}

/* The ledger keeps the newest; the run that goes on is among them, however many were skipped since it began. */
static void test_ledger_is_bounded(void **state) {
    struct stage *stage = *state;
    enum { MORE = 20 };
    const struct state_caller other = {.who = "other", .pid = getppid()};
    talk_begin(stage, "x", "{'reason':'the long one'}");
    for (int i = 0; i < STATE_KEEP_RUNS + MORE; i++)
        VERB(stage, HF_ERR_CONFLICT, state_run_begin, &other, "x", BODY("{'overlap':'skip'}"));
    assert_in_range(talk_count(stage, STATE_RUN_KIND), STATE_KEEP_RUNS, STATE_KEEP_RUNS + 1);
    VERB(stage, 0, state_run_end, &ME, "x", BODY("{'fence':1}"));
    expect_outcome(stage, 1, "ok");
    VERB(stage, 0, state_runs, "x", 1);
    assert_has("'number':1021,");
}

/* The run that is ended and the one that the ledger drops may be the same. */
static void test_lost_run_at_the_ledgers_end(void **state) {
    struct stage *stage = *state;
    const struct state_caller other = {.who = "other", .pid = getppid()};
    talk_begin(stage, "x", "{}");
    for (int i = 0; i < STATE_KEEP_RUNS - 1; i++)
        VERB(stage, HF_ERR_CONFLICT, state_run_begin, &other, "x", BODY("{'overlap':'skip'}"));
    assert_int_equal(talk_begin(stage, "x", "{'on_overlap':'steal'}"), STATE_KEEP_RUNS + 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TALK_TEST(test_begin),
        TALK_TEST(test_begin_of_what_is_damaged),
        TALK_TEST(test_overlap),
        TALK_TEST(test_owner_died),
        TALK_TEST(test_expiry),
        TALK_TEST(test_renew),
        TALK_TEST(test_end),
        TALK_TEST(test_end_of_what_was_overtaken),
        TALK_TEST(test_end_refused),
        TALK_TEST(test_output_tail),
        TALK_TEST(test_begin_refused),
        TALK_TEST(test_ledger_is_bounded),
        TALK_TEST(test_lost_run_at_the_ledgers_end),
    };
    return cmocka_run_group_tests_name("keep/state_run", tests, NULL, NULL);
}
