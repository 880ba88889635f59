/* A program over libholdfast for the tests that pull the plug: it commits and tells of each acknowledgement, or looks
 * at what is there.
 *
 *   power_writer write FOLDER HOW...    commits from WRITERS threads until it is ended; prints "WRITER NUMBER" for each
 *                                       acknowledgement
 *   power_writer verify FOLDER HOW...   looks at a tree's files, opens, compares, checks, commits once more; prints
 *                                       "file WRITER NUMBER" for what the files held before that, "WRITER NUMBER",
 *                                       then "clean"
 *   power_writer serve FOLDER HOW...    does what lines on stdin say, and answers each with a line:
 *                                       put ID BYTES | get ID | check | open | close
 *
 * HOW: "tree:OPTIONS" (otherwise SQLite); "saver": through the saver, each flush an acknowledgement; "lying": fsync and
 * its kin say OK and do nothing (the known-bad variant). A batch is two records with the same number; both or none must
 * be there. */
#include "power_writer.h"

#include "store/store.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINE_BYTES = 1024 };

/* ---- the store --------------------------------------------------------------------------------------------------- */

static int sync_nothing(const struct os *os, int fd) {
    (void)os, (void)fd;
    return 0;
}

int how_parse(struct how *how, const char *folder, char **words) {
    *how = (struct how){.folder = folder};
    snprintf(how->url, sizeof how->url, "sqlite:%s/store.db", folder);
    for (; *words; words++) {
        if (strncmp(*words, "tree:", 5) == 0) {
            how->is_tree = 1;
            snprintf(how->url, sizeof how->url, "tree:%s/tree?%s", folder, *words + 5);
        } else if (strcmp(*words, "saver") == 0) {
            how->is_saver = 1;
        } else if (strcmp(*words, "lying") == 0) {
            how->is_lying = 1;
        } else {
            return -1;
        }
    }
    return 0;
}

int how_open(const struct how *how, struct hf_store **ret_store, struct hf_error *error) {
    static struct os_ops ops;
    static struct os os;
    ops = *os_real()->ops;
    ops.fsync = ops.fdatasync = ops.syncfs = sync_nothing;
    os = *os_real();
    os.ops = &ops;
    struct store_setup setup = {.os = how->is_lying ? &os : NULL};
    return store_open(how->url, NULL, &setup, ret_store, error);
}

int fail(const char *what, const struct hf_error *error) {
    fprintf(stderr, "%s: %s (%s)\n", what, error->message, hf_code_word(error->code));
    return 1;
}

void name_kind(int index, char kind[16]) {
    snprintf(kind, 16, "w%d", index);
}

size_t make_json(int64_t number, size_t fill, char *json, size_t room) {
    int used = snprintf(json, room, "{\"n\":%" PRId64 ",\"fill\":\"", number);
    memset(json + used, 'a' + (int)(number % 26), fill);
    memcpy(json + used + fill, "\"}", 3);
    return (size_t)used + fill + 2;
}

/* ---- write ------------------------------------------------------------------------------------------------------- */

struct writer {
    const struct how *how;
    struct hf_store *store;
    int index;
    int64_t number;
};

/* So many at once that a tree syncs the whole file system. */
static int add_many(struct hf_batch *batch, const char *json, size_t bytes, struct hf_error *error) {
    char id[16];
    int code = 0;
    for (int i = 0; i < MANY && code == 0; i++) {
        snprintf(id, sizeof id, "many%d", i);
        code = hf_batch_put(batch, "many", id, json, bytes, NULL, error);
    }
    return code;
}

