/* Keys as paths below the root.
 *
 * Invariants
 *  1. Different keys have different paths, and the file of one is never the folder of another: in the watch layout the
 *     root holds files that end in ".json" and folders that do not.
 *  2. No path leads into a folder whose name begins with a dot: ids do not keep leading dots, kinds have none.
 *  3. A path is a record's only when it is the one that its key has: whoever decodes it encodes it again and compares.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "data/ids.h"
#include "store/tree_files.h"

#define SUFFIX         ".json"
#define SUFFIX_ENCODED "%2Ejson"
enum { NAME_BYTES = IDS_FILENAME_BYTES - 1, SUFFIX_BYTES = 5, SUFFIX_ENCODED_BYTES = 7 };

static const char settings[] = "settings"; /* one for all: its files lie in the root of the watch layout */

static int ends_with(const char *text, size_t bytes, const char *end, size_t end_bytes) {
    return bytes >= end_bytes && memcmp(text + bytes - end_bytes, end, end_bytes) == 0;
}

static void name_file(const char *id, struct tree_path *ret_path) {
    char name[IDS_FILENAME_BYTES];
    ids_to_filename_within(id, strlen(id), NAME_BYTES - SUFFIX_BYTES, name);
    snprintf(ret_path->name, sizeof ret_path->name, "%s" SUFFIX, name);
}

/* An id's folder in the root. One that ends like a file would be in the way of a file of settings. */
static void name_folder(const char *id, char ret_folder[IDS_FILENAME_BYTES]) {
    size_t bytes = ids_to_filename(id, strlen(id), ret_folder);
    if (!ends_with(ret_folder, bytes, SUFFIX, SUFFIX_BYTES))
        return;
    size_t longest = NAME_BYTES - (SUFFIX_ENCODED_BYTES - SUFFIX_BYTES);
    bytes = ids_to_filename_within(id, strlen(id), longest, ret_folder);
    if (ends_with(ret_folder, bytes, SUFFIX, SUFFIX_BYTES))
        memcpy(ret_folder + bytes - SUFFIX_BYTES, SUFFIX_ENCODED, SUFFIX_ENCODED_BYTES + 1);
}

void tree_path_of(enum tree_layout layout, const char *kind, const char *id, struct tree_path *ret_path) {
    assert(strlen(kind) <= HF_KIND_MAX && strlen(id) <= HF_ID_MAX);
    if (layout == TREE_LAYOUT_KIND) {
        snprintf(ret_path->folder, sizeof ret_path->folder, "%s", kind);
        name_file(id, ret_path);
    } else if (strcmp(kind, settings) == 0) {
        ret_path->folder[0] = '\0';
        name_file(id, ret_path);
    } else {
        name_folder(id, ret_path->folder);
        snprintf(ret_path->name, sizeof ret_path->name, "%s" SUFFIX, kind);
    }
}

/* What stands in front of ".json"; -1 when it does not end so, or is too long to be a name. */
static int stem_of(const char *name, char ret_stem[IDS_FILENAME_BYTES]) {
    size_t bytes = strnlen(name, IDS_FILENAME_BYTES);
    if (bytes > NAME_BYTES || !ends_with(name, bytes, SUFFIX, SUFFIX_BYTES))
        return -1;
    memcpy(ret_stem, name, bytes - SUFFIX_BYTES);
    ret_stem[bytes - SUFFIX_BYTES] = '\0';
    return 0;
}

static int id_of_folder(const char *folder, char ret_id[HF_ID_MAX + 1]) {
    if (ids_from_filename(folder, ret_id, NULL) == 0)
        return 0;
    char plain[IDS_FILENAME_BYTES];
    size_t bytes = strnlen(folder, IDS_FILENAME_BYTES);
    if (bytes > NAME_BYTES || !ends_with(folder, bytes, SUFFIX_ENCODED, SUFFIX_ENCODED_BYTES))
        return -1;
    snprintf(plain, sizeof plain, "%.*s" SUFFIX, (int)(bytes - SUFFIX_ENCODED_BYTES), folder);
    return ids_from_filename(plain, ret_id, NULL);
}

/* The key that the path may be of; whether it is, shows when it is encoded again. */
static int decode(enum tree_layout layout, const char *folder, const char *stem, const char **ret_kind,
                  char ret_id[HF_ID_MAX + 1]) {
    int is_of_id = 0;
    if (layout == TREE_LAYOUT_KIND) {
        *ret_kind = folder;
    } else if (folder[0] == '\0') {
        *ret_kind = settings;
    } else {
        *ret_kind = stem;
        is_of_id = 1;
    }
    if (ids_check_kind(*ret_kind, NULL) != 0)
        return -1;
    return is_of_id ? id_of_folder(folder, ret_id) : ids_from_filename(stem, ret_id, NULL);
}

int tree_path_key(enum tree_layout layout, const char *folder, const char *name, char ret_kind[HF_KIND_MAX + 1],
                  char ret_id[HF_ID_MAX + 1], struct hf_error *error) {
    char stem[IDS_FILENAME_BYTES], id[HF_ID_MAX + 1];
    const char *kind = NULL;
    struct tree_path again;
    int is_record = stem_of(name, stem) == 0 && decode(layout, folder, stem, &kind, id) == 0;
    if (is_record) {
        tree_path_of(layout, kind, id, &again);
        is_record = strcmp(again.folder, folder) == 0 && strcmp(again.name, name) == 0;
    }
    if (is_record) {
        memcpy(ret_kind, kind, strlen(kind) + 1);
        memcpy(ret_id, id, strlen(id) + 1);
        return 0;
    }
    if (strstr(folder, "%-") || strstr(name, "%-")) {
        error_set(error, HF_ERR_BAD_ID, "the id in the name is shortened");
        error_hint(error, "an index of the tree knows it");
    } else {
        error_set(error, HF_ERR_BAD_ID, "no id has a file of this name");
        error_hint(error, "move it away if it does not belong there");
    }
    return HF_ERR_BAD_ID;
}
