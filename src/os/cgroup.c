#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "os/file.h"
#include "os/process.h"

#define PIDS_MAX "4096" /* of a child's group: stops a fork bomb */
enum { CGROUP_FILE_MAX = 1024 * 1024, KILL_ROUNDS = 500, KILL_PAUSE_MS = 2 };

struct cgroup_root {
    const struct os *os;
    int fd;
    char *path;  /* in the file system */
    char *group; /* as the kernel names it: behind the mount */
};

static int write_file(const struct os *os, int dir_fd, const char *path, const char *text) {
    int fd = os_open(os, dir_fd, path, O_WRONLY | O_NOFOLLOW, 0);
    if (fd < 0)
        return fd;
    ssize_t put = os_write(os, fd, text, strlen(text));
    (void)os_close(os, fd);
    return put < 0 ? (int)put : 0;
}

static int read_in(struct cgroup_root *root, const char *name, const char *file, struct buf *ret_text,
                   struct hf_error *error) {
    char path[NAME_MAX + 64];
    (void)snprintf(path, sizeof path, "%s/%s", name, file);
    return file_read(root->os, root->fd, path, CGROUP_FILE_MAX, ret_text, error);
}

static int write_in(struct cgroup_root *root, const char *name, const char *file, const char *text) {
    char path[NAME_MAX + 64];
    (void)snprintf(path, sizeof path, "%s/%s", name, file);
    return write_file(root->os, root->fd, path, text);
}

static int check_name(const char *name, struct hf_error *error) {
    if (name[0] != '\0' && name[0] != '.' && strchr(name, '/') == NULL && strlen(name) <= NAME_MAX)
        return 0;
    return error_set(error, HF_ERR_BAD_ID, "cgroup name '%s' is not acceptable", name);
}

static const char *find_mount(const struct os *os) {
    static const char *const mounts[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};
    for (size_t i = 0; i < sizeof mounts / sizeof mounts[0]; i++) {
        char path[64];
        struct stat stat;
        (void)snprintf(path, sizeof path, "%s/cgroup.controllers", mounts[i]);
        if (os_stat_at(os, AT_FDCWD, path, &stat) == 0)
            return mounts[i];
    }
    return NULL;
}

/* The line "0::/path" of /proc/PID/cgroup; cuts the text there. NULL when there is none. */
static char *unified_group(struct buf *text) {
    for (char *line = text->data; line != NULL && *line != '\0';) {
        char *end = strchrnul(line, '\n');
        int is_last = *end == '\0';
        *end = '\0';
        if (strncmp(line, "0::/", 4) == 0)
            return line + 3;
        line = is_last ? NULL : end + 1;
    }
    return NULL;
}

/* root->path, root->group from where this process is now. */
static int find_place(struct cgroup_root *root, const char *instance, struct hf_error *error) {
    const char *mount = find_mount(root->os);
    if (mount == NULL)
        return error_set(error, HF_ERR_UNSUPPORTED, "no cgroup version 2 is mounted");
    struct buf BUF_AUTO text, path;
    buf_init(&text);
    buf_init(&path);
    if (file_read(root->os, AT_FDCWD, "/proc/self/cgroup", CGROUP_FILE_MAX, &text, NULL) != 0)
        return error_set(error, HF_ERR_UNSUPPORTED, "the own cgroup cannot be read");
    const char *own = unified_group(&text);
    if (own == NULL)
        return error_set(error, HF_ERR_UNSUPPORTED, "this process is in no cgroup of version 2");
    buf_printf(&path, "%s%s/holdfast-%s", mount, strcmp(own, "/") == 0 ? "" : own, instance);
    if (path.failed)
        return error_no_memory(error);
    root->path = buf_take(&path);
    root->group = mem_strdup(root->path + strlen(mount));
    return root->group != NULL ? 0 : error_no_memory(error);
}

/* A child moves from our group into one below: the kernel asks for the right to write our own list of processes. */
static int may_move(struct cgroup_root *root) {
    int fd = os_open(root->os, root->fd, "../cgroup.procs", O_WRONLY, 0);
    if (fd < 0)
        return fd;
    (void)os_close(root->os, fd);
    return 0;
}

static int make_root(struct cgroup_root *root, struct hf_error *error) {
    int result = os_mkdir(root->os, AT_FDCWD, root->path, 0755);
    if (result != 0 && result != -EEXIST)
        return error_set(error, HF_ERR_UNSUPPORTED, "make '%s': %s", root->path, strerror(-result));
    if (file_open_folder(root->os, AT_FDCWD, root->path, &root->fd, NULL) != 0)
        return error_set(error, HF_ERR_UNSUPPORTED, "'%s' cannot be opened", root->path);
    result = may_move(root);
    if (result != 0)
        return error_set(error, HF_ERR_UNSUPPORTED, "processes may not be moved into '%s': %s", root->path,
                         strerror(-result));
    /* Only where the system hands the controller down; the groups work without it. */
    (void)write_file(root->os, root->fd, "cgroup.subtree_control", "+pids");
    return 0;
}

