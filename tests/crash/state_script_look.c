/* What the script's steps left: its digest, and whether its parts agree. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crash/state_script.h"
#include "keep/state_inside.h"
#include "store/store.h"

struct digesting {
    uint64_t digest;
    int with_times;
};

static void add_bytes(struct digesting *digesting, const char *bytes, size_t size) {
    digesting->digest = hash64(bytes, size, digesting->digest);
}

static const char *next_time(const char *json) {
    static const char *const TIMES[] = {"\"at\":",         "\"taken_at\":", "\"renewed_boot_ms\":",
                                        "\"started_at\":", "\"ended_at\":", "\"duration_ms\":",
                                        "\"host\":"};
    const char *first = NULL;
    for (size_t i = 0; i < sizeof TIMES / sizeof TIMES[0]; i++) {
        const char *at = strstr(json, TIMES[i]);
        if (at && (!first || at < first))
            first = at;
    }
    return first;
}

static void add_without_times(struct digesting *digesting, const char *json) {
    const char *time;
    while ((time = next_time(json)) != NULL) {
        add_bytes(digesting, json, (size_t)(time - json));
        json = time + strcspn(time, ",}");
    }
    add_bytes(digesting, json, strlen(json));
}

static int add_record(void *arg, const struct hf_record *record, int code) {
    struct digesting *digesting = arg;
    if (code != 0 || strncmp(record->id, SCRIPT_APART, strlen(SCRIPT_APART)) == 0)
        return code;
    int is_timed = strcmp(record->kind, STATE_TRASH_KIND) == 0 && !digesting->with_times;
    add_bytes(digesting, record->kind, strlen(record->kind));
    add_bytes(digesting, record->id, is_timed ? strcspn(record->id, "@") : strlen(record->id));
    if (digesting->with_times)
        add_bytes(digesting, record->json, record->json_bytes);
    else
        add_without_times(digesting, record->json);
    return 0;
}

int script_digest(struct hf_store *store, int with_times, uint64_t *ret_digest, struct hf_error *error) {
    struct digesting digesting = {.with_times = with_times};
    int code = hf_store_scan(store, NULL, NULL, 0, add_record, &digesting, error);
    *ret_digest = digesting.digest;
    return code;
}

static int complain(char text[SCRIPT_TEXT], const char *format, ...) __attribute__((format(printf, 2, 3)));
static int complain(char text[SCRIPT_TEXT], const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(text, SCRIPT_TEXT, format, args);
    va_end(args);
    return -1;
}

struct versions {
    struct hf_store *store;
    const struct state_head *head;
    uint64_t count;
    int is_wrong;
};

static int look_at_version(void *arg, const struct state_meta *meta, int code) {
    struct versions *versions = arg;
    const struct state_head *head = versions->head;
    struct state_version *version = NULL;
    versions->count++;
    versions->is_wrong |= code != 0 || meta->version < head->oldest || meta->version > head->newest.version ||
                          state_version_read(versions->store, head->name, meta->version, &version, NULL) != 0;
    state_version_free(&version);
    return 0;
}

static int check_versions(struct hf_store *store, const struct state_head *head, char text[SCRIPT_TEXT]) {
    struct versions versions = {.store = store, .head = head};
    struct hf_state_value *value = NULL;
    struct hf_error error = {0};
    if (state_version_each(store, head->name, look_at_version, &versions, &error) != 0)
        return complain(text, "%s", error.message);
    if (versions.is_wrong || versions.count != state_head_kept(head))
        return complain(text, "'%s': of %" PRIu64 " to %" PRIu64 " there are %" PRIu64 " versions%s", head->name,
                        head->oldest, head->newest.version, versions.count, versions.is_wrong ? ", one wrong" : "");
    int code = hf_state_load(store, head->name, &value, &error);
    uint64_t version = value ? value->version : 0;
    hf_state_value_free(&value);
    return version == head->newest.version && (code == 0 || (version == 0 && code == HF_ERR_NOT_FOUND))
               ? 0
               : complain(text, "'%s': the head is at %" PRIu64 ": %s", head->name, head->newest.version,
                          error.message);
}

struct runs {
    const struct state_head *head;
    uint64_t running; /* the fence of the one that is */
    int is_wrong;
};

static int look_at_run(void *arg, const struct hf_record *record, int code) {
    struct runs *runs = arg;
    struct state_run run;
    uint64_t number;
    if (state_number_of_id(runs->head->name, record->id, &number) != 0)
        return 0;
    state_run_init(&run);
    runs->is_wrong |= code != 0 || state_run_parse(record->json, record->json_bytes, number, &run, NULL) != 0 ||
                      number > runs->head->last_run || run.fence > runs->head->fence;
    if (strcmp(run.outcome, "running") == 0) {
        runs->is_wrong |= runs->running != 0;
        runs->running = number;
    }
    state_run_fini(&run);
    return 0;
}

static int check_runs(struct hf_store *store, const struct state_head *head, char text[SCRIPT_TEXT]) {
    struct runs runs = {.head = head};
    struct hf_error error = {0};
    if (hf_store_scan(store, STATE_RUN_KIND, NULL, 0, look_at_run, &runs, &error) != 0)
        return complain(text, "%s", error.message);
    return !runs.is_wrong && runs.running == head->lease.fence && head->fence <= head->last_run
               ? 0
               : complain(text, "'%s': the lease has %" PRIu64 ", in the ledger %" PRIu64 " runs%s", head->name,
                          head->lease.fence, runs.running, runs.is_wrong ? ", and one is wrong" : "");
}

int script_check(struct hf_store *store, char text[SCRIPT_TEXT]) {
    for (unsigned name = 0; name < 2; name++) {
        struct state_head head;
        struct hf_error error = {0};
        if (state_head_read(store, script_names[name], 0, &head, &error) != 0)
            return complain(text, "%s", error.message);
        int code = check_versions(store, &head, text);
        if (code == 0)
            code = check_runs(store, &head, text);
        state_head_fini(&head);
        if (code != 0)
            return code;
    }
    return 0;
}

uint64_t script_last_run(struct hf_store *store, unsigned name) {
    struct state_head head;
    if (state_head_read(store, script_names[name], 0, &head, NULL) != 0)
        abort();
    uint64_t number = head.last_run;
    state_head_fini(&head);
    return number;
}
