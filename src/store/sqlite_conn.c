/* Connections, their statements, and what their errors mean to us. */
#include "base/mem.h"
#include "store/sqlite_backend.h"
#include <stdio.h>

#define WRITER_CACHE_KIB "65536"
enum { BUSY_WAIT_MS = 5000 };

/* secure_delete is on in some builds: it would write pages only to fill them with zeros. */
#define COMMON_SETTINGS                                                                                                \
    "PRAGMA mmap_size=0; PRAGMA temp_store=MEMORY; PRAGMA foreign_keys=0; PRAGMA secure_delete=0;"                     \
    "PRAGMA wal_autocheckpoint=0; PRAGMA synchronous=FULL; PRAGMA cell_size_check=1;"
static const char writer_settings[] =
    COMMON_SETTINGS "PRAGMA cache_size=-" WRITER_CACHE_KIB ";PRAGMA journal_mode=WAL;";
static const char reader_settings[] = COMMON_SETTINGS "PRAGMA cache_size=-" READER_CACHE_KIB ";PRAGMA query_only=1;";

static const char *const statement_sql[SQLITE_STATEMENT_COUNT] = {
#define X(name, sql) sql,
    SQLITE_STATEMENT_MAP(X)
#undef X
};

static int code_of_io(int rc, int negative_errno) {
    if (rc == SQLITE_IOERR_NOMEM)
        return HF_ERR_NO_MEMORY;
    if (rc == SQLITE_IOERR_SHMMAP && file_is_lacking(negative_errno))
        return HF_ERR_UNSUPPORTED;
    if (rc == SQLITE_IOERR_FSYNC || rc == SQLITE_IOERR_DIR_FSYNC || negative_errno == 0)
        return HF_ERR_IO; /* whatever the system called it: bytes may be gone */
    return error_code_of_errno(negative_errno);
}

static int code_of(int rc, int negative_errno) {
    switch (rc & 0xff) {
    case SQLITE_FULL:
        return negative_errno ? error_code_of_errno(negative_errno) : HF_ERR_NO_SPACE;
    case SQLITE_NOMEM:
        return HF_ERR_NO_MEMORY;
    case SQLITE_READONLY:
        return HF_ERR_READ_ONLY;
    case SQLITE_IOERR:
        return code_of_io(rc, negative_errno);
    case SQLITE_CANTOPEN:
        return negative_errno ? error_code_of_errno(negative_errno) : HF_ERR_IO;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_ERROR:      /* our statements are right for our tables: what they meet is something else */
    case SQLITE_CONSTRAINT: /* our rows break none: what they meet is damaged */
    case SQLITE_MISMATCH:
    case SQLITE_TOOBIG: /* what is put was measured before: it is a length that was read */
        return HF_ERR_CORRUPT;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
        return HF_ERR_LOCKED;
    case SQLITE_PERM:
        return HF_ERR_PERMISSION;
    default:
        return HF_ERR_INTERNAL;
    }
}

static void add_hint(int code, struct hf_error *error) {
    switch (code) {
    case HF_ERR_CORRUPT:
        error_hint(error, "keep a copy of the file as it is, then restore a backup");
        break;
    case HF_ERR_NO_SPACE:
    case HF_ERR_QUOTA:
        error_hint(error, "free some space; nothing that was acknowledged is lost");
        break;
    case HF_ERR_UNSUPPORTED:
        error_hint(error,
                   "the file system cannot share memory: put the folder on a local one such as ext4, xfs or btrfs");
        break;
    case HF_ERR_LOCKED:
        error_hint(error, "another program uses the database; end it and try again");
        break;
    default:
        break;
    }
}

int sqlite_conn_error(struct sqlite_conn *conn, int rc, struct hf_error *error) {
    int negative_errno = sqlite_vfs_errno(conn->db);
    int code = code_of(rc, negative_errno);
    error_set(error, code, "%s", sqlite3_errstr(rc));
    const char *detail = sqlite3_errmsg(conn->db);
    if (negative_errno && (code != HF_ERR_CORRUPT && code != HF_ERR_INTERNAL))
        error_set_errno(error, negative_errno, "%s", sqlite3_errstr(rc));
    else if (detail && rc == sqlite3_extended_errcode(conn->db))
        error_set(error, code, "%s", detail);
    if (error)
        error->code = code;
    add_hint(code, error);
    sqlite_vfs_forget(conn->db);
    return code;
}

int sqlite_conn_exec(struct sqlite_conn *conn, const char *sql, struct hf_error *error) {
    int rc = sqlite3_exec(conn->db, sql, NULL, NULL, NULL);
    return rc ? sqlite_conn_error(conn, rc, error) : 0;
}

