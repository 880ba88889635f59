/* Walks over records, in the order of the index. A page that cannot be read does not end a walk: what the index names
 * is given as damaged, and where the index itself is damaged, all keys that are behind are gathered first. */
#include <stdio.h>
#include <string.h>

#include "store/sqlite_rows.h"
#include "store/sqlite_salvage.h"

struct scan {
    struct sqlite_conn *conn;
    struct store_range range; /* what is still to be given; its texts are these: */
    char kind[HF_KIND_MAX + 1], id[HF_ID_MAX + 1];
    hf_record_visit visit;
    void *arg;
    int has_limit, is_stopped; /* by visit, or by the limit */
};

/* Copies the key: it may be moved on while the statement runs. A copy that found no memory would be NULL. */
int sqlite_bind_range(struct sqlite_conn *conn, sqlite3_stmt *statement, const struct store_range *range,
                      struct hf_error *error) {
    const char *kind = range->after_id ? range->after_kind : range->kind ? range->kind : "";
    int rc = sqlite3_bind_text(statement, 1, kind, -1, SQLITE_TRANSIENT);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_text(statement, 2, range->after_id ? range->after_id : "", -1, SQLITE_TRANSIENT);
    return rc == SQLITE_OK ? 0 : sqlite_conn_error(conn, rc, error);
}

static void copy(char *to, const char *text, size_t room) {
    size_t bytes = strnlen(text, room - 1);
    memcpy(to, text, bytes);
    to[bytes] = '\0';
}

static void begin_behind(struct scan *scan, const char *kind, const char *id) {
    copy(scan->kind, kind, sizeof scan->kind);
    copy(scan->id, id, sizeof scan->id);
    scan->range.after_kind = scan->kind;
    scan->range.after_id = scan->id;
}

static int give(struct scan *scan, const struct hf_record *row, int state) {
    begin_behind(scan, row->kind, row->id);
    int code = scan->visit(scan->arg, row, state);
    scan->is_stopped = code != 0 || (scan->has_limit && --scan->range.limit == 0);
    return code;
}

static int is_ahead(const struct scan *scan, const char *kind, const char *id) {
    if (scan->range.kind && strcmp(kind, scan->range.kind) != 0)
        return 0;
    if (!scan->range.after_id)
        return 1;
    int order = strcmp(kind, scan->kind);
    return order > 0 || (order == 0 && strcmp(id, scan->id) > 0);
}

/* A damaged index may lead back: who followed it would never end. */
static int give_row(struct scan *scan, sqlite3_stmt *statement, struct hf_error *error) {
    struct hf_record row;
    int state = sqlite_rows_record(scan->conn->seed, statement, &row);
    if (!is_ahead(scan, row.kind, row.id))
        return error_set(error, HF_ERR_CORRUPT, "the index is out of order");
    return give(scan, &row, state);
}

/* In the order of the index, until the end or the first page that cannot be read. */
static int give_rows(struct scan *scan, struct hf_error *error) {
    sqlite3_stmt *statement = NULL;
    int rc = SQLITE_DONE,
        code =
            sqlite_conn_statement(scan->conn, scan->range.kind ? SQLITE_STATEMENT_SCAN_KIND : SQLITE_STATEMENT_SCAN_ALL,
                                  &statement, error);
    if (code)
        return code;
    code = sqlite_bind_range(scan->conn, statement, &scan->range, error);
    while (code == 0 && !scan->is_stopped && (rc = sqlite3_step(statement)) == SQLITE_ROW)
        code = give_row(scan, statement, error);
    if (code == 0 && !scan->is_stopped && rc != SQLITE_DONE)
        code = sqlite_conn_error(scan->conn, rc, error);
    sqlite3_reset(statement);
    return code;
}

/* The row of a key; one that cannot be read, or that is another's, is given as damaged. */
static int give_key(struct scan *scan, const struct sqlite_key *key, struct hf_error *error) {
    sqlite3_stmt *by_handle = NULL;
    struct hf_record row, lost = {.kind = key->kind, .id = key->id, .who = ""};
    int is_its_own = 0, rc = SQLITE_DONE;
    int code = sqlite_conn_statement(scan->conn, SQLITE_STATEMENT_BY_HANDLE, &by_handle, error);
    if (code == 0) {
        sqlite3_bind_int64(by_handle, 1, key->handle);
        rc = sqlite3_step(by_handle);
    }
    if (rc == SQLITE_ROW) {
        int state = sqlite_rows_record(scan->conn->seed, by_handle, &row);
        is_its_own = strcmp(row.kind, key->kind) == 0 && strcmp(row.id, key->id) == 0;
        code = is_its_own ? give(scan, &row, state) : 0;
    } else if (rc != SQLITE_DONE) {
        code = sqlite_conn_error(scan->conn, rc, error);
    }
    sqlite3_reset(by_handle);
    if (is_its_own || (code && !sqlite_salvage_is_possible(code)))
        return code;
    return give(scan, &lost, HF_ERR_CORRUPT); /* always: the walk must get on */
}

