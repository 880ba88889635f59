/* For the tests of the sqlite backend: a folder of their own, changes in one line, the sqlite3 shell. */
#ifndef HF_TEST_SQLITE_FIXTURE_H
#define HF_TEST_SQLITE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/hash.h"
#include "os/os.h"
#include "store/backend.h"

struct fixture {
    char folder[64], file[96];
    struct store_backend *backend;
    uint64_t revision;
};

static inline void fixture_make(struct fixture *fixture, const char *below) {
    snprintf(fixture->folder, sizeof fixture->folder, "%s/hf-sqlite-XXXXXX", below);
    assert_non_null(mkdtemp(fixture->folder));
    snprintf(fixture->file, sizeof fixture->file, "%s/store.db", fixture->folder);
    fixture->backend = NULL;
    fixture->revision = 0;
}

static inline int fixture_setup(void **state) {
    struct fixture *fixture = calloc(1, sizeof *fixture);
    fixture_make(fixture, "/tmp");
    *state = fixture;
    return 0;
}

static inline void fixture_remove(struct fixture *fixture) {
    static const char *const names[] = {"store.db",         "store.db-wal", "store.db-shm",
                                        "store.db-journal", "lock",         "copy.db"};
    char path[160];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", fixture->folder, names[i]);
        unlink(path);
    }
    rmdir(fixture->folder);
}

static inline int fixture_teardown(void **state) {
    struct fixture *fixture = *state;
    store_sqlite_ops.close(&fixture->backend);
    fixture_remove(fixture);
    free(fixture);
    return 0;
}

static inline int fixture_try_open(struct fixture *fixture, const struct os *os, struct hf_error *error) {
    return store_sqlite_ops.open(os, fixture->file, NULL, &fixture->backend, &fixture->revision, error);
}

static inline void fixture_open(struct fixture *fixture) {
    struct hf_error error = {0};
    if (fixture_try_open(fixture, os_real(), &error))
        fail_msg("%s", error.message);
}

static inline void fixture_close(struct fixture *fixture) {
    store_sqlite_ops.close(&fixture->backend);
}

/* The document must be in canonical form: its hash is taken from its bytes. */
static inline struct store_change fixture_change(const char *kind, const char *id, const char *json,
                                                 uint64_t revision) {
    struct store_change change = {
        .what = json ? HF_PUT : HF_DELETE, .kind = kind, .id = id, .who = "test", .json = json};
    change.json_bytes = json ? strlen(json) : 0;
    change.revision = revision;
    change.at_ms = 1700000000000 + (int64_t)revision;
    change.created_ms = change.at_ms;
    if (json)
        hash_bytes(json, change.json_bytes, change.hash);
    return change;
}

static inline int fixture_apply(struct fixture *fixture, const struct store_change *changes, size_t count,
                                struct hf_error *error) {
    const struct store_backend_ops *ops = fixture->backend->ops;
    int code = ops->begin(fixture->backend, error), was_in_commit = 0;
    for (size_t i = 0; code == 0 && i < count; i++)
        code = (changes[i].json ? ops->put : ops->remove)(fixture->backend, &changes[i], error);
    if (code == 0) {
        was_in_commit = 1;
        code = ops->commit(fixture->backend, error);
    }
    if (code && !(was_in_commit && code == HF_ERR_IO))
        ops->abort(fixture->backend);
    return code;
}

static inline void fixture_put(struct fixture *fixture, const char *kind, const char *id, const char *json) {
    struct hf_error error = {0};
    struct store_change change = fixture_change(kind, id, json, ++fixture->revision);
    if (fixture_apply(fixture, &change, 1, &error))
        fail_msg("%s", error.message);
}

static inline void fixture_put_kept(struct fixture *fixture, const char *kind, const char *id, const char *json,
                                    uint32_t keep) {
    struct hf_error error = {0};
    struct store_change change = fixture_change(kind, id, json, ++fixture->revision);
    change.history_keep = keep;
    if (fixture_apply(fixture, &change, 1, &error))
        fail_msg("%s", error.message);
}

static inline int fixture_get(struct fixture *fixture, const char *kind, const char *id,
                              struct hf_record **ret_record) {
    return fixture->backend->ops->get(fixture->backend, STORE_COMMITTED, kind, id, 0, ret_record, NULL);
}

static inline void fixture_expect(struct fixture *fixture, const char *kind, const char *id, const char *json) {
    struct hf_record *record = NULL;
    int code = fixture_get(fixture, kind, id, &record);
    assert_int_equal(code, json ? 0 : HF_ERR_NOT_FOUND);
    if (json)
        assert_string_equal(record->json, json);
    hf_record_free(&record);
}

static inline int fixture_scan(struct fixture *fixture, const char *kind, const char *after, uint64_t limit,
                               hf_record_visit visit, void *arg) {
    const struct store_range range = {.kind = kind, .after_kind = kind, .after_id = after, .limit = limit};
    return fixture->backend->ops->scan(fixture->backend, &range, visit, arg, NULL);
}

static inline uint64_t fixture_findings(struct fixture *fixture) {
    struct hf_check_cursor cursor = {0};
    struct hf_check_result result = {0};
    struct hf_error error = {0};
    while (!cursor.is_done)
        if (fixture->backend->ops->check(fixture->backend, &cursor, 7, NULL, NULL, &result, &error))
            fail_msg("%s", error.message);
    return result.findings;
}

/* Runs the sqlite3 shell over the file; what it says goes to `out`. Returns its exit status. */
static inline int fixture_shell(struct fixture *fixture, const char *sql, char *out, size_t room) {
    char command[1024];
    snprintf(command, sizeof command, "sqlite3 -batch '%s' \"%s\" 2>&1", fixture->file, sql);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    size_t got = fread(out, 1, room - 1, pipe);
    while (got && out[got - 1] == '\n')
        got--;
    out[got] = '\0';
    return WEXITSTATUS(pclose(pipe));
}

static inline long fixture_size(struct fixture *fixture, const char *suffix) {
    char path[128];
    struct stat found;
    snprintf(path, sizeof path, "%s%s", fixture->file, suffix);
    return stat(path, &found) ? -1 : (long)found.st_size;
}

#endif
