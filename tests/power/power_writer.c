/* A program over libholdfast for the tests that pull the plug: it commits and tells of each acknowledgement, or looks
 * at what is there.
 *
 *   power_writer write FOLDER [lying]   commits from WRITERS threads until it is ended; prints "WRITER NUMBER" for each
 *                                       acknowledgement. lying: fsync and its kin say OK and do nothing (the known-bad
 * variant). power_writer verify FOLDER          opens, compares, checks, commits once more; prints "WRITER NUMBER",
 * then "clean". power_writer serve FOLDER           does what lines on stdin say, and answers each with a line: put ID
 * BYTES | get ID | check | open | close A batch is two records with the same number; both or none must be there. */
#include "holdfast.h"
#include "store/store.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WRITERS = 4, KEEP = 3, LINE_BYTES = 1024 };

static int sync_nothing(const struct os *os, int fd) {
    (void)os, (void)fd;
    return 0;
}

static int open_store(const char *folder, int lying, struct hf_store **ret_store, struct hf_error *error) {
    static struct os_ops ops;
    static struct os os;
    char url[512];
    ops = *os_real()->ops;
    ops.fsync = ops.fdatasync = ops.syncfs = sync_nothing;
    os = *os_real();
    os.ops = &ops;
    struct store_setup setup = {.os = lying ? &os : NULL};
    snprintf(url, sizeof url, "sqlite:%s/store.db", folder);
    return store_open(url, NULL, &setup, ret_store, error);
}

static int fail(const char *what, const struct hf_error *error) {
    fprintf(stderr, "%s: %s (%s)\n", what, error->message, hf_code_word(error->code));
    return 1;
}

static size_t make_json(int64_t number, size_t fill, char *json, size_t room) {
    int used = snprintf(json, room, "{\"n\":%" PRId64 ",\"fill\":\"", number);
    memset(json + used, 'a' + (int)(number % 26), fill);
    memcpy(json + used + fill, "\"}", 3);
    return (size_t)used + fill + 2;
}

/* ---- write ------------------------------------------------------------------------------------------------------- */

struct writer {
    struct hf_store *store;
    int index;
    int64_t number;
};

static int commit(struct hf_store *store, int index, int64_t number, struct hf_error *error) {
    char kind[16], json[2048];
    struct hf_batch *batch = NULL;
    snprintf(kind, sizeof kind, "w%d", index);
    size_t bytes = make_json(number, 100 + (size_t)(number * 37 % 1500), json, sizeof json);
    int code = hf_batch_new("writer", &batch, error);
    if (code == 0)
        code = hf_batch_put(batch, kind, "one", json, bytes, NULL, error);
    if (code == 0)
        code = hf_batch_put(batch, kind, "two", json, bytes, NULL, error);
    if (code == 0)
        code = hf_store_commit(store, &batch, NULL, error);
    hf_batch_free(&batch);
    return code;
}

static void *write_until_it_fails(void *arg) {
    struct writer *writer = arg;
    char line[64];
    struct hf_error error;
    while (commit(writer->store, writer->index, ++writer->number, &error) == 0) {
        int bytes = snprintf(line, sizeof line, "%d %" PRId64 "\n", writer->index, writer->number);
        if (write(STDOUT_FILENO, line, (size_t)bytes) != bytes)
            break;
    }
    return NULL;
}

static int64_t number_at(struct hf_store *store, int index, const char *id) {
    char kind[16];
    struct hf_record *record = NULL;
    struct hf_error error = {0};
    int64_t number = 0;
    snprintf(kind, sizeof kind, "w%d", index);
    int code = hf_store_get(store, kind, id, &record, &error);
    if (code == 0 && sscanf(record->json, "{\"n\":%" SCNd64, &number) != 1)
        number = -1;
    else if (code != 0 && code != HF_ERR_NOT_FOUND)
        number = -fail("get", &error);
    hf_record_free(&record);
    return number;
}

static int keep_histories(struct hf_store *store, struct hf_error *error) {
    int code = 0;
    for (int i = 0; i < WRITERS && code == 0; i++) {
        char kind[16];
        snprintf(kind, sizeof kind, "w%d", i);
        code = hf_store_keep_history(store, kind, KEEP, error);
    }
    return code;
}

static int run_writers(const char *folder, int lying) {
    struct hf_store *store = NULL;
    struct hf_error error = {0};
    struct writer writers[WRITERS];
    pthread_t threads[WRITERS];
    int code = open_store(folder, lying, &store, &error);
    if (code == 0)
        code = keep_histories(store, &error);
    if (code != 0)
        return fail("open", &error);
    for (int i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){.store = store, .index = i, .number = number_at(store, i, "one")};
        if (pthread_create(&threads[i], NULL, write_until_it_fails, &writers[i]) != 0)
            abort();
    }
    for (int i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);
    hf_store_close(&store);
    return 0;
}

