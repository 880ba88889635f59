/* What the operations on states take. */
#include "api/parameters.h"

/* clang-format off */
#define STATE_NAME {"name", PLACE_PATH, TYPE_TEXT, 1, "NAME", "the state: 1 to 200 bytes, as an id"}
#define BASIS                                                                                                          \
    {"fence", PLACE_FIELD, TYPE_NUMBER, 0, "N", "of the run that holds the lease: only while nobody took it over"},    \
    {"if-version", PLACE_FIELD, TYPE_NUMBER, 0, "N", "only when this is the newest version; 0: nothing was saved yet"}, \
    {"force", PLACE_FIELD, TYPE_BOOL, 0, NULL, "whatever is there, and whoever holds the lease"},                      \
    {"new", PLACE_LOCAL, TYPE_BOOL, 0, NULL, "only when nothing was saved yet, as --if-version 0"},                    \
    {"if-match", PLACE_HEADER, TYPE_TEXT, 0, "ETAG", "HTTP's way to say if-version: the value's entity tag, or * for any"}, \
    {"if-none-match", PLACE_HEADER, TYPE_TEXT, 0, "*", "HTTP's way to say that nothing was saved yet"}
#define VALUE                                                                                                          \
    {"value", PLACE_FIELD, TYPE_JSON, 0, "JSON", "the state, when it is JSON"},                                        \
    {"base64", PLACE_FIELD, TYPE_TEXT, 0, "BASE64", "the state, whatever bytes it is made of"}
#define REMARKS                                                                                                        \
    {"code-version", PLACE_FIELD, TYPE_TEXT, 0, "TEXT", "the version of the code that saves, kept with it"},           \
    {"note", PLACE_FIELD, TYPE_TEXT, 0, "TEXT", "kept with the version"}
#define MOMENT                                                                                                         \
    "the newest version from before then: 2026-11-22T16:00:00Z, or how long ago: 90m, 2d"
/* clang-format on */

const struct api_parameter state_parameters[] = {STATE_NAME, END};
const struct api_parameter state_get_parameters[] = {
    STATE_NAME,
    {"version", PLACE_QUERY, TYPE_NUMBER, 0, "N", "this version instead of the newest"},
    {"before", PLACE_QUERY, TYPE_TEXT, 0, "TIME", MOMENT},
    {"if-none-match", PLACE_HEADER, TYPE_TEXT, 0, "ETAG",
     "reply 304 without a body when the value has this entity tag"},
    END,
};
const struct api_parameter state_count_parameters[] = {
    STATE_NAME,
    {"n", PLACE_QUERY, TYPE_NUMBER, 0, "N", "how many, the newest; all when not given"},
    END,
};
const struct api_parameter state_diff_parameters[] = {
    STATE_NAME,
    {"from", PLACE_QUERY, TYPE_NUMBER, 0, "VERSION", "the one before the other when not given"},
    {"to", PLACE_QUERY, TYPE_NUMBER, 0, "VERSION", "the newest when not given"},
    END,
};
const struct api_parameter state_set_parameters[] = {
    STATE_NAME,
    {"file", PLACE_WORD, TYPE_TEXT, 0, "FILE|-", "the state, taken byte for byte; '-' reads standard input"},
    VALUE,
    BASIS,
    REMARKS,
    END,
};
const struct api_parameter state_merge_parameters[] = {
    STATE_NAME,
    {"file", PLACE_WORD, TYPE_TEXT, 0, "FILE|-", "a JSON merge patch (RFC 7396): members to set; null removes"},
    {"patch", PLACE_FIELD, TYPE_JSON, 0, "JSON", "the patch itself"},
    BASIS,
    REMARKS,
    END,
};
const struct api_parameter state_commit_parameters[] = {
    STATE_NAME,
    {"file", PLACE_WORD, TYPE_TEXT, 0, "FILE|-", "the new state; when not given it stays as it is"},
    VALUE,
    {"with-records", PLACE_LOCAL, TYPE_TEXT, 0, "FILE|-",
     "JSON lines: {\"kind\",\"id\",\"doc\"} or {\"kind\",\"id\",\"delete\":true}"},
    {"records", PLACE_FIELD, TYPE_JSON, 0, "JSON", "an array of such records"},
    BASIS,
    REMARKS,
    END,
};
const struct api_parameter state_edit_parameters[] = {
    {"name", PLACE_WORD, TYPE_TEXT, 1, "NAME", "the state"},
    {"force", PLACE_LOCAL, TYPE_BOOL, 0, NULL, "also while a run holds the lease"},
    {"note", PLACE_LOCAL, TYPE_TEXT, 0, "TEXT", "kept with the version"},
    END,
};
const struct api_parameter state_rollback_parameters[] = {
    STATE_NAME,
    {"to", PLACE_LOCAL, TYPE_NUMBER, 0, "VERSION", "the version to go back to"},
    {"to-version", PLACE_FIELD, TYPE_NUMBER, 0, "VERSION", "the same, by its name over HTTP"},
    {"before", PLACE_FIELD, TYPE_TEXT, 0, "TIME", MOMENT},
    {"force", PLACE_FIELD, TYPE_BOOL, 0, NULL, "also while a run holds the lease"},
    DRY_RUN,
    END,
};
const struct api_parameter state_copy_parameters[] = {
    STATE_NAME,
    {"to", PLACE_NAME, TYPE_TEXT, 1, "TO", "a name that is free"},
    {"history", PLACE_FIELD, TYPE_BOOL, 0, NULL, "all kept versions, not the newest alone"},
    END,
};
const struct api_parameter state_move_parameters[] = {
    STATE_NAME,
    {"to", PLACE_NAME, TYPE_TEXT, 1, "TO", "a name that is free"},
    END,
};
const struct api_parameter state_clear_parameters[] = {
    STATE_NAME,
    {"force", PLACE_QUERY, TYPE_BOOL, 0, NULL, "also while a run holds the lease"},
    {"purge", PLACE_QUERY, TYPE_BOOL, 0, NULL, "keep no copy in the trash"},
    DRY_RUN,
    END,
};
const struct api_parameter state_keep_parameters[] = {
    STATE_NAME,
    {"versions", PLACE_FIELD, TYPE_NUMBER, 0, "N", "how many versions, the newest; 0: 50"},
    {"max-age", PLACE_FIELD, TYPE_DURATION, 0, "DURATION", "and all that are younger than this"},
    END,
};
const struct api_parameter state_export_parameters[] = {
    STATE_NAME,
    {"newest", PLACE_QUERY, TYPE_BOOL, 0, NULL, "the newest version alone"},
    {"file", PLACE_WORD, TYPE_TEXT, 0, "FILE|-", "written whole or not at all; standard output when not given"},
    {"format", PLACE_LOCAL, TYPE_TEXT, 0, "FORMAT",
     "holdfast (all that is kept), raw or n6 (the newest version's bytes), meltano; holdfast when not given"},
    END,
};
const struct api_parameter state_import_parameters[] = {
    STATE_NAME,
    {"file", PLACE_BODY, TYPE_TEXT, 1, "FILE|-", "what export wrote; over HTTP the document itself"},
    {"replace", PLACE_QUERY, TYPE_BOOL, 0, NULL, "the name is taken: make what is imported its newest version"},
    {"format", PLACE_LOCAL, TYPE_TEXT, 0, "FORMAT",
     "holdfast, meltano, n6 or raw; when not given it is recognised, raw alone has to be said"},
    END,
};

