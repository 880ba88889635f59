/* A program that saves in the background is killed with -9 in the middle of its batches, 200 times, over SQLite and
 * over trees: after each re-opening every flushed document is there or a newer one, every file is whole and is its
 * record, no temporary file is left, and check finds nothing. HOLDFAST_KILL_SEED says where the random moments begin.
 *
 * Change number n is of document document_of(n), and is a deletion when is_deletion(n). The program makes some changes,
 * flushes, and tells the last number. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "os/file.h"
#include "sim/crash_table.h"
#include "sim/tree_state.h"

#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { KILLS = 8 };
#else
enum { KILLS = 50 }; /* of each of the four */
#endif
enum {
    DOCUMENTS = 150,
    ROUND_MOST = 60,
    INTERVAL_MS = 2,
    BATCH = 10,
    FLUSHES_MOST = 4,
    MOMENT_US = 12000,
    JSON_BYTES = 1200
};

static uint64_t document_of(uint64_t number) {
    return crash_mix(number, 1) % DOCUMENTS;
}

static int is_deletion(uint64_t number) {
    return crash_mix(number, 2) % 12 == 0;
}

static int make_json(uint64_t number, char json[JSON_BYTES]) {
    int fill = (int)(crash_mix(number, 3) % (JSON_BYTES - 100)) + 1;
    return snprintf(json, JSON_BYTES, "{\"n\":%" PRIu64 ",\"fill\":\"%0*d\"}", number, fill, 0);
}

static void make_id(uint64_t document, char id[24]) {
    snprintf(id, 24, "document %" PRIu64, document);
}

/* ---- the program ------------------------------------------------------------------------------------------------- */

struct owner {
    pthread_mutex_t mutex;
    uint64_t numbers[DOCUMENTS]; /* the last change of each; 0: there is none */
    uint64_t newest;
};

static int give(void *arg, const char *kind, const char *id, void *tag, struct hf_document *document) {
    (void)kind, (void)id;
    struct owner *owner = arg;
    char json[JSON_BYTES];
    pthread_mutex_lock(&owner->mutex);
    uint64_t number = owner->numbers[(uintptr_t)tag - 1];
    pthread_mutex_unlock(&owner->mutex);
    if (number == 0 || is_deletion(number))
        return HF_ERR_NOT_FOUND;
    hf_document_add(document, json, (size_t)make_json(number, json));
    return 0;
}

static int take(void *arg, const struct hf_record *record, int code) {
    struct owner *owner = arg;
    uint64_t number = 0;
    if (code != 0 || sscanf(record->json, "{\"n\":%" SCNu64, &number) != 1)
        _exit(4);
    owner->numbers[document_of(number)] = number;
    if (number > owner->newest)
        owner->newest = number;
    return 0;
}

static void change(struct owner *owner, struct hf_saver *saver) {
    char id[24];
    pthread_mutex_lock(&owner->mutex);
    uint64_t number = ++owner->newest, document = document_of(number);
    owner->numbers[document] = number;
    pthread_mutex_unlock(&owner->mutex);
    make_id(document, id);
    void *tag = (void *)(uintptr_t)(document + 1); // NOLINT(performance-no-int-to-ptr)
    if (hf_saver_mark(saver, "document", id, tag, number % 16 ? HF_STANDARD : HF_URGENT, NULL) != 0)
        _exit(5);
}

static void tell(int pipe_fd, uint64_t number) {
    if (write(pipe_fd, &number, sizeof number) != sizeof number)
        _exit(6);
}

/* newest: no number up to it was ever used. */
static void run_child(const char *url, uint64_t newest, int pipe_fd) {
    static struct owner owner = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    struct hf_store *store = NULL;
    struct hf_saver *saver = NULL;
    struct hf_saver_options options = {
        .struct_bytes = sizeof options, .interval_ms = INTERVAL_MS, .batch = BATCH, .give = give, .arg = &owner};
    if (hf_store_open(url, NULL, &store, NULL) != 0 || hf_saver_open(store, &options, &saver, NULL) != 0 ||
        hf_saver_load(saver, "document", take, &owner, NULL) != 0)
        _exit(2);
    owner.newest = newest;
    tell(pipe_fd, owner.newest);
    for (;;) {
        uint64_t changes = 1 + crash_mix(owner.newest, 4) % ROUND_MOST;
        for (uint64_t i = 0; i < changes; i++)
            change(&owner, saver);
        if (hf_saver_flush(saver, NULL) != 0)
            _exit(3);
        tell(pipe_fd, owner.newest);
    }
}

