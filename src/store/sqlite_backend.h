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
    SQLITE_READERS_KEPT = 4,            /* more are opened when all are busy, and closed afterwards */
    SQLITE_ORDINAL_BITS = 24,
};

#define SQLITE_SCHEMA_VERSION 2

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
                 " WHERE kind=?1 AND id>?2 ORDER BY id")                                                               \
    X(SCAN_ALL, "SELECT " SQLITE_ROW_COLUMNS " FROM record INDEXED BY record_key"                                      \
                " WHERE (kind,id)>(?1,?2) ORDER BY kind,id")                                                           \
    X(SOME_RECORDS, "SELECT " SQLITE_ROW_COLUMNS ",handle FROM record NOT INDEXED"                                     \
                    " WHERE handle>?1 ORDER BY handle LIMIT ?2")                                                       \
    X(SOME_VERSIONS, "SELECT " SQLITE_ROW_COLUMNS ",handle FROM history NOT INDEXED"                                   \
                     " WHERE handle>?1 ORDER BY handle LIMIT ?2")                                                      \
    X(SOME_EVENTS, "SELECT " SQLITE_EVENT_COLUMNS " FROM event WHERE seq>?1 ORDER BY seq LIMIT ?2")                    \
    X(BY_HANDLE, "SELECT " SQLITE_ROW_COLUMNS ",handle FROM record NOT INDEXED WHERE handle=?1")                       \
    X(PROBE_RECORD, "SELECT handle FROM record NOT INDEXED WHERE handle>?1 ORDER BY handle LIMIT 1")                   \
    X(PROBE_VERSION, "SELECT handle FROM history NOT INDEXED WHERE handle>?1 ORDER BY handle LIMIT 1")                 \
    X(PROBE_EVENT, "SELECT seq FROM event WHERE seq>?1 ORDER BY seq LIMIT 1")                                          \
    X(NEXT_KEY, "SELECT kind,id,handle FROM record INDEXED BY record_key"                                              \
                " WHERE (kind,id)>(?1,?2) ORDER BY kind,id LIMIT 1")                                                   \
    X(KEYS_UP, "SELECT kind,id,handle FROM record INDEXED BY record_key"                                               \
               " WHERE (kind,id)>(?1,?2) ORDER BY kind,id")                                                            \
    X(KEYS_DOWN, "SELECT kind,id,handle FROM record INDEXED BY record_key"                                             \
                 " WHERE (kind,id)>(?1,?2) ORDER BY kind DESC,id DESC")                                                \
    X(KEYS_OF_ROWS, "SELECT kind,id,handle FROM record NOT INDEXED WHERE handle>?1 ORDER BY handle")                   \
    X(LAST_RECORD, "SELECT max(handle) FROM record")                                                                   \
    X(LAST_VERSION, "SELECT max(handle) FROM history")                                                                 \
    X(HISTORY, "SELECT " SQLITE_ROW_COLUMNS " FROM history WHERE kind=?1 AND id=?2 ORDER BY n DESC LIMIT ?3")          \
    X(EVENTS, "SELECT " SQLITE_EVENT_COLUMNS " FROM event WHERE seq>=?1 ORDER BY seq LIMIT ?2")                        \
    X(NEWEST_EVENT, "SELECT max(seq) FROM event")                                                                      \
    X(COUNT_EVENTS, "SELECT count(*) FROM event")                                                                      \
    X(NTH_EVENT, "SELECT seq FROM event ORDER BY seq LIMIT 1 OFFSET ?1")                                               \
    X(META_GET, "SELECT value FROM meta WHERE name=?1")                                                                \
    X(STORE_ID, "SELECT store_id FROM store")                                                                          \
    X(META_SET, "INSERT OR REPLACE INTO meta(name,value) VALUES(?1,?2)")                                               \
    X(USER_VERSION, "PRAGMA user_version")                                                                             \
    X(TOUCH_FIRST_PAGE, "PRAGMA user_version=" ERROR_STRINGIFY(SQLITE_SCHEMA_VERSION))                                 \
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
    uint64_t seed; /* of the checksums of this store */
};

struct sqlite_backend {
    struct store_backend base;
    const struct os *os;
    int dir_fd;
    char *folder, *name; /* of the file; name is "./…" so that SQLite never takes it for a URI */
    int read_only;
    uint64_t seed;      /* from the store's id; every connection has it */
    int id_is_damaged;  /* at one of its two places; then read_only */
    uint32_t tag;       /* of the database file: its WAL has the same */
    struct sqlite_cut { /* read_only, and the file ends too early: all that is behind reads as damaged */
        long long pages, wanted_pages, wanted_bytes;
    } cut;                   /* wanted_bytes 0: it does not */
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
int sqlite_header_refuse_older(long long version, struct hf_error *error); /* UNSUPPORTED */

/* sqlite_wal.c: whether the WAL, of which nobody is the owner now, is what a power cut can leave. CORRUPT if not. */
int sqlite_wal_check(struct sqlite_backend *self, struct hf_error *error);

/* sqlite_settle.c: before the first connection of an owner */
int sqlite_settle(struct sqlite_backend *self, struct hf_error *error);

/* sqlite_schema.c */
int sqlite_schema_prepare(struct sqlite_backend *self, struct sqlite_conn *conn, struct hf_error *error);

/* sqlite_identity.c: the store's id, and from it the seed of its checksums. */
int sqlite_identity_add(struct sqlite_backend *self, struct sqlite_conn *conn, struct hf_error *error);
int sqlite_identity_read(struct sqlite_backend *self, struct sqlite_conn *conn, struct hf_error *error);

/* sqlite_read.c, sqlite_scan.c, sqlite_check.c */
/* the key to begin behind, as ?1 ?2 */
int sqlite_bind_range(struct sqlite_conn *conn, sqlite3_stmt *statement, const struct store_range *range,
                      struct hf_error *error);
int sqlite_get(struct store_backend *backend, enum store_view view, const char *kind, const char *id, int head_only,
               struct hf_record **ret_record, struct hf_error *error);
int sqlite_scan(struct store_backend *backend, const struct store_range *range, hf_record_visit visit, void *arg,
                struct hf_error *error);
int sqlite_history(struct store_backend *backend, const char *kind, const char *id, uint64_t limit,
                   hf_record_visit visit, void *arg, struct hf_error *error);
int sqlite_events(struct store_backend *backend, uint64_t since, uint64_t limit, hf_event_visit visit, void *arg,
                  struct hf_error *error);
int sqlite_check(struct store_backend *backend, struct hf_check_cursor *cursor, uint64_t max_rows,
                 hf_finding_visit visit, void *arg, struct hf_check_result *result, struct hf_error *error);

/* sqlite_write.c */
int sqlite_begin(struct store_backend *backend, struct hf_error *error);
int sqlite_put(struct store_backend *backend, const struct store_change *change, struct hf_error *error);
int sqlite_remove(struct store_backend *backend, const struct store_change *change, struct hf_error *error);
int sqlite_commit(struct store_backend *backend, struct hf_error *error);
void sqlite_abort(struct store_backend *backend);
int sqlite_trim_events(struct store_backend *backend, uint64_t keep, struct hf_error *error);
int sqlite_rest_now(struct store_backend *backend, struct hf_error *error);
int sqlite_checkpoint(struct sqlite_backend *self, int mode, int wait_for_readers_ms, struct hf_error *error);
int sqlite_count_wal(void *self, sqlite3 *db, const char *schema, int pages); /* SQLite's WAL hook */

/* sqlite_compact.c */
int sqlite_compact(struct store_backend *backend, struct hf_compact_result *ret_result, struct hf_error *error);

#endif
