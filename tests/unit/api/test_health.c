/* The rules of health, each at its edge; what /healthz makes of them; the format of the metrics. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "api/handlers.h"
#include "api/health.h"
#include "api/metrics.h"
#include "store/backend.h"

/* Idle for an hour, and all is well. */
static struct health_report idle(void) {
    return (struct health_report){
        .store = {.commits = 10, .batches = 1000, .last_commit_ms = 3600000, .failing_ms = -1, .last_failure_ms = -1},
        .has_auditor = 1,
    };
}

static void expect(struct health_report report, enum hf_health_status status, const char *message) {
    health_judge(&report);
    assert_int_equal(report.status, status);
    assert_string_equal(report.message, message);
}

static void expect_healthy(struct health_report report) {
    expect(report, HF_HEALTHY, "everything that was acknowledged is saved");
}

static void test_idle_is_healthy(void **state) {
    struct health_report report = idle();
    (void)state;
    expect_healthy(report);
    report.store = (struct store_stats){.last_commit_ms = -1, .failing_ms = -1, .last_failure_ms = -1};
    expect_healthy(report);
}

static void test_a_store_that_stopped(void **state) {
    struct health_report report = idle();
    (void)state;
    report.stopped.code = HF_ERR_FAILED;
    snprintf(report.stopped.message, sizeof report.stopped.message, "write '/secret/place': input/output error");
    report.saving.status = HF_HEALTH_WARNING;
    expect(report, HF_HEALTH_CRITICAL, "the store stopped after an I/O error");
}

static void test_savers(void **state) {
    struct health_report report = idle();
    (void)state;
    report.saving = (struct hf_health){.status = HF_HEALTHY, .dirty = 5000, .oldest_unsaved_ms = 86400000};
    expect_healthy(report); /* held back on purpose */
    report.saving.status = HF_HEALTH_WARNING;
    expect(report, HF_HEALTH_WARNING, "saving what is unsaved is late, or fails");
    report.saving.status = HF_HEALTH_CRITICAL;
    expect(report, HF_HEALTH_CRITICAL, "what is unsaved cannot be saved");
}

static void test_a_commit_that_waits(void **state) {
    struct health_report report = idle();
    (void)state;
    report.store.oldest_ms = 30000;
    expect_healthy(report);
    report.store.oldest_ms = 30001;
    expect(report, HF_HEALTH_WARNING, "a commit has waited for 30s");
    report.store.oldest_ms = 300000;
    expect(report, HF_HEALTH_WARNING, "a commit has waited for 5m");
    report.store.oldest_ms = 300001;
    expect(report, HF_HEALTH_CRITICAL, "a commit has waited for 5m");
}

static void test_commits_that_fail(void **state) {
    struct health_report report = idle();
    (void)state;
    report.store.failures = 1;
    report.store.failing_ms = report.store.last_failure_ms = 0;
    report.store.last_error.code = HF_ERR_NO_SPACE;
    snprintf(report.store.last_error.message, sizeof report.store.last_error.message, "write '/secret/place'");
    expect(report, HF_HEALTH_WARNING, "the last commit failed: the disk is full");
    report.store.failing_ms = 300000;
    expect(report, HF_HEALTH_WARNING, "the last commit failed: the disk is full");
    report.store.failing_ms = 300001;
    expect(report, HF_HEALTH_CRITICAL, "no commit has worked for 5m: the disk is full");
    report.store.last_failure_ms = 299999;
    report.store.failing_ms = 7200000;
    expect(report, HF_HEALTH_CRITICAL, "no commit has worked for 2h: the disk is full");
    report.store.last_failure_ms = 300000; /* and nobody has tried since */
    expect(report, HF_HEALTH_WARNING, "the last commit failed: the disk is full");
}

static void test_the_share_that_fails(void **state) {
    struct health_report report = idle();
    (void)state;
    report.store.batches = 990;
    report.store.failures = 10;
    report.store.last_failure_ms = 1000;
    expect_healthy(report); /* 1 % is not over it */
    report.store.failures = 11;
    expect(report, HF_HEALTH_WARNING, "11 of 1001 commits failed");
    report.store.last_failure_ms = 300000;
    expect_healthy(report);
}

static void test_pages_that_cannot_be_read(void **state) {
    static const char said[] = "the store's structure is damaged: restore a backup, or save what can be read with "
                               "holdfast store copy --salvage";
    struct health_report report = idle();
    (void)state;
    report.audit.open = report.audit.reported = report.audit.structure = 1;
    report.saving.status = HF_HEALTH_WARNING;
    expect(report, HF_HEALTH_CRITICAL, said);
    report = idle();
    report.audit.last_error.code = HF_ERR_CORRUPT;
    expect(report, HF_HEALTH_CRITICAL, said);
    report.has_auditor = 0;
    expect_healthy(report);
}

