/* The store over SQLite, held against what the disk and the processor allow in the same run: one write and fdatasync
 * for a commit, a bare log with group commit for 64 callers, one pass of reading and hashing for a load, writing the
 * same bytes once for a first save. One line for each measure: name value unit limit ratio. */
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/mem.h"
#include "holdfast.h"
#include "measure.h"

enum {
    ROUNDS = 5,
    SAVE_ROUNDS = 3,
    COMMITS = 400, /* of one caller in a round */
    CALLERS = 64,
    CALLER_COMMITS = 250,         /* of each in a round */
    LOG_BYTES = 64 * 1024 * 1024, /* written before, and used again and again */
};

static struct {
    char *text;
    size_t bytes;
} documents[STORE_DOCUMENTS];
static size_t documents_bytes;

static void make_documents(void) {
    for (unsigned i = 0; i < STORE_DOCUMENTS; i++) {
        documents[i].text = make_document(i, 0, &documents[i].bytes);
        documents_bytes += documents[i].bytes;
    }
    printf("# %d documents, %zu bytes each on average\n", STORE_DOCUMENTS, documents_bytes / STORE_DOCUMENTS);
}

/* ---- files ---- */

/* A file whose blocks are written: what is written over it later changes no metadata. */
static int make_log(void) {
    static char block[1 << 20];
    int fd = open_file("log", O_CREAT | O_TRUNC);
    for (off_t at = 0; at < LOG_BYTES; at += (off_t)sizeof block)
        write_fully(fd, block, sizeof block, at);
    must(fsync(fd) == 0, "fsync");
    return fd;
}

static struct hf_store *open_store(const char *url) {
    struct hf_store *store = NULL;
    struct hf_error error = {0};
    if (hf_store_open(url, NULL, &store, &error) != 0) {
        fprintf(stderr, "bench_store: %s\n", error.message);
        exit(1);
    }
    return store;
}

static void put(struct hf_store *store, const char *id, const char *json, size_t bytes) {
    struct hf_error error = {0};
    if (hf_store_put(store, "page", id, json, bytes, NULL, &error) != 0) {
        fprintf(stderr, "bench_store: %s\n", error.message);
        exit(1);
    }
}

/* ---- one caller ---- */

static double one_caller(struct hf_store *store, unsigned turn) {
    double start = seconds_now();
    char id[32];
    for (unsigned i = 0; i < COMMITS; i++) {
        size_t bytes;
        char *json = make_document(i, turn, &bytes);
        snprintf(id, sizeof id, "%05u", i);
        put(store, id, json, bytes);
        mem_free(json);
    }
    return (seconds_now() - start) / COMMITS;
}

static double one_writer(int log, unsigned turn) {
    static off_t at;
    double start = seconds_now();
    for (unsigned i = 0; i < COMMITS; i++) {
        size_t bytes;
        char *json = make_document(i, turn, &bytes);
        write_fully(log, json, bytes, at);
        must(fdatasync(log) == 0, "fdatasync");
        at = (at + (off_t)bytes) % (LOG_BYTES / 2);
        mem_free(json);
    }
    return (seconds_now() - start) / COMMITS;
}

static void bench_commit_1(struct hf_store *store, int log) {
    double ours[ROUNDS], limit[ROUNDS];
    one_caller(store, 1);
    for (unsigned i = 0; i < ROUNDS; i++) {
        limit[i] = one_writer(log, i) * 1e6;
        ours[i] = one_caller(store, i + 2) * 1e6;
    }
    double value = median(ours, ROUNDS), bound = median(limit, ROUNDS);
    report("commit_1", value, "us", bound, value / bound);
}

/* ---- 64 callers ---- */

/* A log with group commit and nothing else: what waits is copied together, written and synced once. */
struct bare_log {
    int fd;
    off_t at;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct entry *first, *last;
    int stop;
};

struct entry {
    struct entry *next;
    const char *bytes;
    size_t size;
    sem_t done;
};

static void write_group(struct bare_log *log, const struct entry *first, struct buf *group) {
    buf_clear(group);
    for (; first; first = first->next)
        buf_add(group, first->bytes, first->size);
    write_fully(log->fd, group->data, group->size, log->at);
    must(fdatasync(log->fd) == 0, "fdatasync");
    log->at = (log->at + (off_t)group->size) % (LOG_BYTES / 2);
}

