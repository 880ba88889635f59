/* What record files there are, from names alone: no file is opened, and none is asked for its size where the folder
 * tells what it is. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "data/ids.h"
#include "os/file.h"
#include "store/tree_files.h"

enum {
    PART_FOLDERS = 64,      /* listed by one thread in one go */
    PARTS_AHEAD = 16,       /* listed before the first of them is put to the others */
    FOLDERS_FOR_CREW = 512, /* with fewer, threads cost more than they save */
};

/* Something to tell, by the caller's thread and in order. */
struct notice {
    const char *what;
    char text[128];
    struct tree_path path;
};

/* What some of the folders hold. */
struct part {
    struct tree_keys keys;
    struct vec notices;
    struct hf_error error;
};

struct lister {
    const struct os *os;
    int root_fd;
    enum tree_layout layout;
    struct arena names;
    struct vec folders; /* below the root, without those that no record can be in */
    struct part parts[PARTS_AHEAD];
    hf_finding_visit found;
    void *found_arg;
    struct tree_keys *keys;
};

/* The walk of one folder. */
struct walk {
    struct lister *lister;
    struct part *part;
    const char *folder; /* "" for the root */
    int dir_fd;
};

static int make_room(struct tree_keys *keys, size_t more) {
    if (keys->room - keys->count >= more)
        return 0;
    size_t room = 2 * keys->room + more;
    struct tree_key *items = mem_realloc(keys->items, room, sizeof *items);
    if (!items)
        return -ENOMEM;
    keys->items = items;
    keys->room = room;
    return 0;
}

/* One block for both texts. */
static int add_key(struct tree_keys *keys, const char *kind, const char *id) {
    size_t kind_bytes = strlen(kind) + 1, id_bytes = strlen(id) + 1;
    char *block = make_room(keys, 1) == 0 ? mem_alloc(kind_bytes + id_bytes) : NULL;
    if (!block)
        return -ENOMEM;
    memcpy(block, kind, kind_bytes);
    memcpy(block + kind_bytes, id, id_bytes);
    keys->items[keys->count++] = (struct tree_key){block, block + kind_bytes};
    return 0;
}

static int add_notice(const struct walk *walk, const char *what, const char *name, const char *text) {
    struct notice *notice = MEM_NEW(struct notice);
    if (!notice || vec_push(&walk->part->notices, notice) != 0) {
        mem_free(notice);
        return -ENOMEM;
    }
    notice->what = what;
    snprintf(notice->text, sizeof notice->text, "%s", text);
    snprintf(notice->path.folder, sizeof notice->path.folder, "%s", walk->folder);
    snprintf(notice->path.name, sizeof notice->path.name, "%s", name);
    return 0;
}

/* In a record's folder there are files of other kinds of programs: only KIND.json is ours to judge. */
static int may_be_record(const struct walk *walk, const char *name) {
    static const char suffix[] = ".json";
    size_t bytes = strlen(name), stem = bytes < strlen(suffix) ? 0 : bytes - strlen(suffix);
    if (bytes < strlen(suffix) || strcmp(name + stem, suffix) != 0)
        return 0;
    if (walk->lister->layout == TREE_LAYOUT_KIND || walk->folder[0] == '\0')
        return 1;
    char kind[HF_KIND_MAX + 2];
    snprintf(kind, sizeof kind, "%.*s", (int)stem, name);
    return ids_check_kind(kind, NULL) == 0;
}

static int add_file(const struct walk *walk, const char *name) {
    char kind[HF_KIND_MAX + 1], id[HF_ID_MAX + 1];
    struct hf_error why;
    if (!may_be_record(walk, name))
        return 0;
    if (tree_path_key(walk->lister->layout, walk->folder, name, kind, id, &why) == 0)
        return add_key(&walk->part->keys, kind, id);
    return add_notice(walk, "bad_name", name, why.message);
}

static int add_folder(const struct walk *walk, const char *name) {
    struct lister *lister = walk->lister;
    if (walk->folder[0] != '\0' || name[0] == '.')
        return 0;
    if (lister->layout == TREE_LAYOUT_KIND && ids_check_kind(name, NULL) != 0)
        return 0;
    char *copy = arena_strdup(&lister->names, name);
    return copy && vec_push(&lister->folders, copy) == 0 ? 0 : -ENOMEM;
}

/* What has the name of a record's file and is none (a link, a folder, a pipe) is a key, too: who looks at it tells. */
static int visit_entry(void *arg, const char *name, unsigned char d_type) {
    const struct walk *walk = arg;
    struct stat stat;
    int is_of_records = walk->lister->layout == TREE_LAYOUT_KIND && walk->folder[0] == '\0';
    if (d_type == DT_UNKNOWN && os_stat_at(walk->lister->os, walk->dir_fd, name, &stat) == 0)
        d_type = S_ISDIR(stat.st_mode) ? DT_DIR : DT_REG;
    if (d_type == DT_DIR && walk->folder[0] == '\0' && (is_of_records || !may_be_record(walk, name)))
        return add_folder(walk, name);
    return d_type == DT_REG || !is_of_records ? add_file(walk, name) : 0;
}

/* What cannot be listed is told of; only what we lack ourselves is a failure. */
static int refuse_folder(const struct walk *walk, int negative_errno) {
    struct hf_error why;
    int code = error_code_of_errno(negative_errno);
    if (code == HF_ERR_NO_MEMORY || code == HF_ERR_TOO_MANY_FILES)
        return error_set_errno(&walk->part->error, negative_errno, "list '%s'", walk->folder);
    error_set_errno(&why, negative_errno, "cannot be listed");
    return add_notice(walk, "unreadable_file", "", why.message) == 0 ? 0 : error_no_memory(&walk->part->error);
}

