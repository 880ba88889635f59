#include "base/error.h"

struct code_row {
    int code;
    const char *word;
    int http_status, exit_status, is_retryable;
    const char *text;
};

static const struct code_row rows[] = {{HF_OK, "ok", 200, 0, 0, "nothing is wrong"},
#define X(name, code, word, http, exit_code, retryable, text)                                                          \
    {(code), (word), (http), (exit_code), (retryable), (text)},
                                       HF_ERROR_MAP(X)
#undef X
};

static const struct code_row *row_of(int code) {
    enum { ROWS = sizeof rows / sizeof rows[0] };
    for (int i = 0; i < ROWS; i++)
        if (rows[i].code == code)
            return &rows[i];
    return row_of(HF_ERR_INTERNAL);
}

const char *hf_code_word(int code) {
    return row_of(code)->word;
}

const char *hf_code_text(int code) {
    return row_of(code)->text;
}

int hf_code_http_status(int code) {
    return row_of(code)->http_status;
}

int hf_code_exit_status(int code) {
    return row_of(code)->exit_status;
}

int hf_code_is_retryable(int code) {
    return row_of(code)->is_retryable;
}

const char *hf_version(void) {
    return HF_VERSION;
}
