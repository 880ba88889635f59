/* Opening a tree: the own folder, the index and with it the owner's lock, then whatever makes files and index agree. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "store/tree_backend.h"

enum { OWN_MODE = 0700, TREE_MODE = 0777, NAME_RANDOM = 16 };

static int join_text(const char *folder, const char *rest, char **ret_path, struct hf_error *error) {
    struct buf path;
    buf_init(&path);
    buf_printf(&path, "%s%s", folder, rest);
    if (path.failed) {
        buf_fini(&path);
        return error_no_memory(error);
    }
    *ret_path = buf_take(&path);
    return 0;
}

/* Before anything is made in somebody else's folder. */
static int look_at_layout(struct tree_backend *self, struct hf_error *error) {
    struct stat stat;
    if (OS_AGAIN(os_stat_at(self->os, self->root_fd, TREE_OWN_FOLDER "/" TREE_INDEX_NAME, &stat)) == 0)
        return 0;
    return tree_guess_layout(self->os, self->root_fd, &self->options, error);
}

static int open_own_folder(struct tree_backend *self, struct hf_error *error) {
    MEM_AUTO char *own = NULL;
    int code = join_text(self->options.folder, "/" TREE_OWN_FOLDER, &own, error);
    if (code == 0 && !self->store_options.read_only)
        code = file_make_folders(self->os, self->options.folder, TREE_MODE, error);
    if (code == 0)
        code = file_open_folder(self->os, AT_FDCWD, self->options.folder, &self->root_fd, error);
    if (code == 0)
        code = look_at_layout(self, error);
    if (code == 0 && !self->store_options.read_only)
        code = file_make_folders(self->os, own, OWN_MODE, error);
    if (code)
        return code;
    code = file_open_folder(self->os, self->root_fd, TREE_OWN_FOLDER, &self->own_fd, error);
    return code;
}

/* A folder of ours in the own folder: made when it is not there. */
static int open_our_folder(struct tree_backend *self, const char *name, int *ret_fd, struct hf_error *error) {
    struct stat stat;
    int result = OS_AGAIN(os_mkdir(self->os, self->own_fd, name, OWN_MODE));
    if (result != 0 && result != -EEXIST)
        return error_set_errno(error, result, "make folder '%s'", name);
    int code = file_open_folder(self->os, self->own_fd, name, ret_fd, error);
    if (code)
        return code;
    result = OS_AGAIN(os_fstat(self->os, *ret_fd, &stat));
    if (result != 0)
        return error_set_errno(error, result, "stat folder '%s'", name);
    return 0;
}

static int open_again(struct tree_backend *self, const char *name, int *fd, struct hf_error *error) {
    struct stat named, opened;
    int new_fd = -1;
    if (OS_AGAIN(os_stat_at(self->os, self->own_fd, name, &named)) == 0 &&
        OS_AGAIN(os_fstat(self->os, *fd, &opened)) == 0 && named.st_ino == opened.st_ino)
        return 0;
    int code = open_our_folder(self, name, &new_fd, error);
    if (code)
        return code;
    (void)os_close(self->os, *fd);
    *fd = new_fd;
    return 0;
}

int tree_folders_again(struct tree_backend *self, struct hf_error *error) {
    pthread_mutex_lock(&self->lock);
    int code = open_again(self, TREE_STAGED_FOLDER, &self->staged_fd, error);
    if (code == 0)
        code = open_again(self, TREE_ASIDE_FOLDER, &self->aside_fd, error);
    pthread_mutex_unlock(&self->lock);
    return code;
}

static int remove_left(void *arg, int dir_fd, const char *name, const char *path, const struct stat *stat) {
    const struct os *os = arg;
    (void)path;
    int result = OS_AGAIN(os_unlink(os, dir_fd, name, S_ISDIR(stat->st_mode) ? AT_REMOVEDIR : 0));
    return result == -ENOENT ? 0 : result;
}

