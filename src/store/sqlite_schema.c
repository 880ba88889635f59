/* Tables, and views for people with the sqlite3 shell.
 *
 * The layout, by measurement: 1,000,000 inserts of 2.5 KB with random ids of 36 bytes, in transactions of 1,024, pages
 * of 8 KiB, a cache of 300 MB, two cores and a virtual disk:
 *  - no index: 14.6 s
 *  - an index on a 64-bit hash of the key: 18.2 s
 *  - a unique index on a number for the kind, and the id: 25.2 s
 *  - a unique index on kind and id: 26.9 s
 *
 * A single durable insert dirties the same number of pages with each index (3.8 to 4.0 on average: the last leaf of
 * record, the last of event, one of the index, and page 1 with the parent when a page is added) and takes as long. Only
 * an ordered index gives the order of ids, and pages of a listing without reading every row of the kind; and hashes
 * that collide need no thought. A number for the kind saves 6 % and makes the tables hard to read. So: kind and id.
 *
 * Rows stand in the order of a handle, not of the key: documents in a tree ordered by random keys split its pages.
 *
 * An event's seq is its revision and its place in it. So no index on revisions is needed, the last revision is in the
 * largest seq, and a commit changes no row of meta. */
#include "store/sqlite_backend.h"
#include <stdio.h>

#define TIME(ms)    "strftime('%Y-%m-%dT%H:%M:%fZ'," ms "/1000.0,'unixepoch')"
#define FIELD(name) "json_extract(doc,'$." #name "') AS " #name

static const char tables[] =
    "CREATE TABLE record(handle INTEGER PRIMARY KEY,kind TEXT NOT NULL,id TEXT NOT NULL,revision INTEGER NOT NULL,"
    "hash BLOB NOT NULL,created_ms INTEGER NOT NULL,updated_ms INTEGER NOT NULL,who TEXT NOT NULL,sum INTEGER NOT NULL,"
    "doc TEXT NOT NULL);"
    "CREATE UNIQUE INDEX record_key ON record(kind,id);"
    "CREATE TABLE history(handle INTEGER PRIMARY KEY,kind TEXT NOT NULL,id TEXT NOT NULL,n INTEGER NOT NULL,"
    "revision INTEGER NOT NULL,hash BLOB NOT NULL,created_ms INTEGER NOT NULL,updated_ms INTEGER NOT NULL,"
    "who TEXT NOT NULL,sum INTEGER NOT NULL,doc TEXT);"
    "CREATE UNIQUE INDEX history_key ON history(kind,id,n);"
    "CREATE TABLE event(seq INTEGER PRIMARY KEY,what INTEGER NOT NULL,kind TEXT NOT NULL,id TEXT NOT NULL,"
    "hash BLOB NOT NULL,at_ms INTEGER NOT NULL,who TEXT NOT NULL,sum INTEGER NOT NULL);"
    "CREATE TABLE meta(name TEXT PRIMARY KEY,value) WITHOUT ROWID;";

