#include "sim/tree_state.h"

#include "base/mem.h"
#include "os/file.h"
#include "sim/sim_image.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_BYTES_MOST = 16 << 20 };

struct reading {
    const struct os *os;
    struct tree_state *state;
    struct json_doc doc;
    struct buf bytes, scratch;
    char *text;
};

static int wrong(char text[ORACLE_TEXT], const char *path, const char *what) {
    snprintf(text, ORACLE_TEXT, "file '%.200s': %s", path, what);
    return -1;
}

static int is_own(const char *path) {
    size_t bytes = strlen(TREE_OWN_FOLDER);
    return strncmp(path, TREE_OWN_FOLDER, bytes) == 0 && (path[bytes] == '/' || path[bytes] == '\0');
}

static int is_record_name(const struct tree_state *state, const char *path) {
    char folder[TREE_PATH_BYTES], kind[HF_KIND_MAX + 1], id[HF_ID_MAX + 1];
    const char *slash = strrchr(path, '/');
    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path) : 0, path);
    return tree_path_key(state->options.layout, folder, slash ? slash + 1 : path, kind, id, NULL) == 0;
}

static void keep_file(struct tree_state *state, const char *path, const uint8_t hash[HF_HASH_BYTES]) {
    if (state->count == state->room) {
        state->room = state->room ? state->room * 2 : 32;
        state->files = sim_grow(state->files, state->room, sizeof(struct tree_state_file));
    }
    struct tree_state_file *file = &state->files[state->count++];
    file->path = sim_strdup(path);
    memcpy(file->hash, hash, HF_HASH_BYTES);
}

static int read_one(void *arg, int dir_fd, const char *name, const char *path, const struct stat *stat) {
    struct reading *reading = arg;
    uint8_t hash[HF_HASH_BYTES];
    struct hf_error error = {0};
    if (S_ISDIR(stat->st_mode) || is_own(path))
        return 0;
    if (!is_record_name(reading->state, path))
        return wrong(reading->text, path, "no record has such a file");
    if (file_read(reading->os, dir_fd, name, FILE_BYTES_MOST, &reading->bytes, &error) != 0)
        return wrong(reading->text, path, error.message);
    int code =
        json_hash(&reading->doc, &reading->scratch, buf_text(&reading->bytes), reading->bytes.size, NULL, hash, &error);
    if (code == 0)
        keep_file(reading->state, path, hash);
    else if (reading->state->options.durable != TREE_DURABLE_NONE)
        return wrong(reading->text, path, reading->bytes.size ? "it is torn" : "it is empty");
    return 0;
}

static int by_path(const void *a, const void *b) {
    return strcmp(((const struct tree_state_file *)a)->path, ((const struct tree_state_file *)b)->path);
}

int tree_state_read(const struct os *os, const char *url, struct tree_state *ret_state, char text[ORACLE_TEXT]) {
    struct hf_error error = {0};
    struct reading reading = {.os = os, .state = ret_state, .text = text};
    int root = -1;
    memset(ret_state, 0, sizeof *ret_state);
    json_init(&reading.doc);
    buf_init(&reading.bytes);
    buf_init(&reading.scratch);
    int code = tree_options_parse(strchr(url, ':') + 1, &ret_state->options, &error);
    if (code == 0)
        code = file_open_folder(os, AT_FDCWD, ret_state->options.folder, &root, &error);
    if (code == HF_ERR_NOT_FOUND)
        code = 0; /* nothing was made yet */
    else if (code == 0)
        code = file_walk(os, root, read_one, &reading, &error);
    if (code != 0 && !text[0])
        wrong(text, url, error.message);
    if (root >= 0)
        os_close(os, root);
    if (ret_state->count)
        qsort(ret_state->files, ret_state->count, sizeof(struct tree_state_file), by_path);
    json_fini(&reading.doc);
    buf_fini(&reading.bytes);
    buf_fini(&reading.scratch);
    return code == 0 ? 0 : -1;
}

void tree_state_fini(struct tree_state *state) {
    for (size_t i = 0; i < state->count; i++)
        mem_free(state->files[i].path);
    mem_free(state->files);
    tree_options_fini(&state->options);
    memset(state, 0, sizeof *state);
}

static const struct tree_state_file *find(const struct tree_state *state, const char *kind, const char *id) {
    struct tree_path place;
    char path[2 * TREE_PATH_BYTES];
    tree_path_of(state->options.layout, kind, id, &place);
    snprintf(path, sizeof path, "%s%s%s", place.folder, place.folder[0] ? "/" : "", place.name);
    struct tree_state_file key = {.path = path};
    return state->count ? bsearch(&key, state->files, state->count, sizeof key, by_path) : NULL;
}

/* ---- durable=file ------------------------------------------------------------------------------------------------ */

/* Up to which revision the file of a key is as new as its record: from the newest of its rows that it can be. */
static uint64_t key_revision(const struct tree_state *state, const struct oracle *oracle, uint32_t newest) {
    const struct oracle_row *row = &oracle->rows[newest];
    const struct tree_state_file *file = find(state, row->kind, row->id);
    uint64_t next = UINT64_MAX; /* the change that the file lacks */
    for (;;) {
        int is_it = row->what == HF_DELETE ? !file : file && memcmp(file->hash, row->hash, HF_HASH_BYTES) == 0;
        if (is_it)
            return next - 1;
        next = row->revision;
        if (!row->older)
            return next - 1; /* as before the first; a file that is none of them was told of by the store */
        row = &oracle->rows[row->older - 1];
    }
}