/* The one row that the walk stopped at, when the index names it; *ret_is_named says so. */
static int give_next(struct scan *scan, int *ret_is_named, struct hf_error *error) {
    sqlite3_stmt *statement = NULL;
    struct vec keys;
    int code = sqlite_conn_statement(scan->conn, SQLITE_STATEMENT_NEXT_KEY, &statement, error);
    if (code)
        return code;
    vec_init(&keys);
    code = sqlite_bind_range(scan->conn, statement, &scan->range, error);
    if (code == 0)
        code = sqlite_salvage_list(scan->conn, statement, &keys, error);
    const struct sqlite_key *key = keys.count ? keys.items[0] : NULL;
    *ret_is_named = code == 0 && key && is_ahead(scan, key->kind, key->id);
    if (*ret_is_named)
        code = give_key(scan, key, error);
    sqlite_salvage_free(&keys);
    return sqlite_salvage_is_possible(code) && !scan->is_stopped ? 0 : code;
}

/* All that is left, from what index and rows name. What neither names any more cannot be given as damaged: so that is
 * an error, behind all the rest. `met`: what ended the walk. */
static int give_salvaged(struct scan *scan, const struct hf_error *met, struct hf_error *error) {
    struct store_range range = scan->range;
    char kind[sizeof scan->kind], id[sizeof scan->id];
    struct vec keys;
    int is_whole = 0;
    vec_init(&keys);
    if (range.after_id) { /* moves on while rows are given */
        range.after_kind = memcpy(kind, scan->kind, sizeof kind);
        range.after_id = memcpy(id, scan->id, sizeof id);
    }
    int code = sqlite_salvage_keys(scan->conn, &range, &keys, &is_whole, error);
    for (size_t i = 0; i < keys.count && code == 0 && !scan->is_stopped; i++)
        code = give_key(scan, keys.items[i], error);
    sqlite_salvage_free(&keys);
    if (code || is_whole || scan->is_stopped)
        return code;
    if (met->code != HF_ERR_CORRUPT) {
        error_copy(error, met);
        return met->code;
    }
    error_set(error, HF_ERR_CORRUPT, "pages are damaged, and some records that were on them have no name any more");
    error_hint(error, "keep a copy of the file as it is, then restore a backup");
    return HF_ERR_CORRUPT;
}

static int walk(struct scan *scan, struct hf_error *error) {
    for (;;) {
        struct hf_error met = {0}, other = {0};
        int is_named = 0;
        int code = give_rows(scan, &met);
        if (scan->is_stopped || !sqlite_salvage_is_possible(code)) {
            if (met.code)
                error_copy(error, &met);
            return code;
        }
        int salvaged = give_next(scan, &is_named, &other);
        if (salvaged == 0 && !is_named)
            salvaged = give_salvaged(scan, &met, &other);
        if (salvaged == 0 && is_named && !scan->is_stopped)
            continue;
        if (salvaged && !scan->is_stopped)
            error_copy(error, &other);
        return salvaged;
    }
}

int sqlite_scan(struct store_backend *backend, const struct store_range *range, hf_record_visit visit, void *arg,
                struct hf_error *error) {
    struct sqlite_backend *self = (struct sqlite_backend *)backend;
    struct scan scan = {.range = *range, .visit = visit, .arg = arg, .has_limit = range->limit != 0};
    int code = sqlite_reader_take(self, &scan.conn, error);
    if (code)
        return code;
    if (range->after_id)
        begin_behind(&scan, range->after_kind, range->after_id);
    code = sqlite_conn_exec(scan.conn, "BEGIN", error);
    if (code == 0)
        code = walk(&scan, error);
    if (!sqlite3_get_autocommit(scan.conn->db))
        sqlite3_exec(scan.conn->db, "ROLLBACK", NULL, NULL, NULL);
    sqlite_reader_give(self, &scan.conn);
    return code;
}
