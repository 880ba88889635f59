/* Members of a stored record, read one after the other: what is wrong is remembered and told of once, at the end. */
#ifndef HF_KEEP_STATE_FIELD_H
#define HF_KEEP_STATE_FIELD_H

#include "base/json.h"

struct state_fields {
    const struct json_doc *doc;
    uint32_t object;
    struct arena *arena; /* of texts */
    const char *wrong;   /* the first member that was not what it should be */
    int no_memory;
};

uint64_t state_field_number(struct state_fields *fields, const char *key);
int64_t state_field_signed(struct state_fields *fields, const char *key, int64_t when_null);
int state_field_bool(struct state_fields *fields, const char *key);
int64_t state_field_time(struct state_fields *fields, const char *key);     /* null is 0 */
const char *state_field_text(struct state_fields *fields, const char *key); /* null is "" */
void state_field_hex(struct state_fields *fields, const char *key, uint8_t *ret_bytes, size_t size);
/* The span of a value in the arena; NULL for null. */
const char *state_field_json(struct state_fields *fields, const char *key);
/* A member that is an object; *ret_inside has nothing wrong. 0 when it is null. */
int state_field_object(struct state_fields *fields, const char *key, struct state_fields *ret_inside);
/* 0, CORRUPT with the member's name, or NO_MEMORY. */
int state_field_end(const struct state_fields *fields, struct hf_error *error);

#endif
