/* The operations, in the order in which help and docs show them. */
#include "api/operation.h"

#include "api/handlers.h"

#define SOURCE_NAME                                                                                                    \
    { "name", PLACE_PATH, TYPE_TEXT, 1, "NAME", "the source" }
#define RECORD_KIND                                                                                                    \
    { "kind", PLACE_PATH, TYPE_TEXT, 1, "KIND", "1 to 64 of a-z, 0-9 and _, beginning with a letter" }
#define RECORD_ID                                                                                                      \
    { "id", PLACE_PATH, TYPE_TEXT, 1, "ID", "1 to 255 bytes of UTF-8 without '/' and control characters" }
#define END                                                                                                            \
    { NULL, PLACE_PATH, TYPE_TEXT, 0, NULL, NULL }
/* clang-format off */
#define SOURCE_FIELDS                                                                                                  \
    {"interval", PLACE_FIELD, TYPE_DURATION, 0, "DURATION", "time from one run's start to the next: 500ms, 5s, 2m, 1h"}, \
    {"timeout", PLACE_FIELD, TYPE_DURATION, 0, "DURATION", "a run that lasts longer is ended"},                        \
    {"save-interval", PLACE_FIELD, TYPE_DURATION, 0, "DURATION", "save the newest result so often only, not every run"}, \
    {"code", PLACE_FILE_TEXT, TYPE_TEXT, 0, "FILE", "the code of a python source; '-' reads standard input"},          \
    {"note", PLACE_FIELD, TYPE_TEXT, 0, "TEXT", "kept with the code version"},                                         \
    {"description", PLACE_FIELD, TYPE_TEXT, 0, "TEXT", "what it is, for people"},                                      \
    {"env", PLACE_FIELD, TYPE_PAIRS, 0, "NAME=VALUE", "set in its environment; may be given several times"},             \
    {"cwd", PLACE_FIELD, TYPE_TEXT, 0, "DIR", "the folder it runs in"},                                                \
    {"tags", PLACE_FIELD, TYPE_LIST, 0, "TAG", "a word to find it by; may be given several times"},                    \
    {"stop-timeout", PLACE_FIELD, TYPE_DURATION, 0, "DURATION", "from asking it to end to ending it by force"},        \
    {"backoff-min", PLACE_FIELD, TYPE_DURATION, 0, "DURATION", "how long to wait after the first failure"},            \
    {"backoff-max", PLACE_FIELD, TYPE_DURATION, 0, "DURATION", "the most to wait; each failure doubles the wait"},     \
    {"output-bytes", PLACE_FIELD, TYPE_NUMBER, 0, "N", "how much of what a run prints is kept"},                       \
    {"data-bytes", PLACE_FIELD, TYPE_NUMBER, 0, "N", "the largest datum that is accepted"}
#define STORE_URL                                                                                                      \
    {"url", PLACE_LOCAL, TYPE_TEXT, 0, "URL",                                                                          \
     "another store, worked on in this process: sqlite:FILE, tree:DIR?layout=kind|watch or memory:"}
#define DRY_RUN {"dry-run", PLACE_QUERY, TYPE_BOOL, 0, NULL, "or -n: say what would be done, and do nothing"}
#define OVERWRITE_TEXT "replace documents that differ; otherwise the first such one ends it"
#define PAGE                                                                                                           \
    {"after", PLACE_QUERY, TYPE_TEXT, 0, "ID", "begin behind this one"},                                               \
    {"limit", PLACE_QUERY, TYPE_NUMBER, 0, "N", "at most this many; the Link header then names the next page"}
#define CONDITIONS                                                                                                     \
    {"if-revision", PLACE_QUERY, TYPE_NUMBER, 0, "N", "only when the record is at this revision"},                     \
    {"if-hash", PLACE_QUERY, TYPE_TEXT, 0, "HASH", "only when the record has this hash"},                              \
    {"if-match", PLACE_HEADER, TYPE_TEXT, 0, "ETAG", "HTTP's way to say if-hash: \"hash\", or * for any"}