/* ---- the parent -------------------------------------------------------------------------------------------------- */

struct world {
    char folder[64], url[160];
    uint64_t random;
    uint64_t newest;           /* that may have been used */
    uint64_t flushed;          /* the newest that was told */
    uint64_t least[DOCUMENTS]; /* the last change of each that was told */
    uint64_t highest_document[DOCUMENTS];
    unsigned told;
};

static void take_told(struct world *world, uint64_t number, uint64_t *from) {
    for (uint64_t i = *from + 1; i <= number; i++)
        world->least[document_of(i)] = i;
    world->told += number > *from;
    world->flushed = *from = number;
}

/* Kills a moment after so many flushes; goes on to the end of what was told. */
static void listen_and_kill(struct world *world, pid_t child, int pipe_fd) {
    uint64_t number = 0, from = world->newest, after = crash_random(&world->random) % FLUSHES_MOST, heard = 0;
    while (read(pipe_fd, &number, sizeof number) == sizeof number) {
        take_told(world, number, &from);
        if (heard++ != after)
            continue;
        struct timespec moment = {.tv_nsec = (long)(crash_random(&world->random) % MOMENT_US) * 1000};
        nanosleep(&moment, NULL);
        kill(child, SIGKILL);
    }
}

static void run_and_kill(struct world *world) {
    int ends[2], status = 0;
    assert_int_equal(pipe(ends), 0);
    fflush(stdout);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(ends[0]);
        run_child(world->url, world->newest, ends[1]);
    }
    close(ends[1]);
    listen_and_kill(world, child, ends[0]);
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
        fail_msg("the program ended by itself: %d", WIFEXITED(status) ? WEXITSTATUS(status) : -1);
}

static int see_document(void *arg, const struct hf_record *record, int code) {
    struct world *world = arg;
    char json[JSON_BYTES];
    uint64_t number = 0;
    assert_int_equal(code, 0);
    assert_int_equal(sscanf(record->json, "{\"n\":%" SCNu64, &number), 1);
    assert_int_equal(record->json_bytes, make_json(number, json));
    assert_memory_equal(record->json, json, record->json_bytes);
    assert_false(is_deletion(number));
    world->highest_document[document_of(number)] = number;
    return 0;
}

/* A change that was not told may have been saved. */
static int may_be_deleted(const struct world *world, uint64_t document) {
    for (uint64_t number = world->flushed + 1; number <= world->flushed + ROUND_MOST; number++)
        if (document_of(number) == document && is_deletion(number))
            return 1;
    return 0;
}

static void compare(struct world *world) {
    for (uint64_t i = 0; i < DOCUMENTS; i++) {
        uint64_t found = world->highest_document[i], least = world->least[i];
        if (found < least && !(found == 0 && (is_deletion(least) || may_be_deleted(world, i))))
            fail_msg("document %" PRIu64 " is of change %" PRIu64 ", and %" PRIu64 " was flushed", i, found, least);
        assert_true(found <= world->flushed + ROUND_MOST);
        world->least[i] = found; /* it is there to stay; absent it may stay absent */
    }
}

static void complain(void *arg, const struct hf_finding *finding) {
    (void)arg;
    printf("# %s: %s\n", finding->what, finding->text);
}

static void look(struct world *world, int is_tree) {
    struct hf_store *store = NULL;
    struct hf_error error = {0};
    struct hf_check_result result = {0};
    char text[ORACLE_TEXT] = "";
    if (hf_store_open(world->url, NULL, &store, &error) != 0)
        fail_msg("%s", error.message);
    memset(world->highest_document, 0, sizeof world->highest_document);
    assert_int_equal(hf_store_scan(store, NULL, NULL, 0, see_document, world, NULL), 0);
    compare(world);
    assert_int_equal(hf_store_check(store, complain, NULL, &result, NULL), 0);
    assert_int_equal(result.findings, 0);
    if (is_tree && tree_state_compare(os_real(), world->url, store, text) != 0)
        fail_msg("%s", text);
    hf_store_close(&store);
    if (is_tree && !tree_state_is_tidy(os_real(), world->url, text))
        fail_msg("%s", text);
    world->newest = world->flushed + ROUND_MOST;
}

