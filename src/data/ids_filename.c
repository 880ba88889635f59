#include "data/ids.h"

#include "base/hash.h"

#include <string.h>

/* "%-" can not come from encoding, where two hex digits follow every '%'. */
static const char shortened[] = "%-";
enum { MARK_BYTES = 2, TAIL_BYTES = MARK_BYTES + DIGEST_HEX - 1 };

static int is_safe(char c, int is_leading) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           (c == '.' && !is_leading);
}

size_t ids_to_filename_within(const char *id, size_t bytes, size_t max_bytes, char ret_name[IDS_FILENAME_BYTES]) {
    static const char digits[] = "0123456789ABCDEF";
    size_t length = 0, prefix = 0, i = 0;
    int is_leading = 1;
    for (; i < bytes; i++) {
        size_t needed = is_safe(id[i], is_leading) ? 1 : 3;
        is_leading = is_leading && id[i] == '.';
        if (length + needed > max_bytes)
            break;
        if (needed == 1) {
            ret_name[length] = id[i];
        } else {
            ret_name[length] = '%';
            ret_name[length + 1] = digits[(uint8_t)id[i] >> 4];
            ret_name[length + 2] = digits[(uint8_t)id[i] & 15];
        }
        length += needed;
        if (length + TAIL_BYTES <= max_bytes)
            prefix = length;
    }
    if (i < bytes) {
        memcpy(ret_name + prefix, shortened, MARK_BYTES);
        digest_hex(id, bytes, ret_name + prefix + MARK_BYTES);
        length = prefix + TAIL_BYTES;
    }
    ret_name[length] = '\0';
    return length;
}

size_t ids_to_filename(const char *id, size_t bytes, char ret_name[IDS_FILENAME_BYTES]) {
    return ids_to_filename_within(id, bytes, IDS_FILENAME_BYTES - 1, ret_name);
}

static int hex_value(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Decodes without asking whether this is how the id would be encoded. -1 when it cannot be decoded at all. */
static int decode(const char *name, char id[HF_ID_MAX + 1]) {
    size_t length = 0;
    for (const char *at = name; *at; length++) {
        if (length == HF_ID_MAX)
            return -1;
        if (*at != '%') {
            id[length] = *at++;
            continue;
        }
        int high = hex_value(at[1]), low = high < 0 ? -1 : hex_value(at[2]);
        if (low < 0)
            return -1;
        id[length] = (char)(high << 4 | low);
        at += 3;
    }
    id[length] = '\0';
    return (int)length;
}

int ids_from_filename(const char *name, char ret_id[HF_ID_MAX + 1], struct hf_error *error) {
    char id[HF_ID_MAX + 1], again[IDS_FILENAME_BYTES];
    if (strstr(name, shortened)) {
        error_set(error, HF_ERR_BAD_ID, "decode file name '%s': the id in it is shortened", name);
        error_hint(error, "read the id from the content of the file");
        return HF_ERR_BAD_ID;
    }
    int length = decode(name, id);
    int is_id = length >= 0 && ids_check(id, (size_t)length, NULL) == 0;
    if (is_id)
        ids_to_filename(id, (size_t)length, again);
    if (!is_id || strcmp(name, again) != 0) {
        error_set(error, HF_ERR_BAD_ID, "decode file name '%s': no id is stored under it", name);
        error_hint(error, "move the file away if holdfast did not write it");
        return HF_ERR_BAD_ID;
    }
    memcpy(ret_id, id, (size_t)length + 1);
    return 0;
}
