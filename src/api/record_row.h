/* Records as JSON: the rows that lists show, the lines that exports hold and imports take. */
#ifndef HF_API_RECORD_ROW_H
#define HF_API_RECORD_ROW_H

#include "base/error.h"
#include "base/json.h"

/* {"kind","id","revision","hash","created_at","updated_at","who","doc"}. A record without json is a deletion or, with a
 * problem, damaged: then "damaged" is true and "problem" says why. */
void record_row_write(struct json_writer *json, const struct hf_record *record, const char *problem);

/* {"kind","id","created_at","updated_at","who","hash","doc"} and a line feed, the document on one line: the same
 * records make the same bytes, whatever store they come from. Errors: BAD_JSON, NO_MEMORY. */
int record_line_write(struct json_doc *scratch, const struct hf_record *record, struct buf *out,
                      struct hf_error *error);

/* A row or a line that was read. The texts are in the arena, the document is a piece of the doc's text. */
struct record_row {
    struct hf_record record; /* json without a NUL behind it; NULL when the row is of a damaged record */
    int has_hash;
    const char *problem; /* NULL when it is whole */
};
/* Errors: BAD_DATA with the member that is missing, unknown or of a wrong type, BAD_ID, NO_MEMORY. */
int record_row_read(const struct json_doc *doc, uint32_t node, struct arena *arena, struct record_row *ret_row,
                    struct hf_error *error);

/* Whether a store would take it: the document within the store's usual limits, and of the hash that the row says.
 * Fills record.hash. Errors: BAD_DATA, TOO_LARGE, NO_MEMORY. */
int record_row_check(struct record_row *row, struct json_doc *scratch, struct buf *canonical, struct hf_error *error);

#endif
