/* The store's id: 128 bits of chance, made with the tables. The checksums of rows and events are seeded from it, so a
 * page of another store does not pass for one of ours.
 *
 * Invariants
 *  1. It stands twice, on different pages: in meta, and in the schema as the view `store`. Who writes finds both, and
 *     finds them equal, or refuses: rows under another seed would be damaged ones.
 *  2. Who only reads takes the one that can be read. Where both can and differ, the one that a row's checksum vouches
 *     for; nothing is taken for good without a seed. */
#include "base/hash.h"
#include "base/text.h"
#include "store/sqlite_rows.h"
#include "store/sqlite_salvage.h"
#include <stdio.h>

enum { ID_BYTES = 16, ID_HEX = 2 * ID_BYTES + 1, ROWS_ASKED = 64 };

static int add_to_meta(struct sqlite_conn *conn, const char *hex, struct hf_error *error) {
    sqlite3_stmt *set = NULL;
    int code = sqlite_conn_statement(conn, SQLITE_STATEMENT_META_SET, &set, error);
    if (code)
        return code;
    sqlite3_bind_text(set, 1, "store_id", -1, SQLITE_STATIC);
    sqlite3_bind_text(set, 2, hex, -1, SQLITE_STATIC); /* a copy might find no memory, and be NULL */
    return sqlite_conn_run(conn, set, error);
}

int sqlite_identity_add(struct sqlite_backend *self, struct sqlite_conn *conn, struct hf_error *error) {
    uint8_t id[ID_BYTES];
    char hex[ID_HEX], view[64 + ID_HEX];
    int rc = OS_AGAIN(os_random(self->os, id, sizeof id));
    if (rc < 0)
        return error_set_errno(error, rc, "choose the store's id");
    text_hex(id, sizeof id, hex);
    int code = add_to_meta(conn, hex, error);
    if (code)
        return code;
    snprintf(view, sizeof view, "CREATE VIEW store AS SELECT '%s' AS store_id", hex);
    return sqlite_conn_exec(conn, view, error);
}

static int read_one(struct sqlite_conn *conn, enum sqlite_statement which, uint64_t *ret_seed, struct hf_error *error) {
    sqlite3_stmt *get = NULL;
    uint8_t id[ID_BYTES];
    int code = sqlite_conn_statement(conn, which, &get, error);
    if (code)
        return code;
    if (which == SQLITE_STATEMENT_META_GET)
        sqlite3_bind_text(get, 1, "store_id", -1, SQLITE_STATIC);
    int rc = sqlite3_step(get);
    const char *hex = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(get, 0) : NULL;
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        code = sqlite_conn_error(conn, rc, error);
    else if (!hex || sqlite3_column_bytes(get, 0) != 2 * ID_BYTES || text_unhex(hex, sizeof id, id) != 0)
        code = error_set(error, HF_ERR_CORRUPT, "it is missing, or is none");
    else
        *ret_seed = hash64(id, sizeof id, 0);
    sqlite3_reset(get);
    return code;
}

static int vouches(struct sqlite_conn *conn, enum sqlite_statement which, uint64_t seed) {
    sqlite3_stmt *some = NULL;
    struct hf_record row;
    struct hf_event event;
    uint64_t seq;
    int is_good = 0;
    if (sqlite_conn_statement(conn, which, &some, NULL) != 0)
        return 0;
    sqlite3_bind_int64(some, 1, 0);
    sqlite3_bind_int64(some, 2, ROWS_ASKED);
    while (!is_good && sqlite3_step(some) == SQLITE_ROW)
        is_good = which == SQLITE_STATEMENT_SOME_EVENTS ? sqlite_rows_event(seed, some, &seq, &event) == 0
                                                        : sqlite_rows_record(seed, some, &row) == 0;
    sqlite3_reset(some);
    sqlite_vfs_forget(conn->db);
    return is_good;
}

static int is_vouched_for(struct sqlite_conn *conn, uint64_t seed) {
    return vouches(conn, SQLITE_STATEMENT_SOME_EVENTS, seed) || vouches(conn, SQLITE_STATEMENT_SOME_RECORDS, seed) ||
           vouches(conn, SQLITE_STATEMENT_SOME_VERSIONS, seed);
}

static int refuse(const struct sqlite_backend *self, const struct hf_error *met, struct hf_error *error) {
    if (met->code)
        error_copy(error, met);
    else
        error_set(error, HF_ERR_CORRUPT, "it is not the same at both of its places");
    int code = error_wrap(error, met->code ? met->code : HF_ERR_CORRUPT, "read the store's id");
    if (code == HF_ERR_CORRUPT)
        error_hint(error, self->read_only
                              ? "keep a copy of the file as it is, then restore a backup"
                              : "what can still be read is saved by: holdfast store copy --salvage FROM-URL TO-URL");
    return code;
}

int sqlite_identity_read(struct sqlite_backend *self, struct sqlite_conn *conn, struct hf_error *error) {
    struct hf_error in_schema = {0}, in_meta = {0};
    uint64_t seed = 0, other = 0;
    int code = read_one(conn, SQLITE_STATEMENT_STORE_ID, &seed, &in_schema);
    if (code && !sqlite_salvage_is_possible(code))
        return refuse(self, &in_schema, error);
    int other_code = read_one(conn, SQLITE_STATEMENT_META_GET, &other, &in_meta);
    if (other_code && !sqlite_salvage_is_possible(other_code))
        return refuse(self, &in_meta, error);
    self->id_is_damaged = code || other_code || seed != other;
    if (self->id_is_damaged && (!self->read_only || (code && other_code)))
        return refuse(self, code ? &in_schema : &in_meta, error);
    if (code || (other_code == 0 && seed != other && !is_vouched_for(conn, seed) && is_vouched_for(conn, other)))
        seed = other;
    self->seed = conn->seed = seed;
    return 0;
}