/* ---- verify ------------------------------------------------------------------------------------------------------ */

static void print_finding(void *arg, const struct hf_finding *finding) {
    (void)arg;
    printf("finding %s: %s\n", finding->what, finding->text);
}

static int check(struct hf_store *store) {
    struct hf_check_result result = {0};
    struct hf_error error = {0};
    if (hf_store_check(store, print_finding, NULL, &result, &error) != 0)
        return fail("check", &error);
    return result.findings != 0;
}

static int count_version(void *arg, const struct hf_record *record, int code) {
    (void)record;
    ++*(int64_t *)arg;
    return code;
}

/* The history of a record is as long as it must be. */
static int look_at_history(struct hf_store *store, int index, int64_t number) {
    char kind[16];
    int64_t versions = 0;
    struct hf_error error = {0};
    snprintf(kind, sizeof kind, "w%d", index);
    if (hf_store_history(store, kind, "one", 0, count_version, &versions, &error) != 0)
        return fail("history", &error);
    if (versions == (number < KEEP ? number : KEEP))
        return 0;
    printf("writer %d: %" PRId64 " versions at number %" PRId64 "\n", index, versions, number);
    return 1;
}

static int verify(const char *folder) {
    struct hf_store *store = NULL;
    struct hf_error error = {0};
    int wrong = 0, code = open_store(folder, 0, &store, &error);
    if (code == 0)
        code = keep_histories(store, &error);
    if (code != 0)
        return fail("open", &error);
    for (int i = 0; i < WRITERS; i++) {
        int64_t one = number_at(store, i, "one"), two = number_at(store, i, "two");
        printf("%d %" PRId64 "\n", i, one);
        if (one != two || one < 0)
            wrong |= printf("writer %d: half of a batch is there: %" PRId64 " and %" PRId64 "\n", i, one, two);
        wrong |= look_at_history(store, i, one);
    }
    wrong |= check(store);
    if (commit(store, WRITERS, 1 + number_at(store, WRITERS, "one"), &error) != 0)
        wrong |= fail("a further commit", &error);
    hf_store_close(&store);
    if (!wrong)
        puts("clean");
    return wrong != 0;
}

/* ---- serve ------------------------------------------------------------------------------------------------------- */

static void answer(int code, const struct hf_error *error, const char *what) {
    if (code == 0)
        printf("ok %s\n", what);
    else
        printf("error %s %d %s\n", hf_code_word(code), hf_code_http_status(code), error->message);
}

static void put(struct hf_store *store, const char *id, size_t bytes) {
    struct hf_error error = {0};
    char *json = malloc(bytes + 64);
    if (!json)
        abort();
    size_t size = make_json((int64_t)bytes, bytes, json, bytes + 64);
    answer(hf_store_put(store, "served", id, json, size, NULL, &error), &error, "put");
    free(json);
}

static void get(struct hf_store *store, const char *id) {
    struct hf_error error = {0};
    struct hf_record *record = NULL;
    char found[32] = "";
    int code = hf_store_get(store, "served", id, &record, &error);
    if (code == 0)
        snprintf(found, sizeof found, "%zu", record->json_bytes);
    answer(code, &error, found);
    hf_record_free(&record);
}

static void obey(const char *folder, const char *line, struct hf_store **store) {
    char id[64] = "";
    size_t bytes = 0;
    struct hf_error error = {0};
    if (strncmp(line, "open", 4) == 0)
        answer(open_store(folder, 0, store, &error), &error, "open");
    else if (!*store)
        puts("error not_open 0 the store is not open");
    else if (sscanf(line, "put %63s %zu", id, &bytes) == 2)
        put(*store, id, bytes);
    else if (sscanf(line, "get %63s", id) == 1)
        get(*store, id);
    else if (strncmp(line, "check", 5) == 0)
        puts(check(*store) ? "error findings 0 see above" : "ok check");
    else if (strncmp(line, "close", 5) == 0) {
        hf_store_close(store);
        puts("ok close");
    } else
        puts("error usage 0 unknown line");
    fflush(stdout);
}

static int serve(const char *folder) {
    char line[LINE_BYTES];
    struct hf_store *store = NULL;
    while (fgets(line, sizeof line, stdin))
        obey(folder, line, &store);
    hf_store_close(&store);
    return 0;
}

int main(int argc, char **argv) {
    if (argc >= 3 && strcmp(argv[1], "write") == 0)
        return run_writers(argv[2], argc > 3 && strcmp(argv[3], "lying") == 0);
    if (argc == 3 && strcmp(argv[1], "verify") == 0)
        return verify(argv[2]);
    if (argc == 3 && strcmp(argv[1], "serve") == 0)
        return serve(argv[2]);
    fputs("usage: power_writer write|verify|serve FOLDER\n", stderr);
    return 64;
}