int cgroup_root_open(const struct os *os, const char *instance, struct cgroup_root **ret_root, struct hf_error *error) {
    struct cgroup_root *root = MEM_NEW(struct cgroup_root);
    if (root == NULL)
        return error_set(error, HF_ERR_NO_MEMORY, "open cgroup: memory is used up");
    *root = (struct cgroup_root){.os = os, .fd = -1};
    int result = check_name(instance, error);
    if (result == 0)
        result = find_place(root, instance, error);
    if (result == 0)
        result = make_root(root, error);
    if (result != 0) {
        cgroup_root_close(&root);
        return error_wrap(error, result, "open cgroup");
    }
    *ret_root = root;
    return 0;
}

static int remove_group(void *arg, int dir_fd, const char *name, const char *path, const struct stat *stat) {
    (void)path;
    const struct os *os = arg;
    if (S_ISDIR(stat->st_mode))
        (void)os_unlink(os, dir_fd, name, AT_REMOVEDIR); /* fails while somebody is in it: then it stays */
    return 0;
}

void cgroup_root_close(struct cgroup_root **root) {
    if (root == NULL || *root == NULL)
        return;
    struct cgroup_root *old = *root;
    if (old->fd >= 0) {
        (void)file_walk(old->os, old->fd, remove_group, (void *)old->os, NULL);
        (void)os_close(old->os, old->fd);
        (void)os_unlink(old->os, AT_FDCWD, old->path, AT_REMOVEDIR);
    }
    mem_free(old->path);
    mem_free(old->group);
    mem_free(old);
    *root = NULL;
}

int cgroup_make(struct cgroup_root *root, const char *name, char *ret_procs_path, size_t room, struct hf_error *error) {
    int result = check_name(name, error);
    if (result != 0)
        return result;
    char path[PATH_MAX];
    int size = snprintf(path, sizeof path, "%s/%s/cgroup.procs", root->path, name);
    if (size < 0 || (size_t)size >= sizeof path || (size_t)size >= room)
        return error_set(error, HF_ERR_TOO_LARGE, "make cgroup '%s': its path is too long", name);
    result = os_mkdir(root->os, root->fd, name, 0755);
    if (result != 0 && result != -EEXIST)
        return error_set_errno(error, result, "make cgroup '%s'", name);
    (void)write_in(root, name, "pids.max", PIDS_MAX);
    memcpy(ret_procs_path, path, (size_t)size + 1);
    return 0;
}

/* By pidfd, asked again whether it is in the group: the number may have been re-used since the list was read. */
static void kill_member(struct cgroup_root *root, const char *name, pid_t pid) {
    int pidfd = os_pidfd_open(root->os, pid);
    if (pidfd < 0)
        return;
    char path[48];
    (void)snprintf(path, sizeof path, "/proc/%d/cgroup", (int)pid);
    struct buf BUF_AUTO text, expected;
    buf_init(&text);
    buf_init(&expected);
    buf_printf(&expected, "%s/%s", root->group, name);
    if (!expected.failed && file_read(root->os, AT_FDCWD, path, CGROUP_FILE_MAX, &text, NULL) == 0 &&
        text_is_equal(unified_group(&text), buf_text(&expected)))
        (void)os_pidfd_signal(root->os, pidfd, SIGKILL);
    (void)os_close(root->os, pidfd);
}

/* For kernels before 5.14. In rounds, for what forks meanwhile. */
static int kill_one_by_one(struct cgroup_root *root, const char *name, struct hf_error *error) {
    for (int round = 0; round < KILL_ROUNDS; round++) {
        struct buf BUF_AUTO text;
        buf_init(&text);
        int result = read_in(root, name, "cgroup.procs", &text, error);
        if (result != 0)
            return result;
        if (text.size == 0)
            return 0;
        char *rest = NULL;
        for (char *line = strtok_r(text.data, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
            uint64_t pid;
            if (text_to_u64(line, &pid) == 0 && pid > 1 && pid <= INT32_MAX)
                kill_member(root, name, (pid_t)pid);
        }
        os_sleep_ms(root->os, KILL_PAUSE_MS);
    }
    return error_set(error, HF_ERR_TIMEOUT, "processes are left in it");
}

int cgroup_kill(struct cgroup_root *root, const char *name, struct hf_error *error) {
    int result = check_name(name, error);
    if (result != 0)
        return result;
    struct stat stat;
    if (os_stat_at(root->os, root->fd, name, &stat) == -ENOENT)
        return 0; /* there is nobody in it */
    result = write_in(root, name, "cgroup.kill", "1");
    if (result == 0)
        return 0;
    if (result == -ENOENT)
        result = kill_one_by_one(root, name, error);
    else
        result = error_set_errno(error, result, "write 'cgroup.kill'");
    return result == 0 ? 0 : error_wrap(error, result, "kill cgroup '%s'", name);
}

int cgroup_is_empty(struct cgroup_root *root, const char *name) {
    struct buf BUF_AUTO text;
    buf_init(&text);
    int result = read_in(root, name, "cgroup.events", &text, NULL);
    return result == HF_ERR_NOT_FOUND || (result == 0 && strstr(buf_text(&text), "populated 0") != NULL);
}

void cgroup_remove(struct cgroup_root *root, const char *name) {
    int fd;
    if (check_name(name, NULL) != 0 || file_open_folder(root->os, root->fd, name, &fd, NULL) != 0)
        return;
    (void)file_walk(root->os, fd, remove_group, (void *)root->os, NULL); /* groups that a child made in its own */
    (void)os_close(root->os, fd);
    (void)os_unlink(root->os, root->fd, name, AT_REMOVEDIR);
}
