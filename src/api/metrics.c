#include "api/metrics.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "os/file.h"

const char metrics_content_type[] = "text/plain; version=0.0.4; charset=utf-8";

/* A metric and how its value is found; NAN: there is none now. With a label there is one value for each of its words.
 */
struct metric {
    const char *name, *type, *help;
    double (*value)(const struct metrics_facts *facts, int word);
    const char *label;
    const char *const *words; /* ends with NULL */
};

static const char *const reply_classes[] = {"1xx", "2xx", "3xx", "4xx", "5xx", NULL};
static const char *const versions[] = {HF_VERSION, NULL};

static double seconds(int64_t ms) {
    return ms < 0 ? (double)NAN : (double)ms / 1000;
}

#define VALUE(name, expression)                                                                                        \
    static double name(const struct metrics_facts *facts, int word) {                                                  \
        (void)facts;                                                                                                   \
        (void)word;                                                                                                    \
        return (expression);                                                                                           \
    }
VALUE(build, 1)
VALUE(health_status, (double)facts->health.status)
VALUE(store_failed, facts->health.stopped.code != 0)
VALUE(revision, (double)facts->revision)
VALUE(commits, (double)facts->health.store.commits)
VALUE(batches, (double)facts->health.store.batches)
VALUE(bytes, (double)facts->health.store.bytes)
VALUE(refused, (double)facts->health.store.refused)
VALUE(failures, (double)facts->health.store.failures)
VALUE(queued, (double)facts->health.store.queued)
VALUE(queue_oldest, seconds(facts->health.store.oldest_ms))
VALUE(last_commit, seconds(facts->health.store.last_commit_ms))
VALUE(unsaved, (double)facts->health.saving.dirty)
VALUE(oldest_unsaved, seconds(facts->health.saving.oldest_unsaved_ms))
VALUE(audit_cycles, (double)facts->health.audit.totals.cycles)
VALUE(audit_checked, (double)facts->health.audit.totals.checked)
VALUE(audit_findings, (double)facts->health.audit.totals.findings)
VALUE(audit_open, (double)facts->health.audit.open)
VALUE(rows, facts->health.audit.rows ? (double)facts->health.audit.rows : (double)NAN)
VALUE(sources, (double)facts->census.by_status[word])
VALUE(states, (double)facts->census.states)
VALUE(leases, (double)facts->census.leases)
VALUE(replies, (double)facts->replies[word + 1])
VALUE(started, seconds(facts->started_ms))
VALUE(resident, facts->resident_bytes < 0 ? (double)NAN : (double)facts->resident_bytes)
VALUE(open_files, facts->open_files < 0 ? (double)NAN : (double)facts->open_files)

