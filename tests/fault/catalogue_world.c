#include "fault/catalogue_world.h"

#include <stdio.h>
#include <string.h>

#include "os/file.h"

#define SQLITE_FILE "/data/store.db"
#define TREE_FILE   "/data/tree/.holdfast/index.db"

void world_from(struct world *world, const char *url, struct sim_disk *take_disk) {
    memset(world, 0, sizeof *world);
    world->url = url;
    world->is_tree = strncmp(url, "tree:", 5) == 0;
    world->database = world->is_tree ? TREE_FILE : SQLITE_FILE;
    world->disk = take_disk;
    world->process = sim_process_new(world->disk);
    world->ops = *sim_process_os(world->process)->ops;
    world->os = *sim_process_os(world->process);
    world->os.ops = &world->ops;
    assert_int_equal(os_fault_new(&world->os, &world->fault), 0);
}

void world_init(struct world *world, const char *url) {
    world_from(world, url, sim_disk_new(11));
}

void world_fini(struct world *world) {
    hf_store_close(&world->store);
    os_fault_free(&world->fault);
    sim_process_free(&world->process);
    sim_disk_free(&world->disk);
}

void world_kill(struct world *world) {
    sim_process_kill(world->process);
    hf_store_close(&world->store);
    sim_process_free(&world->process);
    world->process = sim_process_new(world->disk);
    world->os.context = sim_process_os(world->process)->context;
    world_heal(world);
}

static void count_found(void *arg, const struct hf_finding *finding) {
    struct world *world = arg;
    assert_non_null(finding->what);
    world->found++;
}

int world_open_with(struct world *world, const struct hf_store_options *options) {
    struct store_setup setup = {.os = os_fault_os(world->fault), .without_thread = 1};
    world->found = 0;
    return store_open(world->url, options, &setup, &world->store, &world->error);
}

int world_open(struct world *world) {
    struct hf_store_options options = {.struct_bytes = sizeof options, .found = count_found, .found_arg = world};
    return world_open_with(world, &options);
}

void world_must_open(struct world *world) {
    if (world_open(world) != 0)
        fail_msg("%s", world->error.message);
}

void world_reopen(struct world *world) {
    hf_store_close(&world->store);
    world_must_open(world);
}

int world_put_bytes(struct world *world, const char *kind, const char *id, const char *json, size_t bytes) {
    return hf_store_put(world->store, kind, id, json, bytes, NULL, &world->error);
}

int world_put(struct world *world, const char *kind, const char *id, const char *json) {
    return world_put_bytes(world, kind, id, json, strlen(json));
}

void world_must_put(struct world *world, const char *kind, const char *id, const char *json) {
    if (world_put(world, kind, id, json) != 0)
        fail_msg("put %s/%s: %s", kind, id, world->error.message);
}

int world_get(struct world *world, const char *kind, const char *id) {
    struct hf_record *record = NULL;
    int code = hf_store_get(world->store, kind, id, &record, &world->error);
    hf_record_free(&record);
    return code;
}

void world_expect(struct world *world, const char *kind, const char *id, const char *json) {
    struct hf_record *record = NULL;
    int code = hf_store_get(world->store, kind, id, &record, &world->error);
    if (code != 0 && code != HF_ERR_NOT_FOUND)
        fail_msg("get %s/%s: %s", kind, id, world->error.message);
    if ((code == 0) != (json != NULL))
        fail_msg("%s/%s is %s", kind, id, json ? "lost" : "there");
    if (json)
        assert_string_equal(record->json, json);
    hf_record_free(&record);
}

static void print_finding(void *arg, const struct hf_finding *finding) {
    (void)arg;
    printf("#   check: %s %s/%s: %s\n", finding->what, finding->kind ? finding->kind : "-",
           finding->id ? finding->id : "-", finding->text);
}

uint64_t world_findings(struct world *world) {
    struct hf_check_result result = {0};
    if (hf_store_check(world->store, print_finding, NULL, &result, &world->error) != 0)
        fail_msg("check: %s", world->error.message);
    return result.findings;
}

void world_expect_error(struct world *world, int code, int code_wanted, const char *text) {
    if (code != code_wanted || world->error.code != code_wanted || !strstr(world->error.message, text))
        fail_msg("wanted %s with '%s', got %s: %s", hf_code_word(code_wanted), text, hf_code_word(code),
                 world->error.message);
}

/* ---- calls that fail ---- */

void world_fail(struct world *world, unsigned call_mask, uint64_t fail_at, int once, int error) {
    struct os_fault_plan plan = {.fail_at = fail_at, .once = once, .error = error, .call_mask = call_mask};
    os_fault_set(world->fault, &plan);
}

void world_count(struct world *world, unsigned call_mask) {
    world_fail(world, call_mask, 0, 0, 0);
}

void world_heal(struct world *world) {
    world_count(world, 0);
}

/* ---- files ---- */

static const struct os *outside(struct world *world) {
    return sim_process_os(world->process);
}