int commit(const struct how *how, struct hf_store *store, int index, int64_t number, struct hf_error *error) {
    char kind[16], json[2048];
    struct hf_batch *batch = NULL;
    name_kind(index, kind);
    size_t bytes = make_json(number, 100 + (size_t)(number * 37 % 1500), json, sizeof json);
    int code = hf_batch_new("writer", &batch, error);
    if (code == 0)
        code = hf_batch_put(batch, kind, "one", json, bytes, NULL, error);
    if (code == 0)
        code = hf_batch_put(batch, kind, "two", json, bytes, NULL, error);
    if (code == 0 && how->is_tree && index == 0 && number % 8 == 0)
        code = add_many(batch, json, bytes, error);
    if (code == 0)
        code = hf_store_commit(store, &batch, NULL, error);
    hf_batch_free(&batch);
    return code;
}

void tell(int index, int64_t number) {
    char line[64];
    int bytes = snprintf(line, sizeof line, "%d %" PRId64 "\n", index, number);
    if (write(STDOUT_FILENO, line, (size_t)bytes) != bytes)
        exit(1);
}

static void *write_until_it_fails(void *arg) {
    struct writer *writer = arg;
    struct hf_error error;
    while (commit(writer->how, writer->store, writer->index, ++writer->number, &error) == 0)
        tell(writer->index, writer->number);
    return NULL;
}

int64_t number_at(struct hf_store *store, int index, const char *id) {
    char kind[16];
    struct hf_record *record = NULL;
    struct hf_error error = {0};
    int64_t number = 0;
    name_kind(index, kind);
    int code = hf_store_get(store, kind, id, &record, &error);
    if (code == 0 && sscanf(record->json, "{\"n\":%" SCNd64, &number) != 1)
        number = -1;
    else if (code != 0 && code != HF_ERR_NOT_FOUND)
        number = -fail("get", &error);
    hf_record_free(&record);
    return number;
}

int keep_histories(struct hf_store *store, struct hf_error *error) {
    int code = 0;
    for (int i = 0; i < WRITERS && code == 0; i++) {
        char kind[16];
        name_kind(i, kind);
        code = hf_store_keep_history(store, kind, KEEP, error);
    }
    return code;
}

static int run_writers(const struct how *how) {
    struct hf_store *store = NULL;
    struct hf_error error = {0};
    struct writer writers[WRITERS];
    pthread_t threads[WRITERS];
    int code = how_open(how, &store, &error);
    if (code == 0)
        code = keep_histories(store, &error);
    if (code != 0)
        return fail("open", &error);
    for (int i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){.how = how, .store = store, .index = i, .number = number_at(store, i, "one")};
        if (pthread_create(&threads[i], NULL, write_until_it_fails, &writers[i]) != 0)
            abort();
    }
    for (int i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);
    hf_store_close(&store);
    return 0;
}

static void print_finding(void *arg, const struct hf_finding *finding) {
    (void)arg;
    printf("finding %s: %s\n", finding->what, finding->text);
}

int check(struct hf_store *store) {
    struct hf_check_result result = {0};
    struct hf_error error = {0};
    if (hf_store_check(store, print_finding, NULL, &result, &error) != 0)
        return fail("check", &error);
    return result.findings != 0;
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

static void obey(const struct how *how, const char *line, struct hf_store **store) {
    char id[64] = "";
    size_t bytes = 0;
    struct hf_error error = {0};
    if (strncmp(line, "open", 4) == 0)
        answer(how_open(how, store, &error), &error, "open");
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

static int serve(const struct how *how) {
    char line[LINE_BYTES];
    struct hf_store *store = NULL;
    while (fgets(line, sizeof line, stdin))
        obey(how, line, &store);
    hf_store_close(&store);
    return 0;
}

int main(int argc, char **argv) {
    struct how how;
    if (argc >= 3 && how_parse(&how, argv[2], argv + 3) == 0) {
        if (strcmp(argv[1], "write") == 0)
            return how.is_saver ? run_saver(&how) : run_writers(&how);
        if (strcmp(argv[1], "verify") == 0)
            return verify(&how);
        if (strcmp(argv[1], "serve") == 0)
            return serve(&how);
    }
    fputs("usage: power_writer write|verify|serve FOLDER [tree:OPTIONS] [saver] [lying]\n", stderr);
    return 64;
}
