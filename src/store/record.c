/* Records as one block of memory: the struct, then its texts. */
#include <string.h>

#include "base/mem.h"
#include "store/backend.h"

static const char *append(char **end, const char *bytes, size_t size) {
    char *start = *end;
    if (size > 0)
        memcpy(start, bytes, size);
    start[size] = '\0';
    *end = start + size + 1;
    return start;
}

int store_record_copy(const struct hf_record *record, struct hf_record **ret_copy, struct hf_error *error) {
    const char *who = record->who ? record->who : "";
    size_t kind_bytes = strlen(record->kind), id_bytes = strlen(record->id), who_bytes = strlen(who);
    size_t json_bytes = record->json ? record->json_bytes : 0;
    struct hf_record *copy = mem_alloc(sizeof *copy + kind_bytes + id_bytes + who_bytes + json_bytes + 4);
    if (!copy)
        return error_set(error, HF_ERR_NO_MEMORY, "copy record: memory is used up");
    *copy = *record;
    char *end = (char *)(copy + 1);
    copy->kind = append(&end, record->kind, kind_bytes);
    copy->id = append(&end, record->id, id_bytes);
    copy->who = append(&end, who, who_bytes);
    if (record->json)
        copy->json = append(&end, record->json, json_bytes);
    *ret_copy = copy;
    return 0;
}

void hf_record_free(struct hf_record **record) {
    if (!record)
        return;
    mem_free(*record);
    *record = NULL;
}