const struct api_parameter state_begin_parameters[] = {
    STATE_NAME,
    {"on-overlap", PLACE_FIELD, TYPE_TEXT, 0, "POLICY", "when a living owner holds the lease: fail or steal"},
    {"overlap", PLACE_FIELD, TYPE_TEXT, 0, "skip", "enter the run as skipped when it has to fail for that"},
    {"ttl", PLACE_FIELD, TYPE_DURATION, 0, "DURATION",
     "free the lease when nothing was saved or renewed for so long; needed over TCP"},
    {"pid", PLACE_FIELD, TYPE_NUMBER, 0, "PID",
     "the process that is to own the lease; over the socket the caller when not given. 0: none, and then a ttl is "
     "needed"},
    {"scheduled-at", PLACE_FIELD, TYPE_TEXT, 0, "TIME", "when it was to run, for the ledger"},
    {"reason", PLACE_FIELD, TYPE_TEXT, 0, "TEXT", "why it runs, for the ledger"},
    {"command", PLACE_ARGV, TYPE_LIST, 0, "PROGRAM [ARGUMENT …]", "what runs, for the ledger"},
    END,
};
const struct api_parameter state_end_parameters[] = {
    STATE_NAME,
    {"fence", PLACE_FIELD, TYPE_NUMBER, 1, "N", "that state begin gave"},
    {"file", PLACE_LOCAL, TYPE_TEXT, 0, "FILE|-", "the new state; when not given it stays as it is"},
    VALUE,
    {"outcome", PLACE_FIELD, TYPE_TEXT, 0, "WORD", "ok, failed, timeout, …; ok when not given"},
    {"exit-code", PLACE_FIELD, TYPE_NUMBER, 0, "N", "for the ledger"},
    {"signal", PLACE_FIELD, TYPE_NUMBER, 0, "N", "for the ledger"},
    {"duration", PLACE_FIELD, TYPE_DURATION, 0, "DURATION", "for the ledger"},
    {"records", PLACE_FIELD, TYPE_NUMBER, 0, "N", "how many it took, for the ledger"},
    {"output-tail", PLACE_FIELD, TYPE_TEXT, 0, "TEXT", "the end of what it printed, for the ledger"},
    {"reason", PLACE_FIELD, TYPE_TEXT, 0, "TEXT", "for the ledger"},
    REMARKS,
    END,
};
const struct api_parameter state_renew_parameters[] = {
    STATE_NAME,
    {"fence", PLACE_FIELD, TYPE_NUMBER, 1, "N", "that state begin gave"},
    END,
};
const struct api_parameter run_parameters[] = {
    {"name", PLACE_WORD, TYPE_TEXT, 1, "NAME", "the state that the command works on"},
    {"state-file", PLACE_LOCAL, TYPE_TEXT, 0, "FILE",
     "where the command wants its state; a private file, named by HOLDFAST_STATE_FILE, when not given"},
    {"timeout", PLACE_LOCAL, TYPE_DURATION, 0, "DURATION",
     "end it when it takes longer: TERM, and KILL after 10s, to all that it started"},
    {"on-overlap", PLACE_LOCAL, TYPE_TEXT, 0, "POLICY",
     "when it runs already: fail (75), skip (0), wait, or kill what runs; fail when not given"},
    {"wait", PLACE_LOCAL, TYPE_DURATION, 0, "DURATION", "wait at most so long, then fail"},
    {"singer", PLACE_LOCAL, TYPE_BOOL, 0, NULL, "a Singer tap, or a pipeline of them with the word '|' in between"},
    {"reason", PLACE_LOCAL, TYPE_TEXT, 0, "TEXT", "why it runs, for the ledger"},
    {"scheduled-at", PLACE_LOCAL, TYPE_TEXT, 0, "TIME", "when it was to run; now when not given"},
    {"command", PLACE_ARGV, TYPE_LIST, 1, "PROGRAM [ARGUMENT …]", "what runs; no shell in between"},
    END,
};
