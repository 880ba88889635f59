/* Behind the commit point: temporary files go into their places, and files of deleted records go.
 *
 * Invariants
 *  1. What stands in a place is replaced or removed only when it is a regular file; when it is not what the index had
 *     (as it was looked at, and was not touched since), it is kept aside first.
 *  2. Folders are entered by a descriptor that follows no link.
 *  3. What does not work leaves everything as it was, and makes the key pending. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "store/tree_backend.h"

enum { FOLDER_MODE = 0777, MANY = 32 };

/* The folder that was used last: neighbours in a batch often share it. */
struct hand {
    struct tree_backend *self;
    struct tree_stage *stage;
    struct tree_worker *worker;
    char folder[sizeof((struct tree_path *)0)->folder];
    int fd;         /* -1: none */
    int is_changed; /* it must be synced when each file is durable */
    int is_root_changed;
};

/* The commit is done whatever this says; but then nobody may believe that the names are on disk. */
static void sync_folder(struct hand *hand, int fd) {
    if (hand->stage->durable == TREE_DURABLE_FILE && OS_AGAIN(os_fsync(hand->self->os, fd)) != 0)
        atomic_store(&hand->self->cannot_settle, 1);
}

static void let_go(struct hand *hand) {
    if (hand->fd < 0)
        return;
    if (hand->is_changed)
        sync_folder(hand, hand->fd);
    (void)os_close(hand->self->os, hand->fd);
    hand->fd = -1;
    hand->is_changed = 0;
}

static int open_folder(struct hand *hand, const char *folder) {
    return OS_AGAIN(os_open(hand->self->os, hand->self->root_fd, folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0));
}

static int make_folder(struct hand *hand, const char *folder) {
    int result = OS_AGAIN(os_mkdir(hand->self->os, hand->self->root_fd, folder, FOLDER_MODE));
    if (result == 0)
        hand->is_root_changed = 1;
    return result == -EEXIST ? 0 : result;
}

/* A descriptor of the folder, or a negative errno. `makes`: it is made when it is not there. */
static int take_folder(struct hand *hand, const char *folder, int makes, int is_likely_new) {
    if (folder[0] == '\0') {
        hand->is_root_changed = 1;
        return hand->self->root_fd;
    }
    if (hand->fd >= 0 && strcmp(folder, hand->folder) == 0)
        return hand->fd;
    let_go(hand);
    int result = makes && is_likely_new ? make_folder(hand, folder) : 0;
    int fd = result == 0 ? open_folder(hand, folder) : result;
    if (fd == -ENOENT && makes) {
        result = make_folder(hand, folder);
        fd = result == 0 ? open_folder(hand, folder) : result;
    }
    if (fd < 0)
        return fd;
    hand->fd = fd;
    snprintf(hand->folder, sizeof hand->folder, "%s", folder);
    return fd;
}

/* 1: a regular file is there; 0: nothing; else a negative errno. */
static int stat_place(struct hand *hand, int fd, const struct tree_path *path, struct stat *ret_stat) {
    int result = OS_AGAIN(os_stat_at(hand->self->os, fd, path->name, ret_stat));
    if (result == -ENOENT)
        return 0;
    if (result != 0)
        return result;
    if (S_ISREG(ret_stat->st_mode))
        return 1;
    return S_ISLNK(ret_stat->st_mode) ? -ELOOP : S_ISDIR(ret_stat->st_mode) ? -EISDIR : -EEXIST;
}

static int is_as_seen(const struct tree_entry *entry, const struct stat *stat) {
    return entry->is_there && entry->seen_ns == tree_ctime_ns(stat);
}

/* It was changed while it was about to be replaced. 1 when it holds the new document all the same. */
static int has_become_right(struct hand *hand, const struct tree_path *path, const struct tree_entry *entry) {
    struct tree_look look;
    int code = tree_look(&hand->worker->reader, path, &look, NULL);
    return code == 0 && look.code == 0 && memcmp(look.hash, entry->hash, HF_HASH_BYTES) == 0;
}

/* A file that is renamed over is freed in that moment, which takes ten times as long as the rename. Swapped, it is
 * freed when there is time. */
static int swap(struct hand *hand, int fd, const struct tree_path *path, const char *temporary,
                struct tree_entry *entry) {
    struct tree_backend *self = hand->self;
    int result = OS_AGAIN(os_rename(self->os, self->staged_fd, temporary, fd, path->name, RENAME_EXCHANGE));
    if (result != 0)
        return result; /* not every file system can do that */
    tree_trash_add(self, entry->number);
    entry->number = 0;
    return 0;
}

static int put_over(struct hand *hand, int fd, const struct tree_path *path, const char *temporary,
                    struct tree_entry *entry) {
    struct stat stat;
    int there = stat_place(hand, fd, path, &stat);
    if (there < 0)
        return there;
    if (there && !is_as_seen(entry, &stat)) {
        if (!hand->stage->is_anew && has_become_right(hand, path, entry))
            return 0;
        entry->is_other = 1;
    }
    int result = there && entry->is_other ? tree_aside(hand->self, fd, path, 0) : 0;
    if (result != 0)
        return result;
    if (there && swap(hand, fd, path, temporary, entry) == 0)
        return 0;
    result = OS_AGAIN(os_rename(hand->self->os, hand->self->staged_fd, temporary, fd, path->name, 0));
    if (result == 0)
        entry->number = 0;
    return result;
}

