/* One file, read and judged. Whatever lies there: what is read is bounded, and nothing but its own text is believed. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "data/ids.h"
#include "os/file.h"
#include "store/tree_files.h"

enum {
    NODES_KEPT = 1 << 16,
    BYTES_KEPT = 1 << 20, /* memory of a larger document is not held for the next one */
    TRIES = 3,            /* to find a file whole that is being written in place */
};

void tree_reader_init(struct tree_reader *reader, const struct os *os, int root_fd, const struct json_limits *limits) {
    *reader = (struct tree_reader){.os = os, .root_fd = root_fd, .layout = TREE_LAYOUT_KIND};
    if (limits)
        reader->limits = *limits;
    json_init(&reader->doc);
    buf_init(&reader->bytes);
    buf_init(&reader->scratch);
}

void tree_reader_fini(struct tree_reader *reader) {
    json_fini(&reader->doc);
    buf_fini(&reader->bytes);
    buf_fini(&reader->scratch);
}

static void drop_large_memory(struct tree_reader *reader) {
    if (reader->doc.room > NODES_KEPT) {
        json_fini(&reader->doc);
        json_init(&reader->doc);
    }
    if (reader->bytes.room > BYTES_KEPT)
        buf_fini(&reader->bytes);
    if (reader->scratch.room > BYTES_KEPT)
        buf_fini(&reader->scratch);
}

static void judge(struct tree_look *look, int code, const char *what, const char *text) {
    look->code = code;
    look->what = what;
    snprintf(look->text, sizeof look->text, "%s", text);
}

/* A call on the file failed: that is what is told of it, unless it is us who lack something. */
static int judge_errno(struct tree_look *look, const char *step, int negative_errno, struct hf_error *error) {
    int code = negative_errno == -ENOTDIR ? HF_ERR_NOT_FOUND : error_code_of_errno(negative_errno);
    if (code == HF_ERR_NO_MEMORY || code == HF_ERR_TOO_MANY_FILES)
        return error_set_errno(error, negative_errno, "%s", step);
    if (code == HF_ERR_NOT_FOUND) {
        judge(look, code, "missing_file", "is not there");
    } else if (code == HF_ERR_UNSAFE_PATH) {
        judge(look, code, "unreadable_file", "is a symbolic link, or lies behind one");
    } else {
        judge(look, code, "unreadable_file", "");
        snprintf(look->text, sizeof look->text, "cannot be read: %s: %s", step, strerrordesc_np(-negative_errno));
    }
    return 0;
}

static size_t limit_of(const struct tree_reader *reader) {
    return reader->limits.max_bytes ? reader->limits.max_bytes : UINT32_MAX - 1;
}

/* Into reader->bytes; size is within the limit. One byte more is asked for: it tells that the file grew meanwhile. */
static int read_bytes(struct tree_reader *reader, int fd, size_t size, struct tree_look *look, struct hf_error *error) {
    buf_clear(&reader->bytes);
    char *to = buf_reserve(&reader->bytes, size + 1);
    if (!to)
        return error_no_memory(error);
    ssize_t got = file_pread_full(reader->os, fd, to, size + 1, 0);
    if (got < 0)
        return judge_errno(look, "read", (int)got, error);
    reader->bytes.size = (size_t)got;
    to[got] = '\0';
    if ((size_t)got != size)
        judge(look, HF_ERR_CORRUPT, "damaged_file", "is being written by another program");
    return 0;
}

static void judge_json(const struct tree_reader *reader, const struct hf_error *problem, struct tree_look *look) {
    static const char front[] = "read JSON: ";
    const struct buf *bytes = &reader->bytes;
    const char *text = problem->message;
    if (strncmp(text, front, strlen(front)) == 0)
        text += strlen(front);
    judge(look, HF_ERR_CORRUPT, "damaged_file", "holds nothing but zero bytes");
    if (bytes->data[0] != '\0' || memcmp(bytes->data, bytes->data + 1, bytes->size - 1) != 0)
        snprintf(look->text, sizeof look->text, "%s: %s",
                 problem->code == HF_ERR_TOO_LARGE ? "is nested too deeply" : "is not JSON", text);
}

static void judge_uuid(const struct tree_path *path, const char *uuid, size_t bytes, struct tree_look *look) {
    struct tree_path own;
    int is_id = ids_check(uuid, bytes, NULL) == 0;
    if (is_id)
        tree_path_of(TREE_LAYOUT_WATCH, "watch", uuid, &own);
    if (is_id && strcmp(own.folder, path->folder) == 0)
        return;
    judge(look, HF_ERR_CORRUPT, "damaged_file", "is the document of another record");
    if (is_id)
        snprintf(look->text, sizeof look->text, "is the document of '%s'", uuid);
}

