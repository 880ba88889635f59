/* What each operation takes: the tables that the rows of operations.c name. Every one ends with END. */
#ifndef HF_API_PARAMETERS_H
#define HF_API_PARAMETERS_H

#include "api/operation.h"

/* clang-format off */
#define END {NULL, PLACE_PATH, TYPE_TEXT, 0, NULL, NULL}
#define DRY_RUN {"dry-run", PLACE_QUERY, TYPE_BOOL, 0, NULL, "or -n: say what would be done, and do nothing"}
#define PAGE                                                                                                           \
    {"after", PLACE_QUERY, TYPE_TEXT, 0, "ID", "begin behind this one"},                                               \
    {"limit", PLACE_QUERY, TYPE_NUMBER, 0, "N", "at most this many; the Link header then names the next page"}
/* clang-format on */

/* parameters.c */
extern const struct api_parameter page_parameters[], no_parameters[];
extern const struct api_parameter source_add_parameters[], source_edit_parameters[], source_parameters[],
    source_count_parameters[], source_versions_parameters[], source_rollback_parameters[], source_export_parameters[],
    source_import_parameters[];
extern const struct api_parameter store_get_parameters[], store_put_parameters[], store_rm_parameters[],
    store_list_parameters[], store_export_parameters[], store_import_parameters[], store_copy_parameters[],
    store_url_parameters[], store_compact_parameters[], store_history_parameters[], store_events_parameters[];
extern const struct api_parameter token_create_parameters[], token_link_parameters[], token_rm_parameters[];

/* parameters_state.c */
extern const struct api_parameter state_parameters[], state_get_parameters[], state_count_parameters[],
    state_diff_parameters[], state_set_parameters[], state_merge_parameters[], state_commit_parameters[],
    state_edit_parameters[], state_rollback_parameters[], state_copy_parameters[], state_move_parameters[],
    state_clear_parameters[], state_keep_parameters[], state_export_parameters[], state_import_parameters[];
extern const struct api_parameter state_begin_parameters[], state_end_parameters[], state_renew_parameters[],
    run_parameters[];

#endif
