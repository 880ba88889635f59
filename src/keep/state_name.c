/* Names of states, the ids of their versions and runs, and what the store is told of their kinds. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "data/ids.h"
#include "keep/state_inside.h"

int state_declare_kinds(struct hf_store *store, struct hf_error *error) {
    /* Versions are records of their own: what was is not kept a second time by the store. */
    static const char *const KINDS[] = {STATE_KIND, STATE_VERSION_KIND, STATE_RUN_KIND, STATE_TRASH_KIND};
    for (size_t i = 0; i < sizeof KINDS / sizeof KINDS[0]; i++) {
        int code = hf_store_keep_history(store, KINDS[i], 0, error);
        if (code < 0)
            return code;
    }
    return 0;
}

int state_check_name(const char *name, struct hf_error *error) {
    int code = ids_check_name(name ? name : "", error);
    if (code == 0 && strlen(name) > HF_STATE_NAME_MAX) {
        code = error_set(error, HF_ERR_BAD_ID, "check name '%.20s…': it has %zu bytes, and at most %d are possible",
                         name, strlen(name), HF_STATE_NAME_MAX);
        error_hint(error, "choose a shorter name");
    }
    return code;
}

void state_number_id(const char *name, uint64_t number, char ret_id[HF_ID_MAX + 1]) {
    snprintf(ret_id, HF_ID_MAX + 1, "%s@%0*llu", name, STATE_NUMBER_DIGITS, (unsigned long long)number);
}

int state_number_of_id(const char *name, const char *id, uint64_t *ret_number) {
    size_t bytes = strlen(name);
    if (strncmp(id, name, bytes) != 0 || id[bytes] != '@' || strlen(id) != bytes + 1 + STATE_NUMBER_DIGITS)
        return -1;
    return text_to_u64(id + bytes + 1, ret_number);
}
