/* What the operations on sources, records and tokens take. */
#include "api/parameters.h"

#define SOURCE_NAME                                                                                                    \
    { "name", PLACE_PATH, TYPE_TEXT, 1, "NAME", "the source" }
#define RECORD_KIND                                                                                                    \
    { "kind", PLACE_PATH, TYPE_TEXT, 1, "KIND", "1 to 64 of a-z, 0-9 and _, beginning with a letter" }
#define RECORD_ID                                                                                                      \
    { "id", PLACE_PATH, TYPE_TEXT, 1, "ID", "1 to 255 bytes of UTF-8 without '/' and control characters" }
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
#define OVERWRITE_TEXT "replace documents that differ; otherwise the first such one ends it"
#define CONDITIONS                                                                                                     \
    {"if-revision", PLACE_QUERY, TYPE_NUMBER, 0, "N", "only when the record is at this revision"},                     \
    {"if-hash", PLACE_QUERY, TYPE_TEXT, 0, "HASH", "only when the record has this hash"},                              \
    {"if-match", PLACE_HEADER, TYPE_TEXT, 0, "ETAG", "HTTP's way to say if-hash: \"hash\", or * for any"}
/* clang-format on */

const struct api_parameter source_add_parameters[] = {
    {"name", PLACE_NAME, TYPE_TEXT, 1, "NAME", "the new source's name"},
    {"kind", PLACE_FIELD, TYPE_TEXT, 1, "KIND", "python or command"},
    SOURCE_FIELDS,
    {"start", PLACE_FIELD, TYPE_BOOL, 0, NULL, "start it at once"},
    {"argv", PLACE_ARGV, TYPE_LIST, 0, "PROGRAM [ARGUMENT …]", "what a command source runs; no shell in between"},
    END,
};
const struct api_parameter source_edit_parameters[] = {
    SOURCE_NAME,
    SOURCE_FIELDS,
    {"if-version", PLACE_FIELD, TYPE_NUMBER, 0, "N", "only when the newest code version is this one"},
    {"argv", PLACE_ARGV, TYPE_LIST, 0, "PROGRAM [ARGUMENT …]", "what a command source runs"},
    END,
};
const struct api_parameter page_parameters[] = {PAGE, END};
const struct api_parameter source_parameters[] = {SOURCE_NAME, END};
const struct api_parameter source_count_parameters[] = {
    SOURCE_NAME,
    {"n", PLACE_QUERY, TYPE_NUMBER, 0, "N", "how many, the newest; 10 when not given"},
    END,
};
const struct api_parameter source_versions_parameters[] = {
    SOURCE_NAME,
    {"n", PLACE_QUERY, TYPE_NUMBER, 0, "N", "how many, the newest; all when not given"},
    {"with-code", PLACE_QUERY, TYPE_BOOL, 0, NULL, "the code too"},
    END,
};
const struct api_parameter source_export_parameters[] = {
    SOURCE_NAME,
    {"without-code", PLACE_QUERY, TYPE_BOOL, 0, NULL, "leave out the code versions"},
    {"data", PLACE_QUERY, TYPE_NUMBER, 0, "N", "the newest N data too; none when not given"},
    {"file", PLACE_WORD, TYPE_TEXT, 0, "FILE|-", "written whole or not at all; standard output when not given"},
    END,
};
const struct api_parameter source_import_parameters[] = {
    SOURCE_NAME,
    {"document", PLACE_BODY, TYPE_TEXT, 1, "FILE|-", "what source export wrote"},
    {"merge", PLACE_QUERY, TYPE_BOOL, 0, NULL, "what a source has that is there stays; it takes only what it lacks"},
    END,
};
const struct api_parameter source_rollback_parameters[] = {
    SOURCE_NAME,
    {"version", PLACE_NAME, TYPE_NUMBER, 1, "VERSION", "the code version to go back to"},
    END,
};
const struct api_parameter store_get_parameters[] = {
    RECORD_KIND,
    RECORD_ID,
    {"revision", PLACE_QUERY, TYPE_NUMBER, 0, "N", "a kept version instead of the newest"},
    {"if-none-match", PLACE_HEADER, TYPE_TEXT, 0, "ETAG", "reply 304 without a body when the record has this hash"},
    STORE_URL,
    END,
};
const struct api_parameter store_put_parameters[] = {
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
const struct api_parameter store_rm_parameters[] = {
    RECORD_KIND, RECORD_ID, CONDITIONS, DRY_RUN, STORE_URL, END,
};
const struct api_parameter store_list_parameters[] = {RECORD_KIND, PAGE, STORE_URL, END};
const struct api_parameter store_export_parameters[] = {
    PAGE,
    {"kind", PLACE_WORD, TYPE_TEXT, 0, "KIND", "of this kind; of all that may be read when not given"},
    {"file", PLACE_WORD, TYPE_TEXT, 0, "FILE|-",
     "written whole or not at all; standard output when not given. One that could be a KIND is written ./FILE"},
    STORE_URL,
    END,
};
const struct api_parameter store_import_parameters[] = {
    {"records", PLACE_BODY, TYPE_TEXT, 1, "FILE|-", "JSON lines as export writes them; over HTTP an array of them"},
    {"overwrite", PLACE_QUERY, TYPE_BOOL, 0, NULL, OVERWRITE_TEXT},
    DRY_RUN,
    STORE_URL,
    END,
};
const struct api_parameter store_copy_parameters[] = {
    {"from", PLACE_WORD, TYPE_TEXT, 1, "FROM-URL", "sqlite:FILE, tree:DIR?layout=kind|watch or memory:; only read"},
    {"to", PLACE_WORD, TYPE_TEXT, 1, "TO-URL", "made when it is not there"},
    {"history", PLACE_LOCAL, TYPE_BOOL, 0, NULL, "the kept versions too"},
    {"overwrite", PLACE_LOCAL, TYPE_BOOL, 0, NULL, OVERWRITE_TEXT},
    {"salvage", PLACE_LOCAL, TYPE_BOOL, 0, NULL, "go round what is damaged; otherwise it ends the copy"},
    {"dry-run", PLACE_LOCAL, TYPE_BOOL, 0, NULL, "or -n: say what would be done, and do nothing"},
    END,
};
const struct api_parameter store_url_parameters[] = {STORE_URL, END};
const struct api_parameter store_compact_parameters[] = {DRY_RUN, STORE_URL, END};
const struct api_parameter store_history_parameters[] = {
    RECORD_KIND, RECORD_ID, {"limit", PLACE_QUERY, TYPE_NUMBER, 0, "N", "at most this many, the newest"},
    STORE_URL,   END,
};
const struct api_parameter store_events_parameters[] = {
    {"since", PLACE_QUERY, TYPE_NUMBER, 0, "REVISION",
     "what came after this revision; all that is kept when not given"},
    {"limit", PLACE_QUERY, TYPE_NUMBER, 0, "N", "at most this many, but whole revisions"},
    {"wait", PLACE_QUERY, TYPE_DURATION, 0, "DURATION", "when there is none yet, wait for one: at most 30s"},
    STORE_URL,
    END,
};
const struct api_parameter token_create_parameters[] = {
    {"scope", PLACE_FIELD, TYPE_LIST, 1, "SCOPE",
     "read, operate, edit, repair or admin; each includes those before it"},
    {"note", PLACE_FIELD, TYPE_TEXT, 0, "TEXT", "who or what it is for"},
    END,
};
const struct api_parameter token_link_parameters[] = {
    {"scope", PLACE_FIELD, TYPE_TEXT, 0, "SCOPE", "what the browser may do; edit when not given"},
    END,
};
const struct api_parameter token_rm_parameters[] = {
    {"id", PLACE_PATH, TYPE_TEXT, 1, "ID", "the token's id"},
    END,
};
const struct api_parameter no_parameters[] = {END};
