/* States of collectors against power cuts: saves with records, leases, takeovers, retention, on a simulated disk. From
 * every state that a cut could leave, the newest acknowledged version loads, the fence has not gone back, and the
 * records that were committed with a version are there exactly when it is. Two programs that are known to be bad, one
 * that puts the head before its version, one that commits records apart, must fail. sim/crash_suite.h tells of the
 * environment. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "crash/crash_checks.h"
#include "keep/state_inside.h"
#include "os/file.h"
#include "store/store.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME "collector"
#define URL  "sqlite:/data/store.db"
enum { STEPS = 36, KEEP = 4, TTL_MS = 60000, POINTS_MOST = STEPS + 8 };

enum saver { GOOD, HEAD_FIRST, RECORDS_APART };
static const enum saver SAVERS[] = {GOOD, HEAD_FIRST, RECORDS_APART};

/* Where a state is: all that each step changes. */
struct point {
    uint64_t version, fence;
    int is_held;
};

struct state_work {
    enum saver saver;
    int is_lying;
    uint64_t random;
    struct sim_disk *disk;
    struct sim_process *process;
    struct hf_store *store;
    struct point at, points[POINTS_MOST];
    size_t point_count;
};

static void must(int code, const struct hf_error *error) {
    if (code == 0)
        return;
    fprintf(stderr, "state_work: %s\n", error->message);
    abort();
}

/* Every step adds one, so whatever is found has its place among what was acknowledged. */
static int64_t place_of(const struct point *point) {
    return (int64_t)(point->version + 2 * point->fence) - point->is_held;
}

/* ---- the program ------------------------------------------------------------------------------------------------- */

static int open_store(struct sim_process *process, struct hf_store **ret_store, struct hf_error *error) {
    const struct store_setup setup = {.os = sim_process_os(process), .without_thread = 1};
    int code = store_open(URL, NULL, &setup, ret_store, error);
    return code == 0 ? state_declare_kinds(*ret_store, error) : code;
}

static int take(void *arg, struct state_head *head, struct hf_batch *batch, struct hf_error *error) {
    return state_lease_take(arg, head, batch, &(struct state_claim){.ttl_ms = TTL_MS, .steal = 1, .who = "work"},
                            error);
}

static int take_after(void *arg, struct state_head *head, struct hf_batch *batch, struct hf_error *error) {
    return state_lease_take(arg, head, batch, &(struct state_claim){.ttl_ms = TTL_MS, .steal = 1, .who = "after"},
                            error);
}

static int take_when_free(void *arg, struct state_head *head, struct hf_batch *batch, struct hf_error *error) {
    return state_lease_take(arg, head, batch, &(struct state_claim){.ttl_ms = TTL_MS, .who = "work"}, error);
}

static int change(struct hf_store *store, int (*how)(void *, struct state_head *, struct hf_batch *, struct hf_error *),
                  struct hf_error *error) {
    return state_change_commit(&(struct state_change){.store = store, .name = NAME, .change = how, .arg = store}, NULL,
                               error);
}

/* Records go with odd versions. */
static struct hf_batch *records_of(uint64_t version) {
    struct hf_error error = {0};
    struct hf_batch *batch = NULL;
    char id[32];
    if (version % 2 == 0)
        return NULL;
    snprintf(id, sizeof id, "%" PRIu64, version);
    must(hf_batch_new(NULL, &batch, &error), &error);
    must(hf_batch_put(batch, "item", id, id, strlen(id), NULL, &error), &error);
    return batch;
}

static int save(struct hf_store *store, const struct point *at, uint64_t version, struct hf_batch *with,
                const char *who, struct hf_error *error) {
    char text[64];
    struct hf_state_lease *lease = NULL;
    snprintf(text, sizeof text, "{\"n\":%" PRIu64 "}", version);
    if (at->is_held)
        must(hf_state_lease_of_fence(NAME, at->fence, &lease, error), error);
    const struct hf_state_save_options options = {.struct_bytes = sizeof options,
                                                  .basis = lease ? HF_STATE_BY_LEASE : HF_STATE_IF_VERSION,
                                                  .if_version = at->version,
                                                  .lease = lease,
                                                  .who = who,
                                                  .with = with};
    int code = hf_state_save(store, NAME, text, strlen(text), &options, NULL, error);
    hf_state_lease_free(&lease);
    return code;
}

/* Known to be bad: the version is left for a commit of its own. */
struct torn_save {
    struct hf_store *store;
    struct hf_batch *version;
    uint64_t number;
};

