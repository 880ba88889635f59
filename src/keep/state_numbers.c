#include <string.h>

#include "keep/state_verb.h"

size_t state_numbers_count(const struct buf *numbers) {
    return numbers->size / sizeof(uint64_t);
}

uint64_t state_numbers_at(const struct buf *numbers, size_t index) {
    uint64_t number;
    memcpy(&number, numbers->data + index * sizeof number, sizeof number);
    return number;
}

struct walk {
    const char *name;
    struct buf *numbers;
};

static int add_run(void *arg, const struct hf_record *record, int code) {
    const struct walk *walk = arg;
    size_t bytes = strlen(walk->name);
    uint64_t number;
    (void)code; /* the number of a damaged one can be read */
    if (strncmp(record->id, walk->name, bytes) != 0 || record->id[bytes] != '@')
        return 1; /* behind the last one */
    if (state_number_of_id(walk->name, record->id, &number) == 0)
        buf_add(walk->numbers, &number, sizeof number);
    return 0;
}

int state_numbers_of_runs(struct hf_store *store, const char *name, struct buf *ret_numbers, struct hf_error *error) {
    struct walk walk = {.name = name, .numbers = ret_numbers};
    char after[HF_ID_MAX + 1];
    state_number_id(name, 0, after);
    int code = hf_store_scan(store, STATE_RUN_KIND, after, 0, add_run, &walk, error);
    if (code >= 0 && ret_numbers->failed)
        code = error_no_memory(error);
    return code < 0 ? error_wrap(error, code, "list runs of state '%s'", name) : 0;
}

static int add_version(void *arg, const struct state_meta *meta, int code) {
    (void)code;
    buf_add(arg, &meta->version, sizeof meta->version);
    return 0;
}

int state_numbers_of_versions(struct hf_store *store, const char *name, struct buf *ret_numbers,
                              struct hf_error *error) {
    int code = state_version_each(store, name, add_version, ret_numbers, error);
    if (code >= 0 && ret_numbers->failed)
        code = error_no_memory(error);
    return code < 0 ? error_wrap(error, code, "list versions of state '%s'", name) : 0;
}
