/* Between the parts of the sqlite backend. */
#ifndef HF_STORE_SQLITE_BACKEND_H
#define HF_STORE_SQLITE_BACKEND_H

#include "os/file.h"
#include "store/backend.h"
#include "store/sqlite_vfs.h"
#include <pthread.h>

enum {
    SQLITE_PAGE_BYTES = 8192,
    SQLITE_APPLICATION_ID = 0x48464453, /* "HFDS" */
    SQLITE_SCHEMA_VERSION = 1,
    SQLITE_READERS_KEPT = 4, /* more are opened when all are busy, and closed afterwards */
    SQLITE_ORDINAL_BITS = 24,
};

#define READER_CACHE_KIB "4096" /* the inner pages of a million rows; more only costs page faults */

/* Every statement: X(NAME, sql). Prepared when it is first used by a connection, and kept. */
#define SQLITE_ROW_COLUMNS   "kind,id,revision,hash,created_ms,updated_ms,who,sum,doc"
#define SQLITE_EVENT_COLUMNS "seq,what,kind,id,hash,at_ms,who,sum"
#define SQLITE_STATEMENT_MAP(X)                                                                                        \
    X(BEGIN, "BEGIN IMMEDIATE")                                                                                        \
    X(COMMIT, "COMMIT")                                                                                                \
    X(ROLLBACK, "ROLLBACK")                                                                                            \
    X(READ_BEGIN, "BEGIN")                                                                                             \
    X(GET, "SELECT " SQLITE_ROW_COLUMNS " FROM record WHERE kind=?1 AND id=?2")                                        \
    X(SCAN_KIND, "SELECT " SQLITE_ROW_COLUMNS " FROM record INDEXED BY record_key"                                     \
                 " WHERE kind=?1 AND id>?2 ORDER BY id LIMIT ?3")                                                      \
    X(SCAN_ALL, "SELECT " SQLITE_ROW_COLUMNS " FROM record INDEXED BY record_key ORDER BY kind,id LIMIT ?1")           \
    X(EACH_RECORD, "SELECT " SQLITE_ROW_COLUMNS " FROM record NOT INDEXED ORDER BY handle")                            \
    X(EACH_VERSION, "SELECT " SQLITE_ROW_COLUMNS " FROM history NOT INDEXED ORDER BY handle")                          \
    X(EACH_EVENT, "SELECT " SQLITE_EVENT_COLUMNS " FROM event ORDER BY seq")                                           \
    X(HISTORY, "SELECT " SQLITE_ROW_COLUMNS " FROM history WHERE kind=?1 AND id=?2 ORDER BY n DESC LIMIT ?3")          \
    X(EVENTS, "SELECT " SQLITE_EVENT_COLUMNS " FROM event WHERE seq>=?1 ORDER BY seq LIMIT ?2")                        \
    X(NEWEST_EVENT, "SELECT max(seq) FROM event")                                                                      \
    X(COUNT_EVENTS, "SELECT count(*) FROM event")                                                                      \
    X(NTH_EVENT, "SELECT seq FROM event ORDER BY seq LIMIT 1 OFFSET ?1")                                               \
    X(META_GET, "SELECT value FROM meta WHERE name=?1")                                                                \
    X(META_SET, "INSERT OR REPLACE INTO meta(name,value) VALUES(?1,?2)")                                               \
    X(USER_VERSION, "PRAGMA user_version")                                                                             \
    X(INTEGRITY, "PRAGMA integrity_check(1000)")                                                                       \
    X(PUT, "INSERT INTO record(" SQLITE_ROW_COLUMNS ") VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9) ON CONFLICT(kind,id)"        \
           " DO UPDATE SET revision=?3,hash=?4,created_ms=?5,updated_ms=?6,who=?7,sum=?8,doc=?9")                      \
    X(REMOVE, "DELETE FROM record WHERE kind=?1 AND id=?2")                                                            \
    X(NEWEST_VERSION, "SELECT n FROM history WHERE kind=?1 AND id=?2 ORDER BY n DESC LIMIT 1")                         \
    X(ADD_VERSION, "INSERT INTO history(" SQLITE_ROW_COLUMNS ",n) VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10)")             \
    X(TRIM_VERSIONS, "DELETE FROM history WHERE kind=?1 AND id=?2 AND n<=?3")                                          \
    X(ADD_EVENT, "INSERT INTO event(" SQLITE_EVENT_COLUMNS ") VALUES(?1,?2,?3,?4,?5,?6,?7,?8)")                        \
    X(TRIM_EVENTS, "DELETE FROM event WHERE seq<?1")

enum sqlite_statement {
#define X(name, sql) SQLITE_STATEMENT_##name,
    SQLITE_STATEMENT_MAP(X)
#undef X
        SQLITE_STATEMENT_COUNT
};

