/* From a method and a raw path to an operation and its path values. Pure. */
#ifndef HF_API_ROUTE_H
#define HF_API_ROUTE_H

#include "api/operation.h"

enum { ROUTE_VALUES = 4 };
struct route {
    const struct api_operation *operation; /* NULL: see allow */
    struct route_value {
        const char *name; /* as in the parameters table */
        const char *text; /* decoded, in the arena */
    } values[ROUTE_VALUES];
    int count;
    char allow[64]; /* the methods that this path has: "GET, HEAD, PUT"; "" when there is no such path */
};

/* HEAD finds what GET finds. Errors: NOT_FOUND (no such path), UNSUPPORTED (no such method, see allow), BAD_ID (a
 * segment that cannot be decoded to text), NO_MEMORY. */
int route_find(const struct api_operation *table, const char *method, const char *path, struct arena *arena,
               struct route *ret_route, struct hf_error *error);

/* Decodes %XX once. NULL when an escape is not one, or when what comes out is not UTF-8 or holds a NUL. */
char *route_decode(const char *text, size_t bytes, struct arena *arena);

#endif
