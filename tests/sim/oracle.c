#include "sim/oracle.h"

#include "base/json.h"
#include "base/mem.h"
#include "sim/sim_image.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void oracle_init(struct oracle *oracle, const struct oracle_keep *keeps) {
    memset(oracle, 0, sizeof *oracle);
    oracle->keeps = keeps;
}

void oracle_fini(struct oracle *oracle) {
    for (size_t i = 0; i < oracle->count; i++) {
        mem_free(oracle->rows[i].kind);
        mem_free(oracle->rows[i].id);
        mem_free(oracle->rows[i].json);
    }
    for (uint64_t i = 0; oracle->records && i <= oracle->newest; i++)
        mem_free(oracle->records[i]);
    mem_free(oracle->rows);
    mem_free(oracle->records);
    mem_free(oracle->record_counts);
    mem_free(oracle->row_counts);
    memset(oracle, 0, sizeof *oracle);
}

static void hash_json(const char *json, size_t bytes, uint8_t ret_hash[HF_HASH_BYTES]) {
    struct json_doc JSON_AUTO doc;
    struct buf BUF_AUTO scratch;
    json_init(&doc);
    buf_init(&scratch);
    if (json_hash(&doc, &scratch, json, bytes, NULL, ret_hash, NULL) != 0)
        abort();
}

void oracle_add(struct oracle *oracle, uint64_t revision, enum hf_what what, const char *kind, const char *id,
                const char *json, size_t json_bytes) {
    if (oracle->count == oracle->room) {
        oracle->room = oracle->room ? oracle->room * 2 : 64;
        oracle->rows = sim_grow(oracle->rows, oracle->room, sizeof(struct oracle_row));
    }
    struct oracle_row row = {.revision = revision, .what = what, .kind = sim_strdup(kind), .id = sim_strdup(id)};
    for (size_t i = oracle->count; i > 0 && !row.older; i--)
        if (strcmp(oracle->rows[i - 1].kind, kind) == 0 && strcmp(oracle->rows[i - 1].id, id) == 0)
            row.older = (uint32_t)i;
    if (what == HF_PUT) {
        row.json = sim_grow(NULL, json_bytes + 1, 1);
        memcpy(row.json, json, json_bytes);
        row.json[json_bytes] = '\0';
        row.json_bytes = json_bytes;
        hash_json(json, json_bytes, row.hash);
    }
    oracle->rows[oracle->count++] = row;
    assert(revision >= oracle->newest);
    oracle->newest = revision;
}

static int key_order(const struct oracle_row *a, const struct oracle_row *b) {
    int order = strcmp(a->kind, b->kind);
    return order ? order : strcmp(a->id, b->id);
}

/* Makes the list at one revision from the list before it. */
static void apply_row(const struct oracle *oracle, uint32_t *list, uint32_t *count, uint32_t number) {
    const struct oracle_row *row = &oracle->rows[number];
    uint32_t at = 0;
    while (at < *count && key_order(&oracle->rows[list[at]], row) < 0)
        at++;
    int is_there = at < *count && key_order(&oracle->rows[list[at]], row) == 0;
    if (row->what == HF_DELETE && is_there) {
        memmove(list + at, list + at + 1, (*count - at - 1) * sizeof *list);
        (*count)--;
    } else if (row->what == HF_PUT) {
        if (!is_there)
            memmove(list + at + 1, list + at, ((*count)++ - at) * sizeof *list);
        list[at] = number;
    }
}

void oracle_seal(struct oracle *oracle) {
    size_t revisions = oracle->newest + 1;
    oracle->records = sim_alloc(revisions * sizeof(uint32_t *));
    oracle->record_counts = sim_alloc(revisions * sizeof(uint32_t));
    oracle->row_counts = sim_alloc(revisions * sizeof(uint32_t));
    uint32_t *list = sim_alloc((oracle->count + 1) * sizeof(uint32_t)), count = 0, row = 0;
    for (uint64_t revision = 0; revision < revisions; revision++) {
        for (; row < oracle->count && oracle->rows[row].revision == revision; row++)
            apply_row(oracle, list, &count, row);
        oracle->records[revision] = sim_alloc((count + 1) * sizeof(uint32_t));
        memcpy(oracle->records[revision], list, count * sizeof(uint32_t));
        oracle->record_counts[revision] = count;
        oracle->row_counts[revision] = row;
    }
    mem_free(list);
}