static int change_head_only(void *arg, struct state_head *head, struct hf_batch *batch, struct hf_error *error) {
    struct torn_save *torn = arg;
    struct state_bytes bytes;
    char text[64];
    (void)batch;
    snprintf(text, sizeof text, "{\"n\":%" PRIu64 "}", torn->number);
    must(state_bytes_look(text, strlen(text), &bytes, error), error);
    return state_change_save(torn->store, head, torn->version, &bytes, &(struct state_meta){.fence = 0}, error);
}

static void save_head_first(struct state_work *work, uint64_t version) {
    struct hf_error error = {0};
    struct torn_save torn = {.store = work->store, .version = records_of(version), .number = version};
    if (!torn.version)
        must(hf_batch_new(NULL, &torn.version, &error), &error);
    const struct state_change first = {.store = work->store, .name = NAME, .change = change_head_only, .arg = &torn};
    must(state_change_commit(&first, NULL, &error), &error);
    must(hf_store_commit(work->store, &torn.version, NULL, &error), &error);
}

static void save_next(struct state_work *work) {
    struct hf_error error = {0};
    uint64_t version = work->at.version + 1;
    sim_mark_phase(work->disk, "save");
    if (work->saver == HEAD_FIRST) {
        save_head_first(work, version);
    } else {
        int is_apart = work->saver == RECORDS_APART;
        struct hf_batch *records = records_of(version);
        must(save(work->store, &work->at, version, is_apart ? NULL : records, "work", &error), &error);
        if (is_apart && records)
            must(hf_store_commit(work->store, &records, NULL, &error), &error);
    }
    work->at.version = version;
}

static int give_back(void *arg, struct state_head *head, struct hf_batch *batch, struct hf_error *error) {
    return state_run_close(arg, head, batch, "ok", NULL, error);
}

/* A run that was overtaken saves: nothing comes of it. */
static void save_in_vain(struct state_work *work) {
    struct hf_error error = {0};
    const struct point old = {.version = work->at.version, .fence = work->at.fence - 1, .is_held = 1};
    if (work->at.fence > 1 && save(work->store, &old, work->at.version + 1, NULL, "late", &error) != HF_ERR_CONFLICT)
        abort();
}

static void take_lease(struct state_work *work) {
    struct hf_error error = {0};
    int is_stolen = crash_random(&work->random) % 2;
    sim_mark_phase(work->disk, "take the lease");
    if (!is_stolen)
        sim_disk_advance_ms(work->disk, TTL_MS + 1);
    must(change(work->store, is_stolen ? take : take_when_free, &error), &error);
    work->at.fence++;
    work->at.is_held = 1;
}

static void reopen(struct state_work *work, int is_killed) {
    struct hf_error error = {0};
    sim_mark_phase(work->disk, is_killed ? "kill and open" : "close and open");
    if (is_killed)
        sim_process_kill(work->process);
    hf_store_close(&work->store);
    sim_process_free(&work->process);
    work->process = sim_process_new(work->disk);
    sim_process_set_lying(work->process, work->is_lying);
    must(open_store(work->process, &work->store, &error), &error);
}

static void step(struct state_work *work) {
    struct hf_error error = {0};
    switch (crash_random(&work->random) % 10) {
    case 0:
    case 1:
        take_lease(work);
        break;
    case 2:
        if (work->at.is_held)
            must(change(work->store, give_back, &error), &error);
        work->at.is_held = 0;
        break;
    case 3:
        save_in_vain(work);
        break;
    case 4:
        reopen(work, crash_random(&work->random) % 2);
        break;
    case 5:
        store_pump(work->store);
        break;
    default:
        save_next(work);
    }
    work->points[work->point_count++] = work->at;
    sim_mark_ack(work->disk, place_of(&work->at));
}

/* The kernel's word for this boot, which leases name. */
static void make_boot_id(struct sim_disk *disk) {
    static const char FOLDER[] = "/proc/sys/kernel/random", ID[] = "00000000-1111-2222-3333-444444444444\n";
    struct sim_process *process = sim_process_new(disk);
    const struct os *os = sim_process_os(process);
    struct hf_error error = {0};
    int fd;
    must(file_make_folders(os, FOLDER, 0755, &error), &error);
    must(file_open_folder(os, AT_FDCWD, FOLDER, &fd, &error), &error);
    must(file_replace(os, fd, "boot_id", ID, sizeof ID - 1, 0644, &error), &error);
    (void)os_close(os, fd);
    sim_process_free(&process);
}

