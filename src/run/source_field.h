#ifndef HF_RUN_SOURCE_FIELD_H
#define HF_RUN_SOURCE_FIELD_H

#include "run/source_spec.h"

enum field_type {
    FIELD_TEXT,
    FIELD_FOLDER,
    FIELD_NUMBER,
    FIELD_DURATION, /* "interval": "5s" or "interval_ms": 5000 */
    FIELD_LIST,
    FIELD_ENVIRONMENT,
};

struct source_field {
    const char *name;
    enum field_type type;
    size_t offset; /* in struct source_spec */
    int64_t min, max;
    int is_limit; /* a member of "limits" */
};

extern const struct source_field SOURCE_FIELDS[];
extern const size_t SOURCE_FIELD_COUNT;

const struct source_field *source_field_find(const char *name, int *ret_as_ms);
int source_field_read(struct source_spec *spec, const struct source_field *field, int as_ms, const struct json_doc *doc,
                      uint32_t node, struct hf_error *error);
void source_field_write(const struct source_spec *spec, const struct source_field *field, struct json_writer *writer);

#endif
