/* JSON Merge Patch (RFC 7396). */
#ifndef HF_DATA_JSON_MERGE_H
#define HF_DATA_JSON_MERGE_H

#include "base/json.h"

/* Appends what becomes of the target: without white space, members in their order, those that are new behind them in
 * the order of the patch. target_node JSON_NONE: there is nothing yet. Errors: NO_MEMORY. */
int json_merge(const struct json_doc *target, uint32_t target_node, const struct json_doc *patch, uint32_t patch_node,
               struct buf *out, struct hf_error *error);

#endif
