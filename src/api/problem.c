#include "api/problem.h"

static const char *title_of(int status, int code) {
    switch (status) {
    case 405:
        return "this path has no such method";
    case 415:
        return "the body has another content type";
    case 429:
        return "too many failed attempts";
    default:
        return hf_code_text(code);
    }
}

void problem_write(int status, const struct hf_error *error, struct buf *out) {
    struct json_writer json;
    int code = error->code ? error->code : HF_ERR_INTERNAL;
    if (status == 0)
        status = hf_code_http_status(code);
    json_writer_init(&json, out, 0);
    json_begin_object(&json);
    json_put_string(&json, "code", hf_code_word(code));
    json_put_string(&json, "title", title_of(status, code));
    json_put_i64(&json, "status", status);
    json_put_string(&json, "detail", error->message[0] ? error->message : hf_code_text(code));
    if (error->hint[0])
        json_put_string(&json, "hint", error->hint);
    json_put_bool(&json, "retryable", hf_code_is_retryable(code));
    json_end_object(&json);
}

void api_problem(const struct hf_error *error, struct buf *out) {
    problem_write(0, error, out);
}