int world_has_file(struct world *world, const char *path) {
    struct stat stat;
    return os_stat_at(outside(world), AT_FDCWD, path, &stat) == 0;
}

void world_read_file(struct world *world, const char *path, struct buf *ret_bytes) {
    struct hf_error error = {0};
    if (file_read(outside(world), AT_FDCWD, path, 1 << 30, ret_bytes, &error) != 0)
        fail_msg("%s", error.message);
}

/* In place, as cp does it. */
void world_write_file(struct world *world, const char *path, const void *bytes, size_t size) {
    const struct os *os = outside(world);
    int fd = os_open(os, AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0)
        fail_msg("write '%s': %s", path, strerror(-fd));
    assert_int_equal(file_pwrite_full(os, fd, bytes, size, 0), 0);
    os_close(os, fd);
}

void world_cut_file(struct world *world, const char *path, off_t size) {
    const struct os *os = outside(world);
    int fd = os_open(os, AT_FDCWD, path, O_WRONLY, 0);
    assert_true(fd >= 0);
    assert_int_equal(os_truncate(os, fd, size), 0);
    os_close(os, fd);
}

void world_remove_file(struct world *world, const char *path) {
    assert_int_equal(os_unlink(outside(world), AT_FDCWD, path, 0), 0);
}

struct counting {
    const char *text;
    unsigned count;
};

static int count_file(void *arg, int dir_fd, const char *name, const char *path, const struct stat *stat) {
    struct counting *counting = arg;
    (void)dir_fd, (void)name;
    counting->count += S_ISREG(stat->st_mode) && strstr(path, counting->text) != NULL;
    return 0;
}

unsigned world_count_files(struct world *world, const char *text) {
    struct counting counting = {.text = text};
    int fd = -1;
    assert_int_equal(file_open_folder(outside(world), AT_FDCWD, "/data", &fd, NULL), 0);
    assert_int_equal(file_walk(outside(world), fd, count_file, &counting, NULL), 0);
    os_close(outside(world), fd);
    return counting.count;
}

void world_make_folder(struct world *world, const char *path) {
    assert_int_equal(file_make_folders(sim_process_os(world->process), path, 0755, NULL), 0);
}

const char *world_file_of(const struct world *world, const char *id, char path[128]) {
    int is_watch = strstr(world->url, "layout=watch") != NULL;
    snprintf(path, 128, is_watch ? "/data/tree/%s/watch.json" : "/data/tree/watch/%s.json", id);
    return path;
}

/* ---- many documents ---- */

enum { DOCUMENT_BYTES = 1200 };

size_t world_make_document(char *json, int number, size_t fill) {
    int used = snprintf(json, 48, "{\"n\":%d,\"fill\":\"", number);
    memset(json + used, 'a' + number % 26, fill);
    memcpy(json + used + fill, "\"}", 3);
    return (size_t)used + fill + 2;
}

int world_commit_many(struct world *world, const char *prefix, int count, int number) {
    char id[48], json[DOCUMENT_BYTES + 64];
    struct hf_batch *batch = NULL;
    assert_int_equal(hf_batch_new("test", &batch, NULL), 0);
    for (int i = 0; i < count; i++) {
        size_t bytes = world_make_document(json, number + i, DOCUMENT_BYTES);
        snprintf(id, sizeof id, "%s%d", prefix, i);
        assert_int_equal(hf_batch_put(batch, "watch", id, json, bytes, NULL, NULL), 0);
    }
    return hf_store_commit(world->store, &batch, NULL, &world->error);
}

int world_count_many(struct world *world, const char *prefix, int count, int number) {
    char id[48], json[DOCUMENT_BYTES + 64];
    int there = 0;
    for (int i = 0; i < count; i++) {
        struct hf_record *record = NULL;
        snprintf(id, sizeof id, "%s%d", prefix, i);
        int code = hf_store_get(world->store, "watch", id, &record, &world->error);
        if (code != 0 && code != HF_ERR_NOT_FOUND)
            fail_msg("%s: %s", id, world->error.message);
        world_make_document(json, number + i, DOCUMENT_BYTES);
        if (code == 0)
            assert_string_equal(record->json, json);
        there += code == 0;
        hf_record_free(&record);
    }
    return there;
}

void world_live(struct world *world) {
    world_must_open(world);
    assert_int_equal(hf_store_keep_history(world->store, "watch", 2, NULL), 0);
    world_must_put(world, "watch", "a", "{\"n\":1}");
    assert_int_equal(world_commit_many(world, "m", 5, 10), 0);
    world_must_put(world, "watch", "a", "{\"n\":2}");
    assert_int_equal(hf_store_delete(world->store, "watch", "m4", NULL, &world->error), 0);
    store_pump(world->store);
    world_reopen(world);
    world_expect(world, "watch", "a", "{\"n\":2}");
    assert_int_equal(world_count_many(world, "m", 5, 10), 4);
    assert_int_equal(world_findings(world), 0);
}
