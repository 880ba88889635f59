/* What one source lacks of another. */
#include <string.h>

#include "run/source_field.h"
#include "run/source_store.h"

static int is_field_same(const struct source_spec *a, const struct source_spec *b, const struct source_field *field,
                         struct buf scratch[2]) {
    const struct source_spec *specs[] = {a, b};
    for (int i = 0; i < 2; i++) {
        struct json_writer writer;
        buf_clear(&scratch[i]);
        json_writer_init(&writer, &scratch[i], 0);
        json_begin_object(&writer);
        source_field_write(specs[i], field, &writer);
        json_end_object(&writer);
    }
    return scratch[0].size == scratch[1].size && memcmp(scratch[0].data, scratch[1].data, scratch[0].size) == 0;
}

/* Of the environment the names count, of tags the whole text. */
static int holds(const char *const *list, const char *text, size_t bytes) {
    for (; *list; list++) {
        if (strlen(*list) + 1 >= bytes && memcmp(*list, text, bytes) == 0)
            return 1;
    }
    return 0;
}

/* What is here, and behind it what only they have. NULL: memory is used up. */
static const char *const *unite(struct arena *arena, const char *const *here, const char *const *theirs,
                                int is_environment) {
    size_t count = 0, i = 0;
    for (const char *const *item = here; *item; item++)
        count++;
    for (const char *const *item = theirs; *item; item++)
        count++;
    const char **all = arena_zalloc(arena, count + 1, sizeof *all);
    if (!all)
        return NULL;
    for (const char *const *item = here; *item; item++)
        all[i++] = *item;
    for (const char *const *item = theirs; *item; item++) {
        size_t bytes = is_environment ? strcspn(*item, "=") + 1 : strlen(*item) + 1;
        if (!holds(here, *item, bytes))
            all[i++] = *item;
    }
    return all;
}

int source_merge_write(struct source_spec *here, const struct source_spec *theirs, struct json_writer *writer,
                       struct hf_error *error) {
    struct source_spec *fresh = NULL;
    struct buf scratch[2];
    buf_init(&scratch[0]);
    buf_init(&scratch[1]);
    int code = source_spec_new(here->name, here->kind, &fresh, error);
    here->tags = unite(&here->arena, here->tags, theirs->tags, 0);
    here->env = unite(&here->arena, here->env, theirs->env, 1);
    if (code == 0 && (!here->tags || !here->env))
        code = error_no_memory(error);
    for (size_t i = 0; code == 0 && i < SOURCE_FIELD_COUNT; i++) {
        const struct source_field *field = &SOURCE_FIELDS[i];
        if (strcmp(field->name, "argv") != 0)
            source_field_write(is_field_same(here, fresh, field, scratch) ? theirs : here, field, writer);
    }
    buf_fini(&scratch[0]);
    buf_fini(&scratch[1]);
    source_spec_free(&fresh);
    return code;
}
