/* Opening the store that a URL names. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "cmd/talk.h"
#include "keep/state.h"
#include "os/file.h"
#include "store/tree_files.h"

/* What stands where a URL points to. */
struct place {
    int is_there;
    int is_plain; /* a tree without an index: to write makes one */
};

static int stat_place(const char *path, int *ret_there, struct hf_error *error) {
    struct stat stat;
    int result = os_stat_at(os_real(), AT_FDCWD, path, &stat);
    *ret_there = result == 0;
    return result == 0 || result == -ENOENT ? 0 : error_set_errno(error, result, "look at '%s'", path);
}

static int look_at_tree(const char *rest, struct place *place, struct hf_error *error) {
    struct tree_options options;
    BUF_AUTO struct buf index;
    int has_index = 0;
    buf_init(&index);
    int code = tree_options_parse(rest, &options, error);
    if (code != 0)
        return code;
    buf_printf(&index, "%s/" TREE_OWN_FOLDER "/index.db", options.folder);
    code = stat_place(options.folder, &place->is_there, error);
    if (code == 0 && place->is_there)
        code = stat_place(buf_text(&index), &has_index, error);
    place->is_plain = !has_index;
    tree_options_fini(&options);
    return code;
}

/* Of the folder or the file; -1 when there is none. */
static int stat_url(const char *url, struct stat *ret_stat) {
    struct tree_options options;
    BUF_AUTO struct buf path;
    buf_init(&path);
    if (strncmp(url, "sqlite:", 7) == 0) {
        buf_add_text(&path, url + 7);
    } else if (strncmp(url, "tree:", 5) == 0 && tree_options_parse(url + 5, &options, NULL) == 0) {
        buf_printf(&path, "%s/.", options.folder);
        tree_options_fini(&options);
    }
    return path.size && !path.failed ? os_stat_at(os_real(), AT_FDCWD, buf_text(&path), ret_stat) : -1;
}

int command_is_same_place(const char *url, const char *other) {
    struct stat stat, other_stat;
    if (strcmp(url, other) == 0)
        return 1;
    return stat_url(url, &stat) == 0 && stat_url(other, &other_stat) == 0 && stat.st_dev == other_stat.st_dev &&
           stat.st_ino == other_stat.st_ino;
}

static int look_at(const char *url, struct place *ret_place, struct hf_error *error) {
    *ret_place = (struct place){.is_there = 1};
    if (strncmp(url, "tree:", 5) == 0)
        return look_at_tree(url + 5, ret_place, error);
    if (strncmp(url, "sqlite:", 7) == 0)
        return stat_place(url + 7, &ret_place->is_there, error);
    return 0;
}

static int is_for_read_only(int code, int is_named) {
    return code == HF_ERR_CORRUPT || code == HF_ERR_READ_ONLY || code == HF_ERR_PERMISSION ||
           (code == HF_ERR_LOCKED && is_named);
}

/* Whether what opening finds is told of. A tree without an index is then read through to its end: that is for verbs
 * that go through all of it. */
static int wants_findings(const struct command_invocation *invocation, enum command_access access,
                          const struct place *place) {
    static const char *const verbs[] = {"list", "export", "copy"};
    int goes_through = 0;
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
        goes_through += text_is_equal(invocation->verb, verbs[i]);
    return goes_through || access == ACCESS_WRITE || !place->is_plain;
}

/* A tree with an index is opened to be written although it is read: only so are edits by other programs seen. Of a
 * damaged store what can be read is read. */
static int open_to_read(const struct command_invocation *invocation, const char *url, int is_named,
                        struct hf_store_options *options, struct hf_store **ret_store, struct hf_error *error) {
    int code = hf_store_open(url, options, ret_store, error);
    if (options->read_only || !is_for_read_only(code, is_named))
        return code;
    struct hf_error first = *error;
    options->read_only = 1;
    error_clear(error);
    code = hf_store_open(url, options, ret_store, error);
    if (code == 0 && first.code == HF_ERR_CORRUPT)
        talk_say(invocation, "what can still be read is read: %s", first.message);
    return code;
}

static int open_url(const struct command_invocation *invocation, const char *url, enum command_access access,
                    struct hf_store **ret_store, struct hf_error *error) {
    struct command_talk *talk = invocation->talk;
    struct hf_store_options options = {.struct_bytes = sizeof options,
                                       .progress = progress_step,
                                       .progress_arg = &talk->progress,
                                       .found_arg = talk};
    struct place place;
    int is_named = command_has(invocation, "url") || command_has(invocation, "from");
    if (strncmp(url, "tree:", 5) != 0) /* a tree is of files that others write: the usual limit tells oversize ones */
        options.max_document_bytes = STATE_DOCUMENT_BYTES;
    int code = look_at(url, &place, error);
    if (code != 0)
        return error_wrap(error, code, "open store '%s'", url);
    if (wants_findings(invocation, access, &place))
        options.found = talk_finding;
    progress_begin(&talk->progress, "opening", "files", invocation->globals.quiet);
    if (access == ACCESS_WRITE) {
        code = hf_store_open(url, &options, ret_store, error);
    } else if (place.is_there) {
        options.read_only = place.is_plain;
        code = open_to_read(invocation, url, is_named, &options, ret_store, error);
    } else if (access == ACCESS_REHEARSE) {
        talk_say(invocation, "there is no store '%s' yet: it would be made", url);
        code = hf_store_open("memory:", NULL, ret_store, error);
    } else {
        error_set(error, HF_ERR_NOT_FOUND, "open store '%s': there is none yet", url);
        code = error_hint(error, is_named ? "look at the path in the URL"
                                          : "name another folder with --data, or start a daemon: holdfast serve");
    }
    progress_clear(&talk->progress);
    return code;
}

int command_open_store(const struct command_invocation *invocation, const char *url, enum command_access access,
                       struct hf_store **ret_store, struct hf_error *error) {
    BUF_AUTO struct buf own;
    buf_init(&own);
    if (url)
        return open_url(invocation, url, access, ret_store, error);
    const char *data_dir = invocation->globals.data_dir;
    int code = access == ACCESS_WRITE ? file_make_folders(os_real(), data_dir, 0700, error) : 0;
    if (code != 0)
        return error_wrap(error, code, "make the data directory '%s'", data_dir);
    buf_printf(&own, "sqlite:%s/store.db", data_dir);
    if (own.failed)
        return error_set(error, HF_ERR_NO_MEMORY, "open the store in '%s'", data_dir);
    return open_url(invocation, buf_text(&own), access, ret_store, error);
}
