/* The hard cases of tests/data/json: what begins with "accept_" is read, has a canonical form, and that form is its own
 * canonical form with the same hash; what begins with "refuse_" is BAD_JSON or TOO_LARGE. */
#include "base/json.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void load(const char *name, struct buf *content) {
    char path[1024];
    snprintf(path, sizeof path, "%s/json/%s", TEST_DATA, name);
    FILE *file = fopen(path, "rb");
    if (!file)
        fail_msg("open '%s' failed", path);
    for (;;) {
        char *room = buf_reserve(content, 4096);
        size_t got = fread(room, 1, 4096, file);
        content->size += got;
        if (got == 0)
            break;
    }
    fclose(file);
}

static void check_accepted(const char *name, const struct buf *content) {
    JSON_AUTO struct json_doc doc;
    BUF_AUTO struct buf form, again;
    uint8_t hash[HASH_BYTES], hash_again[HASH_BYTES];
    struct hf_error error = {0};
    json_init(&doc);
    buf_init(&form);
    buf_init(&again);
    if (json_hash(&doc, &form, content->data, content->size, NULL, hash, &error) < 0)
        fail_msg("%s: %s", name, error.message);
    if (json_hash(&doc, &again, form.data, form.size, NULL, hash_again, &error) < 0)
        fail_msg("%s: canonical form: %s", name, error.message);
    assert_string_equal(form.data, again.data);
    assert_memory_equal(hash, hash_again, HASH_BYTES);
}

static void check_refused(const char *name, const struct buf *content) {
    JSON_AUTO struct json_doc doc;
    json_init(&doc);
    int code = json_read(&doc, content->data, content->size, NULL, NULL);
    if (code != HF_ERR_BAD_JSON && code != HF_ERR_TOO_LARGE)
        fail_msg("%s: code %d", name, code);
}

static void hard_cases(void **state) {
    (void)state;
    DIR *folder = opendir(TEST_DATA "/json");
    assert_non_null(folder);
    int accepted = 0, refused = 0;
    for (struct dirent *entry; (entry = readdir(folder));) {
        if (entry->d_name[0] == '.')
            continue;
        BUF_AUTO struct buf content;
        buf_init(&content);
        load(entry->d_name, &content);
        if (strncmp(entry->d_name, "accept_", 7) == 0) {
            check_accepted(entry->d_name, &content);
            accepted++;
        } else if (strncmp(entry->d_name, "refuse_", 7) == 0) {
            check_refused(entry->d_name, &content);
            refused++;
        } else {
            fail_msg("%s: neither accept_ nor refuse_", entry->d_name);
        }
    }
    closedir(folder);
    assert_true(accepted >= 20);
    assert_true(refused >= 40);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(hard_cases)};
    return cmocka_run_group_tests_name("json_corpus", tests, NULL, NULL);
}
