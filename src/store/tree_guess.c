/* Which layout a tree has that somebody else wrote. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "os/file.h"
#include "store/tree_files.h"

enum { FOLDERS_ASKED = 1000, FOUND = 1, ENOUGH = 2 };

struct guess {
    const struct os *os;
    int root_fd;
    unsigned asked;
};

/* A folder of a record of kind "watch", or the settings of changedetection.io. */
static int ask(void *arg, const char *name, unsigned char d_type) {
    struct guess *guess = arg;
    struct stat stat;
    char path[300];
    if (d_type == DT_DIR && name[0] != '.')
        snprintf(path, sizeof path, "%s/watch.json", name);
    else if (strcmp(name, "changedetection.json") == 0)
        snprintf(path, sizeof path, "%s", name);
    else
        return 0;
    if (OS_AGAIN(os_stat_at(guess->os, guess->root_fd, path, &stat)) == 0 && S_ISREG(stat.st_mode))
        return FOUND;
    return ++guess->asked == FOLDERS_ASKED ? ENOUGH : 0;
}

int tree_guess_layout(const struct os *os, int root_fd, const struct tree_options *options, struct hf_error *error) {
    struct guess guess = {.os = os, .root_fd = root_fd};
    if (options->is_layout_given)
        return 0;
    if (os_list(os, root_fd, ask, &guess) != FOUND)
        return 0; /* what cannot be listed is told of later */
    error_set(error, HF_ERR_INVALID, "the files look like those of layout=watch");
    error_hint(error, "write tree:DIR?layout=watch; or layout=kind when each folder is a kind");
    return HF_ERR_INVALID;
}
