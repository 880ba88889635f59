#include "api/health.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "store/store.h"

enum { WARNING_MS = 30000, CRITICAL_MS = 300000, RECENT_MS = 300000 };

const char *health_word(enum hf_health_status status) {
    static const char *const words[] = {"HEALTHY", "WARNING", "CRITICAL"};
    return words[status];
}

static int __attribute__((format(printf, 3, 4)))
judge(struct health_report *report, enum hf_health_status status, const char *format, ...) {
    va_list args;
    report->status = status;
    va_start(args, format);
    vsnprintf(report->message, sizeof report->message, format, args);
    va_end(args);
    return 1;
}

/* What is for the owner's eyes stays in the error's message. */
static const char *cause(const struct hf_error *error) {
    return hf_code_text(error->code);
}

static const char *duration(int64_t ms, char out[TEXT_TIME_BYTES]) {
    text_duration(ms / 1000 * 1000, out);
    return out;
}

static int has_failed_lately(const struct store_stats *store) {
    return store->last_failure_ms >= 0 && store->last_failure_ms < RECENT_MS;
}

static int is_over_one_percent(const struct store_stats *store) {
    return store->failures * 100 > store->failures + store->batches;
}

static int is_critical(struct health_report *report) {
    const struct store_stats *store = &report->store;
    char text[TEXT_TIME_BYTES];
    if (report->stopped.code != 0)
        return judge(report, HF_HEALTH_CRITICAL, "the store stopped after an I/O error");
    if (report->has_auditor && (report->audit.structure > 0 || report->audit.last_error.code == HF_ERR_CORRUPT))
        return judge(report, HF_HEALTH_CRITICAL,
                     "the store's structure is damaged: restore a backup, or save what can be read with "
                     "holdfast store copy --salvage");
    if (report->saving.status == HF_HEALTH_CRITICAL)
        return judge(report, HF_HEALTH_CRITICAL, "what is unsaved cannot be saved");
    if (store->oldest_ms > CRITICAL_MS)
        return judge(report, HF_HEALTH_CRITICAL, "a commit has waited for %s", duration(store->oldest_ms, text));
    if (store->failing_ms > CRITICAL_MS && has_failed_lately(store))
        return judge(report, HF_HEALTH_CRITICAL, "no commit has worked for %s: %s", duration(store->failing_ms, text),
                     cause(&store->last_error));
    return 0;
}

static int is_warning(struct health_report *report) {
    const struct store_stats *store = &report->store;
    const struct auditor_stats *audit = &report->audit;
    char text[TEXT_TIME_BYTES];
    if (report->saving.status == HF_HEALTH_WARNING)
        return judge(report, HF_HEALTH_WARNING, "saving what is unsaved is late, or fails");
    if (store->oldest_ms > WARNING_MS)
        return judge(report, HF_HEALTH_WARNING, "a commit has waited for %s", duration(store->oldest_ms, text));
    if (store->failing_ms >= 0)
        return judge(report, HF_HEALTH_WARNING, "the last commit failed: %s", cause(&store->last_error));
    if (is_over_one_percent(store) && has_failed_lately(store))
        return judge(report, HF_HEALTH_WARNING, "%llu of %llu commits failed", (unsigned long long)store->failures,
                     (unsigned long long)(store->failures + store->batches));
    if (report->has_auditor && audit->last_error.code != 0)
        return judge(report, HF_HEALTH_WARNING, "a part of the store could not be checked: %s",
                     cause(&audit->last_error));
    if (report->has_auditor && audit->reported > 0)
        return judge(report, HF_HEALTH_WARNING,
                     "the audit found %llu things that are wrong; holdfast store list finding",
                     (unsigned long long)audit->reported);
    return 0;
}

void health_judge(struct health_report *report) {
    if (!is_critical(report) && !is_warning(report))
        judge(report, HF_HEALTHY, "everything that was acknowledged is saved");
}

void health_look(const struct api_context *context, struct health_report *ret_report) {
    struct health_report report = {.has_auditor = context->auditor != NULL};
    store_health(context->store, &report.stopped);
    store_stats(context->store, &report.store);
    if (context->health)
        context->health(context->health_arg, &report.saving);
    if (context->auditor)
        auditor_stats(context->auditor, &report.audit);
    health_judge(&report);
    *ret_report = report;
}

/* ---- the status ---- */

static void put_age(struct json_writer *json, const char *key, int64_t ms) {
    json_key(json, key);
    if (ms < 0)
        json_null(json);
    else
        json_i64(json, ms);
}

static void write_audit(const struct auditor_stats *audit, struct json_writer *json) {
    json_key(json, "audit");
    json_begin_object(json);
    json_put_i64(json, "cycles", (int64_t)audit->totals.cycles);
    json_put_i64(json, "checked", (int64_t)audit->totals.checked);
    json_put_i64(json, "findings", (int64_t)audit->open);
    json_put_time(json, "last_at", audit->last_at_ms);
    json_put_string(json, "error", audit->last_error.code ? audit->last_error.message : NULL);
    json_end_object(json);
}

void health_write(const struct health_report *report, struct json_writer *json) {
    const struct store_stats *store = &report->store;
    int64_t oldest_ms = report->saving.oldest_unsaved_ms;
    json_key(json, "health");
    json_begin_object(json);
    json_put_string(json, "status", health_word(report->status));
    json_put_string(json, "message", report->message);
    json_put_string(json, "store", report->stopped.code ? "failed" : store->failing_ms >= 0 ? "failing" : "ok");
    json_put_string(json, "error", store->last_error.code ? store->last_error.message : NULL);
    json_put_i64(json, "unsaved", (int64_t)report->saving.dirty);
    json_put_i64(json, "oldest_unsaved_ms", oldest_ms > store->oldest_ms ? oldest_ms : store->oldest_ms);
    put_age(json, "last_commit_ms", store->last_commit_ms);
    json_put_i64(json, "commits", (int64_t)store->commits);
    json_put_i64(json, "batches", (int64_t)store->batches);
    json_put_i64(json, "failures", (int64_t)store->failures);
    json_put_i64(json, "queue", (int64_t)store->queued);
    json_put_i64(json, "queue_oldest_ms", store->oldest_ms);
    if (report->has_auditor) {
        write_audit(&report->audit, json);
    } else {
        json_key(json, "audit");
        json_null(json);
    }
    json_end_object(json);
}
