/* A program that keeps its documents itself and has them saved: first save, save of one in a hundred, load, audit of
 * all and of one shard, over SQLite and over a tree of files; each against what disk and processor allow in the same
 * run. Memory is measured where the owner makes its documents when it is asked for them, so that it is the library's.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/mem.h"
#include "holdfast.h"
#include "measure.h"

enum { ROUNDS = 5, SAVE_ROUNDS = 3, DIRTY = STORE_DOCUMENTS / 100, SHARDS = 5, FILE_THREADS = 2, SYNC_EVERY = 1000 };

static struct hf_error error;

static void must_be_0(int code) {
    if (code == 0)
        return;
    fprintf(stderr, "bench_saver: %s\n", error.message);
    exit(1);
}

/* ---- the owner ---- */

static struct document {
    char id[40];
    char *text; /* NULL: made when it is asked for */
    size_t bytes;
    unsigned turn;
} documents[STORE_DOCUMENTS];

static void renew(unsigned number) {
    struct document *document = &documents[number];
    document->turn++;
    if (!document->text)
        return;
    mem_free(document->text);
    document->text = make_document(number, document->turn, &document->bytes);
}

static void hold_documents(void) {
    for (unsigned i = 0; i < STORE_DOCUMENTS; i++)
        documents[i].text = make_document(i, documents[i].turn, &documents[i].bytes);
}

static int give(void *arg, const char *kind, const char *id, void *tag, struct hf_document *out) {
    const struct document *document = tag;
    (void)arg, (void)kind, (void)id;
    if (document->text) {
        hf_document_lend(out, document->text, document->bytes);
        return 0;
    }
    size_t bytes;
    char *text = make_document((unsigned)(document - documents), document->turn, &bytes);
    hf_document_add(out, text, bytes);
    mem_free(text);
    return 0;
}

static int each(void *arg, hf_key_visit visit, void *visit_arg) {
    (void)arg;
    for (unsigned i = 0; i < STORE_DOCUMENTS; i++) {
        int code = visit(visit_arg, "watch", documents[i].id, &documents[i]);
        if (code != 0)
            return code;
    }
    return 0;
}

static struct hf_store *open_store(const char *url) {
    struct hf_store *store = NULL;
    must_be_0(hf_store_open(url, NULL, &store, &error));
    return store;
}

static struct hf_saver *open_saver(struct hf_store *store) {
    const struct hf_saver_options options = {
        .struct_bytes = sizeof options, .interval_ms = 3600 * 1000, .give = give, .each = each, .who = "bench"};
    struct hf_saver *saver = NULL;
    must_be_0(hf_saver_open(store, &options, &saver, &error));
    return saver;
}

static double save_all(struct hf_saver *saver) {
    double start = seconds_now();
    must_be_0(hf_saver_save_all(saver, &error));
    return seconds_now() - start;
}

static double save_dirty(struct hf_saver *saver, unsigned round) {
    for (unsigned i = 0; i < DIRTY; i++)
        renew((i * 97 + round * 31) % STORE_DOCUMENTS);
    double start = seconds_now();
    for (unsigned i = 0; i < DIRTY; i++) {
        struct document *document = &documents[(i * 97 + round * 31) % STORE_DOCUMENTS];
        must_be_0(hf_saver_mark(saver, "watch", document->id, document, HF_STANDARD, &error));
    }
    must_be_0(hf_saver_flush(saver, &error));
    return seconds_now() - start;
}

static int count_record(void *arg, const struct hf_record *record, int code) {
    must(code == 0 && record->json_bytes > 0, "load");
    ++*(unsigned *)arg;
    return 0;
}

/* As a program starts: opens the store and takes every document. */
static double load(const char *url) {
    unsigned count = 0;
    double start = seconds_now();
    struct hf_store *store = open_store(url);
    struct hf_saver *saver = open_saver(store);
    must_be_0(hf_saver_load(saver, "watch", count_record, &count, &error));
    double seconds = seconds_now() - start;
    must(count == STORE_DOCUMENTS, "load all");
    must_be_0(hf_saver_close(&saver, &error));
    hf_store_close(&store);
    return seconds;
}