/* clang-format on */

static const struct api_parameter source_add_parameters[] = {
    {"name", PLACE_NAME, TYPE_TEXT, 1, "NAME", "the new source's name"},
    {"kind", PLACE_FIELD, TYPE_TEXT, 1, "KIND", "python or command"},
    SOURCE_FIELDS,
    {"start", PLACE_FIELD, TYPE_BOOL, 0, NULL, "start it at once"},
    {"argv", PLACE_ARGV, TYPE_LIST, 0, "PROGRAM [ARGUMENT …]", "what a command source runs; no shell in between"},
    END,
};
static const struct api_parameter source_edit_parameters[] = {
    SOURCE_NAME,
    SOURCE_FIELDS,
    {"if-version", PLACE_FIELD, TYPE_NUMBER, 0, "N", "only when the newest code version is this one"},
    {"argv", PLACE_ARGV, TYPE_LIST, 0, "PROGRAM [ARGUMENT …]", "what a command source runs"},
    END,
};
static const struct api_parameter page_parameters[] = {PAGE, END};
static const struct api_parameter source_parameters[] = {SOURCE_NAME, END};
static const struct api_parameter source_count_parameters[] = {
    SOURCE_NAME,
    {"n", PLACE_QUERY, TYPE_NUMBER, 0, "N", "how many, the newest; 10 when not given"},
    END,
};
static const struct api_parameter source_versions_parameters[] = {
    SOURCE_NAME,
    {"n", PLACE_QUERY, TYPE_NUMBER, 0, "N", "how many, the newest; all when not given"},
    {"with-code", PLACE_QUERY, TYPE_BOOL, 0, NULL, "the code too"},
    END,
};
static const struct api_parameter source_rollback_parameters[] = {
    SOURCE_NAME,
    {"version", PLACE_NAME, TYPE_NUMBER, 1, "VERSION", "the code version to go back to"},
    END,
};
static const struct api_parameter store_get_parameters[] = {
    RECORD_KIND,
    RECORD_ID,
    {"revision", PLACE_QUERY, TYPE_NUMBER, 0, "N", "a kept version instead of the newest"},
    {"if-none-match", PLACE_HEADER, TYPE_TEXT, 0, "ETAG", "reply 304 without a body when the record has this hash"},
    STORE_URL,
    END,
};
static const struct api_parameter store_put_parameters[] = {
    RECORD_KIND,
    RECORD_ID,
    {"document", PLACE_BODY, TYPE_TEXT, 1, "FILE|-", "the JSON document"},
    CONDITIONS,
    {"new", PLACE_QUERY, TYPE_BOOL, 0, NULL, "only when there is no such record"},
    {"if-none-match", PLACE_HEADER, TYPE_TEXT, 0, "*", "HTTP's way to say new"},
    DRY_RUN,
    STORE_URL,
    END,
};
static const struct api_parameter store_rm_parameters[] = {
    RECORD_KIND, RECORD_ID, CONDITIONS, DRY_RUN, STORE_URL, END,
};
static const struct api_parameter store_list_parameters[] = {RECORD_KIND, PAGE, STORE_URL, END};
static const struct api_parameter store_export_parameters[] = {
    PAGE,
    {"kind", PLACE_WORD, TYPE_TEXT, 0, "KIND", "of this kind; of all that may be read when not given"},
    {"file", PLACE_WORD, TYPE_TEXT, 0, "FILE|-",
     "written whole or not at all; standard output when not given. One that could be a KIND is written ./FILE"},
    STORE_URL,
    END,
};
static const struct api_parameter store_import_parameters[] = {
    {"records", PLACE_BODY, TYPE_TEXT, 1, "FILE|-", "JSON lines as export writes them; over HTTP an array of them"},
    {"overwrite", PLACE_QUERY, TYPE_BOOL, 0, NULL, OVERWRITE_TEXT},
    DRY_RUN,
    STORE_URL,
    END,
};
static const struct api_parameter store_copy_parameters[] = {
    {"from", PLACE_WORD, TYPE_TEXT, 1, "FROM-URL", "sqlite:FILE, tree:DIR?layout=kind|watch or memory:; only read"},
    {"to", PLACE_WORD, TYPE_TEXT, 1, "TO-URL", "made when it is not there"},
    {"history", PLACE_LOCAL, TYPE_BOOL, 0, NULL, "the kept versions too"},
    {"overwrite", PLACE_LOCAL, TYPE_BOOL, 0, NULL, OVERWRITE_TEXT},
    {"salvage", PLACE_LOCAL, TYPE_BOOL, 0, NULL, "go round what is damaged; otherwise it ends the copy"},
    {"dry-run", PLACE_LOCAL, TYPE_BOOL, 0, NULL, "or -n: say what would be done, and do nothing"},
    END,
};
static const struct api_parameter store_url_parameters[] = {STORE_URL, END};
static const struct api_parameter store_compact_parameters[] = {DRY_RUN, STORE_URL, END};
static const struct api_parameter store_history_parameters[] = {
    RECORD_KIND, RECORD_ID, {"limit", PLACE_QUERY, TYPE_NUMBER, 0, "N", "at most this many, the newest"},
    STORE_URL,   END,
};
static const struct api_parameter store_events_parameters[] = {
    {"since", PLACE_QUERY, TYPE_NUMBER, 0, "REVISION",
     "what came after this revision; all that is kept when not given"},
    {"limit", PLACE_QUERY, TYPE_NUMBER, 0, "N", "at most this many, but whole revisions"},
    {"wait", PLACE_QUERY, TYPE_DURATION, 0, "DURATION", "when there is none yet, wait for one: at most 30s"},
    STORE_URL,
    END,
};
static const struct api_parameter token_create_parameters[] = {
    {"scope", PLACE_FIELD, TYPE_LIST, 1, "SCOPE",
     "read, operate, edit, repair or admin; each includes those before it"},
    {"note", PLACE_FIELD, TYPE_TEXT, 0, "TEXT", "who or what it is for"},
    END,
};
static const struct api_parameter token_link_parameters[] = {
    {"scope", PLACE_FIELD, TYPE_TEXT, 0, "SCOPE", "what the browser may do; edit when not given"},
    END,
};
static const struct api_parameter token_rm_parameters[] = {
    {"id", PLACE_PATH, TYPE_TEXT, 1, "ID", "the token's id"},
    END,
};
static const struct api_parameter no_parameters[] = {END};