static int list_folder(struct lister *lister, struct part *part, const char *folder) {
    struct walk walk = {.lister = lister, .part = part, .folder = folder};
    int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
    walk.dir_fd = OS_AGAIN(os_open_beneath(lister->os, lister->root_fd, folder, flags, 0));
    if (walk.dir_fd == -ENOENT || walk.dir_fd == -ENOTDIR || walk.dir_fd == -ELOOP)
        return 0; /* not the folder any more that it was a moment ago */
    if (walk.dir_fd < 0)
        return refuse_folder(&walk, walk.dir_fd);
    int result = os_list(lister->os, walk.dir_fd, visit_entry, &walk);
    (void)os_close(lister->os, walk.dir_fd);
    return result == 0 ? 0 : refuse_folder(&walk, result);
}

static int list_part(void *arg, unsigned worker, size_t index) {
    (void)worker;
    struct lister *lister = arg;
    struct part *part = &lister->parts[index % PARTS_AHEAD];
    size_t first = index * PART_FOLDERS, end = first + PART_FOLDERS;
    int code = 0;
    for (size_t i = first; i < end && i < lister->folders.count && code == 0; i++)
        code = list_folder(lister, part, lister->folders.items[i]);
    return code;
}

static void tell(const struct lister *lister, const struct notice *notice) {
    char path[TREE_PATH_BYTES];
    const struct tree_path *at = &notice->path;
    snprintf(path, sizeof path, "%s%s%s", at->folder, at->folder[0] && at->name[0] ? "/" : "", at->name);
    struct hf_finding finding = {.what = notice->what, .text = notice->text, .path = path, .action = "reported"};
    if (lister->found)
        lister->found(lister->found_arg, &finding);
}

static void drop_part(struct part *part) {
    for (size_t i = 0; i < part->notices.count; i++)
        mem_free(part->notices.items[i]);
    vec_fini(&part->notices);
    tree_keys_fini(&part->keys);
}

/* Tells of the part and puts its keys to the others. */
static int end_part(void *arg, size_t index) {
    struct lister *lister = arg;
    struct part *part = &lister->parts[index % PARTS_AHEAD];
    struct tree_keys *all = lister->keys;
    for (size_t i = 0; i < part->notices.count; i++)
        tell(lister, part->notices.items[i]);
    if (make_room(all, part->keys.count) != 0)
        return error_no_memory(&part->error);
    if (part->keys.count > 0)
        memcpy(all->items + all->count, part->keys.items, part->keys.count * sizeof *all->items);
    all->count += part->keys.count;
    part->keys.count = 0;
    drop_part(part);
    return 0;
}

static int list_root(struct lister *lister) {
    struct part *part = &lister->parts[0];
    struct walk walk = {.lister = lister, .part = part, .folder = "", .dir_fd = lister->root_fd};
    int result = os_list(lister->os, lister->root_fd, visit_entry, &walk);
    if (result != 0)
        return error_set_errno(&part->error, result, "list the folder");
    return end_part(lister, 0);
}

static int list_folders(struct lister *lister, struct hf_error *error) {
    size_t folders = lister->folders.count;
    struct tree_crew crew = {
        .threads = folders < FOLDERS_FOR_CREW ? 1 : 0,
        .ahead = PARTS_AHEAD,
        .work = list_part,
        .done = end_part,
        .arg = lister,
    };
    int code = tree_crew_run(&crew, (folders + PART_FOLDERS - 1) / PART_FOLDERS, error);
    for (size_t i = 0; i < PARTS_AHEAD && code != 0; i++)
        if (lister->parts[i].error.code == code)
            error_copy(error, &lister->parts[i].error);
    return code;
}

static int compare_keys(const void *a, const void *b) {
    const struct tree_key *left = a, *right = b;
    int order = strcmp(left->kind, right->kind);
    return order ? order : strcmp(left->id, right->id);
}

int tree_keys_list(const struct os *os, int root_fd, enum tree_layout layout, hf_finding_visit found, void *found_arg,
                   struct tree_keys *ret_keys, struct hf_error *error) {
    struct tree_keys keys = {0};
    struct lister lister = {.os = os, .root_fd = root_fd, .layout = layout, .found = found, .found_arg = found_arg};
    lister.keys = &keys;
    arena_init(&lister.names);
    vec_init(&lister.folders);
    int code = list_root(&lister);
    if (code != 0)
        error_copy(error, &lister.parts[0].error);
    else
        code = list_folders(&lister, error);
    for (size_t i = 0; i < PARTS_AHEAD; i++)
        drop_part(&lister.parts[i]);
    vec_fini(&lister.folders);
    arena_fini(&lister.names);
    if (code != 0) {
        tree_keys_fini(&keys);
        return code;
    }
    if (keys.count > 0)
        qsort(keys.items, keys.count, sizeof keys.items[0], compare_keys);
    *ret_keys = keys;
    return 0;
}

void tree_keys_fini(struct tree_keys *keys) {
    for (size_t i = 0; i < keys->count; i++)
        mem_free(keys->items[i].kind); /* the id is in the same block */
    mem_free(keys->items);
    *keys = (struct tree_keys){0};
}