static int configure(struct sqlite_backend *self, struct sqlite_conn *conn, int is_writer, struct hf_error *error) {
    sqlite3_extended_result_codes(conn->db, 1);
    sqlite3_busy_timeout(conn->db, BUSY_WAIT_MS);
    sqlite3_db_config(conn->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(conn->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_db_config(conn->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    int code = sqlite_conn_exec(conn, is_writer ? writer_settings : reader_settings, error);
    if (code == 0 && is_writer)
        sqlite3_wal_hook(conn->db, sqlite_count_wal, self);
    return code;
}

int sqlite_conn_open(struct sqlite_backend *self, int is_writer, struct sqlite_conn **ret_conn,
                     struct hf_error *error) {
    struct sqlite_conn *conn = MEM_NEW(struct sqlite_conn);
    if (!conn)
        return error_set(error, HF_ERR_NO_MEMORY, "open connection: memory is used up");
    conn->seed = self->seed;
    int flags = SQLITE_OPEN_NOMUTEX | (self->read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE);
    int rc = sqlite3_open_v2(self->name, &conn->db, flags, sqlite_vfs_name(self->vfs));
    int code = 0;
    if (rc && rc != SQLITE_NOMEM && sqlite_vfs_open_errno(self->vfs))
        code = error_set_errno(error, sqlite_vfs_open_errno(self->vfs), "open connection");
    else if (rc)
        code = error_set(error, code_of(rc, 0), "open connection: %s", sqlite3_errstr(rc));
    else
        code = configure(self, conn, is_writer, error);
    if (code) {
        sqlite_conn_close(&conn);
        return code;
    }
    *ret_conn = conn;
    return 0;
}

void sqlite_conn_close(struct sqlite_conn **conn) {
    if (!conn || !*conn)
        return;
    for (int i = 0; i < SQLITE_STATEMENT_COUNT; i++)
        sqlite3_finalize((*conn)->statements[i]);
    sqlite3_close((*conn)->db);
    mem_free(*conn);
    *conn = NULL;
}

int sqlite_conn_statement(struct sqlite_conn *conn, enum sqlite_statement which, sqlite3_stmt **ret_statement,
                          struct hf_error *error) {
    sqlite3_stmt **statement = &conn->statements[which];
    if (!*statement) {
        int rc = sqlite3_prepare_v3(conn->db, statement_sql[which], -1, SQLITE_PREPARE_PERSISTENT, statement, NULL);
        if (rc)
            return sqlite_conn_error(conn, rc, error);
    }
    *ret_statement = *statement;
    return 0;
}

int sqlite_conn_run(struct sqlite_conn *conn, sqlite3_stmt *statement, struct hf_error *error) {
    int rc = sqlite3_step(statement);
    int code = rc == SQLITE_DONE || rc == SQLITE_ROW ? 0 : sqlite_conn_error(conn, rc, error);
    sqlite3_reset(statement);
    return code;
}

int sqlite_conn_number(struct sqlite_conn *conn, sqlite3_stmt *statement, int64_t fallback, int64_t *ret_number,
                       struct hf_error *error) {
    int rc = sqlite3_step(statement), code = 0;
    if (rc == SQLITE_ROW)
        *ret_number = sqlite3_column_int64(statement, 0);
    else if (rc == SQLITE_DONE)
        *ret_number = fallback;
    else
        code = sqlite_conn_error(conn, rc, error);
    sqlite3_reset(statement);
    return code;
}

int sqlite_reader_take(struct sqlite_backend *self, struct sqlite_conn **ret_conn, struct hf_error *error) {
    pthread_mutex_lock(&self->mutex);
    struct sqlite_conn *conn = self->idle;
    if (conn) {
        self->idle = conn->next;
        self->idle_count--;
    }
    pthread_mutex_unlock(&self->mutex);
    if (!conn)
        return sqlite_conn_open(self, 0, ret_conn, error);
    *ret_conn = conn;
    return 0;
}

void sqlite_reader_give(struct sqlite_backend *self, struct sqlite_conn **conn) {
    pthread_mutex_lock(&self->mutex);
    int is_outside = sqlite3_get_autocommit((*conn)->db); /* one that could not leave its snapshot is of no more use */
    if (is_outside && self->idle_count < SQLITE_READERS_KEPT) {
        (*conn)->next = self->idle;
        self->idle = *conn;
        self->idle_count++;
        *conn = NULL;
    }
    pthread_mutex_unlock(&self->mutex);
    sqlite_conn_close(conn);
}