static struct sim_record *record(const struct crash_subject *subject, uint64_t seed, int lying, void **ret_work) {
    struct hf_error error = {0};
    struct state_work *work = sim_alloc(sizeof *work);
    *work = (struct state_work){.saver = *(const enum saver *)subject->workload,
                                .is_lying = lying,
                                .random = seed,
                                .point_count = 1};
    work->disk = sim_disk_new(seed);
    make_boot_id(work->disk);
    sim_disk_record(work->disk);
    sim_mark_phase(work->disk, "create");
    work->process = sim_process_new(work->disk);
    sim_process_set_lying(work->process, lying);
    must(open_store(work->process, &work->store, &error), &error);
    must(hf_state_keep(work->store, NAME, KEEP, 0, &error), &error);
    for (int i = 0; i < STEPS; i++)
        step(work);
    hf_store_close(&work->store);
    sim_process_free(&work->process);
    *ret_work = work;
    return sim_disk_take_record(work->disk);
}

static void fini(void **work) {
    struct state_work *self = *work;
    sim_disk_free(&self->disk);
    mem_free(self);
    *work = NULL;
}

/* ---- after a crash ----------------------------------------------------------------------------------------------- */

static int complain(char text[CRASH_TEXT], const char *format, ...) __attribute__((format(printf, 2, 3)));
static int complain(char text[CRASH_TEXT], const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(text, CRASH_TEXT, format, args);
    va_end(args);
    return -1;
}

static int check_value(struct hf_store *store, uint64_t version, char text[CRASH_TEXT]) {
    struct hf_state_value *value = NULL;
    struct hf_error error = {0};
    char expected[64];
    snprintf(expected, sizeof expected, "{\"n\":%" PRIu64 "}", version);
    int code = hf_state_load(store, NAME, &value, &error);
    int is_right = version == 0 ? code == HF_ERR_NOT_FOUND
                                : code == 0 && value->version == version && strcmp(value->bytes, expected) == 0;
    hf_state_value_free(&value);
    return is_right ? 0 : complain(text, "version %" PRIu64 " does not load: %s", version, error.message);
}

static int check_records(struct hf_store *store, uint64_t version, char text[CRASH_TEXT]) {
    for (uint64_t i = 1; i <= version + 2; i++) {
        char id[32];
        struct hf_record *item = NULL;
        snprintf(id, sizeof id, "%" PRIu64, i);
        int is_there = hf_store_get(store, "item", id, &item, NULL) == 0;
        hf_record_free(&item);
        if (is_there != (i % 2 == 1 && i <= version))
            return complain(text, "version %" PRIu64 ", and record %" PRIu64 " is %s", version, i,
                            is_there ? "there" : "not there");
    }
    return 0;
}

static int check_run(struct hf_store *store, const struct point *at, char text[CRASH_TEXT]) {
    struct state_run run;
    if (at->fence == 0)
        return 0;
    if (state_run_read(store, NAME, at->fence, &run, NULL) != 0)
        return complain(text, "run %" PRIu64 " is not in the ledger", at->fence);
    int is_running = strcmp(run.outcome, "running") == 0;
    state_run_fini(&run);
    return is_running == at->is_held ? 0 : complain(text, "run %" PRIu64 " is ended wrongly", at->fence);
}

static int count_version(void *arg, const struct state_meta *meta, int code) {
    (void)meta;
    *(uint64_t *)arg += code == 0 ? 1 : 1000;
    return 0;
}

static int check_kept(struct hf_store *store, const struct state_head *head, char text[CRASH_TEXT]) {
    uint64_t count = 0;
    if (state_version_each(store, NAME, count_version, &count, NULL) != 0 || count != state_head_kept(head) ||
        count != (head->newest.version < KEEP ? head->newest.version : KEEP))
        return complain(text, "%" PRIu64 " versions are kept of %" PRIu64, count, head->newest.version);
    return 0;
}

static int is_known(const struct state_work *work, const struct point *at) {
    for (size_t i = 0; i < work->point_count; i++) {
        const struct point *point = &work->points[i];
        if (point->version == at->version && point->fence == at->fence && point->is_held == at->is_held)
            return 1;
    }
    return 0;
}

