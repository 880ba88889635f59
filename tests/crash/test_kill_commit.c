/* 64 callers commit 10,000 documents while the process is killed with -9 again and again: what was acknowledged is
 * there, and what was not is there whole or not at all. HOLDFAST_KILL_SEED says where the random moments begin. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "holdfast.h"

#include <dirent.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    CALLERS = 64,
    DOCUMENTS = 10000,
    PER_BATCH = 2,
    BATCHES = DOCUMENTS / PER_BATCH,
    KILLS_LEAST = 8,
    ROUNDS_MOST = 1000
};
enum { KILL_AFTER_MOST = BATCHES / 16, KILL_DELAY_US = 2000 };

/* What a caller tells the parent; smaller than PIPE_BUF, so never torn. */
struct told {
    uint32_t caller, number;
};

struct caller {
    struct hf_store *store;
    uint32_t index, next;
    int pipe_fd;
};

struct world {
    char folder[64], url[96];
    uint32_t acked[CALLERS]; /* batches 1 to this */
    uint64_t random;
};

/* The batches are dealt out evenly. */
static uint32_t share_of(uint32_t caller) {
    return BATCHES / CALLERS + (caller < BATCHES % CALLERS);
}

static int make_json(uint32_t caller, uint32_t number, char json[256]) {
    return snprintf(json, 256, "{\"caller\":%" PRIu32 ",\"number\":%" PRIu32 ",\"fill\":\"%0*d\"}", caller, number,
                    (int)(number * 13 % 150) + 1, 0);
}

static void make_id(uint32_t caller, uint32_t number, int part, char id[48]) {
    snprintf(id, 48, "%02" PRIu32 "-%05" PRIu32 "-%d", caller, number, part);
}

/* ---- the child --------------------------------------------------------------------------------------------------- */

static int commit(const struct caller *caller, uint32_t number) {
    struct hf_batch *batch = NULL;
    char json[256], id[48];
    int bytes = make_json(caller->index, number, json);
    int code = hf_batch_new("caller", &batch, NULL);
    for (int part = 0; part < PER_BATCH && code == 0; part++) {
        make_id(caller->index, number, part, id);
        code = hf_batch_put(batch, "document", id, json, (size_t)bytes, NULL, NULL);
    }
    if (code == 0)
        code = hf_store_commit(caller->store, &batch, NULL, NULL);
    hf_batch_free(&batch);
    return code;
}

static void *call(void *arg) {
    struct caller *caller = arg;
    for (uint32_t number = caller->next; number <= share_of(caller->index); number++) {
        struct told told = {caller->index, number};
        if (commit(caller, number) != 0 || write(caller->pipe_fd, &told, sizeof told) != sizeof told)
            _exit(3);
    }
    return NULL;
}

static void run_child(const struct world *world, int pipe_fd) {
    struct hf_store *store = NULL;
    struct caller callers[CALLERS];
    pthread_t threads[CALLERS];
    if (hf_store_open(world->url, NULL, &store, NULL) != 0)
        _exit(2);
    for (uint32_t i = 0; i < CALLERS; i++) {
        callers[i] = (struct caller){store, i, world->acked[i] + 1, pipe_fd};
        if (pthread_create(&threads[i], NULL, call, &callers[i]) != 0)
            _exit(2);
    }
    for (uint32_t i = 0; i < CALLERS; i++)
        pthread_join(threads[i], NULL);
    _exit(0);
}

/* ---- the parent -------------------------------------------------------------------------------------------------- */

static uint64_t next_random(struct world *world) {
    world->random ^= world->random << 13;
    world->random ^= world->random >> 7;
    world->random ^= world->random << 17;
    return world->random;
}

static void wait_us(uint64_t us) {
    struct timespec time = {.tv_nsec = (long)us * 1000};
    nanosleep(&time, NULL);
}

/* Kills a moment after so many acknowledgements; goes on to the end of what was told. */
static void listen_and_kill(struct world *world, pid_t child, int pipe_fd) {
    uint64_t after = next_random(world) % KILL_AFTER_MOST, heard = 0;
    struct told told;
    ssize_t got;
    while ((got = read(pipe_fd, &told, sizeof told)) > 0) {
        assert_int_equal(got, sizeof told);
        assert_int_equal(told.number, world->acked[told.caller] + 1);
        world->acked[told.caller] = told.number;
        if (heard++ == after) {
            wait_us(next_random(world) % KILL_DELAY_US);
            kill(child, SIGKILL);
        }
    }
}

