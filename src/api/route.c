#include "api/route.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

char *route_decode(const char *text, size_t bytes, struct arena *arena) {
    char *out = arena_alloc(arena, bytes + 1);
    size_t at = 0;
    if (!out)
        return NULL;
    for (size_t i = 0; i < bytes; i++) {
        uint8_t byte = (uint8_t)text[i];
        if (text[i] == '%') {
            char hex[3] = "";
            if (i + 2 >= bytes)
                return NULL;
            memcpy(hex, text + i + 1, 2);
            if (text_unhex(hex, 1, &byte) != 0)
                return NULL;
            i += 2;
        }
        if (byte == 0)
            return NULL;
        out[at++] = (char)byte;
    }
    out[at] = '\0';
    return text_is_utf8(out, at) ? out : NULL;
}

/* Whether the path has the pattern's shape; a {name} stands for one segment, also an empty one. */
static int has_shape(const char *pattern, const char *path) {
    while (*pattern && *path) {
        if (*pattern == '{') {
            pattern = strchr(pattern, '}') + 1;
            path += strcspn(path, "/");
        } else if (*pattern++ != *path++) {
            return 0;
        }
    }
    if (*pattern == '{' && path[-1] == '/')
        pattern = strchr(pattern, '}') + 1;
    return *pattern == '\0' && *path == '\0';
}

static const char *name_in_table(const struct api_operation *operation, const char *name, size_t bytes) {
    for (const struct api_parameter *p = operation->parameters; p->name; p++) {
        if (p->place == PLACE_PATH && strlen(p->name) == bytes && memcmp(p->name, name, bytes) == 0)
            return p->name;
    }
    return NULL;
}

static int take_values(struct route *route, const char *path, struct arena *arena, struct hf_error *error) {
    for (const char *pattern = route->operation->path; *pattern; pattern++) {
        if (*pattern != '{') {
            path++;
            continue;
        }
        size_t name_bytes = strcspn(pattern, "}") - 1, bytes = strcspn(path, "/");
        struct route_value *value = &route->values[route->count++];
        value->name = name_in_table(route->operation, pattern + 1, name_bytes);
        value->text = route_decode(path, bytes, arena);
        if (!value->text)
            return error_set(error, HF_ERR_BAD_ID, "read the path: '%.*s' is not percent-encoded UTF-8", (int)bytes,
                             path);
        if (!value->text[0] || strchr(value->text, '/'))
            return error_set(error, HF_ERR_BAD_ID, "read the path: the %.*s '%s' is empty or holds a '/'",
                             (int)name_bytes, pattern + 1, value->text);
        path += bytes;
        pattern += name_bytes + 1;
    }
    return 0;
}

static void add_allowed(struct route *route, const char *method) {
    size_t length = strlen(route->allow);
    if (strstr(route->allow, method))
        return;
    snprintf(route->allow + length, sizeof route->allow - length, "%s%s%s", length ? ", " : "", method,
             strcmp(method, "GET") == 0 ? ", HEAD" : "");
}

/* A pattern without names wins over one with: /tokens/link is not the token "link". */
static int is_better(const struct api_operation *found, const struct api_operation *than) {
    return !than || (strchr(than->path, '{') && !strchr(found->path, '{'));
}

int route_find(const struct api_operation *table, const char *method, const char *path, struct arena *arena,
               struct route *ret_route, struct hf_error *error) {
    const char *wanted = strcmp(method, "HEAD") == 0 ? "GET" : method;
    memset(ret_route, 0, sizeof *ret_route);
    for (const struct api_operation *operation = table; operation->noun; operation++) {
        if (!operation->path || !has_shape(operation->path, path))
            continue;
        add_allowed(ret_route, operation->method);
        if (strcmp(operation->method, wanted) == 0 && is_better(operation, ret_route->operation))
            ret_route->operation = operation;
    }
    if (ret_route->operation)
        return take_values(ret_route, path, arena, error);
    if (!ret_route->allow[0]) {
        error_set(error, HF_ERR_NOT_FOUND, "find '%.100s': there is no such path", path);
        error_hint(error, "/openapi.json lists what there is");
        return HF_ERR_NOT_FOUND;
    }
    error_set(error, HF_ERR_UNSUPPORTED, "%.20s '%.100s': this path has no such method", method, path);
    error_hint(error, "it has %s", ret_route->allow);
    return HF_ERR_UNSUPPORTED;
}
