/* The sqlite backend: opening and closing. The owner's lock of the folder is held from before the first look at the
 * file to after the last connection's end. */
#include "store/sqlite_backend.h"
#include "base/mem.h"
#include <stdio.h>
#include <string.h>

enum { NAME_MAX_BYTES = 240 };

static int split_path(struct sqlite_backend *self, const char *path, struct hf_error *error) {
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    if (!*name || strlen(name) > NAME_MAX_BYTES || !strcmp(name, ".") || !strcmp(name, ".."))
        return error_set(error, HF_ERR_INVALID, "'%s' does not name a file", path);
    size_t room = strlen(name) + 3;
    self->folder = slash ? mem_dup(path, slash == path ? 1 : (size_t)(slash - path)) : mem_strdup(".");
    self->name = mem_alloc(room);
    if (!self->folder || !self->name)
        return error_no_memory(error);
    snprintf(self->name, room, "./%s", name);
    return 0;
}

static int take_role(struct sqlite_backend *self, enum sqlite_role *ret_role, struct hf_error *error) {
    *ret_role = SQLITE_ROLE_OWNER;
    if (!self->read_only)
        return owner_lock_take(self->os, self->dir_fd, &self->lock, error);
    int code = owner_lock_share(self->os, self->dir_fd, &self->lock, error);
    *ret_role = code == HF_ERR_LOCKED ? SQLITE_ROLE_READER : SQLITE_ROLE_PRIVATE;
    if (code == HF_ERR_LOCKED)
        error_clear(error);
    return code == HF_ERR_LOCKED ? 0 : code;
}

static int ask_number(struct sqlite_conn *conn, enum sqlite_statement which, uint64_t *ret_number,
                      struct hf_error *error) {
    sqlite3_stmt *statement = NULL;
    int64_t number = 0;
    int code = sqlite_conn_statement(conn, which, &statement, error);
    if (code == 0)
        code = sqlite_conn_number(conn, statement, 0, &number, error);
    if (code == 0)
        *ret_number = (uint64_t)number;
    return code;
}

/* Damaged events keep nobody from reading the records; who writes must know where the revisions go on. */
static int ask_events(struct sqlite_backend *self, struct sqlite_conn *reader, struct hf_error *error) {
    int code = ask_number(reader, SQLITE_STATEMENT_NEWEST_EVENT, &self->committed_seq, error);
    if (code == 0 && !self->read_only)
        code = ask_number(reader, SQLITE_STATEMENT_COUNT_EVENTS, &self->committed_event_count, error);
    if (code == HF_ERR_CORRUPT && self->read_only) {
        error_clear(error);
        return 0;
    }
    if (code == HF_ERR_CORRUPT)
        error_hint(error, "what can still be read is saved by: holdfast store copy --salvage FROM-URL TO-URL");
    return code;
}

/* A reader is opened at once too: reading must still work when file descriptors are scarce later. */
static int connect(struct sqlite_backend *self, struct hf_error *error) {
    struct sqlite_conn *reader = NULL;
    sqlite3_stmt *rollback = NULL;
    int code = 0;
    if (!self->read_only)
        code = sqlite_conn_open(self, 1, &self->writer, error);
    if (code == 0 && self->writer)
        code = sqlite_conn_statement(self->writer, SQLITE_STATEMENT_ROLLBACK, &rollback, error);
    if (code == 0 && self->writer)
        code = sqlite_schema_prepare(self, self->writer, error);
    if (code == 0 && self->writer)
        code = sqlite_identity_read(self, self->writer, error);
    if (code == 0)
        code = sqlite_conn_open(self, 0, &reader, error);
    if (code)
        return code;
    if (self->read_only)
        code = sqlite_schema_prepare(self, reader, error);
    if (code == 0 && self->read_only)
        code = sqlite_identity_read(self, reader, error);
    if (code == 0)
        code = ask_events(self, reader, error);
    sqlite_reader_give(self, &reader);
    return code;
}

/* Everything into the database and the WAL emptied: a copy of the one file is then a whole store, and an older copy
 * that is put in its place does not meet a WAL that is not its own. */
static void finish(struct sqlite_backend *self) {
    sqlite_abort(&self->base);
    if (!self->is_broken && !self->checkpoint_failed && sqlite_vfs_check_place(self->writer->db, NULL) == 0)
        sqlite3_wal_checkpoint_v2(self->writer->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
}

static void sqlite_close(struct store_backend **backend) {
    struct sqlite_backend *self = backend ? (struct sqlite_backend *)*backend : NULL;
    if (!self)
        return;
    while (self->idle) {
        struct sqlite_conn *conn = self->idle;
        self->idle = conn->next;
        sqlite_conn_close(&conn);
    }
    if (self->writer && self->is_open)
        finish(self);
    sqlite_conn_close(&self->writer);
    sqlite_vfs_free(&self->vfs);
    owner_lock_release(&self->lock);
    if (self->dir_fd >= 0)
        os_close(self->os, self->dir_fd);
    pthread_mutex_destroy(&self->mutex);
    mem_free(self->folder);
    mem_free(self->name);
    mem_free(self);
    *backend = NULL;
}

static int open_parts(struct sqlite_backend *self, const char *path, struct hf_error *error) {
    enum sqlite_role role;
    int code = split_path(self, path, error);
    if (code == 0)
        code = file_open_folder(self->os, AT_FDCWD, self->folder, &self->dir_fd, error);
    if (code == 0)
        code = take_role(self, &role, error);
    if (code == 0)
        code = sqlite_header_check(self, error);
    if (code == 0)
        code = sqlite_vfs_new(self->os, self->dir_fd, role, &self->vfs, error);
    if (code == 0)
        sqlite_vfs_pad(self->vfs, self->cut.wanted_bytes);
    if (code == 0 && role == SQLITE_ROLE_OWNER)
        code = sqlite_vfs_own(self->vfs, self->name, error);
    if (code == 0 && role != SQLITE_ROLE_READER) /* beside an owner it is on the move */
        code = sqlite_wal_check(self, error);
    if (code == 0 && !self->read_only)
        code = sqlite_settle(self, error);
    return code ? code : connect(self, error);
}

static int sqlite_open(const struct os *os, const char *rest, const struct hf_store_options *options,
                       struct store_backend **ret_backend, uint64_t *ret_revision, struct hf_error *error) {
    struct sqlite_backend *self = MEM_NEW(struct sqlite_backend);
    if (!self)
        return error_set(error, HF_ERR_NO_MEMORY, "open store: memory is used up");
    self->base.ops = &store_sqlite_ops;
    self->os = os;
    self->dir_fd = -1;
    self->read_only = options && options->read_only;
    pthread_mutex_init(&self->mutex, NULL);
    int code = open_parts(self, rest, error);
    if (code) {
        struct store_backend *backend = &self->base;
        sqlite_close(&backend);
        return code;
    }
    self->is_open = 1;
    *ret_backend = &self->base;
    *ret_revision = self->committed_seq >> SQLITE_ORDINAL_BITS;
    return 0;
}

const struct store_backend_ops store_sqlite_ops = {
    .name = "sqlite",
    .open = sqlite_open,
    .close = sqlite_close,
    .begin = sqlite_begin,
    .put = sqlite_put,
    .remove = sqlite_remove,
    .commit = sqlite_commit,
    .abort = sqlite_abort,
    .get = sqlite_get,
    .scan = sqlite_scan,
    .history = sqlite_history,
    .events = sqlite_events,
    .check = sqlite_check,
    .trim_events = sqlite_trim_events,
    .rest_now = sqlite_rest_now,
    .compact = sqlite_compact,
};
