#include "store/sqlite_rows.h"
#include "base/hash.h"
#include "store/sqlite_backend.h"
#include <string.h>

enum {
    COLUMN_KIND,
    COLUMN_ID,
    COLUMN_REVISION,
    COLUMN_HASH,
    COLUMN_CREATED,
    COLUMN_UPDATED,
    COLUMN_WHO,
    COLUMN_SUM,
    COLUMN_DOC
};
enum { EVENT_SEQ, EVENT_WHAT, EVENT_KIND, EVENT_ID, EVENT_HASH, EVENT_AT, EVENT_WHO, EVENT_SUM };
enum { SALT_DOCUMENT = 1, SALT_DELETION = 2, SALT_EVENT = 3 }; /* added to the store's seed */

static uint64_t sum_texts(const char *kind, const char *id, const char *who, const uint8_t *hash, uint64_t sum) {
    sum = hash64(kind, strlen(kind), sum);
    sum = hash64(id, strlen(id), sum);
    sum = hash64(who, strlen(who), sum);
    return hash64(hash, HF_HASH_BYTES, sum);
}

static uint64_t sum_numbers(const uint64_t *numbers, size_t count, uint64_t sum) {
    uint8_t bytes[3 * 8];
    for (size_t i = 0; i < 8 * count; i++)
        bytes[i] = (uint8_t)(numbers[i / 8] >> (i % 8 * 8));
    return hash64(bytes, 8 * count, sum);
}

int64_t sqlite_rows_sum(uint64_t seed, const struct hf_record *record) {
    uint64_t numbers[] = {record->revision, (uint64_t)record->created_ms, (uint64_t)record->updated_ms};
    uint64_t sum = seed + SALT_DELETION;
    if (record->json)
        sum = hash64(record->json, record->json_bytes, seed + SALT_DOCUMENT);
    sum = sum_texts(record->kind, record->id, record->who, record->hash, sum);
    return (int64_t)sum_numbers(numbers, 3, sum);
}

int64_t sqlite_rows_event_sum(uint64_t seed, const struct hf_event *event, uint64_t seq) {
    uint64_t numbers[] = {seq, (uint64_t)event->what, (uint64_t)event->at_ms};
    uint64_t sum = sum_texts(event->kind, event->id, event->who, event->hash, seed + SALT_EVENT);
    return (int64_t)sum_numbers(numbers, 3, sum);
}

static const char *text_of(sqlite3_stmt *statement, int column) {
    const char *text = (const char *)sqlite3_column_text(statement, column);
    return text ? text : "";
}

static int hash_of(sqlite3_stmt *statement, int column, uint8_t ret_hash[HF_HASH_BYTES]) {
    const void *hash = sqlite3_column_blob(statement, column);
    if (!hash || sqlite3_column_bytes(statement, column) != HF_HASH_BYTES) {
        memset(ret_hash, 0, HF_HASH_BYTES);
        return -1;
    }
    memcpy(ret_hash, hash, HF_HASH_BYTES);
    return 0;
}

int sqlite_rows_record(uint64_t seed, sqlite3_stmt *statement, struct hf_record *ret_record) {
    struct hf_record *row = ret_record;
    row->kind = text_of(statement, COLUMN_KIND);
    row->id = text_of(statement, COLUMN_ID);
    row->revision = (uint64_t)sqlite3_column_int64(statement, COLUMN_REVISION);
    row->created_ms = sqlite3_column_int64(statement, COLUMN_CREATED);
    row->updated_ms = sqlite3_column_int64(statement, COLUMN_UPDATED);
    row->who = text_of(statement, COLUMN_WHO);
    row->json = (const char *)sqlite3_column_text(statement, COLUMN_DOC);
    row->json_bytes = (size_t)sqlite3_column_bytes(statement, COLUMN_DOC);
    int is_bad = hash_of(statement, COLUMN_HASH, row->hash);
    if (!is_bad && sqlite_rows_sum(seed, row) == sqlite3_column_int64(statement, COLUMN_SUM))
        return 0;
    row->json = NULL;
    row->json_bytes = 0;
    return HF_ERR_CORRUPT;
}

int sqlite_rows_event(uint64_t seed, sqlite3_stmt *statement, uint64_t *ret_seq, struct hf_event *ret_event) {
    struct hf_event *event = ret_event;
    *ret_seq = (uint64_t)sqlite3_column_int64(statement, EVENT_SEQ);
    event->revision = *ret_seq >> SQLITE_ORDINAL_BITS;
    event->what = sqlite3_column_int(statement, EVENT_WHAT) == HF_DELETE ? HF_DELETE : HF_PUT;
    event->kind = text_of(statement, EVENT_KIND);
    event->id = text_of(statement, EVENT_ID);
    event->at_ms = sqlite3_column_int64(statement, EVENT_AT);
    event->who = text_of(statement, EVENT_WHO);
    int is_bad = hash_of(statement, EVENT_HASH, event->hash);
    is_bad |= sqlite_rows_event_sum(seed, event, *ret_seq) != sqlite3_column_int64(statement, EVENT_SUM);
    return is_bad ? HF_ERR_CORRUPT : 0;
}
