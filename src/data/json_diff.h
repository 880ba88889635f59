/* What differs between two JSON values, member by member and element by element. */
#ifndef HF_DATA_JSON_DIFF_H
#define HF_DATA_JSON_DIFF_H

#include "base/json.h"

/* Writes into an array that the caller began, for each difference: {"path", "what":"added"|"removed"|"changed", "from",
 * "to"}. The path is a JSON pointer (RFC 6901), "" for the whole; of what was removed it leads into `from`, otherwise
 * into `to`. Elements that an array begins and ends with in both are left out, so that one which was put in between
 * does not move the others. Numbers are the same when they are written the same. Errors: NO_MEMORY. */
int json_diff(const struct json_doc *from, uint32_t from_node, const struct json_doc *to, uint32_t to_node,
              struct json_writer *changes, struct hf_error *error);

#endif
