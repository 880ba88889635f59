/* What is there after the cut. */
#include "power_writer.h"

#include "os/file.h"
#include "sim/tree_state.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static int count_version(void *arg, const struct hf_record *record, int code) {
    (void)record;
    ++*(int64_t *)arg;
    return code;
}

/* The history of a record is as long as it must be. */
static int look_at_history(struct hf_store *store, int index, int64_t number) {
    char kind[16];
    int64_t versions = 0;
    struct hf_error error = {0};
    name_kind(index, kind);
    if (hf_store_history(store, kind, "one", 0, count_version, &versions, &error) != 0)
        return fail("history", &error);
    if (versions == (number < KEEP ? number : KEEP))
        return 0;
    printf("writer %d: %" PRId64 " versions at number %" PRId64 "\n", index, versions, number);
    return 1;
}

/* The number in a file of the tree: 0 when there is none. */
static int64_t number_in_file(const struct tree_options *options, int index, const char *id) {
    char kind[16], path[1024];
    struct tree_path place;
    struct buf BUF_AUTO bytes;
    int64_t number = 0;
    buf_init(&bytes);
    name_kind(index, kind);
    tree_path_of(options->layout, kind, id, &place);
    snprintf(path, sizeof path, "%s/%s/%s", options->folder, place.folder, place.name);
    if (file_read(os_real(), AT_FDCWD, path, 1 << 20, &bytes, NULL) != 0)
        return 0;
    const char *digits = strpbrk(buf_text(&bytes), "0123456789");
    return digits && sscanf(digits, "%" SCNd64, &number) == 1 ? number : 0;
}

/* As another program finds it, before the store is opened again. */
static int look_at_files(const struct how *how) {
    struct tree_state state;
    char text[ORACLE_TEXT] = "";
    int wrong = tree_state_read(os_real(), how->url, &state, text) != 0;
    if (wrong)
        printf("%s\n", text);
    for (int i = 0; i < WRITERS && !wrong; i++) {
        int64_t one = number_in_file(&state.options, i, "one"), two = number_in_file(&state.options, i, "two");
        printf("file %d %" PRId64 "\n", i, one < two ? one : two);
    }
    tree_state_fini(&state);
    return wrong;
}

static int compare_files(const struct how *how, struct hf_store *store) {
    char text[ORACLE_TEXT] = "";
    if (!how->is_tree || tree_state_compare(os_real(), how->url, store, text) == 0)
        return 0;
    printf("%s\n", text);
    return 1;
}

static int look_at_writer(const struct how *how, struct hf_store *store, int index) {
    int64_t one = number_at(store, index, "one"), two = number_at(store, index, "two");
    printf("%d %" PRId64 "\n", index, one < two ? one : two);
    if (one < 0 || two < 0)
        return 1;
    if (how->is_saver)
        return 0; /* it saves documents, not batches */
    if (one == two)
        return look_at_history(store, index, one);
    printf("writer %d: half of a batch is there: %" PRId64 " and %" PRId64 "\n", index, one, two);
    return 1;
}

int verify(const struct how *how) {
    struct hf_store *store = NULL;
    struct hf_error error = {0};
    char text[ORACLE_TEXT] = "";
    int wrong = how->is_tree ? look_at_files(how) : 0;
    int code = how_open(how, &store, &error);
    if (code == 0)
        code = keep_histories(store, &error);
    if (code != 0)
        return fail("open", &error);
    for (int i = 0; i < WRITERS; i++)
        wrong |= look_at_writer(how, store, i);
    wrong |= check(store);
    if (commit(how, store, WRITERS, 1 + number_at(store, WRITERS, "one"), &error) != 0)
        wrong |= fail("a further commit", &error);
    wrong |= compare_files(how, store);
    hf_store_close(&store);
    if (how->is_tree && !tree_state_is_tidy(os_real(), how->url, text))
        wrong |= printf("%s\n", text);
    if (!wrong)
        puts("clean");
    return wrong != 0;
}
