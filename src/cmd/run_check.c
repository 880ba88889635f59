/* Whether bytes may be the next state: damage that can be seen is refused. */
#include <string.h>

#include "base/json.h"
#include "cmd/run.h"
#include "data/pickle.h"

static int read_json(const struct buf *state, struct hf_error *error) {
    JSON_AUTO struct json_doc doc;
    json_init(&doc);
    return json_read(&doc, buf_text(state), state->size, NULL, error);
}

/* What a file system leaves of a file whose bytes were not written when the power went. */
static int is_zeroed(const struct buf *state) {
    return state->data[0] == '\0' && memcmp(state->data, state->data + 1, state->size - 1) == 0;
}

static int check_pickle(const struct buf *state, const char *what, struct hf_error *error) {
    int code = pickle_check(state->data, state->size, error);
    return code == 0 ? 0 : error_wrap(error, code, "%s", what);
}

int run_check_state(const struct buf *before, const struct buf *state, struct hf_error *error) {
    if (state->size == 0)
        return error_set(error, HF_ERR_BAD_DATA, "it is of 0 bytes");
    if (state->size > HF_STATE_BYTES_MAX)
        return error_set(error, HF_ERR_TOO_LARGE, "it has over %d bytes", HF_STATE_BYTES_MAX);
    if (is_zeroed(state))
        return error_set(error, HF_ERR_BAD_DATA, "it holds nothing but zero bytes");
    if (pickle_is(state->data, state->size))
        return check_pickle(state, "it begins as a pickle", error);
    if (!before)
        return 0;
    int is_json = read_json(state, NULL) == 0; /* a collector may change from pickles to JSON */
    if (!is_json && pickle_is(before->data, before->size))
        return check_pickle(state, "it was a pickle and is none that is whole any more", error);
    if (!is_json && read_json(before, NULL) == 0) {
        int code = read_json(state, error);
        return error_wrap(error, code, "it was JSON and is none any more");
    }
    return 0;
}