int oracle_set_keeps(const struct oracle *oracle, struct hf_store *store) {
    int code = 0;
    for (const struct oracle_keep *keep = oracle->keeps; keep && keep->kind && code == 0; keep++)
        code = hf_store_keep_history(store, keep->kind, keep->keep, NULL);
    return code;
}

/* ---- comparing --------------------------------------------------------------------------------------------------- */

struct compare {
    const struct oracle *oracle;
    struct hf_store *store;
    uint64_t revision; /* the store's */
    uint64_t base;     /* up to here the oracle's batches, then the verifier's own */
    uint32_t at;       /* rows seen */
    uint32_t row;      /* history: the next version, plus 1 */
    char *text;
};

static int wrong(struct compare *compare, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int wrong(struct compare *compare, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(compare->text, ORACLE_TEXT, format, args);
    va_end(args);
    return -1;
}

static int is_after(const char *kind) {
    return strcmp(kind, ORACLE_AFTER_KIND) == 0;
}

static int compare_record(struct compare *compare, const struct oracle_row *row, const struct hf_record *record,
                          int code) {
    if (code != 0 || !record->json != !row->json)
        return wrong(compare, "%s/%s: code %d", record->kind, record->id, code);
    if (strcmp(record->kind, row->kind) != 0 || strcmp(record->id, row->id) != 0)
        return wrong(compare, "%s/%s stands where %s/%s belongs", record->kind, record->id, row->kind, row->id);
    if (record->revision != row->revision)
        return wrong(compare, "%s/%s: at revision %" PRIu64 ", not %" PRIu64, record->kind, record->id,
                     record->revision, row->revision);
    if (row->json && (record->json_bytes != row->json_bytes || memcmp(record->json, row->json, row->json_bytes) != 0))
        return wrong(compare, "%s/%s: other bytes at revision %" PRIu64, record->kind, record->id, record->revision);
    if (memcmp(record->hash, row->hash, HF_HASH_BYTES) != 0)
        return wrong(compare, "%s/%s: another hash at revision %" PRIu64, record->kind, record->id, record->revision);
    return 0;
}

static int visit_record(void *arg, const struct hf_record *record, int code) {
    struct compare *compare = arg;
    const struct oracle *oracle = compare->oracle;
    if (code == 0 && is_after(record->kind))
        return record->revision == compare->revision ? 0 : wrong(compare, "'after' is not at the newest revision");
    if (compare->at >= oracle->record_counts[compare->base])
        return wrong(compare, "%s/%s: should not be there at revision %" PRIu64, record->kind, record->id,
                     compare->base);
    return compare_record(compare, &oracle->rows[oracle->records[compare->base][compare->at++]], record, code);
}

static int visit_event(void *arg, const struct hf_event *event) {
    struct compare *compare = arg;
    const struct oracle *oracle = compare->oracle;
    uint32_t at = compare->at++, own = oracle->row_counts[compare->base];
    if (at >= own)
        return is_after(event->kind) && event->revision == compare->base + 1 + at - own && event->what == HF_PUT
                   ? 0
                   : wrong(compare, "event %u should not be there", at);
    const struct oracle_row *row = &oracle->rows[at];
    if (event->revision != row->revision || event->what != row->what || strcmp(event->kind, row->kind) != 0 ||
        strcmp(event->id, row->id) != 0 || memcmp(event->hash, row->hash, HF_HASH_BYTES) != 0)
        return wrong(compare, "event %u is %s/%s at %" PRIu64 ", not %s/%s at %" PRIu64, at, event->kind, event->id,
                     event->revision, row->kind, row->id, row->revision);
    return 0;
}

static int visit_version(void *arg, const struct hf_record *record, int code) {
    struct compare *compare = arg;
    if (!compare->row)
        return wrong(compare, "%s/%s: a version too many", record->kind, record->id);
    const struct oracle_row *row = &compare->oracle->rows[compare->row - 1];
    compare->row = row->older;
    compare->at++;
    return compare_record(compare, row, record, code);
}

static int compare_history(struct compare *compare, uint32_t newest, uint32_t keep) {
    const struct oracle_row *row = &compare->oracle->rows[newest];
    struct hf_error error = {0};
    uint32_t versions = 0;
    for (uint32_t at = newest + 1; at && versions < keep; at = compare->oracle->rows[at - 1].older)
        versions++;
    compare->row = newest + 1;
    compare->at = 0;
    int code = hf_store_history(compare->store, row->kind, row->id, 0, visit_version, compare, &error);
    if (code != 0)
        return compare->text[0] ? -1 : wrong(compare, "history: %s", error.message);
    return compare->at == versions
               ? 0
               : wrong(compare, "%s/%s: %u versions, not %u", row->kind, row->id, compare->at, versions);
}

static int compare_histories(struct compare *compare, const struct oracle_keep *keep) {
    const struct oracle *oracle = compare->oracle;
    uint32_t count = oracle->row_counts[compare->base];
    for (uint32_t i = count; i-- > 0;) {
        int is_newest = strcmp(oracle->rows[i].kind, keep->kind) == 0;
        for (uint32_t j = i + 1; j < count && is_newest; j++)
            is_newest = oracle->rows[j].older != i + 1;
        if (is_newest && compare_history(compare, i, keep->keep) != 0)
            return -1;
    }
    return 0;
}

static int find_base(struct compare *compare) {
    struct hf_record *after = NULL;
    struct hf_error error = {0};
    compare->base = compare->revision;
    int code = hf_store_get(compare->store, ORACLE_AFTER_KIND, ORACLE_AFTER_ID, &after, &error);
    uint64_t count = 0;
    if (code == 0 && sscanf(after->json, "{\"base\":%" SCNu64 ",\"count\":%" SCNu64 "}", &compare->base, &count) != 2)
        code = wrong(compare, "'after' is not what was put: %s", after->json);
    hf_record_free(&after);
    if (code != 0 && code != HF_ERR_NOT_FOUND)
        return compare->text[0] ? -1 : wrong(compare, "get: %s", error.message);
    if (compare->base + count != compare->revision || compare->base > compare->oracle->newest)
        return wrong(compare, "it is at revision %" PRIu64 ", with 'after' %" PRIu64 "+%" PRIu64, compare->revision,
                     compare->base, count);
    return 0;
}

static int walks(struct compare *compare) {
    struct hf_error error = {0};
    compare->at = 0;
    if (hf_store_scan(compare->store, NULL, NULL, 0, visit_record, compare, &error) != 0)
        return compare->text[0] ? -1 : wrong(compare, "scan: %s", error.message);
    if (compare->at != compare->oracle->record_counts[compare->base])
        return wrong(compare, "%u records of %u at revision %" PRIu64, compare->at,
                     compare->oracle->record_counts[compare->base], compare->base);
    compare->at = 0;
    if (hf_store_events(compare->store, 0, 0, visit_event, compare, &error) != 0)
        return compare->text[0] ? -1 : wrong(compare, "events: %s", error.message);
    uint64_t events = compare->oracle->row_counts[compare->base] + compare->revision - compare->base;
    if (compare->at != events)
        return wrong(compare, "%u events of %" PRIu64, compare->at, events);
    for (const struct oracle_keep *keep = compare->oracle->keeps; keep && keep->kind; keep++)
        if (compare_histories(compare, keep) != 0)
            return -1;
    return 0;
}

int64_t oracle_compare(const struct oracle *oracle, struct hf_store *store, char text[ORACLE_TEXT]) {
    struct compare compare = {.oracle = oracle, .store = store, .text = text};
    text[0] = '\0';
    compare.revision = hf_store_revision(store);
    if (find_base(&compare) != 0 || walks(&compare) != 0)
        return -1;
    return (int64_t)compare.revision;
}

int oracle_commit_after(struct hf_store *store, uint64_t revision, char text[ORACLE_TEXT]) {
    struct compare compare = {.store = store, .text = text};
    struct hf_record *after = NULL;
    struct hf_commit_result result = {0};
    struct hf_error error = {0};
    uint64_t base = revision, count = 0;
    char json[96];
    if (hf_store_get(store, ORACLE_AFTER_KIND, ORACLE_AFTER_ID, &after, NULL) == 0)
        sscanf(after->json, "{\"base\":%" SCNu64 ",\"count\":%" SCNu64 "}", &base, &count);
    hf_record_free(&after);
    snprintf(json, sizeof json, "{\"base\":%" PRIu64 ",\"count\":%" PRIu64 "}", base, count + 1);
    int code = hf_store_put(store, ORACLE_AFTER_KIND, ORACLE_AFTER_ID, json, strlen(json), &result, &error);
    if (code != 0)
        return wrong(&compare, "a further commit: %s", error.message);
    return result.revision == revision + 1
               ? 0
               : wrong(&compare, "a further commit got revision %" PRIu64 " after %" PRIu64, result.revision, revision);
}
