/* What is accepted as a pickle is refused with one byte more or less, and nothing else may happen. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "data/pickle.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void check(int is_right) {
    if (!is_right)
        abort();
}

/* In a block of exactly that size, so that a read behind it is seen. */
static int check_part(const uint8_t *bytes, size_t size) {
    struct hf_error error = {0};
    uint8_t *copy = malloc(size ? size : 1);
    check(copy != NULL);
    if (size > 0)
        memcpy(copy, bytes, size);
    int code = pickle_check(copy, size, &error);
    check(code == error.code && (code == 0 || error.message[0]));
    check(code == 0 || code == HF_ERR_BAD_DATA || code == HF_ERR_SCHEMA_NEWER);
    free(copy);
    return code;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    if (check_part(bytes, size) != 0)
        return 0;
    check(size > 0 && check_part(bytes, size - 1) == HF_ERR_BAD_DATA);
    uint8_t *longer = malloc(size + 1);
    check(longer != NULL);
    memcpy(longer, bytes, size);
    longer[size] = '.';
    check(check_part(longer, size + 1) == HF_ERR_BAD_DATA);
    free(longer);
    return 0;
}