static const char
    views[] =
        "CREATE VIEW records AS SELECT kind,id,revision,lower(hex(hash)) AS hash," TIME(
            "created_ms") " AS created_at," TIME("updated_ms") " AS updated_at,who,doc FROM record;"
                                                               "CREATE VIEW events AS SELECT seq>>24 AS revision,CASE "
                                                               "what WHEN 1 THEN 'put' ELSE 'delete' END AS "
                                                               "what,kind,id,"
                                                               "lower(hex(hash)) AS hash," TIME(
                                                                   "at_ms") " AS at,who FROM event;"
                                                                            "CREATE VIEW data_sources AS SELECT id AS "
                                                                            "name," FIELD(kind) "," FIELD(description) "," FIELD(wanted) "," FIELD(interval_ms) "," FIELD(timeout_ms) "," FIELD(
                                                                                code_version) "," FIELD(run_request) "," FIELD(argv) "," FIELD(tags) "," FIELD(created_at) "," FIELD(updated_at) ",revision FROM record WHERE kind='source';"
                                                                                                                                                                                                 "CREATE VIEW data_source_states AS SELECT id AS name," FIELD(status) "," FIELD(pid) "," FIELD(run_count) "," FIELD(error_count) "," FIELD(
                                                                                                                                                                                                     consecutive_errors) "," FIELD(last_error) "," FIELD(last_error_at) "," FIELD(last_data_at) "," FIELD(last_run_at) "," FIELD(started_at) "," FIELD(skipped_count) "," FIELD(restarts) "," FIELD(dropped_bytes) "," FIELD(restore) ",revision FROM record WHERE kind='source_state';"
                                                                                                                                                                                                                                                                                                                                                                                                                                      "CREATE VIEW data_source_latest_data AS SELECT id AS name," FIELD(run) "," FIELD(at) "," FIELD(type) "," FIELD(size) "," FIELD(hash) "," FIELD(code_version) "," FIELD(
                                                                                                                                                                                                                                                                                                                                                                                                                                          columns) "," FIELD(data) ",revision"
                                                                                                                                                                                                                                                                                                                                                                                                                                                                   " FROM record WHERE kind='source_data';"
                                                                                                                                                                                                                                                                                                                                                                                                                                                                   "CREATE VIEW data_source_code_versions AS SELECT id AS name," FIELD(version) "," FIELD(digest) "," FIELD(author) "," FIELD(
                                                                                                                                                                                                                                                                                                                                                                                                                                                                       note) "," FIELD(at) "," FIELD(bytes) "," FIELD(code) ",revision"
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                            " FROM history WHERE kind='source_code' AND doc IS NOT NULL;"
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                            "CREATE VIEW runs AS SELECT id AS name," FIELD(run) "," FIELD(started_at) "," FIELD(ended_at) "," FIELD(duration_ms) "," FIELD(outcome) "," FIELD(error) "," FIELD(code_version) "," FIELD(exit_code) "," FIELD(signal) "," FIELD(pid) "," FIELD(data_hash) "," FIELD(data_bytes) "," FIELD(
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                output_tail) ",revision"
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                             " FROM history WHERE kind='source_run' AND doc IS NOT NULL;";

static int create(struct sqlite_backend *self, struct sqlite_conn *conn, struct hf_error *error) {
    char version[64];
    snprintf(version, sizeof version, "PRAGMA user_version=%d", SQLITE_SCHEMA_VERSION);
    int code = sqlite_conn_exec(conn, "BEGIN IMMEDIATE", error);
    if (code == 0)
        code = sqlite_conn_exec(conn, tables, error);
    if (code == 0)
        code = sqlite_conn_exec(conn, views, error);
    if (code == 0)
        code = sqlite_identity_add(self, conn, error);
    if (code == 0)
        code = sqlite_conn_exec(conn, version, error);
    if (code == 0)
        code = sqlite_conn_exec(conn, "COMMIT", error);
    return code ? error_wrap(error, code, "create tables") : 0;
}

/* Asked again through SQLite: a newer program's change may stand in the WAL only. */
int sqlite_schema_prepare(struct sqlite_backend *self, struct sqlite_conn *conn, struct hf_error *error) {
    sqlite3_stmt *get = NULL;
    int64_t version = 0;
    int code = sqlite_conn_statement(conn, SQLITE_STATEMENT_USER_VERSION, &get, error);
    if (code == 0)
        code = sqlite_conn_number(conn, get, 0, &version, error);
    if (code)
        return error_wrap(error, code, "read schema version");
    if (version > SQLITE_SCHEMA_VERSION)
        return error_set(error, HF_ERR_SCHEMA_NEWER, "it has schema %lld, this program knows %d", (long long)version,
                         SQLITE_SCHEMA_VERSION);
    if (version == SQLITE_SCHEMA_VERSION)
        return 0;
    if (version)
        return sqlite_header_refuse_older((long long)version, error);
    if (sqlite3_table_column_metadata(conn->db, "main", "record", NULL, NULL, NULL, NULL, NULL, NULL) == SQLITE_OK)
        return error_set(error, HF_ERR_CORRUPT, "it has tables, but no schema version");
    if (self->read_only)
        return error_set(error, HF_ERR_NOT_FOUND, "the store is empty: nothing was ever written to it");
    return create(self, conn, error);
}
