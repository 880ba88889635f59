#include "base/json.h"
#include "store/sqlite_backend.h"
#include "store/sqlite_rows.h"
#include <stdio.h>
#include <string.h>

struct checker {
    struct sqlite_conn *conn;
    hf_finding_visit visit;
    void *arg;
    struct hf_check_result result;
    struct json_doc doc;
    struct buf scratch;
};

static void find(struct checker *checker, const char *kind, const char *id, const char *what, const char *text) {
    struct hf_finding finding = {.kind = kind, .id = id, .what = what, .text = text};
    checker->result.findings++;
    if (checker->visit)
        checker->visit(checker->arg, &finding);
}

/* SQLite's own look at pages, trees, and at each index against its rows. */
static int check_structure(struct checker *checker, struct hf_error *error) {
    sqlite3_stmt *integrity = NULL;
    int rc, code = sqlite_conn_statement(checker->conn, SQLITE_STATEMENT_INTEGRITY, &integrity, error);
    if (code)
        return code;
    while (code == 0 && (rc = sqlite3_step(integrity)) != SQLITE_DONE) {
        const char *text = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(integrity, 0) : NULL;
        if (rc != SQLITE_ROW)
            code = sqlite_conn_error(checker->conn, rc, error);
        else if (text && strcmp(text, "ok") != 0)
            find(checker, NULL, NULL, strstr(text, "index") ? "missing_index" : "bad_structure", text);
    }
    sqlite3_reset(integrity);
    if (code == HF_ERR_CORRUPT) {
        find(checker, NULL, NULL, "bad_structure", "the structure could not be read to its end");
        return 0;
    }
    return code;
}

static int check_document(struct checker *checker, const struct hf_record *row, struct hf_error *error) {
    uint8_t hash[HASH_BYTES];
    struct json_limits limits = {.max_depth = JSON_DEPTH_MAX}; /* what was accepted once is good */
    int code = json_hash(&checker->doc, &checker->scratch, row->json, row->json_bytes, &limits, hash, error);
    if (code == HF_ERR_NO_MEMORY)
        return code;
    if (code)
        find(checker, row->kind, row->id, "bad_json", "the document is not JSON");
    else if (memcmp(hash, row->hash, sizeof hash) != 0)
        find(checker, row->kind, row->id, "bad_hash", "the hash is not that of the document");
    return 0;
}

static int check_rows(struct checker *checker, enum sqlite_statement which, const char *bad, uint64_t *count,
                      struct hf_error *error) {
    sqlite3_stmt *each = NULL;
    struct hf_record row;
    int rc, code = sqlite_conn_statement(checker->conn, which, &each, error);
    if (code)
        return code;
    while (code == 0 && (rc = sqlite3_step(each)) != SQLITE_DONE) {
        if (rc != SQLITE_ROW) {
            code = sqlite_conn_error(checker->conn, rc, error);
            break;
        }
        ++*count;
        if (sqlite_rows_record(each, &row))
            find(checker, row.kind, row.id, "bad_checksum", bad);
        else if (row.json)
            code = check_document(checker, &row, error);
    }
    sqlite3_reset(each);
    return code;
}

static int check_events(struct checker *checker, struct hf_error *error) {
    sqlite3_stmt *each = NULL;
    struct hf_event event;
    uint64_t seq;
    int rc, code = sqlite_conn_statement(checker->conn, SQLITE_STATEMENT_EACH_EVENT, &each, error);
    if (code)
        return code;
    while (code == 0 && (rc = sqlite3_step(each)) != SQLITE_DONE) {
        if (rc != SQLITE_ROW) {
            code = sqlite_conn_error(checker->conn, rc, error);
            break;
        }
        checker->result.events++;
        if (sqlite_rows_event(each, &seq, &event))
            find(checker, event.kind, event.id, "bad_checksum", "an event does not match its checksum");
    }
    sqlite3_reset(each);
    return code;
}

int sqlite_check(struct store_backend *backend, hf_finding_visit visit, void *arg, struct hf_check_result *ret_result,
                 struct hf_error *error) {
    struct sqlite_backend *self = (struct sqlite_backend *)backend;
    struct checker checker = {.visit = visit, .arg = arg};
    int code = sqlite_reader_take(self, &checker.conn, error);
    if (code)
        return code;
    json_init(&checker.doc);
    buf_init(&checker.scratch);
    code = sqlite_conn_exec(checker.conn, "BEGIN", error);
    if (code == 0)
        code = check_structure(&checker, error);
    if (code == 0)
        code = check_rows(&checker, SQLITE_STATEMENT_EACH_RECORD, "the record does not match its checksum",
                          &checker.result.records, error);
    if (code == 0)
        code = check_rows(&checker, SQLITE_STATEMENT_EACH_VERSION, "a kept version does not match its checksum",
                          &checker.result.history, error);
    if (code == 0)
        code = check_events(&checker, error);
    if (!sqlite3_get_autocommit(checker.conn->db))
        sqlite3_exec(checker.conn->db, "ROLLBACK", NULL, NULL, NULL);
    json_fini(&checker.doc);
    buf_fini(&checker.scratch);
    sqlite_reader_give(self, &checker.conn);
    if (code == 0)
        *ret_result = checker.result;
    return code;
}