static int put_there(struct hand *hand, int fd, const struct tree_path *path, const char *temporary,
                     struct tree_entry *entry) {
    if (entry->is_there)
        return put_over(hand, fd, path, temporary, entry);
    int result =
        OS_AGAIN(os_rename(hand->self->os, hand->self->staged_fd, temporary, fd, path->name, RENAME_NOREPLACE));
    if (result == 0)
        entry->number = 0;
    if (result == -EEXIST || result == -EINVAL || result == -ENOSYS)
        return put_over(hand, fd, path, temporary, entry);
    return result;
}

static int put(struct hand *hand, const struct tree_path *path, struct tree_entry *entry) {
    char temporary[TREE_TEMPORARY_BYTES];
    if (!entry->number)
        return 0; /* it is right */
    int fd = take_folder(hand, path->folder, 1, !entry->is_there);
    if (fd < 0)
        return fd;
    if (fd == hand->fd) /* files of the root come in between */
        hand->is_changed = 1;
    tree_temporary_name(hand->self, entry->number, temporary);
    struct stat stat;
    int result = put_there(hand, fd, path, temporary, entry);
    if (result == 0 && entry->number == 0 && OS_AGAIN(os_stat_at(hand->self->os, fd, path->name, &stat)) == 0)
        tree_seen_set(hand->self, entry->kind, entry->id, &stat);
    return result;
}

/* Links and the like are not ours: they stay. */
static int is_not_ours(int result) {
    return result == -ENOENT || result == -ENOTDIR || result == -ELOOP || result == -EISDIR || result == -EEXIST;
}

static void remove_folder(struct hand *hand, const struct tree_path *path) {
    if (path->folder[0] == '\0')
        return;
    if (OS_AGAIN(os_unlink(hand->self->os, hand->self->root_fd, path->folder, AT_REMOVEDIR)) != 0)
        return; /* there is more in it */
    hand->is_changed = 0;
    hand->is_root_changed = 1;
    let_go(hand);
}

static int take_away(struct hand *hand, const struct tree_path *path, const struct tree_entry *entry) {
    struct stat stat;
    int fd = take_folder(hand, path->folder, 0, 0);
    if (fd < 0)
        return is_not_ours(fd) ? 0 : fd;
    int there = stat_place(hand, fd, path, &stat);
    if (there < 0)
        return is_not_ours(there) ? 0 : there;
    int result = 0;
    if (there && (entry->is_other || !is_as_seen(entry, &stat)))
        result = tree_aside(hand->self, fd, path, 1);
    else if (there)
        result = OS_AGAIN(os_unlink(hand->self->os, fd, path->name, 0));
    if (result != 0 && result != -ENOENT)
        return result;
    if (fd == hand->fd) /* files of the root come in between */
        hand->is_changed = 1;
    remove_folder(hand, path);
    return 0;
}

static void remember(struct tree_backend *self, const struct tree_entry *entry, const struct tree_path *path,
                     int negative_errno) {
    struct hf_error why = {0};
    char text[TREE_PATH_BYTES];
    tree_path_text(path, text);
    error_set_errno(&why, negative_errno, "file '%s' could not be %s", text, entry->json ? "written" : "removed");
    tree_pending_set(self, entry->kind, entry->id, why.message);
}

static void place_one(struct hand *hand, struct tree_entry *entry) {
    struct tree_backend *self = hand->self;
    struct tree_path path;
    tree_path_of(self->options.layout, entry->kind, entry->id, &path);
    int result = entry->json ? put(hand, &path, entry) : take_away(hand, &path, entry);
    if (result != 0)
        remember(self, entry, &path, result);
    else
        tree_maps_clear(self, entry->kind, entry->id);
}

static int put_one(void *arg, unsigned worker, size_t index) {
    struct hand *hand = (struct hand *)arg + worker;
    if (hand->stage->items[index].json)
        place_one(hand, &hand->stage->items[index]);
    return 0;
}

static void init_hand(struct hand *hand, struct tree_backend *self, struct tree_stage *stage, unsigned worker) {
    *hand = (struct hand){.self = self, .stage = stage, .worker = &stage->workers[worker], .fd = -1};
}

static void end_hand(struct hand *hand) {
    let_go(hand);
    if (hand->is_root_changed)
        sync_folder(hand, hand->self->root_fd);
}

void tree_place(struct tree_backend *self, struct tree_stage *stage) {
    struct hand hands[MANY];
    /* Of many files in one folder, one is renamed after the other anyway. */
    int is_shared = self->options.layout == TREE_LAYOUT_KIND || stage->count < MANY;
    unsigned threads = is_shared ? 1 : stage->threads < MANY ? stage->threads : MANY;
    for (unsigned i = 0; i < threads; i++)
        init_hand(&hands[i], self, stage, i);
    const struct tree_crew crew = {.threads = threads, .ahead = TREE_BATCH_COUNT, .work = put_one, .arg = hands};
    if (tree_crew_run(&crew, stage->count, NULL) != 0)
        for (size_t i = 0; i < stage->count; i++)
            (void)put_one(hands, 0, i);
    for (size_t i = 0; i < stage->count; i++) /* alone: a folder that becomes empty goes, too */
        if (!stage->items[i].json)
            place_one(&hands[0], &stage->items[i]);
    for (unsigned i = 0; i < threads; i++)
        end_hand(&hands[i]);
}
