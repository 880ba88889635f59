/* Rows as SQLite gives them, and the checksum beside each. */
#ifndef HF_STORE_SQLITE_ROWS_H
#define HF_STORE_SQLITE_ROWS_H

#include "holdfast.h"
#include <sqlite3.h>

/* XXH3-64 over every field of a row and its document. seed: the store's own, so that a row of another is a bad one. */
int64_t sqlite_rows_sum(uint64_t seed, const struct hf_record *record);
int64_t sqlite_rows_event_sum(uint64_t seed, const struct hf_event *event, uint64_t seq);

/* The row that the statement stands on (SQLITE_ROW_COLUMNS, SQLITE_EVENT_COLUMNS), borrowed until the next step. 0, or
 * HF_ERR_CORRUPT: then json is NULL, and kind and id are what could be read. */
int sqlite_rows_record(uint64_t seed, sqlite3_stmt *statement, struct hf_record *ret_record);
int sqlite_rows_event(uint64_t seed, sqlite3_stmt *statement, uint64_t *ret_seq, struct hf_event *ret_event);

#endif
