/* The names on disk. That of a long id is shortened, and there is no way back from it but through the index: such a
 * file is no record's only when no record of the index has that name. */
#include <string.h>

#include "store/tree_backend.h"

struct names {
    struct tree_backend *self;
    hf_finding_visit found;
    void *found_arg;
    struct map shortened; /* paths */
};

static void found_name(void *arg, const struct hf_finding *finding) {
    struct names *names = arg;
    int is_shortened = finding->path && strstr(finding->path, "%-") && strcmp(finding->what, "bad_name") == 0;
    if (is_shortened && map_set(&names->shortened, finding->path, strlen(finding->path), names, NULL) == 0)
        return;
    if (names->found)
        names->found(names->found_arg, finding);
}

static int forget(void *arg, const struct hf_record *record, int code) {
    struct names *names = arg;
    struct tree_path path;
    char text[TREE_PATH_BYTES];
    (void)code;
    tree_path_of(names->self->options.layout, record->kind, record->id, &path);
    tree_path_text(&path, text);
    (void)map_remove(&names->shortened, text, strlen(text));
    return names->shortened.count == 0;
}

static int tell_shortened(struct names *names, struct hf_error *error) {
    const struct store_range all = {.kind = NULL};
    const struct map_entry *entry;
    size_t position = 0;
    struct store_backend *inner = names->self->inner;
    int code = inner->ops->scan(inner, &all, forget, names, error);
    if (code < 0)
        return code;
    while (names->found && (entry = map_next(&names->shortened, &position)) != NULL) {
        const struct hf_finding finding = {.what = "bad_name",
                                           .text = "no record has a file of this name",
                                           .path = entry->key,
                                           .action = "reported"};
        names->found(names->found_arg, &finding);
    }
    return 0;
}

int tree_names_list(struct tree_backend *self, hf_finding_visit found, void *found_arg, struct tree_keys *ret_keys,
                    struct hf_error *error) {
    struct names names = {.self = self, .found = found, .found_arg = found_arg};
    struct tree_keys keys = {0};
    map_init(&names.shortened);
    int code = tree_keys_list(self->os, self->root_fd, self->options.layout, found_name, &names, &keys, error);
    if (code == 0 && names.shortened.count)
        code = tell_shortened(&names, error);
    map_fini(&names.shortened);
    if (code)
        tree_keys_fini(&keys);
    else
        *ret_keys = keys;
    return code;
}