static double audit(struct hf_auditor *auditor, int every_shard) {
    struct hf_audit_result result;
    double start = seconds_now();
    must_be_0(hf_auditor_run(auditor, every_shard, &result, &error));
    double seconds = seconds_now() - start;
    must(result.findings == 0 && result.audited > 0, "audit");
    return seconds;
}

/* ---- the limits ---- */

static double write_once(const char *name) {
    struct buf all BUF_AUTO;
    off_t at = 0;
    buf_init(&all);
    double start = seconds_now();
    int fd = open_file(name, O_CREAT | O_EXCL);
    for (unsigned i = 0; i < STORE_DOCUMENTS; i++) {
        buf_add(&all, documents[i].text, documents[i].bytes);
        if (all.size < 1 << 20 && i + 1 < STORE_DOCUMENTS)
            continue;
        write_fully(fd, all.data, all.size, at);
        at += (off_t)all.size;
        buf_clear(&all);
    }
    must(fdatasync(fd) == 0, "fdatasync");
    close(fd);
    return seconds_now() - start;
}

struct maker {
    pthread_t thread;
    const char *root;
    unsigned first;
};

/* A folder and a file for each document: no temporary, no rename. */
static void *make_files(void *arg) {
    const struct maker *maker = arg;
    char path[128];
    for (unsigned i = maker->first; i < STORE_DOCUMENTS; i += FILE_THREADS) {
        snprintf(path, sizeof path, "%s/%s", maker->root, documents[i].id);
        must(mkdir(path, 0700) == 0, "mkdir");
        strcat(path, "/watch.json");
        int fd = open_file(path, O_CREAT | O_EXCL);
        write_fully(fd, documents[i].text, documents[i].bytes, 0);
        close(fd);
        if (i % SYNC_EVERY == 0) {
            fd = open(maker->root, O_RDONLY);
            must(fd >= 0 && syncfs(fd) == 0, "syncfs");
            close(fd);
        }
    }
    return NULL;
}

static double create_files(const char *root) {
    struct maker makers[FILE_THREADS];
    double start = seconds_now();
    must(mkdir(root, 0700) == 0, "mkdir");
    for (unsigned i = 0; i < FILE_THREADS; i++) {
        makers[i] = (struct maker){.root = root, .first = i};
        must(pthread_create(&makers[i].thread, NULL, make_files, &makers[i]) == 0, "pthread_create");
    }
    for (unsigned i = 0; i < FILE_THREADS; i++)
        pthread_join(makers[i].thread, NULL);
    int fd = open(root, O_RDONLY);
    must(fd >= 0 && syncfs(fd) == 0, "syncfs");
    close(fd);
    return seconds_now() - start;
}

static double read_once(const char *name) {
    static char text[2 * DOCUMENT_BYTES];
    uint64_t sum = 0;
    off_t at = 0;
    int fd = open_file(name, 0);
    double start = seconds_now();
    for (unsigned i = 0; i < STORE_DOCUMENTS; i++) {
        must(pread(fd, text, documents[i].bytes, at) == (ssize_t)documents[i].bytes, "pread");
        sum += hash64(text, documents[i].bytes, 0);
        at += (off_t)documents[i].bytes;
    }
    must(sum != 0, "hash");
    double seconds = seconds_now() - start;
    close(fd);
    return seconds;
}

static double hash_once(void) {
    uint64_t sum = 0;
    double start = seconds_now();
    for (unsigned i = 0; i < STORE_DOCUMENTS; i++)
        sum += hash64(documents[i].text, documents[i].bytes, 0);
    must(sum != 0, "hash");
    return seconds_now() - start;
}

/* ---- the measures ---- */

static void report_for(const char *what, const char *name, double value, const char *unit, double limit) {
    char measure[64];
    snprintf(measure, sizeof measure, "%s_%s", what, name);
    report(measure, value, unit, limit, limit > 0 ? value / limit : 0);
}

static void url_of(const char *name, int round, char ret_url[64]) {
    if (strcmp(name, "sqlite") == 0)
        snprintf(ret_url, 64, "sqlite:%s-%d.db", name, round);
    else
        snprintf(ret_url, 64, "tree:%s-%d?layout=watch", name, round);
}

