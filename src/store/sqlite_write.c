/* The one connection that writes.
 *
 * Invariants
 *  1. Only the committer's thread comes here, and only this connection writes and checkpoints.
 *  2. COMMIT that returned 0 is in the WAL and synced. One that failed before frames were synced left nothing; any
 *     other failure is HF_ERR_IO, for nobody knows what is on disk.
 *  3. A checkpoint that could not be synced is the last: its pages are still in the WAL, which is not reset, and begin
 *     refuses from then on.
 *  4. The WAL stays bounded: it is written back when there is nothing else to do, before a transaction when it has
 * grown, and when readers keep it from being used again, commits wait for them a little. */
#include "store/sqlite_backend.h"
#include "store/sqlite_rows.h"
#include <string.h>

enum {
    WAL_IDLE_PAGES = 4 * 1024 * 1024 / SQLITE_PAGE_BYTES,
    WAL_FULL_PAGES = 64 * 1024 * 1024 / SQLITE_PAGE_BYTES,
    WAL_WAIT_PAGES = 128 * 1024 * 1024 / SQLITE_PAGE_BYTES,
    WAIT_FOR_READERS_MS = 100,
    BUSY_WAIT_MS = 5000,
};

int sqlite_count_wal(void *self, sqlite3 *db, const char *schema, int pages) {
    (void)db, (void)schema;
    ((struct sqlite_backend *)self)->wal_pages = pages;
    return SQLITE_OK;
}

/* Once files were cut or replaced, nothing is written any more: neither commits, nor the WAL back. */
static int check_place(struct sqlite_backend *self, struct hf_error *error) {
    int code = sqlite_vfs_check_place(self->writer->db, error);
    if (code != HF_ERR_CORRUPT)
        return code;
    self->is_broken = 1;
    if (error)
        error->code = HF_ERR_IO; /* CORRUPT would refuse this one batch */
    return HF_ERR_IO;
}

int sqlite_checkpoint(struct sqlite_backend *self, int mode, int wait_for_readers_ms, struct hf_error *error) {
    int in_wal = 0, saved = 0;
    if (self->checkpoint_failed || self->is_broken)
        return error_set(error, HF_ERR_IO, "an earlier checkpoint or commit could not be synced");
    int lost = check_place(self, error);
    if (lost)
        return lost;
    sqlite3_busy_timeout(self->writer->db, wait_for_readers_ms);
    int rc = sqlite3_wal_checkpoint_v2(self->writer->db, NULL, mode, &in_wal, &saved);
    sqlite3_busy_timeout(self->writer->db, BUSY_WAIT_MS);
    if (rc == SQLITE_OK && in_wal == saved)
        self->wal_pages = 0;
    if (rc == SQLITE_OK || rc == SQLITE_BUSY)
        return 0;
    int code = sqlite_conn_error(self->writer, rc, error);
    if (!store_code_is_soft(code))
        self->checkpoint_failed = code;
    return error_wrap(error, code, "write the WAL back");
}

int sqlite_rest_now(struct store_backend *backend, struct hf_error *error) {
    struct sqlite_backend *self = (struct sqlite_backend *)backend;
    if (self->wal_pages < WAL_IDLE_PAGES || self->checkpoint_failed || self->is_broken)
        return 0;
    return sqlite_checkpoint(self, SQLITE_CHECKPOINT_PASSIVE, 0, error);
}

/* Before a transaction, not behind one: who waits for an earlier commit was answered. A disk that is full may keep the
 * WAL growing; what is in it is safe. */
static void bound_wal(struct sqlite_backend *self) {
    if (self->wal_pages >= WAL_WAIT_PAGES)
        (void)sqlite_checkpoint(self, SQLITE_CHECKPOINT_RESTART, WAIT_FOR_READERS_MS, NULL);
    else if (self->wal_pages >= WAL_FULL_PAGES)
        (void)sqlite_checkpoint(self, SQLITE_CHECKPOINT_PASSIVE, 0, NULL);
}

/* The first transaction of a WAL that begins anew carries the first page, and with it the database's tag: so a WAL that
 * is not this database's is known (sqlite_wal.c). */
static int tag_wal(struct sqlite_backend *self, struct hf_error *error) {
    sqlite3_stmt *touch = NULL;
    int code = sqlite_conn_statement(self->writer, SQLITE_STATEMENT_TOUCH_FIRST_PAGE, &touch, error);
    if (code == 0)
        code = sqlite_conn_run(self->writer, touch, error);
    if (code)
        sqlite_abort(&self->base);
    return code;
}