/* Before anyone re-opens it, too, no file is torn. */
static void look_at_files(const struct world *world) {
    struct tree_state state;
    char text[ORACLE_TEXT] = "";
    if (tree_state_read(os_real(), world->url, &state, text) != 0)
        fail_msg("%s", text);
    tree_state_fini(&state);
}

static int remove_one(void *arg, int dir_fd, const char *name, const char *path, const struct stat *stat) {
    (void)arg, (void)path;
    return unlinkat(dir_fd, name, S_ISDIR(stat->st_mode) ? AT_REMOVEDIR : 0);
}

static void remove_all(const char *folder) {
    int fd = -1;
    assert_int_equal(file_open_folder(os_real(), AT_FDCWD, folder, &fd, NULL), 0);
    assert_int_equal(file_walk(os_real(), fd, remove_one, NULL, NULL), 0);
    close(fd);
    rmdir(folder);
}

static void kill_often(const char *scheme, const char *rest, int is_tree) {
    struct world world = {.folder = "/tmp/holdfast-kill-XXXXXX"};
    const char *seed = getenv("HOLDFAST_KILL_SEED");
    world.random = seed && *seed ? strtoull(seed, NULL, 10) | 1 : 20261122;
    assert_non_null(mkdtemp(world.folder));
    snprintf(world.url, sizeof world.url, "%s:%s%s", scheme, world.folder, rest);
    for (int i = 0; i < KILLS; i++) {
        run_and_kill(&world);
        if (is_tree)
            look_at_files(&world);
        look(&world, is_tree);
    }
    printf("# %s%s: killed %d times, %u flushes told, %" PRIu64 " changes\n", scheme, rest, KILLS, world.told,
           world.flushed);
    assert_true(world.told > KILLS / 2);
    remove_all(world.folder);
}

/* The known-bad variant: a program that writes its files where they stand. */
static void write_in_place(const char *folder, int pipe_fd) {
    char path[96], json[JSON_BYTES];
    snprintf(path, sizeof path, "%s/document/one.json", folder);
    tell(pipe_fd, 0);
    for (uint64_t number = 1;; number++) {
        int bytes = make_json(number, json), fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        for (int i = 0; i < bytes; i++)
            if (write(fd, json + i, 1) != 1)
                _exit(3);
        close(fd);
    }
}

static void test_torn_files_are_seen(void **state) {
    (void)state;
    char folder[] = "/tmp/holdfast-kill-XXXXXX", path[96], url[96], text[ORACLE_TEXT] = "";
    struct tree_state files;
    uint64_t number;
    unsigned torn = 0;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/document", folder);
    snprintf(url, sizeof url, "tree:%s", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    for (int i = 0; i < KILLS && !torn; i++) {
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0)
            write_in_place(folder, ends[1]);
        assert_int_equal(read(ends[0], &number, sizeof number), sizeof number);
        poll(NULL, 0, 1 + i);
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, NULL, 0), child);
        torn += tree_state_read(os_real(), url, &files, text) != 0;
        tree_state_fini(&files);
        close(ends[0]);
        close(ends[1]);
    }
    assert_true(torn > 0);
    remove_all(folder);
}

static void test_kills_over_sqlite(void **state) {
    (void)state;
    kill_often("sqlite", "/store.db", 0);
}

static void test_kills_over_tree_by_id(void **state) {
    (void)state;
    kill_often("tree", "?layout=watch", 1);
}

static void test_kills_over_tree_by_kind(void **state) {
    (void)state;
    kill_often("tree", "?layout=kind", 1);
}

static void test_kills_over_tree_file(void **state) {
    (void)state;
    kill_often("tree", "?layout=kind&durable=file", 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_torn_files_are_seen),   cmocka_unit_test(test_kills_over_sqlite),
        cmocka_unit_test(test_kills_over_tree_by_id), cmocka_unit_test(test_kills_over_tree_by_kind),
        cmocka_unit_test(test_kills_over_tree_file),
    };
    return cmocka_run_group_tests_name("kill -9 among background saves", tests, NULL, NULL);
}