static const struct metric metrics[] = {
    {"holdfast_build_info", "gauge", "The version of the daemon.", build, "version", versions},
    {"holdfast_health_status", "gauge", "0: healthy, 1: warning, 2: critical.", health_status, NULL, NULL},
    {"holdfast_store_failed", "gauge", "1: the store stopped after an I/O error.", store_failed, NULL, NULL},
    {"holdfast_store_revision", "counter", "The revision of the newest commit.", revision, NULL, NULL},
    {"holdfast_store_rows", "gauge", "Records, versions and events, as the last whole audit found them.", rows, NULL,
     NULL},
    {"holdfast_store_commits_total", "counter", "Transactions that were made durable.", commits, NULL, NULL},
    {"holdfast_store_batches_total", "counter", "Batches that were acknowledged.", batches, NULL, NULL},
    {"holdfast_store_bytes_total", "counter", "Bytes of the documents in acknowledged batches.", bytes, NULL, NULL},
    {"holdfast_store_refused_total", "counter", "Batches that were refused for what they asked.", refused, NULL, NULL},
    {"holdfast_store_failures_total", "counter", "Batches that could not be made durable.", failures, NULL, NULL},
    {"holdfast_store_queue_length", "gauge", "Batches that wait to be committed.", queued, NULL, NULL},
    {"holdfast_store_queue_oldest_seconds", "gauge", "How long the oldest commit waits.", queue_oldest, NULL, NULL},
    {"holdfast_store_last_commit_age_seconds", "gauge", "Since something was made durable.", last_commit, NULL, NULL},
    {"holdfast_unsaved", "gauge", "Changes that are held back to be saved later.", unsaved, NULL, NULL},
    {"holdfast_unsaved_oldest_seconds", "gauge", "The age of the oldest of them.", oldest_unsaved, NULL, NULL},
    {"holdfast_audit_cycles_total", "counter", "Shards that were audited.", audit_cycles, NULL, NULL},
    {"holdfast_audit_checked_total", "counter", "Stored rows that were audited.", audit_checked, NULL, NULL},
    {"holdfast_audit_findings_total", "counter", "Findings, each time they were seen.", audit_findings, NULL, NULL},
    {"holdfast_audit_open_findings", "gauge", "Findings that are not gone.", audit_open, NULL, NULL},
    {"holdfast_sources", "gauge", "Sources by their status.", sources, "status", census_statuses},
    {"holdfast_states", "gauge", "States of collectors.", states, NULL, NULL},
    {"holdfast_state_leases", "gauge", "States whose lease was taken and not given back.", leases, NULL, NULL},
    {"holdfast_http_replies_total", "counter", "HTTP replies by the class of their status.", replies, "class",
     reply_classes},
    {"holdfast_start_time_seconds", "gauge", "When the daemon was started, since 1970.", started, NULL, NULL},
    {"holdfast_process_resident_memory_bytes", "gauge", "Memory that is in use.", resident, NULL, NULL},
    {"holdfast_process_open_fds", "gauge", "File descriptors that are open.", open_files, NULL, NULL},
};

static void write_sample(const struct metric *metric, const struct metrics_facts *facts, int word, struct buf *out) {
    double value = metric->value(facts, word);
    if (isnan(value))
        return;
    buf_add_text(out, metric->name);
    if (metric->label)
        buf_printf(out, "{%s=\"%s\"}", metric->label, metric->words[word]);
    buf_printf(out, value == (double)(int64_t)value ? " %.0f\n" : " %.3f\n", value);
}

void metrics_write(const struct metrics_facts *facts, struct buf *out) {
    for (const struct metric *metric = metrics; metric < metrics + sizeof metrics / sizeof metrics[0]; metric++) {
        buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", metric->name, metric->help, metric->name, metric->type);
        for (int word = 0; word == 0 || (metric->label && metric->words[word]); word++)
            write_sample(metric, facts, word, out);
    }
}

/* ---- the process ---- */

enum { STATM_BYTES = 256 };

/* The second number of /proc/self/statm, in pages. */
static int64_t find_resident_bytes(const struct os *os) {
    char text[STATM_BYTES + 1];
    int64_t bytes = -1;
    int fd = os_open(os, AT_FDCWD, "/proc/self/statm", O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    ssize_t read = file_pread_full(os, fd, text, STATM_BYTES, 0);
    if (read > 0) {
        char *second = NULL;
        text[read] = '\0';
        strtoll(text, &second, 10);
        bytes = strtoll(second, NULL, 10) * sysconf(_SC_PAGESIZE);
    }
    os_close(os, fd);
    return bytes;
}

static int count_entry(void *arg, const char *name, unsigned char d_type) {
    (void)name;
    (void)d_type;
    ++*(int64_t *)arg;
    return 0;
}

static int64_t count_open_files(const struct os *os) {
    int64_t count = -1; /* the folder's own */
    int fd = os_open(os, AT_FDCWD, "/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    int code = os_list(os, fd, count_entry, &count);
    os_close(os, fd);
    return code == 0 ? count : -1;
}

void metrics_look_at_process(const struct os *os, struct metrics_facts *facts) {
    facts->resident_bytes = find_resident_bytes(os);
    facts->open_files = count_open_files(os);
}
