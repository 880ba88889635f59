/* S1, S2, S20: power cuts. A program of saves, updates, deletions and batches; what is there at each revision follows
 * from the revision. */
#include "fault/catalogue.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "sim/crash_states.h"
#include "sim/share.h"

enum { CRASH_STATES = 4000, SANITIZED_ONE_IN = 20, KEYS = 6, STEPS = 12, BATCH = 3 };

struct script {
    const char *url;
    int numbers[STEPS + 1][KEYS]; /* of the document at a revision; 0: none */
};

static const char *key_id(int key, char id[16]) {
    snprintf(id, 16, "k%d", key);
    return id;
}

static void script_fill(struct script *script, const char *url) {
    memset(script, 0, sizeof *script);
    script->url = url;
    for (int step = 1; step <= STEPS; step++) {
        int *now = script->numbers[step];
        memcpy(now, script->numbers[step - 1], sizeof script->numbers[step]);
        int first = step * 2 % KEYS;
        if (step % 4 == 0 && now[first])
            now[first] = 0;
        else if (step % 4 == 3)
            for (int i = 0; i < BATCH; i++)
                now[(first + i) % KEYS] = step * 10 + i;
        else
            now[step % 4 == 1 ? first : (step - 1) * 2 % KEYS] = step * 10;
    }
}

static int script_step(const struct script *script, struct hf_store *store, int step, struct hf_error *error) {
    struct hf_batch *batch = NULL;
    int code = hf_batch_new("script", &batch, error);
    for (int key = 0; key < KEYS && code == 0; key++) {
        char id[16], json[256];
        int number = script->numbers[step][key];
        if (number == script->numbers[step - 1][key])
            continue;
        size_t bytes = world_make_document(json, number, 100);
        if (number)
            code = hf_batch_put(batch, "watch", key_id(key, id), json, bytes, NULL, error);
        else
            code = hf_batch_delete(batch, "watch", key_id(key, id), NULL, error);
    }
    return code == 0 ? hf_store_commit(store, &batch, NULL, error) : code;
}

static int open_script(const struct script *script, struct sim_process *process, struct hf_store **ret_store,
                       struct hf_error *error) {
    struct store_setup setup = {.os = sim_process_os(process), .without_thread = 1};
    return store_open(script->url, NULL, &setup, ret_store, error);
}

/* Creates the store within the record: an interrupted creation is one of the states. */
static struct sim_record *script_record(const struct script *script, int steps) {
    struct sim_disk *disk = sim_disk_new(5);
    struct sim_process *process = sim_process_new(disk);
    struct hf_store *store = NULL;
    struct hf_error error = {0};
    sim_disk_record(disk);
    if (open_script(script, process, &store, &error) != 0)
        fail_msg("%s", error.message);
    for (int step = 1; step <= steps; step++) {
        if (script_step(script, store, step, &error) != 0)
            fail_msg("%s", error.message);
        sim_mark_ack(disk, step);
        if (step % 5 == 0)
            store_pump(store);
    }
    hf_store_close(&store);
    struct sim_record *record = sim_disk_take_record(disk);
    sim_process_free(&process);
    sim_disk_free(&disk);
    return record;
}

#define AFTER_JSON "{\"base\":%d,\"count\":%d}"

/* A record of the verifier's own says at which revision it first came and how often. */
static int read_after(struct hf_store *store, int *ret_base, int *ret_count) {
    struct hf_record *record = NULL;
    int code = hf_store_get(store, "after", "crash", &record, NULL), base = 0, count = 0;
    if (code == 0 && sscanf(record->json, AFTER_JSON, &base, &count) != 2)
        code = HF_ERR_BAD_DATA;
    hf_record_free(&record);
    *ret_base = code == 0 ? base : -1;
    *ret_count = count;
    return code == HF_ERR_NOT_FOUND ? 0 : code;
}

