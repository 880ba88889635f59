/* What the operations table calls, and what the handlers share. */
#ifndef HF_API_HANDLERS_H
#define HF_API_HANDLERS_H

#include "api/operation.h"

void source_add_handler(struct api_call *call);
void source_list_handler(struct api_call *call);
void source_show_handler(struct api_call *call);
void source_start_handler(struct api_call *call);
void source_stop_handler(struct api_call *call);
void source_run_handler(struct api_call *call);
void source_tail_handler(struct api_call *call);
void source_runs_handler(struct api_call *call);
void source_edit_handler(struct api_call *call);
void source_versions_handler(struct api_call *call);
void source_rollback_handler(struct api_call *call);
void source_summary_handler(struct api_call *call);
void source_export_handler(struct api_call *call);
void source_import_handler(struct api_call *call);
void source_rm_handler(struct api_call *call);

void store_get_handler(struct api_call *call);
void store_put_handler(struct api_call *call);
void store_rm_handler(struct api_call *call);
void store_list_handler(struct api_call *call);
void store_history_handler(struct api_call *call);
void store_events_handler(struct api_call *call);
void store_check_handler(struct api_call *call);
void store_compact_handler(struct api_call *call);
void store_import_handler(struct api_call *call);

void state_list_handler(struct api_call *call);
void state_show_handler(struct api_call *call);
void state_get_handler(struct api_call *call);
void state_set_handler(struct api_call *call);
void state_merge_handler(struct api_call *call);
void state_commit_handler(struct api_call *call);
void state_log_handler(struct api_call *call);
void state_runs_handler(struct api_call *call);
void state_diff_handler(struct api_call *call);
void state_rollback_handler(struct api_call *call);
void state_copy_handler(struct api_call *call);
void state_move_handler(struct api_call *call);
void state_clear_handler(struct api_call *call);
void state_keep_handler(struct api_call *call);
void state_export_handler(struct api_call *call);
void state_import_handler(struct api_call *call);
void state_begin_handler(struct api_call *call);
void state_end_handler(struct api_call *call);
void state_renew_handler(struct api_call *call);

void token_create_handler(struct api_call *call);
void token_list_handler(struct api_call *call);
void token_link_handler(struct api_call *call);
void token_rm_handler(struct api_call *call);
void status_handler(struct api_call *call);

void live_handler(struct api_call *call);
void ready_handler(struct api_call *call);
void health_handler(struct api_call *call);
void metrics_handler(struct api_call *call);

/* Replies over this size are refused: whoever asks for more pages with limit and after. */
enum { REPLY_MAX_BYTES = 256 << 20 };

/* Values of the call's parameters. The fallback stands when nothing was given. Errors: INVALID. */
int handler_number(struct api_call *call, const char *name, uint64_t max, uint64_t fallback, uint64_t *ret_value);
int handler_bool(struct api_call *call, const char *name, int *ret_value);
/* Replies code; for 0, fails with NO_MEMORY or TOO_LARGE when the reply could not be held. */
void handler_reply(struct api_call *call, int code);
/* Link: <PATH?after=LAST&limit=N>; rel="next" */
void handler_add_next(struct api_call *call, const char *path, const char *last, uint64_t limit);
/* The same behind the last name of the reply, an array; a full page has a next one, which may turn out empty. */
void handler_add_next_name(struct api_call *call, uint64_t limit);
void handler_add_encoded(struct buf *out, const char *text); /* percent-encodes a path segment or a value */
/* Whether one of the entity tags of an If-None-Match (NULL: none) is this one. */
int handler_is_etag_known(const char *etags, const char *etag);
/* TOO_LARGE over the limit of one document; states may be larger. */
int handler_check_document(struct api_call *call, size_t bytes);
/* A strong ETag of a hash. */
void handler_add_etag(struct api_call *call, const uint8_t hash[HF_HASH_BYTES]);
void handler_add_revision(struct api_call *call, uint64_t revision);

/* Why a record that a scan gave as damaged is so: the reason that reading it alone gives. In scratch, or static. */
const char *store_explain_damage(struct hf_store *store, const struct hf_record *record, int code,
                                 struct hf_error *scratch);

#endif
