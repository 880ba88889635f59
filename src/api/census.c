#include "api/census.h"

#include "base/json.h"

const char *const census_statuses[CENSUS_STATUSES + 1] = {"running", "starting", "backoff", "stopping",
                                                          "stopped", "exited",   "fatal",   NULL};

struct taking {
    struct census census;
    struct json_doc doc;
};

static int count_source(void *arg, const struct hf_record *record, int code) {
    struct taking *taking = arg;
    (void)record;
    (void)code;
    taking->census.total++;
    return 0;
}

static int count_status(void *arg, const struct hf_record *record, int code) {
    struct taking *taking = arg;
    if (code != 0 || json_read(&taking->doc, record->json, record->json_bytes, NULL, NULL) != 0)
        return 0;
    uint32_t status = json_member(&taking->doc, 0, "status");
    for (int i = 0; i < CENSUS_STATUSES; i++)
        taking->census.by_status[i] += json_is_string(&taking->doc, status, census_statuses[i]);
    return 0;
}

static int count_state(void *arg, const struct hf_record *record, int code) {
    struct taking *taking = arg;
    taking->census.states++;
    if (code == 0 && json_read(&taking->doc, record->json, record->json_bytes, NULL, NULL) == 0)
        taking->census.leases += json_type_of(&taking->doc, json_member(&taking->doc, 0, "lease")) == JSON_OBJECT;
    return 0;
}

int census_take(struct hf_store *store, struct census *ret_census, struct hf_error *error) {
    struct taking taking = {.census = {0}};
    json_init(&taking.doc);
    int code = hf_store_scan(store, "source", NULL, 0, count_source, &taking, error);
    if (code == 0)
        code = hf_store_scan(store, "source_state", NULL, 0, count_status, &taking, error);
    if (code == 0)
        code = hf_store_scan(store, "state", NULL, 0, count_state, &taking, error);
    json_fini(&taking.doc);
    if (code == 0)
        *ret_census = taking.census;
    return code;
}