static int64_t compare_script(const struct script *script, struct hf_store *store, char text[CRASH_TEXT]) {
    int base, count, code = read_after(store, &base, &count);
    int revision = (int)hf_store_revision(store);
    int script_revision = base < 0 ? revision : base;
    if (code != 0 || script_revision > STEPS || script_revision + count != revision) {
        snprintf(text, CRASH_TEXT, "at revision %d with base %d and count %d (%d)", revision, base, count, code);
        return -1;
    }
    for (int key = 0; key < KEYS; key++) {
        char id[16], json[256];
        struct hf_record *record = NULL;
        int number = script->numbers[script_revision][key];
        code = hf_store_get(store, "watch", key_id(key, id), &record, NULL);
        world_make_document(json, number, 100);
        int is_right = number ? code == 0 && strcmp(record->json, json) == 0 : code == HF_ERR_NOT_FOUND;
        hf_record_free(&record);
        if (!is_right) {
            snprintf(text, CRASH_TEXT, "revision %d: %s is not what was committed (%d)", revision, id, code);
            return -1;
        }
    }
    return revision;
}

static int64_t verify_opened(const struct script *script, struct hf_store *store, struct sim_disk *disk,
                             char text[CRASH_TEXT]) {
    char json[64];
    int base, count;
    struct hf_check_result result = {0};
    struct hf_error error = {0};
    int64_t found = compare_script(script, store, text);
    if (found < 0)
        return found;
    sim_mark_ack(disk, found);
    if (hf_store_check(store, NULL, NULL, &result, &error) != 0 || result.findings) {
        snprintf(text, CRASH_TEXT, "check: %" PRIu64 " findings %s", result.findings, error.message);
        return -1;
    }
    (void)read_after(store, &base, &count);
    int bytes = snprintf(json, sizeof json, AFTER_JSON, base < 0 ? (int)found : base, count + 1);
    if (hf_store_put(store, "after", "crash", json, (size_t)bytes, NULL, &error) != 0) {
        snprintf(text, CRASH_TEXT, "commit after the crash: %s", error.message);
        return -1;
    }
    sim_mark_ack(disk, found + 1);
    return found;
}

static int64_t verify_script(void *arg, struct sim_disk *disk, char text[CRASH_TEXT]) {
    struct sim_process *process = sim_process_new(disk);
    struct hf_store *store = NULL;
    struct hf_error error = {0};
    int64_t found = -1;
    if (open_script(arg, process, &store, &error) == 0)
        found = verify_opened(arg, store, disk, text);
    else
        snprintf(text, CRASH_TEXT, "open: %s", error.message);
    hf_store_close(&store);
    sim_process_free(&process);
    return found;
}

static void cut_power(const char *url, int steps, unsigned deeper_one_in, unsigned deeper_levels, uint64_t all) {
    uint64_t states = share_of(all, SANITIZED_ONE_IN);
    struct script script;
    struct crash_result result = {0};
    script_fill(&script, url);
    struct sim_record *record = script_record(&script, steps);
    for (int order = CRASH_STRICT; order <= CRASH_EXT4; order++) {
        struct crash_options options;
        crash_options_default(&options);
        options.order = (enum crash_order)order;
        options.deeper_one_in = deeper_one_in;
        options.deeper_levels = deeper_levels;
        options.most_states = states;
        options.keep_one_in = crash_count(record, &options) / states + 1;
        if (crash_run(record, &options, verify_script, &script, &result) != 0)
            fail_msg("%s", result.first_failure);
    }
    printf("#   %s: %" PRIu64 " states, %" PRIu64 " distinct, %" PRIu64 " within recovery\n", url, result.total,
           result.distinct, result.deeper);
    assert_true(result.distinct > 20);
    assert_true(deeper_one_in == 0 || result.deeper > 0);
    sim_record_free(&record);
}

void S1_power_cut_at_any_op(void **state) {
    cut_power(*state, STEPS, 0, 0, CRASH_STATES);
}

void S2_power_cut_in_recovery_three_deep(void **state) {
    cut_power(*state, STEPS, 24, 3, CRASH_STATES / 4);
}

/* There is no older schema to upgrade from: what is built step by step is a new store. A cut at each of the steps
 * leaves one that opens, empty or created, with nobody's help. */
void S20_interrupted_creation_for_want_of_an_older_schema(void **state) {
    cut_power(*state, 1, 0, 0, CRASH_STATES / 2);
}
