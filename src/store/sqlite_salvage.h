/* What is left of a table with damaged pages: how to go on behind them, and what was on them. Everything here is done
 * inside one read transaction of the caller. */
#ifndef HF_STORE_SQLITE_SALVAGE_H
#define HF_STORE_SQLITE_SALVAGE_H

#include "base/map.h"
#include "store/sqlite_backend.h"

/* Whether what a statement met is damage of some pages, that others may be read behind. */
int sqlite_salvage_is_possible(int code);

/* Handles of rows that cannot be read; last INT64_MAX: to the end of the table. */
struct sqlite_gap {
    int64_t first, last;
};

/* A statement over a table failed behind the row `behind`: feels for where the table can be read again. The rows to go
 * on with are those behind ret_gap->last. A gap of one handle is a row whose page can be read, and its content perhaps
 * not. `which`: the table's PROBE statement. */
int sqlite_salvage_skip(struct sqlite_conn *conn, enum sqlite_statement which, int64_t behind,
                        struct sqlite_gap *ret_gap, struct hf_error *error);

struct sqlite_key {
    int64_t handle;
    const char *id;
    char kind[]; /* both texts */
};

/* Runs a bound statement of kind, id and handle, and adds the keys it gives until the first that cannot be read. */
int sqlite_salvage_list(struct sqlite_conn *conn, sqlite3_stmt *statement, struct vec *keys, struct hf_error *error);
/* Adds the keys of the range (but its limit) that the index names, as far as it can be read; in no order.
 * *ret_is_whole: all of it could be. */
int sqlite_salvage_index(struct sqlite_conn *conn, const struct store_range *range, struct vec *keys, int *ret_is_whole,
                         struct hf_error *error);
/* The same with those that the rows name, each once, in order. *ret_is_whole: index or table could be read to its end,
 * so no key is missing. */
int sqlite_salvage_keys(struct sqlite_conn *conn, const struct store_range *range, struct vec *keys, int *ret_is_whole,
                        struct hf_error *error);
void sqlite_salvage_free(struct vec *keys);

#endif