int sqlite_begin(struct store_backend *backend, struct hf_error *error) {
    struct sqlite_backend *self = (struct sqlite_backend *)backend;
    sqlite3_stmt *begin = NULL;
    if (!self->writer)
        return error_set(error, HF_ERR_READ_ONLY, "the store was opened read-only");
    sqlite_abort(backend); /* an earlier one may have found no memory for it */
    int code = check_place(self, error);
    if (code)
        return code;
    bound_wal(self);
    if (self->checkpoint_failed || self->is_broken)
        return error_set(error, HF_ERR_IO, "an earlier checkpoint or commit could not be synced");
    self->seq = self->committed_seq;
    self->event_count = self->committed_event_count;
    code = sqlite_conn_statement(self->writer, SQLITE_STATEMENT_BEGIN, &begin, error);
    if (code == 0)
        code = sqlite_conn_run(self->writer, begin, error);
    return code == 0 && self->wal_pages == 0 ? tag_wal(self, error) : code;
}

static void bind_text(sqlite3_stmt *statement, int place, const char *text) {
    sqlite3_bind_text(statement, place, text, (int)strlen(text), SQLITE_STATIC);
}

static struct hf_record row_of(const struct store_change *change) {
    struct hf_record row = {
        .kind = change->kind,
        .id = change->id,
        .revision = change->revision,
        .created_ms = change->created_ms,
        .updated_ms = change->at_ms,
        .json = change->what == HF_PUT ? change->json : NULL,
        .json_bytes = change->json_bytes,
        .who = change->who ? change->who : "",
    };
    if (change->what == HF_PUT)
        memcpy(row.hash, change->hash, sizeof row.hash);
    return row;
}

static void bind_row(uint64_t seed, sqlite3_stmt *statement, const struct hf_record *row) {
    bind_text(statement, 1, row->kind);
    bind_text(statement, 2, row->id);
    sqlite3_bind_int64(statement, 3, (sqlite3_int64)row->revision);
    sqlite3_bind_blob(statement, 4, row->hash, sizeof row->hash, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 5, row->created_ms);
    sqlite3_bind_int64(statement, 6, row->updated_ms);
    bind_text(statement, 7, row->who);
    sqlite3_bind_int64(statement, 8, sqlite_rows_sum(seed, row));
    if (row->json)
        sqlite3_bind_text64(statement, 9, row->json, row->json_bytes, SQLITE_STATIC, SQLITE_UTF8);
    else
        sqlite3_bind_null(statement, 9);
}

static int run_with_key(struct sqlite_conn *conn, enum sqlite_statement which, const struct hf_record *row,
                        sqlite3_int64 number, struct hf_error *error) {
    sqlite3_stmt *statement = NULL;
    int code = sqlite_conn_statement(conn, which, &statement, error);
    if (code)
        return code;
    bind_text(statement, 1, row->kind);
    bind_text(statement, 2, row->id);
    if (number)
        sqlite3_bind_int64(statement, 3, number);
    return sqlite_conn_run(conn, statement, error);
}

/* Versions of a key are numbered without gaps, so what is too old is found without counting. */
static int add_version(struct sqlite_conn *conn, const struct hf_record *row, uint32_t keep, struct hf_error *error) {
    sqlite3_stmt *newest = NULL, *add = NULL;
    int64_t n = 0;
    int code = sqlite_conn_statement(conn, SQLITE_STATEMENT_NEWEST_VERSION, &newest, error);
    if (code)
        return code;
    bind_text(newest, 1, row->kind);
    bind_text(newest, 2, row->id);
    code = sqlite_conn_number(conn, newest, 0, &n, error);
    if (code == 0)
        code = sqlite_conn_statement(conn, SQLITE_STATEMENT_ADD_VERSION, &add, error);
    if (code)
        return code;
    n++;
    bind_row(conn->seed, add, row);
    sqlite3_bind_int64(add, 10, n);
    code = sqlite_conn_run(conn, add, error);
    if (code || keep == UINT32_MAX || n <= keep)
        return code;
    return run_with_key(conn, SQLITE_STATEMENT_TRIM_VERSIONS, row, n - keep, error);
}

static int add_event(struct sqlite_backend *self, const struct store_change *change, const struct hf_record *row,
                     struct hf_error *error) {
    sqlite3_stmt *add = NULL;
    struct hf_event event = {
        .what = change->what, .kind = row->kind, .id = row->id, .at_ms = change->at_ms, .who = row->who};
    memcpy(event.hash, row->hash, sizeof event.hash);
    uint64_t first = change->revision << SQLITE_ORDINAL_BITS;
    uint64_t seq = self->seq < first ? first : self->seq + 1;
    if (seq >> SQLITE_ORDINAL_BITS != change->revision)
        return error_set(error, HF_ERR_TOO_LARGE, "more than %d changes in one batch", (1 << SQLITE_ORDINAL_BITS) - 1);
    int code = sqlite_conn_statement(self->writer, SQLITE_STATEMENT_ADD_EVENT, &add, error);
    if (code)
        return code;
    sqlite3_bind_int64(add, 1, (sqlite3_int64)seq);
    sqlite3_bind_int(add, 2, change->what);
    bind_text(add, 3, event.kind);
    bind_text(add, 4, event.id);
    sqlite3_bind_blob(add, 5, event.hash, sizeof event.hash, SQLITE_STATIC);
    sqlite3_bind_int64(add, 6, event.at_ms);
    bind_text(add, 7, event.who);
    sqlite3_bind_int64(add, 8, sqlite_rows_event_sum(self->seed, &event, seq));
    code = sqlite_conn_run(self->writer, add, error);
    if (code == 0) {
        self->seq = seq;
        self->event_count++;
    }
    return code;
}

