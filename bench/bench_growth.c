/* How saving and loading grow from a thousand to a million documents: the time for each document and the memory of the
 * process, whose owner makes its documents when it is asked for them. Each size in a process and a folder of its own.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "holdfast.h"
#include "measure.h"

static struct hf_error error;

static void must_be_0(int code) {
    if (code == 0)
        return;
    fprintf(stderr, "bench_growth: %s\n", error.message);
    exit(1);
}

static int give(void *arg, const char *kind, const char *id, void *tag, struct hf_document *out) {
    size_t bytes;
    (void)arg, (void)kind, (void)id;
    char *text = make_document((unsigned)(uintptr_t)tag, 0, &bytes);
    hf_document_add(out, text, bytes);
    mem_free(text);
    return 0;
}

static int each(void *arg, hf_key_visit visit, void *visit_arg) {
    const unsigned *count = arg;
    char id[40];
    for (unsigned i = 0; i < *count; i++) {
        make_id(i, id);
        int code = visit(visit_arg, "watch", id, (void *)(uintptr_t)i);
        if (code != 0)
            return code;
    }
    return 0;
}

static int count_record(void *arg, const struct hf_record *record, int code) {
    must(code == 0 && record->json_bytes > 0, "load");
    ++*(unsigned *)arg;
    return 0;
}

static void report_size(const char *what, const char *name, unsigned count, double value, const char *unit) {
    char measure[64];
    snprintf(measure, sizeof measure, "%s_%s_%u", what, name, count);
    report(measure, value, unit, 0, 0);
}

static void measure(const char *name, const char *url, unsigned count) {
    struct hf_store *store = NULL;
    struct hf_saver *saver = NULL;
    struct hf_saver_options options = {
        .struct_bytes = sizeof options, .interval_ms = 3600 * 1000, .give = give, .each = each, .arg = &count};
    unsigned loaded = 0;
    double start = seconds_now();
    must_be_0(hf_store_open(url, NULL, &store, &error));
    must_be_0(hf_saver_open(store, &options, &saver, &error));
    must_be_0(hf_saver_save_all(saver, &error));
    report_size("growth_save", name, count, (seconds_now() - start) * 1e6 / count, "us/doc");
    must_be_0(hf_saver_close(&saver, &error));
    hf_store_close(&store);
    start = seconds_now();
    must_be_0(hf_store_open(url, NULL, &store, &error));
    must_be_0(hf_store_scan(store, "watch", NULL, 0, count_record, &loaded, &error));
    report_size("growth_load", name, count, (seconds_now() - start) * 1e6 / count, "us/doc");
    must(loaded == count, "load all");
    hf_store_close(&store);
    report_size("growth_memory", name, count, peak_memory_mib(), "MiB");
}

int main(void) {
    static const unsigned counts[] = {1000, 10000, 100000, 1000000};
    static const char *const names[] = {"sqlite", "tree"};
    char url[64];
    for (unsigned form = 0; form < 2; form++) {
        for (unsigned i = 0; i < sizeof counts / sizeof counts[0]; i++) {
            snprintf(url, sizeof url, form ? "tree:%u?layout=watch" : "sqlite:%u.db", counts[i]);
            pid_t pid = fork();
            must(pid >= 0, "fork");
            if (pid == 0) {
                measure(names[form], url, counts[i]);
                _exit(0);
            }
            int status;
            must(waitpid(pid, &status, 0) == pid && status == 0, "a process that measures");
        }
    }
    return 0;
}
