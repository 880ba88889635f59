#include <errno.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "os/file.h"

struct walk {
    const struct os *os;
    file_visit visit;
    void *arg;
    struct hf_error *error;
    struct buf path; /* of the entry at hand */
};

struct names {
    struct arena arena;
    struct vec vec;
};

static int walk_folder(struct walk *walk, int dir_fd, int depth);

static int add_name(void *arg, const char *name, unsigned char d_type) {
    (void)d_type; /* not every file system tells */
    struct names *names = arg;
    char *copy = arena_strdup(&names->arena, name);
    return copy != NULL && vec_push(&names->vec, copy) == 0 ? 0 : -ENOMEM;
}

/* *ret_gone: it is not the folder any more that it was a moment ago. */
static int walk_into(struct walk *walk, int dir_fd, const char *name, int depth, int *ret_gone) {
    if (depth >= FILE_WALK_DEPTH)
        return error_set(walk->error, HF_ERR_TOO_LARGE, "walk '%s': folders are nested deeper than %d",
                         buf_text(&walk->path), FILE_WALK_DEPTH);
    int fd = OS_AGAIN(os_open(walk->os, dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0));
    *ret_gone = fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP;
    if (*ret_gone)
        return 0;
    if (fd < 0)
        return error_set_errno(walk->error, fd, "walk '%s'", buf_text(&walk->path));
    int result = walk_folder(walk, fd, depth + 1);
    (void)os_close(walk->os, fd);
    return result;
}

static int walk_entry(struct walk *walk, int dir_fd, const char *name, int depth) {
    struct stat stat;
    int result = OS_AGAIN(os_stat_at(walk->os, dir_fd, name, &stat));
    if (result == -ENOENT)
        return 0;
    if (result != 0)
        return error_set_errno(walk->error, result, "walk '%s': stat", buf_text(&walk->path));
    int gone = 0;
    if (S_ISDIR(stat.st_mode))
        result = walk_into(walk, dir_fd, name, depth, &gone);
    if (result != 0 || gone)
        return result;
    return walk->visit(walk->arg, dir_fd, name, buf_text(&walk->path), &stat);
}

static int walk_names(struct walk *walk, int dir_fd, const struct names *names, int depth) {
    size_t base = walk->path.size;
    int result = 0;
    for (size_t i = 0; i < names->vec.count && result == 0; i++) {
        const char *name = names->vec.items[i];
        if (base > 0)
            buf_add_char(&walk->path, '/');
        buf_add_text(&walk->path, name);
        if (walk->path.failed)
            return error_set(walk->error, HF_ERR_NO_MEMORY, "walk: memory is used up");
        result = walk_entry(walk, dir_fd, name, depth);
        walk->path.size = base;
        walk->path.data[base] = '\0';
    }
    return result;
}

static int walk_folder(struct walk *walk, int dir_fd, int depth) {
    struct names names; /* all first: a visit may change the folder */
    arena_init(&names.arena);
    vec_init(&names.vec);
    int result = os_list(walk->os, dir_fd, add_name, &names);
    if (result != 0)
        result = error_set_errno(walk->error, result, "walk '%s': list", buf_text(&walk->path));
    else
        result = walk_names(walk, dir_fd, &names, depth);
    vec_fini(&names.vec);
    arena_fini(&names.arena);
    return result;
}

int file_walk(const struct os *os, int dir_fd, file_visit visit, void *arg, struct hf_error *error) {
    struct walk walk = {.os = os, .visit = visit, .arg = arg, .error = error};
    buf_init(&walk.path);
    int result = walk_folder(&walk, dir_fd, 0);
    buf_fini(&walk.path);
    return result;
}