static void *write_log(void *arg) {
    struct bare_log *log = arg;
    struct buf group BUF_AUTO;
    buf_init(&group);
    for (;;) {
        pthread_mutex_lock(&log->lock);
        while (!log->first && !log->stop)
            pthread_cond_wait(&log->wake, &log->lock);
        struct entry *first = log->first;
        log->first = log->last = NULL;
        pthread_mutex_unlock(&log->lock);
        if (!first)
            return NULL;
        write_group(log, first, &group);
        for (struct entry *next; first; first = next) {
            next = first->next;
            sem_post(&first->done);
        }
    }
}

static void append(struct bare_log *log, const char *bytes, size_t size) {
    struct entry entry = {.bytes = bytes, .size = size};
    sem_init(&entry.done, 0, 0);
    pthread_mutex_lock(&log->lock);
    if (log->last)
        log->last->next = &entry;
    else
        log->first = &entry;
    log->last = &entry;
    pthread_cond_signal(&log->wake);
    pthread_mutex_unlock(&log->lock);
    while (sem_wait(&entry.done) != 0)
        continue;
    sem_destroy(&entry.done);
}

struct caller {
    pthread_t thread;
    struct hf_store *store; /* or */
    struct bare_log *log;
    unsigned number, turn;
};

/* Documents are made before: what is measured is the commit. */
static void *call(void *arg) {
    const struct caller *caller = arg;
    char id[32];
    for (unsigned i = 0; i < CALLER_COMMITS; i++) {
        unsigned which = (caller->number * CALLER_COMMITS + i + caller->turn * 7919) % STORE_DOCUMENTS;
        snprintf(id, sizeof id, "%u-%u", caller->number, i);
        if (caller->store)
            put(caller->store, id, documents[which].text, documents[which].bytes);
        else
            append(caller->log, documents[which].text, documents[which].bytes);
    }
    return NULL;
}

static double run_callers(struct hf_store *store, struct bare_log *log, unsigned turn) {
    static struct caller callers[CALLERS];
    double start = seconds_now();
    for (unsigned i = 0; i < CALLERS; i++) {
        callers[i] = (struct caller){.store = store, .log = log, .number = i, .turn = turn};
        must(pthread_create(&callers[i].thread, NULL, call, &callers[i]) == 0, "pthread_create");
    }
    for (unsigned i = 0; i < CALLERS; i++)
        pthread_join(callers[i].thread, NULL);
    return CALLERS * CALLER_COMMITS / (seconds_now() - start);
}

static double run_log(int fd, unsigned turn) {
    struct bare_log log = {.fd = fd, .lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER};
    pthread_t writer;
    must(pthread_create(&writer, NULL, write_log, &log) == 0, "pthread_create");
    double rate = run_callers(NULL, &log, turn);
    pthread_mutex_lock(&log.lock);
    log.stop = 1;
    pthread_cond_signal(&log.wake);
    pthread_mutex_unlock(&log.lock);
    pthread_join(writer, NULL);
    return rate;
}

static void bench_commit_64(struct hf_store *store, int log) {
    double ours[ROUNDS], limit[ROUNDS];
    run_callers(store, NULL, 0);
    for (unsigned i = 0; i < ROUNDS; i++) {
        limit[i] = run_log(log, i + 1);
        ours[i] = run_callers(store, NULL, i + 1);
    }
    double value = median(ours, ROUNDS), bound = median(limit, ROUNDS);
    report("commit_64", value, "commits/s", bound, bound / value);
}

/* ---- first save and load ---- */

static double save_all(struct hf_store *store) {
    struct hf_batch *batch = NULL;
    char id[32];
    double start = seconds_now();
    must(hf_batch_new("bench", &batch, NULL) == 0, "hf_batch_new");
    for (unsigned i = 0; i < STORE_DOCUMENTS; i++) {
        snprintf(id, sizeof id, "%08x-%05u", i * 2654435761u, i);
        must(hf_batch_put(batch, "page", id, documents[i].text, documents[i].bytes, NULL, NULL) == 0, "hf_batch_put");
    }
    must(hf_store_commit(store, &batch, NULL, NULL) == 0, "hf_store_commit");
    return seconds_now() - start;
}