/* What a crash left in staged/: nobody else writes there, and the owner's lock is ours. */
static int sweep(struct tree_backend *self, struct hf_error *error) {
    struct hf_error found = {0};
    struct os os = *self->os;
    int result = file_walk(self->os, self->staged_fd, remove_left, &os, &found);
    if (result == 0)
        return 0;
    if (found.code == 0)
        error_set_errno(&found, result, "remove what an earlier owner left in '" TREE_STAGED_FOLDER "'");
    error_copy(error, &found);
    return found.code;
}

static int open_staging(struct tree_backend *self, struct hf_error *error) {
    uint8_t random[NAME_RANDOM];
    int code = open_our_folder(self, TREE_STAGED_FOLDER, &self->staged_fd, error);
    if (code == 0)
        code = open_our_folder(self, TREE_ASIDE_FOLDER, &self->aside_fd, error);
    if (code == 0)
        code = sweep(self, error);
    if (code)
        return code;
    int result = OS_AGAIN(os_random(self->os, random, sizeof random));
    if (result != 0)
        return error_set_errno(error, result, "get random bytes");
    text_hex(random, sizeof random, self->name_front);
    code = tree_seen_new(&self->seen, error);
    if (code)
        return code;
    return tree_workers_new(self, self->options.threads, &self->workers, error);
}

static int refuse_layout(struct tree_backend *self, const struct tree_mark *mark, struct hf_error *error) {
    if (!mark->is_there || mark->layout == self->options.layout)
        return 0;
    const char *made_with = mark->layout == TREE_LAYOUT_WATCH ? "watch" : "kind";
    error_set(error, HF_ERR_INVALID, "the tree was made with layout=%s", made_with);
    error_hint(error, "open it with layout=%s; to change it, copy the store to another one", made_with);
    return HF_ERR_INVALID;
}

/* On a full disk what other programs did cannot be taken in: that is no reason to keep back what is there. The mark
 * stays where it is, so it is looked at again. */
static int reconcile(struct tree_backend *self, const struct tree_mark *mark, struct hf_error *error) {
    int code = tree_reconcile(self, mark, error);
    if (mark->is_taking || !store_code_is_soft(code) || code == HF_ERR_NO_MEMORY)
        return code;
    error_clear(error);
    atomic_store(&self->cannot_settle, 1);
    return 0;
}

/* As the owner: files and index are made to agree. */
static int catch_up(struct tree_backend *self, struct hf_error *error) {
    struct tree_mark mark;
    int code = tree_mark_read(self, &mark, error);
    if (code == 0)
        code = refuse_layout(self, &mark, error);
    if (code == 0)
        code = open_staging(self, error);
    if (code)
        return code;
    tree_stage_init(&self->stage, self, self->workers, self->options.threads);
    self->looked_ns = tree_clock_ns(self, mark.at_ns);
    if (self->revision == 0 || mark.revision > self->revision) { /* a new index, or an older one in its place */
        mark = (struct tree_mark){.is_there = 1, .is_taking = 1, .layout = self->options.layout};
        code = tree_mark_write(self, &mark, 0, error);
    }
    if (code == 0 && !mark.is_taking)
        code = tree_recover(self, &mark, error);
    if (code == 0)
        code = reconcile(self, &mark, error);
    if (code == 0) {
        self->settled_revision = 0;
        self->unsettled = 1;
        tree_settle(self);
        tree_trash_empty(self, 0);
    }
    return code;
}

static int open_index(struct tree_backend *self, struct hf_error *error) {
    MEM_AUTO char *path = NULL;
    int code = join_text(self->options.folder, "/" TREE_OWN_FOLDER "/" TREE_INDEX_NAME, &path, error);
    if (code)
        return code;
    code = store_sqlite_ops.open(self->os, path, &self->store_options, &self->inner, &self->revision, error);
    if (code == HF_ERR_CORRUPT)
        error_hint(error, "the documents are in the files: move '" TREE_OWN_FOLDER
                          "' away, and all of them are taken in again when the tree is opened; revisions, events, "
                          "history and what no file has yet are in the old index only");
    return code ? error_wrap(error, code, "open the index") : 0;
}

