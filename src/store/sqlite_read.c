#include <string.h>

#include "store/sqlite_rows.h"
#include "store/sqlite_backend.h"

static void bind_text(sqlite3_stmt *statement, int place, const char *text) {
    sqlite3_bind_text(statement, place, text, (int)strlen(text), SQLITE_STATIC);
}

static void bind_limit(sqlite3_stmt *statement, int place, uint64_t limit) {
    sqlite3_bind_int64(statement, place, limit == 0 || limit > INT64_MAX ? -1 : (sqlite3_int64)limit);
}

static int damaged(const char *kind, const char *id, struct hf_error *error) {
    error_set(error, HF_ERR_CORRUPT, "record '%s/%s': checksum mismatch", kind, id);
    error_hint(error, "put it again, or take an older version from its history");
    return HF_ERR_CORRUPT;
}

static int get_from(struct sqlite_conn *conn, const char *kind, const char *id, int head_only,
                    struct hf_record **ret_record, struct hf_error *error) {
    sqlite3_stmt *statement = NULL;
    struct hf_record row;
    int code = sqlite_conn_statement(conn, SQLITE_STATEMENT_GET, &statement, error);
    if (code)
        return code;
    bind_text(statement, 1, kind);
    bind_text(statement, 2, id);
    int rc = sqlite3_step(statement);
    if (rc == SQLITE_DONE)
        code = error_set(error, HF_ERR_NOT_FOUND, "there is no record '%s/%s'", kind, id);
    else if (rc != SQLITE_ROW)
        code = sqlite_conn_error(conn, rc, error);
    else if (sqlite_rows_record(conn->seed, statement, &row) || !row.json || strcmp(row.kind, kind) != 0 ||
             strcmp(row.id, id) != 0)
        code = damaged(kind, id, error);
    if (code == 0 && head_only) {
        row.json = NULL;
        row.json_bytes = 0;
    }
    if (code == 0)
        code = store_record_copy(&row, ret_record, error);
    sqlite3_reset(statement);
    return code;
}

int sqlite_get(struct store_backend *backend, enum store_view view, const char *kind, const char *id, int head_only,
               struct hf_record **ret_record, struct hf_error *error) {
    struct sqlite_backend *self = (struct sqlite_backend *)backend;
    if (view == STORE_IN_TRANSACTION)
        return get_from(self->writer, kind, id, head_only, ret_record, error);
    struct sqlite_conn *conn = NULL;
    int code = sqlite_reader_take(self, &conn, error);
    if (code)
        return code;
    code = get_from(conn, kind, id, head_only, ret_record, error);
    sqlite_reader_give(self, &conn);
    return code;
}

static int visit_records(struct sqlite_conn *conn, sqlite3_stmt *statement, hf_record_visit visit, void *arg,
                         struct hf_error *error) {
    struct hf_record row;
    int rc, code = 0;
    while (code == 0 && (rc = sqlite3_step(statement)) != SQLITE_DONE) {
        if (rc == SQLITE_ROW) {
            int state = sqlite_rows_record(conn->seed, statement, &row);
            code = visit(arg, &row, state);
        } else {
            code = sqlite_conn_error(conn, rc, error);
        }
    }
    sqlite3_reset(statement);
    return code;
}

int sqlite_history(struct store_backend *backend, const char *kind, const char *id, uint64_t limit,
                   hf_record_visit visit, void *arg, struct hf_error *error) {
    struct sqlite_backend *self = (struct sqlite_backend *)backend;
    struct sqlite_conn *conn = NULL;
    sqlite3_stmt *statement = NULL;
    int code = sqlite_reader_take(self, &conn, error);
    if (code)
        return code;
    code = sqlite_conn_statement(conn, SQLITE_STATEMENT_HISTORY, &statement, error);
    if (code == 0) {
        bind_text(statement, 1, kind);
        bind_text(statement, 2, id);
        bind_limit(statement, 3, limit);
        code = visit_records(conn, statement, visit, arg, error);
    }
    sqlite_reader_give(self, &conn);
    return code;
}

static int refuse_compacted(struct sqlite_conn *conn, uint64_t since, struct hf_error *error) {
    sqlite3_stmt *statement = NULL;
    int64_t trimmed = 0;
    int code = sqlite_conn_statement(conn, SQLITE_STATEMENT_META_GET, &statement, error);
    if (code)
        return code;
    bind_text(statement, 1, "trimmed_revision");
    code = sqlite_conn_number(conn, statement, 0, &trimmed, error);
    if (code || since >= (uint64_t)trimmed)
        return code;
    error_set(error, HF_ERR_COMPACTED, "events up to revision %lld are no longer kept", (long long)trimmed);
    error_hint(error, "read a snapshot, and go on from its revision");
    return HF_ERR_COMPACTED;
}

static int visit_events(struct sqlite_conn *conn, uint64_t since, uint64_t limit, hf_event_visit visit, void *arg,
                        struct hf_error *error) {
    sqlite3_stmt *statement = NULL;
    struct hf_event event;
    uint64_t seq;
    int rc, code = sqlite_conn_statement(conn, SQLITE_STATEMENT_EVENTS, &statement, error);
    if (code)
        return code;
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)((since + 1) << SQLITE_ORDINAL_BITS));
    bind_limit(statement, 2, limit);
    while (code == 0 && (rc = sqlite3_step(statement)) != SQLITE_DONE) {
        if (rc != SQLITE_ROW)
            code = sqlite_conn_error(conn, rc, error);
        else if (sqlite_rows_event(conn->seed, statement, &seq, &event))
            code = error_set(error, HF_ERR_CORRUPT, "event at revision %llu: checksum mismatch",
                             (unsigned long long)event.revision);
        else
            code = visit(arg, &event);
    }
    sqlite3_reset(statement);
    return code;
}

/* One snapshot for the question whether events were trimmed and for the events themselves. */
int sqlite_events(struct store_backend *backend, uint64_t since, uint64_t limit, hf_event_visit visit, void *arg,
                  struct hf_error *error) {
    struct sqlite_backend *self = (struct sqlite_backend *)backend;
    struct sqlite_conn *conn = NULL;
    if (since >= UINT64_MAX >> (SQLITE_ORDINAL_BITS + 1))
        return 0;
    int code = sqlite_reader_take(self, &conn, error);
    if (code)
        return code;
    code = sqlite_conn_exec(conn, "BEGIN", error);
    if (code == 0)
        code = refuse_compacted(conn, since, error);
    if (code == 0)
        code = visit_events(conn, since, limit, visit, arg, error);
    if (!sqlite3_get_autocommit(conn->db))
        sqlite3_exec(conn->db, "ROLLBACK", NULL, NULL, NULL);
    sqlite_reader_give(self, &conn);
    return code;
}
