/* S24: no memory. On a real folder: the simulated disk needs memory itself. */
#include "fault/catalogue.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fault/failing_memory.h"
#include "os/file.h"

static int remove_entry(void *arg, int dir_fd, const char *name, const char *path, const struct stat *stat) {
    (void)arg, (void)path;
    return os_unlink(os_real(), dir_fd, name, S_ISDIR(stat->st_mode) ? AT_REMOVEDIR : 0);
}

static void remove_folder(const char *folder) {
    int fd = -1;
    assert_int_equal(file_open_folder(os_real(), AT_FDCWD, folder, &fd, NULL), 0);
    assert_int_equal(file_walk(os_real(), fd, remove_entry, NULL, NULL), 0);
    os_close(os_real(), fd);
    assert_int_equal(os_unlink(os_real(), AT_FDCWD, folder, AT_REMOVEDIR), 0);
}

static struct hf_store *open_real(const char *url, int must_work, struct hf_error *error) {
    struct store_setup setup = {.without_thread = 1};
    struct hf_store *store = NULL;
    int code = store_open(url, NULL, &setup, &store, error);
    if (code != 0 && must_work)
        fail_msg("%s", error->message);
    if (code != 0)
        assert_int_equal(code, HF_ERR_NO_MEMORY);
    return store;
}

static void expect_number(struct hf_store *store, int least, int most) {
    struct hf_record *record = NULL;
    int number = 0;
    assert_int_equal(hf_store_get(store, "watch", "a", &record, NULL), 0);
    assert_int_equal(sscanf(record->json, "{\"n\":%d}", &number), 1);
    assert_in_range(number, least, most);
    hf_record_free(&record);
}

/* Returns the number of allocations of opening and of putting. */
static uint64_t put_without_memory(const char *url, int *number, uint64_t at, int for_ever) {
    char json[32];
    struct hf_error error = {0};
    failing_memory_set(at, for_ever);
    struct hf_store *store = open_real(url, 0, &error);
    int bytes = snprintf(json, sizeof json, "{\"n\":%d}", *number + 1), code = HF_ERR_NO_MEMORY;
    if (store)
        code = hf_store_put(store, "watch", "a", json, (size_t)bytes, NULL, &error);
    uint64_t counted = failing_memory_count();
    failing_memory_set(0, 0);
    if (code != 0 && error.code != HF_ERR_NO_MEMORY && !strstr(error.message, "memory"))
        fail_msg("allocation %" PRIu64 ": %s", at, error.message);
    if (!store || code == HF_ERR_FAILED) {
        hf_store_close(&store);
        store = open_real(url, 1, &error);
    }
    expect_number(store, *number + (code == 0), *number + 1);
    *number += 2;
    bytes = snprintf(json, sizeof json, "{\"n\":%d}", *number);
    assert_int_equal(hf_store_put(store, "watch", "a", json, (size_t)bytes, NULL, &error), 0);
    hf_store_close(&store);
    return counted;
}

void S24_memory_used_up_at_each_allocation(void **state) {
    const char *simulated = *state, *options = strchr(simulated, '?');
    char folder[] = "/tmp/hf-catalogue-XXXXXX", url[160];
    struct hf_error error = {0};
    int number = 1;
    assert_non_null(mkdtemp(folder));
    snprintf(url, sizeof url, "%.*s:%s/store%s", (int)strcspn(simulated, ":"), simulated, folder,
             options ? options : "");
    struct hf_store *store = open_real(url, 1, &error);
    assert_int_equal(hf_store_put(store, "watch", "a", "{\"n\":1}", 7, NULL, &error), 0);
    hf_store_close(&store);
    uint64_t count = put_without_memory(url, &number, 0, 0), step = count / SAMPLES + 1;
    for (uint64_t at = 1; at <= count; at += step) {
        put_without_memory(url, &number, at, 0);
        put_without_memory(url, &number, at, 1);
    }
    store = open_real(url, 1, &error);
    expect_number(store, number, number);
    hf_store_close(&store);
    remove_folder(folder);
}