/* A connection and its statements. One thread uses it at a time. */
struct sqlite_conn {
    sqlite3 *db;
    sqlite3_stmt *statements[SQLITE_STATEMENT_COUNT];
    struct sqlite_conn *next;
};

struct sqlite_backend {
    struct store_backend base;
    const struct os *os;
    int dir_fd;
    char *folder, *name; /* of the file; name is "./…" so that SQLite never takes it for a URI */
    int read_only;
    struct owner_lock *lock; /* of a private reader: shared */
    int is_open;             /* the file was found good: closing may write it back */
    struct sqlite_vfs *vfs;
    struct sqlite_conn *writer; /* NULL when read_only */
    pthread_mutex_t mutex;      /* guards the readers that wait for work */
    struct sqlite_conn *idle;
    unsigned idle_count;
    /* the writer's own */
    int wal_pages;         /* in the WAL after the newest commit or checkpoint that are not in the database yet */
    int checkpoint_failed; /* the code, when a checkpoint could not be synced: nothing more is written */
    int is_broken;         /* a commit's outcome is not known: the WAL is left as it is */
    uint64_t seq;          /* of the newest event in this transaction */
    uint64_t committed_seq;
    uint64_t event_count, committed_event_count;
};

/* sqlite_conn.c */
int sqlite_conn_open(struct sqlite_backend *self, int is_writer, struct sqlite_conn **ret_conn, struct hf_error *error);
void sqlite_conn_close(struct sqlite_conn **conn);
int sqlite_conn_exec(struct sqlite_conn *conn, const char *sql, struct hf_error *error);
/* A statement, reset and ready to be bound; stepped to its end with sqlite_conn_run when it gives no rows. */
int sqlite_conn_statement(struct sqlite_conn *conn, enum sqlite_statement which, sqlite3_stmt **ret_statement,
                          struct hf_error *error);
int sqlite_conn_run(struct sqlite_conn *conn, sqlite3_stmt *statement, struct hf_error *error);
/* The first column of the first row; fallback when there is none. */
int sqlite_conn_number(struct sqlite_conn *conn, sqlite3_stmt *statement, int64_t fallback, int64_t *ret_number,
                       struct hf_error *error);
/* Fills error from what the connection's last call returned. */
int sqlite_conn_error(struct sqlite_conn *conn, int rc, struct hf_error *error);

/* A reader for one call. */
int sqlite_reader_take(struct sqlite_backend *self, struct sqlite_conn **ret_conn, struct hf_error *error);
void sqlite_reader_give(struct sqlite_backend *self, struct sqlite_conn **conn);

/* sqlite_header.c: looks at the file before SQLite does; makes a new one when wanted. */
int sqlite_header_check(struct sqlite_backend *self, struct hf_error *error);

/* sqlite_settle.c: before the first connection of an owner */
int sqlite_settle(struct sqlite_backend *self, struct hf_error *error);

/* sqlite_schema.c */
int sqlite_schema_prepare(struct sqlite_backend *self, struct sqlite_conn *conn, struct hf_error *error);

/* sqlite_read.c, sqlite_check.c */
int sqlite_get(struct store_backend *backend, enum store_view view, const char *kind, const char *id, int head_only,
               struct hf_record **ret_record, struct hf_error *error);
int sqlite_scan(struct store_backend *backend, const char *kind, const char *after, uint64_t limit,
                hf_record_visit visit, void *arg, struct hf_error *error);
int sqlite_history(struct store_backend *backend, const char *kind, const char *id, uint64_t limit,
                   hf_record_visit visit, void *arg, struct hf_error *error);
int sqlite_events(struct store_backend *backend, uint64_t since, uint64_t limit, hf_event_visit visit, void *arg,
                  struct hf_error *error);
int sqlite_check(struct store_backend *backend, hf_finding_visit visit, void *arg, struct hf_check_result *ret_result,
                 struct hf_error *error);

/* sqlite_write.c */
int sqlite_begin(struct store_backend *backend, struct hf_error *error);
int sqlite_put(struct store_backend *backend, const struct store_change *change, struct hf_error *error);
int sqlite_remove(struct store_backend *backend, const struct store_change *change, struct hf_error *error);
int sqlite_commit(struct store_backend *backend, struct hf_error *error);
void sqlite_abort(struct store_backend *backend);
int sqlite_trim_events(struct store_backend *backend, uint64_t keep, struct hf_error *error);
int sqlite_rest_now(struct store_backend *backend, struct hf_error *error);
int sqlite_count_wal(void *self, sqlite3 *db, const char *schema, int pages); /* SQLite's WAL hook */

#endif