/* Returns 1 when the child was killed, 0 when it had done all. */
static int round_of(struct world *world) {
    int ends[2], status = 0;
    assert_int_equal(pipe(ends), 0);
    fflush(stdout);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(ends[0]);
        run_child(world, ends[1]);
    }
    close(ends[1]);
    listen_and_kill(world, child, ends[0]);
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true((WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) ||
                (WIFEXITED(status) && WEXITSTATUS(status) == 0));
    return WIFSIGNALED(status);
}

/* How many documents of a batch are there, with the right bytes. */
static int count_parts(struct hf_store *store, uint32_t caller, uint32_t number) {
    char json[256], id[48];
    int count = 0, bytes = make_json(caller, number, json);
    for (int part = 0; part < PER_BATCH; part++) {
        struct hf_record *record = NULL;
        make_id(caller, number, part, id);
        int code = hf_store_get(store, "document", id, &record, NULL);
        if (code == 0) {
            assert_int_equal(record->json_bytes, bytes);
            assert_memory_equal(record->json, json, (size_t)bytes);
        } else {
            assert_int_equal(code, HF_ERR_NOT_FOUND);
        }
        count += code == 0;
        hf_record_free(&record);
    }
    return count;
}

static int count_record(void *arg, const struct hf_record *record, int code) {
    (void)record;
    ++*(uint64_t *)arg;
    return code;
}

/* What is there: every batch that was acknowledged, perhaps the one that each caller was at, and nothing else. */
static void look(struct world *world) {
    struct hf_store *store = NULL;
    struct hf_error error = {0};
    struct hf_check_result result = {0};
    uint64_t expected = 0, found = 0;
    if (hf_store_open(world->url, NULL, &store, &error) != 0)
        fail_msg("%s", error.message);
    for (uint32_t caller = 0; caller < CALLERS; caller++) {
        for (uint32_t number = 1; number <= world->acked[caller]; number++)
            assert_int_equal(count_parts(store, caller, number), PER_BATCH);
        int parts = count_parts(store, caller, world->acked[caller] + 1);
        assert_true(parts == 0 || parts == PER_BATCH);
        world->acked[caller] += parts == PER_BATCH; /* nobody was told, but it is there to stay */
        expected += (uint64_t)world->acked[caller] * PER_BATCH;
    }
    assert_int_equal(hf_store_scan(store, NULL, NULL, 0, count_record, &found, NULL), 0);
    assert_int_equal(found, expected);
    assert_int_equal(hf_store_check(store, NULL, NULL, &result, NULL), 0);
    assert_int_equal(result.findings, 0);
    hf_store_close(&store);
}

static void remove_folder(const char *folder) {
    char path[512];
    DIR *entries = opendir(folder);
    for (struct dirent *entry; entries && (entry = readdir(entries));) {
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        unlink(path);
    }
    if (entries)
        closedir(entries);
    rmdir(folder);
}

static void test_callers_and_kills(void **state) {
    (void)state;
    struct world world = {.folder = "/tmp/holdfast-kill-XXXXXX"};
    const char *seed = getenv("HOLDFAST_KILL_SEED");
    unsigned kills = 0, all = 0, rounds = 0;
    world.random = seed && *seed ? strtoull(seed, NULL, 10) | 1 : 20261122;
    assert_non_null(mkdtemp(world.folder));
    snprintf(world.url, sizeof world.url, "sqlite:%s/store.db", world.folder);
    while (rounds++ < ROUNDS_MOST && !all) {
        int was_killed = round_of(&world);
        kills += was_killed != 0;
        all = !was_killed;
        look(&world);
    }
    printf("# %d documents from %d callers, killed %u times\n", DOCUMENTS, CALLERS, kills);
    assert_true(all);
    assert_true(kills >= KILLS_LEAST);
    for (uint32_t caller = 0; caller < CALLERS; caller++)
        assert_int_equal(world.acked[caller], share_of(caller));
    remove_folder(world.folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_callers_and_kills)};
    return cmocka_run_group_tests_name("kill -9 among commits", tests, NULL, NULL);
}