static void fill_options(struct tree_backend *self, const struct hf_store_options *options) {
    enum { DEFAULT_DOCUMENT_BYTES = 10 << 20 };
    if (options)
        self->store_options = *options;
    self->limits.max_bytes = self->store_options.max_document_bytes ? self->store_options.max_document_bytes
                                                                    : (size_t)DEFAULT_DOCUMENT_BYTES;
    self->limits.max_depth = self->store_options.max_document_depth;
}

static int new_backend(const struct os *os, const char *rest, const struct hf_store_options *options,
                       struct tree_backend **ret_self, struct hf_error *error) {
    struct tree_options parsed;
    int code = tree_options_parse(rest, &parsed, error);
    if (code)
        return code;
    struct tree_backend *self = MEM_NEW(struct tree_backend);
    if (!self) {
        tree_options_fini(&parsed);
        return error_no_memory(error);
    }
    self->base.ops = &store_tree_ops;
    self->os = os;
    self->options = parsed;
    self->options.threads = tree_crew_threads(parsed.threads);
    self->root_fd = self->own_fd = self->staged_fd = self->aside_fd = -1;
    fill_options(self, options);
    pthread_mutex_init(&self->lock, NULL);
    pthread_mutex_init(&self->maps, NULL);
    pthread_mutex_init(&self->check_lock, NULL);
    map_init(&self->pending);
    map_init(&self->damaged);
    tree_stage_init(&self->stage, self, NULL, 1);
    *ret_self = self;
    return 0;
}

/* Whether there is an index; *ret_revision and so on only then. */
static int has_index(struct tree_backend *self, int *ret_has, struct hf_error *error) {
    struct stat stat;
    int result = OS_AGAIN(os_stat_at(self->os, self->own_fd, TREE_INDEX_NAME, &stat));
    if (result != 0 && result != -ENOENT)
        return error_set_errno(error, result, "stat '" TREE_INDEX_NAME "'");
    *ret_has = result == 0;
    return 0;
}

/* Files alone: *ret_raw is set. */
static int open_to_read(struct tree_backend *self, struct store_backend **ret_raw, struct hf_error *error) {
    int has = 0, code = open_own_folder(self, error);
    if (code == HF_ERR_NOT_FOUND && self->root_fd >= 0) {
        error_clear(error);
        code = 0;
    } else if (code == 0) {
        code = has_index(self, &has, error);
    }
    if (code == 0 && has)
        return open_index(self, error);
    if (code)
        return code;
    int root_fd = self->root_fd;
    self->root_fd = -1;
    return tree_raw_open(self->os, root_fd, &self->options, &self->store_options, ret_raw, error);
}

static int open_to_write(struct tree_backend *self, struct hf_error *error) {
    int code = open_own_folder(self, error);
    if (code == 0)
        code = open_index(self, error);
    if (code == 0)
        code = catch_up(self, error);
    return code;
}

int tree_open(const struct os *os, const char *rest, const struct hf_store_options *options,
              struct store_backend **ret_backend, uint64_t *ret_revision, struct hf_error *error) {
    struct tree_backend *self = NULL;
    struct store_backend *raw = NULL;
    int code = new_backend(os, rest, options, &self, error);
    if (code)
        return code;
    code = self->store_options.read_only ? open_to_read(self, &raw, error) : open_to_write(self, error);
    struct store_backend *opened = &self->base;
    if (code == 0 && !raw) {
        self->is_open = 1;
        *ret_backend = opened;
        *ret_revision = self->revision;
        return 0;
    }
    tree_close(&opened);
    if (code == 0) {
        *ret_backend = raw;
        *ret_revision = 0;
    }
    return code;
}