static int is_newest(const struct oracle *oracle, uint32_t row, uint32_t count) {
    for (uint32_t i = row + 1; i < count; i++)
        if (oracle->rows[i].older == row + 1)
            return 0;
    return 1;
}

/* The verifier's own record counts up from the revision that it began at. */
static int64_t after_revision(const struct tree_state *state, struct hf_store *store, uint64_t *ret_base) {
    struct hf_record *after = NULL;
    uint64_t count = 0;
    char json[96];
    uint8_t hash[HF_HASH_BYTES];
    struct json_doc JSON_AUTO doc;
    struct buf BUF_AUTO scratch;
    json_init(&doc);
    buf_init(&scratch);
    *ret_base = hf_store_revision(store);
    if (hf_store_get(store, ORACLE_AFTER_KIND, ORACLE_AFTER_ID, &after, NULL) != 0)
        return INT64_MAX;
    sscanf(after->json, "{\"base\":%" SCNu64 ",\"count\":%" SCNu64 "}", ret_base, &count);
    hf_record_free(&after);
    const struct tree_state_file *file = find(state, ORACLE_AFTER_KIND, ORACLE_AFTER_ID);
    for (uint64_t i = count; i > 0; i--) {
        int bytes = snprintf(json, sizeof json, "{\"base\":%" PRIu64 ",\"count\":%" PRIu64 "}", *ret_base, i);
        int code = json_hash(&doc, &scratch, json, (size_t)bytes, NULL, hash, NULL);
        if (code == 0 && file && memcmp(file->hash, hash, HF_HASH_BYTES) == 0)
            return i == count ? INT64_MAX : (int64_t)(*ret_base + i);
    }
    return (int64_t)*ret_base;
}

int64_t tree_state_revision(const struct tree_state *state, const struct oracle *oracle, struct hf_store *store) {
    uint64_t base = 0;
    if (state->options.durable != TREE_DURABLE_FILE)
        return INT64_MAX;
    int64_t found = after_revision(state, store, &base);
    uint32_t count = oracle->row_counts[base < oracle->newest ? base : oracle->newest];
    for (uint32_t i = 0; i < count; i++) {
        if (!is_newest(oracle, i, count))
            continue;
        uint64_t revision = key_revision(state, oracle, i);
        if (revision < (uint64_t)found)
            found = (int64_t)revision;
    }
    return found;
}

/* ---- beside an open store ---------------------------------------------------------------------------------------- */

struct comparison {
    const struct tree_state *state;
    size_t records;
    char *text;
};

static int compare_one(void *arg, const struct hf_record *record, int code) {
    struct comparison *comparison = arg;
    char key[HF_KIND_MAX + HF_ID_MAX + 2];
    snprintf(key, sizeof key, "%s/%s", record->kind, record->id);
    comparison->records++;
    if (code != 0)
        return wrong(comparison->text, key, "its record cannot be read");
    const struct tree_state_file *file = find(comparison->state, record->kind, record->id);
    if (!file)
        return wrong(comparison->text, key, "the record has no file");
    return memcmp(file->hash, record->hash, HF_HASH_BYTES) == 0
               ? 0
               : wrong(comparison->text, key, "it is not what the record is");
}

static int see_staged(void *arg, int dir_fd, const char *name, const char *path, const struct stat *stat) {
    (void)dir_fd, (void)name;
    return S_ISDIR(stat->st_mode) ? 0 : wrong(arg, path, "it is still staged");
}

int tree_state_is_tidy(const struct os *os, const char *url, char text[ORACLE_TEXT]) {
    struct tree_options options = {0};
    char path[TREE_PATH_BYTES];
    int staged = -1, code = tree_options_parse(strchr(url, ':') + 1, &options, NULL);
    if (code != 0)
        return wrong(text, url, "what is this");
    snprintf(path, sizeof path, "%s/" TREE_OWN_FOLDER "/staged", options.folder);
    tree_options_fini(&options);
    if (file_open_folder(os, AT_FDCWD, path, &staged, NULL) != 0)
        return 1;
    code = file_walk(os, staged, see_staged, text, NULL);
    os_close(os, staged);
    return code == 0;
}

int tree_state_compare(const struct os *os, const char *url, struct hf_store *store, char text[ORACLE_TEXT]) {
    struct tree_state state;
    struct comparison comparison = {.state = &state, .text = text};
    struct hf_error error = {0};
    int code = tree_state_read(os, url, &state, text);
    if (code == 0)
        code = hf_store_scan(store, NULL, NULL, 0, compare_one, &comparison, &error);
    if (code != 0 && !text[0])
        wrong(text, url, error.message);
    if (code == 0 && comparison.records != state.count)
        code = wrong(text, url, "there are files of no record");
    tree_state_fini(&state);
    return code == 0 ? 0 : -1;
}