static const char source_columns[] = "name kind status run_count error_count last_data_at last_error";
static const char record_columns[] = "kind id revision updated_at who doc";
static const char record_result_columns[] = "kind id revision changed created durable";

const struct api_operation api_operations[] = {
    {"source", "add", "POST", "/api/v1/sources", API_SCOPE_EDIT, OPERATION_BLOCKS, source_add_parameters,
     "Add a source", "Code is checked before it is accepted; the source and its first code version are one commit.",
     "holdfast source add load --kind python --interval 1s --code load.py --start", source_columns, 201,
     source_add_handler},
    {"source", "list", "GET", "/api/v1/sources", API_SCOPE_READ, OPERATION_BLOCKS, page_parameters,
     "List the sources and how they are", NULL, "holdfast source list", source_columns, 200, source_list_handler},
    {"source", "show", "GET", "/api/v1/sources/{name}", API_SCOPE_READ, 0, source_parameters,
     "Show one source: what was asked for, and how it is", NULL, "holdfast source show load -o json", NULL, 200,
     source_show_handler},
    {"source", "start", "POST", "/api/v1/sources/{name}/start", API_SCOPE_OPERATE, OPERATION_BLOCKS, source_parameters,
     "Start a source", "It runs on its interval, also after a restart of the daemon, until it is stopped.",
     "holdfast source start load", source_columns, 200, source_start_handler},
    {"source", "stop", "POST", "/api/v1/sources/{name}/stop", API_SCOPE_OPERATE, OPERATION_BLOCKS, source_parameters,
     "Stop a source and everything it started", NULL, "holdfast source stop load", source_columns, 200,
     source_stop_handler},
    {"source", "run", "POST", "/api/v1/sources/{name}/run", API_SCOPE_OPERATE, OPERATION_BLOCKS, source_parameters,
     "Ask for one run now, whether the source is started or not", NULL, "holdfast source run load", source_columns, 200,
     source_run_handler},
    {"source", "tail", "GET", "/api/v1/sources/{name}/data", API_SCOPE_READ, 0, source_count_parameters,
     "Show the newest data of a source, oldest first", NULL, "holdfast source tail load -n 5 -o jsonl",
     "at run type size data", 200, source_tail_handler},
    {"source", "runs", "GET", "/api/v1/sources/{name}/runs", API_SCOPE_READ, 0, source_count_parameters,
     "Show the newest runs of a source, newest first", NULL, "holdfast source runs load -n 5",
     "run started_at duration_ms outcome error", 200, source_runs_handler},
    {"source", "edit", "PATCH", "/api/v1/sources/{name}", API_SCOPE_EDIT, OPERATION_BLOCKS, source_edit_parameters,
     "Change a source", "New code becomes the next version; the same code again changes nothing.",
     "holdfast source edit load --code load.py --note faster", source_columns, 200, source_edit_handler},
    {"source", "versions", "GET", "/api/v1/sources/{name}/versions", API_SCOPE_READ, 0, source_versions_parameters,
     "List the code versions of a source, newest first", NULL, "holdfast source versions load -o json",
     "version at author bytes digest note", 200, source_versions_handler},
    {"source", "rollback", "POST", "/api/v1/sources/{name}/rollback", API_SCOPE_EDIT, OPERATION_BLOCKS,
     source_rollback_parameters, "Make the code of an earlier version the newest, as a new version", NULL,
     "holdfast source rollback load 1", source_columns, 200, source_rollback_handler},
    {"source", "rm", "DELETE", "/api/v1/sources/{name}", API_SCOPE_EDIT, OPERATION_BLOCKS | OPERATION_DESTROYS,
     source_parameters, "Remove a source that is stopped", "Its history stays in the store.", "holdfast source rm load",
     NULL, 200, source_rm_handler},

    {"store", "get", "GET", "/api/v1/records/{kind}/{id}", API_SCOPE_READ, 0, store_get_parameters,
     "Show a record's document", "The ETag header is its hash, Holdfast-Revision its revision.",
     "holdfast store get page home", NULL, 200, store_get_handler},
    {"store", "put", "PUT", "/api/v1/records/{kind}/{id}", API_SCOPE_EDIT, 0, store_put_parameters,
     "Save a JSON document as a record", "When it is answered, it is on disk. The same document again changes nothing.",
     "holdfast store put page home home.json", record_result_columns, 200, store_put_handler},
    {"store", "rm", "DELETE", "/api/v1/records/{kind}/{id}", API_SCOPE_EDIT, OPERATION_DESTROYS, store_rm_parameters,
     "Delete a record", NULL, "holdfast store rm page home", record_result_columns, 200, store_rm_handler},
    {"store", "list", "GET", "/api/v1/records/{kind}", API_SCOPE_READ, OPERATION_BLOCKS | OPERATION_ANY_KIND,
     store_list_parameters, "List the records of a kind, or of all kinds, in the order of their keys",
     "With -o jsonl a line for each whole record. What is damaged is told of on standard error and left out; the "
     "command then ends with 1.",
     "holdfast store list page --limit 20", record_columns, 200, store_list_handler},
    {"store", "export", "GET", "/api/v1/records", API_SCOPE_READ, OPERATION_BLOCKS, store_export_parameters,
     "Write the records of a kind, or of all kinds, as JSON lines",
     "Each line is {\"kind\",\"id\",\"created_at\",\"updated_at\",\"who\",\"hash\",\"doc\"}. What is damaged is told "
     "of on "
     "standard error and left out; the command then ends with 1. Over HTTP: pages of records of all kinds.",
     "holdfast store export page pages.jsonl", record_columns, 200, store_list_handler},
    {"store", "import", "POST", "/api/v1/records", API_SCOPE_REPAIR, OPERATION_BLOCKS, store_import_parameters,
     "Take records from JSON lines, with their times and who changed them",
     "A file is checked whole before anything is taken. What is there already is left, so an import that was broken "
     "off can be done again. One HTTP request is taken whole or not at all.",
     "holdfast store import pages.jsonl", NULL, 200, store_import_handler},
    {"store", "copy", NULL, NULL, API_SCOPE_ADMIN, 0, store_copy_parameters,
     "Copy a store to another one of any kind, and compare them",
     "Holdfast's own records are copied too. What is there already is left, so a copy that was broken off goes on "
     "where it ended. The command ends with 1 when something was damaged and gone round.",
     "holdfast store copy sqlite:data/store.db 'tree:pages?layout=kind'", NULL, 200, NULL},
    {"store", "history", "GET", "/api/v1/records/{kind}/{id}/history", API_SCOPE_READ, OPERATION_BLOCKS,
     store_history_parameters, "List the kept versions of a record, newest first", NULL,
     "holdfast store history source load", "revision updated_at who doc", 200, store_history_handler},
    {"store", "events", "GET", "/api/v1/events", API_SCOPE_READ, 0, store_events_parameters,
     "List what changed since a revision, oldest first",
     "With Accept: text/event-stream the connection stays open and each change is sent when it happens; Last-Event-ID "
     "goes on where an earlier one ended.",
     "holdfast store events --since 0 --limit 20", "revision at what kind id who", 200, store_events_handler},
    {"store", "check", "GET", "/api/v1/check", API_SCOPE_READ, OPERATION_BLOCKS, store_url_parameters,
     "Read everything and compare every checksum and hash",
     "The command ends with 0 clean, 1 findings, 2 could not check.", "holdfast store check", NULL, 200,
     store_check_handler},
    {"store", "compact", "POST", "/api/v1/compact", API_SCOPE_REPAIR, OPERATION_BLOCKS, store_compact_parameters,
     "Give back the room that deletions left", "Commits wait meanwhile.", "holdfast store compact", NULL, 200,
     store_compact_handler},

    {"token", "create", "POST", "/api/v1/tokens", API_SCOPE_ADMIN, 0, token_create_parameters, "Make a token",
     "It is shown this once; what is kept is a digest of it.", "holdfast token create --scope read", "token", 201,
     token_create_handler},
    {"token", "list", "GET", "/api/v1/tokens", API_SCOPE_ADMIN, 0, no_parameters,
     "List the tokens, without their secrets", NULL, "holdfast token list", "id scopes note created_at", 200,
     token_list_handler},
    {"token", "link", "POST", "/api/v1/tokens/link", API_SCOPE_ADMIN, OPERATION_DAEMON_ONLY, token_link_parameters,
     "Make a link that signs a browser in, once, within ten minutes", NULL, "holdfast token link --scope read", "link",
     201, token_link_handler},
    {"token", "rm", "DELETE", "/api/v1/tokens/{id}", API_SCOPE_ADMIN, OPERATION_DESTROYS, token_rm_parameters,
     "Take a token back; it is refused from then on", NULL, "holdfast token rm 5f0c1a2b3c4d5e6f", NULL, 200,
     token_rm_handler},

    {"status", NULL, "GET", "/api/v1/status", API_SCOPE_READ, 0, no_parameters,
     "Show the daemon, its store and how many sources are in which status", NULL, "holdfast status", NULL, 200,
     status_handler},
    {NULL, NULL, NULL, NULL, API_SCOPE_NONE, 0, NULL, NULL, NULL, NULL, NULL, 0, NULL},
};