static double write_all(const char *name) {
    struct buf all BUF_AUTO;
    buf_init(&all);
    double start = seconds_now();
    int fd = open_file(name, O_CREAT | O_EXCL);
    off_t at = 0;
    for (unsigned i = 0; i < STORE_DOCUMENTS; i++) {
        buf_add(&all, documents[i].text, documents[i].bytes);
        if (all.size < 1 << 20 && i + 1 < STORE_DOCUMENTS)
            continue;
        write_fully(fd, all.data, all.size, at);
        at += (off_t)all.size;
        buf_clear(&all);
    }
    must(fdatasync(fd) == 0, "fdatasync");
    double seconds = seconds_now() - start;
    close(fd);
    return seconds;
}

static void bench_first_save(void) {
    double ours[SAVE_ROUNDS], limit[SAVE_ROUNDS];
    char url[32], file[32];
    for (int i = 0; i < SAVE_ROUNDS; i++) {
        snprintf(file, sizeof file, "all-%d", i);
        snprintf(url, sizeof url, "sqlite:save-%d.db", i);
        struct hf_store *store = open_store(url);
        limit[i] = write_all(file);
        ours[i] = save_all(store);
        hf_store_close(&store);
    }
    double value = median(ours, SAVE_ROUNDS), bound = median(limit, SAVE_ROUNDS);
    report("first_save", value, "s", bound, value / bound);
}

static int add_up(void *arg, const struct hf_record *record, int code) {
    must(code == 0, "scan");
    *(size_t *)arg += record->json_bytes;
    return 0;
}

static double load_all(struct hf_store *store) {
    size_t bytes = 0;
    double start = seconds_now();
    must(hf_store_scan(store, "page", NULL, 0, add_up, &bytes, NULL) == 0, "hf_store_scan");
    must(bytes == documents_bytes, "the documents' size");
    return seconds_now() - start;
}

/* Document by document, from a file that holds nothing else. */
static double read_all(int fd) {
    static char text[2 * DOCUMENT_BYTES];
    off_t at = 0;
    uint64_t sum = 0;
    double start = seconds_now();
    for (unsigned i = 0; i < STORE_DOCUMENTS; i++) {
        must(pread(fd, text, documents[i].bytes, at) == (ssize_t)documents[i].bytes, "pread");
        sum += hash64(text, documents[i].bytes, 0);
        at += (off_t)documents[i].bytes;
    }
    double seconds = seconds_now() - start;
    must(sum != 0, "hash");
    return seconds;
}

static void bench_load(void) {
    double ours[ROUNDS], limit[ROUNDS];
    struct hf_store *store = open_store("sqlite:save-0.db");
    int fd = open_file("all-0", 0);
    load_all(store);
    for (int i = 0; i < ROUNDS; i++) {
        limit[i] = read_all(fd);
        ours[i] = load_all(store);
    }
    double value = median(ours, ROUNDS), bound = median(limit, ROUNDS);
    report("load", value, "s", bound, value / bound);
    close(fd);
    hf_store_close(&store);
}

/* With names as arguments, only those. */
static int is_wanted(int count, char **names, const char *name) {
    for (int i = 1; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return 1;
    return count < 2;
}

static void bench_commits(int count, char **names) {
    int log = make_log();
    struct hf_store *store = open_store("sqlite:commits.db");
    if (is_wanted(count, names, "commit_1"))
        bench_commit_1(store, log);
    if (is_wanted(count, names, "commit_64"))
        bench_commit_64(store, log);
    hf_store_close(&store);
    close(log);
}

int main(int count, char **names) {
    make_documents();
    bench_commits(count, names);
    if (is_wanted(count, names, "first_save") || is_wanted(count, names, "load"))
        bench_first_save();
    if (is_wanted(count, names, "load"))
        bench_load();
    for (unsigned i = 0; i < STORE_DOCUMENTS; i++)
        mem_free(documents[i].text);
    return 0;
}
