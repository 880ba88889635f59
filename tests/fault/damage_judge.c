/* Whether a damaged store gives what was committed, or says what is wrong. */
#include "fault/damage_inside.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct judge {
    const struct damage_base *base;
    struct damage_verdict *verdict;
    struct hf_store *store;
    int scanned[DAMAGE_KEYS_MAX]; /* the number that a scan gave; 0: none */
    int got[DAMAGE_KEYS_MAX];     /* that a get gave; 0: none; -1: an error */
    int is_told;
    char key_told[DAMAGE_KEYS_MAX]; /* its file was told of */
    uint64_t findings;
};

static void complain(struct judge *judge, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void complain(struct judge *judge, const char *format, ...) {
    va_list args;
    if (judge->verdict->complaint[0])
        return;
    va_start(args, format);
    vsnprintf(judge->verdict->complaint, DAMAGE_TEXT, format, args);
    va_end(args);
}

/* Damage has its names; anything else would send people the wrong way. */
static void judge_error(struct judge *judge, const char *step, int code, const struct hf_error *error) {
    judge->is_told = 1;
    if (code != HF_ERR_CORRUPT)
        complain(judge, "%s: %s: %s", step, hf_code_word(code), error->message);
}

/* Whether the opening or the check named the record: a file that another program changed is the record from then on. */
static int was_told(const struct judge *judge, const char *id) {
    int key = -1;
    return sscanf(id, "id-%d", &key) == 1 && key >= 0 && key < DAMAGE_KEYS_MAX && judge->key_told[key];
}

static int see_record(void *arg, const struct hf_record *record, int code) {
    struct judge *judge = arg;
    int key;
    if (code != 0) {
        judge->is_told = 1;
        if (code != HF_ERR_CORRUPT || record->json)
            complain(judge, "scan: a damaged row comes with code %d", code);
        return 0;
    }
    int number = damage_number_of(judge->base, record->id, record->json, record->json_bytes, &key);
    if (number < 0 && was_told(judge, record->id))
        return 0;
    if (number < 0 || strcmp(record->kind, damage_kind_of(key)) != 0)
        complain(judge, "scan: %s/%s is not what was committed: %.60s", record->kind, record->id, record->json);
    else
        judge->scanned[key] = number;
    return 0;
}

static int see_version(void *arg, const struct hf_record *record, int code) {
    struct judge *judge = arg;
    judge->is_told |= code != 0;
    if (code == 0 && record->json && !was_told(judge, record->id) &&
        !damage_was_committed(judge->base, record->id, record->json, record->json_bytes))
        complain(judge, "history: %s is not what was committed: %.60s", record->id, record->json);
    return 0;
}

static int see_event(void *arg, const struct hf_event *event) {
    (void)arg, (void)event;
    return 0;
}

static void see_finding(void *arg, const struct hf_finding *finding) {
    struct judge *judge = arg;
    int key = -1;
    if (!finding->what || !finding->text)
        complain(judge, "a finding without words");
    judge->findings++;
    if (finding->id && sscanf(finding->id, "id-%d", &key) == 1 && key >= 0 && key < DAMAGE_KEYS_MAX)
        judge->key_told[key] = 1;
}

static void look_by_get(struct judge *judge, int key) {
    char id[16];
    struct hf_record *record = NULL;
    struct hf_error error = {0};
    int found_key;
    snprintf(id, sizeof id, "id-%d", key);
    int code = hf_store_get(judge->store, damage_kind_of(key), id, &record, &error);
    judge->got[key] = 0;
    if (code == 0) {
        judge->got[key] = damage_number_of(judge->base, record->id, record->json, record->json_bytes, &found_key);
        if ((judge->got[key] < 0 || found_key != key) && !was_told(judge, id))
            complain(judge, "get: %s is not what was committed: %.60s", id, record->json);
    } else if (code != HF_ERR_NOT_FOUND) {
        judge->got[key] = -1;
        judge_error(judge, "get", code, &error);
    }
    hf_record_free(&record);
}

static void look_at_all(struct judge *judge) {
    struct hf_error error = {0};
    struct hf_check_result result = {0};
    int code = hf_store_check(judge->store, see_finding, judge, &result, &error);
    if (code != 0)
        judge_error(judge, "check", code, &error);
    judge->findings += code != 0;
    if (code == 0 && result.findings > judge->findings)
        complain(judge, "check: counts findings that it did not tell of");
    code = hf_store_scan(judge->store, NULL, NULL, 0, see_record, judge, &error);
    if (code != 0)
        judge_error(judge, "scan", code, &error);
    for (int key = 0; key < judge->base->shape->keys; key++) {
        char id[16];
        look_by_get(judge, key);
        snprintf(id, sizeof id, "id-%d", key);
        if (key % 4 == 0)
            code = hf_store_history(judge->store, damage_kind_of(key), id, 0, see_version, judge, &error);
        if (code != 0)
            judge_error(judge, "history", code, &error);
        code = 0;
    }
    code = hf_store_events(judge->store, 0, 0, see_event, judge, &error);
    if (code != 0)
        judge_error(judge, "events", code, &error);
}

static int is_as_at(const struct judge *judge, uint64_t revision) {
    if (revision > (uint64_t)judge->base->shape->steps)
        return 0;
    for (int key = 0; key < judge->base->shape->keys; key++) {
        int number = judge->base->numbers[revision][key];
        if (judge->got[key] != number || judge->scanned[key] != number)
            return 0;
    }
    return 1;
}

static void weigh(struct judge *judge, enum target target, int is_read_only) {
    /* After a kill the owner writes files again that may not have reached the disk: what is mended so is not told. */
    int is_mended = judge->base->shape->is_killed && !is_read_only;
    if (target == RECORD && judge->findings == 0 && !is_mended && strcmp(judge->verdict->what, "nothing") != 0) {
        complain(judge, "neither the opening nor the check tells of it");
        return;
    }
    uint64_t revision = hf_store_revision(judge->store), last = (uint64_t)judge->base->shape->steps;
    if (is_as_at(judge, last)) {
        judge->verdict->is_told = judge->is_told || judge->findings > 0;
        return;
    }
    judge->verdict->is_told = judge->findings > 0;
    if (judge->findings > 0)
        return;
    judge->verdict->is_earlier = target == WAL && !judge->is_told && is_as_at(judge, revision);
    if (!judge->verdict->is_earlier)
        complain(judge, "not as committed at revision %" PRIu64 ", and check finds nothing%s", revision,
                 judge->is_told ? " (an error said so)" : "");
}

static void write_on(struct judge *judge) {
    struct hf_error error = {0};
    char *json = NULL;
    size_t bytes = damage_make_document(judge->base->shape, 1, judge->base->numbers[1][1] + 1, &json);
    int code = hf_store_put(judge->store, damage_kind_of(1), "id-1", json, bytes, NULL, &error);
    if (code != 0 && code != HF_ERR_CORRUPT && code != HF_ERR_FAILED && code != HF_ERR_IO)
        complain(judge, "put: %s: %s", hf_code_word(code), error.message);
    free(json);
}

static int is_good_refusal(int code) {
    return code == HF_ERR_CORRUPT || code == HF_ERR_NOT_OURS || code == HF_ERR_SCHEMA_NEWER;
}

void damage_try(const struct damage_base *base, uint64_t seed, struct damage_verdict *ret_verdict) {
    struct sim_image image;
    struct judge judge = {.base = base, .verdict = ret_verdict};
    struct hf_error error = {0};
    memset(ret_verdict, 0, sizeof *ret_verdict);
    sim_image_copy(&base->image, &image);
    enum target target = damage_spoil_file(base, &image, seed, 0, ret_verdict->what);
    struct sim_disk *disk = sim_disk_from(&image, seed);
    struct sim_process *process = sim_process_new(disk);
    struct store_setup setup = {.os = sim_process_os(process), .without_thread = 1};
    struct hf_store_options options = {.struct_bytes = sizeof options,
                                       .read_only = damage_mix(seed, 9) % 4 == 0,
                                       .found = see_finding,
                                       .found_arg = &judge};
    int code = store_open(base->shape->url, &options, &setup, &judge.store, &error);
    if (code == 0) {
        look_at_all(&judge);
        weigh(&judge, target, options.read_only);
        if (!options.read_only)
            write_on(&judge);
        hf_store_close(&judge.store);
    } else {
        ret_verdict->is_refused = 1;
        int is_gone = code == HF_ERR_NOT_FOUND && (strstr(ret_verdict->what, "-wal: deleted") ||
                                                   strstr(ret_verdict->what, "-wal: cut")); /* as at the first commit */
        if (!(is_good_refusal(code) || is_gone) || !error.message[0])
            complain(&judge, "open: %s: %s", hf_code_word(code), error.message);
    }
    if (sim_process_open_files(process))
        complain(&judge, "%u files are left open", sim_process_open_files(process));
    sim_process_free(&process);
    sim_disk_free(&disk);
    sim_image_fini(&image);
}

void damage_count(struct damage_tally *tally, const struct damage_verdict *verdict) {
    tally->variants++;
    tally->complaints += verdict->complaint[0] != '\0';
    tally->refused += verdict->is_refused != 0;
    tally->told += verdict->is_told != 0;
    tally->earlier += verdict->is_earlier != 0;
    tally->unharmed += !verdict->is_refused && !verdict->is_told && !verdict->is_earlier;
}