static void bench_saves(const char *name) {
    int is_tree = strcmp(name, "tree") == 0;
    double first[SAVE_ROUNDS], limit[SAVE_ROUNDS], dirty[ROUNDS];
    char url[64], other[64];
    for (int i = 0; i < SAVE_ROUNDS; i++) {
        url_of(name, i, url);
        snprintf(other, sizeof other, "%s-limit-%d", name, i);
        limit[i] = is_tree ? create_files(other) : write_once(other);
        struct hf_store *store = open_store(url);
        struct hf_saver *saver = open_saver(store);
        first[i] = save_all(saver);
        for (unsigned round = 0; i == SAVE_ROUNDS - 1 && round < ROUNDS; round++)
            dirty[round] = save_dirty(saver, round);
        must_be_0(hf_saver_close(&saver, &error));
        hf_store_close(&store);
    }
    double bound = median(limit, SAVE_ROUNDS);
    report_for("saver_first", name, median(first, SAVE_ROUNDS), "s", bound);
    report_for("saver_dirty", name, median(dirty, ROUNDS) * 1e3, "ms", bound * 1e3 / 100);
}

static void bench_load(const char *name) {
    double ours[ROUNDS], limit[ROUNDS];
    char url[64];
    write_once("read-limit");
    url_of(name, 0, url);
    load(url);
    for (int i = 0; i < ROUNDS; i++) {
        limit[i] = read_once("read-limit");
        ours[i] = load(url);
    }
    must(unlink("read-limit") == 0, "unlink");
    report_for("saver_load", name, median(ours, ROUNDS), "s", median(limit, ROUNDS));
}

static void bench_audits(const char *name) {
    double all[ROUNDS], shard[ROUNDS], limit[ROUNDS];
    char url[64];
    url_of(name, 0, url);
    struct hf_store *store = open_store(url);
    struct hf_saver *saver = open_saver(store);
    must_be_0(hf_saver_save_all(saver, &error));
    const struct hf_auditor_options options = {
        .struct_bytes = sizeof options, .interval_ms = 3600 * 1000, .shards = SHARDS, .saver = saver, .not_stored = 1};
    struct hf_auditor *auditor = NULL;
    must_be_0(hf_auditor_open(store, &options, &auditor, &error));
    for (int i = 0; i < ROUNDS; i++) {
        limit[i] = hash_once();
        all[i] = audit(auditor, 1);
        shard[i] = audit(auditor, 0);
    }
    hf_auditor_close(&auditor);
    must_be_0(hf_saver_close(&saver, &error));
    hf_store_close(&store);
    double bound = median(limit, ROUNDS) * 1e3;
    report_for("audit_all", name, median(all, ROUNDS) * 1e3, "ms", bound);
    report_for("audit_shard", name, median(shard, ROUNDS) * 1e3, "ms", bound / SHARDS);
}

/* In a process of its own, whose owner holds no text. */
static void bench_memory(const char *name) {
    pid_t pid = fork();
    must(pid >= 0, "fork");
    if (pid == 0) {
        char url[64];
        for (unsigned i = 0; i < STORE_DOCUMENTS; i++)
            documents[i].text = NULL;
        url_of(name, SAVE_ROUNDS, url);
        double before = peak_memory_mib();
        struct hf_store *store = open_store(url);
        struct hf_saver *saver = open_saver(store);
        save_all(saver);
        save_dirty(saver, 0);
        must_be_0(hf_saver_close(&saver, &error));
        hf_store_close(&store);
        load(url);
        report_for("saver_memory", name, peak_memory_mib() - before, "MiB", 0);
        _exit(0);
    }
    int status;
    must(waitpid(pid, &status, 0) == pid && status == 0, "the process whose memory is measured");
}

int main(int count, char **names) {
    static const char *const backends[] = {"sqlite", "tree"};
    for (unsigned i = 0; i < STORE_DOCUMENTS; i++)
        make_id(i, documents[i].id);
    for (int i = 0; i < 2; i++)
        if (count < 2 || strcmp(names[1], backends[i]) == 0)
            bench_memory(backends[i]);
    hold_documents();
    for (int i = 0; i < 2; i++) {
        if (count > 1 && strcmp(names[1], backends[i]) != 0)
            continue;
        bench_saves(backends[i]);
        bench_load(backends[i]);
        bench_audits(backends[i]);
    }
    return 0;
}
