/* Bytes of a state: are they JSON that a document can hold as it is? */
#include <string.h>

#include "keep/state_inside.h"

enum {
    DEPTH_MAX = JSON_DEPTH_DEFAULT - 1, /* the version that holds it is one level more */
    SPACE_MAX = 4096,                   /* white space around it; escaped it takes more room than it has */
};

/* -1 when memory is used up. */
static int is_json(const char *bytes, size_t size) {
    JSON_AUTO struct json_doc doc;
    json_init(&doc);
    int code = json_read(&doc, bytes, size, &(struct json_limits){.max_depth = DEPTH_MAX}, NULL);
    if (code == HF_ERR_NO_MEMORY)
        return -1;
    size_t span_bytes = 0;
    if (code == 0)
        (void)json_span(&doc, 0, &span_bytes);
    return code == 0 && size - span_bytes <= SPACE_MAX;
}

int state_bytes_look(const void *bytes, size_t size, struct state_bytes *ret_bytes, struct hf_error *error) {
    if (size > HF_STATE_BYTES_MAX)
        return error_set(error, HF_ERR_TOO_LARGE, "the state has %zu bytes, and at most %d are possible", size,
                         HF_STATE_BYTES_MAX);
    if (!bytes && size > 0)
        return error_set(error, HF_ERR_INVALID, "the state is NULL");
    struct state_bytes looked = {.bytes = size > 0 ? bytes : "", .size = size, .is_json = 0};
    looked.is_json = is_json(looked.bytes, size);
    if (looked.is_json < 0)
        return error_no_memory(error);
    digest_bytes(looked.bytes, size, looked.digest);
    *ret_bytes = looked;
    return 0;
}
