/* Keeps what would be lost. The file stays in its place under its name until the new one is renamed over it: so a
 * second name is what keeps it, where the file system has such. */
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/text.h"
#include "store/tree_backend.h"

enum { TRIES = 100, NAME_BYTES = 256, SHOWN_BYTES = 180 };

/* "2026-11-22T16:00:00.123Z_FOLDER_NAME": when, and which file. */
static void make_name(const struct tree_backend *self, const struct tree_path *path, unsigned try,
                      char ret_name[NAME_BYTES]) {
    char when[TEXT_TIME_BYTES], file[TREE_PATH_BYTES], again[16] = "", more[24] = "";
    text_time(os_wall_ms(self->os), when);
    tree_path_text(path, file);
    for (char *slash = strchr(file, '/'); slash; slash = strchr(slash, '/'))
        *slash = '_';
    if (strlen(file) > SHOWN_BYTES)
        snprintf(more, sizeof more, "~%016llx", (unsigned long long)hash64(file, strlen(file), 0));
    if (try > 0)
        snprintf(again, sizeof again, "~%u", try);
    snprintf(ret_name, NAME_BYTES, "%s_%.*s%s%s", when, SHOWN_BYTES, file, more, again);
}

static int keep(struct tree_backend *self, int folder_fd, const struct tree_path *path, const char *name, int moves) {
    struct hf_error found = {0};
    int result = moves ? -EPERM : OS_AGAIN(os_link(self->os, folder_fd, path->name, self->aside_fd, name));
    if (result == 0 || result == -EEXIST || result == -ENOENT)
        return result;
    /* To be moved; or no second names here, or not for this file. */
    result = OS_AGAIN(os_rename(self->os, folder_fd, path->name, self->aside_fd, name, RENAME_NOREPLACE));
    if (result != -EINVAL && result != -ENOSYS)
        return result;
    (void)file_rename_new(self->os, folder_fd, path->name, self->aside_fd, name, &found);
    return found.code ? (found.system_errno ? -found.system_errno : -EIO) : 0;
}

int tree_aside(struct tree_backend *self, int folder_fd, const struct tree_path *path, int moves) {
    char name[NAME_BYTES];
    int result = -EEXIST;
    for (unsigned try = 0; try < TRIES && result == -EEXIST; try++) {
        make_name(self, path, try, name);
        result = keep(self, folder_fd, path, name, moves);
    }
    struct stat stat;
    if (result == -ENOENT && OS_AGAIN(os_stat_at(self->os, folder_fd, path->name, &stat)) == -ENOENT)
        return 0; /* it has gone meanwhile; or else aside/ has, and nothing is replaced */
    return result == 0 ? OS_AGAIN(os_fsync(self->os, self->aside_fd)) : result;
}
