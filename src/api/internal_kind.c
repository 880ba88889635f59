#include "api/internal_kind.h"

#include <stddef.h>
#include <string.h>

static const struct internal_kind {
    const char *kind;
    int is_readable;
    const char *hint;
} internal_kinds[] = {
    {"source", 1, "use source add, edit, start, stop and rm"},
    {"source_state", 1, "the supervisor writes it"},
    {"source_data", 1, "the supervisor writes it; source tail shows it"},
    {"source_code", 1, "use source edit and source rollback"},
    {"source_run", 1, "the supervisor writes it; source runs shows it"},
    {"state", 1, "use state set, edit, merge and the other verbs of state"},
    {"state_version", 1, "use state set; state log and state get show it"},
    {"state_run", 1, "use holdfast run; state runs shows it"},
    {"state_trash", 1, "state clear writes it"},
    {"token", 0, "use token create, list and rm"},
    {"session", 0, "use token link and /signin"},
};

static const struct internal_kind *find(const char *kind) {
    for (size_t i = 0; i < sizeof internal_kinds / sizeof internal_kinds[0]; i++) {
        if (strcmp(internal_kinds[i].kind, kind) == 0)
            return &internal_kinds[i];
    }
    return NULL;
}

int internal_kind_check_write(const char *kind, struct hf_error *error) {
    const struct internal_kind *internal = find(kind);
    if (!internal)
        return 0;
    error_set(error, HF_ERR_FORBIDDEN, "write records of kind '%s': holdfast keeps them itself", kind);
    error_hint(error, "%s", internal->hint);
    return HF_ERR_FORBIDDEN;
}

int internal_kind_check_read(const char *kind, struct hf_error *error) {
    const struct internal_kind *internal = find(kind);
    if (!internal || internal->is_readable)
        return 0;
    error_set(error, HF_ERR_FORBIDDEN, "read records of kind '%s': holdfast keeps them to itself", kind);
    error_hint(error, "%s", internal->hint);
    return HF_ERR_FORBIDDEN;
}
