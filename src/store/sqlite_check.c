/* The check, in slices: SQLite's own look at the structure in one piece, then records, history and events by ranges of
 * handles, each slice in a snapshot of its own. A page that cannot be read does not end it. */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "store/sqlite_rows.h"
#include "store/sqlite_salvage.h"

enum { HANDLE_COLUMN = 9 /* behind SQLITE_ROW_COLUMNS */, SEQ_COLUMN = 0 };

struct checker {
    struct sqlite_conn *conn;
    hf_finding_visit visit;
    void *arg;
    struct hf_check_result result;
    struct json_doc doc;
    struct buf scratch;
    const struct sqlite_backend *backend;
};

static void find(struct checker *checker, const char *kind, const char *id, const char *what, const char *text) {
    struct hf_finding finding = {.kind = kind, .id = id, .what = what, .text = text, .action = "reported"};
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

/* ---- rows ---- */

enum stage { STAGE_STRUCTURE, STAGE_RECORDS, STAGE_HISTORY, STAGE_EVENTS };

static const struct table {
    const char *name, *bad;
    enum sqlite_statement some, probe;
} tables[] = {
    [STAGE_RECORDS] = {"records", "the record does not match its checksum", SQLITE_STATEMENT_SOME_RECORDS,
                       SQLITE_STATEMENT_PROBE_RECORD},
    [STAGE_HISTORY] = {"history", "a kept version does not match its checksum", SQLITE_STATEMENT_SOME_VERSIONS,
                       SQLITE_STATEMENT_PROBE_VERSION},
    [STAGE_EVENTS] = {"events", "an event does not match its checksum", SQLITE_STATEMENT_SOME_EVENTS,
                      SQLITE_STATEMENT_PROBE_EVENT},
};

/* What one slice reads of one table, beginning behind the handle `at`. */
struct slice {
    const struct table *table;
    uint64_t max_rows, rows;
    int64_t at;
    struct vec gaps; /* of struct sqlite_gap */
};

static int check_record(struct checker *checker, sqlite3_stmt *statement, const char *bad, struct hf_error *error) {
    struct hf_record row;
    if (sqlite_rows_record(checker->conn->seed, statement, &row))
        find(checker, row.kind, row.id, "bad_checksum", bad);
    else if (row.json)
        return check_document(checker, &row, error);
    return 0;
}

static int check_row(struct checker *checker, struct slice *slice, sqlite3_stmt *statement, struct hf_error *error) {
    struct hf_event event;
    uint64_t seq;
    int is_event = slice->table->some == SQLITE_STATEMENT_SOME_EVENTS;
    int64_t handle = sqlite3_column_int64(statement, is_event ? SEQ_COLUMN : HANDLE_COLUMN);
    if (handle <= slice->at) /* going on from there would never end */
        return error_set(error, HF_ERR_CORRUPT, "rows stand out of order");
    slice->at = handle;
    if (!is_event)
        return check_record(checker, statement, slice->table->bad, error);
    int is_bad = sqlite_rows_event(checker->conn->seed, statement, &seq, &event);
    if (is_bad)
        find(checker, event.kind, event.id, "bad_checksum", slice->table->bad);
    return 0;
}

static int read_rows(struct checker *checker, struct slice *slice, uint64_t max_rows, struct hf_error *error) {
    sqlite3_stmt *some = NULL;
    int rc, code = sqlite_conn_statement(checker->conn, slice->table->some, &some, error);
    if (code)
        return code;
    sqlite3_bind_int64(some, 1, slice->at);
    sqlite3_bind_int64(some, 2, (sqlite3_int64)max_rows);
    while (code == 0 && (rc = sqlite3_step(some)) != SQLITE_DONE) {
        if (rc != SQLITE_ROW) {
            code = sqlite_conn_error(checker->conn, rc, error);
            break;
        }
        code = check_row(checker, slice, some, error);
        slice->rows += code == 0;
    }
    sqlite3_reset(some);
    return code;
}

/* ---- damaged pages ---- */

static void tell_gap(struct checker *checker, const struct slice *slice, const struct sqlite_gap *gap) {
    char text[160];
    if (gap->last == INT64_MAX)
        snprintf(text, sizeof text, "table %s: rows from %lld on cannot be read", slice->table->name,
                 (long long)gap->first);
    else
        snprintf(text, sizeof text, "table %s: rows %lld to %lld cannot be read", slice->table->name,
                 (long long)gap->first, (long long)gap->last);
    find(checker, NULL, NULL, "bad_structure", text);
}

static int note_gap(struct checker *checker, struct slice *slice, const struct sqlite_gap *gap,
                    struct hf_error *error) {
    struct sqlite_gap *copy = mem_dup(gap, sizeof *gap);
    if (!copy || vec_push(&slice->gaps, copy) != 0) {
        mem_free(copy);
        return error_set(error, HF_ERR_NO_MEMORY, "check: memory is used up");
    }
    tell_gap(checker, slice, gap);
    return 0;
}

/* Behind a failure: the row once more, or where the table can be read again. */
static int step_over(struct checker *checker, struct slice *slice, struct hf_error *error) {
    struct sqlite_gap gap;
    int code = sqlite_salvage_skip(checker->conn, slice->table->probe, slice->at, &gap, error);
    if (code == 0 && gap.first == gap.last) {
        code = read_rows(checker, slice, 1, error);
        if (!sqlite_salvage_is_possible(code))
            return code;
        code = 0;
    }
    if (code == 0)
        code = note_gap(checker, slice, &gap, error);
    slice->at = gap.last;
    return code;
}

static int is_in_gap(const struct slice *slice, int64_t handle) {
    for (size_t i = 0; i < slice->gaps.count; i++) {
        const struct sqlite_gap *gap = slice->gaps.items[i];
        if (handle >= gap->first && handle <= gap->last)
            return 1;
    }
    return 0;
}

/* A gap may be larger than what is lost: each of its rows is tried. */
static int check_lost(struct checker *checker, struct slice *slice, const struct sqlite_key *key,
                      struct hf_error *error) {
    sqlite3_stmt *by_handle = NULL;
    int code = sqlite_conn_statement(checker->conn, SQLITE_STATEMENT_BY_HANDLE, &by_handle, error);
    if (code)
        return code;
    sqlite3_bind_int64(by_handle, 1, key->handle);
    int rc = sqlite3_step(by_handle);
    if (rc == SQLITE_ROW) {
        slice->rows++;
        code = check_record(checker, by_handle, slice->table->bad, error);
    } else if (rc != SQLITE_DONE) {
        code = sqlite_conn_error(checker->conn, rc, error);
    }
    sqlite3_reset(by_handle);
    if (rc == SQLITE_ROW || (code && !sqlite_salvage_is_possible(code)))
        return code;
    find(checker, key->kind, key->id, "lost_record", "the index names it, and its row cannot be read");
    return 0;
}

static int name_lost(struct checker *checker, struct slice *slice, struct hf_error *error) {
    static const struct store_range all = {0};
    struct vec keys;
    int is_whole;
    if (slice->gaps.count == 0 || slice->table->some != SQLITE_STATEMENT_SOME_RECORDS)
        return 0;
    vec_init(&keys);
    int code = sqlite_salvage_index(checker->conn, &all, &keys, &is_whole, error);
    for (size_t i = 0; i < keys.count && code == 0; i++) {
        const struct sqlite_key *key = keys.items[i];
        if (is_in_gap(slice, key->handle))
            code = check_lost(checker, slice, key, error);
    }
    sqlite_salvage_free(&keys);
    return code;
}

/* Ends with fewer than max_rows rows only when the table ended. */
static int check_rows(struct checker *checker, struct slice *slice, struct hf_error *error) {
    uint64_t before;
    int code;
    do {
        before = slice->rows;
        code = read_rows(checker, slice, slice->max_rows - slice->rows, error);
        if (sqlite_salvage_is_possible(code)) {
            code = step_over(checker, slice, error);
            before = UINT64_MAX;
        }
    } while (code == 0 && slice->rows < slice->max_rows && slice->at != INT64_MAX && before == UINT64_MAX);
    return code == 0 ? name_lost(checker, slice, error) : code;
}

/* ---- slices ---- */

static uint64_t *count_of(struct checker *checker, uint32_t stage) {
    return stage == STAGE_RECORDS   ? &checker->result.records
           : stage == STAGE_HISTORY ? &checker->result.history
                                    : &checker->result.events;
}

static void begin_stage(struct hf_check_cursor *cursor, uint32_t stage) {
    cursor->is_done = stage > STAGE_EVENTS;
    cursor->stage = stage;
    cursor->at = 0;
}

static void tell_what_opening_found(struct checker *checker) {
    const struct sqlite_cut *cut = &checker->backend->cut;
    char text[96];
    if (checker->backend->id_is_damaged)
        find(checker, NULL, NULL, "bad_structure", "the store's id is damaged at one of its two places");
    if (cut->wanted_bytes == 0)
        return;
    snprintf(text, sizeof text, "file is cut short: %lld of %lld pages", cut->pages, cut->wanted_pages);
    find(checker, NULL, NULL, "bad_structure", text);
}

static int check_stage(struct checker *checker, struct hf_check_cursor *cursor, uint64_t max_rows,
                       struct hf_error *error) {
    if (cursor->stage == STAGE_STRUCTURE) {
        tell_what_opening_found(checker);
        int code = cursor->without_structure ? 0 : check_structure(checker, error);
        begin_stage(cursor, STAGE_RECORDS);
        return code;
    }
    struct slice slice = {.table = &tables[cursor->stage], .max_rows = max_rows, .at = (int64_t)cursor->at};
    vec_init(&slice.gaps);
    int code = check_rows(checker, &slice, error);
    for (size_t i = 0; i < slice.gaps.count; i++)
        mem_free(slice.gaps.items[i]);
    vec_fini(&slice.gaps);
    *count_of(checker, cursor->stage) += slice.rows;
    cursor->done += slice.rows;
    cursor->at = (uint64_t)slice.at;
    if (slice.at == INT64_MAX || slice.rows < max_rows)
        begin_stage(cursor, cursor->stage + 1);
    return code;
}

static int ask_last(struct checker *checker, enum sqlite_statement which, uint64_t *total, struct hf_error *error) {
    sqlite3_stmt *last = NULL;
    int64_t number = 0;
    int code = sqlite_conn_statement(checker->conn, which, &last, error);
    if (code == 0)
        code = sqlite_conn_number(checker->conn, last, 0, &number, error);
    if (code == 0)
        *total += (uint64_t)number;
    return sqlite_salvage_is_possible(code) ? 0 : code;
}

/* About how many rows there are: as many as handles were given out. What cannot be asked is left out. */
static int estimate(struct checker *checker, struct hf_check_cursor *cursor, struct hf_error *error) {
    if (cursor->total)
        return 0;
    int code = ask_last(checker, SQLITE_STATEMENT_LAST_RECORD, &cursor->total, error);
    if (code == 0)
        code = ask_last(checker, SQLITE_STATEMENT_LAST_VERSION, &cursor->total, error);
    if (code == 0)
        code = ask_last(checker, SQLITE_STATEMENT_COUNT_EVENTS, &cursor->total, error);
    return code;
}

static void add_result(struct hf_check_result *result, const struct hf_check_result *more) {
    result->records += more->records;
    result->history += more->history;
    result->events += more->events;
    result->findings += more->findings;
}

static int check_in_snapshot(struct checker *checker, struct hf_check_cursor *cursor, uint64_t max_rows,
                             struct hf_error *error) {
    int code = sqlite_conn_exec(checker->conn, "BEGIN", error);
    if (code == 0)
        code = estimate(checker, cursor, error);
    if (code == 0)
        code = check_stage(checker, cursor, max_rows < INT64_MAX ? max_rows : INT64_MAX, error);
    if (cursor->is_done || cursor->done > cursor->total)
        cursor->total = cursor->done;
    if (!sqlite3_get_autocommit(checker->conn->db))
        sqlite3_exec(checker->conn->db, "ROLLBACK", NULL, NULL, NULL);
    return code;
}

int sqlite_check(struct store_backend *backend, struct hf_check_cursor *cursor, uint64_t max_rows,
                 hf_finding_visit visit, void *arg, struct hf_check_result *result, struct hf_error *error) {
    struct sqlite_backend *self = (struct sqlite_backend *)backend;
    struct hf_check_cursor next = *cursor;
    struct checker checker = {.visit = visit, .arg = arg, .backend = self};
    int code = sqlite_reader_take(self, &checker.conn, error);
    if (code)
        return code;
    json_init(&checker.doc);
    buf_init(&checker.scratch);
    code = check_in_snapshot(&checker, &next, max_rows, error);
    json_fini(&checker.doc);
    buf_fini(&checker.scratch);
    sqlite_reader_give(self, &checker.conn);
    if (code)
        return code;
    *cursor = next;
    add_result(result, &checker.result);
    return 0;
}
