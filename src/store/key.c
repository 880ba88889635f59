#include "store/key.h"

#include <string.h>

#include "base/text.h"

static int is_kind_char(char c, int is_first) {
    return (c >= 'a' && c <= 'z') || (!is_first && ((c >= '0' && c <= '9') || c == '_'));
}

int store_kind_check(const char *kind, struct hf_error *error) {
    size_t bytes = kind ? strnlen(kind, HF_KIND_MAX + 1) : 0;
    if (bytes == 0)
        return error_set(error, HF_ERR_BAD_ID, "a kind is empty");
    for (size_t i = 0; i < bytes; i++)
        if (!is_kind_char(kind[i], i == 0)) {
            error_set(error, HF_ERR_BAD_ID, "a kind has a character that is not allowed at byte %zu", i);
            error_hint(error, "a kind is made of a-z, 0-9 and _, and begins with a letter");
            return HF_ERR_BAD_ID;
        }
    if (bytes > HF_KIND_MAX)
        return error_set(error, HF_ERR_BAD_ID, "a kind is longer than %d bytes", HF_KIND_MAX);
    return 0;
}

/* The control characters of Unicode (class Cc): below U+0020, U+007F, U+0080 to U+009F. text is UTF-8. */
static int is_control(const unsigned char *text) {
    return text[0] < 0x20 || text[0] == 0x7f || (text[0] == 0xc2 && text[1] < 0xa0);
}

static int check_id(const char *id, struct hf_error *error) {
    size_t bytes = id ? strnlen(id, HF_ID_MAX + 1) : 0;
    if (bytes == 0)
        return error_set(error, HF_ERR_BAD_ID, "an id is empty");
    if (bytes > HF_ID_MAX)
        return error_set(error, HF_ERR_BAD_ID, "an id is longer than %d bytes", HF_ID_MAX);
    if (!text_is_utf8(id, bytes))
        return error_set(error, HF_ERR_BAD_ID, "an id is not UTF-8");
    for (size_t i = 0; i < bytes; i++) {
        if (is_control((const unsigned char *)id + i))
            return error_set(error, HF_ERR_BAD_ID, "an id has a control character at byte %zu", i);
        if (id[i] == '/')
            return error_set(error, HF_ERR_BAD_ID, "an id has a '/' at byte %zu", i);
    }
    if (strcmp(id, ".") == 0 || strcmp(id, "..") == 0)
        return error_set(error, HF_ERR_BAD_ID, "id '%s' is the name of a folder", id);
    return 0;
}

int store_key_check(const char *kind, const char *id, struct hf_error *error) {
    int code = store_kind_check(kind, error);
    if (code == 0)
        code = check_id(id, error);
    if (code == HF_ERR_BAD_ID && error && error->hint[0] == '\0')
        error_hint(error, "an id is 1 to %d bytes of UTF-8 without control characters and '/'", HF_ID_MAX);
    return code;
}
