/* Going on behind damaged pages, inside the caller's snapshot.
 *
 * Which rows lie on a page that cannot be read is not known. But a search for the first row behind a handle that lies
 * on another page works: so the gap is felt for in steps that double, and its end then found by halving. What is lost
 * has its name in the index, which lies on other pages; where the index is damaged, it is read from both of its ends,
 * and the rows themselves name what lies between. */
#include "store/sqlite_salvage.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

int sqlite_salvage_is_possible(int code) {
    return code == HF_ERR_CORRUPT || code == HF_ERR_IO;
}

/* ---- behind a gap ---- */

/* The first handle behind `behind`, or INT64_MAX when there is none. In a damaged table it may be one that was passed
 * already: who went on from there would never end. */
static int probe(struct sqlite_conn *conn, enum sqlite_statement which, int64_t behind, int64_t *ret_handle,
                 struct hf_error *error) {
    sqlite3_stmt *statement = NULL;
    int code = sqlite_conn_statement(conn, which, &statement, error);
    if (code)
        return code;
    sqlite3_bind_int64(statement, 1, behind);
    code = sqlite_conn_number(conn, statement, INT64_MAX, ret_handle, error);
    if (code == 0 && *ret_handle <= behind)
        return error_set(error, HF_ERR_CORRUPT, "rows stand out of order");
    return code;
}

int sqlite_salvage_skip(struct sqlite_conn *conn, enum sqlite_statement which, int64_t behind,
                        struct sqlite_gap *ret_gap, struct hf_error *error) {
    int64_t bad = behind, good = behind, step = 1, next = 0;
    int code = probe(conn, which, behind, &next, error);
    if (code == 0) { /* its place can be found, so it is this row alone */
        *ret_gap = (struct sqlite_gap){.first = next, .last = next};
        return 0;
    }
    while (sqlite_salvage_is_possible(code)) {
        bad = good;
        if (step > INT64_MAX / 2 - behind)
            break;
        good = behind + step;
        step *= 2;
        code = probe(conn, which, good, &next, error);
    }
    *ret_gap = (struct sqlite_gap){.first = behind + 1, .last = INT64_MAX};
    while (code == 0 && good - bad > 1) {
        int64_t middle = bad + (good - bad) / 2;
        code = probe(conn, which, middle, &next, error);
        if (code == 0)
            good = middle;
        else
            bad = middle;
        code = sqlite_salvage_is_possible(code) ? 0 : code;
    }
    if (code == 0)
        ret_gap->last = good;
    return sqlite_salvage_is_possible(code) ? 0 : code;
}

/* ---- the keys ---- */

static int add_key(struct vec *keys, sqlite3_stmt *statement, struct hf_error *error) {
    const char *kind = (const char *)sqlite3_column_text(statement, 0);
    const char *id = (const char *)sqlite3_column_text(statement, 1);
    size_t kind_bytes = kind ? strlen(kind) + 1 : 0, id_bytes = id ? strlen(id) + 1 : 0;
    if (!kind || !id)
        return error_set(error, HF_ERR_CORRUPT, "list keys: a row has none");
    struct sqlite_key *key = mem_alloc(sizeof *key + kind_bytes + id_bytes);
    if (!key || vec_push(keys, key) != 0) {
        mem_free(key);
        return error_set(error, HF_ERR_NO_MEMORY, "list keys: memory is used up");
    }
    key->handle = sqlite3_column_int64(statement, 2);
    memcpy(key->kind, kind, kind_bytes);
    key->id = memcpy(key->kind + kind_bytes, id, id_bytes);
    return 0;
}

int sqlite_salvage_list(struct sqlite_conn *conn, sqlite3_stmt *statement, struct vec *keys, struct hf_error *error) {
    int rc, code = 0;
    while (code == 0 && (rc = sqlite3_step(statement)) != SQLITE_DONE)
        code = rc == SQLITE_ROW ? add_key(keys, statement, error) : sqlite_conn_error(conn, rc, error);
    sqlite3_reset(statement);
    return code;
}