static int note(struct sqlite_backend *self, const struct store_change *change, const struct hf_record *row,
                struct hf_error *error) {
    int code = add_event(self, change, row, error);
    if (code == 0 && change->history_keep)
        code = add_version(self->writer, row, change->history_keep, error);
    return code;
}

int sqlite_put(struct store_backend *backend, const struct store_change *change, struct hf_error *error) {
    struct sqlite_backend *self = (struct sqlite_backend *)backend;
    struct hf_record row = row_of(change);
    sqlite3_stmt *put = NULL;
    int code = sqlite_conn_statement(self->writer, SQLITE_STATEMENT_PUT, &put, error);
    if (code)
        return code;
    bind_row(self->seed, put, &row);
    code = sqlite_conn_run(self->writer, put, error);
    return code ? code : note(self, change, &row, error);
}

int sqlite_remove(struct store_backend *backend, const struct store_change *change, struct hf_error *error) {
    struct sqlite_backend *self = (struct sqlite_backend *)backend;
    struct hf_record row = row_of(change);
    int code = run_with_key(self->writer, SQLITE_STATEMENT_REMOVE, &row, 0, error);
    if (code == 0 && sqlite3_changes(self->writer->db) == 0)
        code = error_set(error, HF_ERR_NOT_FOUND, "there is no record '%s/%s'", row.kind, row.id);
    return code ? code : note(self, change, &row, error);
}

int sqlite_commit(struct store_backend *backend, struct hf_error *error) {
    struct sqlite_backend *self = (struct sqlite_backend *)backend;
    sqlite3_stmt *commit = NULL;
    uint64_t syncs = sqlite_vfs_wal_syncs(self->writer->db);
    int code = sqlite_conn_statement(self->writer, SQLITE_STATEMENT_COMMIT, &commit, error);
    if (code)
        return code;
    code = sqlite_conn_run(self->writer, commit, error);
    if (code && store_code_is_soft(code) && sqlite_vfs_wal_syncs(self->writer->db) == syncs)
        return code;
    if (code) {
        self->is_broken = 1;
        if (error)
            error->code = HF_ERR_IO;
        return HF_ERR_IO;
    }
    self->committed_seq = self->seq;
    self->committed_event_count = self->event_count;
    return 0;
}

/* SQLite may have rolled back by itself. */
void sqlite_abort(struct store_backend *backend) {
    struct sqlite_backend *self = (struct sqlite_backend *)backend;
    sqlite3_stmt *rollback = NULL; /* was made when the store was opened: it must not fail for lack of memory */
    if (self->writer && !sqlite3_get_autocommit(self->writer->db) &&
        sqlite_conn_statement(self->writer, SQLITE_STATEMENT_ROLLBACK, &rollback, NULL) == 0)
        (void)sqlite_conn_run(self->writer, rollback, NULL);
}

static int remember_trim(struct sqlite_backend *self, uint64_t revision, struct hf_error *error) {
    sqlite3_stmt *set = NULL;
    int code = sqlite_conn_statement(self->writer, SQLITE_STATEMENT_META_SET, &set, error);
    if (code)
        return code;
    bind_text(set, 1, "trimmed_revision");
    sqlite3_bind_int64(set, 2, (sqlite3_int64)revision);
    return sqlite_conn_run(self->writer, set, error);
}

/* Whole revisions go, so that no watcher sees half of one; the newest event stays: it holds the last revision. */
int sqlite_trim_events(struct store_backend *backend, uint64_t keep, struct hf_error *error) {
    struct sqlite_backend *self = (struct sqlite_backend *)backend;
    struct sqlite_conn *conn = self->writer;
    sqlite3_stmt *nth = NULL, *trim = NULL;
    int64_t seq = 0;
    keep = keep ? keep : 1;
    if (self->event_count <= keep)
        return 0;
    int code = sqlite_conn_statement(conn, SQLITE_STATEMENT_NTH_EVENT, &nth, error);
    if (code)
        return code;
    sqlite3_bind_int64(nth, 1, (sqlite3_int64)(self->event_count - keep));
    code = sqlite_conn_number(conn, nth, 0, &seq, error);
    uint64_t first_kept = (uint64_t)seq >> SQLITE_ORDINAL_BITS;
    if (code == 0)
        code = sqlite_conn_statement(conn, SQLITE_STATEMENT_TRIM_EVENTS, &trim, error);
    if (code || first_kept <= 1)
        return code;
    sqlite3_bind_int64(trim, 1, (sqlite3_int64)(first_kept << SQLITE_ORDINAL_BITS));
    code = sqlite_conn_run(conn, trim, error);
    int removed = sqlite3_changes(conn->db);
    if (code || removed == 0)
        return code;
    self->event_count -= (uint64_t)removed;
    return remember_trim(self, first_kept - 1, error);
}