/* A watch says itself whose it is: one that was copied into another's folder would be taken for that one. */
static int check_uuid(const struct tree_reader *reader, const struct tree_path *path, struct tree_look *look,
                      struct hf_error *error) {
    if (reader->layout != TREE_LAYOUT_WATCH || path->folder[0] == '\0' || strcmp(path->name, "watch.json") != 0)
        return 0;
    uint32_t member = json_member(&reader->doc, 0, "uuid");
    if (json_type_of(&reader->doc, member) != JSON_STRING)
        return 0;
    struct arena arena;
    arena_init(&arena);
    size_t bytes;
    const char *uuid = json_to_text(&reader->doc, member, &arena, &bytes);
    if (uuid)
        judge_uuid(path, uuid, bytes, look);
    arena_fini(&arena);
    return uuid ? 0 : error_no_memory(error);
}

/* What look->stat tells, then what the bytes tell. */
static int look_once(struct tree_reader *reader, const struct tree_path *path, int fd, struct tree_look *look,
                     struct hf_error *error) {
    const struct stat *stat = &look->stat;
    struct hf_error problem;
    if (!S_ISREG(stat->st_mode)) {
        judge(look, HF_ERR_UNSAFE_PATH, "unreadable_file", "is not a regular file");
        return 0;
    }
    if (stat->st_size == 0) {
        judge(look, HF_ERR_CORRUPT, "damaged_file", "is empty");
        return 0;
    }
    if ((uint64_t)stat->st_size > limit_of(reader)) {
        judge(look, HF_ERR_TOO_LARGE, "oversize_file", "");
        snprintf(look->text, sizeof look->text, "has %lld bytes, over the limit of %zu", (long long)stat->st_size,
                 limit_of(reader));
        return 0;
    }
    int code = read_bytes(reader, fd, (size_t)stat->st_size, look, error);
    if (code != 0 || look->code != 0)
        return code;
    code = json_hash(&reader->doc, &reader->scratch, reader->bytes.data, reader->bytes.size, &reader->limits,
                     look->hash, &problem);
    if (code == HF_ERR_NO_MEMORY)
        return error_no_memory(error);
    if (code == 0)
        return check_uuid(reader, path, look, error);
    judge_json(reader, &problem, look);
    return 0;
}

static int is_same_state(const struct stat *a, const struct stat *b) {
    return a->st_size == b->st_size && a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
           a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* A file that looks damaged and changed meanwhile is looked at again: somebody writes it in place. */
static int look_at(struct tree_reader *reader, const struct tree_path *path, int fd, struct tree_look *look,
                   struct hf_error *error) {
    struct stat stat;
    int code = os_fstat(reader->os, fd, &stat);
    for (int i = 0; i < TRIES && code == 0; i++) {
        *look = (struct tree_look){.stat = stat};
        int result = look_once(reader, path, fd, look, error);
        if (result != 0 || look->code != HF_ERR_CORRUPT)
            return result;
        code = os_fstat(reader->os, fd, &stat);
        if (code == 0 && is_same_state(&stat, &look->stat))
            return 0;
    }
    return code == 0 ? 0 : judge_errno(look, "stat", code, error);
}

int tree_look(struct tree_reader *reader, const struct tree_path *path, struct tree_look *ret_look,
              struct hf_error *error) {
    char joined[TREE_PATH_BYTES];
    struct tree_look look = {0};
    drop_large_memory(reader);
    snprintf(joined, sizeof joined, "%s%s%s", path->folder, path->folder[0] ? "/" : "", path->name);
    int code, flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY; /* a pipe of that name must not hold us up */
    int fd = OS_AGAIN(os_open_beneath(reader->os, reader->root_fd, joined, flags, 0));
    if (fd >= 0) {
        code = look_at(reader, path, fd, &look, error);
        (void)os_close(reader->os, fd); /* nothing was written: its error means nothing */
    } else {
        code = judge_errno(&look, "open", fd, error);
        if (code == 0 && os_stat_at(reader->os, reader->root_fd, joined, &look.stat) != 0)
            look.stat = (struct stat){0};
    }
    if (code == 0)
        *ret_look = look;
    return code;
}