/* work NULL: what was done since is not among its points. */
static int look(const struct state_work *work, struct hf_store *store, struct point *ret_at, char text[CRASH_TEXT]) {
    struct state_head head;
    struct hf_error error = {0};
    if (state_head_read(store, NAME, 0, &head, &error) != 0)
        return complain(text, "%s", error.message);
    const struct point at = {head.newest.version, head.fence, head.lease.fence > 0};
    int is_after = !work || strcmp(head.lease.who, "after") == 0;
    int code = check_value(store, at.version, text);
    if (code == 0)
        code = check_records(store, at.version, text);
    if (code == 0)
        code = check_run(store, &at, text);
    if (code == 0 && head.exists)
        code = check_kept(store, &head, text);
    if (code == 0 && !is_after && !is_known(work, &at))
        code = complain(text, "version %" PRIu64 " with fence %" PRIu64 " never was", at.version, at.fence);
    state_head_fini(&head);
    *ret_at = at;
    return code;
}

/* The next run takes the lease and saves; whoever had it before cannot. */
static int go_on(struct sim_disk *disk, struct hf_store *store, struct point *at, char text[CRASH_TEXT]) {
    struct hf_error error = {0};
    struct point old = *at;
    sim_mark_phase(disk, "go on after a crash");
    if (!at->is_held && at->fence == 0 && hf_state_keep(store, NAME, KEEP, 0, &error) != 0)
        return complain(text, "keep: %s", error.message);
    if (change(store, take_after, &error) != 0)
        return complain(text, "take the lease: %s", error.message);
    at->fence++;
    at->is_held = 1;
    sim_mark_ack(disk, place_of(at));
    if (old.is_held && save(store, &old, at->version + 1, NULL, "late", &error) != HF_ERR_CONFLICT)
        return complain(text, "an older fence than %" PRIu64 " saves", at->fence);
    if (save(store, at, at->version + 1, records_of(at->version + 1), "after", &error) != 0)
        return complain(text, "save: %s", error.message);
    at->version++;
    sim_mark_ack(disk, place_of(at));
    struct point found;
    return look(NULL, store, &found, text) == 0 && place_of(&found) == place_of(at) ? 0 : -1;
}

static int64_t verify(void *arg, struct sim_disk *disk, char text[CRASH_TEXT]) {
    struct sim_process *process = sim_process_new(disk);
    struct hf_store *store = NULL;
    struct hf_error error = {0};
    struct point at = {0};
    int64_t found = -1;
    text[0] = '\0';
    sim_mark_phase(disk, "open after a crash");
    if (open_store(process, &store, &error) != 0)
        complain(text, "open: %s", error.message);
    else if (look(arg, store, &at, text) == 0) {
        found = place_of(&at);
        sim_mark_ack(disk, found);
        if (go_on(disk, store, &at, text) != 0)
            found = -1;
    }
    hf_store_close(&store);
    sim_process_free(&process);
    return found;
}

/* ---- the tests --------------------------------------------------------------------------------------------------- */

static struct crash_subject subject_of(enum saver saver) {
    static const char *const SAVER_NAMES[] = {"states", "states, head first", "states, records apart"};
    struct crash_subject subject = {
        .weight = 1, .workload = &SAVERS[saver], .record = record, .verify = verify, .fini = fini};
    snprintf(subject.name, sizeof subject.name, "%s", SAVER_NAMES[saver]);
    return subject;
}

/* The known-bad programs: a part of a save is there without the other. */
static void test_two_commits_are_caught(void **state) {
    (void)state;
    for (int saver = HEAD_FIRST; saver <= RECORDS_APART; saver++) {
        const struct crash_subject subject = subject_of((enum saver)saver);
        struct crash_options options;
        struct crash_result result = {0};
        void *work = NULL;
        struct sim_record *what = subject.record(&subject, 1, 0, &work);
        crash_options_default(&options);
        options.keep_one_in = crash_count(what, &options) / 2000 + 1;
        options.deeper_one_in = 0;
        crash_run(what, &options, verify, work, &result);
        printf("# %s: %" PRIu64 " of %" PRIu64 " states failed: %s\n", subject.name, result.failures, result.total,
               result.first_failure);
        assert_true(result.failures > 0);
        assert_true(strstr(result.first_failure, saver == HEAD_FIRST ? "is lost" : "record") != NULL);
        sim_record_free(&what);
        fini(&work);
    }
}

int main(void) {
    static struct crash_checks checks = {.states = 60000, .lying_states_most = 2000, .count = 1};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_commits_are_caught),
        cmocka_unit_test_prestate(test_missing_syncs_are_caught, &checks),
        cmocka_unit_test_prestate(test_nothing_acknowledged_is_lost, &checks),
    };
    crash_suite_init();
    checks.subjects[0] = subject_of(GOOD);
    return cmocka_run_group_tests_name("crash states of collectors' states", tests, NULL, NULL);
}