static int add_from_index(struct sqlite_conn *conn, enum sqlite_statement which, const struct store_range *range,
                          struct vec *keys, struct hf_error *error) {
    sqlite3_stmt *statement = NULL;
    int code = sqlite_conn_statement(conn, which, &statement, error);
    if (code)
        return code;
    code = sqlite_bind_range(conn, statement, range, error);
    return code ? code : sqlite_salvage_list(conn, statement, keys, error);
}

int sqlite_salvage_index(struct sqlite_conn *conn, const struct store_range *range, struct vec *keys, int *ret_is_whole,
                         struct hf_error *error) {
    int code = add_from_index(conn, SQLITE_STATEMENT_KEYS_UP, range, keys, error);
    *ret_is_whole = code == 0;
    if (sqlite_salvage_is_possible(code))
        code = add_from_index(conn, SQLITE_STATEMENT_KEYS_DOWN, range, keys, error);
    return sqlite_salvage_is_possible(code) ? 0 : code;
}

static int is_in_range(const struct sqlite_key *key, const struct store_range *range) {
    if (range->kind && strcmp(key->kind, range->kind) != 0)
        return 0;
    if (!range->after_id)
        return 1;
    int order = strcmp(key->kind, range->after_kind);
    return order > 0 || (order == 0 && strcmp(key->id, range->after_id) > 0);
}

static int add_from_rows(struct sqlite_conn *conn, struct vec *keys, int *ret_is_whole, struct hf_error *error) {
    sqlite3_stmt *statement = NULL;
    struct sqlite_gap gap = {.last = 0};
    *ret_is_whole = 1;
    int code = sqlite_conn_statement(conn, SQLITE_STATEMENT_KEYS_OF_ROWS, &statement, error);
    while (code == 0 && gap.last != INT64_MAX) {
        size_t before = keys->count;
        sqlite3_bind_int64(statement, 1, gap.last);
        code = sqlite_salvage_list(conn, statement, keys, error);
        if (!sqlite_salvage_is_possible(code))
            break;
        *ret_is_whole = 0;
        for (size_t i = before; i < keys->count; i++)
            if (((struct sqlite_key *)keys->items[i])->handle > gap.last)
                gap.last = ((struct sqlite_key *)keys->items[i])->handle;
        code = sqlite_salvage_skip(conn, SQLITE_STATEMENT_PROBE_RECORD, gap.last, &gap, error);
    }
    return code;
}

static int compare_keys(const void *a, const void *b) {
    const struct sqlite_key *left = *(const struct sqlite_key *const *)a;
    const struct sqlite_key *right = *(const struct sqlite_key *const *)b;
    int order = strcmp(left->kind, right->kind);
    if (order == 0)
        order = strcmp(left->id, right->id);
    return order;
}

static void drop_others(struct vec *keys, const struct store_range *range) {
    size_t kept = 0;
    for (size_t i = 0; i < keys->count; i++) {
        struct sqlite_key *key = keys->items[i];
        if (is_in_range(key, range) && (kept == 0 || compare_keys(&keys->items[kept - 1], &keys->items[i]) != 0))
            keys->items[kept++] = key;
        else
            mem_free(key);
    }
    keys->count = kept;
}

int sqlite_salvage_keys(struct sqlite_conn *conn, const struct store_range *range, struct vec *keys, int *ret_is_whole,
                        struct hf_error *error) {
    int is_index_whole = 0, is_table_whole = 0;
    int code = sqlite_salvage_index(conn, range, keys, &is_index_whole, error);
    if (code == 0)
        code = add_from_rows(conn, keys, &is_table_whole, error);
    *ret_is_whole = is_index_whole || is_table_whole;
    if (code)
        return code;
    if (keys->count)
        qsort(keys->items, keys->count, sizeof keys->items[0], compare_keys);
    drop_others(keys, range);
    return 0;
}

void sqlite_salvage_free(struct vec *keys) {
    for (size_t i = 0; i < keys->count; i++)
        mem_free(keys->items[i]);
    vec_fini(keys);
}
