#include "data/ids.h"

#include "base/utf8.h"

#include <stdio.h>
#include <string.h>

enum { SHOWN = 48 };

/* What was given, fit to be shown: not too long, and without anything that is not plain ASCII. */
static const char *show(const char *text, size_t bytes, char out[4 * SHOWN + 4]) {
    char *to = out;
    for (size_t i = 0; i < bytes && i < SHOWN; i++) {
        uint8_t byte = (uint8_t)text[i];
        if (byte >= 0x20 && byte < 0x7f)
            *to++ = (char)byte;
        else
            to += snprintf(to, 5, "\\x%02x", byte);
    }
    snprintf(to, 4, "%s", bytes > SHOWN ? "..." : "");
    return out;
}

static int refuse_length(struct hf_error *error, const char *what, size_t bytes, size_t most) {
    if (bytes == 0)
        error_set(error, HF_ERR_BAD_ID, "check %s '': it is empty", what);
    else
        error_set(error, HF_ERR_BAD_ID, "check %s: it has more than %zu bytes", what, most);
    error_hint(error, "choose %s of 1 to %zu bytes", what[0] == 'i' ? "an id" : "a kind", most);
    return HF_ERR_BAD_ID;
}

int ids_check_kind(const char *kind, struct hf_error *error) {
    size_t bytes = strnlen(kind, HF_KIND_MAX + 1);
    if (bytes == 0 || bytes > HF_KIND_MAX)
        return refuse_length(error, "kind", bytes, HF_KIND_MAX);
    for (size_t i = 0; i < bytes; i++) {
        char c = kind[i], shown[4 * SHOWN + 4];
        int is_letter = c >= 'a' && c <= 'z';
        if (is_letter || (i > 0 && ((c >= '0' && c <= '9') || c == '_')))
            continue;
        error_set(error, HF_ERR_BAD_ID, "check kind '%s': byte %zu is 0x%02x", show(kind, bytes, shown), i,
                  (unsigned)(uint8_t)c);
        error_hint(error, "use small letters, digits and '_', and begin with a letter");
        return HF_ERR_BAD_ID;
    }
    return 0;
}

/* Why a character may not be in an id; NULL when it may. */
static const char *why_not(uint32_t point) {
    if (point < 0x20 || (point >= 0x7f && point < 0xA0))
        return "a control character";
    if (point == '/')
        return "a slash";
    if ((point >= 0x202A && point <= 0x202E) || (point >= 0x2066 && point <= 0x2069) || point == 0x200E ||
        point == 0x200F || point == 0x061C)
        return "a control of the writing direction";
    return NULL;
}

int ids_check(const char *id, size_t bytes, struct hf_error *error) {
    char shown[4 * SHOWN + 4];
    if (bytes == 0 || bytes > HF_ID_MAX)
        return refuse_length(error, "id", bytes, HF_ID_MAX);
    if (id[0] == '.' && (bytes == 1 || (bytes == 2 && id[1] == '.'))) {
        error_set(error, HF_ERR_BAD_ID, "check id '%s': it names a folder", show(id, bytes, shown));
        error_hint(error, "choose an id other than '.' and '..'");
        return HF_ERR_BAD_ID;
    }
    for (size_t i = 0, length; i < bytes; i += length) {
        length = utf8_length(id + i, id + bytes);
        const char *reason = length ? why_not(utf8_decode(id + i, length)) : "not UTF-8";
        if (!reason)
            continue;
        error_set(error, HF_ERR_BAD_ID, "check id '%s': byte %zu is 0x%02x, %s", show(id, bytes, shown), i,
                  (unsigned)(uint8_t)id[i], reason);
        error_hint(error, "remove it: an id is UTF-8 without control characters and '/'");
        return HF_ERR_BAD_ID;
    }
    return 0;
}

int ids_check_name(const char *name, struct hf_error *error) {
    char shown[4 * SHOWN + 4];
    size_t bytes = strnlen(name, HF_ID_MAX + 1);
    if (name[0] == '-') {
        error_set(error, HF_ERR_BAD_ID, "check name '%s': byte 0 is '-'", show(name, bytes, shown));
        error_hint(error, "begin with another character: commands take '-' for an option");
        return HF_ERR_BAD_ID;
    }
    return ids_check(name, bytes, error);
}