static void test_what_the_audit_says(void **state) {
    struct health_report report = idle();
    (void)state;
    report.audit.open = 3; /* mended, and not gone yet */
    expect_healthy(report);
    report.audit.reported = 2;
    expect(report, HF_HEALTH_WARNING, "the audit found 2 things that are wrong; holdfast store list finding");
    report.audit.last_error.code = HF_ERR_IO;
    expect(report, HF_HEALTH_WARNING, "a part of the store could not be checked: reading or writing failed");
    report.has_auditor = 0;
    expect_healthy(report);
}

/* ---- /healthz ---- */

static void remember_finish(struct api_call *call) {
    ++*(int *)call->finish_context;
}

static int ask(api_handler handler, struct api_context *context, char *reply, size_t room) {
    static const struct api_operation operation = {.noun = "test", .success_status = 200};
    int finished = 0;
    struct api_call call = {.context = context,
                            .operation = &operation,
                            .finish = remember_finish,
                            .finish_context = &finished};
    arena_init(&call.arena);
    buf_init(&call.reply);
    handler(&call);
    assert_int_equal(finished, 1);
    snprintf(reply, room, "%s", buf_text(&call.reply));
    arena_fini(&call.arena);
    buf_fini(&call.reply);
    return call.status;
}

static int failing_commit(struct store_backend *backend, struct hf_error *error) {
    (void)backend;
    return error_set(error, HF_ERR_IO, "write '/secret/place'");
}

static void test_a_stopped_store_is_answered_with_503(void **state) {
    static struct store_backend_ops ops;
    struct store_setup setup = {.without_thread = 1};
    struct api_context context = {.os = os_real()};
    char reply[512];
    (void)state;
    ops = store_memory_ops;
    assert_int_equal(store_memory_ops.open(os_real(), "", NULL, &setup.backend, &setup.backend_revision, NULL), 0);
    setup.backend->ops = &ops;
    assert_int_equal(store_open(NULL, NULL, &setup, &context.store, NULL), 0);
    assert_int_equal(ask(health_handler, &context, reply, sizeof reply), 200);
    assert_string_equal(reply, "{\"status\":\"HEALTHY\",\"message\":\"everything that was acknowledged is saved\"}");
    assert_int_equal(ask(ready_handler, &context, reply, sizeof reply), 200);
    ops.commit = failing_commit;
    assert_int_equal(hf_store_put(context.store, "page", "home", "1", 1, NULL, NULL), HF_ERR_FAILED);
    assert_int_equal(ask(health_handler, &context, reply, sizeof reply), 503);
    assert_string_equal(reply, "{\"status\":\"CRITICAL\",\"message\":\"the store stopped after an I/O error\"}");
    assert_int_equal(ask(ready_handler, &context, reply, sizeof reply), 503);
    assert_null(strstr(reply, "secret"));
    assert_int_equal(ask(live_handler, &context, reply, sizeof reply), 200);
    hf_store_close(&context.store);
}

/* ---- metrics ---- */

static void expect_line(const char *text, const char *line) {
    const char *at = strstr(text, line);
    if (!at || (at != text && at[-1] != '\n'))
        fail_msg("there is no line '%s' in:\n%s", line, text);
}

static void test_metrics(void **state) {
    struct metrics_facts facts = {.health = idle(), .revision = 9007199254740991, .resident_bytes = -1};
    BUF_AUTO struct buf text;
    (void)state;
    facts.census.by_status[0] = 4; /* running */
    facts.replies[5] = 7;
    facts.health.store.oldest_ms = 1500;
    buf_init(&text);
    metrics_write(&facts, &text);
    expect_line(buf_text(&text), "# HELP holdfast_store_commits_total Transactions that were made durable.\n"
                                 "# TYPE holdfast_store_commits_total counter\nholdfast_store_commits_total 10\n");
    expect_line(buf_text(&text), "holdfast_store_revision 9007199254740991\n");
    expect_line(buf_text(&text), "holdfast_store_queue_oldest_seconds 1.500\n");
    expect_line(buf_text(&text), "holdfast_sources{status=\"running\"} 4\n");
    expect_line(buf_text(&text), "holdfast_sources{status=\"fatal\"} 0\n");
    expect_line(buf_text(&text), "holdfast_http_replies_total{class=\"5xx\"} 7\n");
    expect_line(buf_text(&text), "holdfast_build_info{version=\"" HF_VERSION "\"} 1\n");
    assert_null(strstr(buf_text(&text), "\nholdfast_process_resident_memory_bytes")); /* not known: no sample */
    assert_null(strstr(buf_text(&text), "nan"));
    metrics_look_at_process(os_real(), &facts);
    assert_true(facts.resident_bytes > 100000);
    assert_true(facts.open_files >= 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_idle_is_healthy),
        cmocka_unit_test(test_a_store_that_stopped),
        cmocka_unit_test(test_savers),
        cmocka_unit_test(test_a_commit_that_waits),
        cmocka_unit_test(test_commits_that_fail),
        cmocka_unit_test(test_the_share_that_fails),
        cmocka_unit_test(test_pages_that_cannot_be_read),
        cmocka_unit_test(test_what_the_audit_says),
        cmocka_unit_test(test_a_stopped_store_is_answered_with_503),
        cmocka_unit_test(test_metrics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
